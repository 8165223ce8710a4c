/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/probe_run.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Errors of connect() that say nothing about the target. */
static bool is_our_own(int error)
{
	return error == EADDRNOTAVAIL || error == EAGAIN || error == ENOBUFS || error == ENOMEM;
}

int probe_run_connect(const struct probe_target *target, int *error)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	const struct sockaddr *sockaddr = (const struct sockaddr *)&target->sockaddr;
	int fd = socket(sockaddr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*error = 0;
	if (fd < 0)
		goto fail;
	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) != 0)
		goto fail_fd;
	if (connect(fd, sockaddr, target->sockaddr_len) == 0 || errno == EINPROGRESS)
		return fd;
	if (is_our_own(errno))
		goto fail_fd;
	*error = errno;
	return fd;

fail_fd:
	*error = errno;
	close(fd);
	errno = *error;
fail:
	return -1;
}

/*
 * A connection attempt to a port of this host that nobody listens on can meet itself, if the kernel
 * happens to choose that port for our end.
 */
static bool is_self_connected(int fd)
{
	struct sockaddr_storage local = { 0 }, remote = { 0 };
	socklen_t local_len = sizeof(local), remote_len = sizeof(remote);

	return getsockname(fd, (struct sockaddr *)&local, &local_len) == 0 &&
	       getpeername(fd, (struct sockaddr *)&remote, &remote_len) == 0 &&
	       local_len == remote_len && memcmp(&local, &remote, local_len) == 0;
}

int probe_run_connected(int fd)
{
	int error = 0;
	socklen_t error_len = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) != 0)
		return errno;
	if (error == 0 && is_self_connected(fd))
		return ECONNREFUSED;
	return error;
}

void probe_run_explain(int error, char *output, size_t output_size)
{
	char text[128];

	snprintf(output, output_size, "%s", strerror_r(error, text, sizeof(text)));
	output[0] = (char)tolower((unsigned char)output[0]);
}
