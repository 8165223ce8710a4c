/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/control_serve.h"

#include "api/native.h"
#include "api/native_write.h"
#include "app/control_replace.h"
#include "app/control_stop.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/server_clock.h"

#include <event2/event.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	RETRY_S = 1, /* when there was no memory to publish */
};

static const char unpublished[] = "changes do not show in DNS yet: out of memory";

/* ---- Rounds ---- */

void control_serve_begin_round(struct control *control)
{
	if (!control->round_ns)
		control->round_ns = clock_mono_ns();
}

static void end_round(struct control *control)
{
	if (control->round_ns)
		histogram_observe(&control->rounds, clock_mono_ns() - control->round_ns, 1);
	control->round_ns = 0;
}

int control_serve_rounds(struct control *control)
{
	int result;

	do {
		result = event_base_loop(control->base, EVLOOP_ONCE);
		end_round(control);
	} while (result == 0 && !event_base_got_break(control->base));
	return result;
}

/* ---- Time ---- */

uint64_t control_serve_look(struct control *control)
{
	uint64_t credited_ms, now_ms = server_clock_look(&credited_ms);

	if (credited_ms) {
		counters_add(&control->counters.pauses, 1);
		log_event(LOG_WARNING, "pause-credited", "ms", log_fmt("%" PRIu64, credited_ms),
			  NULL);
	}
	return now_ms;
}

static void on_tick(evutil_socket_t fd, short what, void *cookie)
{
	(void)fd;
	(void)what;
	control_serve_look(cookie);
}

/* ---- Publishing ---- */

void control_serve_arm_deadline(struct control *control)
{
	uint64_t at_ms = registry_next_deadline(control->registry),
		 now_ms = control_serve_look(control);
	struct timeval delay = clock_timeval(at_ms > now_ms ? at_ms - now_ms : 0);

	if (at_ms == UINT64_MAX)
		event_del(control->deadline);
	else
		event_add(control->deadline, &delay);
}

static void on_refused(void *cookie, struct httpd_request *owed, int status, const char *message);

/*
 * Without memory, changes wait for the next try. Nobody is told that they are done, and there are
 * no more of them until then.
 */
static void fail_publish(struct control *control)
{
	struct timeval pause = { .tv_sec = RETRY_S };

	if (!control->is_unpublished)
		log_event(LOG_ERROR, "publish-failed", "reason", "out of memory", "writes",
			  "refused", NULL);
	control->is_unpublished = true;
	for (size_t i = 0; i < control->n_pending; i++) {
		on_refused(control, control->pending[i].owed, 503, unpublished);
		api_reply_fini(&control->pending[i].reply);
	}
	control->n_pending = 0;
	event_add(control->deadline, &pause);
}

static void publish(struct control *control)
{
	if (compile_run(control->compile, control_serve_look(control))) {
		fail_publish(control);
		return;
	}
	if (control->is_unpublished)
		log_event(LOG_INFO, "publish-recovered", NULL);
	control->is_unpublished = false;
	if (revision_advance(control->revision, registry_revision(control->registry)))
		log_event(LOG_ERROR, "revision-not-saved", "error", strerror(errno), NULL);
	for (size_t i = 0; i < control->n_pending; i++) {
		httpd_reply(control->pending[i].owed, &control->pending[i].reply);
		api_reply_fini(&control->pending[i].reply);
	}
	control->n_pending = 0;
	watchers_publish(control->watchers, registry_revision(control->registry));
	control_serve_arm_deadline(control);
}

void control_serve_drop_replies(struct control *control)
{
	for (size_t i = 0; i < control->n_pending; i++)
		api_reply_fini(&control->pending[i].reply);
	control->n_pending = 0;
}

static void on_publish(evutil_socket_t fd, short what, void *cookie)
{
	(void)fd;
	(void)what;
	publish(cookie);
}

void control_serve_publish_soon(struct control *control)
{
	event_active(control->publish, EV_TIMEOUT, 0);
}

static void on_deadline(evutil_socket_t fd, short what, void *cookie)
{
	struct control *control = cookie;

	(void)fd;
	(void)what;
	control_serve_begin_round(control);
	registry_expire(control->registry, control_serve_look(control));
	control_serve_publish_soon(control);
}

/* ---- HTTP ---- */

static bool hold_reply(struct control *control, struct httpd_request *owed,
		       const struct api_reply *reply)
{
	if (control->n_pending == control->cap_pending) {
		size_t cap = control->cap_pending ? control->cap_pending * 2 : 64;
		struct pending *pending = realloc(control->pending, cap * sizeof(*pending));

		if (!pending)
			return false;
		control->pending = pending;
		control->cap_pending = cap;
	}
	control->pending[control->n_pending++] = (struct pending){ .owed = owed, .reply = *reply };
	return true;
}

