/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/server_clock.h"

#include "base/clock.h"
#include "base/limits.h"

#include <check.h>

static struct server_clock server;
static uint64_t mono;

static uint64_t read_mono(void)
{
	return mono;
}

static uint64_t now(void)
{
	return server_clock_at(&server, read_mono);
}

/* A look after `ms`; the pause that it credits. */
static uint64_t look_after(uint64_t ms)
{
	mono += ms;
	return server_clock_step(&server, mono);
}

static void set_up(void)
{
	server = (struct server_clock)SERVER_CLOCK_INIT;
	mono = 5000;
}

START_TEST(is_monotonic_time_until_somebody_looks)
{
	ck_assert_uint_eq(now(), 5000);
	mono = 1000000;
	ck_assert_uint_eq(now(), 1000000);
	ck_assert_uint_eq(look_after(0), 0);
	ck_assert_uint_eq(now(), 1000000);
}
END_TEST

START_TEST(does_not_drift_while_looks_come_in_time)
{
	look_after(0);
	for (unsigned i = 0; i < 10000; i++)
		ck_assert_uint_eq(look_after(i % (LIMIT_PAUSE_MS + 1)), 0);
	ck_assert_uint_eq(now(), mono);
}
END_TEST

START_TEST(a_pause_is_left_out)
{
	look_after(0);
	ck_assert_uint_eq(look_after(LIMIT_PAUSE_MS + 1), 1);
	ck_assert_uint_eq(now(), 5000 + LIMIT_PAUSE_MS);
	ck_assert_uint_eq(look_after(100), 0);
	ck_assert_uint_eq(look_after(3600000), 3600000 - LIMIT_PAUSE_MS);
	ck_assert_uint_eq(now(), 5000 + LIMIT_PAUSE_MS + 100 + LIMIT_PAUSE_MS);
	ck_assert_uint_eq(look_after(100), 0);
	ck_assert_uint_eq(now(), 5000 + 2 * LIMIT_PAUSE_MS + 200);
}
END_TEST

/* Workers and the prober run again before the control thread has looked. */
START_TEST(a_reader_knows_of_the_pause_before_the_look)
{
	uint64_t before;

	look_after(0);
	mono += 4000;
	before = now();
	ck_assert_uint_eq(before, 5000 + LIMIT_PAUSE_MS);
	look_after(0);
	ck_assert_uint_eq(now(), before);
	look_after(4000);
	mono += 4000;
	before = now();
	look_after(0);
	ck_assert_uint_eq(now(), before);
}
END_TEST

/* Between any two looks, at any reading: never back, never ahead of the next look. */
START_TEST(never_goes_back)
{
	uint64_t last = 0;

	look_after(0);
	for (unsigned i = 0; i < 100000; i++) {
		mono += i * 7919 % 331;
		ck_assert_uint_ge(now(), last);
		last = now();
		if (i % 3 == 0) {
			look_after(0);
			ck_assert_uint_eq(now(), last);
		}
	}
	ck_assert_uint_lt(last, mono);
}
END_TEST

START_TEST(the_process_has_one)
{
	uint64_t credited, looked = server_clock_look(&credited);

	ck_assert_uint_eq(credited, 0);
	ck_assert_uint_le(looked, clock_mono_ms());
	ck_assert_uint_le(server_clock_coarse_ms(), looked + LIMIT_PAUSE_MS);
	ck_assert_uint_ge(server_clock_ms(), looked);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("server_clock");
	TCase *tcase = tcase_create("server_clock");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, set_up, NULL);
	tcase_add_test(tcase, is_monotonic_time_until_somebody_looks);
	tcase_add_test(tcase, does_not_drift_while_looks_come_in_time);
	tcase_add_test(tcase, a_pause_is_left_out);
	tcase_add_test(tcase, a_reader_knows_of_the_pause_before_the_look);
	tcase_add_test(tcase, never_goes_back);
	tcase_add_test(tcase, the_process_has_one);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
