/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/conf_file.h"

#include "app/conf_value.h"
#include "base/file.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct reader {
	const char *path;
	struct conf *conf;
	char **zone_dir;
	yaml_document_t document;
	char *message;
	size_t message_size;
};

/* Reads the value of a key into `target`. -1: failed, the message is written. */
typedef int (*key_apply)(struct reader *reader, const yaml_node_t *value, void *target);

struct key {
	const char *name;
	key_apply apply;
};

enum {
	KEYS_MAX = 32 /* of one mapping */
};

/* ---- Errors ---- */

__attribute__((format(printf, 3, 4))) static int fail(struct reader *reader, yaml_mark_t mark,
						      const char *format, ...)
{
	int n = snprintf(reader->message, reader->message_size, "%s:%zu:%zu: ", reader->path,
			 mark.line + 1, mark.column + 1);
	va_list args;

	if (n >= 0 && (size_t)n < reader->message_size) {
		va_start(args, format);
		vsnprintf(reader->message + n, reader->message_size - (size_t)n, format, args);
		va_end(args);
	}
	return -1;
}

static int fail_memory(struct reader *reader, const yaml_node_t *node)
{
	return fail(reader, node->start_mark, "out of memory");
}

/* libyaml knows only the offset of octets that are no UTF-8. */
static int fail_parser(struct reader *reader, const yaml_parser_t *parser, const struct buf *text)
{
	yaml_mark_t mark = parser->problem_mark;

	if (parser->error == YAML_READER_ERROR) {
		mark = (yaml_mark_t){ 0 };
		for (size_t i = 0; i < parser->problem_offset && i < text->len; i++) {
			mark.line += text->data[i] == '\n';
			mark.column = text->data[i] == '\n' ? 0 : mark.column + 1;
		}
	}
	return fail(reader, mark, "%s", parser->problem ? parser->problem : "out of memory");
}

/* ---- Scalars ---- */

static const char *node_text(const yaml_node_t *node)
{
	return (const char *)node->data.scalar.value;
}

static bool is_null(const yaml_node_t *node)
{
	return node->type == YAML_SCALAR_NODE &&
	       node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (!*node_text(node) || strcmp(node_text(node), "~") == 0 ||
		strcmp(node_text(node), "null") == 0);
}

/* NULL: it is no text, the message is written. */
static const char *read_text(struct reader *reader, const yaml_node_t *node)
{
	if (node->type != YAML_SCALAR_NODE) {
		fail(reader, node->start_mark, "expected one value, not a %s",
		     node->type == YAML_MAPPING_NODE ? "mapping" : "list");
		return NULL;
	}
	if (is_null(node)) {
		fail(reader, node->start_mark, "the value is missing");
		return NULL;
	}
	if (strlen(node_text(node)) != node->data.scalar.length) {
		fail(reader, node->start_mark, "the value has a NUL octet");
		return NULL;
	}
	return node_text(node);
}

static int fail_value(struct reader *reader, const yaml_node_t *node, const char *reason)
{
	return fail(reader, node->start_mark, "'%.80s' %s", node_text(node), reason);
}

/* ---- Mappings and lists ---- */

static const yaml_node_t *find_node(struct reader *reader, int index)
{
	return yaml_document_get_node(&reader->document, index);
}

static int fail_unknown_key(struct reader *reader, const yaml_node_t *node, const struct key *keys,
			    size_t n_keys)
{
	const char *names[KEYS_MAX];
	char reason[300];

	for (size_t i = 0; i < n_keys; i++)
		names[i] = keys[i].name;
	conf_value_explain_unknown("key", node_text(node), names, n_keys, reason, sizeof(reason));
	return fail(reader, node->start_mark, "%s", reason);
}

