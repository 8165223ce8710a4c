/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ldns parses each record. Entries and directives are cut and read here, because ldns takes
 * "$ORIGIN sub" for "sub.", "$TTL x" for 0, and lets numbers wrap around (an SRV port of 70000
 * becomes 4464).
 */
#include "io/zonefile.h"

#include "base/file.h"
#include "dns/name.h"
#include "dns/rr.h"
#include "io/zonefile_scan.h"

#include <assert.h>
#include <ldns/ldns.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	TTL_DEFAULT_S = 3600,     /* no $TTL and no TTL before; as ldns and NSD */
	TTL_MAX_S = INT32_MAX,    /* RFC 2181 8 */
	RDATA_MAX = 65535 - 1024, /* leaves room for the message around it */
};

/* One record of the file. */
struct item {
	unsigned line;
	uint32_t ttl_s;
	uint16_t type, rdata_len;
	size_t owner_len;
	uint8_t owner[NAME_MAX_LEN];
	uint8_t *rdata;
};

struct reader {
	const char *path;
	struct zonefile_scan scan;
	const uint8_t *apex; /* wire form, lower case */
	size_t apex_len;
	ldns_rdf *origin, *previous; /* as $ORIGIN says; the last owner or NULL */
	uint32_t ttl_s;
	bool has_ttl; /* from $TTL */
	size_t n_items, cap_items;
	struct item *items;
	char *message;
	size_t message_size;
};

__attribute__((format(printf, 3, 4))) static int fail(struct reader *reader, unsigned line,
						      const char *format, ...)
{
	int n = snprintf(reader->message, reader->message_size, "%s:%u: ", reader->path, line);
	va_list args;

	if (n >= 0 && (size_t)n < reader->message_size) {
		va_start(args, format);
		vsnprintf(reader->message + n, reader->message_size - (size_t)n, format, args);
		va_end(args);
	}
	return -1;
}

static int fail_here(struct reader *reader, const char *reason)
{
	return fail(reader, reader->scan.entry_line, "%s", reason);
}

/* ---- Words ---- */

/* A number of seconds, or "1h30m" in BIND's way, up to 2^31 - 1. */
static bool parse_period(const char *text, uint32_t *seconds)
{
	static const char units[] = "smhdw";
	static const uint32_t unit_s[] = { 1, 60, 3600, 86400, 604800 };
	uint64_t sum = 0;

	if (!*text)
		return false;
	while (*text) {
		uint64_t value = 0;
		const char *start = text, *unit;

		for (; *text >= '0' && *text <= '9'; text++) {
			value = value * 10 + (uint64_t)(*text - '0');
			if (value > TTL_MAX_S)
				return false;
		}
		if (text == start)
			return false;
		if (*text) {
			unit = strchr(units, *text | 0x20);
			if (!unit)
				return false;
			value *= unit_s[unit - units];
			text++;
		}
		sum += value;
		if (sum > TTL_MAX_S)
			return false;
	}
	*seconds = (uint32_t)sum;
	return true;
}

static bool is_number(const char *text, uint64_t max)
{
	uint64_t value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (uint64_t)(*text - '0');
		if (value > max)
			return false;
	}
	return true;
}

/* ---- Directives ---- */

static int read_origin(struct reader *reader, const char *text)
{
	ldns_rdf *origin;

	if (strcmp(text, "@") == 0)
		return 0;
	origin = ldns_dname_new_frm_str(text);
	if (!origin)
		return fail_here(reader, "$ORIGIN needs a domain name");
	if ((!ldns_dname_str_absolute(text) &&
	     ldns_dname_cat(origin, reader->origin) != LDNS_STATUS_OK) ||
	    ldns_rdf_size(origin) > LIMIT_NAME) {
		ldns_rdf_deep_free(origin);
		return fail_here(reader, "a name is longer than 255 octets");
	}
	ldns_rdf_deep_free(reader->origin);
	reader->origin = origin;
	return 0;
}

static int read_directive(struct reader *reader)
{
	const struct zonefile_scan *scan = &reader->scan;

	if (strcasecmp(scan->words[0], "$INCLUDE") == 0)
		return fail_here(reader, "$INCLUDE is not supported");
	if (strcasecmp(scan->words[0], "$ORIGIN") == 0 && scan->n_words == 2)
		return read_origin(reader, scan->words[1]);
	if (strcasecmp(scan->words[0], "$TTL") == 0 && scan->n_words == 2) {
		if (!parse_period(scan->words[1], &reader->ttl_s))
			return fail_here(reader, "$TTL needs seconds, 0 to 2147483647");
		reader->has_ttl = true;
		return 0;
	}
	return fail(reader, scan->entry_line,
		    "no directive: %.32s (known: $ORIGIN NAME, $TTL SECONDS)", scan->words[0]);
}

