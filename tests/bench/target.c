/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * target: what health checks connect to. On one port, "200 OK" to each request for /N; on another
 * one, nothing at all for as long as the peer waits. One thread; as little as it can be.
 *
 *   target                    prints "good=PORT hanging=PORT", then runs until SIGTERM
 *
 * SIGUSR1 begins a measure anew; SIGTERM prints "runs=N hung=N quiet_ms=N": requests answered,
 * connections that hung, and the longest time in which any N that came was not asked for.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	EVENTS = 256,
	CHECKS = 100000, /* N is below that */
	BACKLOG = 4096,
};

/* What an event is about: a connection's descriptor, with its kind above it. */
enum kind {
	GOOD,
	HANGING,
	GOOD_DOOR,
	HANGING_DOOR,
};

static volatile sig_atomic_t is_over, is_new;
static uint64_t last_ms[CHECKS]; /* 0: never */
static uint64_t n_runs, n_hung, quiet_ms;

static void on_signal(int number)
{
	if (number == SIGTERM)
		is_over = 1;
	else
		is_new = 1;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void add(int epoll, int fd, enum kind kind)
{
	struct epoll_event event = { .events = EPOLLIN,
				     .data.u64 = (uint64_t)kind << 32 | (uint32_t)fd };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		err(1, "epoll");
}

static unsigned open_door(int epoll, enum kind kind)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) || listen(fd, BACKLOG) ||
	    getsockname(fd, (struct sockaddr *)&address, &len))
		err(1, "listen");
	add(epoll, fd, kind);
	return ntohs(address.sin_port);
}

static void note_quiet(unsigned long n, uint64_t at_ms)
{
	if (last_ms[n] && at_ms - last_ms[n] > quiet_ms)
		quiet_ms = at_ms - last_ms[n];
	last_ms[n] = at_ms;
}

/* A request is one segment; whatever follows it is the peer's end. */
static void serve(int fd, enum kind kind)
{
	static const char start[] = "GET /", reply[] = "HTTP/1.1 200 OK\r\n\r\n";
	char request[2048];
	ssize_t len = recv(fd, request, sizeof(request) - 1, 0);
	unsigned long n;

	if (len <= 0) {
		close(fd);
		return;
	}
	request[len] = '\0';
	if (kind == HANGING || strncmp(request, start, sizeof(start) - 1) != 0)
		return;
	n = strtoul(request + sizeof(start) - 1, NULL, 10);
	if (n < CHECKS)
		note_quiet(n, now_ms());
	if (send(fd, reply, sizeof(reply) - 1, MSG_NOSIGNAL) > 0)
		n_runs++;
}

static void handle(int epoll, uint64_t data)
{
	enum kind kind = (enum kind)(data >> 32);
	int fd = (int)(uint32_t)data, new;

	if (kind == GOOD || kind == HANGING) {
		serve(fd, kind);
		return;
	}
	while ((new = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		n_hung += kind == HANGING_DOOR;
		add(epoll, new, kind == GOOD_DOOR ? GOOD : HANGING);
	}
	if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
		err(1, "accept");
}

static void begin_anew(void)
{
	is_new = 0;
	memset(last_ms, 0, sizeof(last_ms));
	n_runs = n_hung = quiet_ms = 0;
}

/* Those that never came again were not asked for until now. */
static void print_figures(void)
{
	uint64_t end_ms = now_ms();

	for (unsigned long n = 0; n < CHECKS; n++)
		if (last_ms[n])
			note_quiet(n, end_ms);
	printf("runs=%llu hung=%llu quiet_ms=%llu\n", (unsigned long long)n_runs,
	       (unsigned long long)n_hung, (unsigned long long)quiet_ms);
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct epoll_event events[EVENTS];
	struct rlimit files;
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	unsigned good, hanging;

	if (epoll < 0)
		err(1, "epoll");
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	good = open_door(epoll, GOOD_DOOR);
	hanging = open_door(epoll, HANGING_DOOR);
	printf("good=%u hanging=%u\n", good, hanging);
	fflush(stdout);
	while (!is_over) {
		int n = epoll_wait(epoll, events, EVENTS, 100);

		if (is_new)
			begin_anew();
		for (int i = 0; i < n; i++)
			handle(epoll, events[i].data.u64);
	}
	print_figures();
	return 0;
}
