/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/control.h"

#include "api/native.h"
#include "app/dump.h"
#include "app/revision.h"
#include "app/sandbox.h"
#include "app/watchers.h"
#include "app/workers.h"
#include "app/zones.h"
#include "base/clock.h"
#include "base/log.h"
#include "io/httpd.h"
#include "io/probe.h"

#include <event2/event.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	RETRY_S = 1,        /* when there was no memory to publish */
	COMMENT_MS = 15000, /* proxies close what is quiet for longer */
	DRAIN_MS = 5000,    /* how long SIGTERM waits for peers that read slowly */
};

/* A reply that waits for the publish. */
struct pending {
	struct httpd_request *owed;
	struct api_reply reply;
};

struct control {
	struct conf *conf;
	const struct conf_flags *flags;
	struct event_base *base;
	struct counters counters;
	struct revision *revision;
	struct answer_identity identity;
	struct catalog *catalog;
	struct registry *registry;
	struct events *events;
	struct watchers *watchers;
	struct compile *compile;
	struct workers *workers;
	struct dump *dump;
	struct queue *results; /* of the prober */
	struct probe *probe;
	struct httpd *httpd;
	struct api api;
	struct queue *notes; /* that the workers have drained */
	struct event *on_results, *on_notes, *publish, *deadline, *drain_end;
	struct event *on_signals[4];
	struct pending *pending;
	size_t n_pending, cap_pending;
	bool is_ready, is_draining, http_drained, dns_drained;
};

/* ---- Publishing ---- */

static void arm_deadline(struct control *control)
{
	uint64_t at_ms = registry_next_deadline(control->registry), now_ms = clock_mono_ms();
	uint64_t delay_ms = at_ms > now_ms ? at_ms - now_ms : 0;
	struct timeval delay = {
		.tv_sec = (time_t)(delay_ms / 1000),
		.tv_usec = (suseconds_t)(delay_ms % 1000 * 1000),
	};

	if (at_ms == UINT64_MAX)
		event_del(control->deadline);
	else
		event_add(control->deadline, &delay);
}

/* Without memory, changes and the replies that report them wait for the next try. */
static void publish(struct control *control)
{
	struct timeval pause = { .tv_sec = RETRY_S };

	if (compile_run(control->compile, clock_mono_ms())) {
		event_add(control->deadline, &pause);
		return;
	}
	if (revision_advance(control->revision, registry_revision(control->registry)))
		log_event(LOG_ERROR, "revision-not-saved", "error", strerror(errno), NULL);
	for (size_t i = 0; i < control->n_pending; i++) {
		httpd_reply(control->pending[i].owed, &control->pending[i].reply);
		api_reply_fini(&control->pending[i].reply);
	}
	control->n_pending = 0;
	watchers_publish(control->watchers, registry_revision(control->registry));
	arm_deadline(control);
}

static void on_publish(evutil_socket_t fd, short what, void *cookie)
{
	(void)fd;
	(void)what;
	publish(cookie);
}

/* Publishes behind everything else that this round of the loop has to do. */
static void publish_soon(struct control *control)
{
	event_active(control->publish, EV_TIMEOUT, 0);
}

