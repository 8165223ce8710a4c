/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines are printed by hand: a million of them are, while the server is told to end. They are read
 * by the codec.
 */
#include "model/codec_line.h"

#include "model/codec.h"
#include "model/codec_field.h"
#include "model/record_text.h"

#include <stdio.h>
#include <string.h>

/* ---- Printing ---- */

/* A literal of JSON. */
static void put(struct buf *out, const char *text)
{
	buf_put(out, text, strlen(text));
}

static void put_number(struct buf *out, uint64_t number)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	buf_put(out, digits + at, sizeof(digits) - at);
}

static void put_string(struct buf *out, const char *text)
{
	static const char digits[] = "0123456789abcdef";

	put(out, "\"");
	for (;;) {
		size_t n = 0;
		char escape[] = "\\u0000";

		while ((unsigned char)text[n] >= 0x20 && text[n] != '"' && text[n] != '\\')
			n++;
		buf_put(out, text, n);
		text += n;
		if (*text == '\0')
			break;
		escape[4] = digits[*text >> 4];
		escape[5] = digits[*text & 0xf];
		put(out, escape);
		text++;
	}
	put(out, "\"");
}

/* `key` is the literal in front: "," where one is due, and the name with its colon. */
static void put_field(struct buf *out, const char *key, const char *text)
{
	put(out, key);
	put_string(out, text);
}

static void put_number_field(struct buf *out, const char *key, uint64_t number)
{
	put(out, key);
	put_number(out, number);
}

/* Seconds where they are whole. */
static void put_duration(struct buf *out, const char *key, uint32_t ms)
{
	put(out, key);
	if (ms % 1000 == 0) {
		put_number(out, ms / 1000);
		return;
	}
	put(out, "\"");
	put_number(out, ms);
	put(out, "ms\"");
}

/* Lines as they are sent, as an object. */
static void put_headers(struct buf *out, const char *lines)
{
	char line[LIMIT_CHECK_HEADERS_TEXT + 1];

	put(out, ",\"headers\":");
	for (const char *before = "{"; *lines; before = ",") {
		size_t len = strcspn(lines, "\r");
		char *value;

		memcpy(line, lines, len);
		line[len] = '\0';
		value = strchr(line, ':');
		*value = '\0';
		put_field(out, before, line);
		put_field(out, ":", value + 2);
		lines += len + 2;
	}
	put(out, "}");
}

static void put_http(struct buf *out, const struct check_spec *spec)
{
	put_field(out, ",\"path\":", spec->path);
	if (spec->method)
		put_field(out, ",\"method\":", spec->method);
	if (spec->expected)
		put_field(out, ",\"status\":", spec->expected);
	if (spec->headers)
		put_headers(out, spec->headers);
	if (spec->server_name)
		put_field(out, ",\"server_name\":", spec->server_name);
	if (spec->tls_skip_verify)
		put(out, ",\"tls_skip_verify\":true");
}

static void put_check(struct buf *out, const struct check_spec *spec)
{
	put_field(out, "{\"kind\":", record_check_kind_name(spec->kind));
	if (spec->kind == CHECK_TTL) {
		put_duration(out, ",\"ttl\":", spec->ttl_ms);
	} else {
		put_number_field(out, ",\"port\":", spec->port);
		put_duration(out, ",\"interval\":", spec->interval_ms);
		put_duration(out, ",\"timeout\":", spec->timeout_ms);
		put_number_field(out, ",\"rise\":", spec->rise);
		put_number_field(out, ",\"fall\":", spec->fall);
	}
	if (spec->kind == CHECK_HTTP || spec->kind == CHECK_HTTPS)
		put_http(out, spec);
	put_field(out, ",\"initial\":", health_status_name(spec->initial));
	put(out, "}");
}

static void put_addresses(struct buf *out, const struct address *address)
{
	char text[46];

	if (address->has_v4) {
		record_address_print(address, false, text);
		put_field(out, ",\"ipv4\":", text);
	}
	if (address->has_v6) {
		record_address_print(address, true, text);
		put_field(out, ",\"ipv6\":", text);
	}
}

