/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock: milliseconds of CLOCK_MONOTONIC, the one clock that deadlines use; a step of the wall
 * clock moves nothing. The model takes time as an argument, and it is server time
 * (base/server_clock.h).
 */
#ifndef ROSTERD_BASE_CLOCK_H
#define ROSTERD_BASE_CLOCK_H

#include <stdint.h>
#include <sys/time.h>

/* Monotonic milliseconds. */
uint64_t clock_mono_ms(void);

/* Monotonic milliseconds, up to one kernel tick (4 ms) old, without a system call. */
uint64_t clock_coarse_ms(void);

/* Monotonic nanoseconds, for how long something takes. */
uint64_t clock_mono_ns(void);

/* Seconds since 1970-01-01 UTC, up to one kernel tick late, without a system call. */
uint32_t clock_coarse_wall_s(void);

/* Milliseconds since 1970-01-01 UTC; for revisions and for people. */
uint64_t clock_wall_ms(void);

/* A span of milliseconds as timers take it. */
struct timeval clock_timeval(uint64_t ms);

#endif
