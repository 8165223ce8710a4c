/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/registry_restore.h"

#include "model/handout.h"
#include "model/registry_admit.h"
#include "model/registry_instance.h"
#include "model/stored.h"

uint64_t registry_restore_inherited_ms(const struct registry *registry,
				       const struct service *service)
{
	uint64_t ttl_ms = registry_ttl_s(registry, service) * UINT64_C(1000);

	return registry->restored_ms ? registry->restored_ms + ttl_ms + HANDOUT_ROUNDING_MS : 0;
}

void registry_restore_safe_after(const struct registry *registry, const struct service *service)
{
	for (size_t i = 0; i < service->n_instances; i++)
		if (record_admin_is_out(service->instances[i]->admin))
			service->instances[i]->safe_after_ms =
				registry_restore_inherited_ms(registry, service);
}

void registry_set_inherited(struct registry *registry, uint64_t now_ms)
{
	const struct service *service;
	size_t position = 0;

	registry->restored_ms = now_ms;
	while ((service = registry_next_service(registry, &position)))
		registry_restore_safe_after(registry, service);
}

/* What was last known of an instance's checks. */
static void restore_checks(struct instance *instance, const struct stored_state *state)
{
	for (size_t i = 0; i < instance->registration->n_checks && i < state->n_checks; i++) {
		struct health *health = &instance->checks[i]->health;

		health->status = state->checks[i].status;
		health->has_run = state->checks[i].has_run;
	}
}

enum registry_result registry_restore_apply(struct registry *registry,
					    const struct change_restore *restore, uint64_t now_ms,
					    struct outcome *outcome)
{
	enum registry_result result =
		registry_admit_instance(registry, restore->registration, outcome);
	const struct stored_state *state = restore->state;
	struct instance *instance;

	outcome->instance = NULL;
	if (result == REGISTRY_UPDATED)
		return registry_admit_refuse(outcome, REGISTRY_CONFLICT, "is there already");
	if (result != REGISTRY_CREATED)
		return result;
	instance = registry_instance_add(registry, restore->registration);
	if (!instance)
		return registry_admit_no_memory(outcome);
	if (state) {
		instance->admin = state->admin;
		instance->reported = state->reported;
		/* Of another registry's revisions the order cannot be known. */
		instance->served_until = state->served_until < registry->revision
						 ? state->served_until
						 : registry->revision;
		restore_checks(instance, state);
	}
	instance->status = registry_instance_status(instance);
	registry_instance_tally(registry, instance, 1);
	instance->created = instance->modified = registry->revision;
	instance->service->revision = registry->revision;
	registry_instance_settle(registry, instance, now_ms);
	/* Nothing of the service is compiled yet, so nobody has to be told. */
	if (instance->registration->ttl_s)
		instance->service->ttl_s = instance->registration->ttl_s;
	registry->restored_ms = now_ms;
	if (record_admin_is_out(instance->admin))
		instance->safe_after_ms =
			registry_restore_inherited_ms(registry, instance->service);
	record_registration_free(restore->registration);
	outcome->instance = instance;
	return REGISTRY_CREATED;
}
