/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/conf_file.h"

#include "app/conf_access.h"
#include "app/conf_reader.h"
#include "app/conf_value.h"
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- server ---- */

static int read_address(struct conf_reader *reader, const yaml_node_t *value,
			struct listen_address **list, size_t *n)
{
	const char *text = conf_reader_text(reader, value), *reason;

	if (!text)
		return -1;
	return conf_value_put_address(text, list, n, &reason)
		       ? 0
		       : conf_reader_fail_value(reader, value, reason);
}

/* One address, or a list of them. */
static int read_addresses(struct conf_reader *reader, const yaml_node_t *value,
			  struct listen_address **list, size_t *n)
{
	const yaml_node_item_t *item;

	if (value->type != YAML_SEQUENCE_NODE)
		return read_address(reader, value, list, n);
	if (value->data.sequence.items.start == value->data.sequence.items.top)
		return conf_reader_fail(reader, value->start_mark, "the list is empty");
	for (item = value->data.sequence.items.start; item < value->data.sequence.items.top; item++)
		if (read_address(reader, conf_reader_node(reader, *item), list, n) < 0)
			return -1;
	return 0;
}

static int apply_dns(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	struct conf *conf = target;

	return read_addresses(reader, value, &conf->dns, &conf->n_dns);
}

static struct conf_place place_of(const yaml_node_t *node)
{
	return (struct conf_place){ node->start_mark.line + 1, node->start_mark.column + 1 };
}

static int apply_http(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	struct conf *conf = target;

	conf->http_at = place_of(value);
	return read_addresses(reader, value, &conf->http, &conf->n_http);
}

static int apply_dns_tls(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	struct conf *conf = target;

	conf->dns_tls_at = place_of(value);
	return read_addresses(reader, value, &conf->dns_tls, &conf->n_dns_tls);
}

static int apply_https(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	struct conf *conf = target;

	conf->https_at = place_of(value);
	return read_addresses(reader, value, &conf->https, &conf->n_https);
}

static int apply_workers(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	struct conf *conf = target;
	const char *text = conf_reader_text(reader, value), *reason;

	if (!text)
		return -1;
	return conf_value_workers(text, &conf->workers, &reason)
		       ? 0
		       : conf_reader_fail_value(reader, value, reason);
}

static int apply_ttl(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	struct conf *conf = target;
	const char *text = conf_reader_text(reader, value), *reason;

	if (!text)
		return -1;
	return conf_value_ttl(text, &conf->ttl_s, &reason)
		       ? 0
		       : conf_reader_fail_value(reader, value, reason);
}

/* A path relative to the file's folder. */
static int read_path(struct conf_reader *reader, const yaml_node_t *value, char **path)
{
	const char *text = conf_reader_text(reader, value);

	if (!text)
		return -1;
	if (!*text)
		return conf_reader_fail(reader, value->start_mark, "the path is empty");
	*path = conf_file_path(reader->path, text);
	return *path ? 0 : conf_reader_fail_memory(reader, value);
}

static int apply_data(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	struct conf *conf = target;

	return read_path(reader, value, &conf->data);
}

static int apply_services_dir(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	struct conf *conf = target;

	return read_path(reader, value, &conf->services_dir);
}

static int apply_zone_dir(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	(void)target;
	return read_path(reader, value, reader->zone_dir);
}

static int apply_identity(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	return conf_reader_saying(reader, value, ((struct conf *)target)->identity);
}

static int apply_version(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	return conf_reader_saying(reader, value, ((struct conf *)target)->version);
}

static int apply_check_loopback(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	struct conf *conf = target;
	bool is_true;

	if (conf_reader_bool(reader, value, &is_true) < 0)
		return -1;
	conf->check_loopback = is_true ? CONF_LOOPBACK_YES : CONF_LOOPBACK_NO;
	return 0;
}

/* Whether there is such a user is not for a reload to ask. */
static int apply_user(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	return conf_reader_copy(reader, value, &((struct conf *)target)->user);
}

static int apply_sandbox(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	return conf_reader_bool(reader, value, &((struct conf *)target)->sandbox);
}

static int apply_rate(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	return conf_reader_number(reader, value, LIMIT_RATE,
				  &((struct udp_limit_options *)target)->rate);
}

