/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control_stop: signals, and the end; inside of control (app/control.h).
 */
#ifndef ROSTERD_APP_CONTROL_STOP_H
#define ROSTERD_APP_CONTROL_STOP_H

#include "app/control_state.h"

/* Makes its events and takes the signals. -1: out of memory. */
int control_stop_init(struct control *control);
void control_stop_fini(struct control *control);

/*
 * Reads configuration and zone files again. 200, or the status of HTTP for the reason why nothing
 * has changed; either is logged. `result` is all zero.
 */
int control_stop_reload(struct control *control, struct api_reload *result);

/* Another server answers: reads no more queries, and ends when replies are on their way. */
void control_stop_retire(struct control *control);

/* commit_options.on_drained; the cookie is the struct control. */
void control_stop_on_saved_all(void *cookie);

/* The loop has ended, nothing is owed to anybody: leaves everything on disk. */
void control_stop_save(struct control *control);

#endif
