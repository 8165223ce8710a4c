/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * show: the commands that show what is registered: services list, services show, checks, why.
 */
#ifndef ROSTERD_CTL_SHOW_H
#define ROSTERD_CTL_SHOW_H

#include "ctl/call.h"

int show_services(const struct call *call);
int show_service(const struct call *call);
int show_checks(const struct call *call);
int show_why(const struct call *call);

/*
 * Reads every service, a page at a time, and gives each to `take`, which borrows it and
 * returns false when out of memory. *revision is the first page's: what changes meanwhile is behind
 * it.
 */
enum exit_status show_each(const struct call *call, json_int_t *revision,
			   bool (*take)(void *cookie, json_t *service), void *cookie);

#endif
