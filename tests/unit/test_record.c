/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/record.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static char label[LIMIT_LABEL + 1], second[LIMIT_LABEL + 1];

START_TEST(labels_are_ldh_in_lower_case)
{
	static const char *const bad[] = { "",    "-a",  "a-",  "-",       "a.b",
					   "a_b", "a b", "a\n", "\xc3\xa4" };
	char longest[65];

	ck_assert(record_label_parse("Payment-2", label));
	ck_assert_str_eq(label, "payment-2");
	ck_assert(record_label_parse("7", label));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!record_label_parse(bad[i], label), "%s", bad[i]);
	memset(longest, 'a', 64);
	longest[64] = '\0';
	ck_assert(!record_label_parse(longest, label));
	longest[63] = '\0';
	ck_assert(record_label_parse(longest, label));
	ck_assert_str_eq(label, longest);
}
END_TEST

START_TEST(addresses_of_both_families)
{
	struct address address = { 0 };
	const char *reason;
	char text[46];

	ck_assert(record_address_parse("10.1.2.3", &address, &reason));
	ck_assert(record_address_parse("2001:DB8:0::1", &address, &reason));
	record_address_print(&address, false, text);
	ck_assert_str_eq(text, "10.1.2.3");
	record_address_print(&address, true, text);
	ck_assert_str_eq(text, "2001:db8::1");
	ck_assert(!record_address_parse("10.1.2.4", &address, &reason));
	ck_assert_str_eq(reason, "is a second IPv4 address");
	ck_assert(!record_address_parse("::1", &address, &reason));
	ck_assert_str_eq(reason, "is a second IPv6 address");
	record_address_print(&address, false, text);
	ck_assert_str_eq(text, "10.1.2.3");
}
END_TEST

START_TEST(loopback_and_private_addresses_are_good)
{
	static const char *const good[] = { "127.0.0.1", "::1", "192.168.0.1", "fd00::1",
					    "223.255.255.255" };
	const char *reason;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct address address = { 0 };

		ck_assert_msg(record_address_parse(good[i], &address, &reason), "%s", good[i]);
	}
}
END_TEST

START_TEST(addresses_that_reach_nobody_are_refused)
{
	static const struct {
		const char *text, *reason;
	} bad[] = {
		{ "0.0.0.0", "is the unspecified address" },
		{ "::", "is the unspecified address" },
		{ "255.255.255.255", "is the broadcast address" },
		{ "224.0.0.1", "is a multicast address" },
		{ "239.255.255.255", "is a multicast address" },
		{ "ff02::1", "is a multicast address" },
		{ "::ffff:10.0.0.1", "is an IPv4 address inside IPv6: write it as IPv4" },
		{ "::10.0.0.1", "is an IPv4 address inside IPv6: write it as IPv4" },
		{ "0.1.2.3", "is in a block that no host has (RFC 6890)" },
		{ "240.0.0.1", "is in a block that no host has (RFC 6890)" },
		{ "fe80::1", "is a link-local address, which means nothing to other hosts" },
		{ "169.254.169.254",
		  "is a link-local address, which means nothing to other hosts" },
		{ "", "is no IP address" },
		{ "10.0.0", "is no IP address" },
		{ "10.0.0.256", "is no IP address" },
		{ "010.0.0.1", "is no IP address" },
		{ " 10.0.0.1", "is no IP address" },
		{ "10.0.0.1:80", "is no IP address" },
		{ "[::1]", "is no IP address" },
		{ "fe80::1%lo", "is no IP address" },
		{ "localhost", "is no IP address" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct address address = { 0 };
		const char *reason = NULL;

		ck_assert_msg(!record_address_parse(bad[i].text, &address, &reason), "%s",
			      bad[i].text);
		ck_assert_str_eq(reason, bad[i].reason);
		ck_assert(!address.has_v4 && !address.has_v6);
	}
}
END_TEST

START_TEST(durations)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} good[] = {
		{ "10s", 10000 },     { "1m30s", 90000 },
		{ "250ms", 250 },     { "2h", 7200000 },
		{ "1.5s", 1500 },     { "0s", 0 },
		{ "0.001s", 1 },      { "1h2m3s4ms", 3723004 },
		{ "1.25m", 75000 },   { "010s", 10000 },
		{ "1m500ms", 60500 }, { "999999999999h", UINT64_C(999999999999) * 3600000 },
	};
	static const char *const bad[] = {
		"",    "10",   "s",    "-1s", "+1s", "1 s",   " 1s",     "1s ",  "1S",
		"1d",  "1s1m", "1s1s", "1.s", ".5s", "1.5ms", "0.0001s", "1e3s", "1000000000000h",
		"1m30"
	};
	uint64_t ms;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert_msg(record_duration_parse(good[i].text, &ms), "%s", good[i].text);
		ck_assert_uint_eq(ms, good[i].ms);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!record_duration_parse(bad[i], &ms), "%s", bad[i]);
}
END_TEST

