/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_pipe: the way of what was read from the child that reads (store_load.h) to the parent:
 * frames of a kind and up to 4 strings of octets. Both ends are of one build on one machine.
 */
#ifndef ROSTERD_IO_STORE_PIPE_H
#define ROSTERD_IO_STORE_PIPE_H

#include "io/store_engine.h"

#include <sys/types.h>

enum store_frame_kind {
	STORE_FRAME_REGISTRATION, /* service, id, record, state (or nothing): strings with their NUL
				   */
	STORE_FRAME_POLICY,       /* service, field, record */
	STORE_FRAME_END,          /* struct store_load_end, note */
	STORE_FRAME_FAILED,       /* message */
	STORE_FRAME_BUILT,        /* int: 0, or the errno */
};

enum {
	STORE_FRAME_PARTS = 4,
};

struct store_frame {
	enum store_frame_kind kind;
	struct store_octets parts[STORE_FRAME_PARTS];
};

/* ---- The child's end: blocks; nobody left to read ends the process ---- */

struct store_pipe_writer {
	int fd;
	size_t len;
	uint8_t octets[256 << 10];
};

void store_pipe_put(struct store_pipe_writer *writer, const struct store_frame *frame);
void store_pipe_flush(struct store_pipe_writer *writer);

/* ---- The parent's end ---- */

struct store_pipe_reader {
	int fd; /* non-blocking; owned */
	uint8_t *octets;
	size_t start, end, cap;
};

enum store_pipe_result {
	STORE_PIPE_FRAME, /* valid until the next call */
	STORE_PIPE_WAIT,
	STORE_PIPE_CLOSED, /* the child has ended */
	STORE_PIPE_NO_MEMORY,
};

void store_pipe_init(struct store_pipe_reader *reader, int fd);
void store_pipe_fini(struct store_pipe_reader *reader);
enum store_pipe_result store_pipe_next(struct store_pipe_reader *reader, struct store_frame *frame);

#endif
