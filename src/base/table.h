/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table: a hash table of pointers for one thread (the control thread's indexes).
 *
 * Entries are the caller's; the table holds their addresses with 16 bits of the hash, 8 octets a
 * slot and 10 to 13 an entry. It is cut into 256 segments by the top bits of the hash and each
 * segment grows by itself, so that no insertion ever pays for more than 1/256 of the table: a
 * million entries grow in steps of some 100 us.
 */
#ifndef ROSTERD_BASE_TABLE_H
#define ROSTERD_BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table;

/* Whether `entry` is the one that `key` asks for. */
typedef bool (*table_match)(const void *entry, const void *key);

/* NULL when out of memory. */
struct table *table_new(table_match match);
/* The entries stay. */
void table_free(struct table *table);

size_t table_count(const struct table *table);

void *table_find(const struct table *table, uint64_t hash, const void *key);

/* Inserts an entry whose key is not in the table. -1 when out of memory. */
int table_insert(struct table *table, uint64_t hash, void *entry);

/* Removes exactly this pointer; it must be there. */
void table_remove(struct table *table, uint64_t hash, const void *entry);

/*
 * The next entry in an unspecified order, or NULL at the end; start with *position = 0. Removing
 * the entry just returned is allowed while iterating, inserting is not.
 */
void *table_next(const struct table *table, size_t *position);

#endif
