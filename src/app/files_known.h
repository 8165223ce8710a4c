/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * files_known: which files of services there are, and which instances are whose; inside of files
 * (app/files.h).
 *
 * An entry is an instance that a file has, or had when it was last good: it is registered as that
 * file's, or about to be. What it says is not kept: the registry has that.
 *
 * Control thread only.
 */
#ifndef ROSTERD_APP_FILES_KNOWN_H
#define ROSTERD_APP_FILES_KNOWN_H

#include "app/files_dir.h"
#include "base/siphash.h"
#include "base/table.h"
#include "model/registry.h"

#include <sys/queue.h>

enum files_state {
	FILES_UNREAD,
	FILES_GOOD,
	FILES_BAD,     /* by what is in it: until it changes */
	FILES_BLOCKED, /* something else is in its way: to be read again each time */
};

struct files_file {
	enum files_state state;
	bool is_there;   /* in the newest list of the directory */
	bool is_touched; /* to be read even if it looks the same */
	uint64_t round;  /* the newest one in which it was read and good; 0: none */
	struct files_signature signature; /* as it was last read */
	char *error; /* the newest that was told; NULL: none since it was good */
	TAILQ_HEAD(files_entries, files_entry) entries;
	char name[];
};

struct files_entry {
	struct files_file *file; /* NULL: nobody's yet */
	uint64_t round;          /* the newest one in which its file had it */
	uint64_t reading;        /* the newest one that named it, whatever became of that */
	TAILQ_ENTRY(files_entry) place;
	const char *id; /* in `service`, behind its NUL */
	char service[];
};

struct files_known {
	struct siphash_key key;
	struct table *entries;
	struct files_file **files; /* by name */
	size_t n_files;
};

/* -1: out of memory; files_known_fini() all the same. */
int files_known_init(struct files_known *known);
void files_known_fini(struct files_known *known);

/* Forgets everything. */
void files_known_clear(struct files_known *known);

/* What the registry has of files. -1: out of memory. */
int files_known_take_registry(struct files_known *known, const struct registry *registry);

/* Which files there are, sorted; others stay while they have entries. -1: out of memory. */
int files_known_list(struct files_known *known, const struct files_list *list);

/* Forgets files that are not there and have no entries. */
void files_known_tidy(struct files_known *known);

/* NULL: it is not known. */
struct files_file *files_known_find(const struct files_known *known, const char *name);

/* The entry, made if need be, then nobody's; NULL when out of memory. */
struct files_entry *files_known_entry(struct files_known *known, const char *service,
				      const char *id);

/* Gives an entry to a file. */
void files_known_give(struct files_entry *entry, struct files_file *file);

/* Removes an entry. */
void files_known_remove(struct files_known *known, struct files_entry *entry);

#endif
