/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * probe: runs health checks, on a thread of its own.
 *
 * Checks are started and stopped by messages; results come back by messages on a queue that the
 * control thread reads. A check only ever connects to its instance's address. A run ends within its
 * timeout whatever the target does, reads at most LIMIT_CHECK_READ octets, follows no redirect and
 * closes with a reset, so that no run leaves a TIME_WAIT behind.
 *
 * Times: the first run comes at once, or, where many are new, spread over up to the interval
 * (10 ms for each new check that waits). Each next run starts one interval after the last one's
 * start, less up to 10 % jitter, so checks never fall into step and `fall` failures never take
 * longer than fall x interval. All in server time (base/server_clock.h): a run has as much of its
 * timeout left after a pause of the server as before.
 *
 * An http or https check passes on a status that is expected, a tcp check on a completed
 * connection. An instance with addresses of both families is checked at its IPv4 address.
 *
 * At most LIMIT_CHECK_RUNS run at a time, and at most as many as half of the descriptors that the
 * process may have. Beyond that checks wait in three lines, each in order: those whose last run
 * ended before its timeout, new ones, and those whose last run did not. A line may take all places,
 * three quarters of them together with those behind it, or the half. So targets that hang wait for
 * each other, and nobody else for them.
 *
 * A run that cannot begin for a reason of our own (out of descriptors, ports or memory) gives no
 * result; it is logged, at most once a minute, and tried again an interval later.
 */
#ifndef ROSTERD_IO_PROBE_H
#define ROSTERD_IO_PROBE_H

#include "base/counters.h"
#include "base/queue.h"
#include "model/record.h"

struct probe;

/* A result, for the control thread; free() it. */
struct probe_result {
	struct queue_node node;
	uint64_t check_id;
	uint64_t start_ms; /* server time */
	uint32_t latency_ms;
	bool passed;
	char output[LIMIT_CHECK_OUTPUT]; /* printable: "200 OK", "connection refused", "timeout
					    after 2000 ms" */
};

/*
 * Starts the thread; results go to `results`. At most `max_runs` run at a time; 0: as many as said
 * above. NULL with a log line.
 */
struct probe *probe_new(struct queue *results, unsigned max_runs);
/* Ends the thread and all runs. Results that wait in the queue stay there. */
void probe_free(struct probe *probe);

/* What the thread counts; any thread may read it, by counters_read(). */
const struct counters *probe_counters(const struct probe *probe);

/* Any thread may call these, not for CHECK_TTL; they copy what they need. Out of memory is logged.
 */
void probe_start_check(struct probe *probe, const struct check *check);
void probe_stop_check(struct probe *probe, uint64_t check_id);

#endif
