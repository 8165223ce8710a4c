/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/codec_file.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MANY = 8,
};

static struct registration *found[MANY];
static struct codec_file_place places[MANY], bad;
static struct codec_error error;
static size_t n_found;

static void forget(void)
{
	while (n_found)
		record_registration_free(found[--n_found]);
}

/* Reads a copy of exactly this size, with ' for ". Whether all of it is good. */
static bool reads(const char *text)
{
	size_t len = strlen(text);
	char *copy = malloc(len ? len : 1);
	enum codec_file_step step = CODEC_FILE_FOUND;
	struct codec_file file;

	ck_assert_ptr_nonnull(copy);
	for (size_t i = 0; i < len; i++)
		copy[i] = text[i] == '\'' ? '"' : text[i];
	forget();
	codec_file_init(&file, copy, len);
	while (step == CODEC_FILE_FOUND) {
		ck_assert_uint_lt(n_found, MANY);
		step = codec_file_next(&file, &found[n_found], &places[n_found], &error);
		bad = places[n_found];
		n_found += step == CODEC_FILE_FOUND;
	}
	free(copy);
	return step == CODEC_FILE_END;
}

static void expect_good(const char *text)
{
	ck_assert_msg(reads(text), "%s: %zu:%zu: %s: %s", text, bad.line, bad.column, error.field,
		      error.message);
}

/* The first definition. */
static const struct registration *read_one(const char *text)
{
	expect_good(text);
	ck_assert_uint_ge(n_found, 1);
	return found[0];
}

#define ONE    "'name':'a','ip':'10.0.0.1','port':80"
#define CONSUL "'name':'a','address':'10.0.0.1','port':80"

/* ---- Our form ---- */

START_TEST(reads_one_or_an_array)
{
	expect_good("{" ONE "}");
	ck_assert_uint_eq(n_found, 1);
	ck_assert_str_eq(found[0]->service, "a");
	ck_assert_uint_eq(found[0]->weight, 100);
	ck_assert_ptr_null(found[0]->file);
	expect_good(" \t\r\n[\n {" ONE "},\n\n  {" ONE ",'id':'x]}\\'','tags':['}']}\n]\n");
	ck_assert_uint_eq(n_found, 2);
	ck_assert_str_eq(found[1]->id, "x]}\"");
	ck_assert_uint_eq(places[0].line, 3);
	ck_assert_uint_eq(places[0].column, 2);
	ck_assert_uint_eq(places[1].line, 5);
	ck_assert_uint_eq(places[1].column, 3);
	expect_good("[]");
	ck_assert_uint_eq(n_found, 0);
}
END_TEST

/* ---- Consul's form ---- */

START_TEST(reads_consuls_form)
{
	expect_good("{'service':{" CONSUL "}}");
	ck_assert_uint_eq(n_found, 1);
	ck_assert_str_eq(found[0]->id, "10-0-0-1-80");
	ck_assert_uint_eq(found[0]->weight, 1);
	expect_good("{'services':[{" CONSUL "},{" CONSUL ",'id':'y'}]}");
	ck_assert_uint_eq(n_found, 2);
	expect_good("{'Services':[],\n'SERVICE':{" CONSUL "}}");
	ck_assert_uint_eq(n_found, 1);
	ck_assert_uint_eq(places[0].line, 2);
	ck_assert_uint_eq(places[0].column, 11);
}
END_TEST

