/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/access.h"

#include "base/limits.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* SHA-256 as sha256sum printed them. */
#define OPEN_SESAME "d7ecdf25eaf3deba0f2628771dbdd22d4138ab6cf38f91ed02a2ca0dec7c8ab7"
#define ABC         "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static struct access access;

static void add(const char *name, const char *sha256, const char *identity)
{
	struct access_entry *entry = &access.entries[access.n++];

	entry->name = strdup(name);
	entry->has_token = sha256 && access_token_parse(sha256, entry->token);
	entry->identity = identity ? strdup(identity) : NULL;
	entry->grants = calloc(4, sizeof(*entry->grants));
}

static void grant(enum access_right right, const char *pattern)
{
	struct access_entry *entry = &access.entries[access.n - 1];

	entry->grants[entry->n_grants++] = (struct access_grant){ right, strdup(pattern) };
}

static void set_up(void)
{
	access.entries = calloc(4, sizeof(*access.entries));
	add("sesame", OPEN_SESAME, NULL);
	grant(ACCESS_READ, "*");
	grant(ACCESS_REGISTER, "payment-*");
	grant(ACCESS_ADMIN, "cart");
	add("ops", NULL, "ops.example.net");
	grant(ACCESS_ADMIN, "*");
	add("abc", ABC, NULL);
}

static void tear_down(void)
{
	access_fini(&access);
}

static const char *name_of(const char *authorization, const char *identity)
{
	const struct access_entry *who = access_find(&access, authorization, identity);

	return who ? who->name : "(nobody)";
}

START_TEST(who_it_is)
{
	ck_assert_str_eq(name_of("Bearer open-sesame", NULL), "sesame");
	ck_assert_str_eq(name_of("bEARER   open-sesame", NULL), "sesame");
	ck_assert_str_eq(name_of("Bearer abc", NULL), "abc");
	ck_assert_str_eq(name_of(NULL, "ops.example.net"), "ops");
	ck_assert_str_eq(name_of("Bearer abc", "ops.example.net"), "abc");
}
END_TEST

START_TEST(who_is_nobody)
{
	static const char *const wrong[] = {
		"",
		"Bearer",
		"Bearer ",
		"Bearer abc ",
		"Bearer abd",
		"Bearerabc",
		"Bearer ab",
		"Bearer abcd",
		"Basic abc",
		"abc",
		("Bearer " ABC),
		"Bearer ABC",
		"Bearer\tabc",
		"Digest Bearer abc",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_msg(strcmp(name_of(wrong[i], NULL), "(nobody)") == 0, "%s", wrong[i]);
		/* Nor is it then who the certificate is for. */
		ck_assert_str_eq(name_of(wrong[i], "ops.example.net"), "(nobody)");
	}
	ck_assert_str_eq(name_of(NULL, NULL), "(nobody)");
	ck_assert_str_eq(name_of(NULL, ""), "(nobody)");
	ck_assert_str_eq(name_of(NULL, "ops.example.ne"), "(nobody)");
	ck_assert_str_eq(name_of(NULL, "sesame"), "(nobody)");
}
END_TEST

START_TEST(what_it_may)
{
	const struct access_entry *who = &access.entries[0];

	ck_assert(access_allows(who, ACCESS_READ, "anything"));
	ck_assert(access_allows(who, ACCESS_READ, NULL));
	ck_assert(!access_allows(who, ACCESS_REGISTER, "payment"));
	ck_assert(access_allows(who, ACCESS_REGISTER, "payment-eu"));
	ck_assert(access_allows(who, ACCESS_REGISTER, "payment-"));
	ck_assert(!access_allows(who, ACCESS_ADMIN, "payment-eu"));
	ck_assert(!access_allows(who, ACCESS_REGISTER, NULL));
	ck_assert(access_allows(who, ACCESS_ADMIN, "cart"));
	ck_assert(access_allows(who, ACCESS_REGISTER, "cart"));
	ck_assert(!access_allows(who, ACCESS_REGISTER, "cart-2"));
	ck_assert(!access_allows(who, ACCESS_REGISTER, "car"));
	ck_assert(access_allows_some(who, ACCESS_ADMIN));
	ck_assert(access_allows(&access.entries[1], ACCESS_ADMIN, NULL));
	ck_assert(access_allows(&access.entries[1], ACCESS_ADMIN, "cart"));
	ck_assert(!access_allows(&access.entries[2], ACCESS_READ, "cart"));
	ck_assert(!access_allows_some(&access.entries[2], ACCESS_READ));
	ck_assert(!access_allows(NULL, ACCESS_READ, "cart"));
	ck_assert(!access_allows_some(NULL, ACCESS_READ));
}
END_TEST

