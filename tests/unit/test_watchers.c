/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/watchers.h"

#include "api/native.h"
#include "base/clock.h"
#include "model/codec.h"

#include <arpa/inet.h>
#include <check.h>
#include <event2/event.h>
#include <fcntl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	PATIENCE_MS = 50000, /* of a test; far more than anything takes */
	COMMENT_MS = 100,
	REVISION = 1000,
	FIRST_TEXT = 4096, /* of a client; it doubles */
	SMALL = 8192,      /* of a socket's buffer */
	NEARBY = 4096,     /* nothing that is looked for is longer */
};

static struct event_base *base;
static struct httpd *httpd;
static struct counters counters;
static struct sockaddr_in door;
static struct registry *registry;
static struct events *events;
static struct watchers *watchers;
static struct api api;
static bool is_idle;

/* ---- The server's side ---- */

static size_t on_count_watchers(void *cookie)
{
	(void)cookie;
	return watchers_count(watchers);
}

static void on_changed(void *cookie, enum event_kind kind, const struct service *service,
		       const struct instance *instance)
{
	(void)cookie;
	events_put(events, kind, service, instance);
}

static void on_request(void *cookie, struct httpd_request *owed, const struct api_request *request)
{
	struct api_reply reply;

	(void)cookie;
	api_handle(&api, native_routes, native_n_routes, request, clock_mono_ms(), &reply);
	if (reply.watch.wait) {
		watchers_start(watchers, owed, &reply.watch);
		return;
	}
	httpd_reply(owed, &reply);
	api_reply_fini(&reply);
}

static void on_idle(void *cookie)
{
	(void)cookie;
	is_idle = true;
}

static void start(unsigned comment_ms)
{
	const struct registry_options options = {
		.revision = REVISION, .ttl_s = 5, .counters = &counters, .changed = on_changed
	};
	const struct sockaddr_in any = { .sin_family = AF_INET,
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(door);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	signal(SIGPIPE, SIG_IGN);
	memset(&counters, 0, sizeof(counters));
	is_idle = false;
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&any, sizeof(any)), 0);
	ck_assert_int_eq(listen(fd, 1024), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&door, &len), 0);
	base = event_base_new();
	httpd = httpd_new(base, &counters, PATIENCE_MS, on_request, NULL);
	ck_assert_int_eq(httpd_accept(httpd, fd, NULL), 0);
	registry = registry_new(&options);
	events = events_new(REVISION);
	watchers = watchers_new(base, events, &counters, REVISION, comment_ms);
	ck_assert(registry && events && watchers);
	api = (struct api){ .registry = registry,
			    .events = events,
			    .counters = &counters,
			    .count_watchers = on_count_watchers };
}

static void set_up(void)
{
	start(PATIENCE_MS * 10);
}

static void set_up_talkative(void)
{
	start(COMMENT_MS);
}

static void tear_down(void)
{
	watchers_free(watchers);
	httpd_free(httpd);
	event_base_free(base);
	registry_free(registry);
	events_free(events);
}

static void enroll(const char *service)
{
	char text[128];
	struct codec_error error;
	struct outcome outcome;
	struct change change = { .kind = CHANGE_REGISTER };
	json_t *json;

	snprintf(text, sizeof(text),
		 "{\"name\":\"%s\",\"id\":\"i\",\"ip\":\"10.0.0.1\",\"port\":1}", service);
	json = codec_load(text, strlen(text), &error);
	change.registration = codec_registration(json, &error);
	json_decref(json);
	ck_assert_int_eq(registry_apply(registry, &change, 1, &outcome), REGISTRY_CREATED);
}

/* One change of a service that is enrolled, not published. */
static void flip(const char *service)
{
	const struct instance *instance =
		registry_find_instance(registry, registry_find_service(registry, service), "i");
	const enum status status =
		instance->status == STATUS_PASSING ? STATUS_CRITICAL : STATUS_PASSING;
	const struct change change = {
		.kind = CHANGE_HEARTBEAT,
		.heartbeat = { .service = service, .id = "i", .status = &status },
	};
	struct outcome outcome;

	ck_assert_int_eq(registry_apply(registry, &change, 1, &outcome), REGISTRY_UPDATED);
}

static void publish(void)
{
	watchers_publish(watchers, registry_revision(registry));
}

/* ---- The client's side ---- */

