/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GET /registry/why: for each name and type, those that it says are served are those that DNS
 * names, and the others have a reason.
 */
#include "../lib/exchange.h"
#include "../lib/world.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct world world;
static struct api api;
static struct api_reply reply;
static json_t *json; /* the reply's body */
static char text[WORLD_MESSAGE_TEXT];

static bool on_publish(void *cookie)
{
	(void)cookie;
	return compile_run(world.compile, world.now_ms) == 0;
}

static size_t on_ask(void *cookie, uint8_t *message, size_t len)
{
	(void)cookie;
	return world_answer(&world, ANSWER_TCP, message, len);
}

static void add_zone(const char *origin, const char *tag)
{
	struct world_zone zone = { .origin = strdup(origin), .tag = tag ? strdup(tag) : NULL };

	ck_assert_int_eq(world_add_zone(&world, &zone, text, sizeof(text)), 0);
	free(zone.origin);
	free(zone.tag);
}

static void add(const char *body)
{
	ck_assert_msg(world_register(&world, body, text) < 300, "%s", text);
}

static void beat(const char *body)
{
	ck_assert_int_eq(world_heartbeat(&world, body, text), 200);
}

static void policy(const char *body)
{
	ck_assert_int_eq(world_policy(&world, "pay", body, text), 200);
}

static void set_up(void)
{
	world_init(&world, 5);
	add_zone("service.local", NULL);
	add_zone("eu.service.local", "eu");
	api = (struct api){
		.registry = world.registry,
		.compile = world.compile,
		.counters = &world.control,
		.publish = on_publish,
		.ask = on_ask,
	};
	add("{\"name\":\"pay\",\"id\":\"a\",\"ip\":\"10.0.0.1\",\"port\":80,\"tags\":[\"eu\",\"v2\"],"
	    "\"ports\":{\"web\":81}}");
	add("{\"name\":\"pay\",\"id\":\"b\",\"ip\":\"10.0.0.2\",\"port\":80,\"tags\":[\"eu\"],"
	    "\"ipv6\":\"2001:db8::2\",\"protocol\":\"udp\"}");
	add("{\"name\":\"pay\",\"id\":\"c\",\"ip\":\"10.0.0.3\",\"port\":80,\"weight\":0}");
	add("{\"name\":\"pay\",\"id\":\"d\",\"ip\":\"10.0.0.4\",\"port\":80,\"priority\":20}");
	add("{\"name\":\"pay\",\"id\":\"e\",\"ip\":\"10.0.0.5\",\"port\":80,"
	    "\"checks\":[{\"kind\":\"tcp\"}]}");
	add("{\"name\":\"other\",\"id\":\"x\",\"ip\":\"10.0.1.1\",\"port\":80}");
}

static void tear_down(void)
{
	exchange_end(&reply, &json);
	world_fini(&world);
}

static int why(const char *query)
{
	const struct api_request request = {
		.method = API_GET,
		.path = "/registry/why",
		.query = query,
	};

	exchange(&api, &request, world.now_ms, &reply, &json);
	ck_assert_ptr_nonnull(json);
	return reply.status;
}

static const char *text_at(const char *key)
{
	const char *found = json_string_value(json_object_get(json, key));

	return found ? found : "(none)";
}

static const char *error_at(const char *key)
{
	const char *found = json_string_value(json_object_get(json_object_get(json, "error"), key));

	return found ? found : "(none)";
}

/* The reason of an instance, after "in: " or "out: ". */
static const char *reason(const char *id)
{
	static char found[400];
	size_t i;
	const json_t *instance;

	json_array_foreach(json_object_get(json, "instances"), i, instance)
	{
		if (strcmp(json_string_value(json_object_get(instance, "id")), id) != 0)
			continue;
		snprintf(found, sizeof(found), "%s: %s",
			 json_is_true(json_object_get(instance, "served")) ? "in" : "out",
			 json_string_value(json_object_get(instance, "reason")));
		return found;
	}
	return "(not listed)";
}

