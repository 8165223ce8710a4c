/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/native_write.h"

#include "base/clock.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- One slot ---- */

/* Ends a slot with an error; `field` is in its own object. */
static void refuse(struct api_write *write, size_t i, int status, const char *field,
		   const char *message)
{
	struct api_slot *slot = &write->slots[i];
	char path[sizeof(((struct codec_error *)0)->field) + 24] = "";

	if (write->is_array)
		snprintf(path, sizeof(path), "[%zu]%s%s", i, *field ? "." : "", field);
	else
		snprintf(path, sizeof(path), "%s", field);
	slot->said = json_object();
	slot->status = codec_put(slot->said, "error", api_error_json(status, path, message))
			       ? status
			       : 503;
}

static int outcome_status(const struct outcome *outcome)
{
	static const int statuses[] = {
		[REGISTRY_CREATED] = 201,   [REGISTRY_UPDATED] = 200,  [REGISTRY_NOT_FOUND] = 404,
		[REGISTRY_AMBIGUOUS] = 400, [REGISTRY_CONFLICT] = 409, [REGISTRY_FULL] = 503,
		[REGISTRY_NO_MEMORY] = 503,
	};

	return statuses[outcome->result];
}

void native_write_deny(struct api_write *write, size_t slot, const struct outcome *outcome)
{
	refuse(write, slot, outcome_status(outcome), "", outcome->message);
}

static bool put_instance(json_t *said, const struct instance *instance)
{
	return !instance ||
	       (codec_put(said, "service", json_string(instance->registration->service)) &&
		codec_put(said, "id", json_string(instance->registration->id)) &&
		codec_put(said, "name", json_string(record_label(instance->registration))) &&
		codec_put(said, "health", json_string(health_status_name(instance->status))));
}

/* Who leaves has left when this is said: only then is the last answer known. */
static bool put_admin(struct api *api, json_t *said, const struct instance *instance,
		      enum admin admin, uint64_t now_ms)
{
	if (!codec_put(said, "admin", json_string(record_admin_name(admin))))
		return false;
	if (!record_admin_is_out(admin))
		return true;
	return api->publish(api->cookie) &&
	       codec_put_safe_after(said, instance, now_ms, clock_wall_ms());
}

/* What there is to say of a change that was applied. */
static bool put_applied(struct api *api, json_t *said, const struct change *change,
			const struct outcome *outcome, uint64_t now_ms)
{
	if (!put_instance(said, outcome->instance))
		return false;
	if (change->kind == CHANGE_ADMIN)
		return put_admin(api, said, outcome->instance, change->admin.admin, now_ms);
	if (change->kind == CHANGE_DEREGISTER)
		return codec_put(said, "service", json_string(change->deregister.service)) &&
		       codec_put(said, "id", json_string(change->deregister.id));
	return true;
}

static void apply(struct api *api, struct api_write *write, size_t i, uint64_t now_ms)
{
	struct api_slot *slot = &write->slots[i];
	struct outcome outcome;

	registry_apply(api->registry, &slot->change, now_ms, &outcome);
	if (outcome.result != REGISTRY_CREATED && outcome.result != REGISTRY_UPDATED) {
		native_write_deny(write, i, &outcome);
		return;
	}
	slot->is_applied = true;
	if (slot->change.kind == CHANGE_REGISTER)
		slot->change.registration = NULL;
	slot->said = json_object();
	slot->status = put_applied(api, slot->said, &slot->change, &outcome, now_ms)
			       ? outcome_status(&outcome)
			       : 503;
}

/* ---- Whole requests ---- */

/* The status of an array from those of its slots. */
static int array_status(const struct api_write *write)
{
	size_t n_created = 0, n_bad = 0;

	for (size_t i = 0; i < write->n; i++) {
		n_created += write->slots[i].status == 201;
		n_bad += write->slots[i].status >= 300;
	}
	if (n_bad == write->n)
		return write->slots[0].status;
	if (n_bad)
		return 207;
	return n_created ? 201 : 200;
}

static json_t *take_said(struct api_slot *slot)
{
	json_t *said = slot->said;

	slot->said = NULL;
	return said;
}

static void reply_array(const struct api *api, struct api_write *write, struct api_reply *reply)
{
	json_t *json = json_object(), *results = json_array();
	bool ok = json && results;

	for (size_t i = 0; ok && i < write->n; i++) {
		json_t *said = take_said(&write->slots[i]);

		ok = codec_put(said, "status", json_integer(write->slots[i].status));
		if (json_array_append_new(results, said))
			ok = false;
	}
	ok = codec_put(json, "results", results) && ok &&
	     codec_put(json, "revision", api_revision_json(api));
	api_reply_if(reply, array_status(write), json, ok);
}

