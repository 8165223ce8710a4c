/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/last_words.h"

#include "base/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int listener = -1;

void last_words_init(void)
{
	if (!getenv(LAST_WORDS_VARIABLE))
		return;
	unsetenv(LAST_WORDS_VARIABLE);
	if (fcntl(LAST_WORDS_FD, F_SETFD, FD_CLOEXEC) == 0)
		listener = LAST_WORDS_FD;
}

/* It fits a pipe that is empty, and nobody may be left to read it. */
void last_words_say(const char *reason)
{
	if (listener < 0)
		return;
	if (!reason)
		reason = log_last_error();
	if (write(listener, reason, strlen(reason)) >= 0)
		close(listener);
	listener = -1;
}

int last_words_open(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC))
		return -1;
	return fcntl(ends[0], F_SETFL, O_NONBLOCK);
}

void last_words_read(int fd, char *reason, size_t size)
{
	ssize_t len = fd < 0 ? 0 : read(fd, reason, size - 1);

	reason[len > 0 ? len : 0] = '\0';
}
