/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a dump says, as ldns reads it, against what answer() says to the same questions: every
 * record of the one is in the other.
 */
#include "../lib/world.h"

#include "model/dump.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct world world;
static char text[WORLD_MESSAGE_TEXT];

static const char zone_file[] =
	"$ORIGIN service.local.\n$TTL 60\n"
	"@ SOA ns hostmaster.some\\.one 1 2 3 4 5\n"
	"@ NS ns\n@ NS ns.example.net.\n@ MX 10 mail\n@ CAA 0 issue \"ca.example\"\n"
	"ns A 192.0.2.1\nns AAAA 2001:db8::1\n"
	"mail A 192.0.2.25\n"
	"web CNAME www.Example.COM.\n"
	"*.dyn TXT \"any\"\n"
	"a.deep.name 7 A 192.0.2.2\n"
	"lab NS ns.lab\nlab NS ns.shop\nlab NS ns\nns.lab A 192.0.2.3\nns.lab AAAA 2001:db8::3\n"
	"shop NS ns.shop\nns.shop A 192.0.2.4\n"
	"quoted TXT \"say \\\"hi\\\" \\\\ back\" \"\" \"\\195\\164\\000\\255\" \"semi;colon (a) @ $x\"\n"
	"quoted TXT \"ends in \\\\\" \"next\"\n"
	"lone TXT \"\"\n"
	"odd\\.dot\\032and\\\"quote\\\\\\;\\(\\)\\@\\$ A 192.0.2.5\n"
	"\\$TTL A 192.0.2.6\n\\@ A 192.0.2.7\n\\000\\255 A 192.0.2.8\n"
	"target SRV 1 2 3 x\\032y.example.\n"
	"odd-type TYPE65280 \\# 3 0001ff\nodd-empty TYPE65281 \\# 0\n";

/* ---- Two zones: all of the registry beside a file, and a part of it ---- */

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

static void add(const char *json)
{
	const int status = world_register(&world, json, text);

	ck_assert_msg(status == 201, "%d %s: %s", status, text, json);
}

static void set_up(void)
{
	char path[40];
	const int file = memfd_create("zone", 0);

	ck_assert_int_ge(file, 0);
	ck_assert_int_eq(write(file, zone_file, strlen(zone_file)), (ssize_t)strlen(zone_file));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	world_init(&world, 3);
	add_zone("service.local", path, NULL);
	add_zone("eu.example", NULL, "eu");
	close(file);
	add("{\"name\":\"payment\",\"ip\":\"10.0.0.1\",\"port\":80,\"tags\":[\"eu\",\"blue\"],"
	    "\"ports\":{\"metrics\":9100},\"meta\":{\"quote\":\"\\\"a\\\\b\\\"\",\"umlaut\":\"ä\"}}");
	add("{\"name\":\"payment\",\"ipv4\":\"10.0.0.2\",\"ipv6\":\"2001:db8::2\",\"port\":80,"
	    "\"id\":\"no label, but an id\",\"weight\":7}");
	add("{\"name\":\"clock\",\"ip\":\"10.0.0.3\",\"port\":123,\"protocol\":\"udp\",\"ttl\":9}");
	add("{\"name\":\"sick\",\"ip\":\"10.0.0.4\",\"port\":80,\"checks\":[{\"kind\":\"tcp\"}]}");
}

static void tear_down(void)
{
	world_fini(&world);
}

/* ---- Dumps ---- */

static const struct zone *find_zone(const char *origin)
{
	const struct zone_list *const list = catalog_zones(world.catalog);
	uint8_t name[NAME_MAX_LEN];
	const size_t len = name_parse(origin, name);

	for (size_t i = 0; i < list->n; i++)
		if (list->zones[i]->origin_len == len &&
		    memcmp(list->zones[i]->origin, name, len) == 0)
			return list->zones[i];
	ck_abort_msg("no zone %s", origin);
}

