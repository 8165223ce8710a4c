/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/http.h"

#include <check.h>
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST "Host: a\r\n"

static struct http http;
static struct evbuffer *input;

static void set_up(void)
{
	input = evbuffer_new();
	ck_assert_ptr_nonnull(input);
	ck_assert_int_eq(http_init(&http), 0);
}

static void tear_down(void)
{
	http_fini(&http);
	evbuffer_free(input);
}

static enum http_result feed(const char *text)
{
	evbuffer_add(input, text, strlen(text));
	return http_parse(&http, input);
}

static void expect_body(const char *body)
{
	size_t len = evbuffer_get_length(http.body);
	const unsigned char *octets = evbuffer_pullup(http.body, -1);

	ck_assert_uint_eq(len, strlen(body));
	if (len)
		ck_assert_mem_eq(octets, body, len);
}

START_TEST(reads_a_request)
{
	ck_assert_int_eq(feed("GET /a/b?c=d&e HTTP/1.1\r\n" HOST "X-Y:\t z \r\n\r\n"), HTTP_DONE);
	ck_assert_int_eq(http.method, API_GET);
	ck_assert_str_eq(http.path, "/a/b");
	ck_assert_str_eq(http.query, "c=d&e");
	ck_assert(http.keep_alive && !http.is_1_0);
	expect_body("");
	http_next(&http);
	ck_assert(http_is_between(&http, input));
	ck_assert_int_eq(feed("DELETE / HTTP/1.0\r\n\r\n"), HTTP_DONE);
	ck_assert_int_eq(http.method, API_DELETE);
	ck_assert_ptr_null(http.query);
	ck_assert(!http.keep_alive && http.is_1_0);
}
END_TEST

START_TEST(reads_targets)
{
	static const struct {
		const char *target, *path, *query;
	} cases[] = {
		{ "http://h:80/a?b", "/a", "b" }, { "HTTP://h", "/", NULL },
		{ "http://h?q", "/", "q" },       { "*", "*", NULL },
		{ "//a", "//a", NULL },           { "/?", "/", "" },
	};
	char text[256];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n" HOST "\r\n", cases[i].target);
		ck_assert_msg(feed(text) == HTTP_DONE, "%s: %s", cases[i].target, http.reason);
		/* An absent path before a query leaves the root. */
		ck_assert_str_eq(http.path, cases[i].path);
		if (cases[i].query)
			ck_assert_str_eq(http.query, cases[i].query);
		else
			ck_assert_ptr_null(http.query);
		http_next(&http);
	}
}
END_TEST

START_TEST(keeps_alive_as_asked)
{
	static const struct {
		const char *version, *connection;
		bool keep_alive;
	} cases[] = {
		{ "1.1", "close", false },
		{ "1.1", "keep-alive", true },
		{ "1.1", "Upgrade, CLOSE", false },
		{ "1.0", "keep-alive", true },
		{ "1.0", "x", false },
		{ "1.1", "closer", true },
	};
	char text[256];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text), "GET / HTTP/%s\r\n" HOST "Connection: %s\r\n\r\n",
			 cases[i].version, cases[i].connection);
		ck_assert_int_eq(feed(text), HTTP_DONE);
		ck_assert_msg(http.keep_alive == cases[i].keep_alive, "%s", cases[i].connection);
		http_next(&http);
	}
}
END_TEST

START_TEST(reads_bodies)
{
	ck_assert_int_eq(feed("POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhel"),
			 HTTP_MORE);
	ck_assert(!http_is_between(&http, input));
	ck_assert_int_eq(feed("loGET"), HTTP_DONE);
	expect_body("hello");
	ck_assert_uint_eq(evbuffer_get_length(input), 3);
	http_next(&http);
	ck_assert_int_eq(feed(" / HTTP/1.1\r\n" HOST "content-length: 0\r\n\r\n"), HTTP_DONE);
	expect_body("");
}
END_TEST

START_TEST(reads_chunks)
{
	ck_assert_int_eq(
		feed("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n"
		     "5\r\nhello\r\n00A;x=\"y\"\r\n, world 12\r\n0\r\nTrailer: x\r\n\r\nG"),
		HTTP_DONE);
	expect_body("hello, world 12");
	ck_assert_uint_eq(evbuffer_get_length(input), 1);
}
END_TEST

/* Every way to cut a stream gives the same requests. */
START_TEST(octet_by_octet)
{
	static const char stream[] =
		"\r\nPUT /p HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
		"3\r\nabc\r\n1\r\nd\r\n0\r\nT: u\r\n\r\n"
		"POST /q HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nxy";
	unsigned n_done = 0;

	for (size_t i = 0; i + 1 < sizeof(stream); i++) {
		char octet[2] = { stream[i], '\0' };
		enum http_result result = feed(octet);

		ck_assert_int_ne(result, HTTP_REFUSED);
		if (result != HTTP_DONE)
			continue;
		ck_assert_str_eq(http.path, n_done == 0 ? "/p" : "/q");
		expect_body(n_done == 0 ? "abcd" : "xy");
		n_done++;
		http_next(&http);
	}
	ck_assert_uint_eq(n_done, 2);
}
END_TEST

START_TEST(says_when_the_client_waits)
{
	ck_assert_int_eq(feed("POST / HTTP/1.1\r\n" HOST
			      "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"),
			 HTTP_CONTINUE);
	ck_assert_int_eq(http_parse(&http, input), HTTP_MORE);
	ck_assert_int_eq(feed("ab"), HTTP_DONE);
	http_next(&http);
	ck_assert_int_eq(feed("POST / HTTP/1.1\r\n" HOST
			      "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nab"),
			 HTTP_DONE);
}
END_TEST

