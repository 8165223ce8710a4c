/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/process.h"

#include <check.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

enum {
	MORE = 100,
};

START_TEST(descriptors_are_counted)
{
	struct process before, after;
	int fds[MORE];

	process_read(&before);
	for (int i = 0; i < MORE; i++) {
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		ck_assert_int_ge(fds[i], 0);
	}
	process_read(&after);
	ck_assert_uint_ge(before.n_fds, 1);
	ck_assert_uint_eq(after.n_fds, before.n_fds + MORE);
	ck_assert_uint_ge(after.max_fds, after.n_fds);
	for (int i = 0; i < MORE; i++)
		close(fds[i]);
}
END_TEST

START_TEST(times_and_memory_are_told)
{
	struct process process;
	double now_s = (double)time(NULL);

	process_read(&process);
	ck_assert(process.cpu_s > 0);
	ck_assert(process.start_s > now_s - 3600 && process.start_s < now_s + 2);
	ck_assert_uint_gt(process.resident_len, 100000);
	ck_assert_uint_gt(process.virtual_len, process.resident_len);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("process");
	TCase *tcase = tcase_create("process");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, descriptors_are_counted);
	tcase_add_test(tcase, times_and_memory_are_told);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
