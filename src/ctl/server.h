/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * server: the commands about the server itself: status, stats, conf-check.
 */
#ifndef ROSTERD_CTL_SERVER_H
#define ROSTERD_CTL_SERVER_H

#include "ctl/call.h"

int server_status(const struct call *call);
int server_stats(const struct call *call);

/* Becomes the server's own check of its configuration; returns only if it cannot. */
int server_conf_check(const struct call *call);

#endif
