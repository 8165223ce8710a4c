/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * catalog: what queries read. Zones, and in each zone a hash table from name to compiled answers.
 *
 * One writer (the control thread), any number of readers (workers) that neither lock nor wait.
 * A published entry is const but for `stable_until_ms` and `handout`. What the writer replaces is
 * freed after an RCU grace period (liburcu, QSBR): a reader may use what it found until its next
 * catalog_reader_quiescent() or catalog_reader_offline().
 *
 * The table of a zone is 1,024 segments that grow one by one; buckets are one cache line of eight
 * slots, a slot is a pointer with 16 bits of the hash beside it. So a lookup costs one line for the
 * bucket and one for the entry, and growth never rebuilds more than 1/1,024 of the names.
 *
 * The table holds names relative to the zone's apex. Every name between the apex and a name with
 * data has an entry too (empty non-terminals: ENTRY_EMPTY), so "exists" is one lookup and NXDOMAIN
 * (RFC 8020) needs no scan. Names below a delegation have none.
 */
#ifndef ROSTERD_MODEL_CATALOG_H
#define ROSTERD_MODEL_CATALOG_H

#include "base/counters.h"
#include "base/limits.h"
#include "dns/name_hash.h"
#include "model/entry.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Reading: any thread between catalog_reader_online() and _offline() ---- */

struct catalog;

/*
 * A slot is an entry's address in the low 48 bits with 16 bits of the hash above it; 0 is a slot
 * never used, which ends a search, SLOT_GONE one whose entry is gone. Search begins at the slot and
 * bucket that the hash names, goes round the bucket, and on to the next one while buckets are full.
 */
enum {
	ZONE_SEGMENTS = 1024,
	BUCKET_SLOTS = 8,
	SEGMENT_SHIFT = 54, /* the top 10 bits of a hash name the segment */
	TAG_SHIFT = 48,
	SLOT_GONE = 1,
};

struct bucket {
	_Atomic uint64_t slots[BUCKET_SLOTS];
};

struct segment {
	size_t mask;   /* buckets - 1 */
	size_t n_live; /* slots with an entry */
	size_t n_used; /* slots not 0 */
	_Alignas(64) struct bucket buckets[];
};

/* The zones, most labels first. Const after publish but for `is_loading`. */
struct zone_list {
	size_t n;
	_Atomic bool is_loading; /* catalog_set_loading() */
	struct zone *zones[];
};

/* Queries that one reader had for a zone; a cache line each, for each has another writer. */
struct zone_count {
	_Atomic uint64_t n_queries;
	uint8_t unused[64 - sizeof(uint64_t)];
};

enum {
	CATALOG_NOBODY = LIMIT_WORKERS, /* a reader whose queries do not count */
};

/*
 * What answers need of a zone beside its table. The counts live and die with the zone, so a reload
 * neither loses those of a zone that stays nor gives a new one another's.
 */
struct zone {
	uint8_t origin[LIMIT_NAME + 16]; /* wire form, lower case, with the root label */
	uint8_t origin_len;
	uint8_t origin_labels;
	const struct name_hash_key *key;    /* the catalog's */
	_Atomic uint32_t serial;            /* SOA serial, follows the registry's revision */
	_Atomic(const struct entry *) apex; /* has SOA and NS */
	_Atomic(struct segment *) segments[ZONE_SEGMENTS]; /* catalog.c */
	struct zone_count counts[LIMIT_WORKERS + 1];       /* by reader */
};

const struct zone_list *catalog_zones(const struct catalog *catalog);

/* The zone with this origin (wire form, lower case) itself; NULL: none is served. */
const struct zone *catalog_zone_at(const struct catalog *catalog, const uint8_t *origin,
				   size_t origin_len);

/* Counts a query for the zone; `reader` is below LIMIT_WORKERS and the calling thread's own. */
static inline void catalog_count_query(const struct zone *zone, unsigned reader)
{
	struct zone *writable = (struct zone *)(uintptr_t)zone;

	counters_add(&writable->counts[reader].n_queries, 1);
}

/* How many queries all readers had for the zone. Any thread, as in reading. */
uint64_t catalog_count_queries(const struct zone *zone);

static inline struct entry *slot_entry(uint64_t slot)
{
	return (struct entry *)(uintptr_t)(slot & ((UINT64_C(1) << TAG_SHIFT) - 1));
}

static inline uint64_t slot_tag(uint64_t hash)
{
	return (hash >> 32) & 0xffff;
}

/*
 * For catalog_find(): the entry, and its slot for the writer. A reader uses the entry: slots may be
 * used again at any time.
 */
