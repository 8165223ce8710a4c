/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control_serve: requests, check results and deadlines become changes, changes become visible,
 * replies go out; inside of control (app/control.h).
 */
#ifndef ROSTERD_APP_CONTROL_SERVE_H
#define ROSTERD_APP_CONTROL_SERVE_H

#include "app/control_state.h"

/* Makes its events. -1: out of memory. */
int control_serve_init(struct control *control);
void control_serve_fini(struct control *control);

/* What the registry, the commit and files of services call, and requests act on. */
void control_serve_hook_registry(struct control *control, struct registry_options *options);
void control_serve_hook_commit(struct control *control, struct commit_options *options);
void control_serve_hook_files(struct control *control, struct files_options *options);
void control_serve_hook_api(struct control *control, struct api *api);

/* The port that they are owed at is gone: replies that wait for a publish are dropped. */
void control_serve_drop_replies(struct control *control);

/* httpd_on_request; the cookie is the struct control. */
void control_serve_on_request(void *cookie, struct httpd_request *owed,
			      const struct api_request *request);

/* Runs the loop until something breaks it. -1: the loop failed. */
int control_serve_rounds(struct control *control);

/* To be called where work may begin: libevent does not say when it has waited. */
void control_serve_begin_round(struct control *control);

/* Server time. Whatever the loop does begins with a look, and so does every tick. */
uint64_t control_serve_look(struct control *control);

/* Looks at the clock, and goes on to do so at every tick. -1: out of memory. */
int control_serve_tick(struct control *control);

/* Publishes behind everything else that this round of the loop has to do. */
void control_serve_publish_soon(struct control *control);
void control_serve_arm_deadline(struct control *control);

/* Whether checks of loopback addresses are refused, by the newest configuration's `choice`. */
bool control_serve_refuses_loopback(const struct control *control, enum conf_loopback choice);

#endif
