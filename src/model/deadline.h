/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * deadline: a heap of points in time, cheap at a million of them: 4-ary, so five cache lines from
 * leaf to root at a million, times kept beside the pointers. A struct deadline lies inside what it
 * belongs to. Deadlines that only move later need not be moved here: whoever takes one that came up
 * too early sets it again.
 */
#ifndef ROSTERD_MODEL_DEADLINE_H
#define ROSTERD_MODEL_DEADLINE_H

#include <stddef.h>
#include <stdint.h>

enum deadline_kind {
	DEADLINE_INSTANCE,
	DEADLINE_SERVICE,
	DEADLINE_CHECK,
};

struct deadline {
	uint32_t position : 30; /* in the heap, from 1; 0: not in it */
	enum deadline_kind kind : 2;
};

struct deadline_slot {
	uint64_t at_ms;
	struct deadline *deadline;
};

/* All zero is an empty heap. */
struct deadline_heap {
	struct deadline_slot *slots; /* slots[0] is the earliest */
	size_t n, cap;
};

void deadline_heap_fini(struct deadline_heap *heap);

/*
 * Makes room for `n` deadlines in all, so that deadline_set() cannot fail for them.
 * -1 when out of memory.
 */
int deadline_heap_reserve(struct deadline_heap *heap, size_t n);

/* Sets or moves a deadline. Room must have been reserved. */
void deadline_set(struct deadline_heap *heap, struct deadline *deadline, uint64_t at_ms);

/* When it is due; UINT64_MAX: not set. */
uint64_t deadline_at_ms(const struct deadline_heap *heap, const struct deadline *deadline);

/* Takes it out, if it is in. */
void deadline_cancel(struct deadline_heap *heap, struct deadline *deadline);

/* The earliest, if it is due by `now_ms`: taken out and returned; else NULL. */
struct deadline *deadline_take(struct deadline_heap *heap, uint64_t now_ms);

/* When the earliest is due; UINT64_MAX: none is set. */
uint64_t deadline_next_ms(const struct deadline_heap *heap);

#endif
