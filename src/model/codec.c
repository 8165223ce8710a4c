/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/codec.h"

#include "model/codec_check.h"
#include "model/codec_field.h"
#include "model/record_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Loading ---- */

static void *(*get_memory)(size_t size);
static bool has_failed; /* since load() began */

static void *alloc_noted(size_t size)
{
	void *thing = get_memory(size);

	has_failed |= !thing;
	return thing;
}

void codec_use_memory(void *(*alloc)(size_t size), void (*release)(void *thing))
{
	get_memory = alloc;
	json_set_alloc_funcs(alloc_noted, release);
}

/* Whether brackets nest too deep, before a parser recurses into them. */
static bool is_too_deep(const char *body, size_t body_len)
{
	bool in_string = false;
	unsigned depth = 0;

	for (size_t i = 0; i < body_len; i++) {
		if (in_string && body[i] == '\\')
			i++;
		else if (body[i] == '"')
			in_string = !in_string;
		else if (!in_string && (body[i] == '[' || body[i] == '{'))
			depth++;
		else if (!in_string && (body[i] == ']' || body[i] == '}') && depth > 0)
			depth--;
		if (depth > LIMIT_JSON_DEPTH)
			return true;
	}
	return false;
}

/* NULL with the reason; of what is no JSON, it is in `reason`. */
static json_t *load(const char *body, size_t body_len, json_error_t *reason,
		    struct codec_error *error)
{
	const struct codec_place at = { .error = error };
	json_t *json;

	*error = (struct codec_error){ .no_memory = false };
	if (is_too_deep(body, body_len)) {
		codec_field_refuse(&at, "", "more than %d levels of JSON", LIMIT_JSON_DEPTH);
		error->too_deep = true;
		return NULL;
	}
	if (!codec_field_check_start(&at, body, body_len))
		return NULL;
	/* Short of memory, the library calls a token invalid, or even cuts it. */
	has_failed = false;
	json = json_loadb(body, body_len, JSON_REJECT_DUPLICATES, reason);
	if (has_failed || (!json && json_error_code(reason) == json_error_out_of_memory)) {
		json_decref(json);
		json = NULL;
		codec_field_refuse_memory(&at);
	} else if (!json && json_error_code(reason) == json_error_null_character) {
		/* The library would name a flag of its own. */
		strcpy(reason->text, "\"\\u0000\" is not allowed in a string");
	}
	return json;
}

json_t *codec_load(const char *body, size_t body_len, struct codec_error *error)
{
	const struct codec_place at = { .error = error };
	json_error_t reason;
	json_t *json;

	if (body_len == 0) {
		*error = (struct codec_error){ .no_memory = false };
		codec_field_refuse(&at, "", "the body is empty; JSON is expected");
		return NULL;
	}
	json = load(body, body_len, &reason, error);
	if (!json && !*error->message)
		codec_field_refuse(&at, "", "no valid JSON: line %d, column %d: %s", reason.line,
				   reason.column, reason.text);
	return json;
}

json_t *codec_load_part(const char *text, size_t len, size_t *position, struct codec_error *error)
{
	const struct codec_place at = { .error = error };
	json_error_t reason;
	json_t *json = load(text, len, &reason, error);
	const char *near;

	*position = 0;
	if (json || *error->message)
		return json;
	if (reason.position > 0)
		*position = (size_t)reason.position - 1;
	/* What stands near it may be a secret, and this goes into a log. */
	near = strstr(reason.text, " near '");
	codec_field_refuse(&at, "", "no valid JSON: %.*s",
			   near ? (int)(near - reason.text) : (int)strlen(reason.text),
			   reason.text);
	return NULL;
}

/* ---- What a registration is made of ---- */

