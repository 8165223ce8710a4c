/* SPDX-License-Identifier: BSD-2-Clause */
#include "play.h"

#include "reference.h"

#include "../lib/world.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ORIGIN       "service.local"
#define OTHER_ORIGIN "other.test"

enum {
	JSON_TEXT = 1000,
	NAME_TEXT = 300,
	OTHER_MEMBERS =
		4, /* ids of the reference's instances that are asked for beside fixed ones */
};

struct play {
	const char *title;
	const uint8_t *at, *end; /* octets to come */
	struct world world;
	struct reference reference;
	FILE *file; /* of the second zone, if it has one */
	char path[40];
	unsigned concerned; /* services to look at: bit by number */
	size_t n_steps, n_asked;
	size_t n_names; /* in the comparison at hand */
	FILE *log;      /* every operation so far, a line each */
	char *log_text;
	size_t log_len;
	struct reference_answer expected;
	uint8_t message[WORLD_MESSAGE + WIRE_SLACK];
};

static const char *const ids[] = { "one", "two", "blue", "http" };
static const char *const types[] = { "A", "AAAA", "SRV", "TXT", "MX" };

/* ---- Octets ---- */

static unsigned take(struct play *play)
{
	return play->at < play->end ? *play->at++ : 0;
}

#define PICK(play, array) ((array)[take(play) % (sizeof(array) / sizeof((array)[0]))])

static unsigned take_service(struct play *play)
{
	static const unsigned services[] = { 0, 0, 0, 1, 1, 2 };
	const unsigned service = PICK(play, services);

	play->concerned |= 1u << service;
	return service;
}

/* Of an instance that exists, mostly. */
static const char *take_id(struct play *play, unsigned service)
{
	const unsigned number = take(play);

	for (unsigned i = 0; number % 8 && i < REFERENCE_INSTANCES; i++) {
		const struct reference_instance *const instance =
			&play->reference.instances[(number + i) % REFERENCE_INSTANCES];
		if (instance->exists && instance->registration.service == service)
			return instance->registration.id;
	}
	return ids[number / 8 % (sizeof(ids) / sizeof(ids[0]))];
}

/* ---- The log ---- */

static void note(struct play *play, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note(struct play *play, const char *format, ...)
{
	va_list args;

	fprintf(play->log, "%4zu  ", play->n_steps);
	va_start(args, format);
	vfprintf(play->log, format, args);
	va_end(args);
	fputc('\n', play->log);
}

static void fail(struct play *play, const char *what) __attribute__((noreturn));

static void fail(struct play *play, const char *what)
{
	fclose(play->log);
	printf("%s, step %zu: %s\n%s", play->title, play->n_steps, what, play->log_text);
	fflush(stdout);
	abort();
}

static void expect_status(struct play *play, int status, int expected, const char *message)
{
	char text[WORLD_MESSAGE_TEXT + 100];

	if (status == expected)
		return;
	snprintf(text, sizeof(text), "status %d (%s) instead of %d", status, message, expected);
	fail(play, text);
}

/* ---- Answers ---- */

/* "A 10.0.0.1"; with its owner in front if that is asked for. */
static void print_record(const ldns_rr *rr, bool with_owner, char *text, size_t size)
{
	char *const owner = ldns_rdf2str(ldns_rr_owner(rr));
	char *const type = ldns_rr_type2str(ldns_rr_get_type(rr));
	size_t len = (size_t)snprintf(text, size, "%s%s%s", with_owner ? owner : "",
				      with_owner ? " " : "", type);

	for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
		char *const rdata = ldns_rdf2str(ldns_rr_rdf(rr, i));
		assert(len < size);
		len += (size_t)snprintf(text + len, size - len, " %s", rdata);
		free(rdata);
	}
	assert(len < size);
	free(owner);
	free(type);
}

/* The Extended DNS Error of a reply (RFC 8914), its only option; -1: none. */
static int read_ede(const ldns_pkt *reply)
{
	const ldns_rdf *const options = ldns_pkt_edns_data(reply);

	if (!options)
		return -1;
	assert(ldns_rdf_size(options) >= 6 && ldns_read_uint16(ldns_rdf_data(options)) == 15);
	return ldns_read_uint16(ldns_rdf_data(options) + 4);
}

