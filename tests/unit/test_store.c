/* SPDX-License-Identifier: BSD-2-Clause */
/* STORE_BENCH=1 measures commits, and reading 1,000,000 instances. */
#include "io/store.h"

#include "../lib/data.h"
#include "base/clock.h"
#include "io/store_lmdb.h"
#include "io/store_seal.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PAGE = 4096,
};

/* ---- First start, writing, coming back ---- */

START_TEST(what_was_committed_comes_back_in_order)
{
	struct store_batch *batch = data_batch();
	struct stored_key key = { "s00001", "i00001" };
	struct store_item item;

	data_start(STORE_NEW, 0);
	data_put_policy(batch, "s00001", 7);
	data_put_instance(batch, 2, 0, 80, true);
	data_put_instance(batch, 1, 1, 80, true);
	data_put_instance(batch, 1, 0, 80, false);
	ck_assert_int_eq(data_commit(batch), 0);
	batch = data_batch();
	data_put_instance(batch, 2, 0, 81, true); /* again, another port */
	store_batch_remove(batch, STORED_STATE, &key);
	store_batch_remove(batch, STORED_REGISTRATION, &key);
	store_batch_remove(batch, STORED_REGISTRATION, &key); /* is not there: well */
	ck_assert_int_eq(data_commit(batch), 0);
	data_close();

	data_store = store_open(data_directory, data_message, sizeof(data_message));
	for (unsigned i = 0; i < 3; i++) {
		static const char *const services[] = { "s00001", "s00002", "s00001" };
		static const char *const ids[] = { "i00000", "i00000", "ttl" };
		enum store_read result;
		uint32_t ttl_s;

		while ((result = store_read(data_store, &item, data_message,
					    sizeof(data_message))) == STORE_WAIT)
			data_await(store_read_fd(data_store));
		ck_assert_int_eq(result, STORE_ITEM);
		ck_assert_str_eq(item.key.service, services[i]);
		ck_assert_str_eq(item.key.id, ids[i]);
		ck_assert((item.state != NULL) == (i == 1));
		if (item.kind == STORED_POLICY) {
			ck_assert_int_eq(
				stored_get_policy(&item.key, item.record, item.len, &ttl_s),
				STORED_OK);
			ck_assert_uint_eq(ttl_s, 7);
		} else {
			struct registration *registration;

			ck_assert_int_eq(stored_get_registration(&item.key, item.record, item.len,
								 &registration),
					 STORED_OK);
			ck_assert_uint_eq(registration->port, i == 1 ? 81 : 80);
			record_registration_free(registration);
		}
	}
	while (store_read(data_store, &item, data_message, sizeof(data_message)) == STORE_WAIT)
		data_await(store_read_fd(data_store));
	ck_assert_int_eq(store_source(data_store, data_note, sizeof(data_note)), STORE_MAIN);
}
END_TEST

START_TEST(an_earlier_version_had_no_store)
{
	data_save("revision", &(struct data_image){ (uint8_t *)(char[]){ "17\n" }, 3 });
	data_start(STORE_NEW, 0);
}
END_TEST

START_TEST(every_way_to_close)
{
	unsigned n;

	data_store = store_open(data_directory, data_message, sizeof(data_message));
	data_close(); /* while it is read */
	ck_assert_int_eq(data_read(NULL, &n), STORE_END);
	data_close(); /* before it is started */
	data_start(STORE_NEW, 0);
	data_close();
	data_start(STORE_MAIN, 0);
	ck_assert_int_eq(data_commit_instances(1, 3, 80), 0);
	data_close();
	data_save("store.mdb", &(struct data_image){ NULL, 0 });
	remove(data_path("registry.jsonl"));
	ck_assert_int_eq(data_read(NULL, &n), STORE_FAILED);
	ck_assert_msg(strstr(data_message, "store.mdb is empty, and") != NULL, "%s", data_message);
	ck_assert_msg(strstr(data_message, "registry.jsonl is missing") != NULL, "%s",
		      data_message);
	data_close();
}
END_TEST

/* Puts the store aside as one that another process has. */
static struct store *suspend(void)
{
	struct store *suspended = data_store;

	store_suspend(data_store);
	data_store = NULL;
	return suspended;
}

