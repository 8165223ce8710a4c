/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dump: entries of the catalog as lines of a master file (RFC 1035 5): what they answer, as another
 * server would load it. Pure; a reader of the catalog, between catalog_reader_online() and
 * _offline() unless it says otherwise.
 *
 * A, AAAA, CNAME, NS, SOA, SRV and TXT are printed as people write them, every other type in the
 * generic form of RFC 3597 5. Names are absolute; in names and texts every octet that a parser
 * could take for more than itself is an escape. TTLs are those of the sets: answers may have less
 * (model/compile.h). Out of memory is sticky in the buffer.
 */
#ifndef ROSTERD_MODEL_DUMP_H
#define ROSTERD_MODEL_DUMP_H

#include "base/buf.h"
#include "model/catalog.h"

/*
 * Prints the records of an entry, the SOA first and with the zone's serial; of a delegation its
 * glue too, so that a record may stand in a file twice. A registered name that has no record now is
 * a comment. Returns the number of records.
 */
size_t dump_print_entry(struct buf *out, const struct zone *zone, const struct entry *entry);

/* A walk over a zone by its name: the zone itself may go whenever the reader is offline. */
struct dump_walk {
	uint8_t origin[LIMIT_NAME]; /* wire form, lower case */
	size_t len;
	struct catalog_position position; /* all zero at the beginning */
	size_t n_records;                 /* printed so far */
};

/*
 * For a registered reader that is offline: prints the segment where the walk is, the apex before
 * the first one, and moves on. false: the zone is gone.
 */
bool dump_print_part(struct buf *out, const struct catalog *catalog, struct dump_walk *walk);

#endif
