/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/probe.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/server_clock.h"
#include "base/table.h"
#include "io/probe_run.h"
#include "io/probe_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/resource.h>

enum {
	SPREAD_MS = 10,      /* between the first runs of many new checks */
	JITTER_PERCENT = 10, /* of the interval */
	LOG_MS = 60000,
	RUNS_MIN = 16, /* at a time, however few descriptors there are */
};

/* Where checks wait for a place to run, and what they count as while they run. */
enum line {
	LINE_QUICK, /* the last run ended before its timeout */
	LINE_NEW,   /* there was none yet */
	LINE_SLOW,  /* it did not */
	N_LINES,
};

/* How many quarters of all places a line may take, together with those behind it. */
static const unsigned line_quarters[N_LINES] = { 4, 3, 2 };

enum order_kind {
	ORDER_START,
	ORDER_STOP,
	ORDER_END, /* of the thread */
};

/* A message to the thread. */
struct order {
	struct queue_node node;
	enum order_kind kind;
	uint64_t check_id; /* ORDER_STOP */
	struct job *job;   /* ORDER_START */
};

/* A check between start and stop. */
struct job {
	struct probe *probe;
	uint64_t check_id;
	const struct probe_kind *kind;
	struct probe_target target;
	char host[INET6_ADDRSTRLEN + sizeof("[]:65535")];
	struct check_spec spec;

	/* the thread's */
	struct event *timer; /* the next run, or the end of this one */
	uint64_t due_ms;     /* when that is */
	void *run;           /* NULL: none */
	uint64_t start_ms;   /* of the newest run */
	bool has_begun;      /* its first run */
	enum line line;
	bool is_waiting; /* in that line */
	TAILQ_ENTRY(job) neighbours;
};

TAILQ_HEAD(job_line, job);

struct probe {
	pthread_t thread;
	struct event_base *base;
	struct queue *orders, *results;
	struct event *orders_event;
	struct order *end; /* there from the start, so that probe_free() cannot fail */

	/* the thread's */
	struct table *jobs;
	struct random random;
	size_t n_new; /* jobs that wait for their first run */
	struct job_line lines[N_LINES];
	unsigned n_runs[N_LINES], max_runs;
	struct probe_tls *tls;
	uint64_t logged_ms; /* 0: never */
	struct counters counters;
};

/* ---- Jobs ---- */

static uint64_t hash_id(uint64_t check_id)
{
	return check_id *
	       0x9e3779b97f4a7c15; /* Fibonacci hashing: the table wants good upper bits */
}

static bool match_job(const void *entry, const void *key)
{
	const struct job *job = entry;
	const uint64_t *check_id = key;

	return job->check_id == *check_id;
}

static void job_free(struct job *job)
{
	if (!job)
		return;
	if (job->run)
		job->kind->cancel(job->run);
	if (job->timer)
		event_free(job->timer);
	record_check_fini(&job->spec);
	free(job);
}

static void put_sockaddr(struct job *job, const struct address *address, uint16_t port)
{
	char text[INET6_ADDRSTRLEN];

	record_address_print(address, !address->has_v4, text);
	if (address->has_v4) {
		struct sockaddr_in *in = (struct sockaddr_in *)&job->target.sockaddr;

		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, address->v4, sizeof(address->v4));
		job->target.sockaddr_len = sizeof(*in);
		snprintf(job->host, sizeof(job->host), "%s:%u", text, port);
	} else {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&job->target.sockaddr;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		memcpy(&in6->sin6_addr, address->v6, sizeof(address->v6));
		job->target.sockaddr_len = sizeof(*in6);
		snprintf(job->host, sizeof(job->host), "[%s]:%u", text, port);
	}
	job->target.host = job->host;
}

/* A copy of all that a check's runs need; NULL when out of memory. */
static struct job *job_new(struct probe *probe, const struct check *check)
{
	static const struct probe_kind *const kinds[] = {
		[CHECK_HTTP] = &probe_http,
		[CHECK_HTTPS] = &probe_http,
		[CHECK_TCP] = &probe_tcp,
	};
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->probe = probe;
	job->check_id = check->check_id;
	if (!record_check_copy(&job->spec, check->spec)) {
		free(job);
		return NULL;
	}
	job->kind = kinds[job->spec.kind];
	job->line = LINE_NEW;
	put_sockaddr(job, &check->instance->registration->address, job->spec.port);
	job->target.spec = &job->spec;
	job->target.tls = probe->tls;
	return job;
}

/* ---- Runs ---- */

static void set_timer(struct job *job, uint64_t due_ms, uint64_t now_ms)
{
	const struct timeval delay = clock_timeval(due_ms > now_ms ? due_ms - now_ms : 0);

	job->due_ms = due_ms;
	/* Fails only where the heap of timers cannot grow; then the check stands still. */
	if (evtimer_add(job->timer, &delay) != 0)
		log_peer_event(LOG_ERROR, "out-of-memory", "door", "checks", NULL);
}

