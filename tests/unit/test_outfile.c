/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/outfile.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	ROOM = 100000, /* octets that a file can have */
};

static char folder[] = "/tmp/rosterd-test-outfile-XXXXXX";
static char path[64], aside[72];

static void set_up(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/out", folder);
	snprintf(aside, sizeof(aside), "%s.new", path);
}

static void tear_down(void)
{
	unlink(path);
	unlink(aside);
	rmdir(folder);
}

static enum exit_status write_out(size_t len, enum exit_status status)
{
	static const char piece[5000];
	struct outfile out;

	ck_assert_int_eq(outfile_open(&out, path), EXIT_OK);
	for (; len >= sizeof(piece); len -= sizeof(piece))
		fwrite(piece, sizeof(piece), 1, out.file);
	return outfile_close(&out, status);
}

START_TEST(what_is_whole_has_its_name)
{
	ck_assert_int_eq(write_out(ROOM, EXIT_OK), EXIT_OK);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_int_ne(access(aside, F_OK), 0);
}
END_TEST

START_TEST(what_broke_off_replaces_nothing)
{
	ck_assert_int_eq(write_out(ROOM, EXIT_UNREACHABLE), EXIT_UNREACHABLE);
	ck_assert_int_ne(access(path, F_OK), 0);
	ck_assert_int_ne(access(aside, F_OK), 0);
}
END_TEST

/* The write that fails is one in the middle: the last flush has nothing to say of it. */
START_TEST(a_file_that_lost_a_part_on_a_full_disk_is_not_whole)
{
	const struct rlimit room = { ROOM, ROOM };

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &room), 0);
	ck_assert_int_eq(write_out((size_t)2 * ROOM, EXIT_OK), EXIT_LOCAL);
	ck_assert_int_ne(access(path, F_OK), 0);
	ck_assert_int_ne(access(aside, F_OK), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("outfile");
	TCase *tcase = tcase_create("outfile");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, what_is_whole_has_its_name);
	tcase_add_test(tcase, what_broke_off_replaces_nothing);
	tcase_add_test(tcase, a_file_that_lost_a_part_on_a_full_disk_is_not_whole);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? 1 : 0;
}
