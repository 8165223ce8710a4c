/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/store_commit.h"

#include "base/counters.h"
#include "base/log.h"
#include "io/store_batch.h"
#include "io/store_copy.h"
#include "io/store_load.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	ROOM = 1 << 20, /* octets that must be free for the disk not to be called full */
};

/* Written by the thread alone. */
struct numbers {
	_Atomic uint64_t commits, commit_errors, commit_us, octets, generation, n[STORED_POLICY];
};

struct store_commit {
	struct store_commit_options options;
	char main[PATH_MAX], fresh[PATH_MAX], damaged[PATH_MAX];
	int directory;
	void *engine;
	struct store_copy *copy;
	struct queue *submitted;
	struct store_batch stop; /* submitted last */
	pthread_t thread;
	struct numbers numbers;

	/* the thread's own; the file is in its place once it is settled */
	bool is_built, is_renamed, is_settled;
	struct store_load_built built;
	struct store_seal seal; /* of what is committed */
	/* A commit that failed half-way may yet have reached the file: then it is of this. */
	bool has_pending;
	struct store_seal pending;
};

/* ---- The file that the child built ---- */

static void await_child(struct store_commit *commit)
{
	struct pollfd entry = { .fd = commit->options.pipe.fd, .events = POLLIN };
	struct store_frame frame;
	enum store_pipe_result result;

	while ((result = store_pipe_next(&commit->options.pipe, &frame)) == STORE_PIPE_WAIT)
		poll(&entry, 1, -1);
	commit->built.error = EIO;
	if (result == STORE_PIPE_FRAME && frame.kind == STORE_FRAME_BUILT)
		memcpy(&commit->built, frame.parts[0].data, sizeof(commit->built));
	store_pipe_fini(&commit->options.pipe);
	while (waitpid(commit->options.pid, NULL, 0) < 0 && errno == EINTR)
		;
	commit->is_built = true;
}

static int put_in_place(struct store_commit *commit)
{
	if (!commit->is_renamed) {
		if (commit->options.source == STORE_COPY && rename(commit->main, commit->damaged) &&
		    errno != ENOENT)
			return errno;
		if (rename(commit->fresh, commit->main))
			return errno;
		commit->is_renamed = true;
	}
	return fsync(commit->directory) ? errno : 0;
}

/* Without a fresh file the old one does, if it is whole; only its free pages were not checked. */
static void keep_old(struct store_commit *commit)
{
	log_event(LOG_WARNING, "store-not-rebuilt", "file", commit->main, "reason",
		  strerror(commit->built.error), NULL);
	commit->seal = commit->options.seal;
	commit->is_settled = true;
}

static int settle(struct store_commit *commit)
{
	int error;

	if (!commit->is_built)
		await_child(commit);
	if (commit->built.error && commit->options.source == STORE_MAIN) {
		keep_old(commit);
		return 0;
	}
	if (commit->built.error)
		store_load_build(commit->options.kind, commit->options.directory,
				 commit->options.source, &commit->built);
	error = commit->built.error;
	if (error == 0)
		error = put_in_place(commit);
	if (error)
		return error;
	commit->seal = commit->built.seal;
	commit->is_settled = true;
	return 0;
}

/* Nothing, if all is well. */
static int open_engine(struct store_commit *commit)
{
	int error = commit->is_settled ? 0 : settle(commit);

	return error ? error : commit->options.kind->open(commit->engine);
}

/* ---- A transaction ---- */

struct work {
	struct store_commit *commit;
	struct queue_node *first, *end; /* batches */
	struct store_seal seal;         /* with what was done so far */
	bool is_sealed;
};

static bool is_same(const struct store_seal *a, const struct store_seal *b)
{
	return store_seal_match(a, b) && a->generation == b->generation;
}

/* What the file has must be what the last commit left there. */
static int check_base(struct work *work, void *txn)
{
	struct store_commit *commit = work->commit;
	const struct store_engine *kind = commit->options.kind;
	struct store_octets value;
	uint64_t mark;
	uint32_t version;
	int error = kind->get(txn, &STORE_ENGINE_SEAL, &value);

	if (error)
		return error == ENOENT ? EIO : error;
	if (store_seal_parse(value.data, value.len, &work->seal, &mark, &version) != STORED_OK ||
	    mark + 1 != kind->mark(txn))
		return EIO;
	if (commit->has_pending && is_same(&work->seal, &commit->pending))
		commit->seal = commit->pending;
	return is_same(&work->seal, &commit->seal) ? 0 : EIO;
}