START_TEST(default_ids_are_labels)
{
	struct address address = { 0 };
	const char *reason;

	record_address_parse("::", &address, &reason);
	record_address_parse("2001:db8::1", &address, &reason);
	record_default_id(&address, 65535, label);
	ck_assert_str_eq(label, "2001-db8-0-0-0-0-0-1-65535");
	record_address_parse("10.0.0.1", &address, &reason);
	record_default_id(&address, 8080, label);
	ck_assert_str_eq(label, "10-0-0-1-8080");
	memset(address.v6, 0xff, 16);
	address.has_v4 = false;
	record_default_id(&address, 65535, label);
	ck_assert(record_label_parse(label, second));
	ck_assert_str_eq(label, second);
}
END_TEST

START_TEST(id_that_is_a_label_is_its_own_label)
{
	record_id_label("payment-1", label);
	ck_assert_str_eq(label, "payment-1");
}
END_TEST

static bool is_hash(const char *text)
{
	return strlen(text) == 10 && strspn(text, "0123456789abcdef") == 10;
}

START_TEST(other_ids_keep_what_can_be_read)
{
	char id[LIMIT_ID + 1];

	record_id_label("Web_1", label);
	ck_assert_int_eq(strncmp(label, "web-1-", 6), 0);
	ck_assert(is_hash(label + 6));
	record_id_label("--a..", label);
	ck_assert_int_eq(strncmp(label, "a-", 2), 0);
	ck_assert(is_hash(label + 2));
	record_id_label("...", label);
	ck_assert(is_hash(label));
	record_id_label("\xc3\xa4", label);
	ck_assert(is_hash(label));
	memset(id, 'X', LIMIT_ID);
	id[LIMIT_ID] = '\0';
	record_id_label(id, label);
	ck_assert_uint_eq(strlen(label), 63);
	ck_assert(is_hash(label + 53));
	ck_assert(record_label_parse(label, second));
}
END_TEST

/* A name must be the same after a restart and on another node. */
START_TEST(labels_of_ids_never_change)
{
	record_id_label("Web_1", label);
	ck_assert_str_eq(label, "web-1-83095d1a4a");
}
END_TEST

START_TEST(ids_alike_get_labels_of_their_own)
{
	static const char *const ids[] = { "web_1", "Web_1",  "web.1",  "WEB-1", "web 1",
					   "web-1", "web-1-", "-web-1", "web-1." };
	enum {
		N = sizeof(ids) / sizeof(ids[0])
	};
	char labels[N][LIMIT_LABEL + 1];

	for (size_t i = 0; i < N; i++) {
		record_id_label(ids[i], labels[i]);
		ck_assert(record_label_parse(labels[i], second));
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(labels[i], labels[j]);
	}
}
END_TEST

static char *copy(const char *text)
{
	char *made = strdup(text);

	ck_assert_ptr_nonnull(made);
	return made;
}

