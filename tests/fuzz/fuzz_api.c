/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_api: any octets as the body of a write, as a whole request. The first octet says which
 * (`routes`). The status is one that rosterd-api(7) has for it, the reply is JSON, and nothing has
 * changed but what the reply and the body both name; where it is refused nothing has.
 */
#include "api/native.h"
#include "api/native_write.h"
#include "model/codec.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	NOW_MS = 1000000,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a request may change of what it names. */
enum scope {
	SCOPE_ANY,   /* instances may come, change and go */
	SCOPE_STATE, /* what is said of an instance's health, and its lease */
	SCOPE_GONE,  /* an instance goes */
	SCOPE_POLICY,
	SCOPE_ADMIN,
};

static const struct {
	enum api_method method;
	const char *path;
	const char *service, *id; /* named by the path; NULL: by the body */
	const char *service_key;  /* in the body, or "name"; NULL: not there */
	enum scope scope;
	int statuses[8]; /* one of them, or a 200; ends with 0 */
} routes[] = {
	{ API_POST,
	  "/registry/register",
	  NULL,
	  NULL,
	  "name",
	  SCOPE_ANY,
	  { 201, 207, 400, 409, 413 } },
	{ API_POST,
	  "/registry/heartbeat",
	  NULL,
	  NULL,
	  "service",
	  SCOPE_STATE,
	  { 207, 400, 404, 413 } },
	{ API_POST, "/registry/deregister", NULL, NULL, "service", SCOPE_GONE, { 400, 404, 413 } },
	{ API_PUT,
	  "/registry/services/pay/policy",
	  "pay",
	  NULL,
	  NULL,
	  SCOPE_POLICY,
	  { 400, 404, 413 } },
	{ API_PUT,
	  "/registry/services/pay/instances/one/admin",
	  "pay",
	  "one",
	  NULL,
	  SCOPE_ADMIN,
	  { 400, 404, 413 } },
};

static const char *const registrations[] = {
	"{\"name\":\"pay\",\"id\":\"one\",\"ip\":\"10.0.0.1\",\"port\":80,\"lease\":\"30s\"}",
	"{\"name\":\"pay\",\"id\":\"two\",\"ip\":\"10.0.0.2\",\"port\":80,\"tags\":[\"blue\"]}",
	("{\"name\":\"web\",\"id\":\"w\",\"ip\":\"192.0.2.9\",\"port\":80,"
	 "\"checks\":[{\"kind\":\"ttl\",\"ttl\":\"10s\"}]}"),
};

static struct registry *registry;
static struct counters counters;

static bool is_ready(void *cookie)
{
	(void)cookie;
	return true;
}

static const char *no_trouble(void *cookie)
{
	(void)cookie;
	return NULL;
}

/* Nothing is compiled here: nobody was ever answered. */
static bool publish(void *cookie)
{
	struct service *service;

	(void)cookie;
	while ((service = registry_take_dirty(registry)))
		registry_clean(registry, service);
	return true;
}

/* One name is a zone file's. */
static bool collides(void *cookie, const struct registration *registration, char *name,
		     size_t name_size)
{
	(void)cookie;
	snprintf(name, name_size, "%s.service.local", registration->service);
	return strcmp(registration->service, "www") == 0;
}

/* ---- What is known, before and after ---- */

/* An object: "service" -> the service as the list has it, instances as an object by id. */
static json_t *snapshot(void)
{
	json_t *const all = json_object();
	const struct service *service;

	for (size_t position = 0; (service = registry_next_service(registry, &position));) {
		json_t *const json = codec_service_json(service, NOW_MS, NOW_MS);
		json_t *const by_id = json_object(), *instance;
		size_t i;

		json_array_foreach(json_object_get(json, "instances"), i, instance)
		{
			json_object_set(by_id, json_string_value(json_object_get(instance, "id")),
					instance);
		}
		json_object_set_new(json, "instances", by_id);
		json_object_set_new(all, service->name, json);
	}
	return all;
}

static json_t *instance_of(const json_t *all, const char *service, const char *id)
{
	return json_object_get(json_object_get(json_object_get(all, service), "instances"), id);
}

