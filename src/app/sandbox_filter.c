/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/sandbox_filter.h"

#include "base/siphash.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define ENVIRONMENT "ROSTERD_SANDBOX"

enum {
	FINGERPRINT = 17, /* hexadecimal digits and the NUL */
};

/* The C library's clone() on this machine has its flags there. */
#ifdef __s390x__
#define CLONE_FLAGS 1
#else
#define CLONE_FLAGS 0
#endif

/*
 * Calls that are allowed whatever their arguments are. What a successor calls while it starts is
 * among them, because it starts under this filter. A name that this machine's kernel does not have
 * counts as nothing.
 *
 *     reading and writing         every door, the log, files
 *     files in the data directory revision, store, copy, dumps, control.sock: made aside, synced,
 *                                 renamed, locked, removed
 *     files elsewhere             configuration and zones at SIGHUP, certificates, /proc/self,
 *                                 time zones, services and what becomes of them (inotify);
 *                                 permissions are the user's
 *     sockets                     DNS, HTTP, checks, service manager, replacement; which families
 *                                 there are, see below
 *     waiting                     libevent, queues, the successor (pidfd), the store's child
 *     memory                      malloc, stacks, LMDB's map; see below for mmap and mprotect
 *     threads                     and what the C library and liburcu do for each of them
 *     processes                   the successor and the store's child; see below for clone
 *     who and where we are        libraries and the successor's start ask; nobody can be changed
 *     giving up                   a successor gives up again what it does not have
 *     time and chance             an alarm, too: the last resort where a stop takes too long
 */
static const int allowed[] = {
	/* reading and writing */
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(preadv),
	SCMP_SYS(pwritev),
	SCMP_SYS(lseek),
	SCMP_SYS(_llseek),
	SCMP_SYS(close),
	SCMP_SYS(close_range),
	SCMP_SYS(fcntl),
	SCMP_SYS(fcntl64),
	SCMP_SYS(dup),
	SCMP_SYS(dup2),
	SCMP_SYS(dup3),
	SCMP_SYS(pipe),
	SCMP_SYS(pipe2),
	SCMP_SYS(sendfile),

	/* files in the data directory */
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(mkdir),
	SCMP_SYS(mkdirat),
	SCMP_SYS(rename),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(sync_file_range),
	SCMP_SYS(ftruncate),
	SCMP_SYS(ftruncate64),
	SCMP_SYS(fallocate),
	SCMP_SYS(flock),
	SCMP_SYS(chmod),
	SCMP_SYS(fchmod),
	SCMP_SYS(fchmodat),
	SCMP_SYS(umask),
	SCMP_SYS(getdents64),

	/* files elsewhere */
	SCMP_SYS(stat),
	SCMP_SYS(stat64),
	SCMP_SYS(lstat),
	SCMP_SYS(lstat64),
	SCMP_SYS(fstat),
	SCMP_SYS(fstat64),
	SCMP_SYS(newfstatat),
	SCMP_SYS(fstatat64),
	SCMP_SYS(statx),
	SCMP_SYS(statfs),
	SCMP_SYS(fstatfs),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getcwd),
	SCMP_SYS(fadvise64),
	SCMP_SYS(inotify_init1),
	SCMP_SYS(inotify_add_watch),
	SCMP_SYS(inotify_rm_watch),

	/* sockets */
	SCMP_SYS(bind),
	SCMP_SYS(listen),
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(connect),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(send),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(recv),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(shutdown),

	/* waiting */
	SCMP_SYS(epoll_create),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(select),
	SCMP_SYS(pselect6),
	SCMP_SYS(eventfd2),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(timerfd_gettime),
	SCMP_SYS(signalfd4),
	SCMP_SYS(pidfd_open),
	SCMP_SYS(wait4),
	SCMP_SYS(waitid),

	/* memory */
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(msync),
	SCMP_SYS(mincore),
	SCMP_SYS(mlock),
	SCMP_SYS(munlock),

	/* threads */
	SCMP_SYS(futex),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(get_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(membarrier),
	SCMP_SYS(set_tid_address),
	SCMP_SYS(arch_prctl),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_setaffinity),
	SCMP_SYS(sched_getparam),
	SCMP_SYS(sched_getscheduler),
	SCMP_SYS(getpriority),
	SCMP_SYS(setpriority),
	SCMP_SYS(getcpu),
	SCMP_SYS(gettid),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigpending),
	SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(rt_sigsuspend),
	SCMP_SYS(sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(tgkill),
	SCMP_SYS(kill),

	/* processes */
	SCMP_SYS(fork),
	SCMP_SYS(vfork),
	SCMP_SYS(execve),
	SCMP_SYS(pidfd_send_signal),

	/* who and where we are */
	SCMP_SYS(getpid),
	SCMP_SYS(getppid),
	SCMP_SYS(getpgrp),
	SCMP_SYS(getpgid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(getresuid),
	SCMP_SYS(getresgid),
	SCMP_SYS(getgroups),
	SCMP_SYS(uname),
	SCMP_SYS(sysinfo),
	SCMP_SYS(getrusage),
	SCMP_SYS(times),
	SCMP_SYS(getrlimit),
	SCMP_SYS(ugetrlimit),
	SCMP_SYS(setrlimit),
	SCMP_SYS(prlimit64),

	/* giving up */
	SCMP_SYS(capget),
	SCMP_SYS(capset),
	SCMP_SYS(seccomp),

	/* time and chance */
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_gettime64),
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(alarm),
	SCMP_SYS(setitimer),
	SCMP_SYS(time),
	SCMP_SYS(getrandom),
};

