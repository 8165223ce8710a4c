/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * server_clock: server time, the milliseconds of CLOCK_MONOTONIC in which this server ran. All of
 * the model's times are in it: the end of leases, ttl checks, hand-outs, the start of probes.
 *
 * The control thread looks at the clock at least every SERVER_CLOCK_TICK_MS. Server time never goes
 * further than LIMIT_PAUSE_MS beyond its last look; what passes beyond that is a pause, in which
 * nobody's heartbeat was heard, and is left out. So a process that was stopped, starved or debugged
 * goes on where it was: every lease and check has the time left that it had, without a deadline
 * being touched. A control thread that is merely busy for so long counts as paused too: it
 * hears as little, and time is the same for all threads without asking what held it up. While it
 * keeps its ticks nothing is credited, so nothing drifts.
 *
 * CLOCK_MONOTONIC itself stands still while the machine is suspended and knows no steps of the wall
 * clock, so these need no credit.
 *
 * Any thread may read, and gets the same time, also between the end of a pause and the look that
 * finds it. So the TTLs that workers work out end when the control thread acts, and a probe's run
 * has the rest of its timeout.
 *
 * Others count TTLs on clocks that do not stop with us. A span of server time is at least as long
 * for them, so what was handed out has expired by then; a `safe_after` that a pause falls into only
 * comes later than it need. Limits of connections, comments to watchers and times for people are
 * not in server time.
 */
#ifndef ROSTERD_BASE_SERVER_CLOCK_H
#define ROSTERD_BASE_SERVER_CLOCK_H

#include <stdatomic.h>
#include <stdint.h>

enum {
	SERVER_CLOCK_TICK_MS = 100,
};

/* One writer, any number of readers. */
struct server_clock {
	_Atomic uint64_t credit_ms; /* all pauses so far */
	_Atomic uint64_t end_ms;    /* server time before the next look is at most this */
};

/* Nobody has looked yet, and until somebody does server time is not limited. */
#define SERVER_CLOCK_INIT                            \
	{                                            \
		.credit_ms = 0, .end_ms = UINT64_MAX \
	}

/* The writer's look at `mono_ms`, which never goes back. Returns the pause that it credits, or 0.
 */
uint64_t server_clock_step(struct server_clock *clock, uint64_t mono_ms);

/* Server time; `mono_ms` reads the clock to go by. */
uint64_t server_clock_at(const struct server_clock *clock, uint64_t (*mono_ms)(void));

/* ---- The process's own ---- */

/* Control thread: looks, and returns server time; the pause that it credits, or 0. */
uint64_t server_clock_look(uint64_t *credited_ms);

/* Any thread. */
uint64_t server_clock_ms(void);
/* The same, up to one kernel tick (4 ms) old, without a system call. */
uint64_t server_clock_coarse_ms(void);

#endif
