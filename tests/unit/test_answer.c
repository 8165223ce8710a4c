/* SPDX-License-Identifier: BSD-2-Clause */
/* What the protocol asks of answer(); which records it gives is the scenarios' business. */
#include "../lib/world.h"

#include "dns/rr.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum {
	MANY = 300,
	HEADER = 12,
};

static struct world world;
static uint8_t message[WORLD_MESSAGE + 64];

/* A query for payment.service.local A, without EDNS. */
static const uint8_t plain[] = {
	0xbe, 0xef, 0x01, 0x00, 0,   1,   0,   0,   0, 0,   0,   0, /* id, RD, one question */
	7,    'P',  'a',  'y',  'm', 'e', 'n', 't', 7, 's', 'e', 'r', 'v', 'i',
	'c',  'E',  5,    'l',  'o', 'c', 'a', 'l', 0, 0,   1,   0,   1,
};

static const uint8_t opt[] = { 0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0 };

static void set_up(void)
{
	const struct world_zone zone = { .origin = (char[]){ "service.local" } };
	char text[WORLD_MESSAGE_TEXT];

	world_init(&world, 7);
	ck_assert_int_eq(world_add_zone(&world, &zone, text, sizeof(text)), 0);
	ck_assert_int_eq(world_register(&world,
					"{\"name\":\"payment\",\"id\":\"one\",\"ip\":\"10.0.0.1\","
					"\"port\":8080}",
					text),
			 201);
}

static void tear_down(void)
{
	world_fini(&world);
}

/* ---- Messages by hand ---- */

static size_t put_plain(void)
{
	memcpy(message, plain, sizeof(plain));
	return sizeof(plain);
}

static size_t put_additional(size_t len, const void *record, size_t record_len)
{
	memcpy(message + len, record, record_len);
	message[11]++;
	return len + record_len;
}

static size_t ask(size_t len, enum answer_transport transport)
{
	return world_answer(&world, transport, message, len);
}

static ldns_pkt *decode(size_t len)
{
	ldns_pkt *packet = NULL;

	ck_assert_int_eq(ldns_wire2pkt(&packet, message, len), LDNS_STATUS_OK);
	return packet;
}

/* Asks and checks the rcode of the reply. */
static ldns_pkt *ask_for(size_t len, unsigned rcode)
{
	ldns_pkt *const packet = decode(ask(len, ANSWER_UDP));

	ck_assert(ldns_pkt_qr(packet));
	ck_assert_uint_eq(ldns_pkt_id(packet), 0xbeef);
	ck_assert_uint_eq(ldns_pkt_get_rcode(packet) |
				  (unsigned)ldns_pkt_edns_extended_rcode(packet) << 4,
			  rcode);
	return packet;
}

static void expect_formerr(size_t len)
{
	ck_assert_uint_eq(ask(len, ANSWER_UDP), HEADER);
	ck_assert_uint_eq(message[2] & 0x80, 0x80);
	ck_assert_uint_eq(message[3], RCODE_FORMERR);
	static const uint8_t no_counts[8];
	ck_assert_mem_eq(message + 4, no_counts, 8);
}

/* ---- Silence ---- */

START_TEST(short_messages_and_replies_get_silence)
{
	for (size_t len = 0; len < HEADER; len++) {
		put_plain();
		ck_assert_uint_eq(ask(len, ANSWER_UDP), 0);
	}
	put_plain();
	message[2] |= 0x80;
	ck_assert_uint_eq(ask(sizeof(plain), ANSWER_UDP), 0);
	ck_assert_uint_eq(atomic_load(&world.reader.silent), HEADER + 1);
	ck_assert_uint_eq(atomic_load(&world.answer.counts.replies[RCODE_FORMERR]), 0);
}
END_TEST

/* ---- Header ---- */

