/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * policy: which instances are served, why, and until when that is known to hold. Pure.
 *
 * An instance is fit to serve or not, by itself (policy_serves). Of those that share a name the fit
 * ones are served, unless too few are fit: then the service's failure policy decides. The tables
 * stand above the functions in policy.c.
 */
#ifndef ROSTERD_MODEL_POLICY_H
#define ROSTERD_MODEL_POLICY_H

#include "model/record.h"

/* Whether its checks and heartbeats speak for it. */
bool policy_is_healthy(const struct instance *instance);

/* Whether the instance belongs into answers for its service, by its own state alone. */
bool policy_serves(const struct instance *instance);

/* The instances that share a name, as policy_choose() needs to know them. All zero: none yet. */
struct policy_tally {
	size_t n_eligible; /* no operator took them out */
	size_t n_serving;  /* policy_serves() */
	/* Eligible ones: with which revision the last of them ceased to serve; 0: none ever did.
	 */
	uint64_t served_until;
};

enum policy_mode {
	POLICY_FIT,   /* those that are fit */
	POLICY_EMPTY, /* nobody: none is fit */
	POLICY_ALL,   /* all that no operator took out: none is fit */
	POLICY_PANIC, /* the same: too few are fit */
	POLICY_LAST,  /* those that were fit last: none is now */
};

enum {
	POLICY_MODES = POLICY_LAST + 1,
};

/* Counts one instance in. */
void policy_count(struct policy_tally *tally, const struct instance *instance);

/* Who is served under a service's policy. */
enum policy_mode policy_choose(const struct service *service, const struct policy_tally *tally);

/* Whether the instance, which is one of those counted, is served. */
bool policy_picks(enum policy_mode mode, const struct policy_tally *tally,
		  const struct instance *instance);

/* "all", "panic", "last": what a failure policy does; "fit" and "empty" where none acts. */
const char *policy_mode_name(enum policy_mode mode);

/* Whether a failure policy decides. */
static inline bool policy_is_acting(enum policy_mode mode)
{
	return mode >= POLICY_ALL;
}

/* Why it is in or out; for people: "passing", "check http: 503", "reported critical". */
void policy_explain(const struct instance *instance, char *reason, size_t reason_size);

/*
 * The soonest moment at which the instance can enter or leave answers by itself: its lease ends, or
 * its checks have time for enough results. UINT64_MAX: never. Never later than it really can.
 */
uint64_t policy_stable_until_ms(const struct instance *instance, uint64_t now_ms);

#endif
