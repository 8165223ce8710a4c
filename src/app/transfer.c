/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/transfer.h"

#include "app/revision.h"
#include "base/log.h"
#include "io/store.h"
#include "model/codec_line.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	MESSAGE = 512,
};

/* A data directory of ours alone, whose store is read to its end. */
struct directory {
	struct revision *revision;
	struct store *store;
	struct queue *done; /* of the store */
};

static void wait_readable(int fd)
{
	struct pollfd readable = { .fd = fd, .events = POLLIN };

	while (poll(&readable, 1, -1) < 0 && errno == EINTR)
		;
}

static int open_directory(struct directory *directory, const char *data, char *message)
{
	directory->revision = revision_open(data, message, MESSAGE);
	if (directory->revision)
		directory->store = store_open(data, message, MESSAGE);
	return directory->store ? 0 : -1;
}

/* No revision was used. */
static void close_directory(struct directory *directory)
{
	store_close(directory->store);
	queue_free(directory->done);
	if (directory->revision)
		revision_settle(directory->revision, revision_first(directory->revision));
	revision_close(directory->revision);
}

/* The next record of the store; what the result means is as of store_read(). */
static enum store_read next_item(struct store *store, struct store_item *item, char *message)
{
	enum store_read result;

	while ((result = store_read(store, item, message, MESSAGE)) == STORE_WAIT)
		wait_readable(store_read_fd(store));
	return result;
}

static int report(const char *event, size_t n, const char *message)
{
	if (message)
		log_event(LOG_ERROR, event, "error", message, NULL);
	else
		log_event(LOG_INFO, event, "lines", log_fmt("%zu", n), NULL);
	return message ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- Out ---- */

static bool write_item(const struct store_item *item, FILE *file, struct buf *line)
{
	const struct codec_line record = { item->kind, item->key,   item->record,
					   item->len,  item->state, item->state_len };

	line->len = 0;
	if (codec_line_print(&record, line) != STORED_OK)
		return false;
	buf_put(line, "\n", 1);
	return !line->failed && fwrite(line->data, 1, line->len, file) == line->len;
}

/* The number of lines, or -1 with a message. */
static ssize_t write_lines(struct store *store, FILE *file, char *message)
{
	struct store_item item;
	struct buf line;
	enum store_read result;
	ssize_t n = 0;

	buf_init(&line);
	while ((result = next_item(store, &item, message)) == STORE_ITEM) {
		errno = ENOMEM;
		if (!write_item(&item, file, &line))
			break;
		n++;
	}
	if (result == STORE_ITEM || (result == STORE_END && fflush(file))) {
		snprintf(message, MESSAGE, "cannot write: %s", strerror(errno));
		n = -1;
	}
	buf_fini(&line);
	return result == STORE_FAILED ? -1 : n;
}

/* A file of our own, whatever lies there: it gets the secrets of checks. */
static FILE *create(const char *path)
{
	FILE *file;
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	file = fd < 0 ? NULL : fdopen(fd, "w");
	if (fd >= 0 && !file)
		close(fd);
	return file;
}

/* Written aside and renamed: a file of that name is whole. */
static ssize_t write_file(struct store *store, const char *path, char *message)
{
	char aside[4096];
	ssize_t n;
	FILE *file;

	if (strcmp(path, "-") == 0)
		return write_lines(store, stdout, message);
	snprintf(aside, sizeof(aside), "%s.new", path);
	file = create(aside);
	if (!file) {
		snprintf(message, MESSAGE, "%.300s: %s", aside, strerror(errno));
		return -1;
	}
	n = write_lines(store, file, message);
	if (n >= 0 && (fsync(fileno(file)) || rename(aside, path))) {
		snprintf(message, MESSAGE, "%s: %s", path, strerror(errno));
		n = -1;
	}
	fclose(file);
	if (n < 0)
		unlink(aside);
	return n;
}

int transfer_export(const char *data, const char *path)
{
	struct directory directory = { .store = NULL };
	char message[MESSAGE];
	ssize_t n = -1;

	if (access(data, F_OK))
		snprintf(message, sizeof(message), "%s: %s", data, strerror(errno));
	else if (open_directory(&directory, data, message) == 0)
		n = write_file(directory.store, path, message);
	close_directory(&directory);
	return n < 0 ? report("export-failed", 0, message) : report("exported", (size_t)n, NULL);
}

/* ---- In ---- */

/* The last line of a copy is about the others. */
static bool is_seal(const char *line)
{
	static const char seal[] = "{\"seal\":";

	return strncmp(line, seal, sizeof(seal) - 1) == 0;
}

static int put_line(struct store_batch *batch, const char *line, size_t len,
		    struct codec_error *error)
{
	struct codec_line_parsed parsed;

	if (!codec_line_parse(line, len, &parsed, error))
		return -1;
	store_batch_put(batch, parsed.kind, &parsed.key, parsed.record.data, parsed.record.len);
	if (parsed.state.len)
		store_batch_put(batch, STORED_STATE, &parsed.key, parsed.state.data,
				parsed.state.len);
	else if (parsed.kind == STORED_REGISTRATION)
		store_batch_remove(batch, STORED_STATE, &parsed.key);
	codec_line_fini(&parsed);
	return 0;
}

/* The number of lines with a record, or -1 with a message. */
static ssize_t read_lines(FILE *file, struct store_batch *batch, char *message)
{
	struct codec_error error;
	char *line = NULL;
	size_t cap = 0;
	ssize_t len, number = 0, n = 0;

	while ((len = getline(&line, &cap, file)) > 0) {
		number++;
		len -= line[len - 1] == '\n';
		if (len == 0 || is_seal(line))
			continue;
		n++;
		if (put_line(batch, line, (size_t)len, &error) == 0)
			continue;
		snprintf(message, MESSAGE, "line %zd: %s%s%s", number, error.field,
			 *error.field ? ": " : "", error.message);
		free(line);
		return -1;
	}
	free(line);
	if (!ferror(file) && !store_batch_failed(batch))
		return n;
	snprintf(message, MESSAGE, "%s", strerror(ferror(file) ? errno : ENOMEM));
	return -1;
}

static ssize_t read_file(const char *path, struct store_batch *batch, char *message)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	ssize_t n;

	if (!file) {
		snprintf(message, MESSAGE, "%s: %s", path, strerror(errno));
		return -1;
	}
	n = read_lines(file, batch, message);
	if (file != stdin)
		fclose(file);
	return n;
}

