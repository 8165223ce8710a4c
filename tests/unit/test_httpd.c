/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/httpd.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <check.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST "Host: a\r\n"
#define GET  "GET /a HTTP/1.1\r\n" HOST "\r\n"

enum {
	PATIENCE_MS = 50000, /* of a test; far more than anything takes */
	SHORT_MS = 150,
	BIG = 2 * 1024 * 1024,
	CAP_TEXT = 1 << 16,
};

static struct event_base *base;
static struct httpd *httpd;
static struct counters counters;
static struct sockaddr_in door;
static struct httpd_request *owed; /* the newest that was put off */
static bool put_off, is_other, is_page, is_stream, is_idle;
static size_t n_asked, n_drained, n_ended;

/* ---- The server's side ---- */

static void send_reply(struct httpd_request *to, const char *body, size_t body_len)
{
	const struct api_reply reply = {
		.status = 200, .content_type = "text/plain", .body = body, .body_len = body_len
	};

	httpd_reply(to, &reply);
}

/* Tells what was asked: "1 /a?q <body>". */
static void echo(struct httpd_request *to, const struct api_request *request)
{
	char text[256];
	int len = snprintf(text, sizeof(text), "%d %s?%s %.*s", (int)request->method, request->path,
			   request->query ? request->query : "", (int)request->body_len,
			   request->body ? request->body : "");

	send_reply(to, text, (size_t)len);
}

static void on_drained(void *cookie)
{
	ck_assert_ptr_eq(cookie, &n_drained);
	n_drained++;
}

static void on_end(void *cookie)
{
	ck_assert_ptr_eq(cookie, &n_drained);
	n_ended++;
}

static void on_request(void *cookie, struct httpd_request *to, const struct api_request *request)
{
	ck_assert_ptr_eq(cookie, &door);
	ck_assert(request->caller->has_v4);
	ck_assert_mem_eq(request->caller->v4, "\x7f\x00\x00\x01", 4);
	n_asked++;
	if (is_stream) {
		const struct httpd_stream_hooks hooks = { .on_drained = on_drained,
							  .on_end = on_end,
							  .cookie = &n_drained };

		owed = to;
		ck_assert_int_eq(httpd_stream_start(to, "text/event-stream", &hooks), 0);
	} else if (put_off) {
		owed = to;
	} else if (is_page) {
		static const struct api_header headers[] = { { "X-One", "1" },
							     { "X-Two", "2; 3" },
							     { NULL, NULL } };
		const struct api_reply reply = { .status = request->if_none_match ? 304 : 200,
						 .content_type = "text/plain",
						 .body = "page",
						 .body_len = 4,
						 .headers = headers,
						 .etag = "\"7\"" };

		httpd_reply(to, &reply);
	} else if (is_other) {
		const struct api_reply reply = { .status = 405,
						 .content_type = "text/plain",
						 .body = "other",
						 .body_len = 5,
						 .allow = "GET, POST" };

		ck_assert_int_eq(request->method, API_OTHER);
		httpd_reply(to, &reply);
	} else {
		echo(to, request);
	}
}

static void on_idle(void *cookie)
{
	ck_assert_ptr_eq(cookie, &is_idle);
	ck_assert(!is_idle);
	is_idle = true;
}

static void start(unsigned request_ms)
{
	const struct sockaddr_in any = { .sin_family = AF_INET,
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(door);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	signal(SIGPIPE, SIG_IGN);
	memset(&counters, 0, sizeof(counters));
	owed = NULL;
	put_off = is_other = is_page = is_stream = is_idle = false;
	n_asked = n_drained = n_ended = 0;
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&any, sizeof(any)), 0);
	ck_assert_int_eq(listen(fd, 1024), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&door, &len), 0);
	base = event_base_new();
	httpd = httpd_new(base, &counters, request_ms, on_request, &door);
	ck_assert_ptr_nonnull(httpd);
	ck_assert_int_eq(httpd_accept(httpd, fd, NULL), 0);
}

static void set_up(void)
{
	start(PATIENCE_MS * 10);
}

static void set_up_hasty(void)
{
	start(SHORT_MS);
}

static void tear_down(void)
{
	httpd_free(httpd);
	event_base_free(base);
}

/* ---- The client's side ---- */

struct client {
	int fd;
	size_t len;
	bool is_closed; /* end of file, or reset */
	char text[CAP_TEXT + 1];
};

static struct client *client_new(void)
{
	struct client *client = calloc(1, sizeof(*client));

	ck_assert_ptr_nonnull(client);
	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(client->fd, 0);
	ck_assert_int_eq(connect(client->fd, (struct sockaddr *)&door, sizeof(door)), 0);
	ck_assert_int_eq(fcntl(client->fd, F_SETFL, O_NONBLOCK), 0);
	return client;
}

static void client_free(struct client *client)
{
	close(client->fd);
	free(client);
}

/* Lets the server work, and takes what it sent; waits a moment where there is nothing. */
static void pump(struct client *client)
{
	struct pollfd ready = { .fd = client->fd, .events = POLLIN };
	ssize_t n;

	event_base_loop(base, EVLOOP_NONBLOCK);
	if (client->is_closed || poll(&ready, 1, 5) <= 0)
		return;
	n = recv(client->fd, client->text + client->len, CAP_TEXT - client->len, 0);
	if (n > 0)
		client->len += (size_t)n;
	else
		client->is_closed = true;
	client->text[client->len] = '\0';
}