static inline struct entry *catalog_search(const struct zone *zone, uint64_t hash,
					   const uint8_t *name, size_t len,
					   _Atomic uint64_t **found)
{
	struct segment *segment =
		atomic_load_explicit(&zone->segments[hash >> SEGMENT_SHIFT], memory_order_acquire);
	uint64_t tag = slot_tag(hash);

	for (size_t b = hash & segment->mask;; b = (b + 1) & segment->mask) {
		for (size_t i = 0; i < BUCKET_SLOTS; i++) {
			_Atomic uint64_t *slot =
				&segment->buckets[b].slots[(tag + i) % BUCKET_SLOTS];
			uint64_t value = atomic_load_explicit(slot, memory_order_acquire);
			struct entry *entry = slot_entry(value);

			if (value == 0)
				return NULL;
			if (value >> TAG_SHIFT != tag || value == SLOT_GONE)
				continue;
			if (entry->name_len == len && name_equal(entry->name, name, len)) {
				*found = slot;
				return entry;
			}
		}
	}
}

/*
 * The entry of a relative name in lower case (len 0: the apex), or NULL. Names are read by whole
 * words: 15 octets behind `name` must be readable.
 */
static inline const struct entry *catalog_find(const struct zone *zone, const uint8_t *name,
					       size_t len)
{
	_Atomic uint64_t *slot;

	return catalog_search(zone, name_hash(zone->key, name, len), name, len, &slot);
}

/* Where a walk over a zone's names is. All zero: at the beginning. */
struct catalog_position {
	size_t segment;           /* ZONE_SEGMENTS: at the end */
	const struct segment *in; /* NULL: the segment is not begun */
	size_t slot;
};

/*
 * The next entry, the apex among them, in no order. NULL at the end of each segment, with
 * `position` moved on to the next one; only there may a reader be quiescent. Names that stay are
 * met once, others perhaps; a segment is one of 1,024 parts of the zone by the hash of names, so a
 * walk may even go on in another zone of that origin.
 */
const struct entry *catalog_next(const struct zone *zone, struct catalog_position *position);

/*
 * RCU, for each reading thread. Online readers hold back freeing; be offline while waiting. A
 * thread is offline after catalog_reader_register().
 */
void catalog_reader_register(void);
void catalog_reader_unregister(void);
void catalog_reader_online(void);
void catalog_reader_offline(void);
void catalog_reader_quiescent(void);

/* ---- Writing: the control thread ---- */

/* NULL when out of memory. Registers the calling thread, the one writer, with RCU. */
struct catalog *catalog_new(void);
/* On the same thread. No reader may be left. Waits for pending frees. */
void catalog_free(struct catalog *catalog);

/*
 * Makes a zone, with no apex yet: not seen by readers until catalog_set_zones(). `origin` is in
 * wire form and lower case. NULL when out of memory.
 */
struct zone *catalog_zone_new(struct catalog *catalog, const uint8_t *origin, size_t origin_len);

/* Frees a zone that was never published. NULL is fine. */
void catalog_zone_free(struct zone *zone);

/* A list of `n` zones, for the caller to fill and to publish or free(). NULL: out of memory. */
struct zone_list *catalog_zone_list_new(size_t n);

/*
 * Publishes a list of zones, in any order, which the catalog owns from here on, and frees the zones
 * of the old list that are not in it. Every zone must have an apex entry.
 */
void catalog_set_zones(struct catalog *catalog, struct zone_list *list);

/*
 * While it is loading, the zones are served but what is in them is not known yet: whoever asks is
 * told to come again, not that a name does not exist. Holds for zones set later too.
 */
void catalog_set_loading(struct catalog *catalog, bool is_loading);

/*
 * A new entry with the name and room for `n_sets` sets of `sets_len` octets in all behind it, or
 * with `n_sets` 0 for `sets_len` octets of something else (sets_off is set, the table and the rest
 * are the caller's to fill). NULL when out of memory.
 */
struct entry *catalog_entry_new(const uint8_t *name, size_t name_len, size_t n_sets,
				size_t sets_len);

/*
 * Publishes an entry under its own name and retires the one that was there; makes the empty
 * non-terminals above. The catalog owns it from here on. A dynamic entry does not replace a static
 * one: it is freed and the result is 1. 0: published. -1: out of memory, the entry is freed.
 */
int catalog_put(struct catalog *catalog, struct zone *zone, struct entry *entry);

/*
 * Removes a name's data: the name stays as an empty non-terminal while names exist below it, and
 * empty non-terminals above that are needed no more go with it. A static entry is removed only if
 * `is_static`. A name without data of that kind is ignored.
 */
void catalog_remove(struct catalog *catalog, struct zone *zone, const uint8_t *name, size_t len,
		    bool is_static);

/* Moves an entry's stable_until_ms. */
static inline void catalog_set_stable(const struct entry *entry, uint64_t stable_until_ms)
{
	struct entry *writable = (struct entry *)(uintptr_t)entry;

	atomic_store_explicit(&writable->stable_until_ms, stable_until_ms, memory_order_relaxed);
}

/*
 * Waits until no reader uses what was replaced before: readers are online for a batch of queries,
 * so that is well below a millisecond. What this batch has replaced is still there.
 */
void catalog_wait_readers(void);

/* Ends a batch of writes: sets every zone's serial and hands what was retired to RCU. */
void catalog_publish(struct catalog *catalog, uint32_t serial);

#endif
