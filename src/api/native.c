/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/native.h"

#include "api/native_metrics.h"
#include "api/native_why.h"
#include "api/watch.h"
#include "base/clock.h"
#include "model/codec.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool put(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) == 0;
}

/* ---- Writes: one JSON object, one change ---- */

/* One object of a request that writes. */
struct slot {
	struct api *api;
	const struct address *caller;
	uint64_t now_ms;
	const char *service, *id; /* in the path, where it has them */
	char prefix[24];          /* of the field in errors: "[3]", or empty */
};

/* Applies one object; returns the HTTP status and puts what there is to say into `said`. */
typedef int (*slot_apply)(const struct slot *slot, json_t *json, json_t *said);

static void count_refusal(struct counters *counters, int status)
{
	counters_add(status == 400   ? &counters->refused_input
		     : status == 404 ? &counters->refused_unknown
		     : status == 409 ? &counters->refused_conflict
				     : &counters->refused_full,
		     1);
}

static int refuse(const struct slot *slot, json_t *said, int status, const char *field,
		  const char *message)
{
	char path[sizeof(slot->prefix) + sizeof(((struct codec_error *)0)->field) + 1];

	snprintf(path, sizeof(path), "%s%s%s", slot->prefix, *slot->prefix && *field ? "." : "",
		 field);
	count_refusal(slot->api->counters, status);
	return put(said, "error", api_error_json(status, path, message)) ? status : 503;
}

static int refuse_codec(const struct slot *slot, json_t *said, const struct codec_error *error)
{
	return refuse(slot, said, error->no_memory ? 503 : 400, error->field, error->message);
}

/* What a change came to. */
static int tell_outcome(const struct slot *slot, json_t *said, const struct outcome *outcome)
{
	static const int statuses[] = {
		[REGISTRY_CREATED] = 201,   [REGISTRY_UPDATED] = 200,  [REGISTRY_NOT_FOUND] = 404,
		[REGISTRY_AMBIGUOUS] = 400, [REGISTRY_CONFLICT] = 409, [REGISTRY_FULL] = 503,
		[REGISTRY_NO_MEMORY] = 503,
	};
	const struct instance *instance = outcome->instance;
	int status = statuses[outcome->result];

	if (outcome->result != REGISTRY_CREATED && outcome->result != REGISTRY_UPDATED)
		return refuse(slot, said, status, "", outcome->message);
	if (instance && !(put(said, "service", json_string(instance->registration->service)) &&
			  put(said, "id", json_string(instance->registration->id)) &&
			  put(said, "name", json_string(instance->registration->label)) &&
			  put(said, "health", json_string(health_status_name(instance->status)))))
		return 503;
	return status;
}

static int apply_policy(const struct slot *slot, json_t *json, json_t *said)
{
	struct codec_policy policy;
	struct codec_error error;
	struct outcome outcome;
	struct change change = { .kind = CHANGE_POLICY };

	if (!codec_policy(json, &policy, &error))
		return refuse_codec(slot, said, &error);
	change.policy.service = slot->service;
	change.policy.ttl_s = policy.has_ttl ? &policy.ttl_s : NULL;
	change.policy.answer_limit = policy.has_answer_limit ? &policy.answer_limit : NULL;
	change.policy.failure = policy.has_failure ? &policy.failure : NULL;
	change.policy.panic_ppm = policy.has_panic_threshold ? &policy.panic_ppm : NULL;
	registry_apply(slot->api->registry, &change, slot->now_ms, &outcome);
	return tell_outcome(slot, said, &outcome);
}

/* Answers that name it may be in use until then; for somebody's clock and for a timer. */
static bool put_safe_after(json_t *said, const struct instance *instance, uint64_t now_ms)
{
	uint64_t left_ms = instance->safe_after_ms > now_ms ? instance->safe_after_ms - now_ms : 0;

	return put(said, "safe_after", json_real((double)(clock_wall_ms() + left_ms) / 1000)) &&
	       put(said, "safe_after_s", json_real((double)left_ms / 1000));
}

/* Who leaves has left when this is said: only then is the last answer known. */
static int apply_admin(const struct slot *slot, json_t *json, json_t *said)
{
	struct codec_error error;
	struct outcome outcome;
	struct change change = { .kind = CHANGE_ADMIN };
	int status;

	if (!codec_admin(json, &change.admin.admin, &error))
		return refuse_codec(slot, said, &error);
	change.admin.service = slot->service;
	change.admin.id = slot->id;
	registry_apply(slot->api->registry, &change, slot->now_ms, &outcome);
	status = tell_outcome(slot, said, &outcome);
	if (status != 200)
		return status;
	if (!put(said, "admin", json_string(record_admin_name(change.admin.admin))))
		return 503;
	if (change.admin.admin != ADMIN_DOWN && change.admin.admin != ADMIN_DRAIN)
		return status;
	if (!slot->api->publish(slot->api->cookie) ||
	    !put_safe_after(said, outcome.instance, slot->now_ms))
		return 503;
	return status;
}