static int read_mapping(struct reader *reader, const yaml_node_t *node, const struct key *keys,
			size_t n_keys, void *target)
{
	bool seen[KEYS_MAX] = { false };
	const yaml_node_pair_t *pair;

	if (node->type != YAML_MAPPING_NODE)
		return fail(reader, node->start_mark, "expected 'key: value' pairs");
	for (pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
		const yaml_node_t *name = find_node(reader, pair->key);
		size_t i = 0;

		if (!read_text(reader, name))
			return -1;
		while (i < n_keys && strcmp(node_text(name), keys[i].name) != 0)
			i++;
		if (i == n_keys)
			return fail_unknown_key(reader, name, keys, n_keys);
		if (seen[i])
			return fail(reader, name->start_mark, "key '%s' is there twice",
				    keys[i].name);
		seen[i] = true;
		if (keys[i].apply(reader, find_node(reader, pair->value), target) < 0)
			return -1;
	}
	return 0;
}

static int read_list(struct reader *reader, const yaml_node_t *node, key_apply apply, void *target)
{
	const yaml_node_item_t *item;

	if (node->data.sequence.items.start == node->data.sequence.items.top)
		return fail(reader, node->start_mark, "the list is empty");
	for (item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++)
		if (apply(reader, find_node(reader, *item), target) < 0)
			return -1;
	return 0;
}

/* ---- server ---- */

static int read_address(struct reader *reader, const yaml_node_t *value,
			struct listen_address **list, size_t *n)
{
	const char *text = read_text(reader, value), *reason;

	if (!text)
		return -1;
	return conf_value_put_address(text, list, n, &reason) ? 0
							      : fail_value(reader, value, reason);
}

/* One address, or a list of them. */
static int read_addresses(struct reader *reader, const yaml_node_t *value,
			  struct listen_address **list, size_t *n)
{
	const yaml_node_item_t *item;

	if (value->type != YAML_SEQUENCE_NODE)
		return read_address(reader, value, list, n);
	if (value->data.sequence.items.start == value->data.sequence.items.top)
		return fail(reader, value->start_mark, "the list is empty");
	for (item = value->data.sequence.items.start; item < value->data.sequence.items.top; item++)
		if (read_address(reader, find_node(reader, *item), list, n) < 0)
			return -1;
	return 0;
}

static int apply_dns(struct reader *reader, const yaml_node_t *value, void *target)
{
	struct conf *conf = target;

	return read_addresses(reader, value, &conf->dns, &conf->n_dns);
}

static struct conf_place place_of(const yaml_node_t *node)
{
	return (struct conf_place){ node->start_mark.line + 1, node->start_mark.column + 1 };
}

static int apply_http(struct reader *reader, const yaml_node_t *value, void *target)
{
	struct conf *conf = target;

	conf->http_at = place_of(value);
	return read_addresses(reader, value, &conf->http, &conf->n_http);
}

static int apply_dns_tls(struct reader *reader, const yaml_node_t *value, void *target)
{
	struct conf *conf = target;

	conf->dns_tls_at = place_of(value);
	return read_addresses(reader, value, &conf->dns_tls, &conf->n_dns_tls);
}

static int apply_https(struct reader *reader, const yaml_node_t *value, void *target)
{
	struct conf *conf = target;

	conf->https_at = place_of(value);
	return read_addresses(reader, value, &conf->https, &conf->n_https);
}

static int apply_workers(struct reader *reader, const yaml_node_t *value, void *target)
{
	struct conf *conf = target;
	const char *text = read_text(reader, value), *reason;

	if (!text)
		return -1;
	return conf_value_workers(text, &conf->workers, &reason)
		       ? 0
		       : fail_value(reader, value, reason);
}

static int apply_ttl(struct reader *reader, const yaml_node_t *value, void *target)
{
	struct conf *conf = target;
	const char *text = read_text(reader, value), *reason;

	if (!text)
		return -1;
	return conf_value_ttl(text, &conf->ttl_s, &reason) ? 0 : fail_value(reader, value, reason);
}

/* A path relative to the file's folder. */
static int read_path(struct reader *reader, const yaml_node_t *value, char **path)
{
	const char *text = read_text(reader, value);

	if (!text)
		return -1;
	if (!*text)
		return fail(reader, value->start_mark, "the path is empty");
	*path = conf_file_path(reader->path, text);
	return *path ? 0 : fail_memory(reader, value);
}

static int apply_data(struct reader *reader, const yaml_node_t *value, void *target)
{
	struct conf *conf = target;

	return read_path(reader, value, &conf->data);
}

