/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The calls of the HTTP port: its table of routes, and what openapi.json says of each.
 */
#include "api/native.h"
#include "api/native_openapi.h"
#include "mdoc.h"
#include "page.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- The description ---- */

/* Read once; never freed, for the program ends with its pages. */
static json_t *load(void)
{
	static json_t *json;
	json_error_t error;

	if (!json)
		json = json_loadb(native_openapi_text, native_openapi_text_len,
				  JSON_REJECT_DUPLICATES, &error);
	if (!json)
		page_fail("openapi.json:%d: %s", error.line, error.text);
	return json;
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* The last part of a reference; NULL: it is none. */
static const char *reference(const json_t *object)
{
	const char *path = text_of(object, "$ref");

	return path ? strrchr(path, '/') + 1 : NULL;
}

/* The value itself, or what it refers to. */
static const json_t *resolve(const json_t *root, const json_t *value)
{
	const char *path = text_of(value, "$ref");
	char part[64];

	if (!path)
		return value;
	value = root;
	for (path += strlen("#"); *path; path += strcspn(path, "/")) {
		path++;
		snprintf(part, sizeof(part), "%.*s", (int)strcspn(path, "/"), path);
		value = json_object_get(value, part);
	}
	if (!value)
		page_fail("openapi.json: a reference to nothing: %s", part);
	return value;
}

static const char *method_name(enum api_method method)
{
	static const char *const names[] = {
		[API_GET] = "GET",       [API_POST] = "POST", [API_PUT] = "PUT",
		[API_DELETE] = "DELETE", [API_OTHER] = NULL,
	};

	if (!names[method])
		page_fail("a route has a method that is none");
	return names[method];
}

/* NULL: it has none for this route. Its key is the method in lower case. */
static const json_t *operation_of(const json_t *root, const struct api_route *route)
{
	json_t *path = json_object_get(json_object_get(root, "paths"), route->path);

	for (void *i = json_object_iter(path); i; i = json_object_iter_next(path, i))
		if (strcasecmp(json_object_iter_key(i), method_name(route->method)) == 0)
			return json_object_iter_value(i);
	return NULL;
}

/* ---- Types ---- */

static void put(char *text, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void put(char *text, size_t size, const char *format, ...)
{
	size_t len = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + len, size - len, format, args);
	va_end(args);
}

static void put_choices(const json_t *values, char *text, size_t size)
{
	size_t n = json_array_size(values);

	for (size_t i = 0; i < n; i++)
		put(text, size, "%s%s",
		    i == 0      ? ""
		    : i + 1 < n ? ", "
				: " or ",
		    json_string_value(json_array_get(values, i)));
}

/* "string" as people say it. */
static const char *type_word(const char *type)
{
	if (strcmp(type, "string") == 0)
		return "text";
	return strcmp(type, "boolean") == 0 ? "true or false" : type;
}

static void put_types(const json_t *type, char *text, size_t size)
{
	if (json_is_string(type)) {
		put(text, size, "%s", type_word(json_string_value(type)));
		return;
	}
	for (size_t i = 0; i < json_array_size(type); i++)
		put(text, size, "%s%s", i ? " or " : "",
		    type_word(json_string_value(json_array_get(type, i))));
}

static void put_bounds(const json_t *schema, char *text, size_t size)
{
	const json_t *min = json_object_get(schema, "minimum");
	const json_t *max = json_object_get(schema, "maximum");

	if (json_is_integer(min) && json_is_integer(max))
		put(text, size, ", %lld to %lld", (long long)json_integer_value(min),
		    (long long)json_integer_value(max));
}

static void put_shape(const json_t *root, const json_t *schema, char *text, size_t size);

static void put_any(const json_t *root, const json_t *schemas, char *text, size_t size)
{
	for (size_t i = 0; i < json_array_size(schemas); i++) {
		put(text, size, "%s", i ? " or " : "");
		put_shape(root, json_array_get(schemas, i), text, size);
	}
}

/* What a value of this schema is: "integer, 1 to 65535", "array of Check". */
static void put_shape(const json_t *root, const json_t *schema, char *text, size_t size)
{
	static const char *const words[][2] = {
		{ "Label", "label" },           { "Id", "text" },
		{ "MetaText", "text" },         { "Path", "text" },
		{ "Duration", "duration" },     { "Revision", "revision" },
		{ "ExpectedStatus", "status" },
	};
	const char *name = reference(schema);
	const json_t *type;

	for (size_t i = 0; name && i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i][0], name) == 0) {
			put(text, size, "%s", words[i][1]);
			return;
		}
	if (name && json_object_get(resolve(root, schema), "properties")) {
		put(text, size, "%s", name);
		return;
	}
	schema = resolve(root, schema);
	type = json_object_get(schema, "type");
	if (json_object_get(schema, "enum")) {
		put_choices(json_object_get(schema, "enum"), text, size);
	} else if (json_object_get(schema, "anyOf") && !type) {
		put_any(root, json_object_get(schema, "anyOf"), text, size);
	} else if (json_is_string(type) && strcmp(json_string_value(type), "array") == 0) {
		put(text, size, "array of ");
		put_shape(root, json_object_get(schema, "items"), text, size);
	} else if (type) {
		put_types(type, text, size);
		put_bounds(schema, text, size);
	} else {
		put(text, size, "object");
	}
}

