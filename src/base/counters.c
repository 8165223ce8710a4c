/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/counters.h"

#include "base/buf.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

static const struct row {
	const char *metric, *labels, *help;
	size_t offset; /* in struct counters */
} rows[] = {
#define COUNTERS_ROW(name, metric, labels, help) \
	{ metric, labels, help, offsetof(struct counters, name) },
	COUNTERS(COUNTERS_ROW)
#undef COUNTERS_ROW
};

enum {
	N_ROWS = sizeof(rows) / sizeof(rows[0])
};

void counters_read(struct counters *sum, const struct counters *from)
{
#define COUNTERS_READ(name, metric, labels, help) \
	counters_add(&sum->name, atomic_load_explicit(&from->name, memory_order_relaxed));
	COUNTERS(COUNTERS_READ)
#undef COUNTERS_READ
}

static uint64_t row_value(const struct row *row, const struct counters *counters)
{
	const _Atomic uint64_t *counter = (const void *)((const char *)counters + row->offset);

	return atomic_load_explicit(counter, memory_order_relaxed);
}

/* All lines of one metric must stand together, wherever its rows are in the table. */
static void print_metric(const struct row *first, const struct counters *sum, struct buf *out)
{
	buf_print(out, "# HELP %s %s\n# TYPE %s counter\n", first->metric, first->help,
		  first->metric);
	for (const struct row *row = first; row < rows + N_ROWS; row++) {
		if (strcmp(row->metric, first->metric) != 0)
			continue;
		if (*row->labels)
			buf_print(out, "%s{%s} %" PRIu64 "\n", row->metric, row->labels,
				  row_value(row, sum));
		else
			buf_print(out, "%s %" PRIu64 "\n", row->metric, row_value(row, sum));
	}
}

static int is_first_of_metric(const struct row *row)
{
	for (const struct row *other = rows; other < row; other++)
		if (strcmp(other->metric, row->metric) == 0)
			return 0;
	return 1;
}

void counters_print(const struct counters *sum, struct buf *out)
{
	for (const struct row *row = rows; row < rows + N_ROWS; row++)
		if (is_first_of_metric(row))
			print_metric(row, sum, out);
}