/* ---- What a request names ---- */

static const char *text_at(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key));
}

/* Whether one entry of the body may mean this instance (`id` NULL: the service). */
static bool entry_names(size_t route, const json_t *entry, const char *service, const char *id)
{
	const char *const named_id = routes[route].id ? routes[route].id : text_at(entry, "id");
	const char *named = routes[route].service;

	if (!named)
		named = text_at(entry, routes[route].service_key);
	if (!named)
		named = text_at(entry, "name");
	return named && strcasecmp(named, service) == 0 &&
	       (!id || !named_id || strcmp(named_id, id) == 0);
}

/*
 * Whether the request names it and the reply says that it was done. `body` and `said` are entries
 * that belong together, or arrays of them.
 */
static bool is_named(size_t route, const json_t *body, const json_t *said, const char *service,
		     const char *id)
{
	const char *const said_service = text_at(said, "service"), *said_id = text_at(said, "id");
	json_t *entry;
	size_t i;

	if (json_is_array(body)) {
		json_array_foreach(body, i, entry)
		{
			if (is_named(route, entry, json_array_get(said, i), service, id))
				return true;
		}
		return false;
	}
	if (json_object_get(said, "error") || !entry_names(route, body, service, id))
		return false;
	return !said_id ||
	       (strcmp(said_service, service) == 0 && (!id || strcmp(said_id, id) == 0));
}

/* ---- What has changed ---- */

/* What may differ of an instance, beside its revision. */
static bool may_change(enum scope scope, const char *key)
{
	static const char *const of_state[] = { "status", "healthy",    "reason",
						"output", "lease_left", "checks" };

	if (strcmp(key, "revision_modified") == 0 || scope == SCOPE_ANY)
		return true;
	if (scope == SCOPE_ADMIN)
		return strcmp(key, "admin") == 0 || strcmp(key, "reason") == 0 ||
		       strcmp(key, "healthy") == 0;
	for (size_t i = 0; scope == SCOPE_STATE && i < sizeof(of_state) / sizeof(of_state[0]); i++)
		if (strcmp(key, of_state[i]) == 0)
			return true;
	return false;
}

static void check_instance(enum scope scope, json_t *was, const json_t *is)
{
	const char *key;
	json_t *value;

	if (!was || !is) {
		assert(was ? scope == SCOPE_GONE || scope == SCOPE_ANY : scope == SCOPE_ANY);
		return;
	}
	assert(scope != SCOPE_GONE && scope != SCOPE_POLICY);
	json_object_foreach(was, key, value)
		assert(may_change(scope, key) || json_equal(value, json_object_get(is, key)));
}

/* Whatever one of two snapshots has that the other has not, or not so. */
static void check_changes(size_t route, json_t *from, const json_t *to, const json_t *body,
			  const json_t *said)
{
	const char *name, *id, *key;
	json_t *service, *instance, *value;

	json_object_foreach(from, name, service)
	{
		const json_t *const other = json_object_get(to, name);

		json_object_foreach(json_object_get(service, "instances"), id, instance)
		{
			if (json_equal(instance, instance_of(to, name, id)))
				continue;
			assert(is_named(route, body, said, name, id));
		}
		json_object_foreach(service, key, value)
			assert(strcmp(key, "instances") == 0 || !other ||
			       json_equal(value, json_object_get(other, key)) ||
			       ((routes[route].scope == SCOPE_POLICY || strcmp(key, "ttl") == 0) &&
				is_named(route, body, said, name, NULL)));
	}
}

static void check_instances(size_t route, json_t *was, json_t *is)
{
	json_t *service, *instance;
	const char *name, *id;

	json_object_foreach(was, name, service)
	{
		json_object_foreach(json_object_get(service, "instances"), id, instance)
		{
			json_t *const other = instance_of(is, name, id);

			if (!json_equal(instance, other))
				check_instance(routes[route].scope, instance, other);
		}
	}
	json_object_foreach(is, name, service)
	{
		json_object_foreach(json_object_get(service, "instances"), id, instance)
		{
			if (!instance_of(was, name, id))
				check_instance(routes[route].scope, NULL, instance);
		}
	}
}