static int apply_zone_dir(struct reader *reader, const yaml_node_t *value, void *target)
{
	(void)target;
	return read_path(reader, value, reader->zone_dir);
}

/* What the server says of itself: printable ASCII that fits. */
static int read_saying(struct reader *reader, const yaml_node_t *value, char saying[CONF_SAYING])
{
	const char *text = read_text(reader, value);
	size_t len = text ? strlen(text) : 0;

	if (!text)
		return -1;
	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return fail_value(reader, value,
					  "has characters that are not printable ASCII");
	if (len >= CONF_SAYING)
		return fail_value(reader, value, "is longer than 63 characters");
	memcpy(saying, text, len + 1);
	return 0;
}

static int apply_identity(struct reader *reader, const yaml_node_t *value, void *target)
{
	return read_saying(reader, value, ((struct conf *)target)->identity);
}

static int apply_version(struct reader *reader, const yaml_node_t *value, void *target)
{
	return read_saying(reader, value, ((struct conf *)target)->version);
}

static int read_bool(struct reader *reader, const yaml_node_t *value, bool *is_true)
{
	const char *text = read_text(reader, value);

	if (!text)
		return -1;
	if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return fail_value(reader, value, "is neither true nor false");
	*is_true = *text == 't';
	return 0;
}

static int apply_check_loopback(struct reader *reader, const yaml_node_t *value, void *target)
{
	struct conf *conf = target;
	bool is_true;

	if (read_bool(reader, value, &is_true) < 0)
		return -1;
	conf->check_loopback = is_true ? CONF_LOOPBACK_YES : CONF_LOOPBACK_NO;
	return 0;
}

static int read_copy(struct reader *reader, const yaml_node_t *value, char **copy)
{
	const char *text = read_text(reader, value);

	if (!text)
		return -1;
	*copy = strdup(text);
	return *copy ? 0 : fail_memory(reader, value);
}

/* Whether there is such a user is not for a reload to ask. */
static int apply_user(struct reader *reader, const yaml_node_t *value, void *target)
{
	return read_copy(reader, value, &((struct conf *)target)->user);
}

static int apply_sandbox(struct reader *reader, const yaml_node_t *value, void *target)
{
	return read_bool(reader, value, &((struct conf *)target)->sandbox);
}

static int read_number(struct reader *reader, const yaml_node_t *value, uint32_t max,
		       uint32_t *number)
{
	const char *text = read_text(reader, value);
	char reason[64];

	if (!text)
		return -1;
	if (conf_value_number(text, max, number))
		return 0;
	snprintf(reason, sizeof(reason), "is no number from 0 to %" PRIu32, max);
	return fail_value(reader, value, reason);
}

static int apply_rate(struct reader *reader, const yaml_node_t *value, void *target)
{
	return read_number(reader, value, LIMIT_RATE, &((struct udp_limit_options *)target)->rate);
}

static int apply_slip(struct reader *reader, const yaml_node_t *value, void *target)
{
	return read_number(reader, value, LIMIT_RATE_SLIP,
			   &((struct udp_limit_options *)target)->slip);
}

/* "none" is the list without an entry, as nothing at all is the default. */
static int apply_allow(struct reader *reader, const yaml_node_t *value, void *target)
{
	struct udp_limit_options *limit = target;
	const char *text, *reason;

	if (!limit->allow)
		limit->allow = calloc(LIMIT_RATE_ALLOW, sizeof(*limit->allow));
	if (!limit->allow)
		return fail_memory(reader, value);
	if (value->type == YAML_SEQUENCE_NODE)
		return read_list(reader, value, apply_allow, target);
	if (!(text = read_text(reader, value)))
		return -1;
	if (strcmp(text, "none") == 0)
		return 0;
	if (limit->n_allow == LIMIT_RATE_ALLOW)
		return fail_value(reader, value, "is one network too many");
	if (!udp_limit_network_parse(text, &limit->allow[limit->n_allow], &reason))
		return fail_value(reader, value, reason);
	limit->n_allow++;
	return 0;
}

