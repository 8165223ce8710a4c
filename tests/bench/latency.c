/* SPDX-License-Identifier: BSD-2-Clause */
#include "latency.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t *times_ns;
static size_t n_times, cap_times;

void latency_add(uint64_t ns)
{
	if (n_times == cap_times) {
		cap_times = cap_times ? cap_times * 2 : 1 << 16;
		times_ns = realloc(times_ns, cap_times * sizeof(*times_ns));
		if (!times_ns)
			err(1, "realloc");
	}
	times_ns[n_times++] = ns;
}

static int compare_times(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The time that `ppm` millionths of all stay below or reach. */
static double share_us(uint64_t ppm)
{
	size_t rank = (size_t)((n_times * ppm + 999999) / 1000000);

	return n_times ? (double)times_ns[rank ? rank - 1 : 0] / 1000 : 0;
}

void latency_print(void)
{
	if (n_times)
		qsort(times_ns, n_times, sizeof(*times_ns), compare_times);
	printf(" p50_us=%.1f p99_us=%.1f max_us=%.1f", share_us(500000), share_us(990000),
	       share_us(1000000));
	free(times_ns);
	times_ns = NULL;
	n_times = cap_times = 0;
}
