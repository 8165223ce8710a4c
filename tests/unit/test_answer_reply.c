/* SPDX-License-Identifier: BSD-2-Clause */
/* What is drawn by weight, measured against probabilities that are worked out here. */
#include "../lib/world.h"

#include "dns/rr.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	QUERIES = 100000,
	MEMBERS = 10,
	SEQUENCES = 4096, /* of up to 3 of MEMBERS, as a number with a digit of 16 each */
};

/* Absolute, of all queries; seven times the standard deviation at the very least. */
static const double tolerance = 0.01;

static struct world world;
static uint8_t message[WORLD_MESSAGE];

static void set_up(void)
{
	const struct world_zone zone = { .origin = (char[]){ "service.local" } };
	char text[WORLD_MESSAGE_TEXT];

	world_init(&world, 7);
	ck_assert_int_eq(world_add_zone(&world, &zone, text, sizeof(text)), 0);
}

static void tear_down(void)
{
	world_fini(&world);
}

/* ---- A service whose member i has the address 10.0.0.i ---- */

struct service_spec {
	unsigned weights[MEMBERS];
	unsigned n, limit;
};

static void register_all(const struct service_spec *spec)
{
	char json[200], text[WORLD_MESSAGE_TEXT];

	for (unsigned i = 0; i < spec->n; i++) {
		snprintf(json, sizeof(json),
			 "{\"name\":\"payment\",\"id\":\"n%u\",\"ip\":\"10.0.0.%u\",\"port\":%u,"
			 "\"weight\":%u}",
			 i, i, 8000 + i, spec->weights[i]);
		ck_assert_int_eq(world_register(&world, json, text), 201);
	}
	snprintf(json, sizeof(json), "{\"answer_limit\":%u}", spec->limit);
	ck_assert_int_eq(world_policy(&world, "payment", json, text), 200);
}

/* A query for payment.service.local A. */
static const uint8_t query[] = {
	0,   7,   0,   0,   0,   1,   0,   0,   0, 0,   0,   0, /* id, one question */
	7,   'p', 'a', 'y', 'm', 'e', 'n', 't', 7, 's', 'e', 'r', 'v', 'i',
	'c', 'e', 5,   'l', 'o', 'c', 'a', 'l', 0, 0,   1,   0,   1,
};

/* ck_assert() makes a system call each time, which is too much here. */
static void need(bool is_true, const char *what)
{
	if (!is_true)
		ck_abort_msg("%s", what);
}

/* Asks once; the `n` members in the answer, in its order. */
static void ask(unsigned members[MEMBERS], unsigned n)
{
	ldns_pkt *reply = NULL;
	unsigned seen = 0;

	memcpy(message, query, sizeof(query));
	const size_t len = world_answer(&world, ANSWER_UDP, message, sizeof(query));
	need(ldns_wire2pkt(&reply, message, len) == LDNS_STATUS_OK, "ldns can read it");
	need(ldns_pkt_get_rcode(reply) == LDNS_RCODE_NOERROR && !ldns_pkt_tc(reply),
	     "NOERROR, no TC");
	const ldns_rr_list *const answer = ldns_pkt_answer(reply);
	need(ldns_rr_list_rr_count(answer) == n, "the number of records");
	for (unsigned i = 0; i < n; i++) {
		members[i] = ldns_rdf_data(ldns_rr_rdf(ldns_rr_list_rr(answer, i), 0))[3];
		need(members[i] < MEMBERS && !(seen >> members[i] & 1), "no record is there twice");
		seen |= 1U << members[i];
	}
	ldns_pkt_free(reply);
}

/* ---- Successive sampling without replacement, by enumeration ---- */

struct expected {
	double first[MEMBERS], member[MEMBERS];
	double sequences[SEQUENCES];
};

/* Goes through every way to draw `left` more; `taken` are out, `chance` is that of getting here. */
static void enumerate(const struct service_spec *spec, unsigned taken, unsigned left, double chance,
		      unsigned sequence, struct expected *expected)
{
	double total = 0;

	if (left == 0) {
		expected->sequences[sequence] += chance;
		return;
	}
	for (unsigned i = 0; i < spec->n; i++)
		total += taken >> i & 1 ? 0 : spec->weights[i];
	for (unsigned i = 0; i < spec->n; i++) {
		if (taken >> i & 1)
			continue;
		const double here = chance * spec->weights[i] / total;
		expected->member[i] += here;
		if (taken == 0)
			expected->first[i] = here;
		enumerate(spec, taken | 1U << i, left - 1, here, sequence << 4 | i, expected);
	}
}

static void expect_rate(const char *what, unsigned i, unsigned count, double expected)
{
	const double rate = (double)count / QUERIES;

	if (fabs(rate - expected) > tolerance)
		ck_abort_msg("%s %#x: %.4f of the answers, not %.4f", what, i, rate, expected);
}

/* Draws and compares members, first ones, and whole sequences. */
static void check_draws(const struct service_spec *spec)
{
	static struct expected expected;
	static unsigned sequences[SEQUENCES];
	unsigned first[MEMBERS] = { 0 }, member[MEMBERS] = { 0 }, drawn[MEMBERS];

	memset(&expected, 0, sizeof(expected));
	memset(sequences, 0, sizeof(sequences));
	register_all(spec);
	enumerate(spec, 0, spec->limit, 1, 0, &expected);
	for (unsigned i = 0; i < QUERIES; i++) {
		unsigned sequence = 0;
		ask(drawn, spec->limit);
		first[drawn[0]]++;
		for (unsigned k = 0; k < spec->limit; k++) {
			member[drawn[k]]++;
			sequence = sequence << 4 | drawn[k];
		}
		sequences[sequence]++;
	}
	for (unsigned i = 0; i < MEMBERS; i++) {
		expect_rate("first", i, first[i], expected.first[i]);
		expect_rate("member", i, member[i], expected.member[i]);
	}
	for (unsigned i = 0; i < SEQUENCES; i++)
		expect_rate("sequence", i, sequences[i], expected.sequences[i]);
}

