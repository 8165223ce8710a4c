/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zonefile_scan: cuts the text of a zone file into entries (RFC 1035 5.1): a record or a directive
 * each, its comments and parentheses gone, in one line. Knows nothing of what an entry means.
 */
#ifndef ROSTERD_IO_ZONEFILE_SCAN_H
#define ROSTERD_IO_ZONEFILE_SCAN_H

#include "base/buf.h"

enum {
	SCAN_WORDS = 16 /* kept; an SOA has 11 at most */
};

struct zonefile_scan {
	const char *at, *end; /* what is left of the text */
	unsigned line;        /* of `at`, from 1 */

	/* The entry. */
	unsigned entry_line;     /* where it starts */
	struct buf text;         /* blank first if the owner name is left out */
	size_t n_words;          /* how many `words` there are */
	char *words[SCAN_WORDS]; /* blank-separated, quotes kept; copied into `copy` */
	struct buf copy;
};

enum zonefile_scan_result {
	SCAN_END,
	SCAN_ENTRY,
	SCAN_ERROR, /* the reason says why; entry_line says where */
};

/* `text` must stay until the end. */
void zonefile_scan_init(struct zonefile_scan *scan, const char *text, size_t len);
void zonefile_scan_fini(struct zonefile_scan *scan);

/* The next entry that is not empty. It is valid until the next call. */
enum zonefile_scan_result zonefile_scan_next(struct zonefile_scan *scan, const char **reason);

#endif
