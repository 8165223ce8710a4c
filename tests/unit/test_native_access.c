/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may take which route: the whole table of routes with no token, a wrong one and one for other
 * services, none of which changes anything or is told anything.
 */
#include "../lib/exchange.h"
#include "../lib/world.h"
#include "api/native.h"
#include "model/events.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* SHA-256 of the words before them. */
#define SHA256_ALL     "5ef5ef0364b6939c4ca61f34b393f7b368d1be8619647aaf83d5b395919ab629"
#define SHA256_OTHER   "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa"
#define SHA256_READ    "3316348dbadfb7b11c7c2ea235949419e23f9fa898ad2c198f999617912a9925"
#define SHA256_NOTHING "1785cfc3bc6ac7738e8b38cdccd1af12563c2b9070e07af336a1bf8c0f772b6a"

static struct world world;
static struct access known;
static struct events *events;
static struct api api;
static struct api_reply reply;
static json_t *json; /* the reply's body */
static bool is_poll; /* the reply is to come when something changes */
static char text[WORLD_MESSAGE_TEXT];
static const char *refusal; /* why reload and replace fail; empty: they do not */
static size_t n_asked;      /* how often they were called */

static bool on_publish(void *cookie)
{
	(void)cookie;
	return compile_run(world.compile, world.now_ms) == 0;
}

static size_t on_ask(void *cookie, uint8_t *message, size_t len)
{
	(void)cookie;
	return world_answer(&world, ANSWER_TCP, message, len);
}

static bool on_is_ready(void *cookie)
{
	(void)cookie;
	return true;
}

static const char *on_trouble(void *cookie)
{
	(void)cookie;
	return NULL;
}

static void on_read_metrics(void *cookie, struct api_metrics *metrics)
{
	(void)cookie;
	counters_read(&metrics->counters, &world.control);
}

static size_t on_count_watchers(void *cookie)
{
	(void)cookie;
	return 0;
}

static int on_reload(void *cookie, struct api_reload *result)
{
	(void)cookie;
	n_asked++;
	snprintf(result->reason, sizeof(result->reason), "%s", refusal);
	return *refusal ? 400 : 200;
}

static long on_replace(void *cookie, char *reason, size_t size)
{
	(void)cookie;
	n_asked++;
	snprintf(reason, size, "%s", refusal);
	return *refusal ? -1 : 77;
}

static void on_describe(void *cookie, struct api_server *server)
{
	(void)cookie;
	*server = (struct api_server){ .uptime_s = 1.5,
				       .successor = { 77, true, "rosterd.conf:1:1: no" } };
}

static struct access_entry *add_entry(const char *name, const char *sha256)
{
	struct access_entry *entry = &known.entries[known.n++];

	entry->name = strdup(name);
	entry->grants = calloc(2, sizeof(*entry->grants));
	entry->has_token = sha256;
	ck_assert(!sha256 || access_token_parse(sha256, entry->token));
	return entry;
}

static void grant(struct access_entry *entry, enum access_right right, const char *pattern)
{
	entry->grants[entry->n_grants++] = (struct access_grant){ right, strdup(pattern) };
}

static void add_entries(void)
{
	struct access_entry *other;

	known.entries = calloc(5, sizeof(*known.entries));
	grant(add_entry("all", SHA256_ALL), ACCESS_ADMIN, "*");
	other = add_entry("other", SHA256_OTHER);
	grant(other, ACCESS_ADMIN, "other-*");
	grant(other, ACCESS_ADMIN, "pa"); /* no prefix unless it says so */
	grant(add_entry("read", SHA256_READ), ACCESS_READ, "*");
	add_entry("nothing", SHA256_NOTHING);
	add_entry("certified", NULL)->identity = strdup("pay.example.net");
	grant(&known.entries[4], ACCESS_REGISTER, "pay");
}

static void add(const char *body)
{
	ck_assert_msg(world_register(&world, body, text) < 300, "%s", text);
}

