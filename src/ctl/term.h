/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * term: the terminal, if there is one: colours on standard output, and a progress line on standard
 * error that the next message, or an interrupt (SIGINT), wipes away. One per process.
 */
#ifndef ROSTERD_CTL_TERM_H
#define ROSTERD_CTL_TERM_H

#include <stdbool.h>

enum term_color {
	TERM_PLAIN,
	TERM_GOOD,
	TERM_UNSURE,
	TERM_BAD,
	TERM_DIM,
	TERM_BOLD,
};

/*
 * `when` is "always", "never" or "auto" (on a terminal, unless NO_COLOR is set or TERM is "dumb").
 * false: it is something else.
 */
bool term_init(const char *when);

/* What turns a colour on; for TERM_PLAIN, what turns it off. "" without colours. */
const char *term_color(enum term_color color);

/* The colour of a status or an admin state of the registry. */
enum term_color term_status_color(const char *status);

/* Shows this in place of the last progress line; nothing where standard error is no terminal. */
void term_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Wipes the progress line. */
void term_progress_end(void);

/* Says something to people, "rosterctl: ..." on standard error; what is not fit is escaped. */
void term_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
