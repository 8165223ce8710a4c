/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/http.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Lines behind the head: sizes of chunks, trailers. */
enum {
	LINE_MAX_LEN = 1024,
};

int http_init(struct http *http)
{
	*http = (struct http){ .body = evbuffer_new() };
	return http->body ? 0 : -1;
}

void http_fini(struct http *http)
{
	free(http->head);
	if (http->body)
		evbuffer_free(http->body);
	*http = (struct http){ .body = NULL };
}

void http_next(struct http *http)
{
	struct evbuffer *body = http->body;

	evbuffer_drain(body, evbuffer_get_length(body));
	free(http->head);
	*http = (struct http){ .body = body };
}

bool http_is_between(const struct http *http, struct evbuffer *input)
{
	return http->phase == HTTP_HEAD && evbuffer_get_length(input) == 0;
}

static bool refuse(struct http *http, int status, const char *reason)
{
	http->phase = HTTP_DEAD;
	http->status = status;
	http->reason = reason;
	return false;
}

/* ---- Characters (RFC 9110 5.6.2, 5.5) ---- */

static bool is_token(const char *text, size_t len)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		      (c && strchr(marks, c))))
			return false;
	}
	return len > 0;
}

/* No control characters but tabs. */
static bool is_field_value(const char *text)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++)
		if ((*c < 0x20 && *c != '\t') || *c == 0x7f)
			return false;
	return true;
}

static bool is_target(const char *text)
{
	for (; *text; text++)
		if (*text <= 0x20 || *text >= 0x7f || *text == '#')
			return false;
	return true;
}

/* ---- The request line ---- */

static enum api_method find_method(const char *name)
{
	static const struct {
		const char *name;
		enum api_method method;
	} methods[] = {
		{ "GET", API_GET }, { "HEAD", API_HEAD },     { "POST", API_POST },
		{ "PUT", API_PUT }, { "DELETE", API_DELETE },
	};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(methods[i].name, name) == 0)
			return methods[i].method;
	return API_OTHER;
}

/* Cuts "/path?query" apart; "http://host/path" is what proxies get (RFC 9112 3.2.2). */
static bool read_target(struct http *http, char *target)
{
	static const char scheme[] = "http://";
	char *query;

	if (!is_target(target))
		return refuse(http, 400, "bad request target");
	if (strncasecmp(target, scheme, sizeof(scheme) - 1) == 0) {
		target += sizeof(scheme) - 1;
		target += strcspn(target, "/?");
	} else if (*target != '/' && strcmp(target, "*") != 0) {
		return refuse(http, 400, "bad request target");
	}
	query = strchr(target, '?');
	if (query)
		*query++ = '\0';
	http->path = *target ? target : "/";
	http->query = query;
	return true;
}

static bool read_version(struct http *http, const char *version)
{
	if (strcmp(version, "HTTP/1.1") == 0)
		http->keep_alive = true;
	else if (strcmp(version, "HTTP/1.0") == 0)
		http->is_1_0 = true;
	else if (strlen(version) == 8 && strncmp(version, "HTTP/", 5) == 0)
		return refuse(http, 505, "HTTP/1.1 and HTTP/1.0 are spoken here");
	else
		return refuse(http, 400, "bad request line");
	return true;
}

static bool read_request_line(struct http *http, char *line)
{
	char *target = strchr(line, ' ');
	char *version = target ? strchr(target + 1, ' ') : NULL;

	if (!version || !is_token(line, (size_t)(target - line)))
		return refuse(http, 400, "bad request line");
	*target++ = '\0';
	*version++ = '\0';
	http->method = find_method(line);
	return read_version(http, version) && read_target(http, target);
}

/* ---- Header fields ---- */

static bool read_host(struct http *http, const char *value)
{
	(void)value;
	return ++http->n_host > 1 ? refuse(http, 400, "two Host fields") : true;
}

static bool read_content_length(struct http *http, const char *value)
{
	size_t len = strlen(value);

	if (++http->n_length > 1)
		return refuse(http, 400, "two Content-Length fields");
	if (len == 0 || len != strspn(value, "0123456789"))
		return refuse(http, 400, "bad Content-Length");
	/* 19 digits fit 64 bits; a body that needs more is too large in any case. */
	http->left = len <= 19 ? strtoull(value, NULL, 10) : UINT64_MAX;
	return true;
}

static bool read_transfer_encoding(struct http *http, const char *value)
{
	if (++http->n_encoding > 1)
		return refuse(http, 400, "two Transfer-Encoding fields");
	if (http->is_1_0)
		return refuse(http, 400, "Transfer-Encoding in HTTP/1.0");
	if (strcasecmp(value, "chunked") != 0)
		return refuse(http, 501, "the only Transfer-Encoding known here is chunked");
	return true;
}