static bool parse_ttl(const struct codec_place *at, const struct codec_field *field, json_t *value,
		      void *out)
{
	uint32_t *ttl_s = (uint32_t *)(void *)((char *)out + field->to);
	uint64_t ms;

	if (!codec_field_read_duration(value, &ms) || ms % 1000 || ms < 1000 ||
	    ms > LIMIT_TTL_S * 1000ULL)
		return codec_field_refuse(
			at, field->name,
			"must be whole seconds from 1 to %d, as a number or a duration "
			"(\"10s\")",
			LIMIT_TTL_S);
	*ttl_s = (uint32_t)(ms / 1000);
	return true;
}

static bool parse_name(const struct codec_place *at, const struct codec_field *field, json_t *value,
		       void *out)
{
	char label[LIMIT_LABEL + 1];

	if (!json_is_string(value) || !record_label_parse(json_string_value(value), label))
		return codec_field_refuse(at, field->name,
					  "must be a DNS label: letters, digits and inner hyphens, "
					  "1 to %d characters",
					  LIMIT_LABEL);
	return codec_field_put_string(at, (char **)((char *)out + field->to), label);
}

/* An id as it is in JSON, or NULL with the reason. */
static const char *read_id(const struct codec_place *at, const char *field, json_t *value)
{
	const char *text = json_string_value(value);

	if (text && record_text_is_id(text))
		return text;
	codec_field_refuse(at, field,
			   "must be a string of 1 to %d octets without control characters",
			   LIMIT_ID);
	return NULL;
}

static bool parse_id(const struct codec_place *at, const struct codec_field *field, json_t *value,
		     void *out)
{
	struct registration *registration = out;
	const char *id = read_id(at, field->name, value);

	return id && codec_field_put_string(at, &registration->id, id);
}

static bool put_address(const struct codec_place *at, const struct codec_field *field,
			json_t *value, struct address *address)
{
	const char *reason;

	if (!json_is_string(value))
		return codec_field_refuse(at, field->name, "must be an IP address, as a string");
	if (!record_address_parse(json_string_value(value), address, &reason))
		return codec_field_refuse(at, field->name, "%s", reason);
	return true;
}

static bool parse_ip(const struct codec_place *at, const struct codec_field *field, json_t *value,
		     void *out)
{
	struct registration *registration = out;

	return put_address(at, field, value, &registration->address);
}

static bool parse_ipv4(const struct codec_place *at, const struct codec_field *field, json_t *value,
		       void *out)
{
	struct registration *registration = out;
	const char *text = json_string_value(value);

	if (text && strchr(text, ':'))
		return codec_field_refuse(at, field->name, "must be an IPv4 address");
	return put_address(at, field, value, &registration->address);
}

static bool parse_ipv6(const struct codec_place *at, const struct codec_field *field, json_t *value,
		       void *out)
{
	struct registration *registration = out;
	const char *text = json_string_value(value);

	if (text && !strchr(text, ':'))
		return codec_field_refuse(at, field->name, "must be an IPv6 address");
	return put_address(at, field, value, &registration->address);
}

static bool parse_protocol(const struct codec_place *at, const struct codec_field *field,
			   json_t *value, void *out)
{
	struct registration *registration = out;
	const char *text = json_string_value(value);

	if (text && strcmp(text, "tcp") == 0)
		registration->protocol = PROTOCOL_TCP;
	else if (text && strcmp(text, "udp") == 0)
		registration->protocol = PROTOCOL_UDP;
	else
		return codec_field_refuse(at, field->name, "must be \"tcp\" or \"udp\"");
	return true;
}

/* ---- Named ports ---- */

static bool put_port(const struct codec_place *at, struct registration *registration,
		     const char *name, json_t *value)
{
	char field_name[128], label[LIMIT_LABEL + 1];
	struct named_port port = { 0 };
	const struct codec_field field = { field_name, NULL,  offsetof(struct named_port, port),
					   1,          65535, false };

	snprintf(field_name, sizeof(field_name), "ports.%s", name);
	/* One octet less than a label: it is used with an underscore in front. */
	if (!record_label_parse(name, label) || strlen(label) == LIMIT_LABEL)
		return codec_field_refuse(
			at, field_name,
			"a port's name must be letters, digits and inner hyphens, "
			"1 to %d characters",
			LIMIT_LABEL - 1);
	for (size_t i = 0; i < registration->n_ports; i++)
		if (strcmp(registration->ports[i].name, label) == 0)
			return codec_field_refuse(at, field_name, "is there twice");
	if (!codec_field_u16(at, &field, value, &port) ||
	    !codec_field_put_string(at, &port.name, label))
		return false;
	registration->ports[registration->n_ports++] = port;
	return true;
}

