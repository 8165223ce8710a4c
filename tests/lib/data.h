/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * data: a data directory with a store in it, for the tests of io/store. One at a time; whatever
 * goes wrong ends the test.
 */
#ifndef ROSTERD_TESTS_DATA_H
#define ROSTERD_TESTS_DATA_H

#include "io/store.h"

extern char data_directory[64], data_message[512], data_note[512];
extern struct store *data_store; /* the open one, or NULL */
extern struct queue *data_done;  /* its batches come back here */

/* A new directory; closes the store and removes it. */
void data_set_up(void);
void data_tear_down(void);

/* ---- Files, by their name in the directory ---- */

struct data_image {
	uint8_t *octets; /* the caller's */
	size_t len;
};

/* The result holds until the next call but one. */
const char *data_path(const char *name);
bool data_has(const char *name);
struct data_image data_load(const char *name);
void data_save(const char *name, const struct data_image *image);
/* All that there may be. */
void data_remove(void);

/* ---- Reading ---- */

void data_await(int fd);

/*
 * Opens the store and reads to the end, STORE_END or STORE_FAILED with data_message. `n` items; if
 * `content` is not NULL, all of them are appended as text.
 */
enum store_read data_read(struct buf *content, unsigned *n);
/* That, where it must come from `source`; the caller frees the text. */
char *data_content(enum store_source source);
/* That too, where it must be `n` items, and starts the store. */
void data_start(enum store_source source, unsigned n);
void data_close(void);

/* ---- Writing ---- */

struct store_batch *data_batch(void);
void data_put_instance(struct store_batch *batch, unsigned service, unsigned id, unsigned port,
		       bool has_state);
void data_put_policy(struct store_batch *batch, const char *service, uint32_t ttl_s);

/* Submits the batch, waits for it and frees it; its error. */
int data_commit(struct store_batch *batch);
/* `n` instances of a service, every other one with a state. */
int data_commit_instances(unsigned service, unsigned n, unsigned port);

#endif
