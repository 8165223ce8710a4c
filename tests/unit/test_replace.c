/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/replace.h"

#include "app/takeover.h"

#include <event2/event.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	REVISION = 42,
	WAIT_S = 20,
	REFUSED = 3, /* exit status of a new server that was refused */
	FAILED = 4,
};

static char directory[64], message[256];
static const struct siphash_key secret = { 0x0123456789abcdef, 0xfedcba9876543210 };
static struct event_base *base;
static struct replace *replace;
static struct listen_address udp_address, tcp_address;
static int sockets[REPLACE_FDS + 1], lock;
static size_t n_sockets;

/* ---- The running server ---- */

static unsigned n_yields, n_resumes, n_retires;
static bool is_slow; /* yields later */

static void offer(void *cookie, struct replace_goods *goods)
{
	(void)cookie;
	*goods = (struct replace_goods){ sockets, n_sockets, lock, secret };
}

static void yield(void *cookie)
{
	(void)cookie;
	n_yields++;
	if (!is_slow)
		replace_yielded(replace, REVISION);
	event_base_loopbreak(base);
}

static void resume(void *cookie)
{
	(void)cookie;
	n_resumes++;
	event_base_loopbreak(base);
}

static void retire(void *cookie)
{
	(void)cookie;
	n_retires++;
	replace_retired(replace);
	event_base_loopbreak(base);
}

static const struct replace_owner owner = {
	.offer = offer,
	.yield = yield,
	.resume = resume,
	.retire = retire,
};

static void put_path(char path[128], const char *name)
{
	snprintf(path, 128, "%s/%s", directory, name);
}

static void start_server(void)
{
	replace = replace_new(base, directory, -1, &owner, message, sizeof(message));
	ck_assert_msg(replace != NULL, "%s", message);
}

static void set_up(void)
{
	const char *reason;
	char path[128];

	strcpy(directory, "/tmp/test_replace-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	put_path(path, "lock");
	lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert(listen_parse("127.0.0.1@0", &udp_address, &reason));
	ck_assert(listen_parse("127.0.0.1@0", &tcp_address, &reason));
	n_sockets = 2;
	sockets[0] = listen_udp(&udp_address);
	sockets[1] = listen_tcp_shared(&tcp_address);
	ck_assert(lock >= 0 && sockets[0] >= 0 && sockets[1] >= 0);
	base = event_base_new();
	ck_assert_ptr_nonnull(base);
	n_yields = n_resumes = n_retires = 0;
	is_slow = false;
	start_server();
}

static void tear_down(void)
{
	char path[128];

	replace_free(replace);
	event_base_free(base);
	put_path(path, "lock");
	unlink(path);
	put_path(path, "control.sock");
	unlink(path);
	ck_assert_int_eq(rmdir(directory), 0);
}

/* ---- New servers: processes, because the old one may have to kill them ---- */

static struct takeover takeover;
static struct listen_set given;

static void begin(void)
{
	takeover_init(&takeover);
	if (takeover_begin(&takeover, directory, &given, message, sizeof(message)) != TAKEOVER_OK)
		_exit(REFUSED);
}

static void await_yours(void)
{
	uint64_t revision;

	if (takeover_await_yours(&takeover, &revision, message, sizeof(message)) ||
	    revision != REVISION)
		_exit(FAILED);
}

static void replace_whole(void)
{
	begin();
	if (given.n != n_sockets || takeover.cookie_secret.k0 != secret.k0 ||
	    takeover.cookie_secret.k1 != secret.k1 || !given.is_replacement ||
	    !listen_set_has(&given, SOCK_DGRAM, true, &udp_address) ||
	    !listen_set_has(&given, SOCK_STREAM, true, &tcp_address) || takeover.control < 0 ||
	    fcntl(takeover.lock, F_GETFD) != FD_CLOEXEC)
		_exit(FAILED);
	await_yours();
	takeover_finish(&takeover);
}

static void fail_and_stay(void)
{
	begin();
	await_yours();
	takeover_fail(&takeover, "out of luck");
	pause();
}

static void fail_and_end(void)
{
	begin();
	await_yours();
	takeover_fail(&takeover, "out of luck");
}

static void be_killed(void)
{
	begin();
	await_yours();
	raise(SIGKILL);
}

static void be_killed_when_ready(void)
{
	begin();
	await_yours();
	replace_wire_send(takeover.fd, "ready", "", NULL, 0);
	raise(SIGKILL);
}

static void be_killed_early(void)
{
	begin();
	replace_wire_send(takeover.fd, "yield", "", NULL, 0);
	raise(SIGKILL);
}

static void end_after_offer(void)
{
	begin();
}

/* Says one thing and stays until the other side hangs up. */
static void say(const char *word, const char *rest)
{
	struct sockaddr_un to;
	struct replace_message reply;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	if (!replace_wire_address(directory, &to) ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) ||
	    replace_wire_send(fd, word, rest, sockets, 2))
		_exit(FAILED);
	while (recv(fd, reply.text, sizeof(reply.text), 0) > 0)
		;
	_exit(REFUSED);
}

static void say_other_version(void)
{
	say("replace", "2 9.9.9");
}

static void say_garbage(void)
{
	say("\1\2\3 GET / HTTP/1.1", "");
}

static void say_ready_too_early(void)
{
	begin();
	takeover_finish(&takeover);
	_exit(REFUSED);
}

static pid_t spawn(void (*function)(void))
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid)
		return pid;
	function();
	takeover_fini(&takeover);
	_exit(EXIT_SUCCESS);
}