static void put_lists(struct buf *out, const struct registration *registration)
{
	const char *before;

	before = ",\"ports\":{";
	for (size_t i = 0; i < registration->n_ports; i++, before = ",") {
		put_field(out, before, registration->ports[i].name);
		put_number_field(out, ":", registration->ports[i].port);
	}
	put(out, registration->n_ports ? "}" : "");
	before = ",\"tags\":[";
	for (size_t i = 0; i < registration->n_tags; i++, before = ",")
		put_field(out, before, registration->tags[i]);
	put(out, registration->n_tags ? "]" : "");
	before = ",\"meta\":{";
	for (size_t i = 0; i < registration->n_meta; i++, before = ",") {
		put_field(out, before, registration->meta[i].key);
		put_field(out, ":", registration->meta[i].value);
	}
	put(out, registration->n_meta ? "}" : "");
	before = ",\"checks\":[";
	for (size_t i = 0; i < registration->n_checks; i++, before = ",") {
		put(out, before);
		put_check(out, &registration->checks[i]);
	}
	put(out, registration->n_checks ? "]" : "");
}

/* What has a default is said all the same, so that another default changes nothing. */
static void put_registration(struct buf *out, const struct registration *registration)
{
	put_field(out, "{\"name\":", registration->service);
	put_field(out, ",\"id\":", registration->id);
	put_addresses(out, &registration->address);
	put_number_field(out, ",\"port\":", registration->port);
	put_field(out, ",\"protocol\":", record_protocol_name(registration->protocol));
	put_number_field(out, ",\"priority\":", registration->priority);
	put_number_field(out, ",\"weight\":", registration->weight);
	if (registration->ttl_s)
		put_number_field(out, ",\"ttl\":", registration->ttl_s);
	if (registration->lease_ms)
		put_duration(out, ",\"lease\":", registration->lease_ms);
	put_lists(out, registration);
	put(out, "}");
}

static void put_state(struct buf *out, const struct stored_state *state, uint32_t crc)
{
	const char *before = ",\"checks\":[";

	put_field(out, ",\"admin\":", record_admin_name(state->admin));
	put_field(out, ",\"reported\":", health_status_name(state->reported));
	if (state->served_until)
		put_number_field(out, ",\"served_until\":", state->served_until);
	if (state->registration_crc != crc)
		put_number_field(out, ",\"registration_crc\":", state->registration_crc);
	for (size_t i = 0; i < state->n_checks; i++, before = ",") {
		put(out, before);
		put_field(out, "{\"status\":", health_status_name(state->checks[i].status));
		put(out, state->checks[i].has_run ? "}" : ",\"has_run\":false}");
	}
	put(out, state->n_checks ? "]" : "");
}

static enum stored_result print_instance(const struct codec_line *line, struct buf *out)
{
	struct registration *registration;
	struct stored_state state;
	enum stored_result result =
		stored_get_registration(&line->key, line->record, line->len, &registration);

	if (result != STORED_OK)
		return result;
	put(out, "{\"registration\":");
	put_registration(out, registration);
	if (registration->file)
		put_field(out, ",\"file\":", registration->file);
	record_registration_free(registration);
	if (line->state) {
		result = stored_get_state(&line->key, line->state, line->state_len, &state);
		if (result != STORED_OK)
			return result;
		put_state(out, &state, stored_crc(line->record));
	}
	put(out, "}");
	return STORED_OK;
}

static enum stored_result print_policy(const struct codec_line *line, struct buf *out)
{
	enum stored_field field;
	uint32_t value;
	enum stored_result result = stored_get_policy(&line->key, line->record, line->len, &value);

	if (result != STORED_OK)
		return result;
	stored_field_parse(line->key.id, &field);
	put_field(out, "{\"service\":", line->key.service);
	put_field(out, ",\"policy\":{", line->key.id);
	if (field == STORED_FAILURE)
		put_field(out, ":", record_failure_name(value));
	else if (field == STORED_PANIC)
		buf_print(out, ":%u.%06u", value / 1000000, value % 1000000);
	else
		put_number_field(out, ":", value);
	put(out, "}}");
	return STORED_OK;
}

enum stored_result codec_line_print(const struct codec_line *line, struct buf *out)
{
	enum stored_result result =
		line->kind == STORED_POLICY ? print_policy(line, out) : print_instance(line, out);

	return result == STORED_OK && out->failed ? STORED_NO_MEMORY : result;
}

/* ---- Parsing ---- */

/* What a line of an instance says. */
struct line_instance {
	struct registration *registration;
	struct stored_state state;
	bool has_crc;
};

/* An error of a part of the line is one of the line. */
static bool refuse_part(const struct codec_field *field, struct codec_error *error)
{
	char inner[sizeof(error->field)];

	memcpy(inner, error->field, sizeof(inner));
	snprintf(error->field, sizeof(error->field), "%s%s%.100s", field->name, *inner ? "." : "",
		 inner);
	return false;
}

