/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * httpd_head: whether the head of a request (RFC 9112) may go on to evhttp. A part of httpd: pure.
 *
 * Strict where leniency lets two readers of one stream disagree on where a request ends (request
 * smuggling), and wherever evhttp (2.1.12) would answer in HTML of its own: one Content-Length of
 * digits alone and no Transfer-Encoding; one Host, also in HTTP/1.0; one Authorization at most; a
 * target that is a path without "..", or "*"; lines end in CRLF; no folded line, no blank before a
 * colon, no control character; HTTP/1.1 or HTTP/1.0. A chunked body is refused with 501: no client
 * of ours needs one.
 */
#ifndef ROSTERD_IO_HTTPD_HEAD_H
#define ROSTERD_IO_HTTPD_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct httpd_head {
	uint64_t body_len; /* at most LIMIT_HTTP_BODY */

	/* Refused: why. */
	int status;
	const char *reason; /* static */

	/* httpd_head.c alone */
	bool is_known, has_length, has_host, has_authorization;
};

/*
 * The length of the head that `text` begins with, with its empty line; 0: its end has not come
 * yet, or it is refused (`status` is not 0), also for its length. `*scanned`: how much was looked
 * at before; 0 for a new head.
 */
size_t httpd_head_find_end(struct httpd_head *head, const char *text, size_t len, size_t *scanned);

/* Checks a whole head. `text` has `len` octets and a NUL behind them, and is cut to pieces. */
bool httpd_head_parse(struct httpd_head *head, char *text, size_t len);

#endif