static bool parse_ports(const struct codec_place *at, const struct codec_field *field,
			json_t *value, void *out)
{
	struct registration *registration = out;

	if (!json_is_object(value) || json_object_size(value) > LIMIT_PORTS)
		return codec_field_refuse(
			at, field->name,
			"must be an object of at most %d names with a port number each",
			LIMIT_PORTS);
	registration->ports = calloc(json_object_size(value) + 1, sizeof(*registration->ports));
	if (!registration->ports)
		return codec_field_refuse_memory(at);
	for (void *i = json_object_iter(value); i; i = json_object_iter_next(value, i))
		if (!put_port(at, registration, json_object_iter_key(i), json_object_iter_value(i)))
			return false;
	return true;
}

/* ---- Tags ---- */

static bool put_tag(const struct codec_place *at, struct registration *registration, json_t *value)
{
	const char *tag = json_string_value(value);
	char field[16];

	snprintf(field, sizeof(field), "tags[%d]", registration->n_tags);
	if (!tag || !record_text_is_tag(tag))
		return codec_field_refuse(
			at, field,
			"must be a string of 1 to %d octets without commas and control "
			"characters",
			LIMIT_LABEL);
	for (size_t i = 0; i < registration->n_tags; i++)
		if (strcmp(registration->tags[i], tag) == 0)
			return codec_field_refuse(at, field, "is there twice");
	if (!codec_field_put_string(at, &registration->tags[registration->n_tags], tag))
		return false;
	registration->n_tags++;
	return true;
}

static bool parse_tags(const struct codec_place *at, const struct codec_field *field, json_t *value,
		       void *out)
{
	struct registration *registration = out;
	size_t n = json_array_size(value), text_len = 0;

	if (!json_is_array(value) || n > LIMIT_TAGS)
		return codec_field_refuse(at, field->name, "must be an array of at most %d strings",
					  LIMIT_TAGS);
	registration->tags = calloc(n + 1, sizeof(*registration->tags));
	if (!registration->tags)
		return codec_field_refuse_memory(at);
	for (size_t i = 0; i < n; i++) {
		if (!put_tag(at, registration, json_array_get(value, i)))
			return false;
		text_len += strlen(registration->tags[i]) + (i > 0);
	}
	if (text_len > LIMIT_TAGS_TEXT)
		return codec_field_refuse(at, field->name,
					  "must be at most %d octets, joined by commas",
					  LIMIT_TAGS_TEXT);
	return true;
}

/* ---- Metadata ---- */

static bool put_meta(const struct codec_place *at, const char *field,
		     struct registration *registration, const char *key, const char *value)
{
	struct meta meta = { NULL, NULL }, *grown;

	for (size_t i = 0; i < registration->n_meta; i++)
		if (strcmp(registration->meta[i].key, key) == 0)
			return codec_field_refuse(at, field, "is in \"meta\" too");
	if (registration->n_meta == LIMIT_META)
		return codec_field_refuse(at, field, "at most %d entries of metadata are allowed",
					  LIMIT_META);
	if (strlen(key) + 1 + strlen(value) > LIMIT_META_TEXT)
		return codec_field_refuse(at, field,
					  "must be at most %d octets together with its key",
					  LIMIT_META_TEXT);
	grown = realloc(registration->meta, (registration->n_meta + 1) * sizeof(*grown));
	if (!grown)
		return codec_field_refuse_memory(at);
	registration->meta = grown;
	if (!codec_field_put_string(at, &meta.key, key))
		return false;
	if (!codec_field_put_string(at, &meta.value, value)) {
		free(meta.key);
		return false;
	}
	registration->meta[registration->n_meta++] = meta;
	return true;
}