START_TEST(consuls_fields_become_ours)
{
	const struct registration *one = read_one(
		"{'service':{'id':'redis-1','name':'redis','tags':['primary','v1'],'address':"
		"'2001:db8::1','meta':{'version':'7.2'},'port':6379,'enable_tag_override':true,"
		"'token':'secret','notes':null,'weights':{'passing':5,'warning':1},'check':{'id':"
		"'service:redis','name':'alive','tcp':'[2001:db8::1]:6380','interval':'10s',"
		"'timeout':'1s'},'checks':[{'http':'https://[2001:DB8:0::1]:8443/health?a=b',"
		"'method':'HEAD','header':{'X-Token':['abc'],'Accept':'*/*'},'interval':'5s',"
		"'success_before_passing':2,'failures_before_critical':3,'tls_server_name':"
		"'redis.example.org','status':'passing','notes':'by hand'},{'ttl':'30s'}]}}");

	ck_assert_str_eq(one->service, "redis");
	ck_assert_str_eq(one->id, "redis-1");
	ck_assert(one->address.has_v6 && !one->address.has_v4);
	ck_assert_uint_eq(one->port, 6379);
	ck_assert_uint_eq(one->weight, 5);
	ck_assert_uint_eq(one->n_tags, 2);
	ck_assert_str_eq(one->meta[0].value, "7.2");
	ck_assert_uint_eq(one->n_checks, 3);
	ck_assert_int_eq(one->checks[0].kind, CHECK_TCP);
	ck_assert_uint_eq(one->checks[0].port, 6380);
	ck_assert_uint_eq(one->checks[0].timeout_ms, 1000);
	ck_assert_uint_eq(one->checks[0].rise, 1);
	ck_assert_uint_eq(one->checks[0].fall, 1);
	ck_assert_int_eq(one->checks[1].kind, CHECK_HTTPS);
	ck_assert_uint_eq(one->checks[1].port, 8443);
	ck_assert_str_eq(one->checks[1].path, "/health?a=b");
	ck_assert_str_eq(one->checks[1].method, "HEAD");
	ck_assert_str_eq(one->checks[1].headers, "X-Token: abc\r\nAccept: */*\r\n");
	ck_assert_uint_eq(one->checks[1].timeout_ms, 5000);
	ck_assert_uint_eq(one->checks[1].rise, 2);
	ck_assert_uint_eq(one->checks[1].fall, 3);
	ck_assert_int_eq(one->checks[1].initial, STATUS_PASSING);
	ck_assert_str_eq(one->checks[1].server_name, "redis.example.org");
	ck_assert_int_eq(one->checks[2].kind, CHECK_TTL);
	ck_assert_uint_eq(one->checks[2].ttl_ms, 30000);
}
END_TEST

START_TEST(consuls_other_spelling_is_understood)
{
	const struct registration *one = read_one(
		"{'Service':{'ID':'x','Name':'a','Address':'10.0.0.1','Port':80,'EnableTagOverride':"
		"false,'Weights':{'Passing':7,'Warning':0},'Check':{'HTTP':'HTTP://10.0.0.1',"
		"'Interval':'20s','SuccessBeforePassing':0,'FailuresBeforeCritical':4,"
		"'DisableRedirects':true,'OutputMaxSize':10,'CheckID':'c'}}}");

	ck_assert_uint_eq(one->weight, 7);
	ck_assert_str_eq(one->checks[0].path, "/");
	ck_assert_uint_eq(one->checks[0].port, 80);
	ck_assert_uint_eq(one->checks[0].timeout_ms, 10000);
	ck_assert_uint_eq(one->checks[0].rise, 1);
	ck_assert_uint_eq(one->checks[0].fall, 4);
}
END_TEST

/* ---- Errors ---- */

struct bad_file {
	const char *text;
	size_t line, column;
	const char *field, *message;
};

static void expect_bad(const struct bad_file *files, size_t n)
{
	for (const struct bad_file *file = files; file < files + n; file++) {
		ck_assert_msg(!reads(file->text), "%s", file->text);
		ck_assert_msg(bad.line == file->line && bad.column == file->column &&
				      strcmp(error.field, file->field) == 0 &&
				      strstr(error.message, file->message),
			      "%s: %zu:%zu: %s: %s", file->text, bad.line, bad.column, error.field,
			      error.message);
		ck_assert(!error.no_memory);
	}
}

