/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/queue.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Under the mutex: the eventfd is readable exactly while `first` is not NULL. */
struct queue {
	pthread_mutex_t mutex;
	struct queue_node *first, **last;
	int fd;
};

struct queue *queue_new(void)
{
	struct queue *queue = calloc(1, sizeof(*queue));

	if (!queue)
		return NULL;
	queue->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (queue->fd < 0)
		goto err_queue;
	errno = pthread_mutex_init(&queue->mutex, NULL);
	if (errno)
		goto err_fd;
	queue->last = &queue->first;
	return queue;

err_fd:
	close(queue->fd);
err_queue:
	free(queue);
	return NULL;
}

void queue_free(struct queue *queue)
{
	if (!queue)
		return;
	pthread_mutex_destroy(&queue->mutex);
	close(queue->fd);
	free(queue);
}

int queue_fd(const struct queue *queue)
{
	return queue->fd;
}

void queue_push(struct queue *queue, struct queue_node *node)
{
	node->next = NULL;
	pthread_mutex_lock(&queue->mutex);
	if (!queue->first) {
		ssize_t n = write(queue->fd, &(uint64_t){ 1 }, sizeof(uint64_t));

		assert(n == sizeof(uint64_t)); /* the count goes from 0 to 1 */
	}
	*queue->last = node;
	queue->last = &node->next;
	pthread_mutex_unlock(&queue->mutex);
}

struct queue_node *queue_take(struct queue *queue)
{
	struct queue_node *first;
	uint64_t count;

	pthread_mutex_lock(&queue->mutex);
	first = queue->first;
	if (first) {
		ssize_t n = read(queue->fd, &count, sizeof(count));

		assert(n == sizeof(count));
	}
	queue->first = NULL;
	queue->last = &queue->first;
	pthread_mutex_unlock(&queue->mutex);
	return first;
}
