/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/dump.h"

#include "dns/name.h"
#include "dns/rr.h"
#include "dns/wire.h"
#include "model/single.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum {
	PREFIX_MAX = NAME_TEXT_MAX + 64, /* "owner TTL IN TYPE" */
	SOA_NUMBERS = 20,                /* octets: five numbers end the RDATA (RFC 1035 3.3.13) */
	SRV_FIXED = 6,
	RECORD_FIXED = 10, /* octets between owner and RDATA */
};

/* ---- Names and texts ---- */

static char *put_escape(char *at, uint8_t octet)
{
	*at++ = '\\';
	*at++ = (char)('0' + octet / 100);
	*at++ = (char)('0' + octet / 10 % 10);
	*at++ = (char)('0' + octet % 10);
	return at;
}

/* Octets that are themselves wherever they stand in a name. */
static bool is_plain(uint8_t octet)
{
	return (octet >= 'a' && octet <= 'z') || (octet >= 'A' && octet <= 'Z') ||
	       (octet >= '0' && octet <= '9') || octet == '-' || octet == '_' || octet == '*';
}

/* A whole name in wire form, with a final dot. Returns the text's end, which is not terminated. */
static char *put_name(char *at, const uint8_t *name)
{
	if (*name == 0)
		*at++ = '.';
	for (; *name; name += 1u + *name) {
		for (unsigned i = 1; i <= *name; i++) {
			if (is_plain(name[i]))
				*at++ = (char)name[i];
			else
				at = put_escape(at, name[i]);
		}
		*at++ = '.';
	}
	return at;
}

/* The octets of the name that begins RDATA, uncompressed; 0: none does. */
static size_t name_len(const uint8_t *rdata, size_t len)
{
	for (size_t at = 0; at < len && rdata[at] <= LIMIT_LABEL; at += 1u + rdata[at])
		if (rdata[at] == 0)
			return at + 1 <= NAME_MAX_LEN ? at + 1 : 0;
	return 0;
}

/* Prints the name that begins RDATA and returns its octets; 0: none does. */
static size_t print_name(struct buf *out, const uint8_t *rdata, size_t len)
{
	char text[NAME_TEXT_MAX];
	size_t n = name_len(rdata, len);

	if (n)
		buf_put(out, text, (size_t)(put_name(text, rdata) - text));
	return n;
}

/* A character-string: the length octet and what it counts. */
static void print_string(struct buf *out, const uint8_t *string)
{
	char text[2 + 4 * UINT8_MAX], *at = text;

	*at++ = '"';
	for (unsigned i = 1; i <= *string; i++) {
		if (string[i] == '"' || string[i] == '\\')
			*at++ = '\\';
		if (string[i] >= ' ' && string[i] < 0x7f)
			*at++ = (char)string[i];
		else
			at = put_escape(at, string[i]);
	}
	*at++ = '"';
	buf_put(out, text, (size_t)(at - text));
}

/* ---- RDATA ---- */

/* false: the octets have not the shape of their type. What was printed then counts for nothing. */
typedef bool (*print_rdata)(struct buf *out, const uint8_t *rdata, size_t len);

static bool print_a(struct buf *out, const uint8_t *rdata, size_t len)
{
	char text[INET_ADDRSTRLEN];

	if (len != 4)
		return false;
	inet_ntop(AF_INET, rdata, text, sizeof(text));
	buf_put(out, text, strlen(text));
	return true;
}

static bool print_aaaa(struct buf *out, const uint8_t *rdata, size_t len)
{
	char text[INET6_ADDRSTRLEN];

	if (len != 16)
		return false;
	inet_ntop(AF_INET6, rdata, text, sizeof(text));
	buf_put(out, text, strlen(text));
	return true;
}

/* CNAME, NS. */
static bool print_one_name(struct buf *out, const uint8_t *rdata, size_t len)
{
	return len > 0 && print_name(out, rdata, len) == len;
}

