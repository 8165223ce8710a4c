/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_load: the process that reads the store at start and hands the records over by a pipe
 * (store_pipe.h). It checks before it gives the first one, in a process of its own again: what LMDB
 * does with a damaged file may end that one, and is then what is wrong with the file. Then it
 * gives instances and policies, the end, and builds a fresh file beside the old one.
 */
#ifndef ROSTERD_IO_STORE_LOAD_H
#define ROSTERD_IO_STORE_LOAD_H

#include "io/store.h"
#include "io/store_engine.h"
#include "io/store_seal.h"

#include <sys/types.h>

/* In the data directory, beside STORE_FILE. */
#define STORE_FILE_NEW     "store.mdb.new"
#define STORE_FILE_DAMAGED "store.mdb.damaged"
#define STORE_FILE_COPY    "registry.jsonl"

/* Of STORE_FRAME_END: what was read. A note follows it. */
struct store_load_end {
	enum store_source source;
	struct store_seal seal; /* of STORE_MAIN */
};

/* Of STORE_FRAME_BUILT: STORE_FILE_NEW is there and synced, or why not. */
struct store_load_built {
	int error;
	struct store_seal seal;
};

/* Starts it; the pipe's end to read from, which does not block. -1 with errno. */
int store_load_fork(const struct store_engine *kind, const char *directory, pid_t *pid);

/*
 * Builds STORE_FILE_NEW in this process, where the child could not, from anything but STORE_MAIN.
 */
void store_load_build(const struct store_engine *kind, const char *directory,
		      enum store_source source, struct store_load_built *built);

#endif
