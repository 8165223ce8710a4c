/* SPDX-License-Identifier: BSD-2-Clause */
#include "../lib/exchange.h"
#include "api/native.h"

#include "api/native_write.h"
#include "base/buf.h"
#include "model/catalog.h"

#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum {
	T0_MS = 1000000,
	REVISION = 41,
};

static struct api api;
static struct counters counters;
static struct catalog *catalog;
static struct address caller;
static struct api_reply reply;
static json_t *json; /* the reply's body */
static bool is_ready, can_publish;
static const char *trouble;
static bool waited; /* the request was one for the disk */

static bool on_is_ready(void *cookie)
{
	(void)cookie;
	return is_ready;
}

static const char *on_trouble(void *cookie)
{
	(void)cookie;
	return trouble;
}

/* Nothing compiles here: nobody was ever answered. */
static bool on_publish(void *cookie)
{
	struct service *service;

	(void)cookie;
	while ((service = registry_take_dirty(api.registry)))
		registry_clean(api.registry, service);
	return can_publish;
}

static size_t on_count_watchers(void *cookie)
{
	(void)cookie;
	return 3;
}

static void on_read_metrics(void *cookie, struct api_metrics *metrics)
{
	(void)cookie;
	counters_read(&metrics->counters, &counters);
	answer_counts_query(&metrics->answers, ANSWER_TCP, RR_CAA);
	answer_counts_query(&metrics->answers, ANSWER_UDP, RR_A);
	answer_counts_query(&metrics->answers, ANSWER_UDP, RR_CAA + 1);
	answer_counts_query(&metrics->answers, ANSWER_UDP, 65535);
	histogram_observe(&metrics->answers.latency[ANSWER_UDP], 5000, 3);
	histogram_observe(&metrics->rounds, 2000000, 1);
	counters_add(&metrics->answers.outside, 7);
}

/* Names with a zone file's record. */
static bool on_collides(void *cookie, const struct registration *registration, char *name,
			size_t name_size)
{
	(void)cookie;
	snprintf(name, name_size, "%s.service.local", registration->service);
	return strcmp(registration->service, "www") == 0;
}

static void set_up(void)
{
	const struct registry_options options = {
		.revision = REVISION,
		.ttl_s = 5,
		.counters = &counters,
		.collides = on_collides,
	};
	const char *reason;

	memset(&counters, 0, sizeof(counters));
	is_ready = can_publish = true;
	trouble = NULL;
	catalog = catalog_new();
	ck_assert_ptr_nonnull(catalog);
	api = (struct api){
		.registry = registry_new(&options),
		.is_ready = on_is_ready,
		.trouble = on_trouble,
		.publish = on_publish,
		.counters = &counters,
		.catalog = catalog,
		.read_metrics = on_read_metrics,
		.count_watchers = on_count_watchers,
	};
	ck_assert_ptr_nonnull(api.registry);
	caller = (struct address){ .has_v4 = false };
	ck_assert(record_address_parse("127.0.0.1", &caller, &reason));
}

static void tear_down(void)
{
	exchange_end(&reply, &json);
	registry_free(api.registry);
	catalog_free(catalog);
}

/* Sends a request; the status of the reply, whose body is in `json` where it is JSON. */
static int ask(enum api_method method, const char *path, const char *query, const char *body)
{
	const struct api_request request = {
		.method = method,
		.path = path,
		.query = query,
		.body = body,
		.body_len = body ? strlen(body) : 0,
		.caller = &caller,
	};

	waited = exchange(&api, &request, T0_MS, &reply, &json);
	return reply.status;
}

static int post(const char *path, const char *body)
{
	return ask(API_POST, path, NULL, body);
}

static int get(const char *path)
{
	return ask(API_GET, path, NULL, NULL);
}

static const char *text_at(const json_t *in, const char *key)
{
	const char *text = json_string_value(json_object_get(in, key));

	return text ? text : "(none)";
}

static json_int_t number_at(const json_t *in, const char *key)
{
	ck_assert_msg(json_is_integer(json_object_get(in, key)), "%s", key);
	return json_integer_value(json_object_get(in, key));
}

static const char *error_at(const json_t *in, const char *key)
{
	return text_at(json_object_get(in, "error"), key);
}

/* The slot of an array's reply. */
static json_t *slot(size_t i)
{
	return json_array_get(json_object_get(json, "results"), i);
}

static void register_one(const char *service, const char *id)
{
	char body[256];

	snprintf(body, sizeof(body),
		 "{\"name\":\"%s\",\"id\":\"%s\",\"ip\":\"10.0.0.1\",\"port\":1}", service, id);
	ck_assert_int_eq(post("/registry/register", body), 201);
}

/* ---- Registering ---- */

