/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/codec.h"

#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define WALL_MS UINT64_C(1750000000500)

static struct codec_error error;

static json_t *load(const char *text)
{
	json_t *json = codec_load(text, strlen(text), &error);

	ck_assert_msg(json, "%s: %s", text, error.message);
	return json;
}

/* A registration with these fields beside the ones that must be there; NULL: refused. */
static struct registration *try_registration(const char *fields)
{
	char text[8192];
	struct registration *registration;
	json_t *json;

	snprintf(text, sizeof(text), "{\"name\":\"payment\",\"ip\":\"10.0.0.1\",\"port\":8080%s%s}",
		 *fields ? "," : "", fields);
	json = load(text);
	registration = codec_registration(json, &error);
	json_decref(json);
	return registration;
}

static struct registration *registration_of(const char *fields)
{
	struct registration *registration = try_registration(fields);

	ck_assert_msg(registration, "%s: %s: %s", fields, error.field, error.message);
	return registration;
}

static void expect_error(const char *text, const char *field, const char *part)
{
	ck_assert_msg(strcmp(error.field, field) == 0, "%s: field %s, not %s (%s)", text,
		      error.field, field, error.message);
	ck_assert_msg(strstr(error.message, part), "%s: %s", text, error.message);
	ck_assert(!error.no_memory);
}

/* ---- Loading ---- */

START_TEST(refuses_what_is_no_json)
{
	static const char *const bodies[] = {
		"",
		"{",
		"5",
		"{\"a\":1,\"a\":2}",
		"{} {}",
		"{\"a\":\"\\u0000\"}",
		"{\"a\":\"\xff\"}",
		"{'a':1}",
	};

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		ck_assert_msg(!codec_load(bodies[i], strlen(bodies[i]), &error), "%s", bodies[i]);
		ck_assert_str_eq(error.field, "");
		ck_assert(*error.message);
	}
	ck_assert_ptr_null(codec_load("{\"a\":1}\0x", 9, &error));
}
END_TEST

static size_t n_left; /* allocations that succeed */

static void *alloc_few(size_t size)
{
	if (n_left == 0)
		return NULL;
	n_left--;
	return malloc(size);
}

START_TEST(without_memory_it_is_not_called_invalid)
{
	static const char body[] = "{\"name\":\"payment-of-the-north\",\"port\":12345678901,"
				   "\"share\":0.12345678901234567890,\"tags\":[\"\\u00fc\",null]}";
	json_t *json = load(body), *again = NULL;
	size_t n = 0;

	codec_use_memory(alloc_few, free);
	while (!again) {
		ck_assert_uint_lt(n, 1000);
		n_left = n++;
		again = codec_load(body, strlen(body), &error);
		ck_assert_msg(again || error.no_memory, "%zu: %s", n, error.message);
	}
	ck_assert_uint_gt(n, 10);
	ck_assert(json_equal(json, again));
	json_decref(again);
	json_decref(json);
	n_left = 100;
	ck_assert_ptr_null(codec_load("{'a'}", 5, &error));
	ck_assert(!error.no_memory);
}
END_TEST

START_TEST(says_what_is_wrong_in_its_own_words)
{
	ck_assert_ptr_null(codec_load("{\"a\":\"\\u0000\"}", 14, &error));
	ck_assert_str_eq(error.message, "no valid JSON: line 1, column 13: \"\\u0000\" is not "
					"allowed in a string");
	ck_assert_ptr_null(codec_load("\xef\xbb\xbf{}", 5, &error));
	ck_assert_ptr_nonnull(strstr(error.message, "byte order mark"));
}
END_TEST

/* `n` arrays in one another. */
static json_t *nested(size_t n)
{
	char text[256];

	memset(text, '[', n);
	memset(text + n, ']', n);
	return codec_load(text, 2 * n, &error);
}

START_TEST(bounds_the_depth)
{
	json_t *json = nested(LIMIT_JSON_DEPTH);

	ck_assert_ptr_nonnull(json);
	json_decref(json);
	ck_assert_ptr_null(nested(LIMIT_JSON_DEPTH + 1));
	ck_assert_ptr_nonnull(strstr(error.message, "levels"));
}
END_TEST

START_TEST(brackets_in_strings_are_not_depth)
{
	json_decref(load("{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[[[[[[[[[[[[[[[\"}"));
}
END_TEST

/* ---- Registrations ---- */

START_TEST(a_short_registration_has_defaults)
{
	struct registration *registration = registration_of("");

	ck_assert_str_eq(registration->service, "payment");
	ck_assert_str_eq(registration->id, "10-0-0-1-8080");
	ck_assert_str_eq(record_label(registration), "10-0-0-1-8080");
	ck_assert(registration->address.has_v4 && !registration->address.has_v6);
	ck_assert_mem_eq(registration->address.v4, "\x0a\x00\x00\x01", 4);
	ck_assert_uint_eq(registration->port, 8080);
	ck_assert_int_eq(registration->protocol, PROTOCOL_TCP);
	ck_assert_uint_eq(registration->priority, 10);
	ck_assert_uint_eq(registration->weight, 100);
	ck_assert_uint_eq(registration->ttl_s, 0);
	ck_assert_uint_eq(registration->lease_ms, 0);
	ck_assert_uint_eq(registration->n_ports + registration->n_tags + registration->n_meta +
				  registration->n_checks,
			  0);
	record_registration_free(registration);
}
END_TEST

