/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * udp_train: lines the replies of a batch up for sending; inside of io/udp.h.
 *
 * Sending is most of what a query costs. Replies of one size to one peer leave as one train: a
 * single message to the kernel which it cuts up itself (UDP_SEGMENT, Linux 4.18), so that the way
 * through the stack is gone once for all of them. Forwarders, which ask much from few sockets, get
 * most of their replies that way; a client that asks once gets a message of its own as ever.
 *
 * Trains of a batch are found by a small hash table over peer and size. Nothing is copied: a train
 * is a list of pointers to the replies where they are.
 */
#ifndef ROSTERD_IO_UDP_TRAIN_H
#define ROSTERD_IO_UDP_TRAIN_H

#include "base/limits.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
	UDP_TRAIN_PLACES = 128,   /* a power of two, twice a batch */
	UDP_TRAIN_OCTETS = 65000, /* a train is one UDP datagram to the kernel, before it is cut */
	/* The source address on a wildcard socket, and the size of a segment. */
	UDP_TRAIN_CONTROL = CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(uint16_t)),
};

/* A reply to be sent: to the peer, and from the address, that `query` came by. */
struct udp_reply {
	const struct msghdr *query;
	uint8_t *message;
	size_t len;
};

struct udp_trains {
	unsigned n_replies;
	struct udp_reply replies[LIMIT_UDP_BATCH]; /* the caller fills these */
	bool is_off;                               /* the kernel refused a train */

	/* What sendmmsg takes; udp_train_build() makes it. */
	unsigned n_out;
	struct mmsghdr out[LIMIT_UDP_BATCH];
	struct iovec iov[LIMIT_UDP_BATCH];

	/* udp_train.c alone */
	uint64_t keys[LIMIT_UDP_BATCH];   /* of each train, what its peer is told apart by */
	uint8_t places[UDP_TRAIN_PLACES]; /* train + 1, 0: none */
	uint8_t first[LIMIT_UDP_BATCH];   /* of each train, its first reply */
	uint8_t last[LIMIT_UDP_BATCH];    /* and its last one so far */
	uint8_t n_cars[LIMIT_UDP_BATCH];  /* and how many it has */
	uint8_t next[LIMIT_UDP_BATCH];    /* of each reply, the next one of its train */
	_Alignas(struct cmsghdr) uint8_t control[LIMIT_UDP_BATCH][UDP_TRAIN_CONTROL];
};

/* Makes `out` from the replies. */
void udp_train_build(struct udp_trains *trains);

#endif
