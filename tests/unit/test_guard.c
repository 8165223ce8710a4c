/* SPDX-License-Identifier: BSD-2-Clause */
/* By which names the HTTP port may be called, and from which pages. */
#include "api/guard.h"

#include <check.h>
#include <stdlib.h>

static char *names[] = { (char[]){ "rosterd.example.net" }, (char[]){ "198.51.100.9" } };
static char *origins[] = { (char[]){ "https://ops.example.net" } };
static const struct guard guard = { 2, 1, names, origins };
static const struct address local_v4 = { .has_v4 = true, .v4 = { 192, 0, 2, 1 } };
static const struct address local_v6 = { .has_v6 = true,
					 .v6 = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 } };

static int look(const char *host, const char *origin, const struct address *local)
{
	const char *reason = NULL;
	int status = 0;

	if (guard_passes(&guard, host, origin, local, &status, &reason))
		return 200;
	ck_assert_ptr_nonnull(reason);
	return status;
}

START_TEST(hosts)
{
	static const char *const good[] = {
		"localhost",    "LocalHost:8500",      "a.localhost",
		"127.0.0.1",    "127.9.9.9:8500",      "[::1]:8500",
		"[::1]",        "192.0.2.1",           "192.0.2.1:80",
		"198.51.100.9", "rosterd.example.net", "Rosterd.Example.net:8500",
	};
	static const char *const bad[] = {
		"",
		":80",
		"192.0.2.2",
		"evil.example",
		"notlocalhost",
		"localhost.evil.example",
		"127.0.0.1.evil.example",
		"rosterd.example.net.evil.example",
		"localhost:80x",
		"localhost@evil.example",
		"[::1",
		"[::1]x",
		"[2001:db8::1]",
		"0.0.0.0",
		"[::]",
		"2130706433",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ck_assert_msg(look(good[i], NULL, &local_v4) == 200, "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(look(bad[i], NULL, &local_v4) == 421, "%s", bad[i]);
	ck_assert_int_eq(look(NULL, NULL, &local_v4), 421);
	ck_assert_int_eq(look("[2001:db8::1]:8500", NULL, &local_v6), 200);
	ck_assert_int_eq(look("[2001:db8:0::0001]", NULL, &local_v6), 200);
	ck_assert_int_eq(look("192.0.2.1", NULL, &local_v6), 421);
}
END_TEST

START_TEST(origins_of_pages)
{
	ck_assert_int_eq(look("localhost:8500", "http://localhost:8500", &local_v4), 200);
	ck_assert_int_eq(look("192.0.2.1", "http://192.0.2.1", &local_v4), 200);
	ck_assert_int_eq(look("192.0.2.1", "https://ops.example.net", &local_v4), 200);
	ck_assert_int_eq(look("192.0.2.1", "https://ops.example.net:8443", &local_v4), 403);
	ck_assert_int_eq(look("192.0.2.1", "http://ops.example.net", &local_v4), 403);
	ck_assert_int_eq(look("localhost:8500", "http://localhost:3000", &local_v4), 403);
	ck_assert_int_eq(look("localhost:8500", "http://evil.example", &local_v4), 403);
	ck_assert_int_eq(look("localhost:8500", "null", &local_v4), 403);
	ck_assert_int_eq(look("localhost:8500", "", &local_v4), 403);
	/* The name in Host was the page's own: it does not get as far as Origin. */
	ck_assert_int_eq(look("evil.example", "http://evil.example", &local_v4), 421);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("guard");
	TCase *tcase = tcase_create("core");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, hosts);
	tcase_add_test(tcase, origins_of_pages);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
