/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/build.h"

#include "dns/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void build_init(struct build *build)
{
	memset(build, 0, sizeof(*build));
	buf_init(&build->sets);
	buf_init(&build->records);
}

void build_fini(struct build *build)
{
	buf_fini(&build->sets);
	buf_fini(&build->records);
	free(build->offs);
}

void build_begin(struct build *build)
{
	build->sets.len = 0;
	build->sets.failed = build->records.failed = build->failed = false;
	build->n_sets = 0;
}

static struct rrset *open_set(struct build *build)
{
	return (struct rrset *)(void *)(build->sets.data + build->set_off);
}

/* Offsets have 32 bits, and build_entry() adds a header to them. */
static bool is_failed(const struct build *build)
{
	return build->failed || build->sets.failed || build->records.failed ||
	       build->sets.len > UINT32_MAX / 2;
}

static void align(struct build *build, size_t to)
{
	static const uint8_t zero[8];

	buf_put(&build->sets, zero, (to - build->sets.len % to) % to);
}

void build_set(struct build *build, uint16_t type, uint32_t ttl_s)
{
	struct rrset set = { .type = type, .ttl_s = ttl_s };

	assert(build->n_sets < BUILD_SETS_MAX);
	align(build, 8);
	build->set_off = build->sets.len;
	build->table[build->n_sets++] =
		(struct entry_set){ .type = type, .off = (uint32_t)build->set_off };
	buf_put(&build->sets, &set, offsetof(struct rrset, records));
}

enum {
	OWNER_LEN = 2,
	FIXED_LEN = RR_RDATA_AT - OWNER_LEN,
};

/* Everything of a record between its owner and its data (RFC 1035 4.1.3). */
static void set_fixed(uint8_t fixed[FIXED_LEN], uint16_t type, uint32_t ttl_s, size_t rdata_len)
{
	wire_set16(fixed, type);
	wire_set16(fixed + 2, CLASS_IN);
	wire_set32(fixed + 4, ttl_s);
	wire_set16(fixed + 8, (uint16_t)rdata_len);
}

/* Puts a record up to its data. */
static void put_start(struct build *build, uint16_t owner, uint16_t type, uint32_t ttl_s,
		      size_t rdata_len)
{
	uint8_t start[RR_RDATA_AT];

	wire_set16(start, owner);
	set_fixed(start + OWNER_LEN, type, ttl_s, rdata_len);
	buf_put(&build->sets, start, sizeof(start));
}

static bool note_offset(struct build *build, uint32_t i)
{
	if (i >= build->cap_offs) {
		size_t cap = build->cap_offs ? build->cap_offs * 2 : 64;
		uint32_t *offs = realloc(build->offs, cap * sizeof(*offs));

		if (!offs)
			return false;
		build->offs = offs;
		build->cap_offs = cap;
	}
	build->offs[i] = (uint32_t)build->sets.len;
	return true;
}

/* A record of more than 65,535 octets has none; no message has room for it either. */
static uint16_t stride_of(size_t record_len)
{
	return record_len <= UINT16_MAX ? (uint16_t)record_len : 0;
}

void build_record(struct build *build, const void *rdata, size_t len, const void *tail,
		  size_t tail_len)
{
	size_t record_len = RR_RDATA_AT + len + tail_len;
	uint16_t type;
	uint32_t ttl_s;
	struct rrset *set;

	if (is_failed(build))
		return;
	/* The set moves whenever octets are put. */
	set = open_set(build);
	type = set->type;
	ttl_s = set->ttl_s;
	if (!note_offset(build, set->count)) {
		build->failed = true;
		return;
	}
	put_start(build, RR_OWNER_QUESTION, type, ttl_s, len + tail_len);
	buf_put(&build->sets, rdata, len);
	if (tail_len)
		buf_put(&build->sets, tail, tail_len);
	if (is_failed(build))
		return;
	set = open_set(build);
	if (set->count == 0)
		set->stride = stride_of(record_len);
	else if (set->stride != record_len)
		set->stride = 0;
	set->count++;
	set->len += (uint32_t)record_len;
}

static size_t offset_record_len(const char *records, uint32_t off)
{
	return RR_RDATA_AT + (size_t)wire_get16((const uint8_t *)records + off + RR_RDLENGTH_AT);
}

static int compare_records(const void *a, const void *b, void *records)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	size_t x_len = offset_record_len(records, x), y_len = offset_record_len(records, y);

	if (x_len != y_len)
		return x_len < y_len ? -1 : 1;
	return memcmp((const char *)records + x, (const char *)records + y, x_len);
}

/* Forgets the offsets of records that equal the one before; returns how many stay. */
static uint32_t drop_repeated(uint32_t *offs, uint32_t n, void *records)
{
	uint32_t kept = 1;

	for (uint32_t i = 1; i < n; i++)
		if (compare_records(&offs[kept - 1], &offs[i], records) != 0)
			offs[kept++] = offs[i];
	return kept;
}

/* Where thousands say the same, few are left to be sorted. */
void build_dedupe(struct build *build)
{
	struct rrset *set;
	char *records = build->sets.data;
	uint32_t n;

	if (is_failed(build) || open_set(build)->count < 2)
		return;
	set = open_set(build);
	n = drop_repeated(build->offs, set->count, records);
	qsort_r(build->offs, n, sizeof(*build->offs), compare_records, records);
	n = drop_repeated(build->offs, n, records);
	build->records.len = 0;
	set->stride = stride_of(offset_record_len(records, build->offs[0]));
	for (uint32_t i = 0; i < n; i++) {
		size_t len = offset_record_len(records, build->offs[i]);

		if (len != set->stride)
			set->stride = 0;
		buf_put(&build->records, records + build->offs[i], len);
	}
	if (is_failed(build))
		return;
	set->count = n;
	set->len = (uint32_t)build->records.len;
	memcpy(set->records, build->records.data, build->records.len);
	build->sets.len = build->set_off + offsetof(struct rrset, records) + set->len;
}

