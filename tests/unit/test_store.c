/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Longer by hand: STORE_ROUNDS=2000 for damages and STORE_KILLS=1000 for crashes; STORE_BENCH=1
 * measures commits, and reading 1,000,000 instances.
 */
#include "io/store.h"

#include "base/clock.h"
#include "io/store_lmdb.h"
#include "io/store_seal.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	WAIT_MS = 60000,
	ROUNDS = 200,
	KILLS = 20,
	PAGE = 4096,
};

static const char *const files[] = { "store.mdb",      "store.mdb-lock",     "store.mdb.new",
				     "registry.jsonl", "registry.jsonl.new", "store.mdb.damaged",
				     "revision" };

static char directory[64], message[512], note[512];
static struct store *store;
static struct queue *done;

/* ---- Files ---- */

static const char *path_of(const char *name)
{
	static char paths[2][128];
	static unsigned turn;
	char *path = paths[turn++ % 2];

	snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	return path;
}

static void remove_files(void)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (remove(path_of(files[i])))
			ck_assert_int_eq(errno, ENOENT);
}

struct image {
	uint8_t *octets;
	size_t len;
};

static struct image load_file(const char *name)
{
	FILE *stream = fopen(path_of(name), "r");
	struct image image;

	ck_assert_ptr_nonnull(stream);
	fseek(stream, 0, SEEK_END);
	image.len = (size_t)ftell(stream);
	rewind(stream);
	image.octets = malloc(image.len + 1);
	ck_assert_ptr_nonnull(image.octets);
	ck_assert_uint_eq(fread(image.octets, 1, image.len, stream), image.len);
	fclose(stream);
	return image;
}

static void save_file(const char *name, const struct image *image)
{
	FILE *stream = fopen(path_of(name), "w");

	ck_assert_ptr_nonnull(stream);
	ck_assert_uint_eq(fwrite(image->octets, 1, image->len, stream), image->len);
	ck_assert_int_eq(fclose(stream), 0);
}

static bool has_file(const char *name)
{
	return access(path_of(name), F_OK) == 0;
}

static void set_up(void)
{
	strcpy(directory, "/tmp/test_store-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	done = queue_new();
	ck_assert_ptr_nonnull(done);
	store = NULL;
}

static void tear_down(void)
{
	store_close(store);
	queue_free(done);
	remove_files();
	ck_assert_int_eq(rmdir(directory), 0);
}

/* ---- Records ---- */

static void put_instance(struct store_batch *batch, unsigned service, unsigned id, unsigned port,
			 bool has_state)
{
	char service_name[32], id_name[32];
	struct stored_key key = { service_name, id_name };
	struct registration registration = { .service = service_name,
					     .id = id_name,
					     .label = id_name,
					     .address = { .has_v4 = true, .v4 = { 10, 0, 0, 1 } },
					     .port = (uint16_t)port,
					     .priority = 10,
					     .weight = 100 };
	struct stored_state state = { .admin = ADMIN_DRAIN };
	struct buf record, state_record;

	snprintf(service_name, sizeof(service_name), "s%05u", service);
	snprintf(id_name, sizeof(id_name), "i%05u", id);
	buf_init(&record);
	buf_init(&state_record);
	stored_put_registration(&record, &registration);
	store_batch_put(batch, STORED_REGISTRATION, &key, record.data, record.len);
	state.registration_crc = stored_crc(record.data);
	stored_put_state(&state_record, &key, &state);
	if (has_state)
		store_batch_put(batch, STORED_STATE, &key, state_record.data, state_record.len);
	buf_fini(&record);
	buf_fini(&state_record);
}

static void put_policy(struct store_batch *batch, const char *service, uint32_t ttl_s)
{
	struct stored_key key = { service, stored_field_name(STORED_TTL) };
	struct buf record;

	buf_init(&record);
	stored_put_policy(&record, &key, ttl_s);
	store_batch_put(batch, STORED_POLICY, &key, record.data, record.len);
	buf_fini(&record);
}

/* ---- The store ---- */

static void await(int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN };

	ck_assert_int_eq(poll(&entry, 1, WAIT_MS), 1);
}

static void print_octets(struct buf *out, const void *octets, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf_print(out, "%02x", ((const uint8_t *)octets)[i]);
}

/* Opens and reads to the end, whichever it is. `content` gets what was read, as text. */
static enum store_read read_back(struct buf *content, unsigned *n)
{
	struct store_item item;
	enum store_read result;

