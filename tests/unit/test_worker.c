/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/worker.h"

#include "base/clock.h"
#include "dns/name.h"
#include "io/listen.h"
#include "io/tcp.h"
#include "io/udp.h"
#include "io/zonefile.h"

#include <ldns/ldns.h>

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	WAIT_S = 20,       /* nothing takes that long; what does has failed */
	BIG_RECORDS = 60,  /* of 256 octets each, in a reply over TCP */
	BIG_QUERIES = 600, /* whose replies no socket buffer holds */
	BURST = 200,       /* more than three batches, less than a socket buffer */
	PIPELINED = 300,
	PEERS = 4,
	FRAMED = 2 + 128, /* room for one framed query */
};

static const struct answer_identity identity;
static struct catalog *catalog;
static struct zone *zone;
static struct build build;
static struct worker *worker;
static struct udp *udp;
static struct tcp *tcp;
static struct listen_address udp_address, tcp_address;

/* ---- A worker with a small zone ---- */

static void put_small(uint8_t number)
{
	uint8_t address[4] = { 10, number, number, number };
	struct entry *entry;

	build_begin(&build);
	build_set(&build, LDNS_RR_TYPE_A, 5);
	build_record(&build, address, sizeof(address), NULL, 0);
	build_record(&build, address, sizeof(address), NULL, 0);
	entry = build_entry(&build, (const uint8_t *)"\5small", 6);
	ck_assert(entry && catalog_put(catalog, zone, entry) == 0);
}

static void put_big(void)
{
	uint8_t text[256] = { 255 };
	struct entry *entry;

	build_begin(&build);
	build_set(&build, LDNS_RR_TYPE_TXT, 5);
	for (unsigned i = 0; i < BIG_RECORDS; i++) {
		memset(text + 1, 'a' + (int)(i % 26), 255);
		text[1] = (uint8_t)i;
		build_record(&build, text, sizeof(text), NULL, 0);
	}
	entry = build_entry(&build, (const uint8_t *)"\3big", 4);
	ck_assert(entry && catalog_put(catalog, zone, entry) == 0);
}

static void make_zone(void)
{
	struct static_zone content = { 0 };
	struct zone_list *list;
	uint8_t origin[NAME_MAX_LEN];
	size_t len = name_parse("example", origin);
	struct address address = { 0 };
	char message[200];

	build_init(&build);
	zone = catalog_zone_new(catalog, origin, len);
	ck_assert_ptr_nonnull(zone);
	ck_assert_int_eq(zonefile_default(origin, len, &address, &content), 0);
	ck_assert_int_eq(static_zone_prepare(&content, message, sizeof(message)), 0);
	ck_assert_int_eq(static_zone_put(&content, catalog, zone, &build), 0);
	static_zone_fini(&content);
	put_small(1);
	put_big();
	list = catalog_zone_list_new(1);
	ck_assert_ptr_nonnull(list);
	list->zones[0] = zone;
	catalog_set_zones(catalog, list);
	catalog_publish(catalog, 1);
}

static const struct udp_limit_options no_limit = { .rate = 0 };

static void make_worker(const char *address_text)
{
	const char *reason;
	int fd;

	ck_assert(listen_parse(address_text, &udp_address, &reason));
	ck_assert(listen_parse(address_text, &tcp_address, &reason));
	worker = worker_new(catalog, &identity);
	ck_assert_ptr_nonnull(worker);
	fd = listen_udp(&udp_address);
	ck_assert_int_ge(fd, 0);
	udp = udp_new(worker, fd, listen_is_wildcard(&udp_address), &no_limit);
	ck_assert_ptr_nonnull(udp);
	fd = listen_tcp_shared(&tcp_address);
	ck_assert_int_ge(fd, 0);
	tcp = tcp_new(worker, fd, NULL);
	ck_assert_ptr_nonnull(tcp);
	ck_assert_int_eq(worker_start(worker), 0);
}

static void end_worker(void)
{
	worker_stop(worker);
	udp_free(udp);
	tcp_free(tcp);
	worker_free(worker);
}

static void set_up(void)
{
	catalog = catalog_new();
	ck_assert_ptr_nonnull(catalog);
	make_zone();
	make_worker("127.0.0.1@0");
}

static void tear_down(void)
{
	end_worker();
	build_fini(&build);
	catalog_free(catalog);
}