/* Sends a reply behind the publish of what it reports. */
static void reply_published(struct control *control, struct httpd_request *owed,
			    struct api_reply *reply)
{
	if (registry_is_dirty(control->registry)) {
		control_serve_publish_soon(control);
		if (hold_reply(control, owed, reply))
			return;
		publish(control);
		if (control->is_unpublished) {
			on_refused(control, owed, 503, unpublished);
			api_reply_fini(reply);
			return;
		}
	}
	httpd_reply(owed, reply);
	api_reply_fini(reply);
	/* A renewal may have moved a deadline without making anything dirty. */
	if (!registry_is_dirty(control->registry))
		control_serve_arm_deadline(control);
}

/* While nothing can be published: what is no write is answered all the same, from the registry. */
static void answer_unpublished(struct httpd_request *owed, struct api_reply *reply)
{
	if (reply->write) {
		on_refused(NULL, owed, 503, unpublished);
		native_write_free(reply->write);
		return;
	}
	httpd_reply(owed, reply);
	api_reply_fini(reply);
}

void control_serve_on_request(void *cookie, struct httpd_request *owed,
			      const struct api_request *request)
{
	struct control *control = cookie;
	struct api_reply reply;

	control_serve_begin_round(control);
	api_handle(&control->api, native_routes, native_n_routes, request,
		   control_serve_look(control), &reply);
	if (reply.watch.wait)
		watchers_start(control->watchers, owed, &reply.watch);
	else if (reply.zone.len)
		zone_streams_start(control->zone_streams, owed, &reply.zone);
	else if (control->is_unpublished)
		answer_unpublished(owed, &reply);
	else if (reply.write)
		commit_put(control->commit, reply.write, owed);
	else
		reply_published(control, owed, &reply);
}

/* Nobody waits for a write that took too long: it has its reply. */
static void on_saved(void *cookie, struct httpd_request *owed, struct api_write *write)
{
	struct control *control = cookie;
	struct api_reply reply;

	control_serve_begin_round(control);
	native_write_finish(&control->api, write, control_serve_look(control), &reply);
	if (owed) {
		reply_published(control, owed, &reply);
		return;
	}
	api_reply_fini(&reply);
	control_serve_publish_soon(control);
}

static void on_refused(void *cookie, struct httpd_request *owed, int status, const char *message)
{
	struct api_reply reply;

	(void)cookie;
	api_reply_error(&reply, status, NULL, "%s", message);
	httpd_reply(owed, &reply);
	api_reply_fini(&reply);
}

static bool is_ready(void *cookie)
{
	const struct control *control = cookie;

	return control->is_ready && !control->is_draining && control->yield == YIELD_NO;
}

static const char *trouble(void *cookie)
{
	const struct control *control = cookie;

	if (control->is_unpublished)
		return unpublished;
	return commit_trouble(control->commit);
}

static bool is_behind(void *cookie, const struct change *change)
{
	const struct control *control = cookie;

	return commit_is_behind(control->commit, change);
}

static bool publish_now(void *cookie)
{
	struct control *control = cookie;

	publish(control);
	return !registry_is_dirty(control->registry);
}

/* What the control thread asks itself. */
static size_t ask(void *cookie, uint8_t *message, size_t len)
{
	static const struct answer_peer peer = { .transport = ANSWER_TCP };
	struct control *control = cookie;
	const struct answer_time time = { .now_ms = 0 }; /* before any hand-out */
	struct counters counters = { 0 };
	struct answer own;

	answer_init(&own, control->catalog, &counters, &control->identity);
	catalog_reader_online();
	len = answer(&own, &peer, &time, message, len);
	catalog_reader_offline();
	return len;
}

static void read_metrics(void *cookie, struct api_metrics *metrics)
{
	const struct control *control = cookie;
	struct store_stats stats = { .commits = 0 };

	counters_read(&metrics->counters, &control->counters);
	counters_read(&metrics->counters, probe_counters(control->probe));
	workers_count(control->workers, &metrics->counters, &metrics->answers);
	histogram_read(&metrics->rounds, &control->rounds);
	files_count(control->files, &metrics->files.n_good, &metrics->files.n_bad,
		    &metrics->files.is_dir_good);
	if (control->is_ready)
		store_read_stats(control->store, &stats);
	metrics->store.commit_us = stats.commit_us;
	metrics->store.octets = stats.octets;
	metrics->store.copy_errors = stats.copy_errors;
}

static size_t count_watchers(void *cookie)
{
	const struct control *control = cookie;

	return watchers_count(control->watchers);
}

static int reload(void *cookie, struct api_reload *result)
{
	return control_stop_reload(cookie, result);
}

static long replace(void *cookie, char *reason, size_t size)
{
	return control_replace_start_successor(cookie, reason, size);
}

