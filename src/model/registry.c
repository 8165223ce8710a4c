/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/registry.h"

#include "model/policy.h"
#include "model/record_pack.h"
#include "model/registry_admit.h"
#include "model/registry_check.h"
#include "model/registry_dirty.h"
#include "model/registry_group.h"
#include "model/registry_index.h"
#include "model/registry_instance.h"
#include "model/registry_restore.h"

#include <stdlib.h>
#include <string.h>

enum {
	/* Deadlines that registry_expire() takes in one go: with their compile some 2 ms. */
	EXPIRE_MAX = 500,
	/* But so large a part of a service, for each part of it costs a compile of the whole. */
	EXPIRE_PARTS = 8,
};

#define CONTAINER(pointer, type, member) \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* ---- Finding ---- */

const struct service *registry_find_service(const struct registry *registry, const char *name)
{
	char label[LIMIT_LABEL + 1];
	const struct service *service;

	if (!record_label_parse(name, label))
		return NULL;
	service = registry_index_service(registry, label);
	return service && service->n_instances ? service : NULL;
}

const struct instance *registry_find_instance(const struct registry *registry,
					      const struct service *service, const char *id)
{
	return registry_index_id(registry, service, id);
}

const struct instance *registry_find_label(const struct registry *registry,
					   const struct service *service, const char *label)
{
	return registry_index_label(registry, service, label);
}

const struct service *registry_next_service(const struct registry *registry, size_t *position)
{
	const struct service *service;

	do
		service = table_next(registry->services, position);
	while (service && service->n_instances == 0);
	return service;
}

size_t registry_count_services(const struct registry *registry)
{
	return registry->n_services;
}

size_t registry_count_instances(const struct registry *registry)
{
	return table_count(registry->instances);
}

size_t registry_count_status(const struct registry *registry, enum status status)
{
	return registry->n_by_status[status];
}

size_t registry_count_admin(const struct registry *registry, enum admin admin)
{
	return registry->n_by_admin[admin];
}

size_t registry_count_mode(const struct registry *registry, enum policy_mode mode)
{
	return registry->n_by_mode[mode];
}

size_t registry_count_acting(const struct registry *registry, enum policy_mode mode)
{
	return registry->n_acting[mode];
}

uint64_t registry_revision(const struct registry *registry)
{
	return registry->revision;
}

uint32_t registry_ttl_s(const struct registry *registry, const struct service *service)
{
	return service->ttl_s ? service->ttl_s : registry->options.ttl_s;
}

/* ---- Services ---- */

/* Frees a service without instances and groups, not dirty. */
static void drop_service(struct registry *registry, struct service *service)
{
	deadline_cancel(&registry->deadlines, &service->deadline);
	table_remove(registry->services, registry_index_hash_name(registry, service->name),
		     service);
	free(service->instances);
	free(service->groups);
	free(service);
}

void registry_clean(struct registry *registry, struct service *service)
{
	struct instance *instance = service->dirty_instances;

	service->dirty_instances = NULL;
	service->dirty = false;
	service->refresh = false;
	while (instance) {
		struct instance *next = instance->dirty_next;

		instance->is_leaving = false;
		if (instance->dirt == INSTANCE_GONE)
			registry_instance_free(instance);
		else
			instance->dirt = INSTANCE_CLEAN;
		instance = next;
	}
	/* Backwards, for the last one takes the place of one that goes. */
	for (size_t i = service->dirty_groups ? service->n_groups : 0; i-- > 0;) {
		service->groups[i]->dirty = false;
		if (service->groups[i]->n_members == 0)
			registry_group_drop(registry, service->groups[i]);
	}
	service->dirty_groups = false;
	if (service->n_instances == 0)
		drop_service(registry, service);
}

/* ---- Registering ---- */