START_TEST(registers_one)
{
	const char *body = "{\"name\":\"payment\",\"ip\":\"10.0.0.1\",\"port\":8080}";

	ck_assert_int_eq(post("/registry/register", body), 201);
	ck_assert_str_eq(text_at(json, "service"), "payment");
	ck_assert_str_eq(text_at(json, "id"), "10-0-0-1-8080");
	ck_assert_str_eq(text_at(json, "name"), "10-0-0-1-8080");
	ck_assert_str_eq(text_at(json, "health"), "passing");
	ck_assert_int_eq(number_at(json, "revision"), REVISION + 1);
	ck_assert_int_eq(post("/registry/register", body), 200);
	ck_assert_int_eq(number_at(json, "revision"), REVISION + 1);
	ck_assert_uint_eq(registry_count_instances(api.registry), 1);
}
END_TEST

START_TEST(a_refused_registration_changes_nothing)
{
	ck_assert_int_eq(
		post("/registry/register", "{\"name\":\"a\",\"ip\":\"10.0.0.1\",\"port\":0}"), 400);
	ck_assert_str_eq(error_at(json, "code"), "bad-request");
	ck_assert_str_eq(error_at(json, "field"), "port");
	ck_assert_int_eq(post("/registry/register", "{\"name\":"), 400);
	ck_assert_ptr_null(json_object_get(json_object_get(json, "error"), "field"));
	ck_assert_int_eq(post("/registry/register", NULL), 400);
	ck_assert_int_eq(post("/registry/register", "\"x\""), 400);
	ck_assert_int_eq(
		post("/registry/register", "{\"name\":\"www\",\"ip\":\"10.0.0.1\",\"port\":1}"),
		409);
	ck_assert_str_eq(error_at(json, "code"), "conflict");
	ck_assert_ptr_nonnull(strstr(error_at(json, "message"), "www"));
	ck_assert_uint_eq(registry_count_instances(api.registry), 0);
	ck_assert_uint_eq(registry_revision(api.registry), REVISION);
}
END_TEST

START_TEST(checks_of_loopback_addresses_may_be_refused)
{
	const char *checked = "{\"name\":\"a\",\"ip\":\"127.0.0.1\",\"port\":1,\"health\":\"/\"}";

	api.refuses_loopback_checks = true;
	ck_assert_int_eq(post("/registry/register", checked), 400);
	ck_assert_str_eq(error_at(json, "field"), "checks");
	ck_assert_ptr_nonnull(strstr(error_at(json, "message"), "check-loopback"));
	ck_assert_uint_eq(registry_count_instances(api.registry), 0);
	ck_assert_int_eq(
		post("/registry/register", "{\"name\":\"a\",\"ip\":\"127.0.0.1\",\"port\":1}"),
		201);
	ck_assert_int_eq(post("/registry/register", "{\"name\":\"b\",\"ip\":\"10.0.0.1\","
						    "\"port\":1,\"health\":\"/\"}"),
			 201);
	api.refuses_loopback_checks = false;
	ck_assert_int_eq(post("/registry/register", checked), 200);
}
END_TEST

START_TEST(an_array_with_one_bad_entry_applies_the_others)
{
	ck_assert_int_eq(post("/registry/register",
			      "[{\"name\":\"a\",\"ip\":\"10.0.0.1\",\"port\":1},"
			      "{\"name\":\"a\",\"ip\":\"10.0.0.2\",\"port\":70000},"
			      "{\"name\":\"a\",\"ip\":\"10.0.0.3\",\"port\":1,\"checks\":[{}]},"
			      "7,"
			      "{\"name\":\"b\",\"ip\":\"10.0.0.1\",\"port\":1}]"),
			 207);
	ck_assert_uint_eq(json_array_size(json_object_get(json, "results")), 5);
	ck_assert_int_eq(number_at(slot(0), "status"), 201);
	ck_assert_str_eq(text_at(slot(0), "service"), "a");
	ck_assert_str_eq(text_at(slot(0), "id"), "10-0-0-1-1");
	ck_assert_int_eq(number_at(slot(1), "status"), 400);
	ck_assert_str_eq(error_at(slot(1), "field"), "[1].port");
	ck_assert_str_eq(error_at(slot(2), "field"), "[2].checks[0].kind");
	ck_assert_str_eq(error_at(slot(3), "field"), "[3]");
	ck_assert_int_eq(number_at(slot(4), "status"), 201);
	ck_assert_int_eq(number_at(json, "revision"), REVISION + 2);
	ck_assert_uint_eq(registry_count_instances(api.registry), 2);
}
END_TEST

