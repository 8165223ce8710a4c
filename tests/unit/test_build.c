/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/build.h"

#include "base/random.h"
#include "dns/rr.h"

#include <ldns/ldns.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MANY = 3000,
	TTL = 5,
};

/* The question that records' owners point to. */
static const uint8_t question[] = "\7payment\7service\5local\0\0\1\0";
enum {
	QUESTION_LEN = sizeof(question), /* the NUL is the class's last octet but one */
};

static struct build build;

static void set_up(void)
{
	build_init(&build);
	build_begin(&build);
}

static void tear_down(void)
{
	build_fini(&build);
}

static struct entry *finish(void)
{
	struct entry *entry = build_entry(&build, (const uint8_t *)"\7payment", 8);

	ck_assert_ptr_nonnull(entry);
	ck_assert_uint_eq(entry->name_len, 8);
	ck_assert_mem_eq(entry->name, "\7payment", 8);
	return entry;
}

static const struct rrset *find(const struct entry *entry, uint16_t type)
{
	const struct rrset *set = entry_find(entry, type);

	ck_assert_ptr_nonnull(set);
	ck_assert_uint_eq(set->type, type);
	ck_assert_uint_eq((uintptr_t)set % 8, 0);
	return set;
}

/* Octets of records as ldns reads them behind the question. */
static ldns_rr_list *decode(const uint8_t *records, size_t len, size_t n)
{
	size_t message_len = LDNS_HEADER_SIZE + QUESTION_LEN + len, at = LDNS_HEADER_SIZE;
	uint8_t *message = calloc(1, message_len);
	ldns_rr_list *list = ldns_rr_list_new();

	memcpy(message + at, question, sizeof(question) - 1);
	message[at + QUESTION_LEN - 1] = CLASS_IN;
	at += QUESTION_LEN;
	memcpy(message + at, records, len);
	for (size_t i = 0; i < n; i++) {
		ldns_rr *rr;

		ck_assert_int_eq(ldns_wire2rr(&rr, message, message_len, &at, LDNS_SECTION_ANSWER),
				 LDNS_STATUS_OK);
		ldns_rr_list_push_rr(list, rr);
	}
	ck_assert_uint_eq(at, message_len);
	free(message);
	return list;
}

/* A record against its text in a zone file. */
static void check_rr(const ldns_rr *rr, const char *expected_text)
{
	ldns_rr *expected;

	ck_assert_int_eq(ldns_rr_new_frm_str(&expected, expected_text, 0, NULL, NULL),
			 LDNS_STATUS_OK);
	if (ldns_rr_compare(rr, expected) != 0 || ldns_rr_ttl(rr) != ldns_rr_ttl(expected)) {
		char *text = ldns_rr2str(rr);

		ck_abort_msg("%s is not %s", text, expected_text);
	}
	ldns_rr_free(expected);
}

static void put_address(uint32_t number)
{
	uint8_t address[4] = { 10, (uint8_t)(number >> 16), (uint8_t)(number >> 8),
			       (uint8_t)number };

	build_record(&build, address, 4, NULL, 0);
}

static void put_text(const char *text)
{
	uint8_t len = (uint8_t)strlen(text);

	build_record(&build, &len, 1, text, len);
}

