/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dump: every zone that is served, as the master files ZONE.dump in the data directory, written
 * aside, synced and renamed.
 *
 * A thread that lives for one dump reads the catalog as workers do, a thousandth of a zone at a
 * time, and is offline whenever it writes; it runs with less priority than they. So neither they
 * nor the control thread wait for it. The file is therefore no snapshot: a name that changes
 * meanwhile is in it as it was or as it is, under the serial that the zone had at the start.
 *
 * A file of that name that is no dump of ours, seen by its first line, is left alone.
 */
#ifndef ROSTERD_APP_DUMP_H
#define ROSTERD_APP_DUMP_H

#include "model/catalog.h"

struct dump;

/* NULL when out of memory. Neither argument is owned. */
struct dump *dump_new(const struct catalog *catalog, const char *directory);

/* Ends a dump that runs, without its file, and waits for the thread. NULL is fine. */
void dump_free(struct dump *dump);

/*
 * Starts a dump, or makes the one that runs be followed by another. One log line for each file, or
 * with the reason why there is none.
 */
void dump_start(struct dump *dump);

#endif
