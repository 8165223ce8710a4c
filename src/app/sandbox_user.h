/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sandbox_user: from root to the configured user, and the data directory with it. A part of
 * sandbox.
 */
#ifndef ROSTERD_APP_SANDBOX_USER_H
#define ROSTERD_APP_SANDBOX_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct sandbox_user {
	char name[256];
	uid_t uid;
	gid_t gid;
};

/* Looks up "name" or "name:group". -1 with a message. */
int sandbox_user_find(struct sandbox_user *user, const char *text, char *message,
		      size_t message_size);

/* Whether the process is that user already, and nobody else. */
bool sandbox_user_is_current(const struct sandbox_user *user);

/*
 * Makes the directory if it is missing. One that root has made or used as a data directory becomes
 * the user's, with the files in it that are root's; any other is left as it is. -1 with a message.
 */
int sandbox_user_own_directory(const struct sandbox_user *user, const char *directory,
			       char *message, size_t message_size);

/* Becomes the user, for good; permitted capabilities stay. -1 with a message. */
int sandbox_user_become(const struct sandbox_user *user, char *message, size_t message_size);

#endif