static const char loopback_refusal[] =
	"must not be of a loopback address, unless the server takes requests from its own host alone "
	"or its configuration says \"check-loopback: true\"";

static int apply_register(const struct slot *slot, json_t *json, json_t *said)
{
	struct codec_error error;
	struct outcome outcome;
	struct change change = { .kind = CHANGE_REGISTER };

	change.registration = codec_registration(json, &error);
	if (!change.registration)
		return refuse_codec(slot, said, &error);
	if (slot->api->refuses_loopback_checks && record_checks_loopback(change.registration)) {
		record_registration_free(change.registration);
		return refuse(slot, said, 400, "checks", loopback_refusal);
	}
	registry_apply(slot->api->registry, &change, slot->now_ms, &outcome);
	if (outcome.result != REGISTRY_CREATED && outcome.result != REGISTRY_UPDATED)
		record_registration_free(change.registration);
	return tell_outcome(slot, said, &outcome);
}

static int apply_heartbeat(const struct slot *slot, json_t *json, json_t *said)
{
	struct codec_heartbeat heartbeat;
	struct codec_error error;
	struct outcome outcome;
	struct change change = { .kind = CHANGE_HEARTBEAT };

	if (!codec_heartbeat(json, &heartbeat, &error))
		return refuse_codec(slot, said, &error);
	change.heartbeat.service = heartbeat.service;
	change.heartbeat.id = heartbeat.id;
	change.heartbeat.caller = slot->caller;
	change.heartbeat.status = heartbeat.has_status ? &heartbeat.status : NULL;
	change.heartbeat.output = heartbeat.output;
	registry_apply(slot->api->registry, &change, slot->now_ms, &outcome);
	return tell_outcome(slot, said, &outcome);
}

static int deregister(const struct slot *slot, const char *service, const char *id, json_t *said)
{
	struct outcome outcome;
	struct change change = { .kind = CHANGE_DEREGISTER };
	int status;

	change.deregister.service = service;
	change.deregister.id = id;
	registry_apply(slot->api->registry, &change, slot->now_ms, &outcome);
	status = tell_outcome(slot, said, &outcome);
	if (status == 200 &&
	    !(put(said, "service", json_string(service)) && put(said, "id", json_string(id))))
		return 503;
	return status;
}

static int apply_deregister(const struct slot *slot, json_t *json, json_t *said)
{
	struct codec_target target;
	struct codec_error error;

	if (!codec_target(json, &target, &error))
		return refuse_codec(slot, said, &error);
	return deregister(slot, target.service, target.id, said);
}

/* ---- Writes: whole requests ---- */

static json_t *revision_json(const struct api *api)
{
	return json_integer((json_int_t)registry_revision(api->registry));
}

/* Sends what one object came to. */
static void reply_slot(const struct slot *slot, int status, json_t *said, struct api_reply *reply)
{
	if (status < 300 && !put(said, "revision", revision_json(slot->api)))
		status = 503;
	if (status == 503 && !json_object_get(said, "error")) {
		json_decref(said);
		said = NULL;
	}
	api_reply_json(reply, status, said);
}

/* The status of an array from those of its slots. */
struct tally {
	size_t n_created, n_bad;
	int first;
};

static int tally_status(const struct tally *tally, size_t n)
{
	if (tally->n_bad == n)
		return tally->first;
	if (tally->n_bad)
		return 207;
	return tally->n_created ? 201 : 200;
}

static json_t *apply_slots(struct slot *slot, slot_apply apply, json_t *array, struct tally *tally)
{
	json_t *results = json_array();

	for (size_t i = 0; i < json_array_size(array); i++) {
		json_t *said = json_object();
		int status;

		snprintf(slot->prefix, sizeof(slot->prefix), "[%zu]", i);
		status = apply(slot, json_array_get(array, i), said);
		if (i == 0)
			tally->first = status;
		tally->n_created += status == 201;
		tally->n_bad += status >= 300;
		if (!put(said, "status", json_integer(status))) {
			json_decref(said);
			said = NULL;
		}
		if (json_array_append_new(results, said)) {
			json_decref(results);
			results = NULL;
		}
	}
	return results;
}

static void write_array(struct slot *slot, slot_apply apply, size_t limit, json_t *array,
			struct api_reply *reply)
{
	struct counters *counters = slot->api->counters;
	struct tally tally = { .n_bad = 0 };
	size_t n = json_array_size(array);
	json_t *json;

