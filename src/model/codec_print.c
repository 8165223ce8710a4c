/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/codec.h"
#include "model/policy.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

bool codec_put(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) == 0;
}

/* Seconds: an integer where it is whole. */
static json_t *seconds_json(uint64_t ms)
{
	if (ms % 1000 == 0)
		return json_integer((json_int_t)(ms / 1000));
	return json_real((double)ms / 1000);
}

/* What `value` says, or JSON's null without it. */
static json_t *optional_json(const char *value)
{
	return value ? json_string(value) : json_null();
}

/* What a check that is run was told: when, and of whom to ask what. */
static bool put_run(json_t *json, const struct check_spec *spec)
{
	return codec_put(json, "port", json_integer(spec->port)) &&
	       codec_put(json, "interval", seconds_json(spec->interval_ms)) &&
	       codec_put(json, "timeout", seconds_json(spec->timeout_ms)) &&
	       codec_put(json, "rise", json_integer(spec->rise)) &&
	       codec_put(json, "fall", json_integer(spec->fall));
}

/* The names alone: values may be secrets, and everybody may read this. */
static json_t *header_names_json(const char *lines)
{
	json_t *json = json_array();

	for (; lines && *lines; lines = strchr(lines, '\n') + 1)
		if (json_array_append_new(json, json_stringn(lines, strcspn(lines, ":")))) {
			json_decref(json);
			return NULL;
		}
	return json;
}

static bool put_http(json_t *json, const struct check_spec *spec)
{
	return codec_put(json, "method", json_string(spec->method ? spec->method : "GET")) &&
	       codec_put(json, "path", json_string(spec->path)) &&
	       codec_put(json, "expected_status",
			 json_string(spec->expected ? spec->expected : "200-299")) &&
	       codec_put(json, "header_names", header_names_json(spec->headers));
}

static bool put_tls(json_t *json, const struct check_spec *spec)
{
	return codec_put(json, "server_name", optional_json(spec->server_name)) &&
	       codec_put(json, "tls_skip_verify", json_boolean(spec->tls_skip_verify));
}

static bool put_spec(json_t *json, const struct check_spec *spec)
{
	bool is_http = spec->kind == CHECK_HTTP || spec->kind == CHECK_HTTPS;

	if (!codec_put(json, "kind", json_string(record_check_kind_name(spec->kind))) ||
	    !codec_put(json, "initial", json_string(health_status_name(spec->initial))))
		return false;
	if (spec->kind == CHECK_TTL)
		return codec_put(json, "ttl", seconds_json(spec->ttl_ms));
	return put_run(json, spec) && (!is_http || put_http(json, spec)) &&
	       (spec->kind != CHECK_HTTPS || put_tls(json, spec));
}

static json_t *check_json(const struct check *check, uint64_t now_ms)
{
	json_t *json = json_object();
	bool has_run = check->last_start_ms != 0;
	char history[LIMIT_CHECK_HISTORY + 1];
	bool has_latency = has_run && check->spec->kind != CHECK_TTL;

	history_print(&check->history, history);
	if (put_spec(json, check->spec) &&
	    codec_put(json, "status", json_string(health_status_name(check->health.status))) &&
	    codec_put(json, "history", json_string(history)) &&
	    codec_put(json, "output", optional_json(check->output)) &&
	    codec_put(json, "latency_ms",
		      has_latency ? json_integer(check->latency_ms) : json_null()) &&
	    codec_put(json, "last_run_ago",
		      has_run ? seconds_json(now_ms - check->last_start_ms) : json_null()))
		return json;
	json_decref(json);
	return NULL;
}

static json_t *checks_json(const struct instance *instance, uint64_t now_ms)
{
	json_t *json = json_array();

	for (size_t i = 0; i < instance->registration->n_checks; i++)
		if (json_array_append_new(json, check_json(instance->checks[i], now_ms))) {
			json_decref(json);
			return NULL;
		}
	return json;
}

static json_t *ports_json(const struct registration *registration)
{
	json_t *json = json_object();

	for (size_t i = 0; i < registration->n_ports; i++)
		if (!codec_put(json, registration->ports[i].name,
			       json_integer(registration->ports[i].port))) {
			json_decref(json);
			return NULL;
		}
	return json;
}

static json_t *tags_json(const struct registration *registration)
{
	json_t *json = json_array();

	for (size_t i = 0; i < registration->n_tags; i++)
		if (json_array_append_new(json, json_string(registration->tags[i]))) {
			json_decref(json);
			return NULL;
		}
	return json;
}

static json_t *meta_json(const struct registration *registration)
{
	json_t *json = json_object();

	for (size_t i = 0; i < registration->n_meta; i++)
		if (!codec_put(json, registration->meta[i].key,
			       json_string(registration->meta[i].value))) {
			json_decref(json);
			return NULL;
		}
	return json;
}

static bool put_addresses(json_t *json, const struct address *address)
{
	char text[46];

	if (address->has_v4) {
		record_address_print(address, false, text);
		if (!codec_put(json, "ip", json_string(text)) ||
		    !codec_put(json, "ipv4", json_string(text)))
			return false;
	}
	if (address->has_v6) {
		record_address_print(address, true, text);
		if (!address->has_v4 && !codec_put(json, "ip", json_string(text)))
			return false;
		if (!codec_put(json, "ipv6", json_string(text)))
			return false;
	}
	return true;
}

