/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/revision.h"

#include "base/clock.h"
#include "io/store.h"

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
	bool had_store; /* a store was there when the file was written last, before open */
};

enum {
	MARK_TEXT = 32 /* room for a number, what follows it and a NUL */
};

/* What follows the number, where there was no store and where there was one. */
static const char *const ends[] = { "\n", " store\n" };

static bool has_file(int directory, const char *name)
{
	return faccessat(directory, name, F_OK, 0) == 0;
}

static int print_mark(uint64_t mark, bool has_store, char text[MARK_TEXT])
{
	return snprintf(text, MARK_TEXT, "%" PRIu64 "%s", mark, ends[has_store]);
}

/*
 * 0: the file has a number; 1: there is none; -1: it cannot be read, or is not ours, that is, not
 * octet for octet what we would write.
 */
static int read_mark(int directory, uint64_t *mark, bool *had_store)
{
	char text[MARK_TEXT], expected[MARK_TEXT], *end;
	int fd = openat(directory, "revision", O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return errno == ENOENT ? 1 : -1;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len < 0)
		return -1;
	text[len] = '\0';
	*mark = strtoull(text, &end, 10);
	*had_store = *end == ' ';
	if (print_mark(*mark, *had_store, expected) != len ||
	    memcmp(text, expected, (size_t)len) != 0 || *mark > REVISION_MAX) {
		errno = EINVAL;
		return -1;
	}
	return 0;
}

/* Written aside, synced, renamed: the file has the old number or the new one. */
static int write_mark(int directory, uint64_t mark)
{
	bool has_store = has_file(directory, STORE_FILE);
	int fd = openat(directory, "revision.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	char text[MARK_TEXT];
	int len = print_mark(mark, has_store, text);
	bool ok;

	if (fd < 0)
		return -1;
	ok = write(fd, text, (size_t)len) == len && fsync(fd) == 0;
	close(fd);
	if (!ok || renameat(directory, "revision.new", directory, "revision"))
		return -1;
	return fsync(directory);
}

/* Opens the directory, which is made if it is missing, and the file `lock` in it. */
static int open_directory(struct revision *revision, const char *directory)
{
	if (mkdir(directory, 0750) && errno != EEXIST)
		return -1;
	revision->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (revision->directory < 0)
		return -1;
	revision->lock = openat(revision->directory, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	return revision->lock < 0 ? -1 : 0;
}

/* Replaces the lock that was just opened, which is not locked, by the one that was given. */
static bool take_lock(struct revision *revision, int lock)
{
	struct stat own, given;
	bool same = fstat(revision->lock, &own) == 0 && fstat(lock, &given) == 0 &&
		    own.st_dev == given.st_dev && own.st_ino == given.st_ino;

	close(revision->lock);
	revision->lock = lock;
	return same;
}

static int reserve_first(struct revision *revision)
{
	uint64_t mark;
	int found = read_mark(revision->directory, &mark, &revision->had_store);

	if (found < 0)
		return -1;
	/* The first process of all may have ended before it wrote a number again. */
	revision->had_store |= has_file(revision->directory, STORE_FILE_LOCK);
	/* Should the directory be lost, the clock keeps the numbers above the earlier ones. */
	revision->first = found == 0 ? mark : clock_wall_ms();
	revision->reserved = revision->first + BLOCK;
	return write_mark(revision->directory, revision->reserved);
}

/* `lock` is -1 where it must be got. */
static struct revision *open_revision(const char *directory, int lock, char *message,
				      size_t message_size)
{
	struct revision *revision = calloc(1, sizeof(*revision));

	if (!revision) {
		snprintf(message, message_size, "out of memory");
		if (lock >= 0)
			close(lock);
		return NULL;
	}
	revision->directory = revision->lock = -1;
	if (open_directory(revision, directory)) {
		snprintf(message, message_size, "%s: %s", directory, strerror(errno));
		if (lock >= 0)
			close(lock);
		goto fail;
	}
	if (lock >= 0 ? !take_lock(revision, lock) : flock(revision->lock, LOCK_EX | LOCK_NB)) {
		snprintf(message, message_size, "%s: another rosterd uses this directory",
			 directory);
		goto fail;
	}
	if (reserve_first(revision)) {
		snprintf(message, message_size, "%s/revision: %s", directory,
			 errno == EINVAL ? "not a revision number" : strerror(errno));
		goto fail;
	}
	return revision;
fail:
	revision_close(revision);
	return NULL;
}

struct revision *revision_open(const char *directory, char *message, size_t message_size)
{
	return open_revision(directory, -1, message, message_size);
}

struct revision *revision_take_over(const char *directory, int lock, char *message,
				    size_t message_size)
{
	return open_revision(directory, lock, message, message_size);
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

int revision_lock(const struct revision *revision)
{
	return revision->lock;
}

uint64_t revision_first(const struct revision *revision)
{
	return revision->first;
}

bool revision_had_store(const struct revision *revision)
{
	return revision->had_store;
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
