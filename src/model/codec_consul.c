/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/codec_consul.h"

#include "model/codec.h"
#include "model/codec_field.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	TIMEOUT_MS = 10000, /* Consul's default */
	FIELD_TEXT = 80,
	NAMES = 8 + LIMIT_CHECKS * 12, /* more than a definition can have fields of ours */
};

/* A definition on its way from Consul's form to ours. */
struct consul {
	struct codec_error *error;
	json_t *native;
	struct address address; /* the instance's; of no family until it is known */
	/* Which field of Consul's became which of ours, for errors. */
	size_t n_names;
	struct {
		char ours[FIELD_TEXT], theirs[FIELD_TEXT];
	} names[NAMES];
};

/* An object that is being read, and the one of ours that it becomes. */
struct part {
	struct consul *consul;
	struct codec_place at; /* where we are in Consul's */
	char prefix[40];       /* the same in ours: "checks[1]." */
	json_t *object, *native;
};

/* What becomes of one of Consul's fields. */
struct rule {
	const char *name;
	/* NULL: it is ignored, or refused */
	bool (*take)(struct part *part, const struct rule *rule, const char *key, json_t *value);
	const char *ours;    /* for take_same() */
	const char *refusal; /* NULL: it is not refused */
};

/* ---- Names ---- */

/* In any letter case, with or without underscores: "TLSSkipVerify" is tls_skip_verify. */
static bool is_name(const char *key, const char *name)
{
	for (;;) {
		key += strspn(key, "_");
		name += strspn(name, "_");
		if (!*key || !*name)
			return *key == *name;
		if (strncasecmp(key++, name++, 1) != 0)
			return false;
	}
}

/* Value `key` of Consul's became `ours`. */
static void note_name(const struct part *part, const char *ours, const char *key)
{
	struct consul *consul = part->consul;

	if (consul->n_names == NAMES)
		return;
	snprintf(consul->names[consul->n_names].ours, FIELD_TEXT, "%s%s", part->prefix, ours);
	snprintf(consul->names[consul->n_names].theirs, FIELD_TEXT, "%s%.32s", part->at.prefix,
		 key);
	consul->n_names++;
}

/* An error about a field of ours is one about the field of Consul's that it was; the newest name is
 * the nearest. */
static void rename_error(const struct consul *consul)
{
	char field[sizeof(consul->error->field)];

	snprintf(field, sizeof(field), "%s", consul->error->field);
	for (size_t i = consul->n_names; i-- > 0;) {
		size_t len = strlen(consul->names[i].ours);

		if (strncmp(field, consul->names[i].ours, len) != 0 ||
		    (field[len] && field[len] != '.' && field[len] != '['))
			continue;
		snprintf(consul->error->field, sizeof(consul->error->field), "%s%.70s",
			 consul->names[i].theirs, field + len);
		return;
	}
}

/* ---- Values ---- */

static bool put_new(const struct part *part, const char *ours, const char *key, json_t *value)
{
	note_name(part, ours, key);
	return json_object_set_new(part->native, ours, value) == 0 ||
	       codec_field_refuse_memory(&part->at);
}

static bool take_same(struct part *part, const struct rule *rule, const char *key, json_t *value)
{
	return put_new(part, rule->ours, key, json_incref(value));
}

/* In JSON of its API a number is nanoseconds: nothing to be guessed at. */
static bool take_duration(struct part *part, const struct rule *rule, const char *key,
			  json_t *value)
{
	if (!json_is_string(value))
		return codec_field_refuse(&part->at, key,
					  "must be a duration as a string: \"10s\", \"250ms\"");
	return take_same(part, rule, key, value);
}

/* How many results in a row; 0 and 1 are the same there. */
static bool take_damping(struct part *part, const struct rule *rule, const char *key, json_t *value)
{
	if (json_is_integer(value) && json_integer_value(value) == 0)
		return put_new(part, rule->ours, key, json_integer(1));
	return take_same(part, rule, key, value);
}

/* What is not to be empty if it is there at all. */
static bool take_text(struct part *part, const struct rule *rule, const char *key, json_t *value)
{
	if (json_is_string(value) && json_string_length(value) == 0)
		return true;
	return take_same(part, rule, key, value);
}

/* ---- Objects ---- */

static bool walk(struct part *part, const struct rule *rules, size_t n)
{
	unsigned long long seen = 0;
	const char *key;
	json_t *value;

	json_object_foreach(part->object, key, value)
	{
		const struct rule *rule = rules;

		while (rule < rules + n && !is_name(key, rule->name))
			rule++;
		if (rule == rules + n)
			return codec_field_refuse(&part->at, key, "unknown field");
		if (seen & 1ull << (rule - rules))
			return codec_field_refuse(&part->at, key, "is there twice");
		seen |= 1ull << (rule - rules);
		if (json_is_null(value))
			continue;
		if (rule->refusal)
			return codec_field_refuse(&part->at, key, "%s", rule->refusal);
		if (rule->take && !rule->take(part, rule, key, value))
			return false;
	}
	return true;
}

