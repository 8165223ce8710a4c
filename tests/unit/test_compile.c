/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the compile keeps track of between changes: names that come, go, change hands between
 * instances, tags and zone files. Which records a name has is the scenarios' business.
 */
#include "../lib/world.h"

#include "dns/name.h"
#include "io/zonefile.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	MANY = 2000,
	CHURN = 20000,
};

static struct world world;
static char text[WORLD_MESSAGE_TEXT];

static void add_zone(const char *origin, const char *file, const char *tag)
{
	struct world_zone zone = { .origin = strdup(origin) };

	zone.file = file ? strdup(file) : NULL;
	zone.tag = tag ? strdup(tag) : NULL;
	const int added = world_add_zone(&world, &zone, text, sizeof(text));
	ck_assert_msg(added == 0, "%s", text);
	free(zone.origin);
	free(zone.file);
	free(zone.tag);
}

static void set_up(void)
{
	world_init(&world, 3);
	add_zone("service.local", NULL, NULL);
}

static void tear_down(void)
{
	world_fini(&world);
}

static int add(const char *json)
{
	return world_register(&world, json, text);
}

static int drop(const char *service, const char *id)
{
	return world_deregister(&world, service, id, text);
}

static ldns_pkt *ask(const char *name, ldns_rr_type type)
{
	static uint8_t message[WORLD_MESSAGE];
	const struct world_question question = {
		.name = name,
		.type = type,
		.transport = ANSWER_TCP,
	};
	size_t len;

	return world_ask(&world, &question, message, &len);
}

/* The number of records, -1 for NXDOMAIN. */
static int count(const char *name, ldns_rr_type type)
{
	ldns_pkt *const reply = ask(name, type);
	const int n = ldns_pkt_get_rcode(reply) == LDNS_RCODE_NXDOMAIN
			      ? -1
			      : (int)ldns_pkt_ancount(reply);

	ldns_pkt_free(reply);
	return n;
}

static int count_a(const char *name)
{
	return count(name, LDNS_RR_TYPE_A);
}

static uint32_t ttl_s(const char *name)
{
	ldns_pkt *const reply = ask(name, LDNS_RR_TYPE_A);

	ck_assert_uint_gt(ldns_pkt_ancount(reply), 0);
	const uint32_t ttl = ldns_rr_ttl(ldns_rr_list_rr(ldns_pkt_answer(reply), 0));
	ldns_pkt_free(reply);
	return ttl;
}

