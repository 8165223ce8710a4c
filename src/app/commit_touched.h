/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * commit_touched: what the batch that is being made, or is with the store, has writes for, so that
 * nothing in it depends on the rest of it: a write that does waits for the next batch.
 *
 * It knows keys by their hashes; the seldom case that two have the same costs a wait.
 *
 * Control thread only.
 */
#ifndef ROSTERD_APP_COMMIT_TOUCHED_H
#define ROSTERD_APP_COMMIT_TOUCHED_H

#include "api/native_write.h"
#include "base/siphash.h"
#include "model/registry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	/* Room for four times the keys of a batch and of the write that ends it. */
	COMMIT_TOUCHED_BITS = 14,
};

/* What a change is about: an instance, and a service if its policy changes. */
struct commit_subject {
	const char *service, *id; /* NULL: no instance */
	bool is_policy;
};

struct commit_touched {
	const struct registry *registry;
	struct siphash_key hash_key;
	uint64_t places[1u << COMMIT_TOUCHED_BITS]; /* hashes; 0: a free place */
	size_t n_departures;                        /* deregistrations */
};

/* Borrows the registry. There is nothing to free. */
void commit_touched_init(struct commit_touched *touched, const struct registry *registry);

/* A new batch. */
void commit_touched_clear(struct commit_touched *touched);

/* `change` is of a kind that is kept on disk. */
struct commit_subject commit_touched_subject(const struct change *change);

/* Before the change is applied. */
void commit_touched_put(struct commit_touched *touched, const struct change *change);

/* All records of an instance, or with an empty id what is kept of the service itself. */
void commit_touched_put_key(struct commit_touched *touched, const char *service, const char *id);

/* Whether the batch has a write for something of that. */
bool commit_touched_has(const struct commit_touched *touched, const struct commit_subject *subject);

/* Whether the batch has something that is to be on disk, and applied, before this write is. */
bool commit_touched_delays(const struct commit_touched *touched, const struct api_write *write);

#endif
