/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/compile_group.h"

#include <stdio.h>

static void name_tag(const struct registry *registry, const struct compile_zone *zone,
		     const struct group *group, struct compile_group_names *names)
{
	const struct service *service = group->service;
	const struct instance *namesake = registry_find_label(registry, service, group->label);
	char owner[LIMIT_LABEL + 2], tag[LIMIT_LABEL + 2];

	if (!namesake || !compile_zone_shows(zone, namesake->registration))
		names->full = compile_name_2(group->label, service->name);
	if (compile_name_has_underscore(service->name) && compile_name_has_tag(group->label))
		names->srv = compile_name_2(compile_name_underscore(service->name, owner),
					    compile_name_underscore(group->label, tag));
}

struct compile_group_names compile_group_names(const struct registry *registry,
					       const struct compile_zone *zone,
					       const struct group *group)
{
	const struct service *service = group->service;
	struct compile_group_names names;
	char label[LIMIT_LABEL + 2];

	names.full.len = names.srv.len = 0;
	switch (group->kind) {
	case GROUP_ALL:
		names.full = compile_name_1(service->name);
		break;
	case GROUP_PROTOCOL:
		if (compile_name_has_underscore(service->name))
			names.srv = compile_name_2(compile_name_underscore(service->name, label),
						   compile_name_protocols[group->protocol]);
		break;
	case GROUP_TAG:
		name_tag(registry, zone, group, &names);
		break;
	case GROUP_PORT:
		if (compile_name_has_underscore(group->label))
			names.srv = compile_name_3(compile_name_underscore(group->label, label),
						   compile_name_protocols[group->protocol],
						   service->name);
		break;
	}
	return names;
}

const char *compile_group_print(const struct group *group, char text[COMPILE_GROUP_TEXT])
{
	const char *service = group->service->name;
	const char *protocol = compile_name_protocols[group->protocol];

	switch (group->kind) {
	case GROUP_ALL:
		snprintf(text, COMPILE_GROUP_TEXT, "%s", service);
		break;
	case GROUP_PROTOCOL:
		snprintf(text, COMPILE_GROUP_TEXT, "_%s.%s", service, protocol);
		break;
	case GROUP_TAG:
		snprintf(text, COMPILE_GROUP_TEXT, "%s.%s", group->label, service);
		break;
	case GROUP_PORT:
		snprintf(text, COMPILE_GROUP_TEXT, "_%s.%s.%s", group->label, protocol, service);
		break;
	}
	return text;
}