/* Sends, letting the server work where it has to read first. */
static void say_octets(struct client *client, const char *text, size_t len)
{
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	while (len > 0) {
		ssize_t n = send(client->fd, text, len, MSG_NOSIGNAL);

		ck_assert_msg(clock_mono_ms() < end_ms, "the server does not read");
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
		pump(client);
	}
}

static void say(struct client *client, const char *text)
{
	say_octets(client, text, strlen(text));
}

/* Octet by octet. */
static void trickle(struct client *client, const char *text)
{
	for (; *text; text++) {
		ck_assert_int_eq(send(client->fd, text, 1, MSG_NOSIGNAL), 1);
		for (int i = 0; i < 3; i++)
			event_base_loop(base, EVLOOP_NONBLOCK);
	}
}

static void expect(struct client *client, const char *text)
{
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	while (!strstr(client->text, text)) {
		ck_assert_msg(clock_mono_ms() < end_ms && !client->is_closed,
			      "no \"%s\" but \"%s\"%s", text, client->text,
			      client->is_closed ? ", closed" : "");
		pump(client);
	}
}

static void expect_closed(struct client *client)
{
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	while (!client->is_closed) {
		ck_assert_msg(clock_mono_ms() < end_ms, "still open: \"%s\"", client->text);
		pump(client);
	}
}

static void expect_asked(struct client *client, size_t n)
{
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	while (n_asked < n) {
		ck_assert_msg(clock_mono_ms() < end_ms, "%zu requests", n_asked);
		pump(client);
	}
}

static void expect_count(struct client *client, const size_t *count, size_t n)
{
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	while (*count < n) {
		ck_assert_msg(clock_mono_ms() < end_ms, "%zu of %zu", *count, n);
		pump(client);
	}
}

static void expect_idle(struct client *client)
{
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	while (!is_idle) {
		ck_assert_msg(clock_mono_ms() < end_ms, "the server does not get idle");
		pump(client);
	}
}

static void forget(struct client *client)
{
	client->len = 0;
	client->text[0] = '\0';
}

/* ---- Requests and replies ---- */

START_TEST(answers_and_keeps_alive)
{
	struct client *client = client_new();

	say(client, "POST /a/b?c=d HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello");
	expect(client, "\r\n\r\n1 /a/b?c=d hello");
	ck_assert_ptr_eq(strstr(client->text, "HTTP/1.1 200 OK\r\nDate: "), client->text);
	ck_assert_ptr_nonnull(strstr(client->text, "Content-Length: 16\r\n"));
	ck_assert_ptr_nonnull(strstr(client->text, "Content-Type: text/plain\r\n"));
	ck_assert_ptr_null(strstr(client->text, "Connection:"));
	forget(client);
	say(client, "DELETE /x HTTP/1.1\r\n" HOST
		    "Content-Length: 3\r\n\r\nabcGET /y HTTP/1.1\r\n" HOST "\r\n");
	expect(client, "3 /x? abc");
	expect(client, "0 /y? ");
	ck_assert_uint_eq(counters.http_2xx, 3);
	client_free(client);
}
END_TEST

START_TEST(head_has_no_body)
{
	struct client *client = client_new();

	say(client, "HEAD /a HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
	expect_closed(client);
	ck_assert_ptr_nonnull(strstr(client->text, "Content-Length: 6\r\n"));
	ck_assert_ptr_nonnull(strstr(client->text, "Connection: close\r\n"));
	ck_assert_str_eq(strstr(client->text, "\r\n\r\n"), "\r\n\r\n");
	client_free(client);
}
END_TEST

START_TEST(replies_have_headers_of_their_own)
{
	struct client *client = client_new();

	is_page = true;
	say(client, "GET /a HTTP/1.1\r\n" HOST "\r\n");
	expect(client, "page");
	ck_assert_ptr_nonnull(strstr(client->text, "\r\nETag: \"7\"\r\n"));
	ck_assert_ptr_nonnull(strstr(client->text, "\r\nX-One: 1\r\n"));
	ck_assert_ptr_nonnull(strstr(client->text, "\r\nX-Two: 2; 3\r\n"));
	client_free(client);
}
END_TEST

START_TEST(what_the_client_has_is_not_sent_again)
{
	struct client *client = client_new();

	is_page = true;
	say(client, "GET /a HTTP/1.1\r\n" HOST "If-None-Match: \"7\"\r\nConnection: close\r\n\r\n");
	expect_closed(client);
	ck_assert_ptr_eq(strstr(client->text, "HTTP/1.1 304 Not Modified\r\n"), client->text);
	ck_assert_ptr_nonnull(strstr(client->text, "\r\nETag: \"7\"\r\n"));
	ck_assert_str_eq(strstr(client->text, "\r\n\r\n"), "\r\n\r\n");
	ck_assert_uint_eq(counters.http_3xx, 1);
	client_free(client);
}
END_TEST

/* Of the methods that api/ has no name for some have one in evhttp, some not. */
START_TEST(other_methods_reach_the_api)
{
	static const char *const methods[] = { "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get" };
	struct client *client = client_new();
	char text[64];

	is_other = true;
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		snprintf(text, sizeof(text), "%s / HTTP/1.1\r\n" HOST "\r\n", methods[i]);
		say(client, text);
		expect(client, "other");
		ck_assert_ptr_eq(strstr(client->text, "HTTP/1.1 405 Method Not Allowed\r\n"),
				 client->text);
		ck_assert_ptr_nonnull(strstr(client->text, "Allow: GET, POST\r\n"));
		forget(client);
	}
	client_free(client);
}
END_TEST

