/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/registry.h"

#include "base/siphash.h"
#include "base/table.h"
#include "model/policy.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* While a service's TTL counts down, how often renewals may make it be worked out again. */
	REFRESH_MS = 250,
	GROUPS_MAX = 2 + LIMIT_TAGS + LIMIT_PORTS,
};

struct registry {
	struct registry_options options;
	struct siphash_key key;
	uint64_t revision;
	uint64_t newest_check_id;
	struct table *services;  /* by name */
	struct table *instances; /* live ones, by service and label */
	struct table *groups;    /* by service, kind, protocol and label */
	struct table *checks;    /* by check_id */
	struct deadline_heap deadlines;
	size_t n_services; /* with instances */
	struct service *dirty_first, **dirty_end;
};

#define CONTAINER(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* ---- Indexes ---- */

static bool service_match(const void *entry, const void *key)
{
	return strcmp(((const struct service *)entry)->name, key) == 0;
}

struct instance_key {
	const struct service *service;
	const char *label;
};

static bool instance_match(const void *entry, const void *key)
{
	const struct instance *instance = entry;
	const struct instance_key *k = key;

	return instance->service == k->service &&
	       strcmp(instance->registration->label, k->label) == 0;
}

struct group_key {
	const struct service *service;
	enum group_kind kind;
	enum protocol protocol;
	char label[LIMIT_LABEL + 1];
};

static bool group_match(const void *entry, const void *key)
{
	const struct group *group = entry;
	const struct group_key *k = key;

	return group->service == k->service && group->kind == k->kind &&
	       group->protocol == k->protocol && strcmp(group->label, k->label) == 0;
}

static bool check_match(const void *entry, const void *key)
{
	return ((const struct check *)entry)->check_id == *(const uint64_t *)key;
}

static uint64_t hash_text(const struct registry *registry, const char *text)
{
	return siphash(&registry->key, text, strlen(text));
}

/* A label within a service, and with a number that tells kinds apart. */
static uint64_t hash_label(const struct registry *registry, const struct service *service,
			   unsigned kind, const char *label)
{
	struct {
		const struct service *service;
		uint64_t kind;
		char label[LIMIT_LABEL + 1];
	} key = { .service = service, .kind = kind };
	size_t len = strlen(label);

	memcpy(key.label, label, len);
	return siphash(&registry->key, &key, offsetof(__typeof__(key), label) + len);
}

static uint64_t hash_instance(const struct registry *registry, const struct service *service,
			      const char *label)
{
	return hash_label(registry, service, 0, label);
}

static uint64_t hash_group(const struct registry *registry, const struct group_key *key)
{
	return hash_label(registry, key->service, 1 + key->kind * 2u + key->protocol, key->label);
}

static uint64_t hash_check(const struct registry *registry, uint64_t check_id)
{
	return siphash(&registry->key, &check_id, sizeof(check_id));
}

/* The service's record, with or without instances. */
static struct service *find_service(const struct registry *registry, const char *name)
{
	return table_find(registry->services, hash_text(registry, name), name);
}

static struct instance *find_label(const struct registry *registry, const struct service *service,
				   const char *label)
{
	struct instance_key key = { .service = service, .label = label };

	return table_find(registry->instances, hash_instance(registry, service, label), &key);
}

static struct instance *find_id(const struct registry *registry, const struct service *service,
				const char *id)
{
	char label[LIMIT_LABEL + 1];
	struct instance *instance;

	if (!id[0] || strlen(id) > LIMIT_ID)
		return NULL;
	record_id_label(id, label);
	instance = find_label(registry, service, label);
	return instance && strcmp(instance->registration->id, id) == 0 ? instance : NULL;
}

const struct service *registry_find_service(const struct registry *registry, const char *name)
{
	char label[LIMIT_LABEL + 1];
	const struct service *service;

	if (!record_label_parse(name, label))
		return NULL;
	service = find_service(registry, label);
	return service && service->n_instances ? service : NULL;
}

const struct instance *registry_find_instance(const struct registry *registry,
					      const struct service *service, const char *id)
{
	return find_id(registry, service, id);
}

