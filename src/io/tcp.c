/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/tcp.h"

#include "base/clock.h"
#include "dns/wire.h"
#include "io/tls.h"

#include <event2/event.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	FRAME = 2,               /* octets of the length before a message (RFC 1035 4.2.2) */
	READ_LEN = 65536,        /* octets read at a time */
	OUT_LEN = 131072,        /* octets of replies after which they are written */
	ACCEPTS = 64,            /* connections accepted in a row */
	TLS_RECORDS = 64,        /* read in a row */
	ACCEPT_PAUSE_US = 100000 /* without descriptors there is nothing to accept with */
};

/*
 * A connection holds memory only for what is unfinished: octets of a query that has not come whole,
 * and replies that the peer has not taken.
 *
 *   state      reads   ends when
 *   open       yes     idle; a zero-length message; an error
 *   backlog    no      idle (the peer takes nothing); an error. Open again once all is written
 *   closing    no      all is written; idle; an error
 *
 * Over TLS the handshake is a part of `open`: it goes on when octets are read.
 */
struct connection {
	TAILQ_ENTRY(connection) by_age; /* in tcp->connections, idle for longest first */
	struct tcp *tcp;
	struct event *readable, *writable;
	int fd;
	struct tls_session *tls; /* NULL: plain */
	struct in6_addr peer;
	uint8_t peer_len;   /* octets of the address: 4, in the last ones, or 16 */
	uint64_t active_ms; /* when a query was complete last, or a backlog taken whole */
	bool is_closing;    /* the peer sends no more, or shall not */
	uint8_t *in;        /* octets not answered yet, with the length before them */
	size_t in_len;
	uint8_t *out; /* replies not taken yet */
	size_t out_len, out_sent;
};

TAILQ_HEAD(connections, connection);

struct tcp {
	struct worker *worker;
	struct event *acceptable, *idle_timer, *accept_timer, *handshake_timer;
	int fd;
	enum answer_transport transport;
	struct tls_door door;  /* its tls is NULL: plain */
	unsigned n_handshakes; /* steps that may be done before the timer comes */
	size_t n_connections;
	struct connections connections;
	bool is_draining;
	void (*on_drained)(void *cookie); /* draining, and there are connections */
	void *drained_cookie;

	/* Each connection uses these for the time of one event. */
	size_t out_len, n_replies;
	uint8_t in[FRAME + LIMIT_TCP_MESSAGE + READ_LEN];
	uint8_t out[OUT_LEN + FRAME + LIMIT_TCP_MESSAGE + WIRE_SLACK];
};

/* ---- Life of a connection ---- */

static void connection_free(struct connection *connection)
{
	struct tcp *tcp = connection->tcp;

	TAILQ_REMOVE(&tcp->connections, connection, by_age);
	tcp->n_connections--;
	if (connection->readable)
		event_free(connection->readable);
	if (connection->writable)
		event_free(connection->writable);
	tls_session_free(connection->tls);
	close(connection->fd);
	free(connection->in);
	free(connection->out);
	free(connection);
	if (tcp->on_drained && tcp->n_connections == 0)
		tcp->on_drained(tcp->drained_cookie);
}

/* How long a connection may be idle: the fuller it gets, the shorter (RFC 7766 6.2.3). */
static uint64_t idle_limit_ms(const struct tcp *tcp)
{
	if (tcp->n_connections * 2 <= LIMIT_TCP_CONNECTIONS)
		return LIMIT_TCP_IDLE_MS;
	if (tcp->n_connections * 4 <= LIMIT_TCP_CONNECTIONS * 3)
		return LIMIT_TCP_IDLE_MS / 2;
	return LIMIT_TCP_IDLE_MS / 5;
}

static void set_timer(struct event *timer, uint64_t ms)
{
	struct timeval delay = clock_timeval(ms);

	event_add(timer, &delay);
}

static bool is_shaking_hands(const struct connection *connection)
{
	return connection->tls && !tls_session_is_open(connection->tls);
}