static void set_up(void)
{
	struct world_zone zone = { .origin = (char[]){ "service.local" } };

	world_init(&world, 5);
	ck_assert_int_eq(world_add_zone(&world, &zone, text, sizeof(text)), 0);
	add("{\"name\":\"pay\",\"id\":\"a\",\"ip\":\"10.0.0.1\",\"port\":80,\"lease\":60}");
	add("{\"name\":\"other-x\",\"id\":\"a\",\"ip\":\"10.0.0.2\",\"port\":80}");
	refusal = "";
	n_asked = 0;
	events = events_new(registry_revision(world.registry));
	ck_assert_ptr_nonnull(events);
	add_entries();
	api = (struct api){
		.registry = world.registry,
		.compile = world.compile,
		.catalog = world.catalog,
		.events = events,
		.counters = &world.control,
		.access = &known,
		.is_ready = on_is_ready,
		.trouble = on_trouble,
		.publish = on_publish,
		.ask = on_ask,
		.read_metrics = on_read_metrics,
		.count_watchers = on_count_watchers,
		.reload = on_reload,
		.replace = on_replace,
		.describe = on_describe,
	};
}

static void tear_down(void)
{
	exchange_end(&reply, &json);
	access_fini(&known);
	events_free(events);
	world_fini(&world);
}

static int send_request(struct api_request *request)
{
	const struct address caller = { .has_v4 = true, .v4 = { 192, 0, 2, 1 } };

	request->caller = &caller;
	request->body_len = request->body ? strlen(request->body) : 0;
	exchange(&api, request, world.now_ms, &reply, &json);
	is_poll = reply.watch.wait != API_WAIT_NONE;
	return reply.status;
}

static int ask(const char *authorization, enum api_method method, const char *path,
	       const char *query, const char *body)
{
	struct api_request request = {
		.method = method,
		.path = path,
		.query = query,
		.body = body,
		.authorization = authorization,
	};

	return send_request(&request);
}

static const char *error_at(const json_t *in, const char *key)
{
	const char *found = json_string_value(json_object_get(json_object_get(in, "error"), key));

	return found ? found : "(none)";
}

static json_t *slot(size_t i)
{
	return json_array_get(json_object_get(json, "results"), i);
}

/* All that there is to read. The caller frees. */
static char *dump(void)
{
	char *all;

	ck_assert_int_eq(ask("Bearer all", API_GET, "/registry/services", NULL, NULL), 200);
	all = strndup(reply.body, reply.body_len);
	ck_assert_ptr_nonnull(strstr(all, "\"pay\""));
	return all;
}

/* ---- The walk ---- */

/* A request that every route takes, about "pay". */
static const struct {
	const char *path; /* a route's */
	enum api_method method;
	const char *asked, *query, *body;
	int status; /* for who may */
} requests[] = {
	{ "/registry/register", API_POST, NULL, NULL,
	  "{\"name\":\"pay\",\"id\":\"b\",\"ip\":\"10.0.0.9\",\"port\":80}", 201 },
	{ "/registry/heartbeat", API_POST, NULL, NULL,
	  "{\"service\":\"pay\",\"id\":\"a\",\"status\":\"critical\"}", 200 },
	{ "/registry/services", API_GET, NULL, NULL, NULL, 200 },
	{ "/registry/services/{service}", API_GET, "/registry/services/pay", NULL, NULL, 200 },
	{ "/registry/services/{service}/instances/{id}", API_GET,
	  "/registry/services/pay/instances/a", NULL, NULL, 200 },
	{ "/registry/services/{service}/instances/{id}/admin", API_PUT,
	  "/registry/services/pay/instances/a/admin", NULL, "{\"state\":\"drain\"}", 200 },
	{ "/registry/services/{service}/policy", API_PUT, "/registry/services/PAY/policy", NULL,
	  "{\"ttl\":9}", 200 },
	{ "/registry/why", API_GET, NULL, "name=pay.service.local", NULL, 200 },
	{ "/registry/prometheus", API_GET, NULL, NULL, NULL, 200 },
	{ "/registry/prometheus/{service}", API_GET, "/registry/prometheus/pay", NULL, NULL, 200 },
	{ "/registry/watch", API_GET, NULL, "service=pay", NULL, 200 },
	{ "/registry/deregister", API_POST, NULL, NULL, "{\"service\":\"pay\",\"id\":\"b\"}", 200 },
	{ "/registry/services/{service}/instances/{id}", API_DELETE,
	  "/registry/services/p%61y/instances/a", NULL, NULL, 200 },
	{ "/", API_GET, NULL, NULL, NULL, 302 },
	{ "/ui", API_GET, NULL, NULL, NULL, 302 },
	{ "/ui/", API_GET, NULL, NULL, NULL, 200 },
	{ "/ui/{file}", API_GET, "/ui/style.css", NULL, NULL, 200 },
	{ "/health/live", API_GET, NULL, NULL, NULL, 200 },
	{ "/health/ready", API_GET, NULL, NULL, NULL, 200 },
	{ "/metrics", API_GET, NULL, NULL, NULL, 200 },
	{ "/openapi.json", API_GET, NULL, NULL, NULL, 200 },
	{ "/server", API_GET, NULL, NULL, NULL, 200 },
	{ "/server/access", API_GET, NULL, NULL, NULL, 200 },
	{ "/server/reload", API_POST, NULL, NULL, NULL, 200 },
	{ "/server/replace", API_POST, NULL, NULL, NULL, 202 },
	{ "/server/zones/{zone}", API_GET, "/server/zones/Service.local.", NULL, NULL, 200 },
};
enum {
	N_REQUESTS = sizeof(requests) / sizeof(requests[0])
};

