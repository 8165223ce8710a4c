/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control_replace: how a running server hands everything over, and how a new one takes it; inside
 * of control (app/control.h, app/replace.h, app/takeover.h).
 *
 * The old one, between "yield" and "ready", is frozen: DNS is answered from the catalog as it is,
 * no request is taken, no check runs, nothing expires, nothing is written.
 */
#ifndef ROSTERD_APP_CONTROL_REPLACE_H
#define ROSTERD_APP_CONTROL_REPLACE_H

#include "app/control_state.h"

/* Before everything else. */
void control_replace_init(struct control *control);
/* Makes its events. -1: out of memory. */
int control_replace_init_events(struct control *control);
void control_replace_fini(struct control *control);

/* ---- The new server ---- */

/*
 * Opens the data directory, as revision_open() does; where --replace asks for it and a server runs
 * there, once that has given it. NULL with a message.
 */
struct revision *control_replace_open(struct control *control, char *message, size_t message_size);

/* Whether this server is still taking over: its doors are to stay closed. */
bool control_replace_is_taking_over(const struct control *control);

/* The doors are open and answer: the old server ends. */
void control_replace_finish(struct control *control);

/* Opens the HTTP port, with sockets that were given or with its own. -1 with a log line. */
int control_replace_open_http(struct control *control);

/* ---- The old server ---- */

/* Ready: others may replace this one from now on. What hinders that is logged. */
void control_replace_listen(struct control *control);

/*
 * Starts this program again, to replace this process, and returns the id of the one that was
 * started. -1 with the reason, which is logged.
 */
long control_replace_start_successor(struct control *control, char *reason, size_t size);

/* commit_options.on_drained while control->yield is not YIELD_NO. */
void control_replace_on_saved(struct control *control);

#endif