static bool parse_registration(const struct codec_place *at, const struct codec_field *field,
			       json_t *value, void *out)
{
	struct line_instance *instance = out;

	instance->registration = codec_registration(value, at->error);
	return instance->registration || refuse_part(field, at->error);
}

static bool parse_file(const struct codec_place *at, const struct codec_field *field, json_t *value,
		       void *out)
{
	struct line_instance *instance = out;
	const char *text = json_string_value(value);

	if (!text || !record_text_is_id(text))
		return codec_field_refuse(at, field->name, "must be the name of a file");
	return codec_field_put_string(at, &instance->registration->file, text);
}

static bool parse_admin(const struct codec_place *at, const struct codec_field *field,
			json_t *value, void *out)
{
	struct line_instance *instance = out;
	const char *text = json_string_value(value);

	if (!text || !record_admin_parse(text, &instance->state.admin))
		return codec_field_refuse(at, field->name,
					  "must be \"auto\", \"up\", \"down\" or \"drain\"");
	return true;
}

static bool parse_reported(const struct codec_place *at, const struct codec_field *field,
			   json_t *value, void *out)
{
	struct line_instance *instance = out;

	return codec_field_status(at, field, value, &instance->state.reported);
}

static bool parse_number(const struct codec_place *at, const struct codec_field *field,
			 json_t *value, json_int_t *number)
{
	*number = json_integer_value(value);
	if (!json_is_integer(value) || *number < field->min || *number > field->max)
		return codec_field_refuse(at, field->name, "must be an integer from %lld to %lld",
					  (long long)field->min, (long long)field->max);
	return true;
}

static bool parse_served_until(const struct codec_place *at, const struct codec_field *field,
			       json_t *value, void *out)
{
	struct line_instance *instance = out;
	json_int_t number;

	if (!parse_number(at, field, value, &number))
		return false;
	instance->state.served_until = (uint64_t)number;
	return true;
}

static bool parse_crc(const struct codec_place *at, const struct codec_field *field, json_t *value,
		      void *out)
{
	struct line_instance *instance = out;
	json_int_t number;

	if (!parse_number(at, field, value, &number))
		return false;
	instance->state.registration_crc = (uint32_t)number;
	instance->has_crc = true;
	return true;
}

/* What a line says of a check. */
struct line_check {
	enum status status;
	bool has_run;
};

static bool parse_has_run(const struct codec_place *at, const struct codec_field *field,
			  json_t *value, void *out)
{
	struct line_check *check = out;

	if (!json_is_boolean(value))
		return codec_field_refuse(at, field->name, "must be true or false");
	check->has_run = json_is_true(value);
	return true;
}

static bool parse_check(const struct codec_place *at, json_t *value, struct line_check *check)
{
	static const struct codec_field fields[] = {
		{ "status", codec_field_status, offsetof(struct line_check, status), 0, 0, true },
		{ "has_run", parse_has_run, 0, 0, 0, false },
	};

	*check = (struct line_check){ .has_run = true };
	if (!json_is_object(value))
		return codec_field_refuse(at, "", "must be an object");
	return codec_field_walk(at, fields, CODEC_COUNT(fields), value, check);
}

static bool parse_checks(const struct codec_place *at, const struct codec_field *field,
			 json_t *value, void *out)
{
	struct line_instance *instance = out;
	struct stored_state *state = &instance->state;

	if (!json_is_array(value) || json_array_size(value) > LIMIT_CHECKS)
		return codec_field_refuse(at, field->name, "must be an array of at most %d objects",
					  LIMIT_CHECKS);
	for (size_t i = 0; i < json_array_size(value); i++) {
		struct codec_place inner = { .error = at->error };
		struct line_check check;

		snprintf(inner.prefix, sizeof(inner.prefix), "%s[%zu].", field->name, i);
		if (!parse_check(&inner, json_array_get(value, i), &check))
			return false;
		state->checks[i].status = check.status;
		state->checks[i].has_run = check.has_run;
		state->n_checks++;
	}
	return true;
}

/* Keeps the key's strings. */
static void keep_key(struct codec_line_parsed *parsed, const char *service, const char *id)
{
	size_t service_size = strlen(service) + 1;

	memcpy(parsed->key_text, service, service_size);
	strcpy(parsed->key_text + service_size, id);
	parsed->key = (struct stored_key){ parsed->key_text, parsed->key_text + service_size };
}

