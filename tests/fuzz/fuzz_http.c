/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any octets as a connection to the HTTP port. However they are cut, the same requests come out and
 * the same replies go back; evhttp never answers by itself, which it would do in HTML. What comes
 * out is what a reader finds who knows but one way to read a request (strict_*), and no more: there
 * is nothing to smuggle.
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
#include <regex.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
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

/* ---- The only way to read a request: RFC 9112, nothing optional, nothing tolerated ---- */

static regex_t request_line, field_line, refused_field, up;

static void strict_start(void)
{
#define TOKEN "[-!#$%&'*+.^_`|~0-9A-Za-z]"
	static const struct {
		regex_t *regex;
		const char *text;
		int flags;
	} all[] = {
		{ &request_line, "^" TOKEN TOKEN TOKEN "+ (/([!-~]*)|[*]) HTTP/1[.][01]$", 0 },
		{ &field_line, "^" TOKEN "+:[^[:cntrl:]]*$", 0 },
		{ &refused_field, "^(Transfer-Encoding:|Content-Length: *[0-9]*[^ 0-9])",
		  REG_ICASE },
		{ &up, "^/(/|([^?]*/)?([.]|%2e)([.]|%2e)([/?]|$))|#", REG_ICASE },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (regcomp(all[i].regex, all[i].text, REG_EXTENDED | REG_NOSUB | all[i].flags))
			abort();
}

/* Method, target and version. */
static bool strict_request_line(char *line, struct buf *out)
{
	static const char *const names[] = {
		[API_GET] = "GET",       [API_POST] = "POST", [API_PUT] = "PUT",
		[API_DELETE] = "DELETE", [API_HEAD] = "HEAD",
	};
	char *target, *query;
	size_t method = 0;

	if (regexec(&request_line, line, 0, NULL, 0) != 0)
		return false;
	target = strchr(line, ' ');
	*target++ = '\0';
	*strchr(target, ' ') = '\0';
	if (regexec(&up, target, 0, NULL, 0) == 0)
		return false;
	while (method < API_OTHER && strcmp(names[method], line) != 0)
		method++;
	query = strchr(target, '?');
	if (query)
		*query++ = '\0';
	buf_print(out, "%zu %s?%s ", method, target, query ? query : "");
	return true;
}

/* A field line; counts those of which there may be one. */
static bool strict_field(char *line, unsigned *n_hosts, unsigned *n_lengths, size_t *body_len)
{
	const char *value;

	for (char *c = line; *c; c++)
		if (*c == '\t' || (*c & 0x80))
			*c = 'x'; /* fine, and no matter for regular expressions */
	if (regexec(&field_line, line, 0, NULL, 0) != 0 ||
	    regexec(&refused_field, line, 0, NULL, 0) == 0)
		return false;
	*n_hosts += strncasecmp(line, "Host:", 5) == 0;
	if (strncasecmp(line, "Content-Length:", 15) != 0)
		return true;
	++*n_lengths;
	value = line + 15 + strspn(line + 15, " ");
	*body_len = strtoul(value, NULL, 10);
	return *value >= '0' && *value <= '9' && *body_len <= LIMIT_HTTP_BODY;
}

/* The octets of the request that `text`, with a NUL behind it, begins with; 0: none, or not so. */
static size_t strict_request(char *text, size_t len, struct buf *out)
{
	char *const end = memmem(text, len, "\r\n\r\n", 4);
	unsigned n_hosts = 0, n_lengths = 0;
	size_t body_len = 0, head_len;
	char *line = text;

	if (!end)
		return 0;
	head_len = (size_t)(end - text) + 4;
	if (head_len > LIMIT_HTTP_HEADERS || memchr(text, '\0', head_len))
		return 0;
	for (end[2] = '\0'; *line;) {
		char *const line_end = strstr(line, "\r\n");

		*line_end = '\0';
		if (strpbrk(line, "\r\n") ||
		    !(line == text ? strict_request_line(line, out)
				   : strict_field(line, &n_hosts, &n_lengths, &body_len)))
			return 0;
		line = line_end + 2;
	}
	if (n_hosts != 1 || n_lengths > 1 || len - head_len < body_len)
		return 0;
	buf_print(out, "%zu ", body_len);
	if (body_len)
		buf_put(out, text + head_len, body_len);
	return head_len + body_len;
}

/* Whether what was heard is what there is, from the first request on. */
static void check_strictly(const uint8_t *data, size_t size, const struct buf *requests)
{
	char *const text = malloc(size + 1);
	struct buf expected;
	size_t at = 0, n;

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	buf_init(&expected);
	do {
		while (strncmp(text + at, "\r\n", 2) == 0)
			at += 2; /* the one thing to tolerate (RFC 9112 2.2) */
		n = strict_request(text + at, size - at, &expected);
		at += n;
	} while (n);
	assert(requests->len <= expected.len);
	assert(!requests->len || memcmp(requests->data, expected.data, requests->len) == 0);
	buf_fini(&expected);
	free(text);
}

/* ---- A connection ---- */

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
	check_strictly(data, size, &heard);
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
	if (!base) {
		start();
		strict_start();
	}
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
