/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/store_batch.h"

#include "io/store_key.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct head {
	uint32_t is_remove, key_len, len;
};

struct store_batch *store_batch_new(void)
{
	struct store_batch *batch = calloc(1, sizeof(*batch));

	if (batch)
		buf_init(&batch->ops);
	return batch;
}

void store_batch_free(struct store_batch *batch)
{
	if (!batch)
		return;
	buf_fini(&batch->ops);
	free(batch);
}

static void put(struct store_batch *batch, bool is_remove, enum stored_kind kind,
		const struct stored_key *key, const void *record, size_t len)
{
	uint8_t octets[STORE_KEY];
	struct head head = { .is_remove = is_remove, .len = (uint32_t)len };

	head.key_len = (uint32_t)store_key_print(octets, kind, key);
	assert(head.key_len != 0 && len <= UINT32_MAX);
	buf_put(&batch->ops, &head, sizeof(head));
	buf_put(&batch->ops, octets, head.key_len);
	buf_put(&batch->ops, record, len);
	batch->n_ops++;
}

void store_batch_put(struct store_batch *batch, enum stored_kind kind, const struct stored_key *key,
		     const void *record, size_t len)
{
	put(batch, false, kind, key, record, len);
}

void store_batch_remove(struct store_batch *batch, enum stored_kind kind,
			const struct stored_key *key)
{
	put(batch, true, kind, key, NULL, 0);
}

bool store_batch_failed(const struct store_batch *batch)
{
	return batch->ops.failed;
}

bool store_batch_next(const struct store_batch *batch, size_t *at, struct store_op *op)
{
	const char *octets = batch->ops.data + *at;
	struct head head;

	if (*at == batch->ops.len)
		return false;
	memcpy(&head, octets, sizeof(head));
	octets += sizeof(head);
	op->is_remove = head.is_remove;
	op->key = (struct store_octets){ octets, head.key_len };
	op->value = (struct store_octets){ octets + head.key_len, head.len };
	*at += sizeof(head) + head.key_len + head.len;
	return true;
}
