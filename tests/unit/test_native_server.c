/* SPDX-License-Identifier: BSD-2-Clause */
/* What the server says of itself, and what became of what it was told to do. */
#include "../lib/exchange.h"
#include "../lib/world.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct world world;
static struct access_grant grants[] = {
	{ ACCESS_READ, (char[]){ "web" } },
	{ ACCESS_ADMIN, (char[]){ "pay-*" } },
	{ ACCESS_REGISTER, (char[]){ "cart" } },
};
static struct access_entry team = {
	.name = (char[]){ "team" },
	.identity = (char[]){ "team.example" },
	.grants = grants,
	.n_grants = 3,
};
static struct access known = { .entries = &team, .n = 1 };
static struct api api;
static struct api_reply reply;
static struct api_successor successor;
static const char *refusal; /* why it is not done; NULL: it is */
static bool is_ready;
static json_t *json; /* the reply's body */

static int on_reload(void *cookie, struct api_reload *result)
{
	(void)cookie;
	snprintf(result->reason, sizeof(result->reason), "%s", refusal ? refusal : "");
	result->fixed[result->n_fixed++] = "workers";
	return refusal ? 400 : 200;
}

static long on_replace(void *cookie, char *reason, size_t size)
{
	(void)cookie;
	snprintf(reason, size, "%s", refusal ? refusal : "");
	return refusal ? -1 : 77;
}

static void on_describe(void *cookie, struct api_server *server)
{
	(void)cookie;
	server->uptime_s = 1.5;
	server->successor = successor;
}

static bool on_is_ready(void *cookie)
{
	(void)cookie;
	return is_ready;
}

static void set_up(void)
{
	struct world_zone zone = { .origin = (char[]){ "service.local" } };
	char text[WORLD_MESSAGE_TEXT];

	world_init(&world, 7);
	ck_assert_int_eq(world_add_zone(&world, &zone, text, sizeof(text)), 0);
	refusal = NULL;
	is_ready = true;
	successor = (struct api_successor){ .pid = 0 };
	api = (struct api){
		.registry = world.registry,
		.catalog = world.catalog,
		.counters = &world.control,
		.is_ready = on_is_ready,
		.reload = on_reload,
		.replace = on_replace,
		.describe = on_describe,
	};
}

static void tear_down(void)
{
	exchange_end(&reply, &json);
	world_fini(&world);
}

/* As `team`, once api.access knows it. */
static int ask(enum api_method method, const char *path)
{
	const struct api_request request = {
		.method = method,
		.path = path,
		.identity = team.identity,
	};

	exchange(&api, &request, world.now_ms, &reply, &json);
	return reply.status;
}

static json_int_t number(const json_t *in, const char *key)
{
	return json_integer_value(json_object_get(in, key));
}

static const char *text_of(const json_t *in, const char *key)
{
	const char *text = json_string_value(json_object_get(in, key));

	return text ? text : "(none)";
}

/* The array of that name, as compact JSON. */
static void expect_array(const char *key, const char *wanted)
{
	char *found = json_dumps(json_object_get(json, key), JSON_COMPACT);

	ck_assert_ptr_nonnull(found);
	ck_assert_str_eq(found, wanted);
	free(found);
}

START_TEST(it_says_what_it_is)
{
	const json_t *zones;

	ck_assert_int_eq(ask(API_GET, "/server"), 200);
	ck_assert_int_eq(number(json, "pid"), getpid());
	ck_assert_str_eq(text_of(json, "version"), PACKAGE_VERSION);
	ck_assert(json_real_value(json_object_get(json, "uptime")) == 1.5);
	zones = json_object_get(json, "zones");
	ck_assert_uint_eq(json_array_size(zones), 1);
	ck_assert_str_eq(json_string_value(json_array_get(zones, 0)), "service.local");
	ck_assert_ptr_null(json_object_get(json, "replacement"));
	ck_assert_int_eq(ask(API_PUT, "/server"), 405);
}
END_TEST