/* ---- The reply ---- */

static void check_status(size_t route, int status)
{
	bool is_known = status == 200;

	for (const int *known = routes[route].statuses; *known; known++)
		is_known |= status == *known;
	assert(is_known);
}

static void check_error(const json_t *said)
{
	const json_t *const error = json_object_get(said, "error");

	assert(text_at(error, "code") && *text_at(error, "code"));
	assert(text_at(error, "message") && *text_at(error, "message"));
}

/* Returns what is said of each entry. */
static json_t *check_reply(int status, const json_t *json)
{
	json_t *const results = json_object_get(json, "results");
	json_t *said;
	size_t i, n_refused = 0;

	assert(json_is_object(json));
	if (!results) {
		assert(status != 207);
		if (status >= 300)
			check_error(json);
		else
			assert(json_is_integer(json_object_get(json, "revision")));
		return NULL;
	}
	json_array_foreach(results, i, said)
	{
		const json_int_t each = json_integer_value(json_object_get(said, "status"));

		assert(each >= 200);
		if (each >= 300)
			check_error(said);
		n_refused += each >= 300;
	}
	assert((status == 207) == (n_refused > 0 && n_refused < i));
	assert((status >= 300 && status != 207) == (n_refused == i));
	return results;
}

/* ---- One input ---- */

static void make_registry(void)
{
	const struct registry_options options = {
		.revision = 41,
		.ttl_s = 5,
		.counters = &counters,
		.collides = collides,
	};

	registry = registry_new(&options);
	assert(registry);
	for (size_t i = 0; i < sizeof(registrations) / sizeof(registrations[0]); i++) {
		struct codec_error error;
		struct outcome outcome;

		json_t *const json = codec_load(registrations[i], strlen(registrations[i]), &error);
		struct change change = {
			.kind = CHANGE_REGISTER,
			.registration = codec_registration(json, &error),
		};
		registry_apply(registry, &change, NOW_MS, &outcome);
		assert(outcome.result == REGISTRY_CREATED);
		json_decref(json);
	}
}

static void ask(size_t route, const uint8_t *data, size_t size, struct api_reply *reply)
{
	static const struct address caller = { .has_v4 = true, .v4 = { 192, 0, 2, 9 } };
	struct api api = {
		.registry = registry,
		.counters = &counters,
		.is_ready = is_ready,
		.trouble = no_trouble,
		.publish = publish,
	};
	const struct api_request request = {
		.method = routes[route].method,
		.path = routes[route].path,
		.body = (const char *)data,
		.body_len = size,
		.caller = &caller,
	};

	api_handle(&api, native_routes, native_n_routes, &request, NOW_MS, reply);
	struct api_write *const write = reply->write;
	if (!write)
		return;
	assert(routes[route].scope != SCOPE_STATE); /* heartbeats never wait for a disk */
	native_write_finish(&api, write, NOW_MS, reply);
	native_write_free(write);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct api_reply reply;

	if (size < 1 || data[0] >= sizeof(routes) / sizeof(routes[0]))
		return 0;
	const size_t route = data[0];
	make_registry();
	json_t *const was = snapshot();
	const uint64_t revision = registry_revision(registry);
	ask(route, data + 1, size - 1, &reply);
	json_t *const is = snapshot();
	json_t *const body = json_loadb((const char *)data + 1, size - 1, JSON_DECODE_ANY, NULL);
	json_t *const json = json_loadb(reply.body, reply.body_len, 0, NULL);

	check_status(route, reply.status);
	const json_t *const said = check_reply(reply.status, json);
	check_changes(route, was, is, body, said ? said : json);
	check_changes(route, is, was, body, said ? said : json);
	check_instances(route, was, is);
	if (reply.status >= 300 && reply.status != 207)
		assert(json_equal(was, is) && registry_revision(registry) == revision);
	json_decref(was);
	json_decref(is);
	json_decref(body);
	json_decref(json);
	api_reply_fini(&reply);
	registry_free(registry);
	return 0;
}
