/* SPDX-License-Identifier: BSD-2-Clause */
#include "world.h"

#include "dns/name.h"
#include "io/zonefile.h"
#include "model/codec_line.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	START_MS = 1000000,
	START_REVISION = 41,
	QUERY_ID = 0x5a17,
};

static bool on_collides(void *cookie, const struct registration *registration, char *name,
			size_t name_size)
{
	const struct world *world = cookie;

	return compile_collides(world->compile, registration, name, name_size);
}

static void on_check_started(void *cookie, const struct check *check)
{
	struct world *world = cookie;

	(void)check;
	world->n_checks++;
}

static void on_check_stopped(void *cookie, const struct check *check)
{
	struct world *world = cookie;

	(void)check;
	assert(world->n_checks > 0);
	world->n_checks--;
}

/* Everything that a process has in memory, empty. */
static void start(struct world *world, uint64_t revision)
{
	const struct registry_options options = {
		.revision = revision,
		.ttl_s = 5,
		.counters = &world->control,
		.collides = on_collides,
		.check_started = on_check_started,
		.check_stopped = on_check_stopped,
		.cookie = world,
	};

	world->n_checks = 0;
	world->registry = registry_new(&options);
	assert(world->registry);
	world->catalog = catalog_new();
	assert(world->catalog);
	world->compile = compile_new(world->registry, world->catalog, &world->control);
	assert(world->compile);
	answer_init(&world->answer, world->catalog, &world->reader, &world->identity);
}

static void stop(struct world *world)
{
	compile_free(world->compile);
	catalog_free(world->catalog);
	registry_free(world->registry);
}

void world_init(struct world *world, uint64_t seed)
{
	memset(world, 0, sizeof(*world));
	world->now_ms = START_MS;
	siphash_key_init(&world->identity.cookie_secret);
	start(world, START_REVISION);
	random_init_seed(&world->answer.random, seed);
}

static void world_zone_fini(struct world_zone *zone)
{
	free(zone->origin);
	free(zone->file);
	free(zone->tag);
	free(zone->meta_key);
	free(zone->meta_value);
	memset(zone, 0, sizeof(*zone));
}

void world_fini(struct world *world)
{
	stop(world);
	for (size_t i = 0; i < world->n_zones; i++)
		world_zone_fini(&world->zones[i]);
}

/* After every change: what the control thread does before it replies. */
static void settle(struct world *world)
{
	if (world->is_held)
		return;
	do {
		registry_expire(world->registry, world->now_ms);
		compile_run(world->compile, world->now_ms);
	} while (registry_next_deadline(world->registry) <= world->now_ms);
}

void world_release(struct world *world)
{
	world->is_held = false;
	settle(world);
}

/* ---- Zones ---- */

static char *copy(const char *text)
{
	char *copied = text ? strdup(text) : NULL;

	assert(!text || copied);
	return copied;
}

static int read_zone(const struct world_zone *zone, struct static_zone *content, char *message,
		     size_t message_size)
{
	uint8_t origin[NAME_MAX_LEN];
	const size_t len = name_parse(zone->origin, origin);
	struct address address = { 0 };
	const char *reason;

	assert(len > 0);
	if (zone->file) {
		if (zonefile_read(zone->file, origin, len, content, message, message_size) != 0)
			return -1;
	} else {
		const bool parsed = record_address_parse("127.0.0.1", &address, &reason);
		assert(parsed);
		const int made = zonefile_default(origin, len, &address, content);
		assert(made == 0);
	}
	content->filter.tag = copy(zone->tag);
	content->filter.meta_key = copy(zone->meta_key);
	content->filter.meta_value = copy(zone->meta_value);
	return 0;
}

/* Reads all zones of `zones` anew and serves them. */
static int serve(struct world *world, const struct world_zone *zones, size_t n, char *message,
		 size_t message_size)
{
	struct static_zone contents[WORLD_ZONES] = { 0 };
	size_t read = 0;
	int result = -1;

	for (; read < n; read++)
		if (read_zone(&zones[read], &contents[read], message, message_size) != 0)
			goto out;
	result = compile_set_zones(world->compile, contents, n, world->now_ms, message,
				   message_size);
out:
	if (result != 0)
		for (size_t i = 0; i < read; i++)
			static_zone_fini(&contents[i]);
	return result;
}

