/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/metrics.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const char page[] =
	"# HELP a_total What.\n# TYPE a_total counter\n"
	"a_total 3\na_total{x=\"1\"} 4.5\nb{x=\"q\\\"}\\\\\",y=\"n\\nl\\\\n\"} 1e3\n"
	"broken\nbroken{x=\"\nno_value{} \nc -1 1700000000000\n\nlast 9";

START_TEST(samples_are_found_between_the_rest)
{
	static const char *const names[] = { "a_total", "a_total", "b", "c", "last" };
	const char *at = page;
	struct metrics_sample sample;
	size_t n = 0;

	for (; metrics_next(&at, &sample); n++)
		ck_assert_str_eq(sample.name, names[n]);
	ck_assert_uint_eq(n, 5);
	ck_assert(metrics_value(page, "a_total", "", 0) == 3);
	ck_assert(metrics_value(page, "a_total", "x=\"1\"", 0) == 4.5);
	ck_assert(metrics_value(page, "c", "", 0) == -1);
	ck_assert(metrics_value(page, "last", "", 0) == 9);
	ck_assert(metrics_value(page, "gone", "", 7) == 7);
}
END_TEST

START_TEST(labels_lose_their_escapes)
{
	const char *at = strstr(page, "b{");
	struct metrics_sample sample;
	char value[16];

	ck_assert(metrics_next(&at, &sample));
	ck_assert(sample.value == 1000);
	ck_assert(metrics_label(&sample, "x", value, sizeof(value)));
	ck_assert_str_eq(value, "q\"}\\");
	ck_assert(metrics_label(&sample, "y", value, sizeof(value)));
	ck_assert_str_eq(value, "n\nl\\n");
	ck_assert(!metrics_label(&sample, "z", value, sizeof(value)));
}
END_TEST

START_TEST(what_is_too_long_is_passed_over)
{
	char text[2 * METRICS_LABELS];
	const char *at = text;
	struct metrics_sample sample;

	memset(text, 'a', sizeof(text));
	strcpy(text + sizeof(text) - 9, " 1\nb 2\n");
	ck_assert(metrics_next(&at, &sample));
	ck_assert_str_eq(sample.name, "b");
	ck_assert(!metrics_next(&at, &sample));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("metrics");
	TCase *tcase = tcase_create("metrics");
	SRunner *runner;
	int n_failed;

	tcase_add_test(tcase, samples_are_found_between_the_rest);
	tcase_add_test(tcase, labels_lose_their_escapes);
	tcase_add_test(tcase, what_is_too_long_is_passed_over);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