/* One entry of the object "meta". */
static bool read_meta(const struct codec_place *at, struct registration *registration,
		      const char *key, json_t *value)
{
	char name[128];

	snprintf(name, sizeof(name), "meta.%s", key);
	if (!record_text_is_meta_key(key))
		return codec_field_refuse(at, name,
					  "a key must be 1 or more characters, without \"=\" and "
					  "control characters");
	if (!json_is_string(value))
		return codec_field_refuse(at, name, "must be a string");
	return put_meta(at, name, registration, key, json_string_value(value));
}

static bool parse_meta(const struct codec_place *at, const struct codec_field *field, json_t *value,
		       void *out)
{
	if (!json_is_object(value) || json_object_size(value) > LIMIT_META)
		return codec_field_refuse(at, field->name,
					  "must be an object of at most %d strings", LIMIT_META);
	for (void *i = json_object_iter(value); i; i = json_object_iter_next(value, i))
		if (!read_meta(at, out, json_object_iter_key(i), json_object_iter_value(i)))
			return false;
	return true;
}

static bool parse_short_meta(const struct codec_place *at, const struct codec_field *field,
			     json_t *value, void *out)
{
	if (!json_is_string(value))
		return codec_field_refuse(at, field->name, "must be a string");
	return put_meta(at, field->name, out, field->name, json_string_value(value));
}

static bool parse_sidecar(const struct codec_place *at, const struct codec_field *field,
			  json_t *value, void *out)
{
	if (json_is_boolean(value))
		return put_meta(at, field->name, out, field->name,
				json_is_true(value) ? "true" : "false");
	if (!json_is_string(value))
		return codec_field_refuse(at, field->name, "must be a string or a boolean");
	return parse_short_meta(at, field, value, out);
}

/* ---- Registrations ---- */

#define AT(member) offsetof(struct registration, member)
static const struct codec_field registration_fields[] = {
	{ "name", parse_name, AT(service), 0, 0, true },
	{ "id", parse_id, AT(id), 0, 0, false },
	{ "ip", parse_ip, AT(address), 0, 0, false },
	{ "ipv4", parse_ipv4, AT(address), 0, 0, false },
	{ "ipv6", parse_ipv6, AT(address), 0, 0, false },
	{ "port", codec_field_u16, AT(port), 1, 65535, true },
	{ "ports", parse_ports, AT(ports), 0, 0, false },
	{ "protocol", parse_protocol, 0, 0, 0, false },
	{ "priority", codec_field_u16, AT(priority), 0, 65535, false },
	{ "weight", codec_field_u16, AT(weight), 0, 65535, false },
	{ "tags", parse_tags, AT(tags), 0, 0, false },
	{ "ttl", parse_ttl, AT(ttl_s), 0, 0, false },
	{ "lease", codec_field_ms, AT(lease_ms), LIMIT_LEASE_MIN_MS, LIMIT_LEASE_MAX_MS, false },
	{ "health", codec_check_health, AT(checks), 0, 0, false },
	{ "checks", codec_check_array, AT(checks), 0, 0, false },
	{ "meta", parse_meta, AT(meta), 0, 0, false },
	{ "version", parse_short_meta, AT(meta), 0, 0, false },
	{ "environment", parse_short_meta, AT(meta), 0, 0, false },
	{ "region", parse_short_meta, AT(meta), 0, 0, false },
	{ "zone", parse_short_meta, AT(meta), 0, 0, false },
	{ "description", parse_short_meta, AT(meta), 0, 0, false },
	{ "managed_by", parse_short_meta, AT(meta), 0, 0, false },
	{ "deployment_time", parse_short_meta, AT(meta), 0, 0, false },
	{ "sidecar", parse_sidecar, AT(meta), 0, 0, false },
};
#undef AT

/* Defaults of a registration. */
enum {
	PRIORITY = 10,
	WEIGHT = 100,
};

