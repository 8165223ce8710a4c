/* SPDX-License-Identifier: BSD-2-Clause */
/* Zones over HTTP, to clients of every kind. */
#include "../lib/world.h"
#include "app/zone_streams.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <check.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	PATIENCE_MS = 20000, /* of a test; far more than anything takes */
	REQUEST_MS = 100,
	INSTANCES = 500,
	META = 30, /* texts of 200 octets: the zone is larger than sockets hold */
	SMALL = 4096,
	CAP_TEXT = 1 << 26,
};

static struct world world;
static struct event_base *base;
static struct httpd *httpd;
static struct zone_streams *streams;
static struct counters counters;
static struct sockaddr_in door;
static struct api_zone zone;
static bool is_idle;
static char message[WORLD_MESSAGE_TEXT];

static const char zone_end[] = " records\n\r\n0\r\n\r\n";

/* ---- The server's side ---- */

static void on_request(void *cookie, struct httpd_request *owed, const struct api_request *request)
{
	(void)cookie, (void)request;
	zone_streams_start(streams, owed, &zone);
}

static void on_idle(void *cookie)
{
	(void)cookie;
	is_idle = true;
}

static void add_instances(void)
{
	struct buf text;

	world.is_held = true;
	for (int i = 0; i < INSTANCES; i++) {
		buf_init(&text);
		buf_print(&text,
			  "{\"name\":\"s%d\",\"id\":\"i\",\"ip\":\"10.0.0.1\",\"port\":1,"
			  "\"meta\":{\"k\":\"\"",
			  i);
		for (int m = 0; m < META; m++)
			buf_print(&text, ",\"k%d\":\"%0200d\"", m, m);
		buf_print(&text, "}}");
		ck_assert_msg(world_register(&world, text.data, message) == 201, "%s", message);
		buf_fini(&text);
	}
	world.is_held = false;
	world_release(&world);
}

static void start(unsigned request_ms)
{
	struct world_zone served = { .origin = (char[]){ "service.local" } };
	const struct sockaddr_in any = { .sin_family = AF_INET,
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(door);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	signal(SIGPIPE, SIG_IGN);
	is_idle = false;
	world_init(&world, 3);
	ck_assert_int_eq(world_add_zone(&world, &served, message, sizeof(message)), 0);
	add_instances();
	zone.len = name_parse("service.local", zone.origin);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&any, sizeof(any)), 0);
	ck_assert_int_eq(listen(fd, 64), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&door, &len), 0);
	base = event_base_new();
	httpd = httpd_new(base, &counters, PATIENCE_MS, on_request, NULL);
	ck_assert_int_eq(httpd_accept(httpd, fd, NULL), 0);
	streams = zone_streams_new(base, world.catalog, &counters, request_ms);
	ck_assert_ptr_nonnull(streams);
}

static void set_up(void)
{
	start(PATIENCE_MS);
}

static void set_up_impatient(void)
{
	start(REQUEST_MS);
}

static void tear_down(void)
{
	zone_streams_free(streams);
	httpd_free(httpd);
	event_base_free(base);
	world_fini(&world);
}

/* ---- The client's side ---- */

struct client {
	int fd;
	size_t len;
	bool is_closed;
	char *text;
};

