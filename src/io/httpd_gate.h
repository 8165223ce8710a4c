/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * httpd_gate: stands between the socket of a connection and evhttp. A part of httpd.
 *
 * It lets in one request at a time, its octets unchanged, if httpd_head.h finds its head good. In
 * place of one that is bad evhttp gets a harmless request, so that it calls for a reply as ever;
 * httpd_gate_status() tells then what is to be replied. What the peer sends behind that is thrown
 * away, because to close a connection on unread octets is a reset, which would overtake the reply.
 *
 * Memory: 2 * LIMIT_HTTP_HEADERS octets that wait, beside the one request.
 */
#ifndef ROSTERD_IO_HTTPD_GATE_H
#define ROSTERD_IO_HTTPD_GATE_H

#include <stdbool.h>
#include <stddef.h>

struct bufferevent;
struct event_base;
struct httpd_gate;
struct tls_door;

struct httpd_gate_hooks {
	void (*on_begin)(void *cookie); /* the first octets of a request are here */
	/* The last call: evhttp has let go of the connection, the gate goes. From the loop. */
	void (*on_free)(void *cookie);
	void *cookie;
};

/* Over TLS unless `tls` is NULL. NULL when out of memory. It has no socket yet, and is owned by its
 * bufferevent. */
struct httpd_gate *httpd_gate_new(struct event_base *base, const struct tls_door *tls,
				  const struct httpd_gate_hooks *hooks);

/* What evhttp gets for a connection. Who frees it frees the gate, and closes the socket. */
struct bufferevent *httpd_gate_bufferevent(struct httpd_gate *gate);

/* The HTTP status that the present request is refused with, and why (static); 0: it is good. */
int httpd_gate_status(const struct httpd_gate *gate, const char **reason);

/* Who the client is by its certificate (io/tls.h). false: it has none, or there is no TLS. */
bool httpd_gate_identity(const struct httpd_gate *gate, char *identity, size_t size);

/*
 * Sends what evhttp has written. To be called after evhttp_send_reply(): it writes before it allows
 * writing, which a filter does not notice.
 */
void httpd_gate_send(struct httpd_gate *gate);

/* Nothing more is let in: what the peer sends is thrown away, so that its leaving is seen. */
void httpd_gate_ignore(struct httpd_gate *gate);

/* Over TLS: tells the peer that nothing follows what was sent. */
void httpd_gate_say_end(struct httpd_gate *gate);

/* How many octets that evhttp has written wait for the kernel to take them. */
size_t httpd_gate_waiting(const struct httpd_gate *gate);

/* The reply is sent: lets the next request in. */
void httpd_gate_next(struct httpd_gate *gate);

/* Closes the connection, as evhttp does when a peer is too slow. Again: no effect. */
void httpd_gate_close(struct httpd_gate *gate);

#endif