/* The id and its label, which follow from the rest. */
static bool put_identity(const struct codec_place *at, struct registration *registration)
{
	char id[LIMIT_LABEL + 1];

	if (!registration->address.has_v4 && !registration->address.has_v6)
		return codec_field_refuse(at, "ip", "is required (or \"ipv4\", \"ipv6\")");
	if (!registration->id) {
		record_default_id(&registration->address, registration->port, id);
		if (!codec_field_put_string(at, &registration->id, id))
			return false;
	}
	return record_put_label(registration) ? true : codec_field_refuse_memory(at);
}

struct registration *codec_registration(json_t *json, struct codec_error *error)
{
	struct codec_place at = { .error = error };
	struct registration *registration;

	*error = (struct codec_error){ .no_memory = false };
	if (!json_is_object(json)) {
		codec_field_refuse(&at, "", "a registration must be an object");
		return NULL;
	}
	registration = record_registration_new();
	if (!registration) {
		codec_field_refuse_memory(&at);
		return NULL;
	}
	registration->priority = PRIORITY;
	registration->weight = WEIGHT;
	if (!codec_field_walk(&at, registration_fields, CODEC_COUNT(registration_fields), json,
			      registration) ||
	    !put_identity(&at, registration)) {
		record_registration_free(registration);
		return NULL;
	}
	return registration;
}

/* ---- Heartbeats and targets ---- */

static bool parse_heartbeat_service(const struct codec_place *at, const struct codec_field *field,
				    json_t *value, void *out)
{
	struct codec_heartbeat *heartbeat = out;
	const char *text = json_string_value(value);

	if (*heartbeat->service)
		return codec_field_refuse(at, field->name,
					  "\"service\" and \"name\" mean the same");
	if (!text || !record_label_parse(text, heartbeat->service))
		return codec_field_refuse(at, field->name, "must be the name of a service");
	return true;
}

static bool parse_heartbeat_id(const struct codec_place *at, const struct codec_field *field,
			       json_t *value, void *out)
{
	struct codec_heartbeat *heartbeat = out;

	heartbeat->id = read_id(at, field->name, value);
	return heartbeat->id != NULL;
}

static bool parse_heartbeat_status(const struct codec_place *at, const struct codec_field *field,
				   json_t *value, void *out)
{
	struct codec_heartbeat *heartbeat = out;

	heartbeat->has_status = true;
	return codec_field_status(at, field, value, out);
}

static bool parse_output(const struct codec_place *at, const struct codec_field *field,
			 json_t *value, void *out)
{
	struct codec_heartbeat *heartbeat = out;

	if (!json_is_string(value) || json_string_length(value) >= LIMIT_CHECK_OUTPUT)
		return codec_field_refuse(at, field->name, "must be a string of at most %d octets",
					  LIMIT_CHECK_OUTPUT - 1);
	heartbeat->output = json_string_value(value);
	return true;
}

/* Clients send it; our own clock is what counts. */
static bool parse_timestamp(const struct codec_place *at, const struct codec_field *field,
			    json_t *value, void *out)
{
	(void)out;
	if (!json_is_string(value) && !json_is_number(value))
		return codec_field_refuse(at, field->name, "must be a string or a number");
	return true;
}

#define AT(member) offsetof(struct codec_heartbeat, member)
/* The first three are those of a deregistration. */
static const struct codec_field heartbeat_fields[] = {
	{ "service", parse_heartbeat_service, AT(service), 0, 0, false },
	{ "name", parse_heartbeat_service, AT(service), 0, 0, false },
	{ "id", parse_heartbeat_id, AT(id), 0, 0, false },
	{ "status", parse_heartbeat_status, AT(status), 0, 0, false },
	{ "output", parse_output, AT(output), 0, 0, false },
	{ "timestamp", parse_timestamp, 0, 0, 0, false },
};
#undef AT

enum {
	TARGET_FIELDS = 3,
};

