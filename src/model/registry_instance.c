/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/registry_instance.h"

#include "model/policy.h"
#include "model/record_pack.h"
#include "model/registry_check.h"
#include "model/registry_dirty.h"
#include "model/registry_group.h"

#include <stdlib.h>
#include <string.h>

enum {
	/* While a service's TTL counts down, how often renewals may make it be worked out again. */
	REFRESH_MS = 250,
};

/* ---- Lease, status, revisions ---- */

enum status registry_instance_status(const struct instance *instance)
{
	enum status status = instance->reported;

	for (size_t i = 0; i < instance->registration->n_checks; i++)
		status = health_worst(status, instance->checks[i]->health.status);
	return status;
}

/*
 * An instance's deadline comes up twice a lease: where the TTL begins to count down, to see whether
 * the lease was renewed since, and at the end. Heartbeats in between move nothing in the heap.
 */
void registry_instance_arm_lease(struct registry *registry, struct instance *instance,
				 uint64_t now_ms)
{
	uint64_t ttl_ms = registry_ttl_s(registry, instance->service) * UINT64_C(1000);
	uint64_t end_ms = instance->lease_end_ms;

	if (end_ms)
		deadline_set(&registry->deadlines, &instance->deadline,
			     end_ms > now_ms + ttl_ms ? end_ms - ttl_ms : end_ms);
	else
		deadline_cancel(&registry->deadlines, &instance->deadline);
}

void registry_instance_renew_lease(struct registry *registry, struct instance *instance,
				   uint64_t now_ms)
{
	uint64_t ttl_ms = registry_ttl_s(registry, instance->service) * UINT64_C(1000);
	uint64_t old_end_ms = instance->lease_end_ms;

	if (!old_end_ms)
		return;
	instance->lease_end_ms = now_ms + instance->registration->lease_ms;
	if (old_end_ms <= now_ms + ttl_ms) {
		registry_dirty_instance(registry, instance, INSTANCE_RENEWED);
		registry_instance_arm_lease(registry, instance, now_ms);
	}
}

/* Deadlines moved later: the service needs care only if its TTL already counts down. */
static void touch_countdown(struct registry *registry, struct service *service, uint64_t now_ms)
{
	uint64_t ttl_ms = registry_ttl_s(registry, service) * UINT64_C(1000);

	if (service->stable_until_ms <= now_ms + ttl_ms && !service->deadline.position)
		deadline_set(&registry->deadlines, &service->deadline, now_ms + REFRESH_MS);
}

void registry_instance_tally(struct registry *registry, const struct instance *instance, int n)
{
	registry->n_by_status[instance->status] += (size_t)n;
	registry->n_by_admin[instance->admin] += (size_t)n;
}

void registry_instance_note_served(struct registry *registry, struct instance *instance,
				   bool served, uint64_t now_ms)
{
	if (!served || policy_serves(instance))
		return;
	if (registry->ceased_ms != now_ms) {
		registry->ceased_ms = now_ms;
		registry->ceased_revision = registry->revision + 1;
	}
	instance->served_until = registry->ceased_revision;
}

void registry_instance_revise(struct registry *registry, enum event_kind kind,
			      struct service *service, struct instance *instance)
{
	service->revision = ++registry->revision;
	if (instance)
		instance->modified = registry->revision;
	if (registry->options.changed)
		registry->options.changed(registry->options.cookie, kind, service, instance);
}

void registry_instance_restate(struct registry *registry, struct instance *instance,
			       uint64_t now_ms)
{
	enum status status = registry_instance_status(instance);
	bool served = policy_serves(instance);

	if (status == instance->status) {
		touch_countdown(registry, instance->service, now_ms);
		return;
	}
	registry_instance_tally(registry, instance, -1);
	instance->status = status;
	registry_instance_tally(registry, instance, 1);
	registry_instance_note_served(registry, instance, served, now_ms);
	registry_instance_revise(registry, EVENT_STATUS, instance->service, instance);
	registry_dirty_refresh(registry, instance->service);
	if (served != policy_serves(instance))
		registry_group_touch(registry, instance->service, instance->registration, 0);
}

/* ---- Coming ---- */

int registry_instance_reserve(struct registry *registry, const struct registration *registration)
{
	return deadline_heap_reserve(&registry->deadlines, table_count(registry->instances) +
								   table_count(registry->services) +
								   registry->n_ttl_checks +
								   registration->n_checks + 1);
}