START_TEST(a_label_stands_behind_its_id)
{
	struct registration registration = { .id = copy("payment-1") };

	ck_assert(record_put_label(&registration));
	ck_assert_ptr_eq(record_label(&registration), registration.id);
	free(registration.id);

	registration.id = copy("Web_1");
	ck_assert(record_put_label(&registration));
	ck_assert_str_eq(registration.id, "Web_1");
	ck_assert_str_eq(record_label(&registration), "web-1-83095d1a4a");
	free(registration.id);
}
END_TEST

/* A registration with everything in it. */
static struct registration *make_registration(void)
{
	struct registration *made = record_registration_new();

	ck_assert_ptr_nonnull(made);
	made->service = copy("payment");
	made->id = copy("a");
	made->address.has_v4 = true;
	made->address.v4[0] = 10;
	made->port = 8080;
	made->n_ports = made->n_tags = made->n_meta = made->n_checks = 1;
	made->ports = calloc(1, sizeof(*made->ports));
	made->ports[0] = (struct named_port){ copy("http"), 80 };
	made->tags = calloc(1, sizeof(*made->tags));
	made->tags[0] = copy("eu");
	made->meta = calloc(1, sizeof(*made->meta));
	made->meta[0] = (struct meta){ copy("version"), copy("1") };
	made->checks = calloc(1, sizeof(*made->checks));
	made->checks[0] = (struct check_spec){ .kind = CHECK_HTTP, .path = copy("/health") };
	return made;
}