static struct client *client_new(void)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
	struct client *client = calloc(1, sizeof(*client));
	const int small = SMALL;

	client->text = malloc(CAP_TEXT + 1);
	*client->text = '\0';
	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	ck_assert_int_eq(connect(client->fd, (struct sockaddr *)&door, sizeof(door)), 0);
	ck_assert_int_eq(fcntl(client->fd, F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(send(client->fd, request, strlen(request), MSG_NOSIGNAL),
			 (ssize_t)strlen(request));
	return client;
}

static void client_free(struct client *client)
{
	close(client->fd);
	free(client->text);
	free(client);
}

/* Lets the server work, and takes what it sent: at most so much. */
static void pump(struct client *client, size_t max)
{
	struct pollfd ready = { .fd = client->fd, .events = POLLIN };
	ssize_t n;

	event_base_loop(base, EVLOOP_NONBLOCK);
	if (client->is_closed || poll(&ready, 1, 1) <= 0)
		return;
	n = recv(client->fd, client->text + client->len,
		 max < CAP_TEXT - client->len ? max : CAP_TEXT - client->len, 0);
	if (n > 0)
		client->len += (size_t)n;
	else
		client->is_closed = true;
	client->text[client->len] = '\0';
}

/* Reads the beginning of the reply and no more. */
static void read_status(struct client *client)
{
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	while (!strstr(client->text, "\r\n")) {
		ck_assert_msg(clock_mono_ms() < end_ms && !client->is_closed, "%s", client->text);
		pump(client, 64);
	}
}

static void expect_status(struct client *client, const char *status)
{
	read_status(client);
	ck_assert_msg(strncmp(client->text + 9, status, 3) == 0, "%s", client->text);
}

static void read_to_end(struct client *client)
{
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	while (!client->is_closed) {
		ck_assert_msg(clock_mono_ms() < end_ms, "still open");
		pump(client, SIZE_MAX);
	}
}

static bool is_whole(const struct client *client)
{
	return client->len > sizeof(zone_end) &&
	       strcmp(client->text + client->len - strlen(zone_end), zone_end) == 0;
}

static void serve_until(const bool *condition, const _Atomic uint64_t *counter)
{
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	while (!(condition ? *condition : *counter > 0)) {
		ck_assert_msg(clock_mono_ms() < end_ms, "it does not come");
		event_base_loop(base, EVLOOP_ONCE);
	}
}

/* ---- Tests ---- */

START_TEST(a_zone_comes_whole)
{
	struct client *client = client_new();
	size_t n = 0;

	read_to_end(client);
	expect_status(client, "200");
	ck_assert_ptr_nonnull(strstr(client->text, "\r\nContent-Type: text/dns\r\n"));
	ck_assert(is_whole(client));
	/* Chunks may break a line, but few of them do. */
	for (const char *at = client->text; (at = strstr(at, "\tIN\tSRV\t10 100 1 i.s")); at++)
		n++;
	ck_assert_uint_ge(n, 3 * INSTANCES - 100);
	client_free(client);
}
END_TEST

START_TEST(who_stalls_is_cut)
{
	struct client *client = client_new();

	expect_status(client, "200");
	serve_until(NULL, &counters.limit_http_request_ms);
	read_to_end(client);
	ck_assert(!is_whole(client));
	client_free(client);
}
END_TEST

/* One that gets in: those that have left may still be on their way out. */
static struct client *begin(void)
{
	uint64_t refused = counters.limit_zone_streams, end_ms = clock_mono_ms() + PATIENCE_MS;
	struct client *client;

	for (;;) {
		client = client_new();
		read_status(client);
		if (strncmp(client->text + 9, "200", 3) == 0)
			break;
		ck_assert_msg(clock_mono_ms() < end_ms, "there is never room");
		client_free(client);
	}
	counters.limit_zone_streams = refused;
	return client;
}

/* Those that leave make room, whether their thread prints or waits. */
START_TEST(four_at_a_time)
{
	struct client *clients[LIMIT_ZONE_STREAMS], *last;

	for (unsigned round = 0; round < 10; round++) {
		for (size_t i = 0; i < LIMIT_ZONE_STREAMS; i++)
			clients[i] = begin();
		last = client_new();
		expect_status(last, "503");
		ck_assert_uint_eq(counters.limit_zone_streams, round + 1);
		client_free(last);
		for (size_t i = 0; i < LIMIT_ZONE_STREAMS; i++)
			client_free(clients[i]);
	}
	last = begin();
	read_to_end(last);
	ck_assert(is_whole(last));
	client_free(last);
}
END_TEST

START_TEST(draining_cuts)
{
	struct client *client = client_new();

	expect_status(client, "200");
	httpd_drain(httpd, on_idle, NULL);
	serve_until(&is_idle, NULL);
	read_to_end(client);
	ck_assert(!is_whole(client));
	client_free(client);
}
END_TEST

START_TEST(a_zone_that_goes_breaks_off)
{
	struct world_zone other = { .origin = (char[]){ "other.local" } };
	struct client *client = client_new();

	expect_status(client, "200");
	ck_assert_int_eq(world_add_zone(&world, &other, message, sizeof(message)), 0);
	world_drop_zone(&world, "service.local");
	read_to_end(client);
	ck_assert(!is_whole(client));
	client_free(client);
}
END_TEST

START_TEST(the_end_waits_for_threads_alone)
{
	struct client *printing, *waiting = client_new();

	expect_status(waiting, "200");
	printing = client_new();
	expect_status(printing, "200");
	tear_down();
	client_free(waiting);
	client_free(printing);
	set_up();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("zone_streams");
	TCase *patient = tcase_create("patient"), *impatient = tcase_create("impatient");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(patient, set_up, tear_down);
	tcase_add_checked_fixture(impatient, set_up_impatient, tear_down);
	tcase_set_timeout(patient, 60);
	tcase_set_timeout(impatient, 60);
	tcase_add_test(patient, a_zone_comes_whole);
	tcase_add_test(patient, four_at_a_time);
	tcase_add_test(patient, draining_cuts);
	tcase_add_test(patient, a_zone_that_goes_breaks_off);
	tcase_add_test(patient, the_end_waits_for_threads_alone);
	tcase_add_test(impatient, who_stalls_is_cut);
	suite_add_tcase(suite, patient);
	suite_add_tcase(suite, impatient);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
