/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/answer.h"

#include "model/answer_edns.h"
#include "model/answer_reply.h"

/* ---- RFC 1034 4.3.2 ---- */

/* Step 2: the zone with the most labels that the name is in. */
static bool find_zone(const struct zone_list *list, struct subject *subject)
{
	const struct wire_name *name = subject->name;

	for (size_t i = 0; i < list->n; i++) {
		const struct zone *zone = list->zones[i];
		size_t at;

		if (zone->origin_labels > name->n_labels)
			continue;
		at = name->labels[name->n_labels - zone->origin_labels];
		if (name->len - at != zone->origin_len ||
		    !name_equal(name->name + at, zone->origin, zone->origin_len))
			continue;
		subject->zone = zone;
		subject->len = at;
		return true;
	}
	return false;
}

static const struct entry *find(const struct subject *subject, size_t at)
{
	const uint8_t *name = subject->name->name + at;
	size_t len = subject->len - at;

	if (len == 0)
		return atomic_load_explicit(&subject->zone->apex, memory_order_acquire);
	return catalog_find(subject->zone, name, len);
}

/* The nearest existing name above one that does not exist; *at is where it begins. */
static const struct entry *find_encloser(const struct subject *subject, size_t *at)
{
	const struct entry *entry = NULL;

	for (unsigned label = 1; !entry; label++) {
		*at = subject->name->labels[label];
		entry = find(subject, *at);
	}
	return entry;
}

/* Step 3c: the wildcard below the nearest existing name (RFC 4592 3.3.1). */
static const struct entry *find_wildcard(const struct subject *subject,
					 const struct entry *encloser)
{
	uint8_t name[LIMIT_NAME + 2 + 16] = { 1, '*' };
	size_t len = 2u + encloser->name_len;

	if (!(entry_flags(encloser) & ENTRY_WILDCARD_CHILD))
		return NULL;
	memcpy(name + 2, encloser->name, encloser->name_len);
	return catalog_find(subject->zone, name, len);
}

/*
 * The set that answers a question of this type, and in *entry whose it is; ANY gets the first one
 * (RFC 8482 4.1).
 */
static const struct rrset *choose_set(const struct entry **entry, uint16_t type)
{
	unsigned only_type = (*entry)->only_type;

	if (only_type) {
		if (type != only_type && type != RR_ANY)
			return NULL;
		*entry = entry_from(*entry);
		return entry_find_own(*entry, (uint16_t)only_type);
	}
	if (type != RR_ANY)
		return entry_find_own(*entry, type);
	return (*entry)->n_sets ? entry_rrset(*entry, 0) : NULL;
}

/*
 * Follows a CNAME whose record was just put: the subject becomes its target, which stands at the
 * end of the reply. false: the target is not ours, the client asks on.
 */
static bool follow_cname(struct reply *reply, const struct rrset *cname, struct wire_name *name,
			 struct subject *subject)
{
	size_t target_len = cname->len - RR_RDATA_AT;
	const uint8_t *target = reply->writer.at - target_len;

	if (wire_name_parse(target, reply->writer.at, name) == 0)
		return false;
	subject->name = name;
	subject->off = (size_t)(target - reply->writer.message);
	return find_zone(catalog_zones(reply->answer->catalog), subject);
}

/* RFC 8914: why there is no record, or why those that there are may be of little use. */
static void explain_policy(struct reply *reply, unsigned flags)
{
	reply->ede = flags & ENTRY_STALE ? EDE_STALE_ANSWER : EDE_OTHER;
	if (flags & ENTRY_UNSERVED)
		reply->ede_text = "no healthy instance";
	else if (flags & ENTRY_STALE)
		reply->ede_text = "no healthy instance: the last healthy ones are served";
	else
		reply->ede_text = "too few healthy instances: all are served";
}

/* For a name that has no set of this type laid out: it is made now, or there is none. */
static void put_without_set(struct reply *reply, const struct subject *subject,
			    const struct entry *entry)
{
	if (!(entry_flags(entry) & (ENTRY_SINGLE | ENTRY_TEXTLESS)) ||
	    !answer_reply_put_single(reply, subject, entry, reply->query->type))
		answer_reply_put_soa(reply, subject, entry);
}

