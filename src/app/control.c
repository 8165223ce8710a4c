/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/control.h"

#include "app/control_replace.h"
#include "app/control_serve.h"
#include "app/control_stop.h"
#include "app/sandbox.h"
#include "app/systemd.h"
#include "app/zones.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/sanitize.h"
#include "model/codec.h"

#include <event2/event.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	COMMENT_MS = 15000, /* proxies close what is quiet for longer */
};

/* ---- Doors ---- */

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

	if (control_replace_open_http(control))
		return -1;
	control->workers = workers_new(conf->workers, conf->dns, conf->n_dns, &control->given,
				       control->catalog, &control->identity, &conf->rate_limit);
	if (!control->workers)
		return -1;
	return workers_open_tls(control->workers, conf->dns_tls, conf->n_dns_tls, &control->given,
				control->tls);
}

static void log_listening(const char *door, const struct listen_address *addresses, size_t n)
{
	for (size_t i = 0; i < n; i++)
		log_event(LOG_INFO, "listening", "door", door, "addr", addresses[i].text, NULL);
}

static int start_workers(struct control *control)
{
	struct conf *conf = control->conf;

	if (workers_start(control->workers))
		return -1;
	control->watchdog = watchdog_new(control->base, control->workers);
	if (!control->watchdog) {
		log_event(LOG_ERROR, "start-failed", "error", strerror(ENOMEM), NULL);
		return -1;
	}
	log_listening("dns", conf->dns, conf->n_dns);
	log_listening("dns-tls", conf->dns_tls, conf->n_dns_tls);
	log_listening("http", conf->http, conf->n_http);
	log_listening("https", conf->https, conf->n_https);
	return 0;
}

/* ---- Restoring ---- */

static void on_stray(void *cookie, const char *service, const char *id)
{
	const struct control *control = cookie;

	commit_mend(control->commit, service, id);
}

/*
 * Once. Who replaces another server does so before that one ends: a service manager stops a service
 * whose main process ends. Sockets that nobody wants are most likely a mistake in one of two
 * configurations.
 */
static void tell_ready(struct control *control)
{
	size_t n_unused;

	if (control->has_told_ready)
		return;
	control->has_told_ready = true;
	n_unused = listen_set_fini(&control->given);
	if (n_unused)
		log_event(LOG_WARNING, "sockets-unused", "sockets", log_fmt("%zu", n_unused),
			  "reason", "no address of the configuration is theirs", NULL);
	if (systemd_notify(log_fmt("READY=1\nSTATUS=Serving %zu zones.\nMAINPID=%d",
				   control->conf->n_zones, (int)getpid())))
		log_event(LOG_WARNING, "notify-failed", "error", strerror(errno), NULL);
}

static void on_restored(void *cookie, bool ok)
{
	struct control *control = cookie;

	catalog_set_loading(control->catalog, !ok);
	if (ok && control_replace_is_taking_over(control)) {
		/* Queries come in as soon as there are sockets. */
		ok = open_doors(control) == 0 && start_workers(control) == 0;
		if (ok) {
			tell_ready(control);
			control_replace_finish(control);
		}
	}
	if (ok && commit_start(control->commit, control->store)) {
		log_event(LOG_ERROR, "start-failed", "error", strerror(errno), NULL);
		ok = false;
	}
	if (!ok) {
		control->has_failed = true;
		event_base_loopbreak(control->base);
		return;
	}
	control->api.is_loading = false;
	control_serve_arm_deadline(control);
	if (files_start(control->files, control->conf->services_dir)) {
		log_event(LOG_ERROR, "start-failed", "error", strerror(ENOMEM), NULL);
		control->has_failed = true;
		event_base_loopbreak(control->base);
	}
}

/* What was registered before is served already; now what files have is, too. */
static void on_files_read(void *cookie)
{
	struct control *control = cookie;

	if (control->is_draining)
		return;
	control->is_ready = true;
	control_replace_listen(control);
	tell_ready(control);
	log_event(LOG_INFO, "ready", "version", PACKAGE_VERSION, "zones",
		  log_fmt("%zu", control->conf->n_zones), "workers",
		  log_fmt("%u", control->conf->workers), "revision",
		  log_fmt("%" PRIu64, registry_revision(control->registry)), NULL);
}

/* ---- Life ---- */

static struct registry *new_registry(struct control *control, uint64_t revision)
{
	struct registry_options options = {
		.revision = revision,
		.ttl_s = control->conf->ttl_s,
		.counters = &control->counters,
	};

	control_serve_hook_registry(control, &options);
	return registry_new(&options);
}

static struct commit *new_commit(struct control *control)
{
	struct commit_options options = {
		.base = control->base,
		.registry = control->registry,
		.counters = &control->counters,
		.on_drained = control_stop_on_saved_all,
	};

	control_serve_hook_commit(control, &options);
	return commit_new(&options);
}

static struct files *new_files(struct control *control)
{
	struct files_options options = {
		.base = control->base,
		.registry = control->registry,
		.counters = &control->counters,
		.on_first = on_files_read,
	};

	control_serve_hook_files(control, &options);
	return files_new(&options);
}

static void set_identity(struct control *control)
{
	struct answer_identity *identity = &control->identity;
	const struct conf *conf = control->conf;

	snprintf(identity->id, sizeof(identity->id), "%s", conf->identity);
	snprintf(identity->version, sizeof(identity->version), "%s", conf->version);
	if (control_replace_is_taking_over(control))
		identity->cookie_secret = control->takeover.cookie_secret;
	else
		siphash_key_init(&identity->cookie_secret);
}

