/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/probe_run.h"

#include "base/limits.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	REQUEST_MAX_LEN = LIMIT_PATH + 256,
};

/*
 * A run: connect, send the request whole (it fits every socket's buffer), read up to the end of the
 * status line, and no further.
 */
struct run {
	struct event *event;
	struct event_base *base;
	int fd;
	int error; /* what connect() said at once */
	probe_verdict verdict;
	void *cookie;
	size_t request_len, reply_len;
	char request[REQUEST_MAX_LEN];
	char reply[LIMIT_CHECK_READ + 1];
};

static void cancel(void *cookie)
{
	struct run *run = cookie;

	event_free(run->event);
	close(run->fd);
	free(run);
}

static void conclude(struct run *run, bool passed, const char *output)
{
	probe_verdict verdict = run->verdict;
	void *cookie = run->cookie;

	cancel(run);
	verdict(cookie, passed, output);
}

static void fail(struct run *run, int error)
{
	char output[128];

	probe_run_explain(error, output, sizeof(output));
	conclude(run, false, output);
}

/* ---- The status line (RFC 9112 4) ---- */

static const char version[] = "HTTP/1.";

/* Whether what has come can still become a status line. */
static bool may_be_http(const struct run *run)
{
	size_t len = run->reply_len < sizeof(version) - 1 ? run->reply_len : sizeof(version) - 1;

	return memcmp(run->reply, version, len) == 0;
}

/* The status of a whole line, and the text from the status on; 0: it is no status line. */
static int parse_status_line(const char *line, const char **text)
{
	const char *status = line + sizeof(version) - 1 + 2;

	if (strncmp(line, version, sizeof(version) - 1) != 0 ||
	    (status[-2] != '0' && status[-2] != '1') || status[-1] != ' ')
		return 0;
	if (strspn(status, "0123456789") != 3 || *status == '0' ||
	    (status[3] != ' ' && status[3] != '\0'))
		return 0;
	*text = status;
	return (status[0] - '0') * 100 + (status[1] - '0') * 10 + (status[2] - '0');
}

/* Takes the line that ends at `end`. */
static void judge(struct run *run, char *end)
{
	char output[LIMIT_CHECK_OUTPUT];
	const char *text;
	int status;

	while (end > run->reply && (end[-1] == '\r' || end[-1] == ' '))
		end--;
	*end = '\0';
	for (char *c = run->reply; c < end; c++)
		if (*c < 0x20 || *c >= 0x7f)
			*c = '?';
	status = parse_status_line(run->reply, &text);
	if (status == 0) {
		conclude(run, false, "not HTTP");
		return;
	}
	snprintf(output, sizeof(output), "%s", text);
	conclude(run, status >= 200 && status <= 299, output);
}

/* ---- The connection ---- */

static void on_readable(evutil_socket_t fd, short what, void *cookie)
{
	struct run *run = cookie;
	char *end;
	ssize_t n = recv(fd, run->reply + run->reply_len, LIMIT_CHECK_READ - run->reply_len, 0);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		fail(run, errno);
		return;
	}
	if (n == 0) {
		conclude(run, false, run->reply_len ? "not HTTP" : "closed without a reply");
		return;
	}
	end = memchr(run->reply + run->reply_len, '\n', (size_t)n);
	run->reply_len += (size_t)n;
	if (!may_be_http(run))
		conclude(run, false, "not HTTP");
	else if (end)
		judge(run, end);
	else if (run->reply_len == LIMIT_CHECK_READ)
		conclude(run, false, "not HTTP");
}

static void on_connected(evutil_socket_t fd, short what, void *cookie)
{
	struct run *run = cookie;
	int error = run->error ? run->error : probe_run_connected(fd);
	ssize_t n;

	(void)what;
	if (error) {
		fail(run, error);
		return;
	}
	n = send(fd, run->request, run->request_len, MSG_NOSIGNAL);
	if (n != (ssize_t)run->request_len) {
		fail(run, n < 0 ? errno : EMSGSIZE);
		return;
	}
	if (event_assign(run->event, run->base, fd, EV_READ | EV_PERSIST, on_readable, run) != 0 ||
	    event_add(run->event, NULL) != 0)
		fail(run, ENOMEM);
}

static void print_request(struct run *run, const struct probe_target *target)
{
	int len = snprintf(run->request, sizeof(run->request),
			   "GET %s HTTP/1.1\r\n"
			   "Host: %s\r\n"
			   "User-Agent: rosterd\r\n"
			   "Accept: */*\r\n"
			   "Connection: close\r\n"
			   "\r\n",
			   target->path, target->host);

	run->request_len = (size_t)len;
}

static void *start(struct event_base *base, const struct probe_target *target,
		   probe_verdict verdict, void *cookie)
{
	struct run *run = malloc(sizeof(*run));

	if (!run)
		return NULL;
	*run = (struct run){ .base = base, .verdict = verdict, .cookie = cookie };
	print_request(run, target);
	run->fd = probe_run_connect(target, &run->error);
	if (run->fd < 0)
		goto fail_run;
	run->event = event_new(base, run->fd, EV_WRITE, on_connected, run);
	if (!run->event)
		goto fail_fd;
	if (event_add(run->event, NULL) != 0)
		goto fail_event;
	if (run->error)
		event_active(run->event, EV_WRITE, 0);
	return run;

fail_event:
	event_free(run->event);
fail_fd:
	close(run->fd);
	errno = ENOMEM;
fail_run:
	free(run);
	return NULL;
}

const struct probe_kind probe_http = { start, cancel };