START_TEST(a_full_registration)
{
	struct registration *registration = registration_of(
		"\"id\":\"Node 7\",\"ipv6\":\"2001:db8::1\",\"protocol\":\"udp\",\"priority\":0,"
		"\"weight\":65535,\"ports\":{\"HTTP\":80,\"grpc\":65535},"
		"\"tags\":[\"blue\",\"gr\xc3\xbcn\"],\"meta\":{\"a\":\"b\",\"empty\":\"\"},"
		"\"ttl\":\"1m\",\"lease\":1.5,\"version\":\"1.2\",\"sidecar\":true");

	ck_assert_str_eq(registration->id, "Node 7");
	ck_assert(registration->address.has_v4 && registration->address.has_v6);
	ck_assert_uint_eq(registration->address.v6[15], 1);
	ck_assert_int_eq(registration->protocol, PROTOCOL_UDP);
	ck_assert_uint_eq(registration->priority, 0);
	ck_assert_uint_eq(registration->weight, 65535);
	ck_assert_uint_eq(registration->n_ports, 2);
	ck_assert_str_eq(registration->ports[0].name, "http");
	ck_assert_uint_eq(registration->ports[1].port, 65535);
	ck_assert_uint_eq(registration->n_tags, 2);
	ck_assert_str_eq(registration->tags[1], "gr\xc3\xbcn");
	ck_assert_uint_eq(registration->ttl_s, 60);
	ck_assert_uint_eq(registration->lease_ms, 1500);
	ck_assert_uint_eq(registration->n_meta, 4);
	ck_assert_str_eq(registration->meta[1].value, "");
	ck_assert_str_eq(registration->meta[2].key, "version");
	ck_assert_str_eq(registration->meta[3].key, "sidecar");
	ck_assert_str_eq(registration->meta[3].value, "true");
	record_registration_free(registration);
}
END_TEST

START_TEST(health_is_short_for_an_http_check)
{
	struct registration *registration = registration_of("\"health\":\"/ok?a=b\"");
	const struct check_spec *spec = registration->checks;

	ck_assert_uint_eq(registration->n_checks, 1);
	ck_assert_int_eq(spec->kind, CHECK_HTTP);
	ck_assert_str_eq(spec->path, "/ok?a=b");
	ck_assert_uint_eq(spec->port, 8080);
	ck_assert_uint_eq(spec->interval_ms, 10000);
	ck_assert_uint_eq(spec->timeout_ms, 2000);
	ck_assert_uint_eq(spec->rise, 2);
	ck_assert_uint_eq(spec->fall, 3);
	ck_assert_int_eq(spec->initial, STATUS_CRITICAL);
	record_registration_free(registration);
}
END_TEST

START_TEST(checks_follow_health)
{
	struct registration *registration = registration_of(
		"\"checks\":[{\"kind\":\"tcp\",\"interval\":\"500ms\",\"initial\":\"passing\"},"
		"{\"rise\":1,\"kind\":\"http\",\"port\":81,\"fall\":100,\"timeout\":\"3s\"}],"
		"\"health\":\"/\"");
	const struct check_spec *spec = registration->checks;

	ck_assert_uint_eq(registration->n_checks, 3);
	ck_assert_int_eq(spec[0].kind, CHECK_HTTP);
	ck_assert_int_eq(spec[1].kind, CHECK_TCP);
	ck_assert_ptr_null(spec[1].path);
	ck_assert_uint_eq(spec[1].interval_ms, 500);
	ck_assert_uint_eq(spec[1].timeout_ms, 500);
	ck_assert_int_eq(spec[1].initial, STATUS_PASSING);
	ck_assert_uint_eq(spec[1].port, 8080);
	ck_assert_str_eq(spec[2].path, "/");
	ck_assert_uint_eq(spec[2].port, 81);
	ck_assert_uint_eq(spec[2].rise, 1);
	ck_assert_uint_eq(spec[2].fall, 100);
	ck_assert_uint_eq(spec[2].timeout_ms, 3000);
	record_registration_free(registration);
}
END_TEST

START_TEST(checks_in_full)
{
	struct registration *registration = registration_of(
		"\"checks\":[{\"kind\":\"https\",\"method\":\"HEAD\",\"path\":\"/h\","
		"\"status\":[200,\"300-399, 404\"],\"server_name\":\"pay.example\","
		"\"tls_skip_verify\":true,\"headers\":{\"Host\":\"h\",\"X-A\":\"b c\",\"E\":\"\"}},"
		"{\"kind\":\"ttl\",\"ttl\":\"30s\",\"initial\":\"warning\"},"
		"{\"kind\":\"http\",\"method\":\"GET\",\"status\":204,\"headers\":{}}]");
	const struct check_spec *spec = registration->checks;

	ck_assert_int_eq(spec[0].kind, CHECK_HTTPS);
	ck_assert_str_eq(spec[0].method, "HEAD");
	ck_assert_str_eq(spec[0].expected, "200,300-399,404");
	ck_assert_str_eq(spec[0].server_name, "pay.example");
	ck_assert(spec[0].tls_skip_verify);
	ck_assert_str_eq(spec[0].headers, "Host: h\r\nX-A: b c\r\nE: \r\n");
	ck_assert_int_eq(spec[1].kind, CHECK_TTL);
	ck_assert_uint_eq(spec[1].ttl_ms, 30000);
	ck_assert_int_eq(spec[1].initial, STATUS_WARNING);
	ck_assert_uint_eq(spec[1].interval_ms + spec[1].port, 0);
	ck_assert_ptr_null(spec[1].path);
	ck_assert_ptr_null(spec[2].method);
	ck_assert_ptr_null(spec[2].headers);
	ck_assert_str_eq(spec[2].expected, "204");
	ck_assert(!spec[2].tls_skip_verify);
	record_registration_free(registration);
}
END_TEST