struct client {
	int fd;
	size_t len, cap; /* of the text, without the end of the string */
	bool is_closed;  /* end of file, or reset */
	char *text;
};

/* Room for twice as much. As there are many clients, none has more than it needs. */
static void grow(struct client *client)
{
	client->cap = client->cap ? 2 * client->cap : FIRST_TEXT;
	client->text = realloc(client->text, client->cap + 1);
	ck_assert_ptr_nonnull(client->text);
	client->text[client->len] = '\0';
}

static struct client *client_new(const char *path, const char *header)
{
	struct client *client = calloc(1, sizeof(*client));
	const int small = SMALL;
	char text[512];
	int len = snprintf(text, sizeof(text), "GET /registry/%s HTTP/1.1\r\nHost: a\r\n%s\r\n",
			   path, header);

	ck_assert_ptr_nonnull(client);
	grow(client);
	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	ck_assert_int_eq(connect(client->fd, (struct sockaddr *)&door, sizeof(door)), 0);
	ck_assert_int_eq(fcntl(client->fd, F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(send(client->fd, text, (size_t)len, MSG_NOSIGNAL), len);
	return client;
}

static void client_free(struct client *client)
{
	close(client->fd);
	free(client->text);
	free(client);
}

/* Lets the server work, and takes what it sent; waits a moment where there is nothing. */
static void pump(struct client *client)
{
	struct pollfd ready = { .fd = client->fd, .events = POLLIN };
	ssize_t n;

	event_base_loop(base, EVLOOP_NONBLOCK);
	if (client->is_closed || poll(&ready, 1, 1) <= 0)
		return;
	if (client->len == client->cap)
		grow(client);
	n = recv(client->fd, client->text + client->len, client->cap - client->len, 0);
	if (n > 0)
		client->len += (size_t)n;
	else
		client->is_closed = true;
	client->text[client->len] = '\0';
}

static void expect(struct client *client, const char *text)
{
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;
	size_t seen = 0;

	while (!strstr(client->text + seen, text)) {
		seen = client->len > NEARBY ? client->len - NEARBY : 0;
		ck_assert_msg(clock_mono_ms() < end_ms && !client->is_closed,
			      "no \"%s\" but \"%.2000s\"", text, client->text);
		pump(client);
	}
}

static void expect_closed(struct client *client)
{
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	while (!client->is_closed) {
		ck_assert_msg(clock_mono_ms() < end_ms, "still open");
		pump(client);
	}
}

static void expect_watchers(size_t n, struct client *other)
{
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	while (watchers_count(watchers) != n) {
		ck_assert_msg(clock_mono_ms() < end_ms, "%zu watchers, not %zu: %.300s",
			      watchers_count(watchers), n, other->text);
		pump(other);
	}
}

/* Lets the server do all that it can do now. */
static void settle(struct client *client)
{
	for (int i = 0; i < 20; i++)
		pump(client);
}

static struct client *watch(const char *query, const char *header)
{
	char path[128];
	struct client *client;

	snprintf(path, sizeof(path), "watch?%s", query);
	client = client_new(path, header);
	expect(client, "retry: 1000\nid: ");
	return client;
}

/* The revision of the next whole event from *text on, which is moved behind it; 0: none. */
static uint64_t next_revision(const char **text)
{
	size_t len = strnlen(*text, NEARBY);
	const char *event = memmem(*text, len, "\nevent: ", 8);
	const char *id = event, *end = memmem(*text, len, "}\n\n", 3);

	if (!event || !end)
		return 0;
	*text = end + 3;
	while (*--id != ' ')
		;
	return strtoull(id, NULL, 10);
}

/* Each of first..last once, in steps, and nothing else. */
static void check_events(const struct client *client, uint64_t first, uint64_t last, uint64_t step)
{
	const char *text = client->text;

	for (uint64_t wanted = first; wanted <= last; wanted += step)
		ck_assert_uint_eq(next_revision(&text), wanted);
	ck_assert_uint_eq(next_revision(&text), 0);
}

static void expect_revision(struct client *client, uint64_t revision)
{
	char text[48];

	snprintf(text, sizeof(text), "data: {\"revision\":%llu,", (unsigned long long)revision);
	expect(client, text);
	settle(client);
}

/* ---- Streams ---- */

START_TEST(tells_each_change_once_in_order)
{
	struct client *all = watch("", ""), *one = watch("service=a", "");

	enroll("a");
	enroll("b");
	publish();
	for (int i = 0; i < 500; i++) {
		flip("a");
		flip("b");
		if (i % 7 == 0)
			publish();
		pump(all);
	}
	publish();
	expect_revision(all, REVISION + 1002);
	expect_revision(one, REVISION + 1001);
	check_events(all, REVISION + 1, REVISION + 1002, 1);
	check_events(one, REVISION + 1, REVISION + 1001, 2);
	client_free(all);
	client_free(one);
}
END_TEST

/* Even if it knows of it, as the reply of a write is not out yet. */
START_TEST(tells_nothing_before_it_is_published)
{
	struct client *early = watch("", ""), *late;

	enroll("a");
	late = watch("since=1001", "");
	settle(early);
	settle(late);
	check_events(early, 1, 0, 1);
	publish();
	expect_revision(early, REVISION + 1);
	flip("a");
	publish();
	expect_revision(late, REVISION + 2);
	check_events(late, REVISION + 2, REVISION + 2, 1);
	client_free(early);
	client_free(late);
}
END_TEST

/* By the query, by the header, which is the newer one, and where it was another service's. */
START_TEST(resumes_where_it_was)
{
	static const struct {
		const char *query, *header;
		uint64_t first, step;
	} cases[] = {
		{ "since=1000", "", 1001, 1 },
		{ "since=1004", "", 1005, 1 },
		{ "since=1000", "Last-Event-ID: 1007\r\n", 1008, 1 },
		{ "service=a&since=1003", "", 1005, 2 },
		{ "service=a&since=1004", "", 1005, 2 },
		{ "service=A&since=1000", "", 1001, 2 },
		{ "service=c&since=1000", "", 1021, 1 },
		{ "", "", 1021, 1 },
	};
	struct client *client;
	size_t n = sizeof(cases) / sizeof(cases[0]);

	enroll("a");
	enroll("b");
	for (int i = 0; i < 9; i++) {
		flip("a");
		flip("b");
	}
	publish();
	for (size_t i = 0; i < n; i++) {
		client = watch(cases[i].query, cases[i].header);
		settle(client);
		check_events(client, cases[i].first, 1020, cases[i].step);
		client_free(client);
	}
}
END_TEST

/* More than a portion, more than a reader may have waiting. */
START_TEST(a_reader_far_behind_catches_up)
{
	struct client *client;

	enroll("a");
	for (int i = 0; i < 20000; i++)
		flip("a");
	publish();
	client = watch("since=1000", "");
	expect_revision(client, REVISION + 20001);
	check_events(client, REVISION + 1, REVISION + 20001, 1);
	ck_assert_uint_eq(counters.limit_watch_output, 0);
	client_free(client);
}
END_TEST

/* And gets the rest when it comes again; meanwhile another one gets everything. */
START_TEST(a_reader_that_stalls_is_cut)
{
	struct client *stalled = watch("", ""), *other = watch("", ""), *again;
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS, newest, seen = 0;
	const char *text;
	char header[64];

	enroll("a");
	while (counters.limit_watch_output == 0) {
		ck_assert_uint_lt(clock_mono_ms(), end_ms);
		for (int i = 0; i < 50 && registry_revision(registry) < 60000; i++)
			flip("a");
		publish();
		pump(other);
	}
	newest = registry_revision(registry);
	expect_revision(other, newest);
	check_events(other, REVISION + 1, newest, 1);
	ck_assert_uint_eq(counters.limit_watch_output, 1);
	expect_watchers(1, other);

	/* What was sent to it is what the kernel had taken. */
	expect_closed(stalled);
	text = stalled->text;
	for (uint64_t revision; (revision = next_revision(&text)); seen = revision)
		ck_assert_uint_eq(revision, seen ? seen + 1 : REVISION + 1);
	ck_assert_uint_lt(seen, newest);
	snprintf(header, sizeof(header), "Last-Event-ID: %llu\r\n", (unsigned long long)seen);
	again = watch("", header);
	expect_revision(again, newest);
	check_events(again, seen + 1, newest, 1);
	client_free(stalled);
	client_free(other);
	client_free(again);
}
END_TEST

START_TEST(a_revision_too_old_is_410)
{
	struct client *client, *quiet = watch("service=quiet", ""), *poll_client;

	enroll("quiet");
	enroll("a");
	publish();
	expect_revision(quiet, REVISION + 1);
	for (int i = 0; i < LIMIT_EVENTS; i++)
		flip("a");
	publish();
	client = client_new("watch?since=1001", "");
	expect(client, "HTTP/1.1 410 ");
	expect(client, "read /registry/services again");
	client_free(client);
	client = client_new("watch?index=1001&service=a", "");
	expect(client, "HTTP/1.1 410 ");
	client_free(client);
	client = client_new("watch?since=99999999", "");
	expect(client, "HTTP/1.1 410 ");
	client_free(client);
	ck_assert_uint_eq(counters.limit_events, 3);
	client = watch("since=1002", "");
	client_free(client);

	/* Nothing has happened to this one since. */
	client = watch("service=quiet&since=1001", "");
	poll_client = client_new("watch?service=quiet&index=1001", "");
	expect_watchers(3, poll_client);
	flip("quiet");
	publish();
	expect_revision(client, REVISION + 3 + LIMIT_EVENTS);
	check_events(client, REVISION + 3 + LIMIT_EVENTS, REVISION + 3 + LIMIT_EVENTS, 1);
	expect_revision(quiet, REVISION + 3 + LIMIT_EVENTS);
	expect(poll_client, "\"index\":132075}");
	client_free(client);
	client_free(quiet);
	client_free(poll_client);
}
END_TEST

/* Faster than anybody can be told. */
START_TEST(who_missed_events_is_cut)
{
	struct client *all = watch("", ""), *one = watch("service=b", "");
	struct client *polling = client_new("watch?service=c&index=1000", "");

	expect_watchers(3, polling);
	enroll("a");
	for (int i = 0; i <= LIMIT_EVENTS; i++)
		flip("a");
	publish();
	expect_closed(all);
	expect_closed(one);
	expect(polling, "HTTP/1.1 410 ");
	expect_watchers(0, polling);
	client_free(all);
	client_free(one);
	client_free(polling);
}
END_TEST

/* Not even what is published is in the ring. */
START_TEST(who_comes_amid_more_changes_than_are_kept)
{
	static const char *const queries[] = { "service=quiet&index=1001", "wait=1s",
					       "index=1002" };
	struct client *client;

	enroll("quiet");
	enroll("a");
	publish();
	for (int i = 0; i <= LIMIT_EVENTS; i++)
		flip("a");
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		char path[64];

		snprintf(path, sizeof(path), "watch?%s", queries[i]);
		client = client_new(path, "");
		expect(client, "HTTP/1.1 410 ");
		client_free(client);
	}
	client = client_new("watch", "");
	expect_closed(client);
	client_free(client);
}
END_TEST

START_TEST(a_quiet_stream_is_kept_alive)
{
	struct client *client = watch("service=b", "");

	expect(client, ":\nid: 1000\n\n");
	enroll("a");
	publish();
	expect(client, ":\nid: 1001\n\n");
	check_events(client, 1, 0, 1);
	client_free(client);
}
END_TEST

/* ---- Long polls ---- */

START_TEST(a_poll_waits_for_its_own_service)
{
	struct client *client = client_new("watch?service=a&index=1000&wait=5m", "");

	expect_watchers(1, client);
	enroll("b");
	publish();
	settle(client);
	ck_assert_uint_eq(client->len, 0);
	enroll("a");
	publish();
	expect(client, "{\"events\":[{\"revision\":1002,\"event\":\"registered\",");
	expect(client, "}],\"index\":1002}");
	ck_assert_uint_eq(watchers_count(watchers), 0);
	client_free(client);
}
END_TEST

START_TEST(a_poll_is_answered_at_once_where_it_can_be)
{
	struct client *client;

	enroll("a");
	enroll("b");
	publish();
	client = client_new("watch?service=a&index=1000&wait=5m", "");
	expect(client, "\"revision\":1001,");
	expect(client, "}],\"index\":1002}");
	client_free(client);
	client = client_new("watch?wait=5m", "");
	expect(client, "{\"events\":[],\"index\":1002}");
	client_free(client);
	client = client_new("watch?service=a&index=1001&wait=0", "");
	expect(client, "{\"events\":[],\"index\":1001}");
	client_free(client);
}
END_TEST

START_TEST(a_poll_ends_with_the_index_it_had)
{
	struct client *client = client_new("watch?service=a&index=1000&wait=100ms", "");
	uint64_t start_ms = clock_mono_ms();

	expect_watchers(1, client);
	enroll("b");
	publish();
	expect(client, "HTTP/1.1 200 OK");
	expect(client, "{\"events\":[],\"index\":1000}");
	ck_assert_uint_ge(clock_mono_ms() - start_ms, 50);
	client_free(client);
}
END_TEST

START_TEST(a_poll_goes_on_where_its_limit_was)
{
	struct client *client;

	enroll("a");
	for (int i = 0; i < LIMIT_WATCH_EVENTS; i++)
		flip("a");
	publish();
	client = client_new("watch?index=1000&wait=5m", "");
	expect(client, "}],\"index\":2000}");
	client_free(client);
	client = client_new("watch?index=2000&wait=5m", "");
	expect(client, "{\"events\":[{\"revision\":2001,");
	client_free(client);
}
END_TEST

START_TEST(who_leaves_a_poll_is_forgotten)
{
	struct client *client = client_new("watch?index=1000&wait=5m", "");
	struct client *other = watch("", "");

	expect_watchers(2, other);
	client_free(client);
	expect_watchers(1, other);
	client_free(other);
}
END_TEST

/* ---- Bounds, and the end ---- */

START_TEST(too_many_are_refused)
{
	static struct client *clients[LIMIT_WATCHERS];
	struct client *extra;
	struct rlimit files;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = files.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	for (size_t i = 0; i < LIMIT_WATCHERS; i++) {
		clients[i] = client_new(i % 2 ? "watch" : "watch?index=1000&wait=5m", "");
		expect_watchers(i + 1, clients[i]);
	}
	extra = client_new("watch", "");
	expect(extra, "HTTP/1.1 503 ");
	ck_assert_uint_eq(counters.limit_watchers, 1);
	client_free(extra);
	client_free(clients[0]);
	expect_watchers(LIMIT_WATCHERS - 1, clients[1]);
	extra = watch("", "");
	client_free(extra);
	for (size_t i = 1; i < LIMIT_WATCHERS; i++)
		client_free(clients[i]);
}
END_TEST

START_TEST(draining_ends_all)
{
	struct client *stream = watch("service=a", "");
	struct client *polling = client_new("watch?service=b&index=1000", "");

	expect_watchers(2, polling);
	httpd_drain(httpd, on_idle, NULL);
	watchers_drain(watchers);
	ck_assert_uint_eq(watchers_count(watchers), 0);
	expect_closed(stream);
	ck_assert_ptr_nonnull(strstr(stream->text, "\r\n0\r\n\r\n"));
	expect_closed(polling);
	ck_assert_ptr_nonnull(strstr(polling->text, "{\"events\":[],\"index\":1000}"));
	ck_assert(is_idle);
	client_free(stream);
	client_free(polling);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("watchers");
	TCase *patient = tcase_create("patient"), *talkative = tcase_create("talkative");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, patient);
	tcase_add_checked_fixture(patient, set_up, tear_down);
	tcase_set_timeout(patient, 120);
	tcase_add_test(patient, tells_each_change_once_in_order);
	tcase_add_test(patient, tells_nothing_before_it_is_published);
	tcase_add_test(patient, resumes_where_it_was);
	tcase_add_test(patient, a_reader_far_behind_catches_up);
	tcase_add_test(patient, a_reader_that_stalls_is_cut);
	tcase_add_test(patient, a_revision_too_old_is_410);
	tcase_add_test(patient, who_missed_events_is_cut);
	tcase_add_test(patient, who_comes_amid_more_changes_than_are_kept);
	tcase_add_test(patient, a_poll_waits_for_its_own_service);
	tcase_add_test(patient, a_poll_is_answered_at_once_where_it_can_be);
	tcase_add_test(patient, a_poll_ends_with_the_index_it_had);
	tcase_add_test(patient, a_poll_goes_on_where_its_limit_was);
	tcase_add_test(patient, who_leaves_a_poll_is_forgotten);
	tcase_add_test(patient, too_many_are_refused);
	tcase_add_test(patient, draining_ends_all);

	suite_add_tcase(suite, talkative);
	tcase_add_checked_fixture(talkative, set_up_talkative, tear_down);
	tcase_set_timeout(talkative, 60);
	tcase_add_test(talkative, a_quiet_stream_is_kept_alive);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