/* The write side without its doors: what needs nothing but memory. */
static int new_model(struct control *control)
{
	/* The start is a change itself: leases and checks begin anew. */
	uint64_t revision = revision_first(control->revision) + 1;

	set_identity(control);
	codec_use_memory(SANITIZE_MALLOC ? malloc : pool_alloc, SANITIZE_MALLOC ? free : pool_free);
	control->base = event_base_new();
	control->results = queue_new();
	control->notes = queue_new();
	control->catalog = catalog_new();
	control->registry = new_registry(control, revision);
	control->events = events_new(revision);
	if (control->base && control->events)
		control->watchers = watchers_new(control->base, control->events, &control->counters,
						 revision, COMMENT_MS);
	if (control->base && control->registry)
		control->commit = new_commit(control);
	if (control->base && control->registry)
		control->files = new_files(control);
	if (control->catalog && control->registry)
		control->compile =
			compile_new(control->registry, control->catalog, &control->counters);
	control->dump = dump_new(control->catalog, control->conf->data);
	if (control->base && control->catalog)
		control->zone_streams = zone_streams_new(control->base, control->catalog,
							 &control->counters, LIMIT_HTTP_REQUEST_MS);
	control->api = (struct api){
		.registry = control->registry,
		.events = control->events,
		.compile = control->compile,
		.is_loading = true,
		.refuses_loopback_checks =
			control_serve_refuses_loopback(control, control->conf->check_loopback),
	};
	control_serve_hook_api(control, &control->api);
	if (control->base && control->results && control->notes && control->compile &&
	    control->commit && control->files && control->watchers && control->dump &&
	    control->zone_streams && control_serve_init(control) == 0 &&
	    control_stop_init(control) == 0 && control_replace_init_events(control) == 0) {
		catalog_set_loading(control->catalog, true);
		return 0;
	}
	log_event(LOG_ERROR, "start-failed", "error", strerror(ENOMEM), NULL);
	return -1;
}

static int restore(struct control *control)
{
	const struct restore_options options = {
		.base = control->base,
		.store = control->store,
		.had_store = revision_had_store(control->revision),
		.registry = control->registry,
		.compile = control->compile,
		.on_stray = on_stray,
		.on_end = on_restored,
		.cookie = control,
	};

	control->restore = restore_new(&options);
	if (control->restore)
		return 0;
	log_event(LOG_ERROR, "start-failed", "error", strerror(ENOMEM), NULL);
	return -1;
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
	zone_streams_free(control->zone_streams);
	watchdog_free(control->watchdog);
	workers_free(control->workers);
	probe_free(control->probe);
	control->probe = NULL;
	restore_free(control->restore);
	store_close(control->store);
	commit_free(control->commit);
	files_free(control->files);
	watchers_free(control->watchers);
	httpd_free(control->httpd);
	compile_free(control->compile);
	registry_free(control->registry);
	events_free(control->events);
	catalog_free(control->catalog);
	control_serve_fini(control);
	control_stop_fini(control);
	control_replace_fini(control);
	free_results(control->results);
	queue_free(control->results);
	if (control->notes)
		queue_take(control->notes);
	queue_free(control->notes);
	if (control->base)
		event_base_free(control->base);
	listen_set_fini(&control->given);
	revision_close(control->revision);
}

int control_run(struct conf *conf, const struct conf_flags *flags, struct static_zone *zones,
		struct tls *tls)
{
	struct control control = {
		.start_ms = clock_mono_ms(), .conf = conf, .flags = flags, .tls = tls
	};
	char message[512];
	int status = EXIT_FAILURE;
	bool is_taking_over;

	control_replace_init(&control);
	if (systemd_take_sockets(&control.given)) {
		log_event(LOG_ERROR, "start-failed", "error", strerror(ENOMEM), NULL);
		zones_free(zones, conf->n_zones);
		goto out;
	}
	control.revision = control_replace_open(&control, message, sizeof(message));
	if (!control.revision) {
		log_event(LOG_ERROR, "start-failed", "error", message, NULL);
		zones_free(zones, conf->n_zones);
		goto out;
	}
	if (new_model(&control)) {
		zones_free(zones, conf->n_zones);
		goto out;
	}
	if (compile_set_zones(control.compile, zones, conf->n_zones, control_serve_look(&control),
			      message, sizeof(message))) {
		log_event(LOG_ERROR, "start-failed", "error", message, NULL);
		zones_free(zones, conf->n_zones);
		status = EXIT_CONFIG;
		goto out;
	}
	free(zones);
	/* Whoever takes over is given its sockets later, and has privileges for none. */
	is_taking_over = control_replace_is_taking_over(&control);
	if ((!is_taking_over && open_doors(&control)) || seal(conf))
		goto out;
	/* Its child is sealed, too; it forks, so it comes before the threads. */
	control.store = store_open(conf->data, message, sizeof(message));
	if (!control.store) {
		log_event(LOG_ERROR, "start-failed", "error", message, NULL);
		goto out;
	}
	control.probe = probe_new(control.results, 0);
	if (!control.probe || (!is_taking_over && start_workers(&control)) || restore(&control))
		goto out;
	if (control_serve_rounds(&control) >= 0 && !control.has_failed)
		status = EXIT_SUCCESS;
	if (control.has_failed)
		goto out;
	if (control.yield != YIELD_DONE)
		control_stop_save(&control);
	log_event(LOG_INFO, "stopped", NULL);
out:
	takeover_fail(&control.takeover, log_last_error());
	fini(&control);
	return status;
}