START_TEST(a_suspended_store_goes_on_where_nobody_wrote)
{
	struct store *old;
	unsigned n;

	data_start(STORE_NEW, 0);
	ck_assert_int_eq(data_commit_instances(1, 3, 80), 0);
	old = suspend();
	ck_assert_int_eq(data_read(NULL, &n), STORE_END);
	ck_assert_uint_eq(n, 3);
	data_close(); /* the other process has failed before it started */
	data_store = old;
	ck_assert_int_eq(store_resume(data_store), 0);
	ck_assert_int_eq(data_commit_instances(2, 4, 80), 0);
	data_close();
	data_start(STORE_MAIN, 7);
}
END_TEST

START_TEST(a_suspended_store_leaves_the_files_alone)
{
	struct store *old;
	struct stat before, after;

	data_start(STORE_NEW, 0);
	ck_assert_int_eq(data_commit_instances(1, 3, 80), 0);
	old = suspend();
	ck_assert(!data_has("registry.jsonl"));
	data_start(STORE_MAIN, 3);
	ck_assert_int_eq(data_commit_instances(2, 4, 80), 0);
	data_close();
	ck_assert_int_eq(stat(data_path("registry.jsonl"), &before), 0);
	store_close(old);
	ck_assert_int_eq(stat(data_path("registry.jsonl"), &after), 0);
	ck_assert_uint_eq(after.st_ino, before.st_ino);
	data_start(STORE_MAIN, 7);
}
END_TEST

START_TEST(batches_that_wait_come_back_in_order)
{
	struct store_batch *batches[50];
	struct store_stats stats;
	struct queue_node *node;

	data_start(STORE_NEW, 0);
	for (unsigned i = 0; i < 50; i++) {
		batches[i] = data_batch();
		if (i % 10 != 9) /* every tenth is empty */
			data_put_instance(batches[i], i, 0, 80, true);
		store_submit(data_store, batches[i]);
	}
	for (unsigned i = 0; i < 50;) {
		data_await(queue_fd(data_done));
		for (node = queue_take(data_done); node; i++) {
			struct store_batch *batch = (struct store_batch *)node;

			node = node->next;
			ck_assert_ptr_eq(batch, batches[i]);
			ck_assert_int_eq(batch->error, 0);
			store_batch_free(batch);
		}
	}
	store_read_stats(data_store, &stats);
	ck_assert_uint_eq(stats.registrations, 45);
	ck_assert_uint_eq(stats.states, 45);
	ck_assert_uint_ge(stats.commits, 1);
	ck_assert_uint_ge(stats.octets, PAGE);
	data_close();
	data_start(STORE_MAIN, 45);
}
END_TEST

/* More than the map has room for at first, while somebody reads. */
static atomic_bool is_filled;
static unsigned n_read;

static void *read_snapshots(void *cookie)
{
	const struct store_engine *kind = &store_lmdb_engine;
	struct store_octets key, value;
	void *reader;

	while (!atomic_load(&is_filled)) {
		int error = kind->snapshot(cookie, &reader);
		void *cursor;

		if (error == ECANCELED)
			continue;
		ck_assert_int_eq(error, 0);
		cursor = kind->cursor_new(reader);
		while ((error = kind->cursor_next(cursor, &key, &value)) == 0)
			ck_assert_int_eq(*(const char *)value.data, 'x');
		ck_assert(error == ENOENT || error == ECANCELED);
		kind->reader_free(reader);
		n_read++;
	}
	return NULL;
}

static int fill(void *cookie, void *txn)
{
	char key_text[16];
	static char octets[2000];
	struct store_octets key = { key_text, sizeof(key_text) }, value = { octets, 2000 };
	int error = 0;

	memset(octets, 'x', sizeof(octets));
	for (unsigned i = 0; i < 1000 && error == 0; i++) {
		memset(key_text, 0, sizeof(key_text));
		snprintf(key_text, sizeof(key_text), "k%u", *(unsigned *)cookie * 1000 + i);
		error = store_lmdb_engine.put(txn, &key, &value);
	}
	return error;
}

static int no_record(void *cookie, struct store_octets *key, struct store_octets *value)
{
	(void)cookie;
	(void)key;
	(void)value;
	return ENOENT;
}

static void simple_seal(void *cookie, uint64_t mark, struct store_octets *value)
{
	(void)cookie;
	(void)mark;
	*value = (struct store_octets){ "x", 1 };
}

