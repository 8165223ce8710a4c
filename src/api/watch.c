/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/watch.h"

#include "base/buf.h"
#include "model/codec.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	DEFAULT_WAIT_MS = 30000,
	RETRY_MS = 1000, /* a reader's pause before it comes again */
};

/* ---- What is asked ---- */

static bool read_revision(const char *text, uint64_t *revision)
{
	size_t len = strlen(text);

	if (len == 0 || len > 19 || strspn(text, "0123456789") != len)
		return false;
	*revision = strtoull(text, NULL, 10);
	return true;
}

static const char *read_service(struct api_watch *watch, const char *value)
{
	return record_label_parse(value, watch->service) ? NULL : "not the name of a service";
}

static const char *read_since(struct api_watch *watch, const char *value)
{
	watch->has_since = read_revision(value, &watch->since);
	return watch->has_since ? NULL : "not a revision";
}

static const char *read_index(struct api_watch *watch, const char *value)
{
	watch->wait = API_WAIT_POLL;
	return read_since(watch, value);
}

/* "30s", or a number of seconds. */
static const char *read_wait(struct api_watch *watch, const char *value)
{
	size_t digits = strspn(value, "0123456789");
	uint64_t ms;

	watch->wait = API_WAIT_POLL;
	if (digits && digits < 10 && !value[digits])
		ms = strtoull(value, NULL, 10) * 1000;
	else if (!record_duration_parse(value, &ms))
		return "not a duration";
	if (ms > LIMIT_WATCH_WAIT_MS)
		return "longer than 5 minutes";
	watch->wait_ms = (uint32_t)ms;
	return NULL;
}

static const struct parameter {
	const char *name;
	/* NULL, or what is wrong. */
	const char *(*read)(struct api_watch *watch, const char *value);
} parameters[] = {
	{ "service", read_service },
	{ "since", read_since },
	{ "index", read_index },
	{ "wait", read_wait },
};

/* One "name=value". No value that is good needs percent-encoding. false: refused. */
static bool read_parameter(struct api_watch *watch, const char *text, size_t len,
			   struct api_reply *reply)
{
	char copy[128];
	char *value;
	const char *wrong = "not known here";

	if (len == 0)
		return true;
	snprintf(copy, sizeof(copy), "%.*s", (int)len, text);
	value = strchr(copy, '=');
	if (value)
		*value++ = '\0';
	for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++)
		if (strcmp(parameters[i].name, copy) == 0)
			wrong = parameters[i].read(watch, value && len < sizeof(copy) ? value : "");
	if (wrong)
		api_reply_error(reply, 400, copy, "%s", wrong);
	return !wrong;
}

static bool read_query(struct api_watch *watch, const char *query, struct api_reply *reply)
{
	while (query && *query) {
		size_t len = strcspn(query, "&");

		if (!read_parameter(watch, query, len, reply))
			return false;
		query += len + (query[len] == '&');
	}
	return true;
}

/* A service that nothing happened to since is followed however long that was. */
static bool is_gone(const struct api *api, const struct api_watch *watch)
{
	const struct service *service;

	if (!watch->has_since || events_holds(api->events, watch->since))
		return false;
	if (!*watch->service || watch->since > registry_revision(api->registry))
		return true;
	service = registry_find_service(api->registry, watch->service);
	return !service || service->revision > watch->since;
}

void watch_handle(struct api *api, const struct api_request *request, char *const *segments,
		  uint64_t now_ms, struct api_reply *reply)
{
	struct api_watch watch = { .wait = API_WAIT_STREAM, .wait_ms = DEFAULT_WAIT_MS };

	(void)segments, (void)now_ms;
	if (!read_query(&watch, request->query, reply) ||
	    !api_may(api, request, ACCESS_READ, *watch.service ? watch.service : NULL, reply))
		return;
	/* The query of a stream stays what it was when its reader comes again. */
	if (watch.wait == API_WAIT_STREAM && request->last_event_id &&
	    read_since(&watch, request->last_event_id)) {
		api_reply_error(reply, 400, "Last-Event-ID", "not a revision");
		return;
	}
	if (is_gone(api, &watch)) {
		watch_reply_gone(reply, api->counters);
		return;
	}
	*reply = (struct api_reply){ .status = 200, .watch = watch };
	if (request->method != API_HEAD)
		return;
	reply->watch.wait = API_WAIT_NONE;
	reply->body = "";
	reply->content_type =
		watch.wait == API_WAIT_STREAM ? "text/event-stream" : "application/json";
}

