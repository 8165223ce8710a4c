/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_lines: the copy, registry.jsonl, as a format. An instance with its state is a line, and so
 * is a policy (model/codec_line.h), in the order of the store; the last line is a seal:
 *
 *   {"seal":{"format":1,"generation":7,"registrations":2,"states":2,"policies":0,"sum":"..."}}
 *
 * where the sum is that of the 64-bit hashes of all lines before. It is for people to read, not to
 * edit: a file that is not octet for octet what was written is not used.
 */
#ifndef ROSTERD_IO_STORE_LINES_H
#define ROSTERD_IO_STORE_LINES_H

#include "io/store_engine.h"
#include "io/store_seal.h"

/* Appends the seal's line. */
void store_lines_put_seal(struct buf *buf, const struct store_seal *seal);

/* Counts a line, `text` without its line feed. */
void store_lines_add(struct store_seal *seal, enum stored_kind kind, bool has_state,
		     const char *text, size_t len);

enum {
	STORE_LINES_WRONG = 200,
};

/* For people: who wrote a store or a copy of a version that is not ours, and what to do. */
void store_lines_explain_version(unsigned version, char *text, size_t text_size);

/* A whole copy in memory. */
struct store_lines {
	uint64_t generation;
	char wrong[STORE_LINES_WRONG];     /* what store_lines_read() returned, perhaps */
	struct buf records[STORED_POLICY]; /* by kind - 1; a cursor reads them */
};

void store_lines_fini(struct store_lines *lines);

/*
 * Reads a whole file and checks it against its seal. NULL, or what is wrong, and `lines` is empty.
 */
const char *store_lines_read(struct store_lines *lines, const char *path);

/* All zero: before the first record. */
struct store_lines_cursor {
	const struct store_lines *lines;
	size_t kind, at;
};

/* A store_engine_next: the records in the order of an engine. */
int store_lines_next(void *cursor, struct store_octets *key, struct store_octets *value);

/* The generation of the file, as its last line says, without a look at the others. */
bool store_lines_generation(const char *path, uint64_t *generation);

#endif
