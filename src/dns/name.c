/* SPDX-License-Identifier: BSD-2-Clause */
#include "dns/name.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
	LABEL_MAX_LEN = 63
};

static uint8_t lower(uint8_t octet)
{
	return octet >= 'A' && octet <= 'Z' ? octet | 0x20 : octet;
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : -1;
}

/* What stands after a backslash. NULL: no escape. */
static const char *parse_escape(const char *text, uint8_t *octet)
{
	if (digit(text[0]) < 0) {
		*octet = (uint8_t)text[0];
		return text[0] ? text + 1 : NULL;
	}
	if (digit(text[1]) < 0 || digit(text[2]) < 0)
		return NULL;

	int value = digit(text[0]) * 100 + digit(text[1]) * 10 + digit(text[2]);

	*octet = (uint8_t)value;
	return value <= 255 ? text + 3 : NULL;
}

size_t name_parse(const char *text, uint8_t name[NAME_MAX_LEN])
{
	size_t start = 0, len = 1; /* of the label in progress: its length octet, its end */

	if (strcmp(text, ".") == 0)
		text++;
	else if (!*text)
		return 0;
	while (*text) {
		uint8_t octet = (uint8_t)*text++;

		if (octet == '.') {
			if (len == start + 1)
				return 0;
			name[start] = (uint8_t)(len - start - 1);
			start = len++;
			continue;
		}
		if (octet == '\\' && !(text = parse_escape(text, &octet)))
			return 0;
		/* One octet stays free for the root label. */
		if (len - start > LABEL_MAX_LEN || len >= NAME_MAX_LEN - 1)
			return 0;
		name[len++] = lower(octet);
	}
	name[start] = (uint8_t)(len - start - 1);
	if (name[start])
		name[len++] = 0;
	return len;
}

void name_print(const uint8_t *name, size_t len, char text[NAME_TEXT_MAX])
{
	char *out = text;

	for (size_t at = 0; at < len && name[at]; at += 1u + name[at]) {
		assert(at + 1 + name[at] <= len);
		if (at)
			*out++ = '.';
		for (size_t i = at + 1; i <= at + name[at]; i++) {
			if (name[i] == '.' || name[i] == '\\')
				*out++ = '\\';
			if (name[i] > ' ' && name[i] < 0x7f)
				*out++ = (char)name[i];
			else
				out += sprintf(out, "\\%03u", name[i]);
		}
	}
	if (out == text)
		*out++ = '.';
	*out = '\0';
}

void name_lower(uint8_t *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		name[i] = lower(name[i]);
}

unsigned name_labels(const uint8_t *name, size_t len)
{
	unsigned n = 0;

	for (size_t at = 0; at < len && name[at]; at += 1u + name[at])
		n++;
	return n;
}

size_t name_put_label(uint8_t *name, size_t len, const char *label)
{
	size_t n = strlen(label);

	assert(n > 0 && n <= LABEL_MAX_LEN && len + 1 + n <= NAME_MAX_LEN);
	name[len] = (uint8_t)n;
	memcpy(name + len + 1, label, n);
	return len + 1 + n;
}
