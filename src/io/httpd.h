/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * httpd: the HTTP port, by libevent's evhttp. Takes whole requests and sends whole replies; what
 * they mean is api/'s business. Control thread only.
 *
 * Before evhttp, which is lenient, stands a gate (io/httpd_gate.h): what it refuses is answered
 * with an error in JSON, and the connection closed only after the peer had time to read it. A body
 * needs a Content-Length: a chunked one is refused (501). Requests of one connection are answered
 * in order, one at a time.
 *
 * Over TLS all of this is the same. What a client's certificate says is handed on; whether one is
 * needed is not decided here.
 *
 * Promises: a request is complete within `request_ms` of its first octet, and a reply is read
 * within that time, or the connection is closed; one that is idle for so long, or shakes hands, is
 * closed too. Over
 * LIMIT_HTTP_CONNECTIONS, or LIMIT_HTTP_PER_CLIENT of one client that is not on this host, a
 * connection is closed at once and counted.
 *
 * The process must ignore SIGPIPE.
 */
#ifndef ROSTERD_IO_HTTPD_H
#define ROSTERD_IO_HTTPD_H

#include "api/api.h"
#include "base/counters.h"

struct event_base;
struct httpd;
struct tls;
struct httpd_request; /* one request whose reply is owed */

/*
 * A request has come. `request` is valid until httpd_reply(), which must be called exactly once,
 * now or later. A client that leaves before is no concern of the callee.
 */
typedef void (*httpd_on_request)(void *cookie, struct httpd_request *owed,
				 const struct api_request *request);

/* NULL with a log line. Takes no socket yet. `request_ms` is LIMIT_HTTP_REQUEST_MS but in tests. */
struct httpd *httpd_new(struct event_base *base, struct counters *counters, unsigned request_ms,
			httpd_on_request on_request, void *cookie);

/*
 * Owed replies are dropped: no httpd_reply() for them; connections are closed. Not from a callback.
 * What libevent has of a connection goes with the next round of the loop, or with its base.
 */
void httpd_free(struct httpd *httpd);

/*
 * Serves a listening socket (io/listen.h), which it owns from here on; over TLS unless `tls` is
 * NULL, which is the same for all of them and outlives the port. -1 with a log line.
 */
int httpd_accept(struct httpd *httpd, int fd, struct tls *tls);

/* Sends the reply. The caller keeps `reply` and frees it. `owed` is gone afterwards. */
void httpd_reply(struct httpd_request *owed, const struct api_reply *reply);

/*
 * Instead of being closed unseen, a client that leaves before its reply is told of, at most once;
 * httpd_reply() is owed all the same. One that only stops sending counts as leaving.
 */
void httpd_mind(struct httpd_request *owed, void (*on_leave)(void *cookie), void *cookie);

/* ---- Replies without an end ---- */

struct httpd_stream_hooks {
	/* The kernel has all that was sent; may come more than once for it. */
	void (*on_drained)(void *cookie);
	/*
	 * The last call: the client has left, or the port drains; not for a stream that was ended
	 * or cut. From within httpd_drain() or the loop.
	 */
	void (*on_end)(void *cookie);
	void *cookie;
	/*
	 * A part of it must not pass for the whole: draining cuts it where it would end another
	 * one.
	 */
	bool is_whole;
};

/*
 * In place of httpd_reply(): sends status 200 and goes on with httpd_stream_send() until on_end(),
 * httpd_stream_end() or httpd_stream_cut(), which `owed` is gone after. No deadline runs. HTTP/1.1
 * clients get chunks, others octets until the connection ends; it ends for both, and what they send
 * meanwhile is thrown away. -1: no memory, httpd_reply() is still owed.
 */
int httpd_stream_start(struct httpd_request *owed, const char *content_type,
		       const struct httpd_stream_hooks *hooks);

/* Sends octets, at least one. -1 when out of memory: the reader misses them, so cut it. */
int httpd_stream_send(struct httpd_request *stream, const void *octets, size_t len);

/* How many octets the kernel has not taken yet. */
size_t httpd_stream_waiting(const struct httpd_request *stream);

/* Sends what waits, for at most as long as a reply may take, and closes the connection. */
void httpd_stream_end(struct httpd_request *stream);

/* Closes the connection; what waits is dropped. */
void httpd_stream_cut(struct httpd_request *stream);

/*
 * Stops accepting; streams end; replies from now on close their connection; idle connections are
 * closed, requests that have begun to come may still come whole. Calls back exactly once, when
 * nothing is owed, half there or waits to be sent: possibly from within. Once at most.
 */
void httpd_drain(struct httpd *httpd, void (*on_idle)(void *cookie), void *cookie);

#endif
