/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/events.h"

#include "base/siphash.h"
#include "base/table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The events of one service that are in the ring; it goes with the last of them. */
struct chain {
	uint64_t newest; /* revision */
	size_t n;
	char service[];
};

struct place {
	struct event event;
	struct chain *chain;
	uint64_t before, after; /* revisions of its service's events beside it; 0: none */
	char *text;             /* id and, where it differs, label */
};

/*
 * Invariants: the ring holds the revisions first..newest, none if first == newest + 1; `before` may
 * name one that has gone, `after` never does.
 */
struct events {
	uint64_t first, newest;
	struct siphash_key key;
	struct table *chains;
	struct place *places;
};

static bool is_chain_of(const void *entry, const void *service)
{
	return strcmp(((const struct chain *)entry)->service, service) == 0;
}

static uint64_t hash_service(const struct events *events, const char *service)
{
	return siphash(&events->key, service, strlen(service));
}

static struct place *place_of(const struct events *events, uint64_t revision)
{
	return &events->places[revision % LIMIT_EVENTS];
}

static bool is_in(const struct events *events, uint64_t revision)
{
	return revision >= events->first && revision <= events->newest;
}

struct events *events_new(uint64_t revision)
{
	struct events *events = calloc(1, sizeof(*events));

	if (!events)
		return NULL;
	siphash_key_init(&events->key);
	events->newest = revision;
	events->first = revision + 1;
	events->chains = table_new(is_chain_of);
	/* Untouched pages of it take no memory. */
	events->places = calloc(LIMIT_EVENTS, sizeof(*events->places));
	if (!events->chains || !events->places) {
		events_free(events);
		return NULL;
	}
	return events;
}

static void drop_chain(struct events *events, struct chain *chain)
{
	table_remove(events->chains, hash_service(events, chain->service), chain);
	free(chain);
}

static void drop_oldest(struct events *events)
{
	struct place *place = place_of(events, events->first);

	if (--place->chain->n == 0)
		drop_chain(events, place->chain);
	free(place->text);
	*place = (struct place){ .text = NULL };
	events->first++;
}

void events_free(struct events *events)
{
	if (!events)
		return;
	while (events->places && events->first <= events->newest)
		drop_oldest(events);
	table_free(events->chains);
	free(events->places);
	free(events);
}

static struct chain *find_chain(const struct events *events, const char *service)
{
	return table_find(events->chains, hash_service(events, service), service);
}

static struct chain *make_chain(struct events *events, const char *service)
{
	struct chain *chain = find_chain(events, service);

	if (chain)
		return chain;
	chain = calloc(1, sizeof(*chain) + strlen(service) + 1);
	if (!chain)
		return NULL;
	strcpy(chain->service, service);
	if (table_insert(events->chains, hash_service(events, service), chain)) {
		free(chain);
		return NULL;
	}
	return chain;
}

/* Copies what the instance is. -1 when out of memory. */
static int describe(struct place *place, const struct instance *instance)
{
	const struct registration *registration = instance->registration;
	const char *label = record_label(registration);
	size_t label_at = (size_t)(label - registration->id); /* 0, or behind the id */
	size_t size = label_at + strlen(label) + 1;
	struct event *event = &place->event;

	place->text = malloc(size);
	if (!place->text)
		return -1;
	memcpy(place->text, registration->id, size);
	event->id = place->text;
	event->label = place->text + label_at;
	event->status = instance->status;
	event->admin = instance->admin;
	event->address = registration->address;
	event->port = registration->port;
	event->priority = registration->priority;
	event->weight = registration->weight;
	return 0;
}

static void forget_all(struct events *events, uint64_t revision)
{
	while (events->first <= events->newest)
		drop_oldest(events);
	events->newest = revision;
	events->first = revision + 1;
}

void events_put(struct events *events, enum event_kind kind, const struct service *service,
		const struct instance *instance)
{
	uint64_t revision = service->revision;
	struct place place = { .event = { .revision = revision, .kind = kind } };

	assert(revision == events->newest + 1);
	if (revision - events->first == LIMIT_EVENTS)
		drop_oldest(events);
	if (instance && describe(&place, instance))
		goto no_memory;
	place.chain = make_chain(events, service->name);
	if (!place.chain)
		goto no_memory;
	place.event.service = place.chain->service;
	place.before = place.chain->newest;
	if (is_in(events, place.before))
		place_of(events, place.before)->after = revision;
	place.chain->newest = revision;
	place.chain->n++;
	*place_of(events, revision) = place;
	events->newest = revision;
	return;
no_memory:
	free(place.text);
	forget_all(events, revision);
}

bool events_holds(const struct events *events, uint64_t revision)
{
	return revision <= events->newest && revision + 1 >= events->first;
}

static const struct event *event_at(const struct events *events, uint64_t revision)
{
	return is_in(events, revision) ? &place_of(events, revision)->event : NULL;
}

const struct event *events_after(const struct events *events, const char *service,
				 uint64_t revision)
{
	const struct chain *chain;
	uint64_t found;

	assert(events_holds(events, revision));
	if (!service)
		return event_at(events, revision + 1);
	chain = find_chain(events, service);
	if (!chain || chain->newest <= revision)
		return NULL;
	if (is_in(events, revision) && place_of(events, revision)->chain == chain)
		return event_at(events, place_of(events, revision)->after);
	found = chain->newest;
	while (place_of(events, found)->before > revision)
		found = place_of(events, found)->before;
	return event_at(events, found);
}

uint64_t events_newest(const struct events *events, const char *service)
{
	const struct chain *chain = find_chain(events, service);

	return chain ? chain->newest : 0;
}

const char *events_kind_name(enum event_kind kind)
{
	static const char *const names[] = {
		[EVENT_REGISTERED] = "registered",
		[EVENT_UPDATED] = "updated",
		[EVENT_STATUS] = "status",
		[EVENT_ADMIN] = "admin",
		[EVENT_DEREGISTERED] = "deregistered",
		[EVENT_EXPIRED] = "expired",
		[EVENT_POLICY] = "policy",
	};

	return names[kind];
}