/* What its registration said. */
static bool put_registration(json_t *json, const struct registration *registration)
{
	return codec_put(json, "service", json_string(registration->service)) &&
	       codec_put(json, "id", json_string(registration->id)) &&
	       codec_put(json, "name", json_string(record_label(registration))) &&
	       put_addresses(json, &registration->address) &&
	       codec_put(json, "port", json_integer(registration->port)) &&
	       codec_put(json, "ports", ports_json(registration)) &&
	       codec_put(json, "protocol",
			 json_string(record_protocol_name(registration->protocol))) &&
	       codec_put(json, "priority", json_integer(registration->priority)) &&
	       codec_put(json, "weight", json_integer(registration->weight)) &&
	       codec_put(json, "tags", tags_json(registration)) &&
	       codec_put(json, "meta", meta_json(registration)) &&
	       codec_put(json, "ttl",
			 registration->ttl_s ? json_integer(registration->ttl_s) : json_null()) &&
	       (!registration->file || codec_put(json, "file", json_string(registration->file)));
}

static bool put_lease(json_t *json, const struct instance *instance, uint64_t now_ms)
{
	uint64_t end_ms = instance->lease_end_ms;

	if (!instance->registration->lease_ms)
		return codec_put(json, "lease", json_null()) &&
		       codec_put(json, "lease_left", json_null());
	return codec_put(json, "lease", seconds_json(instance->registration->lease_ms)) &&
	       codec_put(json, "lease_left", seconds_json(end_ms > now_ms ? end_ms - now_ms : 0));
}

bool codec_put_safe_after(json_t *json, const struct instance *instance, uint64_t now_ms,
			  uint64_t wall_ms)
{
	uint64_t left_ms = instance->safe_after_ms > now_ms ? instance->safe_after_ms - now_ms : 0;

	return codec_put(json, "safe_after", json_real((double)(wall_ms + left_ms) / 1000)) &&
	       codec_put(json, "safe_after_s", json_real((double)left_ms / 1000));
}

/* Of one that is out of service, while it lies ahead. */
static bool put_departure(json_t *json, const struct instance *instance, uint64_t now_ms,
			  uint64_t wall_ms)
{
	return !record_admin_is_out(instance->admin) || instance->safe_after_ms <= now_ms ||
	       codec_put_safe_after(json, instance, now_ms, wall_ms);
}

json_t *codec_instance_json(const struct instance *instance, uint64_t now_ms, uint64_t wall_ms)
{
	json_t *json = json_object();
	char reason[LIMIT_CHECK_OUTPUT + 64]; /* whole: a cut could split a character */

	policy_explain(instance, reason, sizeof(reason));
	if (put_registration(json, instance->registration) &&
	    codec_put(json, "status", json_string(health_status_name(instance->status))) &&
	    codec_put(json, "healthy", json_boolean(policy_is_healthy(instance))) &&
	    codec_put(json, "admin", json_string(record_admin_name(instance->admin))) &&
	    put_departure(json, instance, now_ms, wall_ms) &&
	    codec_put(json, "reason", json_string(reason)) &&
	    codec_put(json, "output", optional_json(instance->output)) &&
	    put_lease(json, instance, now_ms) &&
	    codec_put(json, "checks", checks_json(instance, now_ms)) &&
	    codec_put(json, "revision_created", json_integer((json_int_t)instance->created)) &&
	    codec_put(json, "revision_modified", json_integer((json_int_t)instance->modified)))
		return json;
	json_decref(json);
	return NULL;
}

/* ---- Services ---- */

static int compare_ids(const void *a, const void *b)
{
	const struct instance *const *left = a, *const *right = b;

	return strcmp((*left)->registration->id, (*right)->registration->id);
}

/* The instances that are there, by id; NULL when out of memory. */
static const struct instance **sorted_instances(const struct service *service, size_t *n)
{
	const struct instance **sorted = calloc(service->n_instances + 1, sizeof(*sorted));

	*n = 0;
	if (!sorted)
		return NULL;
	for (size_t i = 0; i < service->n_instances; i++)
		if (service->instances[i]->dirt != INSTANCE_GONE)
			sorted[(*n)++] = service->instances[i];
	qsort(sorted, *n, sizeof(*sorted), compare_ids);
	return sorted;
}

static json_t *instances_json(const struct service *service, uint64_t now_ms, uint64_t wall_ms)
{
	size_t n;
	const struct instance **sorted = sorted_instances(service, &n);
	json_t *json = sorted ? json_array() : NULL;

	for (size_t i = 0; json && i < n; i++)
		if (json_array_append_new(json, codec_instance_json(sorted[i], now_ms, wall_ms))) {
			json_decref(json);
			json = NULL;
		}
	free(sorted);
	return json;
}

json_t *codec_service_json(const struct service *service, uint64_t now_ms, uint64_t wall_ms)
{
	json_t *json = json_object();

	if (codec_put(json, "service", json_string(service->name)) &&
	    codec_put(json, "ttl", service->ttl_s ? json_integer(service->ttl_s) : json_null()) &&
	    codec_put(json, "answer_limit", json_integer(service->answer_limit)) &&
	    codec_put(json, "failure", json_string(record_failure_name(service->failure))) &&
	    codec_put(json, "panic_threshold", json_real((double)service->panic_ppm / 1000000)) &&
	    codec_put(json, "instances", instances_json(service, now_ms, wall_ms)))
		return json;
	json_decref(json);
	return NULL;
}
