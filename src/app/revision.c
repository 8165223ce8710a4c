/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/revision.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK (UINT64_C(1) << 24)

/* JSON numbers are exact up to here (RFC 8259 6). */
#define REVISION_MAX (UINT64_C(1) << 53)

struct revision {
	int directory, lock;
	uint64_t first, reserved;
};

enum {
	MARK_TEXT = 32 /* room for a number, a line feed and a NUL */
};

static int print_mark(uint64_t mark, char text[MARK_TEXT])
{
	return snprintf(text, MARK_TEXT, "%" PRIu64 "\n", mark);
}

/*
 * 0: the file has a number; 1: there is none; -1: it cannot be read, or is not ours, that is, not
 * octet for octet what we would write.
 */
static int read_mark(int directory, uint64_t *mark)
{
	char text[MARK_TEXT], expected[MARK_TEXT];
	int fd = openat(directory, "revision", O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return errno == ENOENT ? 1 : -1;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len < 0)
		return -1;
	text[len] = '\0';
	*mark = strtoull(text, NULL, 10);
	if (print_mark(*mark, expected) != len || memcmp(text, expected, (size_t)len) != 0 ||
	    *mark > REVISION_MAX) {
		errno = EINVAL;
		return -1;
	}
	return 0;
}

/* Written aside, synced, renamed: the file has the old number or the new one. */
static int write_mark(int directory, uint64_t mark)
{
	int fd = openat(directory, "revision.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	char text[MARK_TEXT];
	int len = print_mark(mark, text);
	bool ok;

	if (fd < 0)
		return -1;
	ok = write(fd, text, (size_t)len) == len && fsync(fd) == 0;
	close(fd);
	if (!ok || renameat(directory, "revision.new", directory, "revision"))
		return -1;
	return fsync(directory);
}

struct revision *revision_open(const char *directory, char *message, size_t message_size)
{
	struct revision *revision = calloc(1, sizeof(*revision));
	uint64_t mark;
	int found;

	if (!revision) {
		snprintf(message, message_size, "out of memory");
		return NULL;
	}
	revision->directory = revision->lock = -1;
	if (mkdir(directory, 0750) && errno != EEXIST) {
		snprintf(message, message_size, "%s: %s", directory, strerror(errno));
		goto fail;
	}
	revision->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (revision->directory >= 0)
		revision->lock =
			openat(revision->directory, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (revision->lock < 0) {
		snprintf(message, message_size, "%s: %s", directory, strerror(errno));
		goto fail;
	}
	if (flock(revision->lock, LOCK_EX | LOCK_NB)) {
		snprintf(message, message_size, "%s: another rosterd uses this directory",
			 directory);
		goto fail;
	}
	found = read_mark(revision->directory, &mark);
	if (found < 0) {
		snprintf(message, message_size, "%s/revision: %s", directory,
			 errno == EINVAL ? "not a revision number" : strerror(errno));
		goto fail;
	}
	/* Should the directory be lost, the clock keeps the numbers above the earlier ones. */
	revision->first = found == 0 ? mark : clock_wall_ms();
	revision->reserved = revision->first + BLOCK;
	if (write_mark(revision->directory, revision->reserved)) {
		snprintf(message, message_size, "%s/revision: %s", directory, strerror(errno));
		goto fail;
	}
	return revision;
fail:
	revision_close(revision);
	return NULL;
}

void revision_close(struct revision *revision)
{
	if (!revision)
		return;
	if (revision->lock >= 0)
		close(revision->lock);
	if (revision->directory >= 0)
		close(revision->directory);
	free(revision);
}

uint64_t revision_first(const struct revision *revision)
{
	return revision->first;
}

int revision_advance(struct revision *revision, uint64_t newest)
{
	if (newest + BLOCK / 2 < revision->reserved)
		return 0;
	if (write_mark(revision->directory, newest + BLOCK))
		return -1;
	revision->reserved = newest + BLOCK;
	return 0;
}

int revision_settle(struct revision *revision, uint64_t newest)
{
	if (write_mark(revision->directory, newest))
		return -1;
	revision->reserved = newest;
	return 0;
}
