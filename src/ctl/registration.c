/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/registration.h"

#include "ctl/field.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_number(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len <= 5 && strspn(text, "0123456789") == len;
}

/* NULL: it is none. */
static json_t *number_json(const char *text)
{
	return is_number(text) ? json_integer(strtol(text, NULL, 10)) : NULL;
}

/* Sets one entry of an object of "key=value". false: it is none. */
static bool put_pair(json_t *object, const char *pair, bool is_number)
{
	const char *equals = strchr(pair, '=');
	char *key;
	bool good;

	if (!equals || equals == pair)
		return false;
	key = strndup(pair, (size_t)(equals - pair));
	good = key && field_put(object, key,
				is_number ? number_json(equals + 1) : json_string(equals + 1));
	free(key);
	return good;
}

/* An option of the registration, and the field that it sets. */
static const struct field {
	enum args_id id;
	const char *name;
	enum {
		TEXT,
		TIME,
		NUMBER,
		LIST,
		TEXTS,
		NUMBERS
	} kind;
} fields[] = {
	{ ARGS_NAME, "name", TEXT },
	{ ARGS_ID, "id", TEXT },
	{ ARGS_IP, "ip", TEXT },
	{ ARGS_PORT, "port", NUMBER },
	{ ARGS_PROTOCOL, "protocol", TEXT },
	{ ARGS_PRIORITY, "priority", NUMBER },
	{ ARGS_WEIGHT, "weight", NUMBER },
	{ ARGS_TTL, "ttl", TIME },
	{ ARGS_LEASE, "lease", TIME },
	{ ARGS_HEALTH, "health", TEXT },
	{ ARGS_TAG, "tags", LIST },
	{ ARGS_META, "meta", TEXTS },
	{ ARGS_NAMED_PORT, "ports", NUMBERS },
};

/* The array or object of an option that may be repeated. `*bad` is the value that is wrong. */
static json_t *values_json(const struct args *args, const struct field *field, const char **bad)
{
	json_t *json = field->kind == LIST ? json_array() : json_object();
	const char *value;
	size_t position = 0;

	while ((value = args_next(args, field->id, &position))) {
		*bad = value;
		if (field->kind == LIST ? json_array_append_new(json, json_string(value)) == 0
					: put_pair(json, value, field->kind == NUMBERS))
			continue;
		json_decref(json);
		return NULL;
	}
	return json;
}

static bool put_option(json_t *json, const struct args *args, const struct field *field,
		       const char **bad)
{
	json_t *value;

	*bad = args_get(args, field->id);
	if (!*bad)
		return true;
	/* Without a unit it is a number of seconds. */
	if (field->kind == TEXT || (field->kind == TIME && !is_number(*bad)))
		value = json_string(*bad);
	else if (field->kind == NUMBER || field->kind == TIME)
		value = number_json(*bad);
	else
		value = values_json(args, field, bad);
	return field_put(json, field->name, value);
}

json_t *registration_json(const struct args *args, const char *lease, char *message,
			  size_t message_size)
{
	json_t *json = json_object();
	const char *bad;

	for (size_t i = 0; json && i < sizeof(fields) / sizeof(fields[0]); i++) {
		const struct args_option *option = &args_options[fields[i].id];

		if (put_option(json, args, &fields[i], &bad))
			continue;
		snprintf(message, message_size, "--%s: '%.80s' is not %s", option->name, bad,
			 fields[i].kind == NUMBER || fields[i].kind == NUMBERS
				 ? "a number, or a name and a number"
				 : "a key and a value, or a text in UTF-8");
		json_decref(json);
		return NULL;
	}
	if (json && lease && !args_get(args, ARGS_LEASE) &&
	    !field_put(json, "lease", json_string(lease))) {
		json_decref(json);
		json = NULL;
	}
	if (!json)
		snprintf(message, message_size, "out of memory");
	else if (!args_get(args, ARGS_NAME) || !args_get(args, ARGS_PORT)) {
		snprintf(message, message_size, "--name and --port are needed");
		json_decref(json);
		json = NULL;
	}
	return json;
}
