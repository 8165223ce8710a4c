/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp: DNS over TCP on one worker (RFC 7766): pipelined queries, answered in order and written
 * together; octets may arrive one by one.
 *
 * A connection ends: when the peer closes and all is answered; on a zero-length message; after
 * LIMIT_TCP_IDLE_MS without a complete query (an unfinished one or unread replies count as idle).
 * A peer that does not read its replies is not read from either. When a client has
 * LIMIT_TCP_PER_CLIENT connections, or all
 * LIMIT_TCP_CONNECTIONS places are taken, its, or the, connection idle for longest makes room.
 */
#ifndef ROSTERD_IO_TCP_H
#define ROSTERD_IO_TCP_H

#include "io/worker.h"

struct tcp;

/* Serves a listening socket (io/listen.h), which it owns. NULL with errno: the socket is still the
 * caller's. */
struct tcp *tcp_new(struct worker *worker, int fd);
void tcp_free(struct tcp *tcp);

/*
 * On the worker's thread: accepts no more, and ends every connection once the replies that it is
 * owed are written; one that has sent a part of a query may send the rest. Calls back once there is
 * none left, at once if there is none. Whoever shares the socket gets the connections that wait.
 */
void tcp_drain(struct tcp *tcp, void (*on_drained)(void *cookie), void *cookie);

#endif
