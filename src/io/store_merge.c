/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/store_merge.h"

#include <errno.h>
#include <string.h>

void store_merge_init(struct store_merge *merge, store_engine_next *next, void *front, void *side)
{
	*merge = (struct store_merge){ .next = next, .front = front, .side = side };
}

static uint8_t kind_of(const struct store_octets *key)
{
	return *(const uint8_t *)key->data;
}

/* By service and id, whatever the kind. */
static int compare(const struct store_octets *a, const struct store_octets *b)
{
	size_t len = a->len < b->len ? a->len : b->len;
	int order = memcmp((const uint8_t *)a->data + 1, (const uint8_t *)b->data + 1, len - 1);

	return order ? order : (a->len > b->len) - (a->len < b->len);
}

/* Moves the side to the first record of `kind` that is not before `key`. Whether it is that of
 * `key`. */
static bool find_beside(struct store_merge *merge, uint8_t kind, const struct store_octets *key)
{
	while (merge->side_error == 0) {
		uint8_t side_kind = merge->side_key.data ? kind_of(&merge->side_key) : 0;
		int order = side_kind == kind ? compare(&merge->side_key, key) : 0;

		if (side_kind > kind || (side_kind == kind && order > 0))
			return false;
		if (side_kind == kind && order == 0)
			return true;
		merge->side_error = merge->next(merge->side, &merge->side_key, &merge->side_value);
	}
	return false;
}

int store_merge_next(struct store_merge *merge, struct store_merged *merged)
{
	int error;

	do
		error = merge->next(merge->front, &merged->key, &merged->record);
	while (error == 0 && kind_of(&merged->key) == STORED_STATE);
	if (error)
		return error;
	merged->kind = (enum stored_kind)kind_of(&merged->key);
	merged->state.data = NULL;
	merged->state.len = 0;
	if (merged->kind == STORED_REGISTRATION && find_beside(merge, STORED_STATE, &merged->key))
		merged->state = merge->side_value;
	return merge->side_error == ENOENT ? 0 : merge->side_error;
}

int store_merge_record(void *cookie, struct store_octets *key, struct store_octets *value)
{
	struct store_merge *merge = cookie;
	int error;

	do
		error = merge->next(merge->front, key, value);
	while (error == 0 &&
	       (kind_of(key) == 0 ||
		(kind_of(key) == STORED_STATE && !find_beside(merge, STORED_REGISTRATION, key))));
	if (error == 0 && merge->side_error != ENOENT)
		error = merge->side_error;
	return error;
}