const struct instance *registry_find_label(const struct registry *registry,
					   const struct service *service, const char *label)
{
	return find_label(registry, service, label);
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

uint64_t registry_revision(const struct registry *registry)
{
	return registry->revision;
}

uint32_t registry_ttl_s(const struct registry *registry, const struct service *service)
{
	return service->ttl_s ? service->ttl_s : registry->options.ttl_s;
}

/* ---- What is dirty ---- */

static void touch_service(struct registry *registry, struct service *service)
{
	if (service->dirty)
		return;
	service->dirty = true;
	service->dirty_next = NULL;
	*registry->dirty_end = service;
	registry->dirty_end = &service->dirty_next;
}

static void touch_group(struct registry *registry, struct group *group)
{
	touch_service(registry, group->service);
	if (group->dirty)
		return;
	group->dirty = true;
	group->dirty_next = group->service->dirty_groups;
	group->service->dirty_groups = group;
}

static void touch_instance(struct registry *registry, struct instance *instance,
			   enum instance_dirt dirt)
{
	touch_service(registry, instance->service);
	if (instance->dirt == INSTANCE_CLEAN) {
		instance->dirty_next = instance->service->dirty_instances;
		instance->service->dirty_instances = instance;
	}
	if (dirt > instance->dirt)
		instance->dirt = dirt;
}

static void touch_refresh(struct registry *registry, struct service *service)
{
	service->refresh = true;
	touch_service(registry, service);
}

bool registry_is_dirty(const struct registry *registry)
{
	return registry->dirty_first != NULL;
}

struct service *registry_take_dirty(struct registry *registry)
{
	struct service *service = registry->dirty_first;

	if (!service)
		return NULL;
	registry->dirty_first = service->dirty_next;
	if (!registry->dirty_first)
		registry->dirty_end = &registry->dirty_first;
	return service;
}

static void touch_names(struct registry *registry, struct service *service)
{
	for (size_t i = 0; i < service->n_groups; i++)
		touch_group(registry, service->groups[i]);
	for (size_t i = 0; i < service->n_instances; i++)
		touch_instance(registry, service->instances[i], INSTANCE_CHANGED);
}

void registry_touch_service(struct registry *registry, const char *name)
{
	struct service *service = find_service(registry, name);

	if (service)
		touch_names(registry, service);
}

void registry_touch_all(struct registry *registry)
{
	struct service *service;

	for (size_t position = 0; (service = table_next(registry->services, &position));)
		touch_names(registry, service);
}

void registry_set_ttl(struct registry *registry, uint32_t ttl_s)
{
	struct service *service;

	if (registry->options.ttl_s == ttl_s)
		return;
	registry->options.ttl_s = ttl_s;
	for (size_t position = 0; (service = table_next(registry->services, &position));)
		if (service->ttl_s == 0)
			touch_names(registry, service);
}

/* ---- Groups ---- */

static size_t put_group_key(struct group_key *keys, size_t n, enum group_kind kind,
			    enum protocol protocol, const char *label)
{
	struct group_key key = { .kind = kind, .protocol = protocol };

	if (label[0] && !record_label_parse(label, key.label))
		return n;
	for (size_t i = 0; i < n; i++)
		if (keys[i].kind == kind && strcmp(keys[i].label, key.label) == 0)
			return n;
	keys[n] = key;
	return n + 1;
}

/* The groups that an instance belongs to, each once. Tags that are no label have no group. */
static size_t group_keys(const struct service *service, const struct registration *registration,
			 struct group_key keys[GROUPS_MAX])
{
	size_t n = 0;

	n = put_group_key(keys, n, GROUP_ALL, 0, "");
	n = put_group_key(keys, n, GROUP_PROTOCOL, registration->protocol, "");
	for (size_t i = 0; i < registration->n_tags; i++)
		n = put_group_key(keys, n, GROUP_TAG, 0, registration->tags[i]);
	for (size_t i = 0; i < registration->n_ports; i++)
		n = put_group_key(keys, n, GROUP_PORT, registration->protocol,
				  registration->ports[i].name);
	for (size_t i = 0; i < n; i++)
		keys[i].service = service;
	return n;
}

static struct group *find_group(const struct registry *registry, const struct group_key *key)
{
	return table_find(registry->groups, hash_group(registry, key), key);
}

static void free_group(struct group *group)
{
	if (group) {
		free(group->label);
		free(group);
	}
}

static struct group *new_group(struct registry *registry, struct service *service,
			       const struct group_key *key)
{
	struct group *group;

	if (service->n_groups == service->cap_groups) {
		size_t cap = service->cap_groups ? service->cap_groups * 2 : 4;
		struct group **groups = realloc(service->groups, cap * sizeof(struct group *));

		if (!groups)
			return NULL;
		service->groups = groups;
		service->cap_groups = cap;
	}
	group = calloc(1, sizeof(*group));
	if (!group)
		return NULL;
	*group = (struct group){ .kind = key->kind, .protocol = key->protocol, .service = service };
	group->label = strdup(key->label);
	if (!group->label || table_insert(registry->groups, hash_group(registry, key), group)) {
		free_group(group);
		return NULL;
	}
	group->position = service->n_groups;
	service->groups[service->n_groups++] = group;
	return group;
}

/* Takes a group without members, not dirty, out of its service and frees it. */
static void drop_group(struct registry *registry, struct group *group)
{
	struct service *service = group->service;
	struct group_key key = {
		.service = service,
		.kind = group->kind,
		.protocol = group->protocol,
	};

	strcpy(key.label, group->label);
	table_remove(registry->groups, hash_group(registry, &key), group);
	service->groups[group->position] = service->groups[--service->n_groups];
	service->groups[group->position]->position = group->position;
	free_group(group);
}

/* Makes sure that every group of a registration exists. New ones are empty, and dirty. */
static int make_groups(struct registry *registry, struct service *service,
		       const struct registration *registration)
{
	struct group_key keys[GROUPS_MAX];
	size_t n = group_keys(service, registration, keys);

	for (size_t i = 0; i < n; i++) {
		struct group *group = find_group(registry, &keys[i]);

		if (!group)
			group = new_group(registry, service, &keys[i]);
		if (!group)
			return -1;
		touch_group(registry, group);
	}
	return 0;
}

static void touch_groups(struct registry *registry, struct service *service,
			 const struct registration *registration, int members)
{
	struct group_key keys[GROUPS_MAX];
	size_t n = group_keys(service, registration, keys);

	for (size_t i = 0; i < n; i++) {
		struct group *group = find_group(registry, &keys[i]);

		assert(group);
		group->n_members += (size_t)members;
		touch_group(registry, group);
	}
}

/* An instance's own label wins over a tag of that name, so the tag's name depends on it. */
static void touch_namesake(struct registry *registry, struct service *service, const char *label)
{
	struct group_key key = { .service = service, .kind = GROUP_TAG };
	struct group *group;

	strcpy(key.label, label);
	group = find_group(registry, &key);
	if (group)
		touch_group(registry, group);
}

/* ---- Services and instances ---- */

static struct service *new_service(struct registry *registry, const char *name)
{
	struct service *service = calloc(1, sizeof(*service));

	if (!service)
		return NULL;
	service->deadline.kind = DEADLINE_SERVICE;
	service->stable_until_ms = UINT64_MAX;
	service->name = strdup(name);
	if (!service->name ||
	    table_insert(registry->services, hash_text(registry, name), service)) {
		free(service->name);
		free(service);
		return NULL;
	}
	return service;
}

/* Frees a service without instances and groups, not dirty. */
static void drop_service(struct registry *registry, struct service *service)
{
	deadline_cancel(&registry->deadlines, &service->deadline);
	table_remove(registry->services, hash_text(registry, service->name), service);
	free(service->instances);
	free(service->groups);
	free(service->name);
	free(service);
}

static void free_check(struct check *check)
{
	if (check) {
		free(check->output);
		free(check);
	}
}

static void free_instance(struct instance *instance)
{
	if (!instance)
		return;
	for (size_t i = 0; instance->checks && i < instance->registration->n_checks; i++)
		free_check(instance->checks[i]);
	free(instance->checks);
	free(instance->output);
	record_registration_free(instance->registration);
	free(instance);
}

void registry_clean(struct registry *registry, struct service *service)
{
	struct instance *instance = service->dirty_instances;
	struct group *group = service->dirty_groups;

	service->dirty_instances = NULL;
	service->dirty_groups = NULL;
	service->dirty = false;
	service->refresh = false;
	while (instance) {
		struct instance *next = instance->dirty_next;

		if (instance->dirt == INSTANCE_GONE)
			free_instance(instance);
		else
			instance->dirt = INSTANCE_CLEAN;
		instance = next;
	}
	while (group) {
		struct group *next = group->dirty_next;

		group->dirty = false;
		if (group->n_members == 0)
			drop_group(registry, group);
		group = next;
	}
	if (service->n_instances == 0)
		drop_service(registry, service);
}

static enum status instance_status(const struct instance *instance)
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
static void arm_lease(struct registry *registry, struct instance *instance, uint64_t now_ms)
{
	uint64_t ttl_ms = registry_ttl_s(registry, instance->service) * UINT64_C(1000);
	uint64_t end_ms = instance->lease_end_ms;

	if (end_ms)
		deadline_set(&registry->deadlines, &instance->deadline,
			     end_ms > now_ms + ttl_ms ? end_ms - ttl_ms : end_ms);
	else
		deadline_cancel(&registry->deadlines, &instance->deadline);
}

static void renew_lease(struct registry *registry, struct instance *instance, uint64_t now_ms)
{
	uint64_t ttl_ms = registry_ttl_s(registry, instance->service) * UINT64_C(1000);
	uint64_t old_end_ms = instance->lease_end_ms;

	if (!old_end_ms)
		return;
	instance->lease_end_ms = now_ms + instance->registration->lease_ms;
	if (old_end_ms <= now_ms + ttl_ms) {
		touch_instance(registry, instance, INSTANCE_RENEWED);
		arm_lease(registry, instance, now_ms);
	}
}

/* Deadlines moved later: the service needs care only if its TTL already counts down. */
static void touch_countdown(struct registry *registry, struct service *service, uint64_t now_ms)
{
	uint64_t ttl_ms = registry_ttl_s(registry, service) * UINT64_C(1000);

	if (service->stable_until_ms <= now_ms + ttl_ms && !service->deadline.position)
		deadline_set(&registry->deadlines, &service->deadline, now_ms + REFRESH_MS);
}

/* A status may have changed: if so a revision, and all groups of the instance are dirty. */
static void restate(struct registry *registry, struct instance *instance, uint64_t now_ms)
{
	enum status status = instance_status(instance);
	bool served = policy_serves(instance);

	if (status == instance->status) {
		touch_countdown(registry, instance->service, now_ms);
		return;
	}
	instance->status = status;
	instance->modified = ++registry->revision;
	instance->service->revision = registry->revision;
	touch_refresh(registry, instance->service);
	if (served != policy_serves(instance))
		touch_groups(registry, instance->service, instance->registration, 0);
}

/* Takes a check out of the index and tells the prober. */
static void stop_check(struct registry *registry, struct check *check)
{
	table_remove(registry->checks, hash_check(registry, check->check_id), check);
	if (registry->options.check_stopped)
		registry->options.check_stopped(registry->options.cookie, check);
}

static void remove_instance(struct registry *registry, struct instance *instance)
{
	struct service *service = instance->service;
	struct registration *registration = instance->registration;

	for (size_t i = 0; i < registration->n_checks; i++)
		stop_check(registry, instance->checks[i]);
	deadline_cancel(&registry->deadlines, &instance->deadline);
	table_remove(registry->instances, hash_instance(registry, service, registration->label),
		     instance);
	service->instances[instance->position] = service->instances[--service->n_instances];
	service->instances[instance->position]->position = instance->position;
	if (service->n_instances == 0)
		registry->n_services--;
	touch_groups(registry, service, registration, -1);
	touch_namesake(registry, service, registration->label);
	touch_instance(registry, instance, INSTANCE_GONE);
	touch_refresh(registry, service);
	service->revision = ++registry->revision;
}

/* ---- Registering ---- */

static enum registry_result fail(struct outcome *outcome, enum registry_result result,
				 const char *format, ...) __attribute__((format(printf, 3, 4)));

static enum registry_result fail(struct outcome *outcome, enum registry_result result,
				 const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(outcome->message, sizeof(outcome->message), format, args);
	va_end(args);
	return result;
}

static bool address_equal(const struct address *a, const struct address *b)
{
	return a->has_v4 == b->has_v4 && a->has_v6 == b->has_v6 &&
	       (!a->has_v4 || memcmp(a->v4, b->v4, sizeof(a->v4)) == 0) &&
	       (!a->has_v6 || memcmp(a->v6, b->v6, sizeof(a->v6)) == 0);
}

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

	if (!old || !address_equal(&old->address, &registration->address))
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
	health_init(&check->health, spec->initial);
	if (table_insert(registry->checks, hash_check(registry, check_id), check)) {
		free(check);
		return NULL;
	}
	registry->newest_check_id = check_id;
	return check;
}

