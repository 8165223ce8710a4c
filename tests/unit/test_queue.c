/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/queue.h"

#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

enum {
	SENDERS = 4,
	MESSAGES = 5000,
	WAIT_MS = 50000,
};

struct message {
	struct queue_node node;
	unsigned sender, number;
};

static struct queue *queue;

static void set_up(void)
{
	queue = queue_new();
	ck_assert_ptr_nonnull(queue);
}

static void tear_down(void)
{
	queue_free(queue);
	queue_free(NULL);
}

static bool is_readable(int timeout_ms)
{
	struct pollfd entry = { .fd = queue_fd(queue), .events = POLLIN };

	return poll(&entry, 1, timeout_ms) == 1;
}

START_TEST(order_is_kept)
{
	struct message messages[3] = { { .number = 0 }, { .number = 1 }, { .number = 2 } };
	struct queue_node *node;

	for (int i = 0; i < 3; i++)
		queue_push(queue, &messages[i].node);
	node = queue_take(queue);
	for (int i = 0; i < 3; i++, node = node->next)
		ck_assert_ptr_eq(node, &messages[i].node);
	ck_assert_ptr_null(node);
	ck_assert_ptr_null(queue_take(queue));
}
END_TEST

START_TEST(descriptor_is_readable_exactly_while_messages_wait)
{
	struct message a = { .number = 1 }, b = { .number = 2 };

	ck_assert(!is_readable(0));
	queue_push(queue, &a.node);
	ck_assert(is_readable(0));
	queue_push(queue, &b.node);
	ck_assert(is_readable(0));
	ck_assert_ptr_eq(queue_take(queue), &a.node);
	ck_assert(!is_readable(0));
	queue_push(queue, &a.node);
	ck_assert(is_readable(0));
	ck_assert_ptr_eq(queue_take(queue), &a.node);
	ck_assert_ptr_null(a.node.next);
}
END_TEST

static void *send_all(void *cookie)
{
	for (unsigned i = 0; i < MESSAGES; i++) {
		struct message *message = malloc(sizeof(*message));

		if (!message)
			abort();
		message->sender = *(unsigned *)cookie;
		message->number = i;
		queue_push(queue, &message->node);
	}
	return NULL;
}

/* The receiver waits on the descriptor alone: one missed wake-up and it stands still. */
START_TEST(nothing_is_lost_between_threads)
{
	unsigned ids[SENDERS], next[SENDERS] = { 0 }, received = 0;
	pthread_t threads[SENDERS];

	for (unsigned i = 0; i < SENDERS; i++) {
		ids[i] = i;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, send_all, &ids[i]), 0);
	}
	while (received < SENDERS * MESSAGES) {
		struct queue_node *node, *following;

		ck_assert(is_readable(WAIT_MS));
		for (node = queue_take(queue); node; node = following, received++) {
			struct message *message = (struct message *)node;

			following = node->next;
			ck_assert_uint_eq(message->number, next[message->sender]);
			next[message->sender]++;
			free(message);
		}
	}
	for (unsigned i = 0; i < SENDERS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert_ptr_null(queue_take(queue));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("queue");
	TCase *tcase = tcase_create("queue");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, order_is_kept);
	tcase_add_test(tcase, descriptor_is_readable_exactly_while_messages_wait);
	tcase_add_test(tcase, nothing_is_lost_between_threads);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
