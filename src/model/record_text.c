/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/record_text.h"

#include "model/record.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- Characters ---- */

/* How many octets follow a first one, and what the first of them must be in; 0xff: none can. */
static unsigned tail_of(unsigned char first, unsigned char *low, unsigned char *high)
{
	*low = 0x80;
	*high = 0xbf;
	if (first < 0x80)
		return 0;
	if (first >= 0xc2 && first <= 0xdf)
		return 1;
	if (first == 0xe0)
		*low = 0xa0;
	if (first == 0xed)
		*high = 0x9f;
	if (first >= 0xe0 && first <= 0xef)
		return 2;
	if (first == 0xf0)
		*low = 0x90;
	if (first == 0xf4)
		*high = 0x8f;
	if (first >= 0xf0 && first <= 0xf4)
		return 3;
	return 0xff;
}

bool record_text_is_utf8(const char *text)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		unsigned char low, high;
		unsigned n = tail_of(*c, &low, &high);

		if (n == 0xff)
			return false;
		for (; n > 0; n--) {
			c++;
			if (*c < low || *c > high)
				return false;
			low = 0x80;
			high = 0xbf;
		}
	}
	return true;
}

/* C1 (U+0080..U+009F) is C2 80..C2 9F. */
bool record_text_is_printable(const char *text)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++)
		if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] < 0xa0))
			return false;
	return true;
}

bool record_text_is_id(const char *text)
{
	return *text && strlen(text) <= LIMIT_ID && record_text_is_utf8(text) &&
	       record_text_is_printable(text);
}

bool record_text_is_tag(const char *text)
{
	return *text && strlen(text) <= LIMIT_LABEL && record_text_is_utf8(text) &&
	       record_text_is_printable(text) && !strchr(text, ',');
}

bool record_text_is_meta_key(const char *text)
{
	return *text && record_text_is_utf8(text) && record_text_is_printable(text) &&
	       !strchr(text, '=');
}

/* ---- Checks ---- */

static bool is_visible_ascii(char c)
{
	return c > 0x20 && c < 0x7f;
}

bool record_text_is_path(const char *text)
{
	if (text[0] != '/' || strlen(text) > LIMIT_PATH)
		return false;
	while (is_visible_ascii(*text))
		text++;
	return *text == '\0';
}

bool record_text_is_token(const char *text)
{
	static const char allowed[] = "!#$%&'*+-.^_`|~0123456789"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

	return *text && text[strspn(text, allowed)] == '\0';
}

bool record_text_is_method(const char *text)
{
	return record_text_is_token(text) && strlen(text) <= LIMIT_METHOD;
}

/* Reads 100..599; NULL: it is none. */
static const char *read_status(const char *text, int *status)
{
	*status = 0;
	for (int i = 0; i < 3; i++, text++) {
		if (*text < '0' || *text > '9')
			return NULL;
		*status = *status * 10 + (*text - '0');
	}
	return *status >= RECORD_TEXT_STATUS_MIN && *status <= RECORD_TEXT_STATUS_MAX ? text : NULL;
}

bool record_text_is_statuses(const char *text)
{
	for (int n = 1; n <= LIMIT_CHECK_STATUSES; n++) {
		int first, last;

		text = read_status(text, &first);
		if (text && *text == '-') {
			text = read_status(text + 1, &last);
			if (text && last <= first)
				return false;
		}
		if (!text || *text == '\0')
			return text != NULL;
		if (*text++ != ',')
			return false;
	}
	return false;
}

bool record_text_is_reserved_header(const char *name)
{
	static const char *const names[] = { "connection", "content-length", "transfer-encoding",
					     "expect",     "upgrade",        "te",
					     "trailer",    "keep-alive" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(name, names[i]) == 0)
			return true;
	return false;
}

bool record_text_is_header_value(const char *text)
{
	size_t len = strlen(text);

	if (len && (text[0] == ' ' || text[len - 1] == ' '))
		return false;
	for (; *text; text++)
		if (*text < 0x20 || *text >= 0x7f)
			return false;
	return true;
}

bool record_text_has_header(const char *lines, const char *name)
{
	size_t len = strlen(name);

	for (; *lines; lines = strchr(lines, '\n') + 1)
		if (strncasecmp(lines, name, len) == 0 && lines[len] == ':')
			return true;
	return false;
}

/* The first line's name and value, if they are good; NULL, or where it ends. */
static const char *read_header(const char *line, char *name, char *value)
{
	const char *end = strstr(line, "\r\n"), *colon = strstr(line, ": ");

	if (!end || !colon || colon > end)
		return NULL;
	snprintf(name, LIMIT_CHECK_HEADERS_TEXT + 1, "%.*s", (int)(colon - line), line);
	snprintf(value, LIMIT_CHECK_HEADERS_TEXT + 1, "%.*s", (int)(end - colon - 2), colon + 2);
	if (!record_text_is_token(name) || record_text_is_reserved_header(name) ||
	    !record_text_is_header_value(value))
		return NULL;
	return end + 2;
}

bool record_text_is_headers(const char *lines)
{
	char name[LIMIT_CHECK_HEADERS_TEXT + 1], value[LIMIT_CHECK_HEADERS_TEXT + 1];
	char seen[LIMIT_CHECK_HEADERS_TEXT + 1] = "";
	size_t len = 0;
	int n = 0;

	if (!*lines || strlen(lines) > LIMIT_CHECK_HEADERS_TEXT)
		return false;
	while (*lines) {
		const char *next = read_header(lines, name, value);

		if (!next || ++n > LIMIT_CHECK_HEADERS || record_text_has_header(seen, name))
			return false;
		memcpy(seen + len, lines, (size_t)(next - lines));
		len += (size_t)(next - lines);
		seen[len] = '\0';
		lines = next;
	}
	return true;
}

bool record_text_is_host_name(const char *text)
{
	char label[LIMIT_LABEL + 1];
	size_t len = 0;

	if (strlen(text) > LIMIT_NAME - 2) /* on the wire it has two octets more */
		return false;
	for (;; text += len + 1) {
		len = strcspn(text, ".");
		if (len > LIMIT_LABEL)
			return false;
		snprintf(label, sizeof(label), "%.*s", (int)len, text);
		if (!record_label_parse(label, label))
			return false;
		if (text[len] == '\0')
			return label[strspn(label, "0123456789")] != '\0';
	}
}
