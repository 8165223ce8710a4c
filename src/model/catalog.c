/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/catalog.h"

#include "base/sanitize.h"
#include "dns/name.h"

#include <urcu-qsbr.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	RETIRE_CHUNK = 254,
};

/* Allocations that readers may still use, freed together after a grace period. */
struct retired {
	struct rcu_head rcu; /* first: callbacks get its address */
	struct retired *next;
	size_t n;
	void *items[RETIRE_CHUNK];
};

struct retired_zone {
	struct rcu_head rcu; /* first */
	struct zone *zone;
};

struct catalog {
	struct name_hash_key key;
	_Atomic(struct zone_list *) zones;
	uint32_t serial;
	struct retired *retired;
};

/* Stands for the order that grace periods make; see base/sanitize.h. */
static char grace_period;

/* ---- RCU ---- */

void catalog_reader_register(void)
{
	rcu_register_thread();
	rcu_thread_offline();
}

void catalog_reader_unregister(void)
{
	rcu_unregister_thread();
}

void catalog_reader_online(void)
{
	rcu_thread_online();
}

void catalog_reader_offline(void)
{
	sanitize_release(&grace_period);
	rcu_thread_offline();
}

void catalog_reader_quiescent(void)
{
	sanitize_release(&grace_period);
	rcu_quiescent_state();
}

static void free_retired(struct rcu_head *head)
{
	struct retired *retired = (struct retired *)(void *)head;

	sanitize_acquire(&grace_period);
	while (retired) {
		struct retired *next = retired->next;

		for (size_t i = 0; i < retired->n; i++)
			free(retired->items[i]);
		free(retired);
		retired = next;
	}
}

/* Frees `item`, once catalog_publish() has ended this batch and no reader can use it any more. */
static void retire(struct catalog *catalog, void *item)
{
	struct retired *retired = catalog->retired;

	if (!retired || retired->n == RETIRE_CHUNK) {
		retired = malloc(sizeof(*retired));
		if (!retired) {
			/*
			 * No memory to remember it by, so it is never freed: to wait here would be
			 * too early, for aliases may refer to it until the writes of this batch
			 * have replaced them.
			 */
			return;
		}
		retired->next = catalog->retired;
		retired->n = 0;
		catalog->retired = retired;
	}
	retired->items[retired->n++] = item;
}

/* ---- One zone's table ---- */

static uint64_t slot_make(uint64_t hash, const struct entry *entry)
{
	return (uint64_t)(uintptr_t)entry | slot_tag(hash) << TAG_SHIFT;
}

/* A segment that the writer replaces meanwhile stays until we are quiescent. */
const struct entry *catalog_next(const struct zone *zone, struct catalog_position *position)
{
	if (!position->in)
		position->in = atomic_load_explicit(&zone->segments[position->segment],
						    memory_order_acquire);
	while (position->slot < (position->in->mask + 1) * BUCKET_SLOTS) {
		size_t i = position->slot++;
		uint64_t value = atomic_load_explicit(
			&position->in->buckets[i / BUCKET_SLOTS].slots[i % BUCKET_SLOTS],
			memory_order_acquire);

		if (value != 0 && value != SLOT_GONE)
			return slot_entry(value);
	}
	*position = (struct catalog_position){ .segment = position->segment + 1 };
	return NULL;
}

static struct segment *segment_new(size_t n_buckets)
{
	size_t size = offsetof(struct segment, buckets) + n_buckets * sizeof(struct bucket);
	struct segment *segment = aligned_alloc(64, (size + 63) & ~(size_t)63);

	if (!segment)
		return NULL;
	memset(segment, 0, size);
	segment->mask = n_buckets - 1;
	return segment;
}

/* Puts a slot's value into the first place that is free or was given up. */
static void segment_put(struct segment *segment, uint64_t hash, uint64_t value)
{
	for (size_t b = hash & segment->mask;; b = (b + 1) & segment->mask) {
		for (size_t i = 0; i < BUCKET_SLOTS; i++) {
			_Atomic uint64_t *slot =
				&segment->buckets[b].slots[(slot_tag(hash) + i) % BUCKET_SLOTS];
			uint64_t old = atomic_load_explicit(slot, memory_order_relaxed);

			if (old != 0 && old != SLOT_GONE)
				continue;
			segment->n_live++;
			segment->n_used += old == 0;
			atomic_store_explicit(slot, value, memory_order_release);
			return;
		}
	}
}