/* What the worker's thread has counted so far. */
#define COUNT(name)          atomic_load_explicit(&worker->counters.name, memory_order_relaxed)
#define N_QUERIES(transport) answer_counts_queries(&worker->answer.counts, transport)

static void wait_for(sem_t *semaphore)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	ck_assert_int_eq(sem_timedwait(semaphore, &until), 0);
}

/* ---- Clients ---- */

static int connect_to(const struct listen_address *address, int type)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1;

	ck_assert_int_ge(fd, 0);
	if (type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address->sockaddr, address->len), 0);
	return fd;
}

static int tcp_client(void)
{
	return connect_to(&tcp_address, SOCK_STREAM);
}

/* A query as ldns encodes it, behind two octets of room for a frame. Returns the message's length.
 */
static size_t make_query(uint8_t framed[FRAMED], const char *name, ldns_rr_type type, uint16_t id)
{
	ldns_pkt *packet =
		ldns_pkt_query_new(ldns_dname_new_frm_str(name), type, LDNS_RR_CLASS_IN, 0);
	uint8_t *wire;
	size_t len;

	ldns_pkt_set_id(packet, id);
	ck_assert_int_eq(ldns_pkt2wire(&wire, packet, &len), LDNS_STATUS_OK);
	ck_assert_uint_le(2 + len, FRAMED);
	ldns_write_uint16(framed, (uint16_t)len);
	memcpy(framed + 2, wire, len);
	free(wire);
	ldns_pkt_free(packet);
	return len;
}

/* Framed queries with the ids 0 to n - 1. The caller frees. */
static uint8_t *make_queries(const char *name, ldns_rr_type type, size_t n, size_t *len)
{
	uint8_t framed[FRAMED];
	size_t one = 2 + make_query(framed, name, type, 0);
	uint8_t *all = malloc(n * one);

	for (size_t i = 0; i < n; i++) {
		memcpy(all + i * one, framed, one);
		ldns_write_uint16(all + i * one + 2, (uint16_t)i);
	}
	*len = n * one;
	return all;
}

static void send_octets(int fd, const uint8_t *octets, size_t len)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };

	while (len > 0) {
		ssize_t n;

		ck_assert_int_eq(poll(&poll_fd, 1, WAIT_S * 1000), 1);
		n = send(fd, octets, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		ck_assert_int_gt(n, 0);
		octets += n;
		len -= (size_t)n;
	}
}

static void send_queries(int fd, const char *name, ldns_rr_type type, size_t n)
{
	size_t len;
	uint8_t *queries = make_queries(name, type, n, &len);

	send_octets(fd, queries, len);
	free(queries);
}

static ssize_t receive(int fd, void *octets, size_t len)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	ck_assert_int_eq(poll(&poll_fd, 1, WAIT_S * 1000), 1);
	return recv(fd, octets, len, MSG_DONTWAIT);
}

/* Whether all `len` octets came; false: the connection ended before the first. */
static bool receive_all(int fd, uint8_t *octets, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = receive(fd, octets + done, len - done);

		if (n == 0 && done == 0)
			return false;
		ck_assert_int_gt(n, 0);
		done += (size_t)n;
	}
	return true;
}

/* The next reply's length; 0: the server has closed. */
static size_t receive_reply(int fd, uint8_t message[LDNS_MAX_PACKETLEN])
{
	uint8_t frame[2];
	size_t len;

	if (!receive_all(fd, frame, 2))
		return 0;
	len = ldns_read_uint16(frame);
	ck_assert_uint_gt(len, 0);
	ck_assert(receive_all(fd, message, len));
	return len;
}

static void check_closed(int fd)
{
	uint8_t octet;

	ck_assert_int_eq(receive(fd, &octet, 1), 0);
}

/* A reply with this id and so many records. */
static void check_reply(const uint8_t *message, size_t len, uint16_t id, size_t n_records)
{
	ldns_pkt *packet;

	ck_assert_int_eq(ldns_wire2pkt(&packet, message, len), LDNS_STATUS_OK);
	ck_assert_uint_eq(ldns_pkt_id(packet), id);
	ck_assert(ldns_pkt_qr(packet) && ldns_pkt_aa(packet) && !ldns_pkt_tc(packet));
	ck_assert_int_eq(ldns_pkt_get_rcode(packet), LDNS_RCODE_NOERROR);
	ck_assert_uint_eq(ldns_pkt_ancount(packet), n_records);
	ldns_pkt_free(packet);
}