/* ---- Targets of checks ---- */

/* "10.0.0.1:80", "[2001:db8::1]:80"; without a port it is `port`, if that is not 0. */
static bool put_target(struct part *part, const char *key, const char *text, size_t len,
		       unsigned port)
{
	struct address address = { .has_v4 = false };
	char host[64], *port_text;
	const char *reason;

	snprintf(host, sizeof(host), "%.*s", len < sizeof(host) ? (int)len : 0, text);
	port_text = strrchr(host, ':');
	if (port_text && (host[0] != '[' || port_text[-1] == ']')) {
		size_t n_digits = strspn(port_text + 1, "0123456789");

		*port_text++ = '\0';
		port = n_digits && n_digits < 6 && !port_text[n_digits]
			       ? (unsigned)strtoul(port_text, NULL, 10)
			       : 0;
	}
	if (host[0] == '[' && host[strlen(host) - 1] == ']') {
		host[strlen(host) - 1] = '\0';
		memmove(host, host + 1, strlen(host));
	}
	if (memchr(text, '@', len))
		return codec_field_refuse(&part->at, key, "must have no user and no password");
	if (port == 0 || port > UINT16_MAX)
		return codec_field_refuse(&part->at, key, "must have a port: \"10.0.0.1:8080\"");
	if (!record_address_parse(host, &address, &reason) ||
	    !record_address_equal(&address, &part->consul->address))
		return codec_field_refuse(&part->at, key,
					  "must be of the instance's own \"address\", not of "
					  "\"%s\": the check runs from this server",
					  host);
	return put_new(part, "port", key, json_integer(port));
}

static bool put_kind(struct part *part, const char *key, const char *kind)
{
	if (json_object_get(part->native, "kind"))
		return codec_field_refuse(&part->at, key,
					  "a check has one of \"http\", \"tcp\" and \"ttl\" alone");
	return put_new(part, "kind", key, json_string(kind));
}

/* "https://10.0.0.1:8443/health" */
static bool take_http(struct part *part, const struct rule *rule, const char *key, json_t *value)
{
	const char *text = json_is_string(value) ? json_string_value(value) : "";
	bool is_https = strncasecmp(text, "https://", 8) == 0;
	const char *host = text + (is_https ? 8 : 7);
	size_t host_len;
	char path[LIMIT_PATH + 2];

	(void)rule;
	if (!is_https && strncasecmp(text, "http://", 7) != 0)
		return codec_field_refuse(
			&part->at, key,
			"must be a URL of the instance: \"http://10.0.0.1:8080/health\"");
	host_len = strcspn(host, "/?#");
	if (strchr(host, '#'))
		return codec_field_refuse(&part->at, key, "must have no \"#\"");
	/* What is too long for a path of ours is one octet too long here. */
	snprintf(path, sizeof(path), "%s%s", host[host_len] == '/' ? "" : "/", host + host_len);
	return put_kind(part, key, is_https ? "https" : "http") &&
	       put_target(part, key, host, host_len, is_https ? 443 : 80) &&
	       put_new(part, "path", key, json_string(path));
}

static bool take_tcp(struct part *part, const struct rule *rule, const char *key, json_t *value)
{
	const char *text = json_is_string(value) ? json_string_value(value) : "";

	(void)rule;
	return put_kind(part, key, "tcp") && put_target(part, key, text, strlen(text), 0);
}

static bool take_ttl(struct part *part, const struct rule *rule, const char *key, json_t *value)
{
	return put_kind(part, key, "ttl") && take_duration(part, rule, key, value);
}

/* {"Authorization": ["Bearer x"]} */
static bool take_header(struct part *part, const struct rule *rule, const char *key, json_t *value)
{
	json_t *headers = json_object(), *text;
	const char *name;

	(void)rule;
	if (!put_new(part, "headers", key, headers))
		return false;
	if (!json_is_object(value))
		return codec_field_refuse(&part->at, key, "must be an object of headers");
	json_object_foreach(value, name, text)
	{
		if (json_is_array(text) && json_array_size(text) != 1)
			return codec_field_refuse(&part->at, key, "must have one value each");
		if (json_is_array(text))
			text = json_array_get(text, 0);
		if (json_object_set(headers, name, text))
			return codec_field_refuse_memory(&part->at);
	}
	return true;
}

/* ---- Checks ---- */