/*
 * Makes sure that one more value leaves at least a quarter of the slots never used, which bounds
 * searches. Readers see the old segment or the new one; both hold the same entries.
 */
static int segment_reserve(struct catalog *catalog, struct zone *zone, uint64_t hash)
{
	_Atomic(struct segment *) *place = &zone->segments[hash >> SEGMENT_SHIFT];
	struct segment *old = atomic_load_explicit(place, memory_order_relaxed), *new;
	size_t n_slots = (old->mask + 1) * BUCKET_SLOTS, n_buckets = 1;

	if ((old->n_used + 1) * 4 <= n_slots * 3)
		return 0;
	while (n_buckets * BUCKET_SLOTS < old->n_live * 2)
		n_buckets *= 2;
	new = segment_new(n_buckets);
	if (!new)
		return -1;
	for (size_t i = 0; i < n_slots; i++) {
		uint64_t value = atomic_load_explicit(
			&old->buckets[i / BUCKET_SLOTS].slots[i % BUCKET_SLOTS],
			memory_order_relaxed);
		const struct entry *entry = slot_entry(value);

		if (value != 0 && value != SLOT_GONE)
			segment_put(new, name_hash(&catalog->key, entry->name, entry->name_len),
				    value);
	}
	atomic_store_explicit(place, new, memory_order_release);
	retire(catalog, old);
	return 0;
}

static void zone_free(struct zone *zone)
{
	for (size_t s = 0; s < ZONE_SEGMENTS; s++) {
		struct segment *segment =
			atomic_load_explicit(&zone->segments[s], memory_order_relaxed);

		for (size_t i = 0; segment && i < (segment->mask + 1) * BUCKET_SLOTS; i++) {
			uint64_t value = atomic_load_explicit(
				&segment->buckets[i / BUCKET_SLOTS].slots[i % BUCKET_SLOTS],
				memory_order_relaxed);

			if (value != 0 && value != SLOT_GONE)
				free(slot_entry(value));
		}
		free(segment);
	}
	free(zone);
}

static void free_retired_zone(struct rcu_head *head)
{
	struct retired_zone *retired = (struct retired_zone *)(void *)head;

	sanitize_acquire(&grace_period);
	zone_free(retired->zone);
	free(retired);
}

struct zone *catalog_zone_new(struct catalog *catalog, const uint8_t *origin, size_t origin_len)
{
	struct zone *zone = calloc(1, sizeof(*zone));

	if (!zone)
		return NULL;
	memcpy(zone->origin, origin, origin_len);
	zone->key = &catalog->key;
	zone->origin_len = (uint8_t)origin_len;
	zone->origin_labels = (uint8_t)name_labels(origin, origin_len);
	atomic_init(&zone->serial, catalog->serial);
	for (size_t s = 0; s < ZONE_SEGMENTS; s++) {
		struct segment *segment = segment_new(1);

		if (!segment) {
			zone_free(zone);
			return NULL;
		}
		atomic_init(&zone->segments[s], segment);
	}
	return zone;
}

uint64_t catalog_count_queries(const struct zone *zone)
{
	uint64_t n = 0;

	for (unsigned reader = 0; reader < CATALOG_NOBODY; reader++)
		n += atomic_load_explicit(&zone->counts[reader].n_queries, memory_order_relaxed);
	return n;
}

void catalog_zone_free(struct zone *zone)
{
	if (zone)
		zone_free(zone);
}

/* ---- Entries ---- */

struct entry *catalog_entry_new(const uint8_t *name, size_t name_len, size_t n_sets,
				size_t sets_len)
{
	size_t sets_off = (offsetof(struct entry, name) + name_len + 3) & ~(size_t)3;
	size_t table_len = n_sets * sizeof(struct entry_set);
	size_t size = (n_sets ? (sets_off + table_len + 7) & ~(size_t)7 : sets_off) + sets_len;
	/* Names are read by whole words: as much must be readable behind them. */
	size_t least = offsetof(struct entry, name) + name_len + 16;
	struct entry *entry = calloc(1, size > least ? size : least);

	if (!entry)
		return NULL;
	atomic_init(&entry->stable_until_ms, UINT64_MAX);
	entry->n_sets = (uint8_t)n_sets;
	entry->sets_off = (uint16_t)sets_off;
	entry->name_len = (uint8_t)name_len;
	memcpy(entry->name, name, name_len);
	return entry;
}

static void set_flags(struct entry *entry, unsigned flags)
{
	atomic_store_explicit(&entry->flags, (uint16_t)flags, memory_order_relaxed);
}