/* Answers for one name. true: it is an alias and the subject is now its target. */
static bool answer_subject(struct reply *reply, struct subject *subject, struct wire_name *name)
{
	uint16_t type = reply->query->type;
	const struct entry *entry = find(subject, 0);
	const struct rrset *set;
	size_t at = 0;
	unsigned flags;

	if (!entry) {
		const struct entry *encloser = find_encloser(subject, &at);

		flags = entry_flags(encloser);
		if (flags & ENTRY_DELEGATION) {
			answer_reply_put_referral(reply, subject, encloser, at);
			return false;
		}
		entry = find_wildcard(subject, encloser);
		if (!entry) {
			reply->flags |= WIRE_AA;
			reply->rcode = RCODE_NXDOMAIN;
			answer_reply_put_soa(reply, subject, NULL);
			return false;
		}
	}
	flags = entry_flags(entry);
	if ((flags & ENTRY_DELEGATION) && type != RR_DS) {
		answer_reply_put_referral(reply, subject, entry, at);
		return false;
	}
	/* RFC 1035 4.1.1: it is about the first owner name, so a referral behind a CNAME keeps it.
	 */
	reply->flags |= WIRE_AA;
	if ((flags & ENTRY_CNAME) && type != RR_CNAME && type != RR_ANY) {
		set = entry_find(entry, RR_CNAME);
		answer_reply_put(reply, subject, entry, set);
		return !(reply->flags & WIRE_TC) && follow_cname(reply, set, name, subject);
	}
	set = choose_set(&entry, type);
	if (flags & (ENTRY_UNSERVED | ENTRY_OPEN | ENTRY_STALE))
		explain_policy(reply, flags);
	if (set) {
		answer_reply_put(reply, subject, entry, set);
		return false;
	}
	put_without_set(reply, subject, entry);
	return false;
}

static void refuse(struct reply *reply, enum ede ede, const char *text)
{
	reply->rcode = RCODE_REFUSED;
	reply->ede = ede;
	reply->ede_text = text;
}

static void answer_question(struct reply *reply)
{
	const struct wire_query *query = reply->query;
	const struct zone_list *zones = catalog_zones(reply->answer->catalog);
	struct subject subject = { .name = &query->name, .off = WIRE_HEADER };
	struct wire_name names[2];

	if (query->class == CLASS_CH) {
		counters_add(&reply->answer->counts.outside, 1);
		if (!answer_edns_put_chaos(reply))
			refuse(reply, EDE_PROHIBITED, "not told");
		return;
	}
	if (query->class != CLASS_IN || !find_zone(zones, &subject)) {
		counters_add(&reply->answer->counts.outside, 1);
		refuse(reply, EDE_NOT_AUTHORITATIVE, "");
		return;
	}
	catalog_count_query(subject.zone, reply->answer->reader);
	if (query->type == RR_AXFR || query->type == RR_IXFR) {
		refuse(reply, EDE_PROHIBITED, "no zone transfer");
		return;
	}
	if (atomic_load_explicit(&zones->is_loading, memory_order_acquire)) {
		reply->rcode = RCODE_SERVFAIL;
		reply->ede = EDE_NOT_READY;
		reply->ede_text = "starting";
		return;
	}
	for (unsigned link = 0; link <= LIMIT_CNAME_CHAIN; link++)
		if (!answer_subject(reply, &subject, &names[link % 2]))
			return;
	/* A loop, or as good as one: an error in the zone file. */
	counters_add(&reply->answer->counters->limit_cname_chain, 1);
	reply->writer.at = reply->writer.message + query->question_end;
	reply->n_answer = 0;
	reply->flags = 0;
	reply->rcode = RCODE_SERVFAIL;
	reply->ede = EDE_OTHER;
	reply->ede_text = "too many CNAMEs";
}

/* ---- From a message to its reply ---- */

static void count_unread(struct answer *answer, const struct answer_peer *peer)
{
	counters_add(&answer->counts.queries[ANSWER_TYPE_NONE][peer->transport], 1);
}

