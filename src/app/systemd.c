/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/systemd.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	FIRST_FD = 3, /* SD_LISTEN_FDS_START */
};

/* A decimal number and nothing else. */
static bool read_number(const char *name, uint64_t *number)
{
	const char *text = getenv(name);
	char *end;

	if (!text || *text < '0' || *text > '9')
		return false;
	errno = 0;
	*number = strtoull(text, &end, 10);
	return errno == 0 && !*end;
}

/* Whether the variables of this family are meant for us: without a pid they are for anybody. */
static bool is_for_us(const char *name)
{
	uint64_t pid;

	return !getenv(name) || (read_number(name, &pid) && pid == (uint64_t)getpid());
}

int systemd_notify(const char *lines)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;
	int error, fd;

	if (len == 0)
		return 0;
	if ((*path != '/' && *path != '@') || len >= sizeof(to.sun_path)) {
		errno = EINVAL;
		return -1;
	}
	memcpy(to.sun_path, path, len);
	if (*path == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	error = sendto(fd, lines, strlen(lines), MSG_DONTWAIT | MSG_NOSIGNAL,
		       (const struct sockaddr *)&to,
		       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0
			? errno
			: 0;
	close(fd);
	errno = error;
	return error ? -1 : 0;
}

int systemd_notify_reloading(void)
{
	char lines[64];

	snprintf(lines, sizeof(lines), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		 clock_mono_ms() * 1000);
	return systemd_notify(lines);
}

uint64_t systemd_watchdog_ms(void)
{
	uint64_t us;

	if (!is_for_us("WATCHDOG_PID") || !read_number("WATCHDOG_USEC", &us))
		return 0;
	return us / 1000;
}

int systemd_take_sockets(struct listen_set *set)
{
	uint64_t n;

	if (!getenv("LISTEN_PID") || !is_for_us("LISTEN_PID") || !read_number("LISTEN_FDS", &n))
		return 0;
	for (uint64_t i = 0; i < n; i++) {
		int fd = FIRST_FD + (int)i;

		/* Fewer than promised: what comes next at these numbers would be ours. */
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			break;
		if (listen_set_put(set, fd))
			return -1;
	}
	return 0;
}

static bool names_this_process(const char *variable)
{
	static const char *const names[] = { "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS",
					     "LISTEN_FDNAMES" };
	size_t len = strcspn(variable, "=");

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == len && memcmp(names[i], variable, len) == 0)
			return true;
	return false;
}

char **systemd_child_environment(char *own)
{
	char **environment;
	size_t n = 0;

	while (environ[n])
		n++;
	environment = calloc(n + 2, sizeof(*environment));
	if (!environment)
		return NULL;
	n = 0;
	for (char **variable = environ; *variable; variable++)
		if (!names_this_process(*variable))
			environment[n++] = *variable;
	environment[n] = own;
	return environment;
}
