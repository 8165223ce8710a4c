/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * registry_group: which groups an instance belongs to; inside of the registry (model/registry.h).
 */
#ifndef ROSTERD_MODEL_REGISTRY_GROUP_H
#define ROSTERD_MODEL_REGISTRY_GROUP_H

#include "model/registry_index.h"

/* Makes sure that every group of a registration exists. New ones are empty, and dirty. -1: memory
 */
int registry_group_make(struct registry *registry, struct service *service,
			const struct registration *registration);

/* Marks every group of a registration dirty and adds to its number of members: -1, 0 or 1. */
void registry_group_touch(struct registry *registry, struct service *service,
			  const struct registration *registration, int members);

/* An instance's own label wins over a tag of that name, so the tag's name depends on it. */
void registry_group_touch_namesake(struct registry *registry, struct service *service,
				   const char *label);

/* Takes a group without members, not dirty, out of its service and frees it. */
void registry_group_drop(struct registry *registry, struct group *group);

#endif
