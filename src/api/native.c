/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/native.h"

#include "api/native_metrics.h"
#include "api/native_openapi.h"
#include "api/native_prometheus.h"
#include "api/native_server.h"
#include "api/native_why.h"
#include "api/native_write.h"
#include "api/ui.h"
#include "api/watch.h"
#include "base/clock.h"
#include "model/codec.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Reads ---- */

static int compare_services(const void *a, const void *b)
{
	const struct service *const *left = a, *const *right = b;

	return strcmp((*left)->name, (*right)->name);
}

/* All services that `who` may read, by name; NULL when out of memory. */
static const struct service **sorted_services(const struct registry *registry,
					      const struct access_entry *who, size_t *n)
{
	size_t cap = registry_count_services(registry), position = 0;
	const struct service **sorted = calloc(cap + 1, sizeof(*sorted));
	const struct service *service;

	*n = 0;
	if (!sorted)
		return NULL;
	while (*n < cap && (service = registry_next_service(registry, &position)))
		if (access_allows(who, ACCESS_READ, service->name))
			sorted[(*n)++] = service;
	qsort(sorted, *n, sizeof(*sorted), compare_services);
	return sorted;
}

/*
 * Puts services behind `after` into an array, until LIMIT_LIST_INSTANCES are in it; `next` is the
 * last service that is in if there are more, else NULL.
 */
static json_t *services_json(const struct service **sorted, size_t n, const char *after,
			     uint64_t now_ms, const char **next)
{
	json_t *services = json_array();
	uint64_t wall_ms = clock_wall_ms();
	size_t n_instances = 0, i = 0;

	*next = NULL;
	while (i < n && *after && strcmp(sorted[i]->name, after) <= 0)
		i++;
	for (; i < n; i++) {
		if (json_array_append_new(services,
					  codec_service_json(sorted[i], now_ms, wall_ms))) {
			json_decref(services);
			return NULL;
		}
		n_instances += sorted[i]->n_instances;
		if (n_instances >= LIMIT_LIST_INSTANCES && i + 1 < n) {
			*next = sorted[i]->name;
			break;
		}
	}
	return services;
}

static void handle_services(struct api *api, const struct api_request *request,
			    char *const *segments, uint64_t now_ms, struct api_reply *reply)
{
	const struct service **sorted;
	char after[LIMIT_LABEL + 1];
	const char *next;
	json_t *json = NULL;
	size_t n;

	(void)segments;
	/* To begin anew would send a client that follows "next" in circles. */
	if (!api_query_label(request->query, "after", after)) {
		api_reply_error(reply, 400, "after", "must be the name of a service");
		return;
	}
	sorted = sorted_services(api->registry, request->who, &n);
	if (sorted)
		json = json_object();
	api_reply_if(reply, 200, json,
		     json &&
			     codec_put(json, "services",
				       services_json(sorted, n, after, now_ms, &next)) &&
			     (!next || codec_put(json, "next", json_string(next))) &&
			     codec_put(json, "revision", api_revision_json(api)));
	free(sorted);
}

static void handle_service(struct api *api, const struct api_request *request,
			   char *const *segments, uint64_t now_ms, struct api_reply *reply)
{
	const struct service *service = registry_find_service(api->registry, segments[0]);

	(void)request;
	if (service)
		api_reply_json(reply, 200, codec_service_json(service, now_ms, clock_wall_ms()));
	else
		api_reply_error(reply, 404, NULL, "no such service");
}

static void handle_instance(struct api *api, const struct api_request *request,
			    char *const *segments, uint64_t now_ms, struct api_reply *reply)
{
	const struct service *service = registry_find_service(api->registry, segments[0]);
	const struct instance *instance =
		service ? registry_find_instance(api->registry, service, segments[1]) : NULL;

	(void)request;
	if (instance)
		api_reply_json(reply, 200, codec_instance_json(instance, now_ms, clock_wall_ms()));
	else
		api_reply_error(reply, 404, NULL, service ? "no such instance" : "no such service");
}

/* ---- The server itself ---- */

static void handle_live(struct api *api, const struct api_request *request, char *const *segments,
			uint64_t now_ms, struct api_reply *reply)
{
	(void)api, (void)request, (void)segments, (void)now_ms;
	api_reply_json(reply, 200, json_pack("{ss}", "status", "live"));
}

