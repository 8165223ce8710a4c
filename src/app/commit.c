/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/commit.h"

#include "app/commit_put.h"
#include "app/commit_touched.h"
#include "base/clock.h"
#include "base/log.h"

#include <event2/event.h>

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	HANG_MS = 900, /* a reply is due within a second */
	RETRY_MS = 1000,
	GATHER_MIN_US = 2000, /* what a commit takes that others are worth waiting for */
	GATHER_MAX_US = 4000,
	LAZY_MS = 3000, /* how much of the last known statuses a crash may cost */
};

enum state {
	WELL,
	FAILING,
	HANGING,
};

struct waiting {
	STAILQ_ENTRY(waiting) entry;
	struct httpd_request *owed; /* NULL: it has its reply */
	struct api_write *write;
};
STAILQ_HEAD(writes, waiting);
TAILQ_HEAD(keys, commit_key);

struct commit {
	struct commit_options options;
	struct store *store; /* NULL: not started */
	struct queue *done;
	struct commit_backlog *backlog;
	struct event *on_done, *round, *hang, *retry, *lazy, *gather;
	struct writes waiting;
	size_t n_waiting;
	/*
	 * The next batch waits until so many writes are there, or the timer `gather`; 0: for none.
	 */
	size_t n_gathered;

	/* The batch that is with the store, if any. */
	bool in_flight;
	uint64_t flight_ns; /* since then */
	struct writes flight_writes;
	size_t n_flight_writes;
	struct keys flight_keys;

	struct commit_touched touched; /* with the store also of the keys that it has whole */

	enum state state;
	uint64_t since_ms; /* not WELL since then */
	int refusal;       /* the HTTP status of what is refused meanwhile */
	char trouble[160];
	bool is_flushing; /* statuses go with the next batch too */
	bool is_draining, has_drained, is_suspended;
};

static void arm(struct event *event, unsigned ms)
{
	struct timeval delay = clock_timeval(ms);

	event_add(event, &delay);
}

/* Behind everything else that this round of the loop has to do, so that writes come together. */
static void start_soon(struct commit *commit)
{
	event_active(commit->round, EV_TIMEOUT, 0);
}

/* ---- Making a batch ---- */

/* Whether what is stored of that may still be what a write that failed left there. */
static bool is_owed(const struct commit *commit, const struct commit_subject *subject)
{
	return (subject->id &&
		commit_backlog_has_whole(commit->backlog, subject->service, subject->id)) ||
	       (subject->is_policy &&
		commit_backlog_has_whole(commit->backlog, subject->service, ""));
}

static void put_key(struct commit *commit, struct commit_put *put, struct commit_key *key)
{
	commit_put_key(put, key);
	TAILQ_INSERT_TAIL(&commit->flight_keys, key, place);
}

/* Where there is a lot of it, writes do not wait for all of it. */
static void put_backlog(struct commit *commit, struct commit_put *put)
{
	size_t limit = STAILQ_EMPTY(&commit->waiting) ? LIMIT_STORE_BATCH : LIMIT_STORE_BATCH / 4;
	struct commit_key *key;

	while (put->n < limit && (key = commit_backlog_take(commit->backlog, commit->is_flushing)))
		put_key(commit, put, key);
	if (commit_backlog_count(commit->backlog) == 0)
		commit->is_flushing = false;
}

static void put_key_now(struct commit *commit, struct commit_put *put, const char *service,
			const char *id)
{
	struct commit_key *key = commit_backlog_take_key(commit->backlog, service, id);

	if (key)
		put_key(commit, put, key);
}

/* What is new must not take on what is still stored of an earlier one of that name. */
static void forget_former(struct commit *commit, struct commit_put *put,
			  const struct commit_subject *subject)
{
	put_key_now(commit, put, subject->service, subject->id);
	if (!registry_find_service(commit->options.registry, subject->service))
		put_key_now(commit, put, subject->service, "");
}

/*
 * What is acknowledged, even that all is so already, is on disk: not only in the backlog, of which
 * the batch perhaps has another part.
 */
static void put_owed(struct commit *commit, struct commit_put *put,
		     const struct commit_subject *subject)
{
	if (!is_owed(commit, subject))
		return;
	if (subject->id)
		put_key_now(commit, put, subject->service, subject->id);
	if (subject->is_policy)
		put_key_now(commit, put, subject->service, "");
}

