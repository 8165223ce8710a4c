/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/successor.h"

#include "app/systemd.h"
#include "base/log.h"

#include <event2/event.h>

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct successor {
	struct event_base *base;
	char **argv; /* with --replace; the array is ours */
	pid_t pid;   /* 0: none runs */
	int process; /* a pidfd */
	struct event *on_end;
};

static char **copy_arguments(char **argv)
{
	static char flag[] = "--replace";
	bool has_flag = false;
	size_t n = 0;
	char **copy;

	while (argv[n])
		has_flag |= strcmp(argv[n++], flag) == 0;
	copy = calloc(n + 2, sizeof(*copy));
	if (!copy)
		return NULL;
	memcpy(copy, argv, n * sizeof(*copy));
	if (!has_flag)
		copy[n] = flag;
	return copy;
}

static void forget(struct successor *successor)
{
	if (successor->on_end)
		event_free(successor->on_end);
	successor->on_end = NULL;
	if (successor->process >= 0)
		close(successor->process);
	successor->process = -1;
	successor->pid = 0;
}

static void on_end(evutil_socket_t fd, short what, void *cookie)
{
	struct successor *successor = cookie;
	int status = 0;

	(void)fd;
	(void)what;
	waitpid(successor->pid, &status, WNOHANG);
	if (WIFSIGNALED(status))
		log_event(LOG_ERROR, "successor-ended", "signal", log_fmt("%d", WTERMSIG(status)),
			  NULL);
	else
		log_event(LOG_ERROR, "successor-ended", "status",
			  log_fmt("%d", WEXITSTATUS(status)), NULL);
	forget(successor);
}

/* It is not waited for where it cannot be watched: an end unseen is better than a stop. */
static void watch(struct successor *successor)
{
	successor->process = pidfd_open(successor->pid, 0);
	if (successor->process >= 0)
		successor->on_end =
			event_new(successor->base, successor->process, EV_READ, on_end, successor);
	if (!successor->on_end || event_add(successor->on_end, NULL))
		forget(successor);
}

/* Signals that are ignored or blocked here would be in the new process too. */
static int spawn(struct successor *successor, char **environment)
{
	posix_spawnattr_t attributes;
	sigset_t all, none;
	int error;

	sigfillset(&all);
	sigemptyset(&none);
	error = posix_spawnattr_init(&attributes);
	if (error)
		return error;
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setsigmask(&attributes, &none);
	error = posix_spawnp(&successor->pid, successor->argv[0], NULL, &attributes,
			     successor->argv, environment);
	posix_spawnattr_destroy(&attributes);
	return error;
}

void successor_start(struct successor *successor)
{
	char **environment;
	int error = ENOMEM;

	if (successor->pid) {
		log_event(LOG_WARNING, "successor-refused", "reason", "one runs already", NULL);
		return;
	}
	environment = systemd_child_environment();
	if (environment)
		error = spawn(successor, environment);
	free(environment);
	if (error) {
		successor->pid = 0;
		log_event(LOG_ERROR, "successor-failed", "program", successor->argv[0], "error",
			  strerror(error), NULL);
		return;
	}
	log_event(LOG_INFO, "successor-started", "pid", log_fmt("%d", (int)successor->pid), NULL);
	watch(successor);
}

struct successor *successor_new(struct event_base *base, char **argv)
{
	struct successor *successor = calloc(1, sizeof(*successor));

	if (!successor)
		return NULL;
	successor->base = base;
	successor->process = -1;
	successor->argv = copy_arguments(argv);
	if (!successor->argv) {
		free(successor);
		return NULL;
	}
	return successor;
}

void successor_free(struct successor *successor)
{
	if (!successor)
		return;
	forget(successor);
	free(successor->argv);
	free(successor);
}
