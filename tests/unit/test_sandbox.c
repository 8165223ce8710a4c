/* SPDX-License-Identifier: BSD-2-Clause */
/* What cannot be undone happens in children, which report by their exit status. */
#include "app/sandbox.h"

#include "app/sandbox_filter.h"
#include "app/sandbox_user.h"
#include "base/sanitize.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/rosterd-test-sandbox-XXXXXX";
static char message[256];

/* The status of a child that runs this: what it returns is the exit status. */
static int in_child(int (*run)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(run());
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void expect_good(int (*run)(void))
{
	int status = in_child(run);

	ck_assert_msg(WIFEXITED(status), "signal %d", WTERMSIG(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}

static void expect_death(int (*run)(void))
{
	int status = in_child(run);

	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGSYS);
}

/* Says which line of a child's function was wrong: the exit status is its number modulo 128, + 1.
 */
#define DEMAND(condition)                          \
	do {                                       \
		if (!(condition))                  \
			return __LINE__ % 128 + 1; \
	} while (0)

static int apply(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || sandbox_filter_apply();
}

/* Of /proc/self/status; -1: not there. */
static long long read_status(const char *key)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	long long value = -1;

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
			value = strtoll(line + strlen(key) + 1, NULL,
					strncmp(key, "Cap", 3) == 0 ? 16 : 10);
	if (file)
		fclose(file);
	return value;
}

/* ---- The filter ---- */

static void *set_flag(void *cookie)
{
	*(int *)cookie = 1;
	return NULL;
}

static int nothing(void)
{
	return 0;
}

static int do_what_is_needed(void)
{
	static const int families[] = { AF_INET, AF_INET6, AF_UNIX };
	pthread_t thread;
	void *memory;
	int flag = 0;

	DEMAND(apply() == 0);
	DEMAND(read_status("Seccomp") == 2);
	for (size_t i = 0; i < 3; i++)
		DEMAND(socket(families[i], SOCK_STREAM, 0) >= 0 || errno == EAFNOSUPPORT);
	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	DEMAND(memory != MAP_FAILED);
	DEMAND(mprotect(memory, 4096, PROT_READ) == 0);
	DEMAND(pthread_create(&thread, NULL, set_flag, &flag) == 0);
	DEMAND(pthread_join(thread, NULL) == 0 && flag == 1);
	DEMAND(in_child(nothing) == 0);
	DEMAND(prctl(PR_SET_NAME, "test", 0, 0, 0) == 0);
	DEMAND(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
	return 0;
}

START_TEST(what_is_needed_works)
{
	expect_good(do_what_is_needed);
}
END_TEST

static int try_what_is_not(void)
{
	void *memory;

	DEMAND(apply() == 0);
	DEMAND(socket(AF_NETLINK, SOCK_RAW, 0) < 0 && errno == ENOSYS);
	DEMAND(socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == ENOSYS);
	memory = mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	DEMAND(memory == MAP_FAILED && errno == ENOSYS);
	memory = mmap(NULL, 4096, PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	DEMAND(memory != MAP_FAILED);
	DEMAND(mprotect(memory, 4096, PROT_READ | PROT_EXEC) < 0 && errno == ENOSYS);
	DEMAND(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL) < 0 && errno == ENOSYS);
	DEMAND(syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS);
	DEMAND(syscall(SYS_personality, 0) < 0 && errno == ENOSYS);
	DEMAND(syscall(SYS_io_uring_setup, 1, NULL) < 0 && errno == ENOSYS);
	DEMAND(syscall(SYS_symlink, "a", "b") < 0 && errno == ENOSYS);
	DEMAND(syscall(SYS_setuid, getuid()) < 0 && errno == ENOSYS);
	DEMAND(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 && errno == ENOSYS);
	/* As a kernel without it would say. */
	DEMAND(syscall(100000) < 0 && errno == ENOSYS);
	return 0;
}

START_TEST(what_is_not_needed_is_not_there)
{
	expect_good(try_what_is_not);
}
END_TEST

static int trace(void)
{
	return apply() ? 1 : (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static int leave(void)
{
	return apply() ? 1 : unshare(CLONE_NEWUSER);
}

static int mount_something(void)
{
	return apply() ? 1 : (int)syscall(SYS_mount, "none", "/", "tmpfs", 0UL, NULL);
}

START_TEST(what_only_an_attacker_calls_is_the_end)
{
	expect_death(trace);
	expect_death(leave);
	expect_death(mount_something);
}
END_TEST

/* The whole start of a program, by the filter of the one that starts it. */
static int become_successor(void)
{
	DEMAND(apply() == 0);
	execl("/proc/self/exe", "test_sandbox", "--successor", NULL);
	return 1;
}

static int check_successor(void)
{
	DEMAND(read_status("Seccomp") == 2);
	DEMAND(read_status("Seccomp_filters") <= 1); /* -1: an old kernel does not say */
	DEMAND(apply() == 0);
	DEMAND(read_status("Seccomp_filters") <= 1);
	DEMAND(setenv("ROSTERD_SANDBOX", "0123456789abcdef", 1) == 0);
	DEMAND(apply() == 0); /* another version's: this one's comes on top */
	DEMAND(read_status("Seccomp_filters") != 1);
	return 0;
}

START_TEST(successors_do_not_pile_up_filters)
{
	expect_good(become_successor);
}
END_TEST

static int print_variable(int fd)
{
	const char *value = apply() == 0 ? getenv("ROSTERD_SANDBOX") : NULL;

	return !value || write(fd, value, strlen(value)) != (ssize_t)strlen(value);
}

static int believe_no_variable(void)
{
	char value[32] = "";
	int ends[2];

	DEMAND(pipe2(ends, O_CLOEXEC) == 0);
	if (fork() == 0)
		_exit(print_variable(ends[1]));
	DEMAND(read(ends[0], value, sizeof(value) - 1) > 0);
	DEMAND(setenv("ROSTERD_SANDBOX", value, 1) == 0);
	DEMAND(read_status("Seccomp") == 0);
	DEMAND(apply() == 0);
	DEMAND(read_status("Seccomp") == 2);
	return 0;
}

START_TEST(a_variable_alone_is_no_filter)
{
	expect_good(believe_no_variable);
}
END_TEST

/* ---- The user ---- */

START_TEST(users_are_found_or_named)
{
	struct sandbox_user user;

	ck_assert_int_eq(sandbox_user_find(&user, "root", message, sizeof(message)), 0);
	ck_assert_uint_eq(user.uid, 0);
	ck_assert_int_eq(sandbox_user_find(&user, "nobody:root", message, sizeof(message)), 0);
	ck_assert_uint_ne(user.uid, 0);
	ck_assert_uint_eq(user.gid, 0);
	ck_assert_int_eq(sandbox_check_user("no-such-user", message, sizeof(message)), -1);
	ck_assert_str_eq(message, "user: there is no user 'no-such-user'");
	ck_assert_int_eq(sandbox_check_user("root:no-such-group", message, sizeof(message)), -1);
	ck_assert_str_eq(message, "user: there is no group 'no-such-group'");
	ck_assert_int_eq(sandbox_check_user("", message, sizeof(message)), -1);
	ck_assert_int_eq(sandbox_check_user(":root", message, sizeof(message)), -1);
	ck_assert_int_eq(sandbox_check_user("root:", message, sizeof(message)), -1);
}
END_TEST

static const char *path(const char *name)
{
	static char text[4][128];
	static unsigned next;
	char *result = text[next++ % 4];

	snprintf(result, sizeof(text[0]), "%s/%s", folder, name);
	return result;
}

static void make_file(const char *name)
{
	int fd = open(path(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

static uid_t owner(const char *name)
{
	struct stat status;

	ck_assert_int_eq(lstat(path(name), &status), 0);
	return status.st_uid;
}

START_TEST(directory_becomes_the_users)
{
	struct sandbox_user user;

	if (geteuid() != 0)
		return;
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(sandbox_user_find(&user, "nobody", message, sizeof(message)), 0);

	/* One that was not there. */
	ck_assert_int_eq(sandbox_user_own_directory(&user, path("new"), message, sizeof(message)),
			 0);
	ck_assert_uint_eq(owner("new"), user.uid);

	/* One that was somebody else's: wrong paths do no harm. */
	ck_assert_int_eq(mkdir(path("etc"), 0755), 0);
	make_file("etc/passwd");
	ck_assert_int_eq(sandbox_user_own_directory(&user, path("etc"), message, sizeof(message)),
			 0);
	ck_assert_uint_eq(owner("etc"), 0);
	ck_assert_uint_eq(owner("etc/passwd"), 0);

	/* One that root has used; what has another name elsewhere is not the user's. */
	ck_assert_int_eq(mkdir(path("data"), 0755), 0);
	make_file("data/revision");
	ck_assert_int_eq(link(path("etc/passwd"), path("data/link")), 0);
	ck_assert_int_eq(symlink("../etc/passwd", path("data/symlink")), 0);
	ck_assert_int_eq(sandbox_user_own_directory(&user, path("data"), message, sizeof(message)),
			 0);
	ck_assert_uint_eq(owner("data"), user.uid);
	ck_assert_uint_eq(owner("data/revision"), user.uid);
	ck_assert_uint_eq(owner("data/symlink"), 0);
	ck_assert_uint_eq(owner("etc/passwd"), 0);

	ck_assert_int_eq(
		sandbox_user_own_directory(&user, path("no/such"), message, sizeof(message)), -1);
	ck_assert_ptr_nonnull(strstr(message, "No such file"));
	unlink(path("data/symlink"));
	unlink(path("data/link"));
	unlink(path("data/revision"));
	unlink(path("etc/passwd"));
	rmdir(path("data"));
	rmdir(path("etc"));
	rmdir(path("new"));
	rmdir(folder);
}
END_TEST

/* ---- The whole ---- */

static int enter_and_seal(void)
{
	const struct sandbox_options options = { .data = "/", .is_on = true };

	DEMAND(sandbox_enter(&options, message, sizeof(message)) == 0);
	DEMAND(read_status("NoNewPrivs") == 1);
	DEMAND((read_status("CapEff") & ~(1LL << CAP_NET_BIND_SERVICE | 1LL << CAP_NET_ADMIN)) ==
	       0);
	DEMAND(sandbox_seal(&options, message, sizeof(message)) == 0);
	DEMAND(read_status("CapEff") == 0 && read_status("CapPrm") == 0);
	DEMAND(read_status("CapInh") == 0 && read_status("CapAmb") == 0);
	if (geteuid() == 0)
		DEMAND(read_status("CapBnd") == 0);
	if (!SANITIZE_ANY) {
		DEMAND(read_status("Seccomp") == 2);
		DEMAND(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) < 0);
	}
	return 0;
}

static int become_nobody(void)
{
	const struct sandbox_options options = {
		.user = "nobody",
		.data = "/",
		.is_on = false,
	};

	DEMAND(sandbox_enter(&options, message, sizeof(message)) == 0);
	DEMAND(getuid() != 0 && geteuid() != 0 && getgid() != 0);
	DEMAND(setuid(0) < 0 && setgid(0) < 0);
	DEMAND(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1);
	DEMAND(sandbox_seal(&options, message, sizeof(message)) == 0);
	DEMAND(read_status("CapPrm") == 0);
	DEMAND(read_status("Seccomp") == 0);
	/* A successor is that user already. */
	DEMAND(sandbox_enter(&options, message, sizeof(message)) == 0);
	return 0;
}

static int become_another(void)
{
	const struct sandbox_options nobody = { .user = "nobody", .data = "/" };
	const struct sandbox_options other = { .user = "daemon", .data = "/" };

	if (geteuid() == 0) {
		DEMAND(sandbox_enter(&nobody, message, sizeof(message)) == 0);
		DEMAND(sandbox_seal(&nobody, message, sizeof(message)) == 0);
	}
	DEMAND(sandbox_enter(&other, message, sizeof(message)) == -1);
	DEMAND(strstr(message, "only root can become another user") != NULL);
	return 0;
}

START_TEST(nothing_is_kept)
{
	expect_good(enter_and_seal);
}
END_TEST

START_TEST(another_user_for_good)
{
	if (geteuid() == 0)
		expect_good(become_nobody);
	expect_good(become_another);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite = suite_create("sandbox");
	TCase *tcase = tcase_create("sandbox");
	SRunner *runner = srunner_create(suite);
	int failed;

	if (argc == 2 && strcmp(argv[1], "--successor") == 0)
		return check_successor();
	tcase_add_test(tcase, users_are_found_or_named);
	tcase_add_test(tcase, directory_becomes_the_users);
	tcase_add_test(tcase, nothing_is_kept);
	tcase_add_test(tcase, another_user_for_good);
	/* Sanitizers make calls of their own. */
	if (!SANITIZE_ANY) {
		tcase_add_test(tcase, what_is_needed_works);
		tcase_add_test(tcase, what_is_not_needed_is_not_there);
		tcase_add_test(tcase, what_only_an_attacker_calls_is_the_end);
		tcase_add_test(tcase, successors_do_not_pile_up_filters);
		tcase_add_test(tcase, a_variable_alone_is_no_filter);
	}
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