static const struct api_route *route_of(size_t i)
{
	for (size_t r = 0; r < native_n_routes; r++)
		if (native_routes[r].method == requests[i].method &&
		    strcmp(native_routes[r].path, requests[i].path) == 0)
			return &native_routes[r];
	ck_abort_msg("%s is no route", requests[i].path);
}

static int take(size_t i, const char *authorization)
{
	return ask(authorization, requests[i].method,
		   requests[i].asked ? requests[i].asked : requests[i].path, requests[i].query,
		   requests[i].body);
}

START_TEST(every_route_is_walked)
{
	for (size_t r = 0; r < native_n_routes; r++) {
		size_t n = 0;

		for (size_t i = 0; i < N_REQUESTS; i++)
			n += route_of(i) == &native_routes[r];
		ck_assert_msg(n == 1, "%s: %zu requests", native_routes[r].path, n);
	}
}
END_TEST

/* Takes every route; what is not open is refused with this status, and nothing changes. */
static void walk(const char *authorization, int status)
{
	uint64_t revision = registry_revision(world.registry);
	char *before = dump(), *after;

	for (size_t i = 0; i < N_REQUESTS; i++) {
		const struct api_route *route = route_of(i);
		int found = take(i, authorization);

		if (route->scope == API_OPEN || (route->scope == API_KNOWN && status == 403)) {
			ck_assert_msg(found == requests[i].status, "%s: %d", route->path, found);
			continue;
		}
		/* A list is of what may be read. */
		if (status == 403 && (strcmp(route->path, "/registry/services") == 0 ||
				      strcmp(route->path, "/registry/prometheus") == 0)) {
			if (found == 200)
				ck_assert_ptr_null(strstr(reply.body, "\"pay\""));
			continue;
		}
		ck_assert_msg(found == status, "%s: %d", route->path, found);
		ck_assert_str_eq(error_at(json, "code"),
				 status == 401 ? "unauthorized" : "forbidden");
		ck_assert(!is_poll && !reply.write && !reply.zone.len);
		ck_assert_ptr_null(strstr(reply.body, "10.0.0.1"));
	}
	after = dump();
	ck_assert_str_eq(after, before);
	ck_assert_uint_eq(registry_revision(world.registry), revision);
	ck_assert(!registry_is_dirty(world.registry));
	ck_assert_uint_eq(n_asked, 0);
	free(before);
	free(after);
}

START_TEST(without_a_token_nothing_is_done)
{
	walk(NULL, 401);
	ck_assert_uint_gt(world.control.access_unknown, 0);
	ck_assert_uint_eq(world.control.access_forbidden, 0);
}
END_TEST

START_TEST(with_a_wrong_token_nothing_is_done)
{
	walk("Bearer al", 401);
	walk("Basic all", 401);
	walk("Bearer " SHA256_ALL, 401);
	walk("", 401);
}
END_TEST

