/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * codec: JSON <-> record, by jansson. Strict: an unknown field, a wrong type or a value out of
 * range is an error that names the field; duplicate keys, trailing octets and more than
 * LIMIT_JSON_DEPTH levels are refused. Reading is pure; what the registry has is printed by the
 * control thread alone.
 *
 * The fields stand in tables in codec.c. Integers are JSON integers (3.0 is none, true is none);
 * durations are "10s", "1m30s", "250ms" or a number of seconds.
 */
#ifndef ROSTERD_MODEL_CODEC_H
#define ROSTERD_MODEL_CODEC_H

#include "model/codec_error.h"
#include "model/registry.h"

struct json_t;

/*
 * Once, before anything else of this, and for one thread: where JSON gets its memory. Only then is
 * it always said as such where there is none.
 */
void codec_use_memory(void *(*alloc)(size_t size), void (*release)(void *thing));

/* Parses a body. NULL with the reason. The caller calls json_decref(). */
struct json_t *codec_load(const char *body, size_t body_len, struct codec_error *error);

/*
 * The same of a part of a larger text; the error does not say where it is, but `*position` does:
 * about so many octets from the part's start. Nothing of the text is in the error.
 */
struct json_t *codec_load_part(const char *text, size_t len, size_t *position,
			       struct codec_error *error);

/* A registration from one JSON object; NULL with the reason. The caller owns it. */
struct registration *codec_registration(struct json_t *json, struct codec_error *error);

/* One heartbeat. Strings point into `json`. */
struct codec_heartbeat {
	char service[LIMIT_LABEL + 1];
	const char *id; /* NULL: not said */
	bool has_status;
	enum status status;
	const char *output; /* NULL: not said */
};
bool codec_heartbeat(struct json_t *json, struct codec_heartbeat *heartbeat,
		     struct codec_error *error);

/* What to deregister. `id` points into `json`. */
struct codec_target {
	char service[LIMIT_LABEL + 1];
	const char *id;
};
bool codec_target(struct json_t *json, struct codec_target *target, struct codec_error *error);

/* What a service's policy is to be; what is not said stays. */
struct codec_policy {
	uint32_t ttl_s;
	uint16_t answer_limit; /* 0: all members */
	enum failure failure;
	uint32_t panic_ppm;
	bool has_ttl, has_answer_limit, has_failure, has_panic_threshold;
};
bool codec_policy(struct json_t *json, struct codec_policy *policy, struct codec_error *error);

/* What an operator decides about an instance: {"state"}. */
bool codec_admin(struct json_t *json, enum admin *admin, struct codec_error *error);

/*
 * What is known, as a new JSON object; NULL when out of memory. Times are seconds. `wall_ms` is
 * Unix time, now.
 */
struct json_t *codec_instance_json(const struct instance *instance, uint64_t now_ms,
				   uint64_t wall_ms);
struct json_t *codec_service_json(const struct service *service, uint64_t now_ms, uint64_t wall_ms);

/*
 * Sets a field of an object to a new value, which is freed if that fails. false when out of memory,
 * which may be why `object` or `value` is NULL.
 */
bool codec_put(struct json_t *object, const char *key, struct json_t *value);

/*
 * Until when answers that name the instance may be in use, for somebody's clock and for a timer:
 * "safe_after", "safe_after_s". false: out of memory.
 */
bool codec_put_safe_after(struct json_t *json, const struct instance *instance, uint64_t now_ms,
			  uint64_t wall_ms);

#endif
