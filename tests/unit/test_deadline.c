/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/deadline.h"

#include "base/random.h"

#include <check.h>
#include <stdbool.h>

enum {
	N = 400,
	MANY = 20000,
};

/* The model beside the heap: when each is due, in a plain array. */
static struct deadline_heap heap;
static struct deadline deadlines[MANY];
static uint64_t due_ms[MANY]; /* UINT64_MAX: not set */

static void set_up(void)
{
	heap = (struct deadline_heap){ 0 };
	for (size_t i = 0; i < MANY; i++) {
		deadlines[i] = (struct deadline){ .kind = DEADLINE_INSTANCE };
		due_ms[i] = UINT64_MAX;
	}
}

static void tear_down(void)
{
	deadline_heap_fini(&heap);
}

static void reserve(size_t n)
{
	ck_assert_int_eq(deadline_heap_reserve(&heap, n), 0);
}

static void set(size_t i, uint64_t at_ms)
{
	deadline_set(&heap, &deadlines[i], at_ms);
	due_ms[i] = at_ms;
}

static void cancel(size_t i)
{
	deadline_cancel(&heap, &deadlines[i]);
	due_ms[i] = UINT64_MAX;
}

static uint64_t earliest_ms(size_t n)
{
	uint64_t earliest = UINT64_MAX;

	for (size_t i = 0; i < n; i++)
		if (due_ms[i] < earliest)
			earliest = due_ms[i];
	return earliest;
}

/* The heap says of every deadline what the model says. One assertion for all: each costs a call. */
static void check_content(size_t n)
{
	size_t n_set = 0, n_wrong = 0;

	for (size_t i = 0; i < n; i++) {
		n_wrong += deadline_at_ms(&heap, &deadlines[i]) != due_ms[i];
		n_wrong += (deadlines[i].position == 0) != (due_ms[i] == UINT64_MAX);
		n_set += due_ms[i] != UINT64_MAX;
	}
	ck_assert_uint_eq(n_wrong, 0);
	ck_assert_uint_eq(heap.n, n_set);
	ck_assert_uint_eq(deadline_next_ms(&heap), earliest_ms(n));
}

/* Takes one: any of those that are due first, if that is by `now_ms`. false: none was due. */
static bool take(size_t n, uint64_t now_ms)
{
	uint64_t earliest = earliest_ms(n);
	struct deadline *taken = deadline_take(&heap, now_ms);
	size_t i;

	ck_assert_int_eq(taken != NULL, earliest != UINT64_MAX && earliest <= now_ms);
	if (!taken)
		return false;
	i = (size_t)(taken - deadlines);
	ck_assert_uint_lt(i, n);
	ck_assert_uint_eq(due_ms[i], earliest);
	ck_assert_uint_eq(taken->position, 0);
	due_ms[i] = UINT64_MAX;
	return true;
}

START_TEST(empty_heap_has_nothing)
{
	ck_assert_uint_eq(deadline_next_ms(&heap), UINT64_MAX);
	ck_assert_ptr_null(deadline_take(&heap, UINT64_MAX));
	ck_assert_uint_eq(deadline_at_ms(&heap, &deadlines[0]), UINT64_MAX);
	deadline_cancel(&heap, &deadlines[0]);
	reserve(0);
	deadline_heap_fini(&heap);
	deadline_heap_fini(&heap);
	reserve(1);
	set(0, 5);
	ck_assert_uint_eq(deadline_next_ms(&heap), 5);
}
END_TEST

START_TEST(due_means_at_that_moment_or_before)
{
	reserve(1);
	set(0, 1000);
	ck_assert(!take(1, 0));
	ck_assert(!take(1, 999));
	ck_assert(take(1, 1000));
	ck_assert(!take(1, UINT64_MAX));
	set(0, 0);
	ck_assert(take(1, 0));
}
END_TEST

START_TEST(they_come_in_order)
{
	struct random random;
	uint64_t last_ms = 0;
	struct deadline *taken;

	random_init_seed(&random, 1);
	reserve(MANY);
	for (size_t i = 0; i < MANY; i++)
		set(i, random_below(&random, 50000));
	for (size_t i = 0; i < MANY; i++) {
		uint64_t next_ms = deadline_next_ms(&heap);

		taken = deadline_take(&heap, UINT64_MAX);
		ck_assert(taken && due_ms[taken - deadlines] == next_ms && next_ms >= last_ms);
		due_ms[taken - deadlines] = UINT64_MAX;
		last_ms = next_ms;
	}
	check_content(MANY);
}
END_TEST