/* A list of options; all but these two mean nothing to us. */
static bool read_connection(struct http *http, const char *value)
{
	while (*value) {
		size_t len;

		value += strspn(value, " \t,");
		len = strcspn(value, " \t,");
		if (len == 5 && strncasecmp(value, "close", len) == 0)
			http->keep_alive = false;
		else if (len == 10 && http->is_1_0 && strncasecmp(value, "keep-alive", len) == 0)
			http->keep_alive = true;
		value += len;
	}
	return true;
}

static bool read_expect(struct http *http, const char *value)
{
	if (strcasecmp(value, "100-continue") != 0)
		return refuse(http, 417, "the only Expect known here is 100-continue");
	http->wants_continue = !http->is_1_0;
	return true;
}

static bool read_field(struct http *http, char *line)
{
	static const struct {
		const char *name;
		bool (*read)(struct http *http, const char *value);
	} fields[] = {
		{ "Host", read_host },
		{ "Content-Length", read_content_length },
		{ "Transfer-Encoding", read_transfer_encoding },
		{ "Connection", read_connection },
		{ "Expect", read_expect },
	};
	char *value = strchr(line, ':');
	size_t len;

	if (!value || !is_token(line, (size_t)(value - line)))
		return refuse(http, 400, "bad header line");
	*value++ = '\0';
	value += strspn(value, " \t");
	for (len = strlen(value); len && (value[len - 1] == ' ' || value[len - 1] == '\t'); len--)
		value[len - 1] = '\0';
	if (!is_field_value(value))
		return refuse(http, 400, "control character in a header");
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (strcasecmp(fields[i].name, line) == 0)
			return fields[i].read(http, value);
	return true;
}

/* ---- The head ---- */

/* What the fields together mean for what follows. */
static bool begin_body(struct http *http)
{
	if (!http->is_1_0 && http->n_host == 0)
		return refuse(http, 400, "no Host field");
	if (http->n_encoding && http->n_length)
		return refuse(http, 400, "Content-Length and Transfer-Encoding");
	if (http->left > LIMIT_HTTP_BODY)
		return refuse(http, 413, "the body is too large");
	http->scanned = 0;
	if (http->n_encoding)
		http->phase = HTTP_CHUNK_SIZE;
	else
		http->phase = http->left ? HTTP_BODY : HTTP_END;
	return true;
}

/* Parses `head_len` octets that end in an empty line. */
static bool read_lines(struct http *http, size_t head_len)
{
	char *line = http->head;
	char *end = strstr(line, "\r\n");

	if (strlen(http->head) != head_len)
		return refuse(http, 400, "control character in a header");
	*end = '\0';
	if (!read_request_line(http, line))
		return false;
	for (line = end + 2; strcmp(line, "\r\n") != 0; line = end + 2) {
		end = strstr(line, "\r\n");
		*end = '\0';
		if (!read_field(http, line))
			return false;
	}
	return begin_body(http);
}

/* Skips the empty lines that some clients send between requests (RFC 9112 2.2). */
static void skip_empty_lines(struct evbuffer *input)
{
	char start[2];

	while (evbuffer_copyout(input, start, 2) == 2 && memcmp(start, "\r\n", 2) == 0)
		evbuffer_drain(input, 2);
}

/*
 * The length of the head with its empty line; 0: its end has not come yet, or it was refused. What
 * was looked at once is not looked at again.
 */
static size_t find_head_end(struct http *http, struct evbuffer *input)
{
	size_t len = evbuffer_get_length(input);
	size_t seen = len < LIMIT_HTTP_HEADERS ? len : LIMIT_HTTP_HEADERS;
	const char *text = (const char *)evbuffer_pullup(input, (ev_ssize_t)seen);

	if (seen && !text) {
		refuse(http, 503, "out of memory");
		return 0;
	}
	if (seen == 1 && *text == '\r')
		return 0; /* perhaps the start of an empty line */
	for (; http->scanned < seen; http->scanned++) {
		size_t at = http->scanned;

		if (text[at] != '\n')
			continue;
		if (at == 0 || text[at - 1] != '\r') {
			refuse(http, 400, "a line must end in CRLF");
			return 0;
		}
		if (at >= 3 && text[at - 2] == '\n')
			return at + 1;
	}
	if (len >= LIMIT_HTTP_HEADERS)
		refuse(http, 431, "the head of the request is too large");
	return 0;
}