/* Without the disk it still answers queries: no reason to send them elsewhere. */
static void handle_ready(struct api *api, const struct api_request *request, char *const *segments,
			 uint64_t now_ms, struct api_reply *reply)
{
	const char *trouble = api->trouble(api->cookie);

	(void)request, (void)segments, (void)now_ms;
	if (!api->is_ready(api->cookie))
		api_reply_error(reply, 503, NULL, "not ready");
	else if (trouble)
		api_reply_json(reply, 200,
			       json_pack("{ssss}", "status", "degraded", "reason", trouble));
	else
		api_reply_json(reply, 200, json_pack("{ss}", "status", "ready"));
}

const struct api_route native_routes[] = {
	{ API_POST, "/registry/register", native_write_register, ACCESS_REGISTER, API_SOME,
	  "register an instance, or up to 1,000 of them" },
	{ API_POST, "/registry/heartbeat", native_write_heartbeat, ACCESS_REGISTER, API_SOME,
	  "renew the lease of an instance, or of up to 10,000, and report its status" },
	{ API_POST, "/registry/deregister", native_write_deregister, ACCESS_REGISTER, API_SOME,
	  "remove an instance" },
	{ API_GET, "/registry/services", handle_services, ACCESS_READ, API_SOME,
	  "list the services with their instances" },
	{ API_GET, "/registry/services/{service}", handle_service, ACCESS_READ, API_SERVICE,
	  "show a service with its instances" },
	{ API_GET, "/registry/services/{service}/instances/{id}", handle_instance, ACCESS_READ,
	  API_SERVICE, "show an instance" },
	{ API_DELETE, "/registry/services/{service}/instances/{id}", native_write_delete,
	  ACCESS_REGISTER, API_SERVICE, "remove an instance; the same as a deregistration" },
	{ API_PUT, "/registry/services/{service}/instances/{id}/admin", native_write_admin,
	  ACCESS_ADMIN, API_SERVICE, "set what an operator decides about an instance" },
	{ API_PUT, "/registry/services/{service}/policy", native_write_policy, ACCESS_ADMIN,
	  API_SERVICE, "change what a service as a whole has" },
	{ API_GET, "/registry/why", native_why_handle, ACCESS_READ, API_SOME,
	  "say which instances are in a DNS answer, which are not, and why" },
	{ API_GET, "/registry/prometheus", native_prometheus_handle_all, ACCESS_READ, API_SOME,
	  "list targets for the http_sd of Prometheus: every instance" },
	{ API_GET, "/registry/prometheus/{service}", native_prometheus_handle_service, ACCESS_READ,
	  API_SERVICE, "list the targets of one service" },
	{ API_GET, "/registry/watch", watch_handle, ACCESS_READ, API_SOME,
	  "follow every change as it becomes visible in DNS" },
	{ API_GET, "/", ui_handle_redirect, ACCESS_NONE, API_OPEN, "lead to the status page" },
	{ API_GET, "/ui", ui_handle_redirect, ACCESS_NONE, API_OPEN, "lead to the status page" },
	{ API_GET, "/ui/", ui_handle_page, ACCESS_NONE, API_OPEN, "show the status page" },
	{ API_GET, "/ui/{file}", ui_handle_file, ACCESS_NONE, API_OPEN,
	  "send a file of the status page" },
	{ API_GET, "/health/live", handle_live, ACCESS_NONE, API_OPEN, "say that the server runs" },
	{ API_GET, "/health/ready", handle_ready, ACCESS_NONE, API_OPEN,
	  "say whether the server is ready for queries and requests" },
	{ API_GET, "/metrics", native_metrics_handle, ACCESS_NONE, API_KNOWN,
	  "print what the server counts, in the Prometheus text format" },
	{ API_GET, "/server", native_server_describe, ACCESS_NONE, API_KNOWN,
	  "say which process answers, and what became of its newest replacement" },
	{ API_GET, "/server/access", native_server_access, ACCESS_NONE, API_KNOWN,
	  "say who asks, and for which services that is given which rights" },
	{ API_POST, "/server/reload", native_server_reload, ACCESS_ADMIN, API_WHOLE,
	  "read the configuration, zone files and certificates again" },
	{ API_POST, "/server/replace", native_server_replace, ACCESS_ADMIN, API_WHOLE,
	  "start a new server in place of this one" },
	{ API_GET, "/server/zones/{zone}", native_server_zone, ACCESS_READ, API_WHOLE,
	  "send a zone as a master file" },
	{ API_GET, "/openapi.json", native_openapi_handle, ACCESS_NONE, API_OPEN,
	  "print this description of the HTTP port (OpenAPI 3.1)" },
};
const size_t native_n_routes = sizeof(native_routes) / sizeof(native_routes[0]);