/* `n` replies in the order of their queries. */
static void check_replies(int fd, size_t n, size_t n_records)
{
	static uint8_t message[LDNS_MAX_PACKETLEN];

	for (size_t i = 0; i < n; i++) {
		size_t len = receive_reply(fd, message);

		ck_assert_msg(len > 0, "closed before reply %zu", i);
		check_reply(message, len, (uint16_t)i, n_records);
	}
}

/* A connection is as good as new: it answers. */
static void check_answers(int fd)
{
	send_queries(fd, "small.example", LDNS_RR_TYPE_A, 1);
	check_replies(fd, 1, 2);
}

/* ---- Holding the worker, so that much is there when it comes back ---- */

static sem_t held, go;

static void hold(void *cookie)
{
	(void)cookie;
	sem_post(&held);
	wait_for(&go);
}

static void hold_worker(void)
{
	sem_init(&held, 0, 0);
	sem_init(&go, 0, 0);
	ck_assert_int_eq(worker_run(worker, hold, NULL), 0);
	wait_for(&held);
}

/* ---- UDP ---- */

static void check_udp(int fd, uint16_t id)
{
	uint8_t framed[FRAMED], reply[1500];
	size_t len = make_query(framed, "small.example", LDNS_RR_TYPE_A, id);
	ssize_t n;

	ck_assert_int_eq(send(fd, framed + 2, len, 0), (ssize_t)len);
	n = receive(fd, reply, sizeof(reply));
	ck_assert_int_gt(n, 0);
	check_reply(reply, (size_t)n, id, 2);
}

START_TEST(udp_is_answered)
{
	int fd = connect_to(&udp_address, SOCK_DGRAM);

	for (uint16_t i = 0; i < 20; i++)
		check_udp(fd, (uint16_t)(i * 3000));
	ck_assert_uint_eq(N_QUERIES(ANSWER_UDP), 20);
	close(fd);
}
END_TEST

/* Every one of a burst gets its reply, once, whatever else is in between. */
START_TEST(udp_burst_is_more_than_a_batch)
{
	int fd = connect_to(&udp_address, SOCK_DGRAM);
	uint8_t framed[FRAMED], reply[1500];
	size_t len = make_query(framed, "small.example", LDNS_RR_TYPE_A, 0);

	for (unsigned round = 0; round < 10; round++) {
		bool seen[BURST] = { false };

		hold_worker();
		for (uint16_t i = 0; i < BURST; i++) {
			ldns_write_uint16(framed + 2, i);
			if (i % 50 == 7) /* nothing to answer: too short, then a reply */
				ck_assert_int_eq(send(fd, framed + 2, 11, 0), 11);
			ck_assert_int_eq(send(fd, framed + 2, len, 0), (ssize_t)len);
		}
		sem_post(&go);
		for (unsigned i = 0; i < BURST; i++) {
			ssize_t n = receive(fd, reply, sizeof(reply));
			uint16_t id;

			ck_assert_int_gt(n, 0);
			id = ldns_read_uint16(reply);
			ck_assert_uint_lt(id, BURST);
			ck_assert(!seen[id]);
			seen[id] = true;
			check_reply(reply, (size_t)n, id, 2);
		}
	}
	ck_assert_uint_eq(COUNT(silent), 10 * 4);
	ck_assert_uint_eq(COUNT(send_failed), 0);
	close(fd);
}
END_TEST

/* Runs of one peer and of one type, that end at different places. */
static size_t peer_of(unsigned i)
{
	return i / 7 % PEERS;
}

static unsigned is_second_type(unsigned i)
{
	return i / 5 % 2;
}

