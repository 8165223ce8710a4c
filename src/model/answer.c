/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/answer.h"

#include "dns/wire.h"

#include <string.h>

enum {
	SOA_SERIAL_FROM_END = 20, /* RFC 1035 3.3.13: five numbers end the RDATA */
	SOA_MINIMUM_FROM_END = 4,
	DRAWS_MAX = 8, /* per record wanted, before the slow way */
};

/* The reply in the making. */
struct reply {
	struct answer *answer;
	const struct wire_query *query;
	uint64_t now_ms;
	struct wire_writer writer;
	uint16_t flags;
	unsigned rcode;
	uint32_t n_answer, n_authority, n_additional;
};

/* The name that is being looked up: the question's, then targets of CNAMEs. */
struct subject {
	const struct wire_name *name;
	size_t off; /* where it stands in the message, uncompressed */
	const struct zone *zone;
	size_t len; /* octets of the name that are below the zone's apex */
};

/* Records [first, end) of a set, in the order in which a reply has them. */
struct range {
	uint32_t first, end;
};

static size_t record_len(const uint8_t *record)
{
	return RR_RDATA_AT + (size_t)wire_get16(record + RR_RDLENGTH_AT);
}

static uint32_t answer_ttl_s(const struct reply *reply, const struct entry *entry,
			     const struct rrset *set)
{
	uint64_t until_ms =
		atomic_load_explicit(&entry->from->stable_until_ms, memory_order_relaxed);
	uint64_t left_s = until_ms > reply->now_ms ? (until_ms - reply->now_ms) / 1000 : 0;

	if (left_s >= set->ttl_s)
		return set->ttl_s;
	return left_s > 0 ? (uint32_t)left_s : 1;
}

/* Copies whole octets of records; the caller has seen to it that they fit. */
static void copy_records(struct reply *reply, const uint8_t *records, size_t len)
{
	memcpy(reply->writer.at, records, len);
	reply->writer.at += len;
}

/* Gives the records between two places their owner and TTL, where the compiled ones do not fit. */
static void patch_records(uint8_t *at, const uint8_t *end, uint16_t owner, uint32_t ttl_s)
{
	while (at < end) {
		wire_set16(at, owner);
		wire_set32(at + RR_TTL_AT, ttl_s);
		at += record_len(at);
	}
}

/* ---- Drawing by weight ---- */

static const struct alias *set_alias(const struct rrset *set)
{
	return (const struct alias *)(const void *)((const uint8_t *)set + set->alias_off);
}

/* One of the first n_rotate records, by weight. */
static uint32_t draw(struct random *random, const struct rrset *set)
{
	uint64_t bits = random_bits(random);
	uint32_t i = (uint32_t)(((bits >> 32) * set->n_rotate) >> 32);

	if (set->alias_off && (uint32_t)bits >= set_alias(set)[i].keep)
		return set_alias(set)[i].other;
	return i;
}

static bool is_drawn(const uint32_t *drawn, uint32_t n, uint32_t i)
{
	for (uint32_t k = 0; k < n; k++)
		if (drawn[k] == i)
			return true;
	return false;
}

/* One record by weight among those not drawn yet, by a walk over all. */
static uint32_t draw_rest(struct random *random, const struct rrset *set, const uint32_t *drawn,
			  uint32_t n)
{
	uint64_t total = 0, at = 0, point;
	uint32_t last = 0;

	for (uint32_t i = 0; i < set->count; i++)
		if (!is_drawn(drawn, n, i))
			total += set->alias_off ? set_alias(set)[i].weight : 1;
	point = total ? random_bits(random) % total : 0;
	for (uint32_t i = 0; i < set->count; i++) {
		if (is_drawn(drawn, n, i))
			continue;
		last = i;
		at += set->alias_off ? set_alias(set)[i].weight : 1;
		if (at > point)
			break;
	}
	return last;
}

/* set->limit records by weight without replacement: draws that repeat are thrown away. */
static uint32_t draw_some(struct random *random, const struct rrset *set,
			  uint32_t drawn[LIMIT_ANSWER_LIMIT])
{
	uint32_t n = 0;

	for (unsigned tries = 0; n < set->limit && tries < set->limit * DRAWS_MAX; tries++) {
		uint32_t i = draw(random, set);

		if (!is_drawn(drawn, n, i))
			drawn[n++] = i;
	}
	for (; n < set->limit; n++)
		drawn[n] = draw_rest(random, set, drawn, n);
	return n;
}