/* What must not stand beside name, ip and port; the field of the error; a part of its message. */
static const struct {
	const char *fields, *field, *part;
} refused[] = {
	{ "\"colour\":1", "colour", "unknown field" },
	{ "\"id\":\"\"", "id", "1 to 255" },
	{ "\"id\":5", "id", "string" },
	{ "\"id\":\"a\\nb\"", "id", "control" },
	{ "\"id\":\"a\\u0085b\"", "id", "control" },
	{ "\"ipv4\":\"10.0.0.2\"", "ipv4", "" },
	{ "\"ipv4\":\"::1\"", "ipv4", "IPv4" },
	{ "\"ipv6\":\"10.0.0.2\"", "ipv6", "IPv6" },
	{ "\"ipv6\":\"ff02::1\"", "ipv6", "" },
	{ "\"ipv6\":null", "ipv6", "string" },
	{ "\"protocol\":\"sctp\"", "protocol", "tcp" },
	{ "\"priority\":65536", "priority", "0 to 65535" },
	{ "\"priority\":-1", "priority", "0 to 65535" },
	{ "\"weight\":65536", "weight", "0 to 65535" },
	{ "\"weight\":1.0", "weight", "integer" },
	{ "\"weight\":true", "weight", "integer" },
	{ "\"weight\":\"5\"", "weight", "integer" },
	{ "\"ports\":[1]", "ports", "object" },
	{ "\"ports\":{\"a_b\":1}", "ports.a_b", "letters" },
	{ "\"ports\":{\"http\":0}", "ports.http", "1 to 65535" },
	{ "\"ports\":{\"http\":1,\"HTTP\":2}", "ports.HTTP", "twice" },
	{ "\"tags\":\"blue\"", "tags", "array" },
	{ "\"tags\":[\"a\",\"b\",7]", "tags[2]", "string" },
	{ "\"tags\":[\"a\",\"\"]", "tags[1]", "1 to 63" },
	{ "\"tags\":[\"a,b\"]", "tags[0]", "commas" },
	{ "\"tags\":[\"a\\u007f\"]", "tags[0]", "control" },
	{ "\"tags\":[\"a\",\"a\"]", "tags[1]", "twice" },
	{ "\"meta\":[]", "meta", "object" },
	{ "\"meta\":{\"foo\":1}", "meta.foo", "string" },
	{ "\"meta\":{\"\":\"x\"}", "meta.", "key" },
	{ "\"meta\":{\"a=b\":\"x\"}", "meta.a=b", "key" },
	{ "\"meta\":{\"version\":\"1\"},\"version\":\"2\"", "version", "\"meta\" too" },
	{ "\"version\":1", "version", "string" },
	{ "\"sidecar\":1", "sidecar", "boolean" },
	{ "\"ttl\":0", "ttl", "1 to 86400" },
	{ "\"ttl\":86401", "ttl", "1 to 86400" },
	{ "\"ttl\":1.5", "ttl", "whole" },
	{ "\"ttl\":\"500ms\"", "ttl", "whole" },
	{ "\"ttl\":-1", "ttl", "whole" },
	{ "\"ttl\":1e300", "ttl", "whole" },
	{ "\"lease\":0.5", "lease", "1s to 86400s" },
	{ "\"lease\":\"25h\"", "lease", "1s to 86400s" },
	{ "\"lease\":\"soon\"", "lease", "duration" },
	{ "\"health\":\"ok\"", "health", "starts with" },
	{ "\"health\":\"/a b\"", "health", "spaces" },
	{ "\"health\":\"/a\\r\\nX: y\"", "health", "spaces" },
	{ "\"health\":\"/\xc3\xbc\"", "health", "ASCII" },
	{ "\"health\":true", "health", "path" },
	{ "\"checks\":{}", "checks", "array" },
	{ "\"checks\":[5]", "checks[0]", "object" },
	{ "\"checks\":[{}]", "checks[0].kind", "required" },
	{ "\"checks\":[{\"kind\":\"grpc\"}]", "checks[0].kind", "http" },
	{ "\"checks\":[{\"kind\":\"tcp\",\"path\":\"/\"}]", "checks[0].path", "only for http" },
	{ "\"checks\":[{\"kind\":\"tcp\"},{\"kind\":\"tcp\",\"interval\":0.05}]",
	  "checks[1].interval", "0.1s to 3600s" },
	{ "\"checks\":[{\"kind\":\"tcp\",\"interval\":1,\"timeout\":2}]", "checks[0].timeout",
	  "interval" },
	{ "\"checks\":[{\"kind\":\"tcp\",\"timeout\":0.001}]", "checks[0].timeout", "0.01s" },
	{ "\"checks\":[{\"kind\":\"tcp\",\"rise\":0}]", "checks[0].rise", "1 to 100" },
	{ "\"checks\":[{\"kind\":\"tcp\",\"fall\":101}]", "checks[0].fall", "1 to 100" },
	{ "\"checks\":[{\"kind\":\"tcp\",\"initial\":\"good\"}]", "checks[0].initial", "passing" },
	{ "\"checks\":[{\"kind\":\"tcp\",\"port\":0}]", "checks[0].port", "1 to 65535" },
	{ "\"checks\":[{\"kind\":\"tcp\",\"host\":\"h\"}]", "checks[0].host", "unknown" },
	{ "\"checks\":[{\"kind\":\"http\",\"method\":\"G T\"}]", "checks[0].method", "method" },
	{ "\"checks\":[{\"kind\":\"http\",\"method\":\"A\\r\\nB\"}]", "checks[0].method",
	  "method" },
	{ "\"checks\":[{\"kind\":\"http\",\"method\":\"ABCDEFGHIJKLMNOPQRSTU\"}]",
	  "checks[0].method", "at most 20" },
	{ "\"checks\":[{\"kind\":\"http\",\"method\":\"Connect\"}]", "checks[0].method",
	  "CONNECT" },
	{ "\"checks\":[{\"kind\":\"tcp\",\"method\":\"GET\"}]", "checks[0].method",
	  "only for http" },
	{ "\"checks\":[{\"kind\":\"http\",\"status\":99}]", "checks[0].status", "100 to 599" },
	{ "\"checks\":[{\"kind\":\"http\",\"status\":600}]", "checks[0].status", "100 to 599" },
	{ "\"checks\":[{\"kind\":\"http\",\"status\":200.5}]", "checks[0].status", "200" },
	{ "\"checks\":[{\"kind\":\"http\",\"status\":\"\"}]", "checks[0].status", "200" },
	{ "\"checks\":[{\"kind\":\"http\",\"status\":\"200,\"}]", "checks[0].status", "200" },
	{ "\"checks\":[{\"kind\":\"http\",\"status\":\"299-200\"}]", "checks[0].status", "200" },
	{ "\"checks\":[{\"kind\":\"http\",\"status\":\"2000\"}]", "checks[0].status", "200" },
	{ "\"checks\":[{\"kind\":\"http\",\"status\":[]}]", "checks[0].status", "200" },
	{ "\"checks\":[{\"kind\":\"http\",\"status\":[200,[201]]}]", "checks[0].status", "200" },
	{ "\"checks\":[{\"kind\":\"http\",\"status\":"
	  "[200,200,200,200,200,200,200,200,200,200,200,200,200,200,200,200,200]}]",
	  "checks[0].status", "at most 16" },
	{ "\"checks\":[{\"kind\":\"http\",\"headers\":[]}]", "checks[0].headers", "object" },
	{ "\"checks\":[{\"kind\":\"http\",\"headers\":{\"a b\":\"\"}}]", "checks[0].headers",
	  "name" },
	{ "\"checks\":[{\"kind\":\"http\",\"headers\":{\"\":\"\"}}]", "checks[0].headers", "name" },
	{ "\"checks\":[{\"kind\":\"http\",\"headers\":{\"a:\":\"\"}}]", "checks[0].headers",
	  "name" },
	{ "\"checks\":[{\"kind\":\"http\",\"headers\":{\"a\":\"b\\r\\nc: d\"}}]",
	  "checks[0].headers.a", "printable" },
	{ "\"checks\":[{\"kind\":\"http\",\"headers\":{\"a\":\"b\\nc\"}}]", "checks[0].headers.a",
	  "printable" },
	{ "\"checks\":[{\"kind\":\"http\",\"headers\":{\"a\":\" b\"}}]", "checks[0].headers.a",
	  "space" },
	{ "\"checks\":[{\"kind\":\"http\",\"headers\":{\"a\":1}}]", "checks[0].headers.a",
	  "string" },
	{ "\"checks\":[{\"kind\":\"http\",\"headers\":{\"a\":\"1\",\"A\":\"2\"}}]",
	  "checks[0].headers.A", "twice" },
	{ "\"checks\":[{\"kind\":\"http\",\"headers\":{\"Content-Length\":\"5\"}}]",
	  "checks[0].headers.Content-Length", "decides" },
	{ "\"checks\":[{\"kind\":\"tcp\",\"headers\":{}}]", "checks[0].headers", "only for http" },
	{ "\"checks\":[{\"kind\":\"https\",\"server_name\":\"10.0.0.1\"}]", "checks[0].server_name",
	  "host name" },
	{ "\"checks\":[{\"kind\":\"https\",\"server_name\":\"a..b\"}]", "checks[0].server_name",
	  "host name" },
	{ "\"checks\":[{\"kind\":\"https\",\"server_name\":\"a\\nb\"}]", "checks[0].server_name",
	  "host name" },
	{ "\"checks\":[{\"kind\":\"https\",\"server_name\":\"\"}]", "checks[0].server_name",
	  "host name" },
	{ "\"checks\":[{\"kind\":\"http\",\"server_name\":\"a\"}]", "checks[0].server_name",
	  "only for https" },
	{ "\"checks\":[{\"kind\":\"https\",\"tls_skip_verify\":1}]", "checks[0].tls_skip_verify",
	  "true or false" },
	{ "\"checks\":[{\"kind\":\"http\",\"tls_skip_verify\":true}]", "checks[0].tls_skip_verify",
	  "only for https" },
	{ "\"checks\":[{\"kind\":\"ttl\"}]", "checks[0].ttl", "required" },
	{ "\"checks\":[{\"kind\":\"ttl\",\"ttl\":0.5}]", "checks[0].ttl", "1s to 86400s" },
	{ "\"checks\":[{\"kind\":\"ttl\",\"ttl\":9,\"interval\":9}]", "checks[0].interval",
	  "not for ttl" },
	{ "\"checks\":[{\"kind\":\"ttl\",\"ttl\":9,\"path\":\"/\"}]", "checks[0].path",
	  "only for http" },
	{ "\"checks\":[{\"kind\":\"tcp\",\"ttl\":9}]", "checks[0].ttl", "only for ttl" },
};