START_TEST(octet_by_octet)
{
	static const char text[] = "\r\nPUT /a?b HTTP/1.1\r\n" HOST
				   "Content-Length: 2\r\n\r\nxyGET /c HTTP/1.1\r\n" HOST "\r\n";
	struct client *client = client_new();

	trickle(client, text);
	expect(client, "2 /a?b xy");
	expect(client, "0 /c? ");
	client_free(client);
}
END_TEST

START_TEST(reads_targets)
{
	static const struct {
		const char *target, *heard;
	} cases[] = {
		{ "/", "0 /? " },
		{ "/a%20b/:c?d=%26", "0 /a%20b/:c?d=%26 " },
		{ "/a?", "0 /a? " },
		{ "*", "0 *? " },
		{ "/?a?b/:", "0 /?a?b/: " },
		{ "/a..b/...?/../", "0 /a..b/...?/../ " },
	};
	char text[128];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct client *client = client_new();

		snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n" HOST "\r\n", cases[i].target);
		say(client, text);
		expect(client, cases[i].heard);
		client_free(client);
	}
}
END_TEST

START_TEST(http_1_0)
{
	struct client *client = client_new();

	say(client, "GET /a HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n\r\n");
	expect(client, "Connection: keep-alive\r\n");
	expect(client, "0 /a? ");
	say(client, "GET /b HTTP/1.0\r\n" HOST "\r\n");
	expect_closed(client);
	ck_assert_ptr_nonnull(strstr(client->text, "0 /b? "));
	client_free(client);
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_order)
{
	struct client *client = client_new();

	put_off = true;
	say(client, "GET /1 HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n" HOST "\r\n");
	expect_asked(client, 1);
	pump(client);
	ck_assert_uint_eq(n_asked, 1);
	send_reply(owed, "one", 3);
	ck_assert_uint_eq(n_asked, 1);
	expect_asked(client, 2);
	send_reply(owed, "two", 3);
	expect(client, "two");
	ck_assert(strstr(client->text, "one") < strstr(client->text, "two"));
	client_free(client);
}
END_TEST

START_TEST(many_pipelined_requests)
{
	enum {
		MANY = 2000,
	};
	struct client *client = client_new();
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	for (size_t i = 0; i < MANY; i++) {
		say(client, GET);
		if (client->len > CAP_TEXT / 2)
			forget(client);
	}
	while (n_asked < MANY && clock_mono_ms() < end_ms)
		pump(client);
	ck_assert_uint_eq(n_asked, MANY);
	client_free(client);
}
END_TEST