START_TEST(with_a_token_for_others_nothing_is_done)
{
	walk("Bearer other", 403);
	ck_assert_uint_gt(world.control.access_forbidden, 0);
	ck_assert_uint_eq(world.control.access_unknown, 0);
	ck_assert_uint_eq(world.control.refused_full, 0);
	walk("Bearer nothing", 403);
}
END_TEST

/* The order of the requests is one in which each finds what it is about. */
START_TEST(with_the_right_token_all_is_done)
{
	for (size_t i = 0; i < N_REQUESTS; i++) {
		int found = take(i, "Bearer all");

		ck_assert_msg(found == requests[i].status, "%s: %d %.*s", requests[i].path, found,
			      (int)reply.body_len, reply.body);
	}
	ck_assert_uint_eq(registry_count_instances(world.registry), 1);
	ck_assert_uint_eq(world.control.access_unknown + world.control.access_forbidden, 0);
}
END_TEST

START_TEST(each_route_takes_its_right)
{
	for (size_t i = 0; i < N_REQUESTS; i++) {
		const struct api_route *route = route_of(i);
		int found = take(i, "Bearer read");

		ck_assert_msg((found == 403) == (route->right > ACCESS_READ), "%s: %d", route->path,
			      found);
	}
}
END_TEST

/* ---- Services ---- */

START_TEST(an_array_is_looked_at_entry_by_entry)
{
	ck_assert_int_eq(ask("Bearer other", API_POST, "/registry/register", NULL,
			     "[{\"name\":\"other-y\",\"ip\":\"10.0.0.1\",\"port\":1},"
			     "{\"name\":\"pay\",\"ip\":\"10.0.0.7\",\"port\":1},"
			     "{\"name\":\"Other-Z\",\"ip\":\"10.0.0.1\",\"port\":0},"
			     "{\"name\":\"OTHER-Z\",\"ip\":\"10.0.0.1\",\"port\":1}]"),
			 207);
	ck_assert_int_eq(json_integer_value(json_object_get(slot(0), "status")), 201);
	ck_assert_int_eq(json_integer_value(json_object_get(slot(1), "status")), 403);
	ck_assert_str_eq(error_at(slot(1), "code"), "forbidden");
	ck_assert_str_eq(error_at(slot(1), "field"), "[1]");
	ck_assert_ptr_nonnull(strstr(error_at(slot(1), "message"), "register"));
	ck_assert_int_eq(json_integer_value(json_object_get(slot(2), "status")), 400);
	ck_assert_int_eq(json_integer_value(json_object_get(slot(3), "status")), 201);
	ck_assert_uint_eq(registry_find_service(world.registry, "pay")->n_instances, 1);
	ck_assert_uint_eq(world.control.access_forbidden, 1);
	ck_assert_uint_eq(world.control.refused_full, 0);
	ck_assert_int_eq(ask("Bearer other", API_POST, "/registry/heartbeat", NULL,
			     "[{\"service\":\"pay\",\"id\":\"a\",\"status\":\"critical\"},"
			     "{\"service\":\"gone\",\"id\":\"a\"},"
			     "{\"service\":\"other-x\",\"id\":\"a\",\"status\":\"critical\"}]"),
			 207);
	ck_assert_int_eq(json_integer_value(json_object_get(slot(0), "status")), 403);
	/* Nor is it told whether there is one. */
	ck_assert_int_eq(json_integer_value(json_object_get(slot(1), "status")), 403);
	ck_assert_int_eq(json_integer_value(json_object_get(slot(2), "status")), 200);
	ck_assert_int_eq(registry_find_service(world.registry, "pay")->instances[0]->status,
			 STATUS_PASSING);
}
END_TEST

START_TEST(a_list_has_what_may_be_read)
{
	ck_assert_int_eq(ask("Bearer other", API_GET, "/registry/services", NULL, NULL), 200);
	ck_assert_uint_eq(json_array_size(json_object_get(json, "services")), 1);
	ck_assert_ptr_nonnull(strstr(reply.body, "other-x"));
	ck_assert_int_eq(ask("Bearer other", API_GET, "/registry/prometheus", NULL, NULL), 200);
	ck_assert_uint_eq(json_array_size(json), 1);
	ck_assert_ptr_nonnull(strstr(reply.body, "other-x"));
	ck_assert_int_eq(ask("Bearer nothing", API_GET, "/registry/services", NULL, NULL), 403);
}
END_TEST

