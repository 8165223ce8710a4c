/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/commit_put.h"

#include <assert.h>

void commit_put_init(struct commit_put *put, const struct registry *registry)
{
	put->batch = store_batch_new();
	put->registry = registry;
	put->n = 0;
	buf_init(&put->record);
}

void commit_put_fini(struct commit_put *put)
{
	store_batch_free(put->batch);
	buf_fini(&put->record);
}

bool commit_put_failed(const struct commit_put *put)
{
	return put->record.failed || store_batch_failed(put->batch);
}

/* Puts what was just appended to put->record. */
static void put_record(struct commit_put *put, enum stored_kind kind, const struct stored_key *key)
{
	if (!put->record.failed)
		store_batch_put(put->batch, kind, key, put->record.data, put->record.len);
	put->record.len = 0;
}

static void put_registration(struct commit_put *put, const struct registration *registration)
{
	const struct stored_key key = { registration->service, registration->id };

	stored_put_registration(&put->record, registration);
	put_record(put, STORED_REGISTRATION, &key);
}

static void put_state(struct commit_put *put, const struct instance *instance,
		      const struct stored_state *state)
{
	const struct stored_key key = { instance->registration->service,
					instance->registration->id };

	stored_put_state(&put->record, &key, state);
	put_record(put, STORED_STATE, &key);
}

static void put_field(struct commit_put *put, const char *service, enum stored_field field,
		      uint32_t value)
{
	const struct stored_key key = { service, stored_field_name(field) };

	stored_put_policy(&put->record, &key, value);
	put_record(put, STORED_POLICY, &key);
}

static void remove_instance(struct commit_put *put, const char *service, const char *id)
{
	const struct stored_key key = { service, id };

	store_batch_remove(put->batch, STORED_REGISTRATION, &key);
	store_batch_remove(put->batch, STORED_STATE, &key);
}

/* ---- Changes ---- */

/* Whoever registers again keeps what an operator said, and nothing of what it reported. */
static void put_register(struct commit_put *put, const struct registration *registration,
			 const struct instance *before)
{
	struct stored_state state;

	put_registration(put, registration);
	if (before) {
		stored_state_after(before, registration, &state);
		put_state(put, before, &state);
	}
	if (registration->ttl_s)
		put_field(put, registration->service, STORED_TTL, registration->ttl_s);
}

static void put_policy(struct commit_put *put, const struct change_policy *policy)
{
	uint32_t value;

	for (enum stored_field field = 0; field < STORED_FIELDS; field++)
		if (stored_policy_get(policy, field, &value))
			put_field(put, policy->service, field, value);
}

void commit_put_change(struct commit_put *put, const struct change *change,
		       const struct outcome *outcome)
{
	struct stored_state state;

	put->n++;
	switch (change->kind) {
	case CHANGE_REGISTER:
		put_register(put, change->registration, outcome->instance);
		return;
	case CHANGE_DEREGISTER:
		remove_instance(put, change->deregister.service, change->deregister.id);
		return;
	case CHANGE_POLICY:
		put_policy(put, &change->policy);
		return;
	case CHANGE_ADMIN:
		stored_state_of(outcome->instance, &state);
		state.admin = change->admin.admin;
		put_state(put, outcome->instance, &state);
		return;
	case CHANGE_HEARTBEAT:
	case CHANGE_CHECK_RESULT:
	case CHANGE_RESTORE:
	case CHANGE_RESTORE_POLICY:
		break;
	}
	assert(!"nothing of this is kept");
}

/* ---- Keys ---- */

/* What is not there any more, or is as nobody set it, has no record. */
static void put_service(struct commit_put *put, const char *name)
{
	const struct service *service = registry_find_service(put->registry, name);
	const uint32_t values[STORED_FIELDS] = {
		[STORED_TTL] = service ? service->ttl_s : 0,
		[STORED_ANSWER_LIMIT] = service ? service->answer_limit : 0,
		[STORED_FAILURE] = service ? service->failure : FAILURE_EMPTY,
		[STORED_PANIC] = service ? service->panic_ppm : 0,
	};

	for (enum stored_field field = 0; field < STORED_FIELDS; field++) {
		const struct stored_key key = { name, stored_field_name(field) };

		if (values[field])
			put_field(put, name, field, values[field]);
		else
			store_batch_remove(put->batch, STORED_POLICY, &key);
	}
}

void commit_put_key(struct commit_put *put, const struct commit_key *key)
{
	const struct service *service = registry_find_service(put->registry, key->service);
	const struct instance *instance;
	struct stored_state state;

	put->n++;
	if (!*key->id) {
		put_service(put, key->service);
		return;
	}
	instance = service ? registry_find_instance(put->registry, service, key->id) : NULL;
	if (!instance) {
		remove_instance(put, key->service, key->id);
		return;
	}
	if (key->work == COMMIT_WHOLE)
		put_registration(put, instance->registration);
	stored_state_of(instance, &state);
	put_state(put, instance, &state);
}
