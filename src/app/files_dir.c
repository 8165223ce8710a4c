/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/files_dir.h"

#include "base/limits.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool files_dir_is_name(const char *name)
{
	static const char ending[] = ".json";
	size_t len = strlen(name);

	return name[0] != '.' && len >= sizeof(ending) &&
	       strcmp(name + len - (sizeof(ending) - 1), ending) == 0;
}

char *files_dir_path(const char *directory, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", directory, name) < 0 ? NULL : path;
}

static int put_name(struct files_list *list, const char *name, size_t *cap)
{
	if (list->n == *cap) {
		size_t grown_cap = *cap ? *cap * 2 : 64;
		char **grown = realloc(list->names, grown_cap * sizeof(char *));

		if (!grown)
			return -1;
		list->names = grown;
		*cap = grown_cap;
	}
	list->names[list->n] = strdup(name);
	if (!list->names[list->n])
		return -1;
	list->n++;
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	const char *const *left = a, *const *right = b;

	return strcmp(*left, *right);
}

/* NULL, or what is wrong. */
static const char *read_names(DIR *stream, struct files_list *list)
{
	const struct dirent *entry;
	size_t cap = 0;

	while (errno = 0, (entry = readdir(stream))) {
		if (!files_dir_is_name(entry->d_name))
			continue;
		if (list->n == LIMIT_SERVICE_FILES)
			return "there are too many files in it";
		if (put_name(list, entry->d_name, &cap))
			return "out of memory";
	}
	return errno ? strerror(errno) : NULL;
}

int files_dir_list(const char *path, struct files_list *list, char *message, size_t message_size)
{
	DIR *stream = opendir(path);
	const char *reason = NULL;
	struct stat status;

	*list = (struct files_list){ .n = 0 };
	if (!stream || fstat(dirfd(stream), &status))
		reason = strerror(errno);
	if (!reason)
		reason = read_names(stream, list);
	if (stream)
		closedir(stream);
	if (reason) {
		snprintf(message, message_size, "%s: %s", path, reason);
		files_dir_free(list);
		return -1;
	}
	list->device = status.st_dev;
	list->inode = status.st_ino;
	if (list->n)
		qsort(list->names, list->n, sizeof(char *), compare_names);
	return 0;
}

void files_dir_free(struct files_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->names[i]);
	free(list->names);
	*list = (struct files_list){ .n = 0 };
}

bool files_dir_has(const char *directory, const char *name)
{
	char *path = files_dir_path(directory, name);
	struct stat status;
	bool is_gone = path && lstat(path, &status) < 0 && errno == ENOENT;

	free(path);
	return !is_gone;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool files_dir_same(const char *directory, const char *name, struct files_signature *signature)
{
	struct files_signature old = *signature;
	char *path = files_dir_path(directory, name);
	struct stat status;
	bool is_seen = path && stat(path, &status) == 0;

	free(path);
	*signature = (struct files_signature){ .size = 0 };
	if (!is_seen)
		return false;
	*signature = (struct files_signature){
		.device = status.st_dev,
		.inode = status.st_ino,
		.size = status.st_size,
		.modified = status.st_mtim,
		.changed = status.st_ctim,
	};
	return old.device == signature->device && old.inode == signature->inode &&
	       old.size == signature->size && same_time(&old.modified, &signature->modified) &&
	       same_time(&old.changed, &signature->changed);
}