START_TEST(refuses_fields)
{
	ck_assert_ptr_null(try_registration(refused[_i].fields));
	expect_error(refused[_i].fields, refused[_i].field, refused[_i].part);
}
END_TEST

/* Whole registrations; the field of the error; a part of its message. */
static const struct {
	const char *json, *field, *part;
} incomplete[] = {
	{ "[]", "", "object" },
	{ "{\"ip\":\"10.0.0.1\",\"port\":1}", "name", "required" },
	{ "{\"name\":\"a\",\"port\":1}", "ip", "required" },
	{ "{\"name\":\"a\",\"ip\":\"10.0.0.1\"}", "port", "required" },
	{ "{\"name\":\"a\",\"ip\":\"10.0.0.1\",\"port\":0}", "port", "1 to 65535" },
	{ "{\"name\":\"a\",\"ip\":\"10.0.0.1\",\"port\":70000}", "port", "1 to 65535" },
	{ "{\"name\":\"a_b\",\"ip\":\"10.0.0.1\",\"port\":1}", "name", "label" },
	{ "{\"name\":\"-a\",\"ip\":\"10.0.0.1\",\"port\":1}", "name", "label" },
	{ "{\"name\":\"a\",\"ip\":\"0.0.0.0\",\"port\":1}", "ip", "" },
	{ "{\"name\":\"a\",\"ip\":\"224.0.0.1\",\"port\":1}", "ip", "" },
	{ "{\"name\":\"a\",\"ip\":\"10.0.0.256\",\"port\":1}", "ip", "" },
	{ "{\"name\":\"a\",\"ip\":\"localhost\",\"port\":1}", "ip", "" },
	{ "{\"name\":\"a\",\"ip\":7,\"port\":1}", "ip", "string" },
};

