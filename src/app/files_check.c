/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/files.h"

#include "app/files_known.h"
#include "app/files_read.h"

#include <stdio.h>

enum {
	MESSAGE = 1024,
};

/* Whether an earlier file, or this one, has it; else it is this file's. */
static bool is_taken(struct files_known *known, struct files_file *file,
		     const struct files_definition *definition, char *reason, size_t reason_size)
{
	struct files_entry *entry = files_known_entry(known, definition->registration->service,
						      definition->registration->id);

	if (!entry) {
		snprintf(reason, reason_size, "out of memory");
		return true;
	}
	if (entry->file == file)
		snprintf(reason, reason_size, "is in this file twice");
	else if (entry->file)
		snprintf(reason, reason_size, "is in \"%s\" already", entry->file->name);
	else
		files_known_give(entry, file);
	return *reason;
}

static bool is_good(struct files_known *known, const char *dir, struct files_file *file,
		    char message[MESSAGE])
{
	struct files_read read;
	enum files_read_result result = files_read_open(&read, dir, file->name, message, MESSAGE);
	char reason[LIMIT_NAME + 32] = "";

	while (result == FILES_READ_MORE)
		result = files_read_step(&read, file->name, message, MESSAGE);
	for (size_t i = 0; result == FILES_READ_END && i < read.n; i++) {
		if (!is_taken(known, file, &read.definitions[i], reason, sizeof(reason)))
			continue;
		files_read_explain(&read, &read.definitions[i], reason, message, MESSAGE);
		result = FILES_READ_BAD;
	}
	files_read_fini(&read);
	return result == FILES_READ_END;
}

size_t files_check(const char *dir, void (*on_bad)(const char *message))
{
	struct files_known known;
	struct files_list list;
	char message[MESSAGE];
	size_t n_bad = 0;

	if (files_dir_list(dir, &list, message, sizeof(message))) {
		on_bad(message);
		return 1;
	}
	if (files_known_init(&known) || files_known_list(&known, &list)) {
		on_bad("out of memory");
		n_bad++;
	}
	for (size_t i = 0; i < known.n_files; i++)
		if (!is_good(&known, dir, known.files[i], message)) {
			on_bad(message);
			n_bad++;
		}
	files_known_fini(&known);
	files_dir_free(&list);
	return n_bad;
}
