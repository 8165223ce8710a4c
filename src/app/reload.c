/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/reload.h"

#include "app/zones.h"
#include "base/log.h"

#include <string.h>

static bool same_addresses(const struct listen_address *a, size_t n_a,
			   const struct listen_address *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (strcmp(a[i].text, b[i].text) != 0)
			return false;
	return true;
}

static bool same_limits(const struct udp_limit_options *a, const struct udp_limit_options *b)
{
	return a->rate == b->rate && a->slip == b->slip && a->n_allow == b->n_allow &&
	       memcmp(a->allow, b->allow, a->n_allow * sizeof(*a->allow)) == 0;
}

size_t reload_list_fixed(const struct conf *old, const struct conf *new,
			 const char *keys[API_FIXED])
{
	const struct {
		const char *key;
		bool same;
	} fixed[] = {
		{ "dns", same_addresses(old->dns, old->n_dns, new->dns, new->n_dns) },
		{ "http", same_addresses(old->http, old->n_http, new->http, new->n_http) },
		{ "dns-tls",
		  same_addresses(old->dns_tls, old->n_dns_tls, new->dns_tls, new->n_dns_tls) },
		{ "https", same_addresses(old->https, old->n_https, new->https, new->n_https) },
		{ "workers", old->workers == new->workers },
		{ "rate-limit", same_limits(&old->rate_limit, &new->rate_limit) },
		{ "data", strcmp(old->data, new->data) == 0 },
		{ "identity", strcmp(old->identity, new->identity) == 0 },
		{ "version", strcmp(old->version, new->version) == 0 },
		{ "user", strcmp(old->user ? old->user : "", new->user ? new->user : "") == 0 },
		{ "sandbox", old->sandbox == new->sandbox },
	};

	size_t n = 0;

	_Static_assert(sizeof(fixed) / sizeof(fixed[0]) <= API_FIXED, "room for all");
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (!fixed[i].same)
			keys[n++] = fixed[i].key;
	return n;
}

/* What is fixed while the process lives is named if the new configuration differs. */
static void warn_fixed(const struct conf *old, const struct conf *new)
{
	const char *keys[API_FIXED];
	size_t n = reload_list_fixed(old, new, keys);

	for (size_t i = 0; i < n; i++)
		log_event(LOG_WARNING, "reload-ignored", "key", keys[i], "reason",
			  "takes a restart", NULL);
}

/* The addresses that are open stay so, whatever the new configuration says of them. */
struct static_zone *reload_read(const struct conf *old, const struct conf_flags *flags,
				struct conf *conf, struct tls **tls, char *message,
				size_t message_size)
{
	struct static_zone *zones = NULL;

	*tls = NULL;
	if (conf_load(conf, flags, message, message_size) == 0 &&
	    conf_check_access(old, &conf->access, message, message_size) == 0) {
		warn_fixed(old, conf);
		if (conf->tls.certificate)
			*tls = tls_new(&conf->tls, message, message_size);
		if (*tls || !conf->tls.certificate)
			zones = zones_read(conf, message, message_size);
	}
	if (!zones) {
		tls_free(*tls);
		conf_fini(conf);
	}
	return zones;
}
