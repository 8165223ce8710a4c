/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/args.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct args args;
static char message[200];

/* Words that are separated by spaces. */
static bool parse(const char *line)
{
	static char copy[400];
	static char *argv[40];
	int argc = 0;

	args_fini(&args);
	strcpy(copy, line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	return args_parse(&args, argc, argv, message, sizeof(message));
}

START_TEST(options_and_words_may_be_mixed)
{
	size_t position = 0;

	ck_assert(parse("x --json one --tag a --tag=b --weight 1 --weight 2 two - -- --not -x"));
	ck_assert_uint_eq(args.n_words, 3);
	ck_assert_str_eq(args.words[1], "two");
	ck_assert_str_eq(args.words[2], "-");
	ck_assert_str_eq(args_get(&args, ARGS_JSON), "");
	ck_assert_str_eq(args_get(&args, ARGS_WEIGHT), "2");
	ck_assert_ptr_null(args_get(&args, ARGS_ID));
	ck_assert_str_eq(args_next(&args, ARGS_TAG, &position), "a");
	ck_assert_str_eq(args_next(&args, ARGS_TAG, &position), "b");
	ck_assert_ptr_null(args_next(&args, ARGS_TAG, &position));
	ck_assert_str_eq(args.rest[0], "--not");
	ck_assert_str_eq(args.rest[1], "-x");
	ck_assert_ptr_null(args.rest[2]);
	args_fini(&args);
}
END_TEST

START_TEST(wrong_ones_are_named)
{
	static const struct {
		const char *line, *message;
	} rows[] = {
		{ "x --jso", "unknown option '--jso'" },
		{ "x --jsonx=1", "unknown option '--jsonx=1'" },
		{ "x -z", "unknown option '-z'" },
		{ "x --json=1", "--json takes no value" },
		{ "x --http", "--http needs a value: ADDRESS" },
		{ "x --http=", "--http needs a value: ADDRESS" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert(!parse(rows[i].line));
		ck_assert_str_eq(message, rows[i].message);
	}
	ck_assert(parse("x"));
	ck_assert_ptr_null(args.rest);
	ck_assert(parse("x -h"));
	ck_assert_ptr_nonnull(args_get(&args, ARGS_HELP));
	args_fini(&args);
}
END_TEST

START_TEST(an_option_outside_of_a_set_is_found)
{
	ck_assert(parse("x --json --weight 1"));
	ck_assert_str_eq(args_find_other(&args, ARGS_COMMON)->name, "weight");
	ck_assert_ptr_null(args_find_other(&args, ARGS_COMMON | ARGS_BIT(ARGS_WEIGHT)));
	args_fini(&args);
}
END_TEST

START_TEST(common_options_come_first_in_the_table)
{
	ck_assert(ARGS_COMMON & ARGS_BIT(ARGS_HTTP));
	ck_assert(ARGS_COMMON & ARGS_BIT(ARGS_VERSION));
	ck_assert(!(ARGS_COMMON & ARGS_BIT(ARGS_NAME)));
	ck_assert_int_lt(ARGS_N, 64);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("args");
	TCase *tcase = tcase_create("args");
	SRunner *runner;
	int n_failed;

	tcase_add_test(tcase, options_and_words_may_be_mixed);
	tcase_add_test(tcase, wrong_ones_are_named);
	tcase_add_test(tcase, an_option_outside_of_a_set_is_found);
	tcase_add_test(tcase, common_options_come_first_in_the_table);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