/*
 * Calls that are allowed if an argument has this value in these bits: only the low 32 are looked
 * at where the kernel does so too. Rows of a call add up. They look at one argument each, because
 * libseccomp 2.5.4 goes on with the wrong argument behind a row that looks at two.
 *
 *     socket, socketpair  no packets of our own making (AF_PACKET), no netlink, no other families:
 *                         they are where the kernel has had its holes
 *     mmap, mprotect      nothing that is or was writable becomes code; the successor's loader maps
 *                         code from files, read-only
 *     clone               threads and children, but no new namespaces. clone3 has its flags where a
 *                         filter cannot see them, so it is not there: the C library then uses clone
 *     ioctl               libevent on sockets, and whether something is a terminal
 *     prctl               names of threads; giving up; a successor says again that there are to be
 * no core dumps
 */
struct argument_rule {
	int call;
	unsigned argument;
	scmp_datum_t mask, value;
};

enum {
	WHOLE_INT = -1, /* as a mask it has all 32 bits */
	NAMESPACES = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
		     CLONE_NEWPID | CLONE_NEWNET,
};

static const struct argument_rule rules[] = {
	{ SCMP_SYS(socket), 0, (unsigned)WHOLE_INT, AF_INET },
	{ SCMP_SYS(socket), 0, (unsigned)WHOLE_INT, AF_INET6 },
	{ SCMP_SYS(socket), 0, (unsigned)WHOLE_INT, AF_UNIX },
	{ SCMP_SYS(socketpair), 0, (unsigned)WHOLE_INT, AF_UNIX },
	{ SCMP_SYS(mmap), 2, PROT_EXEC, 0 },
	{ SCMP_SYS(mmap), 2, PROT_WRITE, 0 },
	{ SCMP_SYS(mmap2), 2, PROT_EXEC, 0 },
	{ SCMP_SYS(mmap2), 2, PROT_WRITE, 0 },
	{ SCMP_SYS(mprotect), 2, PROT_EXEC, 0 },
	{ SCMP_SYS(clone), CLONE_FLAGS, (unsigned)NAMESPACES, 0 },
	{ SCMP_SYS(ioctl), 1, (unsigned)WHOLE_INT, FIONBIO },
	{ SCMP_SYS(ioctl), 1, (unsigned)WHOLE_INT, FIONREAD },
	{ SCMP_SYS(ioctl), 1, (unsigned)WHOLE_INT, TCGETS },
	{ SCMP_SYS(prctl), 0, (unsigned)WHOLE_INT, PR_SET_NAME },
	{ SCMP_SYS(prctl), 0, (unsigned)WHOLE_INT, PR_GET_NAME },
	{ SCMP_SYS(prctl), 0, (unsigned)WHOLE_INT, PR_SET_PDEATHSIG },
	{ SCMP_SYS(prctl), 0, (unsigned)WHOLE_INT, PR_SET_NO_NEW_PRIVS },
	{ SCMP_SYS(prctl), 0, (unsigned)WHOLE_INT, PR_CAPBSET_READ },
	{ SCMP_SYS(prctl), 0, (unsigned)WHOLE_INT, PR_CAPBSET_DROP },
	{ SCMP_SYS(prctl), 0, (unsigned)WHOLE_INT, PR_GET_SECCOMP },
	{ SCMP_SYS(prctl), 0, (unsigned)WHOLE_INT, PR_SET_DUMPABLE },
};

