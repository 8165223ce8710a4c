/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * registry: the writer's truth. Every change goes in through registry_apply(), time goes in through
 * registry_expire(); what became dirty comes out through registry_take_dirty() and is compiled into
 * DNS answers (model/compile.h).
 *
 * Control thread only. Pure: no sockets, no clock of its own; `now_ms` is server time
 * (base/server_clock.h) and never goes back.
 *
 * Costs: a change is O(1) plus O(log n) in the deadline heap; a heartbeat touches no heap at all
 * (deadlines are looked at again when they come up). Nothing walks all services.
 */
#ifndef ROSTERD_MODEL_REGISTRY_H
#define ROSTERD_MODEL_REGISTRY_H

#include "base/counters.h"
#include "model/events.h"
#include "model/policy.h"

struct registry;

struct registry_options {
	/* The revision before the first change. */
	uint64_t revision;
	/* DNS TTL of services that ask for none, seconds. */
	uint32_t ttl_s;
	/* The control thread's counters. */
	struct counters *counters;
	/*
	 * Whether an owner name that this registration would add is taken by a zone file; writes
	 * the name in text form. NULL: nothing is taken.
	 */
	bool (*collides)(void *cookie, const struct registration *registration, char *name,
			 size_t name_size);
	/* A check begins or ends to exist. NULL: nobody runs checks. */
	void (*check_started)(void *cookie, const struct check *check);
	void (*check_stopped)(void *cookie, const struct check *check);
	/*
	 * There is a new revision, which service->revision has: called once for each, in order, and
	 * before an instance that goes is freed. NULL `instance`: the service as a whole. NULL:
	 * nobody watches.
	 */
	void (*changed)(void *cookie, enum event_kind kind, const struct service *service,
			const struct instance *instance);
	void *cookie;
};

enum registry_result {
	REGISTRY_CREATED,   /* a new instance */
	REGISTRY_UPDATED,   /* done; also where nothing had to change */
	REGISTRY_NOT_FOUND, /* no such service, instance or check */
	REGISTRY_AMBIGUOUS, /* a heartbeat without id that several instances could mean */
	REGISTRY_CONFLICT,  /* a static name, or another instance's label, is in the way */
	REGISTRY_FULL,      /* LIMIT_INSTANCES */
	REGISTRY_NO_MEMORY,
};

struct outcome {
	enum registry_result result;
	/* CREATED, UPDATED: the instance, valid until the next registry call; NULL if deregistered.
	 */
	const struct instance *instance;
	/* Otherwise: for people. */
	char message[256];
};

/* NULL when out of memory. `options` is copied. */
struct registry *registry_new(const struct registry_options *options);
void registry_free(struct registry *registry);

/*
 * Applies one change, whole or not at all. The result is also in outcome->result.
 *
 * Registering the same (service, id) again replaces it; checks whose definition is the same keep
 * their state. A registration that says nothing new renews the lease and takes no revision.
 *
 * Restoring takes no revision either and makes no event. An instance comes back as it was last
 * known; its lease and its checks have a full period. A static name is no conflict then, but to be
 * there already is one. All instances of a service are restored before it is compiled, and before
 * its policy is.
 */
enum registry_result registry_apply(struct registry *registry, const struct change *change,
				    uint64_t now_ms, struct outcome *outcome);

/*
 * Behind restoring: the process before has answered until now, so what it named is in use until
 * what it said then has expired.
 */
void registry_set_inherited(struct registry *registry, uint64_t now_ms);

/*
 * What registry_apply() would make of this change now: its result, instance (as it is now; NULL: to
 * be created) and message. Nothing changes. `changes`: whether what is stored of it
 * (model/stored.h) would be another thing then; no for a registration, an admin state or a policy
 * that says nothing new. Of CHANGE_REGISTER, CHANGE_DEREGISTER, CHANGE_POLICY and CHANGE_ADMIN
 * alone.
 */
enum registry_result registry_admit(const struct registry *registry, const struct change *change,
				    struct outcome *outcome, bool *changes);

/*
 * Removes what has expired by `now_ms` and marks answers dirty whose TTL must be looked at. Where
 * much is due at once it does a part, in order, and registry_next_deadline() stays in the past: to
 * be published before it is called again, so that leases which end together hold up nobody.
 */
void registry_expire(struct registry *registry, uint64_t now_ms);

/* The next time at which registry_expire() has something to do; UINT64_MAX: never. */
uint64_t registry_next_deadline(const struct registry *registry);

/* The newest change's number. */
uint64_t registry_revision(const struct registry *registry);

/*
 * Whether files of services are read, so that what is from one is that file's alone: only a change
 * that names the same file replaces it by something of no file, or deregisters it. Not so at first.
 */
void registry_set_files(struct registry *registry, bool are_read);

/* Changes the default TTL and marks what uses it dirty. */
void registry_set_ttl(struct registry *registry, uint32_t ttl_s);

/* NULL: no such service (a service without instances is none). `name` in any case. */
const struct service *registry_find_service(const struct registry *registry, const char *name);
const struct instance *registry_find_instance(const struct registry *registry,
					      const struct service *service, const char *id);

/* The live instance of a service with this DNS label, or NULL. */
const struct instance *registry_find_label(const struct registry *registry,
					   const struct service *service, const char *label);

/* All services in an unspecified order; start with *position = 0; NULL at the end. */
const struct service *registry_next_service(const struct registry *registry, size_t *position);

size_t registry_count_services(const struct registry *registry);
size_t registry_count_instances(const struct registry *registry);
size_t registry_count_status(const struct registry *registry, enum status status);
size_t registry_count_admin(const struct registry *registry, enum admin admin);
/*
 * As it was last compiled, whatever zones show: services by who is served for their own name, and
 * groups of instances on which a failure policy acts.
 */
size_t registry_count_mode(const struct registry *registry, enum policy_mode mode);
size_t registry_count_acting(const struct registry *registry, enum policy_mode mode);

/* ---- For compile alone ---- */

/* Whether registry_take_dirty() would return something. */
bool registry_is_dirty(const struct registry *registry);

/*
 * The next service with dirty groups or instances or a `refresh`, or NULL. The caller looks at them
 * and then calls registry_clean(), which empties them, and frees instances and groups that are
 * gone, and the service when it has no instance left.
 */
struct service *registry_take_dirty(struct registry *registry);
void registry_clean(struct registry *registry, struct service *service);

/* Instead of cleaning: the service stays dirty as it is and is taken first next time. */
void registry_put_back(struct registry *registry, struct service *service);

/* Marks a service's names dirty from outside (a static name went away); unknown names are ignored.
 */
void registry_touch_service(struct registry *registry, const char *name);
/* The same for all services (zones were added, filters changed). */
void registry_touch_all(struct registry *registry);

/*
 * Notes until when the service's answers are known to hold; shortly before, registry_expire() asks
 * for another look (service->refresh).
 */
void registry_set_stable(struct registry *registry, struct service *service,
			 uint64_t stable_until_ms, uint64_t now_ms);

/* Notes who is served of a group, for the counts; that ends when the group is freed. */
void registry_set_mode(struct registry *registry, struct group *group, enum policy_mode mode);

/* The DNS TTL of the service's records, seconds. */
uint32_t registry_ttl_s(const struct registry *registry, const struct service *service);

#endif