START_TEST(id_case_and_rd_come_back_other_flags_do_not)
{
	const size_t len = put_plain();

	message[2] |= 0x06; /* AA, TC */
	message[3] = 0xf0;  /* RA, Z, AD, CD */
	ldns_pkt *const packet = ask_for(len, RCODE_NOERROR);
	ck_assert_mem_eq(message + HEADER, plain + HEADER, sizeof(plain) - HEADER);
	ck_assert(ldns_pkt_aa(packet) && !ldns_pkt_tc(packet) && ldns_pkt_rd(packet));
	ck_assert(!ldns_pkt_ra(packet) && !ldns_pkt_ad(packet));
	ck_assert_uint_eq(message[3] & 0x40, 0);
	ck_assert_uint_eq(ldns_pkt_ancount(packet), 1);
	ldns_pkt_free(packet);
	put_plain();
	message[2] = 0;
	ldns_pkt *const other = ask_for(len, RCODE_NOERROR);
	ck_assert(!ldns_pkt_rd(other));
	ldns_pkt_free(other);
}
END_TEST

START_TEST(unknown_opcodes_are_not_implemented)
{
	for (unsigned opcode = 1; opcode < 16; opcode++) {
		const bool is_refused = opcode == OPCODE_NOTIFY || opcode == OPCODE_UPDATE;
		const unsigned rcode = is_refused ? RCODE_REFUSED : RCODE_NOTIMP;
		put_plain();
		message[2] = (uint8_t)(opcode << 3 | 0x07);
		message[3] = 0xf0;
		ck_assert_uint_ge(ask(sizeof(plain), ANSWER_UDP), HEADER);
		ck_assert_uint_eq(message[2], 0x80 | opcode << 3);
		ck_assert_uint_eq(message[3], rcode);
		/* The header alone is enough for that. */
		put_plain();
		message[2] = (uint8_t)(opcode << 3);
		message[5] = 0;
		ck_assert_uint_eq(ask(HEADER, ANSWER_UDP), HEADER);
		ck_assert_uint_eq(message[3], rcode);
	}
}
END_TEST

START_TEST(one_question_no_more_no_less)
{
	put_plain();
	message[5] = 0;
	expect_formerr(HEADER);
	put_plain();
	message[5] = 2;
	expect_formerr(sizeof(plain));
	put_plain();
	message[4] = message[5] = 0xff;
	expect_formerr(sizeof(plain));
	put_plain();
	message[5] = 2;
	memcpy(message + sizeof(plain), plain + HEADER, sizeof(plain) - HEADER);
	expect_formerr(2 * sizeof(plain) - HEADER);
}
END_TEST

/* ---- The question ---- */

START_TEST(cut_anywhere_is_a_format_error)
{
	for (size_t len = HEADER; len < sizeof(plain); len++) {
		put_plain();
		expect_formerr(len);
	}
	for (size_t cut = 1; cut < sizeof(opt); cut++) {
		const size_t len = put_additional(put_plain(), opt, sizeof(opt));
		expect_formerr(len - cut);
	}
	put_plain();
	expect_formerr(sizeof(plain) + 1);
	put_plain();
	message[7] = 1; /* an answer record that is not there */
	expect_formerr(sizeof(plain));
}
END_TEST

START_TEST(broken_names_are_format_errors)
{
	static const uint8_t types[] = { 0x40, 0x80, 0xc0 };

	for (size_t i = 0; i < sizeof(types); i++) {
		put_plain();
		message[HEADER] |= types[i];
		expect_formerr(sizeof(plain));
	}
	/* A pointer to itself, and one to a name before it. */
	put_plain();
	message[HEADER] = 0xc0;
	message[HEADER + 1] = HEADER;
	memcpy(message + HEADER + 2, "\0\1\0\1", 4);
	expect_formerr(HEADER + 6);
	/* 256 octets. */
	put_plain();
	size_t len = HEADER;
	for (unsigned i = 0; i < 4; i++) {
		message[len] = i < 3 ? 63 : 62;
		memset(message + len + 1, 'a', 63);
		len += message[len] + 1U;
	}
	memcpy(message + len, "\0\0\1\0\1", 5);
	expect_formerr(len + 5);
	/* 255 are a name, only not one of ours. */
	put_plain();
	len = HEADER;
	for (unsigned i = 0; i < 4; i++) {
		message[len] = i < 3 ? 63 : 61;
		memset(message + len + 1, 'a', 63);
		len += message[len] + 1U;
	}
	memcpy(message + len, "\0\0\1\0\1", 5);
	ldns_pkt_free(ask_for(len + 5, RCODE_REFUSED));
}
END_TEST

