/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/codec_line.h"

#include "../lib/samples.h"
#include "model/codec.h"

#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static struct codec_error error;
static struct codec_line_parsed parsed;
static struct buf text, record, state;

static void set_up(void)
{
	buf_init(&text);
	buf_init(&record);
	buf_init(&state);
}

static void tear_down(void)
{
	buf_fini(&text);
	buf_fini(&record);
	buf_fini(&state);
}

static struct registration *registration_of(const char *json)
{
	json_t *body = codec_load(json, strlen(json), &error);
	struct registration *registration;

	ck_assert_msg(body, "%s: %s", json, error.message);
	registration = codec_registration(body, &error);
	ck_assert_msg(registration, "%s: %s: %s", json, error.field, error.message);
	json_decref(body);
	return registration;
}

/* Prints, and reads it back: the same octets under the same key. */
static void expect_return(const struct codec_line *line)
{
	text.len = 0;
	ck_assert_int_eq(codec_line_print(line, &text), STORED_OK);
	ck_assert_ptr_null(strchr(text.data, '\n'));
	ck_assert_uint_eq(strlen(text.data), text.len);
	ck_assert_msg(codec_line_parse(text.data, text.len, &parsed, &error), "%s: %s: %s",
		      text.data, error.field, error.message);
	ck_assert_int_eq(parsed.kind, line->kind);
	ck_assert_str_eq(parsed.key.service, line->key.service);
	ck_assert_str_eq(parsed.key.id, line->key.id);
	ck_assert_uint_eq(parsed.record.len, line->len);
	ck_assert_mem_eq(parsed.record.data, line->record, line->len);
	ck_assert_uint_eq(parsed.state.len, line->state_len);
	if (line->state)
		ck_assert_mem_eq(parsed.state.data, line->state, line->state_len);
	codec_line_fini(&parsed);
}

START_TEST(instances_return_as_the_same_octets)
{
	for (size_t i = 0; i < N_SAMPLES; i++) {
		struct registration *registration = registration_of(samples[i]);
		struct codec_line line = {
			.kind = STORED_REGISTRATION,
			.key = { registration->service, registration->id },
		};
		struct stored_state known = { .admin = i % 4, .reported = i % 3 };

		if (i % 2)
			registration->file = strdup("web \"1\".json");
		record.len = 0;
		stored_put_registration(&record, registration);
		line.record = record.data;
		line.len = record.len;
		expect_return(&line);
		for (uint32_t other = 0; other < 2; other++) {
			known.registration_crc = stored_crc(record.data) + other;
			known.served_until = i;
			known.n_checks = (uint8_t)registration->n_checks;
			for (size_t j = 0; j < known.n_checks; j++) {
				known.checks[j].status = j % 3;
				known.checks[j].has_run = j % 2;
			}
			state.len = 0;
			stored_put_state(&state, &line.key, &known);
			line.state = state.data;
			line.state_len = state.len;
			expect_return(&line);
		}
		record_registration_free(registration);
	}
}
END_TEST

START_TEST(policies_return_as_the_same_octets)
{
	static const uint32_t values[STORED_FIELDS][3] = {
		[STORED_TTL] = { 1, 10, LIMIT_TTL_S },
		[STORED_ANSWER_LIMIT] = { 0, 7, LIMIT_ANSWER_LIMIT },
		[STORED_FAILURE] = { FAILURE_EMPTY, FAILURE_ALL, FAILURE_LAST },
		[STORED_PANIC] = { 0, 333333, 1000000 },
	};

	for (unsigned field = 0; field < STORED_FIELDS; field++)
		for (size_t i = 0; i < 3; i++) {
			struct codec_line line = {
				.kind = STORED_POLICY,
				.key = { "payment", stored_field_name(field) },
			};

			record.len = 0;
			stored_put_policy(&record, &line.key, values[field][i]);
			line.record = record.data;
			line.len = record.len;
			expect_return(&line);
		}
}
END_TEST

/* The form that people and scripts rely on. */
START_TEST(a_line_reads_well)
{
	struct registration *registration = registration_of(
		"{\"name\":\"payment\",\"id\":\"pay-1\",\"ip\":\"10.0.0.1\",\"port\":80,\"lease\":"
		"\"1500ms\",\"tags\":[\"eu\"],\"health\":\"/\"}");
	struct codec_line line = { STORED_REGISTRATION, { "payment", "pay-1" }, NULL, 0, NULL, 0 };
	struct stored_state known = { .admin = ADMIN_DRAIN, .n_checks = 1 };

	stored_put_registration(&record, registration);
	known.registration_crc = stored_crc(record.data);
	known.checks[0].status = STATUS_CRITICAL;
	known.checks[0].has_run = true;
	stored_put_state(&state, &line.key, &known);
	line.record = record.data;
	line.len = record.len;
	line.state = state.data;
	line.state_len = state.len;
	ck_assert_int_eq(codec_line_print(&line, &text), STORED_OK);
	ck_assert_str_eq(
		text.data,
		"{\"registration\":{\"name\":\"payment\",\"id\":\"pay-1\",\"ipv4\":\"10.0.0.1\","
		"\"port\":80,\"protocol\":\"tcp\",\"priority\":10,\"weight\":100,"
		"\"lease\":\"1500ms\",\"tags\":[\"eu\"],\"checks\":[{\"kind\":\"http\",\"port\":80,"
		"\"interval\":10,\"timeout\":2,\"rise\":2,\"fall\":3,\"path\":\"/\","
		"\"initial\":\"critical\"}]},\"admin\":\"drain\",\"reported\":\"passing\","
		"\"checks\":[{\"status\":\"critical\"}]}");
	record_registration_free(registration);
}
END_TEST

