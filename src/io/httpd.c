/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/httpd.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/table.h"
#include "io/httpd_door.h"
#include "io/httpd_gate.h"
#include "io/httpd_message.h"
#include "io/listen.h"
#include "io/tls.h"

#include <assert.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

enum {
	EVERY_METHOD = 0xffff, /* also what evhttp knows no name for */
	N_SIDES = 2,           /* plain, TLS */
	CONNECTION_LEN = 8192, /* more than evhttp's end of a new connection takes */
};

/*
 * The states of a connection.
 *
 *   state     until                          then
 *   READING   the first octets of a request  BEGUN
 *   BEGUN     evhttp has a whole request     OWED
 *             the gate refuses one           REFUSING
 *   OWED      httpd_reply()                  SENDING
 *             httpd_stream_start()           STREAMING
 *   STREAMING httpd_stream_end(), draining   SENDING
 *             httpd_stream_cut()             CLOSED
 *   SENDING   the kernel has the reply       READING, or CLOSED if it was the last
 *   REFUSING  the kernel has the error       LINGER
 *   LINGER    the peer closes                CLOSED
 *   CLOSED
 *
 * The deadline, and the peer, close it in any state; only in OWED, where we are the ones who are
 * late, there is no deadline, and what the peer does is seen afterwards (but see httpd_mind());
 * STREAMING has none either, and the peer's leaving is seen.
 */
enum peer_state {
	PEER_READING,
	PEER_BEGUN,
	PEER_OWED,
	PEER_STREAMING,
	PEER_SENDING,
	PEER_REFUSING,
	PEER_LINGER,
	PEER_CLOSED,
};

/* What httpd_reply() gets: the connection, and what it was asked. */
struct httpd_request {
	struct peer *peer;
	struct api_request request;
};

struct peer {
	struct httpd *httpd; /* NULL: it has gone first */
	LIST_ENTRY(peer) link;
	struct httpd_gate *gate;
	struct event *deadline;
	struct event *arrived; /* the socket is known: not before evhttp has the connection */
	enum peer_state state;
	size_t waiting_len; /* SENDING: the octets of a long reply */
	/*
	 * What has no reply yet, or an endless one (REFUSING, LINGER); else NULL. evhttp frees it,
	 * but when the connection ends it may cut the tie to that instead: then it is ours.
	 */
	struct evhttp_request *http;
	struct address address, local;   /* the client's, and ours */
	char identity[LIMIT_IDENTITY];   /* by its certificate; "": none */
	struct httpd_request owed;       /* OWED, STREAMING */
	struct httpd_stream_hooks hooks; /* STREAMING; OWED: on_end alone, or NULL */
};

/* evhttp does not say which socket a connection came in at: so there is one for plain, one for TLS.
 */
struct side {
	struct httpd *httpd;
	const struct tls_door *tls; /* NULL: plain */
	struct evhttp *http;
	struct httpd_door *door; /* NULL: draining */
};

struct httpd {
	struct counters *counters;
	struct timeval request_time;
	httpd_on_request on_request;
	void *cookie;
	struct event_base *base;
	struct tls_door tls;
	struct side sides[N_SIDES];
	bool is_draining;

	struct table *by_bufferevent; /* peers whose bufferevent is alive */
	LIST_HEAD(, peer) peers;
	size_t n_busy; /* peers that wait for us, or have sent a part of a request */
	size_t waiting_len;

	void (*on_idle)(void *cookie); /* draining, and still busy */
	void *idle_cookie;
};

/* ---- Connections ---- */

static uint64_t hash_pointer(const void *pointer)
{
	return (uint64_t)(uintptr_t)pointer * UINT64_C(0x9e3779b97f4a7c15);
}

static bool has_bufferevent(const void *entry, const void *bufferevent)
{
	const struct peer *peer = entry;

	return httpd_gate_bufferevent(peer->gate) == bufferevent;
}

static bool is_busy(enum peer_state state)
{
	return state == PEER_BEGUN || state == PEER_OWED || state == PEER_STREAMING ||
	       state == PEER_SENDING || state == PEER_REFUSING;
}

