/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/watchdog.h"

#include "app/systemd.h"

#include <event2/event.h>

#include <stdlib.h>

enum {
	LOOKS = 4, /* in the time that the manager waits: a busy moment may cost some of them */
};

struct watchdog {
	struct workers *workers;
	struct event *timer;
};

static void on_timer(evutil_socket_t fd, short what, void *cookie)
{
	struct watchdog *watchdog = cookie;

	(void)fd;
	(void)what;
	if (workers_answer(watchdog->workers))
		systemd_notify("WATCHDOG=1");
}

struct watchdog *watchdog_new(struct event_base *base, struct workers *workers)
{
	struct watchdog *watchdog = calloc(1, sizeof(*watchdog));
	uint64_t interval_us = systemd_watchdog_ms() * 1000 / LOOKS;
	struct timeval interval = {
		.tv_sec = (time_t)(interval_us / 1000000),
		.tv_usec = (suseconds_t)(interval_us % 1000000),
	};

	if (!watchdog)
		return NULL;
	watchdog->workers = workers;
	watchdog->timer = event_new(base, -1, EV_PERSIST, on_timer, watchdog);
	if (!watchdog->timer || (interval_us && event_add(watchdog->timer, &interval))) {
		watchdog_free(watchdog);
		return NULL;
	}
	return watchdog;
}

void watchdog_free(struct watchdog *watchdog)
{
	if (!watchdog)
		return;
	if (watchdog->timer)
		event_free(watchdog->timer);
	free(watchdog);
}