START_TEST(names_may_hold_any_octet)
{
	/* A dot, a zero and a high octet within a label of a name below ours. */
	put_plain();
	memcpy(message + HEADER, "\7.\0\xff @/\\", 8);
	ldns_pkt_free(ask_for(sizeof(plain), RCODE_NXDOMAIN));
}
END_TEST

START_TEST(other_classes_and_zone_transfers_are_refused)
{
	put_plain();
	message[sizeof(plain) - 1] = CLASS_CH;
	ldns_pkt_free(ask_for(sizeof(plain), RCODE_REFUSED));
	for (unsigned type = RR_IXFR; type <= RR_AXFR; type++) {
		put_plain();
		message[sizeof(plain) - 3] = (uint8_t)type;
		ldns_pkt_free(ask_for(sizeof(plain), RCODE_REFUSED));
	}
}
END_TEST

/* ---- EDNS ---- */

START_TEST(opt_only_for_who_sent_one)
{
	ldns_pkt *packet = ask_for(put_plain(), RCODE_NOERROR);
	ck_assert_uint_eq(ldns_pkt_arcount(packet), 0);
	ldns_pkt_free(packet);

	packet = ask_for(put_additional(put_plain(), opt, sizeof(opt)), RCODE_NOERROR);
	ck_assert_uint_eq(ldns_pkt_edns_udp_size(packet), LIMIT_UDP_EDNS);
	ck_assert_uint_eq(ldns_pkt_edns_version(packet), 0);
	ck_assert_uint_eq(ldns_pkt_ancount(packet), 1);
	ldns_pkt_free(packet);
}
END_TEST

START_TEST(options_and_flags_are_ignored_and_not_echoed)
{
	static const uint8_t with_options[] = {
		0,    0,    41, 0x04, 0xd0, 0, 0, 0x7f, 0xff, 0, 13, /* every flag but DO */
		0,    100,  0,  0,                                   /* an empty option */
		0xff, 0xfe, 0,  5,    1,    2, 3, 4,    5,           /* an unknown one */
	};
	const size_t len = put_additional(put_plain(), with_options, sizeof(with_options));
	ldns_pkt *const packet = ask_for(len, RCODE_NOERROR);

	ck_assert_ptr_null(ldns_pkt_edns_data(packet));
	ck_assert_uint_eq(ldns_pkt_edns_z(packet), 0);
	ck_assert_uint_eq(ldns_pkt_ancount(packet), 1);
	ldns_pkt_free(packet);
}
END_TEST

START_TEST(other_versions_are_told_ours_before_anything_else)
{
	size_t len = put_additional(put_plain(), opt, sizeof(opt));

	message[sizeof(plain) + 6] = 1;
	message[HEADER + 1] = 'x'; /* a name that is not there */
	ldns_pkt *const packet = ask_for(len, RCODE_BADVERS);
	ck_assert_uint_eq(ldns_pkt_edns_version(packet), 0);
	ck_assert_uint_eq(ldns_pkt_ancount(packet), 0);
	ck_assert_uint_eq(ldns_pkt_nscount(packet), 0);
	ck_assert_uint_eq(atomic_load(&world.answer.counts.replies[RCODE_BADVERS]), 1);
	ldns_pkt_free(packet);
}
END_TEST

START_TEST(broken_opt_is_a_format_error)
{
	static const uint8_t named[] = { 1, 'a', 0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0 };
	static const uint8_t option_over_end[] = { 0, 0, 41, 4, 0xd0, 0, 0, 0,
						   0, 0, 5,  0, 10,   0, 2, 1 };
	static const uint8_t half_option[] = { 0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 3, 0, 10, 0 };

	size_t len = put_additional(put_plain(), opt, sizeof(opt));
	expect_formerr(put_additional(len, opt, sizeof(opt)));
	expect_formerr(put_additional(put_plain(), named, sizeof(named)));
	expect_formerr(put_additional(put_plain(), option_over_end, sizeof(option_over_end)));
	expect_formerr(put_additional(put_plain(), half_option, sizeof(half_option)));
	/* OPT is no answer. */
	len = put_additional(put_plain(), opt, sizeof(opt));
	message[11] = 0;
	message[7] = 1;
	expect_formerr(len);
}
END_TEST

