/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/native.h"
#include "api/ui.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static struct counters counters;
static struct api api = { .counters = &counters };
static struct api_reply reply;

static int ask(const char *path, const char *if_none_match)
{
	const struct api_request request = {
		.method = API_GET,
		.path = path,
		.if_none_match = if_none_match,
	};

	api_reply_fini(&reply);
	api_handle(&api, native_routes, native_n_routes, &request, 1000, &reply);
	return reply.status;
}

static void tear_down(void)
{
	api_reply_fini(&reply);
}

static const char *header(const char *name)
{
	for (const struct api_header *h = reply.headers; h && h->name; h++)
		if (strcmp(h->name, name) == 0)
			return h->value;
	return "";
}

START_TEST(other_paths_lead_to_the_page)
{
	ck_assert_int_eq(ask("/", NULL), 302);
	ck_assert_str_eq(header("Location"), "ui/");
	ck_assert_int_eq(ask("/ui", NULL), 302);
	ck_assert_str_eq(header("Location"), "ui/");
	ck_assert_int_eq(ask("/ui/", NULL), 200);
	ck_assert_str_eq(reply.content_type, "text/html; charset=utf-8");
	ck_assert_int_eq(ask("/ui/x", NULL), 404);
	ck_assert_int_eq(ask("/ui/..%2findex.html", NULL), 404);
}
END_TEST

START_TEST(every_file_has_the_policy_and_is_whole)
{
	char path[64];

	ck_assert_uint_gt(ui_n_files, 3);
	for (size_t i = 0; i < ui_n_files; i++) {
		snprintf(path, sizeof(path), "/ui/%s", ui_files[i].name);
		ck_assert_int_eq(ask(path, NULL), 200);
		ck_assert_str_eq(header("X-Content-Type-Options"), "nosniff");
		ck_assert_ptr_nonnull(
			strstr(header("Content-Security-Policy"), "default-src 'none'"));
		ck_assert_ptr_null(strstr(header("Content-Security-Policy"), "unsafe"));
		/* Each is text that ends with a line's end. */
		ck_assert_ptr_null(memchr(reply.body, '\0', reply.body_len));
		ck_assert_int_eq(reply.body[reply.body_len - 1], '\n');
	}
}
END_TEST

START_TEST(what_is_unchanged_is_not_sent)
{
	char etag[64], other[80];

	ck_assert_int_eq(ask("/ui/style.css", NULL), 200);
	snprintf(etag, sizeof(etag), "%s", reply.etag);
	snprintf(other, sizeof(other), "\"1-2\", W/%s", etag);
	ck_assert_int_eq(ask("/ui/style.css", etag), 304);
	ck_assert_str_eq(reply.etag, etag);
	ck_assert_int_eq(ask("/ui/style.css", other), 304);
	ck_assert_int_eq(ask("/ui/main.js", etag), 200);
	ck_assert_str_ne(reply.etag, etag);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ui");
	TCase *tcase = tcase_create("ui");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, NULL, tear_down);
	tcase_add_test(tcase, other_paths_lead_to_the_page);
	tcase_add_test(tcase, every_file_has_the_policy_and_is_whole);
	tcase_add_test(tcase, what_is_unchanged_is_not_sent);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
