/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/compile_set.h"

#include "dns/name.h"
#include "dns/rr.h"
#include "dns/wire.h"
#include "model/policy.h"
#include "model/single.h"

#include <stdlib.h>
#include <string.h>

enum {
	SRV_FIXED = 6, /* priority, weight, port (RFC 2782) */
};

/* ---- Members ---- */

static const struct named_port *find_port(const struct registration *registration, const char *name)
{
	for (size_t i = 0; i < registration->n_ports; i++)
		if (strcmp(registration->ports[i].name, name) == 0)
			return &registration->ports[i];
	return NULL;
}

bool compile_set_has(const struct group *group, const struct registration *registration)
{
	switch (group->kind) {
	case GROUP_ALL:
		return true;
	case GROUP_PROTOCOL:
		return registration->protocol == group->protocol;
	case GROUP_TAG:
		return record_has_tag(registration, group->label);
	case GROUP_PORT:
		return registration->protocol == group->protocol &&
		       find_port(registration, group->label);
	}
	return false;
}

/* By priority; then the oldest first, so that a change elsewhere does not move the others. */
static int compare_members(const void *a, const void *b)
{
	const struct instance *x = *(const struct instance *const *)a;
	const struct instance *y = *(const struct instance *const *)b;

	if (x->registration->priority != y->registration->priority)
		return x->registration->priority < y->registration->priority ? -1 : 1;
	return x->created < y->created ? -1 : x->created > y->created;
}

/*
 * Most often they are in order already, for they came in it: a look at each is much cheaper than
 * what qsort() does to find that out, where a service has thousands.
 */
static void sort(void *items, size_t n, size_t size, int (*compare)(const void *, const void *))
{
	const char *item = items;

	for (size_t i = 1; i < n; i++, item += size) {
		if (compare(item, item + size) > 0) {
			qsort(items, n, size, compare);
			return;
		}
	}
}

static bool is_shown(const struct compile_zone *zone, const struct group *group,
		     const struct instance *instance)
{
	return compile_set_has(group, instance->registration) &&
	       (!zone || compile_zone_shows(zone, instance->registration));
}

struct policy_tally compile_set_count(const struct compile_zone *zone, const struct group *group,
				      size_t *n)
{
	const struct service *service = group->service;
	struct policy_tally tally = { .n_eligible = 0 };

	*n = 0;
	for (size_t i = 0; i < service->n_instances; i++) {
		if (!is_shown(zone, group, service->instances[i]))
			continue;
		policy_count(&tally, service->instances[i]);
		++*n;
	}
	return tally;
}

size_t compile_set_collect(struct compile_set *set, const struct compile_zone *zone,
			   const struct group *group)
{
	const struct service *service = group->service;
	struct policy_tally tally = { .n_eligible = 0 };
	size_t n = 0;

	for (size_t i = 0; i < service->n_instances; i++) {
		if (!is_shown(zone, group, service->instances[i]))
			continue;
		policy_count(&tally, service->instances[i]);
		set->members[n++] = service->instances[i];
	}
	set->mode = policy_choose(service, &tally);
	set->n_members = 0;
	for (size_t i = 0; i < n; i++)
		if (policy_picks(set->mode, &tally, set->members[i]))
			set->members[set->n_members++] = set->members[i];
	sort(set->members, set->n_members, sizeof(struct instance *), compare_members);
	return n;
}

int compile_set_reserve(struct compile_set *set, size_t n)
{
	const struct instance **members;

	if (n <= set->cap_members)
		return 0;
	members = realloc(set->members, n * 2 * sizeof(struct instance *));
	if (!members)
		return -1;
	set->members = members;
	set->cap_members = n * 2;
	return 0;
}

/* ---- Address sets ---- */

struct target {
	uint8_t address[16];
	uint32_t weight;
};

static bool get_address(const struct instance *instance, uint16_t type, uint8_t address[16])
{
	const struct address *from = &instance->registration->address;

	if (type == RR_A && from->has_v4)
		memcpy(address, from->v4, sizeof(from->v4));
	else if (type == RR_AAAA && from->has_v6)
		memcpy(address, from->v6, sizeof(from->v6));
	else
		return false;
	return true;
}

static int compare_targets(const void *a, const void *b)
{
	const struct target *x = a, *y = b;

	return memcmp(x->address, y->address, sizeof(x->address));
}

static bool has_address(const struct instance *instance, uint16_t type)
{
	uint8_t address[16];

	return get_address(instance, type, address);
}

