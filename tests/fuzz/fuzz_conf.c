/* SPDX-License-Identifier: BSD-2-Clause */
/* Any octets as a configuration file: refused with line and column, or within all limits. */
#include "app/conf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_conf(const struct conf *conf)
{
	assert(conf->n_dns >= 1 && conf->n_dns <= LIMIT_ADDRESSES);
	assert(conf->n_http + conf->n_https >= 1);
	assert(conf->n_http <= LIMIT_ADDRESSES && conf->n_https <= LIMIT_ADDRESSES);
	assert(conf->n_dns_tls <= LIMIT_ADDRESSES);
	assert(!conf->tls.certificate == !conf->tls.key);
	assert(conf->tls.certificate || conf->n_https + conf->n_dns_tls == 0);
	assert(conf->n_zones >= 1 && conf->n_zones <= LIMIT_ZONES);
	assert(conf->workers >= 1 && conf->workers <= LIMIT_WORKERS);
	assert(conf->ttl_s >= 1 && conf->ttl_s <= LIMIT_TTL_S);
	assert(conf->data && *conf->data);
	assert(conf->access.n <= LIMIT_ACCESS);
	for (size_t i = 0; i < conf->access.n; i++) {
		const struct access_entry *entry = &conf->access.entries[i];

		assert(entry->name && entry->has_token == !entry->identity);
		assert(entry->n_grants <= LIMIT_ACCESS_PATTERNS);
	}
	for (size_t i = 0; i < conf->n_zones; i++) {
		const struct conf_zone *zone = &conf->zones[i];

		assert(zone->domain && zone->origin_len > 1 && zone->origin_len <= LIMIT_ORIGIN);
		assert(!zone->file_is_default || zone->file);
		assert(!zone->filter.meta_key == !zone->filter.meta_value);
		for (size_t k = 0; k < i; k++)
			assert(strcmp(zone->domain, conf->zones[k].domain) != 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	static char path[64];
	struct conf_flags flags = { .file = path };
	char message[512] = "";
	struct conf conf;

	if (fd < 0) {
		fd = memfd_create("conf", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	if (conf_load(&conf, &flags, message, sizeof(message)) == 0) {
		check_conf(&conf);
	} else {
		unsigned line = 0, column = 0;

		sscanf(message + strlen(path), ":%u:%u: ", &line, &column);
		assert(line >= 1 && column >= 1);
	}
	conf_fini(&conf);
	return 0;
}