/*
 * Calls that nothing in here makes, nor any library that it uses: debugging other processes, the
 * kernel's machinery, mounts, namespaces, keys of others. Whoever makes one is in control of the
 * process already.
 */
static const int deadly[] = {
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(kcmp),
	SCMP_SYS(pidfd_getfd),
	SCMP_SYS(bpf),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load),
	SCMP_SYS(reboot),
	SCMP_SYS(iopl),
	SCMP_SYS(ioperm),
	SCMP_SYS(swapon),
	SCMP_SYS(swapoff),
	SCMP_SYS(mount),
	SCMP_SYS(umount2),
	SCMP_SYS(pivot_root),
	SCMP_SYS(chroot),
	SCMP_SYS(unshare),
	SCMP_SYS(setns),
	SCMP_SYS(open_by_handle_at),
	SCMP_SYS(add_key),
	SCMP_SYS(request_key),
	SCMP_SYS(keyctl),
};

#define COUNT(table) (sizeof(table) / sizeof(*(table)))

/* ---- Which filter it is ---- */

static void print_fingerprint(char text[FINGERPRINT])
{
	const struct siphash_key key = { 0 };
	uint64_t fingerprint =
		siphash(&key, allowed, sizeof(allowed)) ^ siphash(&key, deadly, sizeof(deadly));

	for (size_t i = 0; i < COUNT(rules); i++) {
		const uint64_t row[] = { (uint64_t)rules[i].call, rules[i].argument, rules[i].mask,
					 rules[i].value, i };

		fingerprint ^= siphash(&key, row, sizeof(row));
	}
	snprintf(text, FINGERPRINT, "%016" PRIx64, fingerprint);
}

static bool is_inherited(const char *fingerprint)
{
	const char *inherited = getenv(ENVIRONMENT);

	return inherited && strcmp(inherited, fingerprint) == 0 &&
	       prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == SECCOMP_MODE_FILTER;
}

/* ---- The filter; functions return 0 or a negative errno, as libseccomp does ---- */

/* A call that this machine does not have cannot be filtered, and need not be. */
static int add_call(scmp_filter_ctx filter, uint32_t action, int call)
{
	int error = call < 0 ? 0 : seccomp_rule_add(filter, action, call, 0);

	return error == -EDOM ? 0 : error;
}

static int add_rule(scmp_filter_ctx filter, const struct argument_rule *rule)
{
	const struct scmp_arg_cmp compare =
		SCMP_CMP64(rule->argument, SCMP_CMP_MASKED_EQ, rule->mask, rule->value);

	return rule->call < 0
		       ? 0
		       : seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rule->call, 1, &compare);
}

static int fill(scmp_filter_ctx filter)
{
	int error = 0;

	for (size_t i = 0; error == 0 && i < COUNT(allowed); i++)
		error = add_call(filter, SCMP_ACT_ALLOW, allowed[i]);
	for (size_t i = 0; error == 0 && i < COUNT(rules); i++)
		error = add_rule(filter, &rules[i]);
	for (size_t i = 0; error == 0 && i < COUNT(deadly); i++)
		error = add_call(filter, SCMP_ACT_KILL_PROCESS, deadly[i]);
	return error;
}

/* Whatever threads there are get it too. The kernel looks numbers up in a tree, not one by one. */
static int load(scmp_filter_ctx filter)
{
	int error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	if (error == 0)
		error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (error == 0)
		error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (error == 0)
		error = fill(filter);
	return error ? error : seccomp_load(filter);
}

int sandbox_filter_apply(void)
{
	char fingerprint[FINGERPRINT];
	scmp_filter_ctx filter;
	int error;

	print_fingerprint(fingerprint);
	if (is_inherited(fingerprint))
		return 0;
	filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	if (!filter) {
		errno = ENOMEM;
		return -1;
	}
	error = load(filter);
	seccomp_release(filter);
	if (error == 0 && setenv(ENVIRONMENT, fingerprint, 1))
		error = -errno;
	errno = -error;
	return error ? -1 : 0;
}