static int apply_rate_limit(struct reader *reader, const yaml_node_t *value, void *target)
{
	static const struct key keys[] = {
		{ "rate", apply_rate },
		{ "slip", apply_slip },
		{ "allow", apply_allow },
	};

	return read_mapping(reader, value, keys, sizeof(keys) / sizeof(keys[0]),
			    &((struct conf *)target)->rate_limit);
}

/* Adds a text to a list of at most LIMIT_HTTP_NAMES. */
static int put_text(struct reader *reader, const yaml_node_t *value, char ***list, size_t *n)
{
	const char *text = read_text(reader, value);

	if (!text)
		return -1;
	if (*n == LIMIT_HTTP_NAMES)
		return fail_value(reader, value, "is one too many");
	if (!*list)
		*list = calloc(LIMIT_HTTP_NAMES, sizeof(char *));
	if (!*list || !((*list)[*n] = strdup(text)))
		return fail_memory(reader, value);
	(*n)++;
	return 0;
}

static int apply_http_names(struct reader *reader, const yaml_node_t *value, void *target)
{
	struct guard *guard = &((struct conf *)target)->guard;
	const char *text;

	if (value->type == YAML_SEQUENCE_NODE)
		return read_list(reader, value, apply_http_names, target);
	if (!(text = read_text(reader, value)))
		return -1;
	if (!*text || strlen(text) > LIMIT_NAME || strpbrk(text, "/@[] "))
		return fail_value(reader, value, "is no host name, and no address");
	return put_text(reader, value, &guard->names, &guard->n_names);
}

static int apply_http_origins(struct reader *reader, const yaml_node_t *value, void *target)
{
	struct guard *guard = &((struct conf *)target)->guard;
	const char *text, *host;

	if (value->type == YAML_SEQUENCE_NODE)
		return read_list(reader, value, apply_http_origins, target);
	if (!(text = read_text(reader, value)))
		return -1;
	host = strstr(text, "://");
	if (!host || host == text || !host[3] || strpbrk(host + 3, "/?# "))
		return fail_value(reader, value, "is no origin, such as https://ops.example.net");
	return put_text(reader, value, &guard->origins, &guard->n_origins);
}

static int apply_certificate(struct reader *reader, const yaml_node_t *value, void *target)
{
	return read_path(reader, value, &((struct tls_options *)target)->certificate);
}

static int apply_key(struct reader *reader, const yaml_node_t *value, void *target)
{
	return read_path(reader, value, &((struct tls_options *)target)->key);
}

static int apply_client_ca(struct reader *reader, const yaml_node_t *value, void *target)
{
	return read_path(reader, value, &((struct tls_options *)target)->client_ca);
}

static int apply_tls(struct reader *reader, const yaml_node_t *value, void *target)
{
	static const struct key keys[] = {
		{ "certificate", apply_certificate },
		{ "key", apply_key },
		{ "client-ca", apply_client_ca },
	};
	struct tls_options *tls = &((struct conf *)target)->tls;

	if (read_mapping(reader, value, keys, sizeof(keys) / sizeof(keys[0]), tls) < 0)
		return -1;
	if (!tls->certificate || !tls->key)
		return fail(reader, value->start_mark, "tls needs both 'certificate' and 'key'");
	return 0;
}

static const struct key server_keys[] = {
	{ "dns", apply_dns },
	{ "http", apply_http },
	{ "workers", apply_workers },
	{ "data", apply_data },
	{ "ttl", apply_ttl },
	{ "zone-dir", apply_zone_dir },
	{ "identity", apply_identity },
	{ "version", apply_version },
	{ "check-loopback", apply_check_loopback },
	{ "rate-limit", apply_rate_limit },
	{ "http-names", apply_http_names },
	{ "http-origins", apply_http_origins },
	{ "user", apply_user },
	{ "sandbox", apply_sandbox },
	{ "https", apply_https },
	{ "dns-tls", apply_dns_tls },
	{ "tls", apply_tls },
};

/* ---- zone ---- */

static int apply_domain(struct reader *reader, const yaml_node_t *value, void *target)
{
	const struct conf *conf = reader->conf;
	struct conf_zone *zone = target;
	const char *text = read_text(reader, value), *reason;

	if (!text)
		return -1;
	if (!conf_value_domain(text, zone, &reason))
		return fail_value(reader, value, reason);
	for (const struct conf_zone *other = conf->zones; other < zone; other++)
		if (strcmp(other->domain, zone->domain) == 0)
			return fail_value(reader, value, "is there twice");
	return 0;
}

