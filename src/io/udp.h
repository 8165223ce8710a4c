/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * udp: DNS over UDP on one worker: recvmmsg, answer() in place, sendmmsg. A burst of at most
 * LIMIT_UDP_BURST batches, then the loop's other events have their turn. Replies to strangers are
 * rate-limited (udp_limit.h).
 */
#ifndef ROSTERD_IO_UDP_H
#define ROSTERD_IO_UDP_H

#include "io/udp_limit.h"
#include "io/worker.h"

struct udp;

/* Serves a bound socket (io/listen.h), which it owns. NULL with errno: the socket is still the
 * caller's. */
struct udp *udp_new(struct worker *worker, int fd, bool is_wildcard,
		    const struct udp_limit_options *options);
void udp_free(struct udp *udp);

/*
 * On the worker's thread: answers what waits, and reads no more. Another process that has the same
 * socket gets the rest.
 */
void udp_stop(struct udp *udp);

#endif
