/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/file.h"

#include <check.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static struct buf out;
static const char *reason;

/* A file that needs no folder. */
static const char *make_file(const char *content, size_t len)
{
	static char path[64];
	int fd = memfd_create("test", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, content, len), (ssize_t)len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return path;
}

START_TEST(whole_content_is_read)
{
	char content[40000];

	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (char)(i * 7);
	buf_init(&out);
	ck_assert_int_eq(file_read(make_file(content, sizeof(content)), 100000, &out, &reason), 0);
	ck_assert_uint_eq(out.len, sizeof(content));
	ck_assert_mem_eq(out.data, content, sizeof(content));
	buf_fini(&out);
}
END_TEST

START_TEST(size_is_bounded_exactly)
{
	const char *path = make_file("12345", 5);

	buf_init(&out);
	ck_assert_int_eq(file_read(path, 5, &out, &reason), 0);
	ck_assert_int_eq(file_read(path, 4, &out, &reason), -1);
	ck_assert_str_eq(reason, "is too large");
	buf_fini(&out);
}
END_TEST

START_TEST(device_null_is_empty)
{
	buf_init(&out);
	ck_assert_int_eq(file_read("/dev/null", 10, &out, &reason), 0);
	ck_assert_uint_eq(out.len, 0);
	ck_assert_str_eq(out.data, "");
	ck_assert_int_eq(file_read("/dev/zero", 10, &out, &reason), -1);
	buf_fini(&out);
}
END_TEST

START_TEST(what_is_no_file_is_refused_without_waiting)
{
	char path[64];
	int ends[2];

	buf_init(&out);
	ck_assert_int_eq(file_read("/", 10, &out, &reason), -1);
	ck_assert_str_eq(reason, "is a directory");
	ck_assert_int_eq(file_read("/nonexistent/file", 10, &out, &reason), -1);
	ck_assert_str_eq(reason, "No such file or directory");
	ck_assert_int_eq(pipe(ends), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
	ck_assert_int_eq(file_read(path, 10, &out, &reason), -1);
	ck_assert_str_eq(reason, "is no file");
	buf_fini(&out);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("file");
	TCase *tcase = tcase_create("file");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, whole_content_is_read);
	tcase_add_test(tcase, size_is_bounded_exactly);
	tcase_add_test(tcase, device_null_is_empty);
	tcase_add_test(tcase, what_is_no_file_is_refused_without_waiting);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
