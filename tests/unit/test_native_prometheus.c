/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GET /registry/prometheus: what http_sd of Prometheus takes, whatever was registered. That it
 * does take it is the business of tests/daemon/d41_prometheus.py.
 */
#include "../lib/exchange.h"
#include "../lib/world.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static struct world world;
static struct api api;
static struct api_reply reply;
static json_t *json; /* the reply's body */
static char text[WORLD_MESSAGE_TEXT];

static void add(const char *body)
{
	ck_assert_msg(world_register(&world, body, text) < 300, "%s", text);
}

static void set_up(void)
{
	struct world_zone zone = { .origin = (char[]){ "service.local" } };

	world_init(&world, 5);
	ck_assert_int_eq(world_add_zone(&world, &zone, text, sizeof(text)), 0);
	api = (struct api){ .registry = world.registry, .counters = &world.control };
	add("{\"name\":\"pay\",\"id\":\"a\",\"ip\":\"10.0.0.1\",\"port\":80,"
	    "\"ports\":{\"metrics\":9100},\"tags\":[\"eu\",\"v2\"],\"version\":\"1.2\"}");
	add("{\"name\":\"other\",\"id\":\"six\",\"ip\":\"2001:db8::2\",\"port\":81}");
}

static void tear_down(void)
{
	exchange_end(&reply, &json);
	world_fini(&world);
}

static int get(const char *path, const char *query)
{
	const struct api_request request = { .method = API_GET, .path = path, .query = query };

	exchange(&api, &request, world.now_ms, &reply, &json);
	ck_assert_ptr_nonnull(json);
	ck_assert_str_eq(reply.content_type, "application/json");
	return reply.status;
}

static size_t count(const char *path, const char *query)
{
	ck_assert_int_eq(get(path, query), 200);
	ck_assert(json_is_array(json));
	return json_array_size(json);
}

static const char *target(size_t i)
{
	const json_t *targets = json_object_get(json_array_get(json, i), "targets");

	ck_assert_uint_eq(json_array_size(targets), 1);
	return json_string_value(json_array_get(targets, 0));
}

static const char *label(size_t i, const char *name)
{
	const json_t *labels = json_object_get(json_array_get(json, i), "labels");
	const char *value;
	char whole[400];

	snprintf(whole, sizeof(whole), "__meta_rosterd_%s", name);
	value = json_string_value(json_object_get(labels, whole));
	return value ? value : "(none)";
}

START_TEST(an_instance_is_a_target)
{
	ck_assert_uint_eq(count("/registry/prometheus/pay", NULL), 1);
	ck_assert_str_eq(target(0), "10.0.0.1:80");
	ck_assert_str_eq(label(0, "service"), "pay");
	ck_assert_str_eq(label(0, "instance"), "a");
	ck_assert_str_eq(label(0, "tags"), ",eu,v2,");
	ck_assert_str_eq(label(0, "version"), "1.2");
	ck_assert_str_eq(label(0, "meta_version"), "1.2");
	ck_assert_str_eq(label(0, "status"), "passing");
	ck_assert_str_eq(label(0, "admin"), "auto");
	ck_assert_uint_eq(count("/registry/prometheus/PAY", NULL), 1);
	ck_assert_uint_eq(count("/registry/prometheus", NULL), 2);
}
END_TEST

START_TEST(who_is_down_is_one_too)
{
	ck_assert_int_eq(
		world_heartbeat(&world,
				"{\"service\":\"pay\",\"id\":\"a\",\"status\":\"critical\"}", text),
		200);
	ck_assert_int_eq(world_admin(&world, "pay", "a", "{\"state\":\"drain\"}", text), 200);
	ck_assert_uint_eq(count("/registry/prometheus/pay", NULL), 1);
	ck_assert_str_eq(label(0, "status"), "critical");
	ck_assert_str_eq(label(0, "admin"), "drain");
}
END_TEST

START_TEST(ipv6_is_in_brackets)
{
	add("{\"name\":\"both\",\"ip\":\"10.0.0.3\",\"ipv6\":\"2001:db8::3\",\"port\":82}");
	ck_assert_uint_eq(count("/registry/prometheus/other", NULL), 1);
	ck_assert_str_eq(target(0), "[2001:db8::2]:81");
	ck_assert_str_eq(label(0, "tags"), "(none)");
	ck_assert_str_eq(label(0, "version"), "(none)");
	ck_assert_uint_eq(count("/registry/prometheus/both", NULL), 1);
	ck_assert_str_eq(target(0), "10.0.0.3:82");
}
END_TEST

START_TEST(a_named_port)
{
	ck_assert_uint_eq(count("/registry/prometheus", "port=Metrics"), 1);
	ck_assert_str_eq(target(0), "10.0.0.1:9100");
	ck_assert_uint_eq(count("/registry/prometheus/pay", "port=web"), 0);
	ck_assert_int_eq(get("/registry/prometheus/pay", "port="), 400);
	ck_assert_int_eq(get("/registry/prometheus", "port=a.b"), 400);
	ck_assert_int_eq(get("/registry/prometheus", "port=%zz"), 400);
}
END_TEST