/* true: the phase has changed, go on. The same for the other phases below. */
static bool read_head(struct http *http, struct evbuffer *input)
{
	size_t head_len;

	if (http->scanned == 0)
		skip_empty_lines(input);
	head_len = find_head_end(http, input);
	if (head_len == 0)
		return false;
	http->head = malloc(head_len + 1);
	if (!http->head)
		return refuse(http, 503, "out of memory");
	evbuffer_remove(input, http->head, head_len);
	http->head[head_len] = '\0';
	return read_lines(http, head_len);
}

/* ---- The body ---- */

/* Moves what there is of `left` octets; whether that was all of it. */
static bool move_body(struct http *http, struct evbuffer *input)
{
	size_t len = evbuffer_get_length(input);

	if (len > http->left)
		len = (size_t)http->left;
	if (evbuffer_remove_buffer(input, http->body, len) != (int)len)
		return refuse(http, 503, "out of memory");
	http->left -= len;
	return http->left == 0;
}

/* Takes one line without its CRLF; false if it has not come yet, or was refused. */
static bool read_line(struct http *http, struct evbuffer *input, char line[LINE_MAX_LEN + 1])
{
	struct evbuffer_ptr end = evbuffer_search_eol(input, NULL, NULL, EVBUFFER_EOL_CRLF_STRICT);

	if (end.pos > LINE_MAX_LEN ||
	    (end.pos < 0 && evbuffer_get_length(input) > LINE_MAX_LEN + 1))
		return refuse(http, 400, "a line of the body is too long");
	if (end.pos < 0)
		return false;
	evbuffer_remove(input, line, (size_t)end.pos);
	line[end.pos] = '\0';
	evbuffer_drain(input, 2);
	return true;
}

static bool read_chunk_size(struct http *http, struct evbuffer *input)
{
	char line[LINE_MAX_LEN + 1];
	size_t digits;

	if (!read_line(http, input, line))
		return false;
	digits = strspn(line, "0123456789abcdefABCDEF");
	/* Behind ';' come extensions, which mean nothing to us. */
	if (digits == 0 || digits > 8 || (line[digits] && line[digits] != ';') ||
	    !is_field_value(line))
		return refuse(http, 400, "bad size of a chunk");
	http->left = strtoull(line, NULL, 16);
	if (evbuffer_get_length(http->body) + http->left > LIMIT_HTTP_BODY)
		return refuse(http, 413, "the body is too large");
	http->phase = http->left ? HTTP_CHUNK : HTTP_TRAILER;
	return true;
}

static bool read_chunk_end(struct http *http, struct evbuffer *input)
{
	char end[2];

	if (evbuffer_get_length(input) < sizeof(end))
		return false;
	evbuffer_remove(input, end, sizeof(end));
	if (memcmp(end, "\r\n", sizeof(end)) != 0)
		return refuse(http, 400, "a chunk is longer than its size");
	http->phase = HTTP_CHUNK_SIZE;
	return true;
}

static bool read_trailer(struct http *http, struct evbuffer *input)
{
	char line[LINE_MAX_LEN + 1];

	if (!read_line(http, input, line))
		return false;
	if (!*line) {
		http->phase = HTTP_END;
		return true;
	}
	http->scanned += strlen(line) + 2;
	if (http->scanned > LIMIT_HTTP_HEADERS)
		return refuse(http, 431, "the trailers of the request are too large");
	return true;
}

/* One phase; true: go on with the next. */
static bool step(struct http *http, struct evbuffer *input)
{
	switch (http->phase) {
	case HTTP_HEAD:
		return read_head(http, input);
	case HTTP_BODY:
		if (!move_body(http, input))
			return false;
		http->phase = HTTP_END;
		return true;
	case HTTP_CHUNK_SIZE:
		return read_chunk_size(http, input);
	case HTTP_CHUNK:
		if (!move_body(http, input))
			return false;
		http->phase = HTTP_CHUNK_END;
		return true;
	case HTTP_CHUNK_END:
		return read_chunk_end(http, input);
	case HTTP_TRAILER:
		return read_trailer(http, input);
	case HTTP_END:
	case HTTP_DEAD:
		break;
	}
	return false;
}

enum http_result http_parse(struct http *http, struct evbuffer *input)
{
	while (step(http, input))
		;
	if (http->phase == HTTP_END)
		return HTTP_DONE;
	if (http->phase == HTTP_DEAD)
		return HTTP_REFUSED;
	if (http->phase != HTTP_HEAD && http->wants_continue) {
		http->wants_continue = false;
		return evbuffer_get_length(http->body) ? HTTP_MORE : HTTP_CONTINUE;
	}
	return HTTP_MORE;
}