/* ---- Putting sets ---- */

static void put_drawn(struct reply *reply, const struct rrset *set)
{
	uint32_t drawn[LIMIT_ANSWER_LIMIT];
	uint32_t n = draw_some(&reply->answer->random, set, drawn);

	for (uint32_t i = 0; i < n; i++) {
		if (!wire_fits(&reply->writer, set->stride)) {
			reply->flags |= WIRE_TC;
			return;
		}
		copy_records(reply, set->records + (size_t)drawn[i] * set->stride, set->stride);
		reply->n_answer++;
	}
}

/* Where record `i` of a set begins. */
static size_t record_off(const struct rrset *set, uint32_t i)
{
	size_t off = 0;

	if (set->stride)
		return (size_t)i * set->stride;
	if (i == set->count)
		return set->len;
	while (i-- > 0)
		off += record_len(set->records + off);
	return off;
}

/*
 * The order of a set in this reply: the part that rotates, beginning at a drawn record, then the
 * rest. A set of SRV records that must be cut is not rotated: clients that take what they get
 * (HAProxy) would see servers come and go with every reply.
 */
static void order_set(struct reply *reply, const struct rrset *set, struct range range[3])
{
	bool fits = wire_fits(&reply->writer, set->len);
	uint32_t first = 0;

	if (set->n_rotate > 1 && (fits || set->type != RR_SRV))
		first = draw(&reply->answer->random, set);
	range[0] = (struct range){ first, set->n_rotate };
	range[1] = (struct range){ 0, first };
	range[2] = (struct range){ set->n_rotate, set->count };
}

/* Copies a range of records, or as many of them as fit, whole. */
static void put_range(struct reply *reply, const struct rrset *set, struct range range)
{
	const uint8_t *at = set->records + record_off(set, range.first);
	size_t len = record_off(set, range.end) - (size_t)(at - set->records);

	if (wire_fits(&reply->writer, len)) {
		copy_records(reply, at, len);
		reply->n_answer += range.end - range.first;
		return;
	}
	reply->flags |= WIRE_TC;
	for (; wire_fits(&reply->writer, record_len(at)); at += len) {
		len = record_len(at);
		copy_records(reply, at, len);
		reply->n_answer++;
	}
}

/* Walks the additional records of a set. */
struct additional {
	const uint8_t *at;
	uint32_t left;
};

static uint32_t additional_index(const struct additional *additional)
{
	uint32_t i;

	memcpy(&i, additional->at, sizeof(i));
	return i;
}

static void additional_next(struct additional *additional)
{
	additional->at += sizeof(uint32_t) + record_len(additional->at + sizeof(uint32_t));
	additional->left--;
}

/*
 * Puts one additional record. Its owner is the target at `target_off`, by a pointer where one
 * reaches that far. false: it does not fit.
 */
static bool put_additional(struct reply *reply, const uint8_t *record, size_t target_off,
			   size_t target_len, uint32_t ttl_s)
{
	struct wire_writer *writer = &reply->writer;
	size_t len = record_len(record);

	if (target_off <= WIRE_POINTER_MAX) {
		if (!wire_fits(writer, len))
			return false;
		memcpy(writer->at, record, len);
		wire_set16(writer->at, (uint16_t)(0xc000 | target_off));
		wire_set32(writer->at + RR_TTL_AT, ttl_s);
		writer->at += len;
	} else {
		if (!wire_fits(writer, target_len + len - 2))
			return false;
		memcpy(writer->at, writer->message + target_off, target_len);
		memcpy(writer->at + target_len, record + 2, len - 2);
		wire_set32(writer->at + target_len + RR_TTL_AT - 2, ttl_s);
		writer->at += target_len + len - 2;
	}
	reply->n_additional++;
	return true;
}