static int apply_file(struct reader *reader, const yaml_node_t *value, void *target)
{
	struct conf_zone *zone = target;

	if (read_copy(reader, value, &zone->file) < 0)
		return -1;
	return *zone->file ? 0 : fail(reader, value->start_mark, "the path is empty");
}

static int apply_tag(struct reader *reader, const yaml_node_t *value, void *target)
{
	struct zone_filter *filter = target;

	if (read_copy(reader, value, &filter->tag) < 0)
		return -1;
	if (!*filter->tag || strlen(filter->tag) > LIMIT_LABEL)
		return fail_value(reader, value, "is no tag: 1 to 63 octets");
	return 0;
}

static int apply_meta_key(struct reader *reader, const yaml_node_t *value, void *target)
{
	struct zone_filter *filter = target;

	return read_copy(reader, value, &filter->meta_key);
}

static int apply_meta_value(struct reader *reader, const yaml_node_t *value, void *target)
{
	struct zone_filter *filter = target;

	return read_copy(reader, value, &filter->meta_value);
}

static int apply_meta(struct reader *reader, const yaml_node_t *value, void *target)
{
	static const struct key keys[] = {
		{ "key", apply_meta_key },
		{ "value", apply_meta_value },
	};
	struct zone_filter *filter = target;

	if (read_mapping(reader, value, keys, 2, target) < 0)
		return -1;
	if (!filter->meta_key || !filter->meta_value)
		return fail(reader, value->start_mark, "meta needs both 'key' and 'value'");
	if (!*filter->meta_key)
		return fail(reader, value->start_mark, "the key is empty");
	return 0;
}

static int apply_filter(struct reader *reader, const yaml_node_t *value, void *target)
{
	static const struct key keys[] = { { "tag", apply_tag }, { "meta", apply_meta } };
	struct conf_zone *zone = target;

	if (read_mapping(reader, value, keys, 2, &zone->filter) < 0)
		return -1;
	if (!zone->filter.tag == !zone->filter.meta_key)
		return fail(reader, value->start_mark, "filter needs either 'tag' or 'meta'");
	return 0;
}

static const struct key zone_keys[] = {
	{ "domain", apply_domain },
	{ "file", apply_file },
	{ "filter", apply_filter },
};

static int apply_zone(struct reader *reader, const yaml_node_t *value, void *target)
{
	struct conf *conf = target;
	struct conf_zone *zone = &conf->zones[conf->n_zones];

	conf->n_zones++; /* from here on conf_fini() frees it */
	if (read_mapping(reader, value, zone_keys, sizeof(zone_keys) / sizeof(zone_keys[0]), zone) <
	    0)
		return -1;
	if (!zone->domain)
		return fail(reader, value->start_mark, "the zone has no 'domain'");
	return 0;
}

/* ---- access ---- */

static int apply_name(struct reader *reader, const yaml_node_t *value, void *target)
{
	char name[CONF_SAYING];

	if (read_saying(reader, value, name) < 0)
		return -1;
	return read_copy(reader, value, &((struct access_entry *)target)->name);
}

static int apply_token(struct reader *reader, const yaml_node_t *value, void *target)
{
	const char *text = read_text(reader, value);

	if (!text)
		return -1;
	/* It may be the token itself, by mistake: nothing of it goes into the log. */
	if (!access_token_parse(text, ((struct access_entry *)target)->token))
		return fail(reader, value->start_mark,
			    "no SHA-256 of a token: 64 hexadecimal digits, such as "
			    "'printf %%s TOKEN | sha256sum' prints");
	((struct access_entry *)target)->has_token = true;
	return 0;
}

static int apply_access_identity(struct reader *reader, const yaml_node_t *value, void *target)
{
	struct access_entry *entry = target;

	if (read_copy(reader, value, &entry->identity) < 0)
		return -1;
	return *entry->identity ? 0 : fail(reader, value->start_mark, "the name is empty");
}

