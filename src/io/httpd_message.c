/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/httpd_message.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/util.h>

static enum api_method method_of(const struct evhttp_request *http)
{
	switch (evhttp_request_get_command(http)) {
	case EVHTTP_REQ_GET:
		return API_GET;
	case EVHTTP_REQ_POST:
		return API_POST;
	case EVHTTP_REQ_PUT:
		return API_PUT;
	case EVHTTP_REQ_DELETE:
		return API_DELETE;
	case EVHTTP_REQ_HEAD:
		return API_HEAD;
	default:
		return API_OTHER;
	}
}

int httpd_message_read(struct evhttp_request *http, const struct address *caller,
		       const struct address *local, struct api_request *request)
{
	struct evkeyvalq *headers = evhttp_request_get_input_headers(http);
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(http);
	struct evbuffer *body = evhttp_request_get_input_buffer(http);
	const char *path = evhttp_uri_get_path(uri);

	*request = (struct api_request){
		.method = method_of(http),
		.path = *path ? path : "/",
		.query = evhttp_uri_get_query(uri),
		.body = (const char *)evbuffer_pullup(body, -1),
		.body_len = evbuffer_get_length(body),
		.caller = caller,
		.local = local,
		.authorization = evhttp_find_header(headers, "Authorization"),
		.host = evhttp_find_header(headers, "Host"),
		.origin = evhttp_find_header(headers, "Origin"),
		.last_event_id = evhttp_find_header(headers, "Last-Event-ID"),
		.if_none_match = evhttp_find_header(headers, "If-None-Match"),
	};
	return request->body_len && !request->body ? -1 : 0;
}

const char *httpd_message_phrase(int status)
{
	switch (status) {
	case 207:
		return "Multi-Status";
	case 421:
		return "Misdirected Request";
	case 431:
		return "Request Header Fields Too Large";
	default:
		return NULL;
	}
}

/* evhttp adds some of these by itself, but not to each reply. */
int httpd_message_put_headers(struct evhttp_request *http, const struct api_reply *reply,
			      bool is_last)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(http);
	char date[64], len[32];

	evutil_date_rfc1123(date, sizeof(date), NULL);
	evutil_snprintf(len, sizeof(len), "%zu", reply->body_len);
	if (evhttp_add_header(headers, "Date", date) != 0 ||
	    evhttp_add_header(headers, "Content-Length", len) != 0 ||
	    (reply->body && evhttp_add_header(headers, "Content-Type", reply->content_type) != 0) ||
	    (*reply->allow && evhttp_add_header(headers, "Allow", reply->allow) != 0) ||
	    (reply->status == 401 &&
	     evhttp_add_header(headers, "WWW-Authenticate", "Bearer realm=\"rosterd\"") != 0) ||
	    (is_last && evhttp_add_header(headers, "Connection", "close") != 0))
		return -1;
	if (reply->etag && evhttp_add_header(headers, "ETag", reply->etag) != 0)
		return -1;
	for (const struct api_header *header = reply->headers; header && header->name; header++)
		if (evhttp_add_header(headers, header->name, header->value) != 0)
			return -1;
	return 0;
}

int httpd_message_put_stream_headers(struct evhttp_request *http, const char *content_type)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(http);
	char date[64];

	evutil_date_rfc1123(date, sizeof(date), NULL);
	if (evhttp_add_header(headers, "Date", date) != 0 ||
	    evhttp_add_header(headers, "Content-Type", content_type) != 0 ||
	    evhttp_add_header(headers, "Cache-Control", "no-store") != 0 ||
	    evhttp_add_header(headers, "Connection", "close") != 0)
		return -1;
	return 0;
}

int httpd_message_put_body(struct evhttp_request *http, const struct api_reply *reply)
{
	return reply->body_len ? evbuffer_add(evhttp_request_get_output_buffer(http), reply->body,
					      reply->body_len)
			       : 0;
}