static void on_deadline(evutil_socket_t fd, short what, void *cookie)
{
	struct control *control = cookie;

	(void)fd;
	(void)what;
	registry_expire(control->registry, clock_mono_ms());
	publish_soon(control);
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

static void on_request(void *cookie, struct httpd_request *owed, const struct api_request *request)
{
	struct control *control = cookie;
	struct api_reply reply;

	api_handle(&control->api, native_routes, native_n_routes, request, clock_mono_ms(), &reply);
	if (reply.watch.wait) {
		watchers_start(control->watchers, owed, &reply.watch);
		return;
	}
	if (registry_is_dirty(control->registry)) {
		publish_soon(control);
		if (hold_reply(control, owed, &reply))
			return;
		publish(control);
	}
	httpd_reply(owed, &reply);
	api_reply_fini(&reply);
	/* A renewal may have moved a deadline without making anything dirty. */
	if (!registry_is_dirty(control->registry))
		arm_deadline(control);
}

static bool is_ready(void *cookie)
{
	const struct control *control = cookie;

	return control->is_ready && !control->is_draining;
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
	const struct answer_time time = { .mono_ms = 0 }; /* before any hand-out */
	struct counters counters = { 0 };
	struct answer own;

	answer_init(&own, control->catalog, &counters, &control->identity);
	catalog_reader_online();
	len = answer(&own, &peer, &time, message, len);
	catalog_reader_offline();
	return len;
}

static void read_counters(void *cookie, struct counters *sum)
{
	const struct control *control = cookie;

	counters_read(sum, &control->counters);
	workers_count(control->workers, sum);
}

static size_t count_watchers(void *cookie)
{
	const struct control *control = cookie;

	return watchers_count(control->watchers);
}

static void on_changed(void *cookie, enum event_kind kind, const struct service *service,
		       const struct instance *instance)
{
	const struct control *control = cookie;

	events_put(control->events, kind, service, instance);
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

	registry_apply(control->registry, &change, clock_mono_ms(), &outcome);
}

static void on_results(evutil_socket_t fd, short what, void *cookie)
{
	struct control *control = cookie;
	struct queue_node *node = queue_take(control->results);

	(void)fd;
	(void)what;
	while (node) {
		struct probe_result *result = (struct probe_result *)(void *)node;

		node = node->next;
		apply_result(control, result);
		free(result);
	}
	publish_soon(control);
}

/*
 * `choice` is the newest configuration's, the HTTP addresses are those that are open: they stay as
 * they are while the process lives.
 */
static bool refuses_loopback_checks(const struct control *control, enum conf_loopback choice)
{
	const struct conf *conf = control->conf;
	struct address address;

	for (size_t i = 0; choice == CONF_LOOPBACK_BY_HTTP && i < conf->n_http; i++) {
		listen_peer((const struct sockaddr *)&conf->http[i].sockaddr, &address);
		if (!record_address_is_loopback(&address))
			return true;
	}
	return choice == CONF_LOOPBACK_NO;
}

/* ---- Signals ---- */

static bool same_addresses(const struct listen_address *a, size_t n_a,
			   const struct listen_address *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (strcmp(a[i].text, b[i].text) != 0)
			return false;
	return true;
}

/* What is fixed while the process lives is named if the new configuration differs. */
static void warn_fixed(const struct conf *old, const struct conf *new)
{
	const struct {
		const char *key;
		bool same;
	} fixed[] = {
		{ "dns", same_addresses(old->dns, old->n_dns, new->dns, new->n_dns) },
		{ "http", same_addresses(old->http, old->n_http, new->http, new->n_http) },
		{ "workers", old->workers == new->workers },
		{ "data", strcmp(old->data, new->data) == 0 },
		{ "identity", strcmp(old->identity, new->identity) == 0 },
		{ "version", strcmp(old->version, new->version) == 0 },
		{ "user", strcmp(old->user ? old->user : "", new->user ? new->user : "") == 0 },
		{ "sandbox", old->sandbox == new->sandbox },
	};

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (!fixed[i].same)
			log_event(LOG_WARNING, "reload-ignored", "key", fixed[i].key, "reason",
				  "takes a restart", NULL);
}

static void reload(struct control *control)
{
	struct static_zone *zones = NULL;
	struct conf conf;
	char message[512];

	if (conf_load(&conf, control->flags, message, sizeof(message)))
		goto fail;
	warn_fixed(control->conf, &conf);
	zones = zones_read(&conf, message, sizeof(message));
	if (!zones)
		goto fail;
	if (compile_set_zones(control->compile, zones, conf.n_zones, clock_mono_ms(), message,
			      sizeof(message))) {
		zones_free(zones, conf.n_zones);
		goto fail;
	}
	free(zones);
	registry_set_ttl(control->registry, conf.ttl_s);
	control->api.refuses_loopback_checks =
		refuses_loopback_checks(control, conf.check_loopback);
	publish_soon(control);
	log_event(LOG_INFO, "reloaded", "zones", log_fmt("%zu", conf.n_zones), NULL);
	conf_fini(&conf);
	return;
fail:
	conf_fini(&conf);
	log_event(LOG_ERROR, "reload-failed", "error", message, "now", "the old one stays", NULL);
}

static void end_if_drained(struct control *control)
{
	if (control->http_drained && control->dns_drained)
		event_base_loopbreak(control->base);
}

static void on_http_idle(void *cookie)
{
	struct control *control = cookie;

	control->http_drained = true;
	end_if_drained(control);
}

static void on_notes(evutil_socket_t fd, short what, void *cookie)
{
	struct control *control = cookie;
	struct queue_node *note = queue_take(control->notes);

	(void)fd;
	(void)what;
	control->dns_drained |= note != NULL;
	end_if_drained(control);
}

static void on_dns_drained(void *cookie)
{
	static struct queue_node note;
	struct control *control = cookie;

	queue_push(control->notes, &note);
}

static void on_drain_end(evutil_socket_t fd, short what, void *cookie)
{
	struct control *control = cookie;

	(void)fd;
	(void)what;
	event_base_loopbreak(control->base);
}

static void stop(struct control *control, int signal_number)
{
	struct timeval limit = { .tv_sec = DRAIN_MS / 1000 };

	if (control->is_draining) {
		event_base_loopbreak(control->base);
		return;
	}
	log_event(LOG_INFO, "stopping", "signal", signal_number == SIGTERM ? "SIGTERM" : "SIGINT",
		  NULL);
	control->is_draining = true;
	event_add(control->drain_end, &limit);
	workers_drain(control->workers, on_dns_drained, control);
	httpd_drain(control->httpd, on_http_idle, control);
	watchers_drain(control->watchers);
}

static void on_signal(evutil_socket_t fd, short what, void *cookie)
{
	struct control *control = cookie;

	(void)what;
	if (fd == SIGHUP)
		reload(control);
	else if (fd == SIGUSR1)
		dump_start(control->dump);
	else
		stop(control, (int)fd);
}

/* ---- Life ---- */

static int new_events(struct control *control)
{
	static const int signals[] = { SIGHUP, SIGUSR1, SIGTERM, SIGINT };
	struct event_base *base = control->base;
	bool ok;

	control->on_results = event_new(base, queue_fd(control->results), EV_READ | EV_PERSIST,
					on_results, control);
	control->on_notes =
		event_new(base, queue_fd(control->notes), EV_READ | EV_PERSIST, on_notes, control);
	control->publish = event_new(base, -1, 0, on_publish, control);
	control->deadline = evtimer_new(base, on_deadline, control);
	control->drain_end = evtimer_new(base, on_drain_end, control);
	ok = control->on_results && control->on_notes && control->publish && control->deadline &&
	     control->drain_end && !event_add(control->on_results, NULL) &&
	     !event_add(control->on_notes, NULL);
	for (size_t i = 0; ok && i < sizeof(signals) / sizeof(signals[0]); i++) {
		control->on_signals[i] = evsignal_new(base, signals[i], on_signal, control);
		ok = control->on_signals[i] && !event_add(control->on_signals[i], NULL);
	}
	return ok ? 0 : -1;
}

static void free_events(struct control *control)
{
	struct event *events[] = {
		control->on_results,    control->on_notes,      control->publish,
		control->deadline,      control->drain_end,     control->on_signals[0],
		control->on_signals[1], control->on_signals[2], control->on_signals[3],
	};

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (events[i])
			event_free(events[i]);
}

static bool collides(void *cookie, const struct registration *registration, char *name,
		     size_t name_size)
{
	const struct control *control = cookie;

	return compile_collides(control->compile, registration, name, name_size);
}

/* evhttp adds and deletes the same events again and again; epoll hears of it once a round. */
static struct event_base *new_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config && event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST) == 0)
		base = event_base_new_with_config(config);
	if (config)
		event_config_free(config);
	return base;
}

