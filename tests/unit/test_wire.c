/* SPDX-License-Identifier: BSD-2-Clause */
#include "dns/wire.h"

#include "base/random.h"

#include <ldns/ldns.h>

#include <check.h>
#include <stdlib.h>

enum {
	ROOM = 4096,
};

static uint8_t message[ROOM];
static size_t len;
static struct wire_query query;

/* Parses an exact copy with its slack behind it, so that sanitizers see what is read beyond. */
static enum wire_result parse_octets(const uint8_t *octets, size_t octets_len, uint8_t slack)
{
	uint8_t *copy = malloc(octets_len + WIRE_SLACK);
	enum wire_result result;

	ck_assert_ptr_nonnull(copy);
	if (octets_len)
		memcpy(copy, octets, octets_len);
	memset(copy + octets_len, slack, WIRE_SLACK);
	memset(&query, 0x5a, sizeof(query));
	result = wire_query_parse(copy, octets_len, &query);
	free(copy);
	return result;
}

static enum wire_result parse(void)
{
	return parse_octets(message, len, 0xff);
}

static void encode(const ldns_pkt *packet)
{
	uint8_t *wire;

	ck_assert_int_eq(ldns_pkt2wire(&wire, packet, &len), LDNS_STATUS_OK);
	ck_assert_uint_lt(len, ROOM);
	memcpy(message, wire, len);
	free(wire);
}

static ldns_pkt *new_query(const char *name, ldns_rr_type type)
{
	ldns_pkt *packet =
		ldns_pkt_query_new(ldns_dname_new_frm_str(name), type, LDNS_RR_CLASS_IN, LDNS_RD);

	ck_assert_ptr_nonnull(packet);
	ldns_pkt_set_id(packet, 0x1234);
	return packet;
}

static void put_query(const char *name, ldns_rr_type type)
{
	ldns_pkt *packet = new_query(name, type);

	encode(packet);
	ldns_pkt_free(packet);
}

static void push(ldns_pkt *packet, ldns_pkt_section section, const char *text)
{
	ldns_rr *rr;

	ck_assert_int_eq(ldns_rr_new_frm_str(&rr, text, 0, NULL, NULL), LDNS_STATUS_OK);
	ck_assert(ldns_pkt_push_rr(packet, section, rr));
}

/* A query with everything that one may have: records in all sections, OPT with two options. */
static void put_rich_query(void)
{
	static const uint8_t options[] = { 0, 3, 0, 0, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8 };
	ldns_pkt *packet = new_query("payment.service.local", LDNS_RR_TYPE_SRV);

	push(packet, LDNS_SECTION_ANSWER, "payment.service.local. 5 IN A 10.0.0.1");
	push(packet, LDNS_SECTION_AUTHORITY, "service.local. 5 IN NS ns.service.local.");
	push(packet, LDNS_SECTION_ADDITIONAL, "other.example. 5 IN TXT \"text\"");
	ldns_pkt_set_edns_udp_size(packet, 1400);
	ldns_pkt_set_edns_do(packet, true);
	ldns_pkt_set_edns_data(
		packet, ldns_rdf_new_frm_data(LDNS_RDF_TYPE_UNKNOWN, sizeof(options), options));
	encode(packet);
	ldns_pkt_free(packet);
}

/* Appends an OPT record, without counting it. */
static void append_opt(const void *options, size_t options_len)
{
	static const uint8_t fixed[] = { 0, 0, 41, 4, 208, 0, 0, 0, 0, 0 };

	memcpy(message + len, fixed, sizeof(fixed));
	len += sizeof(fixed);
	message[len++] = (uint8_t)options_len;
	if (options_len)
		memcpy(message + len, options, options_len);
	len += options_len;
}

enum count_at {
	QDCOUNT = 4,
	ANCOUNT = 6,
	NSCOUNT = 8,
	ARCOUNT = 10
};

static void set_count(enum count_at at, uint16_t count)
{
	ldns_write_uint16(message + at, count);
}

static uint16_t count(enum count_at at)
{
	return ldns_read_uint16(message + at);
}

