/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handout: until when answers that were given may still be in use: what an operator who takes an
 * instance out of service waits for.
 *
 * Workers note in an entry when they answered from it, in ticks of a quarter of a second, and write
 * only when the tick is a new one: a comparison per query in a cache line that the query reads
 * anyway. Who replaces an entry of records supposes that it was answered in that very moment, for
 * a worker may be at it; so an entry knows an upper bound for every entry that had its name before,
 * and the exact time once the name has not changed for one TTL.
 *
 * A cache may keep an answer for up to one second beyond its TTL: many count in whole seconds
 * (nginx does), and a resolver passes what is left of a TTL on in whole seconds, too. So an answer
 * counts as in use for HANDOUT_ROUNDING_MS more than its TTL.
 *
 * Times are server time: caches count a TTL on clocks that do not stop with this server, so a span
 * of it is at least as long for them, and nothing is called safe too early.
 */
#ifndef ROSTERD_MODEL_HANDOUT_H
#define ROSTERD_MODEL_HANDOUT_H

#include "model/entry.h"

enum {
	HANDOUT_TICK_MS = 256,
	HANDOUT_ROUNDING_MS = 1000,
};

/* Any worker: the entry's records are in an answer. */
static inline void handout_note(const struct entry *entry, uint64_t now_ms)
{
	struct entry *writable = (struct entry *)(uintptr_t)entry;
	uint32_t tick = (uint32_t)(now_ms / HANDOUT_TICK_MS);

	if (atomic_load_explicit(&entry->handout, memory_order_relaxed) < tick)
		atomic_store_explicit(&writable->handout, tick, memory_order_relaxed);
}

/* When the last answer from this entry has expired everywhere. 0: there was none. */
uint64_t handout_end_ms(const struct entry *entry);

/* Control thread: `entry`, not published yet, is about to replace `old`. */
void handout_inherit(struct entry *entry, const struct entry *old, uint64_t now_ms);

#endif