START_TEST(names_the_place_of_what_is_no_json)
{
	static const struct bad_file files[] = {
		{ "", 1, 1, "", "empty" },
		{ " \n \n", 3, 1, "", "empty" },
		{ "5", 1, 1, "", "expected an object" },
		{ "\xef\xbb\xbf{" ONE "}", 1, 1, "", "byte order mark" },
		{ "{" ONE ",\n 'tags':['\\u0000']}", 2, 17, "", "\"\\u0000\" is not allowed" },
		{ "'a'", 1, 1, "", "expected an object" },
		{ "{" ONE, 1, 38, "", "ends here" },
		{ "[{" ONE "},\n", 2, 1, "", "ends here" },
		{ "[{" ONE "}\n", 2, 1, "", "ends here" },
		{ "[{" ONE "} {" ONE "}]", 1, 41, "", "expected \",\" or \"]\"" },
		{ "[{" ONE "},]", 1, 41, "", "expected an object" },
		{ "[5]", 1, 2, "", "expected an object" },
		{ "[{},\n [{}]]", 1, 2, "name", "is required" },
		{ "{" ONE "}\nx", 2, 1, "", "behind the end" },
		{ "{" ONE ",\n 'tags':[}}", 2, 10, "", "no valid JSON" },
		{ "{" ONE ",\n 'port':80}", 2, 7, "", "duplicate" },
		{ "{'services':[", 1, 14, "", "ends here" },
		{ "{'services'", 1, 12, "", "ends here" },
		{ "{'services':[]", 1, 15, "", "ends here" },
		{ "{'services':[],", 1, 16, "", "ends here" },
		{ "{'services':[],5}", 1, 16, "", "expected a name" },
		{ "{'services':[] 'x':1}", 1, 16, "", "expected \",\"" },
		{ "{'services':[],'service' 5}", 1, 26, "", "expected \":\"" },
		{ "{'services':[],'services':[]}", 1, 27, "", "twice" },
		{ "{'services':{}}", 1, 13, "", "must be an array" },
		{ "{'service':5}", 1, 12, "", "expected an object" },
		{ "{'service':{" CONSUL "},\n'checks':[]}", 2, 1, "", "Consul's form" },
		{ "[{'x':[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}]", 1, 2, "", "levels" },
	};

	expect_bad(files, sizeof(files) / sizeof(files[0]));
}
END_TEST

START_TEST(names_the_place_of_a_wrong_field)
{
	static const struct bad_file files[] = {
		{ "{\n 'name':'a',\n 'ip':'10.0.0.1',\n 'port':0}", 4, 2, "port", "integer" },
		{ "{'name':'\u00e4',\n'port':1,'ip':'x'}", 1, 2, "name", "DNS label" },
		{ "{'name':'a',\n'\u00e4':'\u00e4','ip':'x'}", 2, 1, "\u00e4", "unknown" },
		{ "[{" ONE "},\n{'name':'a'}]", 2, 1, "port", "is required" },
		{ "{" ONE ",'checks':[{'kind':'tcp'},\n{'kind':'tcp',\n'interval':'0s'}]}", 3, 1,
		  "checks[1].interval", "duration" },
		{ "{" ONE ",'meta':{'a.b':'x',\n'a.b.c':5}}", 2, 1, "meta.a.b.c", "string" },
		{ "{" ONE ",\n'lease':'10s'}", 2, 1, "lease", "not for files" },
		{ "{" ONE ",\n'file':'x'}", 2, 1, "file", "unknown" },
		{ "{'service':{" CONSUL ",\n'Check':{\n'Args':['x'],'interval':'10s'}}}", 3, 1,
		  "Check.Args", "no programs" },
		{ "{'service':{" CONSUL ",\n'checks':[{},{}]}}", 2, 11, "checks[0].", "must have" },
		{ "{'service':{" CONSUL ",\n'check':{'http':'http://localhost:80/','interval':'1s'"
		  "}}}",
		  2, 10, "check.http", "not of \"localhost\"" },
	};

	expect_bad(files, sizeof(files) / sizeof(files[0]));
}
END_TEST

/* Errors go into the log, and files have tokens for checks. */
/* Who reads it has other things to do: it takes no longer than a body of HTTP does. */
START_TEST(a_definition_is_no_longer_than_over_http)
{
	static const char start[] = "{" ONE;
	char text[LIMIT_HTTP_SINGLE + 2] = "";

	memset(text, ' ', LIMIT_HTTP_SINGLE);
	memcpy(text, start, sizeof(start) - 1);
	text[LIMIT_HTTP_SINGLE - 1] = '}';
	expect_good(text);
	text[LIMIT_HTTP_SINGLE - 1] = ' ';
	text[LIMIT_HTTP_SINGLE] = '}';
	ck_assert(!reads(text));
	ck_assert_str_eq(error.message, "is too long: a registration has at most 65536 octets");
	ck_assert_uint_eq(bad.column, 1);
}
END_TEST

