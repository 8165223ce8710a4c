/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/pool.h"

#include "base/random.h"

#include <check.h>
#include <string.h>

enum {
	N = 3000,
	ROUNDS = 100000,
	CHUNK = 65536,
};

struct piece {
	unsigned char *at;
	size_t len;
	unsigned char mark;
};

static void check_piece(const struct piece *piece)
{
	size_t i = 0;

	while (i < piece->len && piece->at[i] == piece->mark)
		i++;
	ck_assert_uint_eq(i, piece->len);
}

/* Mostly small, seldom larger than a chunk. */
static size_t choose_len(struct random *random)
{
	uint64_t bits = random_bits(random);

	if (bits % 500 == 0)
		return (bits >> 32) % (3 * CHUNK);
	return bits % 20 == 0 ? (bits >> 32) % 6000 : (bits >> 32) % 100;
}

START_TEST(what_is_taken_keeps_what_is_written)
{
	static struct piece pieces[N];
	struct random random;

	random_init_seed(&random, 1);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct piece *piece = &pieces[random_bits(&random) % N];

		if (piece->at) {
			check_piece(piece);
			pool_free(piece->at);
			piece->at = NULL;
			continue;
		}
		piece->len = choose_len(&random);
		piece->mark = (unsigned char)round;
		piece->at = pool_alloc(piece->len);
		ck_assert_ptr_nonnull(piece->at);
		ck_assert_uint_eq((uintptr_t)piece->at % 16, 0);
		memset(piece->at, piece->mark, piece->len);
	}
	for (unsigned i = 0; i < N; i++) {
		if (pieces[i].at)
			check_piece(&pieces[i]);
		pool_free(pieces[i].at);
	}
}
END_TEST

START_TEST(what_is_freed_is_used_again)
{
	static void *things[N];
	unsigned char *first = pool_alloc(1), *second;

	pool_free(first);
	ck_assert_ptr_eq(pool_alloc(1), first);
	/* Whole chunks, too, whatever the order. */
	for (unsigned i = 0; i < N; i++)
		things[i] = pool_alloc(100);
	second = things[N / 2];
	for (unsigned i = 0; i < N; i++)
		pool_free(things[i]);
	pool_free(first);
	for (unsigned i = 0; i < N; i++) {
		things[i] = pool_alloc(100);
		if (things[i] == second)
			second = NULL;
	}
	ck_assert_ptr_null(second);
	for (unsigned i = 0; i < N; i++)
		pool_free(things[i]);
}
END_TEST

START_TEST(nothing_and_too_much)
{
	void *a = pool_alloc(0), *b = pool_alloc(0);

	ck_assert_ptr_nonnull(a);
	ck_assert_ptr_nonnull(b);
	ck_assert_ptr_ne(a, b);
	pool_free(a);
	pool_free(b);
	pool_free(NULL);
	ck_assert_ptr_null(pool_alloc(SIZE_MAX));
	ck_assert_ptr_null(pool_alloc(SIZE_MAX - CHUNK));
}
END_TEST

int main(void)
{
	Suite *const suite = suite_create("pool");
	TCase *const tcase = tcase_create("pool");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, what_is_taken_keeps_what_is_written);
	tcase_add_test(tcase, what_is_freed_is_used_again);
	tcase_add_test(tcase, nothing_and_too_much);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
