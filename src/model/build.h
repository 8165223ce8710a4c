/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * build: puts entries of the catalog together, set by set, record by record. The only place that
 * writes the layout of struct rrset; what the fields mean stands in model/catalog.h. Control thread
 * only. Out of memory, or over 2 GiB of one name, is sticky and shows at build_entry().
 *
 *     build_begin(&build);
 *     build_set(&build, RR_A, ttl_s);
 *     build_record(&build, address, 4);
 *     entry = build_entry(&build, name, name_len);
 */
#ifndef ROSTERD_MODEL_BUILD_H
#define ROSTERD_MODEL_BUILD_H

#include "base/buf.h"
#include "model/catalog.h"

enum {
	BUILD_SETS_MAX = 64 /* types of one name */
};

struct build {
	struct buf sets;    /* every struct rrset, each at a multiple of 8 */
	struct buf records; /* scratch for build_dedupe() */
	unsigned n_sets;
	struct entry_set table[BUILD_SETS_MAX];
	size_t set_off; /* the open set in `sets` */
	uint32_t *offs; /* where each record of the open set begins in `sets` */
	size_t cap_offs;
	bool failed;
};

void build_init(struct build *build);
void build_fini(struct build *build);

/* Forgets all sets; memory is kept for the next entry. */
void build_begin(struct build *build);

/* Opens a set; the one before is closed. */
void build_set(struct build *build, uint16_t type, uint32_t ttl_s);

/* Adds a record to the open set. The RDATA may come in two parts; `tail` may be NULL. */
void build_record(struct build *build, const void *rdata, size_t len, const void *tail,
		  size_t tail_len);

/* Lets the first `n` records of the open set rotate, drawn by these weights (all 0: equal). */
void build_rotate(struct build *build, const uint32_t *weights, uint32_t n);

/* Draws so many records of the open set for each answer; 0: all. After build_rotate(). */
void build_limit(struct build *build, uint32_t limit);

/* Removes records that are equal to another one (RFC 2181 5.2). Before build_rotate(). */
void build_dedupe(struct build *build);

/*
 * Begins what belongs to the next SRV record of the open set: `n` additional records, which follow
 * by build_target(). After build_rotate(), for each record in order.
 */
void build_targets(struct build *build, uint8_t n);
void build_target(struct build *build, uint16_t type, const void *rdata, size_t len);

/* Adds glue to the open NS set; `owner` in wire form with the root label. */
void build_glue(struct build *build, const uint8_t *owner, size_t owner_len, uint16_t type,
		uint32_t ttl_s, const void *rdata, size_t len);

/* An alias: an entry that shows one type of another one's; see model/entry.h. NULL: no memory. */
struct entry *build_alias(const uint8_t *name, size_t name_len, const struct entry *from,
			  uint8_t type);

/* An entry with all sets, for catalog_put(); the caller owns it. NULL when out of memory. */
struct entry *build_entry(struct build *build, const uint8_t *name, size_t name_len);

#endif
