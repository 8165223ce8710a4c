/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/native_server.h"

#include "dns/name.h"
#include "model/catalog.h"
#include "model/codec.h"

#include <jansson.h>
#include <unistd.h>

/* ---- What it is ---- */

static json_t *zones_json(const struct catalog *catalog)
{
	const struct zone_list *list = catalog_zones(catalog);
	json_t *json = json_array();
	char text[NAME_TEXT_MAX];

	for (size_t i = 0; i < list->n; i++) {
		name_print(list->zones[i]->origin, list->zones[i]->origin_len, text);
		if (json_array_append_new(json, json_string(text))) {
			json_decref(json);
			return NULL;
		}
	}
	return json;
}

/* Why a new server has failed may tell of files. */
static json_t *replacement_json(const struct api_successor *successor)
{
	json_t *json = json_object();

	if (codec_put(json, "pid", json_integer(successor->pid)) &&
	    codec_put(json, "status", json_string(successor->has_ended ? "failed" : "running")) &&
	    (!successor->has_ended || codec_put(json, "reason", api_text_json(successor->reason))))
		return json;
	json_decref(json);
	return NULL;
}

void native_server_describe(struct api *api, const struct api_request *request,
			    char *const *segments, uint64_t now_ms, struct api_reply *reply)
{
	struct api_server server = { .uptime_s = 0 };
	json_t *json = json_object();
	bool good;

	(void)segments, (void)now_ms;
	api->describe(api->cookie, &server);
	good = codec_put(json, "pid", json_integer(getpid())) &&
	       codec_put(json, "version", json_string(PACKAGE_VERSION)) &&
	       codec_put(json, "uptime", json_real(server.uptime_s)) &&
	       codec_put(json, "zones", zones_json(api->catalog)) &&
	       codec_put(json, "revision", api_revision_json(api));
	if (good && server.successor.pid && access_allows(request->who, ACCESS_ADMIN, NULL))
		good = codec_put(json, "replacement", replacement_json(&server.successor));
	api_reply_if(reply, 200, json, good);
}

/* ---- Who asks ---- */

/* The patterns of the services that `who` has the right for, those of greater rights too. */
static json_t *patterns_json(const struct access_entry *who, enum access_right right)
{
	json_t *json = json_array();

	for (size_t i = 0; i < who->n_grants; i++)
		if (who->grants[i].right >= right &&
		    json_array_append_new(json, json_string(who->grants[i].pattern))) {
			json_decref(json);
			return NULL;
		}
	return json;
}

void native_server_access(struct api *api, const struct api_request *request, char *const *segments,
			  uint64_t now_ms, struct api_reply *reply)
{
	static const enum access_right rights[] = { ACCESS_READ, ACCESS_REGISTER, ACCESS_ADMIN };
	const struct access_entry *who = request->who;
	json_t *json = json_object();
	bool good;

	(void)api, (void)segments, (void)now_ms;
	good = codec_put(json, "name", *who->name ? json_string(who->name) : json_null());
	for (size_t i = 0; good && i < sizeof(rights) / sizeof(rights[0]); i++)
		good = codec_put(json, access_right_name(rights[i]), patterns_json(who, rights[i]));
	api_reply_if(reply, 200, json, good);
}

/* ---- What it does ---- */

void native_server_reload(struct api *api, const struct api_request *request, char *const *segments,
			  uint64_t now_ms, struct api_reply *reply)
{
	struct api_reload result = { .n_fixed = 0 };
	json_t *json, *fixed;
	bool good = true;
	int status;

	(void)request, (void)segments, (void)now_ms;
	status = api->reload(api->cookie, &result);
	if (status != 200) {
		api_reply_error(reply, status, NULL, "%s", result.reason);
		return;
	}
	json = json_pack("{ss}", "status", "reloaded");
	fixed = json_array();
	for (size_t i = 0; i < result.n_fixed; i++)
		good = good && json_array_append_new(fixed, json_string(result.fixed[i])) == 0;
	api_reply_if(reply, 200, json, codec_put(json, "takes_restart", fixed) && good);
}

void native_server_replace(struct api *api, const struct api_request *request,
			   char *const *segments, uint64_t now_ms, struct api_reply *reply)
{
	char reason[API_REASON] = "";
	long pid;

	(void)request, (void)segments, (void)now_ms;
	pid = api->replace(api->cookie, reason, sizeof(reason));
	if (pid < 0)
		api_reply_error(reply, 409, NULL, "%s", reason);
	else
		api_reply_json(reply, 202,
			       json_pack("{sssIsI}", "status", "started", "pid", (json_int_t)pid,
					 "replaces", (json_int_t)getpid()));
}

void native_server_zone(struct api *api, const struct api_request *request, char *const *segments,
			uint64_t now_ms, struct api_reply *reply)
{
	struct api_zone zone;

	(void)now_ms;
	zone.len = name_parse(segments[0], zone.origin);
	if (!zone.len || !catalog_zone_at(api->catalog, zone.origin, zone.len)) {
		api_reply_error(reply, 404, NULL, "this zone is not served here");
		return;
	}
	if (!api->is_ready(api->cookie)) {
		api_reply_error(reply, 503, NULL,
				"the server is starting, or on its way to its end: ask again");
		return;
	}
	*reply = (struct api_reply){ .status = 200, .content_type = "text/dns" };
	if (request->method == API_HEAD)
		reply->body = "";
	else
		reply->zone = zone;
}
