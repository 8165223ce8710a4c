/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/static_zone.h"

#include "dns/name.h"
#include "dns/rr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The sets of one name: sets[first, end) of a prepared zone. */
struct owner {
	const uint8_t *name; /* with the root label */
	size_t len;
	size_t first, end;
};

void static_zone_fini(struct static_zone *zone)
{
	for (size_t i = 0; i < zone->n_sets; i++) {
		for (size_t k = 0; k < zone->sets[i].n_rdata; k++)
			free(zone->sets[i].rdata[k].data);
		free(zone->sets[i].rdata);
	}
	free(zone->sets);
	free(zone->filter.tag);
	free(zone->filter.meta_key);
	free(zone->filter.meta_value);
	memset(zone, 0, sizeof(*zone));
}

static int compare_names(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	if (a_len != b_len)
		return a_len < b_len ? -1 : 1;
	return memcmp(a, b, a_len);
}

/* Shorter names first, so the apex is the first of all; types of a name in numeric order. */
static int compare_sets(const void *a, const void *b)
{
	const struct static_rrset *x = a, *y = b;
	int order = compare_names(x->owner, x->owner_len, y->owner, y->owner_len);

	return order ? order : (int)x->type - (int)y->type;
}

/* The next name of a prepared zone; start with `owner` all zero. */
static bool next_owner(const struct static_zone *zone, struct owner *owner)
{
	size_t i = owner->end;

	if (i == zone->n_sets)
		return false;
	*owner = (struct owner){
		.name = zone->sets[i].owner,
		.len = zone->sets[i].owner_len,
		.first = i,
	};
	while (i < zone->n_sets && compare_names(owner->name, owner->len, zone->sets[i].owner,
						 zone->sets[i].owner_len) == 0)
		i++;
	owner->end = i;
	return true;
}