	*n = 0;
	store = store_open(directory, message, sizeof(message));
	ck_assert_msg(store != NULL, "%s", message);
	while ((result = store_read(store, &item, message, sizeof(message))) <= STORE_WAIT) {
		if (result == STORE_WAIT) {
			await(store_read_fd(store));
			continue;
		}
		++*n;
		if (!content)
			continue;
		buf_print(content, "%d %s %s ", item.kind, item.key.service, item.key.id);
		print_octets(content, item.record, item.len);
		buf_print(content, " ");
		print_octets(content, item.state, item.state_len);
		buf_print(content, "\n");
	}
	if (content)
		buf_put(content, "", 0);
	return result;
}

static void close_store(void)
{
	store_close(store);
	store = NULL;
}

/* Opens it, of which it must be `n` items from `source`, and starts. */
static void start(enum store_source source, unsigned n)
{
	unsigned found;

	ck_assert_msg(read_back(NULL, &found) == STORE_END, "%s", message);
	ck_assert_int_eq(store_source(store, note, sizeof(note)), source);
	ck_assert_uint_eq(found, n);
	ck_assert_int_eq(store_start(store, done), 0);
}

static struct store_batch *new_batch(void)
{
	struct store_batch *batch = store_batch_new();

	ck_assert_ptr_nonnull(batch);
	return batch;
}

static int take_back(struct store_batch *batch)
{
	int error;

	await(queue_fd(done));
	ck_assert_ptr_eq(queue_take(done), &batch->node);
	ck_assert_ptr_null(batch->node.next);
	error = batch->error;
	store_batch_free(batch);
	return error;
}

static int commit(struct store_batch *batch)
{
	ck_assert(!store_batch_failed(batch));
	store_submit(store, batch);
	return take_back(batch);
}

static int commit_instances(unsigned service, unsigned n, unsigned port)
{
	struct store_batch *batch = new_batch();

	for (unsigned i = 0; i < n; i++)
		put_instance(batch, service, i, port, i % 2 == 0);
	return commit(batch);
}

static char *content_of(enum store_source source)
{
	struct buf content;
	unsigned n;
	size_t len;

	buf_init(&content);
	ck_assert_msg(read_back(&content, &n) == STORE_END, "%s", message);
	ck_assert_int_eq(store_source(store, note, sizeof(note)), source);
	return buf_take(&content, &len);
}

/* ---- First start, writing, coming back ---- */

