/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool: memory for the many small things that a request is taken apart into, for one thread (the
 * control thread).
 *
 * Things are cut one after the other from chunks of 64 KiB, and a chunk is used again when the last
 * thing in it is freed. So both cost a few instructions, neighbours in time are neighbours in
 * memory, and nothing is left in pieces. The price: what stays holds its whole chunk, so this is
 * for what goes soon. Large things have a chunk of their own.
 *
 * There is one pool, for those who call it from libraries that hand no cookie on.
 */
#ifndef ROSTERD_BASE_POOL_H
#define ROSTERD_BASE_POOL_H

#include <stddef.h>

/* As malloc(). NULL when out of memory. */
void *pool_alloc(size_t size);

/* Of pool_alloc() alone; NULL is fine. */
void pool_free(void *thing);

#endif
