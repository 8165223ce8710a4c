/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/control_stop.h"

#include "app/control_replace.h"
#include "app/control_serve.h"
#include "app/reload.h"
#include "app/systemd.h"
#include "app/zones.h"
#include "base/clock.h"
#include "base/log.h"

#include <event2/event.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	DRAIN_S = 5,  /* how long SIGTERM waits for peers that read slowly */
	CLOSE_S = 10, /* and then for the disk, which may have a copy of a million to take */
};

/* ---- Signals ---- */

/* What `control` points to stays where it is; the old contents go with the new configuration. */
static void swap_guards(struct guard *a, struct guard *b)
{
	struct guard guard = *a;

	*a = *b;
	*b = guard;
}

/* Who watches may have lost the right to: all of them come again, and are asked who they are. */
static void set_access(struct control *control, struct access *access)
{
	struct access old = control->conf->access;

	if (access_equal(&old, access))
		return;
	control->conf->access = *access;
	*access = old;
	watchers_end(control->watchers);
}

static void set_services_dir(struct control *control, struct conf *conf)
{
	char *old = control->conf->services_dir;

	control->conf->services_dir = conf->services_dir;
	conf->services_dir = old;
	files_reload(control->files, control->conf->services_dir);
}

int control_stop_reload(struct control *control, struct api_reload *result)
{
	const size_t size = sizeof(result->reason);
	char *reason = result->reason;
	struct static_zone *zones;
	struct conf conf;
	struct tls *tls;

	if (control->yield != YIELD_NO) {
		snprintf(reason, size, "a new server takes over");
		log_event(LOG_WARNING, "reload-ignored", "reason", reason, NULL);
		return 409;
	}
	systemd_notify_reloading();
	zones = reload_read(control->conf, control->flags, &conf, &tls, reason, size);
	if (!zones)
		goto fail;
	if (compile_set_zones(control->compile, zones, conf.n_zones, control_serve_look(control),
			      reason, size)) {
		zones_free(zones, conf.n_zones);
		tls_free(tls);
		conf_fini(&conf);
		goto fail;
	}
	free(zones);
	if (control->tls && tls) {
		tls_swap(control->tls, tls);
		watchers_end(control->watchers); /* other certificates may count now */
	}
	tls_free(tls);
	registry_set_ttl(control->registry, conf.ttl_s);
	swap_guards(&control->conf->guard, &conf.guard);
	set_access(control, &conf.access);
	set_services_dir(control, &conf);
	control->api.refuses_loopback_checks =
		control_serve_refuses_loopback(control, conf.check_loopback);
	control_serve_publish_soon(control);
	counters_add(&control->counters.reloads, 1);
	log_event(LOG_INFO, "reloaded", "zones", log_fmt("%zu", conf.n_zones), NULL);
	result->n_fixed = reload_list_fixed(control->conf, &conf, result->fixed);
	conf_fini(&conf);
	systemd_notify("READY=1");
	return 200;
fail:
	counters_add(&control->counters.reloads_failed, 1);
	log_event(LOG_ERROR, "reload-failed", "error", reason, "now", "the old one stays", NULL);
	systemd_notify("READY=1");
	return 400;
}

static void end_if_drained(struct control *control)
{
	if (control->http_drained && control->dns_drained && control->commit_drained)
		event_base_loopbreak(control->base);
}

static void on_http_idle(void *cookie)
{
	struct control *control = cookie;

	control->http_drained = true;
	end_if_drained(control);
}

void control_stop_on_saved_all(void *cookie)
{
	struct control *control = cookie;

	if (control->yield != YIELD_NO) {
		control_replace_on_saved(control);
		return;
	}
	control->commit_drained = true;
	end_if_drained(control);
}

/* From a worker's thread. */
struct note {
	struct queue_node node;
	bool is_retired; /* or else: drained */
};

static void on_notes(evutil_socket_t fd, short what, void *cookie)
{
	struct control *control = cookie;
	struct queue_node *node = queue_take(control->notes);

	(void)fd;
	(void)what;
	for (; node; node = node->next) {
		if (((struct note *)(void *)node)->is_retired)
			replace_retired(control->replace);
		else
			control->dns_drained = true;
	}
	end_if_drained(control);
}

static void on_dns_drained(void *cookie)
{
	static struct note note;
	struct control *control = cookie;

	queue_push(control->notes, &note.node);
}

