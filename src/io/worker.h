/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * worker: a thread that answers DNS: an event loop, a struct answer, counters. It owns its sockets
 * and shares nothing but the catalog.
 *
 * RCU: a worker is offline while it waits; the handlers of io/udp and io/tcp call worker_enter()
 * before they answer and worker_leave() when they return to the loop, and worker_quiescent()
 * between batches.
 */
#ifndef ROSTERD_IO_WORKER_H
#define ROSTERD_IO_WORKER_H

#include "model/answer.h"

struct event_base;

struct worker {
	struct event_base *base;
	struct answer answer;
	struct counters counters; /* this thread's */
};

/* NULL when out of memory. Neither argument is owned. */
struct worker *worker_new(const struct catalog *catalog, const struct answer_identity *identity);
/* After worker_stop(). */
void worker_free(struct worker *worker);

/* Sockets are added (udp_new, tcp_new) between new and start. -1 with errno. */
int worker_start(struct worker *worker);

/*
 * Asks the thread to end its loop and waits for it. Afterwards the caller may free what it had put
 * on the worker's base, and then the worker.
 */
void worker_stop(struct worker *worker);

/* Runs `function` on the worker's thread, soon. -1 when out of memory. */
int worker_run(struct worker *worker, void (*function)(void *cookie), void *cookie);

/* The time, as answer() takes it. */
struct answer_time worker_time(void);

/* RCU marks, on the worker's own thread. */
void worker_enter(struct worker *worker);
void worker_quiescent(struct worker *worker);
void worker_leave(struct worker *worker);

#endif