/* Addresses of the SRV targets that the reply has, from `at` on, in its order; as many as fit. */
static void put_targets(struct reply *reply, const struct rrset *set, const struct range range[3],
			const uint8_t *at, uint32_t ttl_s)
{
	const uint8_t *message = reply->writer.message;

	for (unsigned r = 0; r < 3; r++) {
		struct additional additional = {
			.at = (const uint8_t *)set + set->add_off,
			.left = range[r].first < range[r].end ? set->add_count : 0,
		};

		while (additional.left && additional_index(&additional) < range[r].first)
			additional_next(&additional);
		for (uint32_t i = range[r].first; i < range[r].end; i++) {
			size_t len = record_len(at);

			while (additional.left && additional_index(&additional) == i) {
				if (!put_additional(reply, additional.at + sizeof(uint32_t),
						    (size_t)(at - message) + RR_SRV_TARGET_AT,
						    len - RR_SRV_TARGET_AT, ttl_s))
					return;
				additional_next(&additional);
			}
			at += len;
		}
	}
}

static void set_serial(struct reply *reply, const struct subject *subject)
{
	wire_set32(reply->writer.at - SOA_SERIAL_FROM_END,
		   atomic_load_explicit(&subject->zone->serial, memory_order_relaxed));
}

/* Puts a set into the answer section, and what belongs to it into the additional one. */
static void put_set(struct reply *reply, const struct subject *subject, const struct entry *entry,
		    const struct rrset *set)
{
	uint32_t ttl_s = answer_ttl_s(reply, entry, set);
	uint16_t owner = (uint16_t)(0xc000 | subject->off);
	uint8_t *start = reply->writer.at;
	struct range range[3];

	if (set->limit && set->limit < set->count) {
		put_drawn(reply, set);
	} else {
		order_set(reply, set, range);
		for (unsigned r = 0; r < 3 && !(reply->flags & WIRE_TC); r++)
			if (range[r].first < range[r].end)
				put_range(reply, set, range[r]);
	}
	if (ttl_s != set->ttl_s || owner != RR_OWNER_QUESTION)
		patch_records(start, reply->writer.at, owner, ttl_s);
	if (set->type == RR_SOA && !(reply->flags & WIRE_TC))
		set_serial(reply, subject);
	if (set->type == RR_SRV && set->add_count && !(reply->flags & WIRE_TC))
		put_targets(reply, set, range, start, ttl_s);
}

/* The zone's SOA into the authority section of a negative answer (RFC 2308 3). */
static void put_soa(struct reply *reply, const struct subject *subject, const struct entry *entry)
{
	const struct entry *apex = atomic_load_explicit(&subject->zone->apex, memory_order_acquire);
	const struct rrset *soa = entry_find(apex, RR_SOA);
	uint8_t *at = reply->writer.at;
	uint32_t ttl_s, minimum_s;

	if (!wire_fits(&reply->writer, soa->len)) {
		reply->flags |= WIRE_TC;
		return;
	}
	copy_records(reply, soa->records, soa->len);
	ttl_s = answer_ttl_s(reply, entry ? entry : apex, soa);
	minimum_s = wire_get32(reply->writer.at - SOA_MINIMUM_FROM_END);
	patch_records(at, reply->writer.at, (uint16_t)(0xc000 | (subject->off + subject->len)),
		      ttl_s < minimum_s ? ttl_s : minimum_s);
	set_serial(reply, subject);
	reply->n_authority++;
}

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
		    memcmp(name->name + at, zone->origin, zone->origin_len) != 0)
			continue;
		subject->zone = zone;
		subject->len = at;
		return true;
	}
	return false;
}

static const struct entry *find(const struct reply *reply, const struct subject *subject, size_t at)
{
	const uint8_t *name = subject->name->name + at;
	size_t len = subject->len - at;

	return catalog_find(subject->zone, catalog_hash(reply->answer->catalog, name, len), name,
			    len);
}

/* The nearest existing name above one that does not exist; *at is where it begins. */
static const struct entry *find_encloser(const struct reply *reply, const struct subject *subject,
					 size_t *at)
{
	const struct entry *entry = NULL;

	for (unsigned label = 1; !entry; label++) {
		*at = subject->name->labels[label];
		entry = find(reply, subject, *at);
	}
	return entry;
}