static const struct {
	const char *text;
	int status;
} refused[] = {
	{ "GET / HTTP/1.1\n" HOST "\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a\n\r\n", 400 },
	{ "\nGET / HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET /\r\n\r\n", 400 },
	{ "GET  / HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET / HTTP/1.1 \r\n" HOST "\r\n", 400 },
	{ "GET / x HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ " GET / HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "G@T / HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET a HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET /#f HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET /\x80 HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET /\tb HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET / HTTP/2.0\r\n" HOST "\r\n", 505 },
	{ "GET / HTTP/1.99999\r\n" HOST "\r\n", 400 },
	{ "GET / FTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET / HTTP/1.1\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400 },
	{ "GET / HTTP/1.0\r\n" HOST HOST "\r\n", 400 },
	{ "GET / HTTP/1.1\r\n" HOST "no colon\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\n" HOST ": empty\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\n" HOST "A : blank\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\n" HOST "A: b\r\n folded\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\n" HOST "A: b\x01\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\n" HOST "A: b\rc\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: +3\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 3, 3\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x3\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 1048577\r\n\r\n", 413 },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999999999\r\n\r\n", 413 },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
	  400 },
	{ "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501 },
	{ "POST / HTTP/1.1\r\n" HOST
	  "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
	  400 },
	{ "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\n" HOST "Expect: a pony\r\n\r\n", 417 },
#define CHUNKED "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
	{ CHUNKED "0x3\r\n", 400 },
	{ CHUNKED "+3\r\n", 400 },
	{ CHUNKED " 3\r\n", 400 },
	{ CHUNKED "\r\n", 400 },
	{ CHUNKED "3\nabc", 400 },
	{ CHUNKED "3 \r\nabc", 400 },
	{ CHUNKED "3\r\nabcd\r\n", 400 },
	{ CHUNKED "100001\r\n", 413 },
	{ CHUNKED "fffffffff\r\n", 400 },
};

START_TEST(refuses)
{
	enum http_result result = feed(refused[_i].text);

	/* What has no end yet is refused at the latest with its end. */
	if (result == HTTP_MORE)
		result = feed("\r\n\r\n");
	ck_assert_msg(result == HTTP_REFUSED, "%s", refused[_i].text);
	ck_assert_msg(http.status == refused[_i].status, "%s: %d %s", refused[_i].text, http.status,
		      http.reason);
	ck_assert(*http.reason);
	ck_assert_int_eq(feed("GET / HTTP/1.1\r\n" HOST "\r\n"), HTTP_REFUSED);
}
END_TEST

START_TEST(refuses_nul)
{
	static const char text[] = "GET / HTTP/1.1\r\n" HOST "A: b\0c\r\n\r\n";

	evbuffer_add(input, text, sizeof(text) - 1);
	ck_assert_int_eq(http_parse(&http, input), HTTP_REFUSED);
	ck_assert_int_eq(http.status, 400);
}
END_TEST

START_TEST(bounds_the_head)
{
	ck_assert_int_eq(feed("GET / HTTP/1.1\r\n" HOST), HTTP_MORE);
	for (size_t len = 25; len + 66 < LIMIT_HTTP_HEADERS; len += 66)
		ck_assert_int_eq(feed("A: 123456789012345678901234567890"
				      "1234567890123456789012345678901\r\n"),
				 HTTP_MORE);
	ck_assert_int_eq(feed("A: 123456789012345678901234567890"
			      "1234567890123456789012345678901\r\n"),
			 HTTP_REFUSED);
	ck_assert_int_eq(http.status, 431);
}
END_TEST

START_TEST(bounds_chunks_together)
{
	char *chunk = calloc(1, 0x80001);

	ck_assert_ptr_nonnull(chunk);
	memset(chunk, 'x', 0x80000);
	ck_assert_int_eq(feed(CHUNKED), HTTP_MORE);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(feed("80000\r\n"), HTTP_MORE);
		ck_assert_int_eq(feed(chunk), HTTP_MORE);
		ck_assert_int_eq(feed("\r\n"), HTTP_MORE);
	}
	free(chunk);
	ck_assert_int_eq(feed("1\r\n"), HTTP_REFUSED);
	ck_assert_int_eq(http.status, 413);
}
END_TEST

START_TEST(bounds_trailers)
{
	enum http_result result = feed(CHUNKED "0\r\n");

	for (size_t i = 0; i < LIMIT_HTTP_HEADERS && result == HTTP_MORE; i++)
		result = feed("Trailer: x\r\n");
	ck_assert_int_eq(result, HTTP_REFUSED);
	ck_assert_int_eq(http.status, 431);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http");
	TCase *tcase = tcase_create("http");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, reads_a_request);
	tcase_add_test(tcase, reads_targets);
	tcase_add_test(tcase, keeps_alive_as_asked);
	tcase_add_test(tcase, reads_bodies);
	tcase_add_test(tcase, reads_chunks);
	tcase_add_test(tcase, octet_by_octet);
	tcase_add_test(tcase, says_when_the_client_waits);
	tcase_add_loop_test(tcase, refuses, 0, (int)(sizeof(refused) / sizeof(refused[0])));
	tcase_add_test(tcase, refuses_nul);
	tcase_add_test(tcase, bounds_the_head);
	tcase_add_test(tcase, bounds_chunks_together);
	tcase_add_test(tcase, bounds_trailers);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
