/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http_load: sends rosterd's HTTP port on loopback a number of requests over keep-alive
 * connections, one at a time on each, and times the replies. What it sends is written beforehand.
 *
 *   --port P            of the server, at 127.0.0.1
 *   --do WHAT           register, heartbeat: POST of registrations, or renewals; live: GET
 *                       /health/live; etcd: put of single registrations as etcd takes them
 *                       (/v3/kv/put)
 *   --first K           the instances K, K + 1, .. have the address 10.0.0.0 + number, port 8080
 *                       and, .. (0)
 *   --instances N       .. so many of them, (1)
 *   --per M             .. M of them in each service, which is svc and the number's M-th part; (4)
 *   --prefix TEXT       .. or something else than svc. (svc)
 *   --name LABEL        they are all in this service instead
 *   --id ID             and are all this one instance, which moves to their addresses
 *   --lease S           seconds; 0: none
 *   --version V         which they say they have
 *   --array N           objects a request; 1: no array
 *   --requests R        goes round the instances until so many are sent (one round)
 *   --connections C     (1)
 *   --rate R            requests a second; one is timed from the moment when it was due; of live
 *                       one at a time, and what was due meanwhile is timed with its reply
 *   --dns P             one connection, and after each reply DNS is asked for A of what was
 *                       registered: times what lies between the request and the answer that has it
 *
 * SIGTERM ends it early. Prints one line of key=value; `bad` are replies that are not 200 or 201,
 * `stale` first answers of DNS that had not what the reply had confirmed.
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
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	MAX_CONNECTIONS = 256,
	MAX_OBJECT = 512,
	MAX_HEAD = 128,
	IN_LEN = 8192, /* more than the head of a reply */
	QUERY_LEN = 256,
	REPLY_LEN = 4096,
	REPLY_MS = 30000,
	DNS_MS = 2000,
	PORT = 8080,
};

enum task {
	TASK_NONE,
	TASK_REGISTER,
	TASK_HEARTBEAT,
	TASK_LIVE,
	TASK_ETCD,
};

struct settings {
	uint16_t port, dns_port;
	enum task task;
	uint32_t first, n_instances, per, lease_s, array;
	uint64_t n_requests, rate;
	unsigned n_connections;
	const char *prefix, *name, *id, *version;
};

/* A request as it goes out. */
struct request {
	char *text;
	size_t len;
	uint32_t first, n; /* the instances that it is about */
};

struct connection {
	int fd;
	const struct request *request; /* NULL: idle */
	size_t sent;
	uint64_t since_ns;
	char in[IN_LEN]; /* until the head of the reply is whole */
	size_t in_len;
	uint64_t body_left;
	bool has_head;
	int status;
};

static struct settings settings = {
	.n_instances = 1,
	.per = 4,
	.array = 1,
	.n_connections = 1,
	.prefix = "svc",
};
static struct request *requests;
static size_t n_written;
static struct connection connections[MAX_CONNECTIONS];
static int epoll;
static uint64_t n_sent, n_skipped, n_done, n_objects, n_bad, n_stale;
static volatile sig_atomic_t is_ended;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- What is sent ---- */

static void print_service(char *text, size_t size, uint32_t instance)
{
	if (settings.name)
		snprintf(text, size, "%s", settings.name);
	else
		snprintf(text, size, "%s%06" PRIu32, settings.prefix, instance / settings.per);
}

static void print_address(char *text, size_t size, uint32_t instance, char dot)
{
	snprintf(text, size, "10%c%u%c%u%c%u", dot, instance >> 16 & 255, dot, instance >> 8 & 255,
		 dot, instance & 255);
}

/* The identity that the server gives, unless we say one. */
static void print_id(char *text, size_t size, uint32_t instance)
{
	char address[32];

	print_address(address, sizeof(address), instance, '-');
	if (settings.id)
		snprintf(text, size, "%s", settings.id);
	else
		snprintf(text, size, "%s-%d", address, PORT);
}

