/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * steady: asks a DNS server on loopback the same question at a steady rate until its standard input
 * ends, and accounts for every reply. Nothing is ever asked again. For tests in which not one query
 * may be lost.
 *
 *     steady PORT RATE NAME ADDRESS
 *
 * Many clients take turns, so that every socket of the server is asked. The right reply is NOERROR
 * with ADDRESS as its only record, once. At the end it waits for what is owed, WAIT_MS after the
 * last reply, and prints
 *
 *     sent=N answered=N wrong=N
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	CLIENTS = 64,
	IDS = 65536,
	TICK_NS = 1000000,
	WAIT_MS = 5000,
	RECEIVE_BUFFER = 8 << 20,
	HEADER = 12,
	QUERY_LEN = 300,
	REPLY_LEN = 1500,
};

struct client {
	int fd;
	uint16_t next_id;
	bool owed[IDS];
};

static struct client clients[CLIENTS];
static uint8_t query[QUERY_LEN];
static size_t query_len;
static struct in_addr expected;
static uint64_t n_sent, n_answered, n_wrong;

static void make_query(const char *name)
{
	static const uint8_t header[HEADER] = { [5] = 1 };
	static const uint8_t tail[] = { 0, 0, 1, 0, 1 };

	if (strlen(name) > 250)
		errx(2, "the name is too long");
	memcpy(query, header, HEADER);
	query_len = HEADER;
	while (*name) {
		size_t len = strcspn(name, ".");

		query[query_len++] = (uint8_t)len;
		memcpy(query + query_len, name, len);
		query_len += len;
		name += len + (name[len] == '.');
	}
	memcpy(query + query_len, tail, sizeof(tail));
	query_len += sizeof(tail);
}

static void connect_client(struct client *client, uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int size = RECEIVE_BUFFER;

	client->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (client->fd < 0 || connect(client->fd, (struct sockaddr *)&to, sizeof(to)))
		err(1, "connect");
	if (setsockopt(client->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

static void ask(struct client *client)
{
	uint16_t id = client->next_id++;

	if (client->owed[id])
		return; /* all ids are in use: it is lost already, and counted */
	query[0] = (uint8_t)(id >> 8);
	query[1] = (uint8_t)id;
	/* ECONNREFUSED is of an earlier one: nobody had the port. */
	if (send(client->fd, query, query_len, 0) < 0 && errno != ECONNREFUSED)
		err(1, "send");
	client->owed[id] = true;
	n_sent++;
}

static bool is_right(struct client *client, const uint8_t *reply, size_t len)
{
	uint16_t id = (uint16_t)(reply[0] << 8 | reply[1]);

	if (len < query_len + 4 || !client->owed[id])
		return false;
	client->owed[id] = false;
	return (reply[2] & 0x80) && (reply[3] & 15) == 0 && reply[6] == 0 && reply[7] == 1 &&
	       memcmp(reply + len - 4, &expected, 4) == 0;
}

static bool receive(struct client *client)
{
	uint8_t reply[REPLY_LEN];
	ssize_t len;
	bool any = false;

	while ((len = recv(client->fd, reply, sizeof(reply), 0)) >= 0 || errno == ECONNREFUSED) {
		any = true;
		if (len >= HEADER && is_right(client, reply, (size_t)len))
			n_answered++;
		else
			n_wrong++;
	}
	return any;
}

static bool receive_all(void)
{
	bool any = false;

	for (size_t i = 0; i < CLIENTS; i++)
		any |= receive(&clients[i]);
	return any;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void wait_ns(uint64_t ns)
{
	struct timespec pause = { .tv_sec = 0, .tv_nsec = (long)ns };

	nanosleep(&pause, NULL);
}

static bool input_has_ended(void)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	char octet;

	return poll(&input, 1, 0) > 0 && read(STDIN_FILENO, &octet, 1) <= 0;
}

/* What a busy machine made us miss is not made up for: a burst would test buffers. */
static void run(uint64_t rate)
{
	uint64_t owed_ns = 0, then = now_ns();

	for (size_t turn = 0; !input_has_ended();) {
		uint64_t now = now_ns(), passed = now - then;

		then = now;
		owed_ns += (passed > 2 * TICK_NS ? 2 * TICK_NS : passed) * rate;
		for (; owed_ns >= 1000000000; owed_ns -= 1000000000)
			ask(&clients[turn++ % CLIENTS]);
		receive_all();
		wait_ns(TICK_NS);
	}
}

static void settle(void)
{
	uint64_t quiet_since = now_ns();

	while (n_answered < n_sent && now_ns() - quiet_since < WAIT_MS * UINT64_C(1000000)) {
		if (receive_all())
			quiet_since = now_ns();
		wait_ns(TICK_NS);
	}
}

int main(int argc, char **argv)
{
	if (argc != 5 || inet_pton(AF_INET, argv[4], &expected) != 1)
		errx(2, "usage: steady PORT RATE NAME ADDRESS");
	make_query(argv[3]);
	for (size_t i = 0; i < CLIENTS; i++)
		connect_client(&clients[i], (uint16_t)atoi(argv[1]));
	run(strtoull(argv[2], NULL, 10));
	settle();
	printf("sent=%" PRIu64 " answered=%" PRIu64 " wrong=%" PRIu64 "\n", n_sent, n_answered,
	       n_wrong);
	return 0;
}
