/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log_limit: at most LIMIT_LOG_LINES in any second; what is too much is counted. Time is an
 * argument, milliseconds that do not go back. A part of log, which guards it with a lock.
 */
#ifndef ROSTERD_BASE_LOG_LIMIT_H
#define ROSTERD_BASE_LOG_LIMIT_H

#include "base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero to begin with. */
struct log_limit {
	size_t n; /* of times: at most LIMIT_LOG_LINES */
	size_t oldest;
	uint64_t times_ms[LIMIT_LOG_LINES]; /* of the newest lines, a ring */
	uint64_t n_left_out;
};

/* Whether a line may be written now. If not, it counts as left out. */
bool log_limit_admit(struct log_limit *limit, uint64_t now_ms);

/* How many have been left out since the last call. */
uint64_t log_limit_take(struct log_limit *limit);

#endif
