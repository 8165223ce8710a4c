/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * workers: all worker threads with their DNS sockets, as one thing to start, drain and stop. Each
 * worker has its own UDP and TCP socket on every address (SO_REUSEPORT); the kernel spreads clients
 * over them.
 */
#ifndef ROSTERD_APP_WORKERS_H
#define ROSTERD_APP_WORKERS_H

#include "base/counters.h"
#include "io/listen.h"
#include "io/udp_limit.h"
#include "model/answer.h"

struct workers;

/*
 * Opens every socket; what is pointed to stays with the caller and as it is; a port of 0 in
 * `addresses` is replaced by the one that was chosen. NULL with one log line that names address and
 * error.
 */
struct workers *workers_new(unsigned n, struct listen_address *addresses, size_t n_addresses,
			    const struct catalog *catalog, const struct answer_identity *identity,
			    const struct udp_limit_options *limit);

/* Starts the threads. -1 with a log line. */
int workers_start(struct workers *workers);

/*
 * Accepts no more TCP and lets replies on their way be read. Calls back once when that is done, on
 * one of the worker threads.
 */
void workers_drain(struct workers *workers, void (*on_drained)(void *cookie), void *cookie);

/* Ends the threads if they run, and frees everything. */
void workers_free(struct workers *workers);

/* Adds up what all workers have counted. */
void workers_count(const struct workers *workers, struct counters *counters,
		   struct answer_counts *answers);

#endif