/* Commits the batch, which is taken over, once the store is read to its end. */
static int commit(struct directory *directory, struct store_batch *batch, char *message)
{
	struct store_item item;
	enum store_read result;
	int error;

	while ((result = next_item(directory->store, &item, message)) == STORE_ITEM)
		;
	directory->done = queue_new();
	if (result == STORE_END &&
	    (!directory->done || store_start(directory->store, directory->done))) {
		snprintf(message, MESSAGE, "%s", strerror(errno));
		result = STORE_FAILED;
	}
	if (result == STORE_FAILED) {
		store_batch_free(batch);
		return -1;
	}
	store_submit(directory->store, batch);
	wait_readable(queue_fd(directory->done));
	batch = (struct store_batch *)(void *)queue_take(directory->done);
	error = batch->error;
	store_batch_free(batch);
	if (error)
		snprintf(message, MESSAGE, "not saved: %s", strerror(error));
	return error ? -1 : 0;
}

/* The lines are read before the directory is touched. */
int transfer_import(const char *data, const char *path)
{
	struct directory directory = { .store = NULL };
	struct store_batch *batch = store_batch_new();
	char message[MESSAGE] = "out of memory";
	ssize_t n = batch ? read_file(path, batch, message) : -1;

	if (n < 0 || open_directory(&directory, data, message)) {
		store_batch_free(batch);
		n = -1;
	} else if (commit(&directory, batch, message)) {
		n = -1;
	}
	close_directory(&directory);
	return n < 0 ? report("import-failed", 0, message) : report("imported", (size_t)n, NULL);
}
