/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/compile_why.h"

#include "dns/rr.h"
#include "model/policy.h"

#include <stdio.h>

/* The tier that answers, among those that the name has; as compile_set_full() does it. */
static int find_tier(struct compile_why *why, uint16_t type)
{
	const struct compile_target *target = &why->target;
	struct compile_set set;
	int result = -1;
	size_t n;

	compile_set_init(&set);
	if (compile_set_reserve(&set, why->service->n_instances + 1))
		goto out;
	if (target->group) {
		why->tally = compile_set_count(target->zone, target->group, &n);
		compile_set_collect(&set, target->zone, target->group);
	} else {
		set.members[0] = target->instance;
		set.n_members = 1;
		set.mode = POLICY_FIT;
	}
	why->mode = set.mode;
	why->tier = compile_set_tier(&set, type);
	result = 0;
out:
	compile_set_fini(&set);
	return result;
}

int compile_why_init(struct compile_why *why, const struct compile *compile, const uint8_t *name,
		     size_t len, uint16_t type)
{
	*why = (struct compile_why){ .service = NULL };
	if (!compile_find(compile, name, len, &why->target))
		return 1;
	why->service =
		why->target.group ? why->target.group->service : why->target.instance->service;
	why->zone = why->target.zone->zone;
	return find_tier(why, type);
}

/* Why an instance does not have the name at all; NULL: it has. */
static const char *explain_name(const struct compile_target *target,
				const struct instance *instance)
{
	const struct registration *registration = instance->registration;

	if (!compile_zone_shows(target->zone, registration))
		return "not shown in this zone";
	if (target->instance)
		return instance == target->instance ? NULL : "the name is another instance's";
	if (compile_set_has(target->group, registration))
		return NULL;
	switch (target->group->kind) {
	case GROUP_ALL:
		break;
	case GROUP_PROTOCOL:
		return "it speaks another protocol";
	case GROUP_TAG:
		return "it does not have this tag";
	case GROUP_PORT:
		return "it does not have this port";
	}
	return "it does not have this name";
}

/* Why one that is served has no record in this answer; NULL: it has. */
static const char *explain_place(const struct compile_why *why, const struct instance *instance)
{
	if (why->target.srv_only && why->tier.type != RR_SRV)
		return "this name has SRV records alone";
	switch (compile_set_place(&why->tier, instance)) {
	case COMPILE_SET_IN:
		break;
	case COMPILE_SET_NO_ADDRESS:
		return why->tier.type == RR_A ? "it has no IPv4 address" : "it has no IPv6 address";
	case COMPILE_SET_WORSE:
		return "instances of a better priority are served";
	case COMPILE_SET_WEIGHTLESS:
		return "its weight is 0 and others have more";
	}
	return NULL;
}

bool compile_why_serves(const struct compile_why *why, const struct instance *instance,
			char reason[COMPILE_WHY_REASON])
{
	const char *missing = explain_name(&why->target, instance);
	int len = 0;

	if (missing) {
		snprintf(reason, COMPILE_WHY_REASON, "%s", missing);
		return false;
	}
	if (why->target.group && !policy_picks(why->mode, &why->tally, instance)) {
		policy_explain(instance, reason, COMPILE_WHY_REASON);
		return false;
	}
	missing = explain_place(why, instance);
	if (missing) {
		snprintf(reason, COMPILE_WHY_REASON, "%s", missing);
		return false;
	}
	if (!why->target.group)
		len = snprintf(reason, COMPILE_WHY_REASON,
			       "an instance's own name always has it: ");
	else if (policy_is_acting(why->mode))
		len = snprintf(reason, COMPILE_WHY_REASON,
			       "policy %s: ", policy_mode_name(why->mode));
	policy_explain(instance, reason + len, COMPILE_WHY_REASON - (size_t)len);
	return true;
}
