/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * name: domain names in wire form (RFC 1035 3.1): labels with a length octet each, ended by the
 * root label. Never compressed here. Pure.
 */
#ifndef ROSTERD_DNS_NAME_H
#define ROSTERD_DNS_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
	NAME_MAX_LEN = 255,  /* with the root label */
	NAME_TEXT_MAX = 1024 /* every octet escaped as \ddd, and a NUL */
};

/*
 * Parses dotted text (a final dot changes nothing; \. and \ddd are understood) into lower-case wire
 * form. Returns the length with the root label, 0 if it is no name.
 */
size_t name_parse(const char *text, uint8_t name[NAME_MAX_LEN]);

/* Prints `len` octets of labels, the root label optional, without a final dot (the root: "."). */
void name_print(const uint8_t *name, size_t len, char text[NAME_TEXT_MAX]);

/* Lower-cases ASCII letters in `len` octets of wire form (length octets are below 'A'). */
void name_lower(uint8_t *name, size_t len);

/* The first `len` octets, 1..8, of a word of octets as they stand in memory, and nothing else. */
static inline uint64_t name_word_head(uint64_t word, size_t len)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return word << (64 - 8 * len);
#else
	return word >> (64 - 8 * len);
#endif
}

/*
 * Whether two names of `len` octets are equal. Whole words are compared: 7 octets behind both must
 * be readable.
 */
static inline bool name_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
	uint64_t x, y;

	for (; len > 8; a += 8, b += 8, len -= 8) {
		memcpy(&x, a, sizeof(x));
		memcpy(&y, b, sizeof(y));
		if (x != y)
			return false;
	}
	if (len == 0)
		return true;
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return name_word_head(x ^ y, len) == 0;
}

/* The number of labels in `len` octets, the root label not counted. */
unsigned name_labels(const uint8_t *name, size_t len);

/* Appends a label to the `len` octets at `name` and returns the new length. Room must be there. */
size_t name_put_label(uint8_t *name, size_t len, const char *label);

#endif
