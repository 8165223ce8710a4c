/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/zonefile_scan.h"

void zonefile_scan_init(struct zonefile_scan *scan, const char *text, size_t len)
{
	*scan = (struct zonefile_scan){ .at = text, .end = text + len, .line = 1 };
	buf_init(&scan->text);
	buf_init(&scan->copy);
}

void zonefile_scan_fini(struct zonefile_scan *scan)
{
	buf_fini(&scan->text);
	buf_fini(&scan->copy);
}

static void clear(struct buf *buf)
{
	buf->len = 0;
	buf_put(buf, "", 0);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

/* Copies a quoted string with its quotes; it must end on its line. */
static const char *take_quoted(struct zonefile_scan *scan)
{
	const char *start = scan->at++;

	while (scan->at < scan->end && *scan->at != '\n' && *scan->at != '"')
		scan->at += *scan->at == '\\' && scan->at + 1 < scan->end && scan->at[1] != '\n'
				    ? 2
				    : 1;
	if (scan->at == scan->end || *scan->at == '\n')
		return "a quoted string has no end on its line";
	scan->at++;
	buf_put(&scan->text, start, (size_t)(scan->at - start));
	return NULL;
}

/* Copies everything up to the end of the entry into `text`. NULL, or why not. */
static const char *take_entry(struct zonefile_scan *scan)
{
	bool open = false; /* inside parentheses */
	const char *reason;

	for (; scan->at < scan->end; scan->at++) {
		char c = *scan->at;

		if (c == '\n') {
			scan->line++;
			if (!open) {
				scan->at++;
				return NULL;
			}
			buf_put(&scan->text, " ", 1);
		} else if (c == ';') {
			while (scan->at + 1 < scan->end && scan->at[1] != '\n')
				scan->at++;
		} else if (c == '(' || c == ')') {
			if (open == (c == '('))
				return open ? "a parenthesis inside parentheses"
					    : "a closing parenthesis without an opening one";
			open = !open;
			buf_put(&scan->text, " ", 1);
		} else if (c == '"') {
			if ((reason = take_quoted(scan)))
				return reason;
			scan->at--;
		} else if (c == '\\' && scan->at + 1 < scan->end && scan->at[1] != '\n') {
			buf_put(&scan->text, scan->at++, 2);
		} else if (c == '\0') {
			return "a NUL octet";
		} else {
			buf_put(&scan->text, is_blank(c) ? " " : &c, 1);
		}
	}
	return open ? "a parenthesis is not closed" : NULL;
}

/* Cuts a copy of the text at blanks outside of quotes. */
static void cut_words(struct zonefile_scan *scan)
{
	bool quoted = false, inside = false;

	clear(&scan->copy);
	buf_put(&scan->copy, scan->text.data, scan->text.len);
	scan->n_words = 0;
	if (scan->copy.failed)
		return;
	for (char *c = scan->copy.data; *c; c++) {
		if (*c == ' ' && !quoted) {
			*c = '\0';
			inside = false;
			continue;
		}
		if (!inside && scan->n_words == SCAN_WORDS)
			return;
		if (!inside)
			scan->words[scan->n_words++] = c;
		inside = true;
		if (*c == '"')
			quoted = !quoted;
		else if (*c == '\\' && c[1])
			c++;
	}
}

enum zonefile_scan_result zonefile_scan_next(struct zonefile_scan *scan, const char **reason)
{
	while (scan->at < scan->end) {
		scan->entry_line = scan->line;
		clear(&scan->text);
		*reason = take_entry(scan);
		if (!*reason)
			cut_words(scan);
		if (scan->text.failed || scan->copy.failed)
			*reason = "out of memory";
		if (*reason)
			return SCAN_ERROR;
		if (scan->n_words)
			return SCAN_ENTRY;
	}
	return SCAN_END;
}
