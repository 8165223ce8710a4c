/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/columns.h"

#include "ctl/text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void columns_init(struct columns *columns, const char *const *titles, size_t n)
{
	assert(n <= COLUMNS_MAX);
	*columns = (struct columns){ .titles = titles, .n = n };
	buf_init(&columns->texts);
}

void columns_fini(struct columns *columns)
{
	free(columns->cells);
	buf_fini(&columns->texts);
}

static bool grow(struct columns *columns)
{
	size_t cap = columns->cap ? columns->cap * 2 : 64;
	struct columns_cell *cells;

	if (columns->n_cells < columns->cap)
		return true;
	cells = realloc(columns->cells, cap * sizeof(*cells));
	if (!cells)
		return false;
	columns->cells = cells;
	columns->cap = cap;
	return true;
}

void columns_put(struct columns *columns, enum term_color color, const char *format, ...)
{
	va_list args;
	char *raw = NULL;

	va_start(args, format);
	if (vasprintf(&raw, format, args) < 0)
		raw = NULL;
	va_end(args);
	if (!raw || !grow(columns)) {
		columns->failed = true;
	} else {
		columns->cells[columns->n_cells++] =
			(struct columns_cell){ columns->texts.len, color };
		text_put_safe(&columns->texts, *raw ? raw : "-");
		buf_put(&columns->texts, "", 1);
	}
	free(raw);
}

void columns_put_status(struct columns *columns, const char *status)
{
	columns_put(columns, term_status_color(status), "%s", status);
}

void columns_put_duration(struct columns *columns, double seconds)
{
	struct buf text;

	buf_init(&text);
	if (seconds < 0)
		buf_put(&text, "-", 1);
	else
		text_put_duration(&text, seconds);
	columns_put(columns, TERM_PLAIN, "%s", text.data ? text.data : "");
	buf_fini(&text);
}

/* One row; the last cell is not padded. */
static void print_cell(const char *text, enum term_color color, size_t width, bool is_last)
{
	size_t own = text_width(text);

	printf("%s%s%s", color ? term_color(color) : "", text, color ? term_color(TERM_PLAIN) : "");
	if (is_last)
		putchar('\n');
	else
		printf("%*s", (int)(width - own + 2), "");
}

int columns_print(const struct columns *columns)
{
	size_t widths[COLUMNS_MAX] = { 0 };
	const char *texts = columns->texts.data;

	if (columns->failed || columns->texts.failed) {
		term_say("out of memory");
		return -1;
	}
	for (size_t i = 0; columns->titles && i < columns->n; i++)
		widths[i] = text_width(columns->titles[i]);
	for (size_t i = 0; i < columns->n_cells; i++) {
		size_t width = text_width(texts + columns->cells[i].at);

		if (width > widths[i % columns->n])
			widths[i % columns->n] = width;
	}
	for (size_t i = 0; columns->titles && i < columns->n; i++)
		print_cell(columns->titles[i], TERM_BOLD, widths[i], i + 1 == columns->n);
	for (size_t i = 0; i < columns->n_cells; i++) {
		size_t column = i % columns->n;

		print_cell(texts + columns->cells[i].at, columns->cells[i].color, widths[column],
			   column + 1 == columns->n);
	}
	return 0;
}
