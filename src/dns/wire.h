/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire: DNS messages as octets (RFC 1035 4, RFC 6891). The only place that knows network byte
 * order.
 *
 * Reading: wire_query_parse() takes a whole query apart: header, the one question, EDNS. Writing: a
 * cursor with a sticky error, checked once at the end. Pure; nothing is allocated.
 */
#ifndef ROSTERD_DNS_WIRE_H
#define ROSTERD_DNS_WIRE_H

#include "dns/name.h"
#include "dns/rr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
	WIRE_SLACK = 16,  /* octets behind a message that must be readable and writable */
	WIRE_HEADER = 12, /* octets */
	WIRE_LABELS_MAX = 127,
	WIRE_POINTER_MAX = 0x3fff, /* the farthest octet that a compression pointer reaches */
	WIRE_COOKIE_MAX = 40,      /* octets of a cookie option, RFC 7873 4 */
	WIRE_OPT = 11,             /* octets of an OPT record without options */
};

/* Header flags, as the 16 bits after the id (RFC 1035 4.1.1, RFC 2535 6.1). */
enum {
	WIRE_QR = 0x8000,
	WIRE_OPCODE = 0x7800,
	WIRE_AA = 0x0400,
	WIRE_TC = 0x0200,
	WIRE_RD = 0x0100,
	WIRE_OPCODE_SHIFT = 11,
};

/* EDNS flags, the low 16 bits of the OPT record's TTL. */
enum {
	WIRE_EDNS_DO = 0x8000
};

static inline uint16_t wire_get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t wire_get32(const uint8_t *at)
{
	return (uint32_t)wire_get16(at) << 16 | wire_get16(at + 2);
}

static inline void wire_set16(uint8_t *at, uint16_t value)
{
	uint16_t octets = __builtin_bswap16(value);

	memcpy(at, &octets, sizeof(octets));
}

static inline void wire_set32(uint8_t *at, uint32_t value)
{
	uint32_t octets = __builtin_bswap32(value);

	memcpy(at, &octets, sizeof(octets));
}

/* ---- Reading ---- */

/* A name as it is looked up, and where its labels begin. */
struct wire_name {
	uint8_t name[NAME_MAX_LEN + WIRE_SLACK]; /* lower case, with the root label */
	uint8_t len;                             /* with the root label */
	uint8_t n_labels;
	uint8_t labels[WIRE_LABELS_MAX + 1]; /* offsets; labels[n_labels] is the root label's */
};

struct wire_query {
	struct wire_name name;
	uint16_t type, class;
	size_t question_end; /* octets of header and question */
	bool has_edns;
	uint8_t edns_version;
	uint16_t edns_size;
	uint16_t edns_flags;
	bool wants_nsid, wants_keepalive, wants_padding;
	uint8_t cookie_len; /* 0: none */
	uint8_t cookie[WIRE_COOKIE_MAX];
};

enum wire_result {
	WIRE_OK,
	WIRE_SILENT, /* no reply is due: under 12 octets, or a reply itself */
	WIRE_FORMERR,
};

/*
 * Parses a name that is not compressed into lower case. Returns the octets it took, 0 if it is
 * broken: a pointer, a label of type 01 or 10, over 255 octets, or cut off by `end`. Up to
 * WIRE_SLACK octets behind the name are read.
 */
size_t wire_name_parse(const uint8_t *at, const uint8_t *end, struct wire_name *name);

/* Whether a message is due a reply at all. */
static inline bool wire_is_query(const uint8_t *message, size_t len)
{
	return len >= WIRE_HEADER && !(message[2] & 0x80);
}

/*
 * Parses a message of OPCODE QUERY: exactly one question (uncompressed), at most one OPT record,
 * nothing behind the last record. Other records are walked over. The message must be followed by
 * WIRE_SLACK readable octets.
 */
enum wire_result wire_query_parse(const uint8_t *message, size_t len, struct wire_query *query);

/* ---- Writing ---- */

/* `end` is where the message must end; once something did not fit, `failed` stays true. */
struct wire_writer {
	uint8_t *message, *at, *end;
	bool failed;
};

static inline bool wire_fits(const struct wire_writer *writer, size_t len)
{
	return (size_t)(writer->end - writer->at) >= len;
}

static inline void wire_put(struct wire_writer *writer, const void *data, size_t len)
{
	if (!wire_fits(writer, len)) {
		writer->failed = true;
		return;
	}
	memcpy(writer->at, data, len);
	writer->at += len;
}

static inline void wire_put16(struct wire_writer *writer, uint16_t value)
{
	uint8_t octets[2];

	wire_set16(octets, value);
	wire_put(writer, octets, sizeof(octets));
}

static inline void wire_put32(struct wire_writer *writer, uint32_t value)
{
	uint8_t octets[4];

	wire_set32(octets, value);
	wire_put(writer, octets, sizeof(octets));
}

/* Appends an OPT record: our UDP size, the upper bits of `rcode`, flags, and whole options. */
void wire_put_opt(struct wire_writer *writer, uint16_t udp_size, unsigned rcode, uint16_t flags,
		  const uint8_t *options, size_t options_len);

#endif
