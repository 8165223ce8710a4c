/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/registry_group.h"

#include "model/registry_dirty.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static size_t put_group_key(struct registry_group_key *keys, size_t n, enum group_kind kind,
			    enum protocol protocol, const char *label)
{
	struct registry_group_key key = { .kind = kind, .protocol = protocol };

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
			 struct registry_group_key keys[REGISTRY_GROUP_MAX])
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

static struct group *new_group(struct registry *registry, struct service *service,
			       const struct registry_group_key *key)
{
	struct group *group;

	if (service->n_groups == service->cap_groups) {
		/* Most services have two: all of it, and one protocol. */
		uint32_t cap = service->cap_groups ? service->cap_groups * 2 : 2;
		struct group **groups = realloc(service->groups, cap * sizeof(struct group *));

		if (!groups)
			return NULL;
		service->groups = groups;
		service->cap_groups = cap;
	}
	group = calloc(1, offsetof(struct group, label) + strlen(key->label) + 1);
	if (!group)
		return NULL;
	group->kind = key->kind;
	group->protocol = key->protocol;
	group->service = service;
	strcpy(group->label, key->label);
	if (table_insert(registry->groups, registry_index_hash_group(registry, key), group)) {
		free(group);
		return NULL;
	}
	group->position = service->n_groups;
	service->groups[service->n_groups++] = group;
	return group;
}

/* A group enters (1) or leaves (-1) the counts, as it is. */
static void tally(struct registry *registry, const struct group *group, int n)
{
	enum policy_mode mode = group->mode;

	if (group->kind == GROUP_ALL)
		registry->n_by_mode[mode] += (size_t)n;
	if (policy_is_acting(mode))
		registry->n_acting[mode] += (size_t)n;
}

void registry_set_mode(struct registry *registry, struct group *group, enum policy_mode mode)
{
	if (group->is_counted)
		tally(registry, group, -1);
	group->mode = (uint8_t)mode;
	group->is_counted = true;
	tally(registry, group, 1);
}

void registry_group_drop(struct registry *registry, struct group *group)
{
	struct service *service = group->service;
	struct registry_group_key key = {
		.service = service,
		.kind = group->kind,
		.protocol = group->protocol,
	};

	if (group->is_counted)
		tally(registry, group, -1);
	strcpy(key.label, group->label);
	table_remove(registry->groups, registry_index_hash_group(registry, &key), group);
	service->groups[group->position] = service->groups[--service->n_groups];
	service->groups[group->position]->position = group->position;
	free(group);
}

int registry_group_make(struct registry *registry, struct service *service,
			const struct registration *registration, struct registry_group_list *made)
{
	struct registry_group_key keys[REGISTRY_GROUP_MAX];

	made->n = group_keys(service, registration, keys);
	for (size_t i = 0; i < made->n; i++) {
		struct group *group = registry_index_group(registry, &keys[i]);

		if (!group)
			group = new_group(registry, service, &keys[i]);
		if (!group)
			return -1;
		registry_dirty_group(registry, group);
		made->groups[i] = group;
	}
	return 0;
}

void registry_group_join(struct registry *registry, const struct registry_group_list *groups)
{
	for (size_t i = 0; i < groups->n; i++) {
		groups->groups[i]->n_members++;
		registry_dirty_group(registry, groups->groups[i]);
	}
}

void registry_group_touch(struct registry *registry, struct service *service,
			  const struct registration *registration, int members)
{
	struct registry_group_key keys[REGISTRY_GROUP_MAX];
	size_t n = group_keys(service, registration, keys);

	for (size_t i = 0; i < n; i++) {
		struct group *group = registry_index_group(registry, &keys[i]);

		assert(group);
		group->n_members += (uint32_t)members;
		registry_dirty_group(registry, group);
	}
}

void registry_group_touch_namesake(struct registry *registry, struct service *service,
				   const char *label)
{
	struct registry_group_key key = { .service = service, .kind = GROUP_TAG };
	struct group *group;

	strcpy(key.label, label);
	group = registry_index_group(registry, &key);
	if (group)
		registry_dirty_group(registry, group);
}