/* A zone file, in memory, that has these lines beside its apex. Always the same path. */
static const char *write_zone(const char *lines)
{
	static const char apex[] = "$ORIGIN service.local.\n$TTL 60\n"
				   "@ SOA ns.example.net. hostmaster 1 2 3 4 5\n"
				   "@ NS ns.example.net.\n";
	static char path[40];
	static int file = -1;
	const size_t apex_len = strlen(apex), len = strlen(lines);

	if (file < 0)
		file = memfd_create("zone", 0);
	ck_assert_int_ge(file, 0);
	ck_assert_int_eq(ftruncate(file, 0), 0);
	ck_assert_int_eq(pwrite(file, apex, apex_len, 0), (ssize_t)apex_len);
	ck_assert_int_eq(pwrite(file, lines, len, (off_t)apex_len), (ssize_t)len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	return path;
}

/* ---- The registry alone ---- */

START_TEST(gone_and_back_in_one_round_is_there)
{
	/* Two changes between two compiles: the leaver's name is the newcomer's. */
	const struct change leave = {
		.kind = CHANGE_DEREGISTER,
		.deregister = { .service = "a", .id = "x" },
	};
	struct outcome outcome;

	add("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80,\"tags\":[\"t\"]}");
	registry_apply(world.registry, &leave, world.now_ms, &outcome);
	ck_assert_int_eq(outcome.result, REGISTRY_UPDATED);
	ck_assert_int_eq(add("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.2\",\"port\":80}"), 201);
	ck_assert_int_eq(count_a("x.a"), 1);
	ck_assert_int_eq(count_a("a"), 1);
	ck_assert_int_eq(count_a("t.a"), -1);
	ck_assert_int_eq(count("_a._tcp", LDNS_RR_TYPE_SRV), 1);
}
END_TEST

START_TEST(service_gone_and_back_in_one_round_is_there)
{
	const struct change leave = {
		.kind = CHANGE_DEREGISTER,
		.deregister = { .service = "a", .id = "x" },
	};
	struct outcome outcome;

	add("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80}");
	registry_apply(world.registry, &leave, world.now_ms, &outcome);
	ck_assert_int_eq(add("{\"name\":\"a\",\"id\":\"y\",\"ip\":\"10.0.0.2\",\"port\":80}"), 201);
	ck_assert_int_eq(count_a("x.a"), -1);
	ck_assert_int_eq(count_a("y.a"), 1);
	ck_assert_int_eq(count_a("a"), 1);
}
END_TEST

START_TEST(tag_and_instance_take_turns)
{
	add("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80,\"tags\":[\"n\"]}");
	add("{\"name\":\"a\",\"id\":\"y\",\"ip\":\"10.0.0.2\",\"port\":80,\"tags\":[\"n\"]}");
	ck_assert_int_eq(count_a("n.a"), 2);
	add("{\"name\":\"a\",\"id\":\"n\",\"ip\":\"10.0.0.3\",\"port\":80}");
	ck_assert_int_eq(count_a("n.a"), 1);
	/* Changes of the tag's members leave the instance's name alone. */
	drop("a", "x");
	ck_assert_int_eq(count_a("n.a"), 1);
	drop("a", "n");
	ck_assert_int_eq(count_a("n.a"), 1);
	add("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80,\"tags\":[\"n\"]}");
	ck_assert_int_eq(count_a("n.a"), 2);
	add("{\"name\":\"a\",\"id\":\"n\",\"ip\":\"10.0.0.3\",\"port\":80}");
	drop("a", "x");
	drop("a", "y");
	ck_assert_int_eq(count_a("n.a"), 1);
	ck_assert_int_eq(count("_a._n", LDNS_RR_TYPE_SRV), -1);
	drop("a", "n");
	ck_assert_int_eq(count_a("n.a"), -1);
}
END_TEST

START_TEST(tag_named_like_a_protocol_is_no_protocol)
{
	add("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80,\"tags\":[\"udp\"]}");
	ck_assert_int_eq(count("_a._udp", LDNS_RR_TYPE_SRV), -1);
	ck_assert_int_eq(count_a("udp.a"), 1);
	add("{\"name\":\"a\",\"id\":\"y\",\"ip\":\"10.0.0.2\",\"port\":53,\"protocol\":\"udp\"}");
	add("{\"name\":\"a\",\"id\":\"z\",\"ip\":\"10.0.0.3\",\"port\":53,\"protocol\":\"udp\"}");
	ck_assert_int_eq(count("_a._udp", LDNS_RR_TYPE_SRV), 2);
	drop("a", "y");
	drop("a", "z");
	ck_assert_int_eq(count("_a._udp", LDNS_RR_TYPE_SRV), -1);
}
END_TEST

START_TEST(nothing_dirty_publishes_nothing)
{
	add("{\"name\":\"a\",\"ip\":\"10.0.0.1\",\"port\":80}");
	ck_assert_uint_eq(compile_run(world.compile, world.now_ms), 0);
	const uint64_t published = atomic_load(&world.control.names_published);
	add("{\"name\":\"a\",\"ip\":\"10.0.0.1\",\"port\":80}");
	ck_assert_uint_eq(atomic_load(&world.control.names_published), published);
}
END_TEST

START_TEST(a_change_costs_its_own_names)
{
	char json[200];

	for (unsigned i = 0; i < MANY; i++) {
		snprintf(json, sizeof(json), "{\"name\":\"s%u\",\"ip\":\"10.0.%u.%u\",\"port\":80}",
			 i / 4, i / 250, i % 250 + 1);
		ck_assert_int_eq(add(json), 201);
	}
	const uint64_t published = atomic_load(&world.control.names_published);
	add("{\"name\":\"s7\",\"id\":\"new\",\"ip\":\"10.9.9.9\",\"port\":80}");
	/* Service, _service._tcp and the instance. */
	ck_assert_uint_le(atomic_load(&world.control.names_published) - published, 3);
	ck_assert_int_eq(count_a("s7"), 5);
}
END_TEST

START_TEST(ttl_counts_down_to_the_soonest_change)
{
	add("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80,\"ttl\":30,"
	    "\"lease\":\"60s\"}");
	ck_assert_uint_eq(ttl_s("a"), 30);
	world_advance(&world, 29000);
	ck_assert_uint_eq(ttl_s("a"), 30);
	for (unsigned s = 30; s < 60; s++) {
		world_advance(&world, 1000);
		ck_assert_uint_eq(ttl_s("a"), 60 - s);
		ck_assert_uint_eq(ttl_s("x.a"), 60 - s);
	}
	world_advance(&world, 900);
	ck_assert_uint_eq(ttl_s("a"), 1);
	world_advance(&world, 100);
	ck_assert_int_eq(count_a("a"), -1);
	/* A new TTL is the whole service's. */
	add("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80,\"ttl\":30}");
	add("{\"name\":\"a\",\"id\":\"y\",\"ip\":\"10.0.0.2\",\"port\":80,\"ttl\":7}");
	ck_assert_uint_eq(ttl_s("a"), 7);
	ck_assert_uint_eq(ttl_s("x.a"), 7);
}
END_TEST

START_TEST(churn_leaves_what_the_registry_has)
{
	struct random random;
	bool is_there[64] = { false };
	unsigned n = 0;
	char json[300], id[8], name[40];

	random_init_seed(&random, 5);
	for (unsigned i = 0; i < CHURN; i++) {
		const uint32_t k = random_below(&random, 64);
		snprintf(id, sizeof(id), "n%u", k);
		snprintf(name, sizeof(name), "n%u.a", k);
		switch (random_below(&random, 4)) {
		case 0:
			ck_assert_int_eq(drop("a", id), is_there[k] ? 200 : 404);
			n -= is_there[k];
			is_there[k] = false;
			break;
		case 1:
			world_advance(&world, random_below(&random, 40));
			break;
		default:
			snprintf(json, sizeof(json),
				 "{\"name\":\"a\",\"id\":\"%s\",\"ip\":\"10.0.0.%u\",\"port\":%u,"
				 "\"tags\":[\"t%u\"],\"ports\":{\"p%u\":1}}",
				 id, k + 1, 1 + random_below(&random, 9), random_below(&random, 3),
				 random_below(&random, 3));
			ck_assert_int_eq(add(json), is_there[k] ? 200 : 201);
			n += !is_there[k];
			is_there[k] = true;
		}
		if (i % 50)
			continue;
		ck_assert_int_eq(count_a("a"), n ? (int)n : -1);
		ck_assert_int_eq(count_a(name), is_there[k] ? 1 : -1);
		const int t[] = { count_a("t0.a"), count_a("t1.a"), count_a("t2.a") };
		unsigned sum = 0;
		for (unsigned j = 0; j < 3; j++)
			sum += t[j] > 0 ? (unsigned)t[j] : 0;
		ck_assert_uint_eq(sum, n);
	}
	for (unsigned k = 0; k < 64; k++) {
		snprintf(id, sizeof(id), "n%u", k);
		drop("a", id);
	}
	ck_assert_int_eq(count_a("a"), -1);
	ck_assert_int_eq(count_a("_tcp"), -1);
}
END_TEST

/* ---- Zones ---- */

START_TEST(new_zone_shows_what_is_there)
{
	add("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80,\"tags\":[\"eu\"]}");
	add("{\"name\":\"b\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80}");
	add_zone("other.example", NULL, NULL);
	add_zone("eu.example", NULL, "eu");
	ck_assert_int_eq(count_a("a.other.example."), 1);
	ck_assert_int_eq(count_a("b.other.example."), 1);
	ck_assert_int_eq(count_a("a.eu.example."), 1);
	ck_assert_int_eq(count_a("x.a.eu.example."), 1);
	ck_assert_int_eq(count_a("b.eu.example."), -1);
	ck_assert_int_eq(count_a("x.b.eu.example."), -1);
	/* A filter that changes. */
	add_zone("eu.example", NULL, NULL);
	ck_assert_int_eq(count_a("b.eu.example."), 1);
	add_zone("eu.example", NULL, "nobody");
	ck_assert_int_eq(count_a("a.eu.example."), -1);
	ck_assert_int_eq(count_a("a"), 1);
}
END_TEST

START_TEST(serial_of_the_first_zone_is_the_revision)
{
	struct static_zone content = { 0 };
	const struct address address = { .has_v4 = true, .v4 = { 127, 0, 0, 1 } };
	uint8_t origin[NAME_MAX_LEN];
	const size_t len = name_parse("service.local", origin);

	world_fini(&world);
	world_init(&world, 3);
	ck_assert_int_eq(zonefile_default(origin, len, &address, &content), 0);
	ck_assert_int_eq(
		compile_set_zones(world.compile, &content, 1, world.now_ms, text, sizeof(text)), 0);
	const struct zone *const zone = catalog_zones(world.catalog)->zones[0];
	ck_assert_uint_eq(atomic_load(&zone->serial), registry_revision(world.registry));
}
END_TEST

START_TEST(zone_file_may_change)
{
	add("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80}");
	add_zone("service.local", write_zone("www A 192.0.2.1\nold A 192.0.2.2\n*.d A 192.0.2.3\n"),
		 NULL);
	ck_assert_int_eq(count_a("www"), 1);
	ck_assert_int_eq(count_a("y.d"), 1);
	ck_assert_int_eq(count_a("a"), 1);
	add_zone("service.local", write_zone("www A 192.0.2.1\nwww A 192.0.2.9\n"), NULL);
	ck_assert_int_eq(count_a("www"), 2);
	ck_assert_int_eq(count_a("old"), -1);
	ck_assert_int_eq(count_a("y.d"), -1);
	ck_assert_int_eq(count_a("a"), 1);
	ck_assert_int_eq(count("@", LDNS_RR_TYPE_NS), 1);
	add_zone("service.local", NULL, NULL);
	ck_assert_int_eq(count_a("www"), -1);
	ck_assert_int_eq(count_a("a"), 1);
}
END_TEST

START_TEST(static_name_hides_a_service_until_it_goes)
{
	add("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80}");
	add("{\"name\":\"a\",\"id\":\"y\",\"ip\":\"10.0.0.2\",\"port\":80}");
	add_zone("service.local", write_zone("a A 192.0.2.1\n"), NULL);
	ck_assert_int_eq(count_a("a"), 1);
	ck_assert_int_eq(count_a("x.a"), 1);
	drop("a", "x");
	ck_assert_int_eq(count_a("a"), 1);
	ck_assert_int_eq(add("{\"name\":\"a\",\"id\":\"z\",\"ip\":\"10.0.0.3\",\"port\":80}"), 409);
	add_zone("service.local", write_zone("b A 192.0.2.1\n"), NULL);
	ck_assert_int_eq(count_a("b"), 1);
	/* The service is back as it is by now. */
	ldns_pkt *const reply = ask("a", LDNS_RR_TYPE_A);
	char *const record = world_record_text(&world, ldns_rr_list_rr(ldns_pkt_answer(reply), 0));
	ck_assert_str_eq(record, "a A 10.0.0.2");
	free(record);
	ldns_pkt_free(reply);
}
END_TEST

START_TEST(delegation_hides_what_is_below)
{
	add("{\"name\":\"sub\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80}");
	add_zone("service.local",
		 write_zone("sub NS ns.sub\nns.sub A 192.0.2.1\nother.sub A 192.0.2.2\n"), NULL);
	for (unsigned i = 0; i < 3; i++) {
		static const char *const names[] = { "sub", "x.sub", "other.sub" };
		ldns_pkt *const reply = ask(names[i], LDNS_RR_TYPE_A);
		ck_assert(!ldns_pkt_aa(reply));
		ck_assert_uint_eq(ldns_pkt_ancount(reply), 0);
		ck_assert_uint_eq(ldns_pkt_nscount(reply), 1);
		ck_assert_uint_eq(ldns_pkt_arcount(reply), 1);
		ldns_pkt_free(reply);
	}
	add_zone("service.local", write_zone(""), NULL);
	ck_assert_int_eq(count_a("sub"), 1);
	ck_assert_int_eq(count_a("x.sub"), 1);
	ck_assert_int_eq(count_a("other.sub"), -1);
}
END_TEST

START_TEST(tag_keeps_its_name_where_its_namesake_is_hidden)
{
	add_zone("eu.example", NULL, "eu");
	add("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80,\"tags\":[\"blue\",\"eu\"]}");
	add("{\"name\":\"a\",\"id\":\"blue\",\"ip\":\"10.0.0.2\",\"port\":80,\"lease\":\"9s\"}");
	ck_assert_int_eq(count_a("blue.a.eu.example."), 1);
	ck_assert_int_eq(count("_a._blue.eu.example.", LDNS_RR_TYPE_SRV), 1);
	/* Whatever becomes of the namesake. */
	world_heartbeat(&world, "{\"service\":\"a\",\"id\":\"blue\"}", text);
	add("{\"name\":\"a\",\"id\":\"blue\",\"ip\":\"10.0.0.3\",\"port\":80}");
	ck_assert_int_eq(count_a("blue.a.eu.example."), 1);
	ck_assert_int_eq(count("_a._blue.eu.example.", LDNS_RR_TYPE_SRV), 1);
	add("{\"name\":\"a\",\"id\":\"blue\",\"ip\":\"10.0.0.3\",\"port\":80,\"tags\":[\"eu\"]}");
	ck_assert_int_eq(count("blue.a.eu.example.", LDNS_RR_TYPE_SRV), 1);
	ck_assert_int_eq(count_a("a.eu.example."), 2);
	drop("a", "blue");
	ck_assert_int_eq(count_a("blue.a.eu.example."), 1);
}
END_TEST

START_TEST(zone_that_hides_an_instance_does_not_refuse_it)
{
	add_zone("service.local", write_zone("www A 192.0.2.1\n"), "eu");
	ck_assert_int_eq(add("{\"name\":\"www\",\"ip\":\"10.0.0.1\",\"port\":80}"), 201);
	ck_assert_int_eq(
		add("{\"name\":\"www\",\"ip\":\"10.0.0.2\",\"port\":80,\"tags\":[\"eu\"]}"), 409);
}
END_TEST

START_TEST(static_name_below_a_hidden_service_keeps_its_ttl)
{
	/* "a" itself is an empty non-terminal then, whatever the leases of the service. */
	add_zone("service.local", write_zone("b.a A 192.0.2.1\n"), "eu");
	add("{\"name\":\"a\",\"ip\":\"10.0.0.1\",\"port\":80,\"lease\":\"2s\"}");
	ldns_pkt *const reply = ask("a", LDNS_RR_TYPE_A);
	ck_assert_int_eq(ldns_pkt_get_rcode(reply), LDNS_RCODE_NOERROR);
	ck_assert_uint_eq(ldns_rr_ttl(ldns_rr_list_rr(ldns_pkt_authority(reply), 0)), 5);
	ldns_pkt_free(reply);
}
END_TEST

START_TEST(ttl_knows_when_a_reported_status_no_longer_holds)
{
	add("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80,"
	    "\"checks\":[{\"kind\":\"tcp\",\"interval\":\"2s\",\"rise\":1,\"fall\":1}]}");
	add("{\"name\":\"a\",\"id\":\"y\",\"ip\":\"10.0.0.2\",\"port\":80}");
	world_probe(&world, "a", "x", 0, true, text);
	world_heartbeat(&world, "{\"service\":\"a\",\"id\":\"x\",\"status\":\"critical\"}", text);
	world_probe(&world, "a", "x", 0, false, text);
	ck_assert_uint_eq(ttl_s("a"), 5);
	/* From here on one good result, in 1.8 s at the soonest, brings it back. */
	world_heartbeat(&world, "{\"service\":\"a\",\"id\":\"x\",\"status\":\"passing\"}", text);
	ck_assert_uint_eq(ttl_s("a"), 1);
}
END_TEST

START_TEST(bad_zone_changes_nothing)
{
	struct world_zone zone = { .origin = strdup("service.local") };

	add_zone("service.local", write_zone("www A 192.0.2.1\n"), NULL);
	zone.file = strdup(write_zone("www A 192.0.2.1\nbad A 300.0.0.1\n"));
	ck_assert_int_eq(world_add_zone(&world, &zone, text, sizeof(text)), -1);
	ck_assert_ptr_nonnull(strstr(text, ":6"));
	ck_assert_int_eq(count_a("www"), 1);
	ck_assert_uint_eq(world.n_zones, 1);
	free(zone.origin);
	free(zone.file);
}
END_TEST

static int policy(const char *json)
{
	return world_policy(&world, "a", json, text);
}

static void beat(const char *id, const char *status)
{
	char json[120];

	snprintf(json, sizeof(json), "{\"service\":\"a\",\"id\":\"%s\",\"status\":\"%s\"}", id,
		 status);
	ck_assert_int_eq(world_heartbeat(&world, json, text), 200);
}

START_TEST(a_policy_that_acts_is_counted_once)
{
	add("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80,\"tags\":[\"t\"]}");
	add("{\"name\":\"a\",\"id\":\"y\",\"ip\":\"10.0.0.2\",\"port\":80}");
	beat("x", "critical");
	ck_assert_uint_eq(world.control.policy_all, 0);
	ck_assert_int_eq(policy("{\"failure\":\"all\"}"), 200);
	/* The tag's name has none but x. */
	ck_assert_uint_eq(world.control.policy_all, 1);
	beat("y", "critical");
	ck_assert_uint_eq(world.control.policy_all, 2);
	/* Compiled anew, but nothing about it is new. */
	ck_assert_int_eq(policy("{\"ttl\":7}"), 200);
	ck_assert_uint_eq(world.control.policy_all, 2);
	beat("x", "passing");
	ck_assert_uint_eq(world.control.policy_all, 2);
	beat("x", "critical");
	ck_assert_uint_eq(world.control.policy_all, 4);
	ck_assert_int_eq(policy("{\"failure\":\"last\"}"), 200);
	ck_assert_uint_eq(world.control.policy_all, 4);
	ck_assert_uint_eq(world.control.policy_last, 2);
	ck_assert_int_eq(policy("{\"failure\":\"empty\"}"), 200);
	ck_assert_int_eq(count_a("a"), 0);
}
END_TEST

/* Services by who is served, in the order of enum policy_mode; 5 digits. */
static size_t services(void)
{
	size_t digits = 0;

	for (enum policy_mode mode = POLICY_FIT; mode <= POLICY_LAST; mode++)
		digits = digits * 10 + registry_count_mode(world.registry, mode);
	return digits;
}

/* Names on which a policy acts: all, panic, last. */
static size_t names(void)
{
	return registry_count_acting(world.registry, POLICY_ALL) * 100 +
	       registry_count_acting(world.registry, POLICY_PANIC) * 10 +
	       registry_count_acting(world.registry, POLICY_LAST);
}

START_TEST(services_are_counted_by_who_is_served)
{
	ck_assert_uint_eq(services(), 0);
	add("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80,\"tags\":[\"t\"]}");
	add("{\"name\":\"a\",\"id\":\"y\",\"ip\":\"10.0.0.2\",\"port\":80}");
	add("{\"name\":\"b\",\"id\":\"z\",\"ip\":\"10.0.0.3\",\"port\":80}");
	ck_assert_uint_eq(services(), 20000);
	beat("x", "critical");
	ck_assert_uint_eq(services(), 20000);
	beat("y", "critical");
	ck_assert_uint_eq(services(), 11000);
	ck_assert_uint_eq(names(), 0);
	/* The tag has a name as well. */
	ck_assert_int_eq(policy("{\"failure\":\"all\"}"), 200);
	ck_assert_uint_eq(services(), 10100);
	ck_assert_uint_eq(names(), 200);
	ck_assert_int_eq(policy("{\"failure\":\"last\"}"), 200);
	ck_assert_uint_eq(services(), 10001);
	ck_assert_uint_eq(names(), 2);
	world_restart(&world);
	ck_assert_uint_eq(services(), 10001);
	ck_assert_uint_eq(names(), 2);
	ck_assert_int_eq(policy("{\"failure\":\"empty\",\"panic_threshold\":0.6}"), 200);
	beat("x", "passing");
	ck_assert_uint_eq(services(), 10010);
	ck_assert_uint_eq(names(), 10);
	/* Zones come, filter and go: who is served in any of them is not the question. */
	add_zone("other.test", NULL, "t");
	ck_assert_uint_eq(services(), 10010);
	world_drop_zone(&world, "other.test");
	ck_assert_uint_eq(services(), 10010);
	ck_assert_int_eq(drop("a", "y"), 200);
	ck_assert_uint_eq(services(), 20000);
	ck_assert_int_eq(drop("a", "x"), 200);
	ck_assert_uint_eq(services(), 10000);
	ck_assert_int_eq(drop("b", "z"), 200);
	ck_assert_uint_eq(services(), 0);
	ck_assert_uint_eq(names(), 0);
}
END_TEST

START_TEST(who_was_taken_out_serves_nothing)
{
	add("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80,\"lease\":\"9s\"}");
	ck_assert_int_eq(policy("{\"failure\":\"all\"}"), 200);
	ck_assert_int_eq(world_admin(&world, "a", "x", "{\"state\":\"down\"}", text), 200);
	ck_assert_uint_eq(services(), 1000);
	ck_assert_int_eq(world_admin(&world, "a", "x", "{\"state\":\"auto\"}", text), 200);
	ck_assert_uint_eq(services(), 10000);
	world_advance(&world, 10000);
	ck_assert_uint_eq(services(), 0);
}
END_TEST

START_TEST(a_protocol_that_is_no_longer_all_of_its_service)
{
	add("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80}");
	ck_assert_int_eq(policy("{\"failure\":\"all\"}"), 200);
	beat("x", "critical");
	ck_assert_uint_eq(names(), 100);
	/* Now the service is fit, and _a._tcp is not. */
	add("{\"name\":\"a\",\"id\":\"y\",\"ip\":\"10.0.0.2\",\"port\":80,"
	    "\"protocol\":\"udp\"}");
	ck_assert_uint_eq(services(), 10000);
	ck_assert_uint_eq(names(), 100);
	ck_assert_uint_eq(world.control.policy_all, 2);
	ck_assert_int_eq(drop("a", "y"), 200);
	ck_assert_uint_eq(services(), 100);
	ck_assert_uint_eq(names(), 100);
	beat("x", "passing");
	ck_assert_uint_eq(names(), 0);
}
END_TEST

START_TEST(who_leaves_and_is_gone_in_one_round)
{
	const struct change drain = {
		.kind = CHANGE_ADMIN,
		.admin = { .service = "a", .id = "x", .admin = ADMIN_DRAIN },
	};
	struct outcome outcome;

	add("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80}");
	add("{\"name\":\"a\",\"id\":\"y\",\"ip\":\"10.0.0.2\",\"port\":80}");
	ck_assert_int_eq(count_a("a"), 2);
	registry_apply(world.registry, &drain, world.now_ms, &outcome);
	ck_assert_int_eq(outcome.result, REGISTRY_UPDATED);
	ck_assert_int_eq(drop("a", "x"), 200);
	ck_assert_int_eq(count_a("a"), 1);
	ck_assert_int_eq(count_a("x.a"), -1);
}
END_TEST

START_TEST(who_leaves_was_named_by_what_it_no_longer_has)
{
	const struct change drain = {
		.kind = CHANGE_ADMIN,
		.admin = { .service = "a", .id = "x", .admin = ADMIN_DRAIN },
	};
	struct outcome outcome;
	struct codec_error error;

	add("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80,\"tags\":[\"t\"]}");
	add("{\"name\":\"a\",\"id\":\"y\",\"ip\":\"10.0.0.2\",\"port\":80}");
	world_advance(&world, 3600000);
	ck_assert_int_eq(count_a("t.a"), 1);
	/* Registered without the tag and drained, between two compiles. */
	const char again[] = "{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80}";
	json_t *const body = codec_load(again, strlen(again), &error);
	const struct change change = {
		.kind = CHANGE_REGISTER,
		.registration = codec_registration(body, &error),
	};
	json_decref(body);
	ck_assert_int_eq(registry_apply(world.registry, &change, world.now_ms, &outcome),
			 REGISTRY_UPDATED);
	registry_apply(world.registry, &drain, world.now_ms, &outcome);
	world_advance(&world, 0);
	ck_assert_uint_ge(world_safe_after_ms(&world, "a", "x"), 6000);
	ck_assert_uint_le(world_safe_after_ms(&world, "a", "x"), 6300);
}
END_TEST

int main(void)
{
	Suite *const suite = suite_create("compile");
	TCase *const tcase = tcase_create("compile");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, gone_and_back_in_one_round_is_there);
	tcase_add_test(tcase, service_gone_and_back_in_one_round_is_there);
	tcase_add_test(tcase, tag_and_instance_take_turns);
	tcase_add_test(tcase, tag_named_like_a_protocol_is_no_protocol);
	tcase_add_test(tcase, nothing_dirty_publishes_nothing);
	tcase_add_test(tcase, a_change_costs_its_own_names);
	tcase_add_test(tcase, ttl_counts_down_to_the_soonest_change);
	tcase_add_test(tcase, churn_leaves_what_the_registry_has);
	tcase_add_test(tcase, new_zone_shows_what_is_there);
	tcase_add_test(tcase, serial_of_the_first_zone_is_the_revision);
	tcase_add_test(tcase, zone_file_may_change);
	tcase_add_test(tcase, static_name_hides_a_service_until_it_goes);
	tcase_add_test(tcase, delegation_hides_what_is_below);
	tcase_add_test(tcase, tag_keeps_its_name_where_its_namesake_is_hidden);
	tcase_add_test(tcase, zone_that_hides_an_instance_does_not_refuse_it);
	tcase_add_test(tcase, static_name_below_a_hidden_service_keeps_its_ttl);
	tcase_add_test(tcase, ttl_knows_when_a_reported_status_no_longer_holds);
	tcase_add_test(tcase, bad_zone_changes_nothing);
	tcase_add_test(tcase, a_policy_that_acts_is_counted_once);
	tcase_add_test(tcase, services_are_counted_by_who_is_served);
	tcase_add_test(tcase, who_was_taken_out_serves_nothing);
	tcase_add_test(tcase, a_protocol_that_is_no_longer_all_of_its_service);
	tcase_add_test(tcase, who_leaves_and_is_gone_in_one_round);
	tcase_add_test(tcase, who_leaves_was_named_by_what_it_no_longer_has);
	suite_add_tcase(suite, tcase);
	SRunner *const runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	const int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
