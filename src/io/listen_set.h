/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listen_set: sockets that somebody else has opened for us: a service manager, or the server that
 * this one replaces. A part of listen.
 *
 * They are found by what they are, type and bound address, never by their order. Queries may wait
 * in any of them, so whoever wants an address takes all that there are for it.
 */
#ifndef ROSTERD_IO_LISTEN_SET_H
#define ROSTERD_IO_LISTEN_SET_H

#include "io/listen.h"

struct listen_set {
	int *fds; /* owned */
	size_t n, cap;
	/*
	 * They come from the server that is replaced: what else is bound to our addresses is its,
	 * and no stranger's.
	 */
	bool is_replacement;
};

/* Takes a descriptor over. -1 when out of memory: it is still the caller's. */
int listen_set_put(struct listen_set *set, int fd);

/* Whether one of them is what `listen_set_take()` would return. */
bool listen_set_has(const struct listen_set *set, int type, bool shared,
		    const struct listen_address *address);

/*
 * Takes one out that is bound to `address`, and makes it like ours (listen_adopt). -1: there is
 * none, or none that can be made so, which is logged.
 */
int listen_set_take(struct listen_set *set, int type, bool shared, struct listen_address *address);

/* Closes those that nobody took, and returns how many these were. An all-zero set is fine. */
size_t listen_set_fini(struct listen_set *set);

#endif
