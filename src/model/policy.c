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

static bool is_eligible(const struct instance *instance)
{
	return instance->admin == ADMIN_AUTO || instance->admin == ADMIN_UP;
}

void policy_count(struct policy_tally *tally, const struct instance *instance)
{
	if (!is_eligible(instance))
		return;
	tally->n_eligible++;
	tally->n_serving += policy_serves(instance);
	if (instance->served_until > tally->served_until)
		tally->served_until = instance->served_until;
}

/*
 *   fit of the eligible          panic threshold     failure   who is served
 *   some, a share >= threshold   any                 any       the fit ones
 *   some, a share < threshold    above 0             any       all (panic)
 *   none, though some were once  any                 last      those that were fit last
 *   none                         any                 all       all
 *   none                         above 0             empty     all (panic)
 *   none                         0                   empty     nobody
 *   none, and none ever was      above 0             last      all (panic)
 *   none, and none ever was      0                   last      nobody
 *
 * "All" are the eligible ones, in their tiers; whom an operator took out is served by no policy.
 */
enum policy_mode policy_choose(const struct service *service, const struct policy_tally *tally)
{
	uint64_t million = 1000000;

	if (tally->n_serving == 0) {
		if (tally->n_eligible == 0)
			return POLICY_EMPTY;
		if (service->failure == FAILURE_LAST && tally->served_until)
			return POLICY_LAST;
		if (service->failure == FAILURE_ALL)
			return POLICY_ALL;
		return service->panic_ppm ? POLICY_PANIC : POLICY_EMPTY;
	}
	if (tally->n_serving * million < tally->n_eligible * (uint64_t)service->panic_ppm)
		return POLICY_PANIC;
	return POLICY_FIT;
}

/* Those that were fit last ceased to be in the same moment: together they were the last set. */
bool policy_picks(enum policy_mode mode, const struct policy_tally *tally,
		  const struct instance *instance)
{
	switch (mode) {
	case POLICY_FIT:
		return policy_serves(instance);
	case POLICY_EMPTY:
		return false;
	case POLICY_ALL:
	case POLICY_PANIC:
		return is_eligible(instance);
	case POLICY_LAST:
		return is_eligible(instance) && instance->served_until == tally->served_until;
	}
	return false;
}

const char *policy_mode_name(enum policy_mode mode)
{
	static const char *const names[] = {
		[POLICY_FIT] = "fit",     [POLICY_EMPTY] = "empty", [POLICY_ALL] = "all",
		[POLICY_PANIC] = "panic", [POLICY_LAST] = "last",
	};

	return names[mode];
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
			 check->output           ? check->output
			 : check->health.has_run ? "no result since the start"
						 : "no result yet");
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
	uint64_t results, runs_ms;

	/* What heartbeats will say cannot be known; when they are missed can. */
	if (spec->kind == CHECK_TTL)
		return check->health.status == STATUS_CRITICAL ? UINT64_MAX : check->due_ms;
	results = health_results_to_change(&check->health, spec->rise, spec->fall);
	if (check->last_start_ms)
		return check->last_start_ms + results * spec->interval_ms * 9 / 10;
	/* A restored one may have run without a result yet: for up to its timeout. */
	runs_ms = (results - 1) * spec->interval_ms * 9 / 10;
	return now_ms + (runs_ms > spec->timeout_ms ? runs_ms - spec->timeout_ms : 0);
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
