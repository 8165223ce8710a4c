/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/httpd.h"

#include "base/clock.h"
#include "base/log.h"
#include "io/http.h"
#include "io/listen.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	/* What may wait unread while a reply is owed: then the peer's TCP has to wait. */
	INPUT_AHEAD = LIMIT_HTTP_HEADERS * 2,
	ACCEPT_PAUSE_MS = 100,
	ACCEPT_LOG_MS = 60000,
};

/*
 * The states of a connection.
 *
 *   state     until                    then
 *   READING   a request is complete    OWED
 *             it is refused            LINGER, with the error on its way
 *             the peer closes          closed
 *   OWED      httpd_reply()            READING, or CLOSING
 *   CLOSING   the reply is sent        closed
 *   LINGER    the peer closes          closed: what it still sends is thrown away, because to close
 *                                      on unread octets is a reset, which would overtake the reply
 *
 * The deadline closes it in every state but OWED, where we are the ones who are late.
 */
enum peer_state {
	PEER_READING,
	PEER_OWED,
	PEER_CLOSING,
	PEER_LINGER,
};

/* What httpd_reply() gets: the connection, and what it was asked. */
struct httpd_request {
	struct peer *peer;
	struct api_request request;
};

struct peer {
	struct httpd *httpd;
	LIST_ENTRY(peer) link;
	struct bufferevent *bev;
	struct event *deadline;
	struct http http;
	struct address address;
	enum peer_state state;
	struct httpd_request owed; /* PEER_OWED */
	bool is_begun;             /* octets of a request have come since the deadline was set */
	bool is_running;           /* peer_run() is on the stack */
	bool has_ended;            /* it sends no more, but may read */
	bool has_left;             /* PEER_OWED: it is gone, and closed by httpd_reply() */
};

struct httpd {
	struct event_base *base;
	struct counters *counters;
	struct timeval request_time;
	httpd_on_request on_request;
	void *cookie;
	LIST_HEAD(peer_list, peer) peers;
	size_t n_peers, n_owed, n_listeners;
	struct evconnlistener *listeners[LIMIT_ADDRESSES];
	struct event *resume; /* accepting, after it failed */
	uint64_t accept_logged_ms;
	bool is_draining;
	void (*on_idle)(void *cookie); /* draining, and there are still connections */
	void *idle_cookie;
};

/* ---- Connections ---- */

static void tell_idle(struct httpd *httpd)
{
	void (*on_idle)(void *cookie) = httpd->on_idle;

	httpd->on_idle = NULL;
	if (on_idle)
		on_idle(httpd->idle_cookie);
}

static void peer_free(struct peer *peer)
{
	struct httpd *httpd = peer->httpd;

	if (peer->state == PEER_OWED)
		peer->httpd->n_owed--;
	LIST_REMOVE(peer, link);
	peer->httpd->n_peers--;
	http_fini(&peer->http);
	event_free(peer->deadline);
	bufferevent_free(peer->bev);
	free(peer);
	if (!httpd->n_peers)
		tell_idle(httpd);
}

static void peer_set_deadline(struct peer *peer)
{
	evtimer_add(peer->deadline, &peer->httpd->request_time);
}

static void on_deadline(evutil_socket_t fd, short what, void *peer)
{
	(void)fd, (void)what;
	peer_free(peer);
}

static bool peer_has_output(const struct peer *peer)
{
	return evbuffer_get_length(bufferevent_get_output(peer->bev)) > 0;
}

/* ---- Replies ---- */

static const char *status_phrase(int status)
{
	static const struct {
		int status;
		const char *phrase;
	} phrases[] = {
		{ 200, "OK" },
		{ 201, "Created" },
		{ 207, "Multi-Status" },
		{ 400, "Bad Request" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 409, "Conflict" },
		{ 413, "Content Too Large" },
		{ 417, "Expectation Failed" },
		{ 431, "Request Header Fields Too Large" },
		{ 501, "Not Implemented" },
		{ 503, "Service Unavailable" },
		{ 505, "HTTP Version Not Supported" },
	};

	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return "Unknown";
}

