/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/codec_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse_kind(const struct codec_place *at, const struct codec_field *field, json_t *value,
		       void *out)
{
	struct check_spec *spec = out;
	const char *text = json_string_value(value);

	if (text && strcmp(text, "http") == 0)
		spec->kind = CHECK_HTTP;
	else if (text && strcmp(text, "tcp") == 0)
		spec->kind = CHECK_TCP;
	else
		return codec_field_refuse(at, field->name, "must be \"http\" or \"tcp\"");
	return true;
}

/* A request target: octets that cannot end the request line they will stand in. */
static bool read_path(json_t *value)
{
	const char *text = json_string_value(value);

	if (!text || text[0] != '/' || json_string_length(value) > LIMIT_PATH)
		return false;
	for (; *text; text++)
		if (*text <= 0x20 || *text >= 0x7f)
			return false;
	return true;
}

static bool parse_path(const struct codec_place *at, const struct codec_field *field, json_t *value,
		       void *out)
{
	struct check_spec *spec = out;

	if (spec->kind != CHECK_HTTP)
		return codec_field_refuse(at, field->name, "is only for checks of kind \"http\"");
	if (!read_path(value))
		return codec_field_refuse(
			at, field->name,
			"must be a path that starts with \"/\", of printable ASCII without "
			"spaces, at most %d octets",
			LIMIT_PATH);
	return codec_field_put_string(at, &spec->path, json_string_value(value));
}

static bool parse_timeout(const struct codec_place *at, const struct codec_field *field,
			  json_t *value, void *out)
{
	struct check_spec *spec = out;

	if (!codec_field_ms(at, field, value, out))
		return false;
	if (spec->timeout_ms > spec->interval_ms)
		return codec_field_refuse(at, field->name,
					  "must not be longer than the interval (%gs)",
					  spec->interval_ms / 1000.0);
	return true;
}

/* Defaults of a check. */
enum {
	INTERVAL_MS = 10000,
	TIMEOUT_MS = 2000,
	RISE = 2,
	FALL = 3,
};

#define AT(member) offsetof(struct check_spec, member)
static const struct codec_field check_fields[] = {
	{ "kind", parse_kind, AT(kind), 0, 0, true },
	{ "port", codec_field_u16, AT(port), 1, 65535, false },
	{ "path", parse_path, AT(path), 0, 0, false },
	{ "interval", codec_field_ms, AT(interval_ms), LIMIT_INTERVAL_MIN_MS, LIMIT_INTERVAL_MAX_MS,
	  false },
	{ "timeout", parse_timeout, AT(timeout_ms), LIMIT_TIMEOUT_MIN_MS, LIMIT_INTERVAL_MAX_MS,
	  false },
	{ "rise", codec_field_u16, AT(rise), 1, LIMIT_DAMPING, false },
	{ "fall", codec_field_u16, AT(fall), 1, LIMIT_DAMPING, false },
	{ "initial", codec_field_status, AT(initial), 0, 0, false },
};
#undef AT

/* The next check of the registration with its defaults, or NULL with the reason. */
static struct check_spec *put_check(const struct codec_place *at, const char *field,
				    struct registration *registration)
{
	struct check_spec *spec, *grown;

	if (registration->n_checks == LIMIT_CHECKS) {
		codec_field_refuse(at, field, "at most %d checks are allowed", LIMIT_CHECKS);
		return NULL;
	}
	grown = realloc(registration->checks, (registration->n_checks + 1) * sizeof(*grown));
	if (!grown) {
		codec_field_refuse_memory(at);
		return NULL;
	}
	registration->checks = grown;
	spec = &grown[registration->n_checks++];
	*spec = (struct check_spec){ .kind = CHECK_HTTP,
				     .port = registration->port,
				     .interval_ms = INTERVAL_MS,
				     .rise = RISE,
				     .fall = FALL,
				     .initial = STATUS_CRITICAL };
	return spec;
}

/* What depends on other fields of the check. */
static bool put_check_defaults(const struct codec_place *at, struct check_spec *spec)
{
	if (!spec->timeout_ms)
		spec->timeout_ms = spec->interval_ms < TIMEOUT_MS ? spec->interval_ms : TIMEOUT_MS;
	if (spec->kind == CHECK_HTTP && !spec->path)
		return codec_field_put_string(at, &spec->path, "/");
	return true;
}

bool codec_check_health(const struct codec_place *at, const struct codec_field *field,
			json_t *value, void *out)
{
	struct check_spec *spec = put_check(at, field->name, out);

	return spec && parse_path(at, field, value, spec) && put_check_defaults(at, spec);
}

bool codec_check_array(const struct codec_place *at, const struct codec_field *field, json_t *value,
		       void *out)
{
	struct check_spec *spec;
	char name[24];

	if (!json_is_array(value))
		return codec_field_refuse(at, field->name, "must be an array of objects");
	for (size_t i = 0; i < json_array_size(value); i++) {
		struct codec_place inner = { .error = at->error };
		json_t *check = json_array_get(value, i);

		snprintf(name, sizeof(name), "%s[%zu]", field->name, i);
		snprintf(inner.prefix, sizeof(inner.prefix), "%s.", name);
		if (!json_is_object(check))
			return codec_field_refuse(at, name, "must be an object");
		spec = put_check(at, field->name, out);
		if (!spec ||
		    !codec_field_walk(&inner, check_fields, CODEC_COUNT(check_fields), check,
				      spec) ||
		    !put_check_defaults(at, spec))
			return false;
	}
	return true;
}
