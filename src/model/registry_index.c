/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/registry_index.h"

#include <string.h>

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
	       strcmp(record_label(instance->registration), k->label) == 0;
}

static bool group_match(const void *entry, const void *key)
{
	const struct group *group = entry;
	const struct registry_group_key *k = key;

	return group->service == k->service && group->kind == k->kind &&
	       group->protocol == k->protocol && strcmp(group->label, k->label) == 0;
}

static bool check_match(const void *entry, const void *key)
{
	return ((const struct check *)entry)->check_id == *(const uint64_t *)key;
}

uint64_t registry_index_hash_name(const struct registry *registry, const char *text)
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

uint64_t registry_index_hash_instance(const struct registry *registry,
				      const struct service *service, const char *label)
{
	return hash_label(registry, service, 0, label);
}

uint64_t registry_index_hash_group(const struct registry *registry,
				   const struct registry_group_key *key)
{
	return hash_label(registry, key->service, 1 + key->kind * 2u + key->protocol, key->label);
}

uint64_t registry_index_hash_check(const struct registry *registry, uint64_t check_id)
{
	return siphash(&registry->key, &check_id, sizeof(check_id));
}

/* The service's record, with or without instances. */
struct service *registry_index_service(const struct registry *registry, const char *name)
{
	return table_find(registry->services, registry_index_hash_name(registry, name), name);
}

struct instance *registry_index_label(const struct registry *registry,
				      const struct service *service, const char *label)
{
	struct instance_key key = { .service = service, .label = label };

	return table_find(registry->instances,
			  registry_index_hash_instance(registry, service, label), &key);
}

struct instance *registry_index_id(const struct registry *registry, const struct service *service,
				   const char *id)
{
	char label[LIMIT_LABEL + 1];
	struct instance *instance;

	if (!id[0] || strlen(id) > LIMIT_ID)
		return NULL;
	record_id_label(id, label);
	instance = registry_index_label(registry, service, label);
	return instance && strcmp(instance->registration->id, id) == 0 ? instance : NULL;
}

struct group *registry_index_group(const struct registry *registry,
				   const struct registry_group_key *key)
{
	return table_find(registry->groups, registry_index_hash_group(registry, key), key);
}

int registry_index_init(struct registry *registry)
{
	siphash_key_init(&registry->key);
	registry->services = table_new(service_match);
	registry->instances = table_new(instance_match);
	registry->groups = table_new(group_match);
	registry->checks = table_new(check_match);
	return registry->services && registry->instances && registry->groups && registry->checks
		       ? 0
		       : -1;
}

void registry_index_fini(struct registry *registry)
{
	table_free(registry->services);
	table_free(registry->instances);
	table_free(registry->groups);
	table_free(registry->checks);
}