/* ---- Who answers, and who asks ---- */

/* A query for TXT of a name of class CH. Returns its length. */
static size_t put_chaos(const char *wire_name, size_t name_len)
{
	static const uint8_t tail[] = { 0, RR_TXT, 0, CLASS_CH };

	memcpy(message, plain, HEADER);
	memcpy(message + HEADER, wire_name, name_len);
	memcpy(message + HEADER + name_len, tail, sizeof(tail));
	return HEADER + name_len + sizeof(tail);
}

static void expect_chaos(const char *wire_name, size_t name_len, const char *text)
{
	ldns_pkt *const packet = ask_for(put_chaos(wire_name, name_len), RCODE_NOERROR);
	const ldns_rr *const rr = ldns_rr_list_rr(ldns_pkt_answer(packet), 0);

	ck_assert_uint_eq(ldns_pkt_ancount(packet), 1);
	ck_assert_int_eq(ldns_rr_get_class(rr), LDNS_RR_CLASS_CH);
	ck_assert_uint_eq(ldns_rr_ttl(rr), 0);
	char *const found = ldns_rdf2str(ldns_rr_rdf(rr, 0));
	ck_assert_str_eq(found, text);
	free(found);
	ldns_pkt_free(packet);
}

START_TEST(tells_who_it_is_only_where_that_is_configured)
{
	static const char id[] = "\2id\6server", version[] = "\7VERSION\4bind";

	ldns_pkt_free(ask_for(put_chaos(id, sizeof(id)), RCODE_REFUSED));
	strcpy(world.identity.id, "ns1.rack2");
	expect_chaos(id, sizeof(id), "\"ns1.rack2\"");
	ldns_pkt_free(ask_for(put_chaos(version, sizeof(version)), RCODE_REFUSED));
	strcpy(world.identity.version, "rosterd");
	expect_chaos(version, sizeof(version), "\"rosterd\"");
	ldns_pkt_free(ask_for(put_chaos(id, sizeof(id)), RCODE_NOERROR));
}
END_TEST

START_TEST(nsid_is_told_to_who_asks_for_it)
{
	static const uint8_t with_nsid[] = { 0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 4, 0, 3, 0, 0 };
	static const uint8_t expected[] = { 0, EDNS_NSID, 0, 3, 'n', 's', '1' };

	strcpy(world.identity.id, "ns1");
	const size_t len = put_additional(put_plain(), with_nsid, sizeof(with_nsid));
	ldns_pkt *const packet = ask_for(len, RCODE_NOERROR);
	const ldns_rdf *const data = ldns_pkt_edns_data(packet);
	ck_assert_ptr_nonnull(data);
	ck_assert_uint_eq(ldns_rdf_size(data), sizeof(expected));
	ck_assert_mem_eq(ldns_rdf_data(data), expected, sizeof(expected));
	ldns_pkt_free(packet);
}
END_TEST

/* Asks with a cookie of `len` octets; the reply's goes to `reply`, 24 octets. */
static void ask_with_cookie(const uint8_t *cookie, uint8_t len, uint8_t reply[24])
{
	uint8_t with_cookie[11 + 4 + 24] = { 0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0, 0, EDNS_COOKIE };

	with_cookie[10] = (uint8_t)(4 + len);
	with_cookie[14] = len;
	memcpy(with_cookie + 15, cookie, len);
	ldns_pkt *const packet =
		ask_for(put_additional(put_plain(), with_cookie, 15u + len), RCODE_NOERROR);
	const ldns_rdf *const data = ldns_pkt_edns_data(packet);
	ck_assert_ptr_nonnull(data);
	ck_assert_uint_eq(ldns_rdf_size(data), 4 + 24);
	memcpy(reply, ldns_rdf_data(data) + 4, 24);
	ck_assert_mem_eq(reply, cookie, 8);
	ldns_pkt_free(packet);
}

