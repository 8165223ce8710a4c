/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/commands.h"

#include <check.h>
#include "ctl/text.h"

#include <stdlib.h>
#include <string.h>

START_TEST(each_is_found_by_its_name)
{
	for (size_t i = 0; i < commands_n; i++) {
		char name[64];
		char *words[3];
		size_t n = 0, n_words;

		strcpy(name, commands[i].name);
		for (char *word = strtok(name, " "); word; word = strtok(NULL, " "))
			words[n++] = word;
		words[n] = NULL;
		ck_assert_ptr_eq(commands_find(words, n, &n_words), &commands[i]);
		ck_assert_uint_eq(n_words, n);
	}
}
END_TEST

START_TEST(the_first_word_of_two_is_enough_alone)
{
	char services[] = "services", nothing[] = "service", other[] = "x";
	char *one[] = { services, other }, *none[] = { nothing };
	size_t n_words;

	ck_assert_str_eq(commands_find(one, 1, &n_words)->name, "services list");
	ck_assert_uint_eq(n_words, 1);
	ck_assert_ptr_null(commands_find(one, 2, &n_words));
	ck_assert_ptr_null(commands_find(none, 1, &n_words));
	ck_assert_ptr_null(commands_find(none, 0, &n_words));
}
END_TEST

START_TEST(the_table_is_sound)
{
	for (size_t i = 0; i < commands_n; i++) {
		uint64_t ms;

		ck_assert_uint_le(commands[i].min, commands[i].max);
		ck_assert(!(commands[i].options & ARGS_COMMON));
		ck_assert(!commands[i].timeout || text_read_duration(commands[i].timeout, &ms));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("commands");
	TCase *tcase = tcase_create("commands");
	SRunner *runner;
	int n_failed;

	tcase_add_test(tcase, each_is_found_by_its_name);
	tcase_add_test(tcase, the_first_word_of_two_is_enough_alone);
	tcase_add_test(tcase, the_table_is_sound);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