START_TEST(refuses_registrations)
{
	json_t *json = load(incomplete[_i].json);

	ck_assert_ptr_null(codec_registration(json, &error));
	expect_error(incomplete[_i].json, incomplete[_i].field, incomplete[_i].part);
	json_decref(json);
}
END_TEST

/* `n` times `format` with the index, between `open` and `close`. */
static void print_many(char *text, size_t size, const char *open, const char *item, size_t n,
		       const char *close)
{
	size_t len = (size_t)snprintf(text, size, "%s", open);

	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%s%02zu%s", i ? "," : "", item,
					i, strchr(close, ']') ? "\"" : "\":\"\"");
	snprintf(text + len, size - len, "%s", close);
}

START_TEST(bounds_the_headers_of_a_check)
{
	char text[4096], value[LIMIT_CHECK_HEADERS_TEXT];
	size_t value_len = LIMIT_CHECK_HEADERS_TEXT - sizeof("a: \r\n") + 1, len;

	memset(value, 'x', sizeof(value));
	for (size_t more = 0; more < 2; more++) {
		snprintf(text, sizeof(text),
			 "\"checks\":[{\"kind\":\"http\",\"headers\":{\"a\":\"%.*s\"}}]",
			 (int)(value_len + more), value);
		if (more)
			ck_assert_ptr_null(try_registration(text));
		else
			record_registration_free(registration_of(text));
	}
	expect_error(text, "checks[0].headers", "2048");
	len = (size_t)snprintf(text, sizeof(text), "\"checks\":[{\"kind\":\"http\",\"headers\":{");
	for (size_t i = 0; i <= LIMIT_CHECK_HEADERS; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s\"h%zu\":\"\"",
					i ? "," : "", i);
	snprintf(text + len, sizeof(text) - len, "}}]");
	ck_assert_ptr_null(try_registration(text));
	expect_error(text, "checks[0].headers", "at most 16");
}
END_TEST

START_TEST(bounds_what_an_instance_may_have)
{
	char text[4096];

	print_many(text, sizeof(text), "\"tags\":[", "\"t", LIMIT_TAGS, "]");
	record_registration_free(registration_of(text));
	print_many(text, sizeof(text), "\"tags\":[", "\"t", LIMIT_TAGS + 1, "]");
	ck_assert_ptr_null(try_registration(text));
	expect_error(text, "tags", "at most 32");

	print_many(text, sizeof(text), "\"tags\":[", "\"longer-tag", 20, "]");
	ck_assert_ptr_null(try_registration(text)); /* 20 x 12 and 19 commas */
	expect_error(text, "tags", "250");

	print_many(text, sizeof(text), "\"meta\":{", "\"m", LIMIT_META, "}");
	record_registration_free(registration_of(text));
	strcat(text, ",\"zone\":\"z\"");
	ck_assert_ptr_null(try_registration(text));
	expect_error(text, "zone", "at most 32");
}
END_TEST

START_TEST(bounds_a_metadata_entry)
{
	char value[300], text[400];

	memset(value, 'v', sizeof(value));
	value[LIMIT_META_TEXT - 2] = '\0';
	snprintf(text, sizeof(text), "\"meta\":{\"k\":\"%s\"}", value);
	record_registration_free(registration_of(text));
	snprintf(text, sizeof(text), "\"meta\":{\"kk\":\"%s\"}", value);
	ck_assert_ptr_null(try_registration(text));
	expect_error(text, "meta.kk", "255");
}
END_TEST

