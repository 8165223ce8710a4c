/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any octets as a zone file: refused with a line, or a zone that keeps what zonefile.h promises and
 * that the model takes.
 */
#include "dns/name.h"
#include "dns/rr.h"
#include "io/zonefile.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_set(const struct static_zone *zone, const struct static_rrset *set)
{
	uint8_t lower[LIMIT_NAME];
	size_t at = 0;

	assert(set->n_rdata > 0 && set->ttl_s <= INT32_MAX);
	memcpy(lower, set->owner, set->owner_len);
	name_lower(lower, set->owner_len);
	assert(memcmp(lower, set->owner, set->owner_len) == 0);
	while (set->owner_len - at > zone->origin_len)
		at += 1u + set->owner[at];
	assert(set->owner_len - at == zone->origin_len);
	assert(memcmp(set->owner + at, zone->origin, zone->origin_len) == 0);
	for (size_t i = 0; i < set->n_rdata; i++) {
		assert(set->type != RR_A || set->rdata[i].len == 4);
		assert(set->type != RR_AAAA || set->rdata[i].len == 16);
		assert(set->type != RR_SRV || set->rdata[i].len > 6);
	}
	assert(set->type != RR_SOA || (set->n_rdata == 1 && set->rdata[0].len >= 22));
	assert(set->type != RR_CNAME || set->n_rdata == 1);
}

static void check_zone(struct static_zone *zone)
{
	char message[512];
	unsigned n_soa = 0;

	for (size_t i = 0; i < zone->n_sets; i++) {
		check_set(zone, &zone->sets[i]);
		n_soa += zone->sets[i].type == RR_SOA;
	}
	assert(n_soa == 1);
	if (static_zone_prepare(zone, message, sizeof(message)) < 0)
		assert(strstr(message, "types at one name"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	static char path[64];
	struct static_zone zone;
	uint8_t origin[LIMIT_NAME];
	size_t origin_len = name_parse("example", origin);
	char message[512] = "";

	if (fd < 0) {
		fd = memfd_create("zone", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	if (zonefile_read(path, origin, origin_len, &zone, message, sizeof(message)) == 0) {
		check_zone(&zone);
		static_zone_fini(&zone);
	} else {
		unsigned line = 0;

		sscanf(message + strlen(path), ":%u: ", &line);
		assert(line >= 1);
	}
	return 0;
}