static void peer_enter(struct peer *peer, enum peer_state state)
{
	struct httpd *httpd = peer->httpd;
	void (*on_idle)(void *cookie) = httpd->on_idle;

	httpd->waiting_len -= peer->waiting_len;
	peer->waiting_len = 0;
	httpd->n_busy -= is_busy(peer->state);
	httpd->n_busy += is_busy(state);
	peer->state = state;
	if (httpd->n_busy || !on_idle)
		return;
	httpd->on_idle = NULL;
	on_idle(httpd->idle_cookie);
}

static void peer_set_deadline(struct peer *peer)
{
	evtimer_add(peer->deadline, &peer->httpd->request_time);
}

static void on_begin(void *cookie)
{
	peer_set_deadline(cookie);
	peer_enter(cookie, PEER_BEGUN);
}

static void on_deadline(evutil_socket_t fd, short what, void *cookie)
{
	struct peer *peer = cookie;

	(void)fd, (void)what;
	if (is_busy(peer->state))
		counters_add(&peer->httpd->counters->limit_http_request_ms, 1);
	httpd_gate_close(peer->gate);
}

/* Frees the request if that is left to us. */
static void peer_drop_request(struct peer *peer)
{
	if (peer->http && !evhttp_request_get_connection(peer->http))
		evhttp_request_free(peer->http);
	peer->http = NULL;
}

static void peer_free(struct peer *peer)
{
	if (peer->deadline)
		event_free(peer->deadline);
	if (peer->arrived)
		event_free(peer->arrived);
	free(peer);
}

static void mind_limit(struct httpd *httpd)
{
	bool is_full = table_count(httpd->by_bufferevent) >= LIMIT_HTTP_CONNECTIONS;

	for (size_t i = 0; i < N_SIDES && !httpd->is_draining; i++)
		httpd_door_set_full(httpd->sides[i].door, is_full);
}

/* Tells of the end of a stream, or of a peer that is minded. Calls back once. */
static void peer_tell_end(struct peer *peer)
{
	void (*on_end)(void *cookie) = peer->hooks.on_end;
	void *cookie = peer->hooks.cookie;

	peer->hooks = (struct httpd_stream_hooks){ .cookie = NULL };
	if (on_end)
		on_end(cookie);
}

/* The connection is gone. One that owes a reply waits for it, to have something to ignore. */
static void on_close(void *cookie)
{
	struct peer *peer = cookie;
	struct httpd *httpd = peer->httpd;

	if (!httpd) {
		peer_free(peer);
		return;
	}
	table_remove(httpd->by_bufferevent, hash_pointer(httpd_gate_bufferevent(peer->gate)), peer);
	peer->gate = NULL;
	event_del(peer->deadline);
	event_del(peer->arrived);
	mind_limit(httpd);
	if (peer->state == PEER_OWED) {
		peer_tell_end(peer);
		return;
	}
	peer_tell_end(peer);
	LIST_REMOVE(peer, link);
	peer_drop_request(peer);
	peer_enter(peer, PEER_CLOSED);
	peer_free(peer);
}

/* An IPv4 address, or an IPv6 /64: a site has as many addresses of one as it likes. */
static bool is_same_client(const struct address *a, const struct address *b)
{
	if (a->has_v4 != b->has_v4 || a->has_v6 != b->has_v6)
		return false;
	return a->has_v4 ? memcmp(a->v4, b->v4, sizeof(a->v4)) == 0
			 : memcmp(a->v6, b->v6, sizeof(a->v6) / 2) == 0;
}

static bool is_one_too_many(const struct peer *peer)
{
	const struct peer *other;
	size_t n = 0;

	if (record_address_is_loopback(&peer->address))
		return false;
	LIST_FOREACH(other, &peer->httpd->peers, link)
	{
		n += other->gate && is_same_client(&other->address, &peer->address);
	}
	return n > LIMIT_HTTP_PER_CLIENT;
}

