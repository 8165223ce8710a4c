/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * manual: prints the manual pages from their .in files (man/page.h) and the tables that the
 * program itself uses. It runs while rosterd is built, and is never installed.
 *
 *     manual FILE.in     prints the page
 *     manual --routes    prints the routes of the HTTP port
 *     manual --check     whether openapi.json has exactly these
 */
#include "page.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_ABOUTS = 128,
};

/* What the page says about a row. */
struct about {
	char *row, *text;
	bool is_used;
};

struct page {
	const char *path;
	FILE *file;
	unsigned line;
	char *text; /* of the line that was read last, without its end */
	size_t size;
	struct about abouts[MAX_ABOUTS];
	size_t n_abouts;
};

static const struct kind {
	const char *name;
	void (*print)(struct page *page, const char *argument);
} kinds[] = {
	{ "keys", lists_keys },         { "flags", lists_flags },     { "limits", lists_limits },
	{ "metrics", lists_metrics },   { "calls", calls_list },      { "errors", calls_errors },
	{ "commands", lists_commands }, { "options", lists_options }, { "fields", calls_fields },
	{ "reply", calls_reply },
};

void page_fail(const char *format, ...)
{
	va_list args;

	fputs("manual: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* The next line; false at the end. */
static bool read_line(struct page *page)
{
	ssize_t len = getline(&page->text, &page->size, page->file);

	if (len < 0)
		return false;
	page->line++;
	if (len && page->text[len - 1] == '\n')
		page->text[len - 1] = '\0';
	return true;
}

/* What follows a mark in the line; NULL: another line. */
static const char *match(const struct page *page, const char *mark)
{
	size_t len = strlen(mark);

	if (strncmp(page->text, mark, len) != 0)
		return NULL;
	if (page->text[len] == '\0')
		return page->text + len;
	return page->text[len] == ' ' ? page->text + len + 1 : NULL;
}

static void begin_about(struct page *page, const char *row)
{
	if (page->n_abouts == MAX_ABOUTS)
		page_fail("%s:%u: one @about too many", page->path, page->line);
	page->abouts[page->n_abouts++] = (struct about){ .row = strdup(row), .text = strdup("") };
}

/* Adds the line to the @about that was begun last. */
static void put_line(struct page *page)
{
	struct about *about = &page->abouts[page->n_abouts - 1];
	char *text;

	if (page->n_abouts == 0)
		page_fail("%s:%u: only @about may follow @list", page->path, page->line);
	if (asprintf(&text, "%s%s\n", about->text, page->text) < 0)
		page_fail("out of memory");
	free(about->text);
	about->text = text;
}

/* Reads up to @end. */
static void read_abouts(struct page *page)
{
	page->n_abouts = 0;
	while (read_line(page)) {
		const char *row = match(page, "@about");

		if (match(page, "@end"))
			return;
		if (row)
			begin_about(page, row);
		else
			put_line(page);
	}
	page_fail("%s: no @end", page->path);
}

static void end_abouts(struct page *page)
{
	for (size_t i = 0; i < page->n_abouts; i++) {
		if (!page->abouts[i].is_used)
			page_fail("%s: @about %s: no table has this row", page->path,
				  page->abouts[i].row);
		free(page->abouts[i].row);
		free(page->abouts[i].text);
	}
}

void page_about(struct page *page, const char *row)
{
	for (size_t i = 0; i < page->n_abouts; i++) {
		if (page->abouts[i].is_used || strcmp(page->abouts[i].row, row) != 0)
			continue;
		fputs(page->abouts[i].text, stdout);
		page->abouts[i].is_used = true;
	}
}

static void print_list(struct page *page, const char *words)
{
	size_t len = strcspn(words, " ");
	char *argument = strdup(words[len] ? words + len + 1 : "");

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strncmp(kinds[i].name, words, len) != 0 || kinds[i].name[len])
			continue;
		read_abouts(page);
		kinds[i].print(page, argument);
		end_abouts(page);
		free(argument);
		return;
	}
	page_fail("%s:%u: unknown list: %s", page->path, page->line, words);
}

static void print_page(const char *path)
{
	struct page page = { .path = path, .file = fopen(path, "r") };

	if (!page.file)
		page_fail("%s: cannot be read", path);
	while (read_line(&page)) {
		const char *words = match(&page, "@list");

		if (words)
			print_list(&page, words);
		else if (*page.text == '@')
			page_fail("%s:%u: unknown mark", path, page.line);
		else
			puts(page.text);
	}
	free(page.text);
	fclose(page.file);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fputs("usage: manual FILE.in | --routes | --check\n", stderr);
		return 2;
	}
	if (strcmp(argv[1], "--check") == 0)
		return calls_check();
	if (strcmp(argv[1], "--routes") == 0)
		calls_print_routes();
	else
		print_page(argv[1]);
	return fflush(stdout) == 0 ? 0 : 1;
}