/* Replies may be sent several at once, in any order; each still goes to who asked, as it should. */
static void check_burst(void)
{
	uint8_t framed[2][FRAMED], reply[1500];
	unsigned n_seen[BURST] = { 0 };
	size_t lens[2];
	int fds[PEERS];

	lens[0] = make_query(framed[0], "small.example", LDNS_RR_TYPE_A, 0);
	lens[1] = make_query(framed[1], "small.example", LDNS_RR_TYPE_AAAA, 0);
	for (size_t peer = 0; peer < PEERS; peer++)
		fds[peer] = connect_to(&udp_address, SOCK_DGRAM);
	hold_worker();
	for (unsigned i = 0; i < BURST; i++) {
		unsigned type = is_second_type(i);

		ldns_write_uint16(framed[type] + 2, (uint16_t)i);
		ck_assert_int_eq(send(fds[peer_of(i)], framed[type] + 2, lens[type], 0),
				 (ssize_t)lens[type]);
	}
	sem_post(&go);
	for (unsigned i = 0; i < BURST; i++) {
		ssize_t n = receive(fds[peer_of(i)], reply, sizeof(reply));
		uint16_t id;

		ck_assert_int_gt(n, 12);
		id = ldns_read_uint16(reply);
		ck_assert(id < BURST && peer_of(id) == peer_of(i) && n_seen[id]++ == 0);
		check_reply(reply, (size_t)n, id, is_second_type(id) ? 0 : 2);
	}
	for (size_t peer = 0; peer < PEERS; peer++) {
		ck_assert_int_eq(recv(fds[peer], reply, 1, MSG_DONTWAIT), -1);
		close(fds[peer]);
	}
}

START_TEST(udp_burst_of_many_peers_and_sizes)
{
	for (unsigned round = 0; round < 5; round++)
		check_burst();
	ck_assert_uint_eq(COUNT(send_failed), 0);
}
END_TEST

START_TEST(udp_junk_is_dropped)
{
	static uint8_t junk[LIMIT_UDP_QUERY + 1];
	int fd = connect_to(&udp_address, SOCK_DGRAM);
	uint8_t framed[FRAMED];
	size_t len = make_query(framed, "small.example", LDNS_RR_TYPE_A, 7);

	make_query(junk, "small.example", LDNS_RR_TYPE_A, 8);
	memmove(junk, junk + 2, len);
	ck_assert_int_eq(send(fd, junk, sizeof(junk), 0), sizeof(junk));
	framed[4] |= 0x80;
	ck_assert_int_eq(send(fd, framed + 2, len, 0), (ssize_t)len);
	ck_assert_int_eq(send(fd, framed, 0, 0), 0);
	check_udp(fd, 9);
	ck_assert_uint_eq(COUNT(oversize), 1);
	ck_assert_uint_eq(COUNT(silent), 2);
	close(fd);
}
END_TEST

/* A client believes no reply that comes from another address than it asked. */
START_TEST(udp_wildcard_replies_from_where_it_was_asked)
{
	struct sockaddr_in to;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	end_worker();
	make_worker("0.0.0.0@0");
	memcpy(&to, &udp_address.sockaddr, sizeof(to));
	for (uint32_t i = 1; i < 6; i++) {
		to.sin_addr.s_addr = htonl(0x7f000000 + i);
		ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
		check_udp(fd, (uint16_t)i);
	}
	close(fd);
	memcpy(&udp_address.sockaddr, &to, sizeof(to));
	check_burst();
}
END_TEST

/* ---- TCP ---- */

START_TEST(tcp_pipelined_queries_are_answered_in_order)
{
	int fd = tcp_client();

	for (unsigned round = 0; round < 5; round++) {
		send_queries(fd, "small.example", LDNS_RR_TYPE_A, PIPELINED);
		check_replies(fd, PIPELINED, 2);
	}
	ck_assert_uint_eq(N_QUERIES(ANSWER_TCP), 5 * PIPELINED);
	ck_assert_uint_eq(COUNT(tcp_accepted), 1);
	close(fd);
}
END_TEST

START_TEST(tcp_octet_by_octet)
{
	int fd = tcp_client();
	size_t len;
	uint8_t *queries = make_queries("small.example", LDNS_RR_TYPE_A, 3, &len);

	for (size_t i = 0; i < len; i++)
		send_octets(fd, queries + i, 1);
	check_replies(fd, 3, 2);
	free(queries);
	close(fd);
}
END_TEST

/* Wherever the octets part, the queries are the same. */
START_TEST(tcp_in_two_parts)
{
	int fd = tcp_client(), other = tcp_client();
	size_t len;
	uint8_t *queries = make_queries("small.example", LDNS_RR_TYPE_A, 2, &len);

	for (size_t cut = 1; cut < len; cut++) {
		send_octets(fd, queries, cut);
		check_answers(other); /* by then the first part has been read */
		send_octets(fd, queries + cut, len - cut);
		check_replies(fd, 2, 2);
	}
	free(queries);
	close(other);
	close(fd);
}
END_TEST

