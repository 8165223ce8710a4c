/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_tcp: any octets as a DNS connection, in any cuts. The first octet says how many are sent at
 * a time (0: all). Every whole query gets the reply that answer() alone gives, in order, up to a
 * zero-length message or the end; replies that do not fit the socket wait, and lose nothing.
 */
#include "../lib/world.h"

#include "base/buf.h"
#include "base/clock.h"
#include "io/listen.h"
#include "io/tcp.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	SIZE_MAX_HERE = 4096, /* octets, so that one run stays short */
	PATIENCE_MS = 10000,
	N_BIG = 120,     /* instances whose SRV reply is longer than the socket's buffer */
	SEND_BUFFER = 1, /* the kernel makes its least of it, some 4 KiB */
	FRAME = 2,
	SEED = 1,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct world world;
static struct worker *worker;
static struct listen_address door;
static struct answer alone; /* what the worker's is compared with */
static struct counters alone_counters;
static uint8_t message[ANSWER_ROOM_TCP];

static void free_world(void)
{
	world_fini(&world);
}

/* Nothing with a lease or a check: a TTL that runs down would differ from reply to reply. */
__attribute__((constructor)) static void make_world(void)
{
	char text[WORLD_MESSAGE_TEXT], json[200], origin[] = "service.local";
	const struct world_zone zone = { .origin = origin };

	world_init(&world, SEED);
	const int added = world_add_zone(&world, &zone, text, sizeof(text));
	assert(added == 0);
	for (unsigned i = 0; i < 2 + N_BIG; i++) {
		snprintf(json, sizeof(json), "{\"name\":\"%s\",\"ip\":\"10.1.0.%u\",\"port\":80}",
			 i < 2 ? "pay" : "big", i + 1);
		const int status = world_register(&world, json, text);
		assert(status == 201);
	}
	atexit(free_world);
}

static void start(void)
{
	const int least = SEND_BUFFER;
	const char *reason;
	int fd;

	worker = worker_new(world.catalog, &world.identity);
	if (!worker || !listen_parse("127.0.0.1@0", &door, &reason))
		abort();
	fd = listen_tcp_shared(&door);
	/* Connections get it from the socket that accepts them. */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)) != 0 ||
	    !tcp_new(worker, fd, NULL))
		abort();
	answer_init(&alone, world.catalog, &alone_counters, &world.identity);
}

/* ---- What must come ---- */

/*
 * What is to come back. Returns how many octets stand behind a message without length: the server
 * closes there, and what is sent to a closed socket is a reset, upon which the client's kernel
 * throws away replies that nobody has read yet.
 */
static size_t expect_replies(const uint8_t *in, size_t len, struct buf *replies)
{
	static const uint8_t loopback[] = { 127, 0, 0, 1 };
	const struct answer_peer peer = {
		.transport = ANSWER_TCP,
		.address = loopback,
		.address_len = sizeof(loopback),
		.keepalive_ds = LIMIT_TCP_IDLE_MS / 100,
	};
	const struct answer_time time = worker_time();

	random_init_seed(&alone.random, SEED);
	while (len >= FRAME) {
		const size_t query_len = (size_t)(in[0] << 8 | in[1]);
		uint8_t frame[FRAME];

		if (query_len == 0)
			return len - FRAME;
		if (len - FRAME < query_len)
			break;
		memcpy(message, in + FRAME, query_len);
		catalog_reader_online();
		const size_t reply_len = answer(&alone, &peer, &time, message, query_len);
		catalog_reader_offline();
		in += FRAME + query_len;
		len -= FRAME + query_len;
		if (reply_len == 0)
			continue;
		frame[0] = (uint8_t)(reply_len >> 8);
		frame[1] = (uint8_t)reply_len;
		buf_put(replies, frame, FRAME);
		buf_put(replies, message, reply_len);
	}
	return 0;
}

/* ---- What comes ---- */

static void run(void)
{
	event_base_loop(worker->base, EVLOOP_NONBLOCK);
}

static void read_to_end(int fd, struct buf *replies)
{
	const uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;
	const int on = 1;
	char octets[65536];
	ssize_t n;

	for (;;) {
		run();
		n = recv(fd, octets, sizeof(octets), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return;
		if (n > 0)
			buf_put(replies, octets, (size_t)n);
		/* The server's small buffer waits for what the kernel likes to put off. */
		setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
		assert(clock_mono_ms() < end_ms);
	}
}

/* Sends all before it reads anything: replies pile up. */
static void talk(const uint8_t *data, size_t size, size_t piece, struct buf *replies)
{
	const int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&door.sockaddr, door.len) != 0)
		abort();
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	random_init_seed(&worker->answer.random, SEED);
	for (size_t at = 0; at < size; at += piece) {
		send(fd, data + at, size - at < piece ? size - at : piece, MSG_NOSIGNAL);
		run();
	}
	shutdown(fd, SHUT_WR);
	read_to_end(fd, replies);
	close(fd);
	run();
}

/* false: a second began meanwhile, which cookies tell of. */
static bool compare(const uint8_t *data, size_t size, size_t piece)
{
	const uint32_t wall_s = worker_time().wall_s;
	struct buf expected, found;
	size_t n_behind;
	bool is_one_second;

	buf_init(&expected);
	buf_init(&found);
	talk(data, size, piece, &found);
	n_behind = expect_replies(data, size, &expected);
	is_one_second = worker_time().wall_s == wall_s;
	if (is_one_second) {
		assert(found.len == expected.len || (n_behind && found.len < expected.len));
		assert(!found.len || memcmp(found.data, expected.data, found.len) == 0);
	}
	buf_fini(&expected);
	buf_fini(&found);
	return is_one_second;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t piece;

	if (size < 1 || size > SIZE_MAX_HERE)
		return 0;
	if (!worker)
		start();
	piece = data[0] ? data[0] : size;
	data++;
	size--;
	while (!compare(data, size, piece))
		;
	return 0;
}
