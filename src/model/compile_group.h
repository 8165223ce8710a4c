/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * compile_group: what the groups of a service are called in a zone; inside of the compile
 * (model/compile.h has the list of forms).
 */
#ifndef ROSTERD_MODEL_COMPILE_GROUP_H
#define ROSTERD_MODEL_COMPILE_GROUP_H

#include "model/compile_zone.h"
#include "model/registry.h"

enum {
	COMPILE_GROUP_TEXT = 2 * LIMIT_LABEL + 16, /* octets of a name as people know it */
};

/* The names of a group: one with all types, one with SRV alone. len 0: it has none. */
struct compile_group_names {
	struct compile_name full, srv;
};

struct compile_group_names compile_group_names(const struct registry *registry,
					       const struct compile_zone *zone,
					       const struct group *group);

/* Prints a group's name without a zone; returns `text`. */
const char *compile_group_print(const struct group *group, char text[COMPILE_GROUP_TEXT]);

#endif
