/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/build.h"
#include "model/handout.h"

#include <check.h>
#include <stdlib.h>

enum {
	T0_MS = 1000 * HANDOUT_TICK_MS,
	USE_MS = 5000 + HANDOUT_ROUNDING_MS,
	LONG_USE_MS = 60000 + HANDOUT_ROUNDING_MS,
};

static struct build build;

/* An entry with one address; ttl_s 0: an entry without records. */
static struct entry *make(uint32_t ttl_s)
{
	static const uint8_t address[] = { 10, 0, 0, 1 };

	build_begin(&build);
	if (ttl_s) {
		build_set(&build, 1, ttl_s);
		build_record(&build, address, sizeof(address), NULL, 0);
	}
	struct entry *const entry = build_entry(&build, (const uint8_t *)"\1a", 2);
	ck_assert_ptr_nonnull(entry);
	return entry;
}

static void set_up(void)
{
	build_init(&build);
}

static void tear_down(void)
{
	build_fini(&build);
}

START_TEST(nobody_asked_nobody_waits)
{
	struct entry *const entry = make(5);

	ck_assert_uint_eq(handout_end_ms(entry), 0);
	free(entry);
}
END_TEST

START_TEST(the_newest_answer_counts)
{
	struct entry *const entry = make(5);

	handout_note(entry, T0_MS + 100);
	ck_assert_uint_ge(handout_end_ms(entry), T0_MS + 100 + USE_MS);
	ck_assert_uint_le(handout_end_ms(entry), T0_MS + 100 + USE_MS + HANDOUT_TICK_MS);
	handout_note(entry, T0_MS + 10 * HANDOUT_TICK_MS);
	ck_assert_uint_eq(handout_end_ms(entry), T0_MS + 11 * HANDOUT_TICK_MS + USE_MS);
	/* A worker whose clock is a little behind. */
	handout_note(entry, T0_MS);
	ck_assert_uint_eq(handout_end_ms(entry), T0_MS + 11 * HANDOUT_TICK_MS + USE_MS);
	free(entry);
}
END_TEST

START_TEST(a_replaced_entry_may_just_have_been_answered)
{
	struct entry *const old = make(5), *const new = make(5);

	handout_inherit(new, old, T0_MS);
	ck_assert_uint_eq(handout_end_ms(new), T0_MS + HANDOUT_TICK_MS + USE_MS);
	free(old);
	free(new);
}
END_TEST

START_TEST(a_longer_ttl_is_remembered)
{
	struct entry *const old = make(60), *const new = make(5), *const newer = make(0);

	handout_inherit(new, old, T0_MS);
	ck_assert_uint_ge(handout_end_ms(new), T0_MS + LONG_USE_MS);
	ck_assert_uint_le(handout_end_ms(new), T0_MS + LONG_USE_MS + 2 * HANDOUT_TICK_MS);
	/* What is handed out now expires sooner. */
	handout_note(new, T0_MS + 1000);
	ck_assert_uint_ge(handout_end_ms(new), T0_MS + LONG_USE_MS);
	handout_inherit(newer, new, T0_MS + 1000);
	ck_assert_uint_ge(handout_end_ms(newer), T0_MS + LONG_USE_MS);
	free(old);
	free(new);
	free(newer);
}
END_TEST

START_TEST(an_entry_without_records_names_nobody)
{
	struct entry *const old = make(0), *const new = make(5);

	handout_inherit(new, old, T0_MS);
	ck_assert_uint_eq(handout_end_ms(new), 0);
	/* However often it is replaced, what came before it does not move. */
	handout_note(new, T0_MS);
	uint64_t end_ms = handout_end_ms(new);
	struct entry *last = new;
	for (unsigned i = 0; i < 100; i++) {
		struct entry *const next = make(0);

		handout_inherit(next, last, T0_MS);
		ck_assert_uint_ge(handout_end_ms(next), end_ms);
		ck_assert_uint_lt(handout_end_ms(next), end_ms + HANDOUT_TICK_MS);
		free(last);
		last = next;
	}
	free(old);
	free(last);
}
END_TEST

int main(void)
{
	Suite *const suite = suite_create("handout");
	TCase *const tcase = tcase_create("handout");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, nobody_asked_nobody_waits);
	tcase_add_test(tcase, the_newest_answer_counts);
	tcase_add_test(tcase, a_replaced_entry_may_just_have_been_answered);
	tcase_add_test(tcase, a_longer_ttl_is_remembered);
	tcase_add_test(tcase, an_entry_without_records_names_nobody);
	suite_add_tcase(suite, tcase);
	SRunner *const runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	const int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
