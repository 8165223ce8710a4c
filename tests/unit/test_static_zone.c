/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/static_zone.h"

#include "dns/name.h"
#include "dns/rr.h"

#include <ldns/ldns.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define APEX                                                               \
	"example. 5 IN SOA ns.example. admin.example. 1 3600 600 86400 5", \
		"example. 5 IN NS ns.example."

static struct catalog *catalog;
static struct zone *zone;
static struct build build;
static struct static_zone content, other;
static char message[256];

static void set_up(void)
{
	uint8_t origin[NAME_MAX_LEN];
	size_t len = name_parse("example", origin);

	catalog = catalog_new();
	ck_assert_ptr_nonnull(catalog);
	zone = catalog_zone_new(catalog, origin, len);
	ck_assert_ptr_nonnull(zone);
	build_init(&build);
	message[0] = '\0';
}

static void tear_down(void)
{
	static_zone_fini(&content);
	static_zone_fini(&other);
	build_fini(&build);
	catalog_zone_free(zone);
	catalog_publish(catalog, 1);
	catalog_free(catalog);
}

/* ---- Zones as text ---- */

static struct static_rrset *get_set(struct static_zone *to, const uint8_t *owner, size_t len,
				    uint16_t type)
{
	struct static_rrset *set;

	for (size_t i = 0; i < to->n_sets; i++)
		if (to->sets[i].owner_len == len && memcmp(to->sets[i].owner, owner, len) == 0 &&
		    to->sets[i].type == type)
			return &to->sets[i];
	to->sets = realloc(to->sets, (to->n_sets + 1) * sizeof(*to->sets));
	ck_assert_ptr_nonnull(to->sets);
	set = &to->sets[to->n_sets++];
	*set = (struct static_rrset){ .owner_len = len, .type = type };
	memcpy(set->owner, owner, len);
	return set;
}

/* Adds a record; ldns makes its octets. */
static void add(struct static_zone *to, const char *text)
{
	struct static_rrset *set;
	struct static_rdata *rdata;
	uint8_t octets[1024];
	size_t len = 0;
	ldns_rr *rr;

	ck_assert_int_eq(ldns_rr_new_frm_str(&rr, text, 0, NULL, NULL), LDNS_STATUS_OK);
	for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
		const ldns_rdf *rdf = ldns_rr_rdf(rr, i);

		memcpy(octets + len, ldns_rdf_data(rdf), ldns_rdf_size(rdf));
		len += ldns_rdf_size(rdf);
	}
	set = get_set(to, ldns_rdf_data(ldns_rr_owner(rr)), ldns_rdf_size(ldns_rr_owner(rr)),
		      (uint16_t)ldns_rr_get_type(rr));
	set->ttl_s = ldns_rr_ttl(rr);
	set->rdata = realloc(set->rdata, (set->n_rdata + 1) * sizeof(*set->rdata));
	ck_assert_ptr_nonnull(set->rdata);
	rdata = &set->rdata[set->n_rdata++];
	*rdata = (struct static_rdata){ .len = (uint16_t)len, .data = malloc(len) };
	memcpy(rdata->data, octets, len);
	ldns_rr_free(rr);
}

/* Fills a zone from the last text to the first, so that preparing has something to do. */
static int fill(struct static_zone *to, const char *const *texts, size_t n)
{
	static_zone_fini(to);
	to->origin_len = name_parse("example", to->origin);
	while (n > 0)
		add(to, texts[--n]);
	return static_zone_prepare(to, message, sizeof(message));
}

#define FILL(to, texts) fill(to, texts, sizeof(texts) / sizeof(*(texts)))

static void put(const struct static_zone *from)
{
	ck_assert_int_eq(static_zone_put(from, catalog, zone, &build), 0);
}

/* ---- What is in the catalog ---- */

static size_t relative(const char *text, uint8_t name[NAME_MAX_LEN])
{
	return *text ? name_parse(text, name) - 1 : 0;
}

