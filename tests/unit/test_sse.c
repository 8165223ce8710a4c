/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/sse.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct buf said;

static void on_event(void *cookie, const char *event, const char *data)
{
	ck_assert_ptr_eq(cookie, &said);
	buf_print(&said, "[%s|%s]", event, data);
}

/* What comes of a stream that arrives in pieces of this length. */
static void play(const char *text, size_t piece, const char *wanted, const char *last_id)
{
	struct sse sse;
	size_t len = strlen(text);

	buf_init(&said);
	buf_put(&said, "", 0);
	sse_init(&sse, on_event, &said);
	for (size_t i = 0; i < len; i += piece)
		sse_put(&sse, text + i, len - i < piece ? len - i : piece);
	ck_assert_str_eq(said.data, wanted);
	ck_assert_str_eq(sse.last_id, last_id);
	ck_assert(!sse.failed);
	sse_fini(&sse);
	buf_fini(&said);
}

START_TEST(events_arrive_in_any_pieces)
{
	static const char text[] = "retry: 1000\nid: 7\n\n:\nid: 8\n\nid: 9\nevent: status\n"
				   "data: {\"a\":1}\n\nid: 10\ndata:x\ndata: y\n\ndata: cut";

	for (size_t piece = 1; piece < sizeof(text); piece++)
		play(text, piece, "[status|{\"a\":1}][message|x\ny]", "10");
}
END_TEST

START_TEST(every_end_of_line_counts)
{
	for (size_t piece = 1; piece < 12; piece++) {
		play("data: a\r\rdata: b\r\n\r\n", piece, "[message|a][message|b]", "");
		play("event: e\r\ndata: a\n\n", piece, "[e|a]", "");
	}
}
END_TEST

START_TEST(an_id_that_is_no_revision_is_none)
{
	play("id: 5\n\nid: 1\\r\\nX: y\ndata: a\n\n", 3, "[message|a]", "5");
	play("id: 123456789012345678901234567890\n\n", 3, "", "");
}
END_TEST

START_TEST(a_reset_forgets_what_was_cut_off)
{
	struct sse sse;

	buf_init(&said);
	buf_put(&said, "", 0);
	sse_init(&sse, on_event, &said);
	sse_put(&sse, "id: 3\nevent: e\ndata: half\nda", 27);
	sse_reset(&sse);
	sse_put(&sse, "data: b\n\n", 9);
	ck_assert_str_eq(said.data, "[message|b]");
	ck_assert_str_eq(sse.last_id, "3");
	sse_fini(&sse);
	buf_fini(&said);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sse");
	TCase *tcase = tcase_create("sse");
	SRunner *runner;
	int n_failed;

	tcase_add_test(tcase, events_arrive_in_any_pieces);
	tcase_add_test(tcase, every_end_of_line_counts);
	tcase_add_test(tcase, an_id_that_is_no_revision_is_none);
	tcase_add_test(tcase, a_reset_forgets_what_was_cut_off);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