START_TEST(who_may_replace_it_hears_what_became_of_that)
{
	const json_t *said;

	successor = (struct api_successor){ .pid = 77 };
	ck_assert_int_eq(ask(API_GET, "/server"), 200);
	said = json_object_get(json, "replacement");
	ck_assert_int_eq(number(said, "pid"), 77);
	ck_assert_str_eq(text_of(said, "status"), "running");

	/* A reason that was cut within a character is still said. */
	successor = (struct api_successor){ 77, true, "a.conf:1:2: no \xc3" };
	ask(API_GET, "/server");
	said = json_object_get(json, "replacement");
	ck_assert_str_eq(text_of(said, "status"), "failed");
	ck_assert_str_eq(text_of(said, "reason"), "a.conf:1:2: no ?");

	api.access = &known;
	ck_assert_int_eq(ask(API_GET, "/server"), 200);
	ck_assert_int_eq(number(json, "pid"), getpid());
	ck_assert_ptr_null(json_object_get(json, "replacement"));
}
END_TEST

START_TEST(rights_are_told_with_what_they_include)
{
	ck_assert_int_eq(ask(API_GET, "/server/access"), 200);
	ck_assert(json_is_null(json_object_get(json, "name")));
	expect_array("read", "[\"*\"]");
	expect_array("register", "[\"*\"]");
	expect_array("admin", "[\"*\"]");

	api.access = &known;
	ck_assert_int_eq(ask(API_GET, "/server/access"), 200);
	ck_assert_str_eq(text_of(json, "name"), "team");
	expect_array("read", "[\"web\",\"pay-*\",\"cart\"]");
	expect_array("register", "[\"pay-*\",\"cart\"]");
	expect_array("admin", "[\"pay-*\"]");
}
END_TEST

START_TEST(a_reload_says_why_not)
{
	char longest[API_REASON];

	ck_assert_int_eq(ask(API_POST, "/server/reload"), 200);
	ck_assert_str_eq(text_of(json, "status"), "reloaded");
	expect_array("takes_restart", "[\"workers\"]");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	refusal = longest;
	ck_assert_int_eq(ask(API_POST, "/server/reload"), 400);
	ck_assert_str_eq(text_of(json_object_get(json, "error"), "message"), longest);
	ck_assert_int_eq(ask(API_GET, "/server/reload"), 405);
}
END_TEST

START_TEST(a_replacement_is_begun_or_not)
{
	ck_assert_int_eq(ask(API_POST, "/server/replace"), 202);
	ck_assert_int_eq(number(json, "pid"), 77);
	ck_assert_int_eq(number(json, "replaces"), getpid());
	refusal = "one runs already";
	ck_assert_int_eq(ask(API_POST, "/server/replace"), 409);
	ck_assert_str_eq(text_of(json_object_get(json, "error"), "message"), refusal);
	/* The right for some services is none for the server. */
	api.access = &known;
	ck_assert_int_eq(ask(API_POST, "/server/replace"), 403);
}
END_TEST

START_TEST(a_zone_is_left_to_who_sends_it)
{
	static const uint8_t origin[] = "\7service\5local";

	ck_assert_int_eq(ask(API_GET, "/server/zones/service.local"), 200);
	ck_assert_uint_eq(reply.zone.len, sizeof(origin));
	ck_assert_int_eq(memcmp(reply.zone.origin, origin, sizeof(origin)), 0);
	ck_assert_int_eq(ask(API_GET, "/server/zones/SERVICE.Local."), 200);
	ck_assert_uint_eq(reply.zone.len, sizeof(origin));
	ck_assert_int_eq(ask(API_HEAD, "/server/zones/service.local"), 200);
	ck_assert_uint_eq(reply.zone.len, 0);
	ck_assert_str_eq(reply.content_type, "text/dns");
	for (const char *const *path =
		     (const char *const[]){ "local", "x.service.local", ".", "a..b", NULL };
	     *path; path++) {
		char whole[64];

		snprintf(whole, sizeof(whole), "/server/zones/%s", *path);
		ck_assert_msg(ask(API_GET, whole) == 404, "%s: %d", *path, reply.status);
		ck_assert_uint_eq(reply.zone.len, 0);
	}
	is_ready = false;
	ck_assert_int_eq(ask(API_GET, "/server/zones/service.local"), 503);
	ck_assert_uint_eq(reply.zone.len, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("native_server");
	TCase *tcase = tcase_create("native_server");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, it_says_what_it_is);
	tcase_add_test(tcase, who_may_replace_it_hears_what_became_of_that);
	tcase_add_test(tcase, rights_are_told_with_what_they_include);
	tcase_add_test(tcase, a_reload_says_why_not);
	tcase_add_test(tcase, a_replacement_is_begun_or_not);
	tcase_add_test(tcase, a_zone_is_left_to_who_sends_it);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