/* ---- What is told ---- */

static bool put_address(json_t *json, const struct address *address)
{
	char text[46];

	for (int v6 = 0; v6 < 2; v6++) {
		if (v6 ? !address->has_v6 : !address->has_v4)
			continue;
		record_address_print(address, v6, text);
		if ((!(v6 && address->has_v4) && !codec_put(json, "ip", json_string(text))) ||
		    !codec_put(json, v6 ? "ipv6" : "ipv4", json_string(text)))
			return false;
	}
	return true;
}

static bool put_instance(json_t *json, const struct event *event)
{
	return codec_put(json, "id", json_string(event->id)) &&
	       codec_put(json, "name", json_string(event->label)) &&
	       codec_put(json, "status", json_string(health_status_name(event->status))) &&
	       (event->kind != EVENT_ADMIN ||
		codec_put(json, "admin", json_string(record_admin_name(event->admin)))) &&
	       put_address(json, &event->address) &&
	       codec_put(json, "port", json_integer(event->port)) &&
	       codec_put(json, "priority", json_integer(event->priority)) &&
	       codec_put(json, "weight", json_integer(event->weight));
}

static json_t *event_json(const struct event *event)
{
	json_t *json = json_object();

	if (codec_put(json, "revision", json_integer((json_int_t)event->revision)) &&
	    codec_put(json, "event", json_string(events_kind_name(event->kind))) &&
	    codec_put(json, "service", json_string(event->service)) &&
	    (!event->id || put_instance(json, event)))
		return json;
	json_decref(json);
	return NULL;
}

void watch_print_start(struct buf *out, uint64_t revision)
{
	buf_print(out, "retry: %d\nid: %" PRIu64 "\n\n", RETRY_MS, revision);
}

void watch_print_comment(struct buf *out, uint64_t revision)
{
	buf_print(out, ":\nid: %" PRIu64 "\n\n", revision);
}

static int put_octets(const char *octets, size_t len, void *out)
{
	buf_put(out, octets, len);
	return 0;
}

void watch_print_event(struct buf *out, const struct event *event)
{
	json_t *json = event_json(event);

	buf_print(out, "id: %" PRIu64 "\nevent: %s\ndata: ", event->revision,
		  events_kind_name(event->kind));
	if (!json || json_dump_callback(json, put_octets, out, JSON_COMPACT))
		out->failed = true;
	buf_put(out, "\n\n", 2);
	json_decref(json);
}

void watch_reply_poll(struct api_reply *reply, const struct events *events,
		      const struct api_watch *watch, uint64_t position, uint64_t revision)
{
	const char *service = *watch->service ? watch->service : NULL;
	json_t *array = json_array(), *json = json_object();
	uint64_t index = watch->has_since ? watch->since : revision;
	const struct event *event;
	size_t n = 0;

	for (; n < LIMIT_WATCH_EVENTS; n++) {
		event = events_after(events, service, position);
		if (!event || event->revision > revision)
			break;
		if (json_array_append_new(array, event_json(event))) {
			json_decref(array);
			array = NULL;
			break;
		}
		index = position = event->revision;
	}
	if (n && n < LIMIT_WATCH_EVENTS)
		index = revision;
	api_reply_if(reply, 200, json,
		     codec_put(json, "events", array) &&
			     codec_put(json, "index", json_integer((json_int_t)index)));
}

void watch_reply_gone(struct api_reply *reply, struct counters *counters)
{
	counters_add(&counters->limit_events, 1);
	api_reply_error(reply, 410, NULL,
			"this revision is not among the newest changes: read /registry/services "
			"again, and watch from its revision");
}