/* ---- Records ---- */

/*
 * Checks the words that ldns would let wrap around or take in part: the TTL and whole numbers in
 * RDATA, where word i is field i. The owner is the first word unless the text starts blank.
 */
static int check_numbers(struct reader *reader, const ldns_rr *rr)
{
	const struct zonefile_scan *scan = &reader->scan;
	size_t at = scan->text.data[0] == ' ' ? 0 : 1;
	uint32_t seconds;

	if (at < scan->n_words && scan->words[at][0] >= '0' && scan->words[at][0] <= '9') {
		if (!parse_period(scan->words[at], &seconds))
			return fail_here(reader, "the TTL must be seconds, 0 to 2147483647");
		if (!reader->has_ttl)
			reader->ttl_s = seconds; /* RFC 1035 5.1: the last one stated */
		at++;
	}
	if (at < scan->n_words && ldns_get_rr_class_by_name(scan->words[at]))
		at++;
	at++; /* the type */
	if (at < scan->n_words && strcmp(scan->words[at], "\\#") == 0)
		return 0; /* RFC 3597: octets in hexadecimal */
	for (size_t i = 0; i < ldns_rr_rd_count(rr) && at + i < scan->n_words; i++) {
		const char *word = scan->words[at + i];
		bool good = true;

		switch (ldns_rdf_get_type(ldns_rr_rdf(rr, i))) {
		case LDNS_RDF_TYPE_INT8:
			good = is_number(word, UINT8_MAX);
			break;
		case LDNS_RDF_TYPE_INT16:
			good = is_number(word, UINT16_MAX);
			break;
		case LDNS_RDF_TYPE_INT32:
			good = is_number(word, UINT32_MAX);
			break;
		case LDNS_RDF_TYPE_PERIOD:
			good = parse_period(word, &seconds);
			break;
		default:
			break;
		}
		if (!good)
			return fail(reader, scan->entry_line, "'%.32s' is out of range", word);
	}
	return 0;
}

/* ldns checks what is written, but not what a relative name becomes with the origin behind it. */
static bool names_fit(const ldns_rr *rr)
{
	if (ldns_rdf_size(ldns_rr_owner(rr)) > LIMIT_NAME)
		return false;
	for (size_t i = 0; i < ldns_rr_rd_count(rr); i++)
		if (ldns_rdf_get_type(ldns_rr_rdf(rr, i)) == LDNS_RDF_TYPE_DNAME &&
		    ldns_rdf_size(ldns_rr_rdf(rr, i)) > LIMIT_NAME)
			return false;
	return true;
}

/* ldns also takes "A \# 0", and less than an SOA behind a "\#" that is none. */
static bool has_all_fields(const ldns_rr *rr)
{
	const ldns_rr_descriptor *type = ldns_rr_descript(ldns_rr_get_type(rr));

	return ldns_rr_rd_count(rr) >= ldns_rr_descriptor_minimum(type);
}

static bool is_below_apex(const struct reader *reader, const struct item *item)
{
	size_t at = 0;

	while (item->owner_len - at > reader->apex_len)
		at += 1u + item->owner[at];
	return item->owner_len - at == reader->apex_len &&
	       memcmp(item->owner + at, reader->apex, reader->apex_len) == 0;
}

static const char *refuse_type(const struct reader *reader, const struct item *item)
{
	switch (item->type) {
	case LDNS_RR_TYPE_SOA:
		return item->owner_len == reader->apex_len ? NULL : "an SOA below the zone's apex";
	case LDNS_RR_TYPE_DNAME:
		return "DNAME is not supported";
	case LDNS_RR_TYPE_DS:
	case LDNS_RR_TYPE_RRSIG:
	case LDNS_RR_TYPE_NSEC:
	case LDNS_RR_TYPE_DNSKEY:
	case LDNS_RR_TYPE_NSEC3:
	case LDNS_RR_TYPE_NSEC3PARAM:
	case LDNS_RR_TYPE_CDS:
	case LDNS_RR_TYPE_CDNSKEY:
	case LDNS_RR_TYPE_SIG:
	case LDNS_RR_TYPE_KEY:
	case LDNS_RR_TYPE_NXT:
	case LDNS_RR_TYPE_DLV:
	case LDNS_RR_TYPE_TA:
		return "DNSSEC records are not supported";
	default:
		break;
	}
	/* RFC 6895 3.1: 0, OPT and 128..255 are for messages, not for zones. */
	if (item->type == 0 || item->type == LDNS_RR_TYPE_OPT ||
	    (item->type >= 128 && item->type <= 255))
		return "a type that no zone can hold";
	return NULL;
}

