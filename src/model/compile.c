/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/compile.h"

#include "base/log.h"
#include "dns/name.h"
#include "dns/rr.h"
#include "model/compile_group.h"
#include "model/compile_set.h"
#include "model/handout.h"
#include "model/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An entry that named an instance, which is on its way out. */
struct departure {
	struct instance *instance;
	const struct entry *entry;
};

struct compile {
	struct registry *registry;
	struct catalog *catalog;
	struct counters *counters;
	struct compile_zone *zones;
	size_t n_zones;

	struct compile_set set;
	size_t n_published; /* by this run */
	uint64_t now_ms;    /* of this run */
	struct departure *departures;
	size_t n_departures, cap_departures;
};

/* ---- Publishing names ---- */

/* Whether a name, NULL if there is none, has what a registration put there. */
static bool is_registered(const struct entry *entry)
{
	return entry && !(entry_flags(entry) & (ENTRY_STATIC | ENTRY_EMPTY));
}

static void withdraw(struct compile *compile, const struct compile_zone *zone,
		     const struct compile_name *name)
{
	catalog_remove(compile->catalog, zone->zone, name->name, name->len, false);
}

/* What answers say of the policy behind them. */
static uint8_t policy_flags(const struct compile_set *set)
{
	if (set->n_members == 0)
		return ENTRY_UNSERVED;
	if (set->mode == POLICY_LAST)
		return ENTRY_STALE;
	return policy_is_acting(set->mode) ? ENTRY_OPEN : 0;
}

/*
 * Publishes an entry that the caller made, or NULL where memory was short. Returns it if queries
 * now see it, else NULL: the name is then the zone file's, or what was there before stays.
 */
static struct entry *publish(struct compile *compile, const struct compile_zone *zone,
			     const struct compile_name *name, struct entry *entry,
			     uint64_t stable_until_ms)
{
	const struct entry *old;
	int result;

	if (!entry) {
		compile->set.failed = true;
		return NULL;
	}
	if (compile_zone_occludes(zone, name)) {
		free(entry);
		withdraw(compile, zone, name);
		return NULL;
	}
	atomic_init(&entry->stable_until_ms, stable_until_ms);
	atomic_init(&entry->flags, (uint16_t)(entry_flags(entry) | policy_flags(&compile->set)));
	old = catalog_find(zone->zone, name->name, name->len);
	if (old)
		handout_inherit(entry, old, compile->now_ms);
	result = catalog_put(compile->catalog, zone->zone, entry);
	if (result < 0)
		compile->set.failed = true;
	compile->n_published += result == 0;
	return result == 0 ? entry : NULL;
}

/* ---- Groups ---- */

