/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/catalog.h"

#include "base/random.h"
#include "dns/name.h"
#include "dns/rr.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MANY = 50000,
	READERS = 3,
	CHURN_NAMES = 200,
	CHURN_ROUNDS = 30000,
};

static struct catalog *catalog;
static struct zone *zone;

/* Text relative to the apex in wire form, without a root label. */
static size_t relative(const char *text, uint8_t name[NAME_MAX_LEN])
{
	if (*text == '\0')
		return 0;
	const size_t len = name_parse(text, name);
	ck_assert_uint_gt(len, 1);
	return len - 1;
}

/* An entry with one A record that holds `number`, twice, so that torn reads show. */
static struct entry *make_entry(const char *text, uint8_t flags, uint32_t number)
{
	uint8_t name[NAME_MAX_LEN + 16];
	const size_t len = relative(text, name);
	struct entry *const entry = catalog_entry_new(name, len, 1, sizeof(struct rrset) + 32);

	ck_assert_ptr_nonnull(entry);
	atomic_store(&entry->flags, flags);
	struct entry_set *const sets =
		(struct entry_set *)(void *)((uint8_t *)entry + entry->sets_off);
	sets[0].type = RR_A;
	sets[0].off = (uint32_t)((entry->sets_off + sizeof(sets[0]) + 7) & ~(size_t)7);
	struct rrset *const set = (struct rrset *)(void *)((uint8_t *)entry + sets[0].off);
	*set = (struct rrset){ .type = RR_A, .count = number, .len = number };
	atomic_store(&entry->stable_until_ms, UINT64_MAX);
	return entry;
}

static int put(const char *text, uint8_t flags, uint32_t number)
{
	return catalog_put(catalog, zone, make_entry(text, flags, number));
}

static const struct entry *find(const char *text)
{
	uint8_t name[NAME_MAX_LEN + 16];
	const size_t len = relative(text, name);

	return catalog_find(zone, name, len);
}

static bool has_data(const char *text)
{
	const struct entry *const entry = find(text);

	return entry && entry->n_sets > 0;
}

static bool is_empty(const char *text)
{
	const struct entry *const entry = find(text);

	return entry && entry->n_sets == 0;
}

static uint32_t number_of(const char *text)
{
	const struct entry *const entry = find(text);

	ck_assert_ptr_nonnull(entry);
	return entry_find(entry, RR_A)->count;
}

static void drop(const char *text, bool is_static)
{
	uint8_t name[NAME_MAX_LEN + 16];

	catalog_remove(catalog, zone, name, relative(text, name), is_static);
}

static struct zone *make_zone(const char *origin_text)
{
	uint8_t origin[NAME_MAX_LEN];
	const size_t len = name_parse(origin_text, origin);
	struct zone *const made = catalog_zone_new(catalog, origin, len);

	ck_assert_ptr_nonnull(made);
	ck_assert_int_eq(catalog_put(catalog, made, make_entry("", ENTRY_STATIC, 1)), 0);
	return made;
}

static void set_zones(struct zone *const *zones, size_t n)
{
	struct zone_list *const list = catalog_zone_list_new(n);

	ck_assert_ptr_nonnull(list);
	memcpy(list->zones, zones, n * sizeof(struct zone *));
	catalog_set_zones(catalog, list);
}

static void set_up(void)
{
	catalog = catalog_new();
	ck_assert_ptr_nonnull(catalog);
	zone = make_zone("service.local");
	set_zones(&zone, 1);
}

static void tear_down(void)
{
	catalog_free(catalog);
}

START_TEST(name_is_found_until_removed)
{
	ck_assert_ptr_null(find("payment"));
	ck_assert_int_eq(put("payment", 0, 7), 0);
	ck_assert_uint_eq(number_of("payment"), 7);
	ck_assert_ptr_null(find("paymen"));
	ck_assert_ptr_null(find("payments"));
	ck_assert_int_eq(put("payment", 0, 8), 0);
	ck_assert_uint_eq(number_of("payment"), 8);
	catalog_publish(catalog, 1);
	ck_assert_uint_eq(number_of("payment"), 8);
	drop("payment", false);
	ck_assert_ptr_null(find("payment"));
	drop("payment", false);
	catalog_publish(catalog, 2);
}
END_TEST

START_TEST(apex_is_there)
{
	const struct entry *const apex = atomic_load(&zone->apex);

	ck_assert_ptr_nonnull(apex);
	ck_assert_ptr_eq(find(""), apex);
	ck_assert_uint_eq(zone->origin_labels, 2);
	ck_assert_uint_eq(zone->origin_len, 15);
}
END_TEST

START_TEST(names_between_exist_and_are_empty)
{
	put("a.b.c", 0, 1);
	ck_assert(has_data("a.b.c"));
	ck_assert(is_empty("b.c"));
	ck_assert(is_empty("c"));
	put("x.b.c", 0, 1);
	drop("a.b.c", false);
	ck_assert_ptr_null(find("a.b.c"));
	ck_assert(is_empty("b.c"));
	drop("x.b.c", false);
	ck_assert_ptr_null(find("b.c"));
	ck_assert_ptr_null(find("c"));
}
END_TEST

