/* SPDX-License-Identifier: BSD-2-Clause */
/* What a network gets of each kind of reply, and who is never limited. */
#include "io/udp_limit.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum {
	RATE = 10,
	QUESTION = 40,
};

static struct udp_limit_options options = { .rate = RATE };
static struct udp_limit *limit;

/* Headers: NXDOMAIN, NOERROR with one answer, NOERROR without one. */
static const uint8_t nxdomain[12] = { 0, 0, 0x84, 0x03, 0, 1 };
static const uint8_t positive[12] = { 0, 0, 0x84, 0x00, 0, 1, 0, 1 };
static const uint8_t nodata[12] = { 0, 0, 0x84, 0x00, 0, 1 };

static void set_up(void)
{
	limit = udp_limit_new(&options);
	ck_assert_ptr_nonnull(limit);
}

static void tear_down(void)
{
	udp_limit_free(limit);
	options = (struct udp_limit_options){ .rate = RATE };
}

static enum udp_limit_verdict look(const char *address, const uint8_t *reply, size_t len,
				   uint64_t now_ms)
{
	struct udp_limit_network network;
	const char *reason;

	ck_assert(udp_limit_network_parse(address, &network, &reason));
	return udp_limit_look(limit, network.octets, network.len, reply, len, QUESTION, now_ms);
}

/* How many of `n` replies at one moment pass. */
static unsigned count_passed(const char *address, const uint8_t *reply, size_t len, unsigned n,
			     uint64_t now_ms)
{
	unsigned passed = 0;

	for (unsigned i = 0; i < n; i++)
		passed += look(address, reply, len, now_ms) == UDP_LIMIT_PASS;
	return passed;
}

START_TEST(a_network_gets_its_rate)
{
	ck_assert_uint_eq(count_passed("192.0.2.1", nxdomain, 50, 100, 1000), RATE);
	ck_assert_uint_eq(count_passed("192.0.2.200", nxdomain, 50, 100, 1000), 0);
	ck_assert_uint_eq(count_passed("192.0.3.1", nxdomain, 50, 100, 1000), RATE);
	ck_assert_uint_eq(count_passed("192.0.2.1", nxdomain, 50, 100, 1500), RATE / 2);
	ck_assert_uint_eq(count_passed("192.0.2.1", nxdomain, 50, 100, 60000), RATE);
}
END_TEST

START_TEST(an_ipv6_network_is_a_64)
{
	ck_assert_uint_eq(count_passed("2001:db8::1", nodata, 50, 100, 1000), RATE);
	ck_assert_uint_eq(count_passed("2001:db8::ffff:1:1:1", nodata, 50, 100, 1000), 0);
	ck_assert_uint_eq(count_passed("2001:db8:0:1::1", nodata, 50, 100, 1000), RATE);
}
END_TEST

START_TEST(kinds_are_counted_apart)
{
	ck_assert_uint_eq(count_passed("192.0.2.1", nxdomain, 50, 100, 1000), RATE);
	ck_assert_uint_eq(count_passed("192.0.2.1", nodata, 50, 100, 1000), RATE);
	ck_assert_uint_eq(count_passed("192.0.2.1", positive, 50, 100, 1000), RATE);
}
END_TEST

START_TEST(long_replies_cost_more)
{
	ck_assert(!udp_limit_amplifies(5 * QUESTION, QUESTION));
	ck_assert(udp_limit_amplifies(5 * QUESTION + 1, QUESTION));
	ck_assert_uint_eq(count_passed("192.0.2.1", positive, 5 * QUESTION, 100, 1000), RATE);
	ck_assert_uint_eq(count_passed("192.0.3.1", positive, 10 * QUESTION, 100, 1000), RATE / 2);
	/* One that costs more than a bucket holds is not shut out for ever. */
	ck_assert_uint_eq(count_passed("192.0.4.1", positive, 1000 * QUESTION, 100, 1000), 1);
	ck_assert_uint_eq(count_passed("192.0.4.1", positive, 1000 * QUESTION, 100, 3000), 1);
}
END_TEST

START_TEST(each_second_one_slips)
{
	unsigned n[3] = { 0 };

	options.slip = 2;
	for (unsigned i = 0; i < 100; i++)
		n[look("192.0.2.1", positive, 50, 1000)]++;
	ck_assert_uint_eq(n[UDP_LIMIT_PASS], RATE);
	ck_assert_uint_eq(n[UDP_LIMIT_SLIP], 45);
	ck_assert_uint_eq(n[UDP_LIMIT_DROP], 45);
}
END_TEST

START_TEST(a_flood_of_networks_does_not_free_the_worst)
{
	uint8_t address[4];

	count_passed("192.0.2.1", positive, 50, 100, 1000);
	for (unsigned i = 0; i < 1000000; i++) {
		memcpy(address, &i, sizeof(address));
		udp_limit_look(limit, address, sizeof(address), nodata, 50, QUESTION, 1000);
	}
	ck_assert_uint_eq(count_passed("192.0.2.1", positive, 50, 100, 1000), 0);
}
END_TEST

static bool exempts(const char *address)
{
	struct udp_limit_network network;
	const char *reason;

	ck_assert(udp_limit_network_parse(address, &network, &reason));
	return udp_limit_exempts(limit, network.octets, network.len);
}

START_TEST(loopback_and_the_list_are_exempt)
{
	struct udp_limit_network allow[3];
	const char *reason;

	ck_assert(udp_limit_network_parse("172.16.0.0/12", &allow[0], &reason));
	ck_assert(udp_limit_network_parse("2001:db8::/33", &allow[1], &reason));
	ck_assert(udp_limit_network_parse("198.51.100.7", &allow[2], &reason));
	options.allow = allow;
	options.n_allow = 3;
	ck_assert(exempts("127.0.0.1"));
	ck_assert(exempts("::1"));
	ck_assert(!exempts("::2"));
	ck_assert(exempts("172.31.255.255"));
	ck_assert(!exempts("172.32.0.0"));
	ck_assert(exempts("2001:db8:7fff::1"));
	ck_assert(!exempts("2001:db8:8000::1"));
	ck_assert(exempts("198.51.100.7"));
	ck_assert(!exempts("198.51.100.6"));
	options.allow = NULL;
	options.n_allow = 0;
	ck_assert(!exempts("172.31.255.255"));
	options.rate = 0;
	ck_assert(exempts("198.51.100.6"));
}
END_TEST

START_TEST(what_is_no_network)
{
	static const char *const bad[] = {
		"",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0.0/-1",
		"10.0.0/8",
		"10.0.0.1/8",
		"2001:db8::/129",
		"2001:db8::1/64",
		"10.0.0.0/0008",
		"x",
		"10.0.0.0/8 ",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb/1",
	};
	struct udp_limit_network network;
	const char *reason;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		reason = NULL;
		ck_assert_msg(!udp_limit_network_parse(bad[i], &network, &reason), "%s", bad[i]);
		ck_assert_ptr_nonnull(reason);
	}
	ck_assert(udp_limit_network_parse("0.0.0.0/0", &network, &reason));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("udp_limit");
	TCase *tcase = tcase_create("core");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_network_gets_its_rate);
	tcase_add_test(tcase, an_ipv6_network_is_a_64);
	tcase_add_test(tcase, kinds_are_counted_apart);
	tcase_add_test(tcase, long_replies_cost_more);
	tcase_add_test(tcase, each_second_one_slips);
	tcase_add_test(tcase, a_flood_of_networks_does_not_free_the_worst);
	tcase_add_test(tcase, loopback_and_the_list_are_exempt);
	tcase_add_test(tcase, what_is_no_network);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