struct compile_set_tier compile_set_tier(const struct compile_set *set, uint16_t type)
{
	struct compile_set_tier tier = { .type = type };

	for (size_t i = 0; i < set->n_members; i++) {
		const struct registration *registration = set->members[i]->registration;

		/* The best come first. */
		if (tier.is_any && registration->priority != tier.priority)
			break;
		if (!has_address(set->members[i], type))
			continue;
		tier.is_any = true;
		tier.priority = registration->priority;
		tier.is_weighted |= registration->weight > 0;
	}
	return tier;
}

enum compile_set_place compile_set_place(const struct compile_set_tier *tier,
					 const struct instance *instance)
{
	const struct registration *registration = instance->registration;

	if (tier->type != RR_A && tier->type != RR_AAAA)
		return COMPILE_SET_IN;
	if (!has_address(instance, tier->type))
		return COMPILE_SET_NO_ADDRESS;
	if (registration->priority != tier->priority)
		return COMPILE_SET_WORSE;
	return tier->is_weighted && registration->weight == 0 ? COMPILE_SET_WEIGHTLESS
							      : COMPILE_SET_IN;
}

/* The addresses that answer, each once: instances on one host share a record and add their weights.
 */
static size_t choose_targets(const struct compile_set *set, uint16_t type, struct target *targets)
{
	struct compile_set_tier tier = compile_set_tier(set, type);
	size_t n = 0, n_merged = 0;

	for (size_t i = 0; i < set->n_members; i++) {
		const struct instance *instance = set->members[i];

		if (compile_set_place(&tier, instance) != COMPILE_SET_IN)
			continue;
		targets[n] = (struct target){ .weight = instance->registration->weight };
		get_address(instance, type, targets[n++].address);
	}
	sort(targets, n, sizeof(*targets), compare_targets);
	for (size_t i = 0; i < n; i++) {
		if (n_merged > 0 && compare_targets(&targets[n_merged - 1], &targets[i]) == 0)
			targets[n_merged - 1].weight += targets[i].weight;
		else
			targets[n_merged++] = targets[i];
	}
	return n_merged;
}

static void build_addresses(struct compile_set *set, uint16_t type, uint32_t limit)
{
	size_t address_len = type == RR_A ? 4 : 16, n;
	struct target *targets = malloc((set->n_members + 1) * sizeof(*targets));
	uint32_t *weights = malloc((set->n_members + 1) * sizeof(*weights));

	if (!targets || !weights) {
		set->failed = true;
		goto out;
	}
	n = choose_targets(set, type, targets);
	if (n == 0)
		goto out;
	build_set(&set->build, type, set->ttl_s);
	for (size_t i = 0; i < n; i++) {
		build_record(&set->build, targets[i].address, address_len, NULL, 0);
		weights[i] = targets[i].weight;
	}
	build_rotate(&set->build, weights, (uint32_t)n);
	build_limit(&set->build, limit);
out:
	free(targets);
	free(weights);
}

/* ---- SRV and TXT sets ---- */

static void build_srv_targets(struct compile_set *set, const struct instance *instance)
{
	const struct address *address = &instance->registration->address;

	build_targets(&set->build, (uint8_t)(address->has_v4 + address->has_v6));
	if (address->has_v4)
		build_target(&set->build, RR_A, address->v4, sizeof(address->v4));
	if (address->has_v6)
		build_target(&set->build, RR_AAAA, address->v6, sizeof(address->v6));
}

/* What the names of a service's instances end in. */
static size_t put_service_name(uint8_t *name, const struct service *service,
			       const struct compile_zone *zone)
{
	size_t len = name_put_label(name, 0, service->name);

	memcpy(name + len, zone->content.origin, zone->content.origin_len);
	return len + zone->content.origin_len;
}

/* One record per member (RFC 2782); `port_name` NULL: the instances' own port. */
static void build_srv(struct compile_set *set, const struct compile_zone *zone,
		      const char *port_name)
{
	size_t n = set->n_members, n_tier = 0, service_len;
	uint8_t service[LIMIT_NAME];
	uint32_t *weights;

	if (n == 0)
		return;
	weights = malloc(n * sizeof(*weights));
	if (!weights) {
		set->failed = true;
		return;
	}
	service_len = put_service_name(service, set->members[0]->service, zone);
	build_set(&set->build, RR_SRV, set->ttl_s);
	for (size_t i = 0; i < n; i++) {
		const struct registration *registration = set->members[i]->registration;
		uint8_t start[SRV_FIXED + LIMIT_LABEL + 1];
		size_t len = name_put_label(start, SRV_FIXED, record_label(registration));

		wire_set16(start, registration->priority);
		wire_set16(start + 2, registration->weight);
		wire_set16(start + 4, port_name ? find_port(registration, port_name)->port
						: registration->port);
		build_record(&set->build, start, len, service, service_len);
		weights[i] = registration->weight;
		if (registration->priority == set->members[0]->registration->priority)
			n_tier++;
	}
	build_rotate(&set->build, weights, (uint32_t)n_tier);
	for (size_t i = 0; i < n; i++)
		build_srv_targets(set, set->members[i]);
	free(weights);
}