static bool finish(const struct codec_place *at, const struct codec_line_parsed *parsed)
{
	if (parsed->record.failed || parsed->state.failed)
		return codec_field_refuse_memory(at);
	return true;
}

static bool read_instance(const struct codec_place *at, json_t *json,
			  struct codec_line_parsed *parsed)
{
	static const struct codec_field fields[] = {
		{ "registration", parse_registration, 0, 0, 0, true },
		{ "file", parse_file, 0, 0, 0, false },
		{ "admin", parse_admin, 0, 0, 0, false },
		{ "reported", parse_reported, 0, 0, 0, false },
		{ "served_until", parse_served_until, 0, 1, INT64_MAX, false },
		{ "registration_crc", parse_crc, 0, 0, UINT32_MAX, false },
		{ "checks", parse_checks, 0, 0, 0, false },
	};
	struct line_instance instance = { .has_crc = false };
	bool good = codec_field_walk(at, fields, CODEC_COUNT(fields), json, &instance);

	if (good) {
		parsed->kind = STORED_REGISTRATION;
		keep_key(parsed, instance.registration->service, instance.registration->id);
		stored_put_registration(&parsed->record, instance.registration);
		good = finish(at, parsed);
	}
	record_registration_free(instance.registration);
	if (!good || json_object_size(json) == 1 + (json_object_get(json, "file") != NULL))
		return good;
	if (!instance.has_crc)
		instance.state.registration_crc = stored_crc(parsed->record.data);
	stored_put_state(&parsed->state, &parsed->key, &instance.state);
	return finish(at, parsed);
}

/* What a line of a policy says. */
struct line_policy {
	char service[LIMIT_LABEL + 1];
	enum stored_field field;
	uint32_t value;
};

static bool parse_service(const struct codec_place *at, const struct codec_field *field,
			  json_t *value, void *out)
{
	struct line_policy *policy = out;
	const char *text = json_string_value(value);

	if (!text || !record_label_parse(text, policy->service))
		return codec_field_refuse(at, field->name, "must be the name of a service");
	return true;
}

static bool parse_policy(const struct codec_place *at, const struct codec_field *field,
			 json_t *value, void *out)
{
	struct line_policy *policy = out;
	struct codec_policy said;

	if (!codec_policy(value, &said, at->error))
		return refuse_part(field, at->error);
	if (json_object_size(value) != 1)
		return codec_field_refuse(at, field->name, "must have one field");
	if (said.has_ttl) {
		policy->field = STORED_TTL;
		policy->value = said.ttl_s;
	} else if (said.has_answer_limit) {
		policy->field = STORED_ANSWER_LIMIT;
		policy->value = said.answer_limit;
	} else if (said.has_failure) {
		policy->field = STORED_FAILURE;
		policy->value = said.failure;
	} else {
		policy->field = STORED_PANIC;
		policy->value = said.panic_ppm;
	}
	return true;
}

static bool read_policy(const struct codec_place *at, json_t *json,
			struct codec_line_parsed *parsed)
{
	static const struct codec_field fields[] = {
		{ "service", parse_service, 0, 0, 0, true },
		{ "policy", parse_policy, 0, 0, 0, true },
	};
	struct line_policy policy;

	if (!codec_field_walk(at, fields, CODEC_COUNT(fields), json, &policy))
		return false;
	parsed->kind = STORED_POLICY;
	keep_key(parsed, policy.service, stored_field_name(policy.field));
	stored_put_policy(&parsed->record, &parsed->key, policy.value);
	return finish(at, parsed);
}

bool codec_line_parse(const char *text, size_t len, struct codec_line_parsed *parsed,
		      struct codec_error *error)
{
	const struct codec_place at = { .error = error };
	json_t *json = codec_load(text, len, error);
	bool good = false;

	if (!json)
		return false;
	*parsed = (struct codec_line_parsed){ .kind = 0 };
	buf_init(&parsed->record);
	buf_init(&parsed->state);
	if (!json_is_object(json))
		codec_field_refuse(&at, "", "must be an object");
	else if (json_object_get(json, "registration"))
		good = read_instance(&at, json, parsed);
	else
		good = read_policy(&at, json, parsed);
	json_decref(json);
	if (!good)
		codec_line_fini(parsed);
	return good;
}

void codec_line_fini(struct codec_line_parsed *parsed)
{
	buf_fini(&parsed->record);
	buf_fini(&parsed->state);
}