static void on_arrived(evutil_socket_t fd, short what, void *cookie)
{
	struct peer *peer = cookie;
	struct sockaddr_storage client = { 0 }, own = { 0 };
	socklen_t client_len = sizeof(client), own_len = sizeof(own);

	(void)what;
	fd = bufferevent_getfd(httpd_gate_bufferevent(peer->gate));
	getpeername(fd, (struct sockaddr *)&client, &client_len);
	getsockname(fd, (struct sockaddr *)&own, &own_len);
	listen_peer((const struct sockaddr *)&client, &peer->address);
	listen_peer((const struct sockaddr *)&own, &peer->local);
	if (!is_one_too_many(peer))
		return;
	counters_add(&peer->httpd->counters->limit_http_per_client, 1);
	httpd_gate_close(peer->gate);
}

static struct peer *peer_new(struct httpd *httpd, const struct tls_door *tls)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	const struct httpd_gate_hooks hooks = {
		.on_begin = on_begin,
		.on_free = on_close,
		.cookie = peer,
	};

	if (!peer)
		goto fail;
	peer->httpd = httpd;
	peer->deadline = evtimer_new(httpd->base, on_deadline, peer);
	peer->arrived = event_new(httpd->base, -1, 0, on_arrived, peer);
	if (!peer->deadline || !peer->arrived)
		goto fail_peer;
	peer->gate = httpd_gate_new(httpd->base, tls, &hooks);
	if (!peer->gate)
		goto fail_peer;
	if (table_insert(httpd->by_bufferevent, hash_pointer(httpd_gate_bufferevent(peer->gate)),
			 peer))
		goto fail_gate;
	LIST_INSERT_HEAD(&httpd->peers, peer, link);
	peer_set_deadline(peer);
	event_active(peer->arrived, EV_TIMEOUT, 0);
	mind_limit(httpd);
	return peer;

fail_gate:
	peer->httpd = NULL;
	bufferevent_free(httpd_gate_bufferevent(peer->gate));
	return NULL;
fail_peer:
	peer_free(peer);
fail:
	return NULL;
}

/* ---- Replies ---- */

static void count_reply(struct counters *counters, int status)
{
	counters_add(status < 300   ? &counters->http_2xx
		     : status < 400 ? &counters->http_3xx
		     : status < 500 ? &counters->http_4xx
				    : &counters->http_5xx,
		     1);
}

static void count_refusal(struct counters *counters, int status)
{
	count_reply(counters, status);
	if (status == 413)
		counters_add(&counters->limit_http_body, 1);
	else if (status == 431)
		counters_add(&counters->limit_http_headers, 1);
}

static void on_refused(struct evhttp_connection *connection, void *cookie)
{
	struct peer *peer = cookie;

	httpd_gate_say_end(peer->gate);
	shutdown(bufferevent_getfd(evhttp_connection_get_bufferevent(connection)), SHUT_WR);
	peer_enter(peer, PEER_LINGER);
}

/*
 * Answers what the gate has refused. evhttp would close the connection behind a reply that ends, so
 * this one has no end for it.
 */
static void peer_refuse(struct peer *peer, int status, const char *reason)
{
	struct evhttp_request *http = peer->http;
	struct api_reply reply;
	bool ok;

	peer_set_deadline(peer);
	count_refusal(peer->httpd->counters, status);
	api_reply_error(&reply, status, NULL, "%s", reason);
	ok = httpd_message_put_headers(http, &reply, true) == 0;
	if (ok) {
		evhttp_send_reply_start(http, status, httpd_message_phrase(status));
		ok = httpd_message_put_body(http, &reply) == 0;
	}
	api_reply_fini(&reply);
	if (!ok) {
		httpd_gate_close(peer->gate);
		return;
	}
	evhttp_send_reply_chunk_with_cb(http, evhttp_request_get_output_buffer(http), on_refused,
					peer);
	httpd_gate_send(peer->gate);
}

/* The kernel has the reply. */
static void on_sent(struct evhttp_request *http, void *cookie)
{
	struct peer *peer = cookie;

	(void)http;
	peer_set_deadline(peer);
	peer_enter(peer, PEER_READING);
	httpd_gate_next(peer->gate);
}

/*
 * Whether there is room for a long reply until the peer takes it; else clients that do not read
 * would take as much memory as there are places. Short ones are bounded by those alone, so nobody
 * who writes is kept from it.
 */
