/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/files_watch.h"

#include <event2/event.h>

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

enum {
	/* Links are made and files let go of without a write. */
	EVENTS = IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB |
		 IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR,
	READ = 16384, /* octets of events at a time */
};

struct files_watch {
	struct files_watch_options options;
	struct event *readable;
	int fd, directory; /* -1: none */
};

static void tell(struct files_watch *watch, const char *events, size_t len)
{
	size_t at = 0;

	while (at < len) {
		const struct inotify_event *event =
			(const struct inotify_event *)(const void *)(events + at);

		if (event->mask & IN_IGNORED && event->wd == watch->directory)
			watch->directory = -1;
		watch->options.on_change(watch->options.cookie, event->len ? event->name : NULL);
		at += sizeof(*event) + event->len;
	}
}

static void on_readable(evutil_socket_t fd, short what, void *cookie)
{
	alignas(struct inotify_event) char events[READ];
	ssize_t len = read((int)fd, events, sizeof(events));

	(void)what;
	if (len > 0)
		tell(cookie, events, (size_t)len);
}

int files_watch_set(struct files_watch *watch, const char *path)
{
	int directory = inotify_add_watch(watch->fd, path, EVENTS), error = errno;

	if (watch->directory >= 0 && watch->directory != directory)
		inotify_rm_watch(watch->fd, watch->directory);
	watch->directory = directory;
	errno = error;
	return directory < 0 ? -1 : 0;
}

struct files_watch *files_watch_new(const struct files_watch_options *options)
{
	struct files_watch *watch = calloc(1, sizeof(*watch));
	int error;

	if (!watch)
		return NULL;
	watch->options = *options;
	watch->directory = -1;
	watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (watch->fd < 0)
		goto err;
	watch->readable =
		event_new(options->base, watch->fd, EV_READ | EV_PERSIST, on_readable, watch);
	if (watch->readable && event_add(watch->readable, NULL) == 0)
		return watch;
	errno = ENOMEM;
err:
	error = errno;
	files_watch_free(watch);
	errno = error;
	return NULL;
}

void files_watch_free(struct files_watch *watch)
{
	if (!watch)
		return;
	if (watch->readable)
		event_free(watch->readable);
	if (watch->fd >= 0)
		close(watch->fd);
	free(watch);
}
