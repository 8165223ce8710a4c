/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * histogram: how long something took, how often: one count for each range of a fixed table.
 *
 * As with counters (base/counters.h) each has one thread that writes it; others read it through
 * histogram_read().
 */
#ifndef ROSTERD_BASE_HISTOGRAM_H
#define ROSTERD_BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

/* X(nanoseconds, seconds as Prometheus writes them): the longest time of each range. */
#define HISTOGRAM_BOUNDS(X)  \
	X(10000, "1e-05")    \
	X(25000, "2.5e-05")  \
	X(50000, "5e-05")    \
	X(100000, "0.0001")  \
	X(250000, "0.00025") \
	X(500000, "0.0005")  \
	X(1000000, "0.001")  \
	X(2500000, "0.0025") \
	X(5000000, "0.005")  \
	X(10000000, "0.01")  \
	X(25000000, "0.025") \
	X(50000000, "0.05")  \
	X(100000000, "0.1")  \
	X(1000000000, "1")

enum {
#define HISTOGRAM_COUNT(ns, text) +1
	HISTOGRAM_N_BOUNDS = 0 HISTOGRAM_BOUNDS(HISTOGRAM_COUNT),
#undef HISTOGRAM_COUNT
};

struct histogram {
	/* Not cumulative; the last one is for what is longer than every bound. */
	_Atomic uint64_t counts[HISTOGRAM_N_BOUNDS + 1];
	_Atomic uint64_t sum_ns;
};

struct buf;

/* Counts `n` times the same duration, on the thread that owns the histogram. */
void histogram_observe(struct histogram *histogram, uint64_t ns, uint64_t n);

/* Adds all of `from`, which another thread may be writing, to `sum`. */
void histogram_read(struct histogram *sum, const struct histogram *from);

/*
 * Appends the lines of one histogram in the Prometheus text format: _bucket, _sum and _count.
 * `labels` is `name="value"`, or empty.
 */
void histogram_print(const struct histogram *histogram, const char *metric, const char *labels,
		     struct buf *out);

#endif
