/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counters: what happened how often, one table.
 *
 * X(name, metric, labels, help) makes the field `name` of struct counters and a line of /metrics.
 * The metrics are listed in rosterd(8), each with its help. The label of a limit is its name in
 * base/limits.h, in lower case and with hyphens.
 *
 * Each thread that counts has its own struct and is its only writer; others read it through
 * counters_read(), so no count is ever locked or shared in a cache line that two threads write.
 */
#ifndef ROSTERD_BASE_COUNTERS_H
#define ROSTERD_BASE_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#define COUNTERS(X)                                                                             \
	X(silent, "rosterd_dns_dropped_total", "reason=\"not-a-query\"",                        \
	  "DNS messages left unanswered, by reason")                                            \
	X(oversize, "rosterd_dns_dropped_total", "reason=\"oversize\"",                         \
	  "DNS messages left unanswered, by reason")                                            \
	X(send_failed, "rosterd_dns_dropped_total", "reason=\"send\"",                          \
	  "DNS messages left unanswered, by reason")                                            \
	X(rate_limited, "rosterd_dns_dropped_total", "reason=\"rate-limit\"",                   \
	  "DNS messages left unanswered, by reason")                                            \
	X(rate_slipped, "rosterd_dns_rate_slipped_total", "",                                   \
	  "DNS replies cut to TC by the rate limit")                                            \
	X(amplified, "rosterd_dns_amplified_total", "",                                         \
	  "DNS replies over 5 times their question, to who proved no address")                  \
	X(tls_begun, "rosterd_tls_handshakes_total", "state=\"begun\"",                         \
	  "TLS handshakes, by how far they came")                                               \
	X(tls_done, "rosterd_tls_handshakes_total", "state=\"done\"",                           \
	  "TLS handshakes, by how far they came")                                               \
	X(truncated, "rosterd_dns_truncated_total", "", "DNS replies with TC set")              \
	X(cookies_new, "rosterd_dns_cookies_total", "state=\"new\"",                            \
	  "DNS queries with a cookie, by its state")                                            \
	X(cookies_valid, "rosterd_dns_cookies_total", "state=\"valid\"",                        \
	  "DNS queries with a cookie, by its state")                                            \
	X(cookies_bad, "rosterd_dns_cookies_total", "state=\"bad\"",                            \
	  "DNS queries with a cookie, by its state")                                            \
	X(tcp_accepted, "rosterd_dns_tcp_connections_total", "", "DNS connections accepted")    \
	X(tcp_idle, "rosterd_dns_tcp_idle_total", "", "DNS connections closed for idleness")    \
	X(http_2xx, "rosterd_http_requests_total", "code=\"2xx\"",                              \
	  "HTTP requests answered, by status code")                                             \
	X(http_3xx, "rosterd_http_requests_total", "code=\"3xx\"",                              \
	  "HTTP requests answered, by status code")                                             \
	X(http_4xx, "rosterd_http_requests_total", "code=\"4xx\"",                              \
	  "HTTP requests answered, by status code")                                             \
	X(http_5xx, "rosterd_http_requests_total", "code=\"5xx\"",                              \
	  "HTTP requests answered, by status code")                                             \
	X(access_unknown, "rosterd_access_denied_total", "reason=\"unknown\"",                  \
	  "HTTP requests denied, or entries of arrays, by reason")                              \
	X(access_forbidden, "rosterd_access_denied_total", "reason=\"forbidden\"",              \
	  "HTTP requests denied, or entries of arrays, by reason")                              \
	X(registrations, "rosterd_registrations_total", "", "registrations applied")            \
	X(heartbeats, "rosterd_heartbeats_total", "", "heartbeats applied")                     \
	X(deregistrations, "rosterd_deregistrations_total", "", "deregistrations applied")      \
	X(expiries, "rosterd_expiries_total", "", "instances removed when their lease ended")   \
	X(refused_input, "rosterd_changes_refused_total", "code=\"400\"",                       \
	  "changes refused, by status code")                                                    \
	X(refused_unknown, "rosterd_changes_refused_total", "code=\"404\"",                     \
	  "changes refused, by status code")                                                    \
	X(refused_conflict, "rosterd_changes_refused_total", "code=\"409\"",                    \
	  "changes refused, by status code")                                                    \
	X(refused_full, "rosterd_changes_refused_total", "code=\"503\"",                        \
	  "changes refused, by status code")                                                    \
	X(refused_disk_full, "rosterd_changes_refused_total", "code=\"507\"",                   \
	  "changes refused, by status code")                                                    \
	X(checks_passed, "rosterd_checks_total", "result=\"pass\"", "results of health checks") \
	X(checks_warned, "rosterd_checks_total", "result=\"warn\"", "results of health checks") \
	X(checks_failed, "rosterd_checks_total", "result=\"fail\"", "results of health checks") \
	X(checks_not_run, "rosterd_checks_not_run_total", "",                                   \
	  "health checks put off for want of our own descriptors, ports or memory")             \
	X(pauses, "rosterd_pauses_credited_total", "",                                          \
	  "pauses of the server that leases and checks were not charged for")                   \
	X(policy_all, "rosterd_policy_acts_total", "serve=\"all\"",                             \
	  "failure policies that began to act, by what is served")                              \
	X(policy_last, "rosterd_policy_acts_total", "serve=\"last\"",                           \
	  "failure policies that began to act, by what is served")                              \
	X(store_commits, "rosterd_store_commits_total", "result=\"ok\"",                        \
	  "commits of the store, by result")                                                    \
	X(store_errors, "rosterd_store_commits_total", "result=\"error\"",                      \
	  "commits of the store, by result")                                                    \
	X(names_published, "rosterd_names_published_total", "", "names compiled and published") \
	X(reloads, "rosterd_reloads_total", "result=\"done\"",                                  \
	  "reloads of the configuration, by result")                                            \
	X(reloads_failed, "rosterd_reloads_total", "result=\"failed\"",                         \
	  "reloads of the configuration, by result")                                            \
	X(service_files_read, "rosterd_service_file_reads_total", "result=\"good\"",            \
	  "files of services read, by result")                                                  \
	X(service_files_refused, "rosterd_service_file_reads_total", "result=\"bad\"",          \
	  "files of services read, by result")                                                  \
	X(limit_udp_query, "rosterd_limit_hit_total", "limit=\"udp-query\"",                    \
	  "what passed a limit, by its name")                                                   \
	X(limit_tcp_connections, "rosterd_limit_hit_total", "limit=\"tcp-connections\"",        \
	  "what passed a limit, by its name")                                                   \
	X(limit_tcp_per_client, "rosterd_limit_hit_total", "limit=\"tcp-per-client\"",          \
	  "what passed a limit, by its name")                                                   \
	X(limit_cname_chain, "rosterd_limit_hit_total", "limit=\"cname-chain\"",                \
	  "what passed a limit, by its name")                                                   \
	X(limit_check_runs, "rosterd_limit_hit_total", "limit=\"check-runs\"",                  \
	  "what passed a limit, by its name")                                                   \
	X(limit_instances, "rosterd_limit_hit_total", "limit=\"instances\"",                    \
	  "what passed a limit, by its name")                                                   \
	X(limit_events, "rosterd_limit_hit_total", "limit=\"events\"",                          \
	  "what passed a limit, by its name")                                                   \
	X(limit_http_headers, "rosterd_limit_hit_total", "limit=\"http-headers\"",              \
	  "what passed a limit, by its name")                                                   \
	X(limit_http_body, "rosterd_limit_hit_total", "limit=\"http-body\"",                    \
	  "what passed a limit, by its name")                                                   \
	X(limit_http_connections, "rosterd_limit_hit_total", "limit=\"http-connections\"",      \
	  "what passed a limit, by its name")                                                   \
	X(limit_http_single, "rosterd_limit_hit_total", "limit=\"http-single\"",                \
	  "what passed a limit, by its name")                                                   \
	X(limit_http_per_client, "rosterd_limit_hit_total", "limit=\"http-per-client\"",        \
	  "what passed a limit, by its name")                                                   \
	X(limit_http_request_ms, "rosterd_limit_hit_total", "limit=\"http-request-ms\"",        \
	  "what passed a limit, by its name")                                                   \
	X(limit_http_waiting, "rosterd_limit_hit_total", "limit=\"http-waiting\"",              \
	  "what passed a limit, by its name")                                                   \
	X(limit_register_array, "rosterd_limit_hit_total", "limit=\"register-array\"",          \
	  "what passed a limit, by its name")                                                   \
	X(limit_heartbeat_array, "rosterd_limit_hit_total", "limit=\"heartbeat-array\"",        \
	  "what passed a limit, by its name")                                                   \
	X(limit_watchers, "rosterd_limit_hit_total", "limit=\"watchers\"",                      \
	  "what passed a limit, by its name")                                                   \
	X(limit_watch_output, "rosterd_limit_hit_total", "limit=\"watch-output\"",              \
	  "what passed a limit, by its name")                                                   \
	X(limit_zone_streams, "rosterd_limit_hit_total", "limit=\"zone-streams\"",              \
	  "what passed a limit, by its name")                                                   \
	X(limit_json_depth, "rosterd_limit_hit_total", "limit=\"json-depth\"",                  \
	  "what passed a limit, by its name")

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