START_TEST(tcp_largest_message)
{
	static uint8_t framed[2 + LIMIT_TCP_MESSAGE], reply[LDNS_MAX_PACKETLEN];
	int fd = tcp_client();
	size_t len;

	make_query(framed, "small.example", LDNS_RR_TYPE_A, 77);
	ldns_write_uint16(framed, LIMIT_TCP_MESSAGE);
	for (unsigned i = 0; i < 4; i++) {
		send_octets(fd, framed, sizeof(framed));
		len = receive_reply(fd, reply);
		ck_assert_uint_ge(len, 12);
		ck_assert_uint_eq(ldns_read_uint16(reply), 77);
		ck_assert_uint_eq(reply[3] & 15, LDNS_RCODE_FORMERR);
	}
	check_answers(fd);
	close(fd);
}
END_TEST

START_TEST(tcp_zero_length_ends_the_connection)
{
	uint8_t octets[3 * FRAMED];
	int fd = tcp_client();
	size_t len = 2 + make_query(octets, "small.example", LDNS_RR_TYPE_A, 0);

	memset(octets + len, 0, 2);
	make_query(octets + len + 2, "small.example", LDNS_RR_TYPE_A, 1);
	send_octets(fd, octets, len + 2 + len);
	check_replies(fd, 1, 2);
	check_closed(fd);
	close(fd);
	fd = tcp_client();
	send_octets(fd, (const uint8_t *)"\0", 2);
	check_closed(fd);
	close(fd);
}
END_TEST

START_TEST(tcp_half_close_gets_all_replies)
{
	int fd = tcp_client();

	send_queries(fd, "small.example", LDNS_RR_TYPE_A, PIPELINED);
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	check_replies(fd, PIPELINED, 2);
	check_closed(fd);
	close(fd);
	/* Also when they have to wait for the reader. */
	fd = tcp_client();
	send_queries(fd, "big.example", LDNS_RR_TYPE_TXT, BIG_QUERIES);
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	check_replies(fd, BIG_QUERIES, BIG_RECORDS);
	check_closed(fd);
	close(fd);
	/* What is unfinished then will never be finished. */
	fd = tcp_client();
	send_octets(fd, (const uint8_t *)"\0\40half of it", 12);
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	check_closed(fd);
	close(fd);
}
END_TEST

START_TEST(tcp_message_without_reply_is_passed_over)
{
	static const uint8_t too_short[] = { 0, 3, 1, 2, 3 };
	uint8_t framed[FRAMED];
	int fd = tcp_client();
	size_t len = 2 + make_query(framed, "small.example", LDNS_RR_TYPE_A, 7);

	framed[4] |= 0x80;
	send_octets(fd, too_short, sizeof(too_short));
	send_octets(fd, framed, len);
	check_answers(fd);
	ck_assert_uint_eq(COUNT(silent), 2);
	close(fd);
}
END_TEST

START_TEST(tcp_peer_that_never_reads_stalls_nobody)
{
	int lazy = tcp_client(), other = tcp_client();
	int udp_fd = connect_to(&udp_address, SOCK_DGRAM);

	send_queries(lazy, "big.example", LDNS_RR_TYPE_TXT, BIG_QUERIES);
	for (uint16_t i = 0; i < 50; i++) {
		check_answers(other);
		check_udp(udp_fd, i);
	}
	/* It is not answered more than it takes... */
	ck_assert_uint_lt(N_QUERIES(ANSWER_TCP), 50 + BIG_QUERIES);
	/* ...and loses nothing by it. */
	check_replies(lazy, BIG_QUERIES, BIG_RECORDS);
	check_answers(lazy);
	ck_assert_uint_eq(N_QUERIES(ANSWER_TCP), 50 + BIG_QUERIES + 1);
	close(lazy);
	close(other);
	close(udp_fd);
}
END_TEST

START_TEST(tcp_peer_that_leaves_with_replies_unread)
{
	int other = tcp_client();

	for (unsigned i = 0; i < 20; i++) {
		int fd = tcp_client();

		send_queries(fd, "big.example", LDNS_RR_TYPE_TXT, BIG_QUERIES);
		if (i % 2)
			check_answers(other);
		close(fd);
		check_answers(other);
	}
	close(other);
}
END_TEST

