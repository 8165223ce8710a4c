/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * columns: a table for people. Cells are made safe for a terminal (ctl/text.h) as they come.
 */
#ifndef ROSTERD_CTL_COLUMNS_H
#define ROSTERD_CTL_COLUMNS_H

#include "base/buf.h"
#include "ctl/term.h"

enum {
	COLUMNS_MAX = 12,
};

struct columns {
	const char *const *titles; /* borrowed; NULL: none is printed */
	size_t n;                  /* columns */
	struct columns_cell {
		size_t at; /* in `texts`, with a NUL behind it */
		enum term_color color;
	} * cells;
	size_t n_cells, cap;
	struct buf texts;
	bool failed;
};

void columns_init(struct columns *columns, const char *const *titles, size_t n);
void columns_fini(struct columns *columns);

/* The next cell, row by row. Out of memory: `failed`, and nothing is printed. */
void columns_put(struct columns *columns, enum term_color color, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A status or admin state, in its colour. */
void columns_put_status(struct columns *columns, const char *status);

/* Seconds, as text_put_duration(); below zero: "-". */
void columns_put_duration(struct columns *columns, double seconds);

/* Prints on standard output. -1: out of memory; it has been said. */
int columns_print(const struct columns *columns);

#endif
