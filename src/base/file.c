/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A character device is let in for /dev/null, the usual name of an empty file. */
static const char *open_file(const char *path, int *fd)
{
	struct stat status;

	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*fd < 0 || fstat(*fd, &status) < 0)
		return strerror(errno);
	if (!S_ISREG(status.st_mode) && !S_ISCHR(status.st_mode))
		return S_ISDIR(status.st_mode) ? "is a directory" : "is no file";
	return NULL;
}

static const char *read_all(int fd, size_t size_max, struct buf *out)
{
	size_t start = out->len;
	char chunk[16384];

	while (!out->failed) {
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return strerror(errno);
		if (n == 0)
			break;
		if ((size_t)n > size_max - (out->len - start))
			return "is too large";
		buf_put(out, chunk, (size_t)n);
	}
	buf_put(out, "", 0); /* an empty file is an empty string */
	return out->failed ? "out of memory" : NULL;
}

int file_read(const char *path, size_t size_max, struct buf *out, const char **reason)
{
	int fd;

	*reason = open_file(path, &fd);
	if (!*reason)
		*reason = read_all(fd, size_max, out);
	if (fd >= 0)
		close(fd);
	return *reason ? -1 : 0;
}