static size_t put_string(uint8_t *rdata, size_t len, const char *key, const char *value)
{
	size_t key_len = strlen(key), value_len = strlen(value);

	rdata[len] = (uint8_t)(key_len + 1 + value_len);
	memcpy(rdata + len + 1, key, key_len);
	rdata[len + 1 + key_len] = '=';
	memcpy(rdata + len + 2 + key_len, value, value_len);
	return len + 2 + key_len + value_len;
}

static size_t put_tags(uint8_t *rdata, size_t len, const struct registration *registration)
{
	char tags[LIMIT_TAGS_TEXT + LIMIT_TAGS + 1] = "";

	for (size_t i = 0; i < registration->n_tags; i++) {
		if (i > 0)
			strcat(tags, ",");
		strcat(tags, registration->tags[i]);
	}
	return put_string(rdata, len, "tags", tags);
}

/* Metadata and tags as key=value strings (RFC 1464); an empty string where there are none. */
static size_t put_txt(uint8_t *rdata, const struct registration *registration)
{
	size_t len = 0;

	for (size_t i = 0; i < registration->n_meta; i++)
		len = put_string(rdata, len, registration->meta[i].key,
				 registration->meta[i].value);
	if (registration->n_tags)
		len = put_tags(rdata, len, registration);
	if (len == 0)
		rdata[len++] = 0;
	return len;
}

/* Whether a member has anything to say in TXT. */
static bool has_texts(const struct compile_set *set)
{
	for (size_t i = 0; i < set->n_members; i++)
		if (set->members[i]->registration->n_meta || set->members[i]->registration->n_tags)
			return true;
	return false;
}

static void build_txt(struct compile_set *set)
{
	uint8_t rdata[SINGLE_TXT_MAX];

	if (set->n_members == 0)
		return;
	build_set(&set->build, RR_TXT, set->ttl_s);
	for (size_t i = 0; i < set->n_members; i++)
		build_record(&set->build, rdata, put_txt(rdata, set->members[i]->registration),
			     NULL, 0);
	build_dedupe(&set->build);
}

struct entry *compile_set_full(struct compile_set *set, const struct compile_zone *zone,
			       const struct compile_name *name, uint32_t limit)
{
	bool is_textless = set->n_members > 0 && !has_texts(set);
	struct entry *entry;

	build_begin(&set->build);
	build_addresses(set, RR_A, limit);
	build_addresses(set, RR_AAAA, limit);
	build_srv(set, zone, NULL);
	if (!is_textless)
		build_txt(set);
	entry = build_entry(&set->build, name->name, name->len);
	if (entry && is_textless)
		atomic_init(&entry->flags, ENTRY_TEXTLESS);
	return entry;
}

struct entry *compile_set_single(const struct compile_set *set, const struct compile_name *name)
{
	const struct registration *registration = set->members[0]->registration;
	uint8_t txt[SINGLE_TXT_MAX];
	struct single_data data = {
		.ttl_s = set->ttl_s,
		.v4 = registration->address.has_v4 ? registration->address.v4 : NULL,
		.v6 = registration->address.has_v6 ? registration->address.v6 : NULL,
		.priority = registration->priority,
		.weight = registration->weight,
		.port = registration->port,
		.txt = txt,
		.txt_len = put_txt(txt, registration),
	};

	return single_entry(name->name, name->len, &data);
}

struct entry *compile_set_srv(struct compile_set *set, const struct compile_zone *zone,
			      const struct compile_name *name, const char *port_name,
			      const struct entry *full)
{
	if (full)
		return build_alias(name->name, name->len, full, RR_SRV);
	build_begin(&set->build);
	build_srv(set, zone, port_name);
	return build_entry(&set->build, name->name, name->len);
}

void compile_set_init(struct compile_set *set)
{
	memset(set, 0, sizeof(*set));
	build_init(&set->build);
}

void compile_set_fini(struct compile_set *set)
{
	free(set->members);
	build_fini(&set->build);
}
