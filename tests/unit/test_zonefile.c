/* SPDX-License-Identifier: BSD-2-Clause */
/* What was read is printed by ldns, so that no octet of it is checked by our own code. */
#include "io/zonefile.h"

#include "base/buf.h"
#include "dns/name.h"

#include <check.h>
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define APEX "@ 5 SOA ns root 1 2 3 4 5\n@ NS ns\n"
/* What APEX prints as. */
#define APEX_NS  "example. 5 IN NS ns.example.\n"
#define APEX_SOA "example. 5 IN SOA ns.example. root.example. 1 2 3 4 5\n"

static uint8_t origin[NAME_MAX_LEN];
static size_t origin_len;
static struct static_zone zone;
static char message[512], *text;

static void set_up(void)
{
	origin_len = name_parse("example", origin);
	text = NULL;
}

static void tear_down(void)
{
	free(text);
}

/* One record as ldns prints it, with single blanks. */
static void print_record(struct buf *out, const struct static_rrset *set,
			 const struct static_rdata *rdata)
{
	uint8_t wire[NAME_MAX_LEN + 10 + 65535];
	size_t len = set->owner_len, at = 0;
	ldns_rr *rr = NULL;
	char *line;

	memcpy(wire, set->owner, len);
	ldns_write_uint16(wire + len, set->type);
	ldns_write_uint16(wire + len + 2, 1);
	ldns_write_uint32(wire + len + 4, set->ttl_s);
	ldns_write_uint16(wire + len + 8, rdata->len);
	memcpy(wire + len + 10, rdata->data, rdata->len);
	len += 10u + rdata->len;
	ck_assert_int_eq(ldns_wire2rr(&rr, wire, len, &at, LDNS_SECTION_ANSWER), LDNS_STATUS_OK);
	ck_assert_uint_eq(at, len);
	line = ldns_rr2str(rr);
	for (char *c = line; *c; c++)
		if (*c == '\t')
			*c = ' ';
	buf_print(out, "%s", line);
	free(line);
	ldns_rr_free(rr);
}

static void print_zone(void)
{
	struct buf out;
	size_t len;

	buf_init(&out);
	for (size_t i = 0; i < zone.n_sets; i++)
		for (size_t k = 0; k < zone.sets[i].n_rdata; k++)
			print_record(&out, &zone.sets[i], &zone.sets[i].rdata[k]);
	free(text);
	text = buf_take(&out, &len);
}

/* Reads a file with this content. The message is cut to what follows the file's name. */
static int read_octets(const char *content, size_t len)
{
	int fd = memfd_create("zone", MFD_CLOEXEC), result;
	char path[64];

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, content, len), (ssize_t)len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	strcpy(message, "");
	result = zonefile_read(path, origin, origin_len, &zone, message, sizeof(message));
	close(fd);
	if (result < 0) {
		ck_assert_int_eq(strncmp(message, path, strlen(path)), 0);
		memmove(message, message + strlen(path), strlen(message + strlen(path)) + 1);
		ck_assert_uint_eq(zone.n_sets, 0);
		return result;
	}
	print_zone();
	static_zone_fini(&zone);
	return result;
}

static void check_good(const char *content, const char *expected)
{
	ck_assert_msg(read_octets(content, strlen(content)) == 0, "%s", message);
	ck_assert_str_eq(text, expected);
}

/* After an apex of two lines. */
static void check_records(const char *records, const char *expected)
{
	char content[4096], all[4096];

	snprintf(content, sizeof(content), APEX "%s", records);
	snprintf(all, sizeof(all), APEX_NS APEX_SOA "%s", expected);
	check_good(content, all);
}

static void check_bad(const char *records, const char *reason)
{
	char content[4096];

	snprintf(content, sizeof(content), APEX "%s", records);
	ck_assert_msg(read_octets(content, strlen(content)) < 0, "%s", records);
	ck_assert_str_eq(message, reason);
}

START_TEST(names_are_relative_to_the_origin)
{
	check_records("www 7 A 192.0.2.1\n"
		      "a.b.example. 7 CNAME www\n"
		      "@ 7 MX 10 mail\n"
		      "* 7 TXT \"x y\" z\n",
		      "example. 7 IN MX 10 mail.example.\n"
		      "*.example. 7 IN TXT \"x y\" \"z\"\n"
		      "a.b.example. 7 IN CNAME www.example.\n"
		      "www.example. 7 IN A 192.0.2.1\n");
}
END_TEST

