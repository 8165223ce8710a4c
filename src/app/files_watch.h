/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * files_watch: what happens in a directory, by inotify; inside of files (app/files.h).
 */
#ifndef ROSTERD_APP_FILES_WATCH_H
#define ROSTERD_APP_FILES_WATCH_H

struct event_base;
struct files_watch;

struct files_watch_options {
	struct event_base *base;
	/* Something happened to the file of that name; NULL: to the directory, or to any file. */
	void (*on_change)(void *cookie, const char *name);
	void *cookie;
};

/* NULL with errno: the system has no inotify for us. `options` is copied. */
struct files_watch *files_watch_new(const struct files_watch_options *options);
/* NULL is fine. */
void files_watch_free(struct files_watch *watch);

/*
 * Watches what is at that path now: another directory than before, or the same. What happens from
 * here on is told. -1 with errno; what was watched before is watched no more.
 */
int files_watch_set(struct files_watch *watch, const char *path);

#endif