/* The text of a whole zone; the caller frees. */
static char *print_zone(const char *origin, size_t *n_records)
{
	struct dump_walk walk = { .len = 0 };
	struct buf buf;
	size_t len;

	walk.len = name_parse(origin, walk.origin);
	buf_init(&buf);
	while (walk.position.segment < ZONE_SEGMENTS)
		ck_assert(dump_print_part(&buf, world.catalog, &walk));
	*n_records = walk.n_records;
	char *const printed = buf_take(&buf, &len);
	ck_assert_ptr_nonnull(printed);
	ck_assert_uint_eq(len, strlen(printed));
	return printed;
}

/* All records, the SOA first. The caller frees deeply. */
static ldns_rr_list *parse_zone(const char *origin)
{
	ldns_zone *zone = NULL;
	size_t n_records;
	int line = 0;

	char *const printed = print_zone(origin, &n_records);
	FILE *const file = fmemopen(printed, strlen(printed), "r");
	ck_assert_ptr_nonnull(file);
	const ldns_status status =
		ldns_zone_new_frm_fp_l(&zone, file, NULL, 0, LDNS_RR_CLASS_IN, &line);
	ck_assert_msg(status == LDNS_STATUS_OK, "line %d: %s\n%s", line,
		      ldns_get_errorstr_by_id(status), printed);
	fclose(file);
	ldns_rr_list *const rrs = ldns_rr_list_new();
	ldns_rr_list_push_rr(rrs, ldns_rr_clone(ldns_zone_soa(zone)));
	for (size_t i = 0; i < ldns_rr_list_rr_count(ldns_zone_rrs(zone)); i++)
		ldns_rr_list_push_rr(rrs, ldns_rr_clone(ldns_rr_list_rr(ldns_zone_rrs(zone), i)));
	ck_assert_uint_eq(ldns_rr_list_rr_count(rrs), n_records);
	ldns_zone_deep_free(zone);
	free(printed);
	return rrs;
}

static bool has_line(const char *printed, const char *line)
{
	const size_t len = strlen(line);

	for (const char *at = printed; (at = strstr(at, line)); at++)
		if ((at == printed || at[-1] == '\n') && at[len] == '\n')
			return true;
	return false;
}

static void expect_line(const char *origin, const char *line)
{
	size_t n_records;
	char *const printed = print_zone(origin, &n_records);

	ck_assert_msg(has_line(printed, line), "no line\n%s\nin\n%s", line, printed);
	free(printed);
}

/* ---- Against answer() ---- */

static ldns_pkt *ask(const ldns_rdf *owner, ldns_rr_type type)
{
	static uint8_t message[WORLD_MESSAGE];
	char *const name = ldns_rdf2str(owner);
	const struct world_question question = {
		.name = name,
		.type = type,
		.transport = ANSWER_TCP,
	};
	size_t len;

	ldns_pkt *const reply = world_ask(&world, &question, message, &len);
	free(name);
	return reply;
}

static bool has_record(const ldns_rr_list *rrs, const ldns_rr *rr)
{
	for (size_t i = 0; i < ldns_rr_list_rr_count(rrs); i++) {
		const ldns_rr *const other = ldns_rr_list_rr(rrs, i);

		if (ldns_rr_compare(other, rr) == 0 && ldns_rr_ttl(other) == ldns_rr_ttl(rr))
			return true;
	}
	return false;
}

static bool is_cut(const ldns_rr_list *rrs, const ldns_rdf *owner)
{
	for (size_t i = 0; i < ldns_rr_list_rr_count(rrs); i++) {
		const ldns_rr *const rr = ldns_rr_list_rr(rrs, i);

		if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_NS &&
		    ldns_dname_compare(ldns_rr_owner(rr), ldns_rr_owner(ldns_rr_list_rr(rrs, 0))) &&
		    (ldns_dname_compare(ldns_rr_owner(rr), owner) == 0 ||
		     ldns_dname_is_subdomain(owner, ldns_rr_owner(rr))))
			return true;
	}
	return false;
}

/* A record of the dump is in the reply to a question for it; what a delegation has, in a referral.
 */
