/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/answer_reply.h"

#include "model/handout.h"
#include "model/single.h"

enum {
	SOA_SERIAL_FROM_END = 20, /* RFC 1035 3.3.13: five numbers end the RDATA */
	SOA_MINIMUM_FROM_END = 4,
	DRAWS_MAX = 8, /* per record wanted, before the slow way */
};

static size_t record_len(const uint8_t *record)
{
	return RR_RDATA_AT + (size_t)wire_get16(record + RR_RDLENGTH_AT);
}

/* The entry is no alias. */
static uint32_t answer_ttl_s(const struct reply *reply, const struct entry *entry,
			     const struct rrset *set)
{
	uint64_t until_ms = atomic_load_explicit(&entry->stable_until_ms, memory_order_relaxed);

	if (until_ms >= reply->now_ms + set->ttl_s * UINT64_C(1000))
		return set->ttl_s;
	return until_ms >= reply->now_ms + 2000 ? (uint32_t)((until_ms - reply->now_ms) / 1000) : 1;
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
static inline uint32_t draw(struct random *random, const struct rrset *set)
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
 * Puts a set of which everything fits: the part that rotates, beginning at record `first`, then the
 * rest.
 */
static void put_whole(struct reply *reply, const struct rrset *set, uint32_t first)
{
	uint8_t *at = reply->writer.at;
	size_t start = record_off(set, first);
	size_t end = set->n_rotate == set->count ? set->len : record_off(set, set->n_rotate);

	reply->writer.at += set->len;
	reply->n_answer += set->count;
	if (start == 0) {
		memcpy(at, set->records, set->len);
		return;
	}
	memcpy(at, set->records + start, end - start);
	memcpy(at + (end - start), set->records, start);
	if (end < set->len)
		memcpy(at + end, set->records + end, set->len - end);
}

/* Copies records [first, end), or as many of them as fit, whole. */
static void put_range(struct reply *reply, const struct rrset *set, uint32_t first, uint32_t end)
{
	const uint8_t *at = set->records + record_off(set, first);

	for (; first < end && wire_fits(&reply->writer, record_len(at)); first++) {
		size_t len = record_len(at);

		copy_records(reply, at, len);
		reply->n_answer++;
		at += len;
	}
	if (first < end)
		reply->flags |= WIRE_TC;
}

/*
 * Puts what fits of a set that is too large. SRV records are not rotated then: clients that take
 * what they get (HAProxy) would see servers come and go with every reply.
 */
static void put_cut(struct reply *reply, const struct rrset *set, uint32_t first)
{
	uint32_t n_rotate = set->n_rotate ? set->n_rotate : set->count;

	if (set->type == RR_SRV)
		first = 0;
	put_range(reply, set, first, n_rotate);
	if (!(reply->flags & WIRE_TC))
		put_range(reply, set, 0, first);
	if (!(reply->flags & WIRE_TC))
		put_range(reply, set, n_rotate, set->count);
}

/*
 * Puts one additional record. Its owner is the target at `target_off`, by a pointer where one
 * reaches that far. false: it does not fit.
 */
static bool put_additional(struct reply *reply, const uint8_t *record, size_t len,
			   size_t target_off, size_t target_len, uint32_t ttl_s)
{
	struct wire_writer *writer = &reply->writer;

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

/* SRV records in the reply, and beside them what the set has for each of their targets. */
struct walk {
	const uint8_t *answer, *additional;
};

/* Skips what the set has for `n` records. */
static const uint8_t *skip_targets(const uint8_t *additional, uint32_t n)
{
	while (n-- > 0)
		for (unsigned left = *additional++; left > 0; left--)
			additional += record_len(additional);
	return additional;
}

/* Puts the addresses of the next `n` targets. false: one does not fit. */
static bool put_targets(struct reply *reply, struct walk *walk, uint32_t n, uint32_t ttl_s)
{
	for (; n > 0; n--) {
		size_t len = record_len(walk->answer);
		size_t off = (size_t)(walk->answer - reply->writer.message) + RR_SRV_TARGET_AT;

		for (unsigned left = *walk->additional++; left > 0; left--) {
			size_t additional_len = record_len(walk->additional);

			if (!put_additional(reply, walk->additional, additional_len, off,
					    len - RR_SRV_TARGET_AT, ttl_s))
				return false;
			walk->additional += additional_len;
		}
		walk->answer += len;
	}
	return true;
}

/*
 * The same where all is known to fit and every target within a pointer's reach: always true, to
 * stand in the other's place.
 */
static bool put_targets_fast(struct reply *reply, struct walk *walk, uint32_t n, uint32_t ttl_s)
{
	const uint8_t *answer = walk->answer, *additional = walk->additional;
	const uint8_t *message = reply->writer.message;
	uint8_t *at = reply->writer.at;

	for (; n > 0; n--) {
		size_t off = (size_t)(answer - message) + RR_SRV_TARGET_AT;
		unsigned left = *additional++;

		reply->n_additional += left;
		for (; left > 0; left--) {
			size_t len = additional[3] == RR_A ? RR_A_LEN : RR_AAAA_LEN;

			memcpy(at, additional, RR_A_LEN);
			if (len > RR_A_LEN)
				memcpy(at + RR_A_LEN, additional + RR_A_LEN,
				       RR_AAAA_LEN - RR_A_LEN);
			wire_set16(at, (uint16_t)(0xc000 | off));
			wire_set32(at + RR_TTL_AT, ttl_s);
			at += len;
			additional += len;
		}
		answer += record_len(answer);
	}
	*walk = (struct walk){ answer, additional };
	reply->writer.at = at;
	return true;
}

/* Addresses of the targets of a whole SRV set whose records begin at `answer`, as many as fit. */
static void put_all_targets(struct reply *reply, const struct rrset *set, uint32_t first,
			    const uint8_t *answer, uint32_t ttl_s)
{
	const uint8_t *start = (const uint8_t *)set + set->add_off, *end;
	struct walk walk = { .answer = answer, .additional = skip_targets(start, first) };
	bool fast = wire_fits(&reply->writer, set->add_len) &&
		    reply->writer.at - reply->writer.message <= WIRE_POINTER_MAX;
	bool (*put)(struct reply *, struct walk *, uint32_t, uint32_t) =
		fast ? put_targets_fast : put_targets;

	/* In the order of the records: from the drawn one on, those before it, the other tiers. */
	if (!put(reply, &walk, set->n_rotate - first, ttl_s))
		return;
	end = walk.additional;
	walk.additional = start;
	if (first && !put(reply, &walk, first, ttl_s))
		return;
	walk.additional = end;
	if (set->n_rotate < set->count)
		put(reply, &walk, set->count - set->n_rotate, ttl_s);
}

static void set_serial(struct reply *reply, const struct subject *subject)
{
	wire_set32(reply->writer.at - SOA_SERIAL_FROM_END,
		   atomic_load_explicit(&subject->zone->serial, memory_order_relaxed));
}

void answer_reply_put(struct reply *reply, const struct subject *subject, const struct entry *entry,
		      const struct rrset *set)
{
	uint32_t ttl_s = answer_ttl_s(reply, entry, set);
	uint16_t owner = (uint16_t)(0xc000 | subject->off);
	uint8_t *start = reply->writer.at;
	uint32_t first = 0;

	handout_note(entry, reply->now_ms);
	if (set->limit && set->limit < set->count) {
		put_drawn(reply, set);
	} else {
		if (set->n_rotate > 1)
			first = draw(&reply->answer->random, set);
		if (wire_fits(&reply->writer, set->len))
			put_whole(reply, set, first);
		else
			put_cut(reply, set, first);
	}
	if (ttl_s != set->ttl_s || owner != RR_OWNER_QUESTION)
		patch_records(start, reply->writer.at, owner, ttl_s);
	if (reply->flags & WIRE_TC)
		return;
	if (set->type == RR_SRV && set->add_off)
		put_all_targets(reply, set, first, start, ttl_s);
	else if (set->type == RR_SOA)
		set_serial(reply, subject);
}

bool answer_reply_put_single(struct reply *reply, const struct subject *subject,
			     const struct entry *entry, uint16_t type)
{
	union single_room room;
	const struct rrset *set = single_set(entry, subject->zone, type, &room);

	if (set)
		answer_reply_put(reply, subject, entry, set);
	return set != NULL;
}

void answer_reply_put_soa(struct reply *reply, const struct subject *subject,
			  const struct entry *entry)
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
	ttl_s = answer_ttl_s(reply, entry_from(entry ? entry : apex), soa);
	minimum_s = wire_get32(reply->writer.at - SOA_MINIMUM_FROM_END);
	patch_records(at, reply->writer.at, (uint16_t)(0xc000 | (subject->off + subject->len)),
		      ttl_s < minimum_s ? ttl_s : minimum_s);
	set_serial(reply, subject);
	reply->n_authority++;
}

void answer_reply_put_referral(struct reply *reply, const struct subject *subject,
			       const struct entry *entry, size_t at)
{
	const struct rrset *ns = entry_find(entry, RR_NS);
	uint8_t *start = reply->writer.at;

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
