/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zonefile: static records from a zone file (RFC 1035 5), read by ldns.
 *
 * Directives: $ORIGIN and $TTL. A record without a TTL has that of $TTL, else the last one stated,
 * else an hour. Repeated records count once, and the records of a set share its lowest TTL (RFC
 * 2181 5). Names in RDATA keep their letter case.
 *
 * Refused, each with the line where the entry starts: what ldns cannot parse, numbers out of range,
 * $INCLUDE and unknown directives, a class other than IN; records outside the zone; no SOA or two,
 * no NS at the apex; a CNAME beside other data (RFC 2181 10.1); DNAME and DNSSEC records, which the
 * server would not answer rightly. The SOA's serial is replaced by the registry's revision.
 */
#ifndef ROSTERD_IO_ZONEFILE_H
#define ROSTERD_IO_ZONEFILE_H

#include "model/compile.h"

enum {
	ZONEFILE_DEFAULT_TTL_S = 5
};

/*
 * Reads a file. `origin` in wire form. -1 with "FILE:LINE: reason" in message. The caller frees
 * with static_zone_fini(). `zone->filter` is left empty.
 */
int zonefile_read(const char *path, const uint8_t *origin, size_t origin_len,
		  struct static_zone *zone, char *message, size_t message_size);

/*
 * The content of a zone without a file: SOA (TTL and MINIMUM 5 s, RFC 2308) and NS, both naming
 * ns.<origin>, which has the addresses given. -1 when out of memory. `origin_len` is at most
 * LIMIT_ORIGIN.
 */
int zonefile_default(const uint8_t *origin, size_t origin_len, const struct address *address,
		     struct static_zone *zone);

#endif