static void fail_answer(struct play *play, const char *what, const char *name, const char *type,
			const ldns_pkt *reply)
{
	const struct reference_answer *const expected = &play->expected;
	const ldns_rr_list *const lists[] = { ldns_pkt_answer(reply), ldns_pkt_authority(reply),
					      ldns_pkt_additional(reply) };

	note(play, "QUERY %s %s", name, type);
	fprintf(play->log, "expected: %s, %zu of these records, TTL %u to %u, error %d\n",
		expected->exists ? "NOERROR" : "NXDOMAIN", expected->n_given, expected->ttl_min_s,
		expected->ttl_max_s, expected->ede);
	for (size_t i = 0; i < expected->n; i++)
		fprintf(play->log, "    %s\n", expected->records[i]);
	for (size_t i = 0; i < expected->n_beside; i++)
		fprintf(play->log, "    beside: %s\n", expected->beside[i]);
	fprintf(play->log, "got: rcode %d%s, error %d\n", ldns_pkt_get_rcode(reply),
		ldns_pkt_tc(reply) ? ", TC" : "", read_ede(reply));
	for (size_t i = 0; i < 3; i++)
		for (size_t k = 0; k < ldns_rr_list_rr_count(lists[i]); k++)
			ldns_rr_print(play->log, ldns_rr_list_rr(lists[i], k));
	fail(play, what);
}

/* Whether the records are different ones of those expected. */
static bool are_some_of(const ldns_rr_list *list, bool with_owner, char (*expected)[REFERENCE_TEXT],
			size_t n_expected)
{
	bool is_seen[REFERENCE_RECORDS] = { false };
	char text[REFERENCE_TEXT * 2];

	for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
		size_t at = 0;
		print_record(ldns_rr_list_rr(list, i), with_owner, text, sizeof(text));
		while (at < n_expected && (is_seen[at] || strcmp(expected[at], text) != 0))
			at++;
		if (at == n_expected)
			return false;
		is_seen[at] = true;
	}
	return true;
}

/* All that should be there, or as much as fits: whole records, the additional ones go first. */
static bool is_complete(const ldns_pkt *reply, const struct world_question *question,
			const struct reference_answer *expected)
{
	const size_t n = ldns_pkt_ancount(reply);
	const size_t n_beside = ldns_rr_list_rr_count(ldns_pkt_additional(reply));

	if (question->transport == ANSWER_TCP)
		return !ldns_pkt_tc(reply) && n == expected->n_given &&
		       n_beside == expected->n_beside;
	if (ldns_pkt_tc(reply))
		return n > 0 && n < expected->n_given && n_beside == 0;
	return n == expected->n_given;
}

static bool are_ttls_right(const ldns_rr_list *list, const struct reference_answer *expected)
{
	for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
		const uint32_t ttl_s = ldns_rr_ttl(ldns_rr_list_rr(list, i));
		if (ttl_s < expected->ttl_min_s || ttl_s > expected->ttl_max_s)
			return false;
	}
	return true;
}

static bool is_soa(const ldns_rr_list *list)
{
	return ldns_rr_list_rr_count(list) == 1 &&
	       ldns_rr_get_type(ldns_rr_list_rr(list, 0)) == LDNS_RR_TYPE_SOA;
}

static void compare(struct play *play, const struct world_question *question, const char *type,
		    const ldns_pkt *reply)
{
	struct reference_answer *const expected = &play->expected;
	const ldns_rr_list *const answer = ldns_pkt_answer(reply);
	const ldns_rr_list *const additional = ldns_pkt_additional(reply);
	const char *wrong = NULL;

	if (ldns_pkt_get_rcode(reply) !=
	    (expected->exists ? LDNS_RCODE_NOERROR : LDNS_RCODE_NXDOMAIN))
		wrong = "the rcode is wrong";
	else if (!are_some_of(answer, false, expected->records, expected->n))
		wrong = "the answer is wrong";
	else if (!are_some_of(additional, true, expected->beside, expected->n_beside))
		wrong = "the additional section is wrong";
	else if (!is_complete(reply, question, expected))
		wrong = "the reply is not complete";
	else if (!expected->n_given && !is_soa(ldns_pkt_authority(reply)))
		wrong = "there is no SOA";
	else if (!are_ttls_right(answer, expected) || !are_ttls_right(additional, expected))
		wrong = "a TTL is wrong";
	else if (question->edns && read_ede(reply) != expected->ede)
		wrong = "the extended error is wrong";
	if (wrong)
		fail_answer(play, wrong, question->name, type, reply);
}