START_TEST(the_status_of_an_array)
{
	const char *good = "[{\"name\":\"a\",\"ip\":\"10.0.0.1\",\"port\":1}]";

	ck_assert_int_eq(post("/registry/register", good), 201);
	ck_assert_int_eq(post("/registry/register", good), 200);
	ck_assert_int_eq(post("/registry/register",
			      "[{\"name\":\"www\",\"ip\":\"10.0.0.1\",\"port\":1},{}]"),
			 409);
	ck_assert_uint_eq(json_array_size(json_object_get(json, "results")), 2);
	ck_assert_int_eq(post("/registry/register", "[]"), 400);
}
END_TEST

START_TEST(the_same_instance_twice_is_applied_in_order)
{
	ck_assert_int_eq(post("/registry/register",
			      "[{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":1},"
			      "{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.2\",\"port\":2}]"),
			 201);
	ck_assert_int_eq(number_at(slot(0), "status"), 201);
	ck_assert_int_eq(number_at(slot(1), "status"), 200);
	ck_assert_int_eq(get("/registry/services/a/instances/x"), 200);
	ck_assert_str_eq(text_at(json, "ip"), "10.0.0.2");
	ck_assert_int_eq(number_at(json, "port"), 2);
}
END_TEST

/* An array of `n` registrations. */
static void print_array(struct buf *body, size_t n)
{
	buf_init(body);
	for (size_t i = 0; i < n; i++)
		buf_print(body, "%c{\"name\":\"a\",\"ip\":\"10.0.0.1\",\"port\":%zu}",
			  i ? ',' : '[', i + 1);
	buf_print(body, "]");
}

START_TEST(bounds_arrays)
{
	struct buf body;

	print_array(&body, LIMIT_REGISTER_ARRAY + 1);
	ck_assert_int_eq(post("/registry/register", body.data), 413);
	ck_assert_str_eq(error_at(json, "code"), "too-large");
	ck_assert_uint_eq(counters.limit_register_array, 1);
	ck_assert_uint_eq(counters.limit_heartbeat_array, 0);
	ck_assert_uint_eq(registry_count_instances(api.registry), 0);
	buf_fini(&body);
	print_array(&body, LIMIT_REGISTER_ARRAY);
	ck_assert_int_eq(post("/registry/register", body.data), 201);
	ck_assert_uint_eq(registry_count_instances(api.registry), LIMIT_REGISTER_ARRAY);
	buf_fini(&body);
}
END_TEST

/* ---- Heartbeats ---- */

START_TEST(heartbeats)
{
	register_one("a", "x");
	ck_assert_int_eq(post("/registry/heartbeat", "{\"service\":\"a\"}"), 200);
	ck_assert_str_eq(text_at(json, "id"), "x");
	ck_assert_str_eq(text_at(json, "health"), "passing");
	ck_assert_int_eq(
		post("/registry/heartbeat",
		     "{\"service\":\"a\",\"id\":\"x\",\"status\":\"critical\",\"output\":\"o\"}"),
		200);
	ck_assert_str_eq(text_at(json, "health"), "critical");
	ck_assert_int_eq(number_at(json, "revision"), (json_int_t)registry_revision(api.registry));
	ck_assert_int_eq(get("/registry/services/a/instances/x"), 200);
	ck_assert_str_eq(text_at(json, "output"), "o");
	ck_assert(json_is_false(json_object_get(json, "healthy")));
}
END_TEST

START_TEST(unknown_and_ambiguous_heartbeats)
{
	const char *message;

	ck_assert_int_eq(post("/registry/heartbeat", "{\"service\":\"a\",\"id\":\"x\"}"), 404);
	ck_assert_str_eq(error_at(json, "code"), "not-found");
	message = error_at(json, "message");
	ck_assert_str_eq(message + strlen(message) - strlen("register again"), "register again");
	register_one("a", "x");
	register_one("a", "y");
	ck_assert_int_eq(post("/registry/heartbeat", "{\"service\":\"a\"}"), 400);
	ck_assert_int_eq(post("/registry/heartbeat", "[{\"service\":\"a\",\"id\":\"y\"},"
						     "{\"service\":\"a\",\"id\":\"z\"}]"),
			 207);
	ck_assert_int_eq(number_at(slot(0), "status"), 200);
	ck_assert_int_eq(number_at(slot(1), "status"), 404);
	ck_assert_str_eq(error_at(slot(1), "field"), "[1]");
}
END_TEST

/* ---- Deregistering ---- */