static void wait_for_next_run(struct job *job)
{
	uint32_t jitter_ms =
		random_below(&job->probe->random, job->spec.interval_ms * JITTER_PERCENT / 100 + 1);

	set_timer(job, job->start_ms + job->spec.interval_ms - jitter_ms, server_clock_ms());
}

static void tell(struct job *job, bool passed, const char *output)
{
	struct probe_result *result = calloc(1, sizeof(*result));

	if (!result)
		return; /* the next run tells */
	result->check_id = job->check_id;
	result->start_ms = job->start_ms;
	result->latency_ms = (uint32_t)(server_clock_ms() - job->start_ms);
	result->passed = passed;
	snprintf(result->output, sizeof(result->output), "%s", output);
	queue_push(job->probe->results, &result->node);
}

/* A run is over: its place is free, and the check belongs to the line that it has earned. */
static void end_run(struct job *job, enum line line)
{
	job->run = NULL;
	job->probe->n_runs[job->line]--;
	job->line = line;
}

static void start_waiting(struct probe *probe);

static void on_verdict(void *cookie, bool passed, const char *output)
{
	struct job *job = cookie;

	end_run(job, LINE_QUICK);
	tell(job, passed, output);
	wait_for_next_run(job);
	start_waiting(job->probe);
}

static void log_not_started(struct probe *probe, int reason)
{
	uint64_t now_ms = server_clock_ms();

	if (probe->logged_ms && now_ms - probe->logged_ms < LOG_MS)
		return;
	probe->logged_ms = now_ms;
	log_peer_event(LOG_WARNING, "check-not-run", "error", strerror(reason), NULL);
}

static void start_run(struct job *job)
{
	struct probe *probe = job->probe;

	if (!job->has_begun) {
		job->has_begun = true;
		probe->n_new--;
	}
	job->start_ms = server_clock_ms();
	job->run = job->kind->start(probe->base, &job->target, on_verdict, job);
	if (job->run) {
		probe->n_runs[job->line]++;
		set_timer(job, job->start_ms + job->spec.timeout_ms, job->start_ms);
		return;
	}
	counters_add(&probe->counters.checks_not_run, 1);
	log_not_started(probe, errno);
	wait_for_next_run(job);
}

static bool has_place(const struct probe *probe, enum line line)
{
	unsigned n = 0, n_all = 0;

	for (unsigned i = 0; i < N_LINES; i++) {
		n_all += probe->n_runs[i];
		n += i >= line ? probe->n_runs[i] : 0;
	}
	return n_all < probe->max_runs && n < probe->max_runs * line_quarters[line] / 4;
}

static void leave_line(struct job *job)
{
	TAILQ_REMOVE(&job->probe->lines[job->line], job, neighbours);
	job->is_waiting = false;
}

/* Gives free places to those who wait. */
static void start_waiting(struct probe *probe)
{
	for (enum line line = LINE_QUICK; line < N_LINES; line++) {
		struct job *job;

		while ((job = TAILQ_FIRST(&probe->lines[line])) && has_place(probe, line)) {
			leave_line(job);
			start_run(job);
		}
	}
}

static void wait_for_place(struct job *job)
{
	TAILQ_INSERT_TAIL(&job->probe->lines[job->line], job, neighbours);
	job->is_waiting = true;
	start_waiting(job->probe);
	if (job->is_waiting)
		counters_add(&job->probe->counters.limit_check_runs, 1);
}

static void on_timer(evutil_socket_t fd, short what, void *cookie)
{
	struct job *job = cookie;
	uint64_t now_ms = server_clock_ms();
	char output[64];

	(void)fd, (void)what;
	/* The server paused meanwhile, or the loop's own clock is a tick ahead. */
	if (now_ms < job->due_ms) {
		set_timer(job, job->due_ms, now_ms);
		return;
	}
	if (!job->run) {
		wait_for_place(job);
		return;
	}
	job->kind->cancel(job->run);
	end_run(job, LINE_SLOW);
	snprintf(output, sizeof(output), "timeout after %u ms", job->spec.timeout_ms);
	tell(job, false, output);
	wait_for_next_run(job);
	start_waiting(job->probe);
}

/* ---- Orders ---- */

static void begin_job(struct probe *probe, struct job *job)
{
	uint64_t now_ms = server_clock_ms(), spread_ms;

	job->timer = evtimer_new(probe->base, on_timer, job);
	if (!job->timer || table_insert(probe->jobs, hash_id(job->check_id), job) != 0) {
		log_peer_event(LOG_ERROR, "out-of-memory", "door", "checks", NULL);
		job_free(job);
		return;
	}
	probe->n_new++;
	spread_ms = (uint64_t)SPREAD_MS * probe->n_new;
	if (spread_ms > job->spec.interval_ms)
		spread_ms = job->spec.interval_ms;
	set_timer(job, now_ms + random_below(&probe->random, (uint32_t)spread_ms), now_ms);
}

static void end_job(struct probe *probe, uint64_t check_id)
{
	uint64_t hash = hash_id(check_id);
	struct job *job = table_find(probe->jobs, hash, &check_id);

	if (!job)
		return;
	table_remove(probe->jobs, hash, job);
	if (!job->has_begun)
		probe->n_new--;
	if (job->is_waiting)
		leave_line(job);
	if (job->run) {
		job->kind->cancel(job->run);
		end_run(job, job->line);
	}
	job_free(job);
	start_waiting(probe);
}