/* Copies a record's RDATA in wire form, nothing compressed. */
static const char *copy_rdata(struct item *item, const ldns_rr *rr)
{
	ldns_buffer *wire = ldns_buffer_new(LDNS_MIN_BUFLEN);
	const char *reason = "out of memory";

	if (!wire)
		return reason;
	if (ldns_rr_rdata2buffer_wire(wire, rr) != LDNS_STATUS_OK)
		goto out;
	reason = "the record is too large";
	if (ldns_buffer_position(wire) > RDATA_MAX)
		goto out;
	item->rdata_len = (uint16_t)ldns_buffer_position(wire);
	item->rdata = malloc(item->rdata_len ? item->rdata_len : 1u);
	reason = item->rdata ? NULL : "out of memory";
	if (item->rdata)
		memcpy(item->rdata, ldns_buffer_begin(wire), item->rdata_len);
out:
	ldns_buffer_free(wire);
	return reason;
}

/* Room for one more; it counts once n_items does. */
static struct item *next_item(struct reader *reader)
{
	if (reader->n_items == reader->cap_items) {
		size_t cap = reader->cap_items ? 2 * reader->cap_items : 32;
		struct item *items = realloc(reader->items, cap * sizeof(*items));

		if (!items)
			return NULL;
		reader->items = items;
		reader->cap_items = cap;
	}
	return &reader->items[reader->n_items];
}

static int put_record(struct reader *reader, const ldns_rr *rr)
{
	const ldns_rdf *owner = ldns_rr_owner(rr);
	const char *reason;
	struct item *item;

	if (!names_fit(rr))
		return fail_here(reader, "a name is longer than 255 octets");
	item = next_item(reader);
	if (!item)
		return fail_here(reader, "out of memory");
	*item = (struct item){
		.line = reader->scan.entry_line,
		.ttl_s = ldns_rr_ttl(rr),
		.type = (uint16_t)ldns_rr_get_type(rr),
		.owner_len = ldns_rdf_size(owner),
	};
	memcpy(item->owner, ldns_rdf_data(owner), item->owner_len);
	name_lower(item->owner, item->owner_len);
	if (ldns_rr_get_class(rr) != LDNS_RR_CLASS_IN)
		return fail_here(reader, "the class must be IN");
	if (!is_below_apex(reader, item))
		return fail_here(reader, "the record is outside the zone");
	reason = refuse_type(reader, item);
	if (!reason && !has_all_fields(rr))
		reason = "the record's data is not whole";
	if (!reason)
		reason = copy_rdata(item, rr);
	if (reason)
		return fail_here(reader, reason);
	reader->n_items++;
	return 0;
}

static int read_record(struct reader *reader)
{
	const struct zonefile_scan *scan = &reader->scan;
	ldns_rr *rr = NULL;
	ldns_status status;
	int result;

	if (scan->text.data[0] == ' ' && !reader->previous)
		return fail_here(reader, "the first record has no owner name");
	status = ldns_rr_new_frm_str(&rr, scan->text.data, reader->ttl_s, reader->origin,
				     &reader->previous);
	if (status != LDNS_STATUS_OK)
		return fail_here(reader, ldns_get_errorstr_by_id(status));
	result = check_numbers(reader, rr);
	if (result == 0)
		result = put_record(reader, rr);
	ldns_rr_free(rr);
	return result;
}

/* ---- Sets ---- */

/* By owner, type and RDATA; equal records in the order of their lines. */
static int compare_items(const void *left, const void *right)
{
	const struct item *a = left, *b = right;
	size_t len = a->rdata_len < b->rdata_len ? a->rdata_len : b->rdata_len;
	int order = (a->owner_len > b->owner_len) - (a->owner_len < b->owner_len);

	if (!order)
		order = memcmp(a->owner, b->owner, a->owner_len);
	if (!order)
		order = (a->type > b->type) - (a->type < b->type);
	if (!order)
		order = memcmp(a->rdata, b->rdata, len);
	if (!order)
		order = (a->rdata_len > b->rdata_len) - (a->rdata_len < b->rdata_len);
	if (!order)
		order = (a->line > b->line) - (a->line < b->line);
	return order;
}