START_TEST(bounds_the_number_of_checks)
{
	char text[1024] = "\"health\":\"/\",\"checks\":[{\"kind\":\"tcp\"}";

	for (size_t i = 2; i < LIMIT_CHECKS; i++)
		strcat(text, ",{\"kind\":\"tcp\"}");
	strcat(text, "]");
	record_registration_free(registration_of(text));
	text[strlen(text) - 1] = '\0';
	strcat(text, ",{\"kind\":\"tcp\"}]");
	ck_assert_ptr_null(try_registration(text));
	expect_error(text, "checks", "at most 8");
}
END_TEST

/* ---- Heartbeats and targets ---- */

START_TEST(reads_heartbeats)
{
	struct codec_heartbeat heartbeat;
	json_t *json = load("{\"service\":\"Payment\"}");

	ck_assert(codec_heartbeat(json, &heartbeat, &error));
	ck_assert_str_eq(heartbeat.service, "payment");
	ck_assert_ptr_null(heartbeat.id);
	ck_assert(!heartbeat.has_status);
	ck_assert_ptr_null(heartbeat.output);
	json_decref(json);

	json = load("{\"name\":\"payment\",\"id\":\"a\",\"status\":\"unhealthy\",\"output\":\"o\","
		    "\"timestamp\":\"2025-01-01T00:00:00Z\"}");
	ck_assert(codec_heartbeat(json, &heartbeat, &error));
	ck_assert_str_eq(heartbeat.id, "a");
	ck_assert(heartbeat.has_status);
	ck_assert_int_eq(heartbeat.status, STATUS_CRITICAL);
	ck_assert_str_eq(heartbeat.output, "o");
	json_decref(json);
}
END_TEST

static const struct {
	const char *json, *field, *part;
} heartbeats[] = {
	{ "[]", "", "object" },
	{ "{}", "service", "required" },
	{ "{\"service\":\"a\",\"name\":\"a\"}", "name", "same" },
	{ "{\"service\":\"a.b\"}", "service", "name of a service" },
	{ "{\"service\":\"a\",\"status\":\"fine\"}", "status", "passing" },
	{ "{\"service\":\"a\",\"status\":1}", "status", "passing" },
	{ "{\"service\":\"a\",\"id\":\"\"}", "id", "1 to 255" },
	{ "{\"service\":\"a\",\"output\":1}", "output", "string" },
	{ "{\"service\":\"a\",\"timestamp\":[]}", "timestamp", "number" },
	{ "{\"service\":\"a\",\"ip\":\"10.0.0.1\"}", "ip", "unknown" },
};

START_TEST(refuses_heartbeats)
{
	struct codec_heartbeat heartbeat;
	json_t *json = load(heartbeats[_i].json);

	ck_assert(!codec_heartbeat(json, &heartbeat, &error));
	expect_error(heartbeats[_i].json, heartbeats[_i].field, heartbeats[_i].part);
	json_decref(json);
}
END_TEST

START_TEST(reads_targets)
{
	struct codec_target target;
	json_t *json = load("{\"name\":\"payment\",\"id\":\"a\"}");

	ck_assert(codec_target(json, &target, &error));
	ck_assert_str_eq(target.service, "payment");
	ck_assert_str_eq(target.id, "a");
	json_decref(json);

	json = load("{\"service\":\"payment\"}");
	ck_assert(!codec_target(json, &target, &error));
	expect_error("no id", "id", "required");
	json_decref(json);

	json = load("{\"service\":\"payment\",\"id\":\"a\",\"status\":\"passing\"}");
	ck_assert(!codec_target(json, &target, &error));
	expect_error("status", "status", "unknown");
	json_decref(json);
}
END_TEST

START_TEST(reads_policies)
{
	struct codec_policy policy;
	json_t *json = load("{}");

	ck_assert(codec_policy(json, &policy, &error));
	ck_assert(!policy.has_ttl && !policy.has_answer_limit);
	json_decref(json);

	json = load("{\"ttl\":\"1m30s\"}");
	ck_assert(codec_policy(json, &policy, &error));
	ck_assert(policy.has_ttl && !policy.has_answer_limit);
	ck_assert_uint_eq(policy.ttl_s, 90);
	json_decref(json);

	json = load("{\"answer_limit\":64,\"ttl\":86400}");
	ck_assert(codec_policy(json, &policy, &error));
	ck_assert(policy.has_ttl && policy.has_answer_limit);
	ck_assert_uint_eq(policy.ttl_s, LIMIT_TTL_S);
	ck_assert_uint_eq(policy.answer_limit, LIMIT_ANSWER_LIMIT);
	json_decref(json);

	json = load("{\"answer_limit\":0}");
	ck_assert(codec_policy(json, &policy, &error));
	ck_assert(policy.has_answer_limit);
	ck_assert_uint_eq(policy.answer_limit, 0);
	json_decref(json);
}
END_TEST

static const struct {
	const char *json, *field, *part;
} policies[] = {
	{ "[]", "", "object" },
	{ "{\"ttl\":0}", "ttl", "whole seconds" },
	{ "{\"ttl\":\"500ms\"}", "ttl", "whole seconds" },
	{ "{\"ttl\":86401}", "ttl", "86400" },
	{ "{\"ttl\":null}", "ttl", "whole seconds" },
	{ "{\"answer_limit\":-1}", "answer_limit", "0 to 64" },
	{ "{\"answer_limit\":65}", "answer_limit", "0 to 64" },
	{ "{\"answer_limit\":65536}", "answer_limit", "0 to 64" },
	{ "{\"answer_limit\":1.5}", "answer_limit", "integer" },
	{ "{\"answer_limit\":\"1\"}", "answer_limit", "integer" },
	{ "{\"answer_limit\":null}", "answer_limit", "integer" },
	{ "{\"answer-limit\":1}", "answer-limit", "unknown" },
};