START_TEST(errors_say_nothing_of_what_is_in_the_file)
{
	static const char *const texts[] = {
		"{" ONE ",'checks':[{'kind':'http','headers':{'X' 'zebra'}}]}",
		"{" ONE ",'checks':[{'kind':'http','headers':{'X':'zebra' 'zebra'}}]}",
		"{" ONE ",'checks':[{'kind':'http','headers':{'X':zebra}}]}",
		"{" ONE ",'checks':[{'kind':'http','headers':{'X':'zebra\\u0001'}}]}",
		"{" ONE ",'checks':[{'kind':'http','headers':{'X':'zebra",
		"{'service':{" CONSUL ",'check':{'http':'http://zebra:zebra@10.0.0.1/'}}}",
		"{'service':{" CONSUL
		",'check':{'http':'http://10.0.0.1/','interval':'1s','header':"
		"{'X':['zebra','zebra']}}}}",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		ck_assert_msg(!reads(texts[i]), "%s", texts[i]);
		ck_assert_msg(!strstr(error.message, "zebra"), "%s", error.message);
		ck_assert_msg(!strstr(error.field, "zebra"), "%s", error.field);
	}
}
END_TEST

/* With these fields beside the ones that must be there. */
static void expect_refusals(const char *const (*rows)[3], size_t n)
{
	char text[1024];

	for (size_t i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "{'service':{" CONSUL ",%s}}", rows[i][0]);
		ck_assert_msg(!reads(text), "%s", text);
		ck_assert_msg(strcmp(error.field, rows[i][1]) == 0 &&
				      strstr(error.message, rows[i][2]),
			      "%s: %s: %s", text, error.field, error.message);
	}
}

START_TEST(refuses_of_consul_what_it_cannot_do)
{
	static const char *const rows[][3] = {
		{ "'connect':{}", "connect", "mesh" },
		{ "'kind':'connect-proxy'", "kind", "mesh" },
		{ "'tagged_addresses':{}", "tagged_addresses", "one address" },
		{ "'x':1", "x", "unknown" },
		{ "'Name':'b'", "Name", "twice" },
		{ "'weights':5", "weights", "object" },
		{ "'weights':{'passing':-1}", "weights.passing", "integer" },
		{ "'weights':{'x':1}", "weights.x", "unknown" },
		{ "'check':5", "check", "object" },
		{ "'checks':{}", "checks", "array" },
		{ "'checks':[5]", "checks[0]", "object" },
		{ "'check':{'x':1}", "check.x", "unknown" },
		{ "'check':{'grpc':'10.0.0.1:1'}", "check.grpc", "gRPC" },
		{ "'check':{'body':'x'}", "check.body", "body" },
		{ "'check':{'ttl':'10s','tcp':'10.0.0.1:80'}", "check.tcp", "one of" },
		{ "'check':{'ttl':10}", "check.ttl", "as a string" },
		{ "'check':{'ttl':'0s'}", "check.ttl", "duration" },
		{ "'check':{'ttl':'10s','failures_before_critical':1}",
		  "check.failures_before_critical", "at once" },
		{ "'check':{'tcp':'10.0.0.1:80'}", "check.interval", "required" },
		{ "'check':{'tcp':'10.0.0.1:80','interval':'x'}", "check.interval", "duration" },
		{ "'check':{'tcp':'10.0.0.1','interval':'1s'}", "check.tcp", "port" },
		{ "'check':{'tcp':'10.0.0.1:0','interval':'1s'}", "check.tcp", "port" },
		{ "'check':{'tcp':'10.0.0.1:99999','interval':'1s'}", "check.tcp", "port" },
		{ "'check':{'tcp':'10.0.0.1:8x','interval':'1s'}", "check.tcp", "port" },
		{ "'check':{'tcp':'10.0.0.2:80','interval':'1s'}", "check.tcp", "own" },
		{ "'check':{'tcp':'[]:80','interval':'1s'}", "check.tcp", "own" },
		{ "'check':{'tcp':5,'interval':'1s'}", "check.tcp", "port" },
		{ "'check':{'tcp':':80','interval':'1s'}", "check.tcp", "own" },
		{ "'check':{'http':'/health','interval':'1s'}", "check.http", "URL" },
		{ "'check':{'http':5,'interval':'1s'}", "check.http", "URL" },
		{ "'check':{'http':'http://u@10.0.0.1/','interval':'1s'}", "check.http",
		  "password" },
		{ "'check':{'http':'http://10.0.0.1/#a','interval':'1s'}", "check.http", "#" },
		{ "'check':{'http':'http://10.0.0.1/ a','interval':'1s'}", "check.http", "path" },
		{ "'check':{'http':'http://10.0.0.1/','interval':'1s','timeout':'2s'}",
		  "check.timeout", "longer" },
		{ "'check':{'http':'http://10.0.0.1/','interval':'1s','status':'x'}",
		  "check.status", "passing" },
		{ "'check':{'http':'http://10.0.0.1/','interval':'1s','header':5}", "check.header",
		  "object" },
		{ "'check':{'http':'http://10.0.0.1/','interval':'1s','header':{'a':[]}}",
		  "check.header", "one value" },
		{ "'check':{'http':'http://10.0.0.1/','interval':'1s','header':{'a':5}}",
		  "check.header.a", "string" },
		{ "'check':{'http':'http://10.0.0.1/','interval':'1s','tls_skip_verify':true}",
		  "check.tls_skip_verify", "https" },
		{ "'checks':[{'ttl':'1s'},{'ttl':'1s'},{'ttl':'1s'},{'ttl':'1s'},{'ttl':'1s'},"
		  "{'ttl':'1s'},{'ttl':'1s'},{'ttl':'1s'},{'ttl':'1s'}]",
		  "checks[8]", "at most 8" },
	};

	expect_refusals(rows, sizeof(rows) / sizeof(rows[0]));
}
END_TEST

