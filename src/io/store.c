/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/store.h"

#include "base/limits.h"
#include "io/store_commit.h"
#include "io/store_lmdb.h"
#include "io/store_load.h"
#include "io/store_pipe.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 *   READING --END--> READ --store_start()--> STARTED <--store_suspend(), store_resume()-->
 * SUSPENDED
 *      '-----------> FAILED
 */
enum phase {
	PHASE_READING,
	PHASE_READ,
	PHASE_STARTED,
	PHASE_SUSPENDED,
	PHASE_FAILED,
};

struct store {
	enum phase phase;
	char *directory;

	/* the child, and what it said last; from store_start() on they are the thread's */
	pid_t pid;
	struct store_pipe_reader pipe;
	struct store_load_end end;
	char note[512];

	struct store_commit *commit;
};

struct store *store_open(const char *directory, char *message, size_t message_size)
{
	struct store *store;
	int fd;

	if (strlen(directory) + sizeof(STORE_FILE_COPY ".new") + 1 > PATH_MAX) {
		snprintf(message, message_size, "%s: %s", directory, strerror(ENAMETOOLONG));
		return NULL;
	}
	store = calloc(1, sizeof(*store));
	if (store)
		store->directory = strdup(directory);
	if (!store || !store->directory) {
		snprintf(message, message_size, "out of memory");
		free(store);
		return NULL;
	}
	fd = store_load_fork(&store_lmdb_engine, directory, &store->pid);
	if (fd < 0) {
		snprintf(message, message_size, "%s: no process to read the store: %s", directory,
			 strerror(errno));
		free(store->directory);
		free(store);
		return NULL;
	}
	store_pipe_init(&store->pipe, fd);
	return store;
}

/* ---- Reading back ---- */

static void end_child(struct store *store)
{
	store_pipe_fini(&store->pipe);
	if (store->pid <= 0)
		return;
	kill(store->pid, SIGKILL);
	while (waitpid(store->pid, NULL, 0) < 0 && errno == EINTR)
		;
	store->pid = 0;
}

static enum store_read fail(struct store *store, char *message, size_t message_size,
			    struct store_octets reason)
{
	snprintf(message, message_size, "%.*s", (int)reason.len, (const char *)reason.data);
	end_child(store);
	store->phase = PHASE_FAILED;
	return STORE_FAILED;
}

#define TEXT(text) ((struct store_octets){ text, sizeof(text) - 1 })

/* Somebody ended the child, or it found no memory. */
static enum store_read fail_closed(struct store *store, char *message, size_t message_size)
{
	return fail(store, message, message_size,
		    TEXT("the process that reads the store ended before its time"));
}

static enum store_read take_item(const struct store_frame *frame, struct store_item *item)
{
	*item = (struct store_item){
		.kind = frame->kind == STORE_FRAME_POLICY ? STORED_POLICY : STORED_REGISTRATION,
		.key = { frame->parts[0].data, frame->parts[1].data },
		.record = frame->parts[2].data,
		.len = frame->parts[2].len,
		.state = frame->parts[3].len ? frame->parts[3].data : NULL,
		.state_len = frame->parts[3].len,
	};
	return STORE_ITEM;
}

static enum store_read take_end(struct store *store, const struct store_frame *frame)
{
	memcpy(&store->end, frame->parts[0].data, sizeof(store->end));
	snprintf(store->note, sizeof(store->note), "%.*s", (int)frame->parts[1].len,
		 (const char *)frame->parts[1].data);
	store->phase = PHASE_READ;
	return STORE_END;
}

enum store_read store_read(struct store *store, struct store_item *item, char *message,
			   size_t message_size)
{
	struct store_frame frame;

	assert(store->phase == PHASE_READING);
	switch (store_pipe_next(&store->pipe, &frame)) {
	case STORE_PIPE_WAIT:
		return STORE_WAIT;
	case STORE_PIPE_NO_MEMORY:
		return fail(store, message, message_size, TEXT("out of memory"));
	case STORE_PIPE_CLOSED:
		return fail_closed(store, message, message_size);
	case STORE_PIPE_FRAME:
		break;
	}
	switch (frame.kind) {
	case STORE_FRAME_REGISTRATION:
	case STORE_FRAME_POLICY:
		return take_item(&frame, item);
	case STORE_FRAME_END:
		return take_end(store, &frame);
	case STORE_FRAME_FAILED:
		return fail(store, message, message_size, frame.parts[0]);
	default:
		return fail_closed(store, message, message_size);
	}
}

int store_read_fd(const struct store *store)
{
	return store->pipe.fd;
}

enum store_source store_source(const struct store *store, char *note, size_t note_size)
{
	assert(store->phase == PHASE_READ || store->phase == PHASE_STARTED);
	snprintf(note, note_size, "%s", store->note);
	return store->end.source;
}

/* ---- Writing ---- */

int store_start(struct store *store, struct queue *done)
{
	struct store_commit_options options = {
		.kind = &store_lmdb_engine,
		.directory = store->directory,
		.source = store->end.source,
		.seal = store->end.seal,
		.pid = store->pid,
		.pipe = store->pipe,
		.done = done,
		.copy_ms = LIMIT_COPY_MS,
	};

	assert(store->phase == PHASE_READ);
	store->commit = store_commit_new(&options);
	if (!store->commit)
		return -1;
	store->pid = 0;
	store_pipe_init(&store->pipe, -1);
	store->phase = PHASE_STARTED;
	return 0;
}

void store_submit(struct store *store, struct store_batch *batch)
{
	assert(store->phase == PHASE_STARTED);
	store_commit_put(store->commit, batch);
}

void store_read_stats(const struct store *store, struct store_stats *stats)
{
	assert(store->phase == PHASE_STARTED || store->phase == PHASE_SUSPENDED);
	store_commit_read(store->commit, stats);
}

void store_suspend(struct store *store)
{
	assert(store->phase == PHASE_STARTED);
	store->phase = PHASE_SUSPENDED;
	store_commit_suspend(store->commit);
}

int store_resume(struct store *store)
{
	assert(store->phase == PHASE_SUSPENDED);
	if (store_commit_resume(store->commit))
		return -1;
	store->phase = PHASE_STARTED;
	return 0;
}

/* What the child has built of the fresh file, if nothing took it. */
static void remove_fresh(const struct store *store)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/" STORE_FILE_NEW, store->directory);
	unlink(path);
}

void store_close(struct store *store)
{
	if (!store)
		return;
	store_commit_free(store->commit);
	end_child(store);
	if (store->phase != PHASE_STARTED && store->phase != PHASE_SUSPENDED)
		remove_fresh(store);
	free(store->directory);
	free(store);
}