/* An error would keep the targets of a service that has left for ever. */
START_TEST(a_service_that_is_gone_has_none)
{
	ck_assert_uint_eq(count("/registry/prometheus/none", NULL), 0);
	ck_assert_uint_eq(count("/registry/prometheus/a.b", NULL), 0);
	ck_assert_int_eq(world_deregister(&world, "pay", "a", text), 200);
	ck_assert_uint_eq(count("/registry/prometheus/pay", NULL), 0);
	ck_assert_uint_eq(count("/registry/prometheus", NULL), 1);
}
END_TEST

START_TEST(one_that_is_just_gone_is_none)
{
	world.is_held = true;
	ck_assert_int_eq(world_deregister(&world, "pay", "a", text), 200);
	ck_assert_uint_eq(count("/registry/prometheus/pay", NULL), 0);
	world_release(&world);
}
END_TEST

START_TEST(labels_are_clean_and_different)
{
	add("{\"name\":\"meta\",\"id\":\"x\",\"ip\":\"10.0.0.4\",\"port\":80,\"meta\":{"
	    "\"a-b\":\"first\",\"a_b\":\"itself\",\"a.b\":\"last\","
	    "\"gr\xc3\xb6\xc3\x9f"
	    "e m\":\"1\",\"c d\":\"first\",\"c/d\":\"last\","
	    "\"9\":\"\xe2\x82\xac \\\"\\\\\"}}");
	ck_assert_uint_eq(count("/registry/prometheus/meta", NULL), 1);
	ck_assert_str_eq(label(0, "meta_a_b"), "itself");
	ck_assert_str_eq(label(0, "meta_c_d"), "first");
	ck_assert_str_eq(label(0, "meta_gr__e_m"), "1");
	ck_assert_str_eq(label(0, "meta_9"), "\xe2\x82\xac \"\\");
	ck_assert_uint_eq(json_object_size(json_object_get(json_array_get(json, 0), "labels")), 8);
}
END_TEST

START_TEST(the_longest_of_all)
{
	char key[LIMIT_META_TEXT], body[2048], tag[LIMIT_LABEL + 1], wanted[LIMIT_TAGS_TEXT + 3];

	memset(key, 'k', sizeof(key));
	key[sizeof(key) - 1] = '\0';
	memset(tag, 't', sizeof(tag));
	tag[LIMIT_LABEL] = '\0';
	snprintf(wanted, sizeof(wanted), ",1%.61s,2%.61s,3%.61s,4%.60s,", tag, tag, tag, tag);
	snprintf(body, sizeof(body),
		 "{\"name\":\"long\",\"id\":\"x\",\"ip\":\"10.0.0.4\",\"port\":80,"
		 "\"meta\":{\"%s\":\"\"},\"tags\":[\"1%.61s\",\"2%.61s\",\"3%.61s\",\"4%.60s\"]}",
		 key, tag, tag, tag, tag);
	ck_assert_uint_eq(strlen(wanted), LIMIT_TAGS_TEXT + 2);
	add(body);
	ck_assert_uint_eq(count("/registry/prometheus/long", NULL), 1);
	ck_assert_str_eq(label(0, "tags"), wanted);
	snprintf(body, sizeof(body), "meta_%s", key);
	ck_assert_str_eq(label(0, body), "");
}
END_TEST

/* Prometheus cannot ask for the rest: a part of them would look like all. */
START_TEST(too_many_are_refused_as_a_whole)
{
	char body[128];

	world.is_held = true;
	for (int i = 1; i < LIMIT_LIST_INSTANCES; i++) {
		snprintf(body, sizeof(body),
			 "{\"name\":\"many\",\"id\":\"%d\",\"ip\":\"10.1.%d.%d\",\"port\":80}", i,
			 i / 250, i % 250 + 1);
		add(body);
	}
	world_release(&world);
	ck_assert_uint_eq(count("/registry/prometheus/many", NULL), LIMIT_LIST_INSTANCES - 1);
	ck_assert_int_eq(get("/registry/prometheus", NULL), 413);
	ck_assert_uint_eq(count("/registry/prometheus/pay", NULL), 1);
	add("{\"name\":\"many\",\"id\":\"a\",\"ip\":\"10.0.0.1\",\"port\":80}");
	ck_assert_uint_eq(count("/registry/prometheus/many", NULL), LIMIT_LIST_INSTANCES);
	add("{\"name\":\"many\",\"id\":\"b\",\"ip\":\"10.0.0.1\",\"port\":80}");
	ck_assert_int_eq(get("/registry/prometheus/many", NULL), 413);
	ck_assert_ptr_nonnull(strstr(reply.body, "10000 instances"));
}
END_TEST

int main(void)
{
	Suite *const suite = suite_create("native_prometheus");
	TCase *const tcase = tcase_create("native_prometheus");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, an_instance_is_a_target);
	tcase_add_test(tcase, who_is_down_is_one_too);
	tcase_add_test(tcase, ipv6_is_in_brackets);
	tcase_add_test(tcase, a_named_port);
	tcase_add_test(tcase, a_service_that_is_gone_has_none);
	tcase_add_test(tcase, one_that_is_just_gone_is_none);
	tcase_add_test(tcase, labels_are_clean_and_different);
	tcase_add_test(tcase, the_longest_of_all);
	tcase_add_test(tcase, too_many_are_refused_as_a_whole);
	suite_add_tcase(suite, tcase);
	SRunner *const runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	const int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