/* A parsed name against the one that ldns has in canonical form. */
static void check_name(const struct wire_name *name, const ldns_rdf *expected)
{
	ldns_rdf *canonical = ldns_rdf_clone(expected);
	size_t pos = 0;

	ldns_dname2canonical(canonical);
	ck_assert_uint_eq(name->len, ldns_rdf_size(canonical));
	ck_assert_mem_eq(name->name, ldns_rdf_data(canonical), name->len);
	ck_assert_uint_eq(name->n_labels, ldns_dname_label_count(canonical));
	for (unsigned i = 0; i < name->n_labels; i++) {
		ck_assert_uint_eq(name->labels[i], pos);
		pos += name->name[pos] + 1u;
	}
	ck_assert_uint_eq(name->labels[name->n_labels], pos);
	ck_assert_uint_eq(pos + 1, name->len);
	ldns_rdf_deep_free(canonical);
}

/* ---- Queries ---- */

START_TEST(question_is_taken_apart)
{
	static const char *const names[] = { ".",
					     "a",
					     "LOCAL",
					     "Payment.Service.LOCAL",
					     "a.b.c.d.e.f.g.h",
					     "_http._tcp.PAYMENT.service.local",
					     "*.x.y",
					     "\\000\\255.\\.\\@.z" };
	static const ldns_rr_type types[] = { LDNS_RR_TYPE_A, LDNS_RR_TYPE_SRV, LDNS_RR_TYPE_ANY,
					      (ldns_rr_type)65280 };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		ldns_rdf *name = ldns_dname_new_frm_str(names[i]);

		for (size_t k = 0; k < sizeof(types) / sizeof(*types); k++) {
			put_query(names[i], types[k]);
			ck_assert_int_eq(parse(), WIRE_OK);
			check_name(&query.name, name);
			ck_assert_uint_eq(query.type, types[k]);
			ck_assert_uint_eq(query.class, LDNS_RR_CLASS_IN);
			ck_assert_uint_eq(query.question_end, 12 + ldns_rdf_size(name) + 4);
			ck_assert(!query.has_edns);
			ck_assert_uint_eq(query.edns_flags, 0);
		}
		ldns_rdf_deep_free(name);
	}
}
END_TEST

START_TEST(class_is_told)
{
	ldns_pkt *packet = ldns_pkt_query_new(ldns_dname_new_frm_str("version.bind"),
					      LDNS_RR_TYPE_TXT, LDNS_RR_CLASS_CH, 0);

	encode(packet);
	ldns_pkt_free(packet);
	ck_assert_int_eq(parse(), WIRE_OK);
	ck_assert_uint_eq(query.class, CLASS_CH);
	ck_assert_uint_eq(query.type, RR_TXT);
}
END_TEST

START_TEST(edns_is_taken_apart)
{
	static const uint16_t sizes[] = { 1, 511, 512, 1232, 4096, 65535 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		for (unsigned k = 0; k < 4; k++) {
			ldns_pkt *packet = new_query("payment.service.local", LDNS_RR_TYPE_A);

			ldns_pkt_set_edns_udp_size(packet, sizes[i]);
			ldns_pkt_set_edns_do(packet, k & 1);
			ldns_pkt_set_edns_version(packet, k & 2 ? 77 : 0);
			encode(packet);
			ldns_pkt_free(packet);
			ck_assert_int_eq(parse(), WIRE_OK);
			ck_assert(query.has_edns);
			ck_assert_uint_eq(query.edns_size, sizes[i]);
			ck_assert_uint_eq(query.edns_version, k & 2 ? 77 : 0);
			ck_assert_uint_eq(query.edns_flags & WIRE_EDNS_DO,
					  k & 1 ? WIRE_EDNS_DO : 0);
		}
	}
}
END_TEST

START_TEST(records_of_others_are_walked_over)
{
	put_rich_query();
	ck_assert_int_eq(parse(), WIRE_OK);
	ck_assert_uint_eq(query.type, RR_SRV);
	ck_assert_uint_eq(query.question_end, 12 + 23 + 4);
	ck_assert(query.has_edns);
	ck_assert_uint_eq(query.edns_size, 1400);
	ck_assert_uint_eq(query.edns_flags, WIRE_EDNS_DO);
}
END_TEST

START_TEST(opt_need_not_be_last)
{
	static const uint8_t other[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 10, 0, 0, 1 };

	put_query("payment.service.local", LDNS_RR_TYPE_A);
	append_opt(NULL, 0);
	memcpy(message + len, other, sizeof(other));
	len += sizeof(other);
	set_count(ARCOUNT, 2);
	ck_assert_int_eq(parse(), WIRE_OK);
	ck_assert(query.has_edns);
	ck_assert_uint_eq(query.edns_size, 1232);
}
END_TEST

