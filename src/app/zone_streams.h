/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zone_streams: zones as master files over HTTP, sent while they are read.
 *
 * A thread that lives for one of them reads the catalog as workers do (model/dump.h), some segments
 * of the zone at a time, with less priority than they, and waits until the client has taken them:
 * so neither workers nor the control thread wait for it, and whatever the zone's size is, no more
 * of it is in memory than a part. As the files of app/dump.h it is no snapshot.
 *
 * The last line, "; N records", says that it is whole. A client that does not take a piece of it
 * within LIMIT_HTTP_REQUEST_MS is cut off, as are all when the port drains. At most
 * LIMIT_ZONE_STREAMS are sent at a time; over it the reply is a 503, and counted. Control thread
 * only.
 */
#ifndef ROSTERD_APP_ZONE_STREAMS_H
#define ROSTERD_APP_ZONE_STREAMS_H

#include "io/httpd.h"
#include "model/catalog.h"

struct event_base;
struct zone_streams;

/*
 * NULL when out of memory. The catalog and the counters are borrowed; `request_ms` is
 * LIMIT_HTTP_REQUEST_MS but in tests.
 */
struct zone_streams *zone_streams_new(struct event_base *base, const struct catalog *catalog,
				      struct counters *counters, unsigned request_ms);

/* Waits for the threads. Whoever is owed something is left to httpd_free(). NULL is fine. */
void zone_streams_free(struct zone_streams *streams);

/* Answers a request with a zone, and takes it over. */
void zone_streams_start(struct zone_streams *streams, struct httpd_request *owed,
			const struct api_zone *zone);

#endif