static bool same_owner(const struct item *a, const struct item *b)
{
	return a->owner_len == b->owner_len && memcmp(a->owner, b->owner, a->owner_len) == 0;
}

static bool same_set(const struct item *a, const struct item *b)
{
	return a->type == b->type && same_owner(a, b);
}

static bool same_record(const struct item *a, const struct item *b)
{
	return same_set(a, b) && a->rdata_len == b->rdata_len &&
	       memcmp(a->rdata, b->rdata, a->rdata_len) == 0;
}

/* Sorts and removes repeated records; the lowest TTL stays. */
static void sort_items(struct reader *reader)
{
	size_t n = 0;

	if (reader->n_items)
		qsort(reader->items, reader->n_items, sizeof(*reader->items), compare_items);
	for (size_t i = 0; i < reader->n_items; i++) {
		struct item *item = &reader->items[i], *last = n ? &reader->items[n - 1] : NULL;

		if (last && same_record(last, item)) {
			if (item->ttl_s < last->ttl_s)
				last->ttl_s = item->ttl_s;
			free(item->rdata);
			continue;
		}
		reader->items[n++] = *item;
	}
	reader->n_items = n;
}

static unsigned later_line(const struct item *a, const struct item *b)
{
	return a->line > b->line ? a->line : b->line;
}

/*
 * What holds for the zone as a whole. Neighbours suffice for CNAME: whatever else its owner has is
 * sorted next to it.
 */
static int check_zone(struct reader *reader)
{
	bool has_soa = false, has_ns = false;
	unsigned last_line = reader->scan.line > 1 ? reader->scan.line - 1 : 1;

	for (size_t i = 0; i < reader->n_items; i++) {
		const struct item *item = &reader->items[i];
		const struct item *next = i + 1 < reader->n_items ? item + 1 : NULL;

		has_soa |= item->type == RR_SOA;
		has_ns |= item->type == RR_NS && item->owner_len == reader->apex_len;
		if (!next || !same_owner(item, next))
			continue;
		if (item->type == RR_SOA && next->type == RR_SOA)
			return fail(reader, later_line(item, next), "a second SOA");
		if (item->type == RR_CNAME || next->type == RR_CNAME)
			return fail(reader, later_line(item, next),
				    "a CNAME and other data at one name (RFC 2181 10.1)");
	}
	if (!has_soa)
		return fail(reader, last_line, "the zone has no SOA record");
	if (!has_ns)
		return fail(reader, last_line, "the zone has no NS record at its apex");
	return 0;
}

/* Makes one set of the items [first, first + n). Takes their RDATA. */
static int put_set(struct static_zone *zone, struct item *first, size_t n)
{
	struct static_rrset *set = &zone->sets[zone->n_sets];

	*set = (struct static_rrset){
		.owner_len = first->owner_len,
		.type = first->type,
		.ttl_s = first->ttl_s,
		.rdata = calloc(n, sizeof(*set->rdata)),
	};
	if (!set->rdata)
		return -1;
	memcpy(set->owner, first->owner, first->owner_len);
	zone->n_sets++;
	for (size_t i = 0; i < n; i++) {
		set->rdata[i].len = first[i].rdata_len;
		set->rdata[i].data = first[i].rdata;
		first[i].rdata = NULL;
		if (first[i].ttl_s < set->ttl_s) /* RFC 2181 5.2: one TTL for all */
			set->ttl_s = first[i].ttl_s;
	}
	set->n_rdata = n;
	return 0;
}

static int put_sets(struct static_zone *zone, struct item *items, size_t n_items)
{
	size_t n_sets = 0, end;

	for (size_t i = 0; i < n_items; i++)
		n_sets += i == 0 || !same_set(&items[i - 1], &items[i]);
	zone->sets = calloc(n_sets, sizeof(*zone->sets));
	if (!zone->sets)
		return -1;
	for (size_t i = 0; i < n_items; i = end) {
		end = i + 1;
		while (end < n_items && same_set(&items[i], &items[end]))
			end++;
		if (put_set(zone, &items[i], end - i) < 0)
			return -1;
	}
	return 0;
}

/* ---- The whole file ---- */

static int read_entries(struct reader *reader)
{
	for (;;) {
		const char *reason;
		int result;

		switch (zonefile_scan_next(&reader->scan, &reason)) {
		case SCAN_END:
			return 0;
		case SCAN_ERROR:
			return fail_here(reader, reason);
		case SCAN_ENTRY:
			break;
		}
		if (reader->scan.words[0][0] == '$' && reader->scan.text.data[0] != ' ')
			result = read_directive(reader);
		else
			result = read_record(reader);
		if (result < 0)
			return result;
	}
}