/* Octets that are not of the message do not change what it says. */
START_TEST(what_follows_a_message_does_not_matter)
{
	put_query("PAYMENT.service.local", LDNS_RR_TYPE_A);
	for (unsigned slack = 0; slack < 256; slack++) {
		ck_assert_int_eq(parse_octets(message, len, (uint8_t)slack), WIRE_OK);
		ck_assert_mem_eq(query.name.name, "\7payment\7service\5local", 23);
		for (size_t cut = 12; cut < len; cut++)
			ck_assert_int_eq(parse_octets(message, cut, (uint8_t)slack), WIRE_FORMERR);
	}
}
END_TEST

START_TEST(cut_at_every_octet)
{
	put_rich_query();
	for (size_t cut = 0; cut < len; cut++)
		ck_assert_int_eq(parse_octets(message, cut, 0),
				 cut < 12 ? WIRE_SILENT : WIRE_FORMERR);
	ck_assert_int_eq(parse(), WIRE_OK);
}
END_TEST

START_TEST(replies_are_met_with_silence)
{
	put_rich_query();
	message[2] |= 0x80;
	ck_assert_int_eq(parse(), WIRE_SILENT);
	/* Even a broken one: two servers must not quarrel for ever. */
	set_count(QDCOUNT, 0);
	ck_assert_int_eq(parse(), WIRE_SILENT);
	ck_assert(!wire_is_query(message, len));
	message[2] &= 0x7f;
	ck_assert(wire_is_query(message, len));
	ck_assert(wire_is_query(message, 12));
	ck_assert(!wire_is_query(message, 11));
}
END_TEST

START_TEST(exactly_one_question)
{
	static const uint16_t counts[] = { 0, 2, 256, 257, 65535 };

	put_query("payment.service.local", LDNS_RR_TYPE_A);
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		set_count(QDCOUNT, counts[i]);
		ck_assert_int_eq(parse(), WIRE_FORMERR);
	}
	set_count(QDCOUNT, 1);
	ck_assert_int_eq(parse(), WIRE_OK);
	/* Two that are really there, and none that is really missing. */
	memcpy(message + len, message + 12, len - 12);
	len += len - 12;
	set_count(QDCOUNT, 2);
	ck_assert_int_eq(parse(), WIRE_FORMERR);
	len = 12;
	set_count(QDCOUNT, 0);
	ck_assert_int_eq(parse(), WIRE_FORMERR);
}
END_TEST

START_TEST(counts_and_records_agree)
{
	static const enum count_at at[] = { ANCOUNT, NSCOUNT, ARCOUNT };

	for (size_t i = 0; i < 3; i++) {
		put_rich_query();
		set_count(at[i], (uint16_t)(count(at[i]) + 1));
		ck_assert_int_eq(parse(), WIRE_FORMERR);
		set_count(at[i], (uint16_t)(count(at[i]) - 2));
		ck_assert_int_eq(parse(), WIRE_FORMERR);
		set_count(at[i], 65535);
		ck_assert_int_eq(parse(), WIRE_FORMERR);
	}
}
END_TEST

START_TEST(nothing_behind_the_last_record)
{
	put_query("payment.service.local", LDNS_RR_TYPE_A);
	for (size_t i = 0; i < 20; i++) {
		message[len++] = 0;
		ck_assert_int_eq(parse(), WIRE_FORMERR);
	}
	put_rich_query();
	message[len++] = 0;
	ck_assert_int_eq(parse(), WIRE_FORMERR);
}
END_TEST

START_TEST(second_opt_is_an_error)
{
	put_query("payment.service.local", LDNS_RR_TYPE_A);
	append_opt(NULL, 0);
	set_count(ARCOUNT, 1);
	ck_assert_int_eq(parse(), WIRE_OK);
	append_opt(NULL, 0);
	set_count(ARCOUNT, 2);
	ck_assert_int_eq(parse(), WIRE_FORMERR);
}
END_TEST

START_TEST(opt_belongs_to_the_additional_section)
{
	static const enum count_at elsewhere[] = { ANCOUNT, NSCOUNT };

	for (size_t i = 0; i < 2; i++) {
		put_query("payment.service.local", LDNS_RR_TYPE_A);
		append_opt(NULL, 0);
		set_count(elsewhere[i], 1);
		ck_assert_int_eq(parse(), WIRE_FORMERR);
		append_opt(NULL, 0);
		set_count(ARCOUNT, 1);
		ck_assert_int_eq(parse(), WIRE_FORMERR);
	}
}
END_TEST

