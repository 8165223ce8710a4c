/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/zones.h"

#include "base/log.h"
#include "io/zonefile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -1 when out of memory. */
static int copy_filter(struct zone_filter *to, const struct zone_filter *from)
{
	to->tag = from->tag ? strdup(from->tag) : NULL;
	to->meta_key = from->meta_key ? strdup(from->meta_key) : NULL;
	to->meta_value = from->meta_value ? strdup(from->meta_value) : NULL;
	return (!to->tag && from->tag) || (!to->meta_key && from->meta_key) ||
			       (!to->meta_value && from->meta_value)
		       ? -1
		       : 0;
}

/* Where the built-in apex says that we are. */
static struct address find_own_address(const struct conf *conf)
{
	struct address own = { 0 };

	for (size_t i = 0; i < conf->n_dns; i++) {
		struct address address;

		listen_reach(&conf->dns[i], &address);
		if (address.has_v4 && !own.has_v4)
			memcpy(own.v4, address.v4, sizeof(own.v4));
		if (address.has_v6 && !own.has_v6)
			memcpy(own.v6, address.v6, sizeof(own.v6));
		own.has_v4 |= address.has_v4;
		own.has_v6 |= address.has_v6;
	}
	return own;
}

static int read_zone(const struct conf *conf, const struct conf_zone *from, struct static_zone *to,
		     char *message, size_t message_size)
{
	struct address address;

	if (from->file) {
		if (zonefile_read(from->file, from->origin, from->origin_len, to, message,
				  message_size))
			return -1;
	} else {
		address = find_own_address(conf);
		if (zonefile_default(from->origin, from->origin_len, &address, to))
			goto no_memory;
	}
	if (copy_filter(&to->filter, &from->filter) == 0)
		return 0;
no_memory:
	static_zone_fini(to);
	snprintf(message, message_size, "out of memory");
	return -1;
}

struct static_zone *zones_read(const struct conf *conf, char *message, size_t message_size)
{
	struct static_zone *zones = calloc(conf->n_zones + 1, sizeof(*zones));

	if (!zones) {
		snprintf(message, message_size, "out of memory");
		return NULL;
	}
	for (size_t i = 0; i < conf->n_zones; i++) {
		if (read_zone(conf, &conf->zones[i], &zones[i], message, message_size)) {
			zones_free(zones, i);
			return NULL;
		}
	}
	return zones;
}

void zones_free(struct static_zone *zones, size_t n)
{
	for (size_t i = 0; i < n; i++)
		static_zone_fini(&zones[i]);
	free(zones);
}