/* A reply that is a header alone: id and opcode as asked, other flags clear (RFC 8906 8.1.4). */
static size_t reply_header(struct answer *answer, const struct answer_peer *peer, uint8_t *message,
			   unsigned rcode)
{
	unsigned opcode = wire_get16(message + 2) & WIRE_OPCODE;

	count_unread(answer, peer);
	wire_set16(message + 2, (uint16_t)(WIRE_QR | opcode | rcode));
	memset(message + 4, 0, WIRE_HEADER - 4);
	counters_add(&answer->counts.replies[rcode], 1);
	return WIRE_HEADER;
}

/* The octets that the reply may have. */
static size_t reply_room(enum answer_transport transport, const struct wire_query *query)
{
	size_t room = LIMIT_UDP_PLAIN;

	if (transport != ANSWER_UDP)
		return LIMIT_TCP_MESSAGE;
	if (query->has_edns && query->edns_size > room)
		room = query->edns_size < LIMIT_UDP_EDNS ? query->edns_size : LIMIT_UDP_EDNS;
	return room;
}

static size_t reply_finish(struct reply *reply, struct answer_edns *edns)
{
	struct wire_writer *writer = &reply->writer;
	uint8_t *message = writer->message;
	struct answer *answer = reply->answer;

	if (reply->query->has_edns)
		answer_edns_put(reply, edns);
	wire_set16(message + 2, (uint16_t)(WIRE_QR | (wire_get16(message + 2) & WIRE_RD) |
					   reply->flags | (reply->rcode & 15)));
	wire_set16(message + 6, (uint16_t)reply->n_answer);
	wire_set16(message + 8, (uint16_t)reply->n_authority);
	wire_set16(message + 10, (uint16_t)reply->n_additional);
	counters_add(&answer->counts.replies[reply->rcode], 1);
	if (reply->flags & WIRE_TC)
		counters_add(&answer->counters->truncated, 1);
	return (size_t)(writer->at - message);
}

void answer_init(struct answer *answer, const struct catalog *catalog, struct counters *counters,
		 const struct answer_identity *identity)
{
	answer->catalog = catalog;
	answer->counters = counters;
	answer->identity = identity;
	random_init(&answer->random);
	answer->counts = (struct answer_counts){ 0 };
	answer->reader = CATALOG_NOBODY;
}

size_t answer(struct answer *answer, const struct answer_peer *peer, const struct answer_time *time,
	      uint8_t *message, size_t len)
{
	struct wire_query query;
	struct answer_edns edns;
	struct reply reply = {
		.answer = answer,
		.query = &query,
		.now_ms = time->now_ms,
		.ede = EDE_NONE,
	};
	unsigned opcode;

	answer->is_proven = answer->has_edns = false;
	if (!wire_is_query(message, len)) {
		count_unread(answer, peer);
		counters_add(&answer->counters->silent, 1);
		return 0;
	}
	opcode = (wire_get16(message + 2) & WIRE_OPCODE) >> WIRE_OPCODE_SHIFT;
	if (opcode == OPCODE_NOTIFY || opcode == OPCODE_UPDATE)
		return reply_header(answer, peer, message, RCODE_REFUSED);
	if (opcode != OPCODE_QUERY)
		return reply_header(answer, peer, message, RCODE_NOTIMP);
	if (wire_query_parse(message, len, &query) != WIRE_OK)
		return reply_header(answer, peer, message, RCODE_FORMERR);
	answer_counts_query(&answer->counts, peer->transport, query.type);
	reply.writer = (struct wire_writer){
		.message = message,
		.at = message + query.question_end,
		.end = message + reply_room(peer->transport, &query),
	};
	answer->has_edns = query.has_edns;
	answer->edns_flags = query.edns_flags & WIRE_EDNS_DO;
	if (query.has_edns)
		reply.writer.end -= answer_edns_prepare(&edns, answer, &query, peer, time);
	if (query.has_edns && query.edns_version > 0)
		reply.rcode = RCODE_BADVERS;
	else
		answer_question(&reply);
	return reply_finish(&reply, &edns);
}
