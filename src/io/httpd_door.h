/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * httpd_door: the listening sockets of the HTTP port. A part of httpd.
 *
 * Their connections go to evhttp. While the port is full each is closed at once and counted; when
 * accepting fails, for want of descriptors, it pauses for a moment instead of spinning.
 */
#ifndef ROSTERD_IO_HTTPD_DOOR_H
#define ROSTERD_IO_HTTPD_DOOR_H

#include "base/counters.h"

#include <stdbool.h>

struct event_base;
struct evhttp;
struct httpd_door;

/* NULL when out of memory. `http` is borrowed. */
struct httpd_door *httpd_door_new(struct event_base *base, struct evhttp *http,
				  struct counters *counters);

/* Closes the sockets. */
void httpd_door_free(struct httpd_door *door);

/* Takes one more socket, which it owns from here on. -1 with a log line. */
int httpd_door_open(struct httpd_door *door, int fd);

/* Whether the port has as many connections as it may. */
void httpd_door_set_full(struct httpd_door *door, bool is_full);

/*
 * There is no memory for a connection that is just being accepted. evhttp takes that of its own end
 * for granted: what was kept for it is freed, and nothing is accepted until it is there again.
 */
void httpd_door_use_reserve(struct httpd_door *door);

#endif
