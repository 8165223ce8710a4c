/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_answer: any octets as a DNS message, over UDP and TCP, to a fixed registry and zone.
 * Whatever comes, the reply is none or one that keeps RFC 1035 and 6891: length, id and flags, the
 * question octet by octet, an OPT where one was asked with and nowhere else; ldns must be able to
 * read it. The reply is never printed: ldns_pkt2str() itself does not survive every packet.
 */
#include "../lib/world.h"

#include "dns/rr.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	HEADER = 12,
};

static const char *const registrations[] = {
	"{\"name\":\"payment\",\"id\":\"one\",\"ip\":\"10.0.0.1\",\"port\":8080,\"weight\":1,"
	"\"tags\":[\"blue\",\"tcp\"],\"ports\":{\"http\":8080,\"metrics\":9090},\"version\":\"1\"}",
	"{\"name\":\"payment\",\"id\":\"two\",\"ipv4\":\"10.0.0.2\",\"ipv6\":\"2001:db8::2\","
	"\"port\":8081,\"weight\":7,\"priority\":20,\"meta\":{\"a\":\"b\"}}",
	"{\"name\":\"payment\",\"id\":\"a b\",\"ip\":\"10.0.0.1\",\"port\":8082,\"weight\":0}",
	"{\"name\":\"leased\",\"ip\":\"2001:db8::3\",\"port\":53,\"protocol\":\"udp\","
	"\"lease\":\"3s\"}",
	"{\"name\":\"down\",\"ip\":\"10.0.0.9\",\"port\":80,\"health\":\"/\"}",
};

/* A CNAME and a loop of them, a wildcard, a delegation with glue. */
static const char zone_text[] =
	"$TTL 60\n@ SOA ns hostmaster 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n"
	"www CNAME payment\nout CNAME www.example.com.\nl CNAME m\nm CNAME l\n"
	"*.dyn A 192.0.2.2\n*.dyn TXT any\nthere.dyn A 192.0.2.3\n"
	"deep.er A 192.0.2.4\nsub NS ns.sub\nns.sub A 192.0.2.5\n";

static struct world world;

static void free_world(void)
{
	world_fini(&world);
}

/*
 * Two zones, a few services, and one that is too large for any UDP reply. Made before main(), whose
 * leak checks between inputs do not see through the catalog's tagged pointers.
 */