START_TEST(records_are_read_by_ldns)
{
	static const uint8_t srv[] = { 0, 10, 0, 100, 0x1f, 0x90 };
	static const uint8_t target[] = "\1a\7payment\7service\5local";
	struct entry *entry;
	const struct rrset *set;
	ldns_rr_list *list;

	build_set(&build, RR_A, TTL);
	put_address(1);
	put_address(2);
	build_set(&build, RR_TXT, 60);
	put_text("a=b");
	put_text("longer=text");
	build_set(&build, RR_SRV, 86400);
	build_record(&build, srv, sizeof(srv), target, sizeof(target));
	entry = finish();
	ck_assert_uint_eq(entry->n_sets, 3);

	set = find(entry, RR_A);
	ck_assert_uint_eq(set->count, 2);
	ck_assert_uint_eq(set->ttl_s, TTL);
	ck_assert_uint_eq(set->stride, 16);
	ck_assert_uint_eq(set->len, 32);
	list = decode(set->records, set->len, set->count);
	check_rr(ldns_rr_list_rr(list, 0), "payment.service.local. 5 IN A 10.0.0.1");
	check_rr(ldns_rr_list_rr(list, 1), "payment.service.local. 5 IN A 10.0.0.2");
	ldns_rr_list_deep_free(list);

	set = find(entry, RR_TXT);
	ck_assert_uint_eq(set->stride, 0);
	list = decode(set->records, set->len, set->count);
	check_rr(ldns_rr_list_rr(list, 0), "payment.service.local. 60 IN TXT \"a=b\"");
	check_rr(ldns_rr_list_rr(list, 1), "payment.service.local. 60 IN TXT \"longer=text\"");
	ldns_rr_list_deep_free(list);

	set = find(entry, RR_SRV);
	ck_assert_uint_eq(set->stride, set->len);
	list = decode(set->records, set->len, set->count);
	check_rr(ldns_rr_list_rr(list, 0),
		 "payment.service.local. 86400 IN SRV 10 100 8080 a.payment.service.local.");
	ldns_rr_list_deep_free(list);
	free(entry);
}
END_TEST

