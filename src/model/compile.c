/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/compile.h"

#include "base/log.h"
#include "dns/name.h"
#include "dns/rr.h"
#include "dns/wire.h"
#include "model/policy.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	NAMES_MAX = 4 + 2 * LIMIT_TAGS + LIMIT_PORTS, /* owner names of one instance */
	SRV_FIXED = 6,
};

/* A zone that is served, or about to be. */
struct compile_zone {
	struct zone *zone;
	struct static_zone content;
	bool delegates;
};

struct compile {
	struct registry *registry;
	struct catalog *catalog;
	struct counters *counters;
	struct compile_zone *zones;
	size_t n_zones;

	/* The service in hand. */
	uint32_t ttl_s;
	struct build build;
	const struct instance **members; /* served ones of the group in hand, best tier first */
	size_t n_members, cap_members;
	size_t n_published;
	bool failed;
};

static const char *const protocol_labels[] = {
	[PROTOCOL_TCP] = "_tcp",
	[PROTOCOL_UDP] = "_udp",
};

/* ---- Names ---- */

/* A name relative to the apex, without the root label. */
struct relative {
	uint8_t name[LIMIT_NAME];
	size_t len;
};

static struct relative relative1(const char *label)
{
	struct relative relative;

	relative.len = name_put_label(relative.name, 0, label);
	return relative;
}

static struct relative relative2(const char *label, const char *parent)
{
	struct relative relative = relative1(label);

	relative.len = name_put_label(relative.name, relative.len, parent);
	return relative;
}

static struct relative relative3(const char *label, const char *parent, const char *top)
{
	struct relative relative = relative2(label, parent);

	relative.len = name_put_label(relative.name, relative.len, top);
	return relative;
}

/* "_label" */
static const char *underscore(const char *label, char text[LIMIT_LABEL + 2])
{
	text[0] = '_';
	strcpy(text + 1, label);
	return text;
}

static bool has_underscore_form(const char *label)
{
	return strlen(label) < LIMIT_LABEL;
}

/* ---- Members ---- */

static bool has_tag(const struct registration *registration, const char *tag)
{
	for (size_t i = 0; i < registration->n_tags; i++)
		if (strcasecmp(registration->tags[i], tag) == 0)
			return true;
	return false;
}

static bool has_meta(const struct registration *registration, const char *key, const char *value)
{
	for (size_t i = 0; i < registration->n_meta; i++)
		if (strcmp(registration->meta[i].key, key) == 0)
			return strcmp(registration->meta[i].value, value) == 0;
	return false;
}

static bool zone_shows(const struct compile_zone *zone, const struct registration *registration)
{
	const struct zone_filter *filter = &zone->content.filter;

	return (!filter->tag || has_tag(registration, filter->tag)) &&
	       (!filter->meta_key || has_meta(registration, filter->meta_key, filter->meta_value));
}

static const struct named_port *find_port(const struct registration *registration, const char *name)
{
	for (size_t i = 0; i < registration->n_ports; i++)
		if (strcmp(registration->ports[i].name, name) == 0)
			return &registration->ports[i];
	return NULL;
}

