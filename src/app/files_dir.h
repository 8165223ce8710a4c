/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * files_dir: what is in a directory of files of services; inside of files (app/files.h).
 */
#ifndef ROSTERD_APP_FILES_DIR_H
#define ROSTERD_APP_FILES_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

/* What tells a file, or a directory, from what it was before, or that another one is in its place.
 */
struct files_signature {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified, changed;
};

/* Names of files, sorted. */
struct files_list {
	char **names;
	size_t n;
	dev_t device; /* the directory's own */
	ino_t inode;
};

/*
 * Every name that ends in ".json" and begins with no dot. -1 with a message, and an empty list: the
 * directory cannot be read, or not to its end, or has more than LIMIT_SERVICE_FILES of them.
 */
int files_dir_list(const char *path, struct files_list *list, char *message, size_t message_size);
void files_dir_free(struct files_list *list);

/* Whether the file looks as it did; `signature` is as it does now, all zero if it cannot be seen.
 */
bool files_dir_same(const char *directory, const char *name, struct files_signature *signature);

/* Whether the directory has that name, wherever it leads to; yes if that cannot be told. */
bool files_dir_has(const char *directory, const char *name);

/* "directory/name"; NULL when out of memory. */
char *files_dir_path(const char *directory, const char *name);

/* Whether a name is one of a file of services. */
bool files_dir_is_name(const char *name);

#endif
