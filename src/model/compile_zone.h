/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * compile_zone: the zones of the compile and what they show; inside of the compile
 * (model/compile.h).
 */
#ifndef ROSTERD_MODEL_COMPILE_ZONE_H
#define ROSTERD_MODEL_COMPILE_ZONE_H

#include "model/compile_name.h"
#include "model/static_zone.h"

/* A zone that is served, or about to be. */
struct compile_zone {
	struct zone *zone;
	struct static_zone content;
	bool delegates;
};

/* Whether the zone's filter lets an instance through. */
bool compile_zone_shows(const struct compile_zone *zone, const struct registration *registration);

/* Whether a name lies below a delegation of the zone file: then it is not ours to answer. */
bool compile_zone_occludes(const struct compile_zone *zone, const struct compile_name *name);

/* Whether the zone file has a name, or has delegated it. */
bool compile_zone_owns(const struct compile_zone *zone, const struct compile_name *name);

#endif