static int apply_op(struct work *work, void *txn, const struct store_op *op)
{
	const struct store_engine *kind = work->commit->options.kind;
	struct store_octets old;
	int error = kind->get(txn, &op->key, &old);

	if (error && error != ENOENT)
		return error;
	if (error == 0)
		store_seal_remove(&work->seal, op->key.data, op->key.len, old.data, old.len);
	else if (op->is_remove)
		return 0;
	if (op->is_remove)
		return kind->remove(txn, &op->key);
	store_seal_put(&work->seal, op->key.data, op->key.len, op->value.data, op->value.len);
	return kind->put(txn, &op->key, &op->value);
}

static int put_seal(struct work *work, void *txn)
{
	const struct store_engine *kind = work->commit->options.kind;
	uint8_t octets[STORE_SEAL];
	struct store_octets value = { octets, sizeof(octets) };

	store_seal_print(&work->seal, kind->mark(txn), octets);
	work->is_sealed = true;
	return kind->put(txn, &STORE_ENGINE_SEAL, &value);
}

/* Empty batches write the seal again: nothing else tells whether the disk takes a commit. */
static int do_work(void *cookie, void *txn)
{
	struct work *work = cookie;
	struct store_op op;
	bool is_empty = true;
	int error = check_base(work, txn);

	for (struct queue_node *node = work->first; node != work->end; node = node->next) {
		const struct store_batch *batch = (const struct store_batch *)node;
		size_t at = 0;

		while (error == 0 && store_batch_next(batch, &at, &op)) {
			is_empty = false;
			error = apply_op(work, txn, &op);
		}
	}
	work->seal.generation += !is_empty;
	return error ? error : put_seal(work, txn);
}

/* ---- The thread ---- */

static void set(_Atomic uint64_t *number, uint64_t value)
{
	atomic_store_explicit(number, value, memory_order_relaxed);
}

/* What is on disk is as `seal` says now. */
static void tell(struct store_commit *commit)
{
	struct stat status;

	set(&commit->numbers.generation, commit->seal.generation);
	for (size_t i = 0; i < STORED_POLICY; i++)
		set(&commit->numbers.n[i], commit->seal.n[i]);
	if (stat(commit->main, &status) == 0)
		set(&commit->numbers.octets, (uint64_t)status.st_size);
	store_copy_changed(commit->copy, commit->seal.generation);
}

/*
 * Pages that were given up take a small commit where the disk is full for any other. So that an
 * empty batch does not say yes where the next one hears no, there must be room for some more.
 */
static int check_room(const struct store_commit *commit)
{
	struct statvfs disk;

	if (fstatvfs(commit->directory, &disk) == 0 &&
	    (uint64_t)disk.f_bavail * disk.f_frsize < ROOM)
		return ENOSPC;
	return 0;
}

static bool is_probe(const struct queue_node *first, const struct queue_node *end)
{
	return first->next == end && ((const struct store_batch *)first)->n_ops == 0;
}

/* From `first` to before `end`. */
static int commit_some(struct store_commit *commit, struct queue_node *first,
		       struct queue_node *end)
{
	const struct store_engine *kind = commit->options.kind;
	struct work work = { .commit = commit, .first = first, .end = end };
	int error = open_engine(commit);

	if (error == 0 && is_probe(first, end))
		error = check_room(commit);
	if (error)
		return error;
	error = kind->commit(commit->engine, do_work, &work);
	if (error) {
		kind->shut(commit->engine);
		if (work.is_sealed)
			commit->pending = work.seal;
		commit->has_pending |= work.is_sealed;
		return error;
	}
	commit->seal = work.seal;
	commit->has_pending = false;
	tell(commit);
	return 0;
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int commit_timed(struct store_commit *commit, struct queue_node *first,
			struct queue_node *end)
{
	uint64_t start_us = now_us();
	int error = commit_some(commit, first, end);

	counters_add(error ? &commit->numbers.commit_errors : &commit->numbers.commits, 1);
	counters_add(&commit->numbers.commit_us, now_us() - start_us);
	return error;
}

static void give_back(struct store_commit *commit, struct queue_node *node, int error)
{
	((struct store_batch *)node)->error = error;
	queue_push(commit->options.done, node);
}

static void commit_all(struct store_commit *commit, struct queue_node *first,
		       struct queue_node *end)
{
	int error = commit_timed(commit, first, end);
	bool is_alone = first->next == end;

