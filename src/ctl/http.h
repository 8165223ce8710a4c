/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http: requests to one server over a connection that is kept, by libcurl, which nobody else sees.
 *
 * One request at a time. http_call() waits for its reply; http_start() and http_wait() leave room
 * for other descriptors meanwhile. Neither proxies of the environment nor redirects are followed:
 * a token is for that server alone.
 */
#ifndef ROSTERD_CTL_HTTP_H
#define ROSTERD_CTL_HTTP_H

#include "base/buf.h"

#include <poll.h>
#include <stdint.h>

struct http;

struct http_options {
	const char *url;                 /* of the server, no slash at the end */
	const char *token;               /* NULL: none */
	const char *cacert, *cert, *key; /* paths; NULL: none */
	uint64_t timeout_ms;             /* of a request; a stream only has one for silence */
};

struct http_request {
	const char *method, *path;
	const char *body; /* JSON; NULL: none */
	size_t body_len;
	const char *last_event_id; /* NULL: none */
	/* Gets the body of a reply 200 as it comes, without a limit of time. NULL: it is kept. */
	void (*on_data)(void *cookie, const char *data, size_t len);
	void *cookie;
};

struct http_reply {
	long status; /* of HTTP; 0: there was no reply, and the message says why */
	struct buf body;
	char message[300];
	const char *advice; /* what to do about that; NULL: nothing special */
	char local_ip[64];  /* our end of the connection; empty: not known */
};

/* NULL: out of memory. Settings are copied. Opens no descriptor yet. */
struct http *http_new(const struct http_options *options);
void http_free(struct http *http);

/* Begins a request; everything in it stays borrowed until its end. -1: out of memory. */
int http_start(struct http *http, const struct http_request *request);

/*
 * Goes on with what was started, if anything was, for at most so many milliseconds (-1: no limit)
 * and until one of the descriptors has something. Whether the reply is there; the caller frees it
 * with http_reply_fini().
 */
bool http_wait(struct http *http, struct pollfd *fds, unsigned n_fds, int timeout_ms,
	       struct http_reply *reply);

/* Whether a request is under way. */
bool http_is_busy(const struct http *http);

/* Forgets the request that is under way; the server may have done what it asks. */
void http_cancel(struct http *http);

/* A whole request. */
void http_call(struct http *http, const struct http_request *request, struct http_reply *reply);

void http_reply_fini(struct http_reply *reply);

#endif