/* ---- Limits ---- */

START_TEST(tcp_client_with_too_many_connections_loses_its_oldest)
{
	int fds[LIMIT_TCP_PER_CLIENT], more, third;

	for (size_t i = 0; i < LIMIT_TCP_PER_CLIENT; i++) {
		fds[i] = tcp_client();
		check_answers(fds[i]);
	}
	/* The first asks again, so the second is idle for longest, then the third. */
	check_answers(fds[0]);
	more = tcp_client();
	check_answers(more);
	check_closed(fds[1]);
	ck_assert_uint_eq(COUNT(limit_tcp_per_client), 1);
	third = tcp_client();
	check_answers(third);
	check_closed(fds[2]);
	ck_assert_uint_eq(COUNT(limit_tcp_per_client), 2);
	check_answers(fds[0]);
	for (size_t i = 3; i < LIMIT_TCP_PER_CLIENT; i++)
		check_answers(fds[i]);
	/* Who goes by himself makes room too. */
	close(fds[0]);
	check_answers(fds[3]);
	fds[0] = tcp_client();
	check_answers(fds[0]);
	ck_assert_uint_eq(COUNT(limit_tcp_per_client), 2);
	for (size_t i = 0; i < LIMIT_TCP_PER_CLIENT; i++)
		close(fds[i]);
	close(more);
	close(third);
}
END_TEST

static int tcp_client_from(uint32_t host)
{
	struct sockaddr_in from = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(0x7f000100 + host) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&tcp_address.sockaddr, tcp_address.len), 0);
	return fd;
}

/* Both ends of every connection are in this process. false: it cannot have so many. */
static bool allow_descriptors(void)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	return limit.rlim_cur >= 2 * LIMIT_TCP_CONNECTIONS + 50;
}

static int places[LIMIT_TCP_CONNECTIONS + 1];

/* So many connections, of 20 clients. */
static void take_places(size_t n)
{
	for (uint32_t i = 0; i < n; i++)
		places[i] = tcp_client_from(i % 20);
	check_answers(places[n - 1]);
}

START_TEST(tcp_all_places_taken_by_many_clients)
{
	uint64_t start_ms = clock_mono_ms();

	if (!allow_descriptors())
		return;
	take_places(LIMIT_TCP_CONNECTIONS);
	places[LIMIT_TCP_CONNECTIONS] = tcp_client_from(20);
	check_answers(places[LIMIT_TCP_CONNECTIONS]);
	check_closed(places[0]);
	/* On a machine so slow that idle ones have had to go, there is no saying who is next. */
	if (clock_mono_ms() - start_ms < LIMIT_TCP_IDLE_MS / 5) {
		ck_assert_uint_eq(COUNT(limit_tcp_connections), 1);
		check_answers(places[1]);
	}
	for (size_t i = 0; i <= LIMIT_TCP_CONNECTIONS; i++)
		close(places[i]);
}
END_TEST

/* Who comes waits a moment; who has been idle for longest makes room for him. */
START_TEST(tcp_without_descriptors_the_oldest_gives_its_own)
{
	struct sockaddr *const address = (struct sockaddr *)&tcp_address.sockaddr;
	const int oldest = tcp_client(), comes = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct rlimit files, none;

	check_answers(oldest);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	none = files;
	none.rlim_cur = 1; /* poll() wants one */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_int_eq(connect(comes, address, tcp_address.len), 0);
	check_closed(oldest);
	ck_assert_uint_ge(COUNT(limit_tcp_connections), 1);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	check_answers(comes);
	close(oldest);
	close(comes);
}
END_TEST

/* Beyond three quarters a fifth of the time is left to idle ones, which is soon over. */
START_TEST(tcp_idle_connections_go_sooner_when_places_are_few)
{
	enum {
		N = LIMIT_TCP_CONNECTIONS * 7 / 8
	};
	uint64_t start_ms = clock_mono_ms();

	if (!allow_descriptors())
		return;
	take_places(N);
	for (size_t i = 0; i < N / 4; i++)
		check_closed(places[i]);
	ck_assert_uint_ge(clock_mono_ms() - start_ms, LIMIT_TCP_IDLE_MS / 5);
	ck_assert_uint_lt(clock_mono_ms() - start_ms, LIMIT_TCP_IDLE_MS);
	ck_assert_uint_ge(COUNT(tcp_idle), N / 4);
	ck_assert_uint_eq(COUNT(limit_tcp_connections), 0);
	for (size_t i = 0; i < N; i++)
		close(places[i]);
}
END_TEST

