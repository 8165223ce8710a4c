/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/codec_check.h"

#include "model/record_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool parse_kind(const struct codec_place *at, const struct codec_field *field, json_t *value,
		       void *out)
{
	static const struct {
		const char *name;
		enum check_kind kind;
	} kinds[] = {
		{ "http", CHECK_HTTP },
		{ "https", CHECK_HTTPS },
		{ "tcp", CHECK_TCP },
		{ "ttl", CHECK_TTL },
	};
	struct check_spec *spec = out;
	const char *text = json_string_value(value);

	for (size_t i = 0; text && i < CODEC_COUNT(kinds); i++)
		if (strcmp(text, kinds[i].name) == 0) {
			spec->kind = kinds[i].kind;
			return true;
		}
	return codec_field_refuse(at, field->name,
				  "must be \"http\", \"https\", \"tcp\" or \"ttl\"");
}

/* ---- What is asked of an HTTP target ---- */

static bool parse_path(const struct codec_place *at, const struct codec_field *field, json_t *value,
		       void *out)
{
	struct check_spec *spec = out;
	const char *text = json_string_value(value);

	if (!text || !record_text_is_path(text))
		return codec_field_refuse(
			at, field->name,
			"must be a path that starts with \"/\", of printable ASCII without "
			"spaces, at most %d octets",
			LIMIT_PATH);
	return codec_field_put_string(at, &spec->path, text);
}

static bool parse_method(const struct codec_place *at, const struct codec_field *field,
			 json_t *value, void *out)
{
	struct check_spec *spec = out;
	const char *text = json_string_value(value);

	if (!text || !record_text_is_method(text))
		return codec_field_refuse(at, field->name,
					  "must be a method such as \"HEAD\", at most %d octets",
					  LIMIT_METHOD);
	if (strcasecmp(text, "CONNECT") == 0)
		return codec_field_refuse(at, field->name, "must not be CONNECT");
	return strcmp(text, "GET") == 0 || codec_field_put_string(at, &spec->method, text);
}

/* ---- Expected statuses ---- */

enum {
	RANGE_TEXT = sizeof("100-599,"),
};

/* What is expected, as text, while it is read. */
struct statuses {
	char text[LIMIT_CHECK_STATUSES * RANGE_TEXT];
	size_t len, n;
};

static bool put_range(struct statuses *statuses, json_int_t first, json_int_t last)
{
	if (first < RECORD_TEXT_STATUS_MIN || last > RECORD_TEXT_STATUS_MAX || first > last ||
	    statuses->n == LIMIT_CHECK_STATUSES)
		return false;
	statuses->len += (size_t)snprintf(
		statuses->text + statuses->len, sizeof(statuses->text) - statuses->len,
		first == last ? "%s%d" : "%s%d-%d", statuses->n ? "," : "", (int)first, (int)last);
	statuses->n++;
	return true;
}

/* Three digits; NULL: they are none. */
static const char *read_status(const char *text, int *status)
{
	*status = 0;
	for (int i = 0; i < 3; i++, text++) {
		if (*text < '0' || *text > '9')
			return NULL;
		*status = *status * 10 + (*text - '0');
	}
	return text;
}

/* "200-299, 404" */
static bool put_ranges(struct statuses *statuses, const char *text)
{
	int first, last;

	for (;;) {
		text = read_status(text + strspn(text, " "), &first);
		last = first;
		if (text && *text == '-')
			text = read_status(text + 1, &last);
		if (!text || !put_range(statuses, first, last))
			return false;
		text += strspn(text, " ");
		if (*text == '\0')
			return true;
		if (*text++ != ',')
			return false;
	}
}

static bool put_statuses(struct statuses *statuses, json_t *value)
{
	if (json_is_integer(value))
		return put_range(statuses, json_integer_value(value), json_integer_value(value));
	return json_is_string(value) && put_ranges(statuses, json_string_value(value));
}

static bool parse_expected(const struct codec_place *at, const struct codec_field *field,
			   json_t *value, void *out)
{
	struct check_spec *spec = out;
	struct statuses statuses = { .n = 0 };
	bool good = true;

	if (json_is_array(value))
		for (size_t i = 0; i < json_array_size(value); i++)
			good = good && put_statuses(&statuses, json_array_get(value, i));
	else
		good = put_statuses(&statuses, value);
	if (!good || statuses.n == 0)
		return codec_field_refuse(at, field->name,
					  "must be a status (200), a text such as \"200-299,404\", "
					  "or an array of them; %d to %d, at most %d of them",
					  RECORD_TEXT_STATUS_MIN, RECORD_TEXT_STATUS_MAX,
					  LIMIT_CHECK_STATUSES);
	return codec_field_put_string(at, &spec->expected, statuses.text);
}

/* ---- Headers ---- */

static bool put_header(const struct codec_place *at, const char *field, const char *name,
		       json_t *value, char lines[LIMIT_CHECK_HEADERS_TEXT + 1])
{
	char path[128];
	size_t len = strlen(lines), room = LIMIT_CHECK_HEADERS_TEXT + 1 - len;
	int need;

	snprintf(path, sizeof(path), "%s.%s", field, name);
	if (!record_text_is_token(name))
		return codec_field_refuse(at, field, "has a name that no header can have");
	if (record_text_is_reserved_header(name))
		return codec_field_refuse(at, path, "is a header that the server itself decides");
	if (record_text_has_header(lines, name))
		return codec_field_refuse(at, path, "is there twice");
	if (!json_is_string(value) || !record_text_is_header_value(json_string_value(value)))
		return codec_field_refuse(at, path,
					  "must be a string of printable ASCII that neither begins "
					  "nor ends with a space");
	need = snprintf(lines + len, room, "%s: %s\r\n", name, json_string_value(value));
	if ((size_t)need >= room)
		return codec_field_refuse(at, field, "must have at most %d octets as sent",
					  LIMIT_CHECK_HEADERS_TEXT);
	return true;
}

