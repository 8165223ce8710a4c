/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/restore.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/server_clock.h"

#include <event2/event.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PORTION = 1024, /* items, some milliseconds */
	COMPILE = 4096, /* instances, or more if a service has more: it is compiled once */
};

static const struct timeval now; /* the next round of the loop */

struct restore {
	struct restore_options options;
	struct event *readable, *go_on, *ended;
	uint64_t start_ms;
	size_t n_uncompiled;
	char service[LIMIT_LABEL + 1]; /* of the newest instance */
};

static void fail(struct restore *restore, const char *message)
{
	event_del(restore->readable);
	log_event(LOG_ERROR, "start-failed", "error", message, NULL);
	restore->options.on_end(restore->options.cookie, false);
}

static const char *fault(enum stored_result result)
{
	static const char *const texts[] = {
		[STORED_DAMAGED] = "is damaged",
		[STORED_FOREIGN] = "has a format that this rosterd does not know",
		[STORED_NO_MEMORY] = "does not fit into memory",
	};

	return texts[result];
}

static int fail_record(struct restore *restore, const struct store_item *item, const char *what)
{
	char message[512];

	snprintf(message, sizeof(message), "the record of %s \"%s\" %s", item->key.service,
		 item->key.id, what);
	fail(restore, message);
	return -1;
}

/* What cannot be there any more is told of and left out. */
static void leave_out(struct restore *restore, const struct store_item *item, const char *reason)
{
	bool is_policy = item->kind == STORED_POLICY;

	if (!is_policy)
		log_peer_event(LOG_WARNING, "not-restored", "service", item->key.service, "id",
			       item->key.id, "reason", reason, NULL);
	restore->options.on_stray(restore->options.cookie, item->key.service,
				  is_policy ? "" : item->key.id);
}

/* -1: the start has failed. */
static int apply(struct restore *restore, const struct store_item *item,
		 const struct change *change)
{
	struct outcome outcome;

	switch (registry_apply(restore->options.registry, change, server_clock_ms(), &outcome)) {
	case REGISTRY_CREATED:
	case REGISTRY_UPDATED:
		return 0;
	case REGISTRY_NO_MEMORY:
	case REGISTRY_FULL:
		fail_record(restore, item, outcome.message);
		break;
	default:
		leave_out(restore, item, outcome.message);
		break;
	}
	return outcome.result == REGISTRY_NO_MEMORY || outcome.result == REGISTRY_FULL ? -1 : 1;
}

static int restore_instance(struct restore *restore, const struct store_item *item)
{
	struct stored_state state;
	struct change change = { .kind = CHANGE_RESTORE };
	enum stored_result result = stored_get_registration(&item->key, item->record, item->len,
							    &change.restore.registration);
	int status;

	if (result == STORED_OK && item->state) {
		result = stored_get_state(&item->key, item->state, item->state_len, &state);
		if (result != STORED_OK)
			record_registration_free(change.restore.registration);
	}
	if (result != STORED_OK)
		return fail_record(restore, item, fault(result));
	if (item->state) {
		stored_match_state(&state, item->record);
		change.restore.state = &state;
	}
	status = apply(restore, item, &change);
	if (status)
		record_registration_free(change.restore.registration);
	restore->n_uncompiled += status == 0;
	return status < 0 ? -1 : 0;
}

static int restore_policy(struct restore *restore, const struct store_item *item)
{
	struct stored_policy policy = { .ttl_s = 0 };
	struct change change = { .kind = CHANGE_RESTORE_POLICY };
	enum stored_field field;
	uint32_t value;
	enum stored_result result = stored_get_policy(&item->key, item->record, item->len, &value);

	if (result != STORED_OK || !stored_field_parse(item->key.id, &field))
		return fail_record(restore, item, fault(result ? result : STORED_DAMAGED));
	stored_policy_set(&policy, field, value);
	change.policy = policy.change;
	change.policy.service = item->key.service;
	return apply(restore, item, &change) < 0 ? -1 : 0;
}

static int compile(struct restore *restore)
{
	restore->n_uncompiled = 0;
	if (compile_run(restore->options.compile, server_clock_ms()) == 0)
		return 0;
	fail(restore, "out of memory");
	return -1;
}

static int take(struct restore *restore, const struct store_item *item)
{
	if (item->kind == STORED_POLICY)
		return restore_policy(restore, item);
	if (strcmp(restore->service, item->key.service) != 0) {
		if (restore->n_uncompiled >= COMPILE && compile(restore))
			return -1;
		snprintf(restore->service, sizeof(restore->service), "%s", item->key.service);
	}
	return restore_instance(restore, item);
}

static void end(struct restore *restore)
{
	static const char *const sources[] = {
		[STORE_NEW] = "none",
		[STORE_MAIN] = "store",
		[STORE_COPY] = "copy",
	};
	char note[320];
	enum store_source source = store_source(restore->options.store, note, sizeof(note));

	event_del(restore->readable);
	if (compile(restore))
		return;
	if (source == STORE_COPY)
		log_event(LOG_WARNING, "store-damaged", "error", note, "now",
			  "its copy is served: the changes of the last moments may be missing",
			  NULL);
	if (source == STORE_NEW && restore->options.had_store)
		log_event(LOG_WARNING, "store-missing", "error",
			  "store.mdb and registry.jsonl were removed since the last run", "now",
			  "nothing is registered", NULL);
	log_event(LOG_INFO, "restored", "instances",
		  log_fmt("%zu", registry_count_instances(restore->options.registry)), "source",
		  sources[source], "ms", log_fmt("%" PRIu64, clock_mono_ms() - restore->start_ms),
		  NULL);
	event_add(restore->ended, &now);
}

/*
 * The store closes its descriptor when it starts: not before the loop, which tells the kernel of
 * changes once a round, has let go of it.
 */
static void on_ended(evutil_socket_t fd, short what, void *cookie)
{
	struct restore *restore = cookie;

	(void)fd;
	(void)what;
	restore->options.on_end(restore->options.cookie, true);
}

static void on_readable(evutil_socket_t fd, short what, void *cookie)
{
	struct restore *restore = cookie;
	struct store_item item;
	char message[512];

	(void)fd;
	(void)what;
	event_del(restore->readable);
	for (size_t i = 0; i < PORTION; i++) {
		switch (store_read(restore->options.store, &item, message, sizeof(message))) {
		case STORE_ITEM:
			if (take(restore, &item))
				return;
			break;
		case STORE_WAIT:
			event_add(restore->readable, NULL);
			return;
		case STORE_END:
			end(restore);
			return;
		case STORE_FAILED:
			fail(restore, message);
			return;
		}
	}
	event_add(restore->go_on, &now);
}

struct restore *restore_new(const struct restore_options *options)
{
	struct restore *restore = calloc(1, sizeof(*restore));

	if (!restore)
		return NULL;
	restore->options = *options;
	restore->start_ms = clock_mono_ms();
	restore->readable = event_new(options->base, store_read_fd(options->store), EV_READ,
				      on_readable, restore);
	restore->go_on = evtimer_new(options->base, on_readable, restore);
	restore->ended = evtimer_new(options->base, on_ended, restore);
	if (restore->readable && restore->go_on && restore->ended &&
	    event_add(restore->go_on, &now) == 0)
		return restore;
	restore_free(restore);
	return NULL;
}

void restore_free(struct restore *restore)
{
	if (!restore)
		return;
	if (restore->readable)
		event_free(restore->readable);
	if (restore->go_on)
		event_free(restore->go_on);
	if (restore->ended)
		event_free(restore->ended);
	free(restore);
}
