/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/text.h"

#include <stdlib.h>
#include <string.h>

/* ---- For terminals ---- */

/*
 * Decodes one character of UTF-8 (RFC 3629). The number of its octets; 0: broken, or longer than
 * the shortest form, or a surrogate.
 */
static size_t decode(const unsigned char *text, uint32_t *code)
{
	size_t len = text[0] < 0x80 ? 1 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };

	if (len == 1) {
		*code = text[0];
		return 1;
	}
	if (text[0] < 0xc2 || text[0] > 0xf4)
		return 0;
	*code = text[0] & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (text[i] & 0x3fu);
	}
	if (*code < least[len] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000))
		return 0;
	return len;
}

/* Controls of C0 and C1, and what changes the direction or breaks lines (Unicode 9, UAX 14). */
static bool is_active(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x61c ||
	       (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2060 && code <= 0x206f) || code == 0xfeff;
}

void text_put_safe(struct buf *out, const char *text)
{
	uint32_t code;

	while (*text) {
		size_t len = decode((const unsigned char *)text, &code);

		if (len == 0)
			buf_print(out, "\\x%02x", (unsigned char)*text);
		else if (is_active(code))
			buf_print(out, code < 0x80 ? "\\x%02x" : "\\u{%x}", (unsigned)code);
		else
			buf_put(out, text, len);
		text += len ? len : 1;
	}
}

size_t text_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

/* ---- For paths ---- */

void text_put_encoded(struct buf *out, const char *segment)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-_~";

	for (; *segment; segment++) {
		/* A segment of dots alone would be another path. */
		if (strchr(plain, *segment) || (*segment == '.' && segment[1]))
			buf_put(out, segment, 1);
		else
			buf_print(out, "%%%02X", (unsigned char)*segment);
	}
}

/* ---- Durations ---- */

void text_put_duration(struct buf *out, double seconds)
{
	unsigned long whole = seconds > 0 && seconds < 1e15 ? (unsigned long)seconds : 0;

	if (seconds < 1)
		buf_print(out, "%.0f ms", seconds > 0 ? seconds * 1000 : 0);
	else if (whole < 60)
		buf_print(out, "%.1f s", seconds);
	else if (whole < 3600)
		buf_print(out, "%lum %lus", whole / 60, whole % 60);
	else if (whole < 86400)
		buf_print(out, "%luh %lum", whole / 3600, whole % 3600 / 60);
	else
		buf_print(out, "%lud %luh", whole / 86400, whole % 86400 / 3600);
}

/* The milliseconds of a unit, and how long its name is; 0: there is no unit. */
static uint64_t unit_ms(const char *text, size_t *len)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 } };

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		*len = strlen(units[i].name);
		if (strncmp(text, units[i].name, *len) == 0)
			return units[i].ms;
	}
	return 0;
}

bool text_read_duration(const char *text, uint64_t *ms)
{
	*ms = 0;
	if (!*text)
		return false;
	while (*text) {
		size_t digits = strspn(text, "0123456789"), len;
		uint64_t number = strtoull(text, NULL, 10), unit;

		if (digits == 0 || digits > 9)
			return false;
		text += digits;
		unit = unit_ms(text, &len);
		if (!unit && (*text || *ms))
			return false;
		*ms += number * (unit ? unit : 1000);
		text += unit ? len : 0;
	}
	return true;
}