/* Makes room for one more instance of the service. */
static int reserve(struct service *service)
{
	if (service->n_instances == service->cap_instances) {
		uint32_t cap = service->cap_instances ? service->cap_instances * 2 : 4;
		struct instance **instances =
			realloc(service->instances, cap * sizeof(struct instance *));

		if (!instances)
			return -1;
		service->instances = instances;
		service->cap_instances = cap;
	}
	return 0;
}

static struct service *new_service(struct registry *registry, const char *name)
{
	struct service *service = calloc(1, offsetof(struct service, name) + strlen(name) + 1);

	if (!service)
		return NULL;
	service->deadline.kind = DEADLINE_SERVICE;
	service->stable_until_ms = UINT64_MAX;
	strcpy(service->name, name);
	if (table_insert(registry->services, registry_index_hash_name(registry, name), service)) {
		free(service);
		return NULL;
	}
	return service;
}

struct instance *registry_instance_add(struct registry *registry,
				       const struct registration *registration)
{
	struct service *service = registry_index_service(registry, registration->service);
	struct registration *packed = NULL;
	struct instance *instance = NULL;
	struct registry_group_list groups;
	struct check **checks = NULL;

	if (!service)
		service = new_service(registry, registration->service);
	if (!service)
		return NULL;
	/* Should anything fail below, the next compile finds the service empty and clears it. */
	registry_dirty_service(registry, service);
	packed = record_pack(registration, service->name);
	instance = calloc(1, sizeof(*instance));
	if (!packed || !instance || reserve(service) ||
	    registry_instance_reserve(registry, registration) ||
	    registry_group_make(registry, service, registration, &groups))
		goto no_memory;
	instance->service = service;
	instance->deadline.kind = DEADLINE_INSTANCE;
	if (registry_check_make(registry, instance, registration, &checks))
		goto no_memory;
	if (table_insert(
		    registry->instances,
		    registry_index_hash_instance(registry, service, record_label(registration)),
		    instance))
		goto no_memory;
	registry_check_install(registry, instance, packed, checks);
	instance->position = (uint32_t)service->n_instances;
	service->instances[service->n_instances++] = instance;
	if (service->n_instances == 1)
		registry->n_services++;
	registry_group_join(registry, &groups);
	registry_group_touch_namesake(registry, service, record_label(registration));
	return instance;
no_memory:
	registry_check_unmake(registry, checks, registration->n_checks);
	free(packed);
	free(instance);
	return NULL;
}

void registry_instance_settle(struct registry *registry, struct instance *instance, uint64_t now_ms)
{
	uint32_t lease_ms = instance->registration->lease_ms;

	instance->lease_end_ms = lease_ms ? now_ms + lease_ms : 0;
	registry_instance_arm_lease(registry, instance, now_ms);
	registry_check_arm(registry, instance, now_ms);
	registry_dirty_instance(registry, instance, INSTANCE_CHANGED);
	registry_dirty_refresh(registry, instance->service);
}

/* ---- Going ---- */

void registry_instance_remove(struct registry *registry, struct instance *instance,
			      enum event_kind kind)
{
	struct service *service = instance->service;
	struct registration *registration = instance->registration;

	registry_instance_tally(registry, instance, -1);
	for (size_t i = 0; i < registration->n_checks; i++)
		registry_check_stop(registry, instance->checks[i]);
	deadline_cancel(&registry->deadlines, &instance->deadline);
	table_remove(registry->instances,
		     registry_index_hash_instance(registry, service, record_label(registration)),
		     instance);
	service->instances[instance->position] = service->instances[--service->n_instances];
	service->instances[instance->position]->position = instance->position;
	if (service->n_instances == 0) {
		/* Should it be back before the next compile, it begins anew all the same. */
		service->ttl_s = service->answer_limit = service->panic_ppm = 0;
		service->failure = FAILURE_EMPTY;
		registry->n_services--;
	}
	registry_group_touch(registry, service, registration, -1);
	registry_group_touch_namesake(registry, service, record_label(registration));
	registry_dirty_instance(registry, instance, INSTANCE_GONE);
	registry_dirty_refresh(registry, service);
	registry_instance_revise(registry, kind, service, instance);
}

void registry_instance_free(struct instance *instance)
{
	if (!instance)
		return;
	for (size_t i = 0; instance->checks && i < instance->registration->n_checks; i++)
		registry_check_free(instance->checks[i]);
	free(instance->checks);
	free(instance->output);
	free(instance->registration);
	free(instance);
}