static void put_slot(struct commit *commit, struct commit_put *put, struct api_write *write,
		     size_t i)
{
	const struct change *change = &write->slots[i].change;
	const struct commit_subject subject = commit_touched_subject(change);
	const bool is_first = !commit_touched_has(&commit->touched, &subject);
	struct outcome outcome;
	bool changes;

	registry_admit(commit->options.registry, change, &outcome, &changes);
	if (is_first)
		put_owed(commit, put, &subject);
	if (outcome.result != REGISTRY_CREATED && outcome.result != REGISTRY_UPDATED) {
		native_write_deny(write, i, &outcome);
		return;
	}
	/* What says nothing new is written all the same if a slot before it changed that. */
	if (!changes && is_first)
		return;
	if (outcome.result == REGISTRY_CREATED)
		forget_former(commit, put, &subject);
	commit_put_change(put, change, &outcome);
	write->slots[i].is_stored = true;
	commit_touched_put(&commit->touched, change);
}

static void put_writes(struct commit *commit, struct commit_put *put)
{
	struct waiting *waiting;

	commit_touched_clear(&commit->touched);
	while (put->n < LIMIT_STORE_BATCH && (waiting = STAILQ_FIRST(&commit->waiting))) {
		struct api_write *write = waiting->write;

		if (commit_touched_delays(&commit->touched, write))
			break;
		STAILQ_REMOVE_HEAD(&commit->waiting, entry);
		STAILQ_INSERT_TAIL(&commit->flight_writes, waiting, entry);
		commit->n_waiting--;
		commit->n_flight_writes++;
		for (size_t i = 0; i < write->n; i++)
			if (!write->slots[i].status)
				put_slot(commit, put, write, i);
	}
}

/* Not before all writes are in it: none has to wait for a key of its own batch. */
static void touch_keys(struct commit *commit)
{
	const struct commit_key *key;

	TAILQ_FOREACH(key, &commit->flight_keys, place)
	if (key->work == COMMIT_WHOLE)
		commit_touched_put_key(&commit->touched, key->service, key->id);
}

/* ---- What became of a batch ---- */

static void free_waiting(struct waiting *waiting)
{
	native_write_free(waiting->write);
	free(waiting);
}

/* The whole of a write, with one reply. */
static void reply_refused(struct commit *commit, const struct api_write *write,
			  struct httpd_request *owed, int status, const char *message)
{
	struct counters *counters = commit->options.counters;

	counters_add(status == 507 ? &counters->refused_disk_full : &counters->refused_full,
		     write->n);
	commit->options.on_refused(commit->options.cookie, owed, status, message);
}

static void refuse(struct commit *commit, struct waiting *waiting)
{
	if (waiting->owed)
		reply_refused(commit, waiting->write, waiting->owed, commit->refusal,
			      commit->trouble);
	waiting->owed = NULL;
}

static void refuse_waiting(struct commit *commit)
{
	struct waiting *waiting;

	while ((waiting = STAILQ_FIRST(&commit->waiting))) {
		STAILQ_REMOVE_HEAD(&commit->waiting, entry);
		commit->n_waiting--;
		refuse(commit, waiting);
		free_waiting(waiting);
	}
}

/* What was written of it, or perhaps was, and is not what the registry has. */
static void mend_slots(struct commit *commit, const struct api_write *write)
{
	for (size_t i = 0; i < write->n; i++) {
		const struct api_slot *slot = &write->slots[i];
		struct commit_subject subject;

		if (!slot->is_stored || slot->is_applied)
			continue;
		subject = commit_touched_subject(&slot->change);
		if (subject.id)
			commit_mend(commit, subject.service, subject.id);
		if (subject.is_policy)
			commit_mend(commit, subject.service, "");
	}
}