	for (struct queue_node *node = first, *next; node != end; node = next) {
		next = node->next;
		if (error && !is_alone)
			give_back(commit, node, commit_timed(commit, node, next));
		else
			give_back(commit, node, error);
	}
}

/* Whether there was the last one of all. */
static bool take(struct store_commit *commit)
{
	struct queue_node *first = queue_take(commit->submitted), *end = first;

	while (end && end != &commit->stop.node)
		end = end->next;
	if (first != end)
		commit_all(commit, first, end);
	return end != NULL;
}

static void *main_of_thread(void *cookie)
{
	struct store_commit *commit = cookie;
	struct pollfd entry = { .fd = queue_fd(commit->submitted), .events = POLLIN };

	if (open_engine(commit) == 0)
		tell(commit);
	do
		poll(&entry, 1, -1);
	while (!take(commit));
	return NULL;
}

static int start_thread(struct store_commit *commit)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&commit->thread, NULL, main_of_thread, commit);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

struct store_commit *store_commit_new(const struct store_commit_options *options)
{
	struct store_commit *commit = calloc(1, sizeof(*commit));

	if (!commit)
		return NULL;
	commit->options = *options;
	snprintf(commit->main, PATH_MAX, "%s/" STORE_FILE, options->directory);
	snprintf(commit->fresh, PATH_MAX, "%s/" STORE_FILE_NEW, options->directory);
	snprintf(commit->damaged, PATH_MAX, "%s/" STORE_FILE_DAMAGED, options->directory);
	commit->directory = open(options->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (commit->directory < 0)
		goto err_commit;
	commit->engine = options->kind->engine_new(commit->main);
	if (!commit->engine)
		goto err_directory;
	commit->submitted = queue_new();
	if (!commit->submitted)
		goto err_engine;
	commit->copy =
		store_copy_new(options->kind, commit->engine, options->directory, options->copy_ms);
	if (!commit->copy)
		goto err_queue;
	errno = start_thread(commit);
	if (errno)
		goto err_copy;
	return commit;

err_copy:
	store_copy_free(commit->copy);
err_queue:
	queue_free(commit->submitted);
err_engine:
	options->kind->engine_free(commit->engine);
err_directory:
	close(commit->directory);
err_commit:
	free(commit);
	return NULL;
}

static void end_thread(struct store_commit *commit)
{
	queue_push(commit->submitted, &commit->stop.node);
	pthread_join(commit->thread, NULL);
}

void store_commit_suspend(struct store_commit *commit)
{
	end_thread(commit);
	store_copy_drop(commit->copy);
	commit->copy = NULL;
	commit->options.kind->shut(commit->engine);
}

int store_commit_resume(struct store_commit *commit)
{
	commit->copy = store_copy_new(commit->options.kind, commit->engine,
				      commit->options.directory, commit->options.copy_ms);
	if (!commit->copy)
		return -1;
	errno = start_thread(commit);
	if (errno == 0)
		return 0;
	store_copy_drop(commit->copy);
	commit->copy = NULL;
	return -1;
}

void store_commit_free(struct store_commit *commit)
{
	if (!commit)
		return;
	/* Suspended, it has neither the thread nor the copy. */
	if (commit->copy)
		end_thread(commit);
	store_copy_free(commit->copy);
	queue_free(commit->submitted);
	commit->options.kind->engine_free(commit->engine);
	close(commit->directory);
	free(commit);
}

void store_commit_put(struct store_commit *commit, struct store_batch *batch)
{
	queue_push(commit->submitted, &batch->node);
}

static uint64_t get(const _Atomic uint64_t *number)
{
	return atomic_load_explicit(number, memory_order_relaxed);
}

void store_commit_read(const struct store_commit *commit, struct store_stats *stats)
{
	const struct numbers *numbers = &commit->numbers;
	struct store_copy_stats copy = { .copies = 0 };

	if (commit->copy)
		store_copy_read(commit->copy, &copy);
	*stats = (struct store_stats){
		.commits = get(&numbers->commits),
		.commit_errors = get(&numbers->commit_errors),
		.commit_us = get(&numbers->commit_us),
		.copies = copy.copies,
		.copy_errors = copy.errors,
		.octets = get(&numbers->octets),
		.generation = get(&numbers->generation),
		.registrations = get(&numbers->n[STORED_REGISTRATION - 1]),
		.states = get(&numbers->n[STORED_STATE - 1]),
		.policies = get(&numbers->n[STORED_POLICY - 1]),
	};
}