START_TEST(refuses_policies)
{
	struct codec_policy policy;
	json_t *json = load(policies[_i].json);

	ck_assert(!codec_policy(json, &policy, &error));
	expect_error(policies[_i].json, policies[_i].field, policies[_i].part);
	json_decref(json);
}
END_TEST

/* ---- Printing ---- */

static const char *text_of(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key));
}

static json_int_t number_of(const json_t *json, const char *key)
{
	ck_assert_msg(json_is_integer(json_object_get(json, key)), "%s", key);
	return json_integer_value(json_object_get(json, key));
}

START_TEST(prints_an_instance)
{
	struct registration *registration = registration_of(
		"\"id\":\"a\",\"ipv6\":\"2001:db8::1\",\"lease\":30,\"health\":\"/h\","
		"\"tags\":[\"t\"],\"meta\":{\"k\":\"v\"},\"ports\":{\"http\":80}");
	struct instance instance = { .registration = registration,
				     .status = STATUS_CRITICAL,
				     .created = 7,
				     .modified = 9,
				     .lease_end_ms = 40500 };
	struct check check = { .instance = &instance,
			       .spec = &registration->checks[0],
			       .health = { .status = STATUS_CRITICAL },
			       .history = { .low = 4 | 1, .high = 2 | 1 },
			       .latency_ms = 3,
			       .last_start_ms = 29000,
			       .output = (char[]){ "503 No" } };
	struct check *checks[] = { &check };
	json_t *json, *seen;

	instance.checks = checks;
	json = codec_instance_json(&instance, 30000, WALL_MS);
	ck_assert_ptr_nonnull(json);
	ck_assert_str_eq(text_of(json, "service"), "payment");
	ck_assert_str_eq(text_of(json, "id"), "a");
	ck_assert_str_eq(text_of(json, "name"), "a");
	ck_assert_str_eq(text_of(json, "ip"), "10.0.0.1");
	ck_assert_str_eq(text_of(json, "ipv4"), "10.0.0.1");
	ck_assert_str_eq(text_of(json, "ipv6"), "2001:db8::1");
	ck_assert_int_eq(number_of(json, "port"), 8080);
	ck_assert_int_eq(number_of(json_object_get(json, "ports"), "http"), 80);
	ck_assert_str_eq(text_of(json_object_get(json, "meta"), "k"), "v");
	ck_assert_str_eq(text_of(json, "status"), "critical");
	ck_assert(json_is_false(json_object_get(json, "healthy")));
	ck_assert_ptr_nonnull(strstr(text_of(json, "reason"), "503 No"));
	ck_assert_int_eq(number_of(json, "lease"), 30);
	ck_assert_double_eq(json_real_value(json_object_get(json, "lease_left")), 10.5);
	ck_assert_int_eq(number_of(json, "revision_created"), 7);
	ck_assert_int_eq(number_of(json, "revision_modified"), 9);
	seen = json_array_get(json_object_get(json, "checks"), 0);
	ck_assert_str_eq(text_of(seen, "kind"), "http");
	ck_assert_str_eq(text_of(seen, "path"), "/h");
	ck_assert_str_eq(text_of(seen, "output"), "503 No");
	ck_assert_int_eq(number_of(seen, "last_run_ago"), 1);
	ck_assert_int_eq(number_of(seen, "latency_ms"), 3);
	ck_assert_str_eq(text_of(seen, "history"), "pwc");
	json_decref(json);
	record_registration_free(registration);
}
END_TEST

START_TEST(prints_checks)
{
	struct registration *registration = registration_of(
		"\"checks\":[{\"kind\":\"https\",\"method\":\"HEAD\",\"status\":404,"
		"\"headers\":{\"Authorization\":\"Bearer secret\",\"X-A\":\"b\"}},"
		"{\"kind\":\"ttl\",\"ttl\":30}]");
	struct instance instance = { .registration = registration };
	struct check https = { .instance = &instance, .spec = &registration->checks[0] }, ttl = {
		.instance = &instance, .spec = &registration->checks[1], .last_start_ms = 29000
	};
	struct check *checks[] = { &https, &ttl };
	json_t *json, *seen;
	char *text;

	instance.checks = checks;
	json = codec_instance_json(&instance, 30000, WALL_MS);
	ck_assert_ptr_nonnull(json);
	seen = json_array_get(json_object_get(json, "checks"), 0);
	ck_assert_str_eq(text_of(seen, "method"), "HEAD");
	ck_assert_str_eq(text_of(seen, "expected_status"), "404");
	ck_assert(json_is_false(json_object_get(seen, "tls_skip_verify")));
	ck_assert(json_is_null(json_object_get(seen, "server_name")));
	ck_assert_str_eq(text_of(seen, "history"), "");
	ck_assert_uint_eq(json_array_size(json_object_get(seen, "header_names")), 2);
	seen = json_array_get(json_object_get(json, "checks"), 1);
	ck_assert_str_eq(text_of(seen, "kind"), "ttl");
	ck_assert_int_eq(number_of(seen, "ttl"), 30);
	ck_assert_int_eq(number_of(seen, "last_run_ago"), 1);
	ck_assert(json_is_null(json_object_get(seen, "latency_ms")));
	ck_assert_ptr_null(json_object_get(seen, "interval"));
	/* Values of headers may be secrets. */
	text = json_dumps(json, 0);
	ck_assert_ptr_nonnull(strstr(text, "Authorization"));
	ck_assert_ptr_null(strstr(text, "secret"));
	free(text);
	json_decref(json);
	record_registration_free(registration);
}
END_TEST

