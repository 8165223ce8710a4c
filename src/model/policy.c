/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/policy.h"

#include <stdio.h>

bool policy_is_healthy(const struct instance *instance)
{
	return instance->status != STATUS_CRITICAL;
}

/*
 *   admin    status              served
 *   auto     passing, warning    yes
 *   auto     critical            no
 *   up       any                 yes
 *   down     any                 no
 *   drain    any                 no
 */
bool policy_serves(const struct instance *instance)
{
	return instance->admin == ADMIN_UP ||
	       (instance->admin == ADMIN_AUTO && policy_is_healthy(instance));
}

void policy_explain(const struct instance *instance, char *reason, size_t reason_size)
{
	const struct registration *registration = instance->registration;

	if (instance->admin != ADMIN_AUTO) {
		snprintf(reason, reason_size, "admin %s", record_admin_name(instance->admin));
		return;
	}
	for (size_t i = 0; i < registration->n_checks; i++) {
		const struct check *check = instance->checks[i];

		if (check->health.status != instance->status ||
		    instance->reported == instance->status)
			continue;
		snprintf(reason, reason_size, "check %s: %s",
			 record_check_kind_name(check->spec->kind),
			 check->output ? check->output : "no result yet");
		return;
	}
	if (instance->status != STATUS_PASSING)
		snprintf(reason, reason_size, "reported %s%s%s",
			 health_status_name(instance->status), instance->output ? ": " : "",
			 instance->output ? instance->output : "");
	else
		snprintf(reason, reason_size, "%s",
			 registration->n_checks ? "passing" : "registered");
}

/*
 * The prober starts a run at least 0.9 intervals after the last one's start (io/probe.h), and only
 * the last of the results that are needed changes the status.
 */
static uint64_t check_stable_until_ms(const struct check *check, uint64_t now_ms)
{
	const struct check_spec *spec = check->spec;
	uint64_t results = health_results_to_change(&check->health, spec->rise, spec->fall);

	if (check->last_start_ms == 0)
		return now_ms;
	return check->last_start_ms + results * spec->interval_ms * 9 / 10;
}

uint64_t policy_stable_until_ms(const struct instance *instance, uint64_t now_ms)
{
	bool serves = policy_serves(instance);
	bool is_fixed = instance->admin != ADMIN_AUTO;
	uint64_t until = serves || is_fixed ? UINT64_MAX : 0;

	/* One check can take it out; to come back every critical one must recover. */
	for (size_t i = 0; !is_fixed && i < instance->registration->n_checks; i++) {
		const struct check *check = instance->checks[i];
		uint64_t at_ms = check_stable_until_ms(check, now_ms);

		if (serves && at_ms < until)
			until = at_ms;
		if (!serves && check->health.status == STATUS_CRITICAL && at_ms > until)
			until = at_ms;
	}
	if (!serves && instance->reported == STATUS_CRITICAL)
		until = UINT64_MAX;
	if (instance->lease_end_ms && instance->lease_end_ms < until)
		until = instance->lease_end_ms;
	return until;
}
