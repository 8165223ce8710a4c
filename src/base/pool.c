/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/pool.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

enum {
	CHUNK_SIZE = 1 << 16, /* and alignment: a thing's address tells its chunk */
	SMALL_MAX = 4096,
	ALIGNMENT = 16,
	SPARE_MAX = 128, /* chunks: the largest requests need more, and seldom come */
};

/* Invariant: only `current` and spare chunks may be without things. */
struct chunk {
	struct chunk *next_spare;
	size_t size;
	uint32_t n_things;
	uint32_t used; /* octets, these among them */
	_Alignas(ALIGNMENT) unsigned char things[];
};

static struct chunk *current;
static struct chunk *spare;
static unsigned n_spare;

/* `size`: a multiple of CHUNK_SIZE. */
static struct chunk *chunk_new(size_t size)
{
	struct chunk *chunk = spare;

	if (chunk && size == CHUNK_SIZE) {
		spare = chunk->next_spare;
		n_spare--;
	} else {
		chunk = aligned_alloc(CHUNK_SIZE, size);
	}
	if (chunk)
		*chunk = (struct chunk){ .size = size, .used = sizeof(*chunk) };
	return chunk;
}

static void *alloc_large(size_t size)
{
	struct chunk *chunk;

	if (size > SIZE_MAX / 2)
		return NULL;
	size += sizeof(*chunk) + CHUNK_SIZE - 1;
	chunk = chunk_new(size - size % CHUNK_SIZE);
	if (!chunk)
		return NULL;
	chunk->n_things = 1;
	return chunk->things;
}

void *pool_alloc(size_t size)
{
	void *thing;

	if (size > SMALL_MAX)
		return alloc_large(size);
	/* Nothing, too, has an address within its chunk. */
	size = size ? (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1) : ALIGNMENT;
	if (!current || CHUNK_SIZE - current->used < size) {
		struct chunk *chunk = chunk_new(CHUNK_SIZE);

		if (!chunk)
			return NULL;
		current = chunk;
	}
	thing = (unsigned char *)current + current->used;
	current->used += (uint32_t)size;
	current->n_things++;
	return thing;
}

void pool_free(void *thing)
{
	struct chunk *chunk = (void *)((uintptr_t)thing & ~(uintptr_t)(CHUNK_SIZE - 1));

	if (!thing)
		return;
	assert(chunk->n_things);
	if (--chunk->n_things)
		return;
	if (chunk == current) {
		chunk->used = sizeof(*chunk);
	} else if (chunk->size > CHUNK_SIZE || n_spare == SPARE_MAX) {
		free(chunk);
	} else {
		chunk->next_spare = spare;
		spare = chunk;
		n_spare++;
	}
}
