/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/log.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int reader = -1, saved_stderr = -1;
static char text[8192];

static void set_up(void)
{
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
	saved_stderr = dup(STDERR_FILENO);
	ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	close(ends[1]);
	reader = ends[0];
}

static void tear_down(void)
{
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	close(reader);
}

/* What was written to standard error since the last call. */
static const char *written(void)
{
	ssize_t n = read(reader, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

START_TEST(plain_line)
{
	log_event(LOG_INFO, "listening", "door", "dns", "addr", "127.0.0.1@8600", NULL);
	ck_assert_str_eq(written(), "level=info event=listening door=dns addr=127.0.0.1@8600\n");
	log_event(LOG_ERROR, "stopped", NULL);
	ck_assert_str_eq(written(), "level=error event=stopped\n");
}
END_TEST

START_TEST(last_error_is_kept)
{
	ck_assert_str_eq(log_last_error(), "");
	log_event(LOG_ERROR, "start-failed", "error", "no luck", NULL);
	log_event(LOG_INFO, "stopped", NULL);
	ck_assert_str_eq(log_last_error(), "event=start-failed error=\"no luck\"");
}
END_TEST

START_TEST(text_from_a_peer_cannot_fake_a_line)
{
	log_event(LOG_INFO, "e", "a", "x\nlevel=error event=fake", "b", "q\"\\", "c", "k=v", "d",
		  "", "e", "\x1b[31m\x7f\xc3\xa4", NULL);
	ck_assert_str_eq(written(), "level=info event=e a=\"x\\nlevel=error event=fake\" "
				    "b=\"q\\\"\\\\\" c=\"k=v\" d=\"\" "
				    "e=\"\\x1b[31m\\x7f\\xc3\\xa4\"\n");
}
END_TEST

START_TEST(longest_line_ends_in_dots)
{
	char value[4096];

	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	log_event(LOG_INFO, "e", "long", value, "after", "y", NULL);
	ck_assert_ptr_null(strstr(written(), "after"));
	ck_assert_uint_le(strlen(text), 2048);
	ck_assert_str_eq(text + strlen(text) - 4, "...\n");

	/* Escapes are never cut in half. */
	memset(value, '\n', sizeof(value) - 1);
	log_event(LOG_INFO, "e", "long", value, NULL);
	ck_assert_uint_le(strlen(written()), 2048);
	ck_assert_str_eq(text + strlen(text) - 6, "\\n...\n");
}
END_TEST

static size_t count_lines(const char *event)
{
	size_t n = 0;

	for (const char *at = text; (at = strstr(at, event)); at++)
		n++;
	return n;
}

/* However long this takes, each line is there or counted. */
START_TEST(lines_about_peers_are_limited_and_counted)
{
	size_t n = 0, n_left_out = 0;

	for (int i = 0; i < 25; i++)
		log_peer_event(LOG_INFO, "peer", "n", log_fmt("%d", i), NULL);
	for (int i = 0; i < 25; i++)
		log_event(LOG_INFO, "own", NULL);
	written();
	n = count_lines("event=peer ");
	for (const char *at = text; (at = strstr(at, "event=log-suppressed count=")); at++)
		n_left_out += strtoul(strstr(at, "count=") + 6, NULL, 10);
	ck_assert_uint_ge(n, 10);
	ck_assert_uint_eq(n + n_left_out, 25);
	ck_assert_uint_eq(count_lines("event=own\n"), 25);
}
END_TEST

static void *log_much(void *cookie)
{
	for (int i = 0; i < 200; i++)
		log_peer_event(LOG_INFO, "peer", NULL);
	return cookie;
}

START_TEST(any_thread_may_log_about_peers)
{
	pthread_t threads[4];
	size_t n_left_out = 0;

	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, log_much, NULL), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	log_event(LOG_INFO, "own", NULL);
	written();
	for (const char *at = text; (at = strstr(at, "event=log-suppressed count=")); at++)
		n_left_out += strtoul(strstr(at, "count=") + 6, NULL, 10);
	ck_assert_uint_eq(count_lines("event=peer\n") + n_left_out, 800);
}
END_TEST

START_TEST(errno_is_kept)
{
	errno = ENOSPC;
	log_event(LOG_INFO, "e", "n", log_fmt("%d", 5), NULL);
	ck_assert_int_eq(errno, ENOSPC);
	ck_assert_str_eq(written(), "level=info event=e n=5\n");
}
END_TEST

START_TEST(eight_formatted_texts_live_together)
{
	const char *texts[9];

	for (int i = 0; i < 8; i++)
		texts[i] = log_fmt("value %d", i);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(texts[i][6], '0' + i);
	texts[8] = log_fmt("%0600d", 1);
	ck_assert_uint_eq(strlen(texts[8]), 511);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log");
	TCase *tcase = tcase_create("log");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, plain_line);
	tcase_add_test(tcase, last_error_is_kept);
	tcase_add_test(tcase, text_from_a_peer_cannot_fake_a_line);
	tcase_add_test(tcase, longest_line_ends_in_dots);
	tcase_add_test(tcase, lines_about_peers_are_limited_and_counted);
	tcase_add_test(tcase, any_thread_may_log_about_peers);
	tcase_add_test(tcase, errno_is_kept);
	tcase_add_test(tcase, eight_formatted_texts_live_together);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