START_TEST(deregisters)
{
	register_one("a", "x");
	register_one("a", "y/z");
	ck_assert_int_eq(post("/registry/deregister", "{\"service\":\"a\",\"id\":\"x\"}"), 200);
	ck_assert_str_eq(text_at(json, "id"), "x");
	ck_assert_int_eq(number_at(json, "revision"), REVISION + 3);
	ck_assert_int_eq(post("/registry/deregister", "{\"service\":\"a\",\"id\":\"x\"}"), 404);
	ck_assert_int_eq(ask(API_DELETE, "/registry/services/A/instances/y%2Fz", NULL, NULL), 200);
	ck_assert_str_eq(text_at(json, "service"), "a");
	ck_assert_str_eq(text_at(json, "id"), "y/z");
	ck_assert_int_eq(ask(API_DELETE, "/registry/services/a/instances/y", NULL, NULL), 404);
	ck_assert_int_eq(ask(API_DELETE, "/registry/services/a.b/instances/y", NULL, NULL), 404);
	ck_assert_uint_eq(registry_count_instances(api.registry), 0);
	ck_assert_int_eq(post("/registry/deregister", "[{\"service\":\"a\",\"id\":\"x\"}]"), 400);
}
END_TEST

/* ---- Policy ---- */

static int put_policy(const char *path, const char *body)
{
	return ask(API_PUT, path, NULL, body);
}

START_TEST(sets_a_policy)
{
	static const char path[] = "/registry/services/A/policy";

	register_one("a", "x");
	ck_assert_int_eq(put_policy(path, "{\"ttl\":\"30s\",\"answer_limit\":2}"), 200);
	ck_assert_int_eq(number_at(json, "revision"), REVISION + 2);
	ck_assert_int_eq(get("/registry/services/a"), 200);
	ck_assert_int_eq(number_at(json, "ttl"), 30);
	ck_assert_int_eq(number_at(json, "answer_limit"), 2);
	ck_assert_str_eq(text_at(json, "failure"), "empty");
	ck_assert(json_number_value(json_object_get(json, "panic_threshold")) == 0);
	ck_assert_int_eq(put_policy(path, "{\"failure\":\"last\",\"panic_threshold\":0.3}"), 200);
	ck_assert_int_eq(number_at(json, "revision"), REVISION + 3);
	ck_assert_int_eq(put_policy(path, "{\"failure\":\"last\",\"panic_threshold\":0.3}"), 200);
	ck_assert_int_eq(number_at(json, "revision"), REVISION + 3);
	ck_assert_int_eq(get("/registry/services/a"), 200);
	ck_assert_str_eq(text_at(json, "failure"), "last");
	ck_assert(json_number_value(json_object_get(json, "panic_threshold")) == 0.3);
	ck_assert_int_eq(put_policy(path, "{\"answer_limit\":0}"), 200);
	ck_assert_int_eq(number_at(json, "revision"), REVISION + 4);
	ck_assert_int_eq(get("/registry/services/a"), 200);
	ck_assert_int_eq(number_at(json, "ttl"), 30);
	ck_assert_int_eq(number_at(json, "answer_limit"), 0);
}
END_TEST

START_TEST(sets_an_admin_state)
{
	static const char path[] = "/registry/services/A/instances/x/admin";

	register_one("a", "x");
	ck_assert_int_eq(put_policy(path, "{\"state\":\"up\"}"), 200);
	ck_assert_str_eq(text_at(json, "admin"), "up");
	ck_assert_int_eq(number_at(json, "revision"), REVISION + 2);
	ck_assert_ptr_null(json_object_get(json, "safe_after"));
	ck_assert_int_eq(put_policy(path, "{\"state\":\"drain\"}"), 200);
	ck_assert_str_eq(text_at(json, "admin"), "drain");
	ck_assert_int_eq(number_at(json, "revision"), REVISION + 3);
	ck_assert(json_number_value(json_object_get(json, "safe_after")) > 1e9);
	ck_assert(json_number_value(json_object_get(json, "safe_after_s")) == 0);
	ck_assert_int_eq(get("/registry/services/a/instances/x"), 200);
	ck_assert_str_eq(text_at(json, "admin"), "drain");
	ck_assert_str_eq(text_at(json, "reason"), "admin drain");
	ck_assert(json_is_true(json_object_get(json, "healthy")));
	/* It is an operator's word: whoever registers again does not undo it. */
	ck_assert_int_eq(post("/registry/register", "{\"name\":\"a\",\"id\":\"x\",\"port\":99,"
						    "\"ip\":\"10.0.0.7\"}"),
			 200);
	ck_assert_int_eq(get("/registry/services/a/instances/x"), 200);
	ck_assert_str_eq(text_at(json, "admin"), "drain");
	can_publish = false;
	ck_assert_int_eq(put_policy(path, "{\"state\":\"down\"}"), 503);
	ck_assert_int_eq(put_policy(path, "{\"state\":\"auto\"}"), 200);
}
END_TEST

