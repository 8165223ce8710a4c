/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/systemd.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[] = "/tmp/rosterd-test-XXXXXX";
static struct sockaddr_un manager_address;
static int manager = -1;

/* The manager's socket, at a path or at an abstract name. */
static void bind_manager(const char *path)
{
	size_t len = strlen(path);

	manager_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(manager_address.sun_path, path, len);
	if (*path == '@')
		manager_address.sun_path[0] = '\0';
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	ck_assert_int_ge(manager, 0);
	ck_assert_int_eq(bind(manager, (const struct sockaddr *)&manager_address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
			 0);
	setenv("NOTIFY_SOCKET", path, 1);
}

static const char *receive(void)
{
	static char text[256];
	ssize_t len = recv(manager, text, sizeof(text) - 1, 0);

	ck_assert_int_ge(len, 0);
	text[len] = '\0';
	return text;
}

static void tear_down(void)
{
	if (manager >= 0)
		close(manager);
	manager = -1;
}

static void set_number(const char *name, long number)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", number);
	setenv(name, text, 1);
}

START_TEST(without_a_manager_nothing_is_said)
{
	unsetenv("NOTIFY_SOCKET");
	ck_assert_int_eq(systemd_notify("READY=1"), 0);
	setenv("NOTIFY_SOCKET", "", 1);
	ck_assert_int_eq(systemd_notify("READY=1"), 0);
}
END_TEST

START_TEST(lines_reach_a_path)
{
	char path[64];

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/notify", folder);
	bind_manager(path);
	ck_assert_int_eq(systemd_notify("READY=1\nSTATUS=fine"), 0);
	ck_assert_str_eq(receive(), "READY=1\nSTATUS=fine");
	ck_assert_int_eq(systemd_notify_reloading(), 0);
	ck_assert_int_eq(strncmp(receive(), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
	unlink(path);
	ck_assert_int_eq(systemd_notify("READY=1"), -1);
	ck_assert_int_eq(errno, ENOENT);
	rmdir(folder);
}
END_TEST

START_TEST(lines_reach_an_abstract_name)
{
	char name[64];

	snprintf(name, sizeof(name), "@rosterd-test-%d", (int)getpid());
	bind_manager(name);
	ck_assert_int_eq(systemd_notify("WATCHDOG=1"), 0);
	ck_assert_str_eq(receive(), "WATCHDOG=1");
}
END_TEST

START_TEST(a_full_manager_stops_nobody)
{
	char name[64];
	int sent = 0;

	snprintf(name, sizeof(name), "@rosterd-test-full-%d", (int)getpid());
	bind_manager(name);
	while (sent < 100000 && systemd_notify("WATCHDOG=1") == 0)
		sent++;
	ck_assert_int_lt(sent, 100000);
	ck_assert_int_eq(errno, EAGAIN);
}
END_TEST

START_TEST(odd_places_are_refused)
{
	char path[200] = "/";

	memset(path + 1, 'x', sizeof(path) - 2);
	setenv("NOTIFY_SOCKET", path, 1);
	ck_assert_int_eq(systemd_notify("READY=1"), -1);
	setenv("NOTIFY_SOCKET", "relative", 1);
	ck_assert_int_eq(systemd_notify("READY=1"), -1);
	ck_assert_int_eq(errno, EINVAL);
}
END_TEST

START_TEST(watchdog_is_for_one_process)
{
	static const char *const wrong[] = { "", "x", "-1", "1 ", "99999999999999999999999" };

	unsetenv("WATCHDOG_USEC");
	ck_assert_uint_eq(systemd_watchdog_ms(), 0);
	setenv("WATCHDOG_USEC", "3000000", 1);
	ck_assert_uint_eq(systemd_watchdog_ms(), 3000);
	set_number("WATCHDOG_PID", getpid());
	ck_assert_uint_eq(systemd_watchdog_ms(), 3000);
	set_number("WATCHDOG_PID", getpid() + 1L);
	ck_assert_uint_eq(systemd_watchdog_ms(), 0);
	unsetenv("WATCHDOG_PID");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		setenv("WATCHDOG_USEC", wrong[i], 1);
		ck_assert_uint_eq(systemd_watchdog_ms(), 0);
	}
}
END_TEST

/* The test process has files at 3 already; they are put aside by libcheck's fork alone. */
START_TEST(sockets_are_taken_by_the_one_they_are_for)
{
	struct listen_set set = { .fds = NULL };
	struct listen_address address;
	const char *reason;
	int udp, taken, on = 1;

	ck_assert(listen_parse("127.0.0.1@0", &address, &reason));
	udp = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(setsockopt(udp, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
	ck_assert_int_eq(bind(udp, (struct sockaddr *)&address.sockaddr, address.len), 0);
	ck_assert_int_eq(dup2(udp, 3), 3);
	closefrom(4);
	setenv("LISTEN_FDS", "2", 1); /* one more than there are */
	unsetenv("LISTEN_PID");
	ck_assert_int_eq(systemd_take_sockets(&set), 0);
	ck_assert_uint_eq(set.n, 0);
	set_number("LISTEN_PID", getpid() + 1L);
	ck_assert_int_eq(systemd_take_sockets(&set), 0);
	ck_assert_uint_eq(set.n, 0);
	set_number("LISTEN_PID", getpid());
	ck_assert_int_eq(systemd_take_sockets(&set), 0);
	ck_assert_uint_eq(set.n, 1);
	ck_assert(fcntl(3, F_GETFD) & FD_CLOEXEC);
	ck_assert(!listen_set_has(&set, SOCK_STREAM, false, &address));
	taken = listen_set_take(&set, SOCK_DGRAM, true, &address);
	ck_assert_int_eq(taken, 3);
	ck_assert_str_ne(address.text, "127.0.0.1@0");
	ck_assert(fcntl(3, F_GETFL) & O_NONBLOCK);
	ck_assert_uint_eq(listen_set_fini(&set), 0);
	taken = listen_udp(&address);
	ck_assert_msg(taken >= 0, "another one beside it: %s", strerror(errno));
}
END_TEST

START_TEST(children_get_what_is_not_ours)
{
	bool has_notify = false, has_own = false;
	char own[] = "OWN=1", **environment;

	setenv("NOTIFY_SOCKET", "@x", 1);
	setenv("WATCHDOG_PID", "1", 1);
	setenv("LISTEN_PID", "1", 1);
	setenv("LISTEN_FDS", "1", 1);
	setenv("LISTEN_FDNAMES", "a", 1);
	environment = systemd_child_environment(own);
	ck_assert_ptr_nonnull(environment);
	for (char **variable = environment; *variable; variable++) {
		ck_assert_int_ne(strncmp(*variable, "LISTEN_", 7), 0);
		ck_assert_int_ne(strncmp(*variable, "WATCHDOG_PID=", 13), 0);
		has_notify |= strcmp(*variable, "NOTIFY_SOCKET=@x") == 0;
		has_own |= *variable == own;
	}
	ck_assert(has_notify && has_own);
	free(environment);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("systemd");
	TCase *tcase = tcase_create("systemd");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, NULL, tear_down);
	tcase_add_test(tcase, without_a_manager_nothing_is_said);
	tcase_add_test(tcase, lines_reach_a_path);
	tcase_add_test(tcase, lines_reach_an_abstract_name);
	tcase_add_test(tcase, a_full_manager_stops_nobody);
	tcase_add_test(tcase, odd_places_are_refused);
	tcase_add_test(tcase, watchdog_is_for_one_process);
	tcase_add_test(tcase, sockets_are_taken_by_the_one_they_are_for);
	tcase_add_test(tcase, children_get_what_is_not_ours);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
