/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * commit_put: from changes and instances to records (model/stored.h) in a batch of the store.
 *
 * Control thread only. Out of memory shows in commit_put_failed().
 */
#ifndef ROSTERD_APP_COMMIT_PUT_H
#define ROSTERD_APP_COMMIT_PUT_H

#include "app/commit_backlog.h"
#include "io/store.h"
#include "model/registry.h"

struct commit_put {
	struct store_batch *batch;
	const struct registry *registry;
	struct buf record; /* the newest one */
	size_t n;          /* changes and keys so far */
};

/* A new batch; NULL in put->batch: out of memory. */
void commit_put_init(struct commit_put *put, const struct registry *registry);

/* Frees the batch too, unless the caller took it and set it to NULL. */
void commit_put_fini(struct commit_put *put);

bool commit_put_failed(const struct commit_put *put);

/*
 * The records as they will be once this change, which registry_admit() let pass with this outcome,
 * is applied.
 */
void commit_put_change(struct commit_put *put, const struct change *change,
		       const struct outcome *outcome);

/* The key's records as the registry is now. */
void commit_put_key(struct commit_put *put, const struct commit_key *key);

#endif
