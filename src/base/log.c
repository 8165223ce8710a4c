/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/log.h"

#include "base/clock.h"
#include "base/log_limit.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	LINE_SIZE = 2048,
	LINE_END = 4, /* kept free for "...\n" */
	FMT_BUFFERS = 8,
	FMT_SIZE = 512,
	LEVEL_LEN = sizeof("level=error ") - 1,
};

struct line {
	size_t len;
	bool full; /* something did not fit: nothing more is put */
	char text[LINE_SIZE];
};

static const char *const level_names[] = {
	[LOG_INFO] = "info",
	[LOG_WARNING] = "warning",
	[LOG_ERROR] = "error",
};

static void line_put(struct line *line, const char *text, size_t len)
{
	if (line->full || len > LINE_SIZE - LINE_END - line->len) {
		line->full = true;
		return;
	}
	memcpy(line->text + line->len, text, len);
	line->len += len;
}

static bool is_bare(const char *value)
{
	if (!*value)
		return false;
	for (; *value; value++)
		if (*value <= ' ' || *value > '~' || *value == '"' || *value == '=' ||
		    *value == '\\')
			return false;
	return true;
}

/* An escape is put whole or not at all, so a line that is cut still has no half of one. */
static void line_put_quoted(struct line *line, const char *value)
{
	line_put(line, "\"", 1);
	for (; *value; value++) {
		char escape[8];
		unsigned char octet = (unsigned char)*value;

		if (octet == '"' || octet == '\\')
			snprintf(escape, sizeof(escape), "\\%c", octet);
		else if (octet == '\n')
			snprintf(escape, sizeof(escape), "\\n");
		else if (octet < ' ' || octet > '~')
			snprintf(escape, sizeof(escape), "\\x%02x", octet);
		else
			snprintf(escape, sizeof(escape), "%c", octet);
		line_put(line, escape, strlen(escape));
	}
	line_put(line, "\"", 1);
}

static void line_put_pair(struct line *line, const char *key, const char *value)
{
	if (line->len)
		line_put(line, " ", 1);
	line_put(line, key, strlen(key));
	line_put(line, "=", 1);
	if (is_bare(value))
		line_put(line, value, strlen(value));
	else
		line_put_quoted(line, value);
}

static _Thread_local char last_error[FMT_SIZE];

const char *log_last_error(void)
{
	return last_error;
}

static void write_line(enum log_level level, const char *event, va_list pairs)
{
	struct line line = { .len = 0 };
	const char *key;

	line_put_pair(&line, "level", level_names[level]);
	line_put_pair(&line, "event", event);
	while ((key = va_arg(pairs, const char *))) {
		const char *value = va_arg(pairs, const char *);

		line_put_pair(&line, key, value ? value : "");
	}

	/* LINE_END keeps the room for both. */
	if (line.full) {
		memcpy(line.text + line.len, "...", 3);
		line.len += 3;
	}
	if (level == LOG_ERROR)
		snprintf(last_error, sizeof(last_error), "%.*s", (int)(line.len - LEVEL_LEN),
			 line.text + LEVEL_LEN);
	line.text[line.len++] = '\n';
	while (write(STDERR_FILENO, line.text, line.len) < 0 && errno == EINTR)
		;
}

__attribute__((sentinel)) static void write_pairs(enum log_level level, const char *event, ...)
{
	va_list pairs;

	va_start(pairs, event);
	write_line(level, event, pairs);
	va_end(pairs);
}

/* Whether the line may be written; n_left_out tells what has to be told before it. */
static bool admit(bool about_peer, uint64_t *n_left_out)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct log_limit limit;
	bool ok;

	pthread_mutex_lock(&lock);
	ok = !about_peer || log_limit_admit(&limit, clock_mono_ms());
	*n_left_out = ok ? log_limit_take(&limit) : 0;
	pthread_mutex_unlock(&lock);
	return ok;
}

static void log_pairs(bool about_peer, enum log_level level, const char *event, va_list pairs)
{
	int saved_errno = errno;
	uint64_t n_left_out;
	char count[24]; /* log_fmt()'s buffers are the caller's */

	if (admit(about_peer, &n_left_out)) {
		snprintf(count, sizeof(count), "%" PRIu64, n_left_out);
		if (n_left_out)
			write_pairs(LOG_WARNING, "log-suppressed", "count", count, NULL);
		write_line(level, event, pairs);
	}
	errno = saved_errno;
}

void log_event(enum log_level level, const char *event, ...)
{
	va_list pairs;

	va_start(pairs, event);
	log_pairs(false, level, event, pairs);
	va_end(pairs);
}

void log_peer_event(enum log_level level, const char *event, ...)
{
	va_list pairs;

	va_start(pairs, event);
	log_pairs(true, level, event, pairs);
	va_end(pairs);
}

const char *log_fmt(const char *format, ...)
{
	static _Thread_local char buffers[FMT_BUFFERS][FMT_SIZE];
	static _Thread_local unsigned next;
	int saved_errno = errno;
	char *buffer = buffers[next++ % FMT_BUFFERS];
	va_list args;

	va_start(args, format);
	vsnprintf(buffer, FMT_SIZE, format, args);
	va_end(args);
	errno = saved_errno;
	return buffer;
}
