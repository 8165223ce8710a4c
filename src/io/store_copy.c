/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/store_copy.h"

#include "base/clock.h"
#include "base/counters.h"
#include "base/limits.h"
#include "base/log.h"
#include "io/store_key.h"
#include "io/store_lines.h"
#include "io/store_merge.h"
#include "model/codec_line.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
	WRITE_SIZE = 1 << 20,
	NICE = 10,
};

#define FILE_NAME     "registry.jsonl"
#define FILE_NAME_NEW FILE_NAME ".new"

struct store_copy {
	const struct store_engine *kind;
	void *engine;
	int directory;
	uint64_t delay_ms;
	pthread_t thread;

	pthread_mutex_t mutex;
	pthread_cond_t woken;
	uint64_t generation;     /* the engine's */
	uint64_t changed_ms;     /* when it first differed from the copy's */
	atomic_bool is_stopping; /* also read without the mutex */
	bool is_dropped;         /* stopping without a last copy */
	bool is_known;           /* there is a copy, of this generation: */
	uint64_t copied;

	/* the thread's own */
	bool is_last;     /* the copy that is being written */
	uint64_t rest_ms; /* no copy before */
	int told;         /* the errno that the log has; 0: all is well */

	_Atomic uint64_t copies, errors;
};

/* ---- One copy ---- */

struct job {
	int fd;
	off_t written;
	struct buf out;
	struct store_seal seal; /* of the lines */
};

/* The kernel is to write as we go: an fsync of all at once would hold up the commits' own. */
static int flush(struct job *job)
{
	const char *at = job->out.data;

	if (job->out.failed)
		return ENOMEM;
	while (job->out.len) {
		ssize_t n = write(job->fd, at, job->out.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? errno : ENOSPC;
		sync_file_range(job->fd, job->written, n, SYNC_FILE_RANGE_WRITE);
		job->written += n;
		at += n;
		job->out.len -= (size_t)n;
	}
	return 0;
}

static int read_seal(struct job *job, const struct store_octets *value)
{
	struct store_seal seal;
	uint64_t mark;
	uint32_t version;

	if (store_seal_parse(value->data, value->len, &seal, &mark, &version) != STORED_OK)
		return EBADMSG;
	job->seal.generation = seal.generation;
	return 0;
}

static int write_line(struct job *job, const struct store_merged *merged)
{
	size_t start = job->out.len;
	struct codec_line line = { .record = merged->record.data,
				   .len = merged->record.len,
				   .state = merged->state.data,
				   .state_len = merged->state.len };
	struct store_key key;

	if (!store_key_parse(&key, merged->key.data, merged->key.len))
		return EBADMSG;
	line.kind = key.kind;
	line.key = key.key;
	if (codec_line_print(&line, &job->out) != STORED_OK)
		return job->out.failed ? ENOMEM : EBADMSG;
	store_lines_add(&job->seal, key.kind, line.state != NULL, job->out.data + start,
			job->out.len - start);
	buf_put(&job->out, "\n", 1);
	return job->out.len < WRITE_SIZE ? 0 : flush(job);
}

static int write_lines(struct store_copy *copy, void *reader, struct job *job)
{
	void *front = copy->kind->cursor_new(reader), *side = copy->kind->cursor_new(reader);
	struct store_merge merge;
	struct store_merged merged;
	int error;

	if (!front || !side)
		return ENOMEM;
	store_merge_init(&merge, copy->kind->cursor_next, front, side);
	while ((error = store_merge_next(&merge, &merged)) == 0) {
		error = merged.kind ? write_line(job, &merged) : read_seal(job, &merged.record);
		if (error == 0 && copy->is_stopping && !copy->is_last)
			error = ECANCELED; /* so that the end waits for one copy, not for two */
		if (error)
			break;
	}
	return error == ENOENT ? 0 : error;
}

static int write_file(struct store_copy *copy, struct job *job)
{
	void *reader;
	int error = copy->kind->snapshot(copy->engine, &reader);

	if (error)
		return error;
	error = write_lines(copy, reader, job);
	copy->kind->reader_free(reader);
	if (error)
		return error;
	store_lines_put_seal(&job->out, &job->seal);
	error = flush(job);
	if (error == 0 && fsync(job->fd))
		error = errno;
	return error;
}

static int write_copy(struct store_copy *copy, uint64_t *generation)
{
	struct job job = { .written = 0 };
	int error;

	job.fd = openat(copy->directory, FILE_NAME_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			0640);
	if (job.fd < 0)
		return errno;
	buf_init(&job.out);
	error = write_file(copy, &job);
	buf_fini(&job.out);
	close(job.fd);
	if (error == 0 && renameat(copy->directory, FILE_NAME_NEW, copy->directory, FILE_NAME))
		error = errno;
	if (error)
		unlinkat(copy->directory, FILE_NAME_NEW, 0);
	else if (fsync(copy->directory))
		error = errno;
	*generation = job.seal.generation;
	return error;
}

/* ---- When ---- */

static void tell(struct store_copy *copy, int error)
{
	if (error == copy->told)
		return;
	if (error)
		log_event(LOG_ERROR, "copy-failed", "file", FILE_NAME, "reason", strerror(error),
			  NULL);
	else
		log_event(LOG_INFO, "copy-mended", "file", FILE_NAME, NULL);
	copy->told = error;
}

/* A long one makes the next one wait: copying takes LIMIT_COPY_SHARE of the time at most. */
static void run(struct store_copy *copy)
{
	uint64_t start_ms = clock_mono_ms(), took_ms, generation = 0;
	int error = write_copy(copy, &generation);

	took_ms = clock_mono_ms() - start_ms;
	copy->rest_ms = start_ms + took_ms * 100 / LIMIT_COPY_SHARE;
	if (error == ECANCELED) /* the writer needs the file, or the end has come */
		return;
	tell(copy, error);
	counters_add(error ? &copy->errors : &copy->copies, 1);
	if (error)
		return;
	pthread_mutex_lock(&copy->mutex);
	copy->is_known = true;
	copy->copied = generation;
	pthread_mutex_unlock(&copy->mutex);
}

static bool is_old(const struct store_copy *copy)
{
	return !copy->is_known || copy->copied != copy->generation;
}

/* Waits until a copy is due, or the end has come. Under the mutex. */
static void await(struct store_copy *copy)
{
	while (!copy->is_stopping) {
		uint64_t now_ms = clock_mono_ms(), due_ms = copy->changed_ms + copy->delay_ms;
		struct timespec due;

		if (!is_old(copy)) {
			pthread_cond_wait(&copy->woken, &copy->mutex);
			continue;
		}
		if (due_ms < copy->rest_ms)
			due_ms = copy->rest_ms;
		if (now_ms >= due_ms)
			return;
		due = (struct timespec){ .tv_sec = (time_t)(due_ms / 1000),
					 .tv_nsec = (long)(due_ms % 1000) * 1000000 };
		pthread_cond_timedwait(&copy->woken, &copy->mutex, &due);
	}
}

static void *main_of_thread(void *cookie)
{
	struct store_copy *copy = cookie;

	setpriority(PRIO_PROCESS, (id_t)gettid(), NICE); /* on Linux: of this thread */
	do {
		bool is_due;

		pthread_mutex_lock(&copy->mutex);
		await(copy);
		copy->is_last = copy->is_stopping;
		is_due = is_old(copy) && !copy->is_dropped;
		copy->changed_ms = clock_mono_ms(); /* of what comes now, or of another try */
		pthread_mutex_unlock(&copy->mutex);
		if (is_due)
			run(copy);
	} while (!copy->is_last);
	return NULL;
}

void store_copy_changed(struct store_copy *copy, uint64_t generation)
{
	pthread_mutex_lock(&copy->mutex);
	if (copy->generation != generation) {
		if (!is_old(copy))
			copy->changed_ms = clock_mono_ms();
		copy->generation = generation;
		pthread_cond_signal(&copy->woken);
	}
	pthread_mutex_unlock(&copy->mutex);
}

static int init_wakeup(struct store_copy *copy)
{
	pthread_condattr_t attributes;
	int error = pthread_condattr_init(&attributes);

	if (error)
		return error;
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	error = pthread_cond_init(&copy->woken, &attributes);
	pthread_condattr_destroy(&attributes);
	return error;
}

static int start_thread(struct store_copy *copy)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&copy->thread, NULL, main_of_thread, copy);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

