/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/httpd_head.h"

#include "base/limits.h"

#include <event2/http.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool refuse(struct httpd_head *head, int status, const char *reason)
{
	head->status = status;
	head->reason = reason;
	return false;
}

size_t httpd_head_find_end(struct httpd_head *head, const char *text, size_t len, size_t *scanned)
{
	for (; *scanned < len && *scanned < LIMIT_HTTP_HEADERS; (*scanned)++) {
		size_t at = *scanned;

		if (text[at] != '\n')
			continue;
		if (at == 0 || text[at - 1] != '\r') {
			refuse(head, 400, "a line must end in CRLF");
			return 0;
		}
		if (at >= 3 && text[at - 2] == '\n')
			return at + 1;
	}
	if (len >= LIMIT_HTTP_HEADERS)
		refuse(head, 431, "the head of the request is too large");
	return 0;
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

static bool is_target_text(const char *text)
{
	for (; *text; text++)
		if (*text <= 0x20 || *text >= 0x7f || *text == '#')
			return false;
	return true;
}

/* ---- The request line ---- */

/* evhttp reads no body behind a method that it does not know, and no line this short. */
static bool read_method(struct httpd_head *head, const char *name, size_t len)
{
	static const char *const with_body[] = {
		"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"
	};

	if (len < 3 || strcmp(name, "CONNECT") == 0)
		return refuse(head, 501, "this method is not known here");
	for (size_t i = 0; i < sizeof(with_body) / sizeof(with_body[0]); i++)
		if (strcmp(with_body[i], name) == 0)
			head->is_known = true;
	return true;
}

/* Whether one segment of a path is "..", be it percent-encoded. */
static bool is_dot_dot(const char *segment, size_t len)
{
	unsigned dots = 0;

	for (const char *end = segment + len; segment < end; dots++) {
		if (*segment == '.')
			segment++;
		else if (end - segment >= 3 && strncasecmp(segment, "%2e", 3) == 0)
			segment += 3;
		else
			return false;
	}
	return dots == 2;
}

static bool goes_up(const char *path)
{
	const char *end = path + strcspn(path, "?");

	while (path < end) {
		size_t len = strcspn(path + 1, "/?");

		if (is_dot_dot(path + 1, len))
			return true;
		path += 1 + len;
	}
	return false;
}

/* "/path?query" or "*"; "http://host/path" is what proxies get, and we are none (RFC 9112 3.2). */
static bool read_target(struct httpd_head *head, const char *target)
{
	bool is_path = target[0] == '/' && target[1] != '/' && !goes_up(target);
	struct evhttp_uri *uri = NULL;

	if (is_target_text(target) && (is_path || strcmp(target, "*") == 0))
		uri = evhttp_uri_parse_with_flags(target, EVHTTP_URI_NONCONFORMANT);
	if (!uri)
		return refuse(head, 400, "bad request target: it must be a path without \"..\"");
	evhttp_uri_free(uri);
	return true;
}

static bool read_version(struct httpd_head *head, const char *version)
{
	if (strcmp(version, "HTTP/1.0") == 0 || strcmp(version, "HTTP/1.1") == 0)
		return true;
	return refuse(head, 400, "only HTTP/1.1 and HTTP/1.0 are spoken here");
}

static bool read_request_line(struct httpd_head *head, char *line)
{
	char *target = strchr(line, ' ');
	char *version = target ? strchr(target + 1, ' ') : NULL;

	if (!version || !is_token(line, (size_t)(target - line)))
		return refuse(head, 400, "bad request line");
	*target++ = '\0';
	*version++ = '\0';
	return read_version(head, version) && read_target(head, target) &&
	       read_method(head, line, strlen(line));
}

/* ---- Header fields ---- */

static bool read_host(struct httpd_head *head, const char *value)
{
	(void)value;
	if (head->has_host)
		return refuse(head, 400, "two Host fields");
	head->has_host = true;
	return true;
}

static bool read_authorization(struct httpd_head *head, const char *value)
{
	(void)value;
	if (head->has_authorization)
		return refuse(head, 400, "two Authorization fields");
	head->has_authorization = true;
	return true;
}

static bool read_content_length(struct httpd_head *head, const char *value)
{
	size_t len = strlen(value);

	if (head->has_length)
		return refuse(head, 400, "two Content-Length fields");
	if (len == 0 || len != strspn(value, "0123456789"))
		return refuse(head, 400, "bad Content-Length");
	head->has_length = true;
	/* 19 digits fit 64 bits; a body that needs more is too large in any case. */
	head->body_len = len <= 19 ? strtoull(value, NULL, 10) : UINT64_MAX;
	return true;
}

static bool read_transfer_encoding(struct httpd_head *head, const char *value)
{
	(void)value;
	return refuse(head, 501, "no Transfer-Encoding is known here: send a Content-Length");
}

static bool read_expect(struct httpd_head *head, const char *value)
{
	if (strcasecmp(value, "100-continue") != 0)
		return refuse(head, 417, "the only Expect known here is 100-continue");
	return true;
}

static bool read_field(struct httpd_head *head, char *line)
{
	static const struct {
		const char *name;
		bool (*read)(struct httpd_head *head, const char *value);
	} fields[] = {
		{ "Host", read_host },
		{ "Authorization", read_authorization },
		{ "Content-Length", read_content_length },
		{ "Transfer-Encoding", read_transfer_encoding },
		{ "Expect", read_expect },
	};
	char *value = strchr(line, ':');
	size_t len;

	if (!value || !is_token(line, (size_t)(value - line)))
		return refuse(head, 400, "bad header line");
	*value++ = '\0';
	/* As evhttp does it: a tab is no blank in front, but one behind. */
	value += strspn(value, " ");
	for (len = strlen(value); len && (value[len - 1] == ' ' || value[len - 1] == '\t'); len--)
		value[len - 1] = '\0';
	if (!is_field_value(value))
		return refuse(head, 400, "control character in a header");
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (strcasecmp(fields[i].name, line) == 0)
			return fields[i].read(head, value);
	return true;
}

/* ---- The whole ---- */

static bool check_fields_together(struct httpd_head *head)
{
	if (!head->has_host)
		return refuse(head, 400, "no Host field");
	if (head->body_len > LIMIT_HTTP_BODY)
		return refuse(head, 413, "the body is too large");
	if (head->body_len && !head->is_known)
		return refuse(head, 501, "this method takes no body here");
	return true;
}

bool httpd_head_parse(struct httpd_head *head, char *text, size_t len)
{
	char *line = text;
	char *end = strstr(line, "\r\n");

	*head = (struct httpd_head){ .status = 0 };
	if (strlen(text) != len)
		return refuse(head, 400, "control character in a header");
	*end = '\0';
	if (!read_request_line(head, line))
		return false;
	for (line = end + 2; strcmp(line, "\r\n") != 0; line = end + 2) {
		end = strstr(line, "\r\n");
		*end = '\0';
		if (!read_field(head, line))
			return false;
	}
	return check_fields_together(head);
}