static void put_default(const json_t *schema, char *text, size_t size)
{
	const json_t *value = json_object_get(schema, "default");

	if (json_is_string(value))
		put(text, size, "; default %s", json_string_value(value));
	else if (json_is_integer(value))
		put(text, size, "; default %lld", (long long)json_integer_value(value));
	else if (json_is_boolean(value))
		put(text, size, "; default %s", json_is_true(value) ? "true" : "false");
}

/* ---- Fields ---- */

static bool is_in(const json_t *array, const char *text)
{
	for (size_t i = 0; i < json_array_size(array); i++)
		if (strcmp(json_string_value(json_array_get(array, i)), text) == 0)
			return true;
	return false;
}

static const char *description_of(const json_t *root, const json_t *value)
{
	const char *text = text_of(value, "description");

	return text ? text : text_of(resolve(root, value), "description");
}

static void print_field(const json_t *root, const json_t *schema, const json_t *required,
			const char *last_name)
{
	const char *description = description_of(root, schema);
	char shape[512] = "";

	put_shape(root, schema, shape, sizeof(shape));
	put_default(schema, shape, sizeof(shape));
	if (is_in(required, last_name))
		put(shape, sizeof(shape), "; required");
	printf(" Pq");
	mdoc_words(shape);
	putchar('\n');
	if (!description)
		page_fail("openapi.json: no description of the field %s", last_name);
	mdoc_text(description);
}

/* Fields of a reply are always there, unless their description says when not. */
static void print_fields(struct page *page, const char *name, bool is_request)
{
	json_t *root = load();
	json_t *schema = json_object_get(
		json_object_get(json_object_get(root, "components"), "schemas"), name);
	json_t *properties = json_object_get(schema, "properties");
	const json_t *required = is_request ? json_object_get(schema, "required") : NULL;

	if (!properties)
		page_fail("openapi.json: no schema with properties: %s", name);
	for (void *i = json_object_iter(properties); i;) {
		json_t *field = json_object_iter_value(i);
		const char *key = json_object_iter_key(i);

		printf(".It Cm %s", key);
		/* Those that are all the same stand together. */
		while ((i = json_object_iter_next(properties, i)) && reference(field) &&
		       json_equal(field, json_object_iter_value(i))) {
			key = json_object_iter_key(i);
			printf(" , %s", key);
		}
		print_field(root, field, required, key);
		page_about(page, key);
	}
}

void calls_fields(struct page *page, const char *schema)
{
	print_fields(page, schema, true);
}

void calls_reply(struct page *page, const char *schema)
{
	print_fields(page, schema, false);
}

/* ---- Calls ---- */

static void print_right(const struct api_route *route)
{
	puts(".It Right");
	if (route->scope == API_OPEN)
		puts("none");
	else if (route->scope == API_KNOWN)
		puts("none, but an entry");
	else if (route->scope == API_WHOLE)
		printf(".Cm %s\nfor all services\n", access_right_name(route->right));
	else if (route->scope == API_SERVICE)
		printf(".Cm %s\nfor the service\n", access_right_name(route->right));
	else
		printf(".Cm %s\nfor the services in question\n", access_right_name(route->right));
}

static void print_parameters(const json_t *root, const json_t *parameters)
{
	for (size_t i = 0; i < json_array_size(parameters); i++) {
		const json_t *parameter = resolve(root, json_array_get(parameters, i));
		const char *in = text_of(parameter, "in");

		if (strcmp(in, "path") == 0)
			continue;
		printf(".It %s\n", strcmp(in, "query") == 0 ? "Query" : "Header");
		printf(".Cm %s :\n", text_of(parameter, "name"));
		mdoc_text(description_of(root, parameter));
	}
}

/* Where the fields of the JSON in a request or reply are; of an array, those of an entry. */
static void print_schema_name(const json_t *root, const json_t *message)
{
	const json_t *schema = json_object_get(
		json_object_get(json_object_get(message, "content"), "application/json"), "schema");

	if (reference(json_object_get(resolve(root, schema), "else")))
		schema = json_object_get(resolve(root, schema), "else");
	if (json_object_get(schema, "items"))
		schema = json_object_get(schema, "items");
	if (reference(schema))
		printf("See\n.Sx %s .\n", reference(schema));
}

