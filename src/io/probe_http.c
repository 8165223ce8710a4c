/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/probe_run.h"
#include "io/probe_tls.h"

#include "base/buf.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum state {
	CONNECTING,
	SHAKING_HANDS, /* https */
	SENDING,
	READING, /* up to the end of the status line, and no further */
	N_STATES,
};

/* Targets that hang are many: what a run does not need yet or any more it does not keep. */
struct run {
	enum state state;
	struct event *event;
	struct event_base *base;
	int fd;
	int error; /* what connect() said at once */
	const struct probe_target *target;
	struct probe_tls_session *session; /* NULL: http, or not there yet */
	probe_verdict verdict;
	void *cookie;
	char *request;
	size_t request_len, sent_len, reply_len;
	char *reply; /* LIMIT_CHECK_READ + 1 octets */
	bool passed;
	char output[LIMIT_CHECK_OUTPUT];
};

static void cancel(void *cookie)
{
	struct run *run = cookie;

	probe_tls_session_free(run->session);
	event_free(run->event);
	close(run->fd);
	free(run->request);
	free(run->reply);
	free(run);
}

static enum probe_step end(struct run *run, const char *output)
{
	snprintf(run->output, sizeof(run->output), "%s", output);
	return PROBE_END;
}

static enum probe_step end_by(struct run *run, int error)
{
	probe_run_explain(error, run->output, sizeof(run->output));
	return PROBE_END;
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
static unsigned parse_status_line(const char *line, const char **text)
{
	const char *status = line + sizeof(version) - 1 + 2;

	if (strncmp(line, version, sizeof(version) - 1) != 0 ||
	    (status[-2] != '0' && status[-2] != '1') || status[-1] != ' ')
		return 0;
	if (strspn(status, "0123456789") != 3 || *status == '0' ||
	    (status[3] != ' ' && status[3] != '\0'))
		return 0;
	*text = status;
	return (unsigned)((status[0] - '0') * 100 + (status[1] - '0') * 10 + (status[2] - '0'));
}

/* Takes the line that ends at `line_end`. */
static enum probe_step judge(struct run *run, char *line_end)
{
	const char *text;
	unsigned status;

	while (line_end > run->reply && (line_end[-1] == '\r' || line_end[-1] == ' '))
		line_end--;
	*line_end = '\0';
	for (char *c = run->reply; c < line_end; c++)
		if (*c < 0x20 || *c >= 0x7f)
			*c = '?';
	status = parse_status_line(run->reply, &text);
	if (status == 0)
		return end(run, "not HTTP");
	run->passed = record_check_expects(run->target->spec->expected, status);
	return end(run, text);
}

/* ---- The request ---- */

/* Whether the check's own headers have this one. */
static bool has_header(const char *headers, const char *name)
{
	size_t len = strlen(name);

	for (; headers && *headers; headers = strchr(headers, '\n') + 1)
		if (strncasecmp(headers, name, len) == 0 && headers[len] == ':')
			return true;
	return false;
}

static void print_host(struct buf *buf, const struct probe_target *target)
{
	const struct check_spec *spec = target->spec;

	if (spec->server_name)
		buf_print(buf, "Host: %s:%u\r\n", spec->server_name, spec->port);
	else
		buf_print(buf, "Host: %s\r\n", target->host);
}

/* NULL when out of memory. */
static char *print_request(const struct probe_target *target, size_t *len)
{
	const struct check_spec *spec = target->spec;
	const char *method = spec->method ? spec->method : "GET";
	struct buf buf;

	buf_init(&buf);
	buf_print(&buf, "%s %s HTTP/1.1\r\n", method, spec->path);
	if (!has_header(spec->headers, "Host"))
		print_host(&buf, target);
	if (!has_header(spec->headers, "User-Agent"))
		buf_print(&buf, "User-Agent: rosterd\r\n");
	if (!has_header(spec->headers, "Accept"))
		buf_print(&buf, "Accept: */*\r\n");
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		buf_print(&buf, "Content-Length: 0\r\n");
	buf_print(&buf, "%sConnection: close\r\n\r\n", spec->headers ? spec->headers : "");
	return buf_take(&buf, len);
}

/* ---- The steps ---- */

static enum probe_step step_connect(struct run *run)
{
	int error = run->error ? run->error : probe_run_connected(run->fd);