static int await_exit(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Until a hook is called. */
static void run(void)
{
	struct timeval limit = { .tv_sec = WAIT_S };
	unsigned before = n_yields + n_resumes + n_retires;

	event_base_loopexit(base, &limit);
	ck_assert_int_ge(event_base_dispatch(base), 0);
	ck_assert_msg(n_yields + n_resumes + n_retires > before, "nothing happens");
}

static int run_until_exit(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0)
		event_base_loop(base, EVLOOP_NONBLOCK);
	event_base_loop(base, EVLOOP_NONBLOCK);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void expect_whole_replacement(void)
{
	pid_t pid = spawn(replace_whole);

	run();
	ck_assert_uint_eq(n_yields, 1);
	ck_assert(replace_has_yielded(replace));
	run();
	ck_assert_uint_eq(n_retires, 1);
	ck_assert_int_eq(await_exit(pid), EXIT_SUCCESS);
	ck_assert_uint_eq(n_resumes, 0);
}

/* ---- Tests ---- */

START_TEST(new_server_gets_everything)
{
	expect_whole_replacement();
}
END_TEST

START_TEST(many_sockets_take_several_messages)
{
	while (n_sockets < REPLACE_FDS + 1) {
		sockets[n_sockets] = dup(sockets[n_sockets % 2]);
		ck_assert_int_ge(sockets[n_sockets++], 0);
	}
	expect_whole_replacement();
}
END_TEST

START_TEST(socket_is_for_its_owner_alone)
{
	struct stat status;
	char path[128];

	put_path(path, "control.sock");
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_uint_eq(status.st_mode & 0777, 0600);
	replace_free(replace);
	replace = NULL;
	ck_assert_int_eq(stat(path, &status), -1);
}
END_TEST

START_TEST(without_a_server_there_is_nothing_to_replace)
{
	struct sockaddr_un stale;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	takeover_init(&takeover);
	replace_free(replace);
	replace = NULL;
	ck_assert_int_eq(takeover_begin(&takeover, directory, &given, message, sizeof(message)),
			 TAKEOVER_NOBODY);
	ck_assert(replace_wire_address(directory, &stale));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&stale, sizeof(stale)), 0);
	ck_assert_int_eq(takeover_begin(&takeover, directory, &given, message, sizeof(message)),
			 TAKEOVER_NOBODY);
	close(fd);
	start_server(); /* over the stale one */
	expect_whole_replacement();
}
END_TEST

/* Each of these fails behind "yours"; afterwards another may try. */
static void (*const failing[])(void) = { fail_and_end, fail_and_stay, be_killed,
					 be_killed_when_ready };

START_TEST(old_server_goes_on_when_the_new_one_fails)
{
	pid_t pid = spawn(failing[_i]);
	siginfo_t info;

	run();
	ck_assert_uint_eq(n_yields, 1);
	/* Only now is its end seen, and what it said before. */
	if (failing[_i] != fail_and_stay)
		ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	run();
	ck_assert_uint_eq(n_resumes, 1);
	ck_assert_uint_eq(n_retires, 0);
	/* Whoever is not gone by then has been killed. */
	ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), pid);
	ck_assert(!replace_has_yielded(replace));
	n_yields = n_resumes = 0;
	expect_whole_replacement();
}
END_TEST

START_TEST(old_server_finishes_yielding_before_it_goes_on)
{
	pid_t pid;

	is_slow = true;
	pid = spawn(be_killed_early);
	run();
	ck_assert_int_eq(await_exit(pid), -SIGKILL);
	event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_uint_eq(n_resumes, 0);
	replace_yielded(replace, REVISION);
	ck_assert_uint_eq(n_resumes, 1);
	n_yields = n_resumes = 0;
	is_slow = false;
	expect_whole_replacement();
}
END_TEST

static const struct {
	void (*function)(void);
	int status;
} strangers[] = {
	{ say_other_version, REFUSED },
	{ say_garbage, REFUSED },
	{ say_ready_too_early, REFUSED },
	{ end_after_offer, EXIT_SUCCESS },
};

START_TEST(strangers_change_nothing)
{
	ck_assert_int_eq(run_until_exit(spawn(strangers[_i].function)), strangers[_i].status);
	ck_assert_uint_eq(n_yields + n_resumes + n_retires, 0);
	expect_whole_replacement();
}
END_TEST

START_TEST(one_at_a_time)
{
	pid_t first, second;

	is_slow = true;
	first = spawn(replace_whole);
	run();
	second = spawn(replace_whole);
	ck_assert_int_eq(run_until_exit(second), REFUSED);
	replace_yielded(replace, REVISION);
	run();
	ck_assert_uint_eq(n_retires, 1);
	ck_assert_int_eq(await_exit(first), EXIT_SUCCESS);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("replace");
	TCase *tcase = tcase_create("replace");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 2 * WAIT_S);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, new_server_gets_everything);
	tcase_add_test(tcase, many_sockets_take_several_messages);
	tcase_add_test(tcase, socket_is_for_its_owner_alone);
	tcase_add_test(tcase, without_a_server_there_is_nothing_to_replace);
	tcase_add_loop_test(tcase, old_server_goes_on_when_the_new_one_fails, 0,
			    sizeof(failing) / sizeof(failing[0]));
	tcase_add_test(tcase, old_server_finishes_yielding_before_it_goes_on);
	tcase_add_loop_test(tcase, strangers_change_nothing, 0,
			    sizeof(strangers) / sizeof(strangers[0]));
	tcase_add_test(tcase, one_at_a_time);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