static void check_record(const ldns_rr_list *rrs, const ldns_rr *rr)
{
	const bool referral = is_cut(rrs, ldns_rr_owner(rr));
	ldns_pkt *const reply = ask(ldns_rr_owner(rr), ldns_rr_get_type(rr));
	ldns_rr_list *const said = ldns_rr_list_cat_clone(
		referral ? ldns_pkt_authority(reply) : ldns_pkt_answer(reply),
		referral ? ldns_pkt_additional(reply) : NULL);
	char *const shown = ldns_rr2str(rr);

	ck_assert_int_eq(ldns_pkt_aa(reply), !referral);
	ck_assert_msg(has_record(said, rr), "not answered: %s", shown);
	free(shown);
	ldns_rr_list_deep_free(said);
	ldns_pkt_free(reply);
}

/* Whatever a name of the dump is asked for, the dump has every record of the answer. */
static void check_owner(const ldns_rr_list *rrs, const ldns_rdf *owner)
{
	static const ldns_rr_type types[] = {
		LDNS_RR_TYPE_A,   LDNS_RR_TYPE_AAAA,   LDNS_RR_TYPE_SRV, LDNS_RR_TYPE_TXT,
		LDNS_RR_TYPE_NS,  LDNS_RR_TYPE_CNAME,  LDNS_RR_TYPE_SOA, LDNS_RR_TYPE_MX,
		LDNS_RR_TYPE_CAA, (ldns_rr_type)65280,
	};

	for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
		ldns_pkt *const reply = ask(owner, types[t]);
		const ldns_rr_list *const said = ldns_pkt_answer(reply);

		for (size_t i = 0; i < ldns_rr_list_rr_count(said); i++) {
			char *const shown = ldns_rr2str(ldns_rr_list_rr(said, i));

			ck_assert_msg(has_record(rrs, ldns_rr_list_rr(said, i)),
				      "not in the dump: %s", shown);
			free(shown);
		}
		ldns_pkt_free(reply);
	}
}

static void check_zone(const char *origin, size_t n_wanted)
{
	ldns_rr_list *const rrs = parse_zone(origin);

	ck_assert_uint_eq(ldns_rr_list_rr_count(rrs), n_wanted);
	for (size_t i = 0; i < ldns_rr_list_rr_count(rrs); i++) {
		check_record(rrs, ldns_rr_list_rr(rrs, i));
		check_owner(rrs, ldns_rr_owner(ldns_rr_list_rr(rrs, i)));
	}
	ldns_rr_list_deep_free(rrs);
}

START_TEST(everything_is_in_the_dump_and_answered)
{
	check_zone("service.local", 66);
}
END_TEST

START_TEST(a_filtered_zone_has_its_part)
{
	check_zone("eu.example", 19);
}
END_TEST

START_TEST(soa_is_the_first_record_and_has_the_serial_of_the_zone)
{
	size_t n_records;
	char *const printed = print_zone("service.local", &n_records), soa[200];

	snprintf(soa, sizeof(soa),
		 "service.local.\t60\tIN\tSOA\tns.service.local. "
		 "hostmaster.some\\046one.service.local. %llu 2 3 4 5\n",
		 (unsigned long long)registry_revision(world.registry));
	ck_assert_msg(strncmp(printed, soa, strlen(soa)) == 0, "%s", printed);
	free(printed);
}
END_TEST

START_TEST(known_types_are_readable)
{
	expect_line("service.local", "payment.service.local.\t5\tIN\tA\t10.0.0.1");
	expect_line("service.local", "payment.service.local.\t5\tIN\tAAAA\t2001:db8::2");
	expect_line("service.local", "_clock._udp.service.local.\t9\tIN\tSRV\t10 100 123 "
				     "10-0-0-3-123.clock.service.local.");
	expect_line("service.local", "web.service.local.\t60\tIN\tCNAME\twww.Example.COM.");
	expect_line("service.local", "*.dyn.service.local.\t60\tIN\tTXT\t\"any\"");
	expect_line("service.local", "a.deep.name.service.local.\t7\tIN\tA\t192.0.2.2");
}
END_TEST

START_TEST(other_types_are_generic)
{
	expect_line("service.local", "service.local.\t60\tIN\tTYPE15\t\\# 22 "
				     "000a046d61696c0773657276696365056c6f63616c00");
	expect_line("service.local", "odd-type.service.local.\t60\tIN\tTYPE65280\t\\# 3 0001ff");
	expect_line("service.local", "odd-empty.service.local.\t60\tIN\tTYPE65281\t\\# 0");
}
END_TEST

