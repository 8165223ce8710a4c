/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/httpd_gate.h"

#include "base/limits.h"
#include "io/httpd_head.h"
#include "io/tls.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum {
	WAITING_MAX_LEN = LIMIT_HTTP_HEADERS * 2,
	/* Thrown away behind a refused request; then the peer waits for the end of the connection.
	 */
	SWALLOW_MAX_LEN = LIMIT_HTTP_BODY * 16,
};

/*
 *   state    until                           then
 *   HEAD     a good head                     BODY, or HOLD if it has none
 *            a bad one                       REFUSED
 *   BODY     Content-Length octets           HOLD
 *   HOLD     httpd_gate_next()               HEAD
 *   REFUSED  the end of the connection
 *
 * httpd_gate_ignore() leads from any of them to REFUSED.
 */
enum gate_state {
	GATE_HEAD,
	GATE_BODY,
	GATE_HOLD,
	GATE_REFUSED,
};

struct httpd_gate {
	struct httpd_gate_hooks hooks;
	struct bufferevent *filter; /* over the socket's bufferevent */
	enum gate_state state;
	bool is_tls;
	bool is_begun; /* GATE_HEAD: octets of it are here */
	size_t scanned;
	uint64_t body_left;
	uint64_t swallowed;
	struct httpd_head head;
	size_t in_flight; /* octets at the front of the output that the socket has got */
};

/* ---- In ---- */

static bool refuse(struct httpd_gate *gate, struct evbuffer *to)
{
	static const char harmless[] =
		"GET / HTTP/1.1\r\nHost: refused\r\nConnection: close\r\n\r\n";

	gate->state = GATE_REFUSED;
	evbuffer_add(to, harmless, sizeof(harmless) - 1);
	return true;
}

static bool refuse_no_memory(struct httpd_gate *gate, struct evbuffer *to)
{
	gate->head.status = 503;
	gate->head.reason = "out of memory";
	return refuse(gate, to);
}

/* Skips the empty lines that some clients send between requests (RFC 9112 2.2). */
static void skip_empty_lines(struct evbuffer *from)
{
	char start[2];

	while (evbuffer_copyout(from, start, 2) == 2 && memcmp(start, "\r\n", 2) == 0)
		evbuffer_drain(from, 2);
}

/* true: the state has changed, go on. The same for the other states below. */
static bool pass_head(struct httpd_gate *gate, struct evbuffer *from, struct evbuffer *to)
{
	char copy[LIMIT_HTTP_HEADERS + 1];
	size_t len, head_len;
	const char *text;

	if (gate->scanned == 0)
		skip_empty_lines(from);
	len = evbuffer_get_length(from);
	if (len == 0)
		return false;
	if (len > LIMIT_HTTP_HEADERS)
		len = LIMIT_HTTP_HEADERS;
	text = (const char *)evbuffer_pullup(from, (ev_ssize_t)len);
	if (!text)
		return refuse_no_memory(gate, to);
	if (!gate->is_begun) {
		gate->is_begun = true;
		gate->hooks.on_begin(gate->hooks.cookie);
	}
	if (len == 1 && *text == '\r')
		return false; /* perhaps the start of an empty line */
	head_len = httpd_head_find_end(&gate->head, text, len, &gate->scanned);
	if (gate->head.status)
		return refuse(gate, to);
	if (head_len == 0)
		return false;
	memcpy(copy, text, head_len);
	copy[head_len] = '\0';
	if (!httpd_head_parse(&gate->head, copy, head_len))
		return refuse(gate, to);
	if (evbuffer_remove_buffer(from, to, head_len) != (int)head_len)
		return refuse_no_memory(gate, to);
	gate->body_left = gate->head.body_len;
	gate->state = gate->body_left ? GATE_BODY : GATE_HOLD;
	return true;
}

static bool pass_body(struct httpd_gate *gate, struct evbuffer *from, struct evbuffer *to)
{
	size_t len = evbuffer_get_length(from);
	int moved;

	if (len > gate->body_left)
		len = (size_t)gate->body_left;
	moved = evbuffer_remove_buffer(from, to, len);
	if (moved > 0)
		gate->body_left -= (uint64_t)moved;
	if (gate->body_left)
		return false;
	gate->state = GATE_HOLD;
	return true;
}

static bool swallow(struct httpd_gate *gate, struct evbuffer *from)
{
	size_t len = evbuffer_get_length(from);

	if (len > SWALLOW_MAX_LEN - gate->swallowed)
		len = (size_t)(SWALLOW_MAX_LEN - gate->swallowed);
	evbuffer_drain(from, len);
	gate->swallowed += len;
	return false;
}

static bool step(struct httpd_gate *gate, struct evbuffer *from, struct evbuffer *to)
{
	switch (gate->state) {
	case GATE_HEAD:
		return pass_head(gate, from, to);
	case GATE_BODY:
		return pass_body(gate, from, to);
	case GATE_HOLD:
		return false;
	case GATE_REFUSED:
		return swallow(gate, from);
	}
	return false;
}