struct store_copy *store_copy_new(const struct store_engine *kind, void *engine,
				  const char *directory, uint64_t delay_ms)
{
	struct store_copy *copy = calloc(1, sizeof(*copy));
	char path[PATH_MAX];

	if (!copy)
		return NULL;
	copy->kind = kind;
	copy->engine = engine;
	copy->delay_ms = delay_ms;
	copy->changed_ms = clock_mono_ms();
	snprintf(path, sizeof(path), "%s/" FILE_NAME, directory);
	copy->is_known = store_lines_generation(path, &copy->copied);
	copy->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (copy->directory < 0)
		goto err_copy;
	errno = pthread_mutex_init(&copy->mutex, NULL);
	if (errno)
		goto err_directory;
	errno = init_wakeup(copy);
	if (errno)
		goto err_mutex;
	errno = start_thread(copy);
	if (errno)
		goto err_wakeup;
	return copy;

err_wakeup:
	pthread_cond_destroy(&copy->woken);
err_mutex:
	pthread_mutex_destroy(&copy->mutex);
err_directory:
	close(copy->directory);
err_copy:
	free(copy);
	return NULL;
}

void store_copy_free(struct store_copy *copy)
{
	if (!copy)
		return;
	pthread_mutex_lock(&copy->mutex);
	copy->is_stopping = true;
	pthread_cond_signal(&copy->woken);
	pthread_mutex_unlock(&copy->mutex);
	pthread_join(copy->thread, NULL);
	pthread_cond_destroy(&copy->woken);
	pthread_mutex_destroy(&copy->mutex);
	close(copy->directory);
	free(copy);
}

void store_copy_drop(struct store_copy *copy)
{
	pthread_mutex_lock(&copy->mutex);
	copy->is_dropped = true;
	pthread_mutex_unlock(&copy->mutex);
	store_copy_free(copy);
}

void store_copy_read(const struct store_copy *copy, struct store_copy_stats *stats)
{
	stats->copies = atomic_load_explicit(&copy->copies, memory_order_relaxed);
	stats->errors = atomic_load_explicit(&copy->errors, memory_order_relaxed);
}