static bool may_wait(struct peer *peer, size_t len)
{
	struct httpd *httpd = peer->httpd;

	if (len <= LIMIT_HTTP_SINGLE)
		return true;
	if (httpd->waiting_len && httpd->waiting_len + len > LIMIT_HTTP_WAITING) {
		counters_add(&httpd->counters->limit_http_waiting, 1);
		return false;
	}
	peer->waiting_len = len;
	httpd->waiting_len += len;
	return true;
}

static void send_reply(struct peer *peer, const struct api_reply *reply, bool has_body)
{
	struct evhttp_request *http = peer->http;

	count_reply(peer->httpd->counters, reply->status);
	if (httpd_message_put_headers(http, reply, peer->httpd->is_draining) ||
	    (has_body && httpd_message_put_body(http, reply))) {
		httpd_gate_close(peer->gate);
		return;
	}
	peer->http = NULL;
	evhttp_request_set_on_complete_cb(http, on_sent, peer);
	evhttp_send_reply(http, reply->status, httpd_message_phrase(reply->status), NULL);
	/* The end of what the client says must not cut off the reply. */
	bufferevent_disable(httpd_gate_bufferevent(peer->gate), EV_READ);
	httpd_gate_send(peer->gate);
}

void httpd_reply(struct httpd_request *owed, const struct api_reply *reply)
{
	struct peer *peer = owed->peer;
	struct evhttp_request *http = peer->http;
	bool has_body = evhttp_request_get_command(http) != EVHTTP_REQ_HEAD && reply->status != 304;
	struct api_reply refusal;

	assert(peer->state == PEER_OWED);
	peer->hooks = (struct httpd_stream_hooks){ .cookie = NULL };
	if (!evhttp_request_get_connection(http)) {
		peer_drop_request(peer);
		peer_enter(peer, PEER_CLOSED);
		if (!peer->gate) {
			LIST_REMOVE(peer, link);
			peer_free(peer);
		}
		return;
	}
	peer_enter(peer, PEER_SENDING);
	peer_set_deadline(peer);
	if (!has_body || may_wait(peer, reply->body_len)) {
		send_reply(peer, reply, has_body);
		return;
	}
	api_reply_error(&refusal, 503, NULL, "too many long replies are not taken: ask again");
	send_reply(peer, &refusal, true);
	api_reply_fini(&refusal);
}

void httpd_mind(struct httpd_request *owed, void (*on_leave)(void *cookie), void *cookie)
{
	struct peer *peer = owed->peer;

	assert(peer->state == PEER_OWED);
	peer->hooks = (struct httpd_stream_hooks){ .on_end = on_leave, .cookie = cookie };
	if (peer->gate)
		bufferevent_enable(httpd_gate_bufferevent(peer->gate), EV_READ);
}

/* ---- Streams ---- */

/* The connection may have ended already, without its gate. */
static bool is_connected(const struct peer *peer)
{
	return peer->gate && evhttp_request_get_connection(peer->http);
}

int httpd_stream_start(struct httpd_request *owed, const char *content_type,
		       const struct httpd_stream_hooks *hooks)
{
	struct peer *peer = owed->peer;

	assert(peer->state == PEER_OWED);
	if (!is_connected(peer) || httpd_message_put_stream_headers(peer->http, content_type))
		return -1;
	count_reply(peer->httpd->counters, 200);
	peer_enter(peer, PEER_STREAMING);
	peer->hooks = *hooks;
	evhttp_send_reply_start(peer->http, 200, NULL);
	httpd_gate_ignore(peer->gate);
	httpd_gate_send(peer->gate);
	return 0;
}

static void on_stream_drained(struct evhttp_connection *connection, void *cookie)
{
	struct peer *peer = cookie;

	(void)connection;
	if (peer->hooks.on_drained)
		peer->hooks.on_drained(peer->hooks.cookie);
}

