/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/worker.h"

#include "base/clock.h"
#include "base/queue.h"
#include "base/server_clock.h"

#include <event2/event.h>

#include <sys/syscall.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	SLICE_NS = 100000, /* the least that the kernel takes */
};

/* What sched_setattr(2) takes: <linux/sched/types.h> and <sched.h> cannot be included together. */
struct scheduling {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns;
};

/* A call from another thread. */
struct call {
	struct queue_node node;
	void (*function)(void *cookie);
	void *cookie;
};

struct worker_thread {
	struct worker worker; /* first: the header's half */
	pthread_t thread;
	bool is_running;
	struct queue *calls;
	struct event *on_calls;
	struct call *stop; /* made at the start, so that stopping cannot fail */
};

static struct worker_thread *thread_of(struct worker *worker)
{
	return (struct worker_thread *)(void *)worker;
}

void worker_enter(struct worker *worker)
{
	(void)worker;
	catalog_reader_online();
}

void worker_quiescent(struct worker *worker)
{
	(void)worker;
	catalog_reader_quiescent();
}

void worker_leave(struct worker *worker)
{
	(void)worker;
	catalog_reader_offline();
}

struct answer_time worker_time(void)
{
	return (struct answer_time){
		.now_ms = server_clock_coarse_ms(),
		.wall_s = clock_coarse_wall_s(),
	};
}

static void run_calls(evutil_socket_t fd, short what, void *cookie)
{
	struct worker_thread *thread = cookie;
	struct queue_node *node = queue_take(thread->calls);

	(void)fd;
	(void)what;
	while (node) {
		struct call *call = (struct call *)(void *)node;

		node = node->next;
		call->function(call->cookie);
		free(call);
	}
}

int worker_run(struct worker *worker, void (*function)(void *cookie), void *cookie)
{
	struct call *call = malloc(sizeof(*call));

	if (!call)
		return -1;
	*call = (struct call){ .function = function, .cookie = cookie };
	queue_push(thread_of(worker)->calls, &call->node);
	return 0;
}

/*
 * Where a processor is shared with the control thread, a query would wait until the change that is
 * being compiled has used up its slice, 3 ms: Linux lets who asks for shorter slices go first
 * (6.12; before that a thread that wakes goes first anyway, and this changes nothing).
 */
static void go_first(void)
{
	struct scheduling scheduling;

	if (syscall(SYS_sched_getattr, 0, &scheduling, sizeof(scheduling), 0) ||
	    scheduling.policy != SCHED_OTHER)
		return;
	scheduling.runtime_ns = SLICE_NS;
	syscall(SYS_sched_setattr, 0, &scheduling, 0);
}

static void *run_worker(void *cookie)
{
	struct worker_thread *thread = cookie;

	go_first();
	catalog_reader_register();
	event_base_dispatch(thread->worker.base);
	catalog_reader_unregister();
	return NULL;
}

struct worker *worker_new(const struct catalog *catalog, const struct answer_identity *identity)
{
	struct worker_thread *thread = calloc(1, sizeof(*thread));

	if (!thread)
		return NULL;
	thread->worker.base = event_base_new();
	thread->calls = queue_new();
	thread->stop = malloc(sizeof(*thread->stop));
	if (!thread->worker.base || !thread->calls || !thread->stop)
		goto fail;
	thread->on_calls = event_new(thread->worker.base, queue_fd(thread->calls),
				     EV_READ | EV_PERSIST, run_calls, thread);
	if (!thread->on_calls || event_add(thread->on_calls, NULL))
		goto fail;
	answer_init(&thread->worker.answer, catalog, &thread->worker.counters, identity);
	return &thread->worker;
fail:
	worker_free(&thread->worker);
	return NULL;
}

void worker_free(struct worker *worker)
{
	struct worker_thread *thread = thread_of(worker);

	if (!worker)
		return;
	if (thread->on_calls)
		event_free(thread->on_calls);
	if (thread->worker.base)
		event_base_free(thread->worker.base);
	if (thread->calls) {
		struct queue_node *node = queue_take(thread->calls);

		while (node) {
			struct queue_node *next = node->next;

			free(node);
			node = next;
		}
		queue_free(thread->calls);
	}
	free(thread->stop);
	free(thread);
}

int worker_start(struct worker *worker)
{
	struct worker_thread *thread = thread_of(worker);
	int error = pthread_create(&thread->thread, NULL, run_worker, thread);

	if (error) {
		errno = error;
		return -1;
	}
	thread->is_running = true;
	return 0;
}

static void end_loop(void *cookie)
{
	event_base_loopbreak(cookie);
}

void worker_stop(struct worker *worker)
{
	struct worker_thread *thread = thread_of(worker);

	if (!thread->is_running)
		return;
	*thread->stop = (struct call){ .function = end_loop, .cookie = worker->base };
	queue_push(thread->calls, &thread->stop->node);
	thread->stop = NULL;
	pthread_join(thread->thread, NULL);
	thread->is_running = false;
}