static void reply_one(const struct api *api, struct api_write *write, struct api_reply *reply)
{
	json_t *said = take_said(&write->slots[0]);
	int status = write->slots[0].status;

	if (status < 300 && !codec_put(said, "revision", api_revision_json(api)))
		status = 503;
	api_reply_if(reply, status, said, status != 503 || json_object_get(said, "error"));
}

static void count_refusal(struct counters *counters, int status)
{
	counters_add(status == 400   ? &counters->refused_input
		     : status == 403 ? &counters->access_forbidden
		     : status == 404 ? &counters->refused_unknown
		     : status == 409 ? &counters->refused_conflict
				     : &counters->refused_full,
		     1);
}

void native_write_finish(struct api *api, struct api_write *write, uint64_t now_ms,
			 struct api_reply *reply)
{
	*reply = (struct api_reply){ .status = 0 };
	for (size_t i = 0; i < write->n; i++)
		if (!write->slots[i].status)
			apply(api, write, i, now_ms);
	for (size_t i = 0; i < write->n; i++)
		if (write->slots[i].status >= 300)
			count_refusal(api->counters, write->slots[i].status);
	if (write->is_array)
		reply_array(api, write, reply);
	else
		reply_one(api, write, reply);
}

void native_write_free(struct api_write *write)
{
	if (!write)
		return;
	if (write->on_end)
		write->on_end(write->cookie, write);
	for (size_t i = 0; i < write->n; i++) {
		struct api_slot *slot = &write->slots[i];

		if (slot->change.kind == CHANGE_REGISTER && slot->change.registration)
			record_registration_free(slot->change.registration);
		json_decref(slot->said);
		free(slot->id);
	}
	json_decref(write->json);
	free(write);
}

struct api_write *native_write_new(size_t n_max)
{
	return calloc(1, sizeof(struct api_write) + n_max * sizeof(struct api_slot));
}

bool native_write_put_departure(struct api_write *write, const char *service, const char *id,
				const char *file)
{
	struct api_slot *slot = &write->slots[write->n];

	slot->id = strdup(id);
	if (!slot->id)
		return false;
	slot->change = (struct change){
		.kind = CHANGE_DEREGISTER,
		.deregister = { .service = service, .id = slot->id, .file = file },
	};
	write->n++;
	return true;
}

/* ---- From requests to changes ---- */

/* Makes a slot's change of one object. false with the reason. */
typedef bool (*slot_read)(const struct api *api, const struct api_request *request, json_t *json,
			  struct api_slot *slot, struct codec_error *error);

static bool read_register(const struct api *api, const struct api_request *request, json_t *json,
			  struct api_slot *slot, struct codec_error *error)
{
	struct registration *registration = codec_registration(json, error);

	(void)request;
	if (!registration)
		return false;
	slot->change = (struct change){ .kind = CHANGE_REGISTER, .registration = registration };
	if (!api->refuses_loopback_checks || !record_checks_loopback(registration))
		return true;
	*error = (struct codec_error){
		.field = "checks",
		.message = "must not be of a loopback address, unless the server takes requests "
			   "from its own host alone or its configuration says "
			   "\"check-loopback: true\"",
	};
	return false;
}

static bool read_heartbeat(const struct api *api, const struct api_request *request, json_t *json,
			   struct api_slot *slot, struct codec_error *error)
{
	struct codec_heartbeat *heartbeat = &slot->heartbeat;

	(void)api;
	if (!codec_heartbeat(json, heartbeat, error))
		return false;
	slot->change = (struct change){
		.kind = CHANGE_HEARTBEAT,
		.heartbeat = { .service = heartbeat->service,
			       .id = heartbeat->id,
			       .caller = request->caller,
			       .status = heartbeat->has_status ? &heartbeat->status : NULL,
			       .output = heartbeat->output },
	};
	return true;
}

static void set_target(struct api_slot *slot, enum change_kind kind, const char *id)
{
	slot->change = (struct change){ .kind = kind };
	if (kind == CHANGE_DEREGISTER)
		slot->change.deregister =
			(struct change_deregister){ .service = slot->service, .id = id };
	else
		slot->change.admin = (struct change_admin){ .service = slot->service, .id = id };
}