START_TEST(the_file_grows_while_it_is_read)
{
	const struct store_engine *kind = &store_lmdb_engine;
	void *engine = kind->engine_new(data_path("store.mdb"));
	pthread_t thread;

	ck_assert_int_eq(kind->open(engine), ENOENT);
	ck_assert_int_eq(kind->build(data_path("store.mdb"), 0, no_record, simple_seal, NULL), 0);
	ck_assert_int_eq(kind->open(engine), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, read_snapshots, engine), 0);
	for (unsigned i = 0; i < 40; i++) /* 80 MB */
		ck_assert_int_eq(kind->commit(engine, fill, &i), 0);
	atomic_store(&is_filled, true);
	pthread_join(thread, NULL);
	ck_assert_uint_ge(n_read, 1);
	kind->engine_free(engine);
}
END_TEST

/* ---- The copy ---- */

START_TEST(the_copy_serves_where_the_file_is_damaged)
{
	char *before, *after;
	struct stat status;

	data_start(STORE_NEW, 0);
	ck_assert_int_eq(data_commit_instances(1, 100, 80), 0);
	data_close();
	before = data_content(STORE_MAIN);
	data_close();

	ck_assert_int_eq(truncate(data_path("store.mdb"), 10000), 0);
	after = data_content(STORE_COPY);
	ck_assert_str_eq(before, after);
	ck_assert_msg(strstr(data_note, "store.mdb is too short; read instead: registry.jsonl") !=
			      NULL,
		      "%s", data_note);
	ck_assert_int_eq(store_start(data_store, data_done), 0);
	ck_assert_int_eq(data_commit_instances(2, 10, 80), 0);
	data_close();
	ck_assert_int_eq(stat(data_path("store.mdb.damaged"), &status), 0);
	ck_assert_int_eq(status.st_size, 10000);
	data_start(STORE_MAIN, 110);
	data_close();

	remove(data_path("store.mdb"));
	data_start(STORE_COPY, 110);
	free(before);
	free(after);
}
END_TEST

START_TEST(a_file_that_is_older_than_its_copy_is_not_used)
{
	struct data_image old;

	data_start(STORE_NEW, 0);
	ck_assert_int_eq(data_commit_instances(1, 10, 80), 0);
	old = data_load("store.mdb");
	ck_assert_int_eq(data_commit_instances(2, 10, 80), 0);
	data_close();
	data_save("store.mdb", &old);
	data_start(STORE_COPY, 20);
	ck_assert_msg(strstr(data_note, "store.mdb is older than registry.jsonl") != NULL, "%s",
		      data_note);
	free(old.octets);
}
END_TEST

/* Whichever octet it is. */
START_TEST(a_damaged_copy_is_not_used)
{
	struct data_image copy;
	unsigned n;

	data_start(STORE_NEW, 0);
	ck_assert_int_eq(data_commit_instances(1, 20, 80), 0);
	data_close();
	remove(data_path("store.mdb"));
	copy = data_load("registry.jsonl");
	for (size_t at = 0; at < copy.len; at += 7) {
		copy.octets[at] ^= 1;
		data_save("registry.jsonl", &copy);
		ck_assert_msg(data_read(NULL, &n) == STORE_FAILED, "octet %zu", at);
		ck_assert_uint_eq(n, 0);
		data_close();
		copy.octets[at] ^= 1;
	}
	data_save("registry.jsonl", &copy);
	data_start(STORE_COPY, 20);
	free(copy.octets);
}
END_TEST

START_TEST(without_a_fresh_file_the_old_one_is_written)
{
	data_start(STORE_NEW, 0);
	ck_assert_int_eq(data_commit_instances(1, 10, 80), 0);
	data_close();
	ck_assert_int_eq(mkdir(data_path("store.mdb.new"), 0700), 0); /* is in the way */
	data_start(STORE_MAIN, 10);
	ck_assert_int_eq(data_commit_instances(2, 10, 80), 0);
	data_close();
	ck_assert_int_eq(rmdir(data_path("store.mdb.new")), 0);
	data_start(STORE_MAIN, 20);
}
END_TEST

static void newer_seal(void *cookie, uint64_t mark, struct store_octets *value)
{
	uint8_t *octets = cookie;
	uint64_t hash;

	store_seal_print(&(struct store_seal){ 0 }, mark, octets);
	octets[4]++; /* the version's low octet */
	hash = store_seal_hash(octets, STORE_SEAL - sizeof(hash));
	for (size_t i = 0; i < sizeof(hash); i++)
		octets[STORE_SEAL - sizeof(hash) + i] = (uint8_t)(hash >> 8 * i);
	*value = (struct store_octets){ octets, STORE_SEAL };
}