START_TEST(equal_means_every_field)
{
	struct registration *a = make_registration(), *b = make_registration();

	ck_assert(record_registration_equal(a, b));
#define CHECK_FIELD(field, changed)                                      \
	do {                                                             \
		__typeof__(b->field) saved = b->field;                   \
		b->field = (changed);                                    \
		ck_assert_msg(!record_registration_equal(a, b), #field); \
		b->field = saved;                                        \
		ck_assert(record_registration_equal(a, b));              \
	} while (0)
	char other[] = "other";

	CHECK_FIELD(service, other);
	CHECK_FIELD(id, other);
	const struct address none = { .v4 = { 10 } };
	const struct address both = { .has_v4 = true, .has_v6 = true, .v4 = { 10 } };

	CHECK_FIELD(address, none);
	CHECK_FIELD(address, both);
	CHECK_FIELD(address.v4[3], 1);
	CHECK_FIELD(port, 1);
	CHECK_FIELD(priority, 1);
	CHECK_FIELD(weight, 1);
	CHECK_FIELD(ttl_s, 1);
	CHECK_FIELD(lease_ms, 1);
	CHECK_FIELD(n_ports, 0);
	CHECK_FIELD(n_tags, 0);
	CHECK_FIELD(n_meta, 0);
	CHECK_FIELD(n_checks, 0);
	CHECK_FIELD(ports[0].name, other);
	CHECK_FIELD(ports[0].port, 1);
	CHECK_FIELD(tags[0], other);
	CHECK_FIELD(meta[0].key, other);
	CHECK_FIELD(meta[0].value, other);
	CHECK_FIELD(checks[0].kind, CHECK_TCP);
	CHECK_FIELD(checks[0].port, 1);
	CHECK_FIELD(checks[0].path, other);
	CHECK_FIELD(checks[0].path, NULL);
	CHECK_FIELD(checks[0].interval_ms, 1);
	CHECK_FIELD(checks[0].timeout_ms, 1);
	CHECK_FIELD(checks[0].rise, 1);
	CHECK_FIELD(checks[0].fall, 1);
	CHECK_FIELD(checks[0].initial, STATUS_WARNING);
	CHECK_FIELD(checks[0].ttl_ms, 1);
	CHECK_FIELD(checks[0].tls_skip_verify, true);
	CHECK_FIELD(checks[0].method, other);
	CHECK_FIELD(checks[0].expected, other);
	CHECK_FIELD(checks[0].headers, other);
	CHECK_FIELD(checks[0].server_name, other);
#undef CHECK_FIELD
	b->protocol = PROTOCOL_UDP; /* a bit-field has no __typeof__ */
	ck_assert(!record_registration_equal(a, b));
	record_registration_free(a);
	record_registration_free(b);
	record_registration_free(NULL);
}
END_TEST

START_TEST(a_copied_check_is_equal)
{
	struct check_spec spec = { .kind = CHECK_HTTPS,
				   .port = 443,
				   .path = (char[]){ "/" },
				   .method = (char[]){ "HEAD" },
				   .headers = (char[]){ "A: b\r\n" },
				   .server_name = (char[]){ "a.example" } };
	struct check_spec other;

	ck_assert(record_check_copy(&other, &spec));
	ck_assert(record_check_equal(&other, &spec));
	ck_assert_ptr_ne(other.path, spec.path);
	ck_assert_ptr_null(other.expected);
	record_check_fini(&other);
	ck_assert_ptr_null(other.path);
}
END_TEST

START_TEST(expected_statuses)
{
	ck_assert(record_check_expects(NULL, 200));
	ck_assert(record_check_expects(NULL, 299));
	ck_assert(!record_check_expects(NULL, 199));
	ck_assert(!record_check_expects(NULL, 300));
	ck_assert(record_check_expects("404", 404));
	ck_assert(!record_check_expects("404", 200));
	ck_assert(record_check_expects("200-204,301,400-404", 202));
	ck_assert(record_check_expects("200-204,301,400-404", 301));
	ck_assert(record_check_expects("200-204,301,400-404", 404));
	ck_assert(!record_check_expects("200-204,301,400-404", 205));
	ck_assert(!record_check_expects("200-204,301,400-404", 302));
}
END_TEST

START_TEST(checks_of_loopback_addresses)
{
	static const struct {
		const char *address;
		enum check_kind kind;
		bool is_so;
	} cases[] = {
		{ "127.0.0.1", CHECK_HTTP, true }, { "127.200.0.1", CHECK_TCP, true },
		{ "::1", CHECK_HTTPS, true },      { "127.0.0.1", CHECK_TTL, false },
		{ "128.0.0.1", CHECK_TCP, false }, { "2001:db8::1", CHECK_TCP, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct check_spec spec = { .kind = cases[i].kind };
		struct registration registration = { .checks = &spec };
		const char *reason;

		ck_assert(record_address_parse(cases[i].address, &registration.address, &reason));
		ck_assert(!record_checks_loopback(&registration));
		registration.n_checks = 1;
		ck_assert_msg(record_checks_loopback(&registration) == cases[i].is_so, "%s",
			      cases[i].address);
	}
}
END_TEST

START_TEST(kinds_have_names)
{
	ck_assert_str_eq(record_protocol_name(PROTOCOL_TCP), "tcp");
	ck_assert_str_eq(record_protocol_name(PROTOCOL_UDP), "udp");
	ck_assert_str_eq(record_check_kind_name(CHECK_HTTP), "http");
	ck_assert_str_eq(record_check_kind_name(CHECK_HTTPS), "https");
	ck_assert_str_eq(record_check_kind_name(CHECK_TCP), "tcp");
	ck_assert_str_eq(record_check_kind_name(CHECK_TTL), "ttl");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("record");
	TCase *tcase = tcase_create("record");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, labels_are_ldh_in_lower_case);
	tcase_add_test(tcase, addresses_of_both_families);
	tcase_add_test(tcase, loopback_and_private_addresses_are_good);
	tcase_add_test(tcase, addresses_that_reach_nobody_are_refused);
	tcase_add_test(tcase, durations);
	tcase_add_test(tcase, default_ids_are_labels);
	tcase_add_test(tcase, id_that_is_a_label_is_its_own_label);
	tcase_add_test(tcase, other_ids_keep_what_can_be_read);
	tcase_add_test(tcase, a_label_stands_behind_its_id);
	tcase_add_test(tcase, labels_of_ids_never_change);
	tcase_add_test(tcase, ids_alike_get_labels_of_their_own);
	tcase_add_test(tcase, equal_means_every_field);
	tcase_add_test(tcase, a_copied_check_is_equal);
	tcase_add_test(tcase, expected_statuses);
	tcase_add_test(tcase, checks_of_loopback_addresses);
	tcase_add_test(tcase, kinds_have_names);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
