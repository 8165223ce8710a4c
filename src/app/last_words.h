/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * last_words: why a server that was started to replace another one does not do so, told to that
 * one, also where it fails before the two speak (app/replace_wire.h): with a bad configuration it
 * does not even know the data directory.
 *
 * It is a pipe. Its writing end is LAST_WORDS_FD of the new process, which LAST_WORDS_VARIABLE in
 * its environment tells it; who is started by somebody else has neither.
 */
#ifndef ROSTERD_APP_LAST_WORDS_H
#define ROSTERD_APP_LAST_WORDS_H

#include <stddef.h>

#define LAST_WORDS_VARIABLE "ROSTERD_LAST_WORDS"
enum {
	LAST_WORDS_FD = 3,
};

/* ---- The new server ---- */

/* Takes the descriptor, so that no other process has it. Before there are threads. */
void last_words_init(void);

/* Says it, if anybody listens; of several the first one counts. NULL: what was logged last. */
void last_words_say(const char *reason);

/* ---- The one that has started it ---- */

/* Makes a pipe; ends[0] never blocks. -1 with errno. */
int last_words_open(int ends[2]);

/* What was said when the other process has ended; empty: nothing. */
void last_words_read(int fd, char *reason, size_t size);

#endif
