/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/api.h"

#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static struct api api;
static struct api_reply reply;
static char seen[API_SEGMENTS][64];
static const char *called;

static void note(struct api *own, const struct api_request *request, char *const *segments,
		 uint64_t now_ms, const char *name, size_t n)
{
	ck_assert_ptr_eq(own, &api);
	ck_assert_ptr_nonnull(request);
	ck_assert_uint_eq(now_ms, 77);
	called = name;
	for (size_t i = 0; i < n; i++)
		snprintf(seen[i], sizeof(seen[i]), "%s", segments[i]);
	reply.status = 200;
}

static void handle_list(struct api *own, const struct api_request *request, char *const *segments,
			uint64_t now_ms, struct api_reply *out)
{
	ck_assert_ptr_eq(out, &reply);
	note(own, request, segments, now_ms, "list", 0);
}

static void handle_get(struct api *own, const struct api_request *request, char *const *segments,
		       uint64_t now_ms, struct api_reply *out)
{
	ck_assert_ptr_eq(out, &reply);
	note(own, request, segments, now_ms, "get", 2);
}

static void handle_delete(struct api *own, const struct api_request *request, char *const *segments,
			  uint64_t now_ms, struct api_reply *out)
{
	ck_assert_ptr_eq(out, &reply);
	note(own, request, segments, now_ms, "delete", 2);
}

static const struct api_route routes[] = {
	{ API_GET, "/a", handle_list, ACCESS_NONE, API_OPEN, "list" },
	{ API_GET, "/a/{x}/b/{y}", handle_get, ACCESS_NONE, API_OPEN, "show" },
	{ API_DELETE, "/a/{x}/b/{y}", handle_delete, ACCESS_NONE, API_OPEN, "remove" },
};

static void ask(enum api_method method, const char *path)
{
	const struct api_request request = { .method = method, .path = path };

	called = NULL;
	api_reply_fini(&reply);
	api_handle(&api, routes, sizeof(routes) / sizeof(routes[0]), &request, 77, &reply);
}

/* A string of the error in the reply; NULL: not there. */
static const char *error_text(const char *key)
{
	static char text[512];
	json_t *json = json_loadb(reply.body, reply.body_len, 0, NULL);
	const char *value = json_string_value(json_object_get(json_object_get(json, "error"), key));

	ck_assert_ptr_nonnull(json);
	ck_assert_str_eq(reply.content_type, "application/json");
	snprintf(text, sizeof(text), "%s", value ? value : "");
	json_decref(json);
	return value ? text : NULL;
}

START_TEST(finds_routes)
{
	ask(API_GET, "/a");
	ck_assert_str_eq(called, "list");
	ask(API_HEAD, "/a");
	ck_assert_str_eq(called, "list");
	ask(API_GET, "/a/one/b/two");
	ck_assert_str_eq(called, "get");
	ck_assert_str_eq(seen[0], "one");
	ck_assert_str_eq(seen[1], "two");
	ask(API_DELETE, "/a/one/b/two");
	ck_assert_str_eq(called, "delete");
	api_reply_fini(&reply);
}
END_TEST

START_TEST(decodes_segments)
{
	ask(API_GET, "/a/%41%2f%c3%bC/b/a+b%20c");
	ck_assert_str_eq(called, "get");
	ck_assert_str_eq(seen[0], "A/\xc3\xbc");
	ck_assert_str_eq(seen[1], "a+b c");
	api_reply_fini(&reply);
}
END_TEST

START_TEST(refuses_broken_encoding)
{
	static const char *const paths[] = { "/a/%/b/y", "/a/x/b/%4", "/a/%zz/b/y", "/a/%00/b/y" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		ask(API_GET, paths[i]);
		ck_assert_ptr_null(called);
		ck_assert_int_eq(reply.status, 400);
		ck_assert_str_eq(error_text("code"), "bad-request");
	}
	api_reply_fini(&reply);
}
END_TEST

START_TEST(unknown_paths_are_404)
{
	static const char *const paths[] = { "/",         "/b",         "/a/",     "//a",
					     "/a/x",      "/a/x/b",     "/a/x/b/", "/a//b/y",
					     "/a/x/b/y/", "/a/x/b/y/z", "/A",      "*" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		ask(API_GET, paths[i]);
		ck_assert_ptr_null(called);
		ck_assert_msg(reply.status == 404, "%s: %d", paths[i], reply.status);
		ck_assert_str_eq(error_text("code"), "not-found");
		ck_assert_str_eq(reply.allow, "");
	}
	api_reply_fini(&reply);
}
END_TEST

