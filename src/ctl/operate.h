/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * operate: the commands about the server as a whole: reload, replace, zone list and zone dump.
 */
#ifndef ROSTERD_CTL_OPERATE_H
#define ROSTERD_CTL_OPERATE_H

#include "ctl/call.h"

int operate_reload(const struct call *call);
/* Waits until another process serves, or the new one has failed. */
int operate_replace(const struct call *call);
int operate_zone_list(const struct call *call);
int operate_zone_dump(const struct call *call);

#endif
