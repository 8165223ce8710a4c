/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/files_read.h"

#include "app/files_dir.h"
#include "base/file.h"
#include "model/record_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum files_read_result files_read_open(struct files_read *read, const char *directory,
				       const char *name, char *message, size_t message_size)
{
	const char *reason = "out of memory";

	*read = (struct files_read){ .path = files_dir_path(directory, name) };
	buf_init(&read->text);
	if (read->path && !record_text_is_id(name))
		reason = "the file's name has to be UTF-8 without control characters";
	else if (read->path &&
		 file_read(read->path, LIMIT_SERVICE_FILE, &read->text, &reason) == 0) {
		codec_file_init(&read->codec, read->text.data, read->text.len);
		return FILES_READ_MORE;
	}
	snprintf(message, message_size, "%s/%s: %s", directory, name, reason);
	return FILES_READ_BAD;
}

/* The list has room for one more. */
static bool reserve(struct files_read *read)
{
	size_t cap = read->cap ? read->cap * 2 : 16;
	struct files_definition *grown;

	if (read->n < read->cap)
		return true;
	grown = realloc(read->definitions, cap * sizeof(*grown));
	if (!grown)
		return false;
	read->definitions = grown;
	read->cap = cap;
	return true;
}

enum files_read_result files_read_step(struct files_read *read, const char *name, char *message,
				       size_t message_size)
{
	struct files_definition *definition;
	struct codec_file_place place;
	struct registration *registration;
	struct codec_error error;

	switch (codec_file_next(&read->codec, &registration, &place, &error)) {
	case CODEC_FILE_END:
		return FILES_READ_END;
	case CODEC_FILE_BAD:
		snprintf(message, message_size, "%s:%zu:%zu: %s%s%s", read->path, place.line,
			 place.column, error.field, *error.field ? ": " : "", error.message);
		return FILES_READ_BAD;
	case CODEC_FILE_FOUND:
		break;
	}
	registration->file = strdup(name);
	if (!registration->file || !reserve(read)) {
		record_registration_free(registration);
		snprintf(message, message_size, "%s: out of memory", read->path);
		return FILES_READ_BAD;
	}
	definition = &read->definitions[read->n++];
	*definition = (struct files_definition){ .registration = registration, .place = place };
	return FILES_READ_MORE;
}

void files_read_explain(const struct files_read *read, const struct files_definition *definition,
			const char *reason, char *message, size_t message_size)
{
	snprintf(message, message_size, "%s:%zu:%zu: service \"%s\", id \"%s\": %s", read->path,
		 definition->place.line, definition->place.column,
		 definition->registration->service, definition->registration->id, reason);
}

void files_read_fini(struct files_read *read)
{
	for (size_t i = 0; i < read->n; i++)
		record_registration_free(read->definitions[i].registration);
	free(read->definitions);
	free(read->path);
	buf_fini(&read->text);
	*read = (struct files_read){ .n = 0 };
}