/* The weights of the last ones are so small that only a walk over what is left finds them soon. */
static const struct service_spec draws[] = {
	{ { 1, 2, 7 }, 3, 1 },
	{ { 1, 2, 7 }, 3, 2 },
	{ { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, 10, 3 },
	{ { 1, 1, 1, 1, 1, 1, 1, 1, 1, 50 }, 10, 3 },
	{ { 100, 100, 100, 100, 100, 100, 100, 100, 100, 100 }, 10, 3 },
	{ { 1, 1, 1000 }, 3, 2 },
	{ { 1, 2, 65535 }, 3, 2 },
	{ { 1, 30000, 2, 3, 65535 }, 5, 3 },
	{ { 3, 1, 65535, 65535 }, 4, 3 },
};

START_TEST(a_limited_set_is_a_draw_without_replacement)
{
	check_draws(&draws[_i]);
}
END_TEST

/* No limit, and two that are none. */
static const unsigned limits[] = { 0, 3, 64 };

START_TEST(without_a_limit_all_are_there_and_the_first_is_drawn)
{
	const struct service_spec spec = { { 1, 2, 7 }, 3, limits[_i] };
	unsigned first[MEMBERS] = { 0 }, drawn[MEMBERS];

	register_all(&spec);
	for (unsigned i = 0; i < QUERIES; i++) {
		ask(drawn, 3);
		first[drawn[0]]++;
		need(drawn[1] == (drawn[0] + 1) % 3, "the others follow in turn");
	}
	expect_rate("first", 0, first[0], 0.1);
	expect_rate("first", 1, first[1], 0.2);
	expect_rate("first", 2, first[2], 0.7);
}
END_TEST

START_TEST(weight_zero_is_no_part_of_a_draw)
{
	static const struct service_spec spec = { { 0, 3, 1, 0 }, 4, 1 };
	unsigned member[MEMBERS] = { 0 }, drawn[MEMBERS];

	register_all(&spec);
	for (unsigned i = 0; i < QUERIES; i++) {
		ask(drawn, 1);
		member[drawn[0]]++;
	}
	ck_assert_uint_eq(member[0] + member[3], 0);
	expect_rate("member", 1, member[1], 0.75);
}
END_TEST

START_TEST(only_weights_of_zero_are_equal_ones)
{
	static const struct service_spec spec = { { 0, 0, 0, 0 }, 4, 2 };
	unsigned member[MEMBERS] = { 0 }, drawn[MEMBERS];

	register_all(&spec);
	for (unsigned i = 0; i < QUERIES; i++) {
		ask(drawn, 2);
		member[drawn[0]]++;
		member[drawn[1]]++;
	}
	for (unsigned i = 0; i < spec.n; i++)
		expect_rate("member", i, member[i], 0.5);
}
END_TEST

/* A limit is for addresses: who reads SRV draws for himself, from what was registered. */
START_TEST(srv_is_whole_and_as_registered)
{
	static const struct service_spec spec = { { 1, 2, 65535, 0, 7 }, 5, 1 };
	static const unsigned priorities[] = { 10, 10, 10, 10, 0 };
	const struct world_question question = { .name = "_payment._tcp",
						 .type = LDNS_RR_TYPE_SRV };
	char text[WORLD_MESSAGE_TEXT];
	unsigned seen = 0;
	size_t len;

	register_all(&spec);
	ck_assert_int_eq(world_register(&world,
					"{\"name\":\"payment\",\"id\":\"n4\",\"ip\":\"10.0.0.4\","
					"\"port\":8004,\"weight\":7,\"priority\":0}",
					text),
			 200);
	for (unsigned round = 0; round < 100; round++) {
		ldns_pkt *const reply = world_ask(&world, &question, message, &len);
		const ldns_rr_list *const answer = ldns_pkt_answer(reply);
		ck_assert_uint_eq(ldns_rr_list_rr_count(answer), spec.n);
		seen = 0;
		for (unsigned i = 0; i < spec.n; i++) {
			const ldns_rr *const rr = ldns_rr_list_rr(answer, i);
			const unsigned k = ldns_rdf2native_int16(ldns_rr_rdf(rr, 2)) - 8000U;
			ck_assert_uint_lt(k, spec.n);
			seen |= 1U << k;
			ck_assert_uint_eq(ldns_rdf2native_int16(ldns_rr_rdf(rr, 0)), priorities[k]);
			ck_assert_uint_eq(ldns_rdf2native_int16(ldns_rr_rdf(rr, 1)),
					  spec.weights[k]);
		}
		ck_assert_uint_eq(seen, 0x1f);
		ldns_pkt_free(reply);
	}
}
END_TEST

int main(void)
{
	Suite *const suite = suite_create("answer_reply");
	TCase *const tcase = tcase_create("answer_reply");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, a_limited_set_is_a_draw_without_replacement, 0,
			    (int)(sizeof(draws) / sizeof(draws[0])));
	tcase_add_loop_test(tcase, without_a_limit_all_are_there_and_the_first_is_drawn, 0,
			    (int)(sizeof(limits) / sizeof(limits[0])));
	tcase_add_test(tcase, weight_zero_is_no_part_of_a_draw);
	tcase_add_test(tcase, only_weights_of_zero_are_equal_ones);
	tcase_add_test(tcase, srv_is_whole_and_as_registered);
	suite_add_tcase(suite, tcase);
	SRunner *const runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	const int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
