/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/handout.h"

#include <stdbool.h>

static bool has_records(const struct entry *entry)
{
	return entry->n_sets > 0 || (entry_flags(entry) & ENTRY_SINGLE);
}

/* How long an answer from it may be in use. */
static uint64_t use_ms(const struct entry *entry)
{
	uint32_t ttl_s = entry_flags(entry) & ENTRY_SINGLE ? entry_single(entry)->ttl_s : 0;

	for (unsigned i = 0; i < entry->n_sets; i++)
		if (entry_rrset(entry, i)->ttl_s > ttl_s)
			ttl_s = entry_rrset(entry, i)->ttl_s;
	return ttl_s * UINT64_C(1000) + HANDOUT_ROUNDING_MS;
}

/* Counted from the end of the tick, which leaves the reply time to arrive. */
static uint64_t end_ms(const struct entry *entry, uint64_t tick)
{
	return tick ? (tick + 1) * HANDOUT_TICK_MS + use_ms(entry) : 0;
}

uint64_t handout_end_ms(const struct entry *entry)
{
	return end_ms(entry, atomic_load_explicit(&entry->handout, memory_order_relaxed));
}

void handout_inherit(struct entry *entry, const struct entry *old, uint64_t now_ms)
{
	uint64_t until_ms = handout_end_ms(old), own_ms = use_ms(entry);

	if (has_records(old) && until_ms < end_ms(old, now_ms / HANDOUT_TICK_MS))
		until_ms = end_ms(old, now_ms / HANDOUT_TICK_MS);
	if (until_ms > own_ms)
		atomic_init(&entry->handout, (uint32_t)((until_ms - own_ms - 1) / HANDOUT_TICK_MS));
}