START_TEST(a_cookie_of_ours_proves_the_address)
{
	static const uint8_t client[] = "12345678";
	uint8_t first[24], again[24];

	ask_with_cookie(client, 8, first);
	ck_assert(!world.answer.is_proven);
	ask_with_cookie(first, 24, again);
	ck_assert(world.answer.is_proven);
	ck_assert_uint_eq(atomic_load(&world.reader.cookies_valid), 1);
	first[23] ^= 1;
	ask_with_cookie(first, 24, again);
	ck_assert(!world.answer.is_proven);
	ck_assert_uint_eq(atomic_load(&world.reader.cookies_bad), 1);
}
END_TEST

/* ---- Sizes ---- */

static void register_many(void)
{
	char json[200], text[WORLD_MESSAGE_TEXT];

	for (unsigned i = 0; i < MANY; i++) {
		snprintf(json, sizeof(json),
			 "{\"name\":\"payment\",\"id\":\"node-%u\",\"ipv4\":\"10.1.%u.%u\","
			 "\"ipv6\":\"2001:db8::%x\",\"port\":8080,\"version\":\"1.%u\"}",
			 i, i / 250, i % 250 + 1, i + 1, i);
		ck_assert_int_eq(world_register(&world, json, text), 201);
	}
}

START_TEST(every_size_is_kept_and_used)
{
	static const ldns_rr_type types[] = { LDNS_RR_TYPE_A, LDNS_RR_TYPE_AAAA, LDNS_RR_TYPE_SRV,
					      LDNS_RR_TYPE_TXT };
	size_t len;

	register_many();
	for (unsigned size = 0; size < 1500; size += size < 520 ? 37 : 1) {
		for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
			const struct world_question question = {
				.name = "payment",
				.type = types[t],
				.edns = (uint16_t)size,
			};
			/* world_ask() checks the limit. */
			ldns_pkt *const reply = world_ask(&world, &question, message, &len);
			const size_t limit = size <= LIMIT_UDP_PLAIN ? LIMIT_UDP_PLAIN
					     : size < LIMIT_UDP_EDNS ? size
								     : LIMIT_UDP_EDNS;
			ck_assert(ldns_pkt_tc(reply));
			ck_assert_uint_gt(ldns_pkt_ancount(reply), 0);
			/* No record is larger than 75 octets: that much may be left over. */
			ck_assert_uint_gt(len + 75, limit);
			ldns_pkt_free(reply);
		}
	}
}
END_TEST

START_TEST(tcp_has_the_full_set)
{
	size_t len;

	register_many();
	for (unsigned with_edns = 0; with_edns < 2; with_edns++) {
		const struct world_question question = {
			.name = "_payment._tcp",
			.type = LDNS_RR_TYPE_SRV,
			.transport = ANSWER_TCP,
			.edns = with_edns ? 512 : 0,
		};
		ldns_pkt *const reply = world_ask(&world, &question, message, &len);
		ck_assert(!ldns_pkt_tc(reply));
		ck_assert_uint_eq(ldns_pkt_ancount(reply), MANY + 1);
		ck_assert_uint_eq(ldns_pkt_arcount(reply), 2 * MANY + 1);
		ldns_pkt_free(reply);
	}
}
END_TEST

/* Asks for SRV with these options. */
static size_t put_with_options(const char *name, const uint8_t *options, size_t options_len)
{
	uint8_t record[64] = { 0, 0, RR_OPT, 4, 208, 0, 0, 0, 0, 0, (uint8_t)options_len };
	ldns_rdf *const dname = ldns_dname_new_frm_str(name);
	size_t len = HEADER + ldns_rdf_size(dname);

	put_plain();
	memcpy(message + HEADER, ldns_rdf_data(dname), ldns_rdf_size(dname));
	memcpy(message + len, "\0\41\0\1", 4);
	ldns_rdf_deep_free(dname);
	memcpy(record + WIRE_OPT, options, options_len);
	return put_additional(len + 4, record, WIRE_OPT + options_len);
}