START_TEST(says_continue)
{
	struct client *client = client_new();

	say(client, "POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	expect(client, "HTTP/1.1 100 Continue\r\n\r\n");
	say(client, "ok");
	expect(client, "1 /? ok");
	client_free(client);
}
END_TEST

/* ---- What is refused ---- */

static void expect_error(struct client *client, const char *status, const char *code)
{
	char text[64];

	snprintf(text, sizeof(text), "HTTP/1.1 %s", status);
	expect(client, text);
	snprintf(text, sizeof(text), "{\"error\":{\"code\":\"%s\"", code);
	expect(client, text);
	ck_assert_ptr_nonnull(strstr(client->text, "Connection: close\r\n"));
	ck_assert_ptr_nonnull(strstr(client->text, "Content-Type: application/json\r\n"));
	expect_closed(client);
	ck_assert_uint_eq(n_asked, 0);
	client_free(client);
}

START_TEST(a_long_body_is_413)
{
	struct client *client = client_new();
	char *body = calloc(1, BIG);

	ck_assert_ptr_nonnull(body);
	say(client, "POST / HTTP/1.1\r\n" HOST "Content-Length: 2097152\r\n\r\n");
	say_octets(client, body, BIG);
	free(body);
	expect_error(client, "413", "too-large");
}
END_TEST

/* However long it goes on. */
START_TEST(a_chunked_body_is_501)
{
	struct client *client = client_new();
	char *body = calloc(1, BIG);

	ck_assert_ptr_nonnull(body);
	say(client, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n200000\r\n");
	say_octets(client, body, BIG);
	say(client, "\r\n0\r\n\r\n");
	free(body);
	expect_error(client, "501", "not-implemented");
}
END_TEST

START_TEST(a_long_body_is_413_before_it_is_sent)
{
	struct client *client = client_new();

	say(client,
	    "POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2097152\r\n\r\n");
	expect_error(client, "413", "too-large");
}
END_TEST

static const struct {
	const char *text, *status;
} refused[] = {
	{ "GET / HTTP/1.1\n" HOST "\r\n", "400" },
	{ "GET / HTTP/1.1\r\nHost: a\n\r\n", "400" },
	{ "\nGET / HTTP/1.1\r\n" HOST "\r\n", "400" },
	{ "GET /\r\n\r\n", "400" },
	{ "GET  / HTTP/1.1\r\n" HOST "\r\n", "400" },
	{ "GET / HTTP/1.1 \r\n" HOST "\r\n", "400" },
	{ "GET / x HTTP/1.1\r\n" HOST "\r\n", "400" },
	{ " GET / HTTP/1.1\r\n" HOST "\r\n", "400" },
	{ "G@T / HTTP/1.1\r\n" HOST "\r\n", "400" },
	{ "GET a HTTP/1.1\r\n" HOST "\r\n", "400" },
	{ "GET //a HTTP/1.1\r\n" HOST "\r\n", "400" },
	{ "GET http://[/ HTTP/1.1\r\n" HOST "\r\n", "400" },
	{ "GET http://h:x/ HTTP/1.1\r\n" HOST "\r\n", "400" },
	{ "GET /#f HTTP/1.1\r\n" HOST "\r\n", "400" },
	{ "GET /\x80 HTTP/1.1\r\n" HOST "\r\n", "400" },
	{ "GET /\tb HTTP/1.1\r\n" HOST "\r\n", "400" },
	{ "GET / HTTP/2.0\r\n" HOST "\r\n", "400" },
	{ "GET / HTTP/1.99999\r\n" HOST "\r\n", "400" },
	{ "GET / FTP/1.1\r\n" HOST "\r\n", "400" },
	{ "A / HTTP/1.1\r\n" HOST "\r\n", "501" },
	{ "CONNECT /a HTTP/1.1\r\n" HOST "\r\n", "501" },
	{ "CONNECT a:80 HTTP/1.1\r\n" HOST "\r\n", "400" },
	{ "HEAD / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx", "501" },
	{ "PROPFIND / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx", "501" },
	{ "GET / HTTP/1.1\r\n\r\n", "400" },
	{ "GET / HTTP/1.0\r\n\r\n", "400" },
	{ "GET http://h/ HTTP/1.1\r\n" HOST "\r\n", "400" },
	{ "GET /../a HTTP/1.1\r\n" HOST "\r\n", "400" },
	{ "GET /a/.. HTTP/1.1\r\n" HOST "\r\n", "400" },
	{ "GET /a/%2E./b HTTP/1.1\r\n" HOST "\r\n", "400" },
	{ "GET /a/..?b HTTP/1.1\r\n" HOST "\r\n", "400" },
	{ "GET / HTTP/1.1\r\n" HOST HOST "\r\n", "400" },
	{ "GET / HTTP/1.0\r\n" HOST HOST "\r\n", "400" },
	{ "GET / HTTP/1.1\r\n" HOST "no colon\r\n\r\n", "400" },
	{ "GET / HTTP/1.1\r\n" HOST ": empty\r\n\r\n", "400" },
	{ "GET / HTTP/1.1\r\n" HOST "A : blank\r\n\r\n", "400" },
	{ "GET / HTTP/1.1\r\n" HOST "A: b\r\n folded\r\n\r\n", "400" },
	{ "GET / HTTP/1.1\r\n" HOST "A: b\x01\r\n\r\n", "400" },
	{ "GET / HTTP/1.1\r\n" HOST "A: b\rc\r\n\r\n", "400" },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", "400" },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length : 1\r\n\r\nx", "400" },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length:\t1\r\n\r\nx", "400" },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: +3\r\n\r\n", "400" },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: -3\r\n\r\n", "400" },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 3, 3\r\n\r\n", "400" },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x3\r\n\r\n", "400" },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", "400" },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 1048577\r\n\r\n", "413" },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999999999\r\n\r\n", "413" },
	{ "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n", "501" },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
	  "501" },
	{ "POST / HTTP/1.1\r\n" HOST "Expect: a pony\r\n\r\n", "417" },
	{ "POST / HTTP/1.1\r\n" HOST "Expect:\t100-continue\r\n\r\n", "417" },
};

/* Whole, and octet by octet with a good request in front. */
START_TEST(refuses)
{
	struct client *client = client_new(), *slow = client_new();
	char status[32];

	snprintf(status, sizeof(status), "HTTP/1.1 %s ", refused[_i].status);
	say(client, refused[_i].text);
	expect(client, "}}");
	ck_assert_msg(strstr(client->text, status) == client->text, "%s: %s", refused[_i].text,
		      client->text);
	expect_closed(client);
	ck_assert_ptr_nonnull(strstr(client->text, "\r\n\r\n{\"error\":{\"code\":"));
	ck_assert_ptr_nonnull(strstr(client->text, "Content-Type: application/json\r\n"));
	ck_assert_uint_eq(n_asked, 0);
	client_free(client);

	say(slow, GET);
	trickle(slow, refused[_i].text);
	expect_closed(slow);
	ck_assert_ptr_nonnull(strstr(slow->text, "0 /a? "));
	ck_assert_ptr_nonnull(strstr(slow->text, status));
	ck_assert_uint_eq(n_asked, 1);
	client_free(slow);
	ck_assert_uint_eq(counters.http_2xx, 1);
	ck_assert_uint_eq(counters.http_4xx + counters.http_5xx, 2);
	ck_assert_uint_eq(counters.limit_http_body, strcmp(refused[_i].status, "413") == 0 ? 2 : 0);
	ck_assert_uint_eq(counters.limit_http_headers,
			  strcmp(refused[_i].status, "431") == 0 ? 2 : 0);
}
END_TEST