/* The newest wish for a TTL is the service's. */
static void wish_ttl(struct registry *registry, struct service *service, uint32_t ttl_s)
{
	if (!ttl_s || ttl_s == service->ttl_s)
		return;
	service->ttl_s = ttl_s;
	registry_dirty_names(registry, service);
}

static enum registry_result create(struct registry *registry,
				   const struct registration *registration, uint64_t now_ms,
				   struct outcome *outcome)
{
	struct instance *instance = registry_instance_add(registry, registration);

	if (!instance)
		return registry_admit_no_memory(outcome);
	instance->status = registry_instance_status(instance);
	registry_instance_tally(registry, instance, 1);
	registry_instance_revise(registry, EVENT_REGISTERED, instance->service, instance);
	instance->created = instance->modified;
	registry_instance_settle(registry, instance, now_ms);
	wish_ttl(registry, instance->service, registration->ttl_s);
	outcome->instance = instance;
	return REGISTRY_CREATED;
}

/* Whoever registers begins anew: what heartbeats said before was said by an earlier process. */
static void forget_report(struct instance *instance)
{
	instance->reported = STATUS_PASSING;
	free(instance->output);
	instance->output = NULL;
}

static enum registry_result update(struct registry *registry, struct instance *instance,
				   const struct registration *registration, uint64_t now_ms,
				   struct outcome *outcome)
{
	struct service *service = instance->service;
	bool served = policy_serves(instance);
	struct registration *packed = record_pack(registration, service->name);
	struct registry_group_list groups;
	struct check **checks;

	if (!packed || registry_instance_reserve(registry, registration) ||
	    registry_group_make(registry, service, registration, &groups) ||
	    registry_check_make(registry, instance, registration, &checks)) {
		free(packed);
		return registry_admit_no_memory(outcome);
	}
	registry_group_join(registry, &groups);
	registry_group_touch(registry, service, instance->registration, -1);
	registry_group_touch_namesake(registry, service, record_label(registration));
	registry_check_install(registry, instance, packed, checks);
	forget_report(instance);
	registry_instance_tally(registry, instance, -1);
	instance->status = registry_instance_status(instance);
	registry_instance_tally(registry, instance, 1);
	registry_instance_note_served(registry, instance, served, now_ms);
	registry_instance_revise(registry, EVENT_UPDATED, service, instance);
	registry_instance_settle(registry, instance, now_ms);
	wish_ttl(registry, service, registration->ttl_s);
	outcome->instance = instance;
	return REGISTRY_UPDATED;
}

/* The same registration again. */
static enum registry_result renew(struct registry *registry, struct instance *instance,
				  uint64_t now_ms, struct outcome *outcome)
{
	forget_report(instance);
	registry_instance_renew_lease(registry, instance, now_ms);
	registry_instance_restate(registry, instance, now_ms);
	outcome->instance = instance;
	return REGISTRY_UPDATED;
}

static enum registry_result apply_register(struct registry *registry, const struct change *change,
					   uint64_t now_ms, struct outcome *outcome)
{
	struct registration *registration = change->registration;
	struct instance *instance;
	bool changes;
	enum registry_result result = registry_admit(registry, change, outcome, &changes);

	counters_add(&registry->options.counters->registrations, 1);
	outcome->instance = NULL;
	if (result == REGISTRY_CREATED) {
		result = create(registry, registration, now_ms, outcome);
	} else if (result == REGISTRY_UPDATED) {
		instance = registry_index_label(
			registry, registry_index_service(registry, registration->service),
			record_label(registration));
		result = changes ? update(registry, instance, registration, now_ms, outcome)
				 : renew(registry, instance, now_ms, outcome);
	}
	if (result == REGISTRY_CREATED || result == REGISTRY_UPDATED)
		record_registration_free(registration);
	return result;
}

/* ---- Other changes ---- */

