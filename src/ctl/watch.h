/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watch: the command that follows the registry's changes as they come, and goes on where it was
 * when the server comes back.
 */
#ifndef ROSTERD_CTL_WATCH_H
#define ROSTERD_CTL_WATCH_H

#include "ctl/call.h"

int watch_run(const struct call *call);

#endif