static void touch(struct connection *connection)
{
	struct connections *list = &connection->tcp->connections;

	connection->active_ms = clock_mono_ms();
	TAILQ_REMOVE(list, connection, by_age);
	TAILQ_INSERT_TAIL(list, connection, by_age);
}

/* The timer runs while there are connections, for the one that is idle for longest. */
static void on_idle_timer(evutil_socket_t fd, short what, void *cookie)
{
	struct tcp *tcp = cookie;
	uint64_t now_ms = clock_mono_ms(), limit_ms = idle_limit_ms(tcp);
	struct connection *oldest;

	(void)fd;
	(void)what;
	while ((oldest = TAILQ_FIRST(&tcp->connections)) &&
	       oldest->active_ms + limit_ms <= now_ms) {
		counters_add(&tcp->worker->counters.tcp_idle, 1);
		connection_free(oldest);
	}
	if (oldest)
		set_timer(tcp->idle_timer, oldest->active_ms + limit_ms - now_ms);
}

/* ---- Writing ---- */

/* Replaces an allocation by a copy of octets, NULL if there are none. -1 when out of memory. */
static int keep(uint8_t **kept, size_t *kept_len, const uint8_t *octets, size_t len)
{
	uint8_t *copy = len ? malloc(len) : NULL;

	if (len && !copy)
		return -1;
	if (len)
		memcpy(copy, octets, len);
	free(*kept);
	*kept = copy;
	*kept_len = len;
	return 0;
}

