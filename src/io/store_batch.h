/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_batch: the operations of a batch (store.h), as octets one behind the other.
 */
#ifndef ROSTERD_IO_STORE_BATCH_H
#define ROSTERD_IO_STORE_BATCH_H

#include "io/store.h"
#include "io/store_engine.h"

struct store_op {
	bool is_remove; /* else the value is put */
	struct store_octets key, value;
};

/* The operation at `*at`, from 0; false behind the last one. */
bool store_batch_next(const struct store_batch *batch, size_t *at, struct store_op *op);

#endif