/* Asks both for a name, without its zone. A label of 64 octets is no name. */
static void ask(struct play *play, const struct reference_zone *zone, const char *type,
		const char *format, ...) __attribute__((format(printf, 4, 5)));

static void ask(struct play *play, const struct reference_zone *zone, const char *type,
		const char *format, ...)
{
	char name[NAME_TEXT], whole[2 * NAME_TEXT];
	va_list args;
	size_t len;

	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	for (const char *label = name; *label; label += strcspn(label, "."), label += *label == '.')
		if (strcspn(label, ".") > LIMIT_LABEL)
			return;
	snprintf(whole, sizeof(whole), "%s.%s.", name, zone->origin);
	const size_t way = (play->n_asked + play->n_steps) % 3;
	const struct world_question question = {
		.name = whole,
		.type = ldns_get_rr_type_by_name(type),
		.transport = way == 0 ? ANSWER_TCP : ANSWER_UDP,
		.edns = way == 1 ? 0 : LIMIT_UDP_EDNS,
	};
	reference_ask(&play->reference, zone, name, type, &play->expected);
	ldns_pkt *const reply = world_ask(&play->world, &question, play->message, &len);
	compare(play, &question, type, reply);
	ldns_pkt_free(reply);
	play->n_asked++;
}

/* All types at the end; before that another one each time, for speed. */
static void ask_types(struct play *play, const struct reference_zone *zone, const char *label,
		      const char *parent)
{
	const size_t n = sizeof(types) / sizeof(types[0]), from = play->n_steps + play->n_names++;

	for (size_t i = from; i < from + (play->at < play->end ? 1 : n); i++)
		ask(play, zone, types[i % n], "%s%s%s", label, *label ? "." : "", parent);
}

/* A tag as a label: in lower case. NULL: it is none. */
static const char *tag_label(unsigned tag)
{
	static char label[LIMIT_LABEL + 1];

	if (strchr(reference_tags[tag], ' '))
		return NULL;
	for (size_t i = 0; i <= strlen(reference_tags[tag]); i++) {
		const char octet = reference_tags[tag][i];
		label[i] = octet >= 'A' && octet <= 'Z' ? (char)(octet - 'A' + 'a') : octet;
	}
	return label;
}

static void compare_service(struct play *play, const struct reference_zone *zone, unsigned service)
{
	static const char *const protocols[] = { "_tcp", "_udp" };
	const char *const name = reference_services[service];

	ask_types(play, zone, "", name);
	for (unsigned i = 0; i < REFERENCE_TAGS; i++) {
		const char *const tag = tag_label(i);
		if (!tag)
			continue;
		ask_types(play, zone, tag, name);
		ask(play, zone, "SRV", "_%s._%s", name, tag);
		ask(play, zone, "A", "_%s._%s", name, tag);
	}
	for (unsigned i = 0; i < 2; i++) {
		ask(play, zone, "A", "%s.%s", protocols[i], name);
		ask(play, zone, "SRV", "_%s.%s", name, protocols[i]);
		ask(play, zone, "TXT", "_%s.%s", name, protocols[i]);
		for (unsigned k = 0; k < REFERENCE_PORTS; k++) {
			ask(play, zone, "SRV", "_%s.%s.%s", reference_ports[k], protocols[i], name);
			ask(play, zone, "AAAA", "_%s.%s.%s", reference_ports[k], protocols[i],
			    name);
		}
	}
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		ask_types(play, zone, ids[i], name);
	ask(play, zone, "A", "unknown.%s", name);
	ask(play, zone, "A", "unknown.one.%s", name);
}

