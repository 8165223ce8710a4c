/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/watchers.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/siphash.h"
#include "base/table.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum {
	PORTION_LEN = 16384, /* octets in a row for one reader */
	PORTIONS = 8,        /* in a row, before the loop goes round: some 2 ms */
	STALL_MS = 1000,
};

LIST_HEAD(watcher_list, watcher);

/* Those who follow one service. It goes with the last of them. */
struct crowd {
	struct watcher_list list;
	char service[LIMIT_LABEL + 1];
};

/*
 * The states of a stream.
 *
 *   state   until                                        then
 *   IDLE    an event                                     BEHIND
 *   BEHIND  all events are sent                          IDLE
 *           LIMIT_WATCH_OUTPUT octets wait               FULL
 *   FULL    the kernel has taken them                    BEHIND
 *           it took nothing for STALL_MS                 cut off
 *
 * A poll is IDLE until the event that ends it. The timer is a poll's end, an IDLE stream's next
 * comment, or FULL's next look.
 */
enum watcher_state {
	WATCHER_IDLE,
	WATCHER_BEHIND,
	WATCHER_FULL,
};

struct watcher {
	struct watchers *watchers;
	LIST_ENTRY(watcher) link;         /* of its crowd */
	TAILQ_ENTRY(watcher) behind_link; /* BEHIND */
	struct crowd *crowd;
	struct httpd_request *owed;
	struct event *timer;
	struct api_watch watch;
	enum watcher_state state;
	uint64_t position; /* it has all events up to here; IDLE: up to what is published */
	size_t waited_len; /* FULL: octets that waited at the last look */
};

struct watchers {
	struct event_base *base;
	const struct events *events;
	struct counters *counters;
	uint64_t published; /* revision */
	struct timeval comment_time;
	struct siphash_key key;
	struct table *crowds;
	struct crowd everyone; /* who follow all services; not in the table */
	TAILQ_HEAD(, watcher) behind;
	struct event *serve;
	size_t n;
	bool is_draining;
};

/* ---- Crowds ---- */

static bool is_crowd_of(const void *entry, const void *service)
{
	return strcmp(((const struct crowd *)entry)->service, service) == 0;
}

static uint64_t hash_service(const struct watchers *watchers, const char *service)
{
	return siphash(&watchers->key, service, strlen(service));
}

static struct crowd *find_crowd(struct watchers *watchers, const char *service)
{
	return table_find(watchers->crowds, hash_service(watchers, service), service);
}

static struct crowd *make_crowd(struct watchers *watchers, const char *service)
{
	struct crowd *crowd = *service ? find_crowd(watchers, service) : &watchers->everyone;

	if (crowd)
		return crowd;
	crowd = calloc(1, sizeof(*crowd));
	if (!crowd)
		return NULL;
	LIST_INIT(&crowd->list);
	strcpy(crowd->service, service);
	if (table_insert(watchers->crowds, hash_service(watchers, service), crowd)) {
		free(crowd);
		return NULL;
	}
	return crowd;
}

static void drop_crowd_if_empty(struct watchers *watchers, struct crowd *crowd)
{
	if (crowd == &watchers->everyone || !LIST_EMPTY(&crowd->list))
		return;
	table_remove(watchers->crowds, hash_service(watchers, crowd->service), crowd);
	free(crowd);
}

/* ---- Watchers ---- */

/* In the next round of the loop, so that input and output come in between. */
static void serve_soon(struct watchers *watchers)
{
	const struct timeval now = { .tv_sec = 0 };

	if (!evtimer_pending(watchers->serve, NULL))
		evtimer_add(watchers->serve, &now);
}

static void set_timer(struct watcher *watcher, const struct timeval *time)
{
	evtimer_add(watcher->timer, time);
}

static void enter(struct watcher *watcher, enum watcher_state state)
{
	struct watchers *watchers = watcher->watchers;
	const struct timeval stall = { .tv_sec = STALL_MS / 1000 };

	if (watcher->state == WATCHER_BEHIND)
		TAILQ_REMOVE(&watchers->behind, watcher, behind_link);
	watcher->state = state;
	switch (state) {
	case WATCHER_IDLE:
		set_timer(watcher, &watchers->comment_time);
		break;
	case WATCHER_BEHIND:
		TAILQ_INSERT_TAIL(&watchers->behind, watcher, behind_link);
		event_del(watcher->timer);
		serve_soon(watchers);
		break;
	case WATCHER_FULL:
		watcher->waited_len = httpd_stream_waiting(watcher->owed);
		set_timer(watcher, &stall);
		break;
	}
}