/* The only instance, or the only one at the caller's address; NULL: none, or several. */
static struct instance *find_unnamed(const struct service *service, const struct address *caller,
				     bool *ambiguous)
{
	struct instance *found = NULL;

	if (service->n_instances == 1)
		return service->instances[0];
	for (size_t i = 0; caller && i < service->n_instances; i++) {
		const struct address *address = &service->instances[i]->registration->address;
		bool same = (caller->has_v4 && address->has_v4 &&
			     memcmp(caller->v4, address->v4, sizeof(caller->v4)) == 0) ||
			    (caller->has_v6 && address->has_v6 &&
			     memcmp(caller->v6, address->v6, sizeof(caller->v6)) == 0);

		if (same && found) {
			found = NULL;
			break;
		}
		if (same)
			found = service->instances[i];
	}
	*ambiguous = !found;
	return found;
}

static enum registry_result apply_heartbeat(struct registry *registry, const struct change *change,
					    uint64_t now_ms, struct outcome *outcome)
{
	const struct change_heartbeat *heartbeat = &change->heartbeat;
	struct service *service = registry_index_service(registry, heartbeat->service);
	struct instance *instance = NULL;
	bool ambiguous = false, changed;

	counters_add(&registry->options.counters->heartbeats, 1);
	if (service && service->n_instances && heartbeat->id)
		instance = registry_index_id(registry, service, heartbeat->id);
	else if (service && service->n_instances)
		instance = find_unnamed(service, heartbeat->caller, &ambiguous);
	if (ambiguous)
		return registry_admit_refuse(
			outcome, REGISTRY_AMBIGUOUS,
			"service \"%s\" has %zu instances: say which by \"id\"", heartbeat->service,
			service->n_instances);
	if (!instance)
		return registry_admit_refuse(outcome, REGISTRY_NOT_FOUND,
					     "no such instance: register again");
	if (heartbeat->output)
		registry_check_set_output(&instance->output, heartbeat->output);
	changed = heartbeat->status && *heartbeat->status != instance->reported;
	if (changed)
		instance->reported = *heartbeat->status;
	changed |= registry_check_report(registry, instance, heartbeat->output, now_ms);
	/* Whether its checks can bring it back depends on it. */
	if (changed)
		registry_dirty_refresh(registry, service);
	registry_instance_renew_lease(registry, instance, now_ms);
	registry_instance_restate(registry, instance, now_ms);
	outcome->instance = instance;
	return REGISTRY_UPDATED;
}

static enum registry_result apply_deregister(struct registry *registry, const struct change *change,
					     struct outcome *outcome)
{
	struct service *service = registry_index_service(registry, change->deregister.service);
	struct instance *instance =
		service ? registry_index_id(registry, service, change->deregister.id) : NULL;

	if (!instance)
		return registry_admit_refuse(outcome, REGISTRY_NOT_FOUND, "no such instance");
	if (!registry_admit_owner(registry, instance, change->deregister.file, outcome))
		return outcome->result;
	counters_add(&registry->options.counters->deregistrations, 1);
	registry_instance_remove(registry, instance, EVENT_DEREGISTERED);
	return REGISTRY_UPDATED;
}

static enum registry_result apply_check_result(struct registry *registry,
					       const struct change *change, uint64_t now_ms,
					       struct outcome *outcome)
{
	const struct change_check_result *result = &change->check_result;
	struct check *check =
		table_find(registry->checks, registry_index_hash_check(registry, result->check_id),
			   &result->check_id);

	if (!check || check->spec->kind == CHECK_TTL)
		return registry_admit_refuse(outcome, REGISTRY_NOT_FOUND, "no such check");
	registry_check_count(registry, check, result->passed ? STATUS_PASSING : STATUS_CRITICAL);
	check->last_start_ms = result->start_ms;
	check->latency_ms = result->latency_ms;
	registry_check_set_output(&check->output, result->output);
	health_step(&check->health, check->spec->rise, check->spec->fall, result->passed);
	registry_instance_restate(registry, check->instance, now_ms);
	outcome->instance = check->instance;
	return REGISTRY_UPDATED;
}

