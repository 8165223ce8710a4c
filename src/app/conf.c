/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/conf.h"

#include "app/conf_file.h"
#include "app/conf_value.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef ROSTERD_SYSCONFDIR
#define ROSTERD_SYSCONFDIR "/etc/rosterd"
#endif

#define DEFAULT_DOMAIN "service.local"
#define DEFAULT_DNS    "127.0.0.1@8600"
#define DEFAULT_HTTP   "127.0.0.1@8500"
#define DEFAULT_DATA   "./rosterd-data"

enum {
	DEFAULT_TTL_S = 5,
	DEFAULT_RATE = 200, /* as NSD */
	DEFAULT_SLIP = 2,   /* as NSD */
};

static void zones_fini(struct conf *conf)
{
	for (size_t i = 0; i < conf->n_zones; i++) {
		struct conf_zone *zone = &conf->zones[i];

		free(zone->domain);
		free(zone->file);
		free(zone->filter.tag);
		free(zone->filter.meta_key);
		free(zone->filter.meta_value);
	}
	free(conf->zones);
	conf->zones = NULL;
	conf->n_zones = 0;
}

static void texts_fini(char **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

void conf_fini(struct conf *conf)
{
	if (!conf)
		return;
	zones_fini(conf);
	texts_fini(conf->guard.names, conf->guard.n_names);
	texts_fini(conf->guard.origins, conf->guard.n_origins);
	access_fini(&conf->access);
	free(conf->dns);
	free(conf->dns_tls);
	free(conf->https);
	free(conf->tls.certificate);
	free(conf->tls.key);
	free(conf->tls.client_ca);
	free(conf->rate_limit.allow);
	free(conf->http);
	free(conf->data);
	free(conf->services_dir);
	free(conf->user);
	*conf = (struct conf){ 0 };
}

/* ---- Flags ---- */

/* Each returns NULL, or what is wrong with the value. */
static const char *put_zone(struct conf *conf, const char *text)
{
	const char *reason = NULL;

	zones_fini(conf);
	conf->zones = calloc(1, sizeof(*conf->zones));
	if (!conf->zones)
		return "does not fit into memory";
	conf->n_zones = 1;
	return conf_value_domain(text, conf->zones, &reason) ? NULL : reason;
}

static const char *put_addresses(const char *const *texts, size_t n_texts,
				 struct listen_address **list, size_t *n)
{
	const char *reason = NULL;

	free(*list);
	*list = NULL;
	*n = 0;
	for (size_t i = 0; i < n_texts; i++)
		if (!conf_value_put_address(texts[i], list, n, &reason))
			return reason;
	return NULL;
}

static const char *put_data(struct conf *conf, const char *text)
{
	free(conf->data);
	conf->data = strdup(text);
	return conf->data ? NULL : "does not fit into memory";
}

static int apply_flags(struct conf *conf, const struct conf_flags *flags, char *message,
		       size_t message_size)
{
	const char *name = NULL, *reason = NULL;

	if (flags->zone && (reason = put_zone(conf, flags->zone)))
		name = "--zone";
	else if (flags->n_dns &&
		 (reason = put_addresses(flags->dns, flags->n_dns, &conf->dns, &conf->n_dns)))
		name = "--dns";
	else if (flags->http &&
		 (reason = put_addresses(&flags->http, 1, &conf->http, &conf->n_http)))
		name = "--http";
	else if (flags->data && (reason = put_data(conf, flags->data)))
		name = "--data";
	else if (flags->workers && !conf_value_workers(flags->workers, &conf->workers, &reason))
		name = "--workers";
	if (flags->http)
		conf->http_at = (struct conf_place){ 0 };
	if (name)
		snprintf(message, message_size, "%s: a value %s", name, reason);
	return name ? -1 : 0;
}

/* ---- Defaults ---- */

static unsigned count_processors(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	if (n < 1)
		return 1;
	return n > LIMIT_WORKERS ? LIMIT_WORKERS : (unsigned)n;
}

static int allow_private(struct udp_limit_options *limit)
{
	limit->allow = calloc(udp_limit_n_private, sizeof(*limit->allow));
	if (!limit->allow)
		return -1;
	memcpy(limit->allow, udp_limit_private, udp_limit_n_private * sizeof(*limit->allow));
	limit->n_allow = udp_limit_n_private;
	return 0;
}

static int apply_defaults(struct conf *conf, const struct conf_flags *flags, char **zone_dir)
{
	static const char *const dns = DEFAULT_DNS, *const http = DEFAULT_HTTP;

	if (!conf->n_dns && put_addresses(&dns, 1, &conf->dns, &conf->n_dns))
		return -1;
	if (!conf->n_http && !conf->n_https && put_addresses(&http, 1, &conf->http, &conf->n_http))
		return -1;
	if (!conf->data && put_data(conf, DEFAULT_DATA))
		return -1;
	if (!conf->n_zones && put_zone(conf, DEFAULT_DOMAIN))
		return -1;
	if (!conf->workers)
		conf->workers = count_processors();
	if (!conf->ttl_s)
		conf->ttl_s = DEFAULT_TTL_S;
	if (!conf->rate_limit.allow && allow_private(&conf->rate_limit))
		return -1;
	if (!*zone_dir)
		*zone_dir = flags->file ? conf_file_path(flags->file, "zones")
					: strdup(ROSTERD_SYSCONFDIR "/zones");
	return *zone_dir ? 0 : -1;
}

/*
 * Finds a zone's file. The default one is taken if there is something of that name: should it be
 * unreadable, reading it says so.
 */
static int find_zone_file(struct conf_zone *zone, const char *zone_dir)
{
	char *path;

	if (zone->file && *zone->file == '/')
		return 0;
	if (asprintf(&path, "%s/%s%s", zone_dir, zone->file ? zone->file : zone->domain,
		     zone->file ? "" : ".zone") < 0)
		return -1;
	if (zone->file) {
		free(zone->file);
		zone->file = path;
	} else if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno == EACCES) {
		zone->file = path;
		zone->file_is_default = true;
	} else {
		free(path);
	}
	return 0;
}