/* The write side without its doors: what needs nothing but memory. */
static int new_model(struct control *control)
{
	struct registry_options options = {
		/* The start is a change itself: what was registered before is gone. */
		.revision = revision_first(control->revision) + 1,
		.ttl_s = control->conf->ttl_s,
		.counters = &control->counters,
		.collides = collides,
		.check_started = on_check_started,
		.check_stopped = on_check_stopped,
		.changed = on_changed,
		.cookie = control,
	};

	snprintf(control->identity.id, sizeof(control->identity.id), "%s", control->conf->identity);
	snprintf(control->identity.version, sizeof(control->identity.version), "%s",
		 control->conf->version);
	siphash_key_init(&control->identity.cookie_secret);
	control->base = new_base();
	control->results = queue_new();
	control->notes = queue_new();
	control->catalog = catalog_new();
	control->registry = registry_new(&options);
	control->events = events_new(options.revision);
	if (control->base && control->events)
		control->watchers = watchers_new(control->base, control->events, &control->counters,
						 options.revision, COMMENT_MS);
	if (control->catalog && control->registry)
		control->compile =
			compile_new(control->registry, control->catalog, &control->counters);
	control->dump = dump_new(control->catalog, control->conf->data);
	control->api = (struct api){
		.registry = control->registry,
		.events = control->events,
		.is_ready = is_ready,
		.compile = control->compile,
		.publish = publish_now,
		.ask = ask,
		.read_counters = read_counters,
		.count_watchers = count_watchers,
		.cookie = control,
		.refuses_loopback_checks =
			refuses_loopback_checks(control, control->conf->check_loopback),
	};
	if (control->base && control->results && control->notes && control->compile &&
	    control->watchers && control->dump && new_events(control) == 0)
		return 0;
	log_event(LOG_ERROR, "start-failed", "error", strerror(ENOMEM), NULL);
	return -1;
}

