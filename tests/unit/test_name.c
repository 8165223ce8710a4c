/* SPDX-License-Identifier: BSD-2-Clause */
#include "dns/name.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static uint8_t name[NAME_MAX_LEN];
static char text[NAME_TEXT_MAX];

static void check_parse(const char *input, const char *wire, size_t len)
{
	memset(name, 0xee, sizeof(name));
	ck_assert_msg(name_parse(input, name) == len, "%s", input);
	ck_assert_mem_eq(name, wire, len);
}

/* A name of `n` labels of `size` octets each. */
static const char *make_text(unsigned n, unsigned size)
{
	static char made[1100];
	char *out = made;

	while (n--) {
		memset(out, 'a', size);
		out += size;
		*out++ = '.';
	}
	*out = '\0';
	return made;
}

START_TEST(text_becomes_lower_case_wire)
{
	check_parse("Payment.Service.LOCAL", "\7payment\7service\5local", 23);
	check_parse("a.b.", "\1a\1b", 5);
	check_parse("_http._tcp.x-1", "\5_http\4_tcp\3x-1", 16);
	check_parse(".", "", 1);
}
END_TEST

START_TEST(escapes_are_octets)
{
	check_parse("a\\.b", "\3a.b", 5);
	check_parse("\\065\\000\\255", "\3a\0\xff", 5);
	check_parse("\\\\", "\1\\", 3);
}
END_TEST

START_TEST(what_is_no_name_is_refused)
{
	static const char *const bad[] = { "",     "..",    ".a",     "a..b",   "a..",   "a\\",
					   "a\\2", "a\\25", "a\\2x5", "a\\256", "a\\999" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(name_parse(bad[i], name) == 0, "%s", bad[i]);
}
END_TEST

START_TEST(limits_are_exact)
{
	char longest[1200]; /* what make_text() may return, and a label */

	ck_assert_uint_eq(name_parse(make_text(1, 63), name), 65);
	ck_assert_uint_eq(name_parse(make_text(1, 64), name), 0);
	ck_assert_uint_eq(name_parse(make_text(127, 1), name), 255);
	ck_assert_uint_eq(name_parse(make_text(128, 1), name), 0);
	/* 3 * 64 + 62 + root = 255 */
	snprintf(longest, sizeof(longest), "%s%061d", make_text(3, 63), 0);
	ck_assert_uint_eq(name_parse(longest, name), 255);
	strcat(longest, ".");
	ck_assert_uint_eq(name_parse(longest, name), 255);
	/* A label that starts where only the root label has room. */
	strcat(longest, "b");
	ck_assert_uint_eq(name_parse(longest, name), 0);
	snprintf(longest, sizeof(longest), "%s%062d", make_text(3, 63), 0);
	ck_assert_uint_eq(name_parse(longest, name), 0);
}
END_TEST

START_TEST(print_is_parse_backwards)
{
	static const char *const texts[] = {
		".", "a", "a.b.c", "a\\.b.c", "x\\\\y", "\\000\\032\\255", "_http._tcp.payment"
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		size_t len = name_parse(texts[i], name);

		name_print(name, len, text);
		ck_assert_str_eq(text, texts[i]);
		/* The root label is optional. */
		name_print(name, len - 1, text);
		ck_assert_str_eq(text, texts[i]);
	}
}
END_TEST

START_TEST(longest_text_fits)
{
	size_t len = 0;

	memset(name, 0x01, sizeof(name));
	for (int i = 0; i < 3; i++, len += 64)
		name[len] = 63;
	name[len] = 61;
	name[254] = 0;
	name_print(name, 255, text);
	ck_assert_uint_eq(strlen(text), 250 * 4 + 3);
	ck_assert_uint_eq(name_parse(text, name), 255);
}
END_TEST

START_TEST(lower_touches_letters_alone)
{
	uint8_t octets[] = { 3, 'A', 'z', 'Z', 5, '@', '[', '`', 0xc1, '0', 0 };
	static const uint8_t expected[] = { 3, 'a', 'z', 'z', 5, '@', '[', '`', 0xc1, '0', 0 };

	name_lower(octets, sizeof(octets));
	ck_assert_mem_eq(octets, expected, sizeof(octets));
}
END_TEST

START_TEST(labels_are_counted_without_the_root)
{
	ck_assert_uint_eq(name_labels(name, name_parse(".", name)), 0);
	ck_assert_uint_eq(name_labels(name, name_parse("a.bc.d", name)), 3);
	ck_assert_uint_eq(name_labels(name, name_parse("a.bc.d", name) - 1), 3);
	ck_assert_uint_eq(name_labels(name, 0), 0);
}
END_TEST

START_TEST(labels_are_appended)
{
	size_t len = name_put_label(name, 0, "payment");

	len = name_put_label(name, len, "x");
	ck_assert_uint_eq(len, 10);
	ck_assert_mem_eq(name, "\7payment\1x", 10);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("name");
	TCase *tcase = tcase_create("name");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, text_becomes_lower_case_wire);
	tcase_add_test(tcase, escapes_are_octets);
	tcase_add_test(tcase, what_is_no_name_is_refused);
	tcase_add_test(tcase, limits_are_exact);
	tcase_add_test(tcase, print_is_parse_backwards);
	tcase_add_test(tcase, longest_text_fits);
	tcase_add_test(tcase, lower_touches_letters_alone);
	tcase_add_test(tcase, labels_are_counted_without_the_root);
	tcase_add_test(tcase, labels_are_appended);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
