/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * policy: which instances are served, and until when that is known to hold. Pure.
 */
#ifndef ROSTERD_MODEL_POLICY_H
#define ROSTERD_MODEL_POLICY_H

#include "model/record.h"

/* Whether its checks and heartbeats speak for it. */
bool policy_is_healthy(const struct instance *instance);

/* Whether the instance belongs into answers for its service, by its own state alone. */
bool policy_serves(const struct instance *instance);

/* Why it is in or out; for people: "passing", "check http: 503", "reported critical". */
void policy_explain(const struct instance *instance, char *reason, size_t reason_size);

/*
 * The soonest moment at which the instance can enter or leave answers by itself: its lease ends, or
 * its checks have time for enough results. UINT64_MAX: never. Never later than it really can.
 */
uint64_t policy_stable_until_ms(const struct instance *instance, uint64_t now_ms);

#endif