__attribute__((constructor)) static void make_world(void)
{
	char text[WORLD_MESSAGE_TEXT], json[200], path[40];
	char origins[2][20] = { "service.local", "local" };
	const int file = memfd_create("zone", 0);

	const ssize_t written = write(file, zone_text, sizeof(zone_text) - 1);
	assert(written == sizeof(zone_text) - 1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	world_init(&world, 1);
	for (size_t i = 0; i < 2; i++) {
		const struct world_zone zone = {
			.origin = origins[i],
			.file = i == 0 ? path : NULL,
		};
		const int added = world_add_zone(&world, &zone, text, sizeof(text));
		assert(added == 0);
	}
	close(file);
	for (size_t i = 0; i < sizeof(registrations) / sizeof(registrations[0]); i++) {
		const int status = world_register(&world, registrations[i], text);
		assert(status == 201);
	}
	for (unsigned i = 0; i < 200; i++) {
		snprintf(json, sizeof(json), "{\"name\":\"big\",\"ip\":\"10.1.0.%u\",\"port\":80}",
			 i + 1);
		const int status = world_register(&world, json, text);
		assert(status == 201);
	}
	atexit(free_world);
}

/* What ldns, a codec that is not ours, reads in a query; all zero where it reads nothing. */
struct seen {
	bool is_sound, has_edns;
	uint16_t edns_size;
};

static struct seen read_query(const uint8_t *data, size_t size)
{
	struct seen seen = { 0 };
	ldns_pkt *packet = NULL;

	seen.is_sound = ldns_wire2pkt(&packet, data, size) == LDNS_STATUS_OK;
	if (seen.is_sound && ldns_pkt_edns(packet)) {
		seen.has_edns = true;
		seen.edns_size = ldns_pkt_edns_udp_size(packet);
	}
	ldns_pkt_free(packet);
	return seen;
}

static size_t udp_limit(size_t edns)
{
	if (edns <= LIMIT_UDP_PLAIN)
		return LIMIT_UDP_PLAIN;
	return edns < LIMIT_UDP_EDNS ? edns : LIMIT_UDP_EDNS;
}

static void check_sections(const ldns_pkt *packet)
{
	const ldns_rr_list *const answer = ldns_pkt_answer(packet);

	for (size_t i = 1; i < ldns_rr_list_rr_count(answer); i++) {
		const ldns_rr *const a = ldns_rr_list_rr(answer, i - 1);
		const ldns_rr *const b = ldns_rr_list_rr(answer, i);
		assert(ldns_rr_ttl(a) == ldns_rr_ttl(b) ||
		       ldns_rr_get_type(a) != ldns_rr_get_type(b));
	}
	if (ldns_pkt_get_rcode(packet) == LDNS_RCODE_NXDOMAIN)
		assert(ldns_pkt_nscount(packet) == 1 || ldns_pkt_tc(packet));
	if (ldns_pkt_get_rcode(packet) == LDNS_RCODE_REFUSED)
		assert(ldns_pkt_ancount(packet) == 0 && !ldns_pkt_aa(packet));
}

/* Octets of the header and the question; the query is one that was understood. */
static size_t question_end(const uint8_t *query, size_t query_len)
{
	size_t at = HEADER;

	while (at < query_len && query[at])
		at += 1u + query[at];
	at += 1 + 4;
	assert(at <= query_len);
	return at;
}

/* A header alone, without anything that a reader could take for a section. */
static void check_bare(const uint8_t *reply, size_t len)
{
	static const uint8_t none[8];

	assert(len == HEADER && memcmp(reply + 4, none, sizeof(none)) == 0);
}

/* What the query was, and how it is answered over one transport. */
static void check_reply(const uint8_t *query, size_t query_len, const uint8_t *reply, size_t len,
			const struct seen *seen, enum answer_transport transport)
{
	ldns_pkt *packet = NULL;
	size_t question;

	if (query_len < HEADER || (query[2] & 0x80)) {
		assert(len == 0);
		return;
	}
	assert(len >= HEADER);
	assert(len <= (transport == ANSWER_UDP ? udp_limit(seen->edns_size) : LIMIT_TCP_MESSAGE));
	assert(memcmp(query, reply, 2) == 0);
	assert(reply[2] & 0x80);
	assert((query[2] & 0x78) == (reply[2] & 0x78));
	assert((reply[3] & 0xf0) == 0);
	assert(transport == ANSWER_UDP || !(reply[2] & 0x02));
	if ((reply[3] & 0x0f) == RCODE_FORMERR || (reply[2] & 0x78) != 0) {
		check_bare(reply, len);
		return;
	}
	assert((query[2] & 0x01) == (reply[2] & 0x01));
	question = question_end(query, query_len);
	assert(len >= question && reply[4] == 0 && reply[5] == 1);
	assert(memcmp(query + HEADER, reply + HEADER, question - HEADER) == 0);
	const ldns_status status = ldns_wire2pkt(&packet, reply, len);
	assert(status == LDNS_STATUS_OK);
	assert(!seen->is_sound || ldns_pkt_edns(packet) == seen->has_edns);
	check_sections(packet);
	ldns_pkt_free(packet);
}

static size_t ask(enum answer_transport transport, const uint8_t *data, size_t size,
		  uint8_t *message)
{
	memcpy(message, data, size);
	return world_answer(&world, transport, message, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > ANSWER_ROOM_UDP)
		return 0;
	/* On the heap and as large as promised, not more: so a sanitizer sees every overrun. */
	uint8_t *const udp = malloc(ANSWER_ROOM_UDP);
	uint8_t *const tcp = malloc(ANSWER_ROOM_TCP);
	assert(udp && tcp);
	const struct seen seen = read_query(data, size);
	const size_t udp_len = ask(ANSWER_UDP, data, size, udp);
	check_reply(data, size, udp, udp_len, &seen, ANSWER_UDP);
	const size_t tcp_len = ask(ANSWER_TCP, data, size, tcp);
	check_reply(data, size, tcp, tcp_len, &seen, ANSWER_TCP);
	assert((udp_len == 0) == (tcp_len == 0));
	const size_t tls_len = ask(ANSWER_TLS, data, size, tcp);
	check_reply(data, size, tcp, tls_len, &seen, ANSWER_TLS);
	assert(tls_len >= tcp_len);
	free(udp);
	free(tcp);
	return 0;
}