static size_t print_registration(char *text, uint32_t instance)
{
	char service[64], address[32], id[64] = "", lease[32] = "", version[64] = "";

	print_service(service, sizeof(service), instance);
	print_address(address, sizeof(address), instance, '.');
	if (settings.id)
		snprintf(id, sizeof(id), ",\"id\":\"%s\"", settings.id);
	if (settings.lease_s)
		snprintf(lease, sizeof(lease), ",\"lease\":%" PRIu32, settings.lease_s);
	if (settings.version)
		snprintf(version, sizeof(version), ",\"version\":\"%s\"", settings.version);
	return (size_t)snprintf(text, MAX_OBJECT,
				"{\"name\":\"%s\",\"ip\":\"%s\",\"port\":%d%s%s%s}", service,
				address, PORT, id, lease, version);
}

static size_t print_heartbeat(char *text, uint32_t instance)
{
	char service[64], id[64];

	print_service(service, sizeof(service), instance);
	print_id(id, sizeof(id), instance);
	return (size_t)snprintf(text, MAX_OBJECT, "{\"service\":\"%s\",\"id\":\"%s\"}", service,
				id);
}

/* Base64 (RFC 4648 4) with a NUL behind; returns its length. */
static size_t print_base64(char *text, const char *octets, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *at = text;

	for (size_t i = 0; i < len; i += 3) {
		uint32_t bits = 0;

		for (size_t j = 0; j < 3; j++)
			bits = bits << 8 | (i + j < len ? (uint8_t)octets[i + j] : 0);
		for (size_t j = 0; j < 4; j++)
			*at++ = i + j <= len ? digits[bits >> (18 - 6 * j) & 63] : '=';
	}
	*at = '\0';
	return (size_t)(at - text);
}

static size_t print_put(char *text, uint32_t instance)
{
	char object[MAX_OBJECT], name[192], service[64], id[64], key[256], value[MAX_OBJECT * 2];

	print_service(service, sizeof(service), instance);
	print_id(id, sizeof(id), instance);
	snprintf(name, sizeof(name), "/services/%s/%s", service, id);
	print_base64(key, name, strlen(name));
	print_base64(value, object, print_registration(object, instance));
	return (size_t)snprintf(text, MAX_OBJECT, "{\"key\":\"%s\",\"value\":\"%s\"}", key, value);
}

/* Writes the head in front of a body, or alone. */
static void finish_request(struct request *request, const char *body, size_t body_len)
{
	static const char *const lines[] = {
		[TASK_REGISTER] = "POST /registry/register",
		[TASK_HEARTBEAT] = "POST /registry/heartbeat",
		[TASK_LIVE] = "GET /health/live",
		[TASK_ETCD] = "POST /v3/kv/put",
	};
	int head_len;

	request->text = malloc(MAX_HEAD + body_len);
	if (!request->text)
		err(1, "malloc");
	head_len = snprintf(request->text, MAX_HEAD, "%s HTTP/1.1\r\nHost: localhost\r\n",
			    lines[settings.task]);
	if (body_len)
		head_len += snprintf(request->text + head_len, MAX_HEAD - (size_t)head_len,
				     "Content-Length: %zu\r\n", body_len);
	memcpy(request->text + head_len, "\r\n", 2);
	memcpy(request->text + head_len + 2, body, body_len);
	request->len = (size_t)head_len + 2 + body_len;
}

static void write_request(struct request *request, char *body)
{
	size_t len = 0;

	if (settings.array > 1)
		body[len++] = '[';
	for (uint32_t i = 0; i < request->n; i++) {
		if (i)
			body[len++] = ',';
		if (settings.task == TASK_REGISTER)
			len += print_registration(body + len, request->first + i);
		else if (settings.task == TASK_ETCD)
			len += print_put(body + len, request->first + i);
		else
			len += print_heartbeat(body + len, request->first + i);
	}
	if (settings.array > 1)
		body[len++] = ']';
	finish_request(request, body, len);
}

static void write_requests(void)
{
	char *body = malloc((size_t)settings.array * (MAX_OBJECT + 1) + 2);
	uint32_t left = settings.n_instances;

	n_written = settings.task == TASK_LIVE ? 1 : (left + settings.array - 1) / settings.array;
	requests = calloc(n_written, sizeof(*requests));
	if (!requests || !body)
		err(1, "malloc");
	for (size_t i = 0; i < n_written; i++) {
		struct request *request = &requests[i];

		request->first = settings.first + settings.n_instances - left;
		request->n = left < settings.array ? left : settings.array;
		left -= request->n;
		if (settings.task == TASK_LIVE)
			finish_request(request, "", 0);
		else
			write_request(request, body);
	}
	free(body);
	if (!settings.n_requests)
		settings.n_requests = n_written;
}