static enum registry_result apply_policy(struct registry *registry, const struct change *change,
					 struct outcome *outcome)
{
	struct service *service = registry_index_service(registry, change->policy.service);
	struct service wanted;

	if (!service || service->n_instances == 0)
		return registry_admit_refuse(outcome, REGISTRY_NOT_FOUND, "no such service");
	if (!registry_admit_policy(service, &change->policy, &wanted))
		return REGISTRY_UPDATED;
	service->ttl_s = wanted.ttl_s;
	service->answer_limit = wanted.answer_limit;
	service->failure = wanted.failure;
	service->panic_ppm = wanted.panic_ppm;
	if (change->kind == CHANGE_POLICY)
		registry_instance_revise(registry, EVENT_POLICY, service, NULL);
	else
		registry_restore_safe_after(registry, service);
	registry_dirty_names(registry, service);
	registry_dirty_refresh(registry, service);
	return REGISTRY_UPDATED;
}

/* Its groups are compiled anew whether it was in their answers or not: there its safe time shows.
 */
static enum registry_result apply_admin(struct registry *registry, const struct change *change,
					uint64_t now_ms, struct outcome *outcome)
{
	struct service *service = registry_index_service(registry, change->admin.service);
	struct instance *instance =
		service ? registry_index_id(registry, service, change->admin.id) : NULL;
	enum admin before;
	bool served;

	if (!instance)
		return registry_admit_refuse(outcome, REGISTRY_NOT_FOUND, "no such instance");
	outcome->instance = instance;
	before = instance->admin;
	served = policy_serves(instance);
	if (before == change->admin.admin)
		return REGISTRY_UPDATED;
	registry_instance_tally(registry, instance, -1);
	instance->admin = change->admin.admin;
	registry_instance_tally(registry, instance, 1);
	registry_instance_note_served(registry, instance, served, now_ms);
	registry_instance_revise(registry, EVENT_ADMIN, service, instance);
	registry_dirty_refresh(registry, service);
	if (record_admin_is_out(before) && record_admin_is_out(instance->admin))
		return REGISTRY_UPDATED;
	instance->is_leaving = record_admin_is_out(instance->admin);
	instance->safe_after_ms = registry_restore_inherited_ms(registry, service);
	registry_dirty_instance(registry, instance, INSTANCE_RENEWED);
	registry_group_touch(registry, service, instance->registration, 0);
	return REGISTRY_UPDATED;
}

enum registry_result registry_apply(struct registry *registry, const struct change *change,
				    uint64_t now_ms, struct outcome *outcome)
{
	outcome->instance = NULL;
	outcome->message[0] = '\0';
	switch (change->kind) {
	case CHANGE_REGISTER:
		outcome->result = apply_register(registry, change, now_ms, outcome);
		break;
	case CHANGE_HEARTBEAT:
		outcome->result = apply_heartbeat(registry, change, now_ms, outcome);
		break;
	case CHANGE_DEREGISTER:
		outcome->result = apply_deregister(registry, change, outcome);
		break;
	case CHANGE_CHECK_RESULT:
		outcome->result = apply_check_result(registry, change, now_ms, outcome);
		break;
	case CHANGE_POLICY:
	case CHANGE_RESTORE_POLICY:
		outcome->result = apply_policy(registry, change, outcome);
		break;
	case CHANGE_ADMIN:
		outcome->result = apply_admin(registry, change, now_ms, outcome);
		break;
	case CHANGE_RESTORE:
		outcome->result =
			registry_restore_apply(registry, &change->restore, now_ms, outcome);
		break;
	}
	return outcome->result;
}

/* ---- Time ---- */

static void on_lease_deadline(struct registry *registry, struct instance *instance, uint64_t now_ms)
{
	if (instance->lease_end_ms <= now_ms) {
		counters_add(&registry->options.counters->expiries, 1);
		registry_instance_remove(registry, instance, EVENT_EXPIRED);
		return;
	}
	registry_dirty_instance(registry, instance, INSTANCE_RENEWED);
	registry_instance_arm_lease(registry, instance, now_ms);
}