START_TEST(what_was_committed_comes_back_in_order)
{
	struct store_batch *batch = new_batch();
	struct stored_key key = { "s00001", "i00001" };
	struct store_item item;

	start(STORE_NEW, 0);
	put_policy(batch, "s00001", 7);
	put_instance(batch, 2, 0, 80, true);
	put_instance(batch, 1, 1, 80, true);
	put_instance(batch, 1, 0, 80, false);
	ck_assert_int_eq(commit(batch), 0);
	batch = new_batch();
	put_instance(batch, 2, 0, 81, true); /* again, another port */
	store_batch_remove(batch, STORED_STATE, &key);
	store_batch_remove(batch, STORED_REGISTRATION, &key);
	store_batch_remove(batch, STORED_REGISTRATION, &key); /* is not there: well */
	ck_assert_int_eq(commit(batch), 0);
	close_store();

	store = store_open(directory, message, sizeof(message));
	for (unsigned i = 0; i < 3; i++) {
		static const char *const services[] = { "s00001", "s00002", "s00001" };
		static const char *const ids[] = { "i00000", "i00000", "ttl" };
		enum store_read result;
		uint32_t ttl_s;

		while ((result = store_read(store, &item, message, sizeof(message))) == STORE_WAIT)
			await(store_read_fd(store));
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
	while (store_read(store, &item, message, sizeof(message)) == STORE_WAIT)
		await(store_read_fd(store));
	ck_assert_int_eq(store_source(store, note, sizeof(note)), STORE_MAIN);
}
END_TEST

START_TEST(an_earlier_version_had_no_store)
{
	save_file("revision", &(struct image){ (uint8_t *)(char[]){ "17\n" }, 3 });
	start(STORE_NEW, 0);
}
END_TEST

START_TEST(every_way_to_close)
{
	unsigned n;

	store = store_open(directory, message, sizeof(message));
	close_store(); /* while it is read */
	ck_assert_int_eq(read_back(NULL, &n), STORE_END);
	close_store(); /* before it is started */
	start(STORE_NEW, 0);
	close_store();
	start(STORE_MAIN, 0);
	ck_assert_int_eq(commit_instances(1, 3, 80), 0);
	close_store();
	save_file("store.mdb", &(struct image){ NULL, 0 });
	remove(path_of("registry.jsonl"));
	ck_assert_int_eq(read_back(NULL, &n), STORE_FAILED);
	ck_assert_msg(strstr(message, "store.mdb is empty, and") != NULL, "%s", message);
	ck_assert_msg(strstr(message, "registry.jsonl is missing") != NULL, "%s", message);
	close_store();
}
END_TEST

START_TEST(batches_that_wait_come_back_in_order)
{
	struct store_batch *batches[50];
	struct store_stats stats;
	struct queue_node *node;

	start(STORE_NEW, 0);
	for (unsigned i = 0; i < 50; i++) {
		batches[i] = new_batch();
		if (i % 10 != 9) /* every tenth is empty */
			put_instance(batches[i], i, 0, 80, true);
		store_submit(store, batches[i]);
	}
	for (unsigned i = 0; i < 50;) {
		await(queue_fd(done));
		for (node = queue_take(done); node; i++) {
			struct store_batch *batch = (struct store_batch *)node;

			node = node->next;
			ck_assert_ptr_eq(batch, batches[i]);
			ck_assert_int_eq(batch->error, 0);
			store_batch_free(batch);
		}
	}
	store_read_stats(store, &stats);
	ck_assert_uint_eq(stats.registrations, 45);
	ck_assert_uint_eq(stats.states, 45);
	ck_assert_uint_ge(stats.commits, 1);
	ck_assert_uint_ge(stats.octets, PAGE);
	close_store();
	start(STORE_MAIN, 45);
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
	void *engine = kind->engine_new(path_of("store.mdb"));
	pthread_t thread;

	ck_assert_int_eq(kind->open(engine), ENOENT);
	ck_assert_int_eq(kind->build(path_of("store.mdb"), 0, no_record, simple_seal, NULL), 0);
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

	start(STORE_NEW, 0);
	ck_assert_int_eq(commit_instances(1, 100, 80), 0);
	close_store();
	before = content_of(STORE_MAIN);
	close_store();

	ck_assert_int_eq(truncate(path_of("store.mdb"), 10000), 0);
	after = content_of(STORE_COPY);
	ck_assert_str_eq(before, after);
	ck_assert_msg(strstr(note, "store.mdb is too short; read instead: registry.jsonl") != NULL,
		      "%s", note);
	ck_assert_int_eq(store_start(store, done), 0);
	ck_assert_int_eq(commit_instances(2, 10, 80), 0);
	close_store();
	ck_assert_int_eq(stat(path_of("store.mdb.damaged"), &status), 0);
	ck_assert_int_eq(status.st_size, 10000);
	start(STORE_MAIN, 110);
	close_store();

	remove(path_of("store.mdb"));
	start(STORE_COPY, 110);
	free(before);
	free(after);
}
END_TEST

/* Seven out of eight: each change of the copy is seen. */
START_TEST(a_damaged_copy_is_not_used)
{
	struct image copy;
	unsigned n;

	start(STORE_NEW, 0);
	ck_assert_int_eq(commit_instances(1, 20, 80), 0);
	close_store();
	remove(path_of("store.mdb"));
	copy = load_file("registry.jsonl");
	for (size_t at = 0; at < copy.len; at += 7) {
		copy.octets[at] ^= 1;
		save_file("registry.jsonl", &copy);
		ck_assert_msg(read_back(NULL, &n) == STORE_FAILED, "octet %zu", at);
		ck_assert_uint_eq(n, 0);
		close_store();
		copy.octets[at] ^= 1;
	}
	save_file("registry.jsonl", &copy);
	start(STORE_COPY, 20);
	free(copy.octets);
}
END_TEST

START_TEST(without_a_fresh_file_the_old_one_is_written)
{
	start(STORE_NEW, 0);
	ck_assert_int_eq(commit_instances(1, 10, 80), 0);
	close_store();
	ck_assert_int_eq(mkdir(path_of("store.mdb.new"), 0700), 0); /* is in the way */
	start(STORE_MAIN, 10);
	ck_assert_int_eq(commit_instances(2, 10, 80), 0);
	close_store();
	ck_assert_int_eq(rmdir(path_of("store.mdb.new")), 0);
	start(STORE_MAIN, 20);
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

	start(STORE_NEW, 0);
	close_store();
	ck_assert(has_file("registry.jsonl"));
	ck_assert_int_eq(
		store_lmdb_engine.build(path_of("store.mdb"), 0, no_record, newer_seal, octets), 0);
	ck_assert_int_eq(read_back(NULL, &n), STORE_FAILED);
	ck_assert_msg(strstr(message, "format version 2, which a newer") != NULL, "%s", message);
}
END_TEST

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

	done = queue_new(); /* the one before shares its eventfd with the other process */
	ck_assert_ptr_nonnull(done);
	ck_assert_int_eq(read_back(NULL, &found), STORE_END);
	ck_assert_int_eq(store_start(store, done), 0);
	for (;; n++) {
		struct store_batch *batch = new_batch();

		for (unsigned i = 0; i < 3; i++)
			put_instance(batch, n, i, 80, true);
		if (commit(batch) || write(fd, &n, sizeof(n)) != sizeof(n))
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
		await(fds[0]);
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

		ck_assert_msg(read_back(NULL, &found) == STORE_END, "%s", message);
		ck_assert_int_eq(store_source(store, note, sizeof(note)),
				 has_file("store.mdb") ? STORE_MAIN : STORE_NEW);
		ck_assert_msg(found % 3 == 0 &&
				      (found / 3 == acknowledged || found / 3 == acknowledged + 1),
			      "seed %u: %u instances, %u batches", seed, found, acknowledged);
		n = found / 3;
		close_store();
	}
}
END_TEST