START_TEST(owner_of_opt_is_the_root)
{
	static const uint8_t fixed[] = { 0, 41, 4, 208, 0, 0, 0, 0, 0, 0 };
	static const struct {
		uint8_t octets[4];
		size_t len;
		enum wire_result result;
	} owners[] = {
		{ { 0 }, 1, WIRE_OK },
		{ { 1, 'a', 0 }, 3, WIRE_FORMERR },
		{ { 0xc0, 12 }, 2, WIRE_FORMERR },
	};

	for (size_t i = 0; i < sizeof(owners) / sizeof(*owners); i++) {
		put_query("payment.service.local", LDNS_RR_TYPE_A);
		memcpy(message + len, owners[i].octets, owners[i].len);
		len += owners[i].len;
		memcpy(message + len, fixed, sizeof(fixed));
		len += sizeof(fixed);
		set_count(ARCOUNT, 1);
		ck_assert_int_eq(parse(), owners[i].result);
	}
}
END_TEST

static enum wire_result parse_with(const void *options, size_t options_len)
{
	put_query("payment.service.local", LDNS_RR_TYPE_A);
	append_opt(options, options_len);
	set_count(ARCOUNT, 1);
	return parse();
}

START_TEST(options_fill_their_record)
{
	static const struct {
		uint8_t octets[16];
		size_t len;
		enum wire_result result;
	} options[] = {
		{ { 0 }, 0, WIRE_OK },
		{ { 0, 3, 0, 0 }, 4, WIRE_OK },
		{ { 255, 255, 0, 2, 1, 2 }, 6, WIRE_OK },
		{ { 0, 3, 0, 0, 0, 3, 0, 1, 9 }, 9, WIRE_OK },
		{ { 0 }, 1, WIRE_FORMERR },
		{ { 0, 3 }, 2, WIRE_FORMERR },
		{ { 0, 3, 0 }, 3, WIRE_FORMERR },
		{ { 0, 3, 0, 1 }, 4, WIRE_FORMERR },
		{ { 0, 3, 255, 255 }, 4, WIRE_FORMERR },
		{ { 0, 3, 0, 2, 1 }, 5, WIRE_FORMERR },
		{ { 0, 3, 0, 0, 7 }, 5, WIRE_FORMERR },
		{ { 0, 3, 0, 1, 7, 0, 3, 0 }, 8, WIRE_FORMERR },
		{ { 0, 3, 0, 0, 0, 3, 0, 2, 9 }, 9, WIRE_FORMERR },
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		ck_assert_msg(parse_with(options[i].octets, options[i].len) == options[i].result,
			      "options %zu", i);
	}
}
END_TEST

START_TEST(options_that_we_know)
{
	static const uint8_t nsid[] = { 0, 3, 0, 0 }, keepalive[] = { 0, 11, 0, 0 },
			     padding[] = { 0, 12, 0, 3, 0, 0, 0 };
	static const uint8_t all[] = { 0, 11, 0, 0, 0,  10, 0, 8, 1, 2, 3, 4, 5,
				       6, 7,  8, 0, 12, 0,  1, 0, 0, 3, 0, 0 };

	ck_assert_int_eq(parse_with(NULL, 0), WIRE_OK);
	ck_assert(!query.wants_nsid && !query.wants_keepalive && query.cookie_len == 0);
	ck_assert_int_eq(parse_with(nsid, sizeof(nsid)), WIRE_OK);
	ck_assert(query.wants_nsid && !query.wants_keepalive && query.cookie_len == 0);
	ck_assert_int_eq(parse_with(keepalive, sizeof(keepalive)), WIRE_OK);
	ck_assert(!query.wants_nsid && query.wants_keepalive && query.cookie_len == 0);
	ck_assert(!query.wants_padding);
	ck_assert_int_eq(parse_with(padding, sizeof(padding)), WIRE_OK);
	ck_assert(!query.wants_keepalive && query.wants_padding);
	ck_assert_int_eq(parse_with(all, sizeof(all)), WIRE_OK);
	ck_assert(query.wants_nsid && query.wants_keepalive && query.wants_padding);
	ck_assert_uint_eq(query.cookie_len, 8);
	ck_assert_mem_eq(query.cookie, all + 8, 8);
}
END_TEST

/* RFC 7873 5.2.2: 8 octets, or 16 to 40. */
START_TEST(cookies_by_length)
{
	for (uint8_t n = 0; n < 60; n++) {
		uint8_t option[4 + 60] = { 0, 10, 0, n };
		bool good = n == 8 || (n >= 16 && n <= 40);

		for (uint8_t i = 0; i < n; i++)
			option[4 + i] = (uint8_t)(100 + i);
		ck_assert_int_eq(parse_with(option, 4u + n), good ? WIRE_OK : WIRE_FORMERR);
		if (!good)
			continue;
		ck_assert_uint_eq(query.cookie_len, n);
		ck_assert_mem_eq(query.cookie, option + 4, n);
	}
}
END_TEST