START_TEST(owners_are_lower_case_and_rdata_keeps_its_case)
{
	check_records("WWW 7 NS Ns.Sub\n", "www.example. 7 IN NS Ns.Sub.example.\n");
}
END_TEST

START_TEST(origin_directive_may_be_relative)
{
	check_records("$ORIGIN sub\na 7 A 192.0.2.1\n$ORIGIN deep\n@ 7 A 192.0.2.2\n"
		      "$ORIGIN @\nb 7 A 192.0.2.3\n$ORIGIN example.\nc 7 A 192.0.2.4\n",
		      "c.example. 7 IN A 192.0.2.4\n"
		      "a.sub.example. 7 IN A 192.0.2.1\n"
		      "deep.sub.example. 7 IN A 192.0.2.2\n"
		      "b.deep.sub.example. 7 IN A 192.0.2.3\n");
}
END_TEST

START_TEST(ttl_is_stated_or_the_last_one_or_of_the_directive)
{
	check_records("a A 192.0.2.1\nb 9 A 192.0.2.2\nc A 192.0.2.3\n"
		      "$TTL 1h1m\nd 8 A 192.0.2.4\ne A 192.0.2.5\n",
		      "a.example. 5 IN A 192.0.2.1\n"
		      "b.example. 9 IN A 192.0.2.2\n"
		      "c.example. 9 IN A 192.0.2.3\n"
		      "d.example. 8 IN A 192.0.2.4\n"
		      "e.example. 3660 IN A 192.0.2.5\n");
	check_good("@ SOA ns root 1 2 3 4 5\n@ NS ns\n",
		   "example. 3600 IN NS ns.example.\n"
		   "example. 3600 IN SOA ns.example. root.example. 1 2 3 4 5\n");
}
END_TEST

START_TEST(owner_left_out_is_the_last_one)
{
	check_records("a 7 A 192.0.2.1\n\tA 192.0.2.2\n\n ; only a remark\n  TXT x\n",
		      "a.example. 7 IN A 192.0.2.1\n"
		      "a.example. 7 IN A 192.0.2.2\n"
		      "a.example. 7 IN TXT \"x\"\n");
}
END_TEST

START_TEST(parentheses_comments_and_quotes)
{
	check_good("; don't \" stumble ( here\n"
		   "@ 5 IN SOA ns root ( ; serial (\n\t1 ; one\n\n\t2 3\n\t4 5 ) ; end )\n"
		   "@ 5 IN NS ns ; \"\n"
		   "t 5 IN TXT ( \"a;b\" ; no\n \"(c)\" d\\;e \"q\\\"q\" )\n",
		   APEX_NS APEX_SOA "t.example. 5 IN TXT \"a;b\" \"(c)\" \"d;e\" \"q\\\"q\"\n");
}
END_TEST

START_TEST(last_line_may_lack_its_end)
{
	check_records("a 7 A 192.0.2.1", "a.example. 7 IN A 192.0.2.1\n");
	check_records("a 7 A 192.0.2.1 ; x", "a.example. 7 IN A 192.0.2.1\n");
}
END_TEST

START_TEST(windows_line_ends)
{
	check_good(
		"$TTL 5\r\n@ SOA ns root (\r\n 1 2 3 4 5 )\r\n@ NS ns\r\n\r\n ; x\r\na A 192.0.2.1\r\n"
		" A 192.0.2.2\r\n",
		APEX_NS APEX_SOA "a.example. 5 IN A 192.0.2.1\n"
				 "a.example. 5 IN A 192.0.2.2\n");
}
END_TEST

START_TEST(one_set_one_ttl_and_no_repetition)
{
	check_records("a 9 A 192.0.2.1\na 7 A 192.0.2.2\nA 8 A 192.0.2.1\na 6 A 192.0.2.2\n",
		      "a.example. 6 IN A 192.0.2.1\na.example. 6 IN A 192.0.2.2\n");
	/* The repeated record's TTL counts too. */
	check_records("a 9 A 192.0.2.1\na 4 A 192.0.2.1\n", "a.example. 4 IN A 192.0.2.1\n");
}
END_TEST

START_TEST(delegation_with_glue)
{
	check_records("sub 7 NS ns.sub\nns.sub 7 A 192.0.2.1\nns.sub 7 AAAA 2001:db8::1\n",
		      "sub.example. 7 IN NS ns.sub.example.\n"
		      "ns.sub.example. 7 IN A 192.0.2.1\n"
		      "ns.sub.example. 7 IN AAAA 2001:db8::1\n");
}
END_TEST