/* Names of instances that chose none, and names that services have in common. */
static void compare_rest(struct play *play, const struct reference_zone *zone)
{
	for (unsigned i = 0; i < REFERENCE_INSTANCES; i++) {
		const struct reference_instance *const instance = &play->reference.instances[i];
		if (instance->exists)
			ask_types(play, zone, instance->registration.id,
				  reference_services[instance->registration.service]);
	}
	for (unsigned i = 0; i < REFERENCE_TAGS; i++)
		if (tag_label(i))
			ask(play, zone, "SRV", "_%s", tag_label(i));
	ask(play, zone, "A", "_tcp");
	ask(play, zone, "A", "_udp");
	ask(play, zone, "A", "unknown");
}

/* What /metrics says of who is served. */
static void compare_counts(struct play *play)
{
	struct reference_counts counts;
	char text[100];

	reference_count(&play->reference, &counts);
	for (enum policy_mode mode = POLICY_FIT; mode <= POLICY_LAST; mode++) {
		const size_t services = registry_count_mode(play->world.registry, mode);
		const size_t acting = registry_count_acting(play->world.registry, mode);

		if (services == counts.services[mode] &&
		    acting == (policy_is_acting(mode) ? counts.groups[mode] : 0))
			continue;
		snprintf(text, sizeof(text), "%s: %zu services, %zu groups instead of %zu, %zu",
			 policy_mode_name(mode), services, acting, counts.services[mode],
			 counts.groups[mode]);
		fail(play, text);
	}
}

static void compare_all(struct play *play)
{
	compare_counts(play);
	play->n_names = 0;
	for (unsigned z = 0; z < REFERENCE_ZONES; z++) {
		const struct reference_zone *const zone = &play->reference.zones[z];
		for (unsigned i = 0; zone->origin && i < REFERENCE_SERVICES; i++)
			if (play->concerned >> i & 1)
				compare_service(play, zone, i);
		if (zone->origin)
			compare_rest(play, zone);
	}
	play->concerned = 0;
}

/* ---- Registrations ---- */

