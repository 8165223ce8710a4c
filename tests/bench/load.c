/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load: asks a DNS server on loopback a number of queries and counts the replies.
 *
 * Closed loop: every socket (TCP: connection) keeps up to a window of queries outstanding. It never
 * waits in the kernel but looks at its sockets in turn, so that the server pays for no wake-up of
 * ours. A query is never sent twice: what has no reply after LOST_MS is counted and the window
 * filled again. The queries follow from the data set and the seed alone; all have one size.
 *
 *   --port P            of the server, at 127.0.0.1
 *   --services N        svc000000 .. of service.local are there; nxd000000 .. are not
 *   --mix A,SRV,NX      shares in percent (60,30,10)
 *   --name LABEL        asks for A of this one service instead
 *   --edns              with an OPT record of 1232 octets
 *   --seed S  --count N
 *   --sockets S         distinct clients (256)
 *   --window W          outstanding queries of each (1: more would let a server answer one client
 *                       in trains)
 *   --shared            4 sockets with a window of 64: forwarders
 *   --rate R            no windows: R queries a second, one at a time, evenly
 *   --timed             with --rate: also p50_us, p99_us and max_us, from a query's send to the
 *                       arrival of its reply as the kernel noted it; sleeps in between, and ends by
 *                       SIGTERM too
 *   --tcp C             C connections, pipelined (window 16)
 *   --limit S           ends after so many seconds in any case (120)
 *
 * Prints one line of key=value.
 */
#include "latency.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	MAX_SOCKETS = 1024,
	MAX_WINDOW = 1024,
	BATCH = 64,
	PACKET_LEN = 2048,
	QUERY_LEN = 128,
	HEADER_LEN = 12,
	FRAME = 2, /* octets of the length before a message over TCP */
	READ_LEN = 1 << 18,
	LOST_MS = 200,
	LAG_NS = 1000000, /* of --rate: what we slept through is not made up for by a burst */
	DIGITS = 6,
	TYPE_A = 1,
	TYPE_SRV = 33,
	RCODES = 16,
	STAMP_LEN = CMSG_SPACE(sizeof(struct timespec)),
};

struct settings {
	uint16_t port;
	uint32_t n_services, share_a, share_srv;
	uint64_t seed, count, rate, limit_s;
	unsigned n_sockets, window;
	const char *name;
	bool is_tcp, is_timed, has_edns;
};

struct client {
	int fd;
	unsigned outstanding;
	uint8_t epoch; /* in the ids: tells late replies from due ones */
	uint8_t serial;
	uint64_t sent_ns[256]; /* --timed: by serial, wall clock as the kernel's stamps */
	uint64_t progress_ns;
	size_t in_len, out_len, out_sent; /* TCP */
	uint8_t *in, *out;
};

struct totals {
	uint64_t sent, answered, lost, late, truncated, records, octets, rcodes[RCODES];
};

static struct settings settings = {
	.n_services = 1000,
	.share_a = 60,
	.share_srv = 30,
	.seed = 1,
	.count = 100000,
	.limit_s = 120,
	.n_sockets = 256,
};
static struct totals totals;
static struct client clients[MAX_SOCKETS];
static volatile sig_atomic_t is_ended;

/* The query that all others are made of. */
static uint8_t pattern[QUERY_LEN];
static size_t pattern_len, type_at;

static uint64_t to_ns(struct timespec time)
{
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static uint64_t read_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return to_ns(now);
}

static uint64_t now_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

/* ---- Queries ---- */

/* xorshift64* (Vigna, 2016) */
static uint32_t next_random(void)
{
	static uint64_t state;

	if (!state)
		state = settings.seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)((state * UINT64_C(0x2545f4914f6cdd1d)) >> 32);
}

static uint32_t random_below(uint32_t bound)
{
	return (uint32_t)(((uint64_t)next_random() * bound) >> 32);
}

static void put_label(const char *label)
{
	size_t len = strlen(label);

	if (pattern_len + len + 32 > QUERY_LEN)
		errx(2, "the name is too long");
	pattern[pattern_len++] = (uint8_t)len;
	memcpy(pattern + pattern_len, label, len);
	pattern_len += len;
}

static void init_pattern(void)
{
	static const uint8_t header[HEADER_LEN] = { [5] = 1 };
	static const uint8_t opt[] = { 0, 0, 41, 1232 >> 8, 1232 & 255, 0, 0, 0, 0, 0, 0 };

	memcpy(pattern, header, HEADER_LEN);
	pattern_len = HEADER_LEN;
	put_label(settings.name ? settings.name : "svc000000");
	put_label("service");
	put_label("local");
	pattern[pattern_len++] = 0;
	type_at = pattern_len;
	memcpy(pattern + type_at, (const uint8_t[]){ 0, TYPE_A, 0, 1 }, 4);
	pattern_len += 4;
	if (settings.has_edns) {
		pattern[11] = 1;
		memcpy(pattern + pattern_len, opt, sizeof(opt));
		pattern_len += sizeof(opt);
	}
}

