/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listen: sockets that wait for others. Every one is non-blocking and close-on-exec.
 */
#ifndef ROSTERD_IO_LISTEN_H
#define ROSTERD_IO_LISTEN_H

#include "model/record.h"

#include <sys/socket.h>

/* An address to listen on, from "127.0.0.1@8600", "::1@8600" or "0.0.0.0@53". */
struct listen_address {
	struct sockaddr_storage sockaddr;
	socklen_t len;
	char text[64]; /* as written; a chosen port replaces 0 */
};

/* false with a reason: no numeric address, no port, or a port out of 0..65535 (0: any free one). */
bool listen_parse(const char *text, struct listen_address *address, const char **reason);

/*
 * A bound socket, or -1 with errno. UDP and DNS over TCP are opened with SO_REUSEPORT, once per
 * worker; `address` gets the port that was chosen if it was 0. TCP sockets listen.
 * A UDP socket on a wildcard address tells each packet's destination (IP_PKTINFO).
 */
int listen_udp(struct listen_address *address);
int listen_tcp_shared(struct listen_address *address);
/* Not shared: a second process fails with EADDRINUSE. TCP_NODELAY is on. */
int listen_tcp(struct listen_address *address);

/*
 * Whether somebody else already listens there: SO_REUSEPORT would let a second server of the same
 * user share the queries unnoticed. 0: free; -1 with errno (EADDRINUSE). `type` is SOCK_DGRAM or
 * SOCK_STREAM.
 */
int listen_probe(const struct listen_address *address, int type);

/*
 * Whether a socket that somebody else has opened is of that type, bound to that address, and
 * listening if it is a stream. A port of 0 in `address` is any; only then `shared` counts, whether
 * it has SO_REUSEPORT, which tells our streams for DNS from those for HTTP.
 */
bool listen_matches(int fd, int type, bool shared, const struct listen_address *address);

/*
 * Makes one that matches like those that are opened here, as far as that can be done behind its
 * bind; `address` gets its port. `shared`: SO_REUSEPORT, so that others may be opened beside it. -1
 * with errno.
 */
int listen_adopt(int fd, int type, bool shared, struct listen_address *address);

bool listen_is_wildcard(const struct listen_address *address);

/* The address inside a sockaddr, without its port; IPv4-mapped IPv6 becomes IPv4. */
void listen_peer(const struct sockaddr *sockaddr, struct address *address);

/*
 * Where others reach what listens there: the address itself; for a wildcard the one from which this
 * host speaks to the rest of the world, or loopback if it does not.
 */
void listen_reach(const struct listen_address *address, struct address *reach);

#endif
