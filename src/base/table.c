/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open addressing with linear probing. A slot is an address in the low 48 bits with 16 bits of the
 * hash, the tag, above it. A search begins at the slot that the tag names as a fraction of the
 * segment, so a segment may have any size and grows without the hashes; entries of one tag cost one
 * another a comparison. A removed slot becomes a tombstone unless the next one is empty; nothing
 * moves on removal, so iteration may remove. Tombstones go when a segment grows.
 */
#include "base/table.h"

#include <assert.h>
#include <stdlib.h>

enum {
	SEGMENTS = 256,
	SEGMENT_SHIFT = 56, /* 64 - log2(SEGMENTS) */
	TAG_BITS = 16,
	TAG_SHIFT = 48,
	CAP_MIN = 8,
	EMPTY = 0, /* slots that are no entry */
	TOMBSTONE = 1,
};

/* Invariants: count <= used <= 4/5 of cap. */
struct segment {
	uint64_t *slots;
	size_t cap;
	size_t count; /* entries */
	size_t used;  /* entries and tombstones */
};

struct table {
	table_match match;
	size_t count;
	struct segment segments[SEGMENTS];
};

static uint64_t slot_make(uint64_t hash, const void *entry)
{
	assert(entry && (uintptr_t)entry >> TAG_SHIFT == 0);
	return hash << TAG_SHIFT | (uintptr_t)entry;
}

static uint64_t slot_tag(uint64_t slot)
{
	return slot >> TAG_SHIFT;
}

static void *slot_entry(uint64_t slot)
{
	return (void *)(uintptr_t)(slot & ((UINT64_C(1) << TAG_SHIFT) - 1));
}

static bool is_entry(uint64_t slot)
{
	return slot != EMPTY && slot != TOMBSTONE;
}

/* Where a search for this tag begins. */
static size_t home(const struct segment *segment, uint64_t tag)
{
	return (size_t)(tag * segment->cap >> TAG_BITS);
}

static size_t next(const struct segment *segment, size_t i)
{
	return i + 1 < segment->cap ? i + 1 : 0;
}

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
	uint64_t tag = slot_tag(hash << TAG_SHIFT);

	if (!segment->cap)
		return NULL;
	for (size_t i = home(segment, tag); segment->slots[i] != EMPTY; i = next(segment, i)) {
		uint64_t slot = segment->slots[i];

		if (slot_tag(slot) == tag && slot != TOMBSTONE &&
		    table->match(slot_entry(slot), key))
			return slot_entry(slot);
	}
	return NULL;
}

/* Puts a slot's value into the first place that has no entry. */
static void segment_put(struct segment *segment, uint64_t slot)
{
	size_t i = home(segment, slot_tag(slot));

	while (is_entry(segment->slots[i]))
		i = next(segment, i);
	segment->used += segment->slots[i] == EMPTY;
	segment->count++;
	segment->slots[i] = slot;
}

/* Moves the entries, without tombstones, to slots of which they fill five eighths. */
static int segment_grow(struct segment *segment)
{
	struct segment grown = { .cap = (segment->count + 1) * 8 / 5 };

	if (grown.cap < CAP_MIN)
		grown.cap = CAP_MIN;
	grown.slots = calloc(grown.cap, sizeof(*grown.slots));
	if (!grown.slots)
		return -1;
	for (size_t i = 0; i < segment->cap; i++)
		if (is_entry(segment->slots[i]))
			segment_put(&grown, segment->slots[i]);
	free(segment->slots);
	*segment = grown;
	return 0;
}

int table_insert(struct table *table, uint64_t hash, void *entry)
{
	struct segment *segment = &table->segments[hash >> SEGMENT_SHIFT];

	if ((segment->used + 1) * 5 > segment->cap * 4 && segment_grow(segment) < 0)
		return -1;
	segment_put(segment, slot_make(hash, entry));
	table->count++;
	return 0;
}

void table_remove(struct table *table, uint64_t hash, const void *entry)
{
	struct segment *segment = &table->segments[hash >> SEGMENT_SHIFT];
	uint64_t slot = slot_make(hash, entry);
	size_t i;

	assert(segment->cap);
	for (i = home(segment, slot_tag(slot)); segment->slots[i] != slot; i = next(segment, i))
		assert(segment->slots[i] != EMPTY);
	if (segment->slots[next(segment, i)] != EMPTY) {
		segment->slots[i] = TOMBSTONE;
	} else {
		segment->slots[i] = EMPTY;
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
			if (is_entry(segment->slots[i])) {
				*position = (i + 1) * SEGMENTS + index;
				return slot_entry(segment->slots[i]);
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