/* Whether it is of a protocol that all instances of its service have. */
static bool is_whole(const struct group *group)
{
	return group->kind == GROUP_PROTOCOL && group->n_members == group->service->n_instances;
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
	struct compile_group_names names = compile_group_names(compile->registry, zone, group);
	/* Its members are those that the service's own entry was just made of. */
	bool shares = all && is_whole(group);
	const struct entry *full = NULL;
	struct entry *entry;

	if (!shares && compile_set_collect(&compile->set, zone, group) == 0) {
		if (names.full.len)
			withdraw(compile, zone, &names.full);
		if (names.srv.len)
			withdraw(compile, zone, &names.srv);
		return NULL;
	}
	if (names.full.len) {
		entry = compile_set_full(&compile->set, zone, &names.full, service->answer_limit);
		full = publish(compile, zone, &names.full, entry, stable_until_ms);
	}
	if (shares)
		full = all;
	if (names.srv.len) {
		entry = compile_set_srv(&compile->set, zone, &names.srv,
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

/* Whether a group is looked at: a protocol may be all of its service, or no longer. */
static bool is_due(const struct group *group, bool with_all)
{
	return group->dirty || (with_all && group->kind == GROUP_PROTOCOL);
}

/*
 * The dirty groups; with the service itself go its protocols, whose sets are shared with it: right
 * behind it, while the set has its members.
 */
static void compile_groups(struct compile *compile, const struct compile_zone *zone,
			   const struct service *service, uint64_t stable_until_ms)
{
	const struct group *all = find_all(service);
	const struct entry *entry = NULL;
	bool with_all = all && all->dirty;

	if (with_all)
		entry = compile_group(compile, zone, all, NULL, stable_until_ms);
	for (size_t i = 0; i < service->n_groups; i++)
		if (is_whole(service->groups[i]) && is_due(service->groups[i], with_all))
			compile_group(compile, zone, service->groups[i], entry, stable_until_ms);
	for (size_t i = 0; i < service->n_groups; i++) {
		const struct group *group = service->groups[i];

		if (group != all && !is_whole(group) && is_due(group, with_all))
			compile_group(compile, zone, group, NULL, stable_until_ms);
	}
}

static void set_stable(const struct compile_zone *zone, const struct compile_name *name,
		       uint64_t stable_until_ms)
{
	const struct entry *entry = catalog_find(zone->zone, name->name, name->len);

	if (is_registered(entry))
		catalog_set_stable(entry, stable_until_ms);
}

/* The answers are as they were but hold longer, or shorter. */
static void refresh_groups(const struct compile *compile, const struct compile_zone *zone,
			   const struct service *service, uint64_t stable_until_ms)
{
	for (size_t i = 0; i < service->n_groups; i++) {
		struct compile_group_names names =
			compile_group_names(compile->registry, zone, service->groups[i]);

		if (names.full.len)
			set_stable(zone, &names.full, stable_until_ms);
		if (names.srv.len)
			set_stable(zone, &names.srv, stable_until_ms);
	}
}

/* ---- Instances ---- */

static void compile_instance(struct compile *compile, const struct compile_zone *zone,
			     const struct instance *instance)
{
	const struct registration *registration = instance->registration;
	struct compile_name name =
		compile_name_2(record_label(registration), instance->service->name);
	uint64_t end_ms = instance->lease_end_ms ? instance->lease_end_ms : UINT64_MAX;

	if (instance->dirt == INSTANCE_GONE) {
		if (!registry_find_label(compile->registry, instance->service,
					 record_label(registration)))
			withdraw(compile, zone, &name);
		return;
	}
	if (!compile_zone_shows(zone, registration)) {
		/* A tag of that name has it then; its group is as dirty as we are. */
		if (instance->dirt == INSTANCE_CHANGED)
			withdraw(compile, zone, &name);
		return;
	}
	if (instance->dirt == INSTANCE_RENEWED) {
		set_stable(zone, &name, end_ms);
		return;
	}
	compile->set.members[0] = instance;
	compile->set.n_members = 1;
	compile->set.mode = POLICY_FIT;
	publish(compile, zone, &name, compile_set_single(&compile->set, &name), end_ms);
}

/* ---- Failure policies ---- */

/*
 * Notes who is served of a group, and tells once that a policy began to act on it, or ended to;
 * zones' filters do not count.
 */
static void tell_policy(struct compile *compile, struct group *group)
{
	const struct service *service = group->service;
	enum policy_mode mode, before = group->mode;
	char text[COMPILE_GROUP_TEXT];
	struct policy_tally tally;
	size_t n;

	/* The service itself is told already. */
	if (is_whole(group)) {
		registry_set_mode(compile->registry, group, POLICY_FIT);
		return;
	}
	if (group->kind != GROUP_ALL && !policy_is_acting(before) &&
	    service->failure == FAILURE_EMPTY && !service->panic_ppm)
		return;
	tally = compile_set_count(NULL, group, &n);
	mode = policy_choose(service, &tally);
	registry_set_mode(compile->registry, group, mode);
	if (mode == before || (!policy_is_acting(mode) && !policy_is_acting(before)))
		return;
	if (policy_is_acting(mode))
		counters_add(mode == POLICY_LAST ? &compile->counters->policy_last
						 : &compile->counters->policy_all,
			     1);
	log_peer_event(policy_is_acting(mode) ? LOG_WARNING : LOG_INFO,
		       policy_is_acting(mode) ? "policy-acts" : "policy-ends", "name",
		       compile_group_print(group, text), "policy", policy_mode_name(mode),
		       "healthy", log_fmt("%zu", tally.n_serving), "of",
		       log_fmt("%zu", tally.n_eligible), NULL);
}

static void tell_policies(struct compile *compile, const struct service *service)
{
	const struct group *all = find_all(service);
	bool with_all = all && all->dirty;

	for (size_t i = 0; i < service->n_groups; i++) {
		struct group *group = service->groups[i];

		if (is_due(group, with_all))
			tell_policy(compile, group);
	}
}

/* ---- Departures ---- */

static void note_departure(struct compile *compile, const struct compile_zone *zone,
			   const struct compile_name *name, struct instance *instance)
{
	const struct entry *entry =
		name->len ? catalog_find(zone->zone, name->name, name->len) : NULL;
	struct departure *grown;

	if (!is_registered(entry))
		return;
	if (compile->n_departures == compile->cap_departures) {
		size_t cap = compile->cap_departures ? compile->cap_departures * 2 : 16;

		grown = realloc(compile->departures, cap * sizeof(*grown));
		if (!grown) {
			compile->set.failed = true;
			return;
		}
		compile->departures = grown;
		compile->cap_departures = cap;
	}
	compile->departures[compile->n_departures++] =
		(struct departure){ instance, entry_from(entry) };
}

/*
 * Notes what names an instance in a zone, before the compile takes it out of there. What one that
 * was registered anew had before is no longer known: then all names of the service count.
 */
static void note_departures(struct compile *compile, const struct compile_zone *zone,
			    struct instance *instance)
{
	const struct registration *registration = instance->registration;
	const struct service *service = instance->service;
	struct compile_name name = compile_name_2(record_label(registration), service->name);
	bool changed = instance->dirt == INSTANCE_CHANGED;

	if (!changed && !compile_zone_shows(zone, registration))
		return;
	note_departure(compile, zone, &name, instance);
	for (size_t i = 0; i < service->n_groups; i++) {
		struct compile_group_names names;

		if (!changed && !compile_set_has(service->groups[i], registration))
			continue;
		names = compile_group_names(compile->registry, zone, service->groups[i]);
		note_departure(compile, zone, &names.full, instance);
		note_departure(compile, zone, &names.srv, instance);
	}
}

/*
 * Works out when it is safe to stop those who left. Their last answers are given once no worker
 * uses the old entries any more, and these stay until the batch is published.
 */
static void settle_departures(struct compile *compile)
{
	if (compile->n_departures)
		catalog_wait_readers();
	for (size_t i = 0; i < compile->n_departures; i++) {
		struct instance *instance = compile->departures[i].instance;
		uint64_t end_ms = handout_end_ms(compile->departures[i].entry);

		if (end_ms > instance->safe_after_ms)
			instance->safe_after_ms = end_ms;
	}
	compile->n_departures = 0;
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
	struct instance *instance;

	if (compile_set_reserve(&compile->set, service->n_instances + 1)) {
		compile->set.failed = true;
		return;
	}
	compile->set.ttl_s = registry_ttl_s(compile->registry, service);
	if (service->dirty_groups || service->refresh)
		until_ms = stable_until(service, now_ms);
	for (size_t i = 0; i < compile->n_zones; i++) {
		const struct compile_zone *zone = &compile->zones[i];

		for (instance = service->dirty_instances; instance; instance = instance->dirty_next)
			if (instance->is_leaving && instance->dirt != INSTANCE_GONE)
				note_departures(compile, zone, instance);
		for (instance = service->dirty_instances; instance; instance = instance->dirty_next)
			compile_instance(compile, zone, instance);
		compile_groups(compile, zone, service, until_ms);
		if (until_ms != service->stable_until_ms)
			refresh_groups(compile, zone, service, until_ms);
	}
	if (service->dirty_groups)
		tell_policies(compile, service);
	if (service->dirty_groups || service->refresh)
		registry_set_stable(compile->registry, service, until_ms, now_ms);
}

int compile_run(struct compile *compile, uint64_t now_ms)
{
	struct service *service;

	compile->n_published = 0;
	compile->now_ms = now_ms;
	compile->set.failed = false;
	while ((service = registry_take_dirty(compile->registry))) {
		size_t n_departures = compile->n_departures;

		compile_service(compile, service, now_ms);
		if (compile->set.failed) {
			compile->n_departures = n_departures;
			registry_put_back(compile->registry, service);
			break;
		}
		registry_clean(compile->registry, service);
	}
	settle_departures(compile);
	catalog_publish(compile->catalog, (uint32_t)registry_revision(compile->registry));
	counters_add(&compile->counters->names_published, compile->n_published);
	return compile->set.failed ? -1 : 0;
}

/* ---- Finding what a name stands for ---- */

/* The zone with the most labels that a name is in; NULL: none. Puts the name below its apex. */
static const struct compile_zone *find_zone_of(const struct compile *compile, const uint8_t *name,
					       size_t len, struct compile_name *relative)
{
	const struct compile_zone *found = NULL;

	for (size_t i = 0; i < compile->n_zones; i++) {
		const struct static_zone *content = &compile->zones[i].content;
		size_t at = 0;

		while (len - at > content->origin_len)
			at += name[at] + 1u;
		if (len - at != content->origin_len ||
		    memcmp(name + at, content->origin, content->origin_len) != 0 ||
		    (found && found->content.origin_len > content->origin_len))
			continue;
		found = &compile->zones[i];
		memset(relative, 0, sizeof(*relative));
		memcpy(relative->name, name, at);
		relative->len = at;
	}
	return found;
}

static bool name_is(const struct compile_name *a, const struct compile_name *b)
{
	return a->len == b->len && memcmp(a->name, b->name, a->len) == 0;
}

/* Whether a name is one of the service's, in the zone of `target`, which is filled. */
static bool find_in_service(const struct compile *compile, const struct service *service,
			    const struct compile_name *name, struct compile_target *target)
{
	char label[LIMIT_LABEL + 1];
	struct compile_name own;
	size_t n;

	for (size_t i = 0; i < service->n_groups; i++) {
		struct compile_group_names names =
			compile_group_names(compile->registry, target->zone, service->groups[i]);

		target->srv_only = names.srv.len && name_is(&names.srv, name);
		if (!target->srv_only && !(names.full.len && name_is(&names.full, name)))
			continue;
		target->group = service->groups[i];
		compile_set_count(target->zone, target->group, &n);
		return n > 0;
	}
	memcpy(label, name->name + 1, name->name[0]);
	label[name->name[0]] = '\0';
	target->instance = registry_find_label(compile->registry, service, label);
	if (!target->instance)
		return false;
	own = compile_name_2(label, service->name);
	return name_is(&own, name) &&
	       compile_zone_shows(target->zone, target->instance->registration);
}

/* The service is one of the labels, perhaps with an underscore. */
bool compile_find(const struct compile *compile, const uint8_t *name, size_t len,
		  struct compile_target *target)
{
	struct compile_name relative;

	*target = (struct compile_target){ .srv_only = false };
	target->zone = find_zone_of(compile, name, len, &relative);
	if (!target->zone || relative.len == 0 || compile_zone_owns(target->zone, &relative))
		return false;
	for (size_t at = 0; at < relative.len; at += 1u + relative.name[at]) {
		char label[LIMIT_LABEL + 1];
		size_t skip = relative.name[at + 1] == '_';
		const struct service *service;

		memcpy(label, relative.name + at + 1 + skip, relative.name[at] - skip);
		label[relative.name[at] - skip] = '\0';
		service = registry_find_service(compile->registry, label);
		if (service && find_in_service(compile, service, &relative, target))
			return true;
	}
	return false;
}

/* ---- Zones ---- */

bool compile_collides(void *cookie, const struct registration *registration, char *name,
		      size_t name_size)
{
	const struct compile *compile = cookie;
	struct compile_name names[COMPILE_NAMES_MAX];
	size_t n = compile_name_owners(registration, names);

	for (size_t z = 0; z < compile->n_zones; z++) {
		const struct compile_zone *zone = &compile->zones[z];

		if (!compile_zone_shows(zone, registration))
			continue;
		for (size_t i = 0; i < n; i++) {
			char text[NAME_TEXT_MAX];

			if (!compile_zone_owns(zone, &names[i]))
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

/* A static name came: a registered service that has it loses it to the zone file. */
static void warn_shadowed(void *cookie, const uint8_t *name, size_t len)
{
	const struct compile_zone *zone = cookie;
	const struct entry *entry = catalog_find(zone->zone, name, len);
	char text[NAME_TEXT_MAX];

	if (!is_registered(entry))
		return;
	name_print(name, len, text);
	log_peer_event(LOG_WARNING, "registration-shadowed", "name", text, "by", "the zone file",
		       NULL);
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
			struct compile_zone *new)
{
	if (!filter_equal(&old->content.filter, &new->content.filter) || old->delegates ||
	    new->delegates) {
		registry_touch_all(compile->registry);
	} else {
		static_zone_difference(&old->content, &new->content, touch_namesake, compile);
		static_zone_difference(&new->content, &old->content, touch_namesake, compile);
	}
	static_zone_difference(&new->content, &old->content, warn_shadowed, new);
	static_zone_remove(&old->content, &new->content, compile->catalog, new->zone);
	if (static_zone_put(&new->content, compile->catalog, new->zone, &compile->set.build))
		log_peer_event(LOG_ERROR, "publish-failed", "reason", "out of memory", NULL);
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
		if (!zones[i].zone ||
		    (!old && static_zone_put(content, compile->catalog, zones[i].zone,
					     &compile->set.build))) {
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
	struct compile_zone *old = compile->zones, *new;
	struct zone_list *list = catalog_zone_list_new(n);
	size_t n_old = compile->n_zones;

	if (!list) {
		snprintf(message, message_size, "out of memory");
		return -1;
	}
	new = prepare_zones(compile, contents, n, message, message_size);
	if (!new) {
		free(list);
		return -1;
	}
	for (size_t i = 0; i < n; i++) {
		const struct compile_zone *was = find_zone(compile, &contents[i]);

		list->zones[i] = new[i].zone;
		if (was)
			update_zone(compile, was, &new[i]);
		else
			registry_touch_all(compile->registry);
	}
	compile->zones = new;
	compile->n_zones = n;
	compile_run(compile, now_ms);
	catalog_set_zones(compile->catalog, list);
	for (size_t i = 0; i < n_old; i++)
		static_zone_fini(&old[i].content);
	free(old);
	return 0;
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
	compile_set_init(&compile->set);
	/* Zones are made with the newest serial: the first ones too never go back. */
	catalog_publish(catalog, (uint32_t)registry_revision(registry));
	return compile;
}

void compile_free(struct compile *compile)
{
	if (!compile)
		return;
	for (size_t i = 0; i < compile->n_zones; i++)
		static_zone_fini(&compile->zones[i].content);
	free(compile->zones);
	compile_set_fini(&compile->set);
	free(compile->departures);
	free(compile);
}