START_TEST(what_is_damaged_is_not_printed)
{
	struct codec_line line = { STORED_POLICY, { "payment", "ttl" }, NULL, 0, NULL, 0 };

	stored_put_policy(&record, &line.key, 10);
	line.record = record.data;
	line.len = record.len;
	record.data[STORED_HEADER]++;
	ck_assert_int_eq(codec_line_print(&line, &text), STORED_DAMAGED);
	line.kind = STORED_REGISTRATION;
	ck_assert_int_eq(codec_line_print(&line, &text), STORED_DAMAGED);
}
END_TEST

#define REGISTRATION "\"registration\":{\"name\":\"a\",\"ip\":\"10.0.0.1\",\"port\":1}"

START_TEST(what_is_wrong_is_named)
{
	static const struct {
		const char *line, *field;
	} rows[] = {
		{ "", "" },
		{ "5", "" },
		{ "{\"registration\":{}", "" },
		{ "{}", "service" },
		{ "{\"what\":1}", "what" },
		{ "{" REGISTRATION ",\"what\":1}", "what" },
		{ "{\"registration\":5}", "registration" },
		{ "{\"registration\":{\"name\":\"a\",\"ip\":\"10.0.0.1\"}}", "registration.port" },
		{ "{\"registration\":{\"name\":\"a\",\"x\":1}}", "registration.x" },
		{ "{" REGISTRATION ",\"admin\":\"away\"}", "admin" },
		{ "{" REGISTRATION ",\"admin\":1}", "admin" },
		{ "{" REGISTRATION ",\"reported\":\"good\"}", "reported" },
		{ "{" REGISTRATION ",\"served_until\":-1}", "served_until" },
		{ "{" REGISTRATION ",\"served_until\":1.5}", "served_until" },
		{ "{" REGISTRATION ",\"registration_crc\":4294967296}", "registration_crc" },
		{ "{" REGISTRATION ",\"checks\":{}}", "checks" },
		{ "{" REGISTRATION ",\"checks\":[1]}", "checks[0]." },
		{ "{" REGISTRATION ",\"checks\":[{}]}", "checks[0].status" },
		{ "{" REGISTRATION ",\"checks\":[{\"status\":\"passing\",\"has_run\":1}]}",
		  "checks[0].has_run" },
		{ "{" REGISTRATION ",\"checks\":[{\"status\":\"passing\",\"run\":1}]}",
		  "checks[0].run" },
		{ "{\"service\":\"a\"}", "policy" },
		{ "{\"service\":\"-\",\"policy\":{\"ttl\":1}}", "service" },
		{ "{\"service\":\"a\",\"policy\":{}}", "policy" },
		{ "{\"service\":\"a\",\"policy\":{\"ttl\":1,\"answer_limit\":1}}", "policy" },
		{ "{\"service\":\"a\",\"policy\":{\"ttl\":0}}", "policy.ttl" },
		{ "{\"service\":\"a\",\"policy\":[]}", "policy" },
		{ "{\"service\":\"a\",\"policy\":{\"ttl\":1},\"id\":\"b\"}", "id" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_msg(
			!codec_line_parse(rows[i].line, strlen(rows[i].line), &parsed, &error),
			"%s", rows[i].line);
		ck_assert_msg(strcmp(error.field, rows[i].field) == 0, "%s: %s", rows[i].line,
			      error.field);
		ck_assert(*error.message && !error.no_memory);
	}
}
END_TEST

/* What people leave out when they write a line themselves. */
START_TEST(a_part_of_the_state_is_enough)
{
	static const char line[] =
		"{\"registration\":{\"name\":\"A\",\"ip\":\"10.0.0.1\",\"port\":1,"
		"\"health\":\"/\"},\"checks\":[{\"status\":\"passing\"}]}";
	struct stored_state known;

	ck_assert(codec_line_parse(line, strlen(line), &parsed, &error));
	ck_assert_str_eq(parsed.key.service, "a");
	ck_assert_str_eq(parsed.key.id, "10-0-0-1-1");
	ck_assert_int_eq(stored_get_state(&parsed.key, parsed.state.data, parsed.state.len, &known),
			 STORED_OK);
	stored_match_state(&known, parsed.record.data);
	ck_assert_int_eq(known.admin, ADMIN_AUTO);
	ck_assert_int_eq(known.reported, STATUS_PASSING);
	ck_assert_uint_eq(known.n_checks, 1);
	ck_assert_int_eq(known.checks[0].status, STATUS_PASSING);
	ck_assert(known.checks[0].has_run);
	codec_line_fini(&parsed);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("codec_line");
	Suite *suite = suite_create("codec_line");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, instances_return_as_the_same_octets);
	tcase_add_test(tcase, policies_return_as_the_same_octets);
	tcase_add_test(tcase, a_line_reads_well);
	tcase_add_test(tcase, what_is_damaged_is_not_printed);
	tcase_add_test(tcase, what_is_wrong_is_named);
	tcase_add_test(tcase, a_part_of_the_state_is_enough);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
