/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * static_zone: the content of a zone file, between whoever read it (io/zonefile.h) and the catalog.
 * Control thread only.
 */
#ifndef ROSTERD_MODEL_STATIC_ZONE_H
#define ROSTERD_MODEL_STATIC_ZONE_H

#include "model/build.h"

/* Which instances a zone shows: all, or those with this tag, or with this metadata entry. */
struct zone_filter {
	char *tag;                   /* NULL: any */
	char *meta_key, *meta_value; /* NULL: any */
};

/* One static RRset as the zone file has it. Octets in wire form, names uncompressed. */
struct static_rrset {
	uint8_t owner[LIMIT_NAME]; /* lower case, with the root label */
	size_t owner_len;
	uint16_t type;
	uint32_t ttl_s;
	size_t n_rdata;
	struct static_rdata {
		uint16_t len;
		uint8_t *data;
	} * rdata;
};

/* A zone's static content: the apex (SOA, NS) at least. */
struct static_zone {
	uint8_t origin[LIMIT_NAME]; /* wire form, lower case */
	size_t origin_len;
	size_t n_sets;
	struct static_rrset *sets;
	struct zone_filter filter;
};

/* Frees what a static zone holds, not the struct. */
void static_zone_fini(struct static_zone *zone);

/*
 * Puts the records in an order in which those of a name stand together, the apex first. To be
 * called once, before the functions below. -1 with a message: no SOA or NS at the apex, an origin
 * longer than LIMIT_ORIGIN, or more types at one name than an entry holds.
 */
int static_zone_prepare(struct static_zone *zone, char *message, size_t message_size);

/*
 * Publishes every name of the zone: data, delegations with their glue; what lies below a delegation
 * is only glue. -1 when out of memory: some names may be missing.
 */
int static_zone_put(const struct static_zone *content, struct catalog *catalog, struct zone *zone,
		    struct build *build);

/* Removes the names that `old` published and `content` does not have. */
void static_zone_remove(const struct static_zone *old, const struct static_zone *content,
			struct catalog *catalog, struct zone *zone);

/* Calls back for each name of `a` that `b` lacks, relative to the apex. */
void static_zone_difference(const struct static_zone *a, const struct static_zone *b,
			    void (*on_name)(void *cookie, const uint8_t *name, size_t len),
			    void *cookie);

/* Whether the zone has delegations. */
bool static_zone_delegates(const struct static_zone *zone);

#endif