START_TEST(a_refused_admin_state_changes_nothing)
{
	static const char path[] = "/registry/services/a/instances/x/admin";

	ck_assert_int_eq(put_policy(path, "{\"state\":\"up\"}"), 404);
	register_one("a", "x");
	ck_assert_int_eq(put_policy("/registry/services/a/instances/y/admin", "{\"state\":\"up\"}"),
			 404);
	ck_assert_int_eq(put_policy("/registry/services/a.b/instances/x/admin", "{}"), 404);
	ck_assert_int_eq(put_policy(path, "{\"state\":\"off\"}"), 400);
	ck_assert_str_eq(error_at(json, "field"), "state");
	ck_assert_int_eq(put_policy(path, "{\"state\":1}"), 400);
	ck_assert_str_eq(error_at(json, "field"), "state");
	ck_assert_int_eq(put_policy(path, "{}"), 400);
	ck_assert_str_eq(error_at(json, "field"), "state");
	ck_assert_int_eq(put_policy(path, "{\"state\":\"up\",\"for\":1}"), 400);
	ck_assert_str_eq(error_at(json, "field"), "for");
	ck_assert_int_eq(put_policy(path, "[]"), 400);
	ck_assert_int_eq(get("/registry/services/a/instances/x"), 200);
	ck_assert_str_eq(text_at(json, "admin"), "auto");
	ck_assert_uint_eq(registry_revision(api.registry), REVISION + 1);
}
END_TEST

START_TEST(a_refused_policy_changes_nothing)
{
	static const char path[] = "/registry/services/a/policy";

	ck_assert_int_eq(put_policy(path, "{\"answer_limit\":2}"), 404);
	ck_assert_str_eq(error_at(json, "code"), "not-found");
	ck_assert_int_eq(put_policy("/registry/services/a.b/policy", "{}"), 404);
	register_one("a", "x");
	ck_assert_int_eq(put_policy(path, "{\"ttl\":30,\"answer_limit\":65}"), 400);
	ck_assert_str_eq(error_at(json, "field"), "answer_limit");
	ck_assert_int_eq(put_policy(path, "{\"answer_limit\":2,\"port\":1}"), 400);
	ck_assert_str_eq(error_at(json, "field"), "port");
	ck_assert_int_eq(put_policy(path, "{\"ttl\":30,\"failure\":\"none\"}"), 400);
	ck_assert_str_eq(error_at(json, "field"), "failure");
	ck_assert_int_eq(put_policy(path, "{\"failure\":\"all\",\"panic_threshold\":2}"), 400);
	ck_assert_str_eq(error_at(json, "field"), "panic_threshold");
	ck_assert_int_eq(put_policy(path, "[{\"answer_limit\":2}]"), 400);
	ck_assert_int_eq(put_policy(path, NULL), 400);
	ck_assert_int_eq(post(path, "{\"answer_limit\":2}"), 405);
	ck_assert_int_eq(get("/registry/services/a"), 200);
	ck_assert(json_is_null(json_object_get(json, "ttl")));
	ck_assert_int_eq(number_at(json, "answer_limit"), 0);
	ck_assert_uint_eq(registry_revision(api.registry), REVISION + 1);
}
END_TEST

/* ---- What has to be on disk first ---- */

START_TEST(only_what_changes_the_store_waits_for_it)
{
	static const char one[] = "{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":1}";
	static const char both[] = "[{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":1},"
				   "{\"name\":\"a\",\"id\":\"y\",\"ip\":\"10.0.0.1\",\"port\":1}]";
	static const struct {
		enum api_method method;
		const char *path, *body;
		int status;
		bool waits;
	} steps[] = {
		{ API_POST, "/registry/register", "{}", 400, false },
		{ API_POST, "/registry/register", one, 201, true },
		{ API_POST, "/registry/register", one, 200, false },
		{ API_POST, "/registry/register", both, 201, true },
		{ API_POST, "/registry/register", both, 200, false },
		{ API_POST, "/registry/heartbeat", "{\"service\":\"a\",\"id\":\"x\"}", 200, false },
		{ API_PUT, "/registry/services/a/policy", "{\"ttl\":9}", 200, true },
		{ API_PUT, "/registry/services/a/policy", "{\"ttl\":9}", 200, false },
		{ API_PUT, "/registry/services/b/policy", "{\"ttl\":9}", 404, false },
		{ API_PUT, "/registry/services/a/instances/x/admin", "{\"state\":\"down\"}", 200,
		  true },
		{ API_PUT, "/registry/services/a/instances/x/admin", "{\"state\":\"down\"}", 200,
		  false },
		{ API_PUT, "/registry/services/a/instances/z/admin", "{\"state\":\"down\"}", 404,
		  false },
		{ API_DELETE, "/registry/services/a/instances/z", NULL, 404, false },
		{ API_DELETE, "/registry/services/a/instances/x", NULL, 200, true },
		{ API_POST, "/registry/deregister", "{\"service\":\"a\",\"id\":\"y\"}", 200, true },
		{ API_POST, "/registry/deregister", "{\"service\":\"a\",\"id\":\"y\"}", 404,
		  false },
	};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		ck_assert_int_eq(ask(steps[i].method, steps[i].path, NULL, steps[i].body),
				 steps[i].status);
		ck_assert_msg(waited == steps[i].waits, "step %zu", i);
	}
}
END_TEST

