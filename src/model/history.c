/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/history.h"

#include <assert.h>

#define MASK ((UINT64_C(1) << LIMIT_CHECK_HISTORY) - 1)

static_assert(STATUSES + 1 <= 4, "a result has two bits");
static_assert(LIMIT_CHECK_HISTORY < 64, "a result has a bit of each word");

void history_put(struct history *history, enum status result)
{
	unsigned code = (unsigned)result + 1;

	history->low = (history->low << 1 | (code & 1)) & MASK;
	history->high = (history->high << 1 | code >> 1) & MASK;
}

void history_print(const struct history *history, char text[LIMIT_CHECK_HISTORY + 1])
{
	static const char letters[] = {
		[STATUS_PASSING] = 'p',
		[STATUS_WARNING] = 'w',
		[STATUS_CRITICAL] = 'c',
	};

	for (unsigned bit = LIMIT_CHECK_HISTORY; bit-- > 0;) {
		unsigned code = (unsigned)(history->low >> bit & 1) |
				(unsigned)(history->high >> bit & 1) << 1;

		if (code)
			*text++ = letters[code - 1];
	}
	*text = '\0';
}