static void watcher_free(struct watcher *watcher)
{
	struct watchers *watchers = watcher->watchers;

	if (watcher->state == WATCHER_BEHIND)
		TAILQ_REMOVE(&watchers->behind, watcher, behind_link);
	LIST_REMOVE(watcher, link);
	drop_crowd_if_empty(watchers, watcher->crowd);
	event_free(watcher->timer);
	watchers->n--;
	free(watcher);
}

static void cut(struct watcher *watcher)
{
	httpd_stream_cut(watcher->owed);
	watcher_free(watcher);
}

/* Frees it: it has its reply. */
static void reply_poll(struct watcher *watcher)
{
	struct watchers *watchers = watcher->watchers;
	struct api_reply reply = { .status = 0 };

	if (events_holds(watchers->events, watcher->position))
		watch_reply_poll(&reply, watchers->events, &watcher->watch, watcher->position,
				 watchers->published);
	else
		watch_reply_gone(&reply, watchers->counters);
	httpd_reply(watcher->owed, &reply);
	api_reply_fini(&reply);
	watcher_free(watcher);
}

/* Frees it: nothing has happened to what it follows. */
static void end_poll(struct watcher *watcher)
{
	watcher->position = watcher->watchers->published;
	reply_poll(watcher);
}

/* ---- Streams ---- */

static const struct event *next_event(const struct watcher *watcher)
{
	const char *service = *watcher->watch.service ? watcher->watch.service : NULL;
	const struct event *event =
		events_after(watcher->watchers->events, service, watcher->position);

	return event && event->revision <= watcher->watchers->published ? event : NULL;
}

/* Sends what has been printed. Cuts the reader off, which frees it, when out of memory. */
static bool send_text(struct watcher *watcher, struct buf *text)
{
	bool ok = !text->failed && httpd_stream_send(watcher->owed, text->data, text->len) == 0;

	buf_fini(text);
	if (!ok)
		cut(watcher);
	return ok;
}

/* One portion for one that is behind. */
static void serve(struct watcher *watcher)
{
	const struct event *event = NULL;
	struct buf text;

	if (!events_holds(watcher->watchers->events, watcher->position)) {
		counters_add(&watcher->watchers->counters->limit_events, 1);
		cut(watcher);
		return;
	}
	buf_init(&text);
	while (text.len < PORTION_LEN && !text.failed && (event = next_event(watcher))) {
		watch_print_event(&text, event);
		watcher->position = event->revision;
	}
	if ((text.len || text.failed) && !send_text(watcher, &text))
		return;
	if (httpd_stream_waiting(watcher->owed) >= LIMIT_WATCH_OUTPUT)
		enter(watcher, WATCHER_FULL);
	else
		enter(watcher, event ? WATCHER_BEHIND : WATCHER_IDLE);
}

/* In turn, so that one who is far behind keeps nobody waiting, neither here nor in the loop. */
static void on_serve(evutil_socket_t fd, short what, void *cookie)
{
	struct watchers *watchers = cookie;
	struct watcher *watcher;

	(void)fd, (void)what;
	for (int i = 0; i < PORTIONS && (watcher = TAILQ_FIRST(&watchers->behind)); i++)
		serve(watcher);
	if (!TAILQ_EMPTY(&watchers->behind))
		serve_soon(watchers);
}

static void send_comment(struct watcher *watcher)
{
	struct buf text;

	buf_init(&text);
	watch_print_comment(&text, watcher->watchers->published);
	if (send_text(watcher, &text))
		enter(watcher, WATCHER_IDLE);
}

static void look_at_full(struct watcher *watcher)
{
	size_t waiting_len = httpd_stream_waiting(watcher->owed);

	if (waiting_len < watcher->waited_len) {
		enter(watcher, WATCHER_FULL);
		return;
	}
	counters_add(&watcher->watchers->counters->limit_watch_output, 1);
	cut(watcher);
}

