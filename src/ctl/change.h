/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * change: the commands that change one instance, or what a file names.
 */
#ifndef ROSTERD_CTL_CHANGE_H
#define ROSTERD_CTL_CHANGE_H

#include "ctl/call.h"

#include <stdio.h>

int change_register(const struct call *call);
int change_deregister(const struct call *call);

/* Waits until no answer that names it is in use any more, unless told not to. */
int change_drain(const struct call *call);

int change_up(const struct call *call);
int change_down(const struct call *call);
int change_auto(const struct call *call);

/* Opens a file, or standard input for "-". NULL: it has been said. */
FILE *change_open(const char *path);

#endif
