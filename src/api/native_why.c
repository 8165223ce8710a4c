/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/native_why.h"

#include "dns/wire.h"
#include "model/codec.h"
#include "model/compile_why.h"
#include "model/policy.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What is asked about. */
struct question {
	char text[NAME_TEXT_MAX]; /* the name as it was given */
	uint8_t name[NAME_MAX_LEN];
	size_t len;
	uint16_t type;
	const char *type_name;
	char client[64]; /* empty: nobody in particular */
};

/* What DNS says. */
struct said {
	const char *rcode;
	unsigned n_answer;
};

/* ---- The question ---- */

static bool parse_type(const char *text, struct question *question)
{
	static const struct {
		const char *name;
		uint16_t type;
	} types[] = {
		{ "A", RR_A },
		{ "AAAA", RR_AAAA },
		{ "SRV", RR_SRV },
		{ "TXT", RR_TXT },
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcasecmp(text, types[i].name) != 0)
			continue;
		question->type = types[i].type;
		question->type_name = types[i].name;
		return true;
	}
	return false;
}

/* false: the reply says what is wrong. */
static bool parse_question(const struct api_request *request, struct question *question,
			   struct api_reply *reply)
{
	struct address client = { .has_v4 = false };
	const char *reason = NULL, *field = "name";
	char type[8];

	if (api_query_get(request->query, "name", question->text, sizeof(question->text)) !=
	    API_QUERY_FOUND)
		reason = "is required: a DNS name";
	else if ((question->len = name_parse(question->text, question->name)) == 0)
		reason = "must be a DNS name";
	if (reason)
		goto refuse;
	field = "type";
	parse_type(question->name[1] == '_' ? "SRV" : "A", question);
	switch (api_query_get(request->query, "type", type, sizeof(type))) {
	case API_QUERY_ABSENT:
		break;
	case API_QUERY_FOUND:
		if (parse_type(type, question))
			break;
		/* fallthrough */
	case API_QUERY_BROKEN:
		reason = "must be A, AAAA, SRV or TXT";
		goto refuse;
	}
	field = "client";
	switch (api_query_get(request->query, "client", question->client,
			      sizeof(question->client))) {
	case API_QUERY_ABSENT:
		return true;
	case API_QUERY_FOUND:
		if (record_address_parse(question->client, &client, &reason))
			return true;
		goto refuse;
	case API_QUERY_BROKEN:
		reason = "must be an IP address";
		break;
	}
refuse:
	api_reply_error(reply, 400, field, "%s", reason);
	return false;
}

/* ---- What DNS says ---- */

static const char *rcode_name(unsigned rcode)
{
	switch (rcode) {
	case RCODE_NOERROR:
		return "NOERROR";
	case RCODE_NXDOMAIN:
		return "NXDOMAIN";
	case RCODE_REFUSED:
		return "REFUSED";
	default:
		return "SERVFAIL";
	}
}

/* Asks as a client over TCP would. false: out of memory. */
static bool ask(const struct api *api, const struct question *question, struct said *said)
{
	uint8_t *message = calloc(1, LIMIT_TCP_MESSAGE + WIRE_SLACK);
	size_t len = WIRE_HEADER + question->len;

	if (!message)
		return false;
	wire_set16(message + 4, 1);
	memcpy(message + WIRE_HEADER, question->name, question->len);
	wire_set16(message + len, question->type);
	wire_set16(message + len + 2, CLASS_IN);
	api->ask(api->cookie, message, len + 4);
	said->rcode = rcode_name(message[3] & 15u);
	said->n_answer = wire_get16(message + 6);
	free(message);
	return true;
}

/* ---- The reply ---- */

