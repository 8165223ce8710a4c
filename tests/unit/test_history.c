/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/history.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct history history;

static void set_up(void)
{
	history = (struct history){ .low = 0 };
}

static void put(const char *results)
{
	for (; *results; results++)
		history_put(&history, *results == 'p'   ? STATUS_PASSING
				      : *results == 'w' ? STATUS_WARNING
							: STATUS_CRITICAL);
}

static const char *print(void)
{
	static char text[LIMIT_CHECK_HISTORY + 1];

	history_print(&history, text);
	return text;
}

START_TEST(it_is_empty_before_the_first_result)
{
	ck_assert_str_eq(print(), "");
}
END_TEST

START_TEST(the_oldest_result_comes_first)
{
	put("p");
	ck_assert_str_eq(print(), "p");
	put("wcpp");
	ck_assert_str_eq(print(), "pwcpp");
}
END_TEST

START_TEST(the_oldest_result_goes)
{
	char wanted[LIMIT_CHECK_HISTORY + 1] = "";

	put("c");
	for (int i = 0; i < LIMIT_CHECK_HISTORY - 1; i++)
		put("p");
	ck_assert_uint_eq(strlen(print()), LIMIT_CHECK_HISTORY);
	ck_assert_int_eq(print()[0], 'c');
	put("w");
	memset(wanted, 'p', LIMIT_CHECK_HISTORY - 1);
	wanted[LIMIT_CHECK_HISTORY - 1] = 'w';
	ck_assert_str_eq(print(), wanted);
}
END_TEST

/* Compared with a text that does the same. */
START_TEST(it_is_a_window_of_what_came)
{
	static const char letters[] = "pwc";
	char all[500 + 1] = "";

	srand(1);
	for (size_t n = 0; n < 500; n++) {
		char letter[2] = { letters[rand() % 3] };

		put(letter);
		all[n] = letter[0];
		ck_assert_str_eq(print(),
				 n < LIMIT_CHECK_HISTORY ? all : all + n + 1 - LIMIT_CHECK_HISTORY);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("history");
	TCase *tcase = tcase_create("history");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, set_up, NULL);
	tcase_add_test(tcase, it_is_empty_before_the_first_result);
	tcase_add_test(tcase, the_oldest_result_comes_first);
	tcase_add_test(tcase, the_oldest_result_goes);
	tcase_add_test(tcase, it_is_a_window_of_what_came);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
