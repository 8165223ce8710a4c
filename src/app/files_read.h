/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * files_read: one file of services as a list of definitions, read in steps; inside of files
 * (app/files.h).
 */
#ifndef ROSTERD_APP_FILES_READ_H
#define ROSTERD_APP_FILES_READ_H

#include "base/buf.h"
#include "model/codec_file.h"

struct files_entry;

struct files_definition {
	struct registration *registration; /* NULL: somebody took it over */
	struct codec_file_place place;
	struct files_entry *entry; /* the reader's user's */
};

struct files_read {
	char *path;
	struct buf text;
	struct codec_file codec;
	struct files_definition *definitions;
	size_t n, cap;
};

enum files_read_result {
	FILES_READ_MORE,
	FILES_READ_END,
	FILES_READ_BAD, /* with a message: "FILE:LINE:COLUMN: reason", or without a place */
};

/* Opens a file; files_read_fini() whatever the result is. */
enum files_read_result files_read_open(struct files_read *read, const char *directory,
				       const char *name, char *message, size_t message_size);

/* Reads the next definition. */
enum files_read_result files_read_step(struct files_read *read, const char *name, char *message,
				       size_t message_size);

/* "FILE:LINE:COLUMN: service "x": reason" of something that is wrong with a definition. */
void files_read_explain(const struct files_read *read, const struct files_definition *definition,
			const char *reason, char *message, size_t message_size);

/* Nothing is open any more. */
void files_read_fini(struct files_read *read);

#endif
