/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * latency: the times that a load of the bench has measured, kept one by one, so that the shares
 * are exact. One set a process.
 */
#ifndef ROSTERD_BENCH_LATENCY_H
#define ROSTERD_BENCH_LATENCY_H

#include <stdint.h>

/* Ends the process when out of memory. */
void latency_add(uint64_t ns);

/* Prints " p50_us=.. p99_us=.. max_us=.." to stdout; zeros where nothing was measured. */
void latency_print(void);

#endif