int httpd_stream_send(struct httpd_request *stream, const void *octets, size_t len)
{
	struct peer *peer = stream->peer;
	struct evbuffer *chunk;

	assert(peer->state == PEER_STREAMING && len);
	if (!is_connected(peer))
		return 0;
	chunk = evhttp_request_get_output_buffer(peer->http);
	if (evbuffer_add(chunk, octets, len))
		return -1;
	evhttp_send_reply_chunk_with_cb(peer->http, chunk, on_stream_drained, peer);
	httpd_gate_send(peer->gate);
	return 0;
}

size_t httpd_stream_waiting(const struct httpd_request *stream)
{
	return is_connected(stream->peer) ? httpd_gate_waiting(stream->peer->gate) : 0;
}

void httpd_stream_end(struct httpd_request *stream)
{
	struct peer *peer = stream->peer;
	struct evhttp_request *http = peer->http;

	assert(peer->state == PEER_STREAMING);
	peer->hooks = (struct httpd_stream_hooks){ .cookie = NULL };
	if (!is_connected(peer))
		return;
	peer_enter(peer, PEER_SENDING);
	peer_set_deadline(peer);
	peer->http = NULL;
	/* May free the connection at once. */
	evhttp_send_reply_end(http);
}

void httpd_stream_cut(struct httpd_request *stream)
{
	struct peer *peer = stream->peer;

	assert(peer->state == PEER_STREAMING);
	peer->hooks = (struct httpd_stream_hooks){ .cookie = NULL };
	if (is_connected(peer))
		httpd_gate_close(peer->gate);
}

/* ---- Requests ---- */

static void peer_hand_over(struct peer *peer)
{
	struct httpd *httpd = peer->httpd;
	struct httpd_request *owed = &peer->owed;
	struct api_reply reply;

	owed->peer = peer;
	event_del(peer->deadline);
	if (!httpd_gate_identity(peer->gate, peer->identity, sizeof(peer->identity)))
		*peer->identity = '\0';
	if (httpd_message_read(peer->http, &peer->address, &peer->local, &owed->request) == 0) {
		owed->request.identity = *peer->identity ? peer->identity : NULL;
		httpd->on_request(httpd->cookie, owed, &owed->request);
		return;
	}
	api_reply_error(&reply, 503, NULL, "out of memory");
	httpd_reply(owed, &reply);
	api_reply_fini(&reply);
}

/* The last moment before evhttp closes the socket. */
static void on_closing(struct evhttp_connection *connection, void *cookie)
{
	struct peer *peer = cookie;

	(void)connection;
	if (peer->gate)
		httpd_gate_say_end(peer->gate);
}

static void on_evhttp_request(struct evhttp_request *http, void *cookie)
{
	struct httpd *httpd = cookie;
	struct evhttp_connection *connection = evhttp_request_get_connection(http);
	struct bufferevent *bufferevent = evhttp_connection_get_bufferevent(connection);
	struct peer *peer =
		table_find(httpd->by_bufferevent, hash_pointer(bufferevent), bufferevent);
	const char *reason;
	int status;

	if (!peer) {
		/* There was no memory for a gate. */
		evhttp_connection_free(connection);
		return;
	}
	peer->http = http;
	evhttp_connection_set_closecb(connection, on_closing, peer);
	status = httpd_gate_status(peer->gate, &reason);
	peer_enter(peer, status ? PEER_REFUSING : PEER_OWED);
	if (status)
		peer_refuse(peer, status, reason);
	else
		peer_hand_over(peer);
}

/* ---- The whole ---- */

static struct bufferevent *on_connection(struct event_base *base, void *cookie)
{
	const struct side *side = cookie;
	void *room = malloc(CONNECTION_LEN); /* in which evhttp will make its own part */
	struct peer *peer = room ? peer_new(side->httpd, side->tls) : NULL;

	(void)base;
	free(room);
	if (peer)
		return httpd_gate_bufferevent(peer->gate);
	httpd_door_use_reserve(side->door);
	return NULL;
}

int httpd_accept(struct httpd *httpd, int fd, struct tls *tls)
{
	if (tls)
		httpd->tls.tls = tls;
	return httpd_door_open(httpd->sides[tls != NULL].door, fd);
}

static void side_fini(struct side *side)
{
	httpd_door_free(side->door);
	if (side->http)
		evhttp_free(side->http);
	*side = (struct side){ .door = NULL };
}

