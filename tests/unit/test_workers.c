/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/workers.h"

#include "base/clock.h"

#include <check.h>
#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	WAIT_S = 20,
	HEADER = 12,
};

static const struct answer_identity identity;
static struct catalog *catalog;
static struct workers *workers;
static struct listen_set given;
static struct listen_address address;

/* A port that is free for UDP and for TCP. */
static const struct udp_limit_options no_limit = { .rate = 0 };

static void choose_address(void)
{
	const char *reason;
	int fd, tries = 0;

	do {
		ck_assert_int_lt(tries++, 100);
		ck_assert(listen_parse("127.0.0.1@0", &address, &reason));
		fd = listen_udp(&address);
		ck_assert_int_ge(fd, 0);
		close(fd);
	} while (listen_probe(&address, SOCK_STREAM) || listen_probe(&address, SOCK_DGRAM));
}

static void set_up(void)
{
	struct zone_list *list;

	catalog = catalog_new();
	ck_assert_ptr_nonnull(catalog);
	list = catalog_zone_list_new(0);
	ck_assert_ptr_nonnull(list);
	catalog_set_zones(catalog, list);
	catalog_publish(catalog, 1);
	choose_address();
}

static void tear_down(void)
{
	workers_free(workers);
	workers = NULL;
	listen_set_fini(&given);
	catalog_free(catalog);
}

static void give(int fd)
{
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(listen_set_put(&given, fd), 0);
}

static size_t open_workers(unsigned n)
{
	size_t n_sockets;

	workers = workers_new(n, &address, 1, &given, catalog, &identity, &no_limit);
	ck_assert_ptr_nonnull(workers);
	workers_sockets(workers, &n_sockets);
	return n_sockets;
}

/* A client's query, from a socket of its own so that it may come to any of ours. */
static int ask(void)
{
	static const uint8_t query[] = { 1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address.sockaddr, address.len), 0);
	ck_assert_int_eq(send(fd, query, sizeof(query), 0), sizeof(query));
	return fd;
}

static void expect_reply(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	uint8_t reply[512];

	ck_assert_int_eq(poll(&poll_fd, 1, WAIT_S * 1000), 1);
	ck_assert_int_ge(recv(fd, reply, sizeof(reply), 0), HEADER);
	ck_assert_uint_eq(reply[0], 1);
	ck_assert_uint_eq(reply[1], 2);
	close(fd);
}

START_TEST(queries_that_wait_in_given_sockets_are_answered)
{
	int clients[32];

	for (unsigned i = 0; i < 5; i++)
		give(listen_udp(&address));
	for (unsigned i = 0; i < 32; i++)
		clients[i] = ask();
	given.is_replacement = true;
	ck_assert_uint_eq(open_workers(2), 5 + 2);
	ck_assert_uint_eq(given.n, 0);
	ck_assert_int_eq(workers_start(workers), 0);
	for (unsigned i = 0; i < 32; i++)
		expect_reply(clients[i]);
}
END_TEST

START_TEST(what_is_missing_is_opened_beside)
{
	struct listen_address other;
	const char *reason;

	give(listen_udp(&address));
	give(listen_tcp_shared(&address));
	ck_assert(listen_parse("127.0.0.2@0", &other, &reason));
	give(listen_udp(&other));
	ck_assert_uint_eq(open_workers(3), 3 + 3);
	ck_assert_uint_eq(given.n, 1); /* the one of another address */
	ck_assert_int_eq(workers_start(workers), 0);
	for (unsigned i = 0; i < 16; i++)
		expect_reply(ask());
}
END_TEST

START_TEST(sockets_of_strangers_are_not_shared)
{
	int fd = listen_udp(&address);

	ck_assert_int_ge(fd, 0);
	ck_assert_ptr_null(workers_new(1, &address, 1, &given, catalog, &identity, &no_limit));
	close(fd);
}
END_TEST

static void post(void *cookie)
{
	sem_post(cookie);
}

static void ignore(void *cookie)
{
	(void)cookie;
}

/* The rest stays for whoever has the same socket. */
START_TEST(retired_workers_read_no_more)
{
	struct timespec limit;
	sem_t retired;
	size_t n;
	int kept, client;

	ck_assert_int_eq(sem_init(&retired, 0, 0), 0);
	open_workers(1);
	kept = dup(workers_sockets(workers, &n)[0]);
	ck_assert_int_eq(workers_start(workers), 0);
	expect_reply(ask());
	workers_retire(workers, post, ignore, &retired);
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += WAIT_S;
	ck_assert_int_eq(sem_timedwait(&retired, &limit), 0);
	client = ask();
	workers_free(workers);
	give(kept);
	given.is_replacement = true;
	open_workers(1);
	ck_assert_int_eq(workers_start(workers), 0);
	expect_reply(client);
	sem_destroy(&retired);
}
END_TEST

START_TEST(workers_that_stand_still_do_not_answer)
{
	uint64_t end_ms = clock_mono_ms() + WAIT_S * 1000;

	open_workers(2);
	ck_assert(workers_answer(workers)); /* nobody was asked before */
	ck_assert(!workers_answer(workers));
	ck_assert(!workers_answer(workers));
	ck_assert_int_eq(workers_start(workers), 0);
	while (!workers_answer(workers))
		ck_assert_uint_lt(clock_mono_ms(), end_ms);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("workers");
	TCase *tcase = tcase_create("workers");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 2 * WAIT_S);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, queries_that_wait_in_given_sockets_are_answered);
	tcase_add_test(tcase, what_is_missing_is_opened_beside);
	tcase_add_test(tcase, sockets_of_strangers_are_not_shared);
	tcase_add_test(tcase, retired_workers_read_no_more);
	tcase_add_test(tcase, workers_that_stand_still_do_not_answer);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
