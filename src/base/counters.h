/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counters: what happened how often, one table.
 *
 * X(name, metric, labels, help) makes the field `name` of struct counters and a line of /metrics.
 * Each thread that counts has its own struct and is its only writer; others read it through
 * counters_read(), so no count is ever locked or shared in a cache line that two threads write.
 */
#ifndef ROSTERD_BASE_COUNTERS_H
#define ROSTERD_BASE_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#define COUNTERS(X)                                                                                \
	X(udp_queries, "rosterd_dns_queries_total", "protocol=\"udp\"", "DNS messages received")   \
	X(tcp_queries, "rosterd_dns_queries_total", "protocol=\"tcp\"", "DNS messages received")   \
	X(silent, "rosterd_dns_dropped_total", "reason=\"not-a-query\"",                           \
	  "DNS messages left unanswered")                                                          \
	X(oversize, "rosterd_dns_dropped_total", "reason=\"oversize\"",                            \
	  "DNS messages left unanswered")                                                          \
	X(send_failed, "rosterd_dns_dropped_total", "reason=\"send\"",                             \
	  "DNS messages left unanswered")                                                          \
	X(noerror, "rosterd_dns_replies_total", "rcode=\"NOERROR\"", "DNS replies by rcode")       \
	X(formerr, "rosterd_dns_replies_total", "rcode=\"FORMERR\"", "DNS replies by rcode")       \
	X(servfail, "rosterd_dns_replies_total", "rcode=\"SERVFAIL\"", "DNS replies by rcode")     \
	X(nxdomain, "rosterd_dns_replies_total", "rcode=\"NXDOMAIN\"", "DNS replies by rcode")     \
	X(notimp, "rosterd_dns_replies_total", "rcode=\"NOTIMP\"", "DNS replies by rcode")         \
	X(refused, "rosterd_dns_replies_total", "rcode=\"REFUSED\"", "DNS replies by rcode")       \
	X(badvers, "rosterd_dns_replies_total", "rcode=\"BADVERS\"", "DNS replies by rcode")       \
	X(truncated, "rosterd_dns_truncated_total", "", "DNS replies with TC set")                 \
	X(cookies_new, "rosterd_dns_cookies_total", "state=\"new\"", "queries with a cookie")      \
	X(cookies_valid, "rosterd_dns_cookies_total", "state=\"valid\"", "queries with a cookie")  \
	X(cookies_bad, "rosterd_dns_cookies_total", "state=\"bad\"", "queries with a cookie")      \
	X(tcp_accepted, "rosterd_dns_tcp_connections_total", "", "TCP connections accepted")       \
	X(tcp_refused, "rosterd_limit_hit_total", "limit=\"tcp-connections\"", "limits reached")   \
	X(tcp_idle, "rosterd_dns_tcp_idle_total", "", "TCP connections closed for idleness")       \
	X(http_requests, "rosterd_http_requests_total", "", "HTTP requests answered")              \
	X(http_refused, "rosterd_limit_hit_total", "limit=\"http-connections\"", "limits reached") \
	X(watchers_refused, "rosterd_limit_hit_total", "limit=\"watchers\"", "limits reached")     \
	X(watchers_cut, "rosterd_limit_hit_total", "limit=\"watch-output\"", "limits reached")     \
	X(registrations, "rosterd_registrations_total", "", "registrations applied")               \
	X(heartbeats, "rosterd_heartbeats_total", "", "heartbeats applied")                        \
	X(deregistrations, "rosterd_deregistrations_total", "", "deregistrations applied")         \
	X(expiries, "rosterd_expiries_total", "", "instances removed when their lease ended")      \
	X(checks_passed, "rosterd_checks_total", "result=\"pass\"", "health check results")        \
	X(checks_failed, "rosterd_checks_total", "result=\"fail\"", "health check results")        \
	X(pauses, "rosterd_pauses_credited_total", "",                                             \
	  "pauses of the server that leases and checks were not charged for")                      \
	X(policy_all, "rosterd_policy_acts_total", "serve=\"all\"",                                \
	  "failure policies that began to act")                                                    \
	X(policy_last, "rosterd_policy_acts_total", "serve=\"last\"",                              \
	  "failure policies that began to act")                                                    \
	X(names_published, "rosterd_names_published_total", "", "names compiled and published")

struct counters {
#define COUNTERS_FIELD(name, metric, labels, help) _Atomic uint64_t name;
	COUNTERS(COUNTERS_FIELD)
#undef COUNTERS_FIELD
};

struct buf;

/* Adds to a counter of the calling thread's own struct: a plain load, add and store. */
static inline void counters_add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/* Adds all counters of `from`, which another thread may be writing, to `sum`. */
void counters_read(struct counters *sum, const struct counters *from);

/* Appends `sum` in the Prometheus text format. */
void counters_print(const struct counters *sum, struct buf *out);

#endif
