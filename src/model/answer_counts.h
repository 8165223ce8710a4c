/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * answer_counts: what one worker was asked, and how long it took; for /metrics.
 *
 * Types that clients ask for have a count each, all others one together. What a client says never
 * makes a new one. Those for a name in a zone are also counted there (catalog_count_query()).
 *
 * One writer, the thread that owns the struct answer; others read through answer_counts_read().
 */
#ifndef ROSTERD_MODEL_ANSWER_COUNTS_H
#define ROSTERD_MODEL_ANSWER_COUNTS_H

#include "base/counters.h"
#include "base/histogram.h"
#include "dns/rr.h"

enum answer_transport {
	ANSWER_UDP, /* at most 512 octets without EDNS, min(the client's size, 1232) with */
	ANSWER_TCP, /* at most 65,535 octets */
	ANSWER_TLS, /* as TCP; nobody reads it on the way */
	ANSWER_TRANSPORTS,
};

/* X(type) for each RR_type that is counted by itself. */
#define ANSWER_TYPES(X) \
	X(A)            \
	X(NS)           \
	X(CNAME)        \
	X(SOA)          \
	X(PTR)          \
	X(MX)           \
	X(TXT)          \
	X(AAAA)         \
	X(SRV)          \
	X(NAPTR)        \
	X(DS)           \
	X(DNSKEY)       \
	X(SVCB)         \
	X(HTTPS)        \
	X(IXFR)         \
	X(AXFR)         \
	X(ANY)          \
	X(URI)          \
	X(CAA)

/* X(rcode) for each RCODE_rcode that a reply of ours may have. */
#define ANSWER_RCODES(X) \
	X(NOERROR)       \
	X(FORMERR)       \
	X(SERVFAIL)      \
	X(NXDOMAIN)      \
	X(NOTIMP)        \
	X(REFUSED)       \
	X(BADVERS)

enum answer_type {
	ANSWER_TYPE_OTHER,
	ANSWER_TYPE_NONE, /* no question that could be read */
#define ANSWER_TYPE_ENUM(type) ANSWER_TYPE_##type,
	ANSWER_TYPES(ANSWER_TYPE_ENUM)
#undef ANSWER_TYPE_ENUM
	ANSWER_N_TYPES,
};

struct answer_counts {
	_Atomic uint64_t queries[ANSWER_N_TYPES][ANSWER_TRANSPORTS]; /* messages that came */
	_Atomic uint64_t replies[RCODE_BADVERS + 1];
	struct histogram latency[ANSWER_TRANSPORTS]; /* of those with a reply */
	_Atomic uint64_t outside;                    /* queries for what is in no zone */
};

/* The place of each type up to ANSWER_TYPE_LAST, which stands for itself and all above. */
enum {
	ANSWER_TYPE_LAST = RR_CAA + 1,
};
extern const uint8_t answer_types[ANSWER_TYPE_LAST + 1];

static inline void answer_counts_query(struct answer_counts *counts,
				       enum answer_transport transport, unsigned type)
{
	unsigned place = answer_types[type < ANSWER_TYPE_LAST ? type : ANSWER_TYPE_LAST];

	counters_add(&counts->queries[place][transport], 1);
}

/* Adds all of `from`, which another thread may be writing, to `sum`. */
void answer_counts_read(struct answer_counts *sum, const struct answer_counts *from);

/* Of all types. */
uint64_t answer_counts_queries(const struct answer_counts *counts, enum answer_transport transport);

const char *answer_counts_transport_name(enum answer_transport transport); /* "udp" */
const char *answer_counts_type_name(enum answer_type type); /* "AAAA", "other", "none" */
const char *answer_counts_rcode_name(enum rcode rcode);     /* NULL: we never say that */

#endif
