/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * replace: the running server's half of its own replacement. On the socket control.sock in the data
 * directory it waits for a new server (app/takeover.h), and gives it its sockets and then the
 * store, so that not one query is lost: whatever the old one has read it answers, and the rest
 * waits in sockets that both have.
 *
 * Until the new one is ready the old one can take everything back, and does if the new one says so,
 * closes the connection, ends, or is not ready in LIMIT_REPLACE_MS. Two servers must never write
 * the same files: nothing is taken back before the other process has ended, which is killed if it
 * does not end by itself.
 *
 * Only a process of the same user, or root, is listened to. One at a time; a second is refused.
 * Control thread only.
 */
#ifndef ROSTERD_APP_REPLACE_H
#define ROSTERD_APP_REPLACE_H

#include "app/replace_wire.h"
#include "base/siphash.h"

struct event_base;
struct replace;

/* What the new server gets at once. */
struct replace_goods {
	const int *sockets; /* of DNS and HTTP; they stay the old one's too */
	size_t n_sockets;
	int lock;                         /* of the data directory */
	struct siphash_key cookie_secret; /* so that the cookies of clients stay good */
};

struct replace_owner {
	/* Valid until the next call of any function here. */
	void (*offer)(void *cookie, struct replace_goods *goods);
	/*
	 * Take nothing new but queries, finish and save everything, write nothing more; then
	 * replace_yielded(), possibly from within.
	 */
	void (*yield)(void *cookie);
	/* The new one has failed, which is logged: all is yours again. Never before
	 * replace_yielded(). */
	void (*resume)(void *cookie);
	/* The new one is ready: read no more queries, then replace_retired(). */
	void (*retire)(void *cookie);
	void *cookie;
};

/*
 * Makes the socket in the directory, whose lock the caller holds, or goes on with `fd`, the one of
 * the server that was replaced; -1 for none. NULL with a message.
 */
struct replace *replace_new(struct event_base *base, const char *directory, int fd,
			    const struct replace_owner *owner, char *message, size_t message_size);

/* Removes the socket too, unless the new server has it. NULL is fine. */
void replace_free(struct replace *replace);

/* Everything is on disk, `revision` is the newest one. */
void replace_yielded(struct replace *replace, uint64_t revision);

/* It cannot be done, for this reason; resume() follows when the new server has ended. */
void replace_not_yielded(struct replace *replace, const char *reason);

/* No query is read any more: the new server hears that it is alone. */
void replace_retired(struct replace *replace);

/* Whether the directory is another server's right now, or for ever. NULL: no. */
bool replace_has_yielded(const struct replace *replace);

#endif
