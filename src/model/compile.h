/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * compile: registry -> answers. Turns dirty services into entries of the catalog, name by name, and
 * zone files' records likewise. Control thread only.
 *
 * The names of a service (relative to each zone that shows it):
 *
 *   <service>                         A AAAA SRV TXT   GROUP_ALL
 *   _<service>._<proto>               SRV              GROUP_PROTOCOL
 *   <tag>.<service>                   A AAAA SRV TXT   GROUP_TAG, unless an instance has that label
 *   _<service>._<tag>                 SRV              GROUP_TAG, but for the tags tcp and udp
 *   _<port-name>._<proto>.<service>   SRV              GROUP_PORT
 *   <instance>.<service>              A AAAA SRV TXT   each instance, healthy or not
 *
 * A label of 63 octets has no form with an underscore. A name that a zone file has, or has
 * delegated, is the zone file's.
 */
#ifndef ROSTERD_MODEL_COMPILE_H
#define ROSTERD_MODEL_COMPILE_H

#include "model/catalog.h"
#include "model/registry.h"
#include "model/static_zone.h"

struct compile;
struct compile_zone;

/* What a name that registrations made stands for: a group of instances, or one. */
struct compile_target {
	const struct compile_zone *zone;
	const struct group *group; /* NULL: the name of `instance` */
	const struct instance *instance;
	bool srv_only; /* a name that has no other types */
};

/* NULL when out of memory. Neither argument is owned. */
struct compile *compile_new(struct registry *registry, struct catalog *catalog,
			    struct counters *counters);
void compile_free(struct compile *compile);

/*
 * Makes exactly these zones served; queries see the new ones once all their names are there. Zones
 * that stay keep their table. Services whose names were, or are no longer, taken by a zone file are
 * compiled anew. The compile owns the array's contents afterwards, and frees
 * them; the array itself stays the caller's. -1 with a message: nothing has changed and the
 * contents are still the caller's.
 */
int compile_set_zones(struct compile *compile, struct static_zone *zones, size_t n, uint64_t now_ms,
		      char *message, size_t message_size);

/*
 * Finds what an absolute name, in wire form and lower case, stands for. false: it is no name of a
 * registration, or the zone file has it. Nothing may be dirty.
 */
bool compile_find(const struct compile *compile, const uint8_t *name, size_t len,
		  struct compile_target *target);

/* For registry_options.collides; the cookie is the struct compile. */
bool compile_collides(void *compile, const struct registration *registration, char *name,
		      size_t name_size);

/*
 * Compiles and publishes everything dirty: afterwards queries see the registry as it is. -1 when
 * out of memory: what could not be compiled stays dirty, to be run again.
 */
int compile_run(struct compile *compile, uint64_t now_ms);

#endif
