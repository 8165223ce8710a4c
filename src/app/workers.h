/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * workers: all worker threads with their DNS sockets, as one thing to start, drain and stop. Each
 * worker has its own UDP and TCP socket on every address (SO_REUSEPORT); the kernel spreads clients
 * over them.
 *
 * Sockets that were given are all used, because queries wait in them: where there are more than
 * workers, some workers have several. Where there are fewer and none can be opened beside them (a
 * service manager of another user has opened them), workers share one.
 */
#ifndef ROSTERD_APP_WORKERS_H
#define ROSTERD_APP_WORKERS_H

#include "base/counters.h"
#include "io/listen_set.h"
#include "io/udp_limit.h"
#include "model/answer.h"

struct tls;
struct workers;

/*
 * Takes what is there for `addresses` out of `given`, and opens every other socket; what else is
 * pointed to stays with the caller and as it is; a port of 0 in
 * `addresses` is replaced by the one that was chosen. NULL with one log line that names address and
 * error.
 */
struct workers *workers_new(unsigned n, struct listen_address *addresses, size_t n_addresses,
			    struct listen_set *given, const struct catalog *catalog,
			    const struct answer_identity *identity,
			    const struct udp_limit_options *limit);

/*
 * Opens the sockets for DNS over TLS too, in the same way, before the start. `tls` outlives the
 * workers. -1 with a log line.
 */
int workers_open_tls(struct workers *workers, struct listen_address *addresses, size_t n_addresses,
		     struct listen_set *given, struct tls *tls);

/* Starts the threads. -1 with a log line. */
int workers_start(struct workers *workers);

/*
 * Accepts no more TCP and lets replies on their way be read. Calls back once when that is done, on
 * one of the worker threads.
 */
void workers_drain(struct workers *workers, void (*on_drained)(void *cookie), void *cookie);

/*
 * The same for a server that was replaced: reads no more UDP either, which another process does
 * that has the same sockets. `on_retired` is called once nothing new is read; before on_drained()
 * or behind it.
 */
void workers_retire(struct workers *workers, void (*on_retired)(void *cookie),
		    void (*on_drained)(void *cookie), void *cookie);

/* Ends the threads if they run, and frees everything. */
void workers_free(struct workers *workers);

/* Adds up what all workers have counted. */
void workers_count(const struct workers *workers, struct counters *counters,
		   struct answer_counts *answers);

/* The sockets, which stay theirs. Valid until workers_free(). */
const int *workers_sockets(const struct workers *workers, size_t *n);

/*
 * Whether every worker has gone round its loop since the last call that said so, or none was asked
 * yet; if so they are asked anew. Never waits. false also where there is no memory to ask.
 */
bool workers_answer(struct workers *workers);

#endif