static void describe(void *cookie, struct api_server *server)
{
	const struct control *control = cookie;

	server->uptime_s = (double)(clock_mono_ms() - control->start_ms) / 1000;
	successor_read(control->successor, &server->successor);
}

static void on_changed(void *cookie, enum event_kind kind, const struct service *service,
		       const struct instance *instance)
{
	const struct control *control = cookie;

	events_put(control->events, kind, service, instance);
	commit_on_change(control->commit, kind, service, instance);
}

/* ---- Checks ---- */

static void on_check_started(void *cookie, const struct check *check)
{
	const struct control *control = cookie;

	probe_start_check(control->probe, check);
}

static void on_check_stopped(void *cookie, const struct check *check)
{
	const struct control *control = cookie;

	if (control->probe)
		probe_stop_check(control->probe, check->check_id);
}

static void apply_result(struct control *control, const struct probe_result *result)
{
	struct change change = {
		.kind = CHANGE_CHECK_RESULT,
		.check_result = { .check_id = result->check_id,
				  .passed = result->passed,
				  .start_ms = result->start_ms,
				  .latency_ms = result->latency_ms,
				  .output = result->output },
	};
	struct outcome outcome;

	registry_apply(control->registry, &change, control_serve_look(control), &outcome);
}

static void on_results(evutil_socket_t fd, short what, void *cookie)
{
	struct control *control = cookie;
	struct queue_node *node = queue_take(control->results);

	(void)fd;
	(void)what;
	control_serve_begin_round(control);
	while (node) {
		struct probe_result *result = (struct probe_result *)(void *)node;

		node = node->next;
		if (control->yield != YIELD_DONE)
			apply_result(control, result);
		free(result);
	}
	control_serve_publish_soon(control);
}

/*
 * `choice` is the newest configuration's, the HTTP addresses are those that are open: they stay as
 * they are while the process lives.
 */
bool control_serve_refuses_loopback(const struct control *control, enum conf_loopback choice)
{
	if (choice == CONF_LOOPBACK_BY_HTTP)
		return conf_find_open(control->conf) != NULL;
	return choice == CONF_LOOPBACK_NO;
}

/* ---- Files of services ---- */

static void on_files_work(void *cookie)
{
	control_serve_begin_round(cookie);
}

static void put_files_write(void *cookie, struct api_write *write)
{
	struct control *control = cookie;

	if (control->is_unpublished)
		native_write_free(write);
	else
		commit_put(control->commit, write, NULL);
}

/* ---- Hooks ---- */

static bool collides(void *cookie, const struct registration *registration, char *name,
		     size_t name_size)
{
	const struct control *control = cookie;

	return compile_collides(control->compile, registration, name, name_size);
}

void control_serve_hook_registry(struct control *control, struct registry_options *options)
{
	options->collides = collides;
	options->check_started = on_check_started;
	options->check_stopped = on_check_stopped;
	options->changed = on_changed;
	options->cookie = control;
}

void control_serve_hook_commit(struct control *control, struct commit_options *options)
{
	options->on_saved = on_saved;
	options->on_refused = on_refused;
	options->cookie = control;
}

void control_serve_hook_files(struct control *control, struct files_options *options)
{
	options->on_work = on_files_work;
	options->put = put_files_write;
	options->cookie = control;
}

void control_serve_hook_api(struct control *control, struct api *api)
{
	api->is_ready = is_ready;
	api->trouble = trouble;
	api->is_behind = is_behind;
	api->publish = publish_now;
	api->ask = ask;
	api->catalog = control->catalog;
	api->counters = &control->counters;
	api->guard = &control->conf->guard;
	api->access = &control->conf->access;
	api->read_metrics = read_metrics;
	api->count_watchers = count_watchers;
	api->reload = reload;
	api->replace = replace;
	api->describe = describe;
	api->cookie = control;
}

int control_serve_tick(struct control *control)
{
	static const struct timeval tick_time = { .tv_usec = SERVER_CLOCK_TICK_MS * 1000 };

	control_serve_look(control);
	return event_add(control->tick, &tick_time);
}

int control_serve_init(struct control *control)
{
	struct event_base *base = control->base;

	control->on_results = event_new(base, queue_fd(control->results), EV_READ | EV_PERSIST,
					on_results, control);
	control->publish = event_new(base, -1, 0, on_publish, control);
	control->deadline = evtimer_new(base, on_deadline, control);
	control->tick = event_new(base, -1, EV_PERSIST, on_tick, control);
	return control->on_results && control->publish && control->deadline && control->tick &&
			       control_serve_tick(control) == 0 &&
			       event_add(control->on_results, NULL) == 0
		       ? 0
		       : -1;
}

void control_serve_fini(struct control *control)
{
	struct event *events[] = { control->on_results, control->publish, control->deadline,
				   control->tick };

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (events[i])
			event_free(events[i]);
	control_serve_drop_replies(control);
	free(control->pending);
}