/* RFC 9110 5.6.7 */
static void print_date(char date[64])
{
	time_t now = (time_t)(clock_wall_ms() / 1000);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(date, 64, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

/* `connection`: the value of that field, or NULL. -1 when out of memory. */
static int peer_send(struct peer *peer, const struct api_reply *reply, bool is_head,
		     const char *connection)
{
	struct evbuffer *out = bufferevent_get_output(peer->bev);
	char date[64];

	print_date(date);
	if (evbuffer_add_printf(out,
				"HTTP/1.1 %d %s\r\n"
				"Date: %s\r\n"
				"Content-Length: %zu\r\n",
				reply->status, status_phrase(reply->status), date,
				reply->body_len) < 0 ||
	    (reply->body &&
	     evbuffer_add_printf(out, "Content-Type: %s\r\n", reply->content_type) < 0) ||
	    (*reply->allow && evbuffer_add_printf(out, "Allow: %s\r\n", reply->allow) < 0) ||
	    (connection && evbuffer_add_printf(out, "Connection: %s\r\n", connection) < 0) ||
	    evbuffer_add(out, "\r\n", 2) != 0 ||
	    (!is_head && reply->body && evbuffer_add(out, reply->body, reply->body_len) != 0))
		return -1;
	counters_add(&peer->httpd->counters->http_requests, 1);
	return 0;
}

/* Answers what cannot be a request. */
static void peer_refuse(struct peer *peer)
{
	struct api_reply reply;

	peer->state = PEER_LINGER;
	api_reply_error(&reply, peer->http.status, NULL, "%s", peer->http.reason);
	if (peer_send(peer, &reply, false, "close") != 0)
		peer->state = PEER_CLOSING;
	api_reply_fini(&reply);
	peer_set_deadline(peer);
}

/* ---- Requests ---- */

static void peer_hand_over(struct peer *peer)
{
	struct httpd *httpd = peer->httpd;
	struct http *http = &peer->http;
	size_t body_len = evbuffer_get_length(http->body);
	const char *body = (const char *)evbuffer_pullup(http->body, -1);

	if (body_len && !body) {
		http->status = 503;
		http->reason = "out of memory";
		peer_refuse(peer);
		return;
	}
	peer->owed.peer = peer;
	peer->owed.request = (struct api_request){
		.method = http->method,
		.path = http->path,
		.query = http->query,
		.body = body,
		.body_len = body_len,
		.caller = &peer->address,
	};
	peer->state = PEER_OWED;
	httpd->n_owed++;
	evtimer_del(peer->deadline);
	httpd->on_request(httpd->cookie, &peer->owed, &peer->owed.request);
}

/* Reads requests until one is owed a reply or there is no whole one. */
static void peer_run(struct peer *peer)
{
	static const char proceed[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct evbuffer *input = bufferevent_get_input(peer->bev);

	peer->is_running = true;
	while (peer->state == PEER_READING) {
		enum http_result result;

		if (!peer->is_begun && !http_is_between(&peer->http, input)) {
			peer->is_begun = true;
			peer_set_deadline(peer);
		}
		result = http_parse(&peer->http, input);
		if (result == HTTP_DONE)
			peer_hand_over(peer);
		else if (result == HTTP_REFUSED)
			peer_refuse(peer);
		else if (result == HTTP_CONTINUE)
			bufferevent_write(peer->bev, proceed, sizeof(proceed) - 1);
		else
			break;
	}
	if (peer->state == PEER_LINGER)
		evbuffer_drain(input, evbuffer_get_length(input));
	peer->is_running = false;
}

/* Frees the connection if nothing is to be done on it any more; true: it did. */
static bool peer_reap(struct peer *peer)
{
	bool is_over = peer->state == PEER_CLOSING || (peer->has_ended && peer->state != PEER_OWED);

	if (!is_over || peer_has_output(peer))
		return false;
	peer_free(peer);
	return true;
}

static void on_read(struct bufferevent *bev, void *cookie)
{
	struct peer *peer = cookie;

	(void)bev;
	peer_run(peer);
	peer_reap(peer);
}

/* Everything is with the kernel. */
static void on_written(struct bufferevent *bev, void *cookie)
{
	struct peer *peer = cookie;

	if (!peer_reap(peer) && peer->state == PEER_LINGER)
		shutdown(bufferevent_getfd(bev), SHUT_WR);
}

/* An end of file may be a client that has said all and waits for its reply. */
static void on_event(struct bufferevent *bev, short what, void *cookie)
{
	struct peer *peer = cookie;

	(void)bev;
	if ((what & BEV_EVENT_EOF) && (what & BEV_EVENT_READING)) {
		peer->has_ended = true;
		peer_reap(peer);
	} else if (peer->state == PEER_OWED) {
		peer->has_left = true;
	} else {
		peer_free(peer);
	}
}

/* From the loop: whoever replies need not expect the next request from within. */
static void peer_run_soon(struct peer *peer)
{
	if (peer->has_ended || evbuffer_get_length(bufferevent_get_input(peer->bev)) > 0)
		bufferevent_trigger(peer->bev, EV_READ,
				    BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

void httpd_reply(struct httpd_request *owed, const struct api_reply *reply)
{
	struct peer *peer = owed->peer;
	bool keep_alive = peer->http.keep_alive && !peer->httpd->is_draining;
	const char *connection = !keep_alive ? "close" : peer->http.is_1_0 ? "keep-alive" : NULL;

	assert(peer->state == PEER_OWED);
	if (peer->has_left) {
		peer_free(peer);
		return;
	}
	peer->httpd->n_owed--;
	peer->state = keep_alive ? PEER_READING : PEER_CLOSING;
	peer->is_begun = false;
	if (peer_send(peer, reply, peer->http.method == API_HEAD, connection) != 0)
		peer->state = PEER_CLOSING;
	http_next(&peer->http);
	peer_set_deadline(peer);
	if (!peer->is_running)
		peer_run_soon(peer);
}

/* ---- Accepting ---- */

static struct peer *peer_new(struct httpd *httpd, int fd, const struct sockaddr *sockaddr)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	if (!peer)
		goto fail;
	peer->httpd = httpd;
	if (http_init(&peer->http) != 0)
		goto fail_peer;
	peer->deadline = evtimer_new(httpd->base, on_deadline, peer);
	if (!peer->deadline)
		goto fail_http;
	peer->bev = bufferevent_socket_new(httpd->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!peer->bev)
		goto fail_deadline;
	listen_peer(sockaddr, &peer->address);
	bufferevent_setcb(peer->bev, on_read, on_written, on_event, peer);
	bufferevent_setwatermark(peer->bev, EV_READ, 0, INPUT_AHEAD);
	LIST_INSERT_HEAD(&httpd->peers, peer, link);
	httpd->n_peers++;
	return peer;

fail_deadline:
	event_free(peer->deadline);
fail_http:
	http_fini(&peer->http);
fail_peer:
	free(peer);
fail:
	return NULL;
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd,
		      struct sockaddr *sockaddr, int sockaddr_len, void *cookie)
{
	struct httpd *httpd = cookie;
	struct peer *peer;

	(void)listener, (void)sockaddr_len;
	if (httpd->n_peers >= LIMIT_HTTP_CONNECTIONS) {
		counters_add(&httpd->counters->http_refused, 1);
		close(fd);
		return;
	}
	peer = peer_new(httpd, fd, sockaddr);
	if (!peer) {
		close(fd);
		return;
	}
	peer_set_deadline(peer);
	bufferevent_enable(peer->bev, EV_READ | EV_WRITE);
}

static void enable_listeners(struct httpd *httpd, bool enabled)
{
	for (size_t i = 0; i < httpd->n_listeners; i++) {
		if (enabled)
			evconnlistener_enable(httpd->listeners[i]);
		else
			evconnlistener_disable(httpd->listeners[i]);
	}
}

static void on_resume(evutil_socket_t fd, short what, void *httpd)
{
	(void)fd, (void)what;
	enable_listeners(httpd, true);
}

/* Out of descriptors, most likely: the connection waits in the kernel, so trying again is no use.
 */
static void on_accept_error(struct evconnlistener *listener, void *cookie)
{
	const struct timeval pause = { 0, ACCEPT_PAUSE_MS * 1000 };
	struct httpd *httpd = cookie;
	uint64_t now_ms = clock_mono_ms();
	int reason = errno;

	(void)listener;
	enable_listeners(httpd, false);
	evtimer_add(httpd->resume, &pause);
	if (httpd->accept_logged_ms && now_ms - httpd->accept_logged_ms < ACCEPT_LOG_MS)
		return;
	httpd->accept_logged_ms = now_ms;
	log_event(LOG_WARNING, "accept-failed", "door", "http", "error", strerror(reason), NULL);
}

int httpd_accept(struct httpd *httpd, int fd)
{
	struct evconnlistener *listener;

	if (httpd->n_listeners == LIMIT_ADDRESSES) {
		log_event(LOG_ERROR, "too-many-addresses", "door", "http", NULL);
		return -1;
	}
	listener = evconnlistener_new(httpd->base, on_accept, httpd,
				      LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!listener) {
		log_event(LOG_ERROR, "listen-failed", "door", "http", "error", strerror(errno),
			  NULL);
		return -1;
	}
	evconnlistener_set_error_cb(listener, on_accept_error);
	httpd->listeners[httpd->n_listeners++] = listener;
	return 0;
}

/* ---- The whole ---- */

struct httpd *httpd_new(struct event_base *base, struct counters *counters, unsigned request_ms,
			httpd_on_request on_request, void *cookie)
{
	struct httpd *httpd = calloc(1, sizeof(*httpd));

	if (!httpd)
		goto fail;
	httpd->resume = evtimer_new(base, on_resume, httpd);
	if (!httpd->resume)
		goto fail_httpd;
	httpd->base = base;
	httpd->counters = counters;
	httpd->request_time.tv_sec = (time_t)(request_ms / 1000);
	httpd->request_time.tv_usec = (suseconds_t)(request_ms % 1000) * 1000;
	httpd->on_request = on_request;
	httpd->cookie = cookie;
	LIST_INIT(&httpd->peers);
	return httpd;

fail_httpd:
	free(httpd);
fail:
	log_event(LOG_ERROR, "out-of-memory", "door", "http", NULL);
	return NULL;
}

static void close_listeners(struct httpd *httpd)
{
	evtimer_del(httpd->resume);
	for (size_t i = 0; i < httpd->n_listeners; i++)
		evconnlistener_free(httpd->listeners[i]);
	httpd->n_listeners = 0;
}

void httpd_free(struct httpd *httpd)
{
	struct peer *peer;

	if (!httpd)
		return;
	close_listeners(httpd);
	httpd->on_idle = NULL;
	while ((peer = LIST_FIRST(&httpd->peers)))
		peer_free(peer);
	event_free(httpd->resume);
	free(httpd);
}

void httpd_drain(struct httpd *httpd, void (*on_idle)(void *cookie), void *cookie)
{
	struct peer *peer, *next;

	assert(!httpd->is_draining);
	httpd->is_draining = true;
	close_listeners(httpd);
	for (peer = LIST_FIRST(&httpd->peers); peer; peer = next) {
		next = LIST_NEXT(peer, link);
		if (peer->state == PEER_READING &&
		    http_is_between(&peer->http, bufferevent_get_input(peer->bev)))
			peer->state = PEER_CLOSING;
		peer_reap(peer);
	}
	httpd->on_idle = on_idle;
	httpd->idle_cookie = cookie;
	if (!httpd->n_peers)
		tell_idle(httpd);
}