static void obey(struct probe *probe, const struct order *order)
{
	switch (order->kind) {
	case ORDER_START:
		begin_job(probe, order->job);
		break;
	case ORDER_STOP:
		end_job(probe, order->check_id);
		break;
	case ORDER_END:
		event_base_loopbreak(probe->base);
		break;
	}
}

static void on_orders(evutil_socket_t fd, short what, void *cookie)
{
	struct probe *probe = cookie;
	struct queue_node *node = queue_take(probe->orders);

	(void)fd, (void)what;
	while (node) {
		struct order *order = (struct order *)node;

		node = node->next;
		obey(probe, order);
		free(order);
	}
}

const struct counters *probe_counters(const struct probe *probe)
{
	return &probe->counters;
}

void probe_start_check(struct probe *probe, const struct check *check)
{
	struct order *order = calloc(1, sizeof(*order));

	if (order)
		order->job = job_new(probe, check);
	if (!order || !order->job) {
		free(order);
		log_peer_event(LOG_ERROR, "out-of-memory", "door", "checks", NULL);
		return;
	}
	order->kind = ORDER_START;
	queue_push(probe->orders, &order->node);
}

void probe_stop_check(struct probe *probe, uint64_t check_id)
{
	struct order *order = calloc(1, sizeof(*order));

	if (!order) {
		log_peer_event(LOG_ERROR, "out-of-memory", "door", "checks", NULL);
		return;
	}
	order->kind = ORDER_STOP;
	order->check_id = check_id;
	queue_push(probe->orders, &order->node);
}

/* ---- The thread ---- */

static void *run_thread(void *cookie)
{
	struct probe *probe = cookie;

	event_base_dispatch(probe->base);
	return NULL;
}

/* Signals are the main thread's. */
static int start_thread(struct probe *probe)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&probe->thread, NULL, run_thread, probe);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error) {
		errno = error;
		return -1;
	}
	pthread_setname_np(probe->thread, "probe");
	return 0;
}

/* How many may run at a time: each needs a descriptor, and others need some too. */
static unsigned count_places(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur / 2 >= LIMIT_CHECK_RUNS)
		return LIMIT_CHECK_RUNS;
	return limit.rlim_cur / 2 > RUNS_MIN ? (unsigned)(limit.rlim_cur / 2) : RUNS_MIN;
}

struct probe *probe_new(struct queue *results, unsigned max_runs)
{
	struct probe *probe = calloc(1, sizeof(*probe));

	if (!probe)
		goto fail;
	probe->results = results;
	probe->max_runs = max_runs ? max_runs : count_places();
	for (enum line line = LINE_QUICK; line < N_LINES; line++)
		TAILQ_INIT(&probe->lines[line]);
	random_init(&probe->random);
	probe->tls = probe_tls_new();
	if (!probe->tls)
		goto fail_probe;
	probe->end = calloc(1, sizeof(*probe->end));
	if (!probe->end)
		goto fail_tls;
	probe->end->kind = ORDER_END;
	probe->jobs = table_new(match_job);
	if (!probe->jobs)
		goto fail_end;
	probe->orders = queue_new();
	if (!probe->orders)
		goto fail_jobs;
	probe->base = event_base_new();
	if (!probe->base)
		goto fail_orders;
	probe->orders_event = event_new(probe->base, queue_fd(probe->orders), EV_READ | EV_PERSIST,
					on_orders, probe);
	if (!probe->orders_event || event_add(probe->orders_event, NULL) != 0)
		goto fail_event;
	if (start_thread(probe) != 0)
		goto fail_event;
	return probe;

fail_event:
	if (probe->orders_event)
		event_free(probe->orders_event);
	event_base_free(probe->base);
fail_orders:
	queue_free(probe->orders);
fail_jobs:
	table_free(probe->jobs);
fail_end:
	free(probe->end);
fail_tls:
	probe_tls_free(probe->tls);
fail_probe:
	free(probe);
fail:
	log_event(LOG_ERROR, "checks-not-started", "error", strerror(errno), NULL);
	return NULL;
}

/* Orders that came behind the last one. */
static void drop_orders(struct probe *probe)
{
	struct queue_node *node = queue_take(probe->orders);

	while (node) {
		struct order *order = (struct order *)node;

		node = node->next;
		job_free(order->job);
		free(order);
	}
}

void probe_free(struct probe *probe)
{
	struct job *job;
	size_t position = 0;

	if (!probe)
		return;
	queue_push(probe->orders, &probe->end->node);
	pthread_join(probe->thread, NULL);
	drop_orders(probe);
	while ((job = table_next(probe->jobs, &position)))
		job_free(job);
	event_free(probe->orders_event);
	event_base_free(probe->base);
	queue_free(probe->orders);
	table_free(probe->jobs);
	probe_tls_free(probe->tls);
	free(probe);
}
