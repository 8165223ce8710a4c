/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control_state: what the control thread has; inside of control (app/control.h).
 *
 *   control        its life: making everything, opening the doors, restoring
 *   control_serve  what happens in between
 *   control_stop   signals, and the end
 *   control_replace  from one server to the next
 */
#ifndef ROSTERD_APP_CONTROL_STATE_H
#define ROSTERD_APP_CONTROL_STATE_H

#include "app/commit.h"
#include "app/conf.h"
#include "app/dump.h"
#include "app/files.h"
#include "app/replace.h"
#include "app/restore.h"
#include "app/revision.h"
#include "app/successor.h"
#include "app/takeover.h"
#include "app/watchdog.h"
#include "app/watchers.h"
#include "app/workers.h"
#include "app/zone_streams.h"
#include "io/httpd.h"
#include "io/probe.h"

/* A reply that waits for the publish. */
struct pending {
	struct httpd_request *owed;
	struct api_reply reply;
};

/* How far this server has yielded to the one that replaces it: control_replace.c. */
enum control_yield {
	YIELD_NO,
	YIELD_HTTP,
	YIELD_COMMIT,
	YIELD_DONE,
};

struct control {
	uint64_t start_ms; /* when it began, on the monotonic clock */
	struct conf *conf;
	const struct conf_flags *flags;
	struct event_base *base;
	struct counters counters;
	struct revision *revision;
	struct store *store;
	struct restore *restore;
	struct commit *commit;
	struct files *files;
	struct answer_identity identity;
	struct catalog *catalog;
	struct registry *registry;
	struct events *events;
	struct watchers *watchers;
	struct compile *compile;
	struct listen_set given; /* sockets that others have opened for us */
	struct workers *workers;
	struct watchdog *watchdog;
	struct dump *dump;
	struct zone_streams *zone_streams;
	struct queue *results; /* of the prober */
	struct probe *probe;
	struct httpd *httpd;
	struct tls *tls; /* the caller's; NULL: none is configured */
	struct api api;
	struct queue *notes; /* that the workers have drained */
	struct event *on_results, *on_notes, *publish, *deadline, *tick, *drain_end;
	struct event *on_signals[5];
	struct pending *pending;
	size_t n_pending, cap_pending;
	bool is_unpublished; /* there was no memory to publish what has changed */
	uint64_t round_ns;   /* when the present round's work began; 0: not yet */
	struct histogram rounds;
	/* The listening sockets of `httpd`, which has copies; those with TLS behind the others. */
	int http[2 * LIMIT_ADDRESSES];
	size_t n_http;
	struct takeover takeover;
	struct replace *replace; /* NULL: not replaceable */
	struct successor *successor;
	enum control_yield yield;
	struct event *yield_step, *yield_end;
	int *offered;
	bool has_told_ready, is_ready, is_draining, http_drained, dns_drained, commit_drained;
	bool has_failed;
};

#endif
