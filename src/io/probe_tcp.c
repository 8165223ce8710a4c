/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/probe_run.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

/* A run: it passes when the connection is there. */
struct run {
	struct event *event;
	int fd;
	int error; /* what connect() said at once */
	probe_verdict verdict;
	void *cookie;
};

static void cancel(void *cookie)
{
	struct run *run = cookie;

	event_free(run->event);
	close(run->fd);
	free(run);
}

static void on_connected(evutil_socket_t fd, short what, void *cookie)
{
	struct run *run = cookie;
	int error = run->error ? run->error : probe_run_connected(fd);
	probe_verdict verdict = run->verdict;
	void *verdict_cookie = run->cookie;
	char output[128] = "connected";

	(void)what;
	cancel(run);
	if (error)
		probe_run_explain(error, output, sizeof(output));
	verdict(verdict_cookie, error == 0, output);
}

static void *start(struct event_base *base, const struct probe_target *target,
		   probe_verdict verdict, void *cookie)
{
	struct run *run = calloc(1, sizeof(*run));

	if (!run)
		goto fail;
	run->verdict = verdict;
	run->cookie = cookie;
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
fail:
	return NULL;
}

const struct probe_kind probe_tcp = { start, cancel };
