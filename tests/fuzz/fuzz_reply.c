/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_reply: any octets as what a target says to an http check, in any cuts. The first octet says
 * how many are sent at a time (0: all), the second how the target ends: by closing, or not at all.
 * There is one verdict, it says what the status line says and nothing else, and its output is
 * printable.
 */
#include "io/probe_run.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	SIZE_MAX_HERE = 3 * LIMIT_CHECK_READ, /* octets, so that one run stays short */
	PATIENCE_MS = 10000,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct event_base *base;
static struct sockaddr_in door = { .sin_family = AF_INET };
static int listener;
static regex_t status_line;

static char path[] = "/health", expected[] = "200-299,404";
static const struct check_spec spec = {
	.kind = CHECK_HTTP,
	.path = path,
	.expected = expected,
};

/* What became of one run. */
struct heard {
	unsigned n;
	bool passed;
	char output[LIMIT_CHECK_OUTPUT];
};

static void start(void)
{
	socklen_t len = sizeof(door);

	door.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&door, len) != 0 ||
	    listen(listener, 16) != 0 ||
	    getsockname(listener, (struct sockaddr *)&door, &len) != 0 ||
	    regcomp(&status_line, "^HTTP/1[.][01] [1-9][0-9][0-9]( .*)?$",
		    REG_EXTENDED | REG_NOSUB) != 0)
		abort();
	base = event_base_new();
	if (!base)
		abort();
}

static void on_verdict(void *cookie, bool passed, const char *output)
{
	struct heard *heard = cookie;

	heard->n++;
	heard->passed = passed;
	assert(strlen(output) < sizeof(heard->output));
	strcpy(heard->output, output);
}

static void run(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

/* The target's end of the connection, with the request read. */
static int accept_request(void)
{
	const uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;
	const int on = 1, fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	char request[1024];
	ssize_t n;

	if (fd < 0)
		abort();
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	do {
		run();
		n = recv(fd, request, sizeof(request), MSG_DONTWAIT);
		assert(clock_mono_ms() < end_ms);
	} while (n < 0);
	assert(n > 4 && memcmp(request + n - 4, "\r\n\r\n", 4) == 0);
	return fd;
}

static void check(const uint8_t *data, size_t size, size_t piece, bool closes, struct heard *heard)
{
	struct probe_target target = {
		.sockaddr_len = sizeof(door),
		.spec = &spec,
		.host = "127.0.0.1:80",
	};
	const uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;
	void *probing;
	int fd;

	*heard = (struct heard){ .n = 0 };
	memcpy(&target.sockaddr, &door, sizeof(door));
	probing = probe_http.start(base, &target, on_verdict, heard);
	if (!probing)
		abort();
	fd = accept_request();
	for (size_t at = 0; at < size; at += piece) {
		send(fd, data + at, size - at < piece ? size - at : piece, MSG_NOSIGNAL);
		run();
	}
	if (closes)
		shutdown(fd, SHUT_WR);
	for (run(); closes && heard->n == 0; run())
		assert(clock_mono_ms() < end_ms);
	if (heard->n == 0)
		probe_http.cancel(probing); /* as at its timeout */
	close(fd);
	run();
	assert(heard->n <= 1);
}

/* What a reader of the standard makes of the first line; "": it is no status line. */
static void read_line(const uint8_t *data, size_t size, char text[LIMIT_CHECK_READ + 1])
{
	const size_t most = size < LIMIT_CHECK_READ ? size : LIMIT_CHECK_READ;
	const uint8_t *const line_end = memchr(data, '\n', most);
	size_t len = line_end ? (size_t)(line_end - data) : 0;

	while (len > 0 && (data[len - 1] == '\r' || data[len - 1] == ' '))
		len--;
	for (size_t i = 0; i < len; i++)
		text[i] = isprint(data[i]) ? (char)data[i] : '?';
	text[len] = '\0';
	if (regexec(&status_line, text, 0, NULL, 0) != 0)
		*text = '\0';
}

static void check_verdict(const struct heard *heard, const char *line)
{
	const int status = *line ? atoi(line + strlen("HTTP/1.x ")) : 0;

	assert(heard->passed == ((status >= 200 && status <= 299) || status == 404));
	for (const char *c = heard->output; *c; c++)
		assert(isprint((unsigned char)*c));
	if (*line)
		assert(strncmp(line + strlen("HTTP/1.x "), heard->output,
			       sizeof(heard->output) - 1) == 0);
	else
		assert(heard->n == 0 || strcmp(heard->output, "not HTTP") == 0 ||
		       strcmp(heard->output, "closed without a reply") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char line[LIMIT_CHECK_READ + 1];
	struct heard heard;
	size_t piece;
	bool closes;

	if (size < 3 || size > SIZE_MAX_HERE)
		return 0;
	if (!base)
		start();
	piece = data[0] ? data[0] : size;
	closes = data[1] & 1;
	data += 2;
	size -= 2;
	read_line(data, size, line);
	check(data, size, piece, closes, &heard);
	assert(heard.n == 1 || (!closes && !*line));
	check_verdict(&heard, line);
	return 0;
}