int world_add_zone(struct world *world, const struct world_zone *zone, char *message,
		   size_t message_size)
{
	struct world_zone zones[WORLD_ZONES];
	size_t at = 0;

	memcpy(zones, world->zones, sizeof(zones));
	while (at < world->n_zones && strcmp(zones[at].origin, zone->origin) != 0)
		at++;
	assert(at < WORLD_ZONES);
	zones[at] = *zone;
	const size_t n = at == world->n_zones ? at + 1 : world->n_zones;
	if (serve(world, zones, n, message, message_size) != 0)
		return -1;
	world_zone_fini(&world->zones[at]);
	world->zones[at] = (struct world_zone){
		.origin = copy(zone->origin),
		.file = copy(zone->file),
		.tag = copy(zone->tag),
		.meta_key = copy(zone->meta_key),
		.meta_value = copy(zone->meta_value),
	};
	world->n_zones = n;
	settle(world);
	return 0;
}

void world_drop_zone(struct world *world, const char *origin)
{
	char message[WORLD_MESSAGE_TEXT];
	size_t at = 0;

	while (at < world->n_zones && strcmp(world->zones[at].origin, origin) != 0)
		at++;
	assert(at < world->n_zones);
	world_zone_fini(&world->zones[at]);
	world->n_zones--;
	memmove(&world->zones[at], &world->zones[at + 1],
		(world->n_zones - at) * sizeof(world->zones[0]));
	memset(&world->zones[world->n_zones], 0, sizeof(world->zones[0]));
	const int served = serve(world, world->zones, world->n_zones, message, sizeof(message));
	assert(served == 0);
	settle(world);
}

/* ---- Writes ---- */

/* The HTTP status of an outcome; settles. */
static int finish(struct world *world, const struct outcome *outcome, char *message)
{
	snprintf(message, WORLD_MESSAGE_TEXT, "%s", outcome->message);
	settle(world);
	switch (outcome->result) {
	case REGISTRY_CREATED:
		return 201;
	case REGISTRY_UPDATED:
		return 200;
	case REGISTRY_NOT_FOUND:
		return 404;
	case REGISTRY_AMBIGUOUS:
		return 400;
	case REGISTRY_CONFLICT:
		return 409;
	case REGISTRY_FULL:
	case REGISTRY_NO_MEMORY:
		return 503;
	}
	abort();
}

static int refuse(const struct codec_error *error, char *message)
{
	snprintf(message, WORLD_MESSAGE_TEXT, "%s: %s", error->field, error->message);
	return 400;
}

int world_register(struct world *world, const char *json, char *message)
{
	struct codec_error error = { 0 };
	struct outcome outcome = { 0 };

	json_t *const body = codec_load(json, strlen(json), &error);
	if (!body)
		return refuse(&error, message);
	struct registration *const registration = codec_registration(body, &error);
	json_decref(body);
	if (!registration)
		return refuse(&error, message);
	const struct change change = {
		.kind = CHANGE_REGISTER,
		.registration = registration,
	};
	registry_apply(world->registry, &change, world->now_ms, &outcome);
	if (outcome.result != REGISTRY_CREATED && outcome.result != REGISTRY_UPDATED)
		record_registration_free(registration);
	return finish(world, &outcome, message);
}

int world_heartbeat(struct world *world, const char *json, char *message)
{
	struct codec_error error = { 0 };
	struct codec_heartbeat heartbeat;
	struct outcome outcome = { 0 };

	json_t *const body = codec_load(json, strlen(json), &error);
	if (!body)
		return refuse(&error, message);
	if (!codec_heartbeat(body, &heartbeat, &error)) {
		json_decref(body);
		return refuse(&error, message);
	}
	const struct change change = {
		.kind = CHANGE_HEARTBEAT,
		.heartbeat = {
			.service = heartbeat.service,
			.id = heartbeat.id,
			.status = heartbeat.has_status ? &heartbeat.status : NULL,
			.output = heartbeat.output,
		},
	};
	registry_apply(world->registry, &change, world->now_ms, &outcome);
	json_decref(body);
	return finish(world, &outcome, message);
}

int world_deregister(struct world *world, const char *service, const char *id, char *message)
{
	struct outcome outcome = { 0 };
	const struct change change = {
		.kind = CHANGE_DEREGISTER,
		.deregister = { .service = service, .id = id },
	};

	registry_apply(world->registry, &change, world->now_ms, &outcome);
	return finish(world, &outcome, message);
}