START_TEST(second_cookie_is_an_error)
{
	static const uint8_t twice[] = { 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8,
					 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8 };

	ck_assert_int_eq(parse_with(twice, sizeof(twice) / 2), WIRE_OK);
	ck_assert_int_eq(parse_with(twice, sizeof(twice)), WIRE_FORMERR);
}
END_TEST

/* A record behind the question whose owner is `owner`; the message ends `cut` octets early. */
static enum wire_result parse_owner(const uint8_t *owner, size_t owner_len, size_t cut)
{
	static const uint8_t fixed[] = { 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 10, 0, 0, 1 };

	put_query("payment.service.local", LDNS_RR_TYPE_A);
	memcpy(message + len, owner, owner_len);
	len += owner_len;
	memcpy(message + len, fixed, sizeof(fixed));
	len += sizeof(fixed);
	set_count(ARCOUNT, 1);
	return parse_octets(message, len - cut, 0);
}

/* Labels of these lengths and a root label. */
static size_t put_labels(uint8_t *at, const uint8_t *lens, size_t n)
{
	size_t pos = 0;

	for (size_t i = 0; i < n; i++) {
		at[pos++] = lens[i];
		memset(at + pos, 'X', lens[i]);
		pos += lens[i];
	}
	at[pos++] = 0;
	return pos;
}

START_TEST(owners_of_records)
{
	static const uint8_t longest[] = { 63, 63, 63, 61 }, longer[] = { 63, 63, 63, 62 };
	static const uint8_t pointer[] = { 0xc0, 12 }, label_pointer[] = { 1, 'a', 0xff, 0xff };
	static const uint8_t type_01[] = { 0x41, 0 }, type_10[] = { 0x80, 0 };
	static const uint8_t later_01[] = { 1, 'a', 0x40, 0 };
	uint8_t name[300];

	ck_assert_int_eq(parse_owner((const uint8_t *)"", 1, 0), WIRE_OK);
	ck_assert_int_eq(parse_owner(pointer, sizeof(pointer), 0), WIRE_OK);
	ck_assert_int_eq(parse_owner(pointer, sizeof(pointer), 15), WIRE_FORMERR);
	ck_assert_int_eq(parse_owner(label_pointer, sizeof(label_pointer), 0), WIRE_OK);
	ck_assert_int_eq(parse_owner(type_01, sizeof(type_01), 0), WIRE_FORMERR);
	ck_assert_int_eq(parse_owner(type_10, sizeof(type_10), 0), WIRE_FORMERR);
	ck_assert_int_eq(parse_owner(later_01, sizeof(later_01), 0), WIRE_FORMERR);
	ck_assert_int_eq(parse_owner(name, put_labels(name, longest, 4), 0), WIRE_OK);
	ck_assert_int_eq(parse_owner(name, put_labels(name, longer, 4), 0), WIRE_FORMERR);
}
END_TEST

/* ---- Names ---- */

static size_t parse_name(const uint8_t *octets, size_t octets_len, struct wire_name *name)
{
	uint8_t *copy = malloc(octets_len + WIRE_SLACK);
	size_t result;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, octets, octets_len);
	memset(copy + octets_len, 'S', WIRE_SLACK);
	result = wire_name_parse(copy, copy + octets_len, name);
	free(copy);
	return result;
}

/* In the place of each length octet of the question, the root label's too. */
START_TEST(label_types_other_than_plain)
{
	put_query("payment.service.local", LDNS_RR_TYPE_A);
	for (unsigned octet = 64; octet < 256; octet++) {
		static const size_t at[] = { 12, 20, 28, 34 };

		for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++) {
			uint8_t plain = message[at[i]];

			message[at[i]] = (uint8_t)octet;
			ck_assert_int_eq(parse(), WIRE_FORMERR);
			message[at[i]] = plain;
		}
	}
	ck_assert_int_eq(parse(), WIRE_OK);
}
END_TEST