START_TEST(a_write_that_waits_has_changed_nothing)
{
	static const char body[] =
		"[{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":1},"
		"{\"name\":\"a\",\"id\":\"y\",\"ip\":\"10.0.0.1\",\"port\":1},{}]";
	const struct api_request request = {
		.method = API_POST,
		.path = "/registry/register",
		.body = body,
		.body_len = strlen(body),
		.caller = &caller,
	};
	const struct outcome full = { .result = REGISTRY_FULL, .message = "full" };
	struct api_write *write;

	api_handle(&api, native_routes, native_n_routes, &request, T0_MS, &reply);
	write = reply.write;
	ck_assert_ptr_nonnull(write);
	ck_assert_uint_eq(write->n, 3);
	ck_assert_int_eq(write->slots[0].status, 0);
	ck_assert_int_eq(write->slots[2].status, 400);
	ck_assert_uint_eq(registry_count_instances(api.registry), 0);
	native_write_deny(write, 1, &full);
	native_write_finish(&api, write, T0_MS, &reply);
	native_write_free(write);
	json = json_loadb(reply.body, reply.body_len, 0, NULL);
	ck_assert_int_eq(reply.status, 207);
	ck_assert_int_eq(number_at(slot(0), "status"), 201);
	ck_assert_int_eq(number_at(slot(1), "status"), 503);
	ck_assert_str_eq(error_at(slot(1), "message"), "full");
	ck_assert_int_eq(number_at(slot(2), "status"), 400);
	ck_assert_uint_eq(registry_count_instances(api.registry), 1);
}
END_TEST

/* ---- Reading ---- */

START_TEST(lists_services)
{
	json_t *list;

	ck_assert_int_eq(get("/registry/services"), 200);
	ck_assert_uint_eq(json_array_size(json_object_get(json, "services")), 0);
	register_one("b", "x");
	register_one("a", "y");
	register_one("a", "x");
	ck_assert_int_eq(get("/registry/services"), 200);
	list = json_object_get(json, "services");
	ck_assert_uint_eq(json_array_size(list), 2);
	ck_assert_str_eq(text_at(json_array_get(list, 0), "service"), "a");
	ck_assert_uint_eq(json_array_size(json_object_get(json_array_get(list, 0), "instances")),
			  2);
	ck_assert_ptr_null(json_object_get(json, "next"));
	ck_assert_int_eq(ask(API_GET, "/registry/services", "x=1&after=A", NULL), 200);
	list = json_object_get(json, "services");
	ck_assert_uint_eq(json_array_size(list), 1);
	ck_assert_str_eq(text_at(json_array_get(list, 0), "service"), "b");
}
END_TEST

START_TEST(a_list_does_not_begin_anew_behind_what_is_no_name)
{
	static const char *const queries[] = { "after=", "after=-", "after=a%2", "x=1&after=%00" };

	register_one("a", "x");
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		ck_assert_int_eq(ask(API_GET, "/registry/services", queries[i], NULL), 400);
		ck_assert_str_eq(text_at(json_object_get(json, "error"), "field"), "after");
	}
	ck_assert_int_eq(ask(API_GET, "/registry/services", "after=%61", NULL), 200);
	ck_assert_uint_eq(json_array_size(json_object_get(json, "services")), 0);
}
END_TEST

START_TEST(long_lists_go_on_in_the_next_request)
{
	enum {
		SERVICES = 3,
		INSTANCES = LIMIT_LIST_INSTANCES / 2,
	};
	char service[16], id[16];

	for (size_t i = 0; i < SERVICES; i++)
		for (size_t j = 0; j < INSTANCES; j++) {
			snprintf(service, sizeof(service), "s%zu", i);
			snprintf(id, sizeof(id), "i%zu", j);
			register_one(service, id);
		}
	ck_assert_int_eq(get("/registry/services"), 200);
	ck_assert_uint_eq(json_array_size(json_object_get(json, "services")), 2);
	ck_assert_str_eq(text_at(json, "next"), "s1");
	ck_assert_int_eq(ask(API_GET, "/registry/services", "after=s1", NULL), 200);
	ck_assert_uint_eq(json_array_size(json_object_get(json, "services")), 1);
	ck_assert_ptr_null(json_object_get(json, "next"));
}
END_TEST

