/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/registry_dirty.h"

void registry_dirty_service(struct registry *registry, struct service *service)
{
	if (service->dirty)
		return;
	service->dirty = true;
	service->dirty_next = NULL;
	*registry->dirty_end = service;
	registry->dirty_end = &service->dirty_next;
}

void registry_dirty_group(struct registry *registry, struct group *group)
{
	registry_dirty_service(registry, group->service);
	group->dirty = true;
	group->service->dirty_groups = true;
}

void registry_dirty_instance(struct registry *registry, struct instance *instance,
			     enum instance_dirt dirt)
{
	registry_dirty_service(registry, instance->service);
	if (instance->dirt == INSTANCE_CLEAN) {
		instance->dirty_next = instance->service->dirty_instances;
		instance->service->dirty_instances = instance;
	}
	if (dirt > instance->dirt)
		instance->dirt = dirt;
}

void registry_dirty_refresh(struct registry *registry, struct service *service)
{
	service->refresh = true;
	registry_dirty_service(registry, service);
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

void registry_dirty_names(struct registry *registry, struct service *service)
{
	for (size_t i = 0; i < service->n_groups; i++)
		registry_dirty_group(registry, service->groups[i]);
	for (size_t i = 0; i < service->n_instances; i++)
		registry_dirty_instance(registry, service->instances[i], INSTANCE_CHANGED);
}

void registry_touch_service(struct registry *registry, const char *name)
{
	struct service *service = registry_index_service(registry, name);

	if (service)
		registry_dirty_names(registry, service);
}

void registry_touch_all(struct registry *registry)
{
	struct service *service;

	for (size_t position = 0; (service = table_next(registry->services, &position));)
		registry_dirty_names(registry, service);
}

void registry_set_ttl(struct registry *registry, uint32_t ttl_s)
{
	struct service *service;

	if (registry->options.ttl_s == ttl_s)
		return;
	registry->options.ttl_s = ttl_s;
	for (size_t position = 0; (service = table_next(registry->services, &position));)
		if (service->ttl_s == 0)
			registry_dirty_names(registry, service);
}

void registry_put_back(struct registry *registry, struct service *service)
{
	service->dirty_next = registry->dirty_first;
	registry->dirty_first = service;
	if (!service->dirty_next)
		registry->dirty_end = &service->dirty_next;
}
