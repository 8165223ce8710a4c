/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/control_replace.h"

#include "app/control_serve.h"
#include "app/control_stop.h"
#include "base/clock.h"
#include "base/log.h"

#include <event2/event.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	SETTLE_S = 3, /* for peers that send or read slowly, then as long again for the disk */
};

/*
 *   yield           entered when              then
 *   YIELD_NO        -                         the new server asks: YIELD_HTTP
 *   YIELD_HTTP      no request is taken       none is owed, or SETTLE_S: YIELD_COMMIT
 *   YIELD_COMMIT    all is to be saved        it is: YIELD_DONE; SETTLE_S: refused
 *   YIELD_DONE      the directory is closed   the process ends, or YIELD_NO if the new one fails
 */

/* ---- The doors of HTTP ---- */

static int open_socket(struct control *control, const char *door, struct listen_address *address)
{
	int fd = listen_set_take(&control->given, SOCK_STREAM, false, address);

	if (fd < 0)
		fd = listen_tcp(address);
	if (fd < 0)
		log_event(LOG_ERROR, "listen-failed", "door", door, "addr", address->text, "error",
			  strerror(errno), "errno", log_fmt("%d", errno), NULL);
	return fd;
}

/* The port gets copies, because it closes what it has when it drains. */
static int accept_http(struct control *control)
{
	control->httpd = httpd_new(control->base, &control->counters, LIMIT_HTTP_REQUEST_MS,
				   control_serve_on_request, control);
	if (!control->httpd)
		return -1;
	for (size_t i = 0; i < control->n_http; i++) {
		int fd = fcntl(control->http[i], F_DUPFD_CLOEXEC, 0);

		if (fd < 0) {
			log_event(LOG_ERROR, "listen-failed", "door", "http", "error",
				  strerror(errno), NULL);
			return -1;
		}
		if (httpd_accept(control->httpd, fd,
				 i < control->conf->n_http ? NULL : control->tls))
			return -1;
	}
	return 0;
}

static void drop_http(struct control *control)
{
	control_serve_drop_replies(control);
	httpd_free(control->httpd);
	control->httpd = NULL;
}

static int open_sockets(struct control *control, const char *door, struct listen_address *addresses,
			size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int fd = open_socket(control, door, &addresses[i]);

		if (fd < 0)
			return -1;
		control->http[control->n_http++] = fd;
	}
	return 0;
}

int control_replace_open_http(struct control *control)
{
	struct conf *conf = control->conf;

	if (open_sockets(control, "http", conf->http, conf->n_http) ||
	    open_sockets(control, "https", conf->https, conf->n_https))
		return -1;
	return accept_http(control);
}

/* ---- The new server ---- */

static struct revision *open_taken(struct control *control, char *message, size_t message_size)
{
	struct takeover *takeover = &control->takeover;
	uint64_t revision;
	int lock;

	if (takeover_await_yours(takeover, &revision, message, message_size))
		return NULL;
	lock = takeover->lock;
	takeover->lock = -1;
	return revision_take_over(control->conf->data, lock, message, message_size);
}

struct revision *control_replace_open(struct control *control, char *message, size_t message_size)
{
	const char *data = control->conf->data;

	if (control->flags->replace) {
		switch (takeover_begin(&control->takeover, data, &control->given, message,
				       message_size)) {
		case TAKEOVER_OK:
			return open_taken(control, message, message_size);
		case TAKEOVER_FAILED:
			return NULL;
		case TAKEOVER_NOBODY:
			log_event(LOG_INFO, "nothing-to-replace", "data", data, NULL);
			break;
		}
	}
	return revision_open(data, message, message_size);
}

bool control_replace_is_taking_over(const struct control *control)
{
	return control->takeover.fd >= 0;
}

void control_replace_finish(struct control *control)
{
	takeover_finish(&control->takeover);
	registry_set_inherited(control->registry, control_serve_look(control));
	log_event(LOG_INFO, "replaced", "revision",
		  log_fmt("%" PRIu64, registry_revision(control->registry)), NULL);
}

/* ---- The old server: handing over ---- */

static void offer(void *cookie, struct replace_goods *goods)
{
	struct control *control = cookie;
	size_t n_dns;
	const int *dns = workers_sockets(control->workers, &n_dns);

	free(control->offered);
	control->offered = calloc(n_dns + control->n_http, sizeof(int));
	*goods = (struct replace_goods){
		.sockets = control->offered,
		.lock = revision_lock(control->revision),
		.cookie_secret = control->identity.cookie_secret,
	};
	if (!control->offered)
		return;
	memcpy(control->offered, dns, n_dns * sizeof(int));
	memcpy(control->offered + n_dns, control->http, control->n_http * sizeof(int));
	goods->n_sockets = n_dns + control->n_http;
}

static void enter(struct control *control, enum control_yield yield)
{
	struct timeval limit = { .tv_sec = SETTLE_S };

	control->yield = yield;
	if (yield == YIELD_HTTP || yield == YIELD_COMMIT)
		event_add(control->yield_end, &limit);
	else
		event_del(control->yield_end);
}

static void on_http_idle(void *cookie)
{
	struct control *control = cookie;

	event_active(control->yield_step, EV_TIMEOUT, 0);
}

void control_replace_on_saved(struct control *control)
{
	event_active(control->yield_step, EV_TIMEOUT, 0);
}