/* Step 3c: the wildcard below the nearest existing name (RFC 4592 3.3.1). */
static const struct entry *find_wildcard(const struct reply *reply, const struct subject *subject,
					 const struct entry *encloser)
{
	uint8_t name[LIMIT_NAME + 2] = { 1, '*' };
	size_t len = 2u + encloser->name_len;

	if (!(atomic_load_explicit(&encloser->flags, memory_order_relaxed) & ENTRY_WILDCARD_CHILD))
		return NULL;
	memcpy(name + 2, encloser->name, encloser->name_len);
	return catalog_find(subject->zone, catalog_hash(reply->answer->catalog, name, len), name,
			    len);
}

/* Step 3b: NS and glue of the delegation whose name begins at `at` in the subject. */
static void put_referral(struct reply *reply, const struct subject *subject,
			 const struct entry *entry, size_t at)
{
	const struct rrset *ns = entry_find(entry, RR_NS);
	uint8_t *start = reply->writer.at;

	reply->flags &= (uint16_t)~WIRE_AA;
	if (!wire_fits(&reply->writer, ns->len)) {
		reply->flags |= WIRE_TC;
		return;
	}
	copy_records(reply, ns->records, ns->len);
	patch_records(start, reply->writer.at, (uint16_t)(0xc000 | (subject->off + at)), ns->ttl_s);
	reply->n_authority += ns->count;
	/* RFC 9471: glue is not optional. */
	if (!wire_fits(&reply->writer, ns->add_len)) {
		reply->flags |= WIRE_TC;
		return;
	}
	copy_records(reply, (const uint8_t *)ns + ns->add_off, ns->add_len);
	reply->n_additional += ns->add_count;
}