static void on_timer(evutil_socket_t fd, short what, void *cookie)
{
	struct watcher *watcher = cookie;

	(void)fd, (void)what;
	if (watcher->watch.wait == API_WAIT_POLL)
		end_poll(watcher);
	else if (watcher->state == WATCHER_IDLE)
		send_comment(watcher);
	else
		look_at_full(watcher);
}

static void on_drained(void *cookie)
{
	struct watcher *watcher = cookie;

	if (watcher->state == WATCHER_FULL)
		enter(watcher, WATCHER_BEHIND);
}

static void on_stream_end(void *cookie)
{
	watcher_free(cookie);
}

static void on_poll_left(void *cookie)
{
	end_poll(cookie);
}

/* ---- Publishing ---- */

/* May free the crowd with its last poll. */
static void wake(struct crowd *crowd, uint64_t before)
{
	struct watcher *watcher, *next;

	for (watcher = LIST_FIRST(&crowd->list); watcher; watcher = next) {
		next = LIST_NEXT(watcher, link);
		if (watcher->state != WATCHER_IDLE)
			continue;
		/* Nothing that it follows has happened up to there. */
		if (watcher->position < before)
			watcher->position = before;
		if (watcher->watch.wait == API_WAIT_POLL)
			reply_poll(watcher);
		else
			enter(watcher, WATCHER_BEHIND);
	}
}

/* One crowd after the other, where that is less to look at. */
static void wake_crowds(struct watchers *watchers, uint64_t before)
{
	bool is_lost = !events_holds(watchers->events, before);
	struct crowd *crowd;

	for (size_t position = 0; (crowd = table_next(watchers->crowds, &position));)
		if (is_lost || events_newest(watchers->events, crowd->service) > before)
			wake(crowd, before);
}

static void wake_by_event(struct watchers *watchers, uint64_t before)
{
	const struct event *event;

	for (uint64_t at = before; (event = events_after(watchers->events, NULL, at));
	     at = event->revision) {
		struct crowd *crowd = find_crowd(watchers, event->service);

		if (crowd)
			wake(crowd, before);
	}
}

void watchers_publish(struct watchers *watchers, uint64_t revision)
{
	uint64_t before = watchers->published;

	watchers->published = revision;
	if (revision == before || !watchers->n)
		return;
	wake(&watchers->everyone, before);
	if (revision - before > table_count(watchers->crowds) ||
	    !events_holds(watchers->events, before))
		wake_crowds(watchers, before);
	else
		wake_by_event(watchers, before);
}

/* ---- Starting ---- */

static void refuse(struct httpd_request *owed, const char *reason)
{
	struct api_reply reply;

	api_reply_error(&reply, 503, NULL, "%s", reason);
	httpd_reply(owed, &reply);
	api_reply_fini(&reply);
}

static struct watcher *watcher_new(struct watchers *watchers, struct httpd_request *owed,
				   const struct api_watch *watch)
{
	struct watcher *watcher = calloc(1, sizeof(*watcher));

	if (!watcher)
		return NULL;
	*watcher = (struct watcher){ .watchers = watchers, .owed = owed, .watch = *watch };
	/* What watch_handle() let pass and the ring has not is too quiet a service to be in it. */
	watcher->position = watchers->published;
	if (watch->has_since && events_holds(watchers->events, watch->since))
		watcher->position = watch->since;
	watcher->timer = evtimer_new(watchers->base, on_timer, watcher);
	if (!watcher->timer)
		goto fail;
	watcher->crowd = make_crowd(watchers, watch->service);
	if (!watcher->crowd)
		goto fail_timer;
	LIST_INSERT_HEAD(&watcher->crowd->list, watcher, link);
	watchers->n++;
	return watcher;

fail_timer:
	event_free(watcher->timer);
fail:
	free(watcher);
	return NULL;
}

static void start_poll(struct watcher *watcher)
{
	struct timeval time = clock_timeval(watcher->watch.wait_ms);

	if (!watcher->watch.has_since || !watcher->watch.wait_ms ||
	    !events_holds(watcher->watchers->events, watcher->position) || next_event(watcher)) {
		reply_poll(watcher);
		return;
	}
	set_timer(watcher, &time);
	httpd_mind(watcher->owed, on_poll_left, watcher);
}

