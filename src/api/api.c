/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/api.h"

#include "base/buf.h"
#include "base/log.h"

#include <assert.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Replies ---- */

static const char type_json[] = "application/json";

/* Clients tell errors apart by these words. */
static const struct {
	int status;
	const char *code;
} error_codes[] = {
	{ 400, "bad-request" },        { 401, "unauthorized" },
	{ 403, "forbidden" },          { 404, "not-found" },
	{ 405, "method-not-allowed" }, { 408, "timeout" },
	{ 409, "conflict" },           { 410, "gone" },
	{ 413, "too-large" },          { 421, "misdirected" },
	{ 417, "expectation-failed" }, { 431, "headers-too-large" },
	{ 501, "not-implemented" },    { 503, "unavailable" },
	{ 507, "storage-full" },
};

static const char *error_code(int status)
{
	for (size_t i = 0; i < sizeof(error_codes) / sizeof(error_codes[0]); i++)
		if (error_codes[i].status == status)
			return error_codes[i].code;
	return "error";
}

static void reply_no_memory(struct api_reply *reply)
{
	static const char body[] =
		"{\"error\":{\"code\":\"unavailable\",\"message\":\"out of memory\"}}\n";

	reply->status = 503;
	reply->content_type = type_json;
	reply->body = body;
	reply->body_len = sizeof(body) - 1;
	reply->owned = NULL;
}

json_t *api_text_json(const char *text)
{
	json_t *json = json_string(text);
	char *ascii;

	if (json)
		return json;
	ascii = strdup(text);
	for (char *c = ascii; c && *c; c++)
		if (*c & 0x80)
			*c = '?';
	json = ascii ? json_string(ascii) : NULL;
	free(ascii);
	return json;
}

json_t *api_revision_json(const struct api *api)
{
	return json_integer((json_int_t)registry_revision(api->registry));
}

json_t *api_error_json(int status, const char *field, const char *message)
{
	json_t *json = json_object();

	if (json_object_set_new(json, "code", json_string(error_code(status))) == 0 &&
	    json_object_set_new(json, "message", api_text_json(message)) == 0 &&
	    (!field || !*field || json_object_set_new(json, "field", api_text_json(field)) == 0))
		return json;
	json_decref(json);
	return NULL;
}

static int put_octets(const char *octets, size_t len, void *out)
{
	buf_put(out, octets, len);
	return 0;
}

void api_reply_json(struct api_reply *reply, int status, json_t *json)
{
	struct buf out;

	buf_init(&out);
	if (!json ||
	    json_dump_callback(json, put_octets, &out, JSON_COMPACT | JSON_REAL_PRECISION(15)) != 0)
		out.failed = true;
	buf_put(&out, "\n", 1);
	json_decref(json);
	reply->owned = buf_take(&out, &reply->body_len);
	buf_fini(&out);
	if (!reply->owned) {
		reply_no_memory(reply);
		return;
	}
	reply->status = status;
	reply->content_type = type_json;
	reply->body = reply->owned;
}

void api_reply_if(struct api_reply *reply, int status, json_t *json, bool is_whole)
{
	if (!is_whole) {
		json_decref(json);
		json = NULL;
	}
	api_reply_json(reply, status, json);
}

void api_reply_error(struct api_reply *reply, int status, const char *field, const char *format,
		     ...)
{
	char message[API_REASON + 64];
	json_t *json = json_object();
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	*reply = (struct api_reply){ .status = status };
	if (json_object_set_new(json, "error", api_error_json(status, field, message)) == 0) {
		api_reply_json(reply, status, json);
		return;
	}
	json_decref(json);
	reply_no_memory(reply);
}

void api_reply_fini(struct api_reply *reply)
{
	free(reply->owned);
	*reply = (struct api_reply){ .status = 0 };
}

/* ---- Routes ---- */

/* A part of a path that matched braces, as sent. */
struct segment {
	const char *text;
	size_t len;
};