/*
 * The checks of a registration that `instance` is to have: present ones that stay, with their
 * state, and new ones. NULL when out of memory: nothing has changed.
 */
static struct check **make_checks(struct registry *registry, struct instance *instance,
				  const struct registration *registration)
{
	struct check **checks = calloc(registration->n_checks + 1, sizeof(struct check *));
	uint64_t newest = registry->newest_check_id;
	size_t n;

	if (!checks)
		return NULL;
	for (n = 0; n < registration->n_checks; n++) {
		const struct check_spec *spec = &registration->checks[n];

		checks[n] = find_same_check(instance, registration, spec, checks, n);
		if (!checks[n])
			checks[n] = new_check(registry, instance, spec);
		if (!checks[n])
			goto undo;
	}
	return checks;
undo:
	while (n-- > 0) {
		if (checks[n]->check_id <= newest)
			continue;
		table_remove(registry->checks, hash_check(registry, checks[n]->check_id),
			     checks[n]);
		free_check(checks[n]);
	}
	free(checks);
	return NULL;
}

/* Puts a registration and its checks in place of what the instance had, if anything. */
static void install(struct registry *registry, struct instance *instance,
		    struct registration *registration, struct check **checks)
{
	struct registration *old = instance->registration;
	struct check **old_checks = instance->checks;
	size_t n_old = old ? old->n_checks : 0;