static void on_dns_retired(void *cookie)
{
	static struct note note = { .is_retired = true };
	struct control *control = cookie;

	queue_push(control->notes, &note.node);
}

static void on_drain_end(evutil_socket_t fd, short what, void *cookie)
{
	struct control *control = cookie;

	(void)fd;
	(void)what;
	event_base_loopbreak(control->base);
}

void control_stop_retire(struct control *control)
{
	struct timeval limit = { .tv_sec = DRAIN_S };

	control->is_draining = control->http_drained = control->commit_drained = true;
	event_add(control->drain_end, &limit);
	workers_retire(control->workers, on_dns_retired, on_dns_drained, control);
}

static void stop(struct control *control, int signal_number)
{
	struct timeval limit = { .tv_sec = DRAIN_S };

	if (control->is_draining) {
		log_event(LOG_WARNING, "stopped", "reason", "a second signal", NULL);
		_exit(EXIT_SUCCESS); /* what was acknowledged is on disk */
	}
	/* Half handed over, or half taken over: the other server has what matters. */
	control->has_failed |= !control->workers;
	if (control->yield != YIELD_NO || !control->workers) {
		event_base_loopbreak(control->base);
		return;
	}
	log_event(LOG_INFO, "stopping", "signal", signal_number == SIGTERM ? "SIGTERM" : "SIGINT",
		  NULL);
	control->is_draining = true;
	systemd_notify("STOPPING=1");
	replace_free(control->replace);
	control->replace = NULL;
	event_add(control->drain_end, &limit);
	workers_drain(control->workers, on_dns_drained, control);
	httpd_drain(control->httpd, on_http_idle, control);
	watchers_drain(control->watchers);
	commit_drain(control->commit);
}

static void on_signal(evutil_socket_t fd, short what, void *cookie)
{
	struct control *control = cookie;
	struct api_reload result = { .n_fixed = 0 };

	(void)what;
	control_serve_begin_round(control);
	if (fd == SIGHUP)
		control_stop_reload(control, &result);
	else if (fd == SIGUSR2)
		control_replace_start_successor(control, result.reason, sizeof(result.reason));
	else if (fd == SIGUSR1 && control->api.is_loading)
		log_event(LOG_ERROR, "dump-failed", "error", "the registry is being read", NULL);
	else if (fd == SIGUSR1)
		dump_start(control->dump);
	else
		stop(control, (int)fd);
}

/* ---- The end ---- */

/* What was acknowledged is on disk whatever happens now: only the copy may be an older one. */
static void on_impatience(int signal_number)
{
	static const char line[] =
		"level=error event=stop-overdue reason=\"the disk does not answer\"\n";

	if (signal_number == SIGALRM && write(STDERR_FILENO, line, sizeof(line) - 1) < 0)
		_exit(EXIT_FAILURE);
	_exit(signal_number == SIGALRM ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* Without the loop, so signals are handled here. */
void control_stop_save(struct control *control)
{
	signal(SIGTERM, on_impatience);
	signal(SIGINT, on_impatience);
	signal(SIGALRM, on_impatience);
	alarm(CLOSE_S);
	if (revision_settle(control->revision, registry_revision(control->registry)))
		log_event(LOG_ERROR, "revision-not-saved", "error", strerror(errno), NULL);
	store_close(control->store);
	control->store = NULL;
	alarm(0);
}

/* ---- Life ---- */

int control_stop_init(struct control *control)
{
	static const int signals[] = { SIGHUP, SIGUSR1, SIGUSR2, SIGTERM, SIGINT };
	struct event_base *base = control->base;
	bool ok;

	control->on_notes =
		event_new(base, queue_fd(control->notes), EV_READ | EV_PERSIST, on_notes, control);
	control->drain_end = evtimer_new(base, on_drain_end, control);
	ok = control->on_notes && control->drain_end && event_add(control->on_notes, NULL) == 0;
	for (size_t i = 0; ok && i < sizeof(signals) / sizeof(signals[0]); i++) {
		control->on_signals[i] = evsignal_new(base, signals[i], on_signal, control);
		ok = control->on_signals[i] && !event_add(control->on_signals[i], NULL);
	}
	return ok ? 0 : -1;
}

void control_stop_fini(struct control *control)
{
	struct event *events[] = {
		control->on_notes,      control->drain_end,     control->on_signals[0],
		control->on_signals[1], control->on_signals[2], control->on_signals[3],
		control->on_signals[4],
	};

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (events[i])
			event_free(events[i]);
}