static void start_stream(struct watcher *watcher)
{
	const struct httpd_stream_hooks hooks = {
		.on_drained = on_drained,
		.on_end = on_stream_end,
		.cookie = watcher,
	};
	struct buf text;

	if (httpd_stream_start(watcher->owed, "text/event-stream", &hooks)) {
		refuse(watcher->owed, "out of memory");
		watcher_free(watcher);
		return;
	}
	buf_init(&text);
	watch_print_start(&text, watcher->position);
	if (send_text(watcher, &text))
		enter(watcher, WATCHER_BEHIND);
}

void watchers_start(struct watchers *watchers, struct httpd_request *owed,
		    const struct api_watch *watch)
{
	struct watcher *watcher;

	if (watchers->is_draining) {
		refuse(owed, "the server stops");
		return;
	}
	if (watchers->n >= LIMIT_WATCHERS) {
		counters_add(&watchers->counters->limit_watchers, 1);
		refuse(owed, "too many watchers");
		return;
	}
	watcher = watcher_new(watchers, owed, watch);
	if (!watcher)
		refuse(owed, "out of memory");
	else if (watch->wait == API_WAIT_POLL)
		start_poll(watcher);
	else
		start_stream(watcher);
}

/* ---- The whole ---- */

struct watchers *watchers_new(struct event_base *base, const struct events *events,
			      struct counters *counters, uint64_t revision, unsigned comment_ms)
{
	struct watchers *watchers = calloc(1, sizeof(*watchers));

	if (!watchers)
		return NULL;
	*watchers = (struct watchers){
		.base = base,
		.events = events,
		.counters = counters,
		.published = revision,
		.comment_time = clock_timeval(comment_ms),
	};
	siphash_key_init(&watchers->key);
	TAILQ_INIT(&watchers->behind);
	LIST_INIT(&watchers->everyone.list);
	watchers->crowds = table_new(is_crowd_of);
	watchers->serve = evtimer_new(base, on_serve, watchers);
	if (watchers->crowds && watchers->serve)
		return watchers;
	watchers_free(watchers);
	return NULL;
}

static void free_crowd(struct crowd *crowd)
{
	struct watcher *watcher, *next;

	for (watcher = LIST_FIRST(&crowd->list); watcher; watcher = next) {
		next = LIST_NEXT(watcher, link);
		watcher_free(watcher);
	}
}

void watchers_free(struct watchers *watchers)
{
	struct crowd *crowd;

	if (!watchers)
		return;
	free_crowd(&watchers->everyone);
	for (size_t position = 0;
	     watchers->crowds && (crowd = table_next(watchers->crowds, &position));)
		free_crowd(crowd);
	table_free(watchers->crowds);
	if (watchers->serve)
		event_free(watchers->serve);
	free(watchers);
}

static void end_watch(struct watcher *watcher)
{
	if (watcher->watch.wait == API_WAIT_POLL) {
		end_poll(watcher);
		return;
	}
	httpd_stream_end(watcher->owed);
	watcher_free(watcher);
}

static void end_crowd(struct crowd *crowd)
{
	struct watcher *watcher, *next;

	for (watcher = LIST_FIRST(&crowd->list); watcher; watcher = next) {
		next = LIST_NEXT(watcher, link);
		end_watch(watcher);
	}
}

void watchers_end(struct watchers *watchers)
{
	struct crowd *crowd;

	end_crowd(&watchers->everyone);
	for (size_t position = 0; (crowd = table_next(watchers->crowds, &position));)
		end_crowd(crowd);
}

static void answer_polls(struct crowd *crowd)
{
	struct watcher *watcher, *next;

	for (watcher = LIST_FIRST(&crowd->list); watcher; watcher = next) {
		next = LIST_NEXT(watcher, link);
		if (watcher->watch.wait == API_WAIT_POLL)
			end_poll(watcher);
	}
}

void watchers_drain(struct watchers *watchers)
{
	struct crowd *crowd;

	watchers->is_draining = true;
	answer_polls(&watchers->everyone);
	for (size_t position = 0; (crowd = table_next(watchers->crowds, &position));)
		answer_polls(crowd);
}

void watchers_resume(struct watchers *watchers)
{
	watchers->is_draining = false;
}

size_t watchers_count(const struct watchers *watchers)
{
	return watchers->n;
}