static ssize_t send_some(const struct connection *connection, const uint8_t *octets, size_t len)
{
	if (connection->tls)
		return tls_session_send(connection->tls, octets, len);
	return send(connection->fd, octets, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Sends; what the socket does not take stays behind *sent. -1: the connection is broken. */
static int send_octets(struct connection *connection, const uint8_t *octets, size_t len,
		       size_t *sent)
{
	while (*sent < len) {
		ssize_t n = send_some(connection, octets + *sent, len - *sent);

		if (n >= 0)
			*sent += (size_t)n;
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return 0;
		else if (errno != EINTR)
			return -1;
	}
	return 0;
}

static int wait_to_write(struct connection *connection)
{
	event_del(connection->readable);
	return event_add(connection->writable, NULL);
}

/* Writes the replies of this event. What the peer does not take now is kept: a backlog. */
static int flush(struct connection *connection)
{
	struct tcp *tcp = connection->tcp;
	size_t len = tcp->out_len, sent = 0;

	tcp->out_len = 0;
	if (len == 0)
		return 0;
	if (send_octets(connection, tcp->out, len, &sent))
		return -1;
	if (sent == len)
		return 0;
	connection->out_sent = 0;
	if (keep(&connection->out, &connection->out_len, tcp->out + sent, len - sent))
		return -1;
	return wait_to_write(connection);
}

/* ---- Answering ---- */

/*
 * Answers every whole query among `len` octets and returns how many octets that took. Stops where a
 * backlog begins. SIZE_MAX: the connection must end.
 */
static size_t answer_queries(struct connection *connection, const uint8_t *in, size_t len)
{
	struct tcp *tcp = connection->tcp;
	struct answer_time time = worker_time();
	struct answer_peer peer = {
		.transport = tcp->transport,
		.address = connection->peer.s6_addr + 16 - connection->peer_len,
		.address_len = connection->peer_len,
		.keepalive_ds = (uint16_t)(idle_limit_ms(tcp) / 100),
	};
	size_t at = 0;

	while (len - at >= FRAME && !connection->out) {
		size_t query_len = wire_get16(in + at), reply_len;
		uint8_t *out = tcp->out + tcp->out_len;

		if (query_len == 0) {
			connection->is_closing = true;
			return len;
		}
		if (len - at - FRAME < query_len)
			break;
		memcpy(out + FRAME, in + at + FRAME, query_len);
		at += FRAME + query_len;
		reply_len = answer(&tcp->worker->answer, &peer, &time, out + FRAME, query_len);
		if (reply_len == 0)
			continue;
		wire_set16(out, (uint16_t)reply_len);
		tcp->out_len += FRAME + reply_len;
		tcp->n_replies++;
		if (tcp->out_len > OUT_LEN && flush(connection))
			return SIZE_MAX;
	}
	return at;
}

/* The time that octets took is that of each query in them. */
static void observe(struct tcp *tcp, uint64_t start_ns)
{
	histogram_observe(&tcp->worker->answer.counts.latency[tcp->transport],
			  clock_mono_ns() - start_ns, tcp->n_replies);
	tcp->n_replies = 0;
}

/* Takes octets that came, together with those that were kept: they lie in tcp->in. */
static void serve(struct connection *connection, size_t len)
{
	struct tcp *tcp = connection->tcp;
	uint64_t start_ns = clock_mono_ns();
	bool broken;
	size_t used;

	worker_enter(tcp->worker);
	used = answer_queries(connection, tcp->in, len);
	worker_leave(tcp->worker);
	broken = used == SIZE_MAX || flush(connection);
	observe(tcp, start_ns);
	if (broken || keep(&connection->in, &connection->in_len, tcp->in + used, len - used)) {
		tcp->out_len = 0;
		connection_free(connection);
		return;
	}
	if (used)
		touch(connection);
	if (connection->out)
		return;
	if (connection->is_closing)
		connection_free(connection);
	else if (tcp->is_draining)
		/* Closing over queries that have come would reset the replies too: look again. */
		event_active(connection->readable, EV_READ, 0);
}

/*
 * Reads up to READ_LEN octets, as recv() does. What ends the connection behind octets is noted: the
 * socket may never tell it again.
 */
static ssize_t receive_tls(struct connection *connection, uint8_t *in)
{
	size_t len = 0;

	for (unsigned i = 0; i < TLS_RECORDS && READ_LEN - len >= TLS_RECORD; i++) {
		ssize_t n = tls_session_receive(connection->tls, in + len, READ_LEN - len);

		if (n <= 0 && len == 0)
			return n;
		if (n <= 0) {
			connection->is_closing |= n == 0 || errno != EAGAIN;
			break;
		}
		len += (size_t)n;
	}
	return (ssize_t)len;
}

static ssize_t receive(struct connection *connection, uint8_t *in)
{
	if (connection->tls)
		return receive_tls(connection, in);
	return recv(connection->fd, in, READ_LEN, MSG_DONTWAIT);
}

/* Reads what is there, behind what was kept, and answers it. May free the connection. */
static void read_queries(struct connection *connection)
{
	struct tcp *tcp = connection->tcp;
	size_t kept = connection->in_len;
	ssize_t n;

	if (kept)
		memcpy(tcp->in, connection->in, kept);
	n = receive(connection, tcp->in + kept);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
		/* While we drain, what has begun to come may still come whole. */
		if (connection->is_closing || (tcp->is_draining && !kept))
			connection_free(connection);
		else if (connection->tls && tls_session_wants_write(connection->tls))
			wait_to_write(connection);
		return;
	}
	if (n < 0) {
		connection_free(connection);
		return;
	}
	if (n == 0) {
		connection->is_closing = true;
		event_del(connection->readable);
	}
	serve(connection, kept + (size_t)n);
}

static void on_handshake_timer(evutil_socket_t fd, short what, void *cookie)
{
	struct tcp *tcp = cookie;

	(void)fd;
	(void)what;
	tcp->n_handshakes = LIMIT_TLS_HANDSHAKES;
}

/* false: others have their turn first, and the next round of the loop comes back to it. */
static bool may_shake_hands(struct tcp *tcp)
{
	if (tcp->n_handshakes == 0)
		return false;
	tcp->n_handshakes--;
	set_timer(tcp->handshake_timer, 0);
	return true;
}

static void on_readable(evutil_socket_t fd, short what, void *cookie)
{
	struct connection *connection = cookie;

	(void)fd;
	(void)what;
	if (is_shaking_hands(connection) && !may_shake_hands(connection->tcp))
		return;
	read_queries(connection);
}

/* The peer takes replies again. Once it has all of them, the queries behind them have their turn.
 */
static void on_writable(evutil_socket_t fd, short what, void *cookie)
{
	struct connection *connection = cookie;
	struct tcp *tcp = connection->tcp;

	(void)fd;
	(void)what;
	if (!connection->out) { /* it was the handshake that had something to send */
		event_del(connection->writable);
		event_add(connection->readable, NULL);
		read_queries(connection);
		return;
	}
	if (send_octets(connection, connection->out, connection->out_len, &connection->out_sent)) {
		connection_free(connection);
		return;
	}
	if (connection->out_sent < connection->out_len)
		return;
	touch(connection);
	keep(&connection->out, &connection->out_len, NULL, 0);
	event_del(connection->writable);
	if (!connection->is_closing)
		event_add(connection->readable, NULL);
	if (connection->in_len)
		memcpy(tcp->in, connection->in, connection->in_len);
	serve(connection, connection->in_len);
}

/* ---- Accepting ---- */

static void set_peer(struct connection *connection, const struct sockaddr_storage *sockaddr)
{
	struct in6_addr *peer = &connection->peer;

	if (sockaddr->ss_family == AF_INET6) {
		*peer = ((const struct sockaddr_in6 *)(const void *)sockaddr)->sin6_addr;
		connection->peer_len = IN6_IS_ADDR_V4MAPPED(peer) ? 4 : 16;
	} else {
		memcpy(peer->s6_addr + 12,
		       &((const struct sockaddr_in *)(const void *)sockaddr)->sin_addr, 4);
		connection->peer_len = 4;
	}
}

/* An IPv4 address, or an IPv6 /64: a site has as many addresses of one as it likes. */
static bool is_same_client(const struct connection *a, const struct connection *b)
{
	if (a->peer_len != b->peer_len)
		return false;
	return memcmp(&a->peer, &b->peer, a->peer_len == 4 ? sizeof(a->peer) : 8) == 0;
}

/* Makes room for `newcomer`: whoever is idle for longest goes. */
static void make_room(struct tcp *tcp, const struct connection *newcomer)
{
	struct counters *counters = &tcp->worker->counters;
	struct connection *connection, *oldest = NULL;
	size_t n = 0;

	TAILQ_FOREACH(connection, &tcp->connections, by_age)
	{
		if (!is_same_client(connection, newcomer))
			continue;
		if (!oldest)
			oldest = connection;
		n++;
	}
	if (n >= LIMIT_TCP_PER_CLIENT) {
		counters_add(&counters->limit_tcp_per_client, 1);
		connection_free(oldest);
	} else if (tcp->n_connections >= LIMIT_TCP_CONNECTIONS) {
		counters_add(&counters->limit_tcp_connections, 1);
		connection_free(TAILQ_FIRST(&tcp->connections));
	}
}

static void connection_new(struct tcp *tcp, int fd, const struct sockaddr_storage *sockaddr)
{
	struct event_base *base = tcp->worker->base;
	struct connection *connection = calloc(1, sizeof(*connection));

	if (!connection) {
		close(fd);
		return;
	}
	connection->tcp = tcp;
	connection->fd = fd;
	set_peer(connection, sockaddr);
	connection->active_ms = clock_mono_ms();
	make_room(tcp, connection);
	TAILQ_INSERT_TAIL(&tcp->connections, connection, by_age);
	tcp->n_connections++;
	connection->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, connection);
	connection->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, connection);
	if (tcp->door.tls)
		connection->tls = tls_session_new(&tcp->door, fd);
	if (!connection->readable || !connection->writable || (tcp->door.tls && !connection->tls) ||
	    event_add(connection->readable, NULL)) {
		connection_free(connection);
		return;
	}
	counters_add(&tcp->worker->counters.tcp_accepted, 1);
	/* Where the limit gets shorter, the timer must come up earlier than it was set for. */
	if (!event_pending(tcp->idle_timer, EV_TIMEOUT, NULL) ||
	    idle_limit_ms(tcp) < LIMIT_TCP_IDLE_MS)
		on_idle_timer(-1, EV_TIMEOUT, tcp);
}