static int apply_slip(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	return conf_reader_number(reader, value, LIMIT_RATE_SLIP,
				  &((struct udp_limit_options *)target)->slip);
}

/* "none" is the list without an entry, as nothing at all is the default. */
static int apply_allow(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	struct udp_limit_options *limit = target;
	const char *text, *reason;

	if (!limit->allow)
		limit->allow = calloc(LIMIT_RATE_ALLOW, sizeof(*limit->allow));
	if (!limit->allow)
		return conf_reader_fail_memory(reader, value);
	if (value->type == YAML_SEQUENCE_NODE)
		return conf_reader_list(reader, value, apply_allow, target);
	if (!(text = conf_reader_text(reader, value)))
		return -1;
	if (strcmp(text, "none") == 0)
		return 0;
	if (limit->n_allow == LIMIT_RATE_ALLOW)
		return conf_reader_fail_value(reader, value, "is one network too many");
	if (!udp_limit_network_parse(text, &limit->allow[limit->n_allow], &reason))
		return conf_reader_fail_value(reader, value, reason);
	limit->n_allow++;
	return 0;
}

static const struct conf_key rate_limit_keys[] = {
	{ "rate", apply_rate, "number", "200",
	  "replies of a kind that a network gets each second from one socket; 0 is no limit" },
	{ "slip", apply_slip, "number", "2",
	  "one in so many replies over the limit goes as an empty one with TC; 0 is none" },
	{ "allow", apply_allow, "networks",
	  "the private networks (RFC 1918, RFC 6598, RFC 4193) and link-local ones",
	  "networks that are not limited, or none" },
};

static int apply_rate_limit(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	return conf_reader_mapping(reader, value, rate_limit_keys, CONF_KEYS(rate_limit_keys),
				   &((struct conf *)target)->rate_limit);
}

/* Adds a text to a list of at most LIMIT_HTTP_NAMES. */
static int put_text(struct conf_reader *reader, const yaml_node_t *value, char ***list, size_t *n)
{
	const char *text = conf_reader_text(reader, value);

	if (!text)
		return -1;
	if (*n == LIMIT_HTTP_NAMES)
		return conf_reader_fail_value(reader, value, "is one too many");
	if (!*list)
		*list = calloc(LIMIT_HTTP_NAMES, sizeof(char *));
	if (!*list || !((*list)[*n] = strdup(text)))
		return conf_reader_fail_memory(reader, value);
	(*n)++;
	return 0;
}

static int apply_http_names(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	struct guard *guard = &((struct conf *)target)->guard;
	const char *text;

	if (value->type == YAML_SEQUENCE_NODE)
		return conf_reader_list(reader, value, apply_http_names, target);
	if (!(text = conf_reader_text(reader, value)))
		return -1;
	if (!*text || strlen(text) > LIMIT_NAME || strpbrk(text, "/@[] "))
		return conf_reader_fail_value(reader, value, "is no host name, and no address");
	return put_text(reader, value, &guard->names, &guard->n_names);
}

static int apply_http_origins(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	struct guard *guard = &((struct conf *)target)->guard;
	const char *text, *host;

	if (value->type == YAML_SEQUENCE_NODE)
		return conf_reader_list(reader, value, apply_http_origins, target);
	if (!(text = conf_reader_text(reader, value)))
		return -1;
	host = strstr(text, "://");
	if (!host || host == text || !host[3] || strpbrk(host + 3, "/?# "))
		return conf_reader_fail_value(reader, value,
					      "is no origin, such as https://ops.example.net");
	return put_text(reader, value, &guard->origins, &guard->n_origins);
}

static int apply_certificate(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	return read_path(reader, value, &((struct tls_options *)target)->certificate);
}

static int apply_key(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	return read_path(reader, value, &((struct tls_options *)target)->key);
}

static int apply_client_ca(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	return read_path(reader, value, &((struct tls_options *)target)->client_ca);
}

static const struct conf_key tls_keys[] = {
	{ "certificate", apply_certificate, "file", "required",
	  "the server's certificate, with those between it and the root behind it" },
	{ "key", apply_key, "file", "required", "its key, not encrypted" },
	{ "client-ca", apply_client_ca, "file", "none",
	  "the certificates of those who sign clients' certificates" },
};