static const struct request *next_request(void)
{
	return &requests[n_sent++ % n_written];
}

/* ---- Connections ---- */

static int connect_to(int type, uint16_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		err(1, "connect");
	return fd;
}

static void open_connections(void)
{
	int on = 1;

	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		err(1, "epoll_create1");
	for (unsigned i = 0; i < settings.n_connections; i++) {
		struct connection *connection = &connections[i];
		struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET,
					     .data.ptr = connection };

		connection->fd = connect_to(SOCK_STREAM, settings.port);
		setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (fcntl(connection->fd, F_SETFL, O_NONBLOCK) ||
		    epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event))
			err(1, "epoll_ctl");
	}
}

static void send_rest(struct connection *connection)
{
	const struct request *request = connection->request;

	while (connection->sent < request->len) {
		ssize_t n = send(connection->fd, request->text + connection->sent,
				 request->len - connection->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			err(1, "send");
		connection->sent += (size_t)n;
	}
}

static void start_request(struct connection *connection, uint64_t since_ns)
{
	connection->request = next_request();
	connection->sent = 0;
	connection->since_ns = since_ns;
	send_rest(connection);
}

/* Reads status and length once the head is whole. */
static void read_head(struct connection *connection)
{
	static const char length[] = "\r\nContent-Length: ";
	char *end, *field;
	size_t behind;

	connection->in[connection->in_len] = '\0';
	end = strstr(connection->in, "\r\n\r\n");
	if (!end && connection->in_len == IN_LEN - 1)
		errx(1, "the head of a reply is too long");
	if (!end)
		return;
	field = strcasestr(connection->in, length);
	if (!field || field > end ||
	    sscanf(connection->in, "HTTP/1.1 %d", &connection->status) != 1)
		errx(1, "not the head of a reply: %s", connection->in);
	connection->body_left = strtoull(field + sizeof(length) - 1, NULL, 10);
	behind = connection->in_len - (size_t)(end + 4 - connection->in);
	if (behind > connection->body_left)
		errx(1, "octets behind a reply");
	connection->body_left -= behind;
	connection->has_head = true;
}

/* Reads what is there; true: a whole reply. */
static bool receive_reply(struct connection *connection)
{
	static char body[1 << 18];

	for (;;) {
		bool in_body = connection->has_head;
		ssize_t n =
			recv(connection->fd, in_body ? body : connection->in + connection->in_len,
			     in_body ? sizeof(body) : IN_LEN - 1 - connection->in_len, 0);

		if (n == 0)
			errx(1, "the server closed a connection");
		if (n < 0 && errno == EAGAIN)
			return false;
		if (n < 0)
			err(1, "recv");
		if (in_body) {
			connection->body_left -= (uint64_t)n;
		} else {
			connection->in_len += (size_t)n;
			read_head(connection);
		}
		if (connection->has_head && connection->body_left == 0)
			return true;
	}
}

/* Counts a reply; the connection is idle then. */
static void finish_reply(struct connection *connection)
{
	n_done++;
	n_objects += connection->request->n;
	if (connection->status != 200 && connection->status != 201) {
		if (!n_bad++)
			warnx("status %d", connection->status);
	}
	connection->request = NULL;
	connection->has_head = false;
	connection->in_len = 0;
}

/* ---- Many requests ---- */

static void time_reply(const struct connection *connection)
{
	uint64_t now = now_ns(), pause = settings.rate ? 1000000000 / settings.rate : 0;

	latency_add(now - connection->since_ns);
	if (settings.task != TASK_LIVE || !pause)
		return;
	for (uint64_t due = connection->since_ns + pause; due < now; due += pause) {
		latency_add(now - due);
		n_skipped++;
	}
}

static void wait_for_events(uint64_t until_ns)
{
	struct epoll_event events[MAX_CONNECTIONS];
	uint64_t now = now_ns(), left = until_ns > now ? until_ns - now : 0;
	struct timespec limit = { .tv_sec = (time_t)(left / 1000000000),
				  .tv_nsec = (long)(left % 1000000000) };
	int n = epoll_pwait2(epoll, events, MAX_CONNECTIONS, &limit, NULL);

	if (n < 0 && errno != EINTR)
		err(1, "epoll_pwait2");
	for (int i = 0; i < n; i++) {
		struct connection *connection = events[i].data.ptr;

		if (!connection->request)
			continue;
		send_rest(connection);
		if (!receive_reply(connection))
			continue;
		time_reply(connection);
		finish_reply(connection);
	}
}

static bool is_all_sent(void)
{
	return is_ended || n_sent >= settings.n_requests;
}

/* Gives idle connections what is due; returns when the next request is. */
static uint64_t start_due(uint64_t begin_ns)
{
	uint64_t now = now_ns(), due = now;

	for (unsigned i = 0; i < settings.n_connections && !is_all_sent(); i++) {
		if (connections[i].request)
			continue;
		if (settings.rate)
			due = begin_ns + (n_sent + n_skipped) * 1000000000 / settings.rate;
		if (due > now)
			return due;
		start_request(&connections[i], due);
	}
	return UINT64_MAX;
}

static void run_many(void)
{
	uint64_t begin = now_ns(), progress = begin, seen = 0;

	while (!is_all_sent() || n_done < n_sent) {
		uint64_t due = start_due(begin), now = now_ns();

		if (n_done != seen || n_done == n_sent)
			progress = now;
		seen = n_done;
		if (now - progress > REPLY_MS * UINT64_C(1000000))
			errx(1, "no reply");
		wait_for_events(due < now + 1000000000 ? due : now + 1000000000);
	}
}

/* ---- Requests, and what DNS says ---- */

static size_t put_label(uint8_t *query, size_t len, const char *label)
{
	query[len] = (uint8_t)strlen(label);
	memcpy(query + len + 1, label, query[len]);
	return len + 1 + query[len];
}

/* A of the service, or of the one instance. */
static size_t write_query(uint8_t *query, uint32_t instance)
{
	static const uint8_t header[12] = { [5] = 1 }, end[] = { 0, 0, 1, 0, 1 };
	char service[64];
	size_t len = sizeof(header);

	memcpy(query, header, len);
	query[0] = (uint8_t)(n_done >> 8);
	query[1] = (uint8_t)n_done;
	print_service(service, sizeof(service), instance);
	if (settings.id)
		len = put_label(query, len, settings.id);
	len = put_label(query, len, service);
	len = put_label(query, len, "service");
	len = put_label(query, len, "local");
	memcpy(query + len, end, sizeof(end));
	return len + sizeof(end);
}

/* Whether DNS, asked once, has the instance's address. */
static bool is_visible(int dns, uint32_t instance)
{
	const uint8_t rdata[] = {
		0, 4, 10, (uint8_t)(instance >> 16), (uint8_t)(instance >> 8), (uint8_t)instance
	};
	uint8_t query[QUERY_LEN], reply[REPLY_LEN];
	size_t query_len = write_query(query, instance);
	ssize_t len;

	if (send(dns, query, query_len, 0) < 0)
		err(1, "send");
	do {
		len = recv(dns, reply, sizeof(reply), 0);
		if (len < 0)
			err(1, "no answer from DNS");
	} while (len < 12 || memcmp(query, reply, 2) != 0);
	if (reply[2] & 2)
		errx(1, "a truncated answer shows nothing");
	return memmem(reply, (size_t)len, rdata, sizeof(rdata)) != NULL;
}

static void wait_for_reply(struct connection *connection)
{
	uint64_t end = now_ns() + REPLY_MS * UINT64_C(1000000);
	struct epoll_event event;

	while (!receive_reply(connection)) {
		if (now_ns() > end)
			errx(1, "no reply");
		epoll_wait(epoll, &event, 1, REPLY_MS);
		send_rest(connection);
	}
}

static void run_visible(void)
{
	struct timeval limit = { .tv_sec = DNS_MS / 1000 };
	struct connection *connection = &connections[0];
	uint64_t begin = now_ns();
	int dns = connect_to(SOCK_DGRAM, settings.dns_port);

	setsockopt(dns, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	while (!is_all_sent()) {
		uint64_t due = settings.rate ? begin + n_sent * 1000000000 / settings.rate : 0;
		struct timespec time = { .tv_sec = (time_t)(due / 1000000000),
					 .tv_nsec = (long)(due % 1000000000) };
		uint64_t start;
		uint32_t instance;

		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
		start = now_ns();
		start_request(connection, start);
		instance = connection->request->first;
		wait_for_reply(connection);
		finish_reply(connection);
		if (!is_visible(dns, instance)) {
			n_stale++;
			while (!is_visible(dns, instance))
				if (now_ns() - start > DNS_MS * UINT64_C(1000000))
					errx(1, "instance %" PRIu32 " never comes into DNS",
					     instance);
		}
		latency_add(now_ns() - start);
	}
	close(dns);
}

/* ---- Start and end ---- */

static enum task parse_task(const char *text)
{
	static const char *const names[] = {
		[TASK_REGISTER] = "register",
		[TASK_HEARTBEAT] = "heartbeat",
		[TASK_LIVE] = "live",
		[TASK_ETCD] = "etcd",
	};

	for (enum task task = TASK_REGISTER; task <= TASK_ETCD; task++)
		if (strcmp(text, names[task]) == 0)
			return task;
	return TASK_NONE;
}

static void parse_option(int option, const char *value)
{
	uint64_t number = strtoull(value, NULL, 10);

	switch (option) {
	case 'p':
		settings.port = (uint16_t)number;
		break;
	case 'd':
		settings.task = parse_task(value);
		break;
	case 'f':
		settings.first = (uint32_t)number;
		break;
	case 'i':
		settings.n_instances = (uint32_t)number;
		break;
	case 'm':
		settings.per = (uint32_t)number;
		break;
	case 'P':
		settings.prefix = value;
		break;
	case 'n':
		settings.name = value;
		break;
	case 'I':
		settings.id = value;
		break;
	case 'l':
		settings.lease_s = (uint32_t)number;
		break;
	case 'v':
		settings.version = value;
		break;
	case 'a':
		settings.array = (uint32_t)number;
		break;
	case 'r':
		settings.n_requests = number;
		break;
	case 'c':
		settings.n_connections = (unsigned)number;
		break;
	case 'R':
		settings.rate = number;
		break;
	case 'D':
		settings.dns_port = (uint16_t)number;
		break;
	default:
		errx(2, "the options are at the top of http_load.c");
	}
}

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "port", required_argument, NULL, 'p' },
		{ "do", required_argument, NULL, 'd' },
		{ "first", required_argument, NULL, 'f' },
		{ "instances", required_argument, NULL, 'i' },
		{ "per", required_argument, NULL, 'm' },
		{ "prefix", required_argument, NULL, 'P' },
		{ "name", required_argument, NULL, 'n' },
		{ "id", required_argument, NULL, 'I' },
		{ "lease", required_argument, NULL, 'l' },
		{ "version", required_argument, NULL, 'v' },
		{ "array", required_argument, NULL, 'a' },
		{ "requests", required_argument, NULL, 'r' },
		{ "connections", required_argument, NULL, 'c' },
		{ "rate", required_argument, NULL, 'R' },
		{ "dns", required_argument, NULL, 'D' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		parse_option(option, optarg ? optarg : "");
	if (!settings.port || !settings.task || !settings.n_instances || !settings.per ||
	    !settings.array || !settings.n_connections || settings.n_connections > MAX_CONNECTIONS)
		errx(2, "an option is missing or out of range");
	if (settings.dns_port &&
	    (settings.n_connections > 1 || settings.array > 1 || settings.task != TASK_REGISTER))
		errx(2, "--dns is for single registrations on one connection");
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
	signal(SIGTERM, on_signal);
	prctl(PR_SET_TIMERSLACK, 1);
	write_requests();
	open_connections();
	start = now_ns();
	if (settings.dns_port)
		run_visible();
	else
		run_many();
	printf("requests=%" PRIu64 " objects=%" PRIu64 " bad=%" PRIu64 " stale=%" PRIu64
	       " seconds=%.6f",
	       n_done, n_objects, n_bad, n_stale, (double)(now_ns() - start) / 1e9);
	latency_print();
	putchar('\n');
	for (size_t i = 0; i < n_written; i++)
		free(requests[i].text);
	free(requests);
	return 0;
}
