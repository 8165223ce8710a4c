/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * echo: the least that a DNS server can cost. Sends back what it gets, with QR set over UDP; one
 * thread, no look at the content. Every figure of the bench is a ratio to this program.
 *
 *   echo --port PORT          UDP: recvmmsg that waits, sendmmsg, 64 packets at a time
 *   echo --port PORT --epoll  UDP behind epoll, as a server with more than one socket has it
 *   echo --port PORT --tcp    TCP behind epoll: a whole read goes back in one write
 *
 * Runs until a signal ends it.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	BATCH = 64,
	PACKET_LEN = 1536,
	HEADER_LEN = 12,
	QR = 0x80,                /* in octet 2 of a message */
	RECEIVE_BUFFER = 1048576, /* the usual one drops packets of a full window */
	READ_LEN = 65536          /* as rosterd reads */
};

static struct mmsghdr messages[BATCH];
static struct iovec iovs[BATCH];
static struct sockaddr_in peers[BATCH];
static uint8_t packets[BATCH][PACKET_LEN];

static int open_socket(int type, uint16_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1, len = RECEIVE_BUFFER;

	if (fd < 0)
		err(1, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (type == SOCK_DGRAM && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &len, sizeof(len)))
		err(1, "SO_RCVBUF");
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)))
		err(1, "bind");
	return fd;
}

static int new_epoll(int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		err(1, "epoll");
	return epoll;
}

/* ---- UDP ---- */

static void init_messages(void)
{
	for (int i = 0; i < BATCH; i++) {
		iovs[i].iov_base = packets[i];
		messages[i].msg_hdr = (struct msghdr){
			.msg_name = &peers[i],
			.msg_iov = &iovs[i],
			.msg_iovlen = 1,
		};
	}
}

static int receive_batch(int fd, int flags)
{
	for (int i = 0; i < BATCH; i++) {
		iovs[i].iov_len = PACKET_LEN;
		messages[i].msg_hdr.msg_namelen = sizeof(peers[i]);
	}
	return recvmmsg(fd, messages, BATCH, flags, NULL);
}

static void send_batch(int fd, int n)
{
	int sent = 0;

	for (int i = 0; i < n; i++) {
		if (messages[i].msg_len >= HEADER_LEN)
			packets[i][2] |= QR;
		iovs[i].iov_len = messages[i].msg_len;
	}
	while (sent < n) {
		int result = sendmmsg(fd, messages + sent, (unsigned)(n - sent), 0);

		sent += result > 0 ? result : 1;
	}
}

static void serve_udp(int fd)
{
	for (;;) {
		int n = receive_batch(fd, MSG_WAITFORONE);

		if (n > 0)
			send_batch(fd, n);
	}
}

static void serve_udp_epoll(int fd)
{
	int epoll = new_epoll(fd);
	struct epoll_event event;

	for (;;) {
		int n;

		if (epoll_wait(epoll, &event, 1, -1) <= 0)
			continue;
		do {
			n = receive_batch(fd, MSG_DONTWAIT);
			if (n > 0)
				send_batch(fd, n);
		} while (n == BATCH);
	}
}

/* ---- TCP ---- */

static void add_connection(int epoll, int listener)
{
	struct epoll_event event = { .events = EPOLLIN };
	int on = 1;

	event.data.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (event.data.fd < 0)
		return;
	setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event))
		close(event.data.fd);
}

static void echo_octets(int fd)
{
	static uint8_t octets[READ_LEN];
	ssize_t len = recv(fd, octets, sizeof(octets), 0), sent = 0;

	if (len <= 0) {
		close(fd);
		return;
	}
	while (sent < len) {
		ssize_t n = send(fd, octets + sent, (size_t)(len - sent), MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return;
		sent += n > 0 ? n : 0;
	}
}

static void serve_tcp(int listener)
{
	struct epoll_event events[BATCH];
	int epoll;

	if (listen(listener, SOMAXCONN))
		err(1, "listen");
	epoll = new_epoll(listener);
	for (;;) {
		int n = epoll_wait(epoll, events, BATCH, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == listener)
				add_connection(epoll, listener);
			else
				echo_octets(events[i].data.fd);
		}
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "port", required_argument, NULL, 'p' },
		{ "epoll", no_argument, NULL, 'e' },
		{ "tcp", no_argument, NULL, 't' },
		{ 0 },
	};
	bool is_epoll = false, is_tcp = false;
	uint16_t port = 0;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'p':
			port = (uint16_t)strtoul(optarg, NULL, 10);
			break;
		case 'e':
			is_epoll = true;
			break;
		case 't':
			is_tcp = true;
			break;
		default:
			errx(2, "usage: echo --port PORT [--epoll | --tcp]");
		}
	}
	if (!port)
		errx(2, "--port is missing");
	init_messages();
	if (is_tcp)
		serve_tcp(open_socket(SOCK_STREAM, port));
	else if (is_epoll)
		serve_udp_epoll(open_socket(SOCK_DGRAM, port));
	else
		serve_udp(open_socket(SOCK_DGRAM, port));
	return 0;
}
