/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/sandbox.h"

#include "app/sandbox_filter.h"
#include "app/sandbox_user.h"
#include "base/log.h"
#include "base/sanitize.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	UMASK = 027, /* records and dumps are not for everybody on the host */
};

/* Ports below 1024, and receive buffers beyond what the system gives to anybody. */
static const uint64_t opening = UINT64_C(1) << CAP_NET_BIND_SERVICE | UINT64_C(1) << CAP_NET_ADMIN;

/* libc has no function for either. */
static int get_capabilities(uint64_t *permitted)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data))
		return -1;
	*permitted = (uint64_t)data[1].permitted << 32 | data[0].permitted;
	return 0;
}

static int set_capabilities(uint64_t set)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
		{ .effective = (uint32_t)set, .permitted = (uint32_t)set },
		{ .effective = (uint32_t)(set >> 32), .permitted = (uint32_t)(set >> 32) },
	};

	return (int)syscall(SYS_capset, &header, data);
}

/* Whoever has no right to this (a service manager's user) has no way to get them back either. */
static void drop_bounding_set(void)
{
	for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0;
	     capability++)
		prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
}

/* Inheritable and ambient ones go with it. */
static int keep_capabilities(uint64_t kept)
{
	uint64_t permitted;

	if (get_capabilities(&permitted))
		return -1;
	return set_capabilities(permitted & kept);
}

/*
 * No core dump, no debugger of the same user, /proc/self is root's. Changing the user has that
 * effect too: where it was not asked for it is undone.
 */
static int set_closed(bool is_on)
{
	if (is_on && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	if (is_on && !SANITIZE_ANY)
		return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	return 0;
}

static int change_user(const struct sandbox_options *options, char *message, size_t message_size)
{
	struct sandbox_user user;

	if (!options->user) {
		if (geteuid() == 0)
			log_event(LOG_WARNING, "runs-as-root", "advice",
				  "name a user without privileges in the configuration: server: "
				  "user: NAME",
				  NULL);
		return 0;
	}
	if (sandbox_user_find(&user, options->user, message, message_size))
		return -1;
	if (sandbox_user_is_current(&user))
		return 0;
	if (geteuid() == 0 &&
	    sandbox_user_own_directory(&user, options->data, message, message_size))
		return -1;
	return sandbox_user_become(&user, message, message_size);
}

int sandbox_check_user(const char *user, char *message, size_t message_size)
{
	struct sandbox_user found;

	return sandbox_user_find(&found, user, message, message_size);
}

int sandbox_enter(const struct sandbox_options *options, char *message, size_t message_size)
{
	umask(UMASK);
	drop_bounding_set();
	if (change_user(options, message, message_size))
		return -1;
	if (keep_capabilities(opening) || set_closed(options->is_on)) {
		snprintf(message, message_size, "cannot give up privileges: %s", strerror(errno));
		return -1;
	}
	return 0;
}

int sandbox_seal(const struct sandbox_options *options, char *message, size_t message_size)
{
	if (keep_capabilities(0)) {
		snprintf(message, message_size, "cannot give up capabilities: %s", strerror(errno));
		return -1;
	}
	if (options->is_on && !SANITIZE_ANY && sandbox_filter_apply()) {
		snprintf(message, message_size,
			 "cannot filter system calls: %s ('sandbox: false' does without)",
			 strerror(errno));
		return -1;
	}
	return 0;
}
