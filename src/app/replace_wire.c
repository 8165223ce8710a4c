/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/replace_wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for the descriptors of a message, aligned as the kernel wants it. */
union control {
	struct cmsghdr header;
	char octets[CMSG_SPACE(REPLACE_FDS * sizeof(int))];
};

bool replace_wire_address(const char *directory, struct sockaddr_un *address)
{
	int len;

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	len = snprintf(address->sun_path, sizeof(address->sun_path), "%s/control.sock", directory);
	return len > 0 && (size_t)len < sizeof(address->sun_path);
}

int replace_wire_send(int fd, const char *word, const char *rest, const int *fds, size_t n_fds)
{
	char text[REPLACE_TEXT];
	int len = snprintf(text, sizeof(text), "%s%s%s", word, *rest ? " " : "", rest);
	struct iovec iov = { text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1 };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control control = { .octets = { 0 } };

	if (n_fds) {
		header.msg_control = control.octets;
		header.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
	}
	return sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -1 : 0;
}

static void take_fds(struct msghdr *header, struct replace_message *message)
{
	message->n_fds = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		message->n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(message->fds, CMSG_DATA(c), message->n_fds * sizeof(int));
	}
}

int replace_wire_receive(int fd, struct replace_message *message)
{
	struct iovec iov = { message->text, sizeof(message->text) - 1 };
	union control control;
	struct msghdr header = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.octets,
		.msg_controllen = sizeof(control.octets),
	};
	ssize_t len;

	/* A peer that closes before it has read all of ours makes one reset, told before its words.
	 */
	do
		len = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (len < 0 && (errno == EINTR || errno == ECONNRESET));
	message->n_fds = 0;
	if (len <= 0)
		return len < 0 ? -1 : 0;
	take_fds(&header, message);
	message->text[len] = '\0';
	if (header.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) {
		/* Without room for more descriptors the kernel cuts them off. */
		replace_wire_close_fds(message);
		errno = EMFILE;
		return -1;
	}
	return 1;
}

const char *replace_wire_rest(const struct replace_message *message, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(message->text, word, len) != 0)
		return NULL;
	if (message->text[len] == ' ')
		return message->text + len + 1;
	return message->text[len] ? NULL : message->text + len;
}

void replace_wire_close_fds(struct replace_message *message)
{
	for (size_t i = 0; i < message->n_fds; i++)
		close(message->fds[i]);
	message->n_fds = 0;
}
