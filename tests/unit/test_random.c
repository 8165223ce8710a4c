/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/random.h"

#include <check.h>
#include <string.h>

/* The first outputs of the authors' reference, xoshiro256++ with the state 1, 2, 3, 4. */
START_TEST(sequence_is_xoshiro256plusplus)
{
	static const uint64_t expected[] = { 41943041, 58720359, 3588806011781223,
					     3591011842654386 };
	struct random random = { { 1, 2, 3, 4 } };

	for (size_t i = 0; i < 4; i++)
		ck_assert_uint_eq(random_bits(&random), expected[i]);
}
END_TEST

START_TEST(same_seed_same_sequence)
{
	struct random a, b, c;

	random_init_seed(&a, 7);
	random_init_seed(&b, 7);
	random_init_seed(&c, 8);
	for (int i = 0; i < 100; i++) {
		uint64_t bits = random_bits(&a);

		ck_assert(bits == random_bits(&b));
		ck_assert(bits != random_bits(&c));
	}
}
END_TEST

START_TEST(kernel_seeds_differ)
{
	struct random a, b;

	random_init(&a);
	random_init(&b);
	ck_assert(memcmp(&a, &b, sizeof(a)) != 0);
	ck_assert(random_bits(&a) != random_bits(&b));
}
END_TEST

START_TEST(octets_fill_exactly_what_was_asked)
{
	uint8_t octets[40] = { 0 }, zero[8] = { 0 };
	unsigned changed = 0;

	random_octets(octets, 32);
	for (int i = 0; i < 32; i++)
		changed += octets[i] != 0;
	ck_assert_uint_gt(changed, 16);
	ck_assert_mem_eq(octets + 32, zero, sizeof(zero));
}
END_TEST

/* 70,000 draws of 7: each count within 5 standard deviations (463) of 10,000. */
START_TEST(below_is_uniform)
{
	struct random random;
	unsigned counts[7] = { 0 };

	random_init_seed(&random, 42);
	for (int i = 0; i < 70000; i++) {
		uint32_t draw = random_below(&random, 7);

		ck_assert_uint_lt(draw, 7);
		counts[draw]++;
	}
	for (int i = 0; i < 7; i++)
		ck_assert(counts[i] > 9537 && counts[i] < 10463);
	ck_assert_uint_eq(random_below(&random, 1), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("random");
	TCase *tcase = tcase_create("random");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, sequence_is_xoshiro256plusplus);
	tcase_add_test(tcase, same_seed_same_sequence);
	tcase_add_test(tcase, kernel_seeds_differ);
	tcase_add_test(tcase, octets_fill_exactly_what_was_asked);
	tcase_add_test(tcase, below_is_uniform);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
