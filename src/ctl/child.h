/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * child: the command that the sidecar runs, and the signals that are for it. They are read from a
 * descriptor, one of each kind, so that they come between two steps of the sidecar.
 *
 * The command is a process group of its own: Ctrl-C at a terminal is for the sidecar, which passes
 * it on when it is time. It gets SIGTERM should the sidecar be killed. One per process.
 */
#ifndef ROSTERD_CTL_CHILD_H
#define ROSTERD_CTL_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

struct child {
	int fd; /* becomes readable when there is a signal */
	pid_t pid;
	bool has_ended;
	int exit_code; /* once it has ended: as a shell would say it, 128 + n for signal n */
};

/*
 * Starts the command with the signal mask of this process, and from then on takes all signals for
 * itself. 0; else what a shell would exit with (126: it cannot be run, 127: it is not there), and
 * it has been said.
 */
int child_start(struct child *child, char *const *argv);

/* The next signal for the command; 0: there is none. The end of processes is taken note of. */
int child_next_signal(struct child *child);

/* Passes a signal on. */
void child_signal(const struct child *child, int number);

#endif
