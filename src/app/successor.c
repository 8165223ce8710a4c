/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/successor.h"

#include "app/last_words.h"
#include "app/systemd.h"
#include "base/log.h"

#include <event2/event.h>

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
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
	int words;   /* what it says at its end */
	struct event *on_end;
	struct api_successor newest;
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

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void forget(struct successor *successor)
{
	if (successor->on_end)
		event_free(successor->on_end);
	successor->on_end = NULL;
	close_fd(&successor->process);
	close_fd(&successor->words);
	successor->pid = 0;
}

/* Why it has ended; its own words are best. */
static void explain(struct successor *successor, int status)
{
	struct api_successor *newest = &successor->newest;

	newest->has_ended = true;
	last_words_read(successor->words, newest->reason, sizeof(newest->reason));
	if (*newest->reason)
		return;
	if (WIFSIGNALED(status))
		snprintf(newest->reason, sizeof(newest->reason), "ended by signal %d",
			 WTERMSIG(status));
	else
		snprintf(newest->reason, sizeof(newest->reason), "ended with exit status %d",
			 WEXITSTATUS(status));
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
	explain(successor, status);
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

/*
 * Signals that are ignored or blocked here would be in the new process too. Of our descriptors it
 * has standard ones and where to say its last words.
 */
static int spawn(struct successor *successor, char **environment, int words)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t all, none;
	int error;

	sigfillset(&all);
	sigemptyset(&none);
	error = posix_spawnattr_init(&attributes);
	if (error)
		return error;
	error = posix_spawn_file_actions_init(&files);
	if (error)
		goto out_attributes;
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setsigmask(&attributes, &none);
	error = posix_spawn_file_actions_adddup2(&files, words, LAST_WORDS_FD);
	if (!error)
		error = posix_spawnp(&successor->pid, successor->argv[0], &files, &attributes,
				     successor->argv, environment);
	posix_spawn_file_actions_destroy(&files);
out_attributes:
	posix_spawnattr_destroy(&attributes);
	return error;
}

/* 0, or why there is none. */
static int start(struct successor *successor)
{
	static char variable[] = LAST_WORDS_VARIABLE "=1";
	char **environment = systemd_child_environment(variable);
	int words[2] = { -1, -1 }, error = ENOMEM;

	if (environment)
		error = last_words_open(words) ? errno : spawn(successor, environment, words[1]);
	free(environment);
	close_fd(&words[1]);
	successor->words = words[0];
	return error;
}

long successor_start(struct successor *successor, char *reason, size_t size)
{
	int error;

	if (successor->pid) {
		snprintf(reason, size, "one runs already");
		log_event(LOG_WARNING, "successor-refused", "reason", reason, NULL);
		return -1;
	}
	error = start(successor);
	if (error) {
		forget(successor);
		snprintf(reason, size, "%s: %s", successor->argv[0], strerror(error));
		log_event(LOG_ERROR, "successor-failed", "program", successor->argv[0], "error",
			  strerror(error), NULL);
		return -1;
	}
	log_event(LOG_INFO, "successor-started", "pid", log_fmt("%d", (int)successor->pid), NULL);
	successor->newest = (struct api_successor){ .pid = successor->pid };
	watch(successor);
	return successor->newest.pid;
}

void successor_read(const struct successor *successor, struct api_successor *newest)
{
	*newest = successor->newest;
}

struct successor *successor_new(struct event_base *base, char **argv)
{
	struct successor *successor = calloc(1, sizeof(*successor));

	if (!successor)
		return NULL;
	successor->base = base;
	successor->process = successor->words = -1;
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
