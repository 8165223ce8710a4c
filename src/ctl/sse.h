/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sse: reads Server-Sent Events (the HTML standard, 9.2.6) from octets as they arrive, in whatever
 * pieces. Pure.
 */
#ifndef ROSTERD_CTL_SSE_H
#define ROSTERD_CTL_SSE_H

#include "base/buf.h"

struct sse {
	/* Gets each event that has data, which is NUL-terminated. */
	void (*on_event)(void *cookie, const char *event, const char *data);
	void *cookie;
	char last_id[24]; /* a number, where a reader goes on; empty: not known */
	struct buf line, data;
	char event[32];
	bool had_cr; /* the last octet ended a line that a LF may still belong to */
	bool failed; /* out of memory */
};

void sse_init(struct sse *sse, void (*on_event)(void *cookie, const char *event, const char *data),
	      void *cookie);
void sse_fini(struct sse *sse);

/* Takes the next octets. */
void sse_put(struct sse *sse, const char *data, size_t len);

/* A new stream begins: what was cut off is forgotten, but not where to go on. */
void sse_reset(struct sse *sse);

#endif