static void print_body(const json_t *root, const json_t *body)
{
	if (!body)
		return;
	puts(".It Body");
	mdoc_text(description_of(root, body));
	print_schema_name(root, resolve(root, body));
}

/* What is a reply of its own has its description; the errors, which all share, their codes. */
static void print_replies(const json_t *root, json_t *replies)
{
	const char *between = ".It Also\n";

	for (void *i = json_object_iter(replies); i; i = json_object_iter_next(replies, i)) {
		const json_t *reply = json_object_iter_value(i);

		if (reference(reply))
			continue;
		printf(".It %s\n", json_object_iter_key(i));
		mdoc_text(text_of(reply, "description"));
		print_schema_name(root, reply);
	}
	for (void *i = json_object_iter(replies); i; i = json_object_iter_next(replies, i)) {
		if (!reference(json_object_iter_value(i)))
			continue;
		printf("%s%s", between, json_object_iter_key(i));
		between = ", ";
	}
	if (*between == ',')
		putchar('\n');
}

static void print_call(struct page *page, const json_t *root, const struct api_route *route)
{
	const json_t *operation = operation_of(root, route);
	char row[256];

	snprintf(row, sizeof(row), "%s %s", method_name(route->method), route->path);
	if (!route->summary)
		page_fail("the route %s has no summary", row);
	printf(".It Li %s\n", row);
	mdoc_sentence(route->summary);
	if (text_of(operation, "description"))
		mdoc_text(text_of(operation, "description"));
	page_about(page, row);
	puts(".Bl -tag -width Header -compact");
	print_right(route);
	print_parameters(root, json_object_get(operation, "parameters"));
	print_body(root, json_object_get(operation, "requestBody"));
	print_replies(root, json_object_get(operation, "responses"));
	puts(".El");
}

void calls_list(struct page *page, const char *argument)
{
	json_t *root = load();

	(void)argument;
	for (size_t i = 0; i < native_n_routes; i++)
		print_call(page, root, &native_routes[i]);
}

void calls_errors(struct page *page, const char *argument)
{
	json_t *root = load();
	json_t *replies = json_object_get(json_object_get(root, "components"), "responses");

	(void)argument;
	for (void *i = json_object_iter(replies); i; i = json_object_iter_next(replies, i)) {
		printf(".It %s\n", json_object_iter_key(i));
		mdoc_text(text_of(json_object_iter_value(i), "description"));
		page_about(page, json_object_iter_key(i));
	}
}

/* ---- Checks ---- */

void calls_print_routes(void)
{
	for (size_t i = 0; i < native_n_routes; i++)
		printf("%s %s\n", method_name(native_routes[i].method), native_routes[i].path);
}

/* A summary of the table has no capital at its start. */
static bool is_same_summary(const char *ours, const char *theirs)
{
	return theirs && *ours && strncasecmp(ours, theirs, 1) == 0 &&
	       strcmp(ours + 1, theirs + 1) == 0;
}

/* Returns how many faults it has told of. */
static int check_route(const json_t *root, const struct api_route *route)
{
	const json_t *operation = operation_of(root, route);
	const json_t *security = json_object_get(operation, "security");
	const char *name = method_name(route->method);
	bool is_open = security && json_array_size(security) == 0;

	if (!operation) {
		printf("openapi.json: not there: %s %s\n", name, route->path);
		return 1;
	}
	if (!is_same_summary(route->summary, text_of(operation, "summary"))) {
		printf("openapi.json: %s %s: the summary is not that of the table of routes: %s\n",
		       name, route->path, route->summary);
		return 1;
	}
	if (is_open != (route->scope == API_OPEN)) {
		printf("openapi.json: %s %s: \"security\": [] is for open routes alone\n", name,
		       route->path);
		return 1;
	}
	return 0;
}

static size_t count_operations(const json_t *root)
{
	json_t *paths = json_object_get(root, "paths");
	size_t n = 0;

	for (void *i = json_object_iter(paths); i; i = json_object_iter_next(paths, i))
		n += json_object_size(json_object_iter_value(i));
	return n;
}

int calls_check(void)
{
	json_t *root = load();
	const char *version = text_of(json_object_get(root, "info"), "version");
	int n_faults = 0;

	for (size_t i = 0; i < native_n_routes; i++)
		n_faults += check_route(root, &native_routes[i]);
	if (n_faults == 0 && count_operations(root) != native_n_routes) {
		puts("openapi.json: it has calls that are no routes");
		n_faults++;
	}
	if (!version || strcmp(version, PACKAGE_VERSION) != 0) {
		puts("openapi.json: the version is not " PACKAGE_VERSION);
		n_faults++;
	}
	return n_faults != 0;
}
