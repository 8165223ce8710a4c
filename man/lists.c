/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables of the server: keys, flags, limits, metrics.
 */
#include "api/native_metrics.h"
#include "app/conf.h"
#include "app/conf_access.h"
#include "app/conf_file.h"
#include "base/counters.h"
#include "base/limits.h"
#include "mdoc.h"
#include "page.h"

#include <stdio.h>
#include <string.h>

/* ---- Configuration keys ---- */

static const struct conf_table *find_table(const char *name)
{
	if (strcmp(name, conf_access_table.name) == 0)
		return &conf_access_table;
	for (const struct conf_table *table = conf_file_tables; table->name; table++)
		if (strcmp(table->name, name) == 0)
			return table;
	return NULL;
}

static void print_key(const struct conf_key *key)
{
	if (!key->value || !key->help)
		page_fail("the key %s has no text for the manual", key->name);
	printf(".It Cm %s Pq", key->name);
	mdoc_words(key->value);
	putchar('\n');
	mdoc_sentence(key->help);
}

static void print_otherwise(const struct conf_key *key)
{
	char text[256];

	if (!key->otherwise)
		return;
	if (strcmp(key->otherwise, "required") == 0)
		snprintf(text, sizeof(text), "Required.");
	else
		snprintf(text, sizeof(text), "Default: %s.", key->otherwise);
	mdoc_text(text);
}

/* What is in a key is listed with it. */
static void print_keys(struct page *page, const struct conf_table *table)
{
	for (size_t i = 0; i < table->n; i++) {
		const struct conf_key *key = &table->keys[i];
		const struct conf_table *inner = find_table(key->name);

		print_key(key);
		if (inner) {
			puts(".Bl -tag -width Ds -compact");
			print_keys(page, inner);
			puts(".El");
		}
		page_about(page, key->name);
		print_otherwise(key);
	}
}

void lists_keys(struct page *page, const char *table)
{
	const struct conf_table *found = find_table(table);

	if (!found)
		page_fail("no table of keys: %s", table);
	print_keys(page, found);
}

/* ---- Flags ---- */

void lists_flags(struct page *page, const char *argument)
{
	struct conf_flag_help flag;

	(void)argument;
	for (size_t i = 0; conf_flags_get(i, &flag); i++) {
		printf(".It");
		if (flag.alias)
			printf(" Fl %s ,", flag.alias + 1);
		printf(" Fl %s", flag.name + 1);
		if (flag.argument) {
			printf(" Ar");
			mdoc_words_lower(flag.argument);
		}
		putchar('\n');
		mdoc_sentence(flag.help);
		page_about(page, flag.name);
	}
}

/* ---- Limits ---- */

static void print_limit(struct page *page, const char *name, long value, const char *unit,
			const char *reason)
{
	printf(".It %s %ld", name, value);
	mdoc_words(unit);
	putchar('\n');
	mdoc_sentence(reason);
	page_about(page, name);
}

void lists_limits(struct page *page, const char *argument)
{
	(void)argument;
#define PRINT_LIMIT(name, value, unit, reason) print_limit(page, #name, value, unit, reason);
	LIMITS(PRINT_LIMIT)
#undef PRINT_LIMIT
}

/* ---- Metrics ---- */

static const struct counter {
	const char *metric, *labels, *help;
} counters[] = {
#define COUNTER_ROW(name, metric, labels, help) { metric, labels, help },
	COUNTERS(COUNTER_ROW)
#undef COUNTER_ROW
};

enum {
	N_COUNTERS = sizeof(counters) / sizeof(counters[0])
};

static void print_metric(struct page *page, const char *name, const char *type, const char *help)
{
	printf(".It Li %s Pq %s\n", name, type);
	mdoc_sentence(help);
	page_about(page, name);
}

/* The values of the label that the counters of a metric have: reason="a", reason="b". */
static void print_values(const struct counter *first)
{
	size_t len = strcspn(first->labels, "=");
	const char *between = "";

	if (!*first->labels)
		return;
	printf("The label\n.Li %.*s\nis one of\n", (int)len, first->labels);
	for (const struct counter *row = first; row < counters + N_COUNTERS; row++) {
		const char *value = row->labels + len + 2;

		if (strcmp(row->metric, first->metric) != 0)
			continue;
		printf("%s%.*s", between, (int)strcspn(value, "\""), value);
		between = ",\n";
	}
	puts(".");
}

static bool is_first(const struct counter *row)
{
	for (const struct counter *other = counters; other < row; other++)
		if (strcmp(other->metric, row->metric) == 0)
			return false;
	return true;
}

void lists_metrics(struct page *page, const char *argument)
{
	struct native_metric metric;

	(void)argument;
	for (size_t i = 0; native_metrics_get(i, &metric); i++)
		print_metric(page, metric.name, metric.type, metric.help);
	for (const struct counter *row = counters; row < counters + N_COUNTERS; row++) {
		if (!is_first(row))
			continue;
		print_metric(page, row->metric, "counter", row->help);
		print_values(row);
	}
}
