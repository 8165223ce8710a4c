/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * events: the newest LIMIT_EVENTS changes of the registry, in order, for those who watch it.
 *
 * Control thread only; pure. The registry tells of each change once (registry_options.changed), and
 * each has the revision behind that of the one before, so that a revision is a place in the ring.
 * The events of one service are chained: to follow a service costs nothing for what other services
 * do.
 *
 * Who has seen everything up to a revision that events_holds() misses nothing by going on with
 * events_after(). Older ones have to read the registry itself again.
 */
#ifndef ROSTERD_MODEL_EVENTS_H
#define ROSTERD_MODEL_EVENTS_H

#include "model/record.h"

struct events;

enum event_kind {
	EVENT_REGISTERED,   /* a new instance */
	EVENT_UPDATED,      /* what its registration says has changed */
	EVENT_STATUS,       /* its status has changed */
	EVENT_ADMIN,        /* an operator put it in or out of service */
	EVENT_DEREGISTERED, /* gone, as asked */
	EVENT_EXPIRED,      /* gone, its lease has ended */
	EVENT_POLICY,       /* the service as a whole; no instance */
};

/* A change and what the instance was after it, or before it went. */
struct event {
	uint64_t revision;
	enum event_kind kind;
	enum status status;
	enum admin admin;
	const char *service;
	const char *id, *label; /* NULL: EVENT_POLICY */
	struct address address;
	uint16_t port, priority, weight;
};

/* `revision` is the registry's before its first change. NULL when out of memory. */
struct events *events_new(uint64_t revision);
void events_free(struct events *events);

/*
 * Adds the change that service->revision numbers; `instance` is NULL for EVENT_POLICY. The oldest
 * one may go for it. Without memory, all go: nobody who watches may miss one unnoticed.
 */
void events_put(struct events *events, enum event_kind kind, const struct service *service,
		const struct instance *instance);

/* Whether everything behind `revision` is in the ring; no for one that is still to come. */
bool events_holds(const struct events *events, uint64_t revision);

/*
 * The first event behind `revision`, which events_holds(), of one service or (NULL) of any. NULL:
 * none yet. Valid until the next events_put(). O(1) where `revision` is an event of that service;
 * otherwise it costs the number of events behind it.
 */
const struct event *events_after(const struct events *events, const char *service,
				 uint64_t revision);

/* The newest event of a service; 0: the ring has none. */
uint64_t events_newest(const struct events *events, const char *service);

/* "registered", "updated", ... */
const char *events_kind_name(enum event_kind kind);

#endif
