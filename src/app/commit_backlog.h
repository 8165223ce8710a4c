/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * commit_backlog: whose records must be made to agree with the registry, since they changed, or
 * went, by themselves: instances that expired, statuses that checks and heartbeats changed,
 * services that are gone. A key is in it once, so it never holds more than there are records and
 * instances.
 *
 * What is urgent is written with the next commit; statuses wait, so that many changes of one cost
 * one write.
 *
 * Control thread only.
 */
#ifndef ROSTERD_APP_COMMIT_BACKLOG_H
#define ROSTERD_APP_COMMIT_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

struct commit_backlog;

/* What is to be compared. Each one includes those before it. */
enum commit_work {
	COMMIT_STATE, /* the record of an instance's state */
	COMMIT_WHOLE, /* all records of the key */
};

/* An instance, or with an empty id what is kept of the service itself. */
struct commit_key {
	enum commit_work work;
	bool is_urgent;
	const char *service, *id; /* in `text` */

	TAILQ_ENTRY(commit_key) place; /* in the backlog; once taken, for whoever has it */
	char text[];
};

/* NULL when out of memory. */
struct commit_backlog *commit_backlog_new(void);
/* NULL is fine. */
void commit_backlog_free(struct commit_backlog *backlog);

/* Adds a key, or adds to what is known of it. Out of memory: a log line says whose record it is. */
void commit_backlog_add(struct commit_backlog *backlog, const char *service, const char *id,
			enum commit_work work, bool is_urgent);

/* The oldest urgent key, or with `any` the oldest of all; NULL: none. The caller's to free(). */
struct commit_key *commit_backlog_take(struct commit_backlog *backlog, bool any);

/* This key, if it is in there. The caller's to free(). */
struct commit_key *commit_backlog_take_key(struct commit_backlog *backlog, const char *service,
					   const char *id);

/* Whether this key is in there with all of its records. */
bool commit_backlog_has_whole(const struct commit_backlog *backlog, const char *service,
			      const char *id);

/* Takes a key back, with what was added meanwhile. */
void commit_backlog_put_back(struct commit_backlog *backlog, struct commit_key *key);

size_t commit_backlog_count(const struct commit_backlog *backlog);
bool commit_backlog_is_urgent(const struct commit_backlog *backlog);

#endif