	if (n == 0) {
		api_reply_error(reply, 400, NULL, "the array is empty");
		return;
	}
	if (n > limit) {
		counters_add(limit == LIMIT_REGISTER_ARRAY ? &counters->limit_register_array
							   : &counters->limit_heartbeat_array,
			     1);
		api_reply_error(reply, 413, NULL,
				"the array has %zu entries; at most %zu are allowed", n, limit);
		return;
	}
	json = json_object();
	if (!put(json, "results", apply_slots(slot, apply, array, &tally)) ||
	    !put(json, "revision", revision_json(slot->api))) {
		json_decref(json);
		json = NULL;
	}
	api_reply_json(reply, tally_status(&tally, n), json);
}

/* A request whose body is one object, or an array of up to `limit` (0: no array). */
static void write_body(struct slot *slot, const struct api_request *request, slot_apply apply,
		       size_t limit, struct api_reply *reply)
{
	struct codec_error error;
	json_t *json = codec_load(request->body, request->body_len, &error);
	json_t *said;

	if (!json) {
		if (error.too_deep)
			counters_add(&slot->api->counters->limit_json_depth, 1);
		api_reply_error(reply, error.no_memory ? 503 : 400, NULL, "%s", error.message);
		return;
	}
	if (limit && json_is_array(json)) {
		write_array(slot, apply, limit, json, reply);
	} else {
		said = json_object();
		reply_slot(slot, apply(slot, json, said), said, reply);
	}
	json_decref(json);
}

static void handle_register(struct api *api, const struct api_request *request,
			    char *const *segments, uint64_t now_ms, struct api_reply *reply)
{
	struct slot slot = { .api = api, .caller = request->caller, .now_ms = now_ms };

	(void)segments;
	write_body(&slot, request, apply_register, LIMIT_REGISTER_ARRAY, reply);
}

static void handle_heartbeat(struct api *api, const struct api_request *request,
			     char *const *segments, uint64_t now_ms, struct api_reply *reply)
{
	struct slot slot = { .api = api, .caller = request->caller, .now_ms = now_ms };

	(void)segments;
	write_body(&slot, request, apply_heartbeat, LIMIT_HEARTBEAT_ARRAY, reply);
}

static void handle_deregister(struct api *api, const struct api_request *request,
			      char *const *segments, uint64_t now_ms, struct api_reply *reply)
{
	struct slot slot = { .api = api, .caller = request->caller, .now_ms = now_ms };

	(void)segments;
	write_body(&slot, request, apply_deregister, 0, reply);
}

static void handle_delete_instance(struct api *api, const struct api_request *request,
				   char *const *segments, uint64_t now_ms, struct api_reply *reply)
{
	const struct slot slot = { .api = api, .caller = request->caller, .now_ms = now_ms };
	char service[LIMIT_LABEL + 1];
	json_t *said;

	if (!record_label_parse(segments[0], service)) {
		api_reply_error(reply, 404, NULL, "no such service");
		return;
	}
	said = json_object();
	reply_slot(&slot, deregister(&slot, service, segments[1], said), said, reply);
}

static void handle_policy(struct api *api, const struct api_request *request, char *const *segments,
			  uint64_t now_ms, struct api_reply *reply)
{
	char service[LIMIT_LABEL + 1];
	struct slot slot = { .api = api, .now_ms = now_ms, .service = service };

	if (record_label_parse(segments[0], service))
		write_body(&slot, request, apply_policy, 0, reply);
	else
		api_reply_error(reply, 404, NULL, "no such service");
}

static void handle_admin(struct api *api, const struct api_request *request, char *const *segments,
			 uint64_t now_ms, struct api_reply *reply)
{
	char service[LIMIT_LABEL + 1];
	struct slot slot = {
		.api = api,
		.now_ms = now_ms,
		.service = service,
		.id = segments[1],
	};

	if (record_label_parse(segments[0], service))
		write_body(&slot, request, apply_admin, 0, reply);
	else
		api_reply_error(reply, 404, NULL, "no such service");
}

/* ---- Reads ---- */

static int compare_services(const void *a, const void *b)
{
	const struct service *const *left = a, *const *right = b;

	return strcmp((*left)->name, (*right)->name);
}

/* All services by name; NULL when out of memory. */
static const struct service **sorted_services(const struct registry *registry, size_t *n)
{
	size_t cap = registry_count_services(registry), position = 0;
	const struct service **sorted = calloc(cap + 1, sizeof(*sorted));
	const struct service *service;

	*n = 0;
	if (!sorted)
		return NULL;
	while (*n < cap && (service = registry_next_service(registry, &position)))
		sorted[(*n)++] = service;
	qsort(sorted, *n, sizeof(*sorted), compare_services);
	return sorted;
}

