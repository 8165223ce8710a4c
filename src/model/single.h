/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * single: the answers of a name that stands for one instance. Four sets of one record each are some
 * 250 octets, most of them the same for every instance; such a name keeps only what differs (struct
 * single, model/entry.h), and a set is made when somebody asks for it. So is the TXT set of a group
 * of instances that have no metadata, which is the same for all of them.
 *
 * Making entries is the control thread's; sets are made by any thread, in room of its own.
 */
#ifndef ROSTERD_MODEL_SINGLE_H
#define ROSTERD_MODEL_SINGLE_H

#include "model/catalog.h"

#include <stdalign.h>

enum {
	SINGLE_TXT_MAX = (LIMIT_META + 1) * (LIMIT_META_TEXT + 1), /* all metadata, and the tags */
	/* TXT has the longest record; SRV with all that belongs to it is shorter. */
	SINGLE_SET_MAX = sizeof(struct rrset) + RR_RDATA_AT + SINGLE_TXT_MAX,
};

/* What the records say. */
struct single_data {
	uint32_t ttl_s;
	const uint8_t *v4, *v6; /* network order; NULL: none */
	uint16_t priority, weight, port;
	const uint8_t *txt; /* RDATA: strings with a length octet each */
	size_t txt_len;     /* 1..SINGLE_TXT_MAX */
};

/* An ENTRY_SINGLE for catalog_put(); the caller owns it. NULL when out of memory. */
struct entry *single_entry(const uint8_t *name, size_t name_len, const struct single_data *data);

/* Where a set is made; nothing need be in it. */
union single_room {
	struct rrset set;
	alignas(8) uint8_t octets[SINGLE_SET_MAX];
};

/*
 * The set of this type that an entry of the zone has without its being laid out, made in `room` as
 * model/build.h would do it; that is all of an ENTRY_SINGLE, where RR_ANY gets the first address,
 * and TXT of an ENTRY_TEXTLESS. NULL: it has no such set.
 */
const struct rrset *single_set(const struct entry *entry, const struct zone *zone, uint16_t type,
			       union single_room *room);

#endif
