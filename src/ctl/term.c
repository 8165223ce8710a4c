/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/term.h"

#include "ctl/text.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool has_colors;
static volatile sig_atomic_t has_progress; /* a progress line stands there */

bool term_init(const char *when)
{
	const char *no_color = getenv("NO_COLOR"), *kind = getenv("TERM");

	if (strcmp(when, "auto") == 0)
		has_colors = isatty(STDOUT_FILENO) && !(no_color && *no_color) && kind &&
			     strcmp(kind, "dumb") != 0;
	else if (strcmp(when, "always") == 0 || strcmp(when, "never") == 0)
		has_colors = *when == 'a';
	else
		return false;
	return true;
}

const char *term_color(enum term_color color)
{
	static const char *const sequences[] = {
		[TERM_PLAIN] = "\033[0m", [TERM_GOOD] = "\033[32m", [TERM_UNSURE] = "\033[33m",
		[TERM_BAD] = "\033[31m",  [TERM_DIM] = "\033[2m",   [TERM_BOLD] = "\033[1m",
	};

	return has_colors ? sequences[color] : "";
}

enum term_color term_status_color(const char *status)
{
	static const struct {
		const char *status;
		enum term_color color;
	} colors[] = {
		{ "passing", TERM_GOOD },   { "ready", TERM_GOOD },      { "up", TERM_GOOD },
		{ "warning", TERM_UNSURE }, { "degraded", TERM_UNSURE }, { "drain", TERM_UNSURE },
		{ "critical", TERM_BAD },   { "not ready", TERM_BAD },   { "down", TERM_BAD },
	};

	for (size_t i = 0; i < sizeof(colors) / sizeof(colors[0]); i++)
		if (strcmp(status, colors[i].status) == 0)
			return colors[i].color;
	return TERM_PLAIN;
}

#define WIPE "\r\033[K"

/* The signal's default comes after it. */
static void on_interrupt(int number)
{
	if (has_progress && write(STDERR_FILENO, WIPE, sizeof(WIPE) - 1) < 0)
		has_progress = false;
	raise(number);
}

/* A shell's prompt is not to stand behind the line. */
static void catch_interrupt(void)
{
	struct sigaction wipe = { .sa_handler = on_interrupt,
				  .sa_flags = SA_RESETHAND | SA_NODEFER },
			 before;

	if (sigaction(SIGINT, NULL, &before) == 0 && before.sa_handler == SIG_DFL)
		sigaction(SIGINT, &wipe, NULL);
}

void term_progress(const char *format, ...)
{
	va_list args;

	if (!isatty(STDERR_FILENO))
		return;
	catch_interrupt();
	has_progress = true; /* first: the signal may come as soon as the line is seen */
	fputs(WIPE, stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fflush(stderr);
}

void term_progress_end(void)
{
	if (has_progress)
		fputs(WIPE, stderr);
	fflush(stderr);
	has_progress = false;
}

void term_say(const char *format, ...)
{
	char said[2048];
	struct buf safe;
	va_list args;

	va_start(args, format);
	vsnprintf(said, sizeof(said), format, args);
	va_end(args);
	term_progress_end();
	buf_init(&safe);
	/* Lines of our own stay lines. */
	for (char *line = said, *end; line; line = end) {
		end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		text_put_safe(&safe, line);
		buf_put(&safe, "\n", 1);
	}
	fprintf(stderr, "rosterctl: %s", safe.failed ? "out of memory\n" : safe.data);
	buf_fini(&safe);
}
