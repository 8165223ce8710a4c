/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls: the server's side of TLS (OpenSSL), for HTTP over TLS and DNS over TLS (RFC 7858).
 *
 * TLS 1.2 or newer; of 1.2 only suites with forward secrecy and AEAD (RFC 9325); no renegotiation,
 * no compression, no early data. No session is resumed: each connection verifies anew, and no key
 * lives longer than its connection but the certificate's own. A client that names protocols (ALPN)
 * must name the door's, so that what was meant for one is not taken by another.
 *
 * A struct tls is what the files said; sessions keep what they began with when it is exchanged.
 * Any thread may begin sessions; each belongs to one thread. The process must ignore SIGPIPE.
 */
#ifndef ROSTERD_IO_TLS_H
#define ROSTERD_IO_TLS_H

#include "base/counters.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct bufferevent;
struct event_base;
struct tls;
struct tls_session;

/* Paths of PEM files. */
struct tls_options {
	char *certificate; /* with the chain behind it; NULL: no TLS */
	char *key;         /* not encrypted */
	char *client_ca;   /* who signs certificates of HTTP clients; NULL: they are not asked */
};

enum tls_protocol {
	TLS_HTTP, /* ALPN "http/1.1" or "http/1.0" */
	TLS_DNS,  /* ALPN "dot" */
};

/* What the sessions of one thread at one door have in common; outlives them. */
struct tls_door {
	struct tls *tls;
	enum tls_protocol protocol;
	struct counters *counters; /* the thread's */
};

/*
 * Reads the files. NULL with a message that names the file: it cannot be read, is no PEM, does not
 * fit the other one. A certificate that is not valid now is taken, with a warning in the log.
 */
struct tls *tls_new(const struct tls_options *options, char *message, size_t message_size);
/* Sessions may live on. */
void tls_free(struct tls *tls);

/* Exchanges two: new sessions of doors with `tls` begin with what `fresh` had. */
void tls_swap(struct tls *tls, struct tls *fresh);

/* ---- Sessions on a socket that does not block ---- */

/* The socket stays the caller's. NULL when out of memory. */
struct tls_session *tls_session_new(const struct tls_door *door, int fd);
/* Tells the peer if that needs no waiting; NULL is fine. */
void tls_session_free(struct tls_session *session);

/*
 * As recv() and send(): -1 with EAGAIN where the socket must be waited for, any other errno is the
 * end. The handshake goes on in them as far as it can. One record at most is taken, and what the
 * socket still has is seen by waiting for it; `size` must be at least TLS_RECORD.
 */
enum {
	TLS_RECORD = 16384 /* octets of data in a record, RFC 8446 5.1 */
};
ssize_t tls_session_receive(struct tls_session *session, void *octets, size_t size);
/* After EAGAIN the next call must begin with the same octets, wherever they lie by then. */
ssize_t tls_session_send(struct tls_session *session, const void *octets, size_t len);

/* After EAGAIN: whether the socket is waited for to take octets, not to have some. */
bool tls_session_wants_write(const struct tls_session *session);

/* Whether the handshake is done. */
bool tls_session_is_open(const struct tls_session *session);

/* ---- Sessions in libevent ---- */

/*
 * A bufferevent that waits for a socket (bufferevent_setfd()) and shakes hands on it, as a server;
 * it closes that when it is freed. NULL when out of memory.
 */
struct bufferevent *tls_bufferevent_new(const struct tls_door *door, struct event_base *base);

/* Tells the peer that nothing follows what was sent, if that needs no waiting. */
void tls_bufferevent_end(struct bufferevent *bufferevent);

/*
 * Who the client is by its certificate, which one of `client_ca` has signed, of the one that counts
 * now if tls_swap() has brought another since the session began: its first URI among
 * the alternative names (such as a SPIFFE ID), without one the first DNS name there, without one
 * the common name. false: it has shown none, or none with such a name in printable ASCII that fits.
 */
bool tls_bufferevent_identity(struct bufferevent *bufferevent, char *identity, size_t size);

#endif