static void put_digits(uint8_t *at, uint32_t number)
{
	for (int i = DIGITS - 1; i >= 0; i--) {
		at[i] = (uint8_t)('0' + number % 10);
		number /= 10;
	}
}

/* Writes the next query, of pattern_len octets. */
static void put_query(uint8_t *query, struct client *client)
{
	uint32_t share;

	memcpy(query, pattern, pattern_len);
	query[0] = client->epoch;
	query[1] = ++client->serial;
	if (settings.name)
		return;
	share = random_below(100);
	if (share < settings.share_a + settings.share_srv) {
		put_digits(query + HEADER_LEN + 4, random_below(settings.n_services));
	} else {
		memcpy(query + HEADER_LEN + 1, "nxd", 3);
		put_digits(query + HEADER_LEN + 4, random_below(1000000));
	}
	if (share >= settings.share_a && share < settings.share_a + settings.share_srv)
		query[type_at + 1] = TYPE_SRV;
}

/* Counts one reply; false: a late one. */
static bool count_reply(const struct client *client, const uint8_t *reply, size_t len)
{
	if (len < HEADER_LEN || reply[0] != client->epoch) {
		totals.late++;
		return false;
	}
	totals.answered++;
	totals.octets += len;
	totals.truncated += reply[2] >> 1 & 1;
	totals.rcodes[reply[3] & 15]++;
	totals.records += (uint64_t)(reply[6] << 8 | reply[7]);
	return true;
}

static bool is_done(void)
{
	if (is_ended)
		settings.count = totals.sent;
	return totals.answered + totals.lost >= settings.count;
}

/* Gives up on what a client waits for too long. */
static void count_lost(struct client *client, uint64_t now)
{
	if (client->outstanding == 0 || now - client->progress_ns < LOST_MS * UINT64_C(1000000))
		return;
	totals.lost += client->outstanding;
	client->outstanding = 0;
	client->epoch++;
}

/* ---- UDP ---- */

static void connect_client(struct client *client, int type)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(settings.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	client->fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	if (client->fd < 0 || connect(client->fd, (struct sockaddr *)&address, sizeof(address)))
		err(1, "connect");
	if (fcntl(client->fd, F_SETFL, O_NONBLOCK))
		err(1, "fcntl");
}

static struct mmsghdr in[BATCH], out[BATCH];
static struct iovec in_iov[BATCH], out_iov[BATCH];
static uint8_t in_packets[BATCH][PACKET_LEN], out_packets[BATCH][QUERY_LEN];
static _Alignas(struct cmsghdr) uint8_t stamps[BATCH][STAMP_LEN];

static void init_udp(void)
{
	for (int i = 0; i < BATCH; i++) {
		in_iov[i] = (struct iovec){ in_packets[i], PACKET_LEN };
		out_iov[i] = (struct iovec){ out_packets[i], pattern_len };
		in[i].msg_hdr = (struct msghdr){ .msg_iov = &in_iov[i], .msg_iovlen = 1 };
		out[i].msg_hdr = (struct msghdr){ .msg_iov = &out_iov[i], .msg_iovlen = 1 };
	}
	for (unsigned i = 0; i < settings.n_sockets; i++) {
		int on = 1;

		connect_client(&clients[i], SOCK_DGRAM);
		if (settings.is_timed &&
		    setsockopt(clients[i].fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)))
			err(1, "setsockopt");
	}
}

static void receive_stamps(void)
{
	for (int i = 0; i < BATCH; i++) {
		in[i].msg_hdr.msg_control = stamps[i];
		in[i].msg_hdr.msg_controllen = STAMP_LEN;
	}
}

/* When the kernel got the reply, not when we came to look. */
static void time_reply(const struct client *client, int i)
{
	const struct cmsghdr *stamp = CMSG_FIRSTHDR(&in[i].msg_hdr);
	struct timespec time;

	if (!stamp || stamp->cmsg_type != SCM_TIMESTAMPNS)
		errx(1, "a reply without a time stamp");
	memcpy(&time, CMSG_DATA(stamp), sizeof(time));
	latency_add(to_ns(time) - client->sent_ns[in_packets[i][1]]);
}

static void receive_udp(struct client *client)
{
	int n;

	do {
		if (settings.is_timed)
			receive_stamps();
		n = recvmmsg(client->fd, in, BATCH, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++) {
			if (!count_reply(client, in_packets[i], in[i].msg_len))
				continue;
			if (client->outstanding)
				client->outstanding--;
			if (settings.is_timed)
				time_reply(client, i);
		}
	} while (n == BATCH);
}

