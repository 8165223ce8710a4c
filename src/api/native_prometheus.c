/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/native_prometheus.h"

#include "model/codec.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define META_LABEL "__meta_rosterd_meta_"

/* A list while it is made. */
struct targets {
	json_t *groups;
	char port[LIMIT_LABEL + 1]; /* the named port that is wanted; empty: the instance's own */
	size_t n_seen;              /* instances */
};

static bool put(json_t *labels, const char *label, const char *value)
{
	return codec_put(labels, label, json_string(value));
}

/* ---- Labels ---- */

/*
 * As Prometheus does it: what no label may have, each character of it, is an underscore. Whether
 * there was none.
 */
static bool print_label(const char *key, char label[sizeof(META_LABEL) + LIMIT_META_TEXT])
{
	char *at = label + sprintf(label, "%s", META_LABEL);

	for (const char *from = key; *from; from++)
		if (((unsigned char)*from & 0xc0u) != 0x80) /* inside of a UTF-8 character */
			*at++ = isalnum((unsigned char)*from) ? *from : '_';
	*at = '\0';
	return strcmp(label + strlen(META_LABEL), key) == 0;
}

/* Two keys may have one label: it is that of the key which is one by itself, else of the first. */
static bool put_meta(json_t *labels, const struct registration *registration)
{
	char label[sizeof(META_LABEL) + LIMIT_META_TEXT];

	for (int is_clean = 1; is_clean >= 0; is_clean--)
		for (size_t i = 0; i < registration->n_meta; i++) {
			const struct meta *meta = &registration->meta[i];

			if (print_label(meta->key, label) == is_clean &&
			    !json_object_get(labels, label) && !put(labels, label, meta->value))
				return false;
		}
	return true;
}

/* Also in its own label, as short as it is asked for. */
static bool put_version(json_t *labels, const struct registration *registration)
{
	for (size_t i = 0; i < registration->n_meta; i++)
		if (strcmp(registration->meta[i].key, "version") == 0)
			return put(labels, "__meta_rosterd_version", registration->meta[i].value);
	return true;
}

/* ",a,b,": a pattern for one tag needs no look at the ends. */
static bool put_tags(json_t *labels, const struct registration *registration)
{
	char text[LIMIT_TAGS_TEXT + 3];
	size_t len = 0;

	if (!registration->n_tags)
		return true;
	for (size_t i = 0; i < registration->n_tags; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, ",%s",
					registration->tags[i]);
	snprintf(text + len, sizeof(text) - len, ",");
	return put(labels, "__meta_rosterd_tags", text);
}

static json_t *labels_json(const struct instance *instance)
{
	const struct registration *registration = instance->registration;
	json_t *labels = json_object();

	if (put(labels, "__meta_rosterd_service", registration->service) &&
	    put(labels, "__meta_rosterd_instance", registration->id) &&
	    put(labels, "__meta_rosterd_status", health_status_name(instance->status)) &&
	    put(labels, "__meta_rosterd_admin", record_admin_name(instance->admin)) &&
	    put_tags(labels, registration) && put_version(labels, registration) &&
	    put_meta(labels, registration))
		return labels;
	json_decref(labels);
	return NULL;
}

/* ---- Targets ---- */

/* 0: it has no such port. */
static unsigned find_port(const struct targets *targets, const struct registration *registration)
{
	if (!*targets->port)
		return registration->port;
	for (size_t i = 0; i < registration->n_ports; i++)
		if (strcmp(registration->ports[i].name, targets->port) == 0)
			return registration->ports[i].port;
	return 0;
}

/* Of two addresses the IPv4 one: one target for an instance, or it would be scraped twice. */
static void print_target(const struct address *address, unsigned port, char text[64])
{
	char ip[46];

	record_address_print(address, !address->has_v4, ip);
	snprintf(text, 64, address->has_v4 ? "%s:%u" : "[%s]:%u", ip, port);
}

/* false: out of memory. */
static bool add_instance(struct targets *targets, const struct instance *instance)
{
	const struct registration *registration = instance->registration;
	unsigned port = find_port(targets, registration);
	char target[64];

	if (!port || instance->dirt == INSTANCE_GONE)
		return true;
	print_target(&registration->address, port, target);
	return json_array_append_new(targets->groups, json_pack("{s:[s],s:o}", "targets", target,
								"labels", labels_json(instance))) ==
	       0;
}

/* false: `reply` says why. */
static bool add_service(struct targets *targets, const struct service *service,
			struct api_reply *reply)
{
	targets->n_seen += service->n_instances;
	if (targets->n_seen > LIMIT_LIST_INSTANCES) {
		api_reply_error(reply, 413, NULL,
				"more than %d instances, which Prometheus cannot take in parts: "
				"ask for single services, or give it file_sd or dns_sd",
				LIMIT_LIST_INSTANCES);
		return false;
	}
	for (size_t i = 0; i < service->n_instances; i++)
		if (!add_instance(targets, service->instances[i])) {
			api_reply_error(reply, 503, NULL, "out of memory");
			return false;
		}
	return true;
}

/* false: `reply` says why. */
static bool targets_init(struct targets *targets, const struct api_request *request,
			 struct api_reply *reply)
{
	*targets = (struct targets){ .n_seen = 0 };
	if (!api_query_label(request->query, "port", targets->port)) {
		api_reply_error(reply, 400, "port", "must be the name of a port");
		return false;
	}
	targets->groups = json_array();
	return true;
}

void native_prometheus_handle_service(struct api *api, const struct api_request *request,
				      char *const *segments, uint64_t now_ms,
				      struct api_reply *reply)
{
	const struct service *service = registry_find_service(api->registry, segments[0]);
	struct targets targets;

	(void)now_ms;
	if (!targets_init(&targets, request, reply))
		return;
	if (!service || add_service(&targets, service, reply))
		api_reply_json(reply, 200, targets.groups);
	else
		json_decref(targets.groups);
}

void native_prometheus_handle_all(struct api *api, const struct api_request *request,
				  char *const *segments, uint64_t now_ms, struct api_reply *reply)
{
	const struct service *service;
	struct targets targets;
	size_t position = 0;

	(void)segments, (void)now_ms;
	if (!targets_init(&targets, request, reply))
		return;
	while ((service = registry_next_service(api->registry, &position)))
		if (access_allows(request->who, ACCESS_READ, service->name) &&
		    !add_service(&targets, service, reply)) {
			json_decref(targets.groups);
			return;
		}
	api_reply_json(reply, 200, targets.groups);
}
