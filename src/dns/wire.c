/* SPDX-License-Identifier: BSD-2-Clause */
#include "dns/wire.h"

/*
 * Lower-cases 16 octets at once, by whatever vectors the machine has. Length octets are at most 63,
 * below 'A', and stay.
 */
typedef uint8_t octets16 __attribute__((vector_size(WIRE_SLACK)));

static octets16 lower16(octets16 octets)
{
	return octets | (((octets16)(octets - 'A' < 26)) & 0x20);
}

static inline size_t parse_name(const uint8_t *at, const uint8_t *end, struct wire_name *name)
{
	size_t room = (size_t)(end - at), pos = 0;
	uint8_t *label = name->labels;

	if (room > NAME_MAX_LEN)
		room = NAME_MAX_LEN;
	if (room == 0)
		return 0;
	while (at[pos] != 0) {
		if (at[pos] > 63)
			return 0;
		*label++ = (uint8_t)pos;
		pos += at[pos] + 1u;
		if (pos >= room)
			return 0;
	}
	*label = (uint8_t)pos;
	name->n_labels = (uint8_t)(label - name->labels);
	name->len = (uint8_t)++pos;
	for (size_t i = 0; i < pos; i += WIRE_SLACK) {
		octets16 octets;

		memcpy(&octets, at + i, sizeof(octets));
		octets = lower16(octets);
		memcpy(name->name + i, &octets, sizeof(octets));
	}
	return pos;
}

size_t wire_name_parse(const uint8_t *at, const uint8_t *end, struct wire_name *name)
{
	return parse_name(at, end, name);
}

/* The octets of a record's owner, compressed or not; 0 if it is broken. */
static size_t skip_owner(const uint8_t *at, const uint8_t *end)
{
	size_t pos = 0, room = (size_t)(end - at);

	while (pos < room && pos < NAME_MAX_LEN) {
		uint8_t label_len = at[pos];

		if (label_len == 0)
			return pos + 1;
		if (label_len >= 0xc0)
			return pos + 2 <= room ? pos + 2 : 0;
		if (label_len > 63)
			return 0;
		pos += label_len + 1u;
	}
	return 0;
}

/* Takes what we know from the options; others are ignored (RFC 6891 6.1.2). */
static bool parse_option(uint16_t code, const uint8_t *data, size_t len, struct wire_query *query)
{
	switch (code) {
	case EDNS_NSID:
		query->wants_nsid = true;
		return true;
	case EDNS_KEEPALIVE:
		query->wants_keepalive = true;
		return true;
	case EDNS_PADDING:
		query->wants_padding = true;
		return true;
	case EDNS_COOKIE:
		/* A client cookie, or that and a server cookie (RFC 7873 5.2.2). */
		if (query->cookie_len || (len != 8 && (len < 16 || len > WIRE_COOKIE_MAX)))
			return false;
		memcpy(query->cookie, data, len);
		query->cookie_len = (uint8_t)len;
		return true;
	default:
		return true;
	}
}

/* Options must fill the OPT record's data exactly. */
static bool parse_options(const uint8_t *options, size_t len, struct wire_query *query)
{
	size_t pos = 0;

	while (pos + 4 <= len) {
		size_t option_len = wire_get16(options + pos + 2);

		if (option_len > len - pos - 4 ||
		    !parse_option(wire_get16(options + pos), options + pos + 4, option_len, query))
			return false;
		pos += 4 + option_len;
	}
	return pos == len;
}

static bool parse_opt(const uint8_t *owner, const uint8_t *fixed, size_t rdata_len,
		      struct wire_query *query)
{
	if (query->has_edns || owner[0] != 0)
		return false;
	query->has_edns = true;
	query->edns_size = wire_get16(fixed + 2);
	query->edns_version = fixed[5];
	query->edns_flags = wire_get16(fixed + 6);
	/* Another version may have other options; it is refused anyway. */
	return query->edns_version > 0 || parse_options(fixed + 10, rdata_len, query);
}

/* Walks over the records behind the question; OPT belongs to the additional ones. */
static bool parse_records(const uint8_t *at, const uint8_t *end, unsigned n, unsigned n_additional,
			  struct wire_query *query)
{
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *owner = at;
		size_t owner_len = skip_owner(at, end), rdata_len;

		if (owner_len == 0 || (size_t)(end - at) < owner_len + 10)
			return false;
		at += owner_len;
		rdata_len = wire_get16(at + 8);
		if ((size_t)(end - at) < 10 + rdata_len)
			return false;
		if (wire_get16(at) == RR_OPT &&
		    (i + n_additional < n || !parse_opt(owner, at, rdata_len, query)))
			return false;
		at += 10 + rdata_len;
	}
	return at == end;
}

enum wire_result wire_query_parse(const uint8_t *message, size_t len, struct wire_query *query)
{
	const uint8_t *end = message + len, *at = message + WIRE_HEADER;
	unsigned n_additional;
	size_t name_len;

	query->has_edns = query->wants_nsid = query->wants_keepalive = false;
	query->wants_padding = false;
	query->edns_flags = 0;
	query->cookie_len = 0;
	if (!wire_is_query(message, len))
		return WIRE_SILENT;
	if (wire_get16(message + 4) != 1)
		return WIRE_FORMERR;
	name_len = parse_name(at, end, &query->name);
	if (name_len == 0 || (size_t)(end - at) < name_len + 4)
		return WIRE_FORMERR;
	at += name_len;
	query->type = wire_get16(at);
	query->class = wire_get16(at + 2);
	at += 4;
	query->question_end = (size_t)(at - message);
	/* Most queries end here: no record in any section, nothing behind. */
	if (wire_get16(message + 6) == 0 && wire_get32(message + 8) == 0)
		return at == end ? WIRE_OK : WIRE_FORMERR;
	n_additional = wire_get16(message + 10);
	if (!parse_records(at, end,
			   (unsigned)wire_get16(message + 6) + wire_get16(message + 8) +
				   n_additional,
			   n_additional, query))
		return WIRE_FORMERR;
	return WIRE_OK;
}

void wire_put_opt(struct wire_writer *writer, uint16_t udp_size, unsigned rcode, uint16_t flags,
		  const uint8_t *options, size_t options_len)
{
	wire_put(writer, "", 1);
	wire_put16(writer, RR_OPT);
	wire_put16(writer, udp_size);
	wire_put32(writer, (uint32_t)(rcode >> 4) << 24 | flags);
	wire_put16(writer, (uint16_t)options_len);
	if (options_len)
		wire_put(writer, options, options_len);
}
