/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * registry_index: the registry's own state and its indexes; inside of the registry
 * (model/registry.h).
 */
#ifndef ROSTERD_MODEL_REGISTRY_INDEX_H
#define ROSTERD_MODEL_REGISTRY_INDEX_H

#include "base/siphash.h"
#include "base/table.h"
#include "model/registry.h"

struct registry {
	struct registry_options options;
	struct siphash_key key;
	uint64_t revision;
	/* When an instance last ceased to serve, and the first revision taken in that moment. */
	uint64_t ceased_ms, ceased_revision;
	uint64_t restored_ms; /* when the newest instance was restored; 0: none ever was */
	uint64_t newest_check_id;
	bool files_own;          /* registry_set_files() */
	struct table *services;  /* by name; one that lost its last instance until it is cleaned */
	struct table *instances; /* live ones, by service and label */
	struct table *groups;    /* by service, kind, protocol and label */
	struct table *checks;    /* by check_id */
	struct deadline_heap deadlines;
	size_t n_services;                                /* with instances */
	size_t n_ttl_checks;                              /* each may be in the heap */
	size_t n_by_status[STATUSES], n_by_admin[ADMINS]; /* live instances */
	/* Of the groups that are counted: services' own ones, and all on which a policy acts. */
	size_t n_by_mode[POLICY_MODES], n_acting[POLICY_MODES];
	struct service *dirty_first, **dirty_end;
};

struct registry_group_key {
	const struct service *service;
	enum group_kind kind;
	enum protocol protocol;
	char label[LIMIT_LABEL + 1];
};

/* Makes the tables, all empty. -1 when out of memory: registry_index_fini() all the same. */
int registry_index_init(struct registry *registry);
void registry_index_fini(struct registry *registry);

uint64_t registry_index_hash_name(const struct registry *registry, const char *name);
uint64_t registry_index_hash_instance(const struct registry *registry,
				      const struct service *service, const char *label);
uint64_t registry_index_hash_group(const struct registry *registry,
				   const struct registry_group_key *key);
uint64_t registry_index_hash_check(const struct registry *registry, uint64_t check_id);

/* Each NULL if there is none. A service is found with or without instances. */
struct service *registry_index_service(const struct registry *registry, const char *name);
struct instance *registry_index_label(const struct registry *registry,
				      const struct service *service, const char *label);
struct instance *registry_index_id(const struct registry *registry, const struct service *service,
				   const char *id);
struct group *registry_index_group(const struct registry *registry,
				   const struct registry_group_key *key);

#endif