/* Pointers to itself, to the header, forward and beyond: none is followed. */
START_TEST(pointers_in_the_question)
{
	static const uint16_t targets[] = { 0, 11, 12, 13, 20, 28, 34, 200, 0x3fff };
	uint8_t plain[2];

	put_query("payment.service.local", LDNS_RR_TYPE_A);
	memcpy(plain, message + 20, 2);
	for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++) {
		ldns_write_uint16(message + 20, (uint16_t)(0xc000 | targets[i]));
		ck_assert_int_eq(parse(), WIRE_FORMERR);
	}
	memcpy(message + 20, plain, 2);
	/* A whole question that is nothing but a pointer to its own type. */
	ldns_write_uint16(message + 12, 0xc00e);
	memcpy(message + 14, "\0\1\0\1", 4);
	len = 18;
	ck_assert_int_eq(parse(), WIRE_FORMERR);
}
END_TEST

START_TEST(names_up_to_255_octets)
{
	static const uint8_t longest[] = { 63, 63, 63, 61 }, longer[] = { 63, 63, 63, 62 };
	static const uint8_t much_longer[] = { 63, 63, 63, 63 };
	uint8_t octets[300], ones[128];
	struct wire_name name;
	ldns_rdf *expected;
	size_t pos = 0;

	memset(ones, 1, sizeof(ones));
	ck_assert_uint_eq(put_labels(octets, longest, 4), 255);
	ck_assert_uint_eq(parse_name(octets, 255, &name), 255);
	ck_assert_int_eq(ldns_wire2dname(&expected, octets, 255, &pos), LDNS_STATUS_OK);
	check_name(&name, expected);
	ldns_rdf_deep_free(expected);
	ck_assert_uint_eq(put_labels(octets, ones, 127), 255);
	ck_assert_uint_eq(parse_name(octets, 255, &name), 255);
	ck_assert_uint_eq(name.n_labels, 127);
	ck_assert_uint_eq(parse_name(octets, put_labels(octets, ones, 128), &name), 0);
	ck_assert_uint_eq(parse_name(octets, put_labels(octets, longer, 4), &name), 0);
	ck_assert_uint_eq(parse_name(octets, put_labels(octets, much_longer, 4), &name), 0);
	memset(octets, 1, sizeof(octets));
	ck_assert_uint_eq(parse_name(octets, sizeof(octets), &name), 0);
}
END_TEST

START_TEST(names_are_cut_off)
{
	struct wire_name name;

	for (size_t cut = 0; cut < 23; cut++)
		ck_assert_uint_eq(
			parse_name((const uint8_t *)"\7payment\7service\5local", cut, &name), 0);
	ck_assert_uint_eq(parse_name((const uint8_t *)"\7payment\7service\5local", 23, &name), 23);
	ck_assert_uint_eq(parse_name((const uint8_t *)"\0\7", 2, &name), 1);
	ck_assert_uint_eq(name.n_labels, 0);
	ck_assert_uint_eq(name.len, 1);
}
END_TEST

/* Every octet at every place within a word: A to Z alone change, not '@', '[', or what is >= 0x80.
 */
START_TEST(only_ascii_letters_become_lower_case)
{
	for (unsigned octet = 0; octet < 256; octet++) {
		for (uint8_t before = 0; before < 17; before++) {
			uint8_t octets[40] = { (uint8_t)(before + 3) };
			struct wire_name name;
			ldns_rdf *expected;
			size_t pos = 0;

			memset(octets + 1, before % 2 ? 0xff : 'Z', before + 3u);
			octets[1 + before] = (uint8_t)octet;
			octets[3 + before] = 0x80;
			ck_assert_uint_eq(parse_name(octets, before + 5u, &name), before + 5u);
			ck_assert_int_eq(ldns_wire2dname(&expected, octets, before + 5u, &pos),
					 LDNS_STATUS_OK);
			check_name(&name, expected);
			ldns_rdf_deep_free(expected);
			ck_assert_uint_eq(name.name[1 + before],
					  octet >= 'A' && octet <= 'Z' ? octet + 32 : octet);
		}
	}
}
END_TEST

