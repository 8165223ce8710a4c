/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/registry_admit.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum registry_result registry_admit_refuse(struct outcome *outcome, enum registry_result result,
					   const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(outcome->message, sizeof(outcome->message), format, args);
	va_end(args);
	return result;
}

enum registry_result registry_admit_no_memory(struct outcome *outcome)
{
	return registry_admit_refuse(outcome, REGISTRY_NO_MEMORY, "out of memory");
}

enum registry_result registry_admit_instance(const struct registry *registry,
					     const struct registration *registration,
					     struct outcome *outcome)
{
	const struct service *service = registry_index_service(registry, registration->service);
	const struct instance *instance =
		service ? registry_index_label(registry, service, record_label(registration))
			: NULL;

	if (instance && strcmp(instance->registration->id, registration->id) != 0)
		return registry_admit_refuse(
			outcome, REGISTRY_CONFLICT,
			"the DNS label \"%s\" of this id belongs to the instance \"%s\"",
			record_label(registration), instance->registration->id);
	if (!instance && table_count(registry->instances) >= LIMIT_INSTANCES) {
		counters_add(&registry->options.counters->limit_instances, 1);
		return registry_admit_refuse(outcome, REGISTRY_FULL,
					     "the registry holds %d instances, its limit",
					     LIMIT_INSTANCES);
	}
	outcome->instance = instance;
	return instance ? REGISTRY_UPDATED : REGISTRY_CREATED;
}

bool registry_admit_owner(const struct registry *registry, const struct instance *instance,
			  const char *file, struct outcome *outcome)
{
	const char *owner = instance->registration->file;

	if (file ? owner && strcmp(owner, file) == 0 : !owner || !registry->files_own)
		return true;
	if (file)
		outcome->result = registry_admit_refuse(outcome, REGISTRY_NOT_FOUND,
							"no such instance of this file");
	else
		outcome->result = registry_admit_refuse(
			outcome, REGISTRY_CONFLICT,
			"the instance is from the file \"%.*s\": change it there", 160, owner);
	outcome->instance = NULL;
	return false;
}

static enum registry_result admit_register(const struct registry *registry,
					   const struct registration *registration,
					   struct outcome *outcome, bool *changes)
{
	const struct registry_options *options = &registry->options;
	enum registry_result result = registry_admit_instance(registry, registration, outcome);
	char name[256];

	if (result == REGISTRY_CONFLICT)
		return result;
	if (outcome->instance && !registration->file &&
	    !registry_admit_owner(registry, outcome->instance, NULL, outcome))
		return outcome->result;
	if (outcome->instance &&
	    record_registration_equal(outcome->instance->registration, registration)) {
		*changes = false;
		return result;
	}
	/* What will never be good is said before what may be good another time. */
	if (options->collides &&
	    options->collides(options->cookie, registration, name, sizeof(name))) {
		outcome->instance = NULL;
		return registry_admit_refuse(outcome, REGISTRY_CONFLICT,
					     "%s is a name of the zone file", name);
	}
	return result;
}

/* Finds the instance that a change is about. */
static enum registry_result admit_target(const struct registry *registry, const char *name,
					 const char *id, struct outcome *outcome)
{
	const struct service *service = registry_index_service(registry, name);

	outcome->instance = service ? registry_index_id(registry, service, id) : NULL;
	if (outcome->instance)
		return REGISTRY_UPDATED;
	return registry_admit_refuse(outcome, REGISTRY_NOT_FOUND, "no such instance");
}

bool registry_admit_policy(const struct service *service, const struct change_policy *policy,
			   struct service *wanted)
{
	wanted->ttl_s = policy->ttl_s ? *policy->ttl_s : service->ttl_s;
	wanted->answer_limit = policy->answer_limit ? *policy->answer_limit : service->answer_limit;
	wanted->failure = policy->failure ? *policy->failure : service->failure;
	wanted->panic_ppm = policy->panic_ppm ? *policy->panic_ppm : service->panic_ppm;
	return wanted->ttl_s != service->ttl_s || wanted->answer_limit != service->answer_limit ||
	       wanted->failure != service->failure || wanted->panic_ppm != service->panic_ppm;
}

static enum registry_result admit_policy(const struct registry *registry,
					 const struct change_policy *policy,
					 struct outcome *outcome, bool *changes)
{
	const struct service *service = registry_index_service(registry, policy->service);
	struct service wanted;

	if (!service || service->n_instances == 0)
		return registry_admit_refuse(outcome, REGISTRY_NOT_FOUND, "no such service");
	*changes = registry_admit_policy(service, policy, &wanted);
	return REGISTRY_UPDATED;
}

enum registry_result registry_admit(const struct registry *registry, const struct change *change,
				    struct outcome *outcome, bool *changes)
{
	enum registry_result result;

	outcome->instance = NULL;
	outcome->message[0] = '\0';
	*changes = true;
	switch (change->kind) {
	case CHANGE_REGISTER:
		result = admit_register(registry, change->registration, outcome, changes);
		break;
	case CHANGE_DEREGISTER:
		result = admit_target(registry, change->deregister.service, change->deregister.id,
				      outcome);
		if (outcome->instance && !registry_admit_owner(registry, outcome->instance,
							       change->deregister.file, outcome))
			result = outcome->result;
		break;
	case CHANGE_POLICY:
		result = admit_policy(registry, &change->policy, outcome, changes);
		break;
	case CHANGE_ADMIN:
		result = admit_target(registry, change->admin.service, change->admin.id, outcome);
		*changes = outcome->instance && outcome->instance->admin != change->admin.admin;
		break;
	case CHANGE_HEARTBEAT:
	case CHANGE_CHECK_RESULT:
	case CHANGE_RESTORE:
	case CHANGE_RESTORE_POLICY:
	default:
		abort(); /* nothing that could be refused is stored of them */
	}
	outcome->result = result;
	*changes = *changes && (result == REGISTRY_CREATED || result == REGISTRY_UPDATED);
	return result;
}
