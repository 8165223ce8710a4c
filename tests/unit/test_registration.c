/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/registration.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* The registration of a command line, as JSON with sorted keys, or the message. */
static char *made(const char *line, const char *lease)
{
	char copy[400], message[200], *text;
	char *argv[40];
	int argc = 0;
	struct args args;
	json_t *json;

	strcpy(copy, line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	ck_assert(args_parse(&args, argc, argv, message, sizeof(message)));
	json = registration_json(&args, lease, message, sizeof(message));
	text = json ? json_dumps(json, JSON_SORT_KEYS | JSON_COMPACT) : strdup(message);
	json_decref(json);
	args_fini(&args);
	return text;
}

#define ck_assert_made(line, lease, wanted)      \
	do {                                     \
		char *text_ = made(line, lease); \
		ck_assert_str_eq(text_, wanted); \
		free(text_);                     \
	} while (0)

START_TEST(options_become_fields)
{
	ck_assert_made("x --name n --port 80", NULL, "{\"name\":\"n\",\"port\":80}");
	ck_assert_made(
		"x --name n --port 80 --id i --ip ::1 --tag a --tag b --meta k=v=w --meta e= "
		"--named-port m=1 --lease 10s --ttl 5 --priority 0 --weight 65535 --health /h "
		"--protocol udp",
		"15s",
		"{\"health\":\"/h\",\"id\":\"i\",\"ip\":\"::1\",\"lease\":\"10s\","
		"\"meta\":{\"e\":\"\",\"k\":\"v=w\"},\"name\":\"n\",\"port\":80,"
		"\"ports\":{\"m\":1},\"priority\":0,\"protocol\":\"udp\","
		"\"tags\":[\"a\",\"b\"],\"ttl\":5,\"weight\":65535}");
	ck_assert_made("x --name n --port 80", "15s",
		       "{\"lease\":\"15s\",\"name\":\"n\",\"port\":80}");
}
END_TEST

START_TEST(wrong_values_are_named)
{
	static const char *const lines[] = {
		"x --name n",
		"x --port 1",
		"x --name n --port -1",
		"x --name n --port 123456",
		"x --name n --port 1 --meta k",
		"x --name n --port 1 --meta =v",
		"x --name n --port 1 --named-port m=x",
		"x --name \xff --port 1",
		"x --name n --port 1 --tag \xff",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char *text = made(lines[i], NULL);

		ck_assert_msg(strncmp(text, "--", 2) == 0, "%s gave %s", lines[i], text);
		free(text);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("registration");
	TCase *tcase = tcase_create("registration");
	SRunner *runner;
	int n_failed;

	tcase_add_test(tcase, options_become_fields);
	tcase_add_test(tcase, wrong_values_are_named);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