static bool parse_headers(const struct codec_place *at, const struct codec_field *field,
			  json_t *value, void *out)
{
	char lines[LIMIT_CHECK_HEADERS_TEXT + 1] = "";
	struct check_spec *spec = out;
	const char *name;
	json_t *text;

	if (!json_is_object(value) || json_object_size(value) > LIMIT_CHECK_HEADERS)
		return codec_field_refuse(at, field->name,
					  "must be an object of at most %d headers",
					  LIMIT_CHECK_HEADERS);
	json_object_foreach(value, name,
			    text) if (!put_header(at, field->name, name, text, lines)) return false;
	return !*lines || codec_field_put_string(at, &spec->headers, lines);
}

/* ---- TLS ---- */

static bool parse_server_name(const struct codec_place *at, const struct codec_field *field,
			      json_t *value, void *out)
{
	struct check_spec *spec = out;
	const char *text = json_string_value(value);

	if (!text || !record_text_is_host_name(text))
		return codec_field_refuse(at, field->name,
					  "must be a host name; without one the certificate has to "
					  "be for the address");
	return codec_field_put_string(at, &spec->server_name, text);
}

static bool parse_skip_verify(const struct codec_place *at, const struct codec_field *field,
			      json_t *value, void *out)
{
	struct check_spec *spec = out;

	if (!json_is_boolean(value))
		return codec_field_refuse(at, field->name, "must be true or false");
	spec->tls_skip_verify = json_is_true(value);
	return true;
}

/* ---- A check ---- */

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
	{ "method", parse_method, AT(method), 0, 0, false },
	{ "path", parse_path, AT(path), 0, 0, false },
	{ "status", parse_expected, AT(expected), 0, 0, false },
	{ "headers", parse_headers, AT(headers), 0, 0, false },
	{ "server_name", parse_server_name, AT(server_name), 0, 0, false },
	{ "tls_skip_verify", parse_skip_verify, AT(tls_skip_verify), 0, 0, false },
	{ "ttl", codec_field_ms, AT(ttl_ms), LIMIT_LEASE_MIN_MS, LIMIT_LEASE_MAX_MS, false },
	{ "interval", codec_field_ms, AT(interval_ms), LIMIT_INTERVAL_MIN_MS, LIMIT_INTERVAL_MAX_MS,
	  false },
	{ "timeout", parse_timeout, AT(timeout_ms), LIMIT_TIMEOUT_MIN_MS, LIMIT_INTERVAL_MAX_MS,
	  false },
	{ "rise", codec_field_u16, AT(rise), 1, LIMIT_DAMPING, false },
	{ "fall", codec_field_u16, AT(fall), 1, LIMIT_DAMPING, false },
	{ "initial", codec_field_status, AT(initial), 0, 0, false },
};
#undef AT

#define ONLY(kind) (1u << (kind))
/* Fields that not every kind has. */
static const struct {
	const char *name;
	unsigned kinds;
	const char *refusal;
} scopes[] = {
	{ "method", ONLY(CHECK_HTTP) | ONLY(CHECK_HTTPS), "is only for http and https checks" },
	{ "path", ONLY(CHECK_HTTP) | ONLY(CHECK_HTTPS), "is only for http and https checks" },
	{ "status", ONLY(CHECK_HTTP) | ONLY(CHECK_HTTPS), "is only for http and https checks" },
	{ "headers", ONLY(CHECK_HTTP) | ONLY(CHECK_HTTPS), "is only for http and https checks" },
	{ "server_name", ONLY(CHECK_HTTPS), "is only for https checks" },
	{ "tls_skip_verify", ONLY(CHECK_HTTPS), "is only for https checks" },
	{ "ttl", ONLY(CHECK_TTL), "is only for ttl checks" },
	{ "port", ~ONLY(CHECK_TTL), "is not for ttl checks, which nobody runs" },
	{ "interval", ~ONLY(CHECK_TTL), "is not for ttl checks, which nobody runs" },
	{ "timeout", ~ONLY(CHECK_TTL), "is not for ttl checks, which nobody runs" },
	{ "rise", ~ONLY(CHECK_TTL), "is not for ttl checks: a report counts at once" },
	{ "fall", ~ONLY(CHECK_TTL), "is not for ttl checks: a report counts at once" },
};
#undef ONLY

static bool check_scopes(const struct codec_place *at, json_t *check, enum check_kind kind)
{
	for (size_t i = 0; i < CODEC_COUNT(scopes); i++)
		if (!(scopes[i].kinds & 1u << kind) && json_object_get(check, scopes[i].name))
			return codec_field_refuse(at, scopes[i].name, "%s", scopes[i].refusal);
	return true;
}

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
	if (spec->kind == CHECK_TTL) {
		spec->port = spec->rise = spec->fall = 0;
		spec->interval_ms = 0;
		return spec->ttl_ms || codec_field_refuse(at, "ttl", "is required for a ttl check");
	}
	if (!spec->timeout_ms)
		spec->timeout_ms = spec->interval_ms < TIMEOUT_MS ? spec->interval_ms : TIMEOUT_MS;
	if (spec->kind != CHECK_TCP && !spec->path)
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
		    !check_scopes(&inner, check, spec->kind) || !put_check_defaults(&inner, spec))
			return false;
	}
	return true;
}
