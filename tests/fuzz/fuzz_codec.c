/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any octets as the body of a write: refused with a reason in UTF-8, or a record within all limits,
 * which prints as JSON that is readable again.
 */
#include "model/codec.h"

#include <assert.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const struct codec_error *error)
{
	assert(*error->message && strlen(error->message) < sizeof(error->message));
	assert(strlen(error->field) < sizeof(error->field));
	assert(!error->no_memory);
}

static void check_spec(const struct check_spec *spec)
{
	bool is_http = spec->kind == CHECK_HTTP || spec->kind == CHECK_HTTPS;

	assert(spec->initial <= STATUS_CRITICAL);
	assert(is_http == (spec->path != NULL));
	assert(is_http || (!spec->method && !spec->expected && !spec->headers));
	assert(spec->kind == CHECK_HTTPS || (!spec->server_name && !spec->tls_skip_verify));
	assert((spec->kind == CHECK_TTL) == (spec->ttl_ms != 0));
	if (spec->kind == CHECK_TTL)
		return;
	assert(spec->port >= 1);
	assert(!spec->headers || strlen(spec->headers) <= LIMIT_CHECK_HEADERS_TEXT);
	assert(!spec->method || strlen(spec->method) <= LIMIT_METHOD);
	assert(!spec->path || (*spec->path == '/' && strlen(spec->path) <= LIMIT_PATH &&
			       !strpbrk(spec->path, " \r\n")));
	assert(spec->interval_ms >= LIMIT_INTERVAL_MIN_MS);
	assert(spec->interval_ms <= LIMIT_INTERVAL_MAX_MS);
	assert(spec->timeout_ms >= LIMIT_TIMEOUT_MIN_MS && spec->timeout_ms <= spec->interval_ms);
	assert(spec->rise >= 1 && spec->rise <= LIMIT_DAMPING);
	assert(spec->fall >= 1 && spec->fall <= LIMIT_DAMPING);
}

static void check_registration(const struct registration *registration)
{
	char label[LIMIT_LABEL + 1];
	size_t tags_len = 0;

	assert(record_label_parse(registration->service, label));
	assert(strcmp(registration->service, label) == 0);
	assert(record_label_parse(record_label(registration), label));
	assert(*registration->id && strlen(registration->id) <= LIMIT_ID);
	assert(registration->address.has_v4 || registration->address.has_v6);
	assert(registration->port >= 1);
	assert(registration->ttl_s <= LIMIT_TTL_S);
	assert(!registration->lease_ms || (registration->lease_ms >= LIMIT_LEASE_MIN_MS &&
					   registration->lease_ms <= LIMIT_LEASE_MAX_MS));
	assert(registration->n_ports <= LIMIT_PORTS && registration->n_tags <= LIMIT_TAGS);
	assert(registration->n_meta <= LIMIT_META && registration->n_checks <= LIMIT_CHECKS);
	for (size_t i = 0; i < registration->n_tags; i++)
		tags_len += strlen(registration->tags[i]) + (i > 0);
	assert(tags_len <= LIMIT_TAGS_TEXT);
	for (size_t i = 0; i < registration->n_meta; i++)
		assert(strlen(registration->meta[i].key) + 1 +
			       strlen(registration->meta[i].value) <=
		       LIMIT_META_TEXT);
	for (size_t i = 0; i < registration->n_checks; i++)
		check_spec(&registration->checks[i]);
}

/* As the registry would show it before the first result. */
static void check_printing(struct registration *registration)
{
	struct instance instance = { .registration = registration };
	struct check checks[LIMIT_CHECKS], *pointers[LIMIT_CHECKS];
	json_t *json;

	for (size_t i = 0; i < registration->n_checks; i++) {
		checks[i] =
			(struct check){ .instance = &instance, .spec = &registration->checks[i] };
		pointers[i] = &checks[i];
	}
	instance.checks = pointers;
	json = codec_instance_json(&instance, 1, 1);
	assert(json);
	json_decref(json);
}

/* What an operator may say of a service and of an instance. */
static void check_decisions(json_t *json)
{
	struct codec_policy policy;
	struct codec_error error;
	enum admin admin;

	if (codec_policy(json, &policy, &error)) {
		assert(policy.ttl_s <= LIMIT_TTL_S && policy.answer_limit <= LIMIT_ANSWER_LIMIT);
		assert(policy.failure <= FAILURE_LAST && policy.panic_ppm <= 1000000);
	} else {
		check_error(&error);
	}
	if (codec_admin(json, &admin, &error))
		assert(admin <= ADMIN_DRAIN);
	else
		check_error(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct codec_heartbeat heartbeat;
	struct codec_target target;
	struct registration *registration;
	struct codec_error error;
	json_t *json = codec_load((const char *)data, size, &error);

	if (!json) {
		check_error(&error);
		return 0;
	}
	registration = codec_registration(json, &error);
	if (registration) {
		check_registration(registration);
		check_printing(registration);
		record_registration_free(registration);
	} else {
		check_error(&error);
	}
	if (codec_heartbeat(json, &heartbeat, &error)) {
		assert(*heartbeat.service);
		assert(!heartbeat.id || (*heartbeat.id && strlen(heartbeat.id) <= LIMIT_ID));
	} else {
		check_error(&error);
	}
	if (codec_target(json, &target, &error))
		assert(*target.service && *target.id);
	else
		check_error(&error);
	check_decisions(json);
	json_decref(json);
	return 0;
}
