/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp: DNS over TCP (RFC 7766) or over TLS (RFC 7858) on one worker: pipelined queries, answered in
 * order and written together; octets may arrive one by one.
 *
 * A connection ends: when the peer closes and all is answered; on a zero-length message, behind
 * which whatever still comes is a reset, and may cost the peer replies that it has not read; after
 * LIMIT_TCP_IDLE_MS without a complete query (an unfinished one, an unfinished handshake or unread
 * replies count as idle).
 * A peer that does not read its replies is not read from either. When a client has
 * LIMIT_TCP_PER_CLIENT connections, or all
 * LIMIT_TCP_CONNECTIONS places are taken, its, or the, connection idle for longest makes room.
 *
 * A handshake costs as much as a thousand queries: a worker does LIMIT_TLS_HANDSHAKES between two
 * looks at its other sockets.
 */
#ifndef ROSTERD_IO_TCP_H
#define ROSTERD_IO_TCP_H

#include "io/worker.h"

struct tcp;
struct tls;

/* Serves a listening socket (io/listen.h), which it owns; over TLS unless `tls` is NULL. NULL with
 * errno: the socket is still the caller's. */
struct tcp *tcp_new(struct worker *worker, int fd, struct tls *tls);
void tcp_free(struct tcp *tcp);

/*
 * On the worker's thread: accepts no more, and ends every connection once the replies that it is
 * owed are written; one that has sent a part of a query may send the rest. Calls back once there is
 * none left, at once if there is none. Whoever shares the socket gets the connections that wait.
 */
void tcp_drain(struct tcp *tcp, void (*on_drained)(void *cookie), void *cookie);

#endif