static const struct rule check_rules[] = {
	{ "http", take_http, NULL, NULL },
	{ "tcp", take_tcp, NULL, NULL },
	{ "ttl", take_ttl, "ttl", NULL },
	{ "interval", take_duration, "interval", NULL },
	{ "timeout", take_duration, "timeout", NULL },
	{ "method", take_text, "method", NULL },
	{ "header", take_header, NULL, NULL },
	{ "status", take_text, "initial", NULL },
	{ "success_before_passing", take_damping, "rise", NULL },
	{ "failures_before_critical", take_damping, "fall", NULL },
	{ "tls_server_name", take_text, "server_name", NULL },
	{ "tls_skip_verify", take_same, "tls_skip_verify", NULL },
	/* ignored: names of checks, and what is so anyway */
	{ "id", NULL, NULL, NULL },
	{ "check_id", NULL, NULL, NULL },
	{ "name", NULL, NULL, NULL },
	{ "notes", NULL, NULL, NULL },
	{ "token", NULL, NULL, NULL },
	{ "service_id", NULL, NULL, NULL },
	{ "output_max_size", NULL, NULL, NULL },
	{ "disable_redirects", NULL, NULL, NULL },
	/* refused */
	{ "args", NULL, NULL, "this server runs no programs: use \"http\", \"tcp\" or \"ttl\"" },
	{ "script", NULL, NULL, "this server runs no programs: use \"http\", \"tcp\" or \"ttl\"" },
	{ "shell", NULL, NULL, "this server runs no programs: use \"http\", \"tcp\" or \"ttl\"" },
	{ "docker_container_id", NULL, NULL, "this server runs no programs" },
	{ "grpc", NULL, NULL, "there are no gRPC checks: use \"http\", \"tcp\" or \"ttl\"" },
	{ "grpc_use_tls", NULL, NULL, "there are no gRPC checks" },
	{ "h2ping", NULL, NULL, "there are no HTTP/2 checks: use \"http\", \"tcp\" or \"ttl\"" },
	{ "h2ping_use_tls", NULL, NULL, "there are no HTTP/2 checks" },
	{ "udp", NULL, NULL, "there are no UDP checks: use \"http\", \"tcp\" or \"ttl\"" },
	{ "tcp_use_tls", NULL, NULL, "there are no TCP checks with TLS" },
	{ "os_service", NULL, NULL, "there are no checks of system services" },
	{ "alias_node", NULL, NULL, "a check cannot follow another one" },
	{ "alias_service", NULL, NULL, "a check cannot follow another one" },
	{ "body", NULL, NULL, "requests of checks have no body" },
	{ "failures_before_warning", NULL, NULL, "a check that fails becomes critical at once" },
	{ "deregister_critical_service_after", NULL, NULL,
	  "what is in a file stays until the file says otherwise" },
};

/* Consul's defaults, where ours are others. */
static bool put_check_defaults(struct part *part)
{
	json_t *interval = json_object_get(part->native, "interval");
	uint64_t ms = TIMEOUT_MS;
	char timeout[32];

	if (!json_object_get(part->native, "kind"))
		return codec_field_refuse(&part->at, "", "must have \"http\", \"tcp\" or \"ttl\"");
	if (json_object_get(part->native, "ttl"))
		return true;
	if (!interval)
		return codec_field_refuse(&part->at, "interval", "is required");
	if (!codec_field_read_duration(interval, &ms) || ms > TIMEOUT_MS)
		ms = TIMEOUT_MS;
	snprintf(timeout, sizeof(timeout), "%ums", (unsigned)ms);
	return (json_object_get(part->native, "rise") ||
		put_new(part, "rise", "success_before_passing", json_integer(1))) &&
	       (json_object_get(part->native, "fall") ||
		put_new(part, "fall", "failures_before_critical", json_integer(1))) &&
	       (json_object_get(part->native, "timeout") ||
		put_new(part, "timeout", "timeout", json_string(timeout)));
}

/* The definition's list of checks in ours; NULL with the reason. */
static json_t *find_checks(struct part *part)
{
	json_t *checks = json_object_get(part->native, "checks");

	if (checks)
		return checks;
	checks = json_array();
	if (json_object_set_new(part->native, "checks", checks) == 0)
		return checks;
	codec_field_refuse_memory(&part->at);
	return NULL;
}

/* `name`: "check", or "checks[1]". */
static bool put_check(struct part *part, const char *name, json_t *value)
{
	struct part check = {
		.consul = part->consul,
		.at = { .error = part->at.error },
		.object = value,
		.native = json_object(),
	};
	json_t *checks = find_checks(part);
	size_t i = json_array_size(checks);
	char ours[32];

	snprintf(ours, sizeof(ours), "checks[%zu]", i);
	snprintf(check.prefix, sizeof(check.prefix), "%s.", ours);
	snprintf(check.at.prefix, sizeof(check.at.prefix), "%.36s.", name);
	if (json_array_append_new(checks, check.native))
		return codec_field_refuse_memory(&part->at);
	if (!json_is_object(value))
		return codec_field_refuse(&part->at, name, "must be an object");
	if (i == LIMIT_CHECKS)
		return codec_field_refuse(&part->at, name, "at most %d checks are allowed",
					  LIMIT_CHECKS);
	note_name(part, ours, name);
	return walk(&check, check_rules, CODEC_COUNT(check_rules)) && put_check_defaults(&check);
}