/* The set that answers a question of this type; ANY gets the first one (RFC 8482 4.1). */
static const struct rrset *choose_set(const struct entry *entry, uint16_t type)
{
	if (type != RR_ANY)
		return entry_find(entry, type);
	if (entry->only_type)
		return entry_find(entry, entry->only_type);
	return entry->n_sets ? entry_rrset(entry, 0) : NULL;
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

/* Answers for one name. true: it is an alias and the subject is now its target. */
static bool answer_subject(struct reply *reply, struct subject *subject, struct wire_name *name)
{
	uint16_t type = reply->query->type;
	const struct entry *entry = find(reply, subject, 0);
	const struct rrset *set;
	size_t at = 0;
	unsigned flags;

	reply->flags |= WIRE_AA;
	if (!entry) {
		const struct entry *encloser = find_encloser(reply, subject, &at);

		flags = atomic_load_explicit(&encloser->flags, memory_order_relaxed);
		if (flags & ENTRY_DELEGATION) {
			put_referral(reply, subject, encloser, at);
			return false;
		}
		entry = find_wildcard(reply, subject, encloser);
		if (!entry) {
			reply->rcode = RCODE_NXDOMAIN;
			put_soa(reply, subject, NULL);
			return false;
		}
	}
	flags = atomic_load_explicit(&entry->flags, memory_order_relaxed);
	if ((flags & ENTRY_DELEGATION) && type != RR_DS) {
		put_referral(reply, subject, entry, at);
		return false;
	}
	if ((flags & ENTRY_CNAME) && type != RR_CNAME && type != RR_ANY) {
		set = entry_find(entry, RR_CNAME);
		put_set(reply, subject, entry, set);
		return !(reply->flags & WIRE_TC) && follow_cname(reply, set, name, subject);
	}
	set = choose_set(entry, type);
	if (set)
		put_set(reply, subject, entry, set);
	else
		put_soa(reply, subject, entry);
	return false;
}

static void answer_question(struct reply *reply)
{
	const struct wire_query *query = reply->query;
	struct subject subject = { .name = &query->name, .off = WIRE_HEADER };
	struct wire_name names[2];

	if (query->class != CLASS_IN || query->type == RR_AXFR || query->type == RR_IXFR ||
	    !find_zone(catalog_zones(reply->answer->catalog), &subject)) {
		reply->rcode = RCODE_REFUSED;
		return;
	}
	for (unsigned link = 0; link <= LIMIT_CNAME_CHAIN; link++)
		if (!answer_subject(reply, &subject, &names[link % 2]))
			return;
	/* A loop, or as good as one: an error in the zone file. */
	reply->writer.at = reply->writer.message + query->question_end;
	reply->n_answer = 0;
	reply->flags = 0;
	reply->rcode = RCODE_SERVFAIL;
}

/* ---- From a message to its reply ---- */

static void count_rcode(struct counters *counters, unsigned rcode)
{
	_Atomic uint64_t *const by_rcode[] = {
		[RCODE_NOERROR] = &counters->noerror,   [RCODE_FORMERR] = &counters->formerr,
		[RCODE_SERVFAIL] = &counters->servfail, [RCODE_NXDOMAIN] = &counters->nxdomain,
		[RCODE_NOTIMP] = &counters->notimp,     [RCODE_REFUSED] = &counters->refused,
		[RCODE_BADVERS] = &counters->badvers,
	};

	counters_add(by_rcode[rcode], 1);
}

/* A reply that is a header alone: id and opcode as asked, other flags clear (RFC 8906 8.1.4). */
static size_t reply_header(struct answer *answer, uint8_t *message, unsigned rcode)
{
	unsigned opcode = wire_get16(message + 2) & WIRE_OPCODE;

	wire_set16(message + 2, (uint16_t)(WIRE_QR | opcode | rcode));
	memset(message + 4, 0, WIRE_HEADER - 4);
	count_rcode(answer->counters, rcode);
	return WIRE_HEADER;
}

/* The octets that the reply may have. */
static size_t reply_room(enum answer_transport transport, const struct wire_query *query)
{
	size_t room = LIMIT_UDP_PLAIN;

	if (transport == ANSWER_TCP)
		return LIMIT_TCP_MESSAGE;
	if (query->has_edns && query->edns_size > room)
		room = query->edns_size < LIMIT_UDP_EDNS ? query->edns_size : LIMIT_UDP_EDNS;
	return room;
}

static size_t reply_finish(struct reply *reply)
{
	struct wire_writer *writer = &reply->writer;
	uint8_t *message = writer->message;
	struct counters *counters = reply->answer->counters;

	if (reply->query->has_edns) {
		writer->end += WIRE_OPT;
		wire_put_opt(writer, LIMIT_UDP_EDNS, reply->rcode,
			     reply->query->edns_flags & WIRE_EDNS_DO);
		reply->n_additional++;
	}
	wire_set16(message + 2, (uint16_t)(WIRE_QR | (wire_get16(message + 2) & WIRE_RD) |
					   reply->flags | (reply->rcode & 15)));
	wire_set16(message + 6, (uint16_t)reply->n_answer);
	wire_set16(message + 8, (uint16_t)reply->n_authority);
	wire_set16(message + 10, (uint16_t)reply->n_additional);
	count_rcode(counters, reply->rcode);
	if (reply->flags & WIRE_TC)
		counters_add(&counters->truncated, 1);
	return (size_t)(writer->at - message);
}

void answer_init(struct answer *answer, const struct catalog *catalog, struct counters *counters)
{
	answer->catalog = catalog;
	answer->counters = counters;
	random_init(&answer->random);
}

size_t answer(struct answer *answer, enum answer_transport transport, uint64_t now_ms,
	      uint8_t *message, size_t len)
{
	struct wire_query query;
	struct reply reply = { .answer = answer, .query = &query, .now_ms = now_ms };
	unsigned opcode;

	counters_add(transport == ANSWER_TCP ? &answer->counters->tcp_queries
					     : &answer->counters->udp_queries,
		     1);
	if (!wire_is_query(message, len)) {
		counters_add(&answer->counters->silent, 1);
		return 0;
	}
	opcode = (wire_get16(message + 2) & WIRE_OPCODE) >> WIRE_OPCODE_SHIFT;
	if (opcode == OPCODE_NOTIFY || opcode == OPCODE_UPDATE)
		return reply_header(answer, message, RCODE_REFUSED);
	if (opcode != OPCODE_QUERY)
		return reply_header(answer, message, RCODE_NOTIMP);
	if (wire_query_parse(message, len, &query) != WIRE_OK)
		return reply_header(answer, message, RCODE_FORMERR);
	reply.writer = (struct wire_writer){
		.message = message,
		.at = message + query.question_end,
		.end = message + reply_room(transport, &query) - (query.has_edns ? WIRE_OPT : 0),
	};
	if (query.has_edns && query.edns_version > 0)
		reply.rcode = RCODE_BADVERS;
	else
		answer_question(&reply);
	return reply_finish(&reply);
}