static int apply_tls(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	struct tls_options *tls = &((struct conf *)target)->tls;

	if (conf_reader_mapping(reader, value, tls_keys, CONF_KEYS(tls_keys), tls) < 0)
		return -1;
	if (!tls->certificate || !tls->key)
		return conf_reader_fail(reader, value->start_mark,
					"tls needs both 'certificate' and 'key'");
	return 0;
}

static const struct conf_key server_keys[] = {
	{ "dns", apply_dns, "addresses", "127.0.0.1@8600", "where to answer DNS over UDP and TCP" },
	{ "http", apply_http, "addresses", "127.0.0.1@8500, none if there is https",
	  "where to take HTTP requests" },
	{ "https", apply_https, "addresses", "none", "where to take HTTP requests over TLS" },
	{ "dns-tls", apply_dns_tls, "addresses", "none",
	  "where to answer DNS over TLS (RFC 7858), whose port is 853" },
	{ "tls", apply_tls, "mapping", "none", "the files for https and dns-tls, in PEM form" },
	{ "workers", apply_workers, "number", "the number of processors",
	  "the threads that answer queries, 1 to 256" },
	{ "data", apply_data, "directory", "rosterd-data in the working directory",
	  "what outlives the process" },
	{ "ttl", apply_ttl, "time", "5s", "the TTL of services that do not ask for one" },
	{ "zone-dir", apply_zone_dir, "directory",
	  "zones beside the configuration file, /etc/rosterd/zones without one",
	  "where the zone files are" },
	{ "identity", apply_identity, "text", "the question is refused",
	  "what the server answers to who asks which server it is" },
	{ "version", apply_version, "text", "the question is refused",
	  "what the server answers to who asks for its version" },
	{ "check-loopback", apply_check_loopback, "true or false",
	  "true if all addresses of http and https are loopback ones",
	  "whether registrations may have checks of loopback addresses" },
	{ "rate-limit", apply_rate_limit, "mapping", NULL, "limits replies over UDP" },
	{ "http-names", apply_http_names, "names", "none",
	  "names and addresses by which clients may call the HTTP port" },
	{ "http-origins", apply_http_origins, "origins", "none",
	  "whose web pages may send requests to the HTTP port" },
	{ "user", apply_user, "name or name:group", "stay who starts it",
	  "the user to become when started as root" },
	{ "sandbox", apply_sandbox, "true or false", "true",
	  "whether the process is closed once its sockets are open" },
	{ "services-dir", apply_services_dir, "directory", "none",
	  "a directory of files of services, which is watched" },
};

/* ---- zone ---- */

static int apply_domain(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	const struct conf *conf = reader->conf;
	struct conf_zone *zone = target;
	const char *text = conf_reader_text(reader, value), *reason;

	if (!text)
		return -1;
	if (!conf_value_domain(text, zone, &reason))
		return conf_reader_fail_value(reader, value, reason);
	for (const struct conf_zone *other = conf->zones; other < zone; other++)
		if (strcmp(other->domain, zone->domain) == 0)
			return conf_reader_fail_value(reader, value, "is there twice");
	return 0;
}

static int apply_file(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	struct conf_zone *zone = target;

	if (conf_reader_copy(reader, value, &zone->file) < 0)
		return -1;
	return *zone->file ? 0 : conf_reader_fail(reader, value->start_mark, "the path is empty");
}

static int apply_tag(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	struct zone_filter *filter = target;

	if (conf_reader_copy(reader, value, &filter->tag) < 0)
		return -1;
	if (!*filter->tag || strlen(filter->tag) > LIMIT_LABEL)
		return conf_reader_fail_value(reader, value, "is no tag: 1 to 63 octets");
	return 0;
}

static int apply_meta_key(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	struct zone_filter *filter = target;

	return conf_reader_copy(reader, value, &filter->meta_key);
}

static int apply_meta_value(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	struct zone_filter *filter = target;

	return conf_reader_copy(reader, value, &filter->meta_value);
}