START_TEST(without_entries_everybody_may_everything)
{
	static const struct access none;

	ck_assert(access_allows(access_find(&none, NULL, NULL), ACCESS_ADMIN, NULL));
	ck_assert(access_allows(access_find(&none, "Bearer x", NULL), ACCESS_ADMIN, "a"));
	ck_assert(access_allows_some(access_find(NULL, NULL, "x"), ACCESS_ADMIN));
}
END_TEST

START_TEST(patterns)
{
	static const char *const good[] = { "*", "a", "payment", "a-b", "a*", "payment-*", "0" };
	static const char *const bad[] = { "",  "-",   "-a",  "a-", "a**", "*a",      "a*b",
					   "A", "a.b", "a b", "**", "-*",  "\xc3\xbc" };
	char longest[LIMIT_LABEL + 2];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ck_assert_msg(access_pattern_is_valid(good[i]), "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!access_pattern_is_valid(bad[i]), "%s", bad[i]);
	memset(longest, 'a', sizeof(longest));
	longest[LIMIT_LABEL] = '\0';
	ck_assert(access_pattern_is_valid(longest));
	longest[LIMIT_LABEL] = 'a';
	longest[LIMIT_LABEL + 1] = '\0';
	ck_assert(!access_pattern_is_valid(longest));
}
END_TEST

START_TEST(digests)
{
	uint8_t token[ACCESS_DIGEST];
	char text[80] = ABC;

	ck_assert(access_token_parse(text, token));
	ck_assert_uint_eq(token[0], 0xba);
	ck_assert_uint_eq(token[31], 0xad);
	text[0] = 'B';
	ck_assert(access_token_parse(text, token));
	ck_assert_uint_eq(token[0], 0xba);
	text[5] = 'g';
	ck_assert(!access_token_parse(text, token));
	ck_assert(!access_token_parse(ABC "0", token));
	ck_assert(!access_token_parse(&ABC[1], token));
	ck_assert(!access_token_parse("", token));
}
END_TEST

/* Each thing that may change is one that readers of streams must be asked about again. */
START_TEST(what_is_equal)
{
	struct access other = access;

	access = (struct access){ .n = 0 };
	set_up();
	ck_assert(access_equal(&access, &other));
	access.entries[0].token[31] ^= 1;
	ck_assert(!access_equal(&access, &other));
	access.entries[0].token[31] ^= 1;
	access.entries[0].grants[1].right = ACCESS_READ;
	ck_assert(!access_equal(&access, &other));
	access.entries[0].grants[1].right = ACCESS_REGISTER;
	access.entries[0].grants[1].pattern[0] = 'q';
	ck_assert(!access_equal(&access, &other));
	access.entries[0].grants[1].pattern[0] = 'p';
	access.entries[1].identity[0] = 'q';
	ck_assert(!access_equal(&access, &other));
	access.entries[1].identity[0] = 'o';
	ck_assert(access_equal(&access, &other));
	access.n--;
	ck_assert(!access_equal(&access, &other));
	access.n++;
	access_fini(&other);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("access");
	TCase *tcase = tcase_create("access");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, who_it_is);
	tcase_add_test(tcase, who_is_nobody);
	tcase_add_test(tcase, what_it_may);
	tcase_add_test(tcase, without_entries_everybody_may_everything);
	tcase_add_test(tcase, patterns);
	tcase_add_test(tcase, digests);
	tcase_add_test(tcase, what_is_equal);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