/* -1 when out of memory; side_fini() is owed all the same. */
static int side_init(struct side *side, struct httpd *httpd, const struct tls_door *tls)
{
	side->httpd = httpd;
	side->tls = tls;
	side->http = evhttp_new(httpd->base);
	if (!side->http)
		return -1;
	side->door = httpd_door_new(httpd->base, side->http, httpd->counters);
	if (!side->door)
		return -1;
	evhttp_set_allowed_methods(side->http, EVERY_METHOD);
	evhttp_set_default_content_type(side->http, NULL);
	evhttp_set_bevcb(side->http, on_connection, side);
	evhttp_set_gencb(side->http, on_evhttp_request, httpd);
	return 0;
}

struct httpd *httpd_new(struct event_base *base, struct counters *counters, unsigned request_ms,
			httpd_on_request on_request, void *cookie)
{
	struct httpd *httpd = calloc(1, sizeof(*httpd));

	if (!httpd)
		goto fail;
	httpd->base = base;
	httpd->counters = counters;
	httpd->request_time = clock_timeval(request_ms);
	httpd->on_request = on_request;
	httpd->cookie = cookie;
	LIST_INIT(&httpd->peers);
	httpd->by_bufferevent = table_new(has_bufferevent);
	if (!httpd->by_bufferevent)
		goto fail_httpd;
	httpd->tls = (struct tls_door){ .protocol = TLS_HTTP, .counters = counters };
	if (side_init(&httpd->sides[0], httpd, NULL) ||
	    side_init(&httpd->sides[1], httpd, &httpd->tls))
		goto fail_sides;
	return httpd;

fail_sides:
	for (size_t i = 0; i < N_SIDES; i++)
		side_fini(&httpd->sides[i]);
	table_free(httpd->by_bufferevent);
fail_httpd:
	free(httpd);
fail:
	log_event(LOG_ERROR, "out-of-memory", "door", "http", NULL);
	return NULL;
}

/* The connections end when the loop, or its end, comes by. */
void httpd_free(struct httpd *httpd)
{
	struct peer *peer;

	if (!httpd)
		return;
	while ((peer = LIST_FIRST(&httpd->peers))) {
		LIST_REMOVE(peer, link);
		peer_drop_request(peer);
		event_free(peer->deadline);
		event_free(peer->arrived);
		peer->deadline = peer->arrived = NULL;
		peer->httpd = NULL;
		if (!peer->gate)
			peer_free(peer);
	}
	for (size_t i = 0; i < N_SIDES; i++)
		side_fini(&httpd->sides[i]);
	table_free(httpd->by_bufferevent);
	free(httpd);
}

/* Whether there is something of a request that nobody has read yet. */
static bool has_sent(const struct peer *peer)
{
	char octet;

	return recv(bufferevent_getfd(httpd_gate_bufferevent(peer->gate)), &octet, 1,
		    MSG_PEEK | MSG_DONTWAIT) > 0;
}

void httpd_drain(struct httpd *httpd, void (*on_idle)(void *cookie), void *cookie)
{
	struct peer *peer;

	assert(!httpd->is_draining);
	httpd->is_draining = true;
	for (size_t i = 0; i < N_SIDES; i++) {
		httpd_door_free(httpd->sides[i].door);
		httpd->sides[i].door = NULL;
	}
	LIST_FOREACH(peer, &httpd->peers, link)
	{
		struct httpd_stream_hooks hooks = peer->hooks;

		if (peer->state == PEER_READING && has_sent(peer))
			peer_enter(peer, PEER_BEGUN);
		else if (peer->state == PEER_READING)
			httpd_gate_close(peer->gate);
		if (peer->state != PEER_STREAMING)
			continue;
		if (hooks.is_whole)
			httpd_stream_cut(&peer->owed);
		else
			httpd_stream_end(&peer->owed);
		if (hooks.on_end)
			hooks.on_end(hooks.cookie);
	}
	if (!httpd->n_busy) {
		on_idle(cookie);
		return;
	}
	httpd->on_idle = on_idle;
	httpd->idle_cookie = cookie;
}
