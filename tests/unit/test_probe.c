/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/probe.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	PATIENCE_MS = 10000, /* of a test; far more than anything takes */
	TIMEOUT_MS = 100,
	INTERVAL_MS = 200,
};

/* ---- Targets: a listening socket and a thread that serves it ---- */

struct target {
	int fd;
	uint16_t port;
	const char *reply; /* sent at once; NULL: never */
	bool is_slow;      /* the reply goes on, octet by octet, for ever */
	bool is_endless;   /* the same, as fast as it can */
	bool hangs_up;     /* closes instead of a reply */
	pthread_t thread;
	atomic_bool is_over;
	atomic_uint n_served;
	char request[1024]; /* the newest */
};

static void read_request(struct target *target, int fd)
{
	size_t len = 0;

	while (len < sizeof(target->request) - 1) {
		ssize_t n = recv(fd, target->request + len, sizeof(target->request) - 1 - len, 0);

		if (n <= 0)
			return;
		len += (size_t)n;
		target->request[len] = '\0';
		if (strstr(target->request, "\r\n\r\n"))
			return;
	}
}

/* Waits until the peer has closed, sending more where that is wanted. */
static void serve_on(struct target *target, int fd)
{
	static const char more[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	struct pollfd peer = { .fd = fd, .events = POLLIN };
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;
	char octet;

	while (!target->is_over && clock_mono_ms() < end_ms) {
		if (poll(&peer, 1, target->is_endless ? 0 : 10) > 0 && recv(fd, &octet, 1, 0) <= 0)
			return;
		if (target->is_slow)
			send(fd, more, 1, MSG_NOSIGNAL);
		if (target->is_endless &&
		    send(fd, more, sizeof(more) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
		    errno != EAGAIN)
			return;
	}
}

static void *serve(void *cookie)
{
	struct target *target = cookie;
	struct pollfd ready = { .fd = target->fd, .events = POLLIN };

	while (!target->is_over) {
		int fd = poll(&ready, 1, 10) > 0 ? accept4(target->fd, NULL, NULL, SOCK_CLOEXEC)
						 : -1;

		if (fd < 0)
			continue;
		read_request(target, fd);
		atomic_fetch_add(&target->n_served, 1);
		if (target->reply)
			send(fd, target->reply, strlen(target->reply), MSG_NOSIGNAL);
		if (!target->hangs_up)
			serve_on(target, fd);
		close(fd);
	}
	return NULL;
}

/* A socket that listens on a free port of the loopback. */
static int open_listener(uint16_t *port, int family)
{
	struct sockaddr_storage any = { .ss_family = (sa_family_t)family };
	struct sockaddr_in *in = (struct sockaddr_in *)&any;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&any;
	socklen_t len = family == AF_INET ? sizeof(*in) : sizeof(*in6);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (family == AF_INET)
		in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		in6->sin6_addr = in6addr_loopback;
	if (bind(fd, (struct sockaddr *)&any, len) != 0) {
		close(fd);
		return -1;
	}
	ck_assert_int_eq(listen(fd, 16), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&any, &len), 0);
	*port = ntohs(family == AF_INET ? in->sin_port : in6->sin6_port);
	return fd;
}

static void target_start(struct target *target)
{
	if (!target->fd)
		target->fd = open_listener(&target->port, AF_INET);
	ck_assert_int_ge(target->fd, 0);
	ck_assert_int_eq(pthread_create(&target->thread, NULL, serve, target), 0);
}

static void target_stop(struct target *target)
{
	target->is_over = true;
	pthread_join(target->thread, NULL);
	close(target->fd);
}

/* ---- The prober ---- */

static struct queue *results;
static struct probe *probe;

/* A check with all that it points to. */
struct subject {
	struct registration registration;
	struct instance instance;
	struct check_spec spec;
	struct check check;
	char path[64];
};

static void subject_init(struct subject *subject, enum check_kind kind, uint16_t port)
{
	static uint64_t check_id;
	const char *reason;

	*subject = (struct subject){
		.path = "/health?x=1",
		.spec = { .kind = kind,
			  .port = port,
			  .path = kind == CHECK_HTTP ? subject->path : NULL,
			  .interval_ms = INTERVAL_MS,
			  .timeout_ms = TIMEOUT_MS },
		.instance = { .registration = &subject->registration },
		.check = { .check_id = ++check_id,
			   .instance = &subject->instance,
			   .spec = &subject->spec },
	};
	ck_assert(record_address_parse("127.0.0.1", &subject->registration.address, &reason));
}

static void set_up(void)
{
	results = queue_new();
	ck_assert_ptr_nonnull(results);
	probe = probe_new(results);
	ck_assert_ptr_nonnull(probe);
}

static void drop_results(void)
{
	struct queue_node *node = queue_take(results);

	while (node) {
		struct queue_node *next = node->next;

		free(node);
		node = next;
	}
}

static void tear_down(void)
{
	probe_free(probe);
	drop_results();
	queue_free(results);
}

/* The next result; later ones that came with it are dropped. NULL: none came in time. */
static struct probe_result *wait_for_result(int patience_ms)
{
	struct pollfd ready = { .fd = queue_fd(results), .events = POLLIN };
	struct queue_node *node, *next;

	if (poll(&ready, 1, patience_ms) <= 0)
		return NULL;
	node = queue_take(results);
	ck_assert_ptr_nonnull(node);
	for (next = node->next; next; next = node->next) {
		node->next = next->next;
		free(next);
	}
	return (struct probe_result *)node;
}

/* The first result of a check; the check is stopped. The caller frees. */
static struct probe_result *run_check(struct subject *subject)
{
	uint64_t before_ms = clock_mono_ms();
	struct probe_result *result;

	probe_start_check(probe, &subject->check);
	result = wait_for_result(PATIENCE_MS);
	ck_assert_ptr_nonnull(result);
	ck_assert_uint_eq(result->check_id, subject->check.check_id);
	ck_assert_uint_ge(result->start_ms, before_ms);
	ck_assert_uint_le(result->start_ms + result->latency_ms, clock_mono_ms());
	probe_stop_check(probe, subject->check.check_id);
	return result;
}

static void expect_result(struct subject *subject, bool passed, const char *output)
{
	struct probe_result *result = run_check(subject);

	ck_assert_str_eq(result->output, output);
	ck_assert(result->passed == passed);
	free(result);
}

static void expect_http(struct target *target, bool passed, const char *output)
{
	struct subject subject;

	target_start(target);
	subject_init(&subject, CHECK_HTTP, target->port);
	expect_result(&subject, passed, output);
	target_stop(target);
}

/* ---- HTTP ---- */

static const struct {
	const char *reply;
	bool passed;
	const char *output;
} replies[] = {
	{ "HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody", true, "200 OK" },
	{ "HTTP/1.0 204 \r\n\r\n", true, "204" },
	{ "HTTP/1.1 299\n", true, "299" },
	{ "HTTP/1.1 200 \x1b[31mred\x7f\xc3\xbc\r\n", true, "200 ?[31mred???" },
	{ "HTTP/1.1 503 Service Unavailable\r\n\r\n", false, "503 Service Unavailable" },
	{ "HTTP/1.1 301 Moved\r\nLocation: /ok\r\n\r\n", false, "301 Moved" },
	{ "HTTP/1.1 199 Odd\r\n", false, "199 Odd" },
	{ "HTTP/1.2 200 OK\r\n", false, "not HTTP" },
	{ "HTTP/1.1  200 OK\r\n", false, "not HTTP" },
	{ "HTTP/1.1 20 OK\r\n", false, "not HTTP" },
	{ "HTTP/1.1 2000 OK\r\n", false, "not HTTP" },
	{ "HTTP/1.1 2OO OK\r\n", false, "not HTTP" },
	{ "HTTP/1.1\r\n", false, "not HTTP" },
	{ "\r\n", false, "not HTTP" },
	{ "SSH-2.0-OpenSSH", false, "not HTTP" },
	{ "HTTX", false, "not HTTP" },
};

START_TEST(judges_status_lines)
{
	struct target target = { .reply = replies[_i].reply };

	expect_http(&target, replies[_i].passed, replies[_i].output);
}
END_TEST

START_TEST(asks_as_told)
{
	struct target target = { .reply = "HTTP/1.1 200 OK\r\n" };
	char host[64];

	expect_http(&target, true, "200 OK");
	snprintf(host, sizeof(host), "\r\nHost: 127.0.0.1:%u\r\n", target.port);
	ck_assert_ptr_eq(strstr(target.request, "GET /health?x=1 HTTP/1.1\r\n"), target.request);
	ck_assert_ptr_nonnull(strstr(target.request, host));
	ck_assert_ptr_nonnull(strstr(target.request, "\r\nUser-Agent: rosterd\r\n"));
	ck_assert_ptr_nonnull(strstr(target.request, "\r\nConnection: close\r\n"));
	ck_assert_uint_eq(target.n_served, 1);
}
END_TEST

START_TEST(a_target_that_closes)
{
	struct target target = { .hangs_up = true },
		      half = { .reply = "HTTP/1.1 20", .hangs_up = true };

	expect_http(&target, false, "closed without a reply");
	expect_http(&half, false, "not HTTP");
}
END_TEST

START_TEST(a_target_that_hangs)
{
	struct target target = { .reply = NULL };
	struct subject subject;
	struct probe_result *result;

	target_start(&target);
	subject_init(&subject, CHECK_HTTP, target.port);
	result = run_check(&subject);
	ck_assert_str_eq(result->output, "timeout after 100 ms");
	ck_assert(!result->passed);
	ck_assert_uint_ge(result->latency_ms, TIMEOUT_MS - 10);
	free(result);
	target_stop(&target);
}
END_TEST

START_TEST(a_target_that_trickles)
{
	struct target target = { .reply = "HTTP/1.1 200 ", .is_slow = true };

	expect_http(&target, false, "timeout after 100 ms");
}
END_TEST

START_TEST(a_target_that_never_ends_its_line)
{
	struct target target = { .reply = "HTTP/1.1 200 ", .is_endless = true };

	expect_http(&target, false, "not HTTP");
}
END_TEST

START_TEST(ipv6)
{
	struct target target = { .reply = "HTTP/1.1 200 OK\r\n" };
	struct subject subject;
	const char *reason;

	target.fd = open_listener(&target.port, AF_INET6);
	if (target.fd < 0)
		return; /* a host without it */
	target_start(&target);
	subject_init(&subject, CHECK_HTTP, target.port);
	subject.registration.address = (struct address){ .has_v4 = false };
	ck_assert(record_address_parse("::1", &subject.registration.address, &reason));
	expect_result(&subject, true, "200 OK");
	ck_assert_ptr_nonnull(strstr(target.request, "\r\nHost: [::1]:"));
	target_stop(&target);
}
END_TEST

/* ---- TCP, and both ---- */

START_TEST(tcp_passes_on_a_connection)
{
	struct subject subject;
	uint16_t port;
	int fd = open_listener(&port, AF_INET);

	subject_init(&subject, CHECK_TCP, port);
	expect_result(&subject, true, "connected");
	close(fd);
}
END_TEST

START_TEST(nobody_listens)
{
	struct subject tcp, http;
	uint16_t port;

	close(open_listener(&port, AF_INET));
	subject_init(&tcp, CHECK_TCP, port);
	expect_result(&tcp, false, "connection refused");
	subject_init(&http, CHECK_HTTP, port);
	expect_result(&http, false, "connection refused");
}
END_TEST

START_TEST(runs_again_every_interval)
{
	struct subject subject;
	uint64_t last_ms = 0;
	uint16_t port;
	int fd = open_listener(&port, AF_INET);

	subject_init(&subject, CHECK_TCP, port);
	probe_start_check(probe, &subject.check);
	for (size_t i = 0; i < 4; i++) {
		struct probe_result *result = wait_for_result(PATIENCE_MS);

		ck_assert_ptr_nonnull(result);
		if (last_ms)
			ck_assert_uint_ge(result->start_ms - last_ms, INTERVAL_MS * 8 / 10);
		last_ms = result->start_ms;
		free(result);
	}
	close(fd);
}
END_TEST

START_TEST(many_new_checks_all_run)
{
	enum {
		MANY = 200,
	};
	static struct subject subjects[MANY];
	size_t n_seen = 0, n_results = 0;
	bool seen[MANY] = { false };
	uint16_t port;

	close(open_listener(&port, AF_INET));
	for (size_t i = 0; i < MANY; i++) {
		subject_init(&subjects[i], CHECK_TCP, port);
		probe_start_check(probe, &subjects[i].check);
	}
	while (n_seen < MANY) {
		struct pollfd ready = { .fd = queue_fd(results), .events = POLLIN };
		struct queue_node *node;

		ck_assert_int_eq(poll(&ready, 1, PATIENCE_MS), 1);
		node = queue_take(results);
		while (node) {
			struct probe_result *result = (struct probe_result *)node;
			uint64_t i = result->check_id - subjects[0].check.check_id;

			node = node->next;
			ck_assert_uint_lt(i, MANY);
			n_seen += !seen[i];
			seen[i] = true;
			n_results++;
			free(result);
		}
		ck_assert_uint_lt(n_results, 100 * MANY);
	}
}
END_TEST

/* ---- Stopping ---- */

START_TEST(a_stopped_check_says_nothing_more)
{
	struct target target = { .reply = NULL };
	struct subject stopped, other;
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;
	uint16_t port;

	target_start(&target);
	subject_init(&stopped, CHECK_HTTP, target.port);
	probe_start_check(probe, &stopped.check);
	while (target.n_served == 0) {
		ck_assert_uint_lt(clock_mono_ms(), end_ms);
		drop_results();
	}
	probe_stop_check(probe, stopped.check.check_id);
	probe_stop_check(probe, stopped.check.check_id + 1000);
	close(open_listener(&port, AF_INET));
	subject_init(&other, CHECK_TCP, port);
	probe_start_check(probe, &other.check);
	/* Longer than the timeout of the check that was stopped in the middle of a run. */
	for (size_t i = 0; i < 3; i++) {
		struct probe_result *result = wait_for_result(PATIENCE_MS);

		ck_assert_ptr_nonnull(result);
		ck_assert_uint_eq(result->check_id, other.check.check_id);
		free(result);
	}
	target_stop(&target);
}
END_TEST

START_TEST(ends_in_the_middle_of_a_run)
{
	struct target target = { .reply = NULL };
	struct subject subject;
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	target_start(&target);
	subject_init(&subject, CHECK_HTTP, target.port);
	probe_start_check(probe, &subject.check);
	while (target.n_served == 0)
		ck_assert_uint_lt(clock_mono_ms(), end_ms);
	probe_free(probe);
	probe = NULL;
	target_stop(&target);
}
END_TEST

START_TEST(a_lack_of_descriptors_is_no_verdict)
{
	struct subject subject;
	struct rlimit files, none;
	struct probe_result *result;
	uint16_t port;
	int fd = open_listener(&port, AF_INET);

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	none = files;
	none.rlim_cur = 1; /* poll() wants one */
	subject_init(&subject, CHECK_TCP, port);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	probe_start_check(probe, &subject.check);
	result = wait_for_result(2 * INTERVAL_MS);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	ck_assert_ptr_null(result);
	result = wait_for_result(PATIENCE_MS);
	ck_assert_ptr_nonnull(result);
	ck_assert(result->passed);
	free(result);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("probe");
	TCase *tcase = tcase_create("probe");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, judges_status_lines, 0,
			    (int)(sizeof(replies) / sizeof(replies[0])));
	tcase_add_test(tcase, asks_as_told);
	tcase_add_test(tcase, a_target_that_closes);
	tcase_add_test(tcase, a_target_that_hangs);
	tcase_add_test(tcase, a_target_that_trickles);
	tcase_add_test(tcase, a_target_that_never_ends_its_line);
	tcase_add_test(tcase, ipv6);
	tcase_add_test(tcase, tcp_passes_on_a_connection);
	tcase_add_test(tcase, nobody_listens);
	tcase_add_test(tcase, runs_again_every_interval);
	tcase_add_test(tcase, many_new_checks_all_run);
	tcase_add_test(tcase, a_stopped_check_says_nothing_more);
	tcase_add_test(tcase, ends_in_the_middle_of_a_run);
	tcase_add_test(tcase, a_lack_of_descriptors_is_no_verdict);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
