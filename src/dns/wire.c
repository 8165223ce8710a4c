/* SPDX-License-Identifier: BSD-2-Clause */
#include "dns/wire.h"

/*
 * Lower-cases eight octets at once: bit 5 is set in every octet within 'A'..'Z'. Length octets are
 * at most 63, below 'A', and stay.
 */
static uint64_t lower8(uint64_t octets)
{
	const uint64_t high = UINT64_C(0x8080808080808080), one = UINT64_C(0x0101010101010101);
	uint64_t ascii = octets & ~high;
	uint64_t from_a = ascii + one * (0x80 - 'A');
	uint64_t past_z = ascii + one * (0x80 - 'Z' - 1);

	return octets | ((from_a & ~past_z & ~octets & high) >> 2);
}

size_t wire_name_parse(const uint8_t *at, const uint8_t *end, struct wire_name *name)
{
	size_t room = (size_t)(end - at), pos = 0;
	unsigned n = 0;

	if (room > NAME_MAX_LEN)
		room = NAME_MAX_LEN;
	for (;;) {
		uint8_t label_len;

		if (pos >= room)
			return 0;
		label_len = at[pos];
		name->labels[n] = (uint8_t)pos;
		if (label_len == 0)
			break;
		if (label_len > 63)
			return 0;
		n++;
		pos += label_len + 1u;
	}
	name->n_labels = (uint8_t)n;
	name->len = (uint8_t)++pos;
	for (size_t i = 0; i < pos; i += 8) {
		uint64_t octets;

		memcpy(&octets, at + i, sizeof(octets));
		octets = lower8(octets);
		memcpy(name->name + i, &octets, sizeof(octets));
	}
	return pos;
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

/* Options must fill the OPT record's data exactly (RFC 6891 6.1.2). */
static bool options_fit(const uint8_t *options, size_t len)
{
	size_t pos = 0;

	while (pos + 4 <= len)
		pos += 4 + wire_get16(options + pos + 2);
	return pos == len;
}

static bool parse_opt(const uint8_t *owner, const uint8_t *fixed, size_t rdata_len,
		      struct wire_query *query)
{
	if (query->has_edns || owner[0] != 0 || !options_fit(fixed + 10, rdata_len))
		return false;
	query->has_edns = true;
	query->edns_size = wire_get16(fixed + 2);
	query->edns_version = fixed[5];
	query->edns_flags = wire_get16(fixed + 6);
	return true;
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

	query->has_edns = false;
	query->edns_flags = 0;
	if (!wire_is_query(message, len))
		return WIRE_SILENT;
	if (wire_get16(message + 4) != 1)
		return WIRE_FORMERR;
	name_len = wire_name_parse(at, end, &query->name);
	if (name_len == 0 || (size_t)(end - at) < name_len + 4)
		return WIRE_FORMERR;
	at += name_len;
	query->type = wire_get16(at);
	query->class = wire_get16(at + 2);
	at += 4;
	query->question_end = (size_t)(at - message);
	n_additional = wire_get16(message + 10);
	if (!parse_records(at, end,
			   (unsigned)wire_get16(message + 6) + wire_get16(message + 8) +
				   n_additional,
			   n_additional, query))
		return WIRE_FORMERR;
	return WIRE_OK;
}

void wire_put_opt(struct wire_writer *writer, uint16_t udp_size, unsigned rcode, uint16_t flags)
{
	wire_put(writer, "", 1);
	wire_put16(writer, RR_OPT);
	wire_put16(writer, udp_size);
	wire_put32(writer, (uint32_t)(rcode >> 4) << 24 | flags);
	wire_put16(writer, 0);
}
