/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watchdog: tells the service manager, as often as it asks for (WatchdogSec=), that the server is
 * alive; if it hears nothing, it starts the server anew.
 *
 * So it must prove what a new start would mend, and nothing else: that the control thread's loop
 * goes round, and that every worker's loop has gone round since it was asked last. A disk that
 * hangs, or targets of checks that do, are no reason to stop answering DNS.
 */
#ifndef ROSTERD_APP_WATCHDOG_H
#define ROSTERD_APP_WATCHDOG_H

#include "app/workers.h"

struct event_base;
struct watchdog;

/* NULL when out of memory. `workers` run, and outlive it. Without a manager that asks it does
 * nothing. */
struct watchdog *watchdog_new(struct event_base *base, struct workers *workers);
/* NULL is fine. */
void watchdog_free(struct watchdog *watchdog);

#endif
