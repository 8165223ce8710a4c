/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * queue: messages from any thread to one event loop.
 *
 * A message is allocated by the sender and owned by the receiver once queue_push() returns. The
 * receiver watches queue_fd() for reading, and takes everything at once; order is kept per sender.
 * The eventfd is written only when the queue was empty.
 */
#ifndef ROSTERD_BASE_QUEUE_H
#define ROSTERD_BASE_QUEUE_H

struct queue;

/* First member of every message. */
struct queue_node {
	struct queue_node *next;
};

/* NULL with errno. */
struct queue *queue_new(void);
/* The queue must be empty or its messages freed by the caller first. */
void queue_free(struct queue *queue);

/* The eventfd that is readable while messages wait. */
int queue_fd(const struct queue *queue);

void queue_push(struct queue *queue, struct queue_node *node);

/* All messages, oldest first, linked by `next`; NULL if there is none. Clears the eventfd. */
struct queue_node *queue_take(struct queue *queue);

#endif