START_TEST(shows_a_service_and_an_instance)
{
	register_one("a", "Node 1");
	ck_assert_int_eq(get("/registry/services/A"), 200);
	ck_assert_str_eq(text_at(json, "service"), "a");
	ck_assert_int_eq(get("/registry/services/a/instances/Node%201"), 200);
	ck_assert_str_eq(text_at(json, "id"), "Node 1");
	ck_assert_int_eq(ask(API_HEAD, "/registry/services/a", NULL, NULL), 200);
	ck_assert_int_eq(get("/registry/services/b"), 404);
	ck_assert_int_eq(get("/registry/services/a/instances/b"), 404);
	ck_assert_int_eq(get("/registry/services/a/"), 404);
	ck_assert_int_eq(get("/registry//services"), 404);
	ck_assert_int_eq(ask(API_PUT, "/registry/services/a", NULL, "{}"), 405);
	ck_assert_str_eq(reply.allow, "GET, HEAD");
}
END_TEST

START_TEST(tells_of_itself)
{
	register_one("a", "x");
	ck_assert_int_eq(get("/health/live"), 200);
	ck_assert_int_eq(get("/health/ready"), 200);
	trouble = "full";
	ck_assert_int_eq(get("/health/ready"), 200);
	ck_assert_str_eq(text_at(json, "status"), "degraded");
	ck_assert_str_eq(text_at(json, "reason"), "full");
	ck_assert_int_eq(get("/metrics"), 200);
	ck_assert_ptr_nonnull(strstr(reply.body, "\nrosterd_store_degraded 1\n"));
	trouble = NULL;
	is_ready = false;
	ck_assert_int_eq(get("/health/ready"), 503);
	ck_assert_str_eq(error_at(json, "code"), "unavailable");
	ck_assert_int_eq(get("/metrics"), 200);
	ck_assert_ptr_nonnull(strstr(reply.content_type, "text/plain"));
	ck_assert_ptr_nonnull(strstr(reply.body, "rosterd_registrations_total 1\n"));
	ck_assert_ptr_nonnull(strstr(reply.body, "\nrosterd_services 1\n"));
	ck_assert_ptr_nonnull(strstr(reply.body, "\nrosterd_watchers 3\n"));
	ck_assert_ptr_nonnull(strstr(reply.body, "\nrosterd_revision 42\n"));
	ck_assert_ptr_nonnull(strstr(reply.body, "\nrosterd_store_degraded 0\n"));
	ck_assert_ptr_nonnull(
		strstr(reply.body, "\nrosterd_build_info{version=\"" PACKAGE_VERSION "\"} 1\n"));
}
END_TEST

START_TEST(while_it_loads_only_the_server_itself_is_told_of)
{
	api.is_loading = true;
	ck_assert_int_eq(
		post("/registry/register", "{\"name\":\"a\",\"ip\":\"10.0.0.1\",\"port\":1}"), 503);
	ck_assert_ptr_nonnull(strstr(error_at(json, "message"), "starting"));
	ck_assert_int_eq(get("/registry/services"), 503);
	ck_assert_int_eq(get("/registry/watch"), 503);
	ck_assert_int_eq(get("/registry/nothing"), 404);
	ck_assert_int_eq(get("/health/live"), 200);
	ck_assert_int_eq(get("/health/ready"), 200);
	ck_assert_int_eq(get("/metrics"), 200);
	ck_assert_uint_eq(registry_count_instances(api.registry), 0);
}
END_TEST

static void expect_lines(const char *lines)
{
	ck_assert_msg(strstr(reply.body, lines), "not there: %s", lines);
}

START_TEST(metrics_of_queries)
{
	ck_assert_int_eq(get("/metrics"), 200);
	expect_lines("\nrosterd_dns_queries_total{protocol=\"udp\",type=\"A\"} 1\n");
	expect_lines("\nrosterd_dns_queries_total{protocol=\"udp\",type=\"other\"} 2\n");
	expect_lines("\nrosterd_dns_queries_total{protocol=\"tcp\",type=\"A\"} 0\n");
	expect_lines("\nrosterd_dns_queries_total{protocol=\"tcp\",type=\"CAA\"} 1\n");
	expect_lines("\nrosterd_dns_queries_total{protocol=\"tls\",type=\"CAA\"} 0\n");
	expect_lines("\nrosterd_dns_answer_seconds_count{protocol=\"udp\"} 3\n");
	expect_lines("\nrosterd_control_round_seconds_sum 0.002000000\n");
}
END_TEST

static struct zone *make_zone(const uint8_t *origin, size_t len)
{
	struct zone *zone = catalog_zone_new(catalog, origin, len);
	struct entry *apex = catalog_entry_new((const uint8_t *)"", 0, 0, 0);

	ck_assert(zone && apex);
	ck_assert_int_eq(catalog_put(catalog, zone, apex), 0);
	return zone;
}