static bool print_soa(struct buf *out, const uint8_t *rdata, size_t len)
{
	size_t at = print_name(out, rdata, len), n;

	buf_put(out, " ", 1);
	n = print_name(out, rdata + at, len - at);
	if (at == 0 || n == 0 || len - at - n != SOA_NUMBERS)
		return false;
	for (at += n; at < len; at += 4)
		buf_print(out, " %u", wire_get32(rdata + at));
	return true;
}

static bool print_srv(struct buf *out, const uint8_t *rdata, size_t len)
{
	if (len < SRV_FIXED)
		return false;
	buf_print(out, "%u %u %u ", wire_get16(rdata), wire_get16(rdata + 2),
		  wire_get16(rdata + 4));
	return print_one_name(out, rdata + SRV_FIXED, len - SRV_FIXED);
}

static bool print_txt(struct buf *out, const uint8_t *rdata, size_t len)
{
	size_t at = 0;

	for (; at < len && rdata[at] < len - at; at += 1u + rdata[at]) {
		if (at > 0)
			buf_put(out, " ", 1);
		print_string(out, rdata + at);
	}
	return len > 0 && at == len;
}

/* RFC 3597 5. */
static void print_generic(struct buf *out, const uint8_t *rdata, size_t len)
{
	buf_print(out, "\\# %zu", len);
	for (size_t i = 0; i < len; i++)
		buf_print(out, "%s%02x", i == 0 ? " " : "", rdata[i]);
}

static const struct {
	uint16_t type;
	const char *name;
	print_rdata print;
} types[] = {
	{ RR_A, "A", print_a },
	{ RR_AAAA, "AAAA", print_aaaa },
	{ RR_SRV, "SRV", print_srv },
	{ RR_TXT, "TXT", print_txt },
	{ RR_NS, "NS", print_one_name },
	{ RR_SOA, "SOA", print_soa },
	{ RR_CNAME, "CNAME", print_one_name },
};

static bool print_known(struct buf *out, uint16_t type, const uint8_t *rdata, size_t len)
{
	size_t start = out->len;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (types[i].type != type)
			continue;
		buf_put(out, types[i].name, strlen(types[i].name));
		buf_put(out, "\t", 1);
		if (types[i].print(out, rdata, len))
			return true;
		out->len = start;
	}
	return false;
}

/* ---- Records ---- */

/* What stands before the type of a record. */
struct prefix {
	char text[PREFIX_MAX];
	size_t owner_len, len;
};

static void prefix_set_owner(struct prefix *prefix, const uint8_t *owner)
{
	prefix->owner_len = (size_t)(put_name(prefix->text, owner) - prefix->text);
}

static void prefix_set_ttl(struct prefix *prefix, uint32_t ttl_s)
{
	char *at = prefix->text + prefix->owner_len;

	prefix->len = prefix->owner_len + (size_t)sprintf(at, "\t%u\tIN\t", ttl_s);
}

static void print_record(struct buf *out, const struct prefix *prefix, uint16_t type,
			 const uint8_t *rdata, size_t len)
{
	buf_put(out, prefix->text, prefix->len);
	if (!print_known(out, type, rdata, len)) {
		buf_print(out, "TYPE%u\t", type);
		print_generic(out, rdata, len);
	}
	buf_put(out, "\n", 1);
}

/* The SOA in the catalog has the zone file's serial; queries see the zone's (model/answer.c). */
static void print_soa_record(struct buf *out, const struct prefix *prefix, const struct zone *zone,
			     const uint8_t *rdata, size_t len)
{
	uint8_t soa[2 * NAME_MAX_LEN + SOA_NUMBERS];

	if (len < SOA_NUMBERS || len > sizeof(soa)) {
		print_record(out, prefix, RR_SOA, rdata, len);
		return;
	}
	memcpy(soa, rdata, len);
	wire_set32(soa + (len - SOA_NUMBERS),
		   atomic_load_explicit(&zone->serial, memory_order_relaxed));
	print_record(out, prefix, RR_SOA, soa, len);
}

