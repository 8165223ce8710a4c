/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * systemd: what a service manager and a server tell each other through the environment:
 * sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3), of which nothing is needed but a few
 * variables and a datagram. Without them every function does nothing. Control thread only.
 *
 * The environment stays as it is, for the server that replaces this one: NOTIFY_SOCKET and
 * WATCHDOG_USEC are good for it too, the rest names a process (systemd_child_environment()).
 */
#ifndef ROSTERD_APP_SYSTEMD_H
#define ROSTERD_APP_SYSTEMD_H

#include "io/listen_set.h"

#include <stdint.h>

/*
 * Sends lines such as "READY=1\nSTATUS=..." to NOTIFY_SOCKET, a path or "@" and an abstract name.
 * Never waits. -1 with errno, 0 also without a manager.
 */
int systemd_notify(const char *lines);

/* The same with what the manager wants to see when a reload begins: RELOADING=1 and the time. */
int systemd_notify_reloading(void);

/*
 * How often the manager wants to hear WATCHDOG=1 at least, in ms; 0: it does not, or from another
 * process.
 */
uint64_t systemd_watchdog_ms(void);

/* Puts the sockets that the manager has opened (LISTEN_FDS) into the set. -1 when out of memory. */
int systemd_take_sockets(struct listen_set *set);

/*
 * The environment for a server that replaces this one, without what names this process, but with
 * this variable. On the heap, its strings are borrowed. NULL when out of memory.
 */
char **systemd_child_environment(char *variable);

#endif