/* What is no letter in a zone's name is escaped twice: for DNS, and for Prometheus. */
START_TEST(metrics_of_zones)
{
	static const uint8_t odd[] = "\3a\"b\2\\.", root[] = "";
	struct zone_list *list = catalog_zone_list_new(2);
	struct zone *zone = make_zone(odd, sizeof(odd));

	list->zones[0] = zone;
	list->zones[1] = make_zone(root, sizeof(root));
	catalog_set_zones(catalog, list);
	catalog_count_query(zone, 0);
	catalog_count_query(zone, LIMIT_WORKERS - 1);
	catalog_count_query(zone, CATALOG_NOBODY);
	ck_assert_int_eq(get("/metrics"), 200);
	expect_lines("rosterd_dns_zone_queries_total{zone=\"a\\\"b.\\\\\\\\\\\\..\"} 2\n"
		     "rosterd_dns_zone_queries_total{zone=\".\"} 0\n"
		     "rosterd_dns_zone_queries_total{zone=\"none\"} 7\n");
}
END_TEST

START_TEST(metrics_of_instances)
{
	register_one("a", "x");
	register_one("a", "y");
	register_one("b", "z");
	ck_assert_int_eq(post("/registry/heartbeat",
			      "{\"service\":\"a\",\"id\":\"y\",\"status\":\"critical\"}"),
			 200);
	ck_assert_int_eq(ask(API_PUT, "/registry/services/b/instances/z/admin", NULL,
			     "{\"state\":\"drain\"}"),
			 200);
	ck_assert_int_eq(get("/metrics"), 200);
	expect_lines("rosterd_instances{status=\"passing\"} 2\n"
		     "rosterd_instances{status=\"warning\"} 0\n"
		     "rosterd_instances{status=\"critical\"} 1\n");
	expect_lines("rosterd_admin_instances{state=\"auto\"} 2\n"
		     "rosterd_admin_instances{state=\"up\"} 0\n"
		     "rosterd_admin_instances{state=\"down\"} 0\n"
		     "rosterd_admin_instances{state=\"drain\"} 1\n");
}
END_TEST

START_TEST(metrics_of_what_was_refused)
{
	ck_assert_int_eq(post("/registry/register", "{}"), 400);
	ck_assert_int_eq(post("/registry/register", "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]"), 400);
	ck_assert_int_eq(post("/registry/heartbeat", "[{\"service\":\"a\"},{\"service\":\"b\"}]"),
			 404);
	ck_assert_int_eq(get("/metrics"), 200);
	expect_lines("\nrosterd_limit_hit_total{limit=\"json-depth\"} 1\n");
	expect_lines("rosterd_changes_refused_total{code=\"400\"} 1\n"
		     "rosterd_changes_refused_total{code=\"404\"} 2\n"
		     "rosterd_changes_refused_total{code=\"409\"} 0\n"
		     "rosterd_changes_refused_total{code=\"503\"} 0\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("native");
	TCase *tcase = tcase_create("native");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, registers_one);
	tcase_add_test(tcase, a_refused_registration_changes_nothing);
	tcase_add_test(tcase, checks_of_loopback_addresses_may_be_refused);
	tcase_add_test(tcase, an_array_with_one_bad_entry_applies_the_others);
	tcase_add_test(tcase, the_status_of_an_array);
	tcase_add_test(tcase, the_same_instance_twice_is_applied_in_order);
	tcase_add_test(tcase, bounds_arrays);
	tcase_add_test(tcase, heartbeats);
	tcase_add_test(tcase, unknown_and_ambiguous_heartbeats);
	tcase_add_test(tcase, deregisters);
	tcase_add_test(tcase, sets_a_policy);
	tcase_add_test(tcase, a_refused_policy_changes_nothing);
	tcase_add_test(tcase, sets_an_admin_state);
	tcase_add_test(tcase, a_refused_admin_state_changes_nothing);
	tcase_add_test(tcase, only_what_changes_the_store_waits_for_it);
	tcase_add_test(tcase, a_write_that_waits_has_changed_nothing);
	tcase_add_test(tcase, lists_services);
	tcase_add_test(tcase, a_list_does_not_begin_anew_behind_what_is_no_name);
	tcase_add_test(tcase, long_lists_go_on_in_the_next_request);
	tcase_add_test(tcase, shows_a_service_and_an_instance);
	tcase_add_test(tcase, tells_of_itself);
	tcase_add_test(tcase, metrics_of_queries);
	tcase_add_test(tcase, metrics_of_zones);
	tcase_add_test(tcase, metrics_of_instances);
	tcase_add_test(tcase, metrics_of_what_was_refused);
	tcase_add_test(tcase, while_it_loads_only_the_server_itself_is_told_of);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
