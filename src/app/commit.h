/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * commit: the way of a write: first on disk, then applied, then visible, then acknowledged.
 *
 * Writes that come while a batch is with the store wait together for the next one; one batch is
 * with the store at a time. What becomes of a change is decided when its batch is made
 * (registry_admit()); nothing is written for what is refused. A batch has one write for an instance
 * or a policy at most (those of one request aside), so that nothing in it depends on the rest of
 * it. What the registry changes by itself goes with the batches too (app/commit_backlog.h), so the
 * store always converges to the registry, whatever failed before.
 *
 *   state    entered when             new writes       left when
 *   well     -                        wait             -
 *   failing  a commit failed          refused at once  a commit succeeds: one is tried each
 *                                                      second, be it an empty one
 *   hanging  a commit takes too long  refused at once  it comes back
 *
 * A write is answered within a second: those of a batch that hangs are told that it is not known
 * whether they are saved, and are applied all the same should they be.
 *
 * Control thread only.
 */
#ifndef ROSTERD_APP_COMMIT_H
#define ROSTERD_APP_COMMIT_H

#include "api/native_write.h"
#include "io/store.h"

struct commit;
struct event_base;
struct httpd_request;

struct commit_options {
	struct event_base *base;
	const struct registry *registry;
	struct counters *counters;
	/*
	 * The write is on disk: it is to be applied and, unless `owed` is NULL, answered. Or it is
	 * not: `status` and `message` are the reply. The write stays the commit's.
	 */
	void (*on_saved)(void *cookie, struct httpd_request *owed, struct api_write *write);
	void (*on_refused)(void *cookie, struct httpd_request *owed, int status,
			   const char *message);
	/* After commit_drain(): nothing is left to be saved, or it cannot be. Once. */
	void (*on_drained)(void *cookie);
	void *cookie;
};

/* NULL when out of memory. `options` is copied. */
struct commit *commit_new(const struct commit_options *options);

/* After store_close(). Writes that wait are forgotten, without a reply. NULL is fine. */
void commit_free(struct commit *commit);

/* Begins to write to the store, which is borrowed. -1 with errno. */
int commit_start(struct commit *commit, struct store *store);

/*
 * Takes a write over. It may be refused from within. Nobody is told if nobody is `owed` a reply:
 * what became of it is then for its on_end(). After commit_start() alone.
 */
void commit_put(struct commit *commit, struct api_write *write, struct httpd_request *owed);

/*
 * Whether something that waits, or is with the store, or has to be mended there, has to come before
 * this change: if so the change is to wait behind it, even one that changes nothing yet. None for
 * heartbeats.
 */
bool commit_is_behind(struct commit *commit, const struct change *change);

/* The registry has changed: registry_options.changed. */
void commit_on_change(struct commit *commit, enum event_kind kind, const struct service *service,
		      const struct instance *instance);

/* What is stored under the key contradicts the registry; an empty id: of the service itself. */
void commit_mend(struct commit *commit, const char *service, const char *id);

/* Saves everything there is to save, then calls on_drained(), possibly from within. */
void commit_drain(struct commit *commit);

/*
 * After on_drained(): nothing is submitted any more, so that the store may be suspended. What would
 * be saved later waits.
 */
void commit_suspend(struct commit *commit);
/* After commit_drain(), and after store_resume() if it was suspended: goes on as before. */
void commit_resume(struct commit *commit);

/* Why writes are refused right now; NULL: they are not. */
const char *commit_trouble(const struct commit *commit);

#endif
