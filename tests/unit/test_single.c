/* SPDX-License-Identifier: BSD-2-Clause */
#include "dns/rr.h"
#include "dns/wire.h"
#include "model/build.h"
#include "model/handout.h"
#include "model/single.h"

#include <check.h>
#include <stdlib.h>

enum {
	TTL = 5,
	NAME_LEN = 10,
	NO_TYPE = 99,
};

static const uint8_t name[] = "\1a\7payment";
static const uint8_t v4[] = { 10, 0, 0, 1 }, v6[] = { 0x20, 1, 0xd, 0xb8, [15] = 1 };
static const uint8_t srv[] = { 0, 10, 0, 100, 0x1f, 0x90 };
static const uint8_t target[] = "\1a\7payment\7service\5local";
static const uint8_t text[] = "\3a=b\3c=d";
static struct zone zone = { .origin = "\7service\5local", .origin_len = 15 };

static struct entry *make(const uint8_t *ipv4, const uint8_t *ipv6, const uint8_t *txt,
			  size_t txt_len)
{
	const struct single_data data = {
		.ttl_s = TTL,
		.v4 = ipv4,
		.v6 = ipv6,
		.priority = 10,
		.weight = 100,
		.port = 8080,
		.txt = txt,
		.txt_len = txt_len,
	};
	struct entry *const entry = single_entry(name, NAME_LEN, &data);

	ck_assert_ptr_nonnull(entry);
	return entry;
}

/* The same answers the long way. */
static struct entry *make_sets(const uint8_t *ipv4, const uint8_t *ipv6, const uint8_t *txt,
			       size_t txt_len)
{
	const uint32_t weight = 100;
	struct build build;

	build_init(&build);
	build_begin(&build);
	if (ipv4) {
		build_set(&build, RR_A, TTL);
		build_record(&build, ipv4, 4, NULL, 0);
		build_rotate(&build, &weight, 1);
	}
	if (ipv6) {
		build_set(&build, RR_AAAA, TTL);
		build_record(&build, ipv6, 16, NULL, 0);
		build_rotate(&build, &weight, 1);
	}
	build_set(&build, RR_SRV, TTL);
	build_record(&build, srv, sizeof(srv), target, sizeof(target));
	build_rotate(&build, &weight, 1);
	build_targets(&build, (uint8_t)(!!ipv4 + !!ipv6));
	if (ipv4)
		build_target(&build, RR_A, ipv4, 4);
	if (ipv6)
		build_target(&build, RR_AAAA, ipv6, 16);
	build_set(&build, RR_TXT, TTL);
	build_record(&build, txt, txt_len, NULL, 0);
	struct entry *const entry = build_entry(&build, name, NAME_LEN);
	ck_assert_ptr_nonnull(entry);
	build_fini(&build);
	return entry;
}

/* Every set is, octet for octet, the one that would have been laid out in the entry. */
static void check_same(const uint8_t *ipv4, const uint8_t *ipv6, const uint8_t *txt, size_t txt_len)
{
	static const uint16_t types[] = { RR_A, RR_AAAA, RR_SRV, RR_TXT, NO_TYPE };
	struct entry *const single = make(ipv4, ipv6, txt, txt_len);
	struct entry *const sets = make_sets(ipv4, ipv6, txt, txt_len);
	union single_room room;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		const struct rrset *const expected = entry_find(sets, types[i]);

		memset(&room, 0xaa, sizeof(room));
		const struct rrset *const found = single_set(single, &zone, types[i], &room);
		ck_assert_int_eq(found != NULL, expected != NULL);
		if (!found)
			continue;
		/* What belongs to it ends with the additional records and their number. */
		const size_t len = expected->add_off ? expected->add_off + 1 + expected->add_len
						     : sizeof(*expected) + expected->len;
		ck_assert_mem_eq(found, expected, len);
	}
	free(single);
	free(sets);
}

START_TEST(sets_are_as_if_they_had_been_built)
{
	check_same(v4, NULL, text, sizeof(text) - 1);
	check_same(NULL, v6, text, sizeof(text) - 1);
	check_same(v4, v6, text, sizeof(text) - 1);
}
END_TEST

START_TEST(an_instance_without_metadata_has_an_empty_string)
{
	check_same(v4, NULL, (const uint8_t *)"", 1);
}
END_TEST

START_TEST(the_longest_text_fits)
{
	static uint8_t longest[SINGLE_TXT_MAX];

	for (size_t at = 0; at < sizeof(longest); at += LIMIT_META_TEXT + 1)
		longest[at] = LIMIT_META_TEXT;
	check_same(v4, v6, longest, sizeof(longest));
}
END_TEST

START_TEST(any_gets_an_address)
{
	struct entry *const both = make(v4, v6, text, sizeof(text) - 1);
	struct entry *const only_v6 = make(NULL, v6, text, sizeof(text) - 1);
	union single_room room;

	ck_assert_uint_eq(single_set(both, &zone, RR_ANY, &room)->type, RR_A);
	ck_assert_uint_eq(single_set(only_v6, &zone, RR_ANY, &room)->type, RR_AAAA);
	free(both);
	free(only_v6);
}
END_TEST

START_TEST(a_group_without_metadata_has_an_empty_string)
{
	struct entry *const sets = make_sets(v4, NULL, (const uint8_t *)"", 1);
	const struct rrset *const expected = entry_find(sets, RR_TXT);
	union single_room room;
	struct build build;

	build_init(&build);
	build_begin(&build);
	build_set(&build, RR_A, TTL);
	build_record(&build, v4, sizeof(v4), NULL, 0);
	struct entry *const group = build_entry(&build, name, NAME_LEN);
	build_fini(&build);
	ck_assert_ptr_null(single_set(group, &zone, RR_TXT, &room));
	atomic_init(&group->flags, ENTRY_TEXTLESS);
	ck_assert_mem_eq(single_set(group, &zone, RR_TXT, &room), expected,
			 sizeof(*expected) + expected->len);
	ck_assert_ptr_null(single_set(group, &zone, RR_SRV, &room));
	free(group);
	free(sets);
}
END_TEST

START_TEST(handing_it_out_counts_with_its_ttl)
{
	enum {
		NOW_MS = 1000 * HANDOUT_TICK_MS,
	};
	struct entry *const old = make(v4, NULL, text, sizeof(text) - 1);
	struct entry *const new = make(v4, v6, text, sizeof(text) - 1);

	handout_note(old, NOW_MS);
	ck_assert_uint_eq(handout_end_ms(old),
			  NOW_MS + HANDOUT_TICK_MS + TTL * 1000 + HANDOUT_ROUNDING_MS);
	/* A worker may be answering from it in this very moment. */
	handout_inherit(new, old, NOW_MS + 10 * HANDOUT_TICK_MS);
	ck_assert_uint_ge(handout_end_ms(new),
			  NOW_MS + 10 * HANDOUT_TICK_MS + TTL * 1000 + HANDOUT_ROUNDING_MS);
	free(old);
	free(new);
}
END_TEST

int main(void)
{
	Suite *const suite = suite_create("single");
	TCase *const tcase = tcase_create("single");

	tcase_add_test(tcase, sets_are_as_if_they_had_been_built);
	tcase_add_test(tcase, an_instance_without_metadata_has_an_empty_string);
	tcase_add_test(tcase, the_longest_text_fits);
	tcase_add_test(tcase, any_gets_an_address);
	tcase_add_test(tcase, a_group_without_metadata_has_an_empty_string);
	tcase_add_test(tcase, handing_it_out_counts_with_its_ttl);
	suite_add_tcase(suite, tcase);

	SRunner *const runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	const int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