START_TEST(stride_is_for_records_of_one_size)
{
	static const struct {
		const char *texts[4];
		uint16_t stride;
	} cases[] = {
		{ { "a" }, 14 },
		{ { "a", "b", "c", "d" }, 14 },
		{ { "ab", "b" }, 0 },
		{ { "a", "b", "c", "dd" }, 0 },
		{ { "a", "bb", "c", "d" }, 0 },
		{ { "aa", "b", "cc", "dd" }, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct entry *entry;

		build_begin(&build);
		build_set(&build, RR_TXT, TTL);
		for (size_t k = 0; k < 4 && cases[i].texts[k]; k++)
			put_text(cases[i].texts[k]);
		entry = finish();
		ck_assert_uint_eq(find(entry, RR_TXT)->stride, cases[i].stride);
		free(entry);
	}
}
END_TEST

/* The largest record there is has more octets than a stride can say. */
START_TEST(record_of_65535_octets_has_no_wrong_stride)
{
	static const size_t lens[] = { 65535 - RR_RDATA_AT, 65535 - RR_RDATA_AT + 1, 65535 };
	static const uint16_t strides[] = { 65535, 0, 0 };
	static uint8_t rdata[65535];

	for (size_t i = 0; i < 3; i++) {
		for (uint32_t n = 1; n < 3; n++) {
			struct entry *entry;
			const struct rrset *set;

			build_begin(&build);
			build_set(&build, 65280, TTL);
			for (uint32_t k = 0; k < n; k++)
				build_record(&build, rdata, lens[i], NULL, 0);
			entry = finish();
			set = find(entry, 65280);
			ck_assert_uint_eq(set->count, n);
			ck_assert_uint_eq(set->stride, strides[i]);
			ck_assert_uint_eq(set->len, n * (RR_RDATA_AT + lens[i]));
			free(entry);
			build_dedupe(&build);
			entry = finish();
			set = find(entry, 65280);
			ck_assert_uint_eq(set->count, 1);
			ck_assert_uint_eq(set->stride, strides[i]);
			free(entry);
		}
	}
}
END_TEST

START_TEST(equal_records_count_once)
{
	static const char *const texts[] = { "x", "long", "x", "other", "long", "x", "y" };
	const struct rrset *set;
	struct entry *entry;
	ldns_rr_list *list;

	/* A set before it stays as it is. */
	build_set(&build, RR_A, TTL);
	put_address(7);
	put_address(7);
	build_set(&build, RR_TXT, TTL);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		put_text(texts[i]);
	build_dedupe(&build);
	build_set(&build, RR_AAAA, TTL);
	build_record(&build, "0123456789abcdef", 16, NULL, 0);
	entry = finish();
	ck_assert_uint_eq(find(entry, RR_A)->count, 2);
	set = find(entry, RR_TXT);
	ck_assert_uint_eq(set->count, 4);
	ck_assert_uint_eq(set->stride, 0);
	list = decode(set->records, set->len, set->count);
	for (size_t i = 0; i < 4; i++)
		for (size_t k = 0; k < i; k++)
			ck_assert_int_ne(
				ldns_rr_compare(ldns_rr_list_rr(list, i), ldns_rr_list_rr(list, k)),
				0);
	ldns_rr_list_deep_free(list);
	list = decode(find(entry, RR_AAAA)->records, 28, 1);
	check_rr(ldns_rr_list_rr(list, 0),
		 "payment.service.local. 5 IN AAAA 3031:3233:3435:3637:3839:6162:6364:6566");
	ldns_rr_list_deep_free(list);
	free(entry);
}
END_TEST

START_TEST(all_equal_is_one)
{
	struct entry *entry;

	build_set(&build, RR_A, TTL);
	build_dedupe(&build);
	for (unsigned i = 0; i < 500; i++)
		put_address(1);
	build_dedupe(&build);
	entry = finish();
	ck_assert_uint_eq(find(entry, RR_A)->count, 1);
	ck_assert_uint_eq(find(entry, RR_A)->stride, 16);
	ck_assert_uint_eq(find(entry, RR_A)->len, 16);
	free(entry);
}
END_TEST

/* ---- The draw ---- */

static const struct alias *alias_of(const struct rrset *set)
{
	ck_assert_uint_ne(set->alias_off, 0);
	ck_assert_uint_eq(set->alias_off % _Alignof(struct alias), 0);
	return (const struct alias *)(const void *)((const uint8_t *)set + set->alias_off);
}

/*
 * What record `i` gets of all columns, in units of 2^-32 columns, is weight * n / total but for
 * what the division of each column that it has a part in rounds down: below one unit each.
 */
static void check_shares(const uint32_t *weights, uint32_t n)
{
	uint64_t total = 0, *mass = calloc(n, sizeof(*mass));
	uint32_t *n_parts = calloc(n, sizeof(*n_parts));
	const struct alias *alias;
	const struct rrset *set;
	struct entry *entry;

	build_begin(&build);
	build_set(&build, RR_A, TTL);
	for (uint32_t i = 0; i < n; i++)
		put_address(i);
	build_rotate(&build, weights, n);
	entry = finish();
	set = find(entry, RR_A);
	ck_assert_uint_eq(set->count, n);
	ck_assert_uint_eq(set->n_rotate, n);
	alias = alias_of(set);
	for (uint32_t i = 0; i < n; i++) {
		ck_assert(alias[i].other < n && alias[i].weight == weights[i]);
		mass[i] += alias[i].keep;
		mass[alias[i].other] += (UINT64_C(1) << 32) - alias[i].keep;
		n_parts[i]++;
		n_parts[alias[i].other] += alias[i].other != i;
		total += weights[i];
	}
	for (uint32_t i = 0; i < n; i++) {
		__uint128_t is = (__uint128_t)mass[i] * total;
		__uint128_t should = (__uint128_t)weights[i] * n << 32;
		__uint128_t apart = is > should ? is - should : should - is;

		ck_assert_msg(apart < (__uint128_t)n_parts[i] * total, "record %u of %u", i, n);
		/* Weight 0 is never drawn, not even by a rounding error. */
		ck_assert(weights[i] || mass[i] == 0);
	}
	free(entry);
	free(mass);
	free(n_parts);
}

START_TEST(shares_are_the_weights)
{
	static const uint32_t two[] = { 1, 3 }, zero[] = { 0, 1 }, zeros[] = { 0, 0, 5, 0, 0 };
	static const uint32_t extremes[] = { 1, 65535, 65535, 1, 0, 65535 };
	static const uint32_t thirds[] = { 1, 1, 1, 2, 2, 2, 4 };
	static const uint32_t huge[] = { UINT32_MAX, 1, UINT32_MAX - 1, 0 };

	check_shares(two, 2);
	check_shares(zero, 2);
	check_shares(zeros, 5);
	check_shares(extremes, 6);
	check_shares(thirds, 7);
	check_shares(huge, 4);
}
END_TEST

START_TEST(shares_of_random_weights)
{
	static const uint32_t bounds[] = { 2, 3, 100, 65536 };
	static uint32_t weights[1000];
	struct random random;

	random_init_seed(&random, 4);
	for (unsigned round = 0; round < 200; round++) {
		uint32_t n = round < 4 ? 1000 : 2 + random_below(&random, 60);

		for (uint32_t i = 0; i < n; i++)
			weights[i] = random_below(&random, bounds[round % 4]);
		weights[0] = weights[1] + 1;
		check_shares(weights, n);
	}
}
END_TEST

START_TEST(equal_weights_need_no_table)
{
	static const uint32_t equal[] = { 7, 7, 7 }, zeros[] = { 0, 0, 0 };

	for (unsigned i = 0; i < 2; i++) {
		struct entry *entry;

		build_begin(&build);
		build_set(&build, RR_A, TTL);
		for (uint32_t k = 0; k < 3; k++)
			put_address(k);
		build_rotate(&build, i ? equal : zeros, 3);
		build_limit(&build, 2);
		entry = finish();
		ck_assert_uint_eq(find(entry, RR_A)->alias_off, 0);
		ck_assert_uint_eq(find(entry, RR_A)->n_rotate, 3);
		ck_assert_uint_eq(find(entry, RR_A)->limit, 2);
		free(entry);
	}
}
END_TEST

/* A table for the first two; the last is there all the same. Odd sizes before it are no harm. */
START_TEST(some_records_do_not_rotate)
{
	static const uint32_t weights[] = { 1, 3 };
	const struct rrset *set;
	struct entry *entry;

	build_set(&build, RR_TXT, TTL);
	put_text("odd");
	put_text("x");
	put_text("last!");
	build_rotate(&build, weights, 2);
	entry = finish();
	set = find(entry, RR_TXT);
	ck_assert_uint_eq(set->n_rotate, 2);
	ck_assert_uint_eq(set->count, 3);
	ck_assert_uint_ge(set->alias_off, offsetof(struct rrset, records) + set->len);
	ck_assert_uint_eq(alias_of(set)[0].weight, 1);
	ck_assert_uint_eq(alias_of(set)[1].weight, 3);
	ldns_rr_list_deep_free(decode(set->records, set->len, set->count));
	free(entry);
}
END_TEST

/* ---- Additional records ---- */

START_TEST(additional_records_name_their_record)
{
	static const uint8_t srv[] = { 0, 1, 0, 1, 0, 80 };
	static const uint32_t weights[] = { 1, 2 };
	const struct rrset *set;
	struct entry *entry;
	const uint8_t *at;

	build_set(&build, RR_SRV, TTL);
	build_record(&build, srv, 6, "\1a", 3);
	build_record(&build, srv, 6, "\1b", 3);
	build_rotate(&build, weights, 2);
	build_targets(&build, 1);
	build_target(&build, RR_A, "\12\0\0\1", 4);
	build_targets(&build, 2);
	build_target(&build, RR_A, "\12\0\0\2", 4);
	build_target(&build, RR_AAAA, "0123456789abcdef", 16);
	entry = finish();
	set = find(entry, RR_SRV);
	ck_assert_uint_eq(set->add_count, 3);
	ck_assert_uint_eq(set->add_len, 2 * RR_A_LEN + RR_AAAA_LEN);
	at = (const uint8_t *)set + set->add_off;
	for (uint32_t i = 0; i < 3; i++) {
		size_t len = i < 2 ? 16 : 28;
		uint8_t record[28];
		ldns_rr_list *list;

		if (i < 2)
			ck_assert_uint_eq(*at++, i + 1);
		memcpy(record, at, len);
		ck_assert_mem_eq(record, "\0\0", 2);
		memcpy(record, "\xc0\x0c", 2);
		list = decode(record, len, 1);
		check_rr(ldns_rr_list_rr(list, 0),
			 i == 0   ? "payment.service.local. 5 IN A 10.0.0.1"
			 : i == 1 ? "payment.service.local. 5 IN A 10.0.0.2"
				  : "payment.service.local. 5 IN AAAA "
				    "3031:3233:3435:3637:3839:6162:6364:6566");
		ldns_rr_list_deep_free(list);
		at += len;
	}
	free(entry);
}
END_TEST

START_TEST(glue_has_its_own_names)
{
	static const uint8_t server[] = "\2ns\3sub\7service\5local";
	const struct rrset *set;
	struct entry *entry;
	ldns_rr_list *list;

	build_set(&build, RR_NS, TTL);
	build_record(&build, server, sizeof(server), NULL, 0);
	build_glue(&build, server, sizeof(server), RR_A, 77, "\12\0\0\1", 4);
	build_glue(&build, server, sizeof(server), RR_AAAA, 78, "0123456789abcdef", 16);
	entry = finish();
	set = find(entry, RR_NS);
	ck_assert_uint_eq(set->add_count, 2);
	list = decode((const uint8_t *)set + set->add_off, set->add_len, 2);
	check_rr(ldns_rr_list_rr(list, 0), "ns.sub.service.local. 77 IN A 10.0.0.1");
	check_rr(ldns_rr_list_rr(list, 1),
		 "ns.sub.service.local. 78 IN AAAA 3031:3233:3435:3637:3839:6162:6364:6566");
	ldns_rr_list_deep_free(list);
	free(entry);
}
END_TEST

/* ---- Much of it ---- */

/* Every buffer moves several times while records, tables and additional records are put. */
START_TEST(many_records_while_buffers_move)
{
	static uint32_t weights[MANY];
	static const uint8_t srv[] = { 0, 1, 0, 1, 0, 80 };
	const struct rrset *set;
	struct entry *entry;
	ldns_rr_list *list;
	const uint8_t *at;

	build_set(&build, RR_A, TTL);
	for (uint32_t i = 0; i < MANY; i++) {
		put_address(i);
		weights[i] = i;
	}
	build_rotate(&build, weights, MANY);
	build_set(&build, RR_SRV, TTL);
	for (uint32_t i = 0; i < MANY; i++) {
		char label[9];

		snprintf(label, sizeof(label), "\6i%05u", i);
		build_record(&build, srv, 6, label, 8);
	}
	build_rotate(&build, weights, MANY);
	for (uint32_t i = 0; i < MANY; i++) {
		build_targets(&build, 1);
		build_target(&build, RR_A, "\12\0\0\1", 4);
	}
	entry = finish();

	set = find(entry, RR_A);
	ck_assert_uint_eq(set->count, MANY);
	ck_assert_uint_eq(set->stride, 16);
	list = decode(set->records, set->len, MANY);
	for (uint32_t i = 0; i < MANY; i += 100) {
		char text[80];

		snprintf(text, sizeof(text), "payment.service.local. 5 IN A 10.%u.%u.%u", i >> 16,
			 i >> 8 & 255, i & 255);
		check_rr(ldns_rr_list_rr(list, i), text);
	}
	ldns_rr_list_deep_free(list);
	ck_assert_uint_eq(alias_of(set)[MANY - 1].weight, MANY - 1);

	set = find(entry, RR_SRV);
	ck_assert_uint_eq(set->count, MANY);
	ck_assert_uint_eq(set->stride, RR_RDATA_AT + 14);
	ldns_rr_list_deep_free(decode(set->records, set->len, MANY));
	ck_assert_uint_eq(set->add_count, MANY);
	ck_assert_uint_eq(set->add_len, MANY * RR_A_LEN);
	at = (const uint8_t *)set + set->add_off;
	for (uint32_t i = 0; i < MANY; i++)
		ck_assert_uint_eq(at[(size_t)i * (1 + RR_A_LEN)], 1);
	free(entry);
}
END_TEST

START_TEST(many_are_deduped)
{
	struct entry *entry;

	build_set(&build, RR_TXT, TTL);
	for (uint32_t i = 0; i < MANY; i++) {
		char text[16];

		snprintf(text, sizeof(text), "%u", i % 137);
		put_text(text);
	}
	build_dedupe(&build);
	entry = finish();
	ck_assert_uint_eq(find(entry, RR_TXT)->count, 137);
	ldns_rr_list_deep_free(decode(find(entry, RR_TXT)->records, find(entry, RR_TXT)->len, 137));
	free(entry);
}
END_TEST

START_TEST(every_type_that_there_is_room_for)
{
	struct entry *entry;

	for (uint16_t i = 0; i < BUILD_SETS_MAX; i++) {
		build_set(&build, (uint16_t)(65280 + i), i);
		build_record(&build, "0123456789", i % 10, NULL, 0);
	}
	entry = finish();
	ck_assert_uint_eq(entry->n_sets, BUILD_SETS_MAX);
	for (uint16_t i = 0; i < BUILD_SETS_MAX; i++) {
		const struct rrset *set = find(entry, (uint16_t)(65280 + i));

		ck_assert_uint_eq(set->ttl_s, i);
		ck_assert_uint_eq(set->len, RR_RDATA_AT + i % 10u);
		ldns_rr_list_deep_free(decode(set->records, set->len, 1));
	}
	free(entry);
}
END_TEST

START_TEST(next_entry_starts_empty)
{
	static const uint32_t weights[] = { 1, 2 };
	struct entry *entry;

	build_set(&build, RR_A, TTL);
	put_address(1);
	put_address(2);
	build_rotate(&build, weights, 2);
	free(finish());
	build_begin(&build);
	entry = finish();
	ck_assert_uint_eq(entry->n_sets, 0);
	ck_assert_ptr_null(entry_find(entry, RR_A));
	free(entry);
	build_begin(&build);
	build_set(&build, RR_A, TTL);
	put_address(3);
	entry = finish();
	ck_assert_uint_eq(find(entry, RR_A)->count, 1);
	ck_assert_uint_eq(find(entry, RR_A)->alias_off, 0);
	ck_assert_uint_eq(find(entry, RR_A)->n_rotate, 0);
	free(entry);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_test(tcase, records_are_read_by_ldns);
	tcase_add_test(tcase, stride_is_for_records_of_one_size);
	tcase_add_test(tcase, record_of_65535_octets_has_no_wrong_stride);
	tcase_add_test(tcase, equal_records_count_once);
	tcase_add_test(tcase, all_equal_is_one);
	tcase_add_test(tcase, shares_are_the_weights);
	tcase_add_test(tcase, shares_of_random_weights);
	tcase_add_test(tcase, equal_weights_need_no_table);
	tcase_add_test(tcase, some_records_do_not_rotate);
	tcase_add_test(tcase, additional_records_name_their_record);
	tcase_add_test(tcase, glue_has_its_own_names);
	tcase_add_test(tcase, many_records_while_buffers_move);
	tcase_add_test(tcase, many_are_deduped);
	tcase_add_test(tcase, every_type_that_there_is_room_for);
	tcase_add_test(tcase, next_entry_starts_empty);
}

int main(void)
{
	Suite *suite = suite_create("build");
	TCase *tcase = tcase_create("build");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 60);
	add_tests(tcase);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
