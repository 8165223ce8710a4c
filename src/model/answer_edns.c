/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/answer_edns.h"

#include "model/cookie.h"

/* Makes room for one option of `len` octets and returns where its data goes. */
static uint8_t *add_option(struct answer_edns *edns, uint16_t code, size_t len)
{
	uint8_t *at = edns->options + edns->len;

	wire_set16(at, code);
	wire_set16(at + 2, (uint16_t)len);
	edns->len += 4 + len;
	return at + 4;
}

static void look_at_cookie(struct answer *answer, const struct wire_query *query,
			   const struct answer_peer *peer, const struct answer_time *time)
{
	struct counters *counters = answer->counters;

	if (query->cookie_len == COOKIE_CLIENT) {
		counters_add(&counters->cookies_new, 1);
		return;
	}
	answer->is_proven =
		cookie_verify(&answer->identity->cookie_secret, peer->address, peer->address_len,
			      time->wall_s, query->cookie, query->cookie_len);
	counters_add(answer->is_proven ? &counters->cookies_valid : &counters->cookies_bad, 1);
}

/* Every cookie is answered with a fresh one; a bad one costs its client nothing (RFC 7873 5.2.3).
 */
static void add_cookie(struct answer_edns *edns, struct answer *answer,
		       const struct wire_query *query, const struct answer_peer *peer,
		       const struct answer_time *time)
{
	uint8_t *whole = add_option(edns, EDNS_COOKIE, COOKIE_WHOLE);

	look_at_cookie(answer, query, peer, time);
	memcpy(whole, query->cookie, COOKIE_CLIENT);
	cookie_make(&answer->identity->cookie_secret, peer->address, peer->address_len,
		    time->wall_s, whole);
}

/* The octets of the OPT record, with an empty padding option where there will be one. */
static size_t opt_len(const struct answer_edns *edns)
{
	return WIRE_OPT + edns->len + (edns->is_padded ? 4 : 0);
}

/* Behind everything else: makes the whole reply as long as many others. */
static void add_padding(const struct wire_writer *writer, struct answer_edns *edns)
{
	size_t len = (size_t)(writer->at - writer->message) + opt_len(edns);
	size_t room = (size_t)(writer->end - writer->message) - len;
	size_t padding = (ANSWER_EDNS_BLOCK - len % ANSWER_EDNS_BLOCK) % ANSWER_EDNS_BLOCK;

	if (padding > room)
		padding = room;
	memset(add_option(edns, EDNS_PADDING, padding), 0, padding);
}

size_t answer_edns_prepare(struct answer_edns *edns, struct answer *answer,
			   const struct wire_query *query, const struct answer_peer *peer,
			   const struct answer_time *time)
{
	const struct answer_identity *identity = answer->identity;
	size_t id_len;

	edns->len = 0;
	if (query->cookie_len)
		add_cookie(edns, answer, query, peer, time);
	if (query->wants_nsid && (id_len = strlen(identity->id)) > 0)
		memcpy(add_option(edns, EDNS_NSID, id_len), identity->id, id_len);
	if (query->wants_keepalive && peer->transport != ANSWER_UDP)
		wire_set16(add_option(edns, EDNS_KEEPALIVE, 2), peer->keepalive_ds);
	edns->is_padded = query->wants_padding && peer->transport == ANSWER_TLS;
	return opt_len(edns);
}

void answer_edns_put(struct reply *reply, struct answer_edns *edns)
{
	struct wire_writer *writer = &reply->writer;
	size_t kept = opt_len(edns), text_len;

	writer->end += kept;
	if (reply->ede != EDE_NONE) {
		text_len = strlen(reply->ede_text);
		if (wire_fits(writer, kept + 6 + text_len)) {
			uint8_t *at = add_option(edns, EDNS_ERROR, 2 + text_len);

			wire_set16(at, (uint16_t)reply->ede);
			memcpy(at + 2, reply->ede_text, text_len);
		}
	}
	if (edns->is_padded)
		add_padding(writer, edns);
	wire_put_opt(writer, LIMIT_UDP_EDNS, reply->rcode, reply->query->edns_flags & WIRE_EDNS_DO,
		     edns->options, edns->len);
	reply->n_additional++;
}

bool answer_edns_put_chaos(struct reply *reply)
{
	const struct answer_identity *identity = reply->answer->identity;
	const struct {
		const char *name; /* wire form; the literal's NUL is the root label */
		const char *text;
	} names[] = {
		{ "\7version\4bind", identity->version },
		{ "\7version\6server", identity->version },
		{ "\2id\6server", identity->id },
		{ "\10hostname\4bind", identity->id },
	};
	const struct wire_query *query = reply->query;
	struct wire_writer *writer = &reply->writer;

	if (query->type != RR_TXT && query->type != RR_ANY)
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t text_len = strlen(names[i].text);
		uint8_t string_len = (uint8_t)text_len;

		if (text_len == 0 || query->name.len != strlen(names[i].name) + 1 ||
		    memcmp(query->name.name, names[i].name, query->name.len) != 0)
			continue;
		wire_put16(writer, RR_OWNER_QUESTION);
		wire_put16(writer, RR_TXT);
		wire_put16(writer, CLASS_CH);
		wire_put32(writer, 0);
		wire_put16(writer, (uint16_t)(1 + text_len));
		wire_put(writer, &string_len, 1);
		wire_put(writer, names[i].text, text_len);
		reply->n_answer++;
		reply->flags |= WIRE_AA;
		return true;
	}
	return false;
}
