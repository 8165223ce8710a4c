/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * answer_reply: the reply in the making, and how sets of records get into it; inside of the answer
 * path (model/answer.h).
 */
#ifndef ROSTERD_MODEL_ANSWER_REPLY_H
#define ROSTERD_MODEL_ANSWER_REPLY_H

#include "dns/wire.h"
#include "model/answer.h"

struct reply {
	struct answer *answer;
	const struct wire_query *query;
	uint64_t now_ms;
	struct wire_writer writer;
	uint16_t flags;
	unsigned rcode;
	uint32_t n_answer, n_authority, n_additional;
	enum ede ede;         /* why, in RFC 8914's words; EDE_NONE */
	const char *ede_text; /* static */
};

/* The name that is being looked up: the question's, then targets of CNAMEs. */
struct subject {
	const struct wire_name *name;
	size_t off; /* where it stands in the message, uncompressed */
	const struct zone *zone;
	size_t len; /* octets of the name that are below the zone's apex */
};

/*
 * Puts a set into the answer section, drawn and rotated, as many whole records as fit (else TC);
 * with SRV records, if all of them fit, as many addresses of their targets as fit. `entry` is the
 * one that has the set: no alias.
 */
void answer_reply_put(struct reply *reply, const struct subject *subject, const struct entry *entry,
		      const struct rrset *set);

/* The same for a set that is not laid out (model/single.h). false: there is none of this type. */
bool answer_reply_put_single(struct reply *reply, const struct subject *subject,
			     const struct entry *entry, uint16_t type);

/*
 * Puts the zone's SOA into the authority section of a negative answer (RFC 2308 3). `entry` is the
 * name's, or NULL if there is no such name.
 */
void answer_reply_put_soa(struct reply *reply, const struct subject *subject,
			  const struct entry *entry);

/*
 * Puts NS and glue of a delegation, a referral; the delegation's name begins `at` octets into the
 * subject's. Glue that does not fit sets TC (RFC 9471).
 */
void answer_reply_put_referral(struct reply *reply, const struct subject *subject,
			       const struct entry *entry, size_t at);

#endif
