/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_copy: keeps registry.jsonl (store_lines.h) up to date from snapshots of the engine, on a
 * thread of its own, whose processor time comes last. The file is written aside and renamed, so
 * that there is always a whole one. A copy that fails is told once per reason, and tried again.
 */
#ifndef ROSTERD_IO_STORE_COPY_H
#define ROSTERD_IO_STORE_COPY_H

#include "io/store_engine.h"

struct store_copy;

/*
 * Starts the thread. `engine` is what engine_new() gave; it stays the caller's and lives longer. A
 * copy is written `delay_ms` after a change at the soonest. NULL with errno.
 */
struct store_copy *store_copy_new(const struct store_engine *kind, void *engine,
				  const char *directory, uint64_t delay_ms);

/* What the engine holds is of this generation now. Any thread; waits for nothing. */
void store_copy_changed(struct store_copy *copy, uint64_t generation);

/* Writes the last changes and ends the thread. NULL is fine. */
void store_copy_free(struct store_copy *copy);
/* Ends it with the copy as it is: one that is being written is given up. */
void store_copy_drop(struct store_copy *copy);

struct store_copy_stats {
	uint64_t copies, errors;
};
void store_copy_read(const struct store_copy *copy, struct store_copy_stats *stats);

#endif