static void yield(void *cookie)
{
	struct control *control = cookie;

	enter(control, YIELD_HTTP);
	httpd_drain(control->httpd, on_http_idle, control);
	watchers_drain(control->watchers);
}

/*
 * Nothing that has a reply owed may be left when the port goes. From here on nothing changes the
 * registry, or its revision: the new server may be writing it down already.
 */
static void freeze(struct control *control)
{
	event_del(control->publish);
	event_del(control->on_results);
	/* Time in which nobody can renew anything is nobody's fault (base/server_clock.h). */
	event_del(control->tick);
	event_del(control->deadline);
	drop_http(control);
	probe_free(control->probe);
	control->probe = NULL;
	commit_suspend(control->commit);
	store_suspend(control->store);
	enter(control, YIELD_DONE);
	replace_yielded(control->replace, registry_revision(control->registry));
}

static void give_up(struct control *control, const char *reason)
{
	enter(control, YIELD_COMMIT);
	event_del(control->yield_end);
	replace_not_yielded(control->replace, reason);
}

/* Out of the callbacks of those who are to go. */
static void on_yield_step(evutil_socket_t fd, short what, void *cookie)
{
	struct control *control = cookie;

	(void)fd;
	(void)what;
	if (control->yield == YIELD_HTTP) {
		enter(control, YIELD_COMMIT);
		commit_drain(control->commit);
		return;
	}
	if (control->yield != YIELD_COMMIT)
		return;
	if (!control->api.publish(control))
		give_up(control, "out of memory");
	else if (commit_trouble(control->commit))
		give_up(control, commit_trouble(control->commit));
	else if (revision_settle(control->revision, registry_revision(control->registry)))
		give_up(control, strerror(errno));
	else
		freeze(control);
}

static void on_yield_end(evutil_socket_t fd, short what, void *cookie)
{
	struct control *control = cookie;

	if (control->yield == YIELD_HTTP)
		on_yield_step(fd, what, control);
	else
		give_up(control, "the running server cannot save its changes: the disk hangs");
}

/* ---- The old server: taking back ---- */

static void start_check(struct control *control, const struct check *check)
{
	if (check->spec->kind != CHECK_TTL)
		probe_start_check(control->probe, check);
}

static void start_checks(struct control *control)
{
	const struct service *service;
	size_t position = 0;

	while ((service = registry_next_service(control->registry, &position)))
		for (size_t i = 0; i < service->n_instances; i++)
			for (size_t c = 0; c < service->instances[i]->registration->n_checks; c++)
				start_check(control, service->instances[i]->checks[c]);
}

static int thaw(struct control *control)
{
	control->probe = probe_new(control->results, 0);
	if (!control->probe)
		return -1;
	start_checks(control);
	if (store_resume(control->store) == 0)
		return 0;
	log_event(LOG_ERROR, "resume-failed", "error", strerror(errno), NULL);
	return -1;
}

/* Whoever cannot go on ends; a service manager starts it anew. */
static void resume(void *cookie)
{
	struct control *control = cookie;
	bool was_frozen = control->yield == YIELD_DONE;

	enter(control, YIELD_NO);
	drop_http(control);
	if ((was_frozen && thaw(control)) || accept_http(control)) {
		control->has_failed = true;
		event_base_loopbreak(control->base);
		return;
	}
	event_add(control->on_results, NULL);
	control_serve_tick(control);
	commit_resume(control->commit);
	watchers_resume(control->watchers);
	control_serve_publish_soon(control);
	log_event(LOG_INFO, "resumed", NULL);
}

/* ---- The old server: its end ---- */

static void retire(void *cookie)
{
	struct control *control = cookie;

	log_event(LOG_INFO, "retiring", NULL);
	watchdog_free(control->watchdog);
	control->watchdog = NULL;
	control_stop_retire(control);
}

long control_replace_start_successor(struct control *control, char *reason, size_t size)
{
	if (control->replace && control->yield == YIELD_NO)
		return successor_start(control->successor, reason, size);
	snprintf(reason, size, "this server cannot be replaced now");
	log_event(LOG_WARNING, "successor-refused", "reason", reason, NULL);
	return -1;
}

/* ---- Life ---- */

void control_replace_listen(struct control *control)
{
	const struct replace_owner owner = {
		.offer = offer,
		.yield = yield,
		.resume = resume,
		.retire = retire,
		.cookie = control,
	};
	char message[256];

	control->replace = replace_new(control->base, control->conf->data,
				       control->takeover.control, &owner, message, sizeof(message));
	control->takeover.control = -1;
	if (!control->replace)
		log_event(LOG_WARNING, "not-replaceable", "error", message, NULL);
}

void control_replace_init(struct control *control)
{
	takeover_init(&control->takeover);
}

int control_replace_init_events(struct control *control)
{
	control->yield_step = event_new(control->base, -1, 0, on_yield_step, control);
	control->yield_end = evtimer_new(control->base, on_yield_end, control);
	control->successor = successor_new(control->base, control->flags->argv);
	return control->yield_step && control->yield_end && control->successor ? 0 : -1;
}

void control_replace_fini(struct control *control)
{
	replace_free(control->replace);
	successor_free(control->successor);
	if (control->yield_step)
		event_free(control->yield_step);
	if (control->yield_end)
		event_free(control->yield_end);
	for (size_t i = 0; i < control->n_http; i++)
		close(control->http[i]);
	free(control->offered);
	takeover_fini(&control->takeover);
}