int world_policy(struct world *world, const char *service, const char *json, char *message)
{
	struct codec_error error = { 0 };
	struct codec_policy policy;
	struct outcome outcome = { 0 };

	json_t *const body = codec_load(json, strlen(json), &error);
	if (!body)
		return refuse(&error, message);
	const bool parsed = codec_policy(body, &policy, &error);
	json_decref(body);
	if (!parsed)
		return refuse(&error, message);
	const struct change change = {
		.kind = CHANGE_POLICY,
		.policy = {
			.service = service,
			.ttl_s = policy.has_ttl ? &policy.ttl_s : NULL,
			.answer_limit = policy.has_answer_limit ? &policy.answer_limit : NULL,
			.failure = policy.has_failure ? &policy.failure : NULL,
			.panic_ppm = policy.has_panic_threshold ? &policy.panic_ppm : NULL,
		},
	};
	registry_apply(world->registry, &change, world->now_ms, &outcome);
	return finish(world, &outcome, message);
}

int world_admin(struct world *world, const char *service, const char *id, const char *json,
		char *message)
{
	struct codec_error error = { 0 };
	struct outcome outcome = { 0 };
	struct change change = { .kind = CHANGE_ADMIN };

	json_t *const body = codec_load(json, strlen(json), &error);
	if (!body)
		return refuse(&error, message);
	const bool parsed = codec_admin(body, &change.admin.admin, &error);
	json_decref(body);
	if (!parsed)
		return refuse(&error, message);
	change.admin.service = service;
	change.admin.id = id;
	registry_apply(world->registry, &change, world->now_ms, &outcome);
	return finish(world, &outcome, message);
}

uint64_t world_safe_after_ms(const struct world *world, const char *service, const char *id)
{
	const struct service *const found = registry_find_service(world->registry, service);
	const struct instance *const instance =
		found ? registry_find_instance(world->registry, found, id) : NULL;

	assert(instance);
	return instance->safe_after_ms > world->now_ms ? instance->safe_after_ms - world->now_ms
						       : 0;
}

int world_probe(struct world *world, const char *service, const char *id, size_t index, bool passed,
		char *message)
{
	struct outcome outcome = { 0 };
	const struct service *const found = registry_find_service(world->registry, service);
	const struct instance *const instance =
		found ? registry_find_instance(world->registry, found, id) : NULL;

	if (!instance || index >= instance->registration->n_checks) {
		snprintf(message, WORLD_MESSAGE_TEXT, "no check %zu of %s/%s", index, service, id);
		return 404;
	}
	const struct change change = {
		.kind = CHANGE_CHECK_RESULT,
		.check_result = {
			.check_id = instance->checks[index]->check_id,
			.passed = passed,
			.start_ms = world->now_ms,
			.output = passed ? "200 OK" : "503 Service Unavailable",
		},
	};
	registry_apply(world->registry, &change, world->now_ms, &outcome);
	return finish(world, &outcome, message);
}

void world_advance(struct world *world, uint64_t ms)
{
	const uint64_t end_ms = world->now_ms + ms;

	for (;;) {
		const uint64_t deadline_ms = registry_next_deadline(world->registry);
		if (deadline_ms > end_ms)
			break;
		if (deadline_ms > world->now_ms)
			world->now_ms = deadline_ms;
		settle(world);
		/* A deadline that stays is a busy loop of the daemon. */
		assert(registry_next_deadline(world->registry) > world->now_ms);
	}
	world->now_ms = end_ms;
	settle(world);
}

/* ---- A restart ---- */

static void put_line(struct buf *lines, const struct codec_line *line)
{
	const enum stored_result printed = codec_line_print(line, lines);

	assert(printed == STORED_OK);
	buf_put(lines, "\n", 1);
}

static void keep_instance(const struct instance *instance, struct buf *lines)
{
	const struct stored_key key = { instance->registration->service,
					instance->registration->id };
	struct stored_state known;
	struct buf record, state;

	buf_init(&record);
	buf_init(&state);
	stored_put_registration(&record, instance->registration);
	stored_state_of(instance, &known);
	stored_put_state(&state, &key, &known);
	const struct codec_line line = {
		.kind = STORED_REGISTRATION,
		.key = key,
		.record = record.data,
		.len = record.len,
		.state = state.data,
		.state_len = state.len,
	};
	put_line(lines, &line);
	buf_fini(&record);
	buf_fini(&state);
}

