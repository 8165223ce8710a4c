/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open addressing with linear probing. A removed slot becomes a tombstone unless the next one is
 * empty; nothing moves on removal, so iteration may remove. Tombstones go when a segment grows.
 */
#include "base/table.h"

#include <assert.h>
#include <stdlib.h>

enum {
	SEGMENTS = 256,
	SEGMENT_SHIFT = 56, /* 64 - log2(SEGMENTS) */
	CAP_MIN = 8,
};

struct slot {
	uint64_t hash;
	void *entry; /* NULL: empty */
};

/* Invariants: cap is 0 or a power of 2; count <= used < cap where cap > 0. */
struct segment {
	struct slot *slots;
	size_t cap;
	size_t count; /* entries */
	size_t used;  /* entries and tombstones */
};

struct table {
	table_match match;
	size_t count;
	struct segment segments[SEGMENTS];
};

static char tombstone;

struct table *table_new(table_match match)
{
	struct table *table = calloc(1, sizeof(*table));

	if (table)
		table->match = match;
	return table;
}

void table_free(struct table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < SEGMENTS; i++)
		free(table->segments[i].slots);
	free(table);
}

size_t table_count(const struct table *table)
{
	return table->count;
}

void *table_find(const struct table *table, uint64_t hash, const void *key)
{
	const struct segment *segment = &table->segments[hash >> SEGMENT_SHIFT];
	size_t mask = segment->cap - 1;

	if (!segment->cap)
		return NULL;
	for (size_t i = hash & mask; segment->slots[i].entry; i = (i + 1) & mask) {
		const struct slot *slot = &segment->slots[i];

		if (slot->hash == hash && slot->entry != &tombstone &&
		    table->match(slot->entry, key))
			return slot->entry;
	}
	return NULL;
}

/* Moves the entries, without tombstones, to slots of which they fill at most half. */
static int segment_grow(struct segment *segment)
{
	struct slot *slots;
	size_t cap = CAP_MIN;

	while (cap / 2 < segment->count + 1)
		cap *= 2;
	slots = calloc(cap, sizeof(*slots));
	if (!slots)
		return -1;
	for (size_t i = 0; i < segment->cap; i++) {
		const struct slot *slot = &segment->slots[i];
		size_t to = slot->hash & (cap - 1);

		if (!slot->entry || slot->entry == &tombstone)
			continue;
		while (slots[to].entry)
			to = (to + 1) & (cap - 1);
		slots[to] = *slot;
	}
	free(segment->slots);
	segment->slots = slots;
	segment->cap = cap;
	segment->used = segment->count;
	return 0;
}

int table_insert(struct table *table, uint64_t hash, void *entry)
{
	struct segment *segment = &table->segments[hash >> SEGMENT_SHIFT];
	size_t i;

	assert(entry);
	if (segment->used + 1 > segment->cap / 4 * 3 && segment_grow(segment) < 0)
		return -1;
	i = hash & (segment->cap - 1);
	while (segment->slots[i].entry && segment->slots[i].entry != &tombstone)
		i = (i + 1) & (segment->cap - 1);
	if (!segment->slots[i].entry)
		segment->used++;
	segment->slots[i] = (struct slot){ hash, entry };
	segment->count++;
	table->count++;
	return 0;
}

void table_remove(struct table *table, uint64_t hash, const void *entry)
{
	struct segment *segment = &table->segments[hash >> SEGMENT_SHIFT];
	size_t mask = segment->cap - 1;
	size_t i = hash & mask;

	assert(segment->cap);
	while (segment->slots[i].entry != entry) {
		assert(segment->slots[i].entry);
		i = (i + 1) & mask;
	}
	if (segment->slots[(i + 1) & mask].entry) {
		segment->slots[i].entry = &tombstone;
	} else {
		segment->slots[i].entry = NULL;
		segment->used--;
	}
	segment->count--;
	table->count--;
}

/* The position is slot * SEGMENTS + segment. */
void *table_next(const struct table *table, size_t *position)
{
	size_t index = *position % SEGMENTS, i = *position / SEGMENTS;

	for (;;) {
		const struct segment *segment = &table->segments[index];

		for (; i < segment->cap; i++) {
			void *entry = segment->slots[i].entry;

			if (entry && entry != &tombstone) {
				*position = (i + 1) * SEGMENTS + index;
				return entry;
			}
		}
		if (index + 1 == SEGMENTS)
			break;
		index++;
		i = 0;
	}
	*position = i * SEGMENTS + index;
	return NULL;
}
