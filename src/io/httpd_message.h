/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * httpd_message: evhttp's requests and replies in the words of api/. A part of httpd.
 */
#ifndef ROSTERD_IO_HTTPD_MESSAGE_H
#define ROSTERD_IO_HTTPD_MESSAGE_H

#include "api/api.h"

struct evhttp_request;

/*
 * Fills `request`, which points to the two addresses; its strings belong to `http`. -1 when out of
 * memory.
 */
int httpd_message_read(struct evhttp_request *http, const struct address *caller,
		       const struct address *local, struct api_request *request);

/* The phrase behind a status; NULL: evhttp has one. */
const char *httpd_message_phrase(int status);

/* Each puts its part into what evhttp will send. -1 when out of memory. */
int httpd_message_put_headers(struct evhttp_request *http, const struct api_reply *reply,
			      bool is_last);
int httpd_message_put_stream_headers(struct evhttp_request *http, const char *content_type);
int httpd_message_put_body(struct evhttp_request *http, const struct api_reply *reply);

#endif