START_TEST(consuls_address_must_be_there)
{
	static const struct bad_file files[] = {
		{ "{'service':{'name':'a','port':1}}", 1, 12, "address", "add \"address\"" },
		{ "{'service':{'name':'a','port':1,'address':''}}", 1, 33, "address",
		  "add \"address\"" },
		{ "{'service':{'name':'a','port':1,'Address':'host'}}", 1, 33, "Address",
		  "address" },
		{ "{'service':{'name':'a','port':1,'address':5}}", 1, 33, "address", "string" },
		{ "{'service':{'name':'a b','port':1,'address':'10.0.0.1'}}", 1, 13, "name",
		  "DNS label" },
	};

	expect_bad(files, sizeof(files) / sizeof(files[0]));
}
END_TEST

/* What an editor or a copy has written so far is never taken for the whole. */
START_TEST(no_beginning_of_a_file_is_good)
{
	static const char *const texts[] = {
		"{" ONE ",'tags':['a\\'b']}",
		"[{" ONE "},{" ONE ",'id':'x'}]",
		"{'services':[{" CONSUL "}],'service':{" CONSUL ",'check':{'ttl':'1s'}}}",
	};
	char part[512];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		expect_good(texts[i]);
		for (size_t len = 0; len < strlen(texts[i]); len++) {
			snprintf(part, len + 1, "%s", texts[i]);
			ck_assert_msg(!reads(part), "%s", part);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("codec_file");
	TCase *tcase = tcase_create("codec_file");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	tcase_add_checked_fixture(tcase, NULL, forget);
	tcase_add_test(tcase, reads_one_or_an_array);
	tcase_add_test(tcase, reads_consuls_form);
	tcase_add_test(tcase, consuls_fields_become_ours);
	tcase_add_test(tcase, consuls_other_spelling_is_understood);
	tcase_add_test(tcase, names_the_place_of_what_is_no_json);
	tcase_add_test(tcase, names_the_place_of_a_wrong_field);
	tcase_add_test(tcase, a_definition_is_no_longer_than_over_http);
	tcase_add_test(tcase, errors_say_nothing_of_what_is_in_the_file);
	tcase_add_test(tcase, refuses_of_consul_what_it_cannot_do);
	tcase_add_test(tcase, consuls_address_must_be_there);
	tcase_add_test(tcase, no_beginning_of_a_file_is_good);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
