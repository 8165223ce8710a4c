/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * compile_why: why an instance is in the answer for a name, or is not, worked out by the very
 * functions that compile that answer. Control thread only, with nothing dirty.
 */
#ifndef ROSTERD_MODEL_COMPILE_WHY_H
#define ROSTERD_MODEL_COMPILE_WHY_H

#include "model/compile.h"
#include "model/compile_set.h"

enum {
	COMPILE_WHY_REASON = LIMIT_CHECK_OUTPUT + 160, /* octets of a reason */
};

struct compile_why {
	const struct service *service; /* whose name it is */
	const struct zone *zone;
	enum policy_mode mode;
	struct compile_target target;
	struct policy_tally tally;
	struct compile_set_tier tier;
};

/*
 * Looks into the answer for a question: an absolute name in wire form and lower case, and A, AAAA,
 * SRV or TXT. 1: no registered instance has that name. -1: out of memory. Valid until the next
 * change.
 */
int compile_why_init(struct compile_why *why, const struct compile *compile, const uint8_t *name,
		     size_t len, uint16_t type);

/* Whether an instance of the service is in the answer; the reason is for people. */
bool compile_why_serves(const struct compile_why *why, const struct instance *instance,
			char reason[COMPILE_WHY_REASON]);

#endif
