/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/buf.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

START_TEST(pieces_follow_each_other)
{
	struct buf buf;

	buf_init(&buf);
	buf_put(&buf, "ab\0c", 4);
	buf_print(&buf, "%d-%s", 17, "x");
	ck_assert(!buf.failed);
	ck_assert_uint_eq(buf.len, 8);
	ck_assert_mem_eq(buf.data, "ab\0c17-x", 9);
	buf_fini(&buf);
	ck_assert_ptr_null(buf.data);
}
END_TEST

START_TEST(content_survives_growth)
{
	struct buf buf;

	buf_init(&buf);
	for (unsigned i = 0; i < 10000; i++) {
		buf_put(&buf, &(char){ (char)('a' + i % 26) }, 1);
		ck_assert_uint_eq(buf.len, i + 1);
		ck_assert_int_eq(buf.data[buf.len], '\0');
		ck_assert_uint_gt(buf.cap, buf.len);
	}
	for (unsigned i = 0; i < 10000; i++)
		ck_assert_int_eq(buf.data[i], 'a' + (int)(i % 26));
	buf_fini(&buf);
}
END_TEST

START_TEST(print_longer_than_all_that_was_there)
{
	struct buf buf;

	buf_init(&buf);
	buf_print(&buf, "%01000d|", 7);
	ck_assert_uint_eq(buf.len, 1001);
	ck_assert_str_eq(buf.data + 998, "07|");
	buf_fini(&buf);
}
END_TEST

START_TEST(take_hands_over_and_empties)
{
	struct buf buf;
	size_t len = 99;
	char *data;

	buf_init(&buf);
	buf_put(&buf, "abc", 3);
	data = buf_take(&buf, &len);
	ck_assert_str_eq(data, "abc");
	ck_assert_uint_eq(len, 3);
	ck_assert_ptr_null(buf.data);
	ck_assert_uint_eq(buf.len, 0);
	free(data);

	data = buf_take(&buf, &len);
	ck_assert_ptr_nonnull(data);
	ck_assert_str_eq(data, "");
	ck_assert_uint_eq(len, 0);
	free(data);
}
END_TEST

START_TEST(impossible_size_fails_and_stays_failed)
{
	struct buf buf;
	size_t len;

	buf_init(&buf);
	buf_put(&buf, "abc", 3);
	buf_put(&buf, "x", SIZE_MAX - 10);
	ck_assert(buf.failed);
	buf_put(&buf, "d", 1);
	buf_print(&buf, "e");
	ck_assert_uint_eq(buf.len, 3);
	ck_assert_ptr_null(buf_take(&buf, &len));
	ck_assert_uint_eq(len, 0);
	ck_assert(!buf.failed);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("buf");
	TCase *tcase = tcase_create("buf");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, pieces_follow_each_other);
	tcase_add_test(tcase, content_survives_growth);
	tcase_add_test(tcase, print_longer_than_all_that_was_there);
	tcase_add_test(tcase, take_hands_over_and_empties);
	tcase_add_test(tcase, impossible_size_fails_and_stays_failed);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