static int read_zone(struct reader *reader, struct static_zone *zone)
{
	reader->origin = ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, reader->apex_len, reader->apex);
	if (!reader->origin)
		return fail(reader, 1, "out of memory");
	if (read_entries(reader) < 0)
		return -1;
	sort_items(reader);
	if (check_zone(reader) < 0)
		return -1;
	if (put_sets(zone, reader->items, reader->n_items) < 0)
		return fail(reader, 1, "out of memory");
	return 0;
}

static void reader_fini(struct reader *reader)
{
	for (size_t i = 0; i < reader->n_items; i++)
		free(reader->items[i].rdata);
	free(reader->items);
	ldns_rdf_deep_free(reader->origin);
	ldns_rdf_deep_free(reader->previous);
	zonefile_scan_fini(&reader->scan);
}

static void zone_init(struct static_zone *zone, const uint8_t *origin, size_t origin_len)
{
	*zone = (struct static_zone){ .origin_len = origin_len };
	memcpy(zone->origin, origin, origin_len);
}

int zonefile_read(const char *path, const uint8_t *origin, size_t origin_len,
		  struct static_zone *zone, char *message, size_t message_size)
{
	struct reader reader = {
		.path = path,
		.apex = origin,
		.apex_len = origin_len,
		.ttl_s = TTL_DEFAULT_S,
		.message = message,
		.message_size = message_size,
	};
	const char *reason;
	struct buf text;
	int result = -1;

	zone_init(zone, origin, origin_len);
	buf_init(&text);
	if (file_read(path, LIMIT_ZONE_FILE, &text, &reason) < 0) {
		snprintf(message, message_size, "%s: %s", path, reason);
		goto out;
	}
	zonefile_scan_init(&reader.scan, text.data, text.len);
	result = read_zone(&reader, zone);
	reader_fini(&reader);
	if (result < 0)
		static_zone_fini(zone);
out:
	buf_fini(&text);
	return result;
}

/* ---- The zone without a file ---- */

static void put_u32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* <label>.<origin> in wire form. */
static size_t make_name(uint8_t name[NAME_MAX_LEN], const char *label, const uint8_t *origin,
			size_t origin_len)
{
	size_t len = name_put_label(name, 0, label);

	memcpy(name + len, origin, origin_len);
	return len + origin_len;
}

static int default_item(struct item *item, const uint8_t *owner, size_t owner_len, uint16_t type,
			const void *rdata, size_t rdata_len)
{
	*item = (struct item){
		.ttl_s = ZONEFILE_DEFAULT_TTL_S,
		.type = type,
		.rdata_len = (uint16_t)rdata_len,
		.owner_len = owner_len,
		.rdata = malloc(rdata_len),
	};
	if (!item->rdata)
		return -1;
	memcpy(item->owner, owner, owner_len);
	memcpy(item->rdata, rdata, rdata_len);
	return 0;
}

int zonefile_default(const uint8_t *origin, size_t origin_len, const struct address *address,
		     struct static_zone *zone)
{
	static const uint32_t numbers[] = { 1, 3600, 600, 86400, ZONEFILE_DEFAULT_TTL_S };
	uint8_t ns[NAME_MAX_LEN], soa[2 * NAME_MAX_LEN + sizeof(numbers)];
	struct item items[4] = { 0 };
	size_t ns_len, soa_len, n = 0;
	int result;

	assert(origin_len <= LIMIT_ORIGIN);
	zone_init(zone, origin, origin_len);
	ns_len = make_name(ns, "ns", origin, origin_len);
	memcpy(soa, ns, ns_len);
	soa_len = ns_len + make_name(soa + ns_len, "hostmaster", origin, origin_len);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++, soa_len += 4)
		put_u32(soa + soa_len, numbers[i]);

	/* Sets are made of items in any order, as long as each set's are neighbours. */
	result = default_item(&items[n++], origin, origin_len, RR_SOA, soa, soa_len);
	result |= default_item(&items[n++], origin, origin_len, RR_NS, ns, ns_len);
	if (address->has_v4)
		result |= default_item(&items[n++], ns, ns_len, RR_A, address->v4, 4);
	if (address->has_v6)
		result |= default_item(&items[n++], ns, ns_len, RR_AAAA, address->v6, 16);
	if (result == 0)
		result = put_sets(zone, items, n);
	for (size_t i = 0; i < n; i++)
		free(items[i].rdata);
	if (result < 0)
		static_zone_fini(zone);
	return result;
}