START_TEST(a_nul_is_400)
{
	static const char text[] = "GET / HTTP/1.1\r\n" HOST "A: b\0c\r\n\r\n";
	struct client *client = client_new();

	say_octets(client, text, sizeof(text) - 1);
	expect_error(client, "400", "bad-request");
}
END_TEST

START_TEST(a_long_head_is_431)
{
	struct client *client = client_new();

	say(client, "GET / HTTP/1.1\r\n" HOST);
	for (size_t i = 0; i < LIMIT_HTTP_HEADERS / 8; i++)
		say(client, "A: 345\r\n");
	expect_error(client, "431", "headers-too-large");
}
END_TEST

START_TEST(what_is_no_request_is_400)
{
	struct client *client = client_new();

	say(client, "\x16\x03\x01 hello\r\n\r\n");
	expect_error(client, "400", "bad-request");
}
END_TEST

START_TEST(a_refusal_waits_for_the_reply_before_it)
{
	struct client *client = client_new();

	put_off = true;
	say(client, GET "nonsense\r\n\r\n");
	expect_asked(client, 1);
	send_reply(owed, "first", 5);
	expect(client, "bad-request");
	ck_assert(strstr(client->text, "first") < strstr(client->text, "bad-request"));
	client_free(client);
}
END_TEST

/* ---- Clients that leave ---- */

/* By an end of file, and by a reset. */
START_TEST(a_client_that_leaves_before_its_reply)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	struct client *client = client_new(), *other = client_new();

	put_off = true;
	say(client, GET);
	expect_asked(client, 1);
	if (_i)
		setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	client_free(client);
	for (int i = 0; i < 5; i++)
		pump(other);
	httpd_drain(httpd, on_idle, &is_idle);
	expect_closed(other);
	ck_assert(!is_idle);
	send_reply(owed, "late", 4);
	expect_idle(other);
	client_free(other);
}
END_TEST

START_TEST(a_client_that_only_stops_sending_gets_its_reply)
{
	struct client *client = client_new();

	put_off = true;
	say(client, GET);
	shutdown(client->fd, SHUT_WR);
	expect_asked(client, 1);
	for (int i = 0; i < 5; i++)
		pump(client);
	send_reply(owed, "late", 4);
	expect_closed(client);
	ck_assert_ptr_nonnull(strstr(client->text, "\r\n\r\nlate"));
	client_free(client);
}
END_TEST

START_TEST(free_drops_what_is_owed)
{
	struct client *client = client_new();

	put_off = true;
	say(client, GET);
	expect_asked(client, 1);
	client_free(client);
}
END_TEST

/* ---- Deadlines and bounds ---- */

START_TEST(a_request_that_trickles_is_cut)
{
	struct client *client = client_new();
	uint64_t start_ms = clock_mono_ms();

	for (size_t i = 0; !client->is_closed; i++) {
		ck_assert_uint_lt(clock_mono_ms() - start_ms, PATIENCE_MS);
		send(client->fd, &GET[i < 10 ? i : 10], 1, MSG_NOSIGNAL);
		pump(client);
	}
	ck_assert_uint_ge(clock_mono_ms() - start_ms, SHORT_MS / 2);
	ck_assert_uint_eq(client->len, 0);
	ck_assert_uint_eq(counters.limit_http_request_ms, 1);
	client_free(client);
}
END_TEST

START_TEST(an_idle_connection_is_closed)
{
	struct client *fresh = client_new(), *used = client_new();

	say(used, GET);
	expect(used, "0 /a? ");
	expect_closed(fresh);
	expect_closed(used);
	ck_assert_uint_eq(counters.limit_http_request_ms, 0);
	client_free(fresh);
	client_free(used);
}
END_TEST

START_TEST(a_late_reply_is_not_the_clients_fault)
{
	struct client *client = client_new();
	uint64_t end_ms;

	put_off = true;
	say(client, GET);
	expect_asked(client, 1);
	end_ms = clock_mono_ms() + 2 * SHORT_MS;
	while (clock_mono_ms() < end_ms)
		pump(client);
	ck_assert(!client->is_closed);
	send_reply(owed, "late", 4);
	expect(client, "late");
	client_free(client);
}
END_TEST

