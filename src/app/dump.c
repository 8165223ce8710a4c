/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/dump.h"

#include "base/clock.h"
#include "base/log.h"
#include "dns/name.h"
#include "model/dump.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	NICE = 10,
};

static const char first_line[] = "; A dump by rosterd, which writes it anew at SIGUSR1.\n";

struct dump {
	const struct catalog *catalog;
	const char *directory;
	pthread_t thread;
	bool has_thread;         /* to be joined, running or not */
	_Atomic unsigned wanted; /* dumps asked for that have not begun, and the running one */
	_Atomic bool stop;
};

/* The file in the making. */
struct output {
	int directory, fd;
	char *file, *aside; /* paths; NULL when out of memory */
	struct buf text;
};

/* ---- The file: each step says NULL or why it failed ---- */

/* Whether the file is there and not ours to replace. */
static bool is_foreign(const char *file)
{
	char start[sizeof(first_line) - 1];
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t len;

	if (fd < 0)
		return errno != ENOENT;
	len = read(fd, start, sizeof(start));
	close(fd);
	return len != (ssize_t)sizeof(start) || memcmp(start, first_line, sizeof(start)) != 0;
}

static void init_output(struct output *output, const char *directory, const struct dump_walk *walk)
{
	char zone[NAME_TEXT_MAX];

	*output = (struct output){ .directory = -1, .fd = -1 };
	buf_init(&output->text);
	name_print(walk->origin, walk->len, zone);
	if (asprintf(&output->file, "%s/%s.dump", directory, zone) < 0)
		output->file = NULL;
	if (asprintf(&output->aside, "%s/%s.dump.new", directory, zone) < 0)
		output->aside = NULL;
}

static const char *open_output(struct output *output, const char *directory)
{
	if (!output->file || !output->aside)
		return strerror(ENOMEM);
	output->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (output->directory < 0)
		return strerror(errno);
	if (is_foreign(output->file))
		return "the file there is no dump and stays";
	output->fd =
		open(output->aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	return output->fd < 0 ? strerror(errno) : NULL;
}

/* Writes what has been printed, and forgets it. */
static const char *flush_output(struct output *output)
{
	const char *at = output->text.data;
	size_t left = output->text.len;

	if (output->text.failed)
		return strerror(ENOMEM);
	while (left > 0) {
		ssize_t n = write(output->fd, at, left);

		if (n < 0 && errno != EINTR)
			return strerror(errno);
		if (n > 0) {
			at += n;
			left -= (size_t)n;
		}
	}
	output->text.len = 0;
	return NULL;
}

static const char *finish_output(const struct output *output)
{
	if (fsync(output->fd) || rename(output->aside, output->file) || fsync(output->directory))
		return strerror(errno);
	return NULL;
}

static void fini_output(struct output *output, bool failed)
{
	if (output->fd >= 0) {
		close(output->fd);
		if (failed)
			unlink(output->aside);
	}
	if (output->directory >= 0)
		close(output->directory);
	buf_fini(&output->text);
	free(output->file);
	free(output->aside);
}

/* ---- The zones ---- */

static size_t list_walks(const struct catalog *catalog, struct dump_walk walks[LIMIT_ZONES])
{
	const struct zone_list *list;
	size_t n;

	catalog_reader_online();
	list = catalog_zones(catalog);
	n = list->n;
	assert(n <= LIMIT_ZONES);
	for (size_t i = 0; i < n; i++) {
		walks[i] = (struct dump_walk){ .len = list->zones[i]->origin_len };
		memcpy(walks[i].origin, list->zones[i]->origin, walks[i].len);
	}
	catalog_reader_offline();
	return n;
}

static const char *write_zone(const struct dump *dump, struct dump_walk *walk,
			      struct output *output)
{
	const char *reason = NULL;

	buf_put(&output->text, first_line, sizeof(first_line) - 1);
	while (!reason && walk->position.segment < ZONE_SEGMENTS) {
		if (atomic_load_explicit(&dump->stop, memory_order_relaxed))
			return "the server stops";
		if (!dump_print_part(&output->text, dump->catalog, walk))
			return "the zone is served no more";
		reason = flush_output(output);
	}
	return reason ? reason : finish_output(output);
}

static void dump_zone(const struct dump *dump, struct dump_walk *walk)
{
	uint64_t start_ms = clock_mono_ms();
	struct output output;
	const char *reason;

	init_output(&output, dump->directory, walk);
	reason = open_output(&output, dump->directory);
	if (!reason)
		reason = write_zone(dump, walk, &output);
	if (reason)
		log_event(LOG_ERROR, "dump-failed", "file", output.file ? output.file : "", "error",
			  reason, NULL);
	else
		log_event(LOG_INFO, "dumped", "file", output.file, "records",
			  log_fmt("%zu", walk->n_records), "ms",
			  log_fmt("%" PRIu64, clock_mono_ms() - start_ms), NULL);
	fini_output(&output, reason != NULL);
}

/* ---- The thread ---- */

static void dump_zones(const struct dump *dump)
{
	struct dump_walk walks[LIMIT_ZONES];
	size_t n;

	catalog_reader_register();
	n = list_walks(dump->catalog, walks);
	for (size_t i = 0; i < n; i++)
		if (!atomic_load_explicit(&dump->stop, memory_order_relaxed))
			dump_zone(dump, &walks[i]);
	catalog_reader_unregister();
}

/* Dumps until nobody has asked since the last one began; then there is nothing to do but end. */
static void *run_dump(void *cookie)
{
	struct dump *dump = cookie;
	unsigned wanted;

	setpriority(PRIO_PROCESS, 0, NICE); /* on Linux: of this thread */
	do {
		wanted = atomic_load(&dump->wanted);
		dump_zones(dump);
	} while (!atomic_compare_exchange_strong(&dump->wanted, &wanted, 0));
	return NULL;
}

struct dump *dump_new(const struct catalog *catalog, const char *directory)
{
	struct dump *dump = calloc(1, sizeof(*dump));

	if (dump) {
		dump->catalog = catalog;
		dump->directory = directory;
	}
	return dump;
}

static void join(struct dump *dump)
{
	if (dump->has_thread)
		pthread_join(dump->thread, NULL);
	dump->has_thread = false;
}

void dump_free(struct dump *dump)
{
	if (!dump)
		return;
	atomic_store(&dump->stop, true);
	join(dump);
	free(dump);
}

void dump_start(struct dump *dump)
{
	int error;

	if (atomic_fetch_add(&dump->wanted, 1) > 0)
		return;
	join(dump);
	error = pthread_create(&dump->thread, NULL, run_dump, dump);
	dump->has_thread = error == 0;
	if (error) {
		atomic_store(&dump->wanted, 0);
		log_event(LOG_ERROR, "dump-failed", "error", strerror(error), NULL);
	}
}