/* Out of descriptors or memory: the connection idle for longest gives its own, or we wait. */
static void on_accept_failed(struct tcp *tcp)
{
	struct connection *oldest = TAILQ_FIRST(&tcp->connections);
	struct timeval pause = { .tv_usec = ACCEPT_PAUSE_US };

	counters_add(&tcp->worker->counters.limit_tcp_connections, 1);
	if (oldest)
		connection_free(oldest);
	event_del(tcp->acceptable);
	event_add(tcp->accept_timer, &pause);
}

static void on_accept_timer(evutil_socket_t fd, short what, void *cookie)
{
	struct tcp *tcp = cookie;

	(void)fd;
	(void)what;
	event_add(tcp->acceptable, NULL);
}

static void on_acceptable(evutil_socket_t fd, short what, void *cookie)
{
	struct tcp *tcp = cookie;

	(void)what;
	for (unsigned i = 0; i < ACCEPTS; i++) {
		struct sockaddr_storage sockaddr;
		socklen_t len = sizeof(sockaddr);
		int accepted = accept4(fd, (struct sockaddr *)&sockaddr, &len,
				       SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (accepted >= 0) {
			connection_new(tcp, accepted, &sockaddr);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			on_accept_failed(tcp);
		if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

/* ---- Life ---- */

struct tcp *tcp_new(struct worker *worker, int fd, struct tls *tls)
{
	struct tcp *tcp = calloc(1, sizeof(*tcp));

	if (!tcp)
		return NULL;
	tcp->worker = worker;
	tcp->fd = fd;
	tcp->transport = tls ? ANSWER_TLS : ANSWER_TCP;
	tcp->door = (struct tls_door){ tls, TLS_DNS, &worker->counters };
	tcp->n_handshakes = LIMIT_TLS_HANDSHAKES;
	TAILQ_INIT(&tcp->connections);
	tcp->acceptable = event_new(worker->base, fd, EV_READ | EV_PERSIST, on_acceptable, tcp);
	tcp->idle_timer = evtimer_new(worker->base, on_idle_timer, tcp);
	tcp->accept_timer = evtimer_new(worker->base, on_accept_timer, tcp);
	tcp->handshake_timer = evtimer_new(worker->base, on_handshake_timer, tcp);
	if (!tcp->acceptable || !tcp->idle_timer || !tcp->accept_timer || !tcp->handshake_timer ||
	    event_add(tcp->acceptable, NULL)) {
		tcp->fd = -1;
		tcp_free(tcp);
		errno = ENOMEM;
		return NULL;
	}
	return tcp;
}

void tcp_free(struct tcp *tcp)
{
	if (!tcp)
		return;
	tcp->on_drained = NULL;
	while (!TAILQ_EMPTY(&tcp->connections))
		connection_free(TAILQ_FIRST(&tcp->connections));
	if (tcp->acceptable)
		event_free(tcp->acceptable);
	if (tcp->idle_timer)
		event_free(tcp->idle_timer);
	if (tcp->accept_timer)
		event_free(tcp->accept_timer);
	if (tcp->handshake_timer)
		event_free(tcp->handshake_timer);
	if (tcp->fd >= 0)
		close(tcp->fd);
	free(tcp);
}

void tcp_drain(struct tcp *tcp, void (*on_drained)(void *cookie), void *cookie)
{
	struct connection *connection = TAILQ_FIRST(&tcp->connections);
	size_t n_left = tcp->n_connections; /* whoever has sent something goes to the end */

	event_del(tcp->acceptable);
	event_del(tcp->accept_timer);
	tcp->is_draining = true;
	for (; connection && n_left; n_left--) {
		struct connection *next = TAILQ_NEXT(connection, by_age);

		if (is_shaking_hands(connection))
			connection_free(connection);
		else if (!connection->out)
			read_queries(connection);
		connection = next;
	}
	if (tcp->n_connections == 0) {
		on_drained(cookie);
		return;
	}
	tcp->on_drained = on_drained;
	tcp->drained_cookie = cookie;
}
