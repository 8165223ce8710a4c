/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * registry_instance: an instance in the registry from its coming to its going: lease, status,
 * revisions and counts; inside of the registry (model/registry.h).
 */
#ifndef ROSTERD_MODEL_REGISTRY_INSTANCE_H
#define ROSTERD_MODEL_REGISTRY_INSTANCE_H

#include "model/registry_index.h"

/*
 * A new instance with a copy of the registration, in a new service if need be; without a status,
 * lease and revision yet, and in no count. NULL when out of memory.
 */
struct instance *registry_instance_add(struct registry *registry,
				       const struct registration *registration);

/* Makes room for the deadlines of one more instance or of other checks. -1 when out of memory. */
int registry_instance_reserve(struct registry *registry, const struct registration *registration);

/* The common end of creating, updating and restoring: lease, checks, what is dirty. */
void registry_instance_settle(struct registry *registry, struct instance *instance,
			      uint64_t now_ms);

/* Takes it out of the registry; freed when its service is cleaned. `kind`: why, for the event. */
void registry_instance_remove(struct registry *registry, struct instance *instance,
			      enum event_kind kind);

/* One that is in no table and list. NULL is fine. */
void registry_instance_free(struct instance *instance);

/*
 * The lease's next deadline, after lease_end_ms or the TTL has changed or the deadline has come up;
 * and a whole new period for one that has a lease.
 */
void registry_instance_arm_lease(struct registry *registry, struct instance *instance,
				 uint64_t now_ms);
void registry_instance_renew_lease(struct registry *registry, struct instance *instance,
				   uint64_t now_ms);

/* What its status should be: the worst of what it reported and its checks. */
enum status registry_instance_status(const struct instance *instance);

/* A status may have changed: if so a revision, and all groups of the instance are dirty. */
void registry_instance_restate(struct registry *registry, struct instance *instance,
			       uint64_t now_ms);

/* An instance enters (1) or leaves (-1) the counts, as it is. */
void registry_instance_tally(struct registry *registry, const struct instance *instance, int n);

/*
 * To be called where an instance may have ceased to serve, and before the revision that this takes.
 * `served`: whether it did before. `now_ms` is never 0.
 */
void registry_instance_note_served(struct registry *registry, struct instance *instance,
				   bool served, uint64_t now_ms);

/* Takes the next revision for a change, and tells of it. `instance` may be NULL. */
void registry_instance_revise(struct registry *registry, enum event_kind kind,
			      struct service *service, struct instance *instance);

#endif