/* `service` and `name` mean the same; one of them must be there. */
static bool read_heartbeat(const struct codec_place *at, size_t n_fields, json_t *json,
			   struct codec_heartbeat *heartbeat)
{
	*at->error = (struct codec_error){ .no_memory = false };
	*heartbeat = (struct codec_heartbeat){ .id = NULL };
	if (!json_is_object(json))
		return codec_field_refuse(at, "", "must be an object");
	if (!codec_field_walk(at, heartbeat_fields, n_fields, json, heartbeat))
		return false;
	if (!*heartbeat->service)
		return codec_field_refuse(at, "service", "is required");
	return true;
}

bool codec_heartbeat(json_t *json, struct codec_heartbeat *heartbeat, struct codec_error *error)
{
	const struct codec_place at = { .error = error };

	return read_heartbeat(&at, CODEC_COUNT(heartbeat_fields), json, heartbeat);
}

bool codec_target(json_t *json, struct codec_target *target, struct codec_error *error)
{
	const struct codec_place at = { .error = error };
	struct codec_heartbeat heartbeat;

	if (!read_heartbeat(&at, TARGET_FIELDS, json, &heartbeat))
		return false;
	if (!heartbeat.id)
		return codec_field_refuse(&at, "id", "is required");
	memcpy(target->service, heartbeat.service, sizeof(target->service));
	target->id = heartbeat.id;
	return true;
}

static bool parse_failure(const struct codec_place *at, const struct codec_field *field,
			  json_t *value, void *out)
{
	struct codec_policy *policy = out;
	const char *text = json_string_value(value);

	if (!text || !record_failure_parse(text, &policy->failure))
		return codec_field_refuse(at, field->name,
					  "must be \"empty\", \"all\" or \"last\"");
	return true;
}

static bool parse_share(const struct codec_place *at, const struct codec_field *field,
			json_t *value, void *out)
{
	struct codec_policy *policy = out;
	double share = json_number_value(value);

	if (!json_is_number(value) || !(share >= 0 && share <= 1))
		return codec_field_refuse(at, field->name, "must be a number from 0 to 1");
	policy->panic_ppm = (uint32_t)(share * 1000000 + 0.5);
	return true;
}

bool codec_policy(json_t *json, struct codec_policy *policy, struct codec_error *error)
{
	static const struct codec_field fields[] = {
		{ "ttl", parse_ttl, offsetof(struct codec_policy, ttl_s), 0, 0, false },
		{ "answer_limit", codec_field_u16, offsetof(struct codec_policy, answer_limit), 0,
		  LIMIT_ANSWER_LIMIT, false },
		{ "failure", parse_failure, 0, 0, 0, false },
		{ "panic_threshold", parse_share, 0, 0, 0, false },
	};
	const struct codec_place at = { .error = error };

	*error = (struct codec_error){ .no_memory = false };
	*policy = (struct codec_policy){ .has_ttl = json_object_get(json, "ttl"),
					 .has_answer_limit = json_object_get(json, "answer_limit"),
					 .has_failure = json_object_get(json, "failure"),
					 .has_panic_threshold =
						 json_object_get(json, "panic_threshold") };
	if (!json_is_object(json))
		return codec_field_refuse(&at, "", "must be an object");
	return codec_field_walk(&at, fields, CODEC_COUNT(fields), json, policy);
}

static bool parse_admin(const struct codec_place *at, const struct codec_field *field,
			json_t *value, void *out)
{
	const char *text = json_string_value(value);

	if (!text || !record_admin_parse(text, out))
		return codec_field_refuse(at, field->name,
					  "must be \"auto\", \"up\", \"down\" or \"drain\"");
	return true;
}

bool codec_admin(json_t *json, enum admin *admin, struct codec_error *error)
{
	static const struct codec_field fields[] = {
		{ "state", parse_admin, 0, 0, 0, true },
	};
	const struct codec_place at = { .error = error };

	*error = (struct codec_error){ .no_memory = false };
	if (!json_is_object(json))
		return codec_field_refuse(&at, "", "must be an object");
	return codec_field_walk(&at, fields, CODEC_COUNT(fields), json, admin);
}
