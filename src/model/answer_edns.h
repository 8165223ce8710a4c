/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * answer_edns: what the server says beside records: the OPT record and its options, and the CHAOS
 * names; inside of the answer path (model/answer.h).
 */
#ifndef ROSTERD_MODEL_ANSWER_EDNS_H
#define ROSTERD_MODEL_ANSWER_EDNS_H

#include "model/answer_reply.h"

enum {
	ANSWER_EDNS_BLOCK = 468 /* octets; replies are padded to multiples of it (RFC 8467 4.1) */
};

/* The options of a reply. */
struct answer_edns {
	size_t len;
	bool is_padded;
	uint8_t options[256 + ANSWER_EDNS_BLOCK];
};

/*
 * Makes the options that the query asks for: NSID, a cookie, keepalive (TCP, TLS); padding
 * (TLS) comes later. Returns the octets that the OPT record will take at least.
 */
size_t answer_edns_prepare(struct answer_edns *edns, struct answer *answer,
			   const struct wire_query *query, const struct answer_peer *peer,
			   const struct answer_time *time);

/* Puts the OPT record into the room that was kept for it, with an extended error if that fits,
 * and padding up to what the reply may have. */
void answer_edns_put(struct reply *reply, struct answer_edns *edns);

/* Answers a question of class CH. false: we do not tell, or do not know. */
bool answer_edns_put_chaos(struct reply *reply);

#endif