/* It may go on sending, to have the time to read why, but not for ever; nor is it waited for. */
START_TEST(a_refused_client_that_stays_is_cut)
{
	struct client *client = client_new();
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	say(client, "nonsense\r\n\r\n");
	expect(client, "bad-request");
	expect_closed(client);
	ck_assert_int_eq(send(client->fd, "x", 1, MSG_NOSIGNAL), 1);
	httpd_drain(httpd, on_idle, &is_idle);
	ck_assert(is_idle);
	while (send(client->fd, "x", 1, MSG_NOSIGNAL) == 1) {
		ck_assert_uint_lt(clock_mono_ms(), end_ms);
		event_base_loop(base, EVLOOP_ONCE);
	}
	ck_assert_uint_eq(counters.http_4xx, 1);
	client_free(client);
}
END_TEST

START_TEST(a_reply_that_nobody_reads_is_dropped)
{
	struct client *client = client_new(), *other = client_new();
	const size_t len = 16 * 1024 * 1024; /* more than the buffers of both sockets */
	char *body = calloc(1, len);

	ck_assert_ptr_nonnull(body);
	put_off = true;
	say(client, GET);
	expect_asked(other, 1);
	httpd_drain(httpd, on_idle, &is_idle);
	ck_assert(!is_idle);
	send_reply(owed, body, len);
	free(body);
	expect_idle(other);
	client_free(client);
	client_free(other);
}
END_TEST

/* Asks for a reply of `len` octets, and returns what came of it so far. */
static const char *ask_for(struct client *client, const char *body, size_t len)
{
	forget(client);
	say(client, GET);
	while (!owed)
		pump(client);
	send_reply(owed, body, len);
	owed = NULL;
	expect(client, "\r\n\r\n");
	return client->text;
}

START_TEST(slow_readers_of_long_replies_take_bounded_memory)
{
	static struct client *clients[4];
	const size_t n = sizeof(clients) / sizeof(clients[0]), len = LIMIT_HTTP_WAITING / n;
	const uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;
	struct client *other = client_new();
	char *body = malloc(len);
	const char *reply;

	ck_assert_ptr_nonnull(body);
	memset(body, 'x', len);
	put_off = true;
	for (size_t i = 0; i < n; i++) {
		clients[i] = client_new();
		ck_assert_ptr_nonnull(strstr(ask_for(clients[i], body, len), "200 OK"));
	}
	ck_assert_ptr_nonnull(strstr(ask_for(other, body, len), "HTTP/1.1 503 "));
	ck_assert_uint_eq(counters.limit_http_waiting, 1);
	ck_assert_ptr_nonnull(strstr(ask_for(other, body, LIMIT_HTTP_SINGLE / 2), "200 OK"));
	for (size_t i = 0; i < n; i++)
		client_free(clients[i]);
	client_free(other);
	/* Once they are gone there is room again. */
	do {
		ck_assert_uint_lt(clock_mono_ms(), end_ms);
		other = client_new();
		reply = strstr(ask_for(other, body, len), "200 OK");
		client_free(other);
	} while (!reply);
	free(body);
}
END_TEST