/* Sends `n` queries as far as the count goes. */
static void send_udp(struct client *client, uint64_t n, uint64_t now)
{
	if (n > settings.count - totals.sent)
		n = settings.count - totals.sent;
	if (n)
		client->progress_ns = now;
	while (n) {
		unsigned batch = n < BATCH ? (unsigned)n : BATCH;
		int sent;

		for (unsigned i = 0; i < batch; i++)
			put_query(out_packets[i], client);
		if (settings.is_timed)
			client->sent_ns[client->serial] = read_ns(CLOCK_REALTIME);
		sent = sendmmsg(client->fd, out, batch, 0);
		if (sent <= 0)
			err(1, "sendmmsg");
		totals.sent += (unsigned)sent;
		client->outstanding += (unsigned)sent;
		n -= (unsigned)sent;
	}
}

/* A window is filled again when it is half empty: small sends cost us more than the server. */
static void run_udp(uint64_t end)
{
	while (!is_done()) {
		uint64_t now = now_ns();

		if (now > end)
			errx(1, "over the time limit: %" PRIu64 " answered", totals.answered);
		for (unsigned i = 0; i < settings.n_sockets; i++) {
			struct client *client = &clients[i];

			if (client->outstanding)
				receive_udp(client);
			count_lost(client, now);
			if (client->outstanding <= settings.window / 2)
				send_udp(client, settings.window - client->outstanding, now);
		}
	}
}