START_TEST(texts_and_names_are_escaped)
{
	expect_line("service.local",
		    "quoted.service.local.\t60\tIN\tTXT\t\"say \\\"hi\\\" \\\\ back\" \"\" "
		    "\"\\195\\164\\000\\255\" \"semi;colon (a) @ $x\"");
	expect_line("service.local",
		    "quoted.service.local.\t60\tIN\tTXT\t\"ends in \\\\\" \"next\"");
	expect_line("service.local", "lone.service.local.\t60\tIN\tTXT\t\"\"");
	expect_line("service.local", "\\036ttl.service.local.\t60\tIN\tA\t192.0.2.6");
	expect_line("service.local", "\\064.service.local.\t60\tIN\tA\t192.0.2.7");
	expect_line("service.local", "\\000\\255.service.local.\t60\tIN\tA\t192.0.2.8");
	expect_line("service.local", "target.service.local.\t60\tIN\tSRV\t1 2 3 x\\032y.example.");
}
END_TEST

START_TEST(name_without_records_is_a_comment)
{
	expect_line("service.local", "; sick.service.local. has no record now");
	expect_line("service.local", "; _sick._tcp.service.local. has no record now");
	expect_line("service.local", "10-0-0-4-80.sick.service.local.\t5\tIN\tA\t10.0.0.4");
}
END_TEST

/* Octets that no zone file's reader would let through are still said as they are. */
START_TEST(rdata_of_another_shape_is_generic)
{
	static const uint8_t name[] = { 1, 'x' };
	struct build build;
	struct buf buf;

	build_init(&build);
	build_begin(&build);
	build_set(&build, RR_A, 1);
	build_record(&build, "\1\2\3", 3, NULL, 0);
	build_set(&build, RR_TXT, 1);
	build_record(&build, "\2a", 2, NULL, 0);
	build_set(&build, RR_NS, 1);
	build_record(&build, "\1a", 2, NULL, 0);
	build_set(&build, RR_SRV, 1);
	build_record(&build, "\0\1\0\1\0\1", 6, NULL, 0);
	struct entry *const entry = build_entry(&build, name, sizeof(name));
	ck_assert_ptr_nonnull(entry);
	buf_init(&buf);
	ck_assert_uint_eq(dump_print_entry(&buf, find_zone("eu.example"), entry), 4);
	ck_assert_str_eq(buf.data, "x.eu.example.\t1\tIN\tTYPE1\t\\# 3 010203\n"
				   "x.eu.example.\t1\tIN\tTYPE16\t\\# 2 0261\n"
				   "x.eu.example.\t1\tIN\tTYPE2\t\\# 2 0161\n"
				   "x.eu.example.\t1\tIN\tTYPE33\t\\# 6 000100010001\n");
	buf_fini(&buf);
	free(entry);
	build_fini(&build);
}
END_TEST

START_TEST(a_zone_that_is_gone_ends_the_walk)
{
	struct dump_walk walk = { .len = 0 };
	struct buf buf;

	walk.len = name_parse("service.local", walk.origin);
	buf_init(&buf);
	ck_assert(dump_print_part(&buf, world.catalog, &walk));
	ck_assert_uint_gt(buf.len, 0);
	world_drop_zone(&world, "service.local");
	ck_assert(!dump_print_part(&buf, world.catalog, &walk));
	buf_fini(&buf);
}
END_TEST

int main(void)
{
	Suite *const suite = suite_create("dump");
	TCase *const tcase = tcase_create("dump");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, everything_is_in_the_dump_and_answered);
	tcase_add_test(tcase, a_filtered_zone_has_its_part);
	tcase_add_test(tcase, soa_is_the_first_record_and_has_the_serial_of_the_zone);
	tcase_add_test(tcase, known_types_are_readable);
	tcase_add_test(tcase, other_types_are_generic);
	tcase_add_test(tcase, texts_and_names_are_escaped);
	tcase_add_test(tcase, name_without_records_is_a_comment);
	tcase_add_test(tcase, rdata_of_another_shape_is_generic);
	tcase_add_test(tcase, a_zone_that_is_gone_ends_the_walk);
	suite_add_tcase(suite, tcase);
	SRunner *const runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	const int n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed > 0;
}
