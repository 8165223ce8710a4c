/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sidecar: the command run: starts a program and keeps it registered for as long as it runs.
 *
 * It is registered once it listens on its port, and its lease is renewed three times in its length.
 * SIGTERM and SIGINT begin with a drain: the program gets the signal when the last DNS answer that
 * named it has expired; a second one is passed on at once, as are all others. When the program
 * ends, for whatever reason, its instance is deregistered. The exit status is the program's.
 *
 * The program is never stopped for the registry's sake: while the server is away or refuses, it is
 * tried again, ever more rarely.
 */
#ifndef ROSTERD_CTL_SIDECAR_H
#define ROSTERD_CTL_SIDECAR_H

#include "ctl/call.h"

/* The exit status of the process: the program's, or an enum exit_status from before it began. */
int sidecar_run(const struct call *call);

#endif