START_TEST(replies_over_tls_are_padded_to_blocks)
{
	static const uint8_t wishes[] = { 0, EDNS_PADDING, 0, 3, 0, 0, 0, 0, EDNS_KEEPALIVE, 0, 0 };
	static const char *const names[] = { "payment.service.local.", "nobody.service.local.",
					     "one.payment.service.local.", "example." };

	register_many();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t len = ask(put_with_options(names[i], wishes, sizeof(wishes)), ANSWER_TLS);

		ck_assert_uint_gt(len, 0);
		ck_assert_uint_eq(len % 468, 0);
		ldns_pkt_free(decode(len));
		/* Nobody is helped where everybody reads it. */
		size_t tcp_len =
			ask(put_with_options(names[i], wishes, sizeof(wishes)), ANSWER_TCP);
		ck_assert_uint_le(tcp_len + 4, len);
		ck_assert_uint_gt(tcp_len + 4 + 468, len);
		/* Nor who has not asked for it. */
		ck_assert_uint_eq(ask(put_with_options(names[i], wishes + 7, 4), ANSWER_TLS),
				  tcp_len);
	}
}
END_TEST

/* Where the record at `at` ends; owners in our answers are pointers. */
static const uint8_t *after_record(const uint8_t *at)
{
	ck_assert_uint_ge(at[0], 0xc0);
	return at + 12 + (at[10] << 8 | at[11]);
}

START_TEST(srv_targets_are_not_compressed)
{
	const struct world_question question = { .name = "payment", .type = LDNS_RR_TYPE_SRV };
	static const uint8_t target[] = "\3one\7payment\7service\5local";
	size_t len;

	ldns_pkt *const reply = world_ask(&world, &question, message, &len);
	ck_assert_uint_eq(ldns_pkt_ancount(reply), 1);
	const uint8_t *const record = message + sizeof(plain);
	ck_assert_uint_eq(record[11], 6 + sizeof(target));
	ck_assert_mem_eq(record + 18, target, sizeof(target));
	/* The address beside it points at that very name. */
	const uint8_t *const address = after_record(record);
	ck_assert_uint_eq((address[0] & 0x3f) << 8 | address[1], record + 18 - message);
	ck_assert_ptr_eq(after_record(address), message + len);
	ldns_pkt_free(reply);
}
END_TEST

START_TEST(replies_are_counted)
{
	const struct answer_counts *const counts = &world.answer.counts;

	world.answer.reader = 3;
	ldns_pkt_free(ask_for(put_plain(), RCODE_NOERROR));
	put_plain();
	message[HEADER + 1] = 'x';
	ldns_pkt_free(ask_for(sizeof(plain), RCODE_NXDOMAIN));
	put_plain();
	message[2] = 2 << 3;
	ask(sizeof(plain), ANSWER_TCP);
	ck_assert_uint_eq(answer_counts_queries(counts, ANSWER_UDP), 2);
	ck_assert_uint_eq(atomic_load(&counts->queries[ANSWER_TYPE_A][ANSWER_UDP]), 2);
	ck_assert_uint_eq(answer_counts_queries(counts, ANSWER_TCP), 1);
	ck_assert_uint_eq(atomic_load(&counts->queries[ANSWER_TYPE_NONE][ANSWER_TCP]), 1);
	ck_assert_uint_eq(atomic_load(&counts->replies[RCODE_NOERROR]), 1);
	ck_assert_uint_eq(atomic_load(&counts->replies[RCODE_NXDOMAIN]), 1);
	ck_assert_uint_eq(atomic_load(&counts->replies[RCODE_NOTIMP]), 1);
	ck_assert_uint_eq(catalog_count_queries(catalog_zones(world.catalog)->zones[0]), 2);
	ck_assert_uint_eq(atomic_load(&counts->outside), 0);
}
END_TEST

START_TEST(no_zone_refuses_everything)
{
	world_drop_zone(&world, "service.local");
	ldns_pkt_free(ask_for(put_plain(), RCODE_REFUSED));
	put_plain();
	memcpy(message + HEADER, "\0\0\1\0\1", 5);
	ldns_pkt_free(ask_for(HEADER + 5, RCODE_REFUSED));
}
END_TEST

