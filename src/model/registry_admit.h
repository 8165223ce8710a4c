/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * registry_admit: what stands in a change's way; inside of the registry (model/registry.h, which
 * has registry_admit() itself).
 */
#ifndef ROSTERD_MODEL_REGISTRY_ADMIT_H
#define ROSTERD_MODEL_REGISTRY_ADMIT_H

#include "model/registry_index.h"

/* Fills the outcome's message and returns `result`. */
enum registry_result registry_admit_refuse(struct outcome *outcome, enum registry_result result,
					   const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Returns REGISTRY_NO_MEMORY. */
enum registry_result registry_admit_no_memory(struct outcome *outcome);

/*
 * What keeps an instance from being there beside the others: another id's label, or too many
 * instances. Else REGISTRY_UPDATED, and outcome->instance is the one with this id; or
 * REGISTRY_CREATED.
 */
enum registry_result registry_admit_instance(const struct registry *registry,
					     const struct registration *registration,
					     struct outcome *outcome);

/*
 * Whether this file (NULL: somebody over HTTP) may take the instance away. If not, the outcome says
 * why: registry_set_files().
 */
bool registry_admit_owner(const struct registry *registry, const struct instance *instance,
			  const char *file, struct outcome *outcome);

/* The service's numbers as the change wants them, in place of its own; false: they are its own. */
bool registry_admit_policy(const struct service *service, const struct change_policy *policy,
			   struct service *wanted);

#endif