/* ---- Draining ---- */

static sem_t drained;
static atomic_uint n_drained;

static void on_drained(void *cookie)
{
	ck_assert_ptr_eq(cookie, &drained);
	atomic_fetch_add(&n_drained, 1);
	sem_post(&drained);
}

static void drain(void *cookie)
{
	(void)cookie;
	tcp_drain(tcp, on_drained, &drained);
}

static void start_drain(void)
{
	sem_init(&drained, 0, 0);
	ck_assert_int_eq(worker_run(worker, drain, NULL), 0);
}

START_TEST(drain_of_nothing_calls_back)
{
	start_drain();
	wait_for(&drained);
	ck_assert_uint_eq(atomic_load(&n_drained), 1);
}
END_TEST

START_TEST(drain_ends_idle_connections)
{
	int fds[5];

	for (size_t i = 0; i < 5; i++) {
		fds[i] = tcp_client();
		check_answers(fds[i]);
	}
	start_drain();
	wait_for(&drained);
	for (size_t i = 0; i < 5; i++) {
		check_closed(fds[i]);
		close(fds[i]);
	}
	ck_assert_uint_eq(atomic_load(&n_drained), 1);
}
END_TEST

START_TEST(drain_waits_for_replies_that_are_owed)
{
	int idle = tcp_client(), lazy = tcp_client();
	int udp_fd = connect_to(&udp_address, SOCK_DGRAM);

	check_answers(idle);
	/* All of the queries are read at once: they are there when the worker looks. */
	hold_worker();
	send_queries(lazy, "big.example", LDNS_RR_TYPE_TXT, BIG_QUERIES);
	sem_post(&go);
	check_answers(idle);
	start_drain();
	check_closed(idle);
	check_udp(udp_fd, 1);
	ck_assert_uint_eq(atomic_load(&n_drained), 0);
	check_replies(lazy, BIG_QUERIES, BIG_RECORDS);
	check_closed(lazy);
	wait_for(&drained);
	ck_assert_uint_eq(atomic_load(&n_drained), 1);
	close(idle);
	close(lazy);
	close(udp_fd);
}
END_TEST

/* ---- The thread ---- */

static unsigned order[100];
static unsigned n_run;

static void note(void *cookie)
{
	order[n_run++] = *(const unsigned *)cookie;
	if (n_run == 100)
		sem_post(&drained);
}

START_TEST(calls_run_in_order)
{
	unsigned numbers[100];

	sem_init(&drained, 0, 0);
	for (unsigned i = 0; i < 100; i++) {
		numbers[i] = i;
		ck_assert_int_eq(worker_run(worker, note, &numbers[i]), 0);
	}
	wait_for(&drained);
	for (unsigned i = 0; i < 100; i++)
		ck_assert_uint_eq(order[i], i);
}
END_TEST

static atomic_bool is_over;

