/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/answer_counts.h"

const uint8_t answer_types[ANSWER_TYPE_LAST + 1] = {
#define ANSWER_TYPE_SLOT(type) [RR_##type] = ANSWER_TYPE_##type,
	ANSWER_TYPES(ANSWER_TYPE_SLOT)
#undef ANSWER_TYPE_SLOT
};

static const char *const type_names[ANSWER_N_TYPES] = { [ANSWER_TYPE_OTHER] = "other",
							[ANSWER_TYPE_NONE] = "none",
#define ANSWER_TYPE_NAME(type) [ANSWER_TYPE_##type] = #type,
							ANSWER_TYPES(ANSWER_TYPE_NAME)
#undef ANSWER_TYPE_NAME
};

static const char *const rcode_names[RCODE_BADVERS + 1] = {
#define ANSWER_RCODE_NAME(rcode) [RCODE_##rcode] = #rcode,
	ANSWER_RCODES(ANSWER_RCODE_NAME)
#undef ANSWER_RCODE_NAME
};

static const char *const transport_names[ANSWER_TRANSPORTS] = {
	[ANSWER_UDP] = "udp",
	[ANSWER_TCP] = "tcp",
	[ANSWER_TLS] = "tls",
};

static uint64_t load(const _Atomic uint64_t *count)
{
	return atomic_load_explicit(count, memory_order_relaxed);
}

void answer_counts_read(struct answer_counts *sum, const struct answer_counts *from)
{
	for (unsigned t = 0; t < ANSWER_TRANSPORTS; t++) {
		for (unsigned i = 0; i < ANSWER_N_TYPES; i++)
			counters_add(&sum->queries[i][t], load(&from->queries[i][t]));
		histogram_read(&sum->latency[t], &from->latency[t]);
	}
	for (unsigned i = 0; i <= RCODE_BADVERS; i++)
		counters_add(&sum->replies[i], load(&from->replies[i]));
	counters_add(&sum->outside, load(&from->outside));
}

uint64_t answer_counts_queries(const struct answer_counts *counts, enum answer_transport transport)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < ANSWER_N_TYPES; i++)
		n += load(&counts->queries[i][transport]);
	return n;
}

const char *answer_counts_transport_name(enum answer_transport transport)
{
	return transport_names[transport];
}

const char *answer_counts_type_name(enum answer_type type)
{
	return type_names[type];
}

const char *answer_counts_rcode_name(enum rcode rcode)
{
	return rcode_names[rcode];
}
