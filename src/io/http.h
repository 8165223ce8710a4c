/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http: reads HTTP/1.1 requests (RFC 9112) from a buffer, however they are cut. No sockets.
 *
 * Strict where leniency lets two readers of one stream disagree on where a request ends (request
 * smuggling): one Content-Length of digits alone, or chunked, never both; exactly one Host; lines
 * end in CRLF; no folded lines, no blank before a colon, no control characters. Bounded: a head of
 * LIMIT_HTTP_HEADERS, a body of LIMIT_HTTP_BODY. Trailers are read and forgotten.
 *
 * One struct http reads the requests of one connection, one after the other: http_parse() until
 * HTTP_DONE, use the request, http_next(). After HTTP_REFUSED it reads no more.
 */
#ifndef ROSTERD_IO_HTTP_H
#define ROSTERD_IO_HTTP_H

#include "api/api.h"

struct evbuffer;

enum http_phase {
	HTTP_HEAD,
	HTTP_BODY, /* `left` octets of it are to come */
	HTTP_CHUNK_SIZE,
	HTTP_CHUNK,     /* `left` octets of it are to come */
	HTTP_CHUNK_END, /* the CRLF behind it */
	HTTP_TRAILER,
	HTTP_END,
	HTTP_DEAD, /* refused */
};

struct http {
	/* The request; strings point into `head`. */
	enum api_method method;
	const char *path, *query; /* as struct api_request has them */
	bool is_1_0;
	bool keep_alive; /* what the client wishes */
	struct evbuffer *body;

	/* HTTP_REFUSED: why */
	int status;
	const char *reason;

	/* http.c alone */
	enum http_phase phase;
	char *head;
	size_t scanned; /* octets of the head, or of trailers, that were looked at */
	uint64_t left;
	unsigned n_host, n_length, n_encoding;
	bool wants_continue;
};

enum http_result {
	HTTP_MORE,     /* the request goes on in what has not come yet */
	HTTP_CONTINUE, /* the same, and the client waits for "100 Continue" */
	HTTP_DONE,
	HTTP_REFUSED, /* `status` and `reason`; what follows on the connection has no meaning */
};

/* -1 when out of memory. */
int http_init(struct http *http);
void http_fini(struct http *http);

/* Takes octets of the present request from `input`, no more than are its own. */
enum http_result http_parse(struct http *http, struct evbuffer *input);

/* Forgets the request that is done; the next one is read. */
void http_next(struct http *http);

/* Whether nothing of a request has come yet. */
bool http_is_between(const struct http *http, struct evbuffer *input);

#endif
