/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any octets as a connection to the HTTP port. However they are cut, the same requests come out and
 * the same replies go back; evhttp never answers by itself, which it would do in HTML.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "io/httpd.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	SIZE_MAX_HERE = 20000, /* octets, so that one run stays short */
	PATIENCE_MS = 10000,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct event_base *base;
static struct counters counters;
static struct sockaddr_in door = { .sin_family = AF_INET };
static struct buf heard; /* the requests of one connection */

static void on_request(void *cookie, struct httpd_request *owed, const struct api_request *request)
{
	const struct api_reply reply = { .status = 200 };

	(void)cookie;
	assert(*request->path && !strpbrk(request->path, "?# \r\n"));
	assert(!request->query || !strpbrk(request->query, "# \r\n"));
	assert(request->body_len <= LIMIT_HTTP_BODY);
	buf_print(&heard, "%d %s?%s %zu ", (int)request->method, request->path,
		  request->query ? request->query : "", request->body_len);
	if (request->body_len)
		buf_put(&heard, request->body, request->body_len);
	httpd_reply(owed, &reply);
}

static void start(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(door);
	struct httpd *httpd;

	signal(SIGPIPE, SIG_IGN);
	door.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&door, sizeof(door)) != 0 || listen(fd, 16) != 0 ||
	    getsockname(fd, (struct sockaddr *)&door, &len) != 0)
		abort();
	base = event_base_new();
	httpd = httpd_new(base, &counters, PATIENCE_MS, on_request, NULL);
	if (!httpd || httpd_accept(httpd, fd, NULL) != 0)
		abort();
}

static void run(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

/* What came back until the end of the connection, but for what differs by time. */
static void read_replies(int fd, struct buf *replies)
{
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;
	char text[4096];
	ssize_t n;

	for (;;) {
		run();
		n = recv(fd, text, sizeof(text), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			break;
		if (n > 0)
			buf_put(replies, text, (size_t)n);
		assert(clock_mono_ms() < end_ms);
	}
	buf_put(replies, "", 1);
}

/* Sends the stream in pieces of `piece` octets. The replies' status codes follow the requests. */
static void talk(const uint8_t *data, size_t size, size_t piece, struct buf *result)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int on = 1;
	struct buf replies;

	buf_init(&replies);
	buf_init(&heard);
	if (fd < 0 || connect(fd, (struct sockaddr *)&door, sizeof(door)) != 0)
		abort();
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	for (size_t at = 0; at < size; at += piece) {
		send(fd, data + at, size - at < piece ? size - at : piece, MSG_NOSIGNAL);
		run();
	}
	shutdown(fd, SHUT_WR);
	read_replies(fd, &replies);
	close(fd);
	run();
	for (const char *at = replies.data; (at = strstr(at, "HTTP/1.")); at++)
		if (strncmp(at + 9, "100", 3) != 0)
			buf_put(&heard, at + 9, 3);
	assert(!strstr(replies.data, "<HTML"));
	buf_fini(&replies);
	*result = heard;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole;

	if (size > SIZE_MAX_HERE)
		return 0;
	if (!base)
		start();
	talk(data, size, size ? size : 1, &whole);
	for (size_t piece = 1; piece <= 7; piece += 6) {
		struct buf cut;

		talk(data, size, piece, &cut);
		assert(cut.len == whole.len);
		assert(!cut.len || memcmp(cut.data, whole.data, cut.len) == 0);
		buf_fini(&cut);
	}
	buf_fini(&whole);
	return 0;
}