/* One key with addresses for TLS, and the one beside it without. */
struct tls_key {
	const char *name, *plain_name;
	const struct conf_place *at;
	const struct listen_address *list, *plain;
	size_t n, n_plain;
};

/* An address in both; NULL: there is none. Both doors would open, and share what comes. */
static const char *find_overlap(const struct tls_key *key)
{
	for (size_t i = 0; i < key->n; i++)
		for (size_t j = 0; j < key->n_plain; j++)
			if (conf_value_same_address(&key->list[i], &key->plain[j]))
				return key->list[i].text;
	return NULL;
}

/* What keys say together, where flags and defaults have their part in it. */
static int check_tls(const struct conf *conf, const char *file, char *message, size_t message_size)
{
	const struct tls_key keys[] = {
		{ "dns-tls", "dns", &conf->dns_tls_at, conf->dns_tls, conf->dns, conf->n_dns_tls,
		  conf->n_dns },
		{ "https", "http", &conf->https_at, conf->https, conf->http, conf->n_https,
		  conf->n_http },
	};

	for (const struct tls_key *key = keys; key < keys + 2; key++) {
		const char *text = find_overlap(key);
		int len;

		if (key->n == 0 || (!text && conf->tls.certificate))
			continue;
		len = snprintf(message, message_size, "%s:%zu:%zu: ", file, key->at->line,
			       key->at->column);
		if (len < 0 || (size_t)len >= message_size)
			return -1;
		message += len;
		message_size -= (size_t)len;
		if (text)
			snprintf(message, message_size, "'%s' is in %s too", text, key->plain_name);
		else
			snprintf(message, message_size,
				 "%s needs a certificate: tls: {certificate: FILE, key: FILE}",
				 key->name);
		return -1;
	}
	return 0;
}

static const char *find_open(const struct listen_address *addresses, size_t n)
{
	struct address address;

	for (size_t i = 0; i < n; i++) {
		listen_peer((const struct sockaddr *)&addresses[i].sockaddr, &address);
		if (!record_address_is_loopback(&address))
			return addresses[i].text;
	}
	return NULL;
}

const char *conf_find_open(const struct conf *conf)
{
	const char *text = find_open(conf->http, conf->n_http);

	return text ? text : find_open(conf->https, conf->n_https);
}

int conf_check_access(const struct conf *conf, const struct access *access, char *message,
		      size_t message_size)
{
	const char *text = conf_find_open(conf);

	if (access->n || !text)
		return 0;
	snprintf(message, message_size,
		 "HTTP at %s can be reached from other hosts, so requests must say who they are: "
		 "give \"access\" entries for tokens or certificates (rosterd.conf(5)), or listen "
		 "on a loopback address",
		 text);
	return -1;
}

/* Flags and defaults have no place in the file. */
static int check_doors(const struct conf *conf, const char *file, char *message,
		       size_t message_size)
{
	bool is_plain = find_open(conf->http, conf->n_http);
	const struct conf_place *at = is_plain ? &conf->http_at : &conf->https_at;
	char reason[256];

	if (conf_check_access(conf, &conf->access, reason, sizeof(reason)) == 0)
		return 0;
	if (at->line)
		snprintf(message, message_size, "%s:%zu:%zu: %s", file, at->line, at->column,
			 reason);
	else
		snprintf(message, message_size, "%s", reason);
	return -1;
}

int conf_load(struct conf *conf, const struct conf_flags *flags, char *message, size_t message_size)
{
	char *zone_dir = NULL;

	*conf = (struct conf){
		.rate_limit = { .rate = DEFAULT_RATE, .slip = DEFAULT_SLIP },
		.sandbox = true,
	};
	if (flags->file && conf_file_read(flags->file, conf, &zone_dir, message, message_size) < 0)
		goto err;
	if (apply_flags(conf, flags, message, message_size) < 0)
		goto err;
	snprintf(message, message_size, "out of memory");
	if (apply_defaults(conf, flags, &zone_dir) < 0)
		goto err;
	if (check_tls(conf, flags->file, message, message_size) < 0 ||
	    check_doors(conf, flags->file, message, message_size) < 0)
		goto err;
	for (size_t i = 0; i < conf->n_zones; i++)
		if (find_zone_file(&conf->zones[i], zone_dir) < 0)
			goto err;
	*message = '\0';
	free(zone_dir);
	return 0;

err:
	free(zone_dir);
	conf_fini(conf);
	return -1;
}
