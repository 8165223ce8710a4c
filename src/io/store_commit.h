/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_commit: the store's own thread. It puts the file that the child built in the old one's
 * place, then commits what is submitted. Batches that wait together share a transaction; if that
 * fails, each has one of its own.
 */
#ifndef ROSTERD_IO_STORE_COMMIT_H
#define ROSTERD_IO_STORE_COMMIT_H

#include "io/store.h"
#include "io/store_engine.h"
#include "io/store_pipe.h"
#include "io/store_seal.h"

struct store_commit;

struct store_commit_options {
	const struct store_engine *kind;
	const char *directory;
	enum store_source source;
	struct store_seal seal; /* of STORE_MAIN */
	pid_t pid;              /* the child, which is still building */
	struct store_pipe_reader pipe;
	struct queue *done;
	uint64_t copy_ms;
};

/* Starts the thread, whose the child and the pipe are then. NULL with errno. */
struct store_commit *store_commit_new(const struct store_commit_options *options);
/* Commits what was submitted, writes the copy and ends the thread. NULL is fine. */
void store_commit_free(struct store_commit *commit);

/* store_suspend(), store_resume(). */
void store_commit_suspend(struct store_commit *commit);
int store_commit_resume(struct store_commit *commit);

void store_commit_put(struct store_commit *commit, struct store_batch *batch);
void store_commit_read(const struct store_commit *commit, struct store_stats *stats);

#endif
