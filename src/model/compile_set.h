/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * compile_set: the RRsets of a group of instances; inside of the compile (model/compile.h).
 */
#ifndef ROSTERD_MODEL_COMPILE_SET_H
#define ROSTERD_MODEL_COMPILE_SET_H

#include "model/compile_zone.h"
#include "model/policy.h"

/* The group in hand, and the builder of its entries. */
struct compile_set {
	struct build build;
	const struct instance **members; /* served ones, best tier first */
	size_t n_members, cap_members;
	enum policy_mode mode; /* who the members are */
	uint32_t ttl_s;        /* of the records */
	bool failed;           /* out of memory; sticky */
};

void compile_set_init(struct compile_set *set);
void compile_set_fini(struct compile_set *set);

/* Makes room for `n` members. -1 when out of memory. */
int compile_set_reserve(struct compile_set *set, size_t n);

/* Counts the instances of a group that the zone shows; `zone` NULL: all of them. */
struct policy_tally compile_set_count(const struct compile_zone *zone, const struct group *group,
				      size_t *n);

/*
 * Makes the served instances of a group that the zone shows the members. Returns how many there
 * are, served or not. Room must have been made for all instances of the service.
 */
size_t compile_set_collect(struct compile_set *set, const struct compile_zone *zone,
			   const struct group *group);

/* Whether an instance belongs to a group. */
bool compile_set_has(const struct group *group, const struct registration *registration);

/* The instances that answer for an address: the best tier of the members that has any. */
struct compile_set_tier {
	uint16_t type; /* for SRV and TXT every member answers */
	bool is_any;
	uint16_t priority;
	bool is_weighted; /* some weight is not 0 */
};
struct compile_set_tier compile_set_tier(const struct compile_set *set, uint16_t type);

/* Whether a member is in that tier, or why not. */
enum compile_set_place {
	COMPILE_SET_IN,
	COMPILE_SET_NO_ADDRESS, /* of this family */
	COMPILE_SET_WORSE,      /* a better priority answers */
	COMPILE_SET_WEIGHTLESS, /* weight 0: only if there are no others */
};
enum compile_set_place compile_set_place(const struct compile_set_tier *tier,
					 const struct instance *instance);

/*
 * An entry of everything that the members have: A, AAAA, SRV, TXT, which is not laid out if none
 * has metadata (model/single.h). NULL when out of memory.
 */
struct entry *compile_set_full(struct compile_set *set, const struct compile_zone *zone,
			       const struct compile_name *name, uint32_t limit);

/* An entry of the only member: the same in few octets (model/single.h). NULL when out of memory. */
struct entry *compile_set_single(const struct compile_set *set, const struct compile_name *name);

/*
 * An entry of the members' SRV records alone: the same as `full` has, or if it is NULL a set of its
 * own, with the named port `port_name`, or if that is NULL the instances' own.
 */
struct entry *compile_set_srv(struct compile_set *set, const struct compile_zone *zone,
			      const struct compile_name *name, const char *port_name,
			      const struct entry *full);

#endif