static void keep_policy(const struct service *service, struct buf *lines)
{
	const uint32_t values[STORED_FIELDS] = {
		[STORED_TTL] = service->ttl_s,
		[STORED_ANSWER_LIMIT] = service->answer_limit,
		[STORED_FAILURE] = service->failure,
		[STORED_PANIC] = service->panic_ppm,
	};

	for (unsigned field = 0; field < STORED_FIELDS; field++) {
		const struct stored_key key = { service->name, stored_field_name(field) };
		struct buf record;

		if (!values[field])
			continue;
		buf_init(&record);
		stored_put_policy(&record, &key, values[field]);
		const struct codec_line line = {
			.kind = STORED_POLICY,
			.key = key,
			.record = record.data,
			.len = record.len,
		};
		put_line(lines, &line);
		buf_fini(&record);
	}
}

/* What a store would have, as lines: first the instances. */
static void keep(const struct world *world, struct buf *lines)
{
	const struct service *service;

	for (size_t position = 0; (service = registry_next_service(world->registry, &position));)
		for (size_t i = 0; i < service->n_instances; i++)
			keep_instance(service->instances[i], lines);
	for (size_t position = 0; (service = registry_next_service(world->registry, &position));)
		keep_policy(service, lines);
}

static void restore_instance(struct world *world, const struct codec_line_parsed *line)
{
	struct outcome outcome = { 0 };
	struct change change = { .kind = CHANGE_RESTORE };
	struct stored_state state;
	enum stored_result got;

	got = stored_get_registration(&line->key, line->record.data, line->record.len,
				      &change.restore.registration);
	assert(got == STORED_OK);
	got = stored_get_state(&line->key, line->state.data, line->state.len, &state);
	assert(got == STORED_OK);
	stored_match_state(&state, line->record.data);
	change.restore.state = &state;
	registry_apply(world->registry, &change, world->now_ms, &outcome);
	assert(outcome.result == REGISTRY_CREATED);
}

static void restore_policy(struct world *world, const struct codec_line_parsed *line)
{
	struct outcome outcome = { 0 };
	struct change change = { .kind = CHANGE_RESTORE_POLICY };
	struct stored_policy policy = { .change = { .service = line->key.service } };
	enum stored_field field;
	uint32_t value;

	const enum stored_result got =
		stored_get_policy(&line->key, line->record.data, line->record.len, &value);
	assert(got == STORED_OK);
	const bool parsed = stored_field_parse(line->key.id, &field);
	assert(parsed);
	stored_policy_set(&policy, field, value);
	change.policy = policy.change;
	registry_apply(world->registry, &change, world->now_ms, &outcome);
	assert(outcome.result == REGISTRY_UPDATED);
}

static void restore_line(struct world *world, const char *text, size_t len)
{
	struct codec_line_parsed line;
	struct codec_error error;

	const bool parsed = codec_line_parse(text, len, &line, &error);
	assert(parsed);
	if (line.kind == STORED_POLICY)
		restore_policy(world, &line);
	else
		restore_instance(world, &line);
	codec_line_fini(&line);
}

void world_restart(struct world *world)
{
	const struct random random = world->answer.random;
	const uint64_t revision = registry_revision(world->registry);
	char message[WORLD_MESSAGE_TEXT];
	struct buf lines;
	size_t len;

	buf_init(&lines);
	keep(world, &lines);
	assert(!lines.failed);
	stop(world);
	start(world, revision);
	world->answer.random = random;
	for (const char *line = lines.data; line && *line; line += len + 1) {
		len = strcspn(line, "\n");
		restore_line(world, line, len);
	}
	buf_fini(&lines);
	assert(registry_revision(world->registry) == revision);
	const int served = serve(world, world->zones, world->n_zones, message, sizeof(message));
	assert(served == 0);
	settle(world);
}

/* ---- Questions ---- */

/* The name in full: "payment" -> "payment.service.local.". */
static ldns_rdf *absolute(const struct world *world, const char *name)
{
	char text[NAME_TEXT_MAX];
	const size_t len = strlen(name);
	const char *const origin = world->n_zones > 0 ? world->zones[0].origin : "";

	if (len > 0 && name[len - 1] == '.')
		snprintf(text, sizeof(text), "%s", name);
	else if (strcmp(name, "@") == 0)
		snprintf(text, sizeof(text), "%s.", origin);
	else
		snprintf(text, sizeof(text), "%s.%s.", name, origin);
	ldns_rdf *const dname = ldns_dname_new_frm_str(text);
	assert(dname);
	return dname;
}

