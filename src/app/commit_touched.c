/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/commit_touched.h"

#include <assert.h>
#include <string.h>

/* No instance has this id: it marks that one of the service's is deregistered. */
static const char departed[] = "\x01";

static uint64_t hash_of(const struct commit_touched *touched, const char *service, const char *id)
{
	uint64_t hash = siphash(&touched->hash_key, service, strlen(service)) ^
			siphash(&touched->hash_key, id, strlen(id) + 1);

	return hash ? hash : 1;
}

/* The hash's place, or the one where it would be. */
static size_t place_of(const struct commit_touched *touched, uint64_t hash)
{
	size_t mask = (1u << COMMIT_TOUCHED_BITS) - 1, at = hash & mask;

	while (touched->places[at] && touched->places[at] != hash)
		at = (at + 1) & mask;
	return at;
}

static bool has_key(const struct commit_touched *touched, const char *service, const char *id)
{
	return touched->places[place_of(touched, hash_of(touched, service, id))] != 0;
}

void commit_touched_init(struct commit_touched *touched, const struct registry *registry)
{
	touched->registry = registry;
	siphash_key_init(&touched->hash_key);
	commit_touched_clear(touched);
}

void commit_touched_clear(struct commit_touched *touched)
{
	memset(touched->places, 0, sizeof(touched->places));
	touched->n_departures = 0;
}

struct commit_subject commit_touched_subject(const struct change *change)
{
	switch (change->kind) {
	case CHANGE_REGISTER:
		return (struct commit_subject){ change->registration->service,
						change->registration->id,
						change->registration->ttl_s != 0 };
	case CHANGE_DEREGISTER:
		return (struct commit_subject){ change->deregister.service, change->deregister.id,
						false };
	case CHANGE_ADMIN:
		return (struct commit_subject){ change->admin.service, change->admin.id, false };
	default:
		assert(change->kind == CHANGE_POLICY);
		return (struct commit_subject){ change->policy.service, NULL, true };
	}
}

/* What is said of a policy and is so already does not keep other writes from the batch. */
static bool changes_policy(const struct commit_touched *touched, const struct change *change)
{
	const struct service *service;

	if (change->kind != CHANGE_REGISTER)
		return true;
	service = registry_find_service(touched->registry, change->registration->service);
	return !service || service->ttl_s != change->registration->ttl_s;
}

void commit_touched_put_key(struct commit_touched *touched, const char *service, const char *id)
{
	uint64_t hash = hash_of(touched, service, id);

	touched->places[place_of(touched, hash)] = hash;
}

void commit_touched_put(struct commit_touched *touched, const struct change *change)
{
	const struct commit_subject subject = commit_touched_subject(change);

	if (subject.id)
		commit_touched_put_key(touched, subject.service, subject.id);
	if (subject.is_policy && changes_policy(touched, change))
		commit_touched_put_key(touched, subject.service, "");
	if (change->kind == CHANGE_DEREGISTER) {
		commit_touched_put_key(touched, subject.service, departed);
		touched->n_departures++;
	}
}

bool commit_touched_has(const struct commit_touched *touched, const struct commit_subject *subject)
{
	return (subject->id && has_key(touched, subject->service, subject->id)) ||
	       (subject->is_policy && has_key(touched, subject->service, ""));
}

/*
 * Whether the batch may take the last instance that the service has: whatever is registered then is
 * the first of another service, which has none of this one's policy.
 */
static bool may_end_service(const struct commit_touched *touched, const struct change *change)
{
	const struct service *service;

	if (change->kind != CHANGE_REGISTER ||
	    !has_key(touched, change->registration->service, departed))
		return false;
	service = registry_find_service(touched->registry, change->registration->service);
	return service && service->n_instances <= touched->n_departures;
}

bool commit_touched_delays(const struct commit_touched *touched, const struct api_write *write)
{
	for (size_t i = 0; i < write->n; i++) {
		const struct change *change = &write->slots[i].change;
		struct commit_subject subject;

		if (write->slots[i].status)
			continue;
		subject = commit_touched_subject(change);
		if (commit_touched_has(touched, &subject) || may_end_service(touched, change))
			return true;
	}
	return false;
}
