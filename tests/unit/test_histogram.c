/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/histogram.h"

#include "base/buf.h"

#include <check.h>
#include <string.h>

static struct histogram histogram;
static struct buf out;

static void set_up(void)
{
	histogram = (struct histogram){ .sum_ns = 0 };
	buf_init(&out);
}

static void tear_down(void)
{
	buf_fini(&out);
}

static void print(const char *labels)
{
	buf_fini(&out);
	buf_init(&out);
	histogram_print(&histogram, "m", labels, &out);
}

START_TEST(a_bound_belongs_to_its_range)
{
	histogram_observe(&histogram, 10000, 1);
	histogram_observe(&histogram, 10001, 1);
	histogram_observe(&histogram, 0, 1);
	print("");
	ck_assert_ptr_nonnull(strstr(out.data, "m_bucket{le=\"1e-05\"} 2\n"
					       "m_bucket{le=\"2.5e-05\"} 3\n"));
}
END_TEST

START_TEST(what_is_longer_than_all_is_in_the_last_one)
{
	histogram_observe(&histogram, 1000000000, 2);
	histogram_observe(&histogram, 1000000001, 3);
	print("");
	ck_assert_ptr_nonnull(strstr(out.data, "m_bucket{le=\"0.1\"} 0\n"
					       "m_bucket{le=\"1\"} 2\n"
					       "m_bucket{le=\"+Inf\"} 5\n"
					       "m_sum 5.000000003\n"
					       "m_count 5\n"));
}
END_TEST

START_TEST(several_count_as_often)
{
	histogram_observe(&histogram, 20000, 64);
	histogram_observe(&histogram, 30000, 0);
	print("");
	ck_assert_ptr_nonnull(strstr(out.data, "m_sum 0.001280000\nm_count 64\n"));
}
END_TEST

START_TEST(labels_stand_before_the_bound)
{
	print("a=\"b\"");
	ck_assert_ptr_nonnull(strstr(out.data, "m_bucket{a=\"b\",le=\"+Inf\"} 0\n"
					       "m_sum{a=\"b\"} 0.000000000\n"
					       "m_count{a=\"b\"} 0\n"));
}
END_TEST

START_TEST(read_adds_up_threads)
{
	struct histogram sum = { .sum_ns = 0 };

	histogram_observe(&histogram, 5000, 2);
	histogram_observe(&histogram, 2000000000, 1);
	histogram_read(&sum, &histogram);
	histogram_read(&sum, &histogram);
	histogram = sum;
	print("");
	ck_assert_ptr_nonnull(strstr(out.data, "m_bucket{le=\"1e-05\"} 4\n"));
	ck_assert_ptr_nonnull(strstr(out.data, "m_bucket{le=\"1\"} 4\n"
					       "m_bucket{le=\"+Inf\"} 6\n"
					       "m_sum 4.000020000\n"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("histogram");
	TCase *tcase = tcase_create("histogram");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_bound_belongs_to_its_range);
	tcase_add_test(tcase, what_is_longer_than_all_is_in_the_last_one);
	tcase_add_test(tcase, several_count_as_often);
	tcase_add_test(tcase, labels_stand_before_the_bound);
	tcase_add_test(tcase, read_adds_up_threads);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