START_TEST(bounds_connections)
{
	static int fds[LIMIT_HTTP_CONNECTIONS];
	struct rlimit files;
	struct client *extra;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = files.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	for (size_t i = 0; i < LIMIT_HTTP_CONNECTIONS; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		ck_assert_int_eq(connect(fds[i], (struct sockaddr *)&door, sizeof(door)), 0);
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	extra = client_new();
	expect_closed(extra);
	ck_assert_uint_eq(counters.limit_http_connections, 1);
	client_free(extra);
	close(fds[0]);
	for (int i = 0; i < 5; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	extra = client_new();
	say(extra, GET);
	expect(extra, "0 /a? ");
	client_free(extra);
	for (size_t i = 1; i < LIMIT_HTTP_CONNECTIONS; i++)
		close(fds[i]);
}
END_TEST

/* ---- A lack of memory ---- */

static int allocations_left = INT_MAX; /* of libevent's, until there is no memory */

static bool is_there_memory(void)
{
	return allocations_left == INT_MAX || allocations_left-- > 0;
}

static void *some_memory(size_t size)
{
	return is_there_memory() ? malloc(size) : NULL;
}

static void *more_memory(void *memory, size_t size)
{
	return is_there_memory() ? realloc(memory, size) : NULL;
}

static void set_up_short_of_memory(void)
{
	event_set_mem_functions(some_memory, more_memory, free);
	set_up();
}

/*
 * There is none for a new connection: it is dropped, and the next one is answered. (Not much later
 * libevent 2.1.12 itself does not survive that.)
 */
START_TEST(drops_a_connection_that_there_is_no_memory_for)
{
	struct client *client = client_new(), *other;

	allocations_left = _i;
	pump(client);
	allocations_left = INT_MAX;
	other = client_new();
	say(other, GET);
	expect(other, "0 /a? ");
	client_free(other);
	client_free(client);
}
END_TEST

START_TEST(survives_a_lack_of_descriptors)
{
	struct client *client = client_new();
	struct rlimit files, none;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	none = files;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (int i = 0; i < 3; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	say(client, GET);
	expect(client, "0 /a? ");
	client_free(client);
}
END_TEST

/* ---- Replies without an end ---- */

static struct client *start_stream(const char *text)
{
	struct client *client = client_new();

	is_stream = true;
	say(client, text);
	expect(client, "Content-Type: text/event-stream\r\n");
	ck_assert_ptr_nonnull(strstr(client->text, "Connection: close\r\n"));
	is_stream = false;
	return client;
}

START_TEST(a_stream_is_sent_in_chunks)
{
	struct client *client = start_stream(GET), *other = client_new();

	ck_assert_ptr_nonnull(strstr(client->text, "Transfer-Encoding: chunked\r\n"));
	ck_assert_int_eq(httpd_stream_send(owed, "hello", 5), 0);
	expect(client, "\r\n\r\n5\r\nhello\r\n");
	expect_count(client, &n_drained, 1);
	ck_assert_uint_eq(httpd_stream_waiting(owed), 0);
	ck_assert_int_eq(httpd_stream_send(owed, "a", 1), 0);
	ck_assert_int_eq(httpd_stream_send(owed, "b", 1), 0);
	expect(client, "1\r\na\r\n1\r\nb\r\n");
	say(other, GET);
	expect(other, "0 /a? ");
	httpd_stream_end(owed);
	expect_closed(client);
	ck_assert_ptr_nonnull(strstr(client->text, "b\r\n0\r\n\r\n"));
	ck_assert_uint_eq(n_ended, 0);
	client_free(client);
	client_free(other);
}
END_TEST

/* With octets on their way, and without. */
START_TEST(a_stream_to_http_1_0_ends_with_the_connection)
{
	struct client *client = start_stream("GET / HTTP/1.0\r\n" HOST "\r\n");

	ck_assert_ptr_null(strstr(client->text, "Transfer-Encoding"));
	ck_assert_int_eq(httpd_stream_send(owed, "hello", 5), 0);
	if (_i)
		expect_count(client, &n_drained, 1);
	httpd_stream_end(owed);
	expect_closed(client);
	ck_assert_str_eq(strstr(client->text, "\r\n\r\n"), "\r\n\r\nhello");
	client_free(client);
}
END_TEST

/* By an end of file, by a reset, and behind octets that nobody reads. */
START_TEST(a_client_that_leaves_its_stream_is_noticed)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	struct client *client = start_stream(GET), *other = client_new();
	char *junk = calloc(1, BIG);

	ck_assert_ptr_nonnull(junk);
	if (_i == 1)
		setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (_i == 2)
		say_octets(client, junk, BIG);
	free(junk);
	client_free(client);
	expect_count(other, &n_ended, 1);
	say(other, GET);
	expect(other, "0 /a? ");
	ck_assert_uint_eq(n_ended, 1);
	client_free(other);
}
END_TEST

START_TEST(tells_what_a_stream_has_waiting)
{
	const size_t len = 16 * 1024 * 1024; /* more than the buffers of both sockets */
	struct client *client = start_stream(GET);
	char *octets = calloc(1, len);

	ck_assert_ptr_nonnull(octets);
	ck_assert_int_eq(httpd_stream_send(owed, octets, len), 0);
	free(octets);
	ck_assert_uint_ge(httpd_stream_waiting(owed), len);
	for (int i = 0; i < 10; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_uint_lt(httpd_stream_waiting(owed), len);
	ck_assert_uint_gt(httpd_stream_waiting(owed), 0);
	ck_assert_uint_eq(n_drained, 0);
	while (n_drained == 0) {
		forget(client);
		ck_assert(!client->is_closed);
		pump(client);
	}
	ck_assert_uint_eq(httpd_stream_waiting(owed), 0);
	httpd_stream_cut(owed);
	do
		forget(client);
	while (pump(client), !client->is_closed);
	ck_assert_uint_eq(n_ended, 0);
	client_free(client);
}
END_TEST

START_TEST(a_stream_has_no_deadline)
{
	struct client *client = start_stream(GET);
	uint64_t end_ms = clock_mono_ms() + 3 * SHORT_MS;

	while (clock_mono_ms() < end_ms)
		pump(client);
	ck_assert(!client->is_closed);
	ck_assert_int_eq(httpd_stream_send(owed, "late", 4), 0);
	expect(client, "late");
	client_free(client);
}
END_TEST

START_TEST(draining_ends_streams)
{
	struct client *client = start_stream(GET);

	ck_assert_int_eq(httpd_stream_send(owed, "last", 4), 0);
	httpd_drain(httpd, on_idle, &is_idle);
	ck_assert_uint_eq(n_ended, 1);
	ck_assert(!is_idle);
	expect_closed(client);
	ck_assert_ptr_nonnull(strstr(client->text, "last\r\n0\r\n\r\n"));
	expect_idle(client);
	client_free(client);
}
END_TEST

START_TEST(draining_waits_for_no_stalled_stream)
{
	const size_t len = 16 * 1024 * 1024;
	struct client *client = start_stream(GET), *other = client_new();
	char *octets = calloc(1, len);

	ck_assert_ptr_nonnull(octets);
	ck_assert_int_eq(httpd_stream_send(owed, octets, len), 0);
	free(octets);
	httpd_drain(httpd, on_idle, &is_idle);
	expect_idle(other);
	client_free(client);
	client_free(other);
}
END_TEST

START_TEST(free_drops_streams)
{
	client_free(start_stream(GET));
}
END_TEST

/* Also when it had been answered by then, or is only late. */
START_TEST(a_client_that_is_minded_is_seen_to_leave)
{
	struct client *client = client_new(), *other = client_new();

	put_off = true;
	say(client, GET);
	expect_asked(client, 1);
	httpd_mind(owed, on_end, &n_drained);
	if (_i == 0) {
		client_free(client);
		expect_count(other, &n_ended, 1);
		send_reply(owed, "late", 4);
	} else {
		say(client, GET);
		pump(client);
		send_reply(owed, "first", 5);
		expect(client, "first");
		expect_asked(client, 2);
		send_reply(owed, "second", 6);
		expect(client, "second");
		client_free(client);
	}
	put_off = false;
	say(other, GET);
	expect(other, "0 /a? ");
	ck_assert_uint_eq(n_ended, _i == 0);
	client_free(other);
}
END_TEST

/* ---- Draining ---- */

START_TEST(drains)
{
	struct client *idle = client_new(), *busy = client_new();

	say(idle, GET);
	expect(idle, "0 /a? ");
	put_off = true;
	say(busy, GET);
	expect_asked(busy, 2);
	httpd_drain(httpd, on_idle, &is_idle);
	ck_assert(!is_idle);
	expect_closed(idle);
	send_reply(owed, "last", 4);
	expect_closed(busy);
	ck_assert_ptr_nonnull(strstr(busy->text, "Connection: close\r\n"));
	ck_assert_ptr_nonnull(strstr(busy->text, "last"));
	expect_idle(busy);
	client_free(idle);
	client_free(busy);
	busy = calloc(1, sizeof(*busy));
	busy->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ne(connect(busy->fd, (struct sockaddr *)&door, sizeof(door)), 0);
	client_free(busy);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("httpd");
	TCase *patient = tcase_create("patient"), *hasty = tcase_create("hasty"),
	      *poor = tcase_create("poor");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, patient);
	tcase_add_checked_fixture(patient, set_up, tear_down);
	tcase_set_timeout(patient, 60);
	tcase_add_test(patient, answers_and_keeps_alive);
	tcase_add_test(patient, head_has_no_body);
	tcase_add_test(patient, replies_have_headers_of_their_own);
	tcase_add_test(patient, what_the_client_has_is_not_sent_again);
	tcase_add_test(patient, other_methods_reach_the_api);
	tcase_add_test(patient, octet_by_octet);
	tcase_add_test(patient, reads_targets);
	tcase_add_test(patient, http_1_0);
	tcase_add_test(patient, pipelined_requests_are_answered_in_order);
	tcase_add_test(patient, many_pipelined_requests);
	tcase_add_test(patient, says_continue);
	tcase_add_test(patient, a_long_body_is_413);
	tcase_add_test(patient, a_long_body_is_413_before_it_is_sent);
	tcase_add_test(patient, a_chunked_body_is_501);
	tcase_add_loop_test(patient, refuses, 0, (int)(sizeof(refused) / sizeof(refused[0])));
	tcase_add_test(patient, a_nul_is_400);
	tcase_add_test(patient, a_long_head_is_431);
	tcase_add_test(patient, what_is_no_request_is_400);
	tcase_add_test(patient, a_refusal_waits_for_the_reply_before_it);
	tcase_add_loop_test(patient, a_client_that_leaves_before_its_reply, 0, 2);
	tcase_add_test(patient, a_client_that_only_stops_sending_gets_its_reply);
	tcase_add_test(patient, free_drops_what_is_owed);
	tcase_add_test(patient, slow_readers_of_long_replies_take_bounded_memory);
	tcase_add_test(patient, bounds_connections);
	tcase_add_test(patient, survives_a_lack_of_descriptors);
	tcase_add_test(patient, drains);
	tcase_add_test(patient, a_stream_is_sent_in_chunks);
	tcase_add_loop_test(patient, a_stream_to_http_1_0_ends_with_the_connection, 0, 2);
	tcase_add_loop_test(patient, a_client_that_leaves_its_stream_is_noticed, 0, 3);
	tcase_add_test(patient, tells_what_a_stream_has_waiting);
	tcase_add_test(patient, draining_ends_streams);
	tcase_add_test(patient, free_drops_streams);
	tcase_add_loop_test(patient, a_client_that_is_minded_is_seen_to_leave, 0, 2);

	suite_add_tcase(suite, poor);
	tcase_add_checked_fixture(poor, set_up_short_of_memory, tear_down);
	tcase_set_timeout(poor, 60);
	tcase_add_loop_test(poor, drops_a_connection_that_there_is_no_memory_for, 0, 7);

	suite_add_tcase(suite, hasty);
	tcase_add_checked_fixture(hasty, set_up_hasty, tear_down);
	tcase_set_timeout(hasty, 60);
	tcase_add_test(hasty, a_request_that_trickles_is_cut);
	tcase_add_test(hasty, an_idle_connection_is_closed);
	tcase_add_test(hasty, a_late_reply_is_not_the_clients_fault);
	tcase_add_test(hasty, a_refused_client_that_stays_is_cut);
	tcase_add_test(hasty, a_reply_that_nobody_reads_is_dropped);
	tcase_add_test(hasty, a_stream_has_no_deadline);
	tcase_add_test(hasty, draining_waits_for_no_stalled_stream);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