/* What ldns takes for a name without pointers we do, and the other way round. */
START_TEST(random_names_are_judged_as_ldns_does)
{
	struct random random;
	unsigned n_good = 0;

	random_init_seed(&random, 7);
	for (unsigned round = 0; round < 5000; round++) {
		uint8_t octets[320] = { 0 };
		size_t octets_len = 0, n = random_below(&random, 9), took, pos = 0;
		struct wire_name name;
		ldns_rdf *expected = NULL;
		bool good;

		for (size_t i = 0; i < n && octets_len < 256; i++) {
			size_t label_len = 1 + random_below(&random, 63);

			octets[octets_len++] = (uint8_t)label_len;
			for (size_t k = 0; k < label_len; k++)
				octets[octets_len++] = (uint8_t)random_bits(&random);
		}
		octets_len += random_below(&random, 8) > 0; /* with the root label, mostly */
		took = octets_len ? parse_name(octets, octets_len, &name) : 0;
		good = ldns_wire2dname(&expected, octets, octets_len, &pos) == LDNS_STATUS_OK;
		ck_assert_int_eq(took > 0, good);
		if (good) {
			ck_assert_uint_eq(took, pos);
			check_name(&name, expected);
			ldns_rdf_deep_free(expected);
			n_good++;
		}
	}
	ck_assert_uint_gt(n_good, 1250);
	ck_assert_uint_lt(n_good, 4750);
}
END_TEST

/* Whatever comes: no crash, and a question that lies within the message. */
START_TEST(random_damage_is_survived)
{
	struct random random;
	uint8_t whole[ROOM];
	size_t whole_len;

	random_init_seed(&random, 8);
	put_rich_query();
	memcpy(whole, message, len);
	whole_len = len;
	for (unsigned round = 0; round < 50000; round++) {
		size_t n = 1 + random_below(&random, 4);

		memcpy(message, whole, whole_len);
		len = whole_len;
		for (size_t i = 0; i < n; i++)
			message[2 + random_below(&random, (uint32_t)len - 2)] =
				(uint8_t)random_bits(&random);
		len -= random_below(&random, 3) ? 0 : random_below(&random, (uint32_t)len);
		if (parse() == WIRE_OK)
			ck_assert(query.question_end <= len &&
				  query.question_end == 12 + query.name.len + 4u);
	}
}
END_TEST

/* ---- Writing ---- */

START_TEST(numbers_are_in_network_order)
{
	uint8_t octets[6];
	struct wire_writer writer = { .message = octets,
				      .at = octets,
				      .end = octets + sizeof(octets) };

	wire_put16(&writer, 0x0102);
	wire_put32(&writer, 0xf3f4f5f6);
	ck_assert(!writer.failed);
	ck_assert_ptr_eq(writer.at, writer.end);
	ck_assert_uint_eq(ldns_read_uint16(octets), 0x0102);
	ck_assert_uint_eq(ldns_read_uint32(octets + 2), 0xf3f4f5f6);
	ck_assert_uint_eq(wire_get16(octets), 0x0102);
	ck_assert_uint_eq(wire_get32(octets + 2), 0xf3f4f5f6);
}
END_TEST

START_TEST(what_does_not_fit_is_remembered)
{
	uint8_t octets[8];
	struct wire_writer writer = { .message = octets, .at = octets, .end = octets + 5 };

	memset(octets, 0xee, sizeof(octets));
	wire_put32(&writer, 1);
	ck_assert(!writer.failed);
	ck_assert(wire_fits(&writer, 1));
	ck_assert(!wire_fits(&writer, 2));
	wire_put16(&writer, 0x0203);
	ck_assert(writer.failed);
	ck_assert_ptr_eq(writer.at, octets + 4);
	ck_assert_uint_eq(octets[4], 0xee);
	/* Something smaller that fits does not make it good again. */
	wire_put(&writer, "a", 1);
	ck_assert(writer.failed);
	wire_put(&writer, "bcdefgh", 7);
	ck_assert(writer.failed);
	for (size_t i = 5; i < sizeof(octets); i++)
		ck_assert_uint_eq(octets[i], 0xee);
}
END_TEST

START_TEST(opt_is_read_by_ldns)
{
	static const unsigned rcodes[] = { RCODE_NOERROR, RCODE_REFUSED, RCODE_BADVERS, 0xfff };

	for (size_t i = 0; i < sizeof(rcodes) / sizeof(*rcodes); i++) {
		struct wire_writer writer;
		ldns_pkt *packet;

		put_query("payment.service.local", LDNS_RR_TYPE_A);
		set_count(ARCOUNT, 1);
		writer = (struct wire_writer){ .message = message,
					       .at = message + len,
					       .end = message + len + WIRE_OPT };
		wire_put_opt(&writer, 1232, rcodes[i], i % 2 ? WIRE_EDNS_DO : 0, NULL, 0);
		ck_assert(!writer.failed);
		ck_assert_ptr_eq(writer.at, writer.end);
		len += WIRE_OPT;
		ck_assert_int_eq(ldns_wire2pkt(&packet, message, len), LDNS_STATUS_OK);
		ck_assert(ldns_pkt_edns(packet));
		ck_assert_uint_eq(ldns_pkt_edns_udp_size(packet), 1232);
		ck_assert_uint_eq(ldns_pkt_edns_version(packet), 0);
		ck_assert_uint_eq(ldns_pkt_edns_extended_rcode(packet), rcodes[i] >> 4);
		ck_assert_int_eq(ldns_pkt_edns_do(packet), i % 2);
		ck_assert_ptr_null(ldns_pkt_edns_data(packet));
		ldns_pkt_free(packet);
	}
}
END_TEST