static void on_check_deadline(struct registry *registry, struct check *check, uint64_t now_ms)
{
	if (!registry_check_on_deadline(registry, check, now_ms))
		return;
	registry_dirty_refresh(registry, check->instance->service);
	registry_instance_restate(registry, check->instance, now_ms);
}

/* Does what is due at a deadline that was taken. Returns how many go in one go, where it is. */
static size_t on_deadline(struct registry *registry, struct deadline *deadline, uint64_t now_ms)
{
	struct service *service = NULL;
	struct instance *instance;
	struct check *check;
	size_t n;

	switch (deadline->kind) {
	case DEADLINE_INSTANCE:
		instance = CONTAINER(deadline, struct instance, deadline);
		service = instance->service;
		on_lease_deadline(registry, instance, now_ms);
		break;
	case DEADLINE_SERVICE:
		service = CONTAINER(deadline, struct service, deadline);
		registry_dirty_refresh(registry, service);
		break;
	case DEADLINE_CHECK:
		check = CONTAINER(deadline, struct check, deadline);
		service = check->instance->service;
		on_check_deadline(registry, check, now_ms);
		break;
	}
	n = service->n_instances / EXPIRE_PARTS;
	return n > EXPIRE_MAX ? n : EXPIRE_MAX;
}

void registry_expire(struct registry *registry, uint64_t now_ms)
{
	struct deadline *deadline;
	size_t max = EXPIRE_MAX;

	for (size_t n = 0; n < max && (deadline = deadline_take(&registry->deadlines, now_ms));
	     n++) {
		size_t max_here = on_deadline(registry, deadline, now_ms);

		if (max_here > max)
			max = max_here;
	}
}

uint64_t registry_next_deadline(const struct registry *registry)
{
	return deadline_next_ms(&registry->deadlines);
}

void registry_set_stable(struct registry *registry, struct service *service,
			 uint64_t stable_until_ms, uint64_t now_ms)
{
	uint64_t ttl_ms = registry_ttl_s(registry, service) * UINT64_C(1000);

	service->stable_until_ms = stable_until_ms;
	deadline_cancel(&registry->deadlines, &service->deadline);
	if (stable_until_ms != UINT64_MAX && stable_until_ms > now_ms + ttl_ms)
		deadline_set(&registry->deadlines, &service->deadline, stable_until_ms - ttl_ms);
}

/* ---- Life ---- */

struct registry *registry_new(const struct registry_options *options)
{
	struct registry *registry = calloc(1, sizeof(*registry));

	if (!registry)
		return NULL;
	registry->options = *options;
	registry->revision = options->revision;
	registry->dirty_end = &registry->dirty_first;
	if (registry_index_init(registry)) {
		registry_free(registry);
		return NULL;
	}
	return registry;
}

static void free_service(struct service *service)
{
	struct instance *gone = service->dirty_instances;

	while (gone) {
		struct instance *next = gone->dirty_next;

		if (gone->dirt == INSTANCE_GONE)
			registry_instance_free(gone);
		gone = next;
	}
	for (size_t i = 0; i < service->n_instances; i++)
		registry_instance_free(service->instances[i]);
	for (size_t i = 0; i < service->n_groups; i++)
		free(service->groups[i]);
	free(service->instances);
	free(service->groups);
	free(service);
}

void registry_set_files(struct registry *registry, bool are_read)
{
	registry->files_own = are_read;
}

void registry_free(struct registry *registry)
{
	struct service *service;

	if (!registry)
		return;
	for (size_t position = 0;
	     registry->services && (service = table_next(registry->services, &position));)
		free_service(service);
	registry_index_fini(registry);
	deadline_heap_fini(&registry->deadlines);
	free(registry);
}