START_TEST(who_watches_all_may_read_all)
{
	ck_assert_int_eq(ask("Bearer other", API_GET, "/registry/watch", NULL, NULL), 403);
	ck_assert_int_eq(ask("Bearer other", API_GET, "/registry/watch", "service=pay", NULL), 403);
	ck_assert_int_eq(ask("Bearer other", API_GET, "/registry/watch", "service=other-new", NULL),
			 200);
	ck_assert(is_poll);
	ck_assert_int_eq(ask("Bearer read", API_GET, "/registry/watch", NULL, NULL), 200);
	ck_assert(is_poll);
}
END_TEST

/* What is no name of a service matches no pattern but that of all. */
START_TEST(paths_cannot_get_around_patterns)
{
	static const char *const paths[] = {
		"/registry/services/other-x%2f..%2fpay",
		"/registry/services/other-%2a",
		"/registry/services/other-x%20",
		"/registry/services/%2a",
		"/registry/services/.",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		ck_assert_int_eq(ask("Bearer other", API_GET, paths[i], NULL, NULL), 403);
		ck_assert_int_eq(ask("Bearer read", API_GET, paths[i], NULL, NULL), 404);
	}
	ck_assert_int_eq(ask("Bearer other", API_GET, "/registry/services/Other-%58", NULL, NULL),
			 200);
}
END_TEST

START_TEST(a_certificate_is_somebody)
{
	struct api_request request = {
		.method = API_DELETE,
		.path = "/registry/services/pay/instances/a",
		.identity = "pay.example.net",
	};

	request.authorization = "Bearer wrong";
	ck_assert_int_eq(send_request(&request), 401);
	request.authorization = NULL;
	request.identity = "pay.example.ne";
	ck_assert_int_eq(send_request(&request), 401);
	request.identity = "pay.example.net";
	ck_assert_int_eq(send_request(&request), 200);
	request.path = "/registry/services/other-x/instances/a";
	ck_assert_int_eq(send_request(&request), 403);
}
END_TEST

START_TEST(the_guard_stands_before_the_token)
{
	const struct guard guard = { .n_names = 0 };

	api.guard = &guard;
	ck_assert_int_eq(ask("Bearer all", API_GET, "/registry/services", NULL, NULL), 421);
	ck_assert_int_eq(ask(NULL, API_GET, "/registry/services", NULL, NULL), 421);
}
END_TEST

/* Who may not is told so at any time; who may is told to come again. */
START_TEST(while_loading_too)
{
	api.is_loading = true;
	ck_assert_int_eq(ask(NULL, API_GET, "/registry/services", NULL, NULL), 401);
	ck_assert_int_eq(ask("Bearer all", API_GET, "/registry/services", NULL, NULL), 503);
	ck_assert_int_eq(ask("Bearer nothing", API_GET, "/metrics", NULL, NULL), 200);
	ck_assert_int_eq(ask(NULL, API_GET, "/health/live", NULL, NULL), 200);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("native_access");
	TCase *tcase = tcase_create("native_access");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, every_route_is_walked);
	tcase_add_test(tcase, without_a_token_nothing_is_done);
	tcase_add_test(tcase, with_a_wrong_token_nothing_is_done);
	tcase_add_test(tcase, with_a_token_for_others_nothing_is_done);
	tcase_add_test(tcase, with_the_right_token_all_is_done);
	tcase_add_test(tcase, each_route_takes_its_right);
	tcase_add_test(tcase, an_array_is_looked_at_entry_by_entry);
	tcase_add_test(tcase, a_list_has_what_may_be_read);
	tcase_add_test(tcase, who_watches_all_may_read_all);
	tcase_add_test(tcase, paths_cannot_get_around_patterns);
	tcase_add_test(tcase, a_certificate_is_somebody);
	tcase_add_test(tcase, the_guard_stands_before_the_token);
	tcase_add_test(tcase, while_loading_too);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
