/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/counters.h"

#include "base/buf.h"

#include <check.h>
#include <string.h>

static unsigned count_lines(const char *text, const char *start)
{
	unsigned n = 0;

	for (const char *line = text; *line; line = strchr(line, '\n') + 1)
		n += strncmp(line, start, strlen(start)) == 0;
	return n;
}

START_TEST(read_adds_up_threads)
{
	struct counters a = { 0 }, b = { 0 }, sum = { 0 };

	counters_add(&a.registrations, 5);
	counters_add(&a.registrations, 2);
	counters_add(&b.registrations, 10);
	counters_add(&b.names_published, UINT32_MAX);
	counters_add(&b.names_published, 1);
	counters_read(&sum, &a);
	counters_read(&sum, &b);
	ck_assert_uint_eq(sum.registrations, 17);
	ck_assert_uint_eq(sum.names_published, UINT64_C(4294967296));
	ck_assert_uint_eq(sum.heartbeats, 0);
}
END_TEST

START_TEST(every_row_is_a_line)
{
	struct counters sum = { 0 };
	struct buf out;

	buf_init(&out);
	counters_print(&sum, &out);
	ck_assert_uint_eq(count_lines(out.data, "rosterd_"),
			  sizeof(struct counters) / sizeof(uint64_t));
	ck_assert_uint_eq(count_lines(out.data, "# HELP"), count_lines(out.data, "# TYPE"));
	buf_fini(&out);
}
END_TEST

START_TEST(value_stands_behind_its_labels)
{
	struct counters sum = { 0 };
	struct buf out;

	counters_add(&sum.cookies_valid, 42);
	counters_add(&sum.truncated, 7);
	buf_init(&out);
	counters_print(&sum, &out);
	ck_assert_ptr_nonnull(
		strstr(out.data, "\nrosterd_dns_cookies_total{state=\"valid\"} 42\n"));
	ck_assert_ptr_nonnull(strstr(out.data, "\nrosterd_dns_truncated_total 7\n"));
	buf_fini(&out);
}
END_TEST

/* Rows of one metric that do not follow each other in the table must do so in the text. */
START_TEST(metric_is_described_once_and_stands_together)
{
	struct counters sum = { 0 };
	struct buf out;

	buf_init(&out);
	counters_print(&sum, &out);
	ck_assert_uint_eq(count_lines(out.data, "# HELP rosterd_limit_hit_total "), 1);
	ck_assert_uint_eq(count_lines(out.data, "# TYPE rosterd_limit_hit_total counter"), 1);
	ck_assert_ptr_nonnull(strstr(out.data,
				     "# TYPE rosterd_limit_hit_total counter\n"
				     "rosterd_limit_hit_total{limit=\"udp-query\"} 0\n"
				     "rosterd_limit_hit_total{limit=\"tcp-connections\"} 0\n"));
	buf_fini(&out);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("counters");
	TCase *tcase = tcase_create("counters");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, read_adds_up_threads);
	tcase_add_test(tcase, every_row_is_a_line);
	tcase_add_test(tcase, value_stands_behind_its_labels);
	tcase_add_test(tcase, metric_is_described_once_and_stands_together);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
