/* SPDX-License-Identifier: BSD-2-Clause */
/* Longer by hand: STORE_ROUNDS=2000 for damages and STORE_KILLS=1000 for crashes. */
#include "io/store.h"

#include "../lib/data.h"

#include <check.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	ROUNDS = 200,
	KILLS = 20,
	PAGE = 4096,
};

/* ---- Crashes ---- */

static unsigned number_of(const char *name, unsigned fallback)
{
	const char *text = getenv(name);

	return text ? (unsigned)atoi(text) : fallback;
}

/* Commits batches of three for ever; says the number of each on the pipe when it is durable. */
static void write_for_ever(unsigned n, int fd)
{
	unsigned found;

	data_done = queue_new(); /* the one before shares its eventfd with the other process */
	ck_assert_ptr_nonnull(data_done);
	ck_assert_int_eq(data_read(NULL, &found), STORE_END);
	ck_assert_int_eq(store_start(data_store, data_done), 0);
	for (;; n++) {
		struct store_batch *batch = data_batch();

		for (unsigned i = 0; i < 3; i++)
			data_put_instance(batch, n, i, 80, true);
		if (data_commit(batch) || write(fd, &n, sizeof(n)) != sizeof(n))
			_exit(1);
	}
}

/* Returns the number of the last batch that was acknowledged, or `n` - 1. */
static unsigned write_until_killed(unsigned n, unsigned n_until)
{
	unsigned last = n - 1, next;
	int fds[2];
	pid_t pid;

	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	if (pid == 0)
		write_for_ever(n, fds[1]);
	close(fds[1]);
	for (; n_until; n_until--) {
		data_await(fds[0]);
		ck_assert_int_eq(read(fds[0], &last, sizeof(last)), sizeof(last));
	}
	for (int spin = rand() % 300000; spin; spin--) /* somewhere within the next */
		__asm__ volatile("");
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	while (read(fds[0], &next, sizeof(next)) == sizeof(next))
		last = next;
	close(fds[0]);
	return last;
}

START_TEST(a_crash_loses_nothing_that_was_acknowledged)
{
	unsigned n = 0, n_kills = number_of("STORE_KILLS", KILLS), seed = (unsigned)getpid();

	srand(seed);
	for (unsigned round = 0; round < n_kills; round++) {
		unsigned acknowledged = write_until_killed(n, (unsigned)rand() % 20) + 1, found;

		ck_assert_msg(data_read(NULL, &found) == STORE_END, "%s", data_message);
		ck_assert_int_eq(store_source(data_store, data_note, sizeof(data_note)),
				 data_has("store.mdb") ? STORE_MAIN : STORE_NEW);
		ck_assert_msg(found % 3 == 0 &&
				      (found / 3 == acknowledged || found / 3 == acknowledged + 1),
			      "seed %u: %u instances, %u batches", seed, found, acknowledged);
		n = found / 3;
		data_close();
	}
}
END_TEST

/* ---- Damage ---- */

static void damage(struct data_image *image)
{
	size_t pages = image->len / PAGE, a = (size_t)rand() % pages, b = (size_t)rand() % pages;
	uint8_t page[PAGE];
	size_t within;

	switch (rand() % 8) {
	case 0: /* flips anywhere */
	case 1:
		for (int n = 1 + rand() % 4; n; n--)
			image->octets[(size_t)rand() % image->len] ^= (uint8_t)(1 << rand() % 8);
		break;
	case 2: /* a flip in what LMDB starts from */
	case 3:
		within = (size_t)(rand() % 2) * PAGE + (size_t)rand() % 152;
		image->octets[within] ^= (uint8_t)(1 << rand() % 8);
		break;
	case 4:
		image->len = rand() % 10 ? (size_t)rand() % image->len : 0;
		break;
	case 5: /* swapped */
		memcpy(page, image->octets + a * PAGE, PAGE);
		memcpy(image->octets + a * PAGE, image->octets + b * PAGE, PAGE);
		memcpy(image->octets + b * PAGE, page, PAGE);
		break;
	case 6: /* an older or other page in its place */
		memmove(image->octets + a * PAGE, image->octets + b * PAGE, PAGE);
		break;
	default:
		memset(image->octets + a * PAGE, 0, PAGE);
	}
}

/* A file of 1,200 instances in many commits, and a copy that has 1,000 of them. */
static void make_images(struct data_image *main_file, struct data_image *copy, char **main_content,
			char **copy_content)
{
	data_start(STORE_NEW, 0);
	for (unsigned i = 0; i < 20; i++)
		ck_assert_int_eq(data_commit_instances(i, 50, 80), 0);
	data_close();
	*copy_content = data_content(STORE_MAIN);
	ck_assert_int_eq(store_start(data_store, data_done), 0);
	*copy = data_load("registry.jsonl");
	for (unsigned i = 20; i < 24; i++)
		ck_assert_int_eq(data_commit_instances(i, 50, 80), 0);
	*main_file = data_load("store.mdb"); /* at rest: nothing is submitted */
	data_close();
	*main_content = data_content(STORE_MAIN);
	data_close();
}

/* What was read of it, if anything, is the base of what is written then. */
static void write_on(unsigned n)
{
	if (n == 0)
		return;
	ck_assert_int_eq(store_start(data_store, data_done), 0);
	ck_assert_int_eq(data_commit_instances(99, 10, 80), 0);
	data_close();
	data_start(STORE_MAIN, n + 10);
}