START_TEST(prints_the_longest_output_whole)
{
	struct registration *registration = registration_of("");
	char output[LIMIT_CHECK_OUTPUT] = "";
	struct instance instance = { .registration = registration,
				     .status = STATUS_CRITICAL,
				     .reported = STATUS_CRITICAL,
				     .output = output };
	json_t *json;

	/* Two octets each, so that a cut in the wrong place is no UTF-8 any more. */
	for (size_t i = 0; i + 2 < sizeof(output); i += 2)
		memcpy(output + i, "\xc3\xbc", 3);
	json = codec_instance_json(&instance, 1, WALL_MS);
	ck_assert_ptr_nonnull(json);
	ck_assert_ptr_nonnull(strstr(text_of(json, "reason"), output));
	json_decref(json);
	record_registration_free(registration);
}
END_TEST

START_TEST(says_when_one_that_is_out_is_safe_to_stop)
{
	struct registration *registration = registration_of("");
	struct instance instance = { .registration = registration, .safe_after_ms = 1500 };

	for (int admin = ADMIN_AUTO; admin <= ADMIN_DRAIN; admin++) {
		bool is_out = admin == ADMIN_DOWN || admin == ADMIN_DRAIN;
		json_t *json;

		instance.admin = admin;
		json = codec_instance_json(&instance, 1000, WALL_MS);
		ck_assert(!json_object_get(json, "safe_after") == !is_out);
		if (is_out) {
			ck_assert_double_eq(json_real_value(json_object_get(json, "safe_after")),
					    1750000001);
			ck_assert_double_eq(json_real_value(json_object_get(json, "safe_after_s")),
					    0.5);
		}
		json_decref(json);
		json = codec_instance_json(&instance, 1500, WALL_MS);
		ck_assert_ptr_null(json_object_get(json, "safe_after"));
		json_decref(json);
	}
	record_registration_free(registration);
}
END_TEST

START_TEST(prints_instances_by_id)
{
	struct registration *b = registration_of("\"id\":\"b\""),
			    *a = registration_of("\"id\":\"a\"");
	struct instance first = { .registration = b }, second = { .registration = a };
	struct instance *instances[] = { &first, &second };
	struct service *service = calloc(1, sizeof(*service) + sizeof("payment"));
	json_t *json, *list;

	ck_assert_ptr_nonnull(service);
	strcpy(service->name, "payment");
	service->answer_limit = 7;
	service->n_instances = 2;
	service->instances = instances;
	json = codec_service_json(service, 1, WALL_MS);
	ck_assert_ptr_nonnull(json);
	list = json_object_get(json, "instances");
	ck_assert_uint_eq(json_array_size(list), 2);
	ck_assert_str_eq(text_of(json_array_get(list, 0), "id"), "a");
	ck_assert_str_eq(text_of(json_array_get(list, 1), "id"), "b");
	ck_assert_str_eq(text_of(json, "service"), "payment");
	ck_assert_int_eq(number_of(json, "answer_limit"), 7);
	json_decref(json);
	free(service);
	record_registration_free(a);
	record_registration_free(b);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int main(void)
{
	Suite *suite = suite_create("codec");
	TCase *tcase = tcase_create("codec");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, refuses_what_is_no_json);
	tcase_add_test(tcase, without_memory_it_is_not_called_invalid);
	tcase_add_test(tcase, says_what_is_wrong_in_its_own_words);
	tcase_add_test(tcase, bounds_the_depth);
	tcase_add_test(tcase, brackets_in_strings_are_not_depth);
	tcase_add_test(tcase, a_short_registration_has_defaults);
	tcase_add_test(tcase, a_full_registration);
	tcase_add_test(tcase, health_is_short_for_an_http_check);
	tcase_add_test(tcase, checks_follow_health);
	tcase_add_test(tcase, checks_in_full);
	tcase_add_test(tcase, bounds_the_headers_of_a_check);
	tcase_add_loop_test(tcase, refuses_fields, 0, COUNT(refused));
	tcase_add_loop_test(tcase, refuses_registrations, 0, COUNT(incomplete));
	tcase_add_test(tcase, bounds_what_an_instance_may_have);
	tcase_add_test(tcase, bounds_a_metadata_entry);
	tcase_add_test(tcase, bounds_the_number_of_checks);
	tcase_add_test(tcase, reads_heartbeats);
	tcase_add_loop_test(tcase, refuses_heartbeats, 0, COUNT(heartbeats));
	tcase_add_test(tcase, reads_targets);
	tcase_add_test(tcase, reads_policies);
	tcase_add_loop_test(tcase, refuses_policies, 0, COUNT(policies));
	tcase_add_test(tcase, prints_an_instance);
	tcase_add_test(tcase, prints_checks);
	tcase_add_test(tcase, prints_the_longest_output_whole);
	tcase_add_test(tcase, says_when_one_that_is_out_is_safe_to_stop);
	tcase_add_test(tcase, prints_instances_by_id);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
