/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * successor: starts the server that replaces this one: the same program with the same arguments and
 * --replace, so a new binary or configuration is taken up without a shell. Control thread only.
 */
#ifndef ROSTERD_APP_SUCCESSOR_H
#define ROSTERD_APP_SUCCESSOR_H

#include "api/api.h"

struct event_base;
struct successor;

/* `argv` is this process's, borrowed. NULL when out of memory. */
struct successor *successor_new(struct event_base *base, char **argv);
/* What was started goes on. NULL is fine. */
void successor_free(struct successor *successor);

/*
 * Starts one unless one runs, and returns its process id; -1 with the reason. A log line says that,
 * why not, and how it ended if it does so before this process: as a server that took over it does
 * not.
 */
long successor_start(struct successor *successor, char *reason, size_t size);

/* What became of the newest one. */
void successor_read(const struct successor *successor, struct api_successor *newest);

#endif