START_TEST(other_types)
{
	check_records(
		"s 7 SRV 1 2 65535 Host\nc 7 CAA 0 issue \"ca.example\"\n"
		"n 7 NAPTR 1 2 \"s\" \"x\" \"\" .\nu 7 TYPE999 \\# 2 abcd\na 7 A \\# 4 C0000201\n",
		"a.example. 7 IN A 192.0.2.1\n"
		"c.example. 7 IN CAA 0 issue \"ca.example\"\n"
		"n.example. 7 IN NAPTR 1 2 \"s\" \"x\" \"\" .\n"
		"s.example. 7 IN SRV 1 2 65535 Host.example.\n"
		"u.example. 7 IN TYPE999 \\# 2 abcd\n");
}
END_TEST

START_TEST(error_names_the_line_where_the_entry_starts)
{
	check_bad("a A 192.0.2.1\n\n; x\nb A 192.0.2.256\n",
		  ":6: Syntax error, could not parse the RR's rdata");
	check_bad("a TXT (\n x\n y )\nb A ( \n junk )\nc A 192.0.2.1\n",
		  ":6: Syntax error, could not parse the RR's rdata");
	check_bad("a A", ":3: Syntax error, value expected");
}
END_TEST

START_TEST(include_and_unknown_directives_are_errors)
{
	check_bad("\n$INCLUDE other.zone\n", ":4: $INCLUDE is not supported");
	check_bad("$include other.zone\n", ":3: $INCLUDE is not supported");
	check_bad("$GENERATE 1-2 a A 192.0.2.$\n",
		  ":3: no directive: $GENERATE (known: $ORIGIN NAME, $TTL SECONDS)");
	check_bad("$ORIGIN\n", ":3: no directive: $ORIGIN (known: $ORIGIN NAME, $TTL SECONDS)");
	check_bad("$ORIGIN a..b\n", ":3: $ORIGIN needs a domain name");
	check_bad("$TTL x\n", ":3: $TTL needs seconds, 0 to 2147483647");
	check_bad("$TTL 2147483648\n", ":3: $TTL needs seconds, 0 to 2147483647");
	check_bad("$TTL 3551w\n", ":3: $TTL needs seconds, 0 to 2147483647");
}
END_TEST

/* ldns takes them modulo 2^16 and 2^32, and "5x" for 5. */
START_TEST(numbers_do_not_wrap_around)
{
	check_bad("s SRV 1 2 65536 t\n", ":3: '65536' is out of range");
	check_bad("s 5 IN SRV -1 2 3 t\n", ":3: '-1' is out of range");
	check_bad("s MX 70000 t\n", ":3: '70000' is out of range");
	check_bad("s SRV (1\n 2 99999) t\n", ":3: '99999' is out of range");
	check_bad("s 5x A 192.0.2.1\n", ":3: the TTL must be seconds, 0 to 2147483647");
	check_bad("s 4294967296 A 192.0.2.1\n", ":3: the TTL must be seconds, 0 to 2147483647");
	check_bad("$ORIGIN example.\n@ SOA ns root 4294967297 2 3 4 5\n",
		  ":4: '4294967297' is out of range");
}
END_TEST

/* A name may outgrow 255 octets only when the origin is put behind it; ldns takes it. */
START_TEST(relative_names_too_long_are_refused)
{
	static const char reason[] = ":3: a name is longer than 255 octets";
	char longest[300] = "", records[700], content[1000];

	for (int i = 0; i < 123; i++)
		strcat(longest, "a.");
	/* 123 * 2 + 8 for "example" + the root label = 255 */
	longest[strlen(longest) - 1] = '\0';
	snprintf(records, sizeof(records), "%s A 192.0.2.1\nb CNAME %s\n", longest, longest);
	snprintf(content, sizeof(content), APEX "%s", records);
	ck_assert_int_eq(read_octets(content, strlen(content)), 0);
	strcat(longest, ".a");
	snprintf(records, sizeof(records), "%s A 192.0.2.1\n", longest);
	check_bad(records, reason);
	snprintf(records, sizeof(records), "b CNAME %s\n", longest);
	check_bad(records, reason);
	snprintf(records, sizeof(records), "b 5 SRV 1 2 3 %s\n", longest);
	check_bad(records, reason);
	snprintf(records, sizeof(records), "$ORIGIN %s\n", longest);
	check_bad(records, reason);
}
END_TEST