START_TEST(data_may_come_and_go_above_other_names)
{
	put("a.b", 0, 1);
	ck_assert(is_empty("b"));
	put("b", 0, 2);
	ck_assert_uint_eq(number_of("b"), 2);
	drop("b", false);
	ck_assert(is_empty("b"));
	put("b", 0, 3);
	drop("a.b", false);
	ck_assert_ptr_null(find("a.b"));
	ck_assert_uint_eq(number_of("b"), 3);
	drop("b", false);
	ck_assert_ptr_null(find("b"));
}
END_TEST

START_TEST(static_names_stay)
{
	put("www", ENTRY_STATIC, 1);
	ck_assert_int_eq(put("www", 0, 2), 1);
	ck_assert_uint_eq(number_of("www"), 1);
	drop("www", false);
	ck_assert_uint_eq(number_of("www"), 1);
	ck_assert_int_eq(put("www", ENTRY_STATIC, 3), 0);
	ck_assert_uint_eq(number_of("www"), 3);
	drop("www", true);
	ck_assert_ptr_null(find("www"));
	/* And what is not static is not removed as such. */
	put("payment", 0, 1);
	drop("payment", true);
	ck_assert(has_data("payment"));
}
END_TEST

START_TEST(wildcard_shows_at_its_parent)
{
	put("*.dyn", ENTRY_STATIC, 1);
	ck_assert(atomic_load(&find("dyn")->flags) & ENTRY_WILDCARD_CHILD);
	put("dyn", 0, 2);
	ck_assert(atomic_load(&find("dyn")->flags) & ENTRY_WILDCARD_CHILD);
	put("a.dyn", 0, 2);
	drop("*.dyn", true);
	ck_assert(!(atomic_load(&find("dyn")->flags) & ENTRY_WILDCARD_CHILD));
	put("*", ENTRY_STATIC, 1);
	ck_assert(atomic_load(&find("")->flags) & ENTRY_WILDCARD_CHILD);
}
END_TEST

START_TEST(zones_are_listed_longest_first)
{
	struct zone *const all[] = { zone, make_zone("local"), make_zone("eu.service.local") };

	set_zones(all, 3);
	const struct zone_list *const list = catalog_zones(catalog);
	ck_assert_uint_eq(list->n, 3);
	ck_assert_ptr_eq(list->zones[0], all[2]);
	ck_assert_ptr_eq(list->zones[1], all[0]);
	ck_assert_ptr_eq(list->zones[2], all[1]);
	catalog_publish(catalog, 17);
	for (size_t i = 0; i < 3; i++)
		ck_assert_uint_eq(atomic_load(&list->zones[i]->serial), 17);
	put("payment", 0, 5);
	set_zones(&zone, 1);
	catalog_publish(catalog, 18);
	ck_assert_uint_eq(catalog_zones(catalog)->n, 1);
	ck_assert_uint_eq(number_of("payment"), 5);
}
END_TEST

static void name_number(char text[40], unsigned i)
{
	snprintf(text, 40, "n%u.s%u", i, i / 3);
}

START_TEST(many_names_come_and_go)
{
	char text[40];

	for (unsigned i = 0; i < MANY; i++) {
		name_number(text, i);
		ck_assert_int_eq(put(text, 0, i), 0);
		if (i % 1000 == 0)
			catalog_publish(catalog, i);
	}
	for (unsigned i = 0; i < MANY; i++) {
		name_number(text, i);
		ck_assert_uint_eq(number_of(text), i);
	}
	for (unsigned i = 0; i < MANY; i += 2) {
		name_number(text, i);
		drop(text, false);
	}
	catalog_publish(catalog, MANY);
	for (unsigned i = 0; i < MANY; i++) {
		name_number(text, i);
		if (i % 2)
			ck_assert_uint_eq(number_of(text), i);
		else
			ck_assert_ptr_null(find(text));
	}
	/* Adding and removing for ever in the same table finds room for ever. */
	for (unsigned i = 0; i < MANY * 4; i++) {
		snprintf(text, sizeof(text), "t%u", i);
		ck_assert_int_eq(put(text, 0, i), 0);
		drop(text, false);
		if (i % 1000 == 0)
			catalog_publish(catalog, i);
	}
	name_number(text, 1);
	ck_assert_uint_eq(number_of(text), 1);
}
END_TEST

/* How often a walk over the zone meets the name; all entries that it meets are added to `n`. */
static unsigned walk(const char *text, unsigned *n)
{
	struct catalog_position position = { 0 };
	uint8_t name[NAME_MAX_LEN + 16];
	const size_t len = relative(text, name);
	const struct entry *entry;
	unsigned n_met = 0;

	while (position.segment < ZONE_SEGMENTS) {
		while ((entry = catalog_next(zone, &position))) {
			*n += 1;
			n_met += entry->name_len == len && memcmp(entry->name, name, len) == 0;
		}
		catalog_reader_quiescent();
	}
	return n_met;
}