static bool is_member(const struct group *group, const struct registration *registration)
{
	switch (group->kind) {
	case GROUP_ALL:
		return true;
	case GROUP_PROTOCOL:
		return registration->protocol == group->protocol;
	case GROUP_TAG:
		return has_tag(registration, group->label);
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

/* Collects the served members of a group in a zone. Returns how many there are, served or not. */
static size_t collect(struct compile *compile, const struct compile_zone *zone,
		      const struct group *group)
{
	const struct service *service = group->service;
	size_t n = 0;

	compile->n_members = 0;
	for (size_t i = 0; i < service->n_instances; i++) {
		const struct instance *instance = service->instances[i];

		if (!is_member(group, instance->registration) ||
		    !zone_shows(zone, instance->registration))
			continue;
		n++;
		if (policy_serves(instance))
			compile->members[compile->n_members++] = instance;
	}
	if (compile->n_members > 1)
		qsort(compile->members, compile->n_members, sizeof(struct instance *),
		      compare_members);
	return n;
}

static int reserve_members(struct compile *compile, size_t n)
{
	const struct instance **members;

	if (n <= compile->cap_members)
		return 0;
	members = realloc(compile->members, n * 2 * sizeof(struct instance *));
	if (!members)
		return -1;
	compile->members = members;
	compile->cap_members = n * 2;
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

/*
 * The addresses of the best tier that has any, each once: instances on one host share a record and
 * add their weights. Those of weight 0 only if there are no others.
 */
static size_t choose_targets(const struct compile *compile, uint16_t type, struct target *targets)
{
	size_t n = 0, n_weighted = 0, n_merged = 0;
	uint16_t priority = 0;

	for (size_t i = 0; i < compile->n_members; i++) {
		const struct registration *registration = compile->members[i]->registration;
		struct target target = { .weight = registration->weight };

		if (n > 0 && registration->priority != priority)
			break;
		if (!get_address(compile->members[i], type, target.address))
			continue;
		priority = registration->priority;
		n_weighted += target.weight > 0;
		targets[n++] = target;
	}
	if (n_weighted > 0 && n_weighted < n) {
		size_t kept = 0;

		for (size_t i = 0; i < n; i++)
			if (targets[i].weight > 0)
				targets[kept++] = targets[i];
		n = kept;
	}
	if (n > 1)
		qsort(targets, n, sizeof(*targets), compare_targets);
	for (size_t i = 0; i < n; i++) {
		if (n_merged > 0 && compare_targets(&targets[n_merged - 1], &targets[i]) == 0)
			targets[n_merged - 1].weight += targets[i].weight;
		else
			targets[n_merged++] = targets[i];
	}
	return n_merged;
}

static void build_addresses(struct compile *compile, uint16_t type, uint32_t limit)
{
	size_t address_len = type == RR_A ? 4 : 16, n;
	struct target *targets = malloc((compile->n_members + 1) * sizeof(*targets));
	uint32_t *weights = malloc((compile->n_members + 1) * sizeof(*weights));

	if (!targets || !weights) {
		compile->failed = true;
		goto out;
	}
	n = choose_targets(compile, type, targets);
	if (n == 0)
		goto out;
	build_set(&compile->build, type, compile->ttl_s);
	for (size_t i = 0; i < n; i++) {
		build_record(&compile->build, targets[i].address, address_len, NULL, 0);
		weights[i] = targets[i].weight;
	}
	build_rotate(&compile->build, weights, (uint32_t)n);
	build_limit(&compile->build, limit);
out:
	free(targets);
	free(weights);
}

/* ---- SRV and TXT sets ---- */

static void build_srv_targets(struct compile *compile, uint32_t i)
{
	static const struct {
		uint16_t type;
		uint8_t len;
	} kinds[] = { { RR_A, 4 }, { RR_AAAA, 16 } };
	uint8_t address[16];

	for (size_t k = 0; k < 2; k++)
		if (get_address(compile->members[i], kinds[k].type, address))
			build_target(&compile->build, i, kinds[k].type, address, kinds[k].len);
}

static size_t put_target_name(uint8_t *name, const struct instance *instance,
			      const struct compile_zone *zone)
{
	size_t len = name_put_label(name, 0, instance->registration->label);

	len = name_put_label(name, len, instance->service->name);
	memcpy(name + len, zone->content.origin, zone->content.origin_len);
	return len + zone->content.origin_len;
}

/* One record per member (RFC 2782); `port_name` NULL: the instances' own port. */
static void build_srv(struct compile *compile, const struct compile_zone *zone,
		      const char *port_name)
{
	size_t n = compile->n_members, n_tier = 0;
	uint32_t *weights;

	if (n == 0)
		return;
	weights = malloc(n * sizeof(*weights));
	if (!weights) {
		compile->failed = true;
		return;
	}
	build_set(&compile->build, RR_SRV, compile->ttl_s);
	for (size_t i = 0; i < n; i++) {
		const struct registration *registration = compile->members[i]->registration;
		uint8_t fixed[SRV_FIXED], name[LIMIT_NAME];
		size_t name_len = put_target_name(name, compile->members[i], zone);

		wire_set16(fixed, registration->priority);
		wire_set16(fixed + 2, registration->weight);
		wire_set16(fixed + 4, port_name ? find_port(registration, port_name)->port
						: registration->port);
		build_record(&compile->build, fixed, sizeof(fixed), name, name_len);
		weights[i] = registration->weight;
		if (registration->priority == compile->members[0]->registration->priority)
			n_tier++;
	}
	build_rotate(&compile->build, weights, (uint32_t)n_tier);
	for (size_t i = 0; i < n; i++)
		build_srv_targets(compile, (uint32_t)i);
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

/* Metadata and tags as key=value strings (RFC 1464); an empty string where there are none. */
static size_t put_txt(uint8_t *rdata, const struct registration *registration)
{
	char tags[LIMIT_TAGS_TEXT + LIMIT_TAGS + 1] = "";
	size_t len = 0;

	for (size_t i = 0; i < registration->n_meta; i++)
		len = put_string(rdata, len, registration->meta[i].key,
				 registration->meta[i].value);
	for (size_t i = 0; i < registration->n_tags; i++) {
		if (i > 0)
			strcat(tags, ",");
		strcat(tags, registration->tags[i]);
	}
	if (registration->n_tags)
		len = put_string(rdata, len, "tags", tags);
	if (len == 0)
		rdata[len++] = 0;
	return len;
}

static void build_txt(struct compile *compile)
{
	uint8_t rdata[(LIMIT_META + 1) * (LIMIT_META_TEXT + 1)];

	if (compile->n_members == 0)
		return;
	build_set(&compile->build, RR_TXT, compile->ttl_s);
	for (size_t i = 0; i < compile->n_members; i++)
		build_record(&compile->build, rdata,
			     put_txt(rdata, compile->members[i]->registration), NULL, 0);
	build_dedupe(&compile->build);
}

/* ---- Publishing names ---- */

/* Whether a name lies below a delegation of the zone file: then it is not ours to answer. */
static bool is_occluded(const struct compile *compile, const struct compile_zone *zone,
			const struct relative *name)
{
	size_t at = 0;

	while (zone->delegates && (at += name->name[at] + 1u) < name->len) {
		const uint8_t *above = name->name + at;
		size_t len = name->len - at;
		const struct entry *entry = catalog_find(
			zone->zone, catalog_hash(compile->catalog, above, len), above, len);

		if (entry &&
		    (atomic_load_explicit(&entry->flags, memory_order_relaxed) & ENTRY_DELEGATION))
			return true;
	}
	return false;
}

static void withdraw(struct compile *compile, const struct compile_zone *zone,
		     const struct relative *name)
{
	catalog_remove(compile->catalog, zone->zone, name->name, name->len, false);
}

/*
 * Publishes an entry that the caller made, or NULL where memory was short. Returns it if queries
 * now see it, else NULL: the name is then the zone file's, or what was there before stays.
 */
static struct entry *publish(struct compile *compile, const struct compile_zone *zone,
			     const struct relative *name, struct entry *entry,
			     uint64_t stable_until_ms)
{
	int result;

	if (!entry) {
		compile->failed = true;
		return NULL;
	}
	if (is_occluded(compile, zone, name)) {
		free(entry);
		withdraw(compile, zone, name);
		return NULL;
	}
	atomic_init(&entry->stable_until_ms, stable_until_ms);
	result = catalog_put(compile->catalog, zone->zone, entry);
	if (result < 0)
		compile->failed = true;
	compile->n_published += result == 0;
	return result == 0 ? entry : NULL;
}

/* The entry of everything that the members have: A, AAAA, SRV, TXT. */
static struct entry *build_full(struct compile *compile, const struct compile_zone *zone,
				const struct relative *name, uint32_t limit)
{
	build_begin(&compile->build);
	build_addresses(compile, RR_A, limit);
	build_addresses(compile, RR_AAAA, limit);
	build_srv(compile, zone, NULL);
	build_txt(compile);
	return build_entry(&compile->build, name->name, name->len);
}

/* The entry of the members' SRV records: the same as `full` has, or a set of its own. */
static struct entry *build_srv_only(struct compile *compile, const struct compile_zone *zone,
				    const struct relative *name, const char *port_name,
				    const struct entry *full)
{
	struct entry *entry;

	build_begin(&compile->build);
	if (!full)
		build_srv(compile, zone, port_name);
	entry = build_entry(&compile->build, name->name, name->len);
	if (entry && full) {
		entry->from = full;
		entry->only_type = RR_SRV;
	}
	return entry;
}

/* ---- Groups ---- */

/* The names of a group: one with all types, one with SRV alone. len 0: it has none. */
struct group_names {
	struct relative full, srv;
};

static void name_tag(const struct compile *compile, const struct group *group,
		     struct group_names *names)
{
	const struct service *service = group->service;
	char owner[LIMIT_LABEL + 2], tag[LIMIT_LABEL + 2];
	bool is_protocol = strcmp(group->label, "tcp") == 0 || strcmp(group->label, "udp") == 0;

	if (!registry_find_label(compile->registry, service, group->label))
		names->full = relative2(group->label, service->name);
	if (!is_protocol && has_underscore_form(service->name) && has_underscore_form(group->label))
		names->srv =
			relative2(underscore(service->name, owner), underscore(group->label, tag));
}

static struct group_names name_group(const struct compile *compile, const struct group *group)
{
	const struct service *service = group->service;
	struct group_names names;
	char label[LIMIT_LABEL + 2];

	names.full.len = names.srv.len = 0;
	switch (group->kind) {
	case GROUP_ALL:
		names.full = relative1(service->name);
		break;
	case GROUP_PROTOCOL:
		if (has_underscore_form(service->name))
			names.srv = relative2(underscore(service->name, label),
					      protocol_labels[group->protocol]);
		break;
	case GROUP_TAG:
		name_tag(compile, group, &names);
		break;
	case GROUP_PORT:
		if (has_underscore_form(group->label))
			names.srv = relative3(underscore(group->label, label),
					      protocol_labels[group->protocol], service->name);
		break;
	}
	return names;
}

/*
 * Publishes a group's names in a zone, or withdraws them where it shows no member. `all` is the
 * service's own entry, for the protocol that all its instances have. Returns the full entry.
 */
static const struct entry *compile_group(struct compile *compile, const struct compile_zone *zone,
					 const struct group *group, const struct entry *all,
					 uint64_t stable_until_ms)
{
	const struct service *service = group->service;
	struct group_names names = name_group(compile, group);
	bool exists = collect(compile, zone, group) > 0;
	const struct entry *full = NULL;
	struct entry *entry;

	if (!exists) {
		if (names.full.len)
			withdraw(compile, zone, &names.full);
		if (names.srv.len)
			withdraw(compile, zone, &names.srv);
		return NULL;
	}
	if (names.full.len) {
		entry = build_full(compile, zone, &names.full, service->answer_limit);
		full = publish(compile, zone, &names.full, entry, stable_until_ms);
	}
	if (group->kind == GROUP_PROTOCOL && group->n_members == service->n_instances)
		full = all;
	if (names.srv.len) {
		entry = build_srv_only(compile, zone, &names.srv,
				       group->kind == GROUP_PORT ? group->label : NULL, full);
		/* An alias must not outlive the entry that it was made of. */
		if (!publish(compile, zone, &names.srv, entry, stable_until_ms))
			withdraw(compile, zone, &names.srv);
	}
	return full;
}

static const struct group *find_all(const struct service *service)
{
	for (size_t i = 0; i < service->n_groups; i++)
		if (service->groups[i]->kind == GROUP_ALL)
			return service->groups[i];
	return NULL;
}

/* The dirty groups; with the service itself go its protocols, whose sets are shared with it. */
static void compile_groups(struct compile *compile, const struct compile_zone *zone,
			   const struct service *service, uint64_t stable_until_ms)
{
	const struct group *all = find_all(service);
	const struct entry *entry = NULL;
	bool with_all = all && all->dirty;

	if (with_all)
		entry = compile_group(compile, zone, all, NULL, stable_until_ms);
	for (size_t i = 0; i < service->n_groups; i++) {
		const struct group *group = service->groups[i];

		if (group != all && (group->dirty || (with_all && group->kind == GROUP_PROTOCOL)))
			compile_group(compile, zone, group, entry, stable_until_ms);
	}
}

static void set_stable(const struct compile *compile, const struct compile_zone *zone,
		       const struct relative *name, uint64_t stable_until_ms)
{
	uint64_t hash = catalog_hash(compile->catalog, name->name, name->len);
	const struct entry *entry = catalog_find(zone->zone, hash, name->name, name->len);

	if (entry && !(atomic_load_explicit(&entry->flags, memory_order_relaxed) & ENTRY_STATIC))
		catalog_set_stable(entry, stable_until_ms);
}

/* The answers are as they were but hold longer, or shorter. */
static void refresh_groups(const struct compile *compile, const struct compile_zone *zone,
			   const struct service *service, uint64_t stable_until_ms)
{
	for (size_t i = 0; i < service->n_groups; i++) {
		struct group_names names = name_group(compile, service->groups[i]);

		if (names.full.len)
			set_stable(compile, zone, &names.full, stable_until_ms);
		if (names.srv.len)
			set_stable(compile, zone, &names.srv, stable_until_ms);
	}
}

/* ---- Instances ---- */

static void compile_instance(struct compile *compile, const struct compile_zone *zone,
			     const struct instance *instance)
{
	const struct registration *registration = instance->registration;
	struct relative name = relative2(registration->label, instance->service->name);
	uint64_t end_ms = instance->lease_end_ms ? instance->lease_end_ms : UINT64_MAX;

	if (instance->dirt == INSTANCE_GONE) {
		if (!registry_find_label(compile->registry, instance->service, registration->label))
			withdraw(compile, zone, &name);
		return;
	}
	if (instance->dirt == INSTANCE_RENEWED) {
		set_stable(compile, zone, &name, end_ms);
		return;
	}
	if (!zone_shows(zone, registration)) {
		withdraw(compile, zone, &name);
		return;
	}
	compile->members[0] = instance;
	compile->n_members = 1;
	publish(compile, zone, &name, build_full(compile, zone, &name, 0), end_ms);
}

/* ---- Services ---- */

static uint64_t stable_until(const struct service *service, uint64_t now_ms)
{
	uint64_t until_ms = UINT64_MAX;

	for (size_t i = 0; i < service->n_instances; i++) {
		uint64_t at_ms = policy_stable_until_ms(service->instances[i], now_ms);

		if (at_ms < until_ms)
			until_ms = at_ms;
	}
	return until_ms;
}

static void compile_service(struct compile *compile, struct service *service, uint64_t now_ms)
{
	uint64_t until_ms = service->stable_until_ms;
	const struct instance *instance;

	if (reserve_members(compile, service->n_instances + 1)) {
		compile->failed = true;
		return;
	}
	compile->ttl_s = registry_ttl_s(compile->registry, service);
	if (service->dirty_groups || service->refresh)
		until_ms = stable_until(service, now_ms);
	for (size_t i = 0; i < compile->n_zones; i++) {
		const struct compile_zone *zone = &compile->zones[i];

		for (instance = service->dirty_instances; instance; instance = instance->dirty_next)
			compile_instance(compile, zone, instance);
		compile_groups(compile, zone, service, until_ms);
		if (until_ms != service->stable_until_ms)
			refresh_groups(compile, zone, service, until_ms);
	}
	if (service->dirty_groups || service->refresh)
		registry_set_stable(compile->registry, service, until_ms, now_ms);
}

size_t compile_run(struct compile *compile, uint64_t now_ms)
{
	struct service *service;

	compile->n_published = 0;
	compile->failed = false;
	while ((service = registry_take_dirty(compile->registry))) {
		compile_service(compile, service, now_ms);
		registry_clean(compile->registry, service);
	}
	catalog_publish(compile->catalog, (uint32_t)registry_revision(compile->registry));
	counters_add(&compile->counters->names_published, compile->n_published);
	if (compile->failed)
		log_event(LOG_ERROR, "publish-failed", "reason", "out of memory", NULL);
	return compile->n_published;
}

/* ---- Zones ---- */

/* The owner names that an instance adds, relative to a zone. */
static size_t owner_names(const struct registration *registration, struct relative names[NAMES_MAX])
{
	const char *service = registration->service;
	const char *protocol = protocol_labels[registration->protocol];
	char text[LIMIT_LABEL + 2], tag_text[LIMIT_LABEL + 2], tag[LIMIT_LABEL + 1];
	bool underscored = has_underscore_form(service);
	size_t n = 0;

	names[n++] = relative1(service);
	names[n++] = relative2(registration->label, service);
	if (underscored)
		names[n++] = relative2(underscore(service, text), protocol);
	for (size_t i = 0; i < registration->n_tags; i++) {
		if (!record_label_parse(registration->tags[i], tag))
			continue;
		names[n++] = relative2(tag, service);
		if (underscored && has_underscore_form(tag))
			names[n++] =
				relative2(underscore(service, text), underscore(tag, tag_text));
	}
	for (size_t i = 0; i < registration->n_ports; i++)
		if (has_underscore_form(registration->ports[i].name))
			names[n++] = relative3(underscore(registration->ports[i].name, text),
					       protocol, service);
	return n;
}

static bool is_static(const struct compile *compile, const struct compile_zone *zone,
		      const struct relative *name)
{
	const struct entry *entry =
		catalog_find(zone->zone, catalog_hash(compile->catalog, name->name, name->len),
			     name->name, name->len);

	return (entry &&
		(atomic_load_explicit(&entry->flags, memory_order_relaxed) & ENTRY_STATIC)) ||
	       is_occluded(compile, zone, name);
}

bool compile_collides(void *cookie, const struct registration *registration, char *name,
		      size_t name_size)
{
	const struct compile *compile = cookie;
	struct relative names[NAMES_MAX];
	size_t n = owner_names(registration, names);

	for (size_t z = 0; z < compile->n_zones; z++) {
		const struct compile_zone *zone = &compile->zones[z];

		for (size_t i = 0; i < n; i++) {
			char text[NAME_TEXT_MAX];

			if (!is_static(compile, zone, &names[i]))
				continue;
			memcpy(names[i].name + names[i].len, zone->content.origin,
			       zone->content.origin_len);
			name_print(names[i].name, names[i].len + zone->content.origin_len, text);
			snprintf(name, name_size, "%s", text);
			return true;
		}
	}
	return false;
}

/* A static name came or went: the service that has a name there, if any, is compiled anew. */
static void touch_namesake(void *cookie, const uint8_t *name, size_t len)
{
	struct compile *compile = cookie;

	for (size_t at = 0; at < len; at += 1u + name[at]) {
		char label[LIMIT_LABEL + 1];
		size_t skip = name[at + 1] == '_';

		memcpy(label, name + at + 1 + skip, name[at] - skip);
		label[name[at] - skip] = '\0';
		registry_touch_service(compile->registry, label);
	}
}

static bool text_equal(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool filter_equal(const struct zone_filter *a, const struct zone_filter *b)
{
	return text_equal(a->tag, b->tag) && text_equal(a->meta_key, b->meta_key) &&
	       text_equal(a->meta_value, b->meta_value);
}

static struct compile_zone *find_zone(const struct compile *compile,
				      const struct static_zone *content)
{
	for (size_t i = 0; i < compile->n_zones; i++) {
		const struct static_zone *have = &compile->zones[i].content;

		if (have->origin_len == content->origin_len &&
		    memcmp(have->origin, content->origin, have->origin_len) == 0)
			return &compile->zones[i];
	}
	return NULL;
}

/* Gives a zone that stays its new static content. */
static void update_zone(struct compile *compile, const struct compile_zone *old,
			const struct compile_zone *new)
{
	if (!filter_equal(&old->content.filter, &new->content.filter) || old->delegates ||
	    new->delegates) {
		registry_touch_all(compile->registry);
	} else {
		static_zone_difference(&old->content, &new->content, touch_namesake, compile);
		static_zone_difference(&new->content, &old->content, touch_namesake, compile);
	}
	static_zone_remove(&old->content, &new->content, compile->catalog, new->zone);
	if (static_zone_put(&new->content, compile->catalog, new->zone, &compile->build))
		log_event(LOG_ERROR, "publish-failed", "reason", "out of memory", NULL);
}

/*
 * The next list of zones: tables of those that stay, new tables with their static names for those
 * that come. NULL with a message; nothing has changed then.
 */
static struct compile_zone *prepare_zones(struct compile *compile, struct static_zone *contents,
					  size_t n, char *message, size_t message_size)
{
	struct compile_zone *zones = calloc(n + 1, sizeof(*zones));
	size_t i;

	for (i = 0; zones && i < n; i++) {
		struct static_zone *content = &contents[i];
		const struct compile_zone *old = find_zone(compile, content);

		if (static_zone_prepare(content, message, message_size))
			goto fail;
		zones[i].content = *content;
		zones[i].delegates = static_zone_delegates(content);
		zones[i].zone = old ? old->zone
				    : catalog_zone_new(compile->catalog, content->origin,
						       content->origin_len);
		if (!zones[i].zone || (!old && static_zone_put(content, compile->catalog,
							       zones[i].zone, &compile->build))) {
			snprintf(message, message_size, "out of memory");
			i++;
			goto fail;
		}
	}
	if (!zones)
		snprintf(message, message_size, "out of memory");
	return zones;
fail:
	while (i-- > 0)
		if (!find_zone(compile, &contents[i]))
			catalog_zone_free(zones[i].zone);
	free(zones);
	return NULL;
}

int compile_set_zones(struct compile *compile, struct static_zone *contents, size_t n,
		      uint64_t now_ms, char *message, size_t message_size)
{
	struct compile_zone *old = compile->zones;
	struct compile_zone *new = prepare_zones(compile, contents, n, message, message_size);
	struct zone **list = malloc((n + 1) * sizeof(struct zone *));
	size_t n_old = compile->n_zones;
	int result = 0;

	if (!new || !list) {
		free(new);
		free(list);
		return -1;
	}
	for (size_t i = 0; i < n; i++) {
		const struct compile_zone *was = find_zone(compile, &contents[i]);

		list[i] = new[i].zone;
		if (was)
			update_zone(compile, was, &new[i]);
		else
			registry_touch_all(compile->registry);
	}
	compile->zones = new;
	compile->n_zones = n;
	compile_run(compile, now_ms);
	if (catalog_set_zones(compile->catalog, list, n)) {
		log_event(LOG_ERROR, "publish-failed", "reason", "out of memory", NULL);
		result = -1;
	}
	for (size_t i = 0; i < n_old; i++)
		static_zone_fini(&old[i].content);
	free(old);
	free(list);
	return result;
}

/* ---- Life ---- */

struct compile *compile_new(struct registry *registry, struct catalog *catalog,
			    struct counters *counters)
{
	struct compile *compile = calloc(1, sizeof(*compile));

	if (!compile)
		return NULL;
	compile->registry = registry;
	compile->catalog = catalog;
	compile->counters = counters;
	build_init(&compile->build);
	return compile;
}

void compile_free(struct compile *compile)
{
	if (!compile)
		return;
	for (size_t i = 0; i < compile->n_zones; i++)
		static_zone_fini(&compile->zones[i].content);
	free(compile->zones);
	free(compile->members);
	build_fini(&compile->build);
	free(compile);
}
