/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * registry_group: which groups an instance belongs to; inside of the registry (model/registry.h).
 */
#ifndef ROSTERD_MODEL_REGISTRY_GROUP_H
#define ROSTERD_MODEL_REGISTRY_GROUP_H

#include "model/registry_index.h"

enum {
	REGISTRY_GROUP_MAX = 2 + LIMIT_TAGS + LIMIT_PORTS, /* of one registration */
};

/* The groups of a registration, each once. */
struct registry_group_list {
	size_t n;
	struct group *groups[REGISTRY_GROUP_MAX];
};

/* Makes sure that every group of a registration exists. New ones are empty, and dirty. -1: memory
 */
int registry_group_make(struct registry *registry, struct service *service,
			const struct registration *registration, struct registry_group_list *made);

/* One more instance is a member of all of them. */
void registry_group_join(struct registry *registry, const struct registry_group_list *groups);

/* Marks every group of a registration dirty and adds to its number of members: -1 or 0. */
void registry_group_touch(struct registry *registry, struct service *service,
			  const struct registration *registration, int members);

/* An instance's own label wins over a tag of that name, so the tag's name depends on it. */
void registry_group_touch_namesake(struct registry *registry, struct service *service,
				   const char *label);

/* Takes a group without members, not dirty, out of its service and frees it. */
void registry_group_drop(struct registry *registry, struct group *group);

#endif
