/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limits: every bound of the program in one table, each with its reason.
 *
 * X(NAME, value, unit, reason) makes the constant LIMIT_NAME. What passes a bound is refused with
 * an error that names it, or counted (base/counters.h); nothing is cut off in silence. The table is
 * listed in rosterd(8), so the reason is written for operators.
 */
#ifndef ROSTERD_BASE_LIMITS_H
#define ROSTERD_BASE_LIMITS_H

#define LIMITS(X)                                                                              \
	/* DNS */                                                                              \
	X(UDP_PLAIN, 512, "octets", "RFC 1035 4.2.1: a reply to a query without EDNS")         \
	X(UDP_EDNS, 1232, "octets", "fits every IPv6 path unfragmented (DNS flag day 2020)")   \
	X(UDP_QUERY, 1536, "octets", "no honest query is longer; longer ones are dropped")     \
	X(UDP_BATCH, 64, "packets", "recvmmsg batch; more gains nothing measurable")           \
	X(UDP_BURST, 16, "batches", "read in a row before TCP and timers get their turn")      \
	X(RATE, 1000000, "replies a second", "more is no limit")                               \
	X(RATE_SLIP, 1000, "replies", "one in so many that are limited goes as TC")            \
	X(RATE_ALLOW, 64, "networks", "each reply to a stranger is compared with all")         \
	X(RATE_BUCKETS, 131072, "buckets a socket", "networks x kinds of replies; 2 MiB")      \
	X(TCP_MESSAGE, 65535, "octets", "RFC 1035 4.2.2: the length field has 16 bits")        \
	X(TCP_CONNECTIONS, 1024, "connections a worker",                                       \
	  "an idle one takes about 1 KiB, over TLS 15, one that reads nothing 320")            \
	X(TCP_PER_CLIENT, 128, "connections", "an IPv4 address, an IPv6 /64: not every place") \
	X(TCP_IDLE_MS, 10000, "ms", "RFC 7766 6.2.3 asks for seconds")                         \
	X(TLS_HANDSHAKES, 4, "steps a round", "one takes up to 1 ms, and UDP waits for it")    \
	X(CNAME_CHAIN, 8, "links", "ends loops; longer chains are errors in the zone")         \
	X(ORIGIN, 120, "octets of a zone's name", "the longest names below it stay under 255") \
	X(ZONES, 64, "zones", "the zone is found by comparing suffixes one by one")            \
	/* registrations */                                                                    \
	X(LABEL, 63, "octets", "RFC 1035 2.3.4")                                               \
	X(NAME, 255, "octets", "RFC 1035 2.3.4")                                               \
	X(ID, 255, "octets", "an id is a key, not a document")                                 \
	X(TAGS, 32, "tags an instance", "each tag is two DNS names")                           \
	X(TAGS_TEXT, 250, "octets", "all tags of an instance fit one TXT string")              \
	X(META, 32, "entries an instance", "each entry is a TXT string in every TXT answer")   \
	X(META_TEXT, 255, "octets", "key=value is one TXT string (RFC 1464)")                  \
	X(PORTS, 16, "named ports an instance", "each named port is a DNS name")               \
	X(CHECKS, 8, "checks an instance", "a check is outgoing traffic")                      \
	X(PATH, 255, "octets", "path of an HTTP check")                                        \
	X(METHOD, 20, "octets", "method of an HTTP check")                                     \
	X(CHECK_STATUSES, 16, "ranges a check", "statuses that pass; more is no health check") \
	X(CHECK_HEADERS, 16, "headers a check", "what a request of ours needs")                \
	X(CHECK_HEADERS_TEXT, 2048, "octets", "headers of a check as sent: a token fits")      \
	X(CHECK_RUNS, 16384, "runs at a time", "and half the descriptors: each check has one") \
	X(TTL_S, 86400, "s", "a day; discovery answers live for seconds")                      \
	X(LEASE_MIN_MS, 1000, "ms", "a shorter lease expires in network noise")                \
	X(LEASE_MAX_MS, 86400000, "ms", "a day; longer is no lease: register without one")     \
	X(INTERVAL_MIN_MS, 100, "ms", "a check is outgoing traffic")                           \
	X(INTERVAL_MAX_MS, 3600000, "ms", "an hour; slower is no health check")                \
	X(TIMEOUT_MIN_MS, 10, "ms", "below the noise of a busy host")                          \
	X(DAMPING, 100, "results", "rise and fall; more is a check that never acts")           \
	X(CHECK_OUTPUT, 256, "octets", "kept of what a check said, for people")                \
	X(CHECK_HISTORY, 60, "results a check", "kept in 16 octets, for people")               \
	X(CHECK_READ, 4096, "octets", "read of a target's reply: the status line is in there") \
	X(INSTANCES, 4000000, "instances", "bounds memory to some 3 GB")                       \
	X(ANSWER_LIMIT, 64, "records", "a draw without replacement costs time per record")     \
	X(EVENTS, 131072, "changes", "100,000 leases may end at once unmissed")                \
	/* HTTP */                                                                             \
	X(HTTP_HEADERS, 8192, "octets", "no client of ours sends more")                        \
	X(HTTP_BODY, 1048576, "octets", "an array of 1,000 registrations of 1 KiB fits")       \
	X(HTTP_SINGLE, 65536, "octets", "a full registration has some 10 KiB")                 \
	X(HTTP_CONNECTIONS, 512, "connections", "HTTP cannot take the descriptors of DNS")     \
	X(HTTP_PER_CLIENT, 64, "connections", "an IPv4 address, an IPv6 /64; but loopback")    \
	X(IDENTITY, 256, "octets", "a name of a client's certificate, with a NUL")             \
	X(HTTP_NAMES, 64, "names", "Host is compared with each")                               \
	X(ACCESS, 256, "entries", "a token is compared with that of each")                     \
	X(ACCESS_PATTERNS, 64, "patterns an entry", "a service is compared with each")         \
	X(HTTP_REQUEST_MS, 10000, "ms", "a whole request, however it trickles in")             \
	X(HTTP_WAITING, 67108864, "octets", "replies over 64 KiB that clients have not taken") \
	X(REGISTER_ARRAY, 1000, "registrations a request", "bounds the work of one request")   \
	X(HEARTBEAT_ARRAY, 10000, "heartbeats a request", "bounds the work of one request")    \
	X(LIST_INSTANCES, 10000, "instances a reply", "a list goes on in the next request")    \
	X(WATCHERS, 256, "watchers", "leaves half the connections to others")                  \
	X(WATCH_OUTPUT, 1048576, "octets a watcher", "a reader that stalls is cut")            \
	X(WATCH_WAIT_MS, 300000, "ms", "a long poll; proxies give up later")                   \
	X(WATCH_EVENTS, 1000, "events a reply", "of a long poll; more come with the next")     \
	X(ZONE_STREAMS, 4, "zones at a time", "each that is sent over HTTP has a thread")      \
	X(JSON_DEPTH, 16, "levels", "ours need four")                                          \
	/* the store */                                                                        \
	X(STORE_BATCH, 2000, "changes a commit", "some 20 ms of disk; the next one waits")     \
	X(COPY_MS, 10000, "ms", "how old the second copy may be while it is not needed")       \
	X(COPY_SHARE, 10, "percent", "of the time goes into it at most: disks are shared")     \
	/* process */                                                                          \
	X(PAUSE_MS, 250, "ms", "without a look at the clock; the rest is credited to leases")  \
	X(LOG_LINES, 10, "lines a second", "of what strangers cause; then they are counted")   \
	X(WORKERS, 256, "threads", "more than any machine of today has use for")               \
	X(ADDRESSES, 16, "addresses a door", "each is a socket in every worker")               \
	X(REPLACE_MS, 60000, "ms", "a new server that is not ready by then has failed")        \
	X(CONF_FILE, 1048576, "octets", "64 zones and 16 addresses need a few KiB")            \
	X(SERVICE_FILES, 20000, "files", "of services; each is looked at when one changes")    \
	X(SERVICE_FILE, 8388608, "octets", "10,000 definitions of 800; read in one go")        \
	X(ZONE_FILE, 67108864, "octets", "read whole by the thread that serves HTTP")

enum limit {
#define LIMIT_ENUM(name, value, unit, reason) LIMIT_##name = (value),
	LIMITS(LIMIT_ENUM)
#undef LIMIT_ENUM
};

#endif
