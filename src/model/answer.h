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
 * (wildcards), 6891 (EDNS), 8020 (NXDOMAIN), 8482 (ANY), 8906 (every query gets a reply).
 */
#ifndef ROSTERD_MODEL_ANSWER_H
#define ROSTERD_MODEL_ANSWER_H

#include "base/counters.h"
#include "base/random.h"
#include "model/catalog.h"

struct answer {
	const struct catalog *catalog;
	struct counters *counters; /* the calling thread's */
	struct random random;
};

enum answer_transport {
	ANSWER_UDP, /* at most 512 octets without EDNS, min(the client's size, 1232) with */
	ANSWER_TCP, /* at most 65,535 octets */
};

/* Room that `message` must have, by transport. */
enum {
	ANSWER_ROOM_UDP = LIMIT_UDP_QUERY,
	ANSWER_ROOM_TCP = LIMIT_TCP_MESSAGE,
};

void answer_init(struct answer *answer, const struct catalog *catalog, struct counters *counters);

/*
 * Replaces the query of `len` octets in `message` by the reply to it and returns the reply's
 * length; 0: no reply is due (under 12 octets, or itself a reply). The question stays in place
 * as it was asked, letter case included.
 */
size_t answer(struct answer *answer, enum answer_transport transport, uint64_t now_ms,
	      uint8_t *message, size_t len);

#endif