static const struct entry *find(const char *text)
{
	uint8_t name[NAME_MAX_LEN + 16] = { 0 };
	size_t len = relative(text, name);

	return catalog_find(zone, name, len);
}

static unsigned flags_of(const char *text)
{
	const struct entry *entry = find(text);

	ck_assert_msg(entry != NULL, "%s is not there", text);
	return atomic_load(&entry->flags);
}

static bool has_data(const char *text)
{
	const struct entry *entry = find(text);

	return entry && entry->n_sets > 0;
}

static const struct rrset *find_set(const char *text, uint16_t type)
{
	const struct entry *entry = find(text);
	const struct rrset *set = entry ? entry_find(entry, type) : NULL;

	ck_assert_msg(set != NULL, "%s has no such set", text);
	return set;
}

/* Record by record; `owner` is the question's name that their pointers mean. */
static void check_records(const char *owner, const uint8_t *records, size_t len,
			  const char *const *expected, size_t n)
{
	uint8_t octets[4096] = { 0 };
	size_t at = LDNS_HEADER_SIZE, end;

	at += name_parse(owner, octets + at) + 4;
	memcpy(octets + at, records, len);
	end = at + len;
	for (size_t i = 0; i < n; i++) {
		ldns_rr *rr, *wanted;

		ck_assert_int_eq(ldns_wire2rr(&rr, octets, end, &at, LDNS_SECTION_ANSWER),
				 LDNS_STATUS_OK);
		ck_assert_int_eq(ldns_rr_new_frm_str(&wanted, expected[i], 0, NULL, NULL),
				 LDNS_STATUS_OK);
		ck_assert_msg(ldns_rr_compare(rr, wanted) == 0, "%s: record %zu", owner, i);
		ck_assert_uint_eq(ldns_rr_ttl(rr), ldns_rr_ttl(wanted));
		ldns_rr_free(rr);
		ldns_rr_free(wanted);
	}
	ck_assert_uint_eq(at, end);
}

static void check_set(const char *name, uint16_t type, const char *const *expected, size_t n)
{
	const struct rrset *set = find_set(name, type);
	char owner[300];

	snprintf(owner, sizeof(owner), "%s%sexample", name, *name ? "." : "");
	ck_assert_uint_eq(set->count, n);
	check_records(owner, set->records, set->len, expected, n);
}

/* ---- Preparing ---- */

START_TEST(apex_stands_first_and_names_together)
{
	static const char *const texts[] = {
		APEX,
		"b.example. 5 IN A 10.0.0.1",
		"a.b.example. 5 IN A 10.0.0.1",
		"b.example. 5 IN TXT \"x\"",
		"a.example. 5 IN A 10.0.0.1",
	};

	ck_assert_int_eq(FILL(&content, texts), 0);
	ck_assert_uint_eq(content.n_sets, 6);
	ck_assert_uint_eq(content.sets[0].owner_len, content.origin_len);
	for (size_t i = 1; i < content.n_sets; i++) {
		const struct static_rrset *before = &content.sets[i - 1], *set = &content.sets[i];

		if (before->owner_len == set->owner_len &&
		    memcmp(before->owner, set->owner, set->owner_len) == 0)
			ck_assert_uint_lt(before->type, set->type);
		else
			for (size_t k = 0; k + 1 < i; k++)
				ck_assert(content.sets[k].owner_len != set->owner_len ||
					  memcmp(content.sets[k].owner, set->owner,
						 set->owner_len) != 0);
	}
}
END_TEST

START_TEST(apex_must_have_soa_and_ns)
{
	static const char *const apex[] = { APEX, "www.example. 5 IN A 10.0.0.1" };
	static const char *const elsewhere[] = {
		"sub.example. 5 IN SOA ns.example. admin.example. 1 3600 600 86400 5",
		"sub.example. 5 IN NS ns.example.",
	};

	ck_assert_int_eq(fill(&content, apex, 1), -1);
	ck_assert_str_eq(message, "zone example: no SOA or no NS at its apex");
	ck_assert_int_eq(fill(&content, apex + 1, 2), -1);
	ck_assert_int_eq(FILL(&content, elsewhere), -1);
	ck_assert_int_eq(fill(&content, apex, 0), -1);
	ck_assert_int_eq(fill(&content, apex, 2), 0);
}
END_TEST