/* Where the first set of this name and of at least this type is, or would be. */
static size_t lower_bound(const struct static_zone *zone, const uint8_t *name, size_t len,
			  uint16_t type)
{
	struct static_rrset key = { .owner_len = len, .type = type };
	size_t low = 0, high = zone->n_sets;

	memcpy(key.owner, name, len);
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_sets(&zone->sets[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool has_owner(const struct static_zone *zone, size_t i, const uint8_t *name, size_t len)
{
	return i < zone->n_sets &&
	       compare_names(zone->sets[i].owner, zone->sets[i].owner_len, name, len) == 0;
}

static const struct static_rrset *find_set(const struct static_zone *zone, const uint8_t *name,
					   size_t len, uint16_t type)
{
	size_t i = lower_bound(zone, name, len, type);

	return has_owner(zone, i, name, len) && zone->sets[i].type == type ? &zone->sets[i] : NULL;
}

int static_zone_prepare(struct static_zone *zone, char *message, size_t message_size)
{
	struct owner owner = { 0 };
	char text[NAME_TEXT_MAX];

	if (zone->n_sets)
		qsort(zone->sets, zone->n_sets, sizeof(*zone->sets), compare_sets);
	name_print(zone->origin, zone->origin_len, text);
	if (zone->origin_len > LIMIT_ORIGIN) {
		snprintf(message, message_size,
			 "zone %.64s...: a zone's name has at most %d octets", text, LIMIT_ORIGIN);
		return -1;
	}
	if (!find_set(zone, zone->origin, zone->origin_len, RR_SOA) ||
	    !find_set(zone, zone->origin, zone->origin_len, RR_NS)) {
		snprintf(message, message_size, "zone %s: no SOA or no NS at its apex", text);
		return -1;
	}
	while (next_owner(zone, &owner)) {
		if (owner.end - owner.first <= BUILD_SETS_MAX)
			continue;
		name_print(owner.name, owner.len, text);
		snprintf(message, message_size, "%s: more than %d types at one name", text,
			 BUILD_SETS_MAX);
		return -1;
	}
	return 0;
}

static bool is_cut(const struct static_zone *zone, const uint8_t *name, size_t len)
{
	return len > zone->origin_len && find_set(zone, name, len, RR_NS);
}

/* Whether a name lies below a delegation of the zone; it is then glue or nothing. */
static bool is_below_cut(const struct static_zone *zone, const uint8_t *name, size_t len)
{
	while (len > zone->origin_len) {
		size_t label_len = name[0] + 1u;

		name += label_len;
		len -= label_len;
		if (is_cut(zone, name, len))
			return true;
	}
	return false;
}

bool static_zone_delegates(const struct static_zone *zone)
{
	for (size_t i = 0; i < zone->n_sets; i++)
		if (zone->sets[i].type == RR_NS && zone->sets[i].owner_len > zone->origin_len)
			return true;
	return false;
}

static bool publishes(const struct static_zone *zone, const uint8_t *name, size_t len)
{
	return has_owner(zone, lower_bound(zone, name, len, 0), name, len) &&
	       !is_below_cut(zone, name, len);
}

static void build_set_of(struct build *build, const struct static_rrset *set)
{
	build_set(build, set->type, set->ttl_s);
	for (size_t i = 0; i < set->n_rdata; i++)
		build_record(build, set->rdata[i].data, set->rdata[i].len, NULL, 0);
}

/* Addresses rotate, each as likely to be first. */
static void build_equal(struct build *build, const struct static_rrset *set)
{
	uint32_t *weights = calloc(set->n_rdata, sizeof(*weights));

	if (weights)
		build_rotate(build, weights, (uint32_t)set->n_rdata);
	free(weights);
}

/* Every address that the zone file has for the servers of a delegation (RFC 9471). */
static void build_glue_of(struct build *build, const struct static_zone *zone,
			  const struct static_rrset *ns)
{
	static const uint16_t types[] = { RR_A, RR_AAAA };

	for (size_t i = 0; i < ns->n_rdata * 2; i++) {
		const struct static_rdata *server = &ns->rdata[i / 2];
		const struct static_rrset *glue;
		uint8_t name[LIMIT_NAME];

		memcpy(name, server->data, server->len);
		name_lower(name, server->len);
		glue = find_set(zone, name, server->len, types[i % 2]);
		for (size_t k = 0; glue && k < glue->n_rdata; k++)
			build_glue(build, name, server->len, glue->type, glue->ttl_s,
				   glue->rdata[k].data, glue->rdata[k].len);
	}
}

/* At a cut only the NS set is published: a referral is all that the parent can say (DS apart). */
static struct entry *build_owner(const struct static_zone *zone, const struct owner *owner,
				 struct build *build)
{
	bool cut = is_cut(zone, owner->name, owner->len);
	unsigned flags = ENTRY_STATIC | (cut ? ENTRY_DELEGATION : 0u);
	struct entry *entry;

	build_begin(build);
	for (size_t i = owner->first; i < owner->end; i++) {
		const struct static_rrset *set = &zone->sets[i];

		if (cut && set->type != RR_NS)
			continue;
		build_set_of(build, set);
		if (cut)
			build_glue_of(build, zone, set);
		if (set->type == RR_A || set->type == RR_AAAA)
			build_equal(build, set);
		if (set->type == RR_CNAME)
			flags |= ENTRY_CNAME;
	}
	entry = build_entry(build, owner->name, owner->len - zone->origin_len);
	if (entry)
		atomic_init(&entry->flags, (uint8_t)flags);
	return entry;
}

int static_zone_put(const struct static_zone *content, struct catalog *catalog, struct zone *zone,
		    struct build *build)
{
	struct owner owner = { 0 };
	int result = 0;

	while (next_owner(content, &owner)) {
		struct entry *entry;

		if (is_below_cut(content, owner.name, owner.len))
			continue;
		entry = build_owner(content, &owner, build);
		if (!entry || catalog_put(catalog, zone, entry))
			result = -1;
	}
	return result;
}

void static_zone_difference(const struct static_zone *a, const struct static_zone *b,
			    void (*on_name)(void *cookie, const uint8_t *name, size_t len),
			    void *cookie)
{
	struct owner owner = { 0 };

	while (next_owner(a, &owner))
		if (!is_below_cut(a, owner.name, owner.len) && !publishes(b, owner.name, owner.len))
			on_name(cookie, owner.name, owner.len - a->origin_len);
}

struct removal {
	struct catalog *catalog;
	struct zone *zone;
};

static void remove_name(void *cookie, const uint8_t *name, size_t len)
{
	const struct removal *removal = cookie;

	catalog_remove(removal->catalog, removal->zone, name, len, true);
}

void static_zone_remove(const struct static_zone *old, const struct static_zone *content,
			struct catalog *catalog, struct zone *zone)
{
	struct removal removal = { .catalog = catalog, .zone = zone };

	static_zone_difference(old, content, remove_name, &removal);
}