START_TEST(options_are_read_by_ldns)
{
	static const uint8_t options[] = { 0, 3, 0, 2, 'm', 'e', 0, 11, 0, 2, 0, 100 };
	struct wire_writer writer;
	ldns_pkt *packet;

	put_query("payment.service.local", LDNS_RR_TYPE_A);
	set_count(ARCOUNT, 1);
	writer = (struct wire_writer){ .message = message,
				       .at = message + len,
				       .end = message + len + WIRE_OPT + sizeof(options) };
	wire_put_opt(&writer, 1232, RCODE_NOERROR, 0, options, sizeof(options));
	ck_assert(!writer.failed);
	ck_assert_ptr_eq(writer.at, writer.end);
	len += WIRE_OPT + sizeof(options);
	ck_assert_int_eq(ldns_wire2pkt(&packet, message, len), LDNS_STATUS_OK);
	ck_assert_uint_eq(ldns_rdf_size(ldns_pkt_edns_data(packet)), sizeof(options));
	ck_assert_mem_eq(ldns_rdf_data(ldns_pkt_edns_data(packet)), options, sizeof(options));
	ldns_pkt_free(packet);
	writer.at = message + len - WIRE_OPT - sizeof(options);
	writer.end--;
	wire_put_opt(&writer, 1232, RCODE_NOERROR, 0, options, sizeof(options));
	ck_assert(writer.failed);
}
END_TEST

START_TEST(opt_without_room_fails)
{
	for (size_t room = 0; room < WIRE_OPT; room++) {
		uint8_t octets[WIRE_OPT];
		struct wire_writer writer = { .message = octets,
					      .at = octets,
					      .end = octets + room };

		wire_put_opt(&writer, 1232, 0, 0, NULL, 0);
		ck_assert(writer.failed);
		ck_assert(writer.at <= writer.end);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wire");
	TCase *queries = tcase_create("queries"), *names = tcase_create("names"),
	      *writing = tcase_create("writing");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(queries, 60);
	tcase_set_timeout(names, 60);
	tcase_add_test(queries, question_is_taken_apart);
	tcase_add_test(queries, class_is_told);
	tcase_add_test(queries, edns_is_taken_apart);
	tcase_add_test(queries, records_of_others_are_walked_over);
	tcase_add_test(queries, opt_need_not_be_last);
	tcase_add_test(queries, what_follows_a_message_does_not_matter);
	tcase_add_test(queries, cut_at_every_octet);
	tcase_add_test(queries, replies_are_met_with_silence);
	tcase_add_test(queries, exactly_one_question);
	tcase_add_test(queries, counts_and_records_agree);
	tcase_add_test(queries, nothing_behind_the_last_record);
	tcase_add_test(queries, second_opt_is_an_error);
	tcase_add_test(queries, opt_belongs_to_the_additional_section);
	tcase_add_test(queries, owner_of_opt_is_the_root);
	tcase_add_test(queries, options_fill_their_record);
	tcase_add_test(queries, options_that_we_know);
	tcase_add_test(queries, cookies_by_length);
	tcase_add_test(queries, second_cookie_is_an_error);
	tcase_add_test(queries, owners_of_records);
	suite_add_tcase(suite, queries);
	tcase_add_test(names, label_types_other_than_plain);
	tcase_add_test(names, pointers_in_the_question);
	tcase_add_test(names, names_up_to_255_octets);
	tcase_add_test(names, names_are_cut_off);
	tcase_add_test(names, only_ascii_letters_become_lower_case);
	tcase_add_test(names, random_names_are_judged_as_ldns_does);
	tcase_add_test(names, random_damage_is_survived);
	suite_add_tcase(suite, names);
	tcase_add_test(writing, numbers_are_in_network_order);
	tcase_add_test(writing, what_does_not_fit_is_remembered);
	tcase_add_test(writing, opt_is_read_by_ldns);
	tcase_add_test(writing, options_are_read_by_ldns);
	tcase_add_test(writing, opt_without_room_fails);
	suite_add_tcase(suite, writing);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
