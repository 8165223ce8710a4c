/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sandbox: what the process gives up, so that whoever gets into it has got little. In two steps:
 *
 *   sandbox_enter()  before anything is opened: another user (if configured), no capability but the
 *                    two that opening sockets can use, no way to get any back, no core dump. So
 *                    whatever is made from here on, files, sockets and children, is that user's.
 *   sandbox_seal()   behind the last socket and before the first thread: no capability at all, and
 *                    only the system calls of sandbox_filter.c.
 *
 * Both happen before the first octet of a stranger is read. Capabilities belong to threads, which
 * is why there must be none yet.
 *
 * A successor that this process starts (exec) inherits all of it. It needs no privilege, since it
 * is given its sockets, and it finds its user and its filter in place.
 *
 * Without `is_on` the process stays open to debuggers and profilers: it gives up its user and its
 * capabilities alone. Builds with a sanitizer do that always: sanitizers make system calls of their
 * own, and LeakSanitizer is a debugger.
 */
#ifndef ROSTERD_APP_SANDBOX_H
#define ROSTERD_APP_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

struct sandbox_options {
	const char *user; /* "name" or "name:group"; NULL: stay who we are */
	const char *data; /* directory: made, or made over to the user, where only root can do so */
	bool is_on;
};

/* Whether such a user and group exist. -1 with a message. */
int sandbox_check_user(const char *user, char *message, size_t message_size);

/* -1 with a message: not what was asked for, do not go on. Main thread only, like sandbox_seal().
 */
int sandbox_enter(const struct sandbox_options *options, char *message, size_t message_size);

/* Once more changes nothing. */
int sandbox_seal(const struct sandbox_options *options, char *message, size_t message_size);

#endif