START_TEST(what_is_loading_is_no_answer_and_no_denial)
{
	static const uint8_t not_ready[] = { 0, 15, 0, 10, 0, 14, 's', 't', 'a', 'r', 't', 'i' };
	const struct world_zone zone = { .origin = (char[]){ "other.local" } };
	char text[WORLD_MESSAGE_TEXT];
	ldns_pkt *packet;

	catalog_set_loading(world.catalog, true);
	ck_assert_int_eq(world_add_zone(&world, &zone, text, sizeof(text)), 0);
	packet = ask_for(put_additional(put_plain(), opt, sizeof(opt)), RCODE_SERVFAIL);
	ck_assert(!ldns_pkt_aa(packet));
	ck_assert_uint_eq(ldns_pkt_ancount(packet) + ldns_pkt_nscount(packet), 0);
	ck_assert_uint_eq(ldns_rdf_size(ldns_pkt_edns_data(packet)), 14);
	ck_assert_mem_eq(ldns_rdf_data(ldns_pkt_edns_data(packet)), not_ready, sizeof(not_ready));
	ldns_pkt_free(packet);
	put_plain();
	message[HEADER + 1] = 'x'; /* a name that is not there */
	ldns_pkt_free(ask_for(sizeof(plain), RCODE_SERVFAIL));
	put_plain();
	memcpy(message + HEADER, "\0\0\1\0\1", 5); /* not ours */
	ldns_pkt_free(ask_for(HEADER + 5, RCODE_REFUSED));
	catalog_set_loading(world.catalog, false);
	ldns_pkt_free(ask_for(put_plain(), RCODE_NOERROR));
}
END_TEST

START_TEST(serial_follows_the_revision)
{
	const struct world_question question = { .name = "@", .type = LDNS_RR_TYPE_SOA };
	char text[WORLD_MESSAGE_TEXT];
	size_t len;

	for (unsigned i = 0; i < 3; i++) {
		ldns_pkt *const reply = world_ask(&world, &question, message, &len);
		const ldns_rr *const soa = ldns_rr_list_rr(ldns_pkt_answer(reply), 0);
		ck_assert_uint_eq(ldns_rdf2native_int32(ldns_rr_rdf(soa, 2)),
				  registry_revision(world.registry));
		ldns_pkt_free(reply);
		world_heartbeat(&world,
				i % 2 ? "{\"service\":\"payment\",\"status\":\"passing\"}"
				      : "{\"service\":\"payment\",\"status\":\"critical\"}",
				text);
	}
}
END_TEST

int main(void)
{
	Suite *const suite = suite_create("answer");
	TCase *const tcase = tcase_create("answer");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, short_messages_and_replies_get_silence);
	tcase_add_test(tcase, id_case_and_rd_come_back_other_flags_do_not);
	tcase_add_test(tcase, unknown_opcodes_are_not_implemented);
	tcase_add_test(tcase, one_question_no_more_no_less);
	tcase_add_test(tcase, cut_anywhere_is_a_format_error);
	tcase_add_test(tcase, broken_names_are_format_errors);
	tcase_add_test(tcase, names_may_hold_any_octet);
	tcase_add_test(tcase, other_classes_and_zone_transfers_are_refused);
	tcase_add_test(tcase, opt_only_for_who_sent_one);
	tcase_add_test(tcase, options_and_flags_are_ignored_and_not_echoed);
	tcase_add_test(tcase, other_versions_are_told_ours_before_anything_else);
	tcase_add_test(tcase, broken_opt_is_a_format_error);
	tcase_add_test(tcase, tells_who_it_is_only_where_that_is_configured);
	tcase_add_test(tcase, nsid_is_told_to_who_asks_for_it);
	tcase_add_test(tcase, a_cookie_of_ours_proves_the_address);
	tcase_add_test(tcase, every_size_is_kept_and_used);
	tcase_add_test(tcase, tcp_has_the_full_set);
	tcase_add_test(tcase, replies_over_tls_are_padded_to_blocks);
	tcase_add_test(tcase, srv_targets_are_not_compressed);
	tcase_add_test(tcase, replies_are_counted);
	tcase_add_test(tcase, no_zone_refuses_everything);
	tcase_add_test(tcase, what_is_loading_is_no_answer_and_no_denial);
	tcase_add_test(tcase, serial_follows_the_revision);
	suite_add_tcase(suite, tcase);
	SRunner *const runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	const int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