/* Whether an instance's address, or its name as an SRV target, is in the answer. */
static bool is_named(const ldns_pkt *packet, const json_t *instance)
{
	const ldns_rr_list *const answer = ldns_pkt_answer(packet);
	bool named = false;

	for (size_t i = 0; i < ldns_rr_list_rr_count(answer); i++) {
		const ldns_rr *const rr = ldns_rr_list_rr(answer, i);
		char *const data = ldns_rdf2str(ldns_rr_rdf(rr, ldns_rr_rd_count(rr) - 1));
		char target[80];

		snprintf(target, sizeof(target), "%s.pay.",
			 json_string_value(json_object_get(instance, "id")));
		for (const char *family = "ipv4"; family;
		     family = family[3] == '4' ? "ipv6" : NULL) {
			const char *address = json_string_value(json_object_get(instance, family));
			named |= address && strcmp(data, address) == 0;
		}
		named |= strncmp(data, target, strlen(target)) == 0;
		free(data);
	}
	return named;
}

/* Asks why and asks DNS: they agree on every instance. */
static void check_agreement(const char *name, const char *type)
{
	static uint8_t message[WORLD_MESSAGE];
	char absolute[200], query[300];
	const struct world_question question = {
		.name = absolute,
		.type = ldns_get_rr_type_by_name(type),
		.transport = ANSWER_TCP,
	};
	const json_t *instance;
	size_t i, len;

	snprintf(absolute, sizeof(absolute), "%s.service.local.", name);
	snprintf(query, sizeof(query), "type=%s&name=%s", type, absolute);
	ck_assert_int_eq(why(query), 200);
	ldns_pkt *const packet = world_ask(&world, &question, message, &len);
	ck_assert_int_eq(
		json_integer_value(json_object_get(json_object_get(json, "dns"), "records")),
		ldns_pkt_ancount(packet));
	json_array_foreach(json_object_get(json, "instances"), i, instance) ck_assert_msg(
		is_named(packet, instance) == json_is_true(json_object_get(instance, "served")),
		"%s %s %zu", name, type, i);
	ck_assert_uint_eq(json_array_size(json_object_get(json, "instances")), 5);
	ldns_pkt_free(packet);
}

static void check_all(void)
{
	static const char *const names[] = {
		"pay",      "_pay._tcp",     "_pay._udp",    "eu.pay", "v2.pay",
		"_pay._eu", "_web._tcp.pay", "a.pay",        "b.pay",  "e.pay",
		"pay.eu",   "a.pay.eu",      "_pay._tcp.eu",
	};
	static const char *const types[] = { "A", "AAAA", "SRV" };

	for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++)
		for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++)
			check_agreement(names[n], types[t]);
}

START_TEST(it_says_what_dns_says)
{
	check_all();
	beat("{\"service\":\"pay\",\"id\":\"a\",\"status\":\"critical\"}");
	check_all();
	policy("{\"failure\":\"all\",\"panic_threshold\":0.9}");
	check_all();
	ck_assert_int_eq(world_admin(&world, "pay", "b", "{\"state\":\"drain\"}", text), 200);
	check_all();
	ck_assert_int_eq(world_admin(&world, "pay", "e", "{\"state\":\"up\"}", text), 200);
	check_all();
	policy("{\"failure\":\"last\",\"panic_threshold\":0}");
	beat("{\"service\":\"pay\",\"id\":\"c\",\"status\":\"critical\"}");
	beat("{\"service\":\"pay\",\"id\":\"d\",\"status\":\"critical\"}");
	check_all();
	ck_assert_int_eq(world_admin(&world, "pay", "e", "{\"state\":\"auto\"}", text), 200);
	check_all();
}
END_TEST