START_TEST(generic_rdata_must_be_whole)
{
	static const char reason[] = ":3: the record's data is not whole";

	check_bad("a A \\# 0\n", reason);
	check_bad("a CNAME \\# 0\n", reason);
	check_bad("a SRV \\# 0\n", reason);
	check_bad("a TXT \\# 0\n", reason);
	check_bad("@ 5 SOA \\# x y 1 2\n", reason);
	check_bad("a A \\# 3 c00002\n", ":3: Packet size overflow");
	check_records("a 7 TYPE999 \\# 0\n", "a.example. 7 IN TYPE999 \\# 0\n");
}
END_TEST

START_TEST(text_that_cannot_be_cut)
{
	check_bad("a TXT \"no end\nb A 192.0.2.1\n", ":3: a quoted string has no end on its line");
	check_bad("a TXT \"no end", ":3: a quoted string has no end on its line");
	check_bad("a TXT ( x\nb A 192.0.2.1\n", ":3: a parenthesis is not closed");
	check_bad("a TXT x )\n", ":3: a closing parenthesis without an opening one");
	check_bad("a TXT ( ( x ) )\n", ":3: a parenthesis inside parentheses");
	ck_assert_int_eq(read_octets(APEX "a A 192.0.2.1\0junk\n", sizeof(APEX) + 18), -1);
	ck_assert_str_eq(message, ":3: a NUL octet");
}
END_TEST

START_TEST(records_that_do_not_belong)
{
	check_bad("a.other. A 192.0.2.1\n", ":3: the record is outside the zone");
	check_bad("aexample. A 192.0.2.1\n", ":3: the record is outside the zone");
	check_bad("$ORIGIN .\na A 192.0.2.1\n", ":4: the record is outside the zone");
	check_bad("a 5 CH A 192.0.2.1\n", ":3: the class must be IN");
	check_bad("a DNAME b\n", ":3: DNAME is not supported");
	check_bad("a DS 1 8 2 00\n", ":3: DNSSEC records are not supported");
	check_bad("@ NSEC a A\n", ":3: DNSSEC records are not supported");
	check_bad("a SOA ns root 1 2 3 4 5\n", ":3: an SOA below the zone's apex");
	check_bad("a TYPE255 \\# 0\n", ":3: a type that no zone can hold");
}
END_TEST

START_TEST(apex_must_be_whole)
{
	ck_assert_int_eq(read_octets("", 0), -1);
	ck_assert_str_eq(message, ":1: the zone has no SOA record");
	ck_assert_int_eq(read_octets("@ NS ns\n", 8), -1);
	ck_assert_str_eq(message, ":1: the zone has no SOA record");
	ck_assert_int_eq(read_octets("@ SOA a b 1 2 3 4 5\nx NS y\n", 27), -1);
	ck_assert_str_eq(message, ":2: the zone has no NS record at its apex");
	ck_assert_int_eq(read_octets(" SOA a b 1 2 3 4 5\n", 19), -1);
	ck_assert_str_eq(message, ":1: the first record has no owner name");
	check_bad("\n@ SOA ns root 2 2 3 4 5\n", ":4: a second SOA");
	/* The same again is no second. */
	check_records("@ SOA ns root 1 2 3 4 5\n", "");
}
END_TEST

START_TEST(cname_stands_alone)
{
	check_bad("a CNAME b\nb A 192.0.2.1\na TXT x\n",
		  ":5: a CNAME and other data at one name (RFC 2181 10.1)");
	check_bad("a A 192.0.2.1\na CNAME b\n",
		  ":4: a CNAME and other data at one name (RFC 2181 10.1)");
	check_bad("a CNAME b\na CNAME c\n",
		  ":4: a CNAME and other data at one name (RFC 2181 10.1)");
	check_bad("@ CNAME b\n", ":3: a CNAME and other data at one name (RFC 2181 10.1)");
	check_records("a CNAME b\nA CNAME b\n", "a.example. 5 IN CNAME b.example.\n");
}
END_TEST

