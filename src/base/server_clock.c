/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/server_clock.h"

#include "base/clock.h"
#include "base/limits.h"

static struct server_clock process_clock = SERVER_CLOCK_INIT;

/* Readers see the credit that a limit was made with, or a newer one: server_clock_at(). */
uint64_t server_clock_step(struct server_clock *clock, uint64_t mono_ms)
{
	uint64_t credit_ms = atomic_load_explicit(&clock->credit_ms, memory_order_relaxed);
	uint64_t end_ms = atomic_load_explicit(&clock->end_ms, memory_order_relaxed);
	uint64_t now_ms = mono_ms - credit_ms, paused_ms = 0;

	if (now_ms > end_ms) {
		paused_ms = now_ms - end_ms;
		now_ms = end_ms;
		atomic_store_explicit(&clock->credit_ms, credit_ms + paused_ms,
				      memory_order_relaxed);
	}
	atomic_store_explicit(&clock->end_ms, now_ms + LIMIT_PAUSE_MS, memory_order_release);
	return paused_ms;
}

/*
 * The limit is read before the credit, and both before the clock: a reader that is late with one of
 * them is stopped by the old limit, or early as any thread that is stopped behind a reading.
 */
uint64_t server_clock_at(const struct server_clock *clock, uint64_t (*mono_ms)(void))
{
	uint64_t end_ms = atomic_load_explicit(&clock->end_ms, memory_order_acquire);
	uint64_t credit_ms = atomic_load_explicit(&clock->credit_ms, memory_order_acquire);
	uint64_t now_ms = mono_ms() - credit_ms;

	return now_ms < end_ms ? now_ms : end_ms;
}

uint64_t server_clock_look(uint64_t *credited_ms)
{
	*credited_ms = server_clock_step(&process_clock, clock_mono_ms());
	return server_clock_at(&process_clock, clock_mono_ms);
}

uint64_t server_clock_ms(void)
{
	return server_clock_at(&process_clock, clock_mono_ms);
}

uint64_t server_clock_coarse_ms(void)
{
	return server_clock_at(&process_clock, clock_coarse_ms);
}