	for (size_t i = 0; i < n_old; i++) {
		if (is_in(checks, registration->n_checks, old_checks[i]))
			continue;
		stop_check(registry, old_checks[i]);
		free_check(old_checks[i]);
	}
	instance->registration = registration;
	instance->checks = checks;
	for (size_t i = 0; i < registration->n_checks; i++) {
		bool is_new = !is_in(old_checks, n_old, checks[i]);

		checks[i]->spec = &registration->checks[i];
		if (is_new && registry->options.check_started)
			registry->options.check_started(registry->options.cookie, checks[i]);
	}
	free(old_checks);
	record_registration_free(old);
}

/* Makes room for one more instance of the service and for the deadlines of both. */
static int reserve(struct registry *registry, struct service *service)
{
	size_t n_deadlines = table_count(registry->instances) + table_count(registry->services) + 1;

	if (deadline_heap_reserve(&registry->deadlines, n_deadlines))
		return -1;
	if (service->n_instances == service->cap_instances) {
		size_t cap = service->cap_instances ? service->cap_instances * 2 : 4;
		struct instance **instances =
			realloc(service->instances, cap * sizeof(struct instance *));

		if (!instances)
			return -1;
		service->instances = instances;
		service->cap_instances = cap;
	}
	return 0;
}

/* The common end of creating and updating: lease, status, revisions, what is dirty. */
static void settle(struct registry *registry, struct instance *instance, uint64_t now_ms)
{
	struct service *service = instance->service;
	const struct registration *registration = instance->registration;

	instance->modified = service->revision = ++registry->revision;
	instance->status = instance_status(instance);
	instance->lease_end_ms = registration->lease_ms ? now_ms + registration->lease_ms : 0;
	arm_lease(registry, instance, now_ms);
	touch_instance(registry, instance, INSTANCE_CHANGED);
	touch_refresh(registry, service);
	if (registration->ttl_s && registration->ttl_s != service->ttl_s) {
		service->ttl_s = registration->ttl_s;
		touch_names(registry, service);
	}
}

