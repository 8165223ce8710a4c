/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/settings.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(addresses_become_urls)
{
	static const struct {
		const char *address, *url; /* NULL: it is none */
	} rows[] = {
		{ "127.0.0.1@8500", "http://127.0.0.1:8500" },
		{ "127.0.0.1:81", "http://127.0.0.1:81" },
		{ "roster.example", "http://roster.example:8500" },
		{ "roster.example@80", "http://roster.example:80" },
		{ "::1@8500", "http://[::1]:8500" },
		{ "::1", "http://[::1]:8500" },
		{ "[::1]:81", "http://[::1]:81" },
		{ "[::1]", "http://[::1]:8500" },
		{ "http://h:1/", "http://h:1" },
		{ "https://h//", "https://h" },
		{ "https://h/behind/a/proxy", "https://h/behind/a/proxy" },
		{ "", NULL },
		{ "@80", NULL },
		{ "h@", NULL },
		{ "h/x", NULL },
		{ "a b", NULL },
		{ "http://", NULL },
		{ "https:///", NULL },
		{ "http://user@h", NULL },
		{ "http://h?x", NULL },
		{ "ftp://h", NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *url = settings_url(rows[i].address);

		if (rows[i].url)
			ck_assert_str_eq(url, rows[i].url);
		else
			ck_assert_msg(!url, "%s became %s", rows[i].address, url);
		free(url);
	}
}
END_TEST

START_TEST(files_are_read)
{
	struct settings settings = { .http = NULL };
	char message[200];

	ck_assert(settings_parse(
		&settings, "# a comment\n\n  http:  h:1 \r\ntoken: a b#c\n\tcacert: /x\nkey: k",
		message, sizeof(message)));
	ck_assert_str_eq(settings.http, "h:1");
	ck_assert_str_eq(settings.token, "a b#c");
	ck_assert_str_eq(settings.cacert, "/x");
	ck_assert_str_eq(settings.key, "k");
	ck_assert_ptr_null(settings.cert);
	settings_fini(&settings);
}
END_TEST

START_TEST(wrong_lines_are_named)
{
	static const char *const texts[] = { "\nhttp\n",    "\nhttp:\n",          "\nhttp: \n",
					     "\nport: 1\n", "http: a\nhttp: b\n", "\n: x",
					     "\nhttp : x" };
	char message[200];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct settings settings = { .http = NULL };

		ck_assert_msg(!settings_parse(&settings, texts[i], message, sizeof(message)), "%s",
			      texts[i]);
		ck_assert_msg(strncmp(message, "line 2: ", 8) == 0, "%s", message);
		settings_fini(&settings);
	}
}
END_TEST

/* Reads settings with one flag, or none, in a home whose file says this. */
static void read_with(struct settings *settings, const char *file, const char *http)
{
	char home[] = "/tmp/test-settings-XXXXXX", path[100], message[300], name[] = "x";
	char flag[] = "--http", value[100];
	char *argv[] = { name, flag, value, NULL };
	struct args args;
	FILE *out;

	ck_assert_ptr_nonnull(mkdtemp(home));
	snprintf(path, sizeof(path), "%s/rosterctl.conf", home);
	out = fopen(path, "w");
	fputs(file, out);
	fclose(out);
	setenv("XDG_CONFIG_HOME", home, 1);
	snprintf(value, sizeof(value), "%s", http ? http : "");
	ck_assert(args_parse(&args, http ? 3 : 1, argv, message, sizeof(message)));
	ck_assert_msg(settings_read(settings, &args, message, sizeof(message)), "%s", message);
	args_fini(&args);
	remove(path);
	remove(home);
}

START_TEST(a_token_is_for_the_server_of_its_file)
{
	static const char file[] = "http: h@1\ntoken: secret\ncert: c\nkey: k\ncacert: a\n";
	struct settings settings;

	unsetenv("ROSTERD_HTTP");
	unsetenv("ROSTERD_TOKEN");
	read_with(&settings, file, NULL);
	ck_assert_str_eq(settings.token, "secret");
	ck_assert_str_eq(settings.url, "http://h:1");
	settings_fini(&settings);
	read_with(&settings, file, "http://h:1/");
	ck_assert_str_eq(settings.token, "secret");
	settings_fini(&settings);
	read_with(&settings, file, "https://h:1");
	ck_assert_ptr_null(settings.token);
	ck_assert_ptr_null(settings.cert);
	ck_assert_ptr_null(settings.key);
	ck_assert_str_eq(settings.cacert, "a");
	settings_fini(&settings);
	setenv("ROSTERD_HTTP", "other", 1);
	read_with(&settings, file, NULL);
	ck_assert_ptr_null(settings.token);
	ck_assert_str_eq(settings.url, "http://other:8500");
	settings_fini(&settings);
	setenv("ROSTERD_TOKEN", "mine", 1);
	read_with(&settings, file, "third");
	ck_assert_str_eq(settings.token, "mine");
	ck_assert_str_eq(settings.url, "http://third:8500");
	settings_fini(&settings);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("settings");
	TCase *tcase = tcase_create("settings");
	SRunner *runner;
	int n_failed;

	tcase_add_test(tcase, addresses_become_urls);
	tcase_add_test(tcase, files_are_read);
	tcase_add_test(tcase, wrong_lines_are_named);
	tcase_add_test(tcase, a_token_is_for_the_server_of_its_file);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