static size_t print_set(struct buf *out, struct prefix *prefix, const struct zone *zone,
			const struct rrset *set)
{
	const uint8_t *at = set->records;

	prefix_set_ttl(prefix, set->ttl_s);
	for (uint32_t i = 0; i < set->count; i++) {
		size_t len = wire_get16(at + RR_RDLENGTH_AT);

		if (set->type == RR_SOA)
			print_soa_record(out, prefix, zone, at + RR_RDATA_AT, len);
		else
			print_record(out, prefix, set->type, at + RR_RDATA_AT, len);
		at += RR_RDATA_AT + len;
	}
	return set->count;
}

/* The records behind the NS set of a delegation, which have owners of their own. */
static size_t print_glue(struct buf *out, const struct rrset *ns)
{
	const uint8_t *at = (const uint8_t *)ns + ns->add_off;
	struct prefix prefix;

	for (uint32_t i = 0; i < ns->add_count; i++) {
		size_t len;

		prefix_set_owner(&prefix, at);
		at += name_len(at, NAME_MAX_LEN);
		prefix_set_ttl(&prefix, wire_get32(at + 4));
		len = wire_get16(at + 8);
		print_record(out, &prefix, wire_get16(at), at + RECORD_FIXED, len);
		at += RECORD_FIXED + len;
	}
	return ns->add_count;
}

static size_t print_single(struct buf *out, struct prefix *prefix, const struct zone *zone,
			   const struct entry *entry)
{
	static const uint16_t order[] = { RR_A, RR_AAAA, RR_SRV, RR_TXT };
	union single_room room;
	size_t n = 0;

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		const struct rrset *set = single_set(entry, zone, order[i], &room);

		n += set ? print_set(out, prefix, zone, set) : 0;
	}
	return n;
}

size_t dump_print_entry(struct buf *out, const struct zone *zone, const struct entry *entry)
{
	unsigned flags = entry_flags(entry);
	const struct rrset *soa = entry_find(entry, RR_SOA);
	const struct entry *from = entry_from(entry);
	uint8_t owner[LIMIT_NAME + sizeof(zone->origin)];
	struct prefix prefix;
	size_t n = 0;

	if (flags & ENTRY_EMPTY)
		return 0;
	memcpy(owner, entry->name, entry->name_len);
	memcpy(owner + entry->name_len, zone->origin, zone->origin_len);
	prefix_set_owner(&prefix, owner);
	if (soa)
		n += print_set(out, &prefix, zone, soa);
	for (unsigned i = 0; i < from->n_sets; i++) {
		const struct rrset *set = entry_rrset(from, i);

		if (set == soa || (entry->only_type && entry->only_type != set->type))
			continue;
		n += print_set(out, &prefix, zone, set);
		if ((flags & ENTRY_DELEGATION) && set->type == RR_NS)
			n += print_glue(out, set);
	}
	if (flags & (ENTRY_SINGLE | ENTRY_TEXTLESS))
		n += print_single(out, &prefix, zone, entry);
	if (n == 0)
		buf_print(out, "; %.*s has no record now\n", (int)prefix.owner_len, prefix.text);
	return n;
}

/* The segment of the zone at `position`, but for the apex; moves on to the next one. */
static size_t print_segment(struct buf *out, const struct zone *zone,
			    struct catalog_position *position)
{
	const struct entry *entry;
	size_t n = 0;

	while ((entry = catalog_next(zone, position)))
		if (entry->name_len > 0)
			n += dump_print_entry(out, zone, entry);
	return n;
}

/* ---- A zone, part by part ---- */

bool dump_print_part(struct buf *out, const struct catalog *catalog, struct dump_walk *walk)
{
	struct catalog_position *position = &walk->position;
	const struct zone *zone;

	catalog_reader_online();
	zone = catalog_zone_at(catalog, walk->origin, walk->len);
	if (zone && position->segment == 0)
		walk->n_records += dump_print_entry(
			out, zone, atomic_load_explicit(&zone->apex, memory_order_acquire));
	if (zone)
		walk->n_records += print_segment(out, zone, position);
	catalog_reader_offline();
	return zone;
}