START_TEST(what_a_newer_version_wrote_is_refused_by_name)
{
	uint8_t octets[STORE_SEAL];
	unsigned n;

	data_start(STORE_NEW, 0);
	data_close();
	ck_assert(data_has("registry.jsonl"));
	ck_assert_int_eq(
		store_lmdb_engine.build(data_path("store.mdb"), 0, no_record, newer_seal, octets),
		0);
	ck_assert_int_eq(data_read(NULL, &n), STORE_FAILED);
	ck_assert_msg(strstr(data_message, "format version 2, which a newer") != NULL, "%s",
		      data_message);
}
END_TEST

/* ---- Speed ---- */

static void bench_commits(unsigned batch_size, unsigned n_batches)
{
	uint64_t start_ms = clock_mono_ms(), took_ms;

	for (unsigned i = 0; i < n_batches; i++) {
		struct store_batch *batch = data_batch();

		for (unsigned j = 0; j < batch_size; j++)
			data_put_instance(batch, (unsigned)rand() % 100000, j, 80, false);
		ck_assert_int_eq(data_commit(batch), 0);
	}
	took_ms = clock_mono_ms() - start_ms;
	printf("batches of %4u: %8.0f durable registrations/s\n", batch_size,
	       (double)batch_size * n_batches * 1000 / (double)took_ms);
}

START_TEST(bench)
{
	uint64_t start_ms;
	struct store_stats stats;
	unsigned n;

	data_start(STORE_NEW, 0);
	bench_commits(1, 2000);
	bench_commits(64, 500);
	bench_commits(1024, 100);
	for (unsigned i = 0; i < 100; i++)
		ck_assert_int_eq(data_commit_instances(i, 10000, 80), 0);
	store_read_stats(data_store, &stats);
	printf("%lu registrations, %lu states, %lu octets\n", (unsigned long)stats.registrations,
	       (unsigned long)stats.states, (unsigned long)stats.octets);
	start_ms = clock_mono_ms();
	data_close();
	printf("closed, with the copy, in %lu ms\n", (unsigned long)(clock_mono_ms() - start_ms));
	start_ms = clock_mono_ms();
	ck_assert_int_eq(data_read(NULL, &n), STORE_END);
	printf("%u items read in %lu ms\n", n, (unsigned long)(clock_mono_ms() - start_ms));
	start_ms = clock_mono_ms();
	ck_assert_int_eq(store_start(data_store, data_done), 0);
	ck_assert_int_eq(data_commit(data_batch()), 0);
	printf("the fresh file in place %lu ms later\n",
	       (unsigned long)(clock_mono_ms() - start_ms));
	data_close();
	remove(data_path("store.mdb"));
	start_ms = clock_mono_ms();
	ck_assert_int_eq(data_read(NULL, &n), STORE_END);
	printf("%u items read from the copy in %lu ms\n", n,
	       (unsigned long)(clock_mono_ms() - start_ms));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store");
	TCase *tcase = tcase_create("store");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, data_set_up, data_tear_down);
	tcase_set_timeout(tcase, 600);
	tcase_add_test(tcase, what_was_committed_comes_back_in_order);
	tcase_add_test(tcase, an_earlier_version_had_no_store);
	tcase_add_test(tcase, every_way_to_close);
	tcase_add_test(tcase, a_suspended_store_goes_on_where_nobody_wrote);
	tcase_add_test(tcase, a_suspended_store_leaves_the_files_alone);
	tcase_add_test(tcase, batches_that_wait_come_back_in_order);
	tcase_add_test(tcase, the_file_grows_while_it_is_read);
	tcase_add_test(tcase, the_copy_serves_where_the_file_is_damaged);
	tcase_add_test(tcase, a_file_that_is_older_than_its_copy_is_not_used);
	tcase_add_test(tcase, a_damaged_copy_is_not_used);
	tcase_add_test(tcase, without_a_fresh_file_the_old_one_is_written);
	tcase_add_test(tcase, what_a_newer_version_wrote_is_refused_by_name);
	if (getenv("STORE_BENCH"))
		tcase_add_test(tcase, bench);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