	if (error)
		return end_by(run, error);
	if (run->target->spec->kind == CHECK_HTTP) {
		run->state = SENDING;
		return PROBE_NEXT;
	}
	run->session = probe_tls_session_new(run->target->tls, run->fd, run->target);
	if (!run->session)
		return end_by(run, ENOMEM);
	run->state = SHAKING_HANDS;
	return PROBE_NEXT;
}

static enum probe_step step_shake_hands(struct run *run)
{
	enum probe_step step =
		probe_tls_shake_hands(run->session, run->output, sizeof(run->output));

	if (step == PROBE_NEXT)
		run->state = SENDING;
	return step;
}

static enum probe_step send_plain(struct run *run)
{
	ssize_t n = send(run->fd, run->request + run->sent_len, run->request_len - run->sent_len,
			 MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return end_by(run, errno);
	if (n > 0)
		run->sent_len += (size_t)n;
	return run->sent_len == run->request_len ? PROBE_NEXT : PROBE_AGAIN_WRITE;
}

static enum probe_step step_send(struct run *run)
{
	enum probe_step step =
		run->session ? probe_tls_send(run->session, run->request, run->request_len,
					      run->output, sizeof(run->output))
			     : send_plain(run);

	if (step != PROBE_NEXT)
		return step;
	free(run->request);
	run->request = NULL;
	run->state = READING;
	return PROBE_AGAIN_READ;
}

static enum probe_step receive_plain(struct run *run, char *data, size_t size, size_t *len)
{
	ssize_t n = recv(run->fd, data, size, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return PROBE_AGAIN_READ;
	if (n < 0)
		return end_by(run, errno);
	*len = (size_t)n;
	return PROBE_NEXT;
}

static enum probe_step step_read(struct run *run)
{
	size_t room = LIMIT_CHECK_READ - run->reply_len, len;
	enum probe_step step;
	char *at, *line_end;

	if (!run->reply)
		run->reply = malloc(LIMIT_CHECK_READ + 1);
	if (!run->reply)
		return end_by(run, ENOMEM);
	at = run->reply + run->reply_len;
	step = run->session ? probe_tls_receive(run->session, at, room, &len, run->output,
						sizeof(run->output))
			    : receive_plain(run, at, room, &len);
	if (step != PROBE_NEXT)
		return step;
	if (len == 0)
		return end(run, run->reply_len ? "not HTTP" : "closed without a reply");
	line_end = memchr(at, '\n', len);
	run->reply_len += len;
	if (!may_be_http(run))
		return end(run, "not HTTP");
	if (line_end)
		return judge(run, line_end);
	/* TLS may hold more already, of which the socket knows nothing. */
	return run->reply_len == LIMIT_CHECK_READ ? end(run, "not HTTP") : PROBE_NEXT;
}

/* ---- The run ---- */

static enum probe_step (*const steps[N_STATES])(struct run *run) = {
	[CONNECTING] = step_connect,
	[SHAKING_HANDS] = step_shake_hands,
	[SENDING] = step_send,
	[READING] = step_read,
};

static void conclude(struct run *run)
{
	probe_verdict verdict = run->verdict;
	void *cookie = run->cookie;
	bool passed = run->passed;
	char output[LIMIT_CHECK_OUTPUT];

	memcpy(output, run->output, sizeof(output));
	cancel(run);
	verdict(cookie, passed, output);
}

static void on_ready(evutil_socket_t fd, short what, void *cookie)
{
	struct run *run = cookie;
	enum probe_step step;

	(void)what;
	do {
		step = steps[run->state](run);
	} while (step == PROBE_NEXT);
	if (step != PROBE_END &&
	    (event_assign(run->event, run->base, fd, step == PROBE_AGAIN_READ ? EV_READ : EV_WRITE,
			  on_ready, run) != 0 ||
	     event_add(run->event, NULL) != 0))
		step = end_by(run, ENOMEM);
	if (step == PROBE_END)
		conclude(run);
}

static void *start(struct event_base *base, const struct probe_target *target,
		   probe_verdict verdict, void *cookie)
{
	struct run *run = calloc(1, sizeof(*run));

	if (!run)
		goto fail;
	run->base = base;
	run->target = target;
	run->verdict = verdict;
	run->cookie = cookie;
	run->request = print_request(target, &run->request_len);
	if (!run->request)
		goto fail_run;
	run->fd = probe_run_connect(target, &run->error);
	if (run->fd < 0)
		goto fail_request;
	run->event = event_new(base, run->fd, EV_WRITE, on_ready, run);
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
fail_request:
	free(run->request);
fail_run:
	free(run);
fail:
	return NULL;
}

const struct probe_kind probe_http = { start, cancel };