START_TEST(other_methods_are_405)
{
	ask(API_POST, "/a");
	ck_assert_ptr_null(called);
	ck_assert_int_eq(reply.status, 405);
	ck_assert_str_eq(reply.allow, "GET, HEAD");
	ck_assert_str_eq(error_text("code"), "method-not-allowed");
	ask(API_OTHER, "/a/x/b/y");
	ck_assert_int_eq(reply.status, 405);
	ck_assert_str_eq(reply.allow, "GET, HEAD, DELETE");
	api_reply_fini(&reply);
}
END_TEST

/* An array may be longer: it is many. */
START_TEST(one_long_object_is_413)
{
	struct counters counters = { 0 };
	struct api_request request = { .method = API_GET,
				       .path = "/a",
				       .body_len = LIMIT_HTTP_SINGLE + 1 };
	char *const body = malloc(request.body_len);

	ck_assert_ptr_nonnull(body);
	memset(body, ' ', request.body_len);
	request.body = body;
	api.counters = &counters;
	for (size_t i = 0; i < 3; i++) {
		called = NULL;
		body[17] = " {["[i];
		api_handle(&api, routes, sizeof(routes) / sizeof(routes[0]), &request, 77, &reply);
		ck_assert_int_eq(reply.status, i < 2 ? 413 : 200);
		ck_assert((called != NULL) == (i == 2));
		api_reply_fini(&reply);
	}
	ck_assert_uint_eq(counters.limit_http_single, 2);
	free(body);
}
END_TEST

START_TEST(the_guard_is_asked_before_anything_else)
{
	const struct guard guard = { .n_names = 0 };

	api.guard = &guard;
	ask(API_GET, "/a");
	ck_assert_ptr_null(called);
	ck_assert_int_eq(reply.status, 421);
	ck_assert_str_eq(error_text("code"), "misdirected");
	api.guard = NULL;
	api_reply_fini(&reply);
}
END_TEST

START_TEST(errors_have_code_message_and_field)
{
	api_reply_error(&reply, 409, "name", "taken by %s", "a zone");
	ck_assert_int_eq(reply.status, 409);
	ck_assert_str_eq(error_text("code"), "conflict");
	ck_assert_str_eq(error_text("message"), "taken by a zone");
	ck_assert_str_eq(error_text("field"), "name");
	ck_assert_int_eq(reply.body[reply.body_len - 1], '\n');
	api_reply_fini(&reply);
	api_reply_error(&reply, 413, NULL, "large");
	ck_assert_str_eq(error_text("code"), "too-large");
	ck_assert_ptr_null(error_text("field"));
	api_reply_fini(&reply);
}
END_TEST

/* Messages are cut at a size, and that may be within a character. */
START_TEST(text_cut_within_a_character_is_still_an_error)
{
	api_reply_error(&reply, 400, "meta.\xc3", "no \"\xe2\x82");
	ck_assert_int_eq(reply.status, 400);
	ck_assert_str_eq(error_text("field"), "meta.?");
	ck_assert_str_eq(error_text("message"), "no \"??");
	api_reply_fini(&reply);
}
END_TEST

START_TEST(no_memory_is_a_503)
{
	api_reply_json(&reply, 200, NULL);
	ck_assert_int_eq(reply.status, 503);
	ck_assert_ptr_null(reply.owned);
	ck_assert_str_eq(error_text("code"), "unavailable");
	api_reply_fini(&reply);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("api");
	TCase *tcase = tcase_create("api");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, finds_routes);
	tcase_add_test(tcase, decodes_segments);
	tcase_add_test(tcase, refuses_broken_encoding);
	tcase_add_test(tcase, unknown_paths_are_404);
	tcase_add_test(tcase, other_methods_are_405);
	tcase_add_test(tcase, one_long_object_is_413);
	tcase_add_test(tcase, the_guard_is_asked_before_anything_else);
	tcase_add_test(tcase, errors_have_code_message_and_field);
	tcase_add_test(tcase, text_cut_within_a_character_is_still_an_error);
	tcase_add_test(tcase, no_memory_is_a_503);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