static bool read_deregister(const struct api *api, const struct api_request *request, json_t *json,
			    struct api_slot *slot, struct codec_error *error)
{
	struct codec_target target;

	(void)api, (void)request;
	if (!codec_target(json, &target, error))
		return false;
	memcpy(slot->service, target.service, sizeof(slot->service));
	set_target(slot, CHANGE_DEREGISTER, target.id);
	return true;
}

static bool read_policy(const struct api *api, const struct api_request *request, json_t *json,
			struct api_slot *slot, struct codec_error *error)
{
	struct codec_policy *policy = &slot->policy;

	(void)api, (void)request;
	if (!codec_policy(json, policy, error))
		return false;
	slot->change = (struct change){
		.kind = CHANGE_POLICY,
		.policy = { .service = slot->service,
			    .ttl_s = policy->has_ttl ? &policy->ttl_s : NULL,
			    .answer_limit = policy->has_answer_limit ? &policy->answer_limit : NULL,
			    .failure = policy->has_failure ? &policy->failure : NULL,
			    .panic_ppm = policy->has_panic_threshold ? &policy->panic_ppm : NULL },
	};
	return true;
}

static bool read_admin(const struct api *api, const struct api_request *request, json_t *json,
		       struct api_slot *slot, struct codec_error *error)
{
	(void)api, (void)request;
	set_target(slot, CHANGE_ADMIN, slot->id);
	return codec_admin(json, &slot->change.admin.admin, error);
}

/* ---- What has to be on disk first ---- */

/*
 * Whether a change will change what is kept, or comes behind one that may: what is done with it at
 * once would be undone by that. One that the registry refuses changes nothing.
 */
static bool is_durable(const struct api *api, const struct change *change)
{
	struct outcome outcome;
	bool changes;

	if (change->kind == CHANGE_HEARTBEAT)
		return false;
	registry_admit(api->registry, change, &outcome, &changes);
	return changes || (api->is_behind && api->is_behind(api->cookie, change));
}

/* Finishes the write now, or says that it waits for the disk. */
static void hand_over(struct api *api, struct api_write *write, uint64_t now_ms,
		      struct api_reply *reply)
{
	for (size_t i = 0; i < write->n; i++) {
		if (write->slots[i].status || !is_durable(api, &write->slots[i].change))
			continue;
		reply->status = 200;
		reply->write = write;
		return;
	}
	native_write_finish(api, write, now_ms, reply);
	native_write_free(write);
}

static struct api_write *new_write(size_t n, struct api_reply *reply)
{
	struct api_write *write = native_write_new(n);

	if (write)
		write->n = n;
	else
		api_reply_error(reply, 503, NULL, "out of memory");
	return write;
}

/* Where the path has them, NULL otherwise. */
struct target {
	const char *service, *id;
};

/* false: out of memory. */
static bool set_names(struct api_slot *slot, const struct target *target)
{
	if (target->service)
		snprintf(slot->service, sizeof(slot->service), "%s", target->service);
	if (target->id)
		slot->id = strdup(target->id);
	return !target->id || slot->id;
}

/* The service that a change is about. */
static const char *service_of(const struct change *change)
{
	switch (change->kind) {
	case CHANGE_REGISTER:
		return change->registration->service;
	case CHANGE_HEARTBEAT:
		return change->heartbeat.service;
	case CHANGE_DEREGISTER:
		return change->deregister.service;
	case CHANGE_ADMIN:
		return change->admin.service;
	case CHANGE_POLICY:
		return change->policy.service;
	case CHANGE_CHECK_RESULT:
	case CHANGE_RESTORE:
	case CHANGE_RESTORE_POLICY:
		break;
	}
	assert(!"nobody asks for these over HTTP");
	return NULL;
}

/* Each entry of an array is looked at by itself. What takes ADMIN has been asked for that before.
 */
static void deny_slots(const struct api_request *request, struct api_write *write)
{
	char reason[API_DENIED_TEXT] = "";

	for (size_t i = 0; i < write->n; i++) {
		const char *service;

		if (write->slots[i].status)
			continue;
		service = service_of(&write->slots[i].change);
		if (access_allows(request->who, ACCESS_REGISTER, service))
			continue;
		api_print_denied(reason, ACCESS_REGISTER, service);
		refuse(write, i, 403, "", reason);
	}
	if (*reason)
		api_log_denied(request, reason);
}