START_TEST(origin_is_not_too_long)
{
	for (unsigned more = 0; more < 2; more++) {
		char origin[256], text[600];
		ldns_rdf *name;

		/* Two labels that make LIMIT_ORIGIN octets, then one more. */
		snprintf(origin, sizeof(origin), "%.*s.%.*s", 60,
			 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			 (int)(LIMIT_ORIGIN - 63 + more),
			 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
		static_zone_fini(&content);
		name = ldns_dname_new_frm_str(origin);
		content.origin_len = ldns_rdf_size(name);
		memcpy(content.origin, ldns_rdf_data(name), ldns_rdf_size(name));
		ldns_rdf_deep_free(name);
		ck_assert_uint_eq(content.origin_len, LIMIT_ORIGIN + more);
		snprintf(text, sizeof(text), "%s. 5 IN NS ns.example.", origin);
		add(&content, text);
		snprintf(text, sizeof(text), "%s. 5 IN SOA ns.example. a.example. 1 2 3 4 5",
			 origin);
		add(&content, text);
		ck_assert_int_eq(static_zone_prepare(&content, message, sizeof(message)),
				 more ? -1 : 0);
		if (more)
			ck_assert_ptr_nonnull(strstr(message, "at most 120 octets"));
	}
}
END_TEST

START_TEST(types_of_a_name_are_bounded)
{
	static const char *const apex[] = { APEX };

	for (unsigned n = BUILD_SETS_MAX; n <= BUILD_SETS_MAX + 1; n++) {
		static_zone_fini(&content);
		content.origin_len = name_parse("example", content.origin);
		add(&content, apex[0]);
		add(&content, apex[1]);
		for (unsigned i = 0; i < n; i++) {
			char text[80];

			snprintf(text, sizeof(text), "many.example. 5 IN TYPE%u \\# 1 00",
				 65280 + i);
			add(&content, text);
		}
		ck_assert_int_eq(static_zone_prepare(&content, message, sizeof(message)),
				 n > BUILD_SETS_MAX ? -1 : 0);
		if (n > BUILD_SETS_MAX)
			ck_assert_str_eq(message, "many.example: more than 64 types at one name");
		else
			put(&content);
	}
	ck_assert_uint_eq(find("many")->n_sets, BUILD_SETS_MAX);
}
END_TEST

/* ---- Publishing ---- */

START_TEST(names_and_types_are_published)
{
	static const char *const texts[] = {
		APEX,
		"example. 60 IN TXT \"apex\"",
		"www.example. 30 IN A 10.0.0.1",
		"www.example. 30 IN AAAA 2001:db8::1",
		"deep.er.example. 5 IN TXT \"x\"",
		"alias.example. 7 IN CNAME WWW.Example.",
		"*.wild.example. 5 IN A 10.0.0.9",
	};

	ck_assert_int_eq(FILL(&content, texts), 0);
	put(&content);
	check_set("", RR_SOA, texts, 1);
	check_set("", RR_NS, texts + 1, 1);
	check_set("", RR_TXT, texts + 2, 1);
	check_set("www", RR_A, texts + 3, 1);
	check_set("www", RR_AAAA, texts + 4, 1);
	check_set("deep.er", RR_TXT, texts + 5, 1);
	check_set("alias", RR_CNAME, texts + 6, 1);
	check_set("*.wild", RR_A, texts + 7, 1);
	ck_assert_uint_eq(flags_of("") & (ENTRY_STATIC | ENTRY_DELEGATION), ENTRY_STATIC);
	ck_assert_uint_eq(flags_of("www") & (ENTRY_STATIC | ENTRY_CNAME), ENTRY_STATIC);
	ck_assert_uint_ne(flags_of("alias") & ENTRY_CNAME, 0);
	ck_assert_uint_ne(flags_of("er") & ENTRY_EMPTY, 0);
	ck_assert_uint_ne(flags_of("wild") & ENTRY_WILDCARD_CHILD, 0);
	ck_assert_ptr_eq(atomic_load(&zone->apex), find(""));
	ck_assert(!static_zone_delegates(&content));
}
END_TEST

START_TEST(addresses_rotate_and_the_rest_does_not)
{
	static const char *const texts[] = {
		APEX,
		"www.example. 5 IN A 10.0.0.1",
		"www.example. 5 IN A 10.0.0.2",
		"www.example. 5 IN A 10.0.0.3",
		"www.example. 5 IN AAAA 2001:db8::1",
		"www.example. 5 IN AAAA 2001:db8::2",
		"www.example. 5 IN TXT \"a\"",
		"www.example. 5 IN TXT \"b\"",
	};

	ck_assert_int_eq(FILL(&content, texts), 0);
	put(&content);
	ck_assert_uint_eq(find_set("www", RR_A)->n_rotate, 3);
	ck_assert_uint_eq(find_set("www", RR_A)->alias_off, 0);
	ck_assert_uint_eq(find_set("www", RR_AAAA)->n_rotate, 2);
	ck_assert_uint_eq(find_set("www", RR_TXT)->n_rotate, 0);
	ck_assert_uint_eq(find_set("", RR_NS)->n_rotate, 0);
}
END_TEST

/* A cut shows its NS set with the glue for them, in whatever letter case they are named. */
START_TEST(cut_is_a_referral_with_glue)
{
	static const char *const texts[] = {
		APEX,
		"sub.example. 60 IN NS NS.Sub.Example.",
		"sub.example. 60 IN NS ns.beside.example.",
		"sub.example. 60 IN NS ns.elsewhere.",
		"sub.example. 60 IN A 10.0.0.8",
		"sub.example. 60 IN TXT \"hidden\"",
		"ns.sub.example. 70 IN A 10.0.0.1",
		"ns.sub.example. 70 IN A 10.0.0.2",
		"ns.sub.example. 71 IN AAAA 2001:db8::1",
		"ns.beside.example. 72 IN A 10.0.0.3",
		"other.sub.example. 73 IN A 10.0.0.4",
	};
	/* fill() puts the last record of a set first. */
	static const char *const servers[] = {
		"sub.example. 60 IN NS ns.elsewhere.",
		"sub.example. 60 IN NS ns.beside.example.",
		"sub.example. 60 IN NS NS.Sub.Example.",
	};
	static const char *const glue[] = {
		"ns.beside.example. 72 IN A 10.0.0.3",
		"ns.sub.example. 70 IN A 10.0.0.2",
		"ns.sub.example. 70 IN A 10.0.0.1",
		"ns.sub.example. 71 IN AAAA 2001:db8::1",
	};
	const struct rrset *set;

	ck_assert_int_eq(FILL(&content, texts), 0);
	ck_assert(static_zone_delegates(&content));
	put(&content);
	ck_assert_uint_eq(flags_of("sub") & (ENTRY_STATIC | ENTRY_DELEGATION),
			  ENTRY_STATIC | ENTRY_DELEGATION);
	ck_assert_uint_eq(find("sub")->n_sets, 1);
	check_set("sub", RR_NS, servers, 3);
	set = find_set("sub", RR_NS);
	ck_assert_uint_eq(set->add_count, 4);
	check_records("sub.example", (const uint8_t *)set + set->add_off, set->add_len, glue, 4);
	/* Below the cut nothing is ours. */
	ck_assert_ptr_null(find("ns.sub"));
	ck_assert_ptr_null(find("other.sub"));
	ck_assert(has_data("ns.beside"));
}
END_TEST

START_TEST(cut_below_a_cut_is_not_ours)
{
	static const char *const texts[] = {
		APEX,
		"sub.example. 5 IN NS ns.elsewhere.",
		"sub.sub.example. 5 IN NS ns.elsewhere.",
		"a.b.c.sub.example. 5 IN A 10.0.0.1",
		"xsub.example. 5 IN A 10.0.0.2",
	};

	ck_assert_int_eq(FILL(&content, texts), 0);
	put(&content);
	ck_assert(has_data("sub"));
	ck_assert_ptr_null(find("sub.sub"));
	ck_assert_ptr_null(find("a.b.c.sub"));
	ck_assert_ptr_null(find("c.sub"));
	ck_assert(has_data("xsub"));
}
END_TEST

/* ---- From one content to the next ---- */

static char names[16][64];
static size_t n_names;

static void on_name(void *cookie, const uint8_t *name, size_t len)
{
	char text[NAME_TEXT_MAX];

	ck_assert_ptr_eq(cookie, names);
	ck_assert_uint_lt(n_names, 16);
	name_print(name, len, text);
	snprintf(names[n_names++], sizeof(names[0]), "%.63s", text);
}

static bool is_named(const char *text)
{
	for (size_t i = 0; i < n_names; i++)
		if (strcmp(names[i], text) == 0)
			return true;
	return false;
}

static void difference(const struct static_zone *a, const struct static_zone *b)
{
	n_names = 0;
	static_zone_difference(a, b, on_name, names);
}

static const char *const old_texts[] = {
	APEX,
	"both.example. 5 IN A 10.0.0.1",
	"both.example. 5 IN TXT \"gone\"",
	"only-old.example. 5 IN A 10.0.0.1",
	"a.deep.old.example. 5 IN A 10.0.0.1",
	"x.cut-later.example. 5 IN A 10.0.0.1",
	"cut-before.example. 5 IN NS ns.cut-before.example.",
	"ns.cut-before.example. 5 IN A 10.0.0.1",
};

static const char *const new_texts[] = {
	APEX,
	"both.example. 9 IN A 10.0.0.2",
	"only-new.example. 5 IN A 10.0.0.1",
	"cut-later.example. 5 IN NS ns.elsewhere.",
	"x.cut-later.example. 5 IN A 10.0.0.1",
	"cut-before.example. 5 IN A 10.0.0.1",
	"ns.cut-before.example. 5 IN A 10.0.0.1",
};

START_TEST(difference_is_what_was_published)
{
	ck_assert_int_eq(FILL(&content, old_texts), 0);
	ck_assert_int_eq(FILL(&other, new_texts), 0);
	difference(&content, &other);
	ck_assert_uint_eq(n_names, 3);
	ck_assert(is_named("only-old"));
	ck_assert(is_named("a.deep.old"));
	/* In both files, but the new one delegates it. */
	ck_assert(is_named("x.cut-later"));
	difference(&other, &content);
	ck_assert_uint_eq(n_names, 3);
	ck_assert(is_named("only-new"));
	ck_assert(is_named("cut-later"));
	ck_assert(is_named("ns.cut-before"));
	difference(&content, &content);
	ck_assert_uint_eq(n_names, 0);
}
END_TEST

START_TEST(reload_leaves_the_new_content)
{
	ck_assert_int_eq(FILL(&content, old_texts), 0);
	ck_assert_int_eq(FILL(&other, new_texts), 0);
	put(&content);
	ck_assert(has_data("x.cut-later"));
	ck_assert_ptr_null(find("ns.cut-before"));
	static_zone_remove(&content, &other, catalog, zone);
	put(&other);
	catalog_publish(catalog, 1);
	check_set("both", RR_A, new_texts + 2, 1);
	ck_assert_ptr_null(entry_find(find("both"), RR_TXT));
	ck_assert_ptr_null(find("only-old"));
	ck_assert_ptr_null(find("a.deep.old"));
	ck_assert_ptr_null(find("deep.old"));
	ck_assert_ptr_null(find("old"));
	ck_assert(has_data("only-new"));
	ck_assert_ptr_null(find("x.cut-later"));
	ck_assert_uint_ne(flags_of("cut-later") & ENTRY_DELEGATION, 0);
	ck_assert_uint_eq(flags_of("cut-before") & ENTRY_DELEGATION, 0);
	ck_assert(has_data("ns.cut-before"));
	/* And back. */
	static_zone_remove(&other, &content, catalog, zone);
	put(&content);
	catalog_publish(catalog, 2);
	ck_assert(has_data("only-old"));
	ck_assert(has_data("a.deep.old"));
	ck_assert(has_data("x.cut-later"));
	ck_assert_ptr_null(find("only-new"));
	ck_assert_ptr_null(find("ns.cut-before"));
	check_set("both", RR_A, old_texts + 2, 1);
	check_set("both", RR_TXT, old_texts + 3, 1);
}
END_TEST

/* What a registration put there is not the zone file's to take. */
START_TEST(dynamic_names_stay)
{
	static const char *const apex[] = { APEX };
	static const char *const one[] = { APEX, "both.example. 5 IN A 10.0.0.1" };
	struct entry *entry;

	ck_assert_int_eq(FILL(&content, one), 0);
	ck_assert_int_eq(FILL(&other, apex), 0);
	put(&other);
	build_begin(&build);
	build_set(&build, RR_A, 5);
	build_record(&build, "\12\0\0\7", 4, NULL, 0);
	entry = build_entry(&build, (const uint8_t *)"\4both", 5);
	ck_assert_ptr_nonnull(entry);
	ck_assert_int_eq(catalog_put(catalog, zone, entry), 0);
	static_zone_remove(&content, &other, catalog, zone);
	ck_assert_ptr_eq(find("both"), entry);
	put(&content);
	ck_assert_uint_ne(flags_of("both") & ENTRY_STATIC, 0);
	static_zone_remove(&content, &other, catalog, zone);
	ck_assert_ptr_null(find("both"));
}
END_TEST

START_TEST(many_names)
{
	static const char *const apex[] = { APEX };
	uint8_t name[NAME_MAX_LEN + 16];

	ck_assert_int_eq(fill(&content, apex, 2), 0);
	for (unsigned i = 0; i < 1500; i++) {
		char text[80];

		snprintf(text, sizeof(text), "n%u.d%u.example. 5 IN A 10.0.%u.%u", i, i % 7, i >> 8,
			 i & 255);
		add(&content, text);
	}
	ck_assert_int_eq(static_zone_prepare(&content, message, sizeof(message)), 0);
	put(&content);
	for (unsigned i = 0; i < 1500; i++) {
		const struct entry *entry;
		char text[80];
		size_t len;

		snprintf(text, sizeof(text), "n%u.d%u", i, i % 7);
		len = relative(text, name);
		entry = catalog_find(zone, name, len);
		ck_assert(entry && entry_find(entry, RR_A));
	}
	ck_assert_int_eq(fill(&other, apex, 2), 0);
	static_zone_remove(&content, &other, catalog, zone);
	for (unsigned i = 0; i < 7; i++) {
		char text[16];

		snprintf(text, sizeof(text), "d%u", i);
		ck_assert_ptr_null(find(text));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("static_zone");
	TCase *tcase = tcase_create("static_zone");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, apex_stands_first_and_names_together);
	tcase_add_test(tcase, apex_must_have_soa_and_ns);
	tcase_add_test(tcase, origin_is_not_too_long);
	tcase_add_test(tcase, types_of_a_name_are_bounded);
	tcase_add_test(tcase, names_and_types_are_published);
	tcase_add_test(tcase, addresses_rotate_and_the_rest_does_not);
	tcase_add_test(tcase, cut_is_a_referral_with_glue);
	tcase_add_test(tcase, cut_below_a_cut_is_not_ours);
	tcase_add_test(tcase, difference_is_what_was_published);
	tcase_add_test(tcase, reload_leaves_the_new_content);
	tcase_add_test(tcase, dynamic_names_stay);
	tcase_add_test(tcase, many_names);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
