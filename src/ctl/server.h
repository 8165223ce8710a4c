/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * server: the commands that look at the server itself: status and stats.
 */
#ifndef ROSTERD_CTL_SERVER_H
#define ROSTERD_CTL_SERVER_H

#include "ctl/call.h"

int server_status(const struct call *call);
int server_stats(const struct call *call);

#endif