/* The value of "after=" in a query; the name of a service needs no decoding. */
static void read_after(const char *query, char after[LIMIT_LABEL + 1])
{
	static const char key[] = "after=";
	char text[LIMIT_LABEL + 1];

	*after = '\0';
	while (query && *query) {
		size_t len = strcspn(query, "&");

		if (strncmp(query, key, sizeof(key) - 1) == 0) {
			snprintf(text, sizeof(text), "%.*s", (int)(len - (sizeof(key) - 1)),
				 query + sizeof(key) - 1);
			if (!record_label_parse(text, after))
				*after = '\0';
		}
		query += len + (query[len] == '&');
	}
}

/*
 * Puts services behind `after` into an array, until LIMIT_LIST_INSTANCES are in it; `next` is the
 * last service that is in if there are more, else NULL.
 */
static json_t *services_json(const struct service **sorted, size_t n, const char *after,
			     uint64_t now_ms, const char **next)
{
	json_t *services = json_array();
	size_t n_instances = 0, i = 0;

	*next = NULL;
	while (i < n && *after && strcmp(sorted[i]->name, after) <= 0)
		i++;
	for (; i < n; i++) {
		if (json_array_append_new(services, codec_service_json(sorted[i], now_ms))) {
			json_decref(services);
			return NULL;
		}
		n_instances += sorted[i]->n_instances;
		if (n_instances >= LIMIT_LIST_INSTANCES && i + 1 < n) {
			*next = sorted[i]->name;
			break;
		}
	}
	return services;
}

static void handle_services(struct api *api, const struct api_request *request,
			    char *const *segments, uint64_t now_ms, struct api_reply *reply)
{
	size_t n;
	const struct service **sorted = sorted_services(api->registry, &n);
	char after[LIMIT_LABEL + 1];
	const char *next;
	json_t *json = NULL;

	(void)segments;
	read_after(request->query, after);
	if (sorted)
		json = json_object();
	if (json && !(put(json, "services", services_json(sorted, n, after, now_ms, &next)) &&
		      (!next || put(json, "next", json_string(next))) &&
		      put(json, "revision", revision_json(api)))) {
		json_decref(json);
		json = NULL;
	}
	free(sorted);
	api_reply_json(reply, 200, json);
}

static void handle_service(struct api *api, const struct api_request *request,
			   char *const *segments, uint64_t now_ms, struct api_reply *reply)
{
	const struct service *service = registry_find_service(api->registry, segments[0]);

	(void)request;
	if (service)
		api_reply_json(reply, 200, codec_service_json(service, now_ms));
	else
		api_reply_error(reply, 404, NULL, "no such service");
}

static void handle_instance(struct api *api, const struct api_request *request,
			    char *const *segments, uint64_t now_ms, struct api_reply *reply)
{
	const struct service *service = registry_find_service(api->registry, segments[0]);
	const struct instance *instance =
		service ? registry_find_instance(api->registry, service, segments[1]) : NULL;

	(void)request;
	if (instance)
		api_reply_json(reply, 200, codec_instance_json(instance, now_ms));
	else
		api_reply_error(reply, 404, NULL, service ? "no such instance" : "no such service");
}

/* ---- The server itself ---- */

static void handle_live(struct api *api, const struct api_request *request, char *const *segments,
			uint64_t now_ms, struct api_reply *reply)
{
	(void)api, (void)request, (void)segments, (void)now_ms;
	api_reply_json(reply, 200, json_pack("{ss}", "status", "live"));
}

static void handle_ready(struct api *api, const struct api_request *request, char *const *segments,
			 uint64_t now_ms, struct api_reply *reply)
{
	(void)request, (void)segments, (void)now_ms;
	if (api->is_ready(api->cookie))
		api_reply_json(reply, 200, json_pack("{ss}", "status", "ready"));
	else
		api_reply_error(reply, 503, NULL, "not ready");
}

const struct api_route native_routes[] = {
	{ API_POST, "/registry/register", handle_register },
	{ API_POST, "/registry/heartbeat", handle_heartbeat },
	{ API_POST, "/registry/deregister", handle_deregister },
	{ API_GET, "/registry/services", handle_services },
	{ API_GET, "/registry/services/{service}", handle_service },
	{ API_GET, "/registry/services/{service}/instances/{id}", handle_instance },
	{ API_DELETE, "/registry/services/{service}/instances/{id}", handle_delete_instance },
	{ API_PUT, "/registry/services/{service}/instances/{id}/admin", handle_admin },
	{ API_PUT, "/registry/services/{service}/policy", handle_policy },
	{ API_GET, "/registry/why", native_why_handle },
	{ API_GET, "/registry/watch", watch_handle },
	{ API_GET, "/health/live", handle_live },
	{ API_GET, "/health/ready", handle_ready },
	{ API_GET, "/metrics", native_metrics_handle },
};
const size_t native_n_routes = sizeof(native_routes) / sizeof(native_routes[0]);