static enum registry_result create(struct registry *registry, struct registration *registration,
				   uint64_t now_ms, struct outcome *outcome)
{
	struct service *service = find_service(registry, registration->service);
	struct instance *instance = NULL;
	struct check **checks = NULL;

	if (table_count(registry->instances) >= LIMIT_INSTANCES)
		return fail(outcome, REGISTRY_FULL, "the registry holds %d instances, its limit",
			    LIMIT_INSTANCES);
	if (!service)
		service = new_service(registry, registration->service);
	if (!service)
		return fail(outcome, REGISTRY_NO_MEMORY, "out of memory");
	/* Should anything fail below, the next compile finds the service empty and clears it. */
	touch_service(registry, service);
	instance = calloc(1, sizeof(*instance));
	if (!instance || reserve(registry, service) || make_groups(registry, service, registration))
		goto no_memory;
	instance->service = service;
	instance->deadline.kind = DEADLINE_INSTANCE;
	checks = make_checks(registry, instance, registration);
	if (!checks)
		goto no_memory;
	if (table_insert(registry->instances, hash_instance(registry, service, registration->label),
			 instance))
		goto no_memory;
	install(registry, instance, registration, checks);
	instance->position = service->n_instances;
	service->instances[service->n_instances++] = instance;
	if (service->n_instances == 1)
		registry->n_services++;
	touch_groups(registry, service, registration, 1);
	touch_namesake(registry, service, registration->label);
	settle(registry, instance, now_ms);
	instance->created = instance->modified;
	outcome->instance = instance;
	return REGISTRY_CREATED;
no_memory:
	for (size_t i = 0; checks && i < registration->n_checks; i++) {
		table_remove(registry->checks, hash_check(registry, checks[i]->check_id),
			     checks[i]);
		free_check(checks[i]);
	}
	free(checks);
	free(instance);
	return fail(outcome, REGISTRY_NO_MEMORY, "out of memory");
}