/* Vose's method: every column holds its own share and is filled up from one that has too much. */
static void fill_alias(struct alias *alias, const uint32_t *weights, uint32_t n, uint64_t total,
		       uint64_t *share, uint32_t *stack)
{
	uint32_t n_small = 0, n_large = 0;

	for (uint32_t i = 0; i < n; i++) {
		share[i] = (uint64_t)weights[i] * n; /* a full column is `total` */
		alias[i] = (struct alias){ .keep = UINT32_MAX, .other = i, .weight = weights[i] };
		if (share[i] < total)
			stack[n_small++] = i;
		else
			stack[n - ++n_large] = i;
	}
	while (n_small > 0 && n_large > 0) {
		uint32_t small = stack[--n_small], large = stack[n - n_large];

		alias[small].keep = (uint32_t)(((__uint128_t)share[small] << 32) / total);
		alias[small].other = large;
		share[large] -= total - share[small];
		if (share[large] < total) {
			n_large--;
			stack[n_small++] = large;
		}
	}
}

static bool weights_differ(const uint32_t *weights, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
		if (weights[i] != weights[0])
			return true;
	return false;
}

void build_rotate(struct build *build, const uint32_t *weights, uint32_t n)
{
	uint64_t total = 0, *share;
	struct alias *alias;
	uint32_t *stack;
	struct rrset *set;

	if (is_failed(build))
		return;
	open_set(build)->n_rotate = n;
	if (!weights_differ(weights, n))
		return;
	alias = malloc(n * sizeof(*alias));
	share = malloc(n * sizeof(*share));
	stack = malloc(n * sizeof(*stack));
	if (alias && share && stack) {
		for (uint32_t i = 0; i < n; i++)
			total += weights[i];
		fill_alias(alias, weights, n, total, share, stack);
		align(build, _Alignof(struct alias));
		set = open_set(build);
		set->alias_off = (uint32_t)(build->sets.len - build->set_off);
		buf_put(&build->sets, alias, n * sizeof(*alias));
	} else {
		build->failed = true;
	}
	free(alias);
	free(share);
	free(stack);
}

void build_limit(struct build *build, uint32_t limit)
{
	if (!is_failed(build))
		open_set(build)->limit = limit;
}

/* Notes where what belongs to the set, but not into the answer section, begins. */
static void begin_additional(struct build *build)
{
	struct rrset *set = open_set(build);

	if (set->add_off == 0)
		set->add_off = (uint32_t)(build->sets.len - build->set_off);
}

void build_targets(struct build *build, uint8_t n)
{
	if (is_failed(build))
		return;
	begin_additional(build);
	buf_put(&build->sets, &n, 1);
}

/* Counts an additional record that was just put, `len` octets of it. */
static void note_additional(struct build *build, size_t len)
{
	struct rrset *set;

	if (is_failed(build))
		return;
	set = open_set(build);
	set->add_count++;
	set->add_len += (uint32_t)len;
}

void build_target(struct build *build, uint16_t type, const void *rdata, size_t len)
{
	if (is_failed(build))
		return;
	put_start(build, 0, type, open_set(build)->ttl_s, len);
	buf_put(&build->sets, rdata, len);
	note_additional(build, RR_RDATA_AT + len);
}

void build_glue(struct build *build, const uint8_t *owner, size_t owner_len, uint16_t type,
		uint32_t ttl_s, const void *rdata, size_t len)
{
	uint8_t fixed[FIXED_LEN];

	if (is_failed(build))
		return;
	begin_additional(build);
	buf_put(&build->sets, owner, owner_len);
	set_fixed(fixed, type, ttl_s, len);
	buf_put(&build->sets, fixed, sizeof(fixed));
	buf_put(&build->sets, rdata, len);
	note_additional(build, owner_len + RR_RDATA_AT - 2 + len);
}

struct entry *build_alias(const uint8_t *name, size_t name_len, const struct entry *from,
			  uint8_t type)
{
	struct entry *entry = catalog_entry_new(name, name_len, 0, sizeof(from));

	if (!entry)
		return NULL;
	entry->only_type = type;
	memcpy((uint8_t *)entry + entry->sets_off, &from, sizeof(from));
	return entry;
}

struct entry *build_entry(struct build *build, const uint8_t *name, size_t name_len)
{
	struct entry *entry;
	struct entry_set *table;
	size_t sets_at;

	if (is_failed(build))
		return NULL;
	entry = catalog_entry_new(name, name_len, build->n_sets, build->sets.len);
	if (!entry)
		return NULL;
	table = (struct entry_set *)(void *)((uint8_t *)entry + entry->sets_off);
	sets_at = (entry->sets_off + build->n_sets * sizeof(*table) + 7) & ~(size_t)7;
	for (unsigned i = 0; i < build->n_sets; i++) {
		table[i] = build->table[i];
		table[i].off += (uint32_t)sets_at;
	}
	if (build->sets.len)
		memcpy((uint8_t *)entry + sets_at, build->sets.data, build->sets.len);
	return entry;
}
