/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watchers: requests that wait for changes (api/watch.h), from their start to their end.
 *
 * A change is told of once it is published, so that who hears of it finds it in DNS. Watchers are
 * kept by the service that they follow: a change wakes those of its service, and those of all.
 *
 * A reader gets what it is behind by in portions, the next one when the kernel has taken the last,
 * and everybody else is served in between. One for which LIMIT_WATCH_OUTPUT octets wait and that
 * takes none of them for a second is cut off and counted; it may resume. So may one that is
 * behind so far that the events it wants are gone: it is cut off, and told 410 when it comes again.
 *
 * Control thread only.
 */
#ifndef ROSTERD_APP_WATCHERS_H
#define ROSTERD_APP_WATCHERS_H

#include "api/watch.h"
#include "io/httpd.h"

struct event_base;
struct watchers;

/*
 * `revision`: the newest that is published. `events` and `counters` are borrowed. `comment_ms`:
 * how often a quiet stream is kept alive. NULL when out of memory.
 */
struct watchers *watchers_new(struct event_base *base, const struct events *events,
			      struct counters *counters, uint64_t revision, unsigned comment_ms);

/* Forgets them all; what is owed to them is httpd_free()'s. */
void watchers_free(struct watchers *watchers);

/* Serves a request by what watch_handle() said of it; it may have been answered on return. */
void watchers_start(struct watchers *watchers, struct httpd_request *owed,
		    const struct api_watch *watch);

/* Everything up to `revision` is in DNS now: tells those who wait for some of it. */
void watchers_publish(struct watchers *watchers, uint64_t revision);

/* Ends every stream, and answers those who poll: they may come again. */
void watchers_end(struct watchers *watchers);

/* After httpd_drain(), which ends streams: answers those who poll, and lets none begin. */
void watchers_drain(struct watchers *watchers);
/* After watchers_drain(): there may be new ones again. */
void watchers_resume(struct watchers *watchers);

size_t watchers_count(const struct watchers *watchers);

#endif