static json_t *instance_json(const struct compile_why *why, const struct instance *instance)
{
	char reason[COMPILE_WHY_REASON], v4[46], v6[46];
	const struct registration *registration = instance->registration;
	bool serves = compile_why_serves(why, instance, reason);
	json_t *json = json_object();

	if (registration->address.has_v4)
		record_address_print(&registration->address, false, v4);
	if (registration->address.has_v6)
		record_address_print(&registration->address, true, v6);
	if (codec_put(json, "id", json_string(registration->id)) &&
	    codec_put(json, "served", json_boolean(serves)) &&
	    codec_put(json, "reason", json_string(reason)) &&
	    (!registration->address.has_v4 || codec_put(json, "ipv4", json_string(v4))) &&
	    (!registration->address.has_v6 || codec_put(json, "ipv6", json_string(v6))) &&
	    codec_put(json, "port", json_integer(registration->port)) &&
	    codec_put(json, "priority", json_integer(registration->priority)) &&
	    codec_put(json, "weight", json_integer(registration->weight)) &&
	    codec_put(json, "status", json_string(health_status_name(instance->status))) &&
	    codec_put(json, "admin", json_string(record_admin_name(instance->admin))))
		return json;
	json_decref(json);
	return NULL;
}

static int compare_ids(const void *a, const void *b)
{
	const struct instance *const *left = a, *const *right = b;

	return strcmp((*left)->registration->id, (*right)->registration->id);
}

static json_t *instances_json(const struct compile_why *why)
{
	const struct service *service = why->service;
	const struct instance **sorted = calloc(service->n_instances + 1, sizeof(*sorted));
	json_t *json = sorted ? json_array() : NULL;

	for (size_t i = 0; sorted && i < service->n_instances; i++)
		sorted[i] = service->instances[i];
	if (sorted)
		qsort(sorted, service->n_instances, sizeof(*sorted), compare_ids);
	for (size_t i = 0; json && i < service->n_instances; i++)
		if (json_array_append_new(json, instance_json(why, sorted[i]))) {
			json_decref(json);
			json = NULL;
		}
	free(sorted);
	return json;
}

static json_t *said_json(const struct said *said)
{
	return json_pack("{sssi}", "rcode", said->rcode, "records", (int)said->n_answer);
}

static json_t *why_json(const struct question *question, const struct said *said,
			const struct compile_why *why)
{
	char zone[NAME_TEXT_MAX];
	json_t *json = json_object();

	name_print(why->zone->origin, why->zone->origin_len, zone);
	if (codec_put(json, "name", json_string(question->text)) &&
	    codec_put(json, "type", json_string(question->type_name)) &&
	    (!*question->client || codec_put(json, "client", json_string(question->client))) &&
	    codec_put(json, "zone", json_string(zone)) &&
	    codec_put(json, "service", json_string(why->service->name)) &&
	    codec_put(json, "policy", json_string(policy_mode_name(why->mode))) &&
	    codec_put(json, "answer_limit", json_integer(why->service->answer_limit)) &&
	    codec_put(json, "dns", said_json(said)) &&
	    codec_put(json, "instances", instances_json(why)))
		return json;
	json_decref(json);
	return NULL;
}

void native_why_handle(struct api *api, const struct api_request *request, char *const *segments,
		       uint64_t now_ms, struct api_reply *reply)
{
	struct question question = { .len = 0 };
	struct compile_why why;
	struct said said;
	int found;

	(void)segments, (void)now_ms;
	if (!parse_question(request, &question, reply))
		return;
	/* What changed in this round of the loop is not in DNS yet. */
	if ((registry_is_dirty(api->registry) && !api->publish(api->cookie)) ||
	    !ask(api, &question, &said) ||
	    (found = compile_why_init(&why, api->compile, question.name, question.len,
				      question.type)) < 0)
		api_reply_error(reply, 503, NULL, "out of memory");
	else if (found > 0)
		api_reply_error(
			reply, 404, "name",
			"no registered instance has this name; DNS says %s, with %u records",
			said.rcode, said.n_answer);
	else if (api_may(api, request, ACCESS_READ, why.service->name, reply))
		api_reply_json(reply, 200, why_json(&question, &said, &why));
}
