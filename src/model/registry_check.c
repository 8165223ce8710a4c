/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/registry_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void registry_check_free(struct check *check)
{
	if (check) {
		free(check->output);
		free(check);
	}
}

void registry_check_stop(struct registry *registry, struct check *check)
{
	table_remove(registry->checks, registry_index_hash_check(registry, check->check_id), check);
	deadline_cancel(&registry->deadlines, &check->deadline);
	if (check->spec->kind == CHECK_TTL)
		registry->n_ttl_checks--;
	else if (registry->options.check_stopped)
		registry->options.check_stopped(registry->options.cookie, check);
}

void registry_check_count(const struct registry *registry, struct check *check, enum status result)
{
	struct counters *counters = registry->options.counters;

	counters_add(result == STATUS_PASSING   ? &counters->checks_passed
		     : result == STATUS_WARNING ? &counters->checks_warned
						: &counters->checks_failed,
		     1);
	history_put(&check->history, result);
}

/* ---- Checks by heartbeats ---- */

void registry_check_arm(struct registry *registry, const struct instance *instance, uint64_t now_ms)
{
	for (size_t i = 0; i < instance->registration->n_checks; i++) {
		struct check *check = instance->checks[i];

		if (check->spec->kind != CHECK_TTL || check->due_ms)
			continue;
		check->due_ms = now_ms + check->spec->ttl_ms;
		deadline_set(&registry->deadlines, &check->deadline, check->due_ms);
	}
}

bool registry_check_report(struct registry *registry, const struct instance *instance,
			   const char *output, uint64_t now_ms)
{
	bool changed = false;

	for (size_t i = 0; i < instance->registration->n_checks; i++) {
		struct check *check = instance->checks[i];

		if (check->spec->kind != CHECK_TTL)
			continue;
		registry_check_count(registry, check, instance->reported);
		changed |= check->health.status != instance->reported;
		check->health.status = instance->reported;
		check->health.has_run = true;
		check->last_start_ms = now_ms;
		check->due_ms = now_ms + check->spec->ttl_ms;
		registry_check_set_output(&check->output, output ? output : "");
		/* One that waits for an earlier moment looks at due_ms then. */
		if (!check->deadline.position)
			deadline_set(&registry->deadlines, &check->deadline, check->due_ms);
	}
	return changed;
}

bool registry_check_on_deadline(struct registry *registry, struct check *check, uint64_t now_ms)
{
	char output[64];

	if (check->due_ms > now_ms) {
		deadline_set(&registry->deadlines, &check->deadline, check->due_ms);
		return false;
	}
	registry_check_count(registry, check, STATUS_CRITICAL);
	check->health.status = STATUS_CRITICAL;
	check->health.has_run = true;
	snprintf(output, sizeof(output), "no report for %g s", check->spec->ttl_ms / 1000.0);
	registry_check_set_output(&check->output, output);
	return true;
}

void registry_check_set_output(char **output, const char *text)
{
	char *copy;

	if (*output && strcmp(*output, text) == 0)
		return;
	copy = strndup(text, LIMIT_CHECK_OUTPUT - 1);
	if (copy) {
		free(*output);
		*output = copy;
	}
}

/* ---- What an instance is to have ---- */

static bool is_in(struct check *const *checks, size_t n, const struct check *check)
{
	for (size_t i = 0; i < n; i++)
		if (checks[i] == check)
			return true;
	return false;
}

/* The instance's present check of the same definition and target that is not in `taken` yet. */
static struct check *find_same_check(const struct instance *instance,
				     const struct registration *registration,
				     const struct check_spec *spec, struct check *const *taken,
				     size_t n_taken)
{
	const struct registration *old = instance->registration;

	if (!old || !record_address_equal(&old->address, &registration->address))
		return NULL;
	for (size_t i = 0; i < old->n_checks; i++)
		if (record_check_equal(instance->checks[i]->spec, spec) &&
		    !is_in(taken, n_taken, instance->checks[i]))
			return instance->checks[i];
	return NULL;
}

static struct check *new_check(struct registry *registry, struct instance *instance,
			       const struct check_spec *spec)
{
	struct check *check = calloc(1, sizeof(*check));
	uint64_t check_id = registry->newest_check_id + 1;

	if (!check)
		return NULL;
	*check = (struct check){ .check_id = check_id, .instance = instance };
	check->deadline.kind = DEADLINE_CHECK;
	health_init(&check->health, spec->initial);
	if (table_insert(registry->checks, registry_index_hash_check(registry, check_id), check)) {
		free(check);
		return NULL;
	}
	registry->newest_check_id = check_id;
	return check;
}

int registry_check_make(struct registry *registry, struct instance *instance,
			const struct registration *registration, struct check ***made)
{
	struct check **checks = NULL;
	uint64_t newest = registry->newest_check_id;
	size_t n;

	if (registration->n_checks) {
		checks = calloc(registration->n_checks, sizeof(struct check *));
		if (!checks)
			return -1;
	}
	for (n = 0; n < registration->n_checks; n++) {
		const struct check_spec *spec = &registration->checks[n];

		checks[n] = find_same_check(instance, registration, spec, checks, n);
		if (!checks[n])
			checks[n] = new_check(registry, instance, spec);
		if (!checks[n])
			goto undo;
	}
	*made = checks;
	return 0;
undo:
	while (n-- > 0) {
		if (checks[n]->check_id <= newest)
			continue;
		table_remove(registry->checks,
			     registry_index_hash_check(registry, checks[n]->check_id), checks[n]);
		registry_check_free(checks[n]);
	}
	free(checks);
	return -1;
}

void registry_check_install(struct registry *registry, struct instance *instance,
			    struct registration *registration, struct check **checks)
{
	struct registration *old = instance->registration;
	struct check **old_checks = instance->checks;
	size_t n_old = old ? old->n_checks : 0;

	for (size_t i = 0; i < n_old; i++) {
		if (is_in(checks, registration->n_checks, old_checks[i]))
			continue;
		registry_check_stop(registry, old_checks[i]);
		registry_check_free(old_checks[i]);
	}
	instance->registration = registration;
	instance->checks = checks;
	for (size_t i = 0; i < registration->n_checks; i++) {
		bool is_new = !is_in(old_checks, n_old, checks[i]);

		checks[i]->spec = &registration->checks[i];
		if (is_new && checks[i]->spec->kind == CHECK_TTL)
			registry->n_ttl_checks++;
		else if (is_new && registry->options.check_started)
			registry->options.check_started(registry->options.cookie, checks[i]);
	}
	free(old_checks);
	free(old);
}

void registry_check_unmake(struct registry *registry, struct check **checks, size_t n)
{
	for (size_t i = 0; checks && i < n; i++) {
		table_remove(registry->checks,
			     registry_index_hash_check(registry, checks[i]->check_id), checks[i]);
		registry_check_free(checks[i]);
	}
	free(checks);
}
