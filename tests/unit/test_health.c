/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/health.h"

#include <check.h>

static struct health health;

/* Feeds results, '+' and '-', with rise 2 and fall 3; returns where the status changed, as text. */
static const char *feed(enum status initial, const char *results)
{
	static char changes[64];
	unsigned i;

	health_init(&health, initial);
	for (i = 0; results[i]; i++) {
		enum status before = health.status;
		bool changed = health_step(&health, 2, 3, results[i] == '+');

		ck_assert(changed == (health.status != before));
		changes[i] = changed ? '!' : '.';
	}
	changes[i] = '\0';
	return changes;
}

START_TEST(first_result_counts_at_once)
{
	ck_assert_str_eq(feed(STATUS_CRITICAL, "+"), "!");
	ck_assert_int_eq(health.status, STATUS_PASSING);
	ck_assert_str_eq(feed(STATUS_PASSING, "-"), "!");
	ck_assert_int_eq(health.status, STATUS_CRITICAL);
	ck_assert_str_eq(feed(STATUS_WARNING, "+"), "!");
	ck_assert_int_eq(health.status, STATUS_PASSING);
	ck_assert_str_eq(feed(STATUS_WARNING, "-"), "!");
	ck_assert_int_eq(health.status, STATUS_CRITICAL);
}
END_TEST

START_TEST(first_result_that_agrees_changes_nothing)
{
	ck_assert_str_eq(feed(STATUS_PASSING, "+--"), "...");
	ck_assert_str_eq(feed(STATUS_CRITICAL, "-+"), "..");
}
END_TEST

START_TEST(falls_after_three_in_a_row)
{
	ck_assert_str_eq(feed(STATUS_PASSING, "+---"), "...!");
	ck_assert_int_eq(health.status, STATUS_CRITICAL);
	ck_assert_str_eq(feed(STATUS_PASSING, "+--+--+---"), ".........!");
}
END_TEST

START_TEST(rises_after_two_in_a_row)
{
	ck_assert_str_eq(feed(STATUS_PASSING, "-++"), "!.!");
	ck_assert_int_eq(health.status, STATUS_PASSING);
	ck_assert_str_eq(feed(STATUS_PASSING, "-+-+-++"), "!.....!");
}
END_TEST

START_TEST(one_is_at_once)
{
	health_init(&health, STATUS_PASSING);
	ck_assert(!health_step(&health, 1, 1, true));
	ck_assert(health_step(&health, 1, 1, false));
	ck_assert(health_step(&health, 1, 1, true));
}
END_TEST

/* Whatever the history: so many contradicting results change the status, and not one fewer. */
START_TEST(results_to_change_is_exact)
{
	for (unsigned history = 0; history < 1 << 7; history++) {
		for (unsigned len = 0; len <= 6; len++) {
			uint16_t needed;
			bool passed;

			health_init(&health, STATUS_PASSING);
			for (unsigned i = 0; i < len; i++)
				health_step(&health, 2, 3, history >> i & 1);
			needed = health_results_to_change(&health, 2, 3);
			passed = health.status == STATUS_CRITICAL;
			for (unsigned i = 1; i < needed; i++)
				ck_assert(!health_step(&health, 2, 3, passed));
			ck_assert(health_step(&health, 2, 3, passed));
		}
	}
}
END_TEST

/* A registration may lower `fall` while a run is on. */
START_TEST(lowered_threshold_acts_with_the_next_result)
{
	feed(STATUS_PASSING, "+--");
	ck_assert_uint_eq(health_results_to_change(&health, 1, 1), 1);
	ck_assert(health_step(&health, 1, 1, false));
}
END_TEST

START_TEST(worst_is_the_greatest)
{
	ck_assert_int_eq(health_worst(STATUS_PASSING, STATUS_WARNING), STATUS_WARNING);
	ck_assert_int_eq(health_worst(STATUS_CRITICAL, STATUS_WARNING), STATUS_CRITICAL);
	ck_assert_int_eq(health_worst(STATUS_PASSING, STATUS_PASSING), STATUS_PASSING);
}
END_TEST

START_TEST(names_are_understood)
{
	enum status status = STATUS_WARNING;

	for (int i = STATUS_PASSING; i <= STATUS_CRITICAL; i++) {
		ck_assert(health_status_parse(health_status_name((enum status)i), &status));
		ck_assert_int_eq(status, i);
	}
	ck_assert(health_status_parse("healthy", &status));
	ck_assert_int_eq(status, STATUS_PASSING);
	ck_assert(health_status_parse("unhealthy", &status));
	ck_assert_int_eq(status, STATUS_CRITICAL);
	ck_assert(!health_status_parse("Passing", &status));
	ck_assert(!health_status_parse("", &status));
	ck_assert(!health_status_parse("up", &status));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("health");
	TCase *tcase = tcase_create("health");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, first_result_counts_at_once);
	tcase_add_test(tcase, first_result_that_agrees_changes_nothing);
	tcase_add_test(tcase, falls_after_three_in_a_row);
	tcase_add_test(tcase, rises_after_two_in_a_row);
	tcase_add_test(tcase, one_is_at_once);
	tcase_add_test(tcase, results_to_change_is_exact);
	tcase_add_test(tcase, lowered_threshold_acts_with_the_next_result);
	tcase_add_test(tcase, worst_is_the_greatest);
	tcase_add_test(tcase, names_are_understood);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