static bool take_check(struct part *part, const struct rule *rule, const char *key, json_t *value)
{
	(void)rule;
	return put_check(part, key, value);
}

static bool take_checks(struct part *part, const struct rule *rule, const char *key, json_t *value)
{
	char name[36];

	(void)rule;
	if (!json_is_array(value))
		return codec_field_refuse(&part->at, key, "must be an array of objects");
	for (size_t i = 0; i < json_array_size(value); i++) {
		snprintf(name, sizeof(name), "%.12s[%zu]", key, i);
		if (!put_check(part, name, json_array_get(value, i)))
			return false;
	}
	return true;
}

/* ---- A service ---- */

static bool take_weights(struct part *part, const struct rule *rule, const char *key, json_t *value)
{
	static const struct rule rules[] = {
		{ "passing", take_same, "weight", NULL },
		{ "warning", NULL, NULL, NULL },
	};
	struct part weights = {
		.consul = part->consul,
		.at = { .error = part->at.error },
		.object = value,
		.native = part->native,
	};

	(void)rule;
	snprintf(weights.at.prefix, sizeof(weights.at.prefix), "%.24s.", key);
	if (!json_is_object(value))
		return codec_field_refuse(&part->at, key, "must be an object");
	return walk(&weights, rules, CODEC_COUNT(rules));
}

/* Before all others: checks are compared with it. */
static bool take_address(struct part *part, const struct rule *rule, const char *key, json_t *value)
{
	(void)rule;
	return take_text(part, &(struct rule){ .ours = "ip" }, key, value);
}

static bool find_address(struct part *part)
{
	const char *key, *reason, *text;
	json_t *value;

	json_object_foreach(part->object, key, value)
	{
		text = json_string_value(value);
		if (!is_name(key, "address") || json_is_null(value) || (text && !*text))
			continue;
		if (!text)
			return codec_field_refuse(&part->at, key,
						  "must be an IP address, as a string");
		return record_address_parse(text, &part->consul->address, &reason) ||
		       codec_field_refuse(&part->at, key, "%s", reason);
	}
	return codec_field_refuse(&part->at, "address",
				  "is required: Consul takes its agent's, and here there is none; "
				  "add \"address\"");
}

static const struct rule service_rules[] = {
	{ "name", take_same, "name", NULL },
	{ "id", take_text, "id", NULL },
	{ "address", take_address, NULL, NULL },
	{ "port", take_same, "port", NULL },
	{ "tags", take_same, "tags", NULL },
	{ "meta", take_same, "meta", NULL },
	{ "weights", take_weights, NULL, NULL },
	{ "check", take_check, NULL, NULL },
	{ "checks", take_checks, NULL, NULL },
	/* ignored: nobody here asks for them */
	{ "token", NULL, NULL, NULL },
	{ "enable_tag_override", NULL, NULL, NULL },
	{ "notes", NULL, NULL, NULL },
	/* refused */
	{ "tagged_addresses", NULL, NULL, "an instance has one address: \"address\"" },
	{ "kind", NULL, NULL, "there is no service mesh" },
	{ "connect", NULL, NULL, "there is no service mesh" },
	{ "proxy", NULL, NULL, "there is no service mesh" },
	{ "socket_path", NULL, NULL, "an instance has an address and a port" },
	{ "ports", NULL, NULL, "an instance has one port: \"port\"" },
	{ "locality", NULL, NULL, "say it in \"meta\": region, zone" },
	{ "namespace", NULL, NULL, "there are no namespaces" },
	{ "partition", NULL, NULL, "there are no partitions" },
};

static bool convert(struct part *part)
{
	if (!find_address(part) || !walk(part, service_rules, CODEC_COUNT(service_rules)))
		return false;
	return json_object_get(part->native, "weight") ||
	       put_new(part, "weight", "weights", json_integer(1));
}

struct registration *codec_consul(json_t *json, struct codec_error *error)
{
	struct consul consul = { .error = error, .native = json_object() };
	struct part part = {
		.consul = &consul,
		.at = { .error = error },
		.object = json,
		.native = consul.native,
	};
	struct registration *registration = NULL;

	*error = (struct codec_error){ .no_memory = false };
	if (!json_is_object(json))
		codec_field_refuse(&part.at, "", "a service must be an object");
	else if (!consul.native)
		codec_field_refuse_memory(&part.at);
	else if (convert(&part)) {
		registration = codec_registration(consul.native, error);
		if (!registration)
			rename_error(&consul);
	}
	json_decref(consul.native);
	return registration;
}