static int open_http(struct control *control)
{
	struct conf *conf = control->conf;

	control->httpd = httpd_new(control->base, &control->counters, LIMIT_HTTP_REQUEST_MS,
				   on_request, control);
	if (!control->httpd)
		return -1;
	for (size_t i = 0; i < conf->n_http; i++) {
		int fd = listen_tcp(&conf->http[i]);

		if (fd < 0) {
			log_event(LOG_ERROR, "listen-failed", "door", "http", "addr",
				  conf->http[i].text, "error", strerror(errno), "errno",
				  log_fmt("%d", errno), NULL);
			return -1;
		}
		if (httpd_accept(control->httpd, fd))
			return -1;
	}
	return 0;
}

static int seal(const struct conf *conf)
{
	const struct sandbox_options options = { .is_on = conf->sandbox };
	char message[512];

	if (sandbox_seal(&options, message, sizeof(message)) == 0)
		return 0;
	log_event(LOG_ERROR, "start-failed", "error", message, NULL);
	return -1;
}

/* Every door is open before the first thread runs, so a failed start has answered nobody. */
static int open_doors(struct control *control)
{
	struct conf *conf = control->conf;

	control->workers = workers_new(conf->workers, conf->dns, conf->n_dns, control->catalog,
				       &control->identity);
	if (!control->workers || open_http(control) || seal(conf))
		return -1;
	control->probe = probe_new(control->results, 0);
	if (!control->probe || workers_start(control->workers))
		return -1;
	for (size_t i = 0; i < conf->n_dns; i++)
		log_event(LOG_INFO, "listening", "door", "dns", "addr", conf->dns[i].text, NULL);
	for (size_t i = 0; i < conf->n_http; i++)
		log_event(LOG_INFO, "listening", "door", "http", "addr", conf->http[i].text, NULL);
	return 0;
}

static void free_results(struct queue *results)
{
	struct queue_node *node = results ? queue_take(results) : NULL;

	while (node) {
		struct queue_node *next = node->next;

		free(node);
		node = next;
	}
}

/* Threads end first, then what they used goes, in the opposite order of its making. */
static void fini(struct control *control)
{
	dump_free(control->dump);
	workers_free(control->workers);
	probe_free(control->probe);
	control->probe = NULL;
	for (size_t i = 0; i < control->n_pending; i++)
		api_reply_fini(&control->pending[i].reply);
	free(control->pending);
	watchers_free(control->watchers);
	httpd_free(control->httpd);
	compile_free(control->compile);
	registry_free(control->registry);
	events_free(control->events);
	catalog_free(control->catalog);
	free_events(control);
	free_results(control->results);
	queue_free(control->results);
	if (control->notes)
		queue_take(control->notes);
	queue_free(control->notes);
	if (control->base)
		event_base_free(control->base);
	revision_close(control->revision);
}

int control_run(struct conf *conf, const struct conf_flags *flags, struct static_zone *zones)
{
	struct control control = { .conf = conf, .flags = flags };
	char message[512];
	int status = EXIT_FAILURE;

	control.revision = revision_open(conf->data, message, sizeof(message));
	if (!control.revision) {
		log_event(LOG_ERROR, "start-failed", "error", message, NULL);
		zones_free(zones, conf->n_zones);
		goto out;
	}
	if (new_model(&control)) {
		zones_free(zones, conf->n_zones);
		goto out;
	}
	if (compile_set_zones(control.compile, zones, conf->n_zones, clock_mono_ms(), message,
			      sizeof(message))) {
		log_event(LOG_ERROR, "start-failed", "error", message, NULL);
		zones_free(zones, conf->n_zones);
		status = EXIT_CONFIG;
		goto out;
	}
	free(zones);
	if (open_doors(&control))
		goto out;
	control.is_ready = true;
	log_event(LOG_INFO, "ready", "version", PACKAGE_VERSION, "zones",
		  log_fmt("%zu", conf->n_zones), "workers", log_fmt("%u", conf->workers),
		  "revision", log_fmt("%" PRIu64, registry_revision(control.registry)), NULL);
	if (event_base_dispatch(control.base) >= 0)
		status = EXIT_SUCCESS;
	if (revision_settle(control.revision, registry_revision(control.registry)))
		log_event(LOG_ERROR, "revision-not-saved", "error", strerror(errno), NULL);
	log_event(LOG_INFO, "stopped", NULL);
out:
	fini(&control);
	return status;
}