START_TEST(damage_is_never_served)
{
	struct data_image main_file, copy, damaged;
	char *main_content, *copy_content;
	unsigned rounds = number_of("STORE_ROUNDS", ROUNDS), seed = (unsigned)getpid(), n;
	unsigned results[3] = { 0 };

	srand(seed);
	make_images(&main_file, &copy, &main_content, &copy_content);
	damaged.octets = malloc(main_file.len);
	for (unsigned round = 0; round < rounds; round++) {
		struct buf content;
		bool has_copy = rand() % 4 != 0;

		data_remove();
		memcpy(damaged.octets, main_file.octets, main_file.len);
		damaged.len = main_file.len;
		damage(&damaged);
		data_save("store.mdb", &damaged);
		if (has_copy)
			data_save("registry.jsonl", &copy);
		buf_init(&content);
		if (data_read(&content, &n) == STORE_FAILED) {
			results[2]++;
			ck_assert_msg(!has_copy && n == 0 && !strchr(data_message, '\n') &&
					      *data_message,
				      "seed %u, round %u: %s", seed, round, data_message);
		} else {
			enum store_source source =
				store_source(data_store, data_note, sizeof(data_note));

			results[source == STORE_COPY]++;
			ck_assert_msg(source == STORE_MAIN || (source == STORE_COPY && has_copy),
				      "seed %u, round %u: source %d", seed, round, source);
			ck_assert_msg(strcmp(content.data,
					     source == STORE_MAIN ? main_content : copy_content) ==
					      0,
				      "seed %u, round %u: another content", seed, round);
		}
		buf_fini(&content);
		if (round % 20 == 0)
			write_on(n);
		data_close();
	}
	if (getenv("STORE_ROUNDS"))
		printf("%u damages: %u harmless, %u times the copy, %u refused\n", rounds,
		       results[0], results[1], results[2]);
	ck_assert_uint_ge(results[1], 1);
	ck_assert_uint_ge(results[2], 1);
	free(damaged.octets);
	free(main_file.octets);
	free(copy.octets);
	free(main_content);
	free(copy_content);
}
END_TEST

/* ---- A full disk ---- */

static int mount_disk(unsigned long flags, const char *size)
{
	char options[32];

	snprintf(options, sizeof(options), "size=%s", size);
	return mount("test", data_directory, "tmpfs", flags, options);
}

/* A file system of `size` in the directory's place, for this process alone; false: not here. */
static bool mount_own_disk(const char *size)
{
	if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount_disk(0, size) == 0)
		return true;
	printf("SKIP: no mounts here\n");
	return false;
}

START_TEST(a_full_disk_refuses_and_recovers)
{
	unsigned n = 0;
	int error;

	if (!mount_own_disk("2m"))
		return;
	data_start(STORE_NEW, 0);
	while ((error = data_commit_instances(n, 200, 80)) == 0)
		n++;
	ck_assert_int_eq(error, ENOSPC);
	ck_assert_uint_ge(n, 1);
	ck_assert_int_eq(data_commit_instances(n, 200, 80), ENOSPC);
	ck_assert_int_eq(data_commit(data_batch()), ENOSPC);
	ck_assert_int_eq(mount_disk(MS_REMOUNT, "32m"), 0);
	ck_assert_int_eq(data_commit(data_batch()), 0);
	ck_assert_int_eq(data_commit_instances(n, 200, 80), 0);
	data_close();
	data_start(STORE_MAIN, 200 * (n + 1));
	data_close();
	ck_assert_int_eq(umount(data_directory), 0);
}
END_TEST

/* Neither a first file nor one from the copy can be built before there is room for it. */
START_TEST(a_start_on_a_full_disk_recovers)
{
	static const enum store_source sources[] = { STORE_NEW, STORE_COPY };

	if (!mount_own_disk("2m"))
		return;
	for (unsigned i = 0; i < 2; i++) {
		struct data_image filler = { calloc(1, 3 << 20), 3 << 20 };
		FILE *stream = fopen(data_path("revision"), "w");

		setvbuf(stream, NULL, _IONBF, 0);
		ck_assert_uint_lt(fwrite(filler.octets, 1, filler.len, stream), filler.len);
		fclose(stream);
		data_start(sources[i], 10 * i);
		ck_assert_int_eq(data_commit_instances(i, 10, 80), ENOSPC);
		ck_assert_int_eq(data_commit(data_batch()), ENOSPC);
		ck_assert_int_eq(remove(data_path("revision")), 0);
		ck_assert_int_eq(data_commit_instances(i, 10, 80), 0);
		data_close();
		data_start(STORE_MAIN, 10 * (i + 1));
		data_close();
		ck_assert_int_eq(remove(data_path("store.mdb")), 0);
		free(filler.octets);
	}
	ck_assert_int_eq(umount(data_directory), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store_faults");
	TCase *tcase = tcase_create("store_faults");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, data_set_up, data_tear_down);
	tcase_set_timeout(tcase, 600);
	tcase_add_test(tcase, a_crash_loses_nothing_that_was_acknowledged);
	tcase_add_test(tcase, damage_is_never_served);
	tcase_add_test(tcase, a_full_disk_refuses_and_recovers);
	tcase_add_test(tcase, a_start_on_a_full_disk_recovers);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