/* Whether the path has the route's shape. Fills the segments and how many they are. */
static bool match(const char *shape, const char *path, struct segment segments[API_SEGMENTS],
		  size_t *n)
{
	*n = 0;
	while (*shape && *path) {
		if (*shape == '{') {
			size_t len = strcspn(path, "/");

			assert(*n < API_SEGMENTS);
			if (len == 0)
				return false;
			segments[(*n)++] = (struct segment){ path, len };
			path += len;
			shape = strchr(shape, '}') + 1;
		} else if (*shape++ != *path++) {
			return false;
		}
	}
	return !*shape && !*path;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Decodes %XX into text, which has room for segment.len + 1. false: broken, or %00. */
static bool decode(struct segment segment, char *text)
{
	const char *end = segment.text + segment.len;

	for (const char *c = segment.text; c < end; c++) {
		if (*c == '%') {
			int high = c + 2 < end ? hex_digit(c[1]) : -1;
			int low = high >= 0 ? hex_digit(c[2]) : -1;

			if (low < 0 || high * 16 + low == 0)
				return false;
			*text++ = (char)(high * 16 + low);
			c += 2;
		} else {
			*text++ = *c;
		}
	}
	*text = '\0';
	return true;
}

enum api_query api_query_get(const char *query, const char *key, char *text, size_t size)
{
	size_t key_len = strlen(key);

	while (query && *query) {
		size_t len = strcspn(query, "&");

		if (len > key_len && query[key_len] == '=' && strncmp(query, key, key_len) == 0) {
			struct segment value = { query + key_len + 1, len - key_len - 1 };

			return value.len < size && decode(value, text) ? API_QUERY_FOUND
								       : API_QUERY_BROKEN;
		}
		query += len + (query[len] == '&');
	}
	return API_QUERY_ABSENT;
}

bool api_query_label(const char *query, const char *key, char label[LIMIT_LABEL + 1])
{
	char text[LIMIT_LABEL + 1];

	*label = '\0';
	switch (api_query_get(query, key, text, sizeof(text))) {
	case API_QUERY_ABSENT:
		return true;
	case API_QUERY_FOUND:
		return record_label_parse(text, label);
	case API_QUERY_BROKEN:
		break;
	}
	return false;
}

/* One object, where an array may be sixteen times as long. */
static bool is_too_long(const struct api_request *request)
{
	size_t at = 0;

	if (request->body_len <= LIMIT_HTTP_SINGLE)
		return false;
	while (at < request->body_len && strchr(" \t\r\n", request->body[at]))
		at++;
	return at == request->body_len || request->body[at] != '[';
}

/* ---- Who may ---- */

void api_log_denied(const struct api_request *request, const char *reason)
{
	char client[46] = "";

	if (request->caller)
		record_address_print(request->caller, request->caller->has_v6, client);
	log_peer_event(LOG_WARNING, "access-denied", "client", client, "name",
		       request->who ? request->who->name : "", "reason", reason, "path",
		       request->path, NULL);
}

void api_print_denied(char text[API_DENIED_TEXT], enum access_right right, const char *service)
{
	snprintf(text, API_DENIED_TEXT, "this takes the right \"%s\" for %s%s",
		 access_right_name(right), service ? "the service " : "all services",
		 service ? service : "");
}

static void reply_forbidden(struct api *api, const struct api_request *request, const char *reason,
			    struct api_reply *reply)
{
	counters_add(&api->counters->access_forbidden, 1);
	api_log_denied(request, reason);
	api_reply_error(reply, 403, NULL, "%s", reason);
}

bool api_may(struct api *api, const struct api_request *request, enum access_right right,
	     const char *service, struct api_reply *reply)
{
	char reason[API_DENIED_TEXT];

	if (access_allows(request->who, right, service))
		return true;
	api_print_denied(reason, right, service);
	reply_forbidden(api, request, reason, reply);
	return false;
}

/* One that is not known is not told what else there is to know. */
static void reply_unknown(struct api *api, const struct api_request *request,
			  struct api_reply *reply)
{
	const char *reason = "this takes a token: \"Authorization: Bearer TOKEN\"";

	if (request->authorization)
		reason = "Authorization has no token that is known here";
	else if (request->identity)
		reason = "the name in this certificate is not known here";
	counters_add(&api->counters->access_unknown, 1);
	api_log_denied(request, reason);
	api_reply_error(reply, 401, NULL, "%s", reason);
}

/* What no service can be called takes the right for all of them. */
static bool may_take(struct api *api, const struct api_route *route,
		     const struct api_request *request, char *const *segments,
		     struct api_reply *reply)
{
	char service[LIMIT_LABEL + 1], reason[API_DENIED_TEXT];

	if (route->scope == API_OPEN)
		return true;
	if (!request->who) {
		reply_unknown(api, request, reply);
		return false;
	}
	switch (route->scope) {
	case API_OPEN:
	case API_KNOWN:
		return true;
	case API_WHOLE:
		return api_may(api, request, route->right, NULL, reply);
	case API_SERVICE:
		return api_may(api, request, route->right,
			       record_label_parse(segments[0], service) ? service : NULL, reply);
	case API_SOME:
		break;
	}
	if (access_allows_some(request->who, route->right))
		return true;
	snprintf(reason, sizeof(reason), "this takes the right \"%s\", for some service at least",
		 access_right_name(route->right));
	reply_forbidden(api, request, reason, reply);
	return false;
}

static void call_route(struct api *api, const struct api_route *route,
		       const struct api_request *request, const struct segment *segments, size_t n,
		       uint64_t now_ms, struct api_reply *reply)
{
	char *decoded[API_SEGMENTS];
	char *text = malloc(strlen(request->path) + API_SEGMENTS);
	char *room = text;

	if (!text) {
		reply_no_memory(reply);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (!decode(segments[i], room)) {
			api_reply_error(reply, 400, NULL, "broken percent-encoding in the path");
			free(text);
			return;
		}
		decoded[i] = room;
		room += segments[i].len + 1;
	}
	if (!may_take(api, route, request, decoded, reply)) {
		free(text);
		return;
	}
	if (api->is_loading && (route->scope == API_SERVICE || route->scope == API_SOME))
		api_reply_error(reply, 503, NULL,
				"the server is starting and reads what was registered: ask again");
	else
		route->handle(api, request, decoded, now_ms, reply);
	free(text);
}

/* ---- Methods ---- */

static const char *method_name(enum api_method method)
{
	switch (method) {
	case API_GET:
		return "GET, HEAD";
	case API_POST:
		return "POST";
	case API_PUT:
		return "PUT";
	case API_DELETE:
		return "DELETE";
	case API_HEAD:
	case API_OTHER:
		break;
	}
	assert(!"no route has this method");
	return "";
}

static void put_allowed(char *allow, size_t allow_size, enum api_method method)
{
	size_t len = strlen(allow);

	snprintf(allow + len, allow_size - len, "%s%s", len ? ", " : "", method_name(method));
}

void api_handle(struct api *api, const struct api_route *routes, size_t n_routes,
		const struct api_request *request, uint64_t now_ms, struct api_reply *reply)
{
	enum api_method method = request->method == API_HEAD ? API_GET : request->method;
	struct api_request known = *request;
	char allow[sizeof(reply->allow)] = "";
	struct segment segments[API_SEGMENTS];
	const char *reason;
	size_t n;
	int status;

	*reply = (struct api_reply){ .status = 0 };
	if (api->guard && !guard_passes(api->guard, request->host, request->origin, request->local,
					&status, &reason)) {
		api_reply_error(reply, status, NULL, "%s", reason);
		return;
	}
	if (is_too_long(request)) {
		counters_add(&api->counters->limit_http_single, 1);
		api_reply_error(reply, 413, NULL, "one object takes at most %d octets, an array %d",
				LIMIT_HTTP_SINGLE, LIMIT_HTTP_BODY);
		return;
	}
	known.who = access_find(api->access, request->authorization, request->identity);
	for (size_t i = 0; i < n_routes; i++) {
		if (!match(routes[i].path, request->path, segments, &n))
			continue;
		if (routes[i].method == method) {
			call_route(api, &routes[i], &known, segments, n, now_ms, reply);
			assert(reply->status);
			return;
		}
		put_allowed(allow, sizeof(allow), routes[i].method);
	}
	if (!*allow) {
		api_reply_error(reply, 404, NULL, "no such path");
		return;
	}
	api_reply_error(reply, 405, NULL, "this path allows %s", allow);
	memcpy(reply->allow, allow, sizeof(allow));
}
