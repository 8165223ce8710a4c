/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/child.h"

#include "ctl/exit.h"
#include "ctl/term.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static const int taken[] = {
	SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGCHLD
};

/* Becomes the command, or says through the pipe why not. */
static void become(char *const *argv, const sigset_t *mask, pid_t parent, int said)
{
	int error;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(EXIT_LOCAL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	unsetenv("ROSTERD_TOKEN"); /* it is ours to register with */
	execvp(argv[0], argv);
	error = errno;
	if (write(said, &error, sizeof(error)) < 0)
		_exit(EXIT_LOCAL);
	_exit(EXIT_LOCAL);
}

/* What became of the exec: 0, or an error number. */
static int read_error(int fd)
{
	int error = 0;

	while (read(fd, &error, sizeof(error)) < 0 && errno == EINTR)
		;
	return error;
}

/* 0, or an error number. */
static int launch(struct child *child, char *const *argv, const sigset_t *mask)
{
	int said[2], error;
	pid_t parent = getpid();

	if (pipe2(said, O_CLOEXEC))
		return errno;
	child->pid = fork();
	if (child->pid == 0)
		become(argv, mask, parent, said[1]);
	error = child->pid < 0 ? errno : 0;
	close(said[1]);
	if (!error)
		error = read_error(said[0]);
	close(said[0]);
	return error;
}

int child_start(struct child *child, char *const *argv)
{
	sigset_t set, before;
	int error;

	*child = (struct child){ .fd = -1 };
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		sigaddset(&set, taken[i]);
	sigprocmask(SIG_BLOCK, &set, &before);
	child->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	error = child->fd < 0 ? errno : launch(child, argv, &before);
	if (!error)
		return 0;
	term_say("cannot run %s: %s", argv[0], strerror(error));
	return error == ENOENT ? 127 : 126;
}

/* Also of those that were left to us, should we be the first process of a container. */
static void reap(struct child *child)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != child->pid)
			continue;
		child->has_ended = true;
		child->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
}

int child_next_signal(struct child *child)
{
	struct signalfd_siginfo info;

	while (read(child->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo != SIGCHLD)
			return (int)info.ssi_signo;
		reap(child);
	}
	return 0;
}

void child_signal(const struct child *child, int number)
{
	if (!child->has_ended)
		kill(child->pid, number);
}
