/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/log_limit.h"

bool log_limit_admit(struct log_limit *limit, uint64_t now_ms)
{
	if (limit->n < LIMIT_LOG_LINES) {
		limit->times_ms[limit->n++] = now_ms;
		return true;
	}
	if (now_ms - limit->times_ms[limit->oldest] < 1000) {
		limit->n_left_out++;
		return false;
	}
	limit->times_ms[limit->oldest] = now_ms;
	limit->oldest = (limit->oldest + 1) % LIMIT_LOG_LINES;
	return true;
}

uint64_t log_limit_take(struct log_limit *limit)
{
	uint64_t n = limit->n_left_out;

	limit->n_left_out = 0;
	return n;
}
