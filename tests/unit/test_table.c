/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/table.h"

#include "base/random.h"

#include <check.h>

enum {
	N = 20000
};

struct thing {
	uint64_t hash;
	unsigned key;
	bool present;
	unsigned seen;
};

static struct table *table;
static struct thing things[N];

static bool match(const void *entry, const void *key)
{
	return ((const struct thing *)entry)->key == *(const unsigned *)key;
}

static void set_up(void)
{
	struct random random;

	random_init_seed(&random, 1);
	for (unsigned i = 0; i < N; i++)
		things[i] = (struct thing){ .hash = random_bits(&random), .key = i };
	table = table_new(match);
	ck_assert_ptr_nonnull(table);
}

static void tear_down(void)
{
	table_free(table);
	table_free(NULL);
}

static void insert(struct thing *thing)
{
	ck_assert_int_eq(table_insert(table, thing->hash, thing), 0);
	thing->present = true;
}

static void remove_thing(struct thing *thing)
{
	table_remove(table, thing->hash, thing);
	thing->present = false;
}

/* The table holds exactly the things that are present. */
static void check_content(unsigned n)
{
	size_t count = 0;

	for (unsigned i = 0; i < n; i++) {
		const void *found = table_find(table, things[i].hash, &things[i].key);

		ck_assert_ptr_eq(found, things[i].present ? &things[i] : NULL);
		count += things[i].present;
	}
	ck_assert_uint_eq(table_count(table), count);
}

START_TEST(empty_table_has_nothing)
{
	size_t position = 0;

	ck_assert_uint_eq(table_count(table), 0);
	ck_assert_ptr_null(table_find(table, 5, &things[0].key));
	ck_assert_ptr_null(table_next(table, &position));
	ck_assert_ptr_null(table_next(table, &position));
}
END_TEST

START_TEST(everything_is_found_while_it_grows)
{
	for (unsigned i = 0; i < N; i++)
		insert(&things[i]);
	check_content(N);
	for (unsigned i = 0; i < N; i += 2)
		remove_thing(&things[i]);
	check_content(N);
	for (unsigned i = 0; i < N; i += 4)
		insert(&things[i]);
	check_content(N);
}
END_TEST

START_TEST(random_changes_match_a_plain_list)
{
	struct random random;

	random_init_seed(&random, 3);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 2000; i++) {
			struct thing *thing = &things[random_below(&random, 1500)];

			if (thing->present)
				remove_thing(thing);
			else
				insert(thing);
		}
		check_content(1500);
	}
}
END_TEST

START_TEST(equal_hashes_are_told_apart_by_key)
{
	for (unsigned i = 0; i < 50; i++) {
		things[i].hash = UINT64_C(0xff00000000000007);
		insert(&things[i]);
	}
	check_content(50);
	for (unsigned i = 0; i < 50; i += 3)
		remove_thing(&things[i]);
	check_content(50);
}
END_TEST

START_TEST(removes_exactly_this_pointer)
{
	static struct thing twin;

	twin = things[0];
	insert(&things[0]);
	insert(&twin);
	remove_thing(&things[0]);
	ck_assert_ptr_eq(table_find(table, twin.hash, &twin.key), &twin);
	ck_assert_uint_eq(table_count(table), 1);
}
END_TEST

/* A segment that only ever sees one entry come and go must not fill up with tombstones. */
START_TEST(coming_and_going_for_ever)
{
	for (unsigned i = 0; i < 100000; i++) {
		struct thing *thing = &things[i % N];

		thing->hash = (uint64_t)i % 64;
		insert(thing);
		ck_assert_ptr_eq(table_find(table, thing->hash, &thing->key), thing);
		remove_thing(thing);
	}
	ck_assert_uint_eq(table_count(table), 0);
}
END_TEST

START_TEST(iteration_visits_each_once)
{
	struct thing *thing;
	size_t position = 0;

	for (unsigned i = 0; i < N; i += 3)
		insert(&things[i]);
	while ((thing = table_next(table, &position)))
		thing->seen++;
	for (unsigned i = 0; i < N; i++)
		ck_assert_uint_eq(things[i].seen, things[i].present);
	ck_assert_ptr_null(table_next(table, &position));
}
END_TEST

START_TEST(iteration_may_remove_what_it_returned)
{
	struct thing *thing;
	size_t position = 0;

	for (unsigned i = 0; i < 3000; i++)
		insert(&things[i]);
	while ((thing = table_next(table, &position))) {
		thing->seen++;
		if (thing->key % 2)
			remove_thing(thing);
	}
	for (unsigned i = 0; i < 3000; i++)
		ck_assert_uint_eq(things[i].seen, 1);
	check_content(3000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("table");
	TCase *tcase = tcase_create("table");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, empty_table_has_nothing);
	tcase_add_test(tcase, everything_is_found_while_it_grows);
	tcase_add_test(tcase, random_changes_match_a_plain_list);
	tcase_add_test(tcase, equal_hashes_are_told_apart_by_key);
	tcase_add_test(tcase, removes_exactly_this_pointer);
	tcase_add_test(tcase, coming_and_going_for_ever);
	tcase_add_test(tcase, iteration_visits_each_once);
	tcase_add_test(tcase, iteration_may_remove_what_it_returned);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
