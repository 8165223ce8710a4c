/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/single.h"

#include "dns/rr.h"
#include "dns/wire.h"

#include <string.h>

enum {
	V4_LEN = 4,
	V6_LEN = 16,
	SRV_FIXED = sizeof(((struct single *)0)->srv),
};

_Static_assert(SINGLE_SET_MAX > sizeof(struct rrset) + RR_SRV_TARGET_AT + LIMIT_NAME + 1 +
					RR_A_LEN + RR_AAAA_LEN,
	       "an SRV set fits where a TXT set does");

/* ---- Making entries ---- */

struct entry *single_entry(const uint8_t *name, size_t name_len, const struct single_data *data)
{
	/* Most have no metadata, and one empty string is not worth an octet of a million. */
	size_t txt_len = data->txt_len == 1 ? 0 : data->txt_len;
	size_t len = offsetof(struct single, data) + (data->v4 ? V4_LEN : 0) +
		     (data->v6 ? V6_LEN : 0) + txt_len;
	struct entry *entry = catalog_entry_new(name, name_len, 0, len);
	struct single *single;
	uint8_t *at;

	if (!entry)
		return NULL;
	atomic_init(&entry->flags, ENTRY_SINGLE);
	single = (struct single *)(void *)((uint8_t *)entry + entry->sets_off);
	single->ttl_s = data->ttl_s;
	wire_set16(single->srv, data->priority);
	wire_set16(single->srv + 2, data->weight);
	wire_set16(single->srv + 4, data->port);
	single->txt_len = (uint16_t)txt_len;
	single->has_v4 = data->v4 != NULL;
	single->has_v6 = data->v6 != NULL;
	at = single->data;
	if (data->v4)
		at = (uint8_t *)mempcpy(at, data->v4, V4_LEN);
	if (data->v6)
		at = (uint8_t *)mempcpy(at, data->v6, V6_LEN);
	memcpy(at, data->txt, txt_len);
	return entry;
}

/* ---- Making sets ---- */

static const uint8_t *v4_of(const struct single *single)
{
	return single->data;
}

static const uint8_t *v6_of(const struct single *single)
{
	return single->data + (single->has_v4 ? V4_LEN : 0);
}

static const uint8_t *txt_of(const struct single *single)
{
	return v6_of(single) + (single->has_v6 ? V6_LEN : 0);
}

/* Everything of a record before its data. Returns where that goes. */
static uint8_t *put_head(uint8_t *at, uint16_t owner, uint16_t type, uint32_t ttl_s, size_t len)
{
	wire_set16(at, owner);
	wire_set16(at + 2, type);
	wire_set16(at + 4, CLASS_IN);
	wire_set32(at + RR_TTL_AT, ttl_s);
	wire_set16(at + RR_RDLENGTH_AT, (uint16_t)len);
	return at + RR_RDATA_AT;
}

static inline uint8_t *put_record(uint8_t *at, uint16_t owner, uint16_t type, uint32_t ttl_s,
				  const uint8_t *rdata, size_t len)
{
	at = put_head(at, owner, type, ttl_s, len);
	return (uint8_t *)mempcpy(at, rdata, len);
}

/* The record, and behind it the target's addresses as additional records. */
static void put_srv(struct rrset *set, const struct entry *entry, const struct zone *zone)
{
	const struct single *single = entry_single(entry);
	uint8_t *at = put_head(set->records, RR_OWNER_QUESTION, RR_SRV, set->ttl_s,
			       SRV_FIXED + entry->name_len + (size_t)zone->origin_len);
	uint8_t *additional;

	at = (uint8_t *)mempcpy(at, single->srv, SRV_FIXED);
	at = (uint8_t *)mempcpy(at, entry->name, entry->name_len);
	at = (uint8_t *)mempcpy(at, zone->origin, zone->origin_len);
	set->len = (uint32_t)(at - set->records);
	set->add_off = (uint32_t)(at - (uint8_t *)set);
	set->add_count = (uint32_t)single->has_v4 + single->has_v6;
	*at++ = (uint8_t)set->add_count;
	additional = at;
	if (single->has_v4)
		at = put_record(at, 0, RR_A, set->ttl_s, v4_of(single), V4_LEN);
	if (single->has_v6)
		at = put_record(at, 0, RR_AAAA, set->ttl_s, v6_of(single), V6_LEN);
	set->add_len = (uint32_t)(at - additional);
}

/* One record of these strings; `len` 0: of one empty string. */
static void put_txt(struct rrset *set, const uint8_t *strings, size_t len)
{
	static const uint8_t empty[1];

	if (len == 0) {
		strings = empty;
		len = sizeof(empty);
	}
	put_record(set->records, RR_OWNER_QUESTION, RR_TXT, set->ttl_s, strings, len);
	set->len = (uint32_t)(RR_RDATA_AT + len);
}

static const struct rrset *make_empty_txt(uint32_t ttl_s, struct rrset *set)
{
	*set = (struct rrset){ .type = RR_TXT, .ttl_s = ttl_s, .count = 1 };
	put_txt(set, NULL, 0);
	set->stride = (uint16_t)set->len;
	return set;
}

/* Of an ENTRY_SINGLE. */
static const struct rrset *make_set(const struct entry *entry, const struct zone *zone,
				    uint16_t type, struct rrset *set)
{
	const struct single *single = entry_single(entry);

	if (type == RR_ANY)
		type = single->has_v4 ? RR_A : RR_AAAA;
	*set = (struct rrset){
		.type = type,
		.ttl_s = single->ttl_s,
		.count = 1,
		.n_rotate = type != RR_TXT,
	};
	if (type == RR_A && single->has_v4) {
		put_record(set->records, RR_OWNER_QUESTION, RR_A, set->ttl_s, v4_of(single),
			   V4_LEN);
		set->len = RR_A_LEN;
	} else if (type == RR_AAAA && single->has_v6) {
		put_record(set->records, RR_OWNER_QUESTION, RR_AAAA, set->ttl_s, v6_of(single),
			   V6_LEN);
		set->len = RR_AAAA_LEN;
	} else if (type == RR_SRV) {
		put_srv(set, entry, zone);
	} else if (type == RR_TXT) {
		put_txt(set, txt_of(single), single->txt_len);
	} else {
		return NULL;
	}
	set->stride = (uint16_t)set->len;
	return set;
}

const struct rrset *single_set(const struct entry *entry, const struct zone *zone, uint16_t type,
			       union single_room *room)
{
	struct rrset *set = &room->set;
	unsigned flags = entry_flags(entry);

	if (flags & ENTRY_SINGLE)
		return make_set(entry, zone, type, set);
	if ((flags & ENTRY_TEXTLESS) && type == RR_TXT)
		return make_empty_txt(entry_rrset(entry, 0)->ttl_s, set);
	return NULL;
}