static enum bufferevent_filter_result pass_in(struct evbuffer *from, struct evbuffer *to,
					      ev_ssize_t limit, enum bufferevent_flush_mode mode,
					      void *cookie)
{
	size_t len = evbuffer_get_length(to);

	(void)limit, (void)mode;
	while (step(cookie, from, to))
		;
	return evbuffer_get_length(to) > len ? BEV_OK : BEV_NEED_MORE;
}

/* ---- Out ---- */

static void close_with(struct httpd_gate *gate, int options)
{
	bufferevent_event_cb on_event;

	/* Freed, it lives on until the loop comes by, without its callbacks. */
	bufferevent_getcb(gate->filter, NULL, NULL, &on_event, NULL);
	if (on_event)
		bufferevent_trigger_event(gate->filter, BEV_EVENT_READING | BEV_EVENT_TIMEOUT,
					  options);
}

/*
 * evhttp closes a connection, or reads on, when its output is empty: so the octets stay in there,
 * and the socket gets references to them, until the kernel has them all.
 */
static enum bufferevent_filter_result pass_out(struct evbuffer *from, struct evbuffer *to,
					       ev_ssize_t limit, enum bufferevent_flush_mode mode,
					       void *cookie)
{
	struct httpd_gate *gate = cookie;

	(void)limit, (void)mode;
	if (evbuffer_get_length(to) > 0)
		return BEV_NEED_MORE;
	if (gate->in_flight) {
		evbuffer_drain(from, gate->in_flight);
		gate->in_flight = 0;
		return BEV_OK;
	}
	if (evbuffer_add_buffer_reference(to, from) != 0) {
		/* Nobody would look at an error: the peer shall not wait for what does not come. */
		close_with(gate, BEV_TRIG_DEFER_CALLBACKS);
		return BEV_ERROR;
	}
	gate->in_flight = evbuffer_get_length(from);
	return BEV_NEED_MORE;
}

/* ---- The whole ---- */

static void on_filter_free(void *cookie)
{
	struct httpd_gate *gate = cookie;

	gate->hooks.on_free(gate->hooks.cookie);
	free(gate);
}

struct httpd_gate *httpd_gate_new(struct event_base *base, const struct tls_door *tls,
				  const struct httpd_gate_hooks *hooks)
{
	struct httpd_gate *gate = calloc(1, sizeof(*gate));
	struct bufferevent *socket;

	if (!gate)
		goto fail;
	gate->hooks = *hooks;
	gate->is_tls = tls;
	socket = tls ? tls_bufferevent_new(tls, base)
		     : bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (!socket)
		goto fail_gate;
	bufferevent_setwatermark(socket, EV_READ, 0, WAITING_MAX_LEN);
	gate->filter = bufferevent_filter_new(socket, pass_in, pass_out, BEV_OPT_CLOSE_ON_FREE,
					      on_filter_free, gate);
	if (!gate->filter)
		goto fail_socket;
	return gate;

fail_socket:
	bufferevent_free(socket);
fail_gate:
	free(gate);
fail:
	return NULL;
}

struct bufferevent *httpd_gate_bufferevent(struct httpd_gate *gate)
{
	return gate->filter;
}

int httpd_gate_status(const struct httpd_gate *gate, const char **reason)
{
	*reason = gate->head.reason;
	return gate->head.status;
}

bool httpd_gate_identity(const struct httpd_gate *gate, char *identity, size_t size)
{
	return gate->is_tls &&
	       tls_bufferevent_identity(bufferevent_get_underlying(gate->filter), identity, size);
}

void httpd_gate_send(struct httpd_gate *gate)
{
	bufferevent_flush(gate->filter, EV_WRITE, BEV_NORMAL);
}

void httpd_gate_ignore(struct httpd_gate *gate)
{
	gate->state = GATE_REFUSED;
	bufferevent_enable(gate->filter, EV_READ);
	bufferevent_flush(gate->filter, EV_READ, BEV_FLUSH);
}

void httpd_gate_say_end(struct httpd_gate *gate)
{
	if (gate->is_tls)
		tls_bufferevent_end(bufferevent_get_underlying(gate->filter));
}

size_t httpd_gate_waiting(const struct httpd_gate *gate)
{
	struct bufferevent *socket = bufferevent_get_underlying(gate->filter);
	size_t in_flight = evbuffer_get_length(bufferevent_get_output(socket));

	return evbuffer_get_length(bufferevent_get_output(gate->filter)) - gate->in_flight +
	       in_flight;
}

void httpd_gate_next(struct httpd_gate *gate)
{
	if (gate->state != GATE_HOLD)
		return;
	gate->state = GATE_HEAD;
	gate->is_begun = false;
	gate->scanned = 0;
	bufferevent_flush(gate->filter, EV_READ, BEV_FLUSH);
}

void httpd_gate_close(struct httpd_gate *gate)
{
	close_with(gate, 0);
}
