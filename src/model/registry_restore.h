/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * registry_restore: instances that come back as they were last known, and what the process before
 * may have answered with them; inside of the registry (model/registry.h, which has
 * registry_set_inherited()).
 */
#ifndef ROSTERD_MODEL_REGISTRY_RESTORE_H
#define ROSTERD_MODEL_REGISTRY_RESTORE_H

#include "model/registry_index.h"

/* CHANGE_RESTORE, as registry_apply() does it. */
enum registry_result registry_restore_apply(struct registry *registry,
					    const struct change_restore *restore, uint64_t now_ms,
					    struct outcome *outcome);

/* When the last answer of the process before has expired, whoever it named; 0: there was none. */
uint64_t registry_restore_inherited_ms(const struct registry *registry,
				       const struct service *service);

/* Those who are out of service were perhaps not yet out of use. */
void registry_restore_safe_after(const struct registry *registry, const struct service *service);

#endif