static enum registry_result update(struct registry *registry, struct instance *instance,
				   struct registration *registration, uint64_t now_ms,
				   struct outcome *outcome)
{
	struct service *service = instance->service;
	struct check **checks;

	if (make_groups(registry, service, registration) ||
	    !(checks = make_checks(registry, instance, registration)))
		return fail(outcome, REGISTRY_NO_MEMORY, "out of memory");
	touch_groups(registry, service, registration, 1);
	touch_groups(registry, service, instance->registration, -1);
	install(registry, instance, registration, checks);
	settle(registry, instance, now_ms);
	outcome->instance = instance;
	return REGISTRY_UPDATED;
}

static enum registry_result apply_register(struct registry *registry, const struct change *change,
					   uint64_t now_ms, struct outcome *outcome)
{
	struct registration *registration = change->registration;
	struct service *service = find_service(registry, registration->service);
	struct instance *instance =
		service ? find_label(registry, service, registration->label) : NULL;
	char name[256];

	counters_add(&registry->options.counters->registrations, 1);
	if (instance && strcmp(instance->registration->id, registration->id) != 0)
		return fail(outcome, REGISTRY_CONFLICT,
			    "the DNS label \"%s\" of this id belongs to the instance \"%s\"",
			    registration->label, instance->registration->id);
	if (instance && record_registration_equal(instance->registration, registration)) {
		record_registration_free(registration);
		renew_lease(registry, instance, now_ms);
		touch_countdown(registry, instance->service, now_ms);
		outcome->instance = instance;
		return REGISTRY_UPDATED;
	}
	if (registry->options.collides &&
	    registry->options.collides(registry->options.cookie, registration, name, sizeof(name)))
		return fail(outcome, REGISTRY_CONFLICT, "%s is a name of the zone file", name);
	if (instance)
		return update(registry, instance, registration, now_ms, outcome);
	return create(registry, registration, now_ms, outcome);
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

static void set_output(char **output, const char *text)
{
	char *copy = strndup(text, LIMIT_CHECK_OUTPUT - 1);

	if (copy) {
		free(*output);
		*output = copy;
	}
}

static enum registry_result apply_heartbeat(struct registry *registry, const struct change *change,
					    uint64_t now_ms, struct outcome *outcome)
{
	__typeof__(change->heartbeat) const *heartbeat = &change->heartbeat;
	struct service *service = find_service(registry, heartbeat->service);
	struct instance *instance = NULL;
	bool ambiguous = false;

	counters_add(&registry->options.counters->heartbeats, 1);
	if (service && service->n_instances && heartbeat->id)
		instance = find_id(registry, service, heartbeat->id);
	else if (service && service->n_instances)
		instance = find_unnamed(service, heartbeat->caller, &ambiguous);
	if (ambiguous)
		return fail(outcome, REGISTRY_AMBIGUOUS,
			    "service \"%s\" has %zu instances: say which by \"id\"",
			    heartbeat->service, service->n_instances);
	if (!instance)
		return fail(outcome, REGISTRY_NOT_FOUND, "no such instance: register again");
	if (heartbeat->output)
		set_output(&instance->output, heartbeat->output);
	if (heartbeat->status)
		instance->reported = *heartbeat->status;
	renew_lease(registry, instance, now_ms);
	restate(registry, instance, now_ms);
	outcome->instance = instance;
	return REGISTRY_UPDATED;
}

static enum registry_result apply_deregister(struct registry *registry, const struct change *change,
					     struct outcome *outcome)
{
	struct service *service = find_service(registry, change->deregister.service);
	struct instance *instance =
		service ? find_id(registry, service, change->deregister.id) : NULL;

	if (!instance)
		return fail(outcome, REGISTRY_NOT_FOUND, "no such instance");
	counters_add(&registry->options.counters->deregistrations, 1);
	remove_instance(registry, instance);
	return REGISTRY_UPDATED;
}

static enum registry_result apply_check_result(struct registry *registry,
					       const struct change *change, uint64_t now_ms,
					       struct outcome *outcome)
{
	__typeof__(change->check_result) const *result = &change->check_result;
	struct check *check = table_find(registry->checks, hash_check(registry, result->check_id),
					 &result->check_id);

	if (!check)
		return fail(outcome, REGISTRY_NOT_FOUND, "no such check");
	counters_add(result->passed ? &registry->options.counters->checks_passed
				    : &registry->options.counters->checks_failed,
		     1);
	check->last_start_ms = result->start_ms;
	check->latency_ms = result->latency_ms;
	set_output(&check->output, result->output);
	health_step(&check->health, check->spec->rise, check->spec->fall, result->passed);
	restate(registry, check->instance, now_ms);
	outcome->instance = check->instance;
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
	}
	return outcome->result;
}