static void put(char *json, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(char *json, const char *format, ...)
{
	const size_t len = strlen(json);
	va_list args;

	va_start(args, format);
	const int printed = vsnprintf(json + len, JSON_TEXT - len, format, args);
	va_end(args);
	assert(printed >= 0 && len + (size_t)printed < JSON_TEXT);
}

static void put_check(char *json, const struct reference_check *check)
{
	static const char *const kinds[] = {
		[CHECK_HTTP] = "http",
		[CHECK_TCP] = "tcp",
		[CHECK_TTL] = "ttl",
	};
	static const char *const statuses[] = { "passing", "warning", "critical" };

	put(json, "{\"kind\":\"%s\",\"initial\":\"%s\",", kinds[check->kind],
	    statuses[check->initial]);
	if (check->kind == CHECK_TTL)
		put(json, "\"ttl\":\"%ums\"}", check->ttl_ms);
	else
		put(json, "\"rise\":%u,\"fall\":%u}", check->rise, check->fall);
}

static void put_lists(char *json, const struct reference_registration *registration)
{
	unsigned port = registration->named_port;

	put(json, ",\"tags\":[");
	for (unsigned i = 0; i < REFERENCE_TAGS; i++)
		if (registration->tags >> i & 1)
			put(json, "%s\"%s\"", json[strlen(json) - 1] == '[' ? "" : ",",
			    reference_tags[i]);
	put(json, "],\"ports\":{");
	for (unsigned i = 0; i < REFERENCE_PORTS; i++)
		if (registration->ports >> i & 1)
			put(json, "%s\"%s\":%u", json[strlen(json) - 1] == '{' ? "" : ",",
			    reference_ports[i], port++);
	put(json, "},\"checks\":[");
	for (unsigned i = 0; i < registration->n_checks; i++) {
		put(json, "%s", i ? "," : "");
		put_check(json, &reference_checks[registration->checks[i]]);
	}
	put(json, "]}");
}

static void print_registration(char *json, const struct reference_registration *registration,
			       bool with_id)
{
	json[0] = '\0';
	put(json, "{\"name\":\"%s\",\"port\":%u,\"priority\":%u,\"weight\":%u,\"protocol\":\"%s\"",
	    reference_services[registration->service], registration->port, registration->priority,
	    registration->weight, registration->is_udp ? "udp" : "tcp");
	if (with_id)
		put(json, ",\"id\":\"%s\"", registration->id);
	if (registration->v4)
		put(json, ",\"ipv4\":\"10.0.0.%u\"", registration->v4);
	if (registration->v6)
		put(json, ",\"ipv6\":\"2001:db8::%u\"", registration->v6);
	if (registration->version)
		put(json, ",\"version\":\"%u\"", registration->version);
	if (registration->lease_ms)
		put(json, ",\"lease\":\"%ums\"", registration->lease_ms);
	if (registration->ttl_s)
		put(json, ",\"ttl\":%u", registration->ttl_s);
	put_lists(json, registration);
}

/* The number of the field says which: 0 and beyond 11 is none. */
static void take_field(struct play *play, struct reference_registration *registration,
		       unsigned field)
{
	static const unsigned ports[] = { 80, 81 }, priorities[] = { 10, 10, 5, 20 };
	static const unsigned weights[] = { 100, 100, 0, 1, 65535 };
	static const unsigned leases[] = { 0, 0, 0, 1000, 5000, 30000 };
	static const unsigned ttls[] = { 0, 0, 0, 1, 7, 60 };
	const unsigned value = take(play);

	if (field == 1) {
		registration->v4 = value % 4;
		registration->v6 = registration->v4 ? value / 4 % 3 : 1 + value / 4 % 2;
	} else if (field == 2) {
		registration->port = ports[value % 2];
	} else if (field == 3) {
		registration->priority = priorities[value % 4];
	} else if (field == 4) {
		registration->weight = weights[value % 5];
	} else if (field == 5) {
		registration->is_udp = value % 3 == 1;
	} else if (field == 6) {
		registration->tags = value % (1u << REFERENCE_TAGS);
	} else if (field == 7) {
		registration->ports = value % (1u << REFERENCE_PORTS);
		registration->named_port = registration->ports ? 8000 + value / 64 : 0;
	} else if (field == 8) {
		registration->version = value % 3;
	} else if (field == 9) {
		registration->lease_ms = leases[value % 6];
	} else if (field == 10) {
		registration->ttl_s = ttls[value % 6];
	} else if (field == 11) {
		registration->n_checks = value % 7 > 2 ? value % 7 % 3 + 1 : 0;
		memset(registration->checks, 0, sizeof(registration->checks));
		for (unsigned i = 0; i < registration->n_checks; i++)
			registration->checks[i] = take(play) % REFERENCE_CHECKS;
	}
}

static void do_register(struct play *play, const struct reference_registration *registration,
			bool with_id)
{
	char json[JSON_TEXT], message[WORLD_MESSAGE_TEXT];

	print_registration(json, registration, with_id);
	note(play, "REGISTER %s", json);
	const int status = world_register(&play->world, json, message);
	expect_status(play, status, reference_register(&play->reference, registration), message);
}

static void play_register(struct play *play)
{
	struct reference_registration registration;

	memset(&registration, 0, sizeof(registration));
	registration.service = take_service(play);
	const unsigned id = take(play) % 6;
	for (unsigned field = 1; field <= 11; field++)
		take_field(play, &registration, field);
	const bool with_id = id < sizeof(ids) / sizeof(ids[0]) || !registration.v4;
	if (with_id)
		snprintf(registration.id, sizeof(registration.id), "%s", ids[id % 4]);
	else
		snprintf(registration.id, sizeof(registration.id), "10-0-0-%u-%u", registration.v4,
			 registration.port);
	do_register(play, &registration, with_id);
}

/* The same again, or with another value of one field. */
static void play_register_again(struct play *play)
{
	const unsigned service = take_service(play);
	const char *const id = take_id(play, service);
	struct reference_registration registration;

	for (unsigned i = 0; i < REFERENCE_INSTANCES; i++) {
		const struct reference_instance *const instance = &play->reference.instances[i];
		if (!instance->exists || instance->registration.service != service ||
		    strcmp(instance->registration.id, id) != 0)
			continue;
		memcpy(&registration, &instance->registration, sizeof(registration));
		take_field(play, &registration, take(play) % 16);
		do_register(play, &registration, true);
		return;
	}
}

/* ---- Other operations ---- */

static void play_heartbeat(struct play *play)
{
	static const char *const statuses[] = { "passing", "warning", "critical" };
	const unsigned service = take_service(play);
	const char *const id = take_id(play, service);
	const unsigned choice = take(play);
	const enum status status = (enum status)(choice % 4);
	const bool with_id = choice % 16 < 14, with_status = choice % 4 < 3;
	char json[JSON_TEXT] = "", message[WORLD_MESSAGE_TEXT];

	put(json, "{\"service\":\"%s\"", reference_services[service]);
	if (with_id)
		put(json, ",\"id\":\"%s\"", id);
	if (with_status)
		put(json, ",\"status\":\"%s\"", statuses[status]);
	put(json, "}");
	note(play, "HEARTBEAT %s", json);
	const int result = world_heartbeat(&play->world, json, message);
	expect_status(play, result,
		      reference_heartbeat(&play->reference, service, with_id ? id : NULL,
					  with_status ? &status : NULL),
		      message);
}

static void play_deregister(struct play *play)
{
	const unsigned service = take_service(play);
	char id[LIMIT_LABEL + 1], message[WORLD_MESSAGE_TEXT];

	snprintf(id, sizeof(id), "%s", take_id(play, service));
	note(play, "DEREGISTER %s %s", reference_services[service], id);
	const int status = world_deregister(&play->world, reference_services[service], id, message);
	expect_status(play, status, reference_deregister(&play->reference, service, id), message);
}

static void play_admin(struct play *play)
{
	static const char *const states[] = { "auto", "up", "down", "drain" };
	const unsigned service = take_service(play);
	const char *const id = take_id(play, service);
	const enum admin admin = (enum admin)(take(play) % 4);
	char json[JSON_TEXT] = "", message[WORLD_MESSAGE_TEXT];

	put(json, "{\"state\":\"%s\"}", states[admin]);
	note(play, "ADMIN %s %s %s", reference_services[service], id, json);
	const int status =
		world_admin(&play->world, reference_services[service], id, json, message);
	expect_status(play, status, reference_admin(&play->reference, service, id, admin), message);
}

static void play_policy(struct play *play)
{
	static const char *const failures[] = { "empty", "all", "last" };
	static const unsigned percents[] = { 0, 34, 50, 100 }, ttls[] = { 1, 5, 60 };
	const unsigned service = take_service(play), field = take(play) % 4;
	struct reference_policy policy = play->reference.policies[service];
	char json[JSON_TEXT] = "", message[WORLD_MESSAGE_TEXT];

	if (field == 0) {
		policy.failure = (enum failure)(take(play) % 3);
		put(json, "{\"failure\":\"%s\"}", failures[policy.failure]);
	} else if (field == 1) {
		policy.panic_percent = PICK(play, percents);
		put(json, "{\"panic_threshold\":%.2f}", policy.panic_percent / 100.0);
	} else if (field == 2) {
		policy.answer_limit = take(play) % 4;
		put(json, "{\"answer_limit\":%u}", policy.answer_limit);
	} else {
		policy.ttl_s = PICK(play, ttls);
		put(json, "{\"ttl\":%u}", policy.ttl_s);
	}
	note(play, "POLICY %s %s", reference_services[service], json);
	const int status = world_policy(&play->world, reference_services[service], json, message);
	expect_status(play, status, reference_set_policy(&play->reference, service, &policy),
		      message);
}

/* Some results in a row, as they come from one check. */
static void play_probe(struct play *play)
{
	const unsigned service = take_service(play);
	const char *const id = take_id(play, service);
	const unsigned check = take(play) % REFERENCE_CHECKS_MAX, results = take(play);
	char message[WORLD_MESSAGE_TEXT];

	for (unsigned i = 0; i <= results >> 5; i++) {
		const bool passed = results >> i & 1;
		note(play, "PROBE %s %s %u %s", reference_services[service], id, check,
		     passed ? "PASS" : "FAIL");
		const int status = world_probe(&play->world, reference_services[service], id, check,
					       passed, message);
		expect_status(play, status,
			      reference_probe(&play->reference, service, id, check, passed),
			      message);
	}
}

static void play_advance(struct play *play)
{
	static const unsigned spans_ms[] = { 1, 99, 100, 250, 500, 999, 1000, 1001, 2000, 4999,
					     1, 99, 100, 250, 500, 999, 1000, 1001, 2000, 20000 };
	const unsigned ms = PICK(play, spans_ms);

	world_release(&play->world);
	note(play, "ADVANCE %ums", ms);
	world_advance(&play->world, ms);
	reference_advance(&play->reference, ms);
	play->concerned = ~0u;
}

/* A second zone comes, goes, filters otherwise, or has other names in its file. */
static void play_zone(struct play *play)
{
	static char blue[] = "blue", red[] = "red", origin[] = OTHER_ORIGIN;
	static char *const tags[] = { NULL, blue, red, NULL, blue };
	struct reference_zone *const other = &play->reference.zones[1];
	const unsigned choice = take(play) % 6;
	char message[WORLD_MESSAGE_TEXT];

	world_release(&play->world);
	play->concerned = ~0u;
	if (choice == 5) {
		note(play, "DROP-ZONE " OTHER_ORIGIN);
		if (other->origin)
			world_drop_zone(&play->world, OTHER_ORIGIN);
		memset(other, 0, sizeof(*other));
		return;
	}
	*other = (struct reference_zone){
		.origin = origin,
		.tag = tags[choice],
		.has_statics = choice > 2,
	};
	note(play, "ZONE " OTHER_ORIGIN " tag %s%s", other->tag ? other->tag : "(none)",
	     other->has_statics ? " with a file" : "");
	const struct world_zone zone = {
		.origin = origin,
		.tag = tags[choice],
		.file = other->has_statics ? play->path : NULL,
	};
	const int added = world_add_zone(&play->world, &zone, message, sizeof(message));
	assert(added == 0);
}

/* A zone file that goes with this process. */
static void make_file(struct play *play)
{
	play->file = tmpfile();
	assert(play->file);
	fprintf(play->file, "@ 60 IN SOA ns.example. mail.example. 1 2 3 4 5\n");
	fprintf(play->file, "@ 60 IN NS ns.example.\n");
	for (unsigned i = 0; i < REFERENCE_STATICS; i++)
		fprintf(play->file, "%s %u IN %s\n", reference_statics[i], REFERENCE_STATIC_TTL_S,
			reference_static_record);
	fflush(play->file);
	snprintf(play->path, sizeof(play->path), "/proc/self/fd/%d", fileno(play->file));
}

/* From here on changes are published together, by the next such operation or by time. */
static void play_hold(struct play *play)
{
	note(play, play->world.is_held ? "RELEASE" : "HOLD");
	if (play->world.is_held)
		world_release(&play->world);
	else
		play->world.is_held = true;
}

/* ---- Playing ---- */

static void step(struct play *play)
{
	static void (*const operations[])(struct play *) = {
		play_register,  play_register,  play_register, play_register_again,
		play_heartbeat, play_heartbeat, play_admin,    play_deregister,
		play_policy,    play_probe,     play_probe,    play_probe,
		play_advance,   play_advance,   play_hold,     play_zone,
	};

	play->n_steps++;
	PICK(play, operations)(play);
	if (!play->world.is_held)
		compare_all(play);
}

size_t play(const char *title, const uint8_t *data, size_t size)
{
	static char origin[] = ORIGIN;
	const struct world_zone zone = { .origin = origin };
	struct play *const play = calloc(1, sizeof(*play));
	char message[WORLD_MESSAGE_TEXT];

	assert(play);
	play->title = title;
	play->at = data;
	play->end = data + size;
	play->log = open_memstream(&play->log_text, &play->log_len);
	assert(play->log);
	world_init(&play->world, size);
	const int added = world_add_zone(&play->world, &zone, message, sizeof(message));
	assert(added == 0);
	reference_init(&play->reference, play->world.now_ms);
	play->reference.zones[0].origin = ORIGIN;
	make_file(play);
	while (play->at < play->end)
		step(play);
	world_release(&play->world);
	play->concerned = ~0u;
	compare_all(play);
	const size_t n_asked = play->n_asked;
	world_fini(&play->world);
	fclose(play->file);
	fclose(play->log);
	free(play->log_text);
	free(play);
	return n_asked;
}
