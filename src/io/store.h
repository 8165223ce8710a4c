/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store: what was acknowledged, on disk. Records (model/stored.h) under (kind, service, id),
 * written in batches: a batch is durable whole or not at all. The embedded engine is LMDB
 * (store_lmdb.c); another one takes its place behind `struct store_engine` (store_engine.h).
 *
 * Threads: the control thread opens, submits and closes; the store's own thread commits, and is the
 * only one that waits for the disk. A second one keeps the copy (below) from a snapshot.
 *
 * At rest the data directory has
 *   store.mdb       the records, and a seal: generation (one more with each commit), the number of
 *                   records of each kind, and the sum of the 64-bit hashes of all keys and records.
 *                   Records that are missing, changed or of an older generation contradict it. A
 *                   whole file that is older than the copy is a damaged one too.
 *   registry.jsonl  a second copy for people and for the day when the first is damaged: one JSON
 *                   object a line, the last one a seal. Written aside and renamed, COPY_MS after a
 *                   change at the soonest, and when the store is closed.
 *
 * Reading back: a child process reads and checks everything first, because LMDB trusts its file and
 * can crash on a damaged one; then it hands over the records by a pipe and builds a fresh file from
 * what it has read (free lists are damaged as silently as records), which takes the old one's
 * place. Where the first file is damaged, the copy is read instead, and the damaged file is set
 * aside as store.mdb.damaged; where the copy is damaged too, or is missing while the store is known
 * to have existed, there is nothing to serve that would not be a guess: STORE_FAILED. So it is
 * where another version wrote the records.
 *
 * Its parts: store_load is the child, store_pipe its way to store.c; store_commit is the thread
 * that commits and store_copy the one that copies, both over a store_engine. What is on disk looks
 * as store_key, store_seal and store_lines say; store_merge brings an instance and its state
 * together.
 */
#ifndef ROSTERD_IO_STORE_H
#define ROSTERD_IO_STORE_H

#include "base/queue.h"
#include "model/stored.h"

/* In the data directory. */
#define STORE_FILE "store.mdb"
/* The engine's own, made with its first look into the file. */
#define STORE_FILE_LOCK "store.mdb-lock"

struct store;

/*
 * Starts to read what the directory has. Call it before the process has threads (it forks). NULL
 * with a message: the environment.
 */
struct store *store_open(const char *directory, char *message, size_t message_size);

/* ---- Reading back, once ---- */

/* One record, or an instance: a registration and, if there is one, its state. */
struct store_item {
	enum stored_kind kind; /* STORED_REGISTRATION or STORED_POLICY */
	struct stored_key key;
	const uint8_t *record;
	size_t len;
	const uint8_t *state; /* STORED_REGISTRATION: its state's record, or NULL */
	size_t state_len;
};

enum store_read {
	STORE_ITEM,   /* the next one; valid until the next call */
	STORE_WAIT,   /* none yet: when store_read_fd() is readable */
	STORE_END,    /* that was all: see store_source() */
	STORE_FAILED, /* there is no whole set of records to be had; the message says why */
};

/* Registrations in the order of (service, id), then policies. */
enum store_read store_read(struct store *store, struct store_item *item, char *message,
			   size_t message_size);
int store_read_fd(const struct store *store);

enum store_source {
	STORE_NEW,  /* there was none: a first start */
	STORE_MAIN, /* store.mdb */
	STORE_COPY, /* registry.jsonl, because store.mdb is damaged: what came later is lost */
};

/* After STORE_END. `note` says for people what was wrong with store.mdb (STORE_COPY). */
enum store_source store_source(const struct store *store, char *note, size_t note_size);

/* ---- Writing ---- */

/* Operations in the order in which they were put. Whoever has it owns it. */
struct store_batch {
	struct queue_node node;
	/* Once it is back: 0, or why nothing of it was written: ENOSPC, EROFS, EIO, ... */
	int error;
	/* store.c alone */
	struct buf ops;
	size_t n_ops;
};

/* NULL when out of memory. */
struct store_batch *store_batch_new(void);
void store_batch_free(struct store_batch *batch);

/* Add an operation; check store_batch_failed() before submitting. What is not there is removed
 * well. */
void store_batch_put(struct store_batch *batch, enum stored_kind kind, const struct stored_key *key,
		     const void *record, size_t len);
void store_batch_remove(struct store_batch *batch, enum stored_kind kind,
			const struct stored_key *key);
bool store_batch_failed(const struct store_batch *batch);

/*
 * After STORE_END: starts the threads. Batches come back to `done`, in order, when they are on disk
 * or have failed. -1 with errno.
 */
int store_start(struct store *store, struct queue *done);

/*
 * Hands a batch over. An empty one commits nothing but tells whether the disk takes writes. After a
 * failure each batch is tried anew, the engine being opened again where it must be: what mends the
 * environment mends the store.
 */
void store_submit(struct store *store, struct store_batch *batch);

/* What the threads have done, for metrics; after store_start(). Control thread. */
struct store_stats {
	uint64_t commits, commit_errors; /* transactions */
	uint64_t commit_us;              /* all of them together took so long */
	uint64_t copies, copy_errors;
	uint64_t octets;     /* store.mdb */
	uint64_t generation; /* one more with each commit that changed something */
	uint64_t registrations, states, policies;
};
void store_read_stats(const struct store *store, struct store_stats *stats);

/*
 * Leaves the directory to another process: commits what was submitted, ends the threads, closes the
 * files, and writes no copy. Nothing may be submitted then, and store_close() touches no file.
 */
void store_suspend(struct store *store);

/*
 * Goes on where it was: the other process has ended and committed nothing. -1 with errno: it is
 * still suspended.
 */
int store_resume(struct store *store);

/*
 * Commits what was submitted, writes the copy, ends the threads and the child. Batches that are not
 * taken from `done` stay there. NULL is fine.
 */
void store_close(struct store *store);

#endif