START_TEST(everyone_has_a_reason)
{
	ck_assert_int_eq(why("name=pay.service.local"), 200);
	ck_assert_str_eq(text_at("type"), "A");
	ck_assert_str_eq(text_at("zone"), "service.local");
	ck_assert_str_eq(text_at("service"), "pay");
	ck_assert_str_eq(text_at("policy"), "fit");
	ck_assert_str_eq(reason("a"), "in: registered");
	ck_assert_str_eq(reason("c"), "out: its weight is 0 and others have more");
	ck_assert_str_eq(reason("d"), "out: instances of a better priority are served");
	ck_assert_str_eq(reason("e"), "out: check tcp: no result yet");
	ck_assert_int_eq(why("type=aaaa&name=Pay.Service.Local."), 200);
	ck_assert_str_eq(reason("a"), "out: it has no IPv6 address");
	ck_assert_str_eq(reason("b"), "in: registered");
	ck_assert_int_eq(why("name=_pay._tcp.service.local"), 200);
	ck_assert_str_eq(text_at("type"), "SRV");
	ck_assert_str_eq(reason("b"), "out: it speaks another protocol");
	ck_assert_str_eq(reason("d"), "in: registered");
	ck_assert_int_eq(why("name=_pay._tcp.service.local&type=A"), 200);
	ck_assert_str_eq(reason("d"), "out: this name has SRV records alone");
	ck_assert_int_eq(why("name=v2.pay.service.local"), 200);
	ck_assert_str_eq(reason("b"), "out: it does not have this tag");
	ck_assert_int_eq(why("name=%5fweb._tcp.pay.service.local"), 200);
	ck_assert_str_eq(reason("b"), "out: it does not have this port");
	ck_assert_int_eq(why("name=e.pay.service.local"), 200);
	ck_assert_str_eq(reason("e"),
			 "in: an instance's own name always has it: check tcp: no result yet");
	ck_assert_str_eq(reason("a"), "out: the name is another instance's");
	ck_assert_int_eq(why("name=pay.eu.service.local"), 200);
	ck_assert_str_eq(text_at("zone"), "eu.service.local");
	ck_assert_str_eq(reason("c"), "out: not shown in this zone");
	policy("{\"panic_threshold\":1}");
	ck_assert_int_eq(why("name=pay.service.local&type=SRV&client=192.0.2.1"), 200);
	ck_assert_str_eq(text_at("policy"), "panic");
	ck_assert_str_eq(text_at("client"), "192.0.2.1");
	ck_assert_str_eq(reason("a"), "in: policy panic: registered");
	ck_assert_str_eq(reason("e"), "in: policy panic: check tcp: no result yet");
	ck_assert_int_eq(world_admin(&world, "pay", "a", "{\"state\":\"down\"}", text), 200);
	ck_assert_int_eq(why("name=pay.service.local"), 200);
	ck_assert_str_eq(reason("a"), "out: admin down");
}
END_TEST

START_TEST(what_was_just_changed_is_in_dns)
{
	const struct change drain = {
		.kind = CHANGE_ADMIN,
		.admin = { .service = "pay", .id = "a", .admin = ADMIN_DRAIN },
	};
	struct outcome outcome;

	registry_apply(world.registry, &drain, world.now_ms, &outcome);
	check_agreement("pay", "SRV");
	ck_assert_str_eq(reason("a"), "out: admin drain");
}
END_TEST

START_TEST(no_name_of_ours)
{
	static const struct {
		const char *query, *says;
	} rows[] = {
		{ "name=none.service.local", "DNS says NXDOMAIN, with 0 records" },
		{ "name=none.pay.service.local", "DNS says NXDOMAIN, with 0 records" },
		{ "name=v2.pay.eu.service.local.", "" },
		{ "name=c.pay.eu.service.local", "DNS says NXDOMAIN" },
		{ "name=pay.example.net", "DNS says REFUSED" },
		{ "name=_tcp.pay.service.local", "DNS says NOERROR, with 0 records" },
		{ "name=service.local", "DNS says NOERROR" },
		{ "name=local", "DNS says REFUSED" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!*rows[i].says) {
			ck_assert_int_eq(why(rows[i].query), 200);
			continue;
		}
		ck_assert_msg(why(rows[i].query) == 404, "%s", rows[i].query);
		ck_assert_msg(strstr(error_at("message"), rows[i].says), "%s: %s", rows[i].query,
			      error_at("message"));
	}
}
END_TEST

START_TEST(broken_questions_name_the_field)
{
	static const struct {
		const char *query, *field;
	} rows[] = {
		{ NULL, "name" },
		{ "type=A", "name" },
		{ "name=", "name" },
		{ "name=%zz", "name" },
		{ "name=a..b", "name" },
		{ "name=pay.service.local&type=MX", "type" },
		{ "name=pay.service.local&type=ANYTHINGELSE", "type" },
		{ "name=pay.service.local&client=here", "client" },
		{ "name=pay.service.local&client=%00", "client" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_msg(why(rows[i].query) == 400, "%s", rows[i].query);
		ck_assert_str_eq(error_at("field"), rows[i].field);
	}
}
END_TEST

int main(void)
{
	Suite *const suite = suite_create("native_why");
	TCase *const tcase = tcase_create("native_why");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, it_says_what_dns_says);
	tcase_add_test(tcase, everyone_has_a_reason);
	tcase_add_test(tcase, what_was_just_changed_is_in_dns);
	tcase_add_test(tcase, no_name_of_ours);
	tcase_add_test(tcase, broken_questions_name_the_field);
	suite_add_tcase(suite, tcase);
	SRunner *const runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	const int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