static void read_slot(const struct api *api, const struct api_request *request, slot_read read,
		      const struct target *target, json_t *json, struct api_write *write, size_t i)
{
	struct codec_error error = { .no_memory = true };

	if (!set_names(&write->slots[i], target))
		refuse(write, i, 503, "", "out of memory");
	else if (!read(api, request, json, &write->slots[i], &error))
		refuse(write, i, error.no_memory ? 503 : 400, error.field, error.message);
}

/* Whether an array may have so many entries; else it is refused. */
static bool check_array(struct counters *counters, size_t n, size_t limit, struct api_reply *reply)
{
	if (n == 0)
		api_reply_error(reply, 400, NULL, "the array is empty");
	if (n <= limit)
		return n > 0;
	counters_add(limit == LIMIT_REGISTER_ARRAY ? &counters->limit_register_array
						   : &counters->limit_heartbeat_array,
		     1);
	api_reply_error(reply, 413, NULL, "the array has %zu entries; at most %zu are allowed", n,
			limit);
	return false;
}

/* A request whose body is one object, or an array of up to `limit` (0: no array). */
static void write_body(struct api *api, const struct api_request *request, slot_read read,
		       const struct target *target, size_t limit, uint64_t now_ms,
		       struct api_reply *reply)
{
	struct codec_error error;
	json_t *json = codec_load(request->body, request->body_len, &error);
	bool is_array = limit && json_is_array(json);
	struct api_write *write = NULL;

	if (!json && error.too_deep)
		counters_add(&api->counters->limit_json_depth, 1);
	if (!json)
		api_reply_error(reply, error.no_memory ? 503 : 400, NULL, "%s", error.message);
	else if (!is_array || check_array(api->counters, json_array_size(json), limit, reply))
		write = new_write(is_array ? json_array_size(json) : 1, reply);
	if (!write) {
		json_decref(json);
		return;
	}
	write->json = json;
	write->is_array = is_array;
	for (size_t i = 0; i < write->n; i++)
		read_slot(api, request, read, target, is_array ? json_array_get(json, i) : json,
			  write, i);
	deny_slots(request, write);
	hand_over(api, write, now_ms, reply);
}

/* ---- Routes ---- */

static const struct target no_target;

void native_write_register(struct api *api, const struct api_request *request,
			   char *const *segments, uint64_t now_ms, struct api_reply *reply)
{
	(void)segments;
	write_body(api, request, read_register, &no_target, LIMIT_REGISTER_ARRAY, now_ms, reply);
}

void native_write_heartbeat(struct api *api, const struct api_request *request,
			    char *const *segments, uint64_t now_ms, struct api_reply *reply)
{
	(void)segments;
	write_body(api, request, read_heartbeat, &no_target, LIMIT_HEARTBEAT_ARRAY, now_ms, reply);
}

void native_write_deregister(struct api *api, const struct api_request *request,
			     char *const *segments, uint64_t now_ms, struct api_reply *reply)
{
	(void)segments;
	write_body(api, request, read_deregister, &no_target, 0, now_ms, reply);
}

void native_write_delete(struct api *api, const struct api_request *request, char *const *segments,
			 uint64_t now_ms, struct api_reply *reply)
{
	char service[LIMIT_LABEL + 1];
	const struct target target = { .service = service, .id = segments[1] };
	struct api_write *write;

	(void)request;
	if (!record_label_parse(segments[0], service)) {
		api_reply_error(reply, 404, NULL, "no such service");
		return;
	}
	write = new_write(1, reply);
	if (!write)
		return;
	if (set_names(&write->slots[0], &target))
		set_target(&write->slots[0], CHANGE_DEREGISTER, write->slots[0].id);
	else
		refuse(write, 0, 503, "", "out of memory");
	hand_over(api, write, now_ms, reply);
}

void native_write_policy(struct api *api, const struct api_request *request, char *const *segments,
			 uint64_t now_ms, struct api_reply *reply)
{
	char service[LIMIT_LABEL + 1];
	const struct target target = { .service = service };

	if (record_label_parse(segments[0], service))
		write_body(api, request, read_policy, &target, 0, now_ms, reply);
	else
		api_reply_error(reply, 404, NULL, "no such service");
}

void native_write_admin(struct api *api, const struct api_request *request, char *const *segments,
			uint64_t now_ms, struct api_reply *reply)
{
	char service[LIMIT_LABEL + 1];
	const struct target target = { .service = service, .id = segments[1] };

	if (record_label_parse(segments[0], service))
		write_body(api, request, read_admin, &target, 0, now_ms, reply);
	else
		api_reply_error(reply, 404, NULL, "no such service");
}
