/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf: the configuration, from flags and a strict YAML file (libyaml); rosterd.conf(5).
 *
 *     server:
 *       dns: [127.0.0.1@8600]
 *       http: [127.0.0.1@8500]
 *       workers: 2
 *       data: ./rosterd-data
 *       ttl: 5s
 *       zone-dir: zones
 *       identity: dns1
 *       version: none of your business
 *       check-loopback: false
 *       rate-limit: {rate: 200, slip: 2, allow: [10.0.0.0/8]}
 *       http-names: [rosterd.example.net]
 *       http-origins: [https://ops.example.net]
 *       user: rosterd
 *       sandbox: true
 *       https: [0.0.0.0@8501]
 *       dns-tls: [0.0.0.0@853]
 *       services-dir: services.d
 *       tls: {certificate: server.crt, key: server.key, client-ca: clients.crt}
 *     zone:
 *       - domain: service.local
 *         file: service.local.zone
 *       - domain: eu.example
 *         filter: {tag: eu}
 *     access:
 *       - name: ci
 *         token-sha256: <64 hexadecimal digits>
 *         register: [payment, cart-*]
 *       - name: ops
 *         identity: ops.example.net
 *         admin: "*"
 *
 * Keys stand in tables (conf_file.c, conf_access.c) that parsing and the error for an unknown key
 * share; flags in one (conf_flags.c) that parsing and --help share. Flags win over the file.
 * Relative paths in the file are relative to its folder, a zone's `file` to zone-dir; flags and
 * defaults to the working directory.
 *
 * A filter is {tag: TAG} or {meta: {key: KEY, value: VALUE}}. zone-dir is `zones` beside the file
 * if not said, and without a file ROSTERD_SYSCONFDIR/zones.
 */
#ifndef ROSTERD_APP_CONF_H
#define ROSTERD_APP_CONF_H

#include "api/access.h"
#include "api/guard.h"
#include "io/listen.h"
#include "io/tls.h"
#include "io/udp_limit.h"
#include "model/compile.h"

/* Exit codes of rosterd (sysexits.h knows 78 as EX_CONFIG). */
enum {
	EXIT_USAGE = 2,
	EXIT_CONFIG = 78,
};

enum {
	CONF_SAYING = 64 /* octets with the NUL, as struct answer_identity has them */
};

/* Whether checks may connect to loopback addresses. */
enum conf_loopback {
	CONF_LOOPBACK_BY_HTTP, /* if all HTTP addresses are loopback ones too */
	CONF_LOOPBACK_NO,
	CONF_LOOPBACK_YES,
};

struct conf_zone {
	uint8_t origin[LIMIT_NAME];
	size_t origin_len;
	char *domain;         /* as text */
	char *file;           /* path; NULL: no file, the built-in apex */
	bool file_is_default; /* not configured, but there: ZONE-DIR/DOMAIN.zone */
	struct zone_filter filter;
};

/* Where something stands in the file. */
struct conf_place {
	size_t line, column;
};

struct conf {
	size_t n_dns, n_http, n_dns_tls, n_https, n_zones;
	struct listen_address *dns, *http, *dns_tls, *https;
	struct conf_place http_at, dns_tls_at, https_at; /* line 0: not in the file */
	struct tls_options tls; /* complete, if there is dns_tls or https */
	struct conf_zone *zones;
	unsigned workers;   /* as configured; default: the number of processors */
	char *data;         /* directory */
	char *services_dir; /* directory of files of services; NULL: none */
	uint32_t ttl_s;
	char identity[CONF_SAYING]; /* "": not told */
	char version[CONF_SAYING];  /* "": not told */
	enum conf_loopback check_loopback;
	struct udp_limit_options rate_limit;
	struct guard guard;
	struct access access;
	char *user; /* "name" or "name:group"; NULL: whoever starts us */
	bool sandbox;
};

/* What the command line says. Strings point into argv. */
struct conf_flags {
	const char *file;
	const char *zone; /* replaces the file's zones */
	const char *dns[LIMIT_ADDRESSES];
	size_t n_dns;
	const char *http;
	const char *data;
	const char *workers;
	const char *export_to, *import_from; /* "-": standard output, input */
	bool replace, check_only, version, help;
	char **argv; /* all of it */
};

/* Reads argv. false with a one-line message on bad usage. */
bool conf_flags_parse(struct conf_flags *flags, int argc, char **argv, char *message,
		      size_t message_size);

/* A flag, for the manual. `alias`, `argument`: NULL if it has none. */
struct conf_flag_help {
	const char *name, *alias, *argument, *help;
};

/* The flag at this place of the table; false: there are no more. */
bool conf_flags_get(size_t i, struct conf_flag_help *help);

/* The text of --help, made from the table of flags. */
void conf_flags_help(char *text, size_t text_size);

/*
 * Fills `conf` from defaults, the file of `flags` (if it names one) and flags. -1 with a message:
 * "FILE:LINE:COLUMN: reason"; then `conf` is empty. Either way conf_fini() may be called.
 */
int conf_load(struct conf *conf, const struct conf_flags *flags, char *message,
	      size_t message_size);
void conf_fini(struct conf *conf);

/* An address of HTTP, with TLS or without, that other hosts can reach; NULL: there is none. */
const char *conf_find_open(const struct conf *conf);

/*
 * Other hosts can reach the HTTP port only where requests must say who they are: whether that is so
 * with the addresses of one configuration and the entries of another. conf_load() sees to its own.
 * -1 with a message.
 */
int conf_check_access(const struct conf *conf, const struct access *access, char *message,
		      size_t message_size);

#endif