static size_t encode(const struct world *world, const struct world_question *question,
		     uint8_t *message)
{
	uint8_t *wire;
	size_t len;
	ldns_pkt *const packet =
		ldns_pkt_query_new(absolute(world, question->name), question->type,
				   question->class ? question->class : LDNS_RR_CLASS_IN, LDNS_RD);

	assert(packet);
	ldns_pkt_set_id(packet, QUERY_ID);
	if (question->edns)
		ldns_pkt_set_edns_udp_size(packet, question->edns);
	const ldns_status status = ldns_pkt2wire(&wire, packet, &len);
	assert(status == LDNS_STATUS_OK && len <= ANSWER_ROOM_UDP);
	memcpy(message, wire, len);
	free(wire);
	ldns_pkt_free(packet);
	return len;
}

static size_t reply_limit(const struct world_question *question)
{
	if (question->transport != ANSWER_UDP)
		return LIMIT_TCP_MESSAGE;
	if (question->edns <= LIMIT_UDP_PLAIN)
		return LIMIT_UDP_PLAIN;
	return question->edns < LIMIT_UDP_EDNS ? question->edns : LIMIT_UDP_EDNS;
}

size_t world_answer(struct world *world, enum answer_transport transport, uint8_t *message,
		    size_t len)
{
	static const uint8_t address[] = { 192, 0, 2, 1 };
	const struct answer_peer peer = {
		.transport = transport,
		.address = address,
		.address_len = sizeof(address),
		.keepalive_ds = LIMIT_TCP_IDLE_MS / 100,
	};
	const struct answer_time time = { .now_ms = world->now_ms, .wall_s = WORLD_WALL_S };

	catalog_reader_online();
	len = answer(&world->answer, &peer, &time, message, len);
	catalog_reader_offline();
	return len;
}

ldns_pkt *world_ask(struct world *world, const struct world_question *question, uint8_t *message,
		    size_t *len)
{
	uint8_t asked[ANSWER_ROOM_UDP];
	ldns_pkt *reply = NULL;

	const size_t query_len = encode(world, question, message);
	memcpy(asked, message, query_len);
	const size_t question_len = query_len - (question->edns ? 11 : 0);

	*len = world_answer(world, question->transport, message, query_len);

	assert(*len >= question_len && *len <= reply_limit(question));
	assert(memcmp(message, asked, 2) == 0);
	assert(memcmp(message + 12, asked + 12, question_len - 12) == 0);
	const ldns_status status = ldns_wire2pkt(&reply, message, *len);
	assert(status == LDNS_STATUS_OK);
	assert(ldns_pkt_qr(reply) && ldns_pkt_edns(reply) == (question->edns > 0));
	return reply;
}

void world_shorten(const struct world *world, char *text)
{
	const char *const origin = world->n_zones > 0 ? world->zones[0].origin : "";
	const size_t len = strlen(origin);
	char *to = text;

	for (const char *from = text; *from;) {
		const bool at_start = from == text || from[-1] == ' ';
		const bool at_dot = *from == '.' && from > text && from[-1] != ' ';
		const char *const name = from + (at_dot ? 1 : 0);
		if (len > 0 && (at_start || at_dot) && strncasecmp(name, origin, len) == 0 &&
		    name[len] == '.' && (name[len + 1] == '\0' || name[len + 1] == ' ')) {
			if (at_start)
				*to++ = '@';
			from = name + len + 1;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
}

char *world_record_text(const struct world *world, const ldns_rr *rr)
{
	char *text = NULL, *grown;
	char *const owner = ldns_rdf2str(ldns_rr_owner(rr));
	char *const type = ldns_rr_type2str(ldns_rr_get_type(rr));

	assert(owner && type);
	int printed = asprintf(&text, "%s %s", owner, type);
	assert(printed > 0);
	free(owner);
	free(type);
	for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
		char *const rdata = ldns_rdf2str(ldns_rr_rdf(rr, i));
		assert(rdata);
		printed = asprintf(&grown, "%s %s", text, rdata);
		assert(printed > 0);
		free(rdata);
		free(text);
		text = grown;
	}
	world_shorten(world, text);
	return text;
}