static int put_grant(struct reader *reader, const yaml_node_t *value, struct access_entry *entry,
		     enum access_right right)
{
	const char *text = read_text(reader, value);

	if (!text)
		return -1;
	if (!access_pattern_is_valid(text))
		return fail_value(reader, value,
				  "is no service in lower case, no 'PREFIX*', and not '*'");
	if (entry->n_grants == LIMIT_ACCESS_PATTERNS)
		return fail_value(reader, value, "is one too many");
	if (!entry->grants)
		entry->grants = calloc(LIMIT_ACCESS_PATTERNS, sizeof(*entry->grants));
	if (!entry->grants || !(entry->grants[entry->n_grants].pattern = strdup(text)))
		return fail_memory(reader, value);
	entry->grants[entry->n_grants++].right = right;
	return 0;
}

static int apply_read(struct reader *reader, const yaml_node_t *value, void *target)
{
	if (value->type == YAML_SEQUENCE_NODE)
		return read_list(reader, value, apply_read, target);
	return put_grant(reader, value, target, ACCESS_READ);
}

static int apply_register(struct reader *reader, const yaml_node_t *value, void *target)
{
	if (value->type == YAML_SEQUENCE_NODE)
		return read_list(reader, value, apply_register, target);
	return put_grant(reader, value, target, ACCESS_REGISTER);
}

static int apply_admin(struct reader *reader, const yaml_node_t *value, void *target)
{
	if (value->type == YAML_SEQUENCE_NODE)
		return read_list(reader, value, apply_admin, target);
	return put_grant(reader, value, target, ACCESS_ADMIN);
}

/* Two entries for one token or one certificate would leave open which of them counts. */
static int check_entry(struct reader *reader, const yaml_node_t *value,
		       const struct access_entry *entry)
{
	const struct access *access = &reader->conf->access;

	if (entry->has_token == (entry->identity != NULL))
		return fail(reader, value->start_mark,
			    "an entry needs either 'token-sha256' or 'identity'");
	if (!entry->name)
		return fail(reader, value->start_mark, "the entry has no 'name'");
	for (const struct access_entry *other = access->entries; other < entry; other++) {
		if (strcmp(entry->name, other->name) == 0)
			return fail(reader, value->start_mark, "the name '%s' is there twice",
				    entry->name);
		if (access_entry_is_same(entry, other))
			return fail(reader, value->start_mark,
				    "'%s' and '%s' have the same token or identity", other->name,
				    entry->name);
	}
	return 0;
}

static int apply_entry(struct reader *reader, const yaml_node_t *value, void *target)
{
	static const struct key keys[] = {
		{ "name", apply_name },
		{ "token-sha256", apply_token },
		{ "identity", apply_access_identity },
		{ "read", apply_read },
		{ "register", apply_register },
		{ "admin", apply_admin },
	};
	struct access *access = target;
	struct access_entry *entry = &access->entries[access->n];

	access->n++; /* from here on conf_fini() frees it */
	if (read_mapping(reader, value, keys, sizeof(keys) / sizeof(keys[0]), entry) < 0)
		return -1;
	return check_entry(reader, value, entry);
}

static int apply_access(struct reader *reader, const yaml_node_t *value, void *target)
{
	struct access *access = &((struct conf *)target)->access;
	ptrdiff_t n;

	if (value->type != YAML_SEQUENCE_NODE)
		return fail(reader, value->start_mark,
			    "expected a list of entries: '- name: NAME'");
	n = value->data.sequence.items.top - value->data.sequence.items.start;
	if (n > LIMIT_ACCESS)
		return fail(reader, value->start_mark, "more than %d entries", LIMIT_ACCESS);
	access->entries = calloc((size_t)n + 1, sizeof(*access->entries));
	if (!access->entries)
		return fail_memory(reader, value);
	return read_list(reader, value, apply_entry, access);
}

/* ---- The whole file ---- */

static int apply_server(struct reader *reader, const yaml_node_t *value, void *target)
{
	if (is_null(value))
		return 0;
	return read_mapping(reader, value, server_keys,
			    sizeof(server_keys) / sizeof(server_keys[0]), target);
}

