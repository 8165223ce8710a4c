/* SPDX-License-Identifier: BSD-2-Clause */
#include "data.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	WAIT_MS = 60000
};

static const char *const files[] = { "store.mdb",      "store.mdb-lock",     "store.mdb.new",
				     "registry.jsonl", "registry.jsonl.new", "store.mdb.damaged",
				     "revision" };

char data_directory[64], data_message[512], data_note[512];
struct store *data_store;
struct queue *data_done;

/* ---- Files ---- */

const char *data_path(const char *name)
{
	static char paths[2][128];
	static unsigned turn;
	char *path = paths[turn++ % 2];

	snprintf(path, sizeof(paths[0]), "%s/%s", data_directory, name);
	return path;
}

void data_remove(void)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (remove(data_path(files[i])))
			ck_assert_int_eq(errno, ENOENT);
}

struct data_image data_load(const char *name)
{
	FILE *stream = fopen(data_path(name), "r");
	struct data_image image;

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

void data_save(const char *name, const struct data_image *image)
{
	FILE *stream = fopen(data_path(name), "w");

	ck_assert_ptr_nonnull(stream);
	if (image->len)
		ck_assert_uint_eq(fwrite(image->octets, 1, image->len, stream), image->len);
	ck_assert_int_eq(fclose(stream), 0);
}

bool data_has(const char *name)
{
	return access(data_path(name), F_OK) == 0;
}

void data_set_up(void)
{
	strcpy(data_directory, "/tmp/test_store-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(data_directory));
	data_done = queue_new();
	ck_assert_ptr_nonnull(data_done);
	data_store = NULL;
}

void data_tear_down(void)
{
	store_close(data_store);
	queue_free(data_done);
	data_remove();
	ck_assert_int_eq(rmdir(data_directory), 0);
}

/* ---- Records ---- */

void data_put_instance(struct store_batch *batch, unsigned service, unsigned id, unsigned port,
		       bool has_state)
{
	char service_name[32], id_name[32];
	struct stored_key key = { service_name, id_name };
	struct registration registration = { .service = service_name,
					     .id = id_name,
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

void data_put_policy(struct store_batch *batch, const char *service, uint32_t ttl_s)
{
	struct stored_key key = { service, stored_field_name(STORED_TTL) };
	struct buf record;

	buf_init(&record);
	stored_put_policy(&record, &key, ttl_s);
	store_batch_put(batch, STORED_POLICY, &key, record.data, record.len);
	buf_fini(&record);
}

/* ---- The store ---- */

void data_await(int fd)
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
enum store_read data_read(struct buf *content, unsigned *n)
{
	struct store_item item;
	enum store_read result;

	*n = 0;
	data_store = store_open(data_directory, data_message, sizeof(data_message));
	ck_assert_msg(data_store != NULL, "%s", data_message);
	while ((result = store_read(data_store, &item, data_message, sizeof(data_message))) <=
	       STORE_WAIT) {
		if (result == STORE_WAIT) {
			data_await(store_read_fd(data_store));
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

void data_close(void)
{
	store_close(data_store);
	data_store = NULL;
}

/* Opens it, of which it must be `n` items from `source`, and starts. */
void data_start(enum store_source source, unsigned n)
{
	unsigned found;

	ck_assert_msg(data_read(NULL, &found) == STORE_END, "%s", data_message);
	ck_assert_int_eq(store_source(data_store, data_note, sizeof(data_note)), source);
	ck_assert_uint_eq(found, n);
	ck_assert_int_eq(store_start(data_store, data_done), 0);
}

struct store_batch *data_batch(void)
{
	struct store_batch *batch = store_batch_new();

	ck_assert_ptr_nonnull(batch);
	return batch;
}

static int take_back(struct store_batch *batch)
{
	int error;

	data_await(queue_fd(data_done));
	ck_assert_ptr_eq(queue_take(data_done), &batch->node);
	ck_assert_ptr_null(batch->node.next);
	error = batch->error;
	store_batch_free(batch);
	return error;
}

int data_commit(struct store_batch *batch)
{
	ck_assert(!store_batch_failed(batch));
	store_submit(data_store, batch);
	return take_back(batch);
}

int data_commit_instances(unsigned service, unsigned n, unsigned port)
{
	struct store_batch *batch = data_batch();

	for (unsigned i = 0; i < n; i++)
		data_put_instance(batch, service, i, port, i % 2 == 0);
	return data_commit(batch);
}

char *data_content(enum store_source source)
{
	struct buf content;
	unsigned n;
	size_t len;

	buf_init(&content);
	ck_assert_msg(data_read(&content, &n) == STORE_END, "%s", data_message);
	ck_assert_int_eq(store_source(data_store, data_note, sizeof(data_note)), source);
	return buf_take(&content, &len);
}
