/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/transfer.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define HEAD \
	"{\"service\":\"s\",\"id\":\"i\",\"name\":\"i\",\"ip\":\"10.0.0.1\",\"ipv4\":\"10.0.0.1\","

/* The line of an instance as the server shows it. */
static void check_line(const char *shown, const char *wanted, bool wants_secrets)
{
	json_t *instance = json_loads(shown, 0, NULL), *line;
	bool has_secrets = false;
	char *text;

	ck_assert_ptr_nonnull(instance);
	line = transfer_instance_json(instance, &has_secrets);
	text = json_dumps(line, JSON_COMPACT | JSON_SORT_KEYS);
	ck_assert_str_eq(text, wanted);
	ck_assert(has_secrets == wants_secrets);
	free(text);
	json_decref(line);
	json_decref(instance);
}

START_TEST(what_is_state_stays_behind)
{
	check_line(
		HEAD
		"\"port\":1,\"ports\":{},\"tags\":[],\"meta\":{},\"ttl\":null,\"lease\":null,"
		"\"lease_left\":null,\"status\":\"passing\",\"healthy\":true,\"admin\":\"auto\","
		"\"checks\":[],\"revision_created\":1}",
		"{\"registration\":{\"id\":\"i\",\"ipv4\":\"10.0.0.1\",\"name\":\"s\",\"port\":1}}",
		false);
}
END_TEST

START_TEST(what_an_operator_decided_and_checks_go_along)
{
	check_line(
		HEAD "\"port\":1,\"admin\":\"down\",\"checks\":[{\"kind\":\"http\",\"path\":\"/\","
		     "\"expected_status\":\"200\",\"header_names\":[\"X\"],\"status\":\"passing\","
		     "\"output\":\"x\",\"latency_ms\":1}]}",
		"{\"admin\":\"down\",\"registration\":{\"checks\":[{\"header_names\":[\"X\"],"
		"\"kind\":\"http\",\"path\":\"/\",\"status\":\"200\"}],\"id\":\"i\",\"ipv4\":\"10.0.0.1\",\"name\":\"s\","
		"\"port\":1}}",
		true);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("transfer");
	TCase *tcase = tcase_create("transfer");
	SRunner *runner;
	int n_failed;

	tcase_add_test(tcase, what_is_state_stays_behind);
	tcase_add_test(tcase, what_an_operator_decided_and_checks_go_along);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
