/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/conf_check.h"

#include <check.h>
#include <stdlib.h>

/* What is read of a line; NULL: nothing. */
static void expect_error(const char *line, const char *wanted)
{
	struct buf text;
	bool found;

	buf_init(&text);
	found = conf_check_read_error(line, &text);
	ck_assert_msg(found == (wanted != NULL), "%s", line);
	if (wanted)
		ck_assert_str_eq(text.data, wanted);
	buf_fini(&text);
}

START_TEST(errors_are_read_as_they_were_written)
{
	expect_error("level=error event=x error=\"a.conf:1:2: say \\\"a\\\\b\\\"\" now=y",
		     "a.conf:1:2: say \"a\\b\"");
	expect_error("level=error event=x error=bare now=y", "bare");
	expect_error("level=error event=x error=\"\"", "");
	expect_error("level=error event=x error=\"\\xc3\\xa4\\n\\x1b\"", "\xc3\xa4\n\x1b");
}
END_TEST

START_TEST(what_breaks_off_is_read_so_far)
{
	expect_error("level=error error=\"half", "half");
	expect_error("level=error error=\"half\\", "half\\");
	expect_error("level=error error=\"\\x", "x");
	expect_error("level=error error=\"\\x1", "\x01");
	expect_error("level=error error=", "");
}
END_TEST

START_TEST(other_lines_have_none)
{
	expect_error("", NULL);
	expect_error("level=info event=ready", NULL);
	expect_error("Segmentation fault", NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("conf_check");
	TCase *tcase = tcase_create("conf_check");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, errors_are_read_as_they_were_written);
	tcase_add_test(tcase, what_breaks_off_is_read_so_far);
	tcase_add_test(tcase, other_lines_have_none);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