/* Many operations of every kind, with many equal times, against the model after each. */
static void play(uint64_t seed, size_t n, uint32_t span_ms, unsigned rounds)
{
	struct random random;
	uint64_t now_ms = 1000;

	random_init_seed(&random, seed);
	reserve(n);
	for (unsigned round = 0; round < rounds; round++) {
		size_t i = random_below(&random, (uint32_t)n);

		switch (random_below(&random, 5)) {
		case 0:
		case 1:
			set(i, now_ms + random_below(&random, span_ms));
			break;
		case 2:
			cancel(i);
			break;
		case 3:
			now_ms += random_below(&random, span_ms / 8 + 1);
			break;
		default:
			take(n, now_ms);
		}
		ck_assert(deadline_next_ms(&heap) == earliest_ms(n) &&
			  deadline_at_ms(&heap, &deadlines[i]) == due_ms[i]);
		if (round % 16 == 0)
			check_content(n);
	}
	check_content(n);
	while (take(n, UINT64_MAX))
		;
	check_content(n);
}

START_TEST(random_operations_match_a_plain_list)
{
	for (size_t n = 1; n < 30; n++) {
		play(n, n, 50, 1000);
		play(n + 100, n, 5, 1000);
	}
	play(1000, N, 10000, 8000);
	play(1001, N, 20, 8000);
}
END_TEST

/* The last of the heap takes the place of the one that goes, and may have to go up as well as down.
 */
START_TEST(cancel_in_the_middle)
{
	for (size_t gone = 0; gone < 100; gone++) {
		reserve(100);
		/* Two branches: one of late times, one of early ones with the last. */
		for (size_t i = 0; i < 100; i++)
			set(i, i % 4 == 1 ? 1000 + i : i);
		cancel(gone);
		check_content(100);
		while (take(100, UINT64_MAX))
			check_content(100);
	}
}
END_TEST

START_TEST(moves_earlier_and_later)
{
	reserve(N);
	for (size_t i = 0; i < N; i++)
		set(i, 10000 + i);
	for (size_t i = 0; i < N; i += 7) {
		set(i, N - i);
		ck_assert_uint_eq(deadline_next_ms(&heap), earliest_ms(N));
	}
	for (size_t i = 0; i < N; i += 3) {
		set(i, 20000 + i);
		ck_assert_uint_eq(deadline_next_ms(&heap), earliest_ms(N));
	}
	check_content(N);
	while (take(N, UINT64_MAX))
		;
}
END_TEST

/* As leases use it: a renewal is written down elsewhere, and only who comes up early is set again.
 */
START_TEST(later_moves_are_lazy)
{
	uint64_t really_ms[100], now_ms = 0;
	unsigned n_early = 0, n_ended = 0;

	reserve(100);
	for (size_t i = 0; i < 100; i++) {
		set(i, 1000 + i);
		really_ms[i] = i % 2 ? 5000 + i : 1000 + i;
	}
	while ((now_ms = deadline_next_ms(&heap)) != UINT64_MAX) {
		struct deadline *taken = deadline_take(&heap, now_ms);
		size_t i = (size_t)(taken - deadlines);

		if (really_ms[i] > now_ms) {
			n_early++;
			set(i, really_ms[i]);
			continue;
		}
		ck_assert_uint_eq(really_ms[i], now_ms);
		due_ms[i] = UINT64_MAX;
		n_ended++;
	}
	ck_assert_uint_eq(n_early, 50);
	ck_assert_uint_eq(n_ended, 100);
	check_content(100);
}
END_TEST

START_TEST(room_is_there_once_reserved)
{
	for (size_t n = 1; n < MANY; n = n * 3 + 1) {
		const struct deadline_slot *slots;
		size_t cap;

		reserve(n);
		reserve(n / 2);
		ck_assert_uint_ge(heap.cap, n);
		slots = heap.slots;
		cap = heap.cap;
		for (size_t i = heap.n; i < n; i++)
			set(i, (i * 7919) % 10007);
		ck_assert_ptr_eq(heap.slots, slots);
		ck_assert_uint_eq(heap.cap, cap);
		check_content(n);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("deadline");
	TCase *tcase = tcase_create("deadline");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, empty_heap_has_nothing);
	tcase_add_test(tcase, due_means_at_that_moment_or_before);
	tcase_add_test(tcase, they_come_in_order);
	tcase_add_test(tcase, random_operations_match_a_plain_list);
	tcase_add_test(tcase, cancel_in_the_middle);
	tcase_add_test(tcase, moves_earlier_and_later);
	tcase_add_test(tcase, later_moves_are_lazy);
	tcase_add_test(tcase, room_is_there_once_reserved);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
