/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * history: the newest LIMIT_CHECK_HISTORY results of a check, in two words, because there may be
 * millions of checks. Pure. All zero: no result yet. It is kept in memory alone: behind a restart
 * it begins anew.
 */
#ifndef ROSTERD_MODEL_HISTORY_H
#define ROSTERD_MODEL_HISTORY_H

#include "base/limits.h"
#include "model/health.h"

/*
 * A result has two bits, one in each word, that say its status + 1. The newest one is bit 0.
 *
 * 1. Bits from LIMIT_CHECK_HISTORY on are zero.
 * 2. Behind the oldest result all bits are zero.
 */
struct history {
	uint64_t low, high;
};

/* Adds a result; the oldest one may go for it. */
void history_put(struct history *history, enum status result);

/* Oldest first, one letter for each: 'p' passing, 'w' warning, 'c' critical. */
void history_print(const struct history *history, char text[LIMIT_CHECK_HISTORY + 1]);

#endif