static void sleep_until(uint64_t due)
{
	struct timespec time = { .tv_sec = (time_t)(due / 1000000000),
				 .tv_nsec = (long)(due % 1000000000) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

/* One query at a time and evenly, whatever the server does. */
static void run_rate(uint64_t end)
{
	uint64_t pause = UINT64_C(1000000000) / settings.rate, due = now_ns();
	unsigned turn = 0;

	while (!is_done()) {
		uint64_t now = now_ns();
		struct client *client = &clients[turn++ % settings.n_sockets];

		if (now > end)
			errx(1, "over the time limit: %" PRIu64 " answered", totals.answered);
		if (client->outstanding)
			receive_udp(client);
		count_lost(client, now);
		if (now < due) {
			if (settings.is_timed)
				sleep_until(due);
			continue;
		}
		send_udp(client, 1, now);
		due = (now - due > LAG_NS ? now : due) + pause;
	}
}

/* ---- TCP ---- */

static void init_tcp(void)
{
	int on = 1;

	for (unsigned i = 0; i < settings.n_sockets; i++) {
		struct client *client = &clients[i];

		connect_client(client, SOCK_STREAM);
		setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		client->in = malloc(READ_LEN);
		client->out = malloc(MAX_WINDOW * (FRAME + QUERY_LEN));
		if (!client->in || !client->out)
			err(1, "malloc");
	}
}

static void receive_tcp(struct client *client)
{
	ssize_t n = recv(client->fd, client->in + client->in_len, READ_LEN - client->in_len, 0);
	size_t at = 0;

	if (n == 0 || (n < 0 && errno != EAGAIN))
		errx(1, "the server closed a connection");
	if (n < 0)
		return;
	client->in_len += (size_t)n;
	while (client->in_len - at >= FRAME) {
		size_t len = (size_t)(client->in[at] << 8 | client->in[at + 1]);

		if (client->in_len - at - FRAME < len)
			break;
		if (count_reply(client, client->in + at + FRAME, len) && client->outstanding)
			client->outstanding--;
		at += FRAME + len;
	}
	client->in_len -= at;
	memmove(client->in, client->in + at, client->in_len);
}

static void fill_tcp(struct client *client)
{
	uint64_t n = settings.window - client->outstanding;

	if (n > settings.count - totals.sent)
		n = settings.count - totals.sent;
	client->out_len = client->out_sent = 0;
	for (uint64_t i = 0; i < n; i++) {
		uint8_t *frame = client->out + client->out_len;

		frame[0] = 0;
		frame[1] = (uint8_t)pattern_len;
		put_query(frame + FRAME, client);
		client->out_len += FRAME + pattern_len;
	}
	client->outstanding += (unsigned)n;
	totals.sent += n;
}

static void send_tcp(struct client *client)
{
	while (client->out_sent < client->out_len) {
		ssize_t n = send(client->fd, client->out + client->out_sent,
				 client->out_len - client->out_sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			err(1, "send");
		client->out_sent += (size_t)n;
	}
}

static void run_tcp(uint64_t end)
{
	while (!is_done()) {
		if (now_ns() > end)
			errx(1, "over the time limit: %" PRIu64 " answered", totals.answered);
		for (unsigned i = 0; i < settings.n_sockets; i++) {
			struct client *client = &clients[i];

			if (client->outstanding)
				receive_tcp(client);
			if (client->out_sent == client->out_len &&
			    client->outstanding <= settings.window / 2)
				fill_tcp(client);
			send_tcp(client);
		}
	}
}

/* ---- Start and end ---- */

static void parse_mix(const char *text)
{
	unsigned a, srv, nx;

	if (sscanf(text, "%u,%u,%u", &a, &srv, &nx) != 3 || a > 100 || srv > 100 ||
	    a + srv + nx != 100)
		errx(2, "--mix: three percentages that make 100");
	settings.share_a = a;
	settings.share_srv = srv;
}

static void parse_option(int option, const char *value)
{
	uint64_t number = value ? strtoull(value, NULL, 10) : 0;

	switch (option) {
	case 'p':
		settings.port = (uint16_t)number;
		break;
	case 'n':
		settings.n_services = (uint32_t)number;
		break;
	case 'm':
		parse_mix(value);
		break;
	case 'a':
		settings.name = value;
		break;
	case 'e':
		settings.has_edns = true;
		break;
	case 's':
		settings.seed = number;
		break;
	case 'c':
		settings.count = number;
		break;
	case 'S':
		settings.n_sockets = (unsigned)number;
		break;
	case 'w':
		settings.window = (unsigned)number;
		break;
	case 'h':
		settings.n_sockets = 4;
		settings.window = 64;
		break;
	case 'r':
		settings.rate = number;
		break;
	case 'T':
		settings.is_timed = true;
		break;
	case 't':
		settings.is_tcp = true;
		settings.n_sockets = (unsigned)number;
		break;
	case 'l':
		settings.limit_s = number;
		break;
	default:
		errx(2, "the options are at the top of load.c");
	}
}

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "port", required_argument, NULL, 'p' },
		{ "services", required_argument, NULL, 'n' },
		{ "mix", required_argument, NULL, 'm' },
		{ "name", required_argument, NULL, 'a' },
		{ "edns", no_argument, NULL, 'e' },
		{ "seed", required_argument, NULL, 's' },
		{ "count", required_argument, NULL, 'c' },
		{ "sockets", required_argument, NULL, 'S' },
		{ "window", required_argument, NULL, 'w' },
		{ "shared", no_argument, NULL, 'h' },
		{ "rate", required_argument, NULL, 'r' },
		{ "timed", no_argument, NULL, 'T' },
		{ "tcp", required_argument, NULL, 't' },
		{ "limit", required_argument, NULL, 'l' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		parse_option(option, optarg);
	if (!settings.window)
		settings.window = settings.is_tcp ? 16 : 1;
	if (settings.is_timed && !settings.rate)
		errx(2, "--timed is for --rate");
	if (!settings.port || !settings.count || !settings.n_services ||
	    settings.n_services > 1000000 || !settings.n_sockets ||
	    settings.n_sockets > MAX_SOCKETS || settings.window > MAX_WINDOW)
		errx(2, "an option is missing or out of range");
}

static void print_totals(double seconds)
{
	uint64_t other = totals.answered - totals.rcodes[0] - totals.rcodes[3];

	printf("sent=%" PRIu64 " answered=%" PRIu64 " lost=%" PRIu64 " late=%" PRIu64
	       " noerror=%" PRIu64 " nxdomain=%" PRIu64 " other=%" PRIu64 " truncated=%" PRIu64
	       " records=%" PRIu64 " octets=%" PRIu64 " seconds=%.6f",
	       totals.sent, totals.answered, totals.lost, totals.late, totals.rcodes[0],
	       totals.rcodes[3], other, totals.truncated, totals.records, totals.octets, seconds);
	if (settings.is_timed)
		latency_print();
	putchar('\n');
}

static void on_signal(int number)
{
	(void)number;
	is_ended = 1;
}

int main(int argc, char **argv)
{
	uint64_t start;

	parse_options(argc, argv);
	init_pattern();
	if (settings.is_timed) {
		signal(SIGTERM, on_signal);
		prctl(PR_SET_TIMERSLACK, 1);
	}
	if (settings.is_tcp)
		init_tcp();
	else
		init_udp();
	start = now_ns();
	if (settings.is_tcp)
		run_tcp(start + settings.limit_s * UINT64_C(1000000000));
	else if (settings.rate)
		run_rate(start + settings.limit_s * UINT64_C(1000000000));
	else
		run_udp(start + settings.limit_s * UINT64_C(1000000000));
	print_totals((double)(now_ns() - start) / 1e9);
	return 0;
}
