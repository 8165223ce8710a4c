/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/deadline.h"

#include <assert.h>
#include <stdlib.h>

enum {
	ARITY = 4
};

void deadline_heap_fini(struct deadline_heap *heap)
{
	free(heap->slots);
	*heap = (struct deadline_heap){ 0 };
}

int deadline_heap_reserve(struct deadline_heap *heap, size_t n)
{
	size_t cap = heap->cap ? heap->cap : 64;
	struct deadline_slot *slots;

	if (n <= heap->cap)
		return 0;
	while (cap < n)
		cap *= 2;
	slots = realloc(heap->slots, cap * sizeof(*slots));
	if (!slots)
		return -1;
	heap->slots = slots;
	heap->cap = cap;
	return 0;
}

static void place(struct deadline_heap *heap, size_t i, struct deadline_slot slot)
{
	heap->slots[i] = slot;
	slot.deadline->position = (uint32_t)(i + 1);
}

static void sift_up(struct deadline_heap *heap, size_t i, struct deadline_slot slot)
{
	while (i > 0) {
		size_t parent = (i - 1) / ARITY;

		if (heap->slots[parent].at_ms <= slot.at_ms)
			break;
		place(heap, i, heap->slots[parent]);
		i = parent;
	}
	place(heap, i, slot);
}

static void sift_down(struct deadline_heap *heap, size_t i, struct deadline_slot slot)
{
	for (;;) {
		size_t first = i * ARITY + 1, best = first;

		if (first >= heap->n)
			break;
		for (size_t c = first + 1; c < heap->n && c < first + ARITY; c++)
			if (heap->slots[c].at_ms < heap->slots[best].at_ms)
				best = c;
		if (heap->slots[best].at_ms >= slot.at_ms)
			break;
		place(heap, i, heap->slots[best]);
		i = best;
	}
	place(heap, i, slot);
}

static void settle(struct deadline_heap *heap, size_t i, struct deadline_slot slot)
{
	if (i > 0 && heap->slots[(i - 1) / ARITY].at_ms > slot.at_ms)
		sift_up(heap, i, slot);
	else
		sift_down(heap, i, slot);
}

void deadline_set(struct deadline_heap *heap, struct deadline *deadline, uint64_t at_ms)
{
	struct deadline_slot slot = { .at_ms = at_ms, .deadline = deadline };

	if (deadline->position) {
		settle(heap, deadline->position - 1, slot);
		return;
	}
	assert(heap->n < heap->cap);
	sift_up(heap, heap->n++, slot);
}

uint64_t deadline_at_ms(const struct deadline_heap *heap, const struct deadline *deadline)
{
	return deadline->position ? heap->slots[deadline->position - 1].at_ms : UINT64_MAX;
}

void deadline_cancel(struct deadline_heap *heap, struct deadline *deadline)
{
	size_t i = deadline->position;
	struct deadline_slot last;

	if (i == 0)
		return;
	i--;
	deadline->position = 0;
	last = heap->slots[--heap->n];
	if (i < heap->n)
		settle(heap, i, last);
}

struct deadline *deadline_take(struct deadline_heap *heap, uint64_t now_ms)
{
	struct deadline *deadline;

	if (heap->n == 0 || heap->slots[0].at_ms > now_ms)
		return NULL;
	deadline = heap->slots[0].deadline;
	deadline_cancel(heap, deadline);
	return deadline;
}

uint64_t deadline_next_ms(const struct deadline_heap *heap)
{
	return heap->n ? heap->slots[0].at_ms : UINT64_MAX;
}
