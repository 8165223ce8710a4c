/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * probe_run: what the kinds of checks have in common with the prober (io/probe.h): one run from
 * start to verdict, and how it connects. Prober thread only.
 */
#ifndef ROSTERD_IO_PROBE_RUN_H
#define ROSTERD_IO_PROBE_RUN_H

#include "model/record.h"

#include <sys/socket.h>

struct event_base;
struct probe_tls;

/* What a run needs to know. Borrowed until the verdict. */
struct probe_target {
	struct sockaddr_storage sockaddr;
	socklen_t sockaddr_len;
	const struct check_spec *spec;
	const char *host;      /* for the Host header: "10.0.0.1:8080", "[::1]:8080" */
	struct probe_tls *tls; /* what https runs share */
};

/* Where a run is after a step of it. */
enum probe_step {
	PROBE_NEXT,        /* the next step at once */
	PROBE_AGAIN_READ,  /* again when the socket is readable */
	PROBE_AGAIN_WRITE, /* again when it is writable */
	PROBE_END,         /* the verdict is there */
};

/*
 * Called exactly once unless the run is cancelled, never from within start. The run has ended
 * already; `output` is printable ASCII and valid during the call.
 */
typedef void (*probe_verdict)(void *cookie, bool passed, const char *output);

/* A kind of check. */
struct probe_kind {
	/*
	 * A run in progress; NULL when it could not even begin for a reason of our own (out of
	 * descriptors, ports or memory): errno says which. What the target does wrong is a verdict.
	 */
	void *(*start)(struct event_base *base, const struct probe_target *target,
		       probe_verdict verdict, void *cookie);
	/* Ends a run without a verdict, its connection by a reset. */
	void (*cancel)(void *run);
};

extern const struct probe_kind probe_http, probe_tcp;

/*
 * Opens a socket whose close() is a reset, and begins to connect. Returns it; it turns writable
 * when there is an end to connecting. `*error` is what connect() itself found wrong with the
 * target, else 0. -1 with errno: a reason of our own.
 */
int probe_run_connect(const struct probe_target *target, int *error);

/* How connecting ended, once the socket is writable: 0 or an errno. */
int probe_run_connected(int fd);

/* An errno as output: "connection refused". */
void probe_run_explain(int error, char *output, size_t output_size);

#endif
