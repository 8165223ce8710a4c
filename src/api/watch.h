/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watch: GET /registry/watch, the dialect of those who follow the registry's changes
 * (model/events.h): what they ask, and an event as they get it. Whoever serves them waits for
 * changes and sends (app/watchers.h).
 *
 * Server-Sent Events (the HTML standard, 9.2): each event's `id` is its revision, so a reader that
 * was cut off says where it goes on in Last-Event-ID, or by `since=`. With `wait=` or `index=` it
 * is a long poll: one reply in JSON, as soon as there is an event behind `index`.
 *
 * Control thread only.
 */
#ifndef ROSTERD_API_WATCH_H
#define ROSTERD_API_WATCH_H

#include "api/api.h"

struct buf;

/* The route. Fills reply->watch, or refuses: 400, 410 (`since` is not in the ring), 503. */
void watch_handle(struct api *api, const struct api_request *request, char *const *segments,
		  uint64_t now_ms, struct api_reply *reply);

/* What a stream begins with: from where the reader goes on should it be cut off now. */
void watch_print_start(struct buf *out, uint64_t revision);

/* One event of a stream. Out of memory: out->failed. */
void watch_print_event(struct buf *out, const struct event *event);

/* What keeps a quiet stream alive; readers see nothing of it, but go on from `revision`. */
void watch_print_comment(struct buf *out, uint64_t revision);

/*
 * The reply of a long poll: the events from behind `position` up to `revision`, at most
 * LIMIT_WATCH_EVENTS, and the `index` for the next one: `revision` if that was all; if there is no
 * event, what was asked.
 */
void watch_reply_poll(struct api_reply *reply, const struct events *events,
		      const struct api_watch *watch, uint64_t position, uint64_t revision);

/* 410: what it missed is not known any more. Counts it. */
void watch_reply_gone(struct api_reply *reply, struct counters *counters);

#endif
