/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/httpd_door.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

enum {
	ACCEPT_PAUSE_MS = 100,
	ACCEPT_LOG_MS = 60000,
	RESERVE_LEN = 65536,
};

/* Two on one socket: evhttp knows no bound for its connections, so one that only closes relieves
 * it. */
struct listeners {
	struct evhttp_bound_socket *bound;
	struct evconnlistener *refusing;
};

struct httpd_door {
	LIST_ENTRY(httpd_door) link;
	struct event_base *base;
	struct evhttp *http;
	struct counters *counters;
	struct listeners sockets[LIMIT_ADDRESSES];
	size_t n_sockets;
	bool is_full;
	struct event *resume; /* pending: accepting has failed, it pauses */
	void *reserve;        /* NULL: it is in use, accepting pauses */
	uint64_t logged_ms;
};

/* All that live: libevent gives on_error() evhttp's pointer instead of ours. */
static LIST_HEAD(door_list, httpd_door) doors = LIST_HEAD_INITIALIZER(doors);

static void enable(struct evconnlistener *listener, bool enabled)
{
	if (enabled)
		evconnlistener_enable(listener);
	else
		evconnlistener_disable(listener);
}

static void choose_listeners(struct httpd_door *door)
{
	bool is_paused = evtimer_pending(door->resume, NULL);

	for (size_t i = 0; i < door->n_sockets; i++) {
		enable(evhttp_bound_socket_get_listener(door->sockets[i].bound),
		       !is_paused && !door->is_full);
		enable(door->sockets[i].refusing, !is_paused && door->is_full);
	}
}

void httpd_door_set_full(struct httpd_door *door, bool is_full)
{
	if (door->is_full == is_full)
		return;
	door->is_full = is_full;
	choose_listeners(door);
}

static void on_surplus(struct evconnlistener *listener, evutil_socket_t fd,
		       struct sockaddr *sockaddr, int sockaddr_len, void *cookie)
{
	struct httpd_door *door = cookie;

	(void)listener, (void)sockaddr, (void)sockaddr_len;
	counters_add(&door->counters->limit_http_connections, 1);
	close(fd);
}

static void pause_accepting(struct httpd_door *door)
{
	const struct timeval pause = { 0, ACCEPT_PAUSE_MS * 1000 };

	evtimer_add(door->resume, &pause);
	choose_listeners(door);
}

static void on_resume(evutil_socket_t fd, short what, void *cookie)
{
	struct httpd_door *door = cookie;

	(void)fd, (void)what;
	if (!door->reserve)
		door->reserve = malloc(RESERVE_LEN);
	if (door->reserve)
		choose_listeners(door);
	else
		pause_accepting(door);
}

static void log_failure(struct httpd_door *door, int reason)
{
	uint64_t now_ms = clock_mono_ms();

	if (door->logged_ms && now_ms - door->logged_ms < ACCEPT_LOG_MS)
		return;
	door->logged_ms = now_ms;
	log_peer_event(LOG_WARNING, "accept-failed", "door", "http", "error", strerror(reason),
		       NULL);
}

/* The connection waits in the kernel, so trying again at once is no use. */
static void on_error(struct evconnlistener *listener, void *cookie)
{
	int reason = errno;
	struct httpd_door *door = LIST_FIRST(&doors);

	(void)listener;
	while (door && cookie != door && cookie != door->http)
		door = LIST_NEXT(door, link);
	assert(door);
	pause_accepting(door);
	log_failure(door, reason);
}

void httpd_door_use_reserve(struct httpd_door *door)
{
	free(door->reserve);
	door->reserve = NULL;
	pause_accepting(door);
	log_failure(door, ENOMEM);
}

int httpd_door_open(struct httpd_door *door, int fd)
{
	struct listeners *listeners = &door->sockets[door->n_sockets];

	if (door->n_sockets == LIMIT_ADDRESSES) {
		log_event(LOG_ERROR, "too-many-addresses", "door", "http", NULL);
		return -1;
	}
	listeners->refusing = evconnlistener_new(door->base, on_surplus, door,
						 LEV_OPT_DISABLED | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!listeners->refusing)
		goto fail;
	listeners->bound = evhttp_accept_socket_with_handle(door->http, fd);
	if (!listeners->bound)
		goto fail_refusing;
	evconnlistener_set_error_cb(listeners->refusing, on_error);
	evconnlistener_set_error_cb(evhttp_bound_socket_get_listener(listeners->bound), on_error);
	door->n_sockets++;
	choose_listeners(door);
	return 0;

fail_refusing:
	evconnlistener_free(listeners->refusing);
fail:
	log_event(LOG_ERROR, "listen-failed", "door", "http", "error", strerror(errno), NULL);
	return -1;
}

struct httpd_door *httpd_door_new(struct event_base *base, struct evhttp *http,
				  struct counters *counters)
{
	struct httpd_door *door = calloc(1, sizeof(*door));

	if (!door)
		return NULL;
	door->reserve = malloc(RESERVE_LEN);
	door->resume = evtimer_new(base, on_resume, door);
	if (!door->resume || !door->reserve)
		goto fail;
	door->base = base;
	door->http = http;
	door->counters = counters;
	LIST_INSERT_HEAD(&doors, door, link);
	return door;

fail:
	if (door->resume)
		event_free(door->resume);
	free(door->reserve);
	free(door);
	return NULL;
}

void httpd_door_free(struct httpd_door *door)
{
	if (!door)
		return;
	for (size_t i = 0; i < door->n_sockets; i++) {
		evconnlistener_free(door->sockets[i].refusing);
		evhttp_del_accept_socket(door->http, door->sockets[i].bound);
	}
	event_free(door->resume);
	free(door->reserve);
	LIST_REMOVE(door, link);
	free(door);
}
