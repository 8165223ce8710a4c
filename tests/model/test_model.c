/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random operations, against the reference. Bounded; MODEL_TEST_S=600 goes on for so many seconds,
 * from MODEL_TEST_SEED on (default: the time). A failure names the seed.
 */
#include "play.h"

#include "base/clock.h"
#include "base/random.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	SEEDS = 60,
	OCTETS_MAX = 1500,
};

/* Short ones too: most faults need few operations. */
static size_t play_seed(uint64_t seed)
{
	uint8_t data[OCTETS_MAX];
	struct random random;
	char title[40];
	size_t size;

	random_init_seed(&random, seed);
	size = 1 + random_below(&random, OCTETS_MAX);
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)random_bits(&random);
	snprintf(title, sizeof(title), "seed %" PRIu64, seed);
	return play(title, data, size);
}

START_TEST(dns_says_what_the_reference_says)
{
	size_t n_asked = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		n_asked += play_seed(seed);
	ck_assert_uint_gt(n_asked, SEEDS * 1000);
}
END_TEST

START_TEST(for_longer_if_told_so)
{
	const char *seconds = getenv("MODEL_TEST_S"), *first = getenv("MODEL_TEST_SEED");
	uint64_t seed = first ? strtoull(first, NULL, 10) : clock_wall_ms(), from = seed;
	uint64_t end_ms = clock_mono_ms() + (seconds ? strtoull(seconds, NULL, 10) * 1000 : 0);
	size_t n_asked = 0;

	if (!seconds)
		return;
	do
		n_asked += play_seed(seed++);
	while (clock_mono_ms() < end_ms);
	printf("seeds %" PRIu64 " to %" PRIu64 ": %zu questions\n", from, seed - 1, n_asked);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("model");
	TCase *tcase = tcase_create("model");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, dns_says_what_the_reference_says);
	tcase_add_test(tcase, for_longer_if_told_so);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