/* ---- Time ---- */

static void on_lease_deadline(struct registry *registry, struct instance *instance, uint64_t now_ms)
{
	if (instance->lease_end_ms <= now_ms) {
		counters_add(&registry->options.counters->expiries, 1);
		remove_instance(registry, instance);
		return;
	}
	touch_instance(registry, instance, INSTANCE_RENEWED);
	arm_lease(registry, instance, now_ms);
}

void registry_expire(struct registry *registry, uint64_t now_ms)
{
	struct deadline *deadline;

	while ((deadline = deadline_take(&registry->deadlines, now_ms))) {
		if (deadline->kind == DEADLINE_INSTANCE)
			on_lease_deadline(registry, CONTAINER(deadline, struct instance, deadline),
					  now_ms);
		else
			touch_refresh(registry, CONTAINER(deadline, struct service, deadline));
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
	siphash_key_init(&registry->key);
	registry->services = table_new(service_match);
	registry->instances = table_new(instance_match);
	registry->groups = table_new(group_match);
	registry->checks = table_new(check_match);
	if (!registry->services || !registry->instances || !registry->groups || !registry->checks) {
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
			free_instance(gone);
		gone = next;
	}
	for (size_t i = 0; i < service->n_instances; i++)
		free_instance(service->instances[i]);
	for (size_t i = 0; i < service->n_groups; i++)
		free_group(service->groups[i]);
	free(service->instances);
	free(service->groups);
	free(service->name);
	free(service);
}

void registry_free(struct registry *registry)
{
	struct service *service;

	if (!registry)
		return;
	for (size_t position = 0;
	     registry->services && (service = table_next(registry->services, &position));)
		free_service(service);
	table_free(registry->services);
	table_free(registry->instances);
	table_free(registry->groups);
	table_free(registry->checks);
	deadline_heap_fini(&registry->deadlines);
	free(registry);
}
