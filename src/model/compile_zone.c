/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/compile_zone.h"

#include <string.h>

static bool has_meta(const struct registration *registration, const char *key, const char *value)
{
	for (size_t i = 0; i < registration->n_meta; i++)
		if (strcmp(registration->meta[i].key, key) == 0)
			return strcmp(registration->meta[i].value, value) == 0;
	return false;
}

bool compile_zone_shows(const struct compile_zone *zone, const struct registration *registration)
{
	const struct zone_filter *filter = &zone->content.filter;

	return (!filter->tag || record_has_tag(registration, filter->tag)) &&
	       (!filter->meta_key || has_meta(registration, filter->meta_key, filter->meta_value));
}

bool compile_zone_occludes(const struct compile_zone *zone, const struct compile_name *name)
{
	size_t at = 0;

	while (zone->delegates && (at += name->name[at] + 1u) < name->len) {
		const uint8_t *above = name->name + at;
		size_t len = name->len - at;
		const struct entry *entry = catalog_find(zone->zone, above, len);

		if (entry && (entry_flags(entry) & ENTRY_DELEGATION))
			return true;
	}
	return false;
}

bool compile_zone_owns(const struct compile_zone *zone, const struct compile_name *name)
{
	const struct entry *entry = catalog_find(zone->zone, name->name, name->len);

	return (entry && (entry_flags(entry) & ENTRY_STATIC)) || compile_zone_occludes(zone, name);
}
