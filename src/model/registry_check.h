/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * registry_check: the checks of an instance as its registration comes and changes; inside of the
 * registry (model/registry.h).
 */
#ifndef ROSTERD_MODEL_REGISTRY_CHECK_H
#define ROSTERD_MODEL_REGISTRY_CHECK_H

#include "model/registry_index.h"

/*
 * The checks of a registration that `instance` is to have: present ones that stay, with their
 * state, and new ones, in the index; NULL if there are none. -1 when out of memory: nothing has
 * changed.
 */
int registry_check_make(struct registry *registry, struct instance *instance,
			const struct registration *registration, struct check ***made);

/* Undoes registry_check_make() for an instance that had no checks. NULL is fine. */
void registry_check_unmake(struct registry *registry, struct check **checks, size_t n);

/*
 * Puts a packed registration (model/record_pack.h) and its checks in place of what the instance
 * had, if anything, and frees that.
 */
void registry_check_install(struct registry *registry, struct instance *instance,
			    struct registration *registration, struct check **checks);

/*
 * Checks by heartbeats (CHECK_TTL). Arming gives those of an instance that are new their first
 * deadline; room in the heap must be there. A report is a heartbeat: each takes on what the
 * instance reports and has its whole time again; `output` may be NULL; true: a check's status
 * changed. What comes up is either missed by now, then it is critical and the result is true, or
 * was reported on since and waits again.
 */
void registry_check_arm(struct registry *registry, const struct instance *instance,
			uint64_t now_ms);
bool registry_check_report(struct registry *registry, const struct instance *instance,
			   const char *output, uint64_t now_ms);
bool registry_check_on_deadline(struct registry *registry, struct check *check, uint64_t now_ms);

/* Counts a result, and puts it into the check's history. */
void registry_check_count(const struct registry *registry, struct check *check, enum status result);

/* Keeps what a check or a heartbeat said; without memory, what was said before. */
void registry_check_set_output(char **output, const char *text);

/* Takes a check out of the index and the heap, and tells the prober. */
void registry_check_stop(struct registry *registry, struct check *check);

/* NULL is fine. */
void registry_check_free(struct check *check);

#endif
