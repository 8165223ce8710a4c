/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * restore: at start, from the store's records to the registry as it was. Read in portions, between
 * which the control loop has its turn; what was read is compiled on the way.
 *
 * Control thread only.
 */
#ifndef ROSTERD_APP_RESTORE_H
#define ROSTERD_APP_RESTORE_H

#include "io/store.h"
#include "model/compile.h"

struct event_base;
struct restore;

struct restore_options {
	struct event_base *base;
	struct store *store;
	bool had_store; /* the last process left one: if there is none now, it was removed */
	struct registry *registry;
	struct compile *compile;
	/* A record that is not restored is to be removed; an empty id: those of the service. */
	void (*on_stray)(void *cookie, const char *service, const char *id);
	/* All is there, compiled and logged; or it cannot be, and a line says why. Once. */
	void (*on_end)(void *cookie, bool ok);
	void *cookie;
};

/* Begins. NULL when out of memory. `options` is copied. */
struct restore *restore_new(const struct restore_options *options);
/* Not from within on_end(). NULL is fine. */
void restore_free(struct restore *restore);

#endif