START_TEST(long_lines)
{
	static char content[70000];
	size_t len = strlen(APEX);

	/* 200 strings of 255 octets, on one line. */
	memcpy(content, APEX "a 7 TXT", len + 7);
	len += 7;
	for (int i = 0; i < 200; i++, len += 256) {
		content[len] = ' ';
		memset(content + len + 1, 'x', 255);
	}
	ck_assert_msg(read_octets(content, len) == 0, "%s", message);
	ck_assert_uint_gt(strlen(text), 51200);
	/* A word that no field can hold. */
	memset(content + strlen(APEX) + 8, 'x', 60000);
	ck_assert_int_eq(read_octets(content, 60000), -1);
	ck_assert_int_eq(strncmp(message, ":3: ", 4), 0);
	memset(content, '(', sizeof(content));
	ck_assert_int_eq(read_octets(content, sizeof(content)), -1);
	ck_assert_str_eq(message, ":1: a parenthesis inside parentheses");
}
END_TEST

START_TEST(many_records)
{
	struct buf content;

	buf_init(&content);
	buf_print(&content, APEX);
	for (unsigned i = 0; i < 20000; i++)
		buf_print(&content, "h%u 7 A 10.0.%u.%u\n", i % 5000, i / 250, i % 250);
	ck_assert_msg(read_octets(content.data, content.len) == 0, "%s", message);
	buf_fini(&content);
}
END_TEST

START_TEST(files_that_cannot_be_read)
{
	ck_assert_int_eq(zonefile_read("/", origin, origin_len, &zone, message, sizeof(message)),
			 -1);
	ck_assert_str_eq(message, "/: is a directory");
	ck_assert_int_eq(zonefile_read("/nonexistent/zone", origin, origin_len, &zone, message,
				       sizeof(message)),
			 -1);
	ck_assert_str_eq(message, "/nonexistent/zone: No such file or directory");
	ck_assert_int_eq(
		zonefile_read("/dev/null", origin, origin_len, &zone, message, sizeof(message)),
		-1);
	ck_assert_str_eq(message, "/dev/null:1: the zone has no SOA record");
}
END_TEST

START_TEST(zone_without_a_file)
{
	struct address address = { 0 };
	const char *reason;

	ck_assert(record_address_parse("10.0.0.1", &address, &reason));
	ck_assert(record_address_parse("fd00::1", &address, &reason));
	ck_assert_int_eq(zonefile_default(origin, origin_len, &address, &zone), 0);
	print_zone();
	ck_assert_str_eq(text, "example. 5 IN SOA ns.example. hostmaster.example. "
			       "1 3600 600 86400 5\n"
			       "example. 5 IN NS ns.example.\n"
			       "ns.example. 5 IN A 10.0.0.1\n"
			       "ns.example. 5 IN AAAA fd00::1\n");
	static_zone_fini(&zone);

	address = (struct address){ 0 };
	ck_assert_int_eq(zonefile_default(origin, origin_len, &address, &zone), 0);
	ck_assert_uint_eq(zone.n_sets, 2);
	static_zone_fini(&zone);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("zonefile");
	TCase *tcase = tcase_create("zonefile");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, names_are_relative_to_the_origin);
	tcase_add_test(tcase, owners_are_lower_case_and_rdata_keeps_its_case);
	tcase_add_test(tcase, origin_directive_may_be_relative);
	tcase_add_test(tcase, ttl_is_stated_or_the_last_one_or_of_the_directive);
	tcase_add_test(tcase, owner_left_out_is_the_last_one);
	tcase_add_test(tcase, parentheses_comments_and_quotes);
	tcase_add_test(tcase, last_line_may_lack_its_end);
	tcase_add_test(tcase, windows_line_ends);
	tcase_add_test(tcase, one_set_one_ttl_and_no_repetition);
	tcase_add_test(tcase, delegation_with_glue);
	tcase_add_test(tcase, other_types);
	tcase_add_test(tcase, error_names_the_line_where_the_entry_starts);
	tcase_add_test(tcase, include_and_unknown_directives_are_errors);
	tcase_add_test(tcase, numbers_do_not_wrap_around);
	tcase_add_test(tcase, relative_names_too_long_are_refused);
	tcase_add_test(tcase, generic_rdata_must_be_whole);
	tcase_add_test(tcase, text_that_cannot_be_cut);
	tcase_add_test(tcase, records_that_do_not_belong);
	tcase_add_test(tcase, apex_must_be_whole);
	tcase_add_test(tcase, cname_stands_alone);
	tcase_add_test(tcase, long_lines);
	tcase_add_test(tcase, many_records);
	tcase_add_test(tcase, files_that_cannot_be_read);
	tcase_add_test(tcase, zone_without_a_file);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
