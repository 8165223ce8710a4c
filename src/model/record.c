/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/record.h"

#include "base/siphash.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

_Static_assert(LIMIT_PORTS <= UINT8_MAX && LIMIT_TAGS <= UINT8_MAX && LIMIT_META <= UINT8_MAX &&
		       LIMIT_CHECKS <= UINT8_MAX,
	       "a registration counts them by octets");
_Static_assert(LIMIT_INSTANCES < 1 << 22, "an instance's position has 22 bits");

/* ---- Labels ---- */

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_lower_ldh(char c)
{
	return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-';
}

bool record_label_parse(const char *text, char label[LIMIT_LABEL + 1])
{
	size_t len = strnlen(text, LIMIT_LABEL + 1);

	if (len == 0 || len > LIMIT_LABEL || text[0] == '-' || text[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++) {
		label[i] = lower(text[i]);
		if (!is_lower_ldh(label[i]))
			return false;
	}
	label[len] = '\0';
	return true;
}

void record_default_id(const struct address *address, uint16_t port, char id[LIMIT_LABEL + 1])
{
	size_t len = 0;

	if (address->has_v4) {
		const uint8_t *v4 = address->v4;

		snprintf(id, LIMIT_LABEL + 1, "%u-%u-%u-%u-%u", v4[0], v4[1], v4[2], v4[3], port);
		return;
	}
	/* All eight groups: "::" would become a label that starts or ends with a hyphen. */
	for (int i = 0; i < 16; i += 2)
		len += (size_t)snprintf(id + len, LIMIT_LABEL + 1 - len, "%x-",
					(unsigned)(address->v6[i] << 8 | address->v6[i + 1]));
	snprintf(id + len, LIMIT_LABEL + 1 - len, "%u", port);
}

void record_id_label(const char *id, char label[LIMIT_LABEL + 1])
{
	/* Fixed, so that an instance keeps its name over restarts and on every node. */
	static const struct siphash_key key = { 0x726f737465726431, 0x696e7374616e6365 };
	enum {
		HASH_DIGITS = 10,
		CLEAN_MAX = LIMIT_LABEL - HASH_DIGITS - 1,
	};
	size_t len = 0;

	if (record_label_parse(id, label) && strcmp(id, label) == 0)
		return;
	for (const char *c = id; *c && len < CLEAN_MAX; c++) {
		char clean = is_lower_ldh(lower(*c)) ? lower(*c) : '-';

		if (len || clean != '-')
			label[len++] = clean;
	}
	while (len && label[len - 1] == '-')
		len--;
	if (len)
		label[len++] = '-';
	snprintf(label + len, LIMIT_LABEL + 1 - len, "%010" PRIx64,
		 siphash(&key, id, strlen(id)) >> (64 - 4 * HASH_DIGITS));
}

/* ---- Addresses ---- */

static const char link_local[] = "is a link-local address, which means nothing to other hosts";

/* NULL: an instance can be reached there. */
static const char *refuse_v4(const uint8_t v4[4])
{
	static const uint8_t zero[4], broadcast[4] = { 255, 255, 255, 255 };

	if (memcmp(v4, zero, 4) == 0)
		return "is the unspecified address";
	if (memcmp(v4, broadcast, 4) == 0)
		return "is the broadcast address";
	if (v4[0] >> 4 == 14)
		return "is a multicast address";
	if (v4[0] == 169 && v4[1] == 254)
		return link_local;
	if (v4[0] == 0 || v4[0] >> 4 == 15)
		return "is in a block that no host has (RFC 6890)";
	return NULL;
}

static const char *refuse_v6(const uint8_t v6[16])
{
	static const uint8_t zero[16], loopback[16] = { [15] = 1 };
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (memcmp(v6, zero, 16) == 0)
		return "is the unspecified address";
	if (v6[0] == 0xff)
		return "is a multicast address";
	if (v6[0] == 0xfe && v6[1] >> 6 == 2)
		return link_local;
	if (memcmp(v6, mapped, 12) == 0)
		return "is an IPv4 address inside IPv6: write it as IPv4";
	if (memcmp(v6, zero, 12) == 0 && memcmp(v6, loopback, 16) != 0)
		return "is an IPv4 address inside IPv6: write it as IPv4";
	return NULL;
}

const char *record_address_refuse(const struct address *address)
{
	const char *reason = address->has_v4 ? refuse_v4(address->v4) : NULL;

	return !reason && address->has_v6 ? refuse_v6(address->v6) : reason;
}

bool record_address_parse(const char *text, struct address *address, const char **reason)
{
	uint8_t v4[4], v6[16];

	if (inet_pton(AF_INET, text, v4) == 1) {
		*reason = address->has_v4 ? "is a second IPv4 address" : refuse_v4(v4);
		if (*reason)
			return false;
		memcpy(address->v4, v4, sizeof(v4));
		address->has_v4 = true;
		return true;
	}
	if (inet_pton(AF_INET6, text, v6) == 1) {
		*reason = address->has_v6 ? "is a second IPv6 address" : refuse_v6(v6);
		if (*reason)
			return false;
		memcpy(address->v6, v6, sizeof(v6));
		address->has_v6 = true;
		return true;
	}
	*reason = "is no IP address";
	return false;
}

void record_address_print(const struct address *address, bool v6, char text[46])
{
	assert(v6 ? address->has_v6 : address->has_v4);
	if (v6)
		inet_ntop(AF_INET6, address->v6, text, 46);
	else
		inet_ntop(AF_INET, address->v4, text, 46);
}

bool record_address_is_loopback(const struct address *address)
{
	static const uint8_t v6[16] = { [15] = 1 };

	return (address->has_v4 && address->v4[0] == 127) ||
	       (address->has_v6 && memcmp(address->v6, v6, sizeof(v6)) == 0);
}

/* ---- Durations ---- */

enum {
	DIGITS_MAX = 12 /* 10^12 hours in ms still fit 64 bits */
};

/* Reads 1..DIGITS_MAX digits. NULL: there are none, or too many. */
static const char *parse_digits(const char *text, uint64_t *value, uint64_t *scale)
{
	int n = 0;

	*value = 0;
	*scale = 1;
	for (; is_digit(*text); text++) {
		if (++n > DIGITS_MAX)
			return NULL;
		*value = *value * 10 + (uint64_t)(*text - '0');
		*scale *= 10;
	}
	return n ? text : NULL;
}

bool record_duration_parse(const char *text, uint64_t *ms)
{
	/* "ms" is tried before "m". Each unit is smaller than the one before it. */
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = { { "ms", 1 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 } };
	uint64_t last_unit_ms = UINT64_MAX, sum = 0;

	if (!*text)
		return false;
	while (*text) {
		uint64_t whole, fraction = 0, scale;
		size_t i = 0;

		if (!(text = parse_digits(text, &whole, &scale)))
			return false;
		scale = 1;
		if (*text == '.' && !(text = parse_digits(text + 1, &fraction, &scale)))
			return false;
		while (i < 4 && strncmp(text, units[i].name, strlen(units[i].name)) != 0)
			i++;
		if (i == 4 || units[i].ms >= last_unit_ms)
			return false;
		/* Less than a millisecond is no duration that could be kept. */
		if (fraction * units[i].ms % scale)
			return false;
		sum += whole * units[i].ms + fraction * units[i].ms / scale;
		last_unit_ms = units[i].ms;
		text += strlen(units[i].name);
	}
	*ms = sum;
	return true;
}

/* ---- Registrations ---- */

struct registration *record_registration_new(void)
{
	return calloc(1, sizeof(struct registration));
}

void record_registration_free(struct registration *registration)
{
	if (!registration)
		return;
	for (size_t i = 0; i < registration->n_ports; i++)
		free(registration->ports[i].name);
	for (size_t i = 0; i < registration->n_tags; i++)
		free(registration->tags[i]);
	for (size_t i = 0; i < registration->n_meta; i++) {
		free(registration->meta[i].key);
		free(registration->meta[i].value);
	}
	for (size_t i = 0; i < registration->n_checks; i++)
		record_check_fini(&registration->checks[i]);
	free(registration->ports);
	free(registration->tags);
	free(registration->meta);
	free(registration->checks);
	free(registration->service);
	free(registration->id);
	free(registration->file);
	free(registration);
}

bool record_put_label(struct registration *registration)
{
	char label[LIMIT_LABEL + 1], *id;
	size_t id_size;

	record_id_label(registration->id, label);
	if (strcmp(label, registration->id) == 0)
		return true;
	id_size = strlen(registration->id) + 1;
	id = realloc(registration->id, id_size + strlen(label) + 1);
	if (!id)
		return false;
	strcpy(id + id_size, label);
	registration->id = id;
	registration->has_label = true;
	return true;
}

bool record_address_equal(const struct address *a, const struct address *b)
{
	return a->has_v4 == b->has_v4 && a->has_v6 == b->has_v6 &&
	       (!a->has_v4 || memcmp(a->v4, b->v4, sizeof(a->v4)) == 0) &&
	       (!a->has_v6 || memcmp(a->v6, b->v6, sizeof(a->v6)) == 0);
}

/* Of two texts that may be NULL. */
static bool text_equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool copy_text(char **copy, const char *text)
{
	*copy = text ? strdup(text) : NULL;
	return *copy || !text;
}

bool record_check_copy(struct check_spec *copy, const struct check_spec *spec)
{
	bool good = true;

	*copy = *spec;
	good &= copy_text(&copy->path, spec->path);
	good &= copy_text(&copy->method, spec->method);
	good &= copy_text(&copy->expected, spec->expected);
	good &= copy_text(&copy->headers, spec->headers);
	good &= copy_text(&copy->server_name, spec->server_name);
	if (!good)
		record_check_fini(copy);
	return good;
}

void record_check_fini(struct check_spec *spec)
{
	free(spec->path);
	free(spec->method);
	free(spec->expected);
	free(spec->headers);
	free(spec->server_name);
	*spec = (struct check_spec){ .path = NULL };
}

bool record_check_equal(const struct check_spec *a, const struct check_spec *b)
{
	return a->kind == b->kind && a->port == b->port && a->interval_ms == b->interval_ms &&
	       a->timeout_ms == b->timeout_ms && a->rise == b->rise && a->fall == b->fall &&
	       a->initial == b->initial && a->ttl_ms == b->ttl_ms &&
	       a->tls_skip_verify == b->tls_skip_verify && text_equal(a->path, b->path) &&
	       text_equal(a->method, b->method) && text_equal(a->expected, b->expected) &&
	       text_equal(a->headers, b->headers) && text_equal(a->server_name, b->server_name);
}

bool record_check_expects(const char *expected, unsigned status)
{
	if (!expected)
		return status >= 200 && status <= 299;
	while (*expected) {
		char *end;
		unsigned long first = strtoul(expected, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		if (status >= first && status <= last)
			return true;
		expected = end + (*end == ',');
	}
	return false;
}

bool record_checks_loopback(const struct registration *registration)
{
	if (!record_address_is_loopback(&registration->address))
		return false;
	for (size_t i = 0; i < registration->n_checks; i++)
		if (registration->checks[i].kind != CHECK_TTL)
			return true;
	return false;
}

static bool lists_equal(const struct registration *a, const struct registration *b)
{
	if (a->n_ports != b->n_ports || a->n_tags != b->n_tags || a->n_meta != b->n_meta ||
	    a->n_checks != b->n_checks)
		return false;
	for (size_t i = 0; i < a->n_ports; i++)
		if (a->ports[i].port != b->ports[i].port ||
		    strcmp(a->ports[i].name, b->ports[i].name) != 0)
			return false;
	for (size_t i = 0; i < a->n_tags; i++)
		if (strcmp(a->tags[i], b->tags[i]) != 0)
			return false;
	for (size_t i = 0; i < a->n_meta; i++)
		if (strcmp(a->meta[i].key, b->meta[i].key) != 0 ||
		    strcmp(a->meta[i].value, b->meta[i].value) != 0)
			return false;
	for (size_t i = 0; i < a->n_checks; i++)
		if (!record_check_equal(&a->checks[i], &b->checks[i]))
			return false;
	return true;
}

bool record_registration_equal(const struct registration *a, const struct registration *b)
{
	return strcmp(a->service, b->service) == 0 && strcmp(a->id, b->id) == 0 &&
	       record_address_equal(&a->address, &b->address) && a->port == b->port &&
	       a->protocol == b->protocol && a->priority == b->priority && a->weight == b->weight &&
	       a->ttl_s == b->ttl_s && a->lease_ms == b->lease_ms && text_equal(a->file, b->file) &&
	       lists_equal(a, b);
}

/* ---- Names ---- */

bool record_has_tag(const struct registration *registration, const char *tag)
{
	for (size_t i = 0; i < registration->n_tags; i++)
		if (strcasecmp(registration->tags[i], tag) == 0)
			return true;
	return false;
}

const char *record_protocol_name(enum protocol protocol)
{
	return protocol == PROTOCOL_UDP ? "udp" : "tcp";
}

const char *record_check_kind_name(enum check_kind kind)
{
	static const char *const names[] = {
		[CHECK_HTTP] = "http",
		[CHECK_HTTPS] = "https",
		[CHECK_TCP] = "tcp",
		[CHECK_TTL] = "ttl",
	};

	return names[kind];
}

bool record_admin_is_out(enum admin admin)
{
	return admin == ADMIN_DOWN || admin == ADMIN_DRAIN;
}

static const char *const admin_names[] = {
	[ADMIN_AUTO] = "auto",
	[ADMIN_UP] = "up",
	[ADMIN_DOWN] = "down",
	[ADMIN_DRAIN] = "drain",
};

static const char *const failure_names[] = {
	[FAILURE_EMPTY] = "empty",
	[FAILURE_ALL] = "all",
	[FAILURE_LAST] = "last",
};

/* The place of a text among `n` names; `n`: it is none of them. */
static size_t find_name(const char *const *names, size_t n, const char *text)
{
	size_t i = 0;

	while (i < n && strcmp(text, names[i]) != 0)
		i++;
	return i;
}

const char *record_admin_name(enum admin admin)
{
	return admin_names[admin];
}

const char *record_failure_name(enum failure failure)
{
	return failure_names[failure];
}

bool record_admin_parse(const char *text, enum admin *admin)
{
	size_t n = sizeof(admin_names) / sizeof(admin_names[0]);
	size_t i = find_name(admin_names, n, text);

	if (i < n)
		*admin = (enum admin)i;
	return i < n;
}

bool record_failure_parse(const char *text, enum failure *failure)
{
	size_t n = sizeof(failure_names) / sizeof(failure_names[0]);
	size_t i = find_name(failure_names, n, text);

	if (i < n)
		*failure = (enum failure)i;
	return i < n;
}
