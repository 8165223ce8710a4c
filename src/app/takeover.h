/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * takeover: the new server's half of a replacement (app/replace.h). It waits for the other side,
 * for LIMIT_REPLACE_MS in all, so it is for the time before the event loop runs.
 *
 * The order: takeover_begin() when configuration and zones are read; open nothing in the directory
 * before takeover_await_yours(), and commit nothing to the store before takeover_finish(). Should
 * this process end anywhere before that, the other one goes on.
 */
#ifndef ROSTERD_APP_TAKEOVER_H
#define ROSTERD_APP_TAKEOVER_H

#include "base/siphash.h"
#include "io/listen_set.h"

enum takeover_result {
	TAKEOVER_OK,
	TAKEOVER_NOBODY, /* no server runs on this directory */
	TAKEOVER_FAILED, /* refused, or not in time: the message says why */
};

struct takeover {
	int fd; /* -1: none runs */
	uint64_t end_ms;
	int lock, control; /* of the directory, and its socket; whoever takes one puts -1 there */
	struct siphash_key cookie_secret;
};

/* None runs. */
void takeover_init(struct takeover *takeover);

/* Connects and receives; the sockets go into `given`. */
enum takeover_result takeover_begin(struct takeover *takeover, const char *directory,
				    struct listen_set *given, char *message, size_t message_size);

/* Asks for the directory, waits until the other server has saved everything. -1 with a message. */
int takeover_await_yours(struct takeover *takeover, uint64_t *revision, char *message,
			 size_t message_size);

/*
 * Queries are answered here: lets the other server end, waits until it reads no more of them. If it
 * is gone already, all the better.
 */
void takeover_finish(struct takeover *takeover);

/* Tells the other server why this one ends, if it waits for that, and hangs up. */
void takeover_fail(struct takeover *takeover, const char *reason);

/* Closes what is left; after takeover_init(), whatever came then. */
void takeover_fini(struct takeover *takeover);

#endif