/* An entry takes the place of `old`: what it knows of the names below comes along. */
static void inherit(struct entry *entry, const struct entry *old)
{
	entry->n_children = old->n_children;
	set_flags(entry, entry_flags(entry) | (entry_flags(old) & ENTRY_WILDCARD_CHILD));
}

static void replace(struct catalog *catalog, struct zone *zone, _Atomic uint64_t *slot,
		    uint64_t hash, struct entry *old, struct entry *entry)
{
	inherit(entry, old);
	if (entry->name_len == 0)
		atomic_store_explicit(&zone->apex, entry, memory_order_release);
	atomic_store_explicit(slot, slot_make(hash, entry), memory_order_release);
	retire(catalog, old);
}

static struct entry *find_writable(struct catalog *catalog, struct zone *zone, const uint8_t *name,
				   size_t len)
{
	_Atomic uint64_t *slot;

	return catalog_search(zone, name_hash(&catalog->key, name, len), name, len, &slot);
}

/* The entry of the name above, made as an empty non-terminal where there is none. */
static struct entry *make_parent(struct catalog *catalog, struct zone *zone,
				 const struct entry *entry)
{
	size_t label_len = entry->name[0] + 1u;
	const uint8_t *name = entry->name + label_len;
	size_t len = entry->name_len - label_len;
	struct entry *parent = find_writable(catalog, zone, name, len);

	if (parent)
		return parent;
	parent = catalog_entry_new(name, len, 0, 0);
	if (!parent)
		return NULL;
	set_flags(parent, ENTRY_EMPTY);
	return catalog_put(catalog, zone, parent) == 0 ? parent : NULL;
}

static bool is_wildcard(const uint8_t *name)
{
	return name[0] == 1 && name[1] == '*';
}

int catalog_put(struct catalog *catalog, struct zone *zone, struct entry *entry)
{
	uint64_t hash = name_hash(&catalog->key, entry->name, entry->name_len);
	_Atomic uint64_t *slot;
	struct entry *old = catalog_search(zone, hash, entry->name, entry->name_len, &slot),
		     *parent = NULL;

	if (old && (entry_flags(old) & ENTRY_STATIC) && !(entry_flags(entry) & ENTRY_STATIC)) {
		free(entry);
		return 1;
	}
	if (old) {
		replace(catalog, zone, slot, hash, old, entry);
		return 0;
	}
	if (segment_reserve(catalog, zone, hash))
		goto no_memory;
	if (entry->name_len > 0) {
		parent = make_parent(catalog, zone, entry);
		if (!parent || segment_reserve(catalog, zone, hash))
			goto no_memory;
		parent->n_children++;
		if (is_wildcard(entry->name))
			set_flags(parent, entry_flags(parent) | ENTRY_WILDCARD_CHILD);
	} else {
		atomic_store_explicit(&zone->apex, entry, memory_order_release);
	}
	segment_put(
		atomic_load_explicit(&zone->segments[hash >> SEGMENT_SHIFT], memory_order_relaxed),
		hash, slot_make(hash, entry));
	return 0;
no_memory:
	free(entry);
	return -1;
}

/* Takes an entry without children out of the table, and ENTs above that only it had kept. */
static void remove_leaf(struct catalog *catalog, struct zone *zone, struct entry *entry)
{
	uint64_t hash = name_hash(&catalog->key, entry->name, entry->name_len);
	struct segment *segment =
		atomic_load_explicit(&zone->segments[hash >> SEGMENT_SHIFT], memory_order_relaxed);
	size_t label_len = entry->name[0] + 1u;
	struct entry *parent =
		find_writable(catalog, zone, entry->name + label_len, entry->name_len - label_len);
	_Atomic uint64_t *slot;

	catalog_search(zone, hash, entry->name, entry->name_len, &slot);
	atomic_store_explicit(slot, SLOT_GONE, memory_order_release);
	segment->n_live--;
	assert(parent && parent->n_children > 0);
	parent->n_children--;
	if (is_wildcard(entry->name))
		set_flags(parent, entry_flags(parent) & ~(unsigned)ENTRY_WILDCARD_CHILD);
	retire(catalog, entry);
	if ((entry_flags(parent) & ENTRY_EMPTY) && parent->n_children == 0)
		remove_leaf(catalog, zone, parent);
}

