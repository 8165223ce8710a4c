/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/text.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static char *safe(const char *text)
{
	struct buf out;
	size_t len;

	buf_init(&out);
	text_put_safe(&out, text);
	return buf_take(&out, &len);
}

#define ck_assert_safe(text, wanted)             \
	do {                                     \
		char *said_ = safe(text);        \
		ck_assert_str_eq(said_, wanted); \
		free(said_);                     \
	} while (0)

START_TEST(plain_text_stays)
{
	ck_assert_safe("", "");
	ck_assert_safe("a b\\c", "a b\\c");
	ck_assert_safe("\u00e4\u4e2d\U0001f600", "\u00e4\u4e2d\U0001f600");
}
END_TEST

START_TEST(what_a_terminal_acts_on_is_shown)
{
	ck_assert_safe("\033[2J\r\n\t\x7f", "\\x1b[2J\\x0d\\x0a\\x09\\x7f");
	ck_assert_safe("\xc2\x9b"
		       "1m",
		       "\\u{9b}1m");
	ck_assert_safe("\u202egnp.exe\u2066\u200b\ufeff",
		       "\\u{202e}gnp.exe\\u{2066}\\u{200b}\\u{feff}");
}
END_TEST

START_TEST(broken_utf8_is_shown_as_octets)
{
	ck_assert_safe("a\xff\xc3", "a\\xff\\xc3");
	ck_assert_safe("\xc0\x9b", "\\xc0\\x9b");          /* an overlong ESC */
	ck_assert_safe("\xed\xa0\x80", "\\xed\\xa0\\x80"); /* a surrogate */
	ck_assert_safe("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
	ck_assert_safe("\xe4\xb8", "\\xe4\\xb8");
}
END_TEST

START_TEST(every_octet_is_made_fit)
{
	for (int c = 1; c < 256; c++) {
		char text[] = { (char)c, 'x', '\0' };
		char *said = safe(text);

		for (const char *at = said; *at; at++)
			ck_assert(*at >= 0x20 && *at < 0x7f);
		free(said);
	}
}
END_TEST

START_TEST(width_counts_characters)
{
	ck_assert_uint_eq(text_width(""), 0);
	ck_assert_uint_eq(text_width("a\u00e4\u4e2d"), 3);
}
END_TEST

START_TEST(segments_are_encoded)
{
	struct buf out;

	buf_init(&out);
	text_put_encoded(&out, "a/b?c%20 \u00e4.x");
	ck_assert_str_eq(out.data, "a%2Fb%3Fc%2520%20%C3%A4.x");
	out.len = 0;
	text_put_encoded(&out, "..");
	ck_assert_str_eq(out.data, ".%2E");
	buf_fini(&out);
}
END_TEST

START_TEST(durations_are_read)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} good[] = { { "10s", 10000 }, { "1m30s", 90000 }, { "250ms", 250 },    { "2h", 7200000 },
		     { "15", 15000 },  { "0", 0 },         { "1h1ms", 3600001 } };
	static const char *const bad[] = { "",     "s",   "10x",          "-1s",
					   "1.5s", "1s2", "10000000000s", "1 s" };
	uint64_t ms;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert(text_read_duration(good[i].text, &ms));
		ck_assert_uint_eq(ms, good[i].ms);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!text_read_duration(bad[i], &ms), "%s", bad[i]);
}
END_TEST

START_TEST(durations_are_printed)
{
	static const struct {
		double seconds;
		const char *text;
	} rows[] = { { 0, "0 ms" },     { 0.25, "250 ms" }, { 4.2, "4.2 s" },
		     { 200, "3m 20s" }, { 7500, "2h 5m" },  { 349200, "4d 1h" } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf out;

		buf_init(&out);
		text_put_duration(&out, rows[i].seconds);
		ck_assert_str_eq(out.data, rows[i].text);
		buf_fini(&out);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("text");
	TCase *tcase = tcase_create("text");
	SRunner *runner;
	int n_failed;

	tcase_add_test(tcase, plain_text_stays);
	tcase_add_test(tcase, what_a_terminal_acts_on_is_shown);
	tcase_add_test(tcase, broken_utf8_is_shown_as_octets);
	tcase_add_test(tcase, every_octet_is_made_fit);
	tcase_add_test(tcase, width_counts_characters);
	tcase_add_test(tcase, segments_are_encoded);
	tcase_add_test(tcase, durations_are_read);
	tcase_add_test(tcase, durations_are_printed);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
