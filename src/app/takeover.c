/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/takeover.h"

#include "app/replace_wire.h"
#include "base/clock.h"
#include "base/limits.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	RETIRE_MS = 5000, /* HTTP waits so long for a server that answers, but does not retire */
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The next message, or -1 with a text in its place. */
static int await(struct takeover *takeover, struct replace_message *message)
{
	int result;

	while ((result = replace_wire_receive(takeover->fd, message)) < 0 && errno == EAGAIN) {
		struct pollfd fd = { .fd = takeover->fd, .events = POLLIN };
		uint64_t now_ms = clock_mono_ms();

		if (now_ms >= takeover->end_ms) {
			snprintf(message->text, sizeof(message->text),
				 "the running server took too long");
			return -1;
		}
		poll(&fd, 1, (int)(takeover->end_ms - now_ms));
	}
	if (result > 0)
		return 0;
	snprintf(message->text, sizeof(message->text), "%s",
		 result < 0 ? strerror(errno) : "the running server has closed the connection");
	return -1;
}

static bool read_state(struct takeover *takeover, struct replace_message *message,
		       const char *secret)
{
	uint64_t k0, k1;

	if (sscanf(secret, "%16" SCNx64 "%16" SCNx64, &k0, &k1) != 2 || message->n_fds != 2)
		return false;
	takeover->cookie_secret = (struct siphash_key){ k0, k1 };
	takeover->lock = message->fds[0];
	takeover->control = message->fds[1];
	message->n_fds = 0;
	return true;
}

static bool take_sockets(struct listen_set *given, struct replace_message *message)
{
	while (message->n_fds) {
		if (listen_set_put(given, message->fds[message->n_fds - 1]))
			return false;
		message->n_fds--;
	}
	return true;
}

/* Takes messages until the last one of the offer. The reason of a failure is left in `message`. */
static bool receive_offer(struct takeover *takeover, struct listen_set *given,
			  struct replace_message *message)
{
	const char *rest;

	while (await(takeover, message) == 0) {
		bool ok = false;

		if ((rest = replace_wire_rest(message, "state")))
			ok = read_state(takeover, message, rest);
		else if (replace_wire_rest(message, "sockets"))
			ok = take_sockets(given, message);
		replace_wire_close_fds(message);
		if (ok && rest)
			return true;
		if (ok)
			continue;
		rest = replace_wire_rest(message, "refused");
		if (rest)
			memmove(message->text, rest, strlen(rest) + 1);
		else
			snprintf(message->text, sizeof(message->text),
				 "the running server says what this one does not understand");
		return false;
	}
	return false;
}

void takeover_init(struct takeover *takeover)
{
	*takeover = (struct takeover){ .fd = -1, .lock = -1, .control = -1 };
}

static enum takeover_result call(struct takeover *takeover, const char *directory, char *message,
				 size_t message_size)
{
	struct sockaddr_un address;

	if (!replace_wire_address(directory, &address)) {
		snprintf(message, message_size, "%s: too long for a socket's path", directory);
		return TAKEOVER_FAILED;
	}
	takeover->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (takeover->fd >= 0 &&
	    connect(takeover->fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return TAKEOVER_OK;
	if (takeover->fd >= 0 && (errno == ENOENT || errno == ECONNREFUSED)) {
		close_fd(&takeover->fd);
		return TAKEOVER_NOBODY;
	}
	snprintf(message, message_size, "%s: %s", address.sun_path, strerror(errno));
	return TAKEOVER_FAILED;
}

enum takeover_result takeover_begin(struct takeover *takeover, const char *directory,
				    struct listen_set *given, char *message, size_t message_size)
{
	struct replace_message received;
	enum takeover_result result;
	char hello[64];

	takeover->end_ms = clock_mono_ms() + LIMIT_REPLACE_MS;
	result = call(takeover, directory, message, message_size);
	if (result != TAKEOVER_OK)
		return result;
	snprintf(hello, sizeof(hello), "%d %s", REPLACE_PROTOCOL, PACKAGE_VERSION);
	/* Who is refused may find out before it has spoken: the reason is still to be read. */
	if (replace_wire_send(takeover->fd, "replace", hello, NULL, 0) && errno != EPIPE) {
		snprintf(message, message_size, "%s", strerror(errno));
		return TAKEOVER_FAILED;
	}
	if (!receive_offer(takeover, given, &received)) {
		snprintf(message, message_size, "%s", received.text);
		return TAKEOVER_FAILED;
	}
	given->is_replacement = true;
	return TAKEOVER_OK;
}

int takeover_await_yours(struct takeover *takeover, uint64_t *revision, char *message,
			 size_t message_size)
{
	struct replace_message received;
	const char *rest;

	if (replace_wire_send(takeover->fd, "yield", "", NULL, 0)) {
		snprintf(message, message_size, "%s", strerror(errno));
		return -1;
	}
	if (await(takeover, &received)) {
		snprintf(message, message_size, "%s", received.text);
		return -1;
	}
	replace_wire_close_fds(&received);
	rest = replace_wire_rest(&received, "yours");
	if (!rest) {
		rest = replace_wire_rest(&received, "refused");
		snprintf(message, message_size, "%s",
			 rest ? rest : "the running server went astray");
		return -1;
	}
	*revision = strtoull(rest, NULL, 10);
	return 0;
}

void takeover_finish(struct takeover *takeover)
{
	struct replace_message received;

	if (takeover->fd < 0)
		return;
	takeover->end_ms = clock_mono_ms() + RETIRE_MS;
	if (replace_wire_send(takeover->fd, "ready", "", NULL, 0) == 0 &&
	    await(takeover, &received) == 0)
		replace_wire_close_fds(&received);
	close_fd(&takeover->fd);
}

void takeover_fail(struct takeover *takeover, const char *reason)
{
	if (takeover->fd >= 0)
		replace_wire_send(takeover->fd, "failed", reason, NULL, 0);
	close_fd(&takeover->fd);
}

void takeover_fini(struct takeover *takeover)
{
	close_fd(&takeover->fd);
	close_fd(&takeover->lock);
	close_fd(&takeover->control);
}
