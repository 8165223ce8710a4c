/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * answer: THE function. A DNS message comes in, the reply to it goes out; UDP, TCP, the fuzzers,
 * the benchmarks and the scenario tests all call it.
 *
 * It allocates nothing, locks nothing, makes no system call and writes only to the message, the
 * counters and the generator of its own struct answer. Any thread, one struct answer each, between
 * catalog_reader_online() and _offline().
 *
 * RFC 1034 4.3.2 (algorithm), 1035 (format), 2181, 2308 (negative answers), 2782 (SRV), 4592
 * (wildcards), 4892 (id.server), 5001 (NSID), 6891 (EDNS), 7828 (keepalive), 7873 and 9018
 * (cookies), 7830 (padding), 8020 (NXDOMAIN), 8482 (ANY), 8906 (every query gets a reply), 8914
 * (why), 9471 (glue).
 */
#ifndef ROSTERD_MODEL_ANSWER_H
#define ROSTERD_MODEL_ANSWER_H

#include "base/random.h"
#include "base/siphash.h"
#include "dns/wire.h"
#include "model/answer_counts.h"
#include "model/catalog.h"

/* What the server says of itself. Const while workers run. */
struct answer_identity {
	char id[64]; /* id.server and hostname.bind (RFC 4892), NSID (RFC 5001); "": not told */
	char version[64]; /* version.bind and version.server; "": not told */
	struct siphash_key cookie_secret;
};

struct answer {
	const struct catalog *catalog;
	struct counters *counters; /* the calling thread's */
	const struct answer_identity *identity;
	struct random random;
	struct answer_counts counts;
	unsigned reader; /* of the catalog, to count by; CATALOG_NOBODY unless the owner sets it */
	/* The last query had a cookie of ours: its sender's address is not forged. */
	bool is_proven;
	/* It had an OPT record, with these flags; so has its reply (RFC 6891 7, RFC 3225 3). */
	bool has_edns;
	uint16_t edns_flags;
};

/* Who asks. */
struct answer_peer {
	enum answer_transport transport;
	uint8_t address_len;    /* octets: 4 or 16; for cookies */
	const uint8_t *address; /* network order */
	uint16_t keepalive_ds;  /* TCP, TLS: how long the connection may be idle, in 100 ms (RFC
				   7828) */
};

struct answer_time {
	uint64_t now_ms; /* server time, what deadlines are in */
	uint32_t wall_s; /* Unix time, for cookies */
};

/* Octets that `message` must have, by transport; dns/wire.h says why there is slack. */
enum {
	ANSWER_ROOM_UDP = LIMIT_UDP_QUERY + WIRE_SLACK,
	ANSWER_ROOM_TCP = LIMIT_TCP_MESSAGE + WIRE_SLACK,
};

void answer_init(struct answer *answer, const struct catalog *catalog, struct counters *counters,
		 const struct answer_identity *identity);

/*
 * Replaces the query of `len` octets in `message` by the reply to it and returns the reply's
 * length; 0: no reply is due (under 12 octets, or itself a reply). The question stays in place
 * as it was asked, letter case included.
 */
size_t answer(struct answer *answer, const struct answer_peer *peer, const struct answer_time *time,
	      uint8_t *message, size_t len);

#endif