/* ---- Damage ---- */

static void damage(struct image *image)
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
static void make_images(struct image *main_file, struct image *copy, char **main_content,
			char **copy_content)
{
	start(STORE_NEW, 0);
	for (unsigned i = 0; i < 20; i++)
		ck_assert_int_eq(commit_instances(i, 50, 80), 0);
	close_store();
	*copy_content = content_of(STORE_MAIN);
	ck_assert_int_eq(store_start(store, done), 0);
	*copy = load_file("registry.jsonl");
	for (unsigned i = 20; i < 24; i++)
		ck_assert_int_eq(commit_instances(i, 50, 80), 0);
	*main_file = load_file("store.mdb"); /* at rest: nothing is submitted */
	close_store();
	*main_content = content_of(STORE_MAIN);
	close_store();
}

/* What was read of it, if anything, is the base of what is written then. */
static void write_on(unsigned n)
{
	if (n == 0)
		return;
	ck_assert_int_eq(store_start(store, done), 0);
	ck_assert_int_eq(commit_instances(99, 10, 80), 0);
	close_store();
	start(STORE_MAIN, n + 10);
}

START_TEST(damage_is_never_served)
{
	struct image main_file, copy, damaged;
	char *main_content, *copy_content;
	unsigned rounds = number_of("STORE_ROUNDS", ROUNDS), seed = (unsigned)getpid(), n;
	unsigned results[3] = { 0 };

	srand(seed);
	make_images(&main_file, &copy, &main_content, &copy_content);
	damaged.octets = malloc(main_file.len);
	for (unsigned round = 0; round < rounds; round++) {
		struct buf content;
		bool has_copy = rand() % 4 != 0;

		remove_files();
		memcpy(damaged.octets, main_file.octets, main_file.len);
		damaged.len = main_file.len;
		damage(&damaged);
		save_file("store.mdb", &damaged);
		if (has_copy)
			save_file("registry.jsonl", &copy);
		buf_init(&content);
		if (read_back(&content, &n) == STORE_FAILED) {
			results[2]++;
			ck_assert_msg(!has_copy && n == 0 && !strchr(message, '\n') && *message,
				      "seed %u, round %u: %s", seed, round, message);
		} else {
			enum store_source source = store_source(store, note, sizeof(note));

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
		close_store();
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
	return mount("test", directory, "tmpfs", flags, options);
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
	start(STORE_NEW, 0);
	while ((error = commit_instances(n, 200, 80)) == 0)
		n++;
	ck_assert_int_eq(error, ENOSPC);
	ck_assert_uint_ge(n, 1);
	ck_assert_int_eq(commit_instances(n, 200, 80), ENOSPC);
	ck_assert_int_eq(commit(new_batch()), ENOSPC);
	ck_assert_int_eq(mount_disk(MS_REMOUNT, "32m"), 0);
	ck_assert_int_eq(commit(new_batch()), 0);
	ck_assert_int_eq(commit_instances(n, 200, 80), 0);
	close_store();
	start(STORE_MAIN, 200 * (n + 1));
	close_store();
	ck_assert_int_eq(umount(directory), 0);
}
END_TEST

/* Neither a first file nor one from the copy can be built before there is room for it. */
START_TEST(a_start_on_a_full_disk_recovers)
{
	static const enum store_source sources[] = { STORE_NEW, STORE_COPY };

	if (!mount_own_disk("2m"))
		return;
	for (unsigned i = 0; i < 2; i++) {
		struct image filler = { calloc(1, 3 << 20), 3 << 20 };
		FILE *stream = fopen(path_of("revision"), "w");

		setvbuf(stream, NULL, _IONBF, 0);
		ck_assert_uint_lt(fwrite(filler.octets, 1, filler.len, stream), filler.len);
		fclose(stream);
		start(sources[i], 10 * i);
		ck_assert_int_eq(commit_instances(i, 10, 80), ENOSPC);
		ck_assert_int_eq(commit(new_batch()), ENOSPC);
		ck_assert_int_eq(remove(path_of("revision")), 0);
		ck_assert_int_eq(commit_instances(i, 10, 80), 0);
		close_store();
		start(STORE_MAIN, 10 * (i + 1));
		close_store();
		ck_assert_int_eq(remove(path_of("store.mdb")), 0);
		free(filler.octets);
	}
	ck_assert_int_eq(umount(directory), 0);
}
END_TEST

/* ---- Speed ---- */

static void bench_commits(unsigned batch_size, unsigned n_batches)
{
	uint64_t start_ms = clock_mono_ms(), took_ms;

	for (unsigned i = 0; i < n_batches; i++) {
		struct store_batch *batch = new_batch();

		for (unsigned j = 0; j < batch_size; j++)
			put_instance(batch, (unsigned)rand() % 100000, j, 80, false);
		ck_assert_int_eq(commit(batch), 0);
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

	start(STORE_NEW, 0);
	bench_commits(1, 2000);
	bench_commits(64, 500);
	bench_commits(1024, 100);
	for (unsigned i = 0; i < 100; i++)
		ck_assert_int_eq(commit_instances(i, 10000, 80), 0);
	store_read_stats(store, &stats);
	printf("%lu registrations, %lu states, %lu octets\n", (unsigned long)stats.registrations,
	       (unsigned long)stats.states, (unsigned long)stats.octets);
	start_ms = clock_mono_ms();
	close_store();
	printf("closed, with the copy, in %lu ms\n", (unsigned long)(clock_mono_ms() - start_ms));
	start_ms = clock_mono_ms();
	ck_assert_int_eq(read_back(NULL, &n), STORE_END);
	printf("%u items read in %lu ms\n", n, (unsigned long)(clock_mono_ms() - start_ms));
	start_ms = clock_mono_ms();
	ck_assert_int_eq(store_start(store, done), 0);
	ck_assert_int_eq(commit(new_batch()), 0);
	printf("the fresh file in place %lu ms later\n",
	       (unsigned long)(clock_mono_ms() - start_ms));
	close_store();
	remove(path_of("store.mdb"));
	start_ms = clock_mono_ms();
	ck_assert_int_eq(read_back(NULL, &n), STORE_END);
	printf("%u items read from the copy in %lu ms\n", n,
	       (unsigned long)(clock_mono_ms() - start_ms));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store");
	TCase *tcase = tcase_create("store"), *slow = tcase_create("slow");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, what_was_committed_comes_back_in_order);
	tcase_add_test(tcase, an_earlier_version_had_no_store);
	tcase_add_test(tcase, every_way_to_close);
	tcase_add_test(tcase, batches_that_wait_come_back_in_order);
	tcase_add_test(tcase, the_file_grows_while_it_is_read);
	tcase_add_test(tcase, the_copy_serves_where_the_file_is_damaged);
	tcase_add_test(tcase, a_damaged_copy_is_not_used);
	tcase_add_test(tcase, without_a_fresh_file_the_old_one_is_written);
	tcase_add_test(tcase, what_a_newer_version_wrote_is_refused_by_name);
	tcase_add_test(tcase, a_full_disk_refuses_and_recovers);
	tcase_add_test(tcase, a_start_on_a_full_disk_recovers);
	suite_add_tcase(suite, tcase);

	tcase_add_checked_fixture(slow, set_up, tear_down);
	tcase_set_timeout(slow, 600);
	if (getenv("STORE_BENCH")) {
		tcase_add_test(slow, bench);
	} else {
		tcase_add_test(slow, a_crash_loses_nothing_that_was_acknowledged);
		tcase_add_test(slow, damage_is_never_served);
	}
	suite_add_tcase(suite, slow);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