/* Sends without end, and reads only what there is. */
static void *flood(void *cookie)
{
	static uint8_t sink[65536];
	int udp_fd = connect_to(&udp_address, SOCK_DGRAM), fd = *(const int *)cookie;
	uint8_t framed[FRAMED];
	size_t len = make_query(framed, "small.example", LDNS_RR_TYPE_A, 0);

	while (!atomic_load(&is_over)) {
		for (unsigned i = 0; i < 100; i++) {
			send(udp_fd, framed + 2, len, MSG_DONTWAIT);
			send(fd, framed, len + 2, MSG_DONTWAIT | MSG_NOSIGNAL);
		}
		while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
			;
		while (recv(udp_fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
			;
	}
	close(udp_fd);
	return NULL;
}

START_TEST(stop_ends_a_busy_worker)
{
	int fd = tcp_client(), lazy = tcp_client(), other = tcp_client();
	unsigned number = 0;
	pthread_t thread;

	send_queries(lazy, "big.example", LDNS_RR_TYPE_TXT, BIG_QUERIES);
	ck_assert_int_eq(pthread_create(&thread, NULL, flood, &fd), 0);
	while (N_QUERIES(ANSWER_UDP) < 1000)
		check_answers(other);
	worker_stop(worker);
	worker_stop(worker);
	/* A call that comes too late is never made, and not lost either. */
	ck_assert_int_eq(worker_run(worker, note, &number), 0);
	atomic_store(&is_over, true);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_eq(n_run, 0);
	close(fd);
	close(lazy);
	close(other);
}
END_TEST

START_TEST(worker_that_never_ran_is_freed)
{
	struct worker *idle = worker_new(catalog, &identity);

	ck_assert_ptr_nonnull(idle);
	worker_stop(idle);
	worker_free(idle);
	worker_free(NULL);
	udp_free(NULL);
	tcp_free(NULL);
}
END_TEST

/* Asks until it is over; a reply shows one version of the name, never parts of two. */
static void *ask(void *cookie)
{
	int fd = tcp_client();
	unsigned *n_asked = cookie;
	uint8_t framed[FRAMED], reply[LDNS_MAX_PACKETLEN];
	size_t len = 2 + make_query(framed, "small.example", LDNS_RR_TYPE_A, 0), reply_len;

	while (!atomic_load(&is_over)) {
		send_octets(fd, framed, len);
		reply_len = receive_reply(fd, reply);
		ck_assert_uint_eq(reply_len, len - 2 + 2 * 16);
		ck_assert_mem_eq(reply + reply_len - 4, reply + reply_len - 20, 4);
		ck_assert_uint_eq(reply[reply_len - 1], reply[reply_len - 3]);
		++*n_asked;
	}
	close(fd);
	return NULL;
}

START_TEST(names_change_while_they_are_asked_for)
{
	unsigned n_asked = 0;
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, ask, &n_asked), 0);
	for (uint32_t i = 0; i < 5000 || N_QUERIES(ANSWER_TCP) < 500; i++) {
		put_small((uint8_t)i);
		catalog_publish(catalog, i);
	}
	atomic_store(&is_over, true);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_ge(n_asked, 499);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 120);
	suite_add_tcase(suite, tcase);
	return tcase;
}

int main(void)
{
	Suite *suite = suite_create("worker");
	TCase *over_udp = add_case(suite, "udp"), *over_tcp = add_case(suite, "tcp"),
	      *limits = add_case(suite, "limits"), *thread = add_case(suite, "thread");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(over_udp, udp_is_answered);
	tcase_add_test(over_udp, udp_burst_is_more_than_a_batch);
	tcase_add_test(over_udp, udp_burst_of_many_peers_and_sizes);
	tcase_add_test(over_udp, udp_junk_is_dropped);
	tcase_add_test(over_udp, udp_wildcard_replies_from_where_it_was_asked);
	tcase_add_test(over_tcp, tcp_pipelined_queries_are_answered_in_order);
	tcase_add_test(over_tcp, tcp_octet_by_octet);
	tcase_add_test(over_tcp, tcp_in_two_parts);
	tcase_add_test(over_tcp, tcp_largest_message);
	tcase_add_test(over_tcp, tcp_zero_length_ends_the_connection);
	tcase_add_test(over_tcp, tcp_half_close_gets_all_replies);
	tcase_add_test(over_tcp, tcp_message_without_reply_is_passed_over);
	tcase_add_test(over_tcp, tcp_peer_that_never_reads_stalls_nobody);
	tcase_add_test(over_tcp, tcp_peer_that_leaves_with_replies_unread);
	tcase_add_test(limits, tcp_client_with_too_many_connections_loses_its_oldest);
	tcase_add_test(limits, tcp_all_places_taken_by_many_clients);
	tcase_add_test(limits, tcp_without_descriptors_the_oldest_gives_its_own);
	tcase_add_test(limits, tcp_idle_connections_go_sooner_when_places_are_few);
	tcase_add_test(thread, drain_of_nothing_calls_back);
	tcase_add_test(thread, drain_ends_idle_connections);
	tcase_add_test(thread, drain_waits_for_replies_that_are_owed);
	tcase_add_test(thread, calls_run_in_order);
	tcase_add_test(thread, stop_ends_a_busy_worker);
	tcase_add_test(thread, worker_that_never_ran_is_freed);
	tcase_add_test(thread, names_change_while_they_are_asked_for);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