static void enter(struct commit *commit, enum state state, int refusal, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static void enter(struct commit *commit, enum state state, int refusal, const char *format, ...)
{
	char trouble[sizeof(commit->trouble)];
	va_list args;

	va_start(args, format);
	vsnprintf(trouble, sizeof(trouble), format, args);
	va_end(args);
	if (commit->state == WELL)
		commit->since_ms = clock_mono_ms();
	if (commit->state != state || strcmp(commit->trouble, trouble) != 0)
		log_event(LOG_ERROR, "store-degraded", "reason", trouble, "writes", "refused",
			  NULL);
	commit->state = state;
	commit->refusal = refusal;
	memcpy(commit->trouble, trouble, sizeof(trouble));
}

static void recover(struct commit *commit)
{
	if (commit->state == WELL)
		return;
	commit->state = WELL;
	log_event(LOG_INFO, "store-recovered", "after",
		  log_fmt("%.1fs", (double)(clock_mono_ms() - commit->since_ms) / 1000), NULL);
}

static void succeed(struct commit *commit)
{
	struct waiting *waiting;
	struct commit_key *key;

	recover(commit);
	while ((key = TAILQ_FIRST(&commit->flight_keys))) {
		TAILQ_REMOVE(&commit->flight_keys, key, place);
		free(key);
	}
	while ((waiting = STAILQ_FIRST(&commit->flight_writes))) {
		STAILQ_REMOVE_HEAD(&commit->flight_writes, entry);
		commit->options.on_saved(commit->options.cookie, waiting->owed, waiting->write);
		mend_slots(commit, waiting->write);
		free_waiting(waiting);
	}
}

static void end_drain(struct commit *commit)
{
	if (!commit->is_draining || commit->has_drained)
		return;
	commit->has_drained = true;
	if (commit->state != WELL)
		log_event(LOG_WARNING, "not-saved", "records",
			  log_fmt("%zu", commit_backlog_count(commit->backlog)), "reason",
			  commit->trouble, NULL);
	commit->options.on_drained(commit->options.cookie);
}

/* A batch that failed may be on disk all the same: all that it was about is looked at again. */
static void fail(struct commit *commit, int error)
{
	bool is_full = error == ENOSPC || error == EDQUOT;
	struct waiting *waiting;
	struct commit_key *key;

	enter(commit, FAILING, is_full ? 507 : 503, "changes cannot be saved: %s", strerror(error));
	while ((key = TAILQ_FIRST(&commit->flight_keys))) {
		TAILQ_REMOVE(&commit->flight_keys, key, place);
		commit_backlog_put_back(commit->backlog, key);
	}
	while ((waiting = STAILQ_FIRST(&commit->flight_writes))) {
		STAILQ_REMOVE_HEAD(&commit->flight_writes, entry);
		mend_slots(commit, waiting->write);
		refuse(commit, waiting);
		free_waiting(waiting);
	}
	refuse_waiting(commit);
	arm(commit->retry, RETRY_MS);
	end_drain(commit);
}

/*
 * Whoever has its reply now writes again at once, if it is one that writes without a pause. Left
 * alone, such clients fall into two halves, of which one waits for the disk while the other's batch
 * is on its way, and each commit has half of what it could. So where a commit takes long, the next
 * one waits a part of that for as many writes as there were.
 */
static void gather(struct commit *commit)
{
	uint64_t wait_us = (clock_mono_ns() - commit->flight_ns) / 1000;
	struct timeval limit = { .tv_usec = GATHER_MAX_US };

	if (wait_us < GATHER_MIN_US || commit->n_flight_writes + commit->n_waiting < 2)
		return;
	if (wait_us / 2 < GATHER_MAX_US)
		limit.tv_usec = (suseconds_t)(wait_us / 2);
	commit->n_gathered = commit->n_flight_writes + commit->n_waiting;
	event_add(commit->gather, &limit);
}

static bool is_gathering(const struct commit *commit)
{
	return commit->n_waiting < commit->n_gathered && !commit->is_draining;
}

static void on_gather(evutil_socket_t fd, short what, void *cookie)
{
	struct commit *commit = cookie;

	(void)fd;
	(void)what;
	commit->n_gathered = 0;
	start_soon(commit);
}

static void end_flight(struct commit *commit, int error)
{
	commit->in_flight = false;
	event_del(commit->hang);
	if (!error)
		gather(commit);
	if (error)
		fail(commit, error);
	else
		succeed(commit);
}

/* Hands over what there is, if it is nothing an empty batch. */
static void start_batch(struct commit *commit)
{
	struct commit_put put;

	commit_put_init(&put, commit->options.registry);
	if (!put.batch) {
		fail(commit, ENOMEM);
		return;
	}
	commit->n_flight_writes = 0;
	put_backlog(commit, &put);
	put_writes(commit, &put);
	touch_keys(commit);
	if (commit_put_failed(&put)) {
		fail(commit, ENOMEM);
	} else if (put.n == 0 && commit->state == WELL) {
		succeed(commit); /* every one was refused */
	} else {
		commit->in_flight = true;
		commit->flight_ns = clock_mono_ns();
		commit->n_gathered = 0;
		event_del(commit->gather);
		arm(commit->hang, HANG_MS);
		store_submit(commit->store, put.batch);
		put.batch = NULL;
	}
	commit_put_fini(&put);
}

static bool has_work(const struct commit *commit)
{
	return !STAILQ_EMPTY(&commit->waiting) || commit_backlog_is_urgent(commit->backlog) ||
	       (commit->is_flushing && commit_backlog_count(commit->backlog) > 0);
}

static void on_round(evutil_socket_t fd, short what, void *cookie)
{
	struct commit *commit = cookie;

	(void)fd;
	(void)what;
	while (commit->store && !commit->is_suspended && !commit->in_flight &&
	       !is_gathering(commit) && commit->state == WELL && has_work(commit))
		start_batch(commit);
	if (!commit->in_flight && commit->state == WELL)
		end_drain(commit);
}

static void on_done(evutil_socket_t fd, short what, void *cookie)
{
	struct commit *commit = cookie;
	struct queue_node *node = queue_take(commit->done);

	(void)fd;
	(void)what;
	while (node) {
		struct store_batch *batch = (struct store_batch *)(void *)node;

		node = node->next;
		counters_add(batch->error ? &commit->options.counters->store_errors
					  : &commit->options.counters->store_commits,
			     1);
		end_flight(commit, batch->error);
		store_batch_free(batch);
	}
	start_soon(commit);
}

static void on_hang(evutil_socket_t fd, short what, void *cookie)
{
	struct commit *commit = cookie;
	struct waiting *waiting;

	(void)fd;
	(void)what;
	enter(commit, HANGING, 503, "the disk does not answer: not known to be saved");
	STAILQ_FOREACH(waiting, &commit->flight_writes, entry)
	refuse(commit, waiting);
	refuse_waiting(commit);
}

static void on_retry(evutil_socket_t fd, short what, void *cookie)
{
	struct commit *commit = cookie;

	(void)fd;
	(void)what;
	if (commit->state == FAILING && !commit->in_flight)
		start_batch(commit);
}

static void on_lazy(evutil_socket_t fd, short what, void *cookie)
{
	struct commit *commit = cookie;

	(void)fd;
	(void)what;
	commit->is_flushing = true;
	start_soon(commit);
}

/* ---- For others ---- */

void commit_put(struct commit *commit, struct api_write *write, struct httpd_request *owed)
{
	struct waiting *waiting = malloc(sizeof(*waiting));
	int status = commit->refusal;
	const char *message = commit->trouble;

	assert(commit->store);
	if (waiting && commit->state == WELL && !commit->is_draining) {
		*waiting = (struct waiting){ .owed = owed, .write = write };
		STAILQ_INSERT_TAIL(&commit->waiting, waiting, entry);
		commit->n_waiting++;
		start_soon(commit);
		return;
	}
	if (commit->state == WELL) {
		status = 503;
		message = waiting ? "the server is stopping" : "out of memory";
	}
	if (owed)
		reply_refused(commit, write, owed, status, message);
	native_write_free(write);
	free(waiting);
}

/* What waits is not known by its keys, and soon over. */
bool commit_is_behind(struct commit *commit, const struct change *change)
{
	const struct commit_subject subject = commit_touched_subject(change);

	return !STAILQ_EMPTY(&commit->waiting) || is_owed(commit, &subject) ||
	       (commit->in_flight && commit_touched_has(&commit->touched, &subject));
}

void commit_mend(struct commit *commit, const char *service, const char *id)
{
	commit_backlog_add(commit->backlog, service, id, COMMIT_WHOLE, true);
	start_soon(commit);
}

static void save_later(struct commit *commit, const char *service, const char *id)
{
	commit_backlog_add(commit->backlog, service, id, *id ? COMMIT_STATE : COMMIT_WHOLE, false);
	if (!event_pending(commit->lazy, EV_TIMEOUT, NULL))
		arm(commit->lazy, LAZY_MS);
}

void commit_on_change(struct commit *commit, enum event_kind kind, const struct service *service,
		      const struct instance *instance)
{
	switch (kind) {
	case EVENT_EXPIRED:
		commit_mend(commit, service->name, instance->registration->id);
		break;
	case EVENT_UPDATED:
	case EVENT_STATUS:
	case EVENT_ADMIN:
		save_later(commit, service->name, instance->registration->id);
		break;
	case EVENT_REGISTERED:
		/* Its last instance expired while this one was on its way to the disk. */
		if (commit_backlog_has_whole(commit->backlog, service->name, ""))
			commit_mend(commit, service->name, "");
		break;
	case EVENT_DEREGISTERED:
	case EVENT_POLICY:
		break;
	}
	if (service->n_instances == 0)
		save_later(commit, service->name, "");
}

void commit_drain(struct commit *commit)
{
	commit->is_draining = true;
	commit->is_flushing = true;
	if (commit->state == FAILING && !commit->in_flight)
		start_batch(commit); /* the last try */
	else
		start_soon(commit);
}

void commit_suspend(struct commit *commit)
{
	commit->is_suspended = true;
	event_del(commit->retry);
	event_del(commit->lazy);
}

void commit_resume(struct commit *commit)
{
	commit->is_suspended = commit->is_draining = commit->has_drained = false;
	if (commit->state == FAILING)
		arm(commit->retry, RETRY_MS);
	commit->is_flushing = true;
	start_soon(commit);
}

const char *commit_trouble(const struct commit *commit)
{
	return commit->state == WELL ? NULL : commit->trouble;
}

/* ---- Life ---- */

struct commit *commit_new(const struct commit_options *options)
{
	struct commit *commit = calloc(1, sizeof(*commit));

	if (!commit)
		return NULL;
	commit->options = *options;
	STAILQ_INIT(&commit->waiting);
	STAILQ_INIT(&commit->flight_writes);
	TAILQ_INIT(&commit->flight_keys);
	commit_touched_init(&commit->touched, options->registry);
	commit->backlog = commit_backlog_new();
	commit->done = queue_new();
	commit->round = event_new(options->base, -1, 0, on_round, commit);
	commit->hang = evtimer_new(options->base, on_hang, commit);
	commit->retry = evtimer_new(options->base, on_retry, commit);
	commit->lazy = evtimer_new(options->base, on_lazy, commit);
	commit->gather = evtimer_new(options->base, on_gather, commit);
	if (commit->done)
		commit->on_done = event_new(options->base, queue_fd(commit->done),
					    EV_READ | EV_PERSIST, on_done, commit);
	if (commit->backlog && commit->on_done && commit->round && commit->hang && commit->retry &&
	    commit->lazy && commit->gather && event_add(commit->on_done, NULL) == 0)
		return commit;
	commit_free(commit);
	return NULL;
}

int commit_start(struct commit *commit, struct store *store)
{
	if (store_start(store, commit->done))
		return -1;
	commit->store = store;
	start_soon(commit);
	return 0;
}

static void free_writes(struct writes *writes)
{
	struct waiting *waiting;

	while ((waiting = STAILQ_FIRST(writes))) {
		STAILQ_REMOVE_HEAD(writes, entry);
		free_waiting(waiting);
	}
}

static void free_batches(struct queue *done)
{
	struct queue_node *node = done ? queue_take(done) : NULL;

	while (node) {
		struct store_batch *batch = (struct store_batch *)(void *)node;

		node = node->next;
		store_batch_free(batch);
	}
}

static void free_event(struct event *event)
{
	if (event)
		event_free(event);
}

void commit_free(struct commit *commit)
{
	struct commit_key *key;

	if (!commit)
		return;
	free_event(commit->on_done);
	free_event(commit->round);
	free_event(commit->hang);
	free_event(commit->retry);
	free_event(commit->lazy);
	free_event(commit->gather);
	free_writes(&commit->waiting);
	free_writes(&commit->flight_writes);
	while ((key = TAILQ_FIRST(&commit->flight_keys))) {
		TAILQ_REMOVE(&commit->flight_keys, key, place);
		free(key);
	}
	free_batches(commit->done);
	queue_free(commit->done);
	commit_backlog_free(commit->backlog);
	free(commit);
}