static int apply_zones(struct reader *reader, const yaml_node_t *value, void *target)
{
	struct conf *conf = target;
	ptrdiff_t n;

	if (is_null(value))
		return 0;
	if (value->type != YAML_SEQUENCE_NODE)
		return fail(reader, value->start_mark,
			    "expected a list of zones: '- domain: NAME'");
	n = value->data.sequence.items.top - value->data.sequence.items.start;
	if (n > LIMIT_ZONES)
		return fail(reader, value->start_mark, "more than %d zones", LIMIT_ZONES);
	conf->zones = calloc((size_t)n + 1, sizeof(*conf->zones));
	if (!conf->zones)
		return fail_memory(reader, value);
	return read_list(reader, value, apply_zone, target);
}

static const struct key file_keys[] = {
	{ "server", apply_server },
	{ "zone", apply_zones },
	{ "access", apply_access },
};

/* What documents can hold and configuration must not. NULL: nothing. */
static const char *refuse_event(const yaml_event_t *event)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return "aliases are not allowed";
	case YAML_SCALAR_EVENT:
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
		break;
	default:
		break;
	}
	if (anchor)
		return "anchors are not allowed";
	return tag ? "tags are not allowed" : NULL;
}

static void parser_start(yaml_parser_t *parser, const struct buf *text)
{
	yaml_parser_set_input_string(parser, (const unsigned char *)text->data, text->len);
}

/* Looks at all events of the file: a loaded document no longer shows aliases and anchors. */
static int check_events(struct reader *reader, const struct buf *text)
{
	yaml_event_type_t type = YAML_NO_EVENT;
	yaml_parser_t parser;
	unsigned documents = 0;
	int result = 0;

	if (!yaml_parser_initialize(&parser))
		return fail(reader, (yaml_mark_t){ 0 }, "out of memory");
	parser_start(&parser, text);
	while (result == 0 && type != YAML_STREAM_END_EVENT) {
		yaml_event_t event;
		const char *reason;

		if (!yaml_parser_parse(&parser, &event)) {
			result = fail_parser(reader, &parser, text);
			break;
		}
		type = event.type;
		documents += type == YAML_DOCUMENT_START_EVENT;
		reason = documents > 1 ? "a second document" : refuse_event(&event);
		if (reason)
			result = fail(reader, event.start_mark, "%s", reason);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return result;
}

static int read_document(struct reader *reader, const struct buf *text)
{
	const yaml_node_t *root;
	yaml_parser_t parser;
	int result = 0;

	if (!yaml_parser_initialize(&parser))
		return fail(reader, (yaml_mark_t){ 0 }, "out of memory");
	parser_start(&parser, text);
	if (!yaml_parser_load(&parser, &reader->document)) {
		result = fail_parser(reader, &parser, text);
		goto out;
	}
	root = yaml_document_get_root_node(&reader->document);
	if (root && !is_null(root))
		result = read_mapping(reader, root, file_keys,
				      sizeof(file_keys) / sizeof(file_keys[0]), reader->conf);
	yaml_document_delete(&reader->document);
out:
	yaml_parser_delete(&parser);
	return result;
}

int conf_file_read(const char *path, struct conf *conf, char **zone_dir, char *message,
		   size_t message_size)
{
	struct reader reader = {
		.path = path,
		.conf = conf,
		.zone_dir = zone_dir,
		.message = message,
		.message_size = message_size,
	};
	const char *reason;
	struct buf text;
	int result = -1;

	buf_init(&text);
	if (file_read(path, LIMIT_CONF_FILE, &text, &reason) < 0) {
		snprintf(message, message_size, "%s: %s", path, reason);
		goto out;
	}
	result = check_events(&reader, &text);
	if (result == 0)
		result = read_document(&reader, &text);
out:
	buf_fini(&text);
	return result;
}

char *conf_file_path(const char *file, const char *path)
{
	const char *slash = strrchr(file, '/');
	char *joined;

	if (*path == '/' || !slash)
		return strdup(path);
	if (asprintf(&joined, "%.*s/%s", (int)(slash - file), file, path) < 0)
		return NULL;
	return joined;
}
