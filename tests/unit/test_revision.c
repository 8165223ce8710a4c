/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/revision.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK (UINT64_C(1) << 24)

static char above[32], directory[64], file[80], message[256];

static void set_up(void)
{
	strcpy(above, "/tmp/test_revision-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(above));
	snprintf(directory, sizeof(directory), "%s/data", above);
	snprintf(file, sizeof(file), "%s/revision", directory);
	message[0] = '\0';
}

static void remove_below(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	if (remove(path))
		ck_assert_int_eq(errno, ENOENT);
}

static void tear_down(void)
{
	remove_below("revision");
	remove_below("revision.new");
	remove_below("lock");
	if (remove(directory))
		ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(rmdir(above), 0);
}

static struct revision *take(void)
{
	struct revision *revision = revision_open(directory, message, sizeof(message));

	ck_assert_msg(revision != NULL, "%s", message);
	return revision;
}

static void check_refused(const char *expected)
{
	struct revision *revision = revision_open(directory, message, sizeof(message));

	ck_assert_ptr_null(revision);
	ck_assert_msg(strstr(message, expected) != NULL, "\"%s\" is not in: %s", expected, message);
	ck_assert_msg(strstr(message, directory) != NULL, "no path: %s", message);
}

static void write_file(const char *content, size_t len)
{
	FILE *stream;

	ck_assert(mkdir(directory, 0700) == 0 || errno == EEXIST);
	stream = fopen(file, "w");
	ck_assert_ptr_nonnull(stream);
	ck_assert_uint_eq(fwrite(content, 1, len, stream), len);
	ck_assert_int_eq(fclose(stream), 0);
}

static uint64_t written(void)
{
	FILE *stream = fopen(file, "r");
	uint64_t mark = 0;

	ck_assert_ptr_nonnull(stream);
	ck_assert_int_eq(fscanf(stream, "%" SCNu64, &mark), 1);
	fclose(stream);
	return mark;
}

START_TEST(directory_is_made)
{
	struct revision *revision = take();
	struct stat status;

	ck_assert_int_eq(stat(directory, &status), 0);
	ck_assert_uint_eq(status.st_mode & 07, 0);
	ck_assert_uint_gt(revision_first(revision), 0);
	revision_close(revision);
	revision_close(NULL);
}
END_TEST

/* The mark is down before the first number is handed out. */
START_TEST(block_is_written_at_open)
{
	struct revision *revision = take();

	ck_assert_uint_eq(written(), revision_first(revision) + BLOCK);
	revision_close(revision);
}
END_TEST

START_TEST(never_goes_back_over_reopen)
{
	uint64_t newest = 0;

	for (unsigned i = 0; i < 50; i++) {
		struct revision *revision = take();
		uint64_t first = revision_first(revision);

		ck_assert_uint_gt(first, newest);
		/* A process that ends at once, or after it has used all it may. */
		newest = i % 2 ? first : written() - 1;
		revision_close(revision);
	}
}
END_TEST

START_TEST(advance_reserves_in_time)
{
	struct revision *revision = take();
	uint64_t newest = revision_first(revision);
	unsigned n_written = 0;

	for (unsigned i = 0; i < 100; i++) {
		uint64_t before = written();

		newest += BLOCK / 10;
		ck_assert_uint_lt(newest, before);
		ck_assert_int_eq(revision_advance(revision, newest), 0);
		ck_assert_uint_gt(written(), newest);
		ck_assert_uint_ge(written(), before);
		n_written += written() != before;
	}
	/* Now and then, not each time. */
	ck_assert_uint_ge(n_written, 10);
	ck_assert_uint_le(n_written, 25);
	revision_close(revision);
	revision = take();
	ck_assert_uint_gt(revision_first(revision), newest);
	revision_close(revision);
}
END_TEST

START_TEST(clean_stop_costs_no_block)
{
	struct revision *revision = take();
	uint64_t newest = revision_first(revision) + 5;

	ck_assert_int_eq(revision_settle(revision, newest), 0);
	revision_close(revision);
	revision = take();
	ck_assert_uint_eq(revision_first(revision), newest);
	ck_assert_uint_eq(written(), newest + BLOCK);
	revision_close(revision);
}
END_TEST

START_TEST(advance_of_little_writes_nothing)
{
	struct revision *revision = take();
	uint64_t first = revision_first(revision), before = written();

	for (uint64_t i = 0; i < 1000; i++)
		ck_assert_int_eq(revision_advance(revision, first + i), 0);
	ck_assert_uint_eq(written(), before);
	revision_close(revision);
}
END_TEST

START_TEST(advance_that_cannot_write_says_so)
{
	struct revision *revision = take();
	uint64_t newest = revision_first(revision) + BLOCK - 1, before = written();
	char aside[96];

	snprintf(aside, sizeof(aside), "%s/revision.new", directory);
	ck_assert_int_eq(mkdir(aside, 0700), 0);
	ck_assert_int_eq(revision_advance(revision, newest), -1);
	ck_assert_int_eq(errno, EISDIR);
	ck_assert_uint_eq(written(), before);
	/* And does so once it can. */
	ck_assert_int_eq(rmdir(aside), 0);
	ck_assert_int_eq(revision_advance(revision, newest), 0);
	ck_assert_uint_gt(written(), newest);
	revision_close(revision);
}
END_TEST

START_TEST(one_server_per_directory)
{
	struct revision *revision = take();
	uint64_t before = written();

	check_refused("another rosterd");
	ck_assert_uint_eq(written(), before);
	revision_close(revision);
	revision = take();
	revision_close(revision);
}
END_TEST

START_TEST(lock_goes_from_one_server_to_the_next)
{
	struct revision *old = revision_open(directory, message, sizeof(message));
	struct revision *new;
	uint64_t newest;

	ck_assert_ptr_nonnull(old);
	newest = revision_first(old) + 5;
	ck_assert_int_eq(revision_settle(old, newest), 0);
	new = revision_take_over(directory, dup(revision_lock(old)), message, sizeof(message));
	ck_assert_msg(new != NULL, "%s", message);
	ck_assert_uint_eq(revision_first(new), newest);
	revision_close(old);
	ck_assert_ptr_null(revision_open(directory, message, sizeof(message)));
	revision_close(new);
	ck_assert_ptr_null(
		revision_take_over(directory, dup(STDERR_FILENO), message, sizeof(message)));
}
END_TEST

START_TEST(file_that_is_not_ours_is_refused)
{
	static const struct {
		const char *content;
		size_t len;
	} files[] = {
		{ "", 0 },
		{ "\n", 1 },
		{ "garbage\n", 8 },
		{ "12", 2 }, /* cut off: half a number would go back */
		{ "12x\n", 4 },
		{ "12 \n", 4 },
		{ " 12\n", 4 },
		{ "12 store", 8 },
		{ "12 stored\n", 10 },
		{ "12  store\n", 10 },
		{ "+12\n", 4 },
		{ "-12\n", 4 },
		{ "-18446744073709551000\n", 22 },
		{ "012\n", 4 },
		{ "12\n13\n", 6 },
		{ "12\n\0", 4 },
		{ "\0\0\0\0", 4 },
		{ "0x12\n", 5 },
		{ "9007199254740993\n", 17 },
		{ "18446744073709551615\n", 21 },
		{ "18446744073709551616\n", 21 },
		{ "99999999999999999999999999999999999999999999999\n", 48 },
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		char content[64] = { 0 };
		FILE *stream;

		write_file(files[i].content, files[i].len);
		check_refused("/revision: not a revision number");
		/* It is left as it is, for whoever looks into it. */
		stream = fopen(file, "r");
		ck_assert_uint_eq(fread(content, 1, sizeof(content), stream), files[i].len);
		fclose(stream);
		ck_assert_mem_eq(content, files[i].content, files[i].len);
	}
}
END_TEST

static void touch_file(const char *name)
{
	char path[128];
	FILE *stream;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	stream = fopen(path, "w");
	ck_assert_ptr_nonnull(stream);
	fclose(stream);
}

/* Opens and closes; what it says of a store. */
static bool had_store(bool is_settled)
{
	struct revision *revision = take();
	bool found = revision_had_store(revision);

	if (is_settled)
		ck_assert_int_eq(revision_settle(revision, revision_first(revision)), 0);
	revision_close(revision);
	return found;
}

START_TEST(a_store_that_was_removed_is_known)
{
	ck_assert(!had_store(false));
	ck_assert(!had_store(true)); /* a start that did not get so far */
	touch_file("store.mdb");
	ck_assert(!had_store(true));
	ck_assert(had_store(false));
	remove_below("store.mdb");
	ck_assert(had_store(false));
	ck_assert(!had_store(false)); /* it was said */
	/* A crash of the very first process. */
	touch_file("store.mdb-lock");
	ck_assert(had_store(false));
	remove_below("store.mdb-lock");
}
END_TEST

START_TEST(number_ahead_of_the_clock_holds)
{
	static const char ahead[] = "4503599627370496\n";
	struct revision *revision;

	write_file(ahead, sizeof(ahead) - 1);
	revision = take();
	ck_assert_uint_eq(revision_first(revision), UINT64_C(4503599627370496));
	revision_close(revision);
}
END_TEST

START_TEST(lost_file_is_made_up_for_by_the_clock)
{
	struct revision *revision = take();
	uint64_t first = revision_first(revision);

	revision_close(revision);
	ck_assert_int_eq(unlink(file), 0);
	revision = take();
	ck_assert_uint_ge(revision_first(revision), first);
	revision_close(revision);
}
END_TEST

/* What a crash in the middle of writing leaves behind. */
START_TEST(unfinished_write_does_not_count)
{
	struct revision *revision = take();
	uint64_t mark = written();
	char aside[96];
	FILE *stream;

	revision_close(revision);
	snprintf(aside, sizeof(aside), "%s/revision.new", directory);
	stream = fopen(aside, "w");
	ck_assert_ptr_nonnull(stream);
	fputs("1", stream);
	fclose(stream);
	revision = take();
	ck_assert_uint_eq(revision_first(revision), mark);
	revision_close(revision);
}
END_TEST

START_TEST(directory_that_cannot_be_made)
{
	snprintf(directory, sizeof(directory), "%s/missing/data", above);
	check_refused(strerror(ENOENT));
	snprintf(directory, sizeof(directory), "/dev/null/data");
	check_refused(strerror(ENOTDIR));
	snprintf(directory, sizeof(directory), "/dev/null");
	check_refused(strerror(ENOTDIR));
	snprintf(directory, sizeof(directory), "%s/data", above);
}
END_TEST

START_TEST(file_that_cannot_be_read_is_named)
{
	ck_assert_int_eq(mkdir(directory, 0700), 0);
	ck_assert_int_eq(mkdir(file, 0700), 0);
	check_refused("/revision: ");
	ck_assert_ptr_nonnull(strstr(message, strerror(EISDIR)));
	ck_assert_int_eq(rmdir(file), 0);
}
END_TEST

static size_t count_descriptors(void)
{
	DIR *listing = opendir("/proc/self/fd");
	size_t n = 0;

	ck_assert_ptr_nonnull(listing);
	while (readdir(listing))
		n++;
	closedir(listing);
	return n;
}

START_TEST(no_descriptor_is_left_open)
{
	size_t before = count_descriptors();

	for (unsigned i = 0; i < 5; i++) {
		struct revision *revision = take();

		check_refused("another rosterd");
		revision_close(revision);
	}
	write_file("x", 1);
	check_refused("not a revision number");
	ck_assert_uint_eq(count_descriptors(), before);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("revision");
	TCase *tcase = tcase_create("revision");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, directory_is_made);
	tcase_add_test(tcase, block_is_written_at_open);
	tcase_add_test(tcase, never_goes_back_over_reopen);
	tcase_add_test(tcase, advance_reserves_in_time);
	tcase_add_test(tcase, clean_stop_costs_no_block);
	tcase_add_test(tcase, advance_of_little_writes_nothing);
	tcase_add_test(tcase, advance_that_cannot_write_says_so);
	tcase_add_test(tcase, one_server_per_directory);
	tcase_add_test(tcase, lock_goes_from_one_server_to_the_next);
	tcase_add_test(tcase, file_that_is_not_ours_is_refused);
	tcase_add_test(tcase, a_store_that_was_removed_is_known);
	tcase_add_test(tcase, number_ahead_of_the_clock_holds);
	tcase_add_test(tcase, lost_file_is_made_up_for_by_the_clock);
	tcase_add_test(tcase, unfinished_write_does_not_count);
	tcase_add_test(tcase, directory_that_cannot_be_made);
	tcase_add_test(tcase, file_that_cannot_be_read_is_named);
	tcase_add_test(tcase, no_descriptor_is_left_open);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
