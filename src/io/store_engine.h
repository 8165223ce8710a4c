/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_engine: what the store asks of whatever keeps its octets: an ordered set of keys with
 * transactions that are durable whole or not at all. It knows nothing of records and seals but
 * this: the seal is the value of STORE_ENGINE_SEAL, a key before all others.
 *
 * Every snapshot has a mark, the number of the transaction that made it: one more with each. It is
 * in the seal, so that a damaged file cannot pass off an older snapshot, whole in itself, as the
 * newest.
 *
 * Errors are 0, or an errno: ENOENT what is not there, ENOSPC, EROFS, EIO, ... as the system gave
 * it.
 */
#ifndef ROSTERD_IO_STORE_ENGINE_H
#define ROSTERD_IO_STORE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_ENGINE_SEAL ((struct store_octets){ "", 1 })

struct store_octets {
	const void *data;
	size_t len;
};

/* Gives the next of several, valid until the next call. ENOENT: there are no more. */
typedef int store_engine_next(void *cookie, struct store_octets *key, struct store_octets *value);

/* Which end a file that cannot be read has. */
enum store_fault {
	STORE_FAULT_DAMAGED,     /* its octets are not what was written */
	STORE_FAULT_ENVIRONMENT, /* no memory, no permission: nothing is known of the file */
};

struct store_engine {
	/* ---- Writing: one thread, but for snapshot() ---- */

	/* Shut, with a copy of `path`. NULL when out of memory. */
	void *(*engine_new)(const char *path);
	/* Shuts it first. NULL is fine. */
	void (*engine_free)(void *engine);

	/* Opens an existing file; nothing if it is open. */
	int (*open)(void *engine);
	/* Waits for the end of snapshots and closes the file; after any failure, to begin anew. */
	void (*shut)(void *engine);

	/*
	 * Runs `work` in a transaction, and again in another one if the file had to grow; commits
	 * what it did durably, unless it returns an error, which is then the result.
	 */
	int (*commit)(void *engine, int (*work)(void *cookie, void *txn), void *cookie);
	int (*get)(void *txn, const struct store_octets *key, struct store_octets *value);
	int (*put)(void *txn, const struct store_octets *key, const struct store_octets *value);
	int (*remove)(void *txn, const struct store_octets *key);
	/* Of the snapshot that this transaction makes. */
	uint64_t (*mark)(void *txn);

	/*
	 * What was committed last, to be read by one thread, any, while the engine lives.
	 * ECANCELED, from this or a cursor: the file is shut, or the writer needs it for itself:
	 * let go.
	 */
	int (*snapshot)(void *engine, void **reader);

	/* ---- Reading ---- */

	/*
	 * A file that may be damaged and that nobody writes. NULL with the fault and a message if
	 * that shows at once. If not, a cursor over it may still give anything, and may crash.
	 */
	void *(*reader_new)(const char *path, enum store_fault *fault, char *message,
			    size_t message_size);
	void (*reader_free)(void *reader);
	uint64_t (*reader_mark)(void *reader);
	/* Before the first key. The reader's: freed with it. NULL when out of memory. */
	void *(*cursor_new)(void *reader);
	store_engine_next *cursor_next;

	/* ---- A new file ---- */

	/*
	 * Makes it of what `next` gives until ENOENT, in order, and syncs it. All keys and values
	 * together are `octets` at most, give or take some for each. `seal` is asked last, for the
	 * value of STORE_ENGINE_SEAL under this mark.
	 */
	int (*build)(const char *path, uint64_t octets, store_engine_next *next,
		     void (*seal)(void *cookie, uint64_t mark, struct store_octets *value),
		     void *cookie);
};

#endif