START_TEST(walk_meets_every_name_once)
{
	unsigned n = 0;
	char text[40];

	catalog_reader_online();
	ck_assert_uint_eq(walk("", &n), 1);
	ck_assert_uint_eq(n, 1);
	for (unsigned i = 0; i < MANY; i++) {
		name_number(text, i);
		put(text, 0, i);
	}
	n = 0;
	ck_assert_uint_eq(walk("n7.s2", &n), 1);
	ck_assert_uint_eq(n, 1 + MANY + (MANY + 2) / 3);
	drop("n7.s2", false);
	n = 0;
	ck_assert_uint_eq(walk("n7.s2", &n), 0);
	ck_assert_uint_eq(n, MANY + (MANY + 2) / 3);
	catalog_reader_offline();
}
END_TEST

/* ---- Readers beside the writer ---- */

static atomic_bool stop;
static _Atomic unsigned n_found, n_broken;

/* Looks for what the writer puts, replaces and removes: every find is whole or nothing. */
static void *read_names(void *cookie)
{
	static const uint8_t all[4 + 16] = "\3all";
	struct random random;
	char text[40];

	random_init_seed(&random, (uintptr_t)cookie);
	catalog_reader_register();
	while (!atomic_load(&stop)) {
		catalog_reader_online();
		for (unsigned i = 0; i < 100; i++) {
			uint8_t name[NAME_MAX_LEN + 16];
			snprintf(text, sizeof(text), "c%u", random_below(&random, CHURN_NAMES));
			const size_t len = name_parse(text, name) - 1;
			const struct entry *const entry = catalog_find(zone, name, len);
			if (!entry)
				continue;
			const struct rrset *const set = entry_find(entry, RR_A);
			atomic_fetch_add(&n_found, 1);
			if (entry->name_len != len || memcmp(entry->name, name, len) != 0 || !set ||
			    set->count != set->len)
				atomic_fetch_add(&n_broken, 1);
			/* The name that always exists is always found. */
			if (!catalog_find(zone, all, 4))
				atomic_fetch_add(&n_broken, 1);
			catalog_reader_quiescent();
		}
		catalog_reader_offline();
	}
	catalog_reader_unregister();
	return NULL;
}

/* A name that stays is met once by every walk, whatever comes, goes and grows around it. */
static void *walk_names(void *cookie)
{
	unsigned n = 0;

	(void)cookie;
	catalog_reader_register();
	while (!atomic_load(&stop)) {
		catalog_reader_online();
		if (walk("all", &n) != 1)
			atomic_fetch_add(&n_broken, 1);
		catalog_reader_offline();
	}
	catalog_reader_unregister();
	return NULL;
}

START_TEST(readers_see_whole_entries_while_the_writer_writes)
{
	pthread_t threads[READERS], walker;
	struct random random;
	char text[40];

	random_init_seed(&random, 99);
	put("all", 0, 1);
	atomic_store(&stop, false);
	for (uintptr_t i = 0; i < READERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, read_names, (void *)i), 0);
	ck_assert_int_eq(pthread_create(&walker, NULL, walk_names, NULL), 0);
	/* On until the readers have seen some of it, however the threads are scheduled. */
	for (unsigned i = 0; i < CHURN_ROUNDS || atomic_load(&n_found) < 1000; i++) {
		snprintf(text, sizeof(text), "c%u", random_below(&random, CHURN_NAMES));
		if (random_below(&random, 3) == 0)
			drop(text, false);
		else
			put(text, 0, i);
		put("all", 0, i);
		/* Growth under the readers' feet. */
		snprintf(text, sizeof(text), "g%u", i);
		if (i < CHURN_ROUNDS)
			put(text, 0, i);
		if (i % 16 == 0)
			catalog_publish(catalog, i);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	pthread_join(walker, NULL);
	ck_assert_uint_eq(atomic_load(&n_broken), 0);
}
END_TEST

int main(void)
{
	Suite *const suite = suite_create("catalog");
	TCase *const tcase = tcase_create("catalog");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, name_is_found_until_removed);
	tcase_add_test(tcase, apex_is_there);
	tcase_add_test(tcase, names_between_exist_and_are_empty);
	tcase_add_test(tcase, data_may_come_and_go_above_other_names);
	tcase_add_test(tcase, static_names_stay);
	tcase_add_test(tcase, wildcard_shows_at_its_parent);
	tcase_add_test(tcase, zones_are_listed_longest_first);
	tcase_add_test(tcase, many_names_come_and_go);
	tcase_add_test(tcase, walk_meets_every_name_once);
	tcase_add_test(tcase, readers_see_whole_entries_while_the_writer_writes);
	suite_add_tcase(suite, tcase);
	SRunner *const runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	const int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
