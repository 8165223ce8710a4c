/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/log_limit.h"

#include <check.h>

/* How many of n lines at once are admitted. */
static int admitted(struct log_limit *limit, uint64_t now_ms, int n)
{
	int count = 0;

	for (int i = 0; i < n; i++)
		count += log_limit_admit(limit, now_ms);
	return count;
}

START_TEST(ten_at_once_then_none_for_a_second)
{
	struct log_limit limit = { 0 };

	ck_assert_int_eq(admitted(&limit, 5000, 25), 10);
	ck_assert_int_eq(admitted(&limit, 5999, 5), 0);
	ck_assert_uint_eq(log_limit_take(&limit), 20);
	ck_assert_uint_eq(log_limit_take(&limit), 0);
	ck_assert_int_eq(admitted(&limit, 6000, 11), 10);
	ck_assert_uint_eq(log_limit_take(&limit), 1);
}
END_TEST

/* No second has more, wherever it begins. */
START_TEST(steady_flood_stays_under_the_limit_in_any_second)
{
	struct log_limit limit = { 0 };
	uint64_t times_ms[200], n = 0, n_left_out;

	for (uint64_t now_ms = 0; now_ms < 10000; now_ms += 7)
		if (log_limit_admit(&limit, now_ms))
			times_ms[n++] = now_ms;
	n_left_out = log_limit_take(&limit);
	ck_assert_uint_eq(n + n_left_out, 10000 / 7 + 1);
	ck_assert_uint_ge(n, 90);
	for (uint64_t i = 10; i < n; i++)
		ck_assert_uint_ge(times_ms[i] - times_ms[i - 10], 1000);
}
END_TEST

START_TEST(few_lines_are_never_left_out)
{
	struct log_limit limit = { 0 };

	for (uint64_t now_ms = 0; now_ms < 100000; now_ms += 100)
		ck_assert(log_limit_admit(&limit, now_ms));
	ck_assert_uint_eq(log_limit_take(&limit), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log_limit");
	TCase *tcase = tcase_create("log_limit");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, ten_at_once_then_none_for_a_second);
	tcase_add_test(tcase, steady_flood_stays_under_the_limit_in_any_second);
	tcase_add_test(tcase, few_lines_are_never_left_out);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
