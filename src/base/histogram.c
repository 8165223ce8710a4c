/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/histogram.h"

#include "base/buf.h"
#include "base/counters.h"

#include <inttypes.h>

static const struct bound {
	uint64_t ns;
	const char *text;
} bounds[] = {
#define HISTOGRAM_BOUND(ns, text) { ns, text },
	HISTOGRAM_BOUNDS(HISTOGRAM_BOUND)
#undef HISTOGRAM_BOUND
};

void histogram_observe(struct histogram *histogram, uint64_t ns, uint64_t n)
{
	unsigned i = 0;

	while (i < HISTOGRAM_N_BOUNDS && ns > bounds[i].ns)
		i++;
	counters_add(&histogram->counts[i], n);
	counters_add(&histogram->sum_ns, ns * n);
}

void histogram_read(struct histogram *sum, const struct histogram *from)
{
	for (unsigned i = 0; i <= HISTOGRAM_N_BOUNDS; i++)
		counters_add(&sum->counts[i],
			     atomic_load_explicit(&from->counts[i], memory_order_relaxed));
	counters_add(&sum->sum_ns, atomic_load_explicit(&from->sum_ns, memory_order_relaxed));
}

/* The count is that of the last bucket, so that the two agree whatever is counted meanwhile. */
void histogram_print(const struct histogram *histogram, const char *metric, const char *labels,
		     struct buf *out)
{
	const char *comma = *labels ? "," : "", *open = *labels ? "{" : "",
		   *close = *labels ? "}" : "";
	uint64_t sum_ns = atomic_load_explicit(&histogram->sum_ns, memory_order_relaxed), n = 0;

	for (unsigned i = 0; i <= HISTOGRAM_N_BOUNDS; i++) {
		n += atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
		buf_print(out, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", metric, labels, comma,
			  i < HISTOGRAM_N_BOUNDS ? bounds[i].text : "+Inf", n);
	}
	buf_print(out, "%s_sum%s%s%s %" PRIu64 ".%09" PRIu64 "\n", metric, open, labels, close,
		  sum_ns / 1000000000, sum_ns % 1000000000);
	buf_print(out, "%s_count%s%s%s %" PRIu64 "\n", metric, open, labels, close, n);
}