void catalog_remove(struct catalog *catalog, struct zone *zone, const uint8_t *name, size_t len,
		    bool is_static)
{
	uint64_t hash = name_hash(&catalog->key, name, len);
	_Atomic uint64_t *slot;
	struct entry *old = catalog_search(zone, hash, name, len, &slot), *empty;

	assert(len > 0);
	if (!old || (entry_flags(old) & ENTRY_EMPTY) ||
	    !!(entry_flags(old) & ENTRY_STATIC) != is_static)
		return;
	if (old->n_children == 0) {
		remove_leaf(catalog, zone, old);
		return;
	}
	empty = catalog_entry_new(name, len, 0, 0);
	if (!empty)
		return;
	set_flags(empty, ENTRY_EMPTY);
	replace(catalog, zone, slot, hash, old, empty);
}

/* ---- Zones ---- */

const struct zone_list *catalog_zones(const struct catalog *catalog)
{
	return atomic_load_explicit(&catalog->zones, memory_order_acquire);
}

const struct zone *catalog_zone_at(const struct catalog *catalog, const uint8_t *origin,
				   size_t origin_len)
{
	const struct zone_list *list = catalog_zones(catalog);

	for (size_t i = 0; i < list->n; i++)
		if (list->zones[i]->origin_len == origin_len &&
		    memcmp(list->zones[i]->origin, origin, origin_len) == 0)
			return list->zones[i];
	return NULL;
}

static int compare_zones(const void *a, const void *b)
{
	const struct zone *x = *(struct zone *const *)a, *y = *(struct zone *const *)b;

	return y->origin_labels - x->origin_labels;
}

static bool list_has(const struct zone_list *list, const struct zone *zone)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->zones[i] == zone)
			return true;
	return false;
}

static void retire_zone(struct zone *zone)
{
	struct retired_zone *retired = malloc(sizeof(*retired));

	if (!retired) {
		synchronize_rcu();
		sanitize_acquire(&grace_period);
		zone_free(zone);
		return;
	}
	retired->zone = zone;
	call_rcu(&retired->rcu, free_retired_zone);
}

struct zone_list *catalog_zone_list_new(size_t n)
{
	struct zone_list *list = calloc(1, sizeof(*list) + n * sizeof(struct zone *));

	if (list)
		list->n = n;
	return list;
}

void catalog_set_zones(struct catalog *catalog, struct zone_list *list)
{
	struct zone_list *old = atomic_load_explicit(&catalog->zones, memory_order_relaxed);

	qsort(list->zones, list->n, sizeof(struct zone *), compare_zones);
	list->is_loading = old->is_loading;
	atomic_store_explicit(&catalog->zones, list, memory_order_release);
	catalog_reader_online();
	for (size_t i = 0; i < old->n; i++)
		if (!list_has(list, old->zones[i]))
			retire_zone(old->zones[i]);
	catalog_reader_offline();
	retire(catalog, old);
}

void catalog_set_loading(struct catalog *catalog, bool is_loading)
{
	struct zone_list *list = atomic_load_explicit(&catalog->zones, memory_order_relaxed);

	atomic_store_explicit(&list->is_loading, is_loading, memory_order_release);
}

void catalog_wait_readers(void)
{
	synchronize_rcu();
	sanitize_acquire(&grace_period);
}

void catalog_publish(struct catalog *catalog, uint32_t serial)
{
	const struct zone_list *list = catalog_zones(catalog);

	catalog->serial = serial;
	for (size_t i = 0; i < list->n; i++)
		atomic_store_explicit(&list->zones[i]->serial, serial, memory_order_relaxed);
	if (!catalog->retired)
		return;
	catalog_reader_online();
	call_rcu(&catalog->retired->rcu, free_retired);
	catalog_reader_offline();
	catalog->retired = NULL;
}

/* ---- Life ---- */

struct catalog *catalog_new(void)
{
	struct catalog *catalog = calloc(1, sizeof(*catalog));
	struct zone_list *list = catalog_zone_list_new(0);

	if (!catalog || !list) {
		free(catalog);
		free(list);
		return NULL;
	}
	name_hash_key_init(&catalog->key);
	atomic_init(&catalog->zones, list);
	catalog_reader_register();
	return catalog;
}

void catalog_free(struct catalog *catalog)
{
	struct zone_list *list;

	if (!catalog)
		return;
	list = atomic_load_explicit(&catalog->zones, memory_order_relaxed);
	catalog_publish(catalog, catalog->serial);
	catalog_reader_online();
	rcu_barrier();
	catalog_reader_offline();
	catalog_reader_unregister();
	for (size_t i = 0; i < list->n; i++)
		zone_free(list->zones[i]);
	free(list);
	free(catalog);
}
