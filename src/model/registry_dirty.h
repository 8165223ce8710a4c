/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * registry_dirty: marks what the next compile must look at; inside of the registry
 * (model/registry.h). A service is in the registry's list once, its instances in its own;
 * its groups have only the mark, for the compile looks at all of them anyway.
 */
#ifndef ROSTERD_MODEL_REGISTRY_DIRTY_H
#define ROSTERD_MODEL_REGISTRY_DIRTY_H

#include "model/registry_index.h"

void registry_dirty_service(struct registry *registry, struct service *service);
void registry_dirty_group(struct registry *registry, struct group *group);

/* A worse dirt replaces a lesser one. */
void registry_dirty_instance(struct registry *registry, struct instance *instance,
			     enum instance_dirt dirt);

/* The service's stable_until_ms must be worked out anew. */
void registry_dirty_refresh(struct registry *registry, struct service *service);

/* Every name of the service. */
void registry_dirty_names(struct registry *registry, struct service *service);

#endif