static const struct conf_key meta_keys[] = {
	{ "key", apply_meta_key, "text", "required", "the key of a metadata entry" },
	{ "value", apply_meta_value, "text", "required", "what the entry must say" },
};

static int apply_meta(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	struct zone_filter *filter = target;

	if (conf_reader_mapping(reader, value, meta_keys, CONF_KEYS(meta_keys), target) < 0)
		return -1;
	if (!filter->meta_key || !filter->meta_value)
		return conf_reader_fail(reader, value->start_mark,
					"meta needs both 'key' and 'value'");
	if (!*filter->meta_key)
		return conf_reader_fail(reader, value->start_mark, "the key is empty");
	return 0;
}

static const struct conf_key filter_keys[] = {
	{ "tag", apply_tag, "tag", "any", "instances with this tag" },
	{ "meta", apply_meta, "mapping", "any", "instances with this metadata entry" },
};

static int apply_filter(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	struct conf_zone *zone = target;

	if (conf_reader_mapping(reader, value, filter_keys, CONF_KEYS(filter_keys), &zone->filter) <
	    0)
		return -1;
	if (!zone->filter.tag == !zone->filter.meta_key)
		return conf_reader_fail(reader, value->start_mark,
					"filter needs either 'tag' or 'meta'");
	return 0;
}

static const struct conf_key zone_keys[] = {
	{ "domain", apply_domain, "name", "required", "the name of the zone" },
	{ "file", apply_file, "file", "domain.zone in zone-dir, if it exists",
	  "a zone file (RFC 1035, section 5) with the apex and other fixed records" },
	{ "filter", apply_filter, "mapping", "all of them", "which instances the zone shows" },
};

static int apply_zone(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	struct conf *conf = target;
	struct conf_zone *zone = &conf->zones[conf->n_zones];

	conf->n_zones++; /* from here on conf_fini() frees it */
	if (conf_reader_mapping(reader, value, zone_keys, CONF_KEYS(zone_keys), zone) < 0)
		return -1;
	if (!zone->domain)
		return conf_reader_fail(reader, value->start_mark, "the zone has no 'domain'");
	return 0;
}

/* ---- The whole file ---- */

static int apply_server(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	if (conf_reader_is_null(value))
		return 0;
	return conf_reader_mapping(reader, value, server_keys, CONF_KEYS(server_keys), target);
}

static int apply_zones(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	struct conf *conf = target;
	ptrdiff_t n;

	if (conf_reader_is_null(value))
		return 0;
	if (value->type != YAML_SEQUENCE_NODE)
		return conf_reader_fail(reader, value->start_mark,
					"expected a list of zones: '- domain: NAME'");
	n = value->data.sequence.items.top - value->data.sequence.items.start;
	if (n > LIMIT_ZONES)
		return conf_reader_fail(reader, value->start_mark, "more than %d zones",
					LIMIT_ZONES);
	conf->zones = calloc((size_t)n + 1, sizeof(*conf->zones));
	if (!conf->zones)
		return conf_reader_fail_memory(reader, value);
	return conf_reader_list(reader, value, apply_zone, target);
}

static const struct conf_key file_keys[] = {
	{ "server", apply_server, "mapping", NULL, "the server as a whole" },
	{ "zone", apply_zones, "list of mappings", "service.local alone", "the zones" },
	{ "access", conf_access_apply, "list of mappings", "everybody may do everything",
	  "who may do what over HTTP" },
};

const struct conf_table conf_file_tables[] = {
	{ "server", server_keys, CONF_KEYS(server_keys) },
	{ "tls", tls_keys, CONF_KEYS(tls_keys) },
	{ "rate-limit", rate_limit_keys, CONF_KEYS(rate_limit_keys) },
	{ "zone", zone_keys, CONF_KEYS(zone_keys) },
	{ "filter", filter_keys, CONF_KEYS(filter_keys) },
	{ "meta", meta_keys, CONF_KEYS(meta_keys) },
	{ NULL, NULL, 0 },
};

int conf_file_read(const char *path, struct conf *conf, char **zone_dir, char *message,
		   size_t message_size)
{
	struct conf_reader reader = {
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
	result = conf_reader_document(&reader, &text, file_keys, CONF_KEYS(file_keys));
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
