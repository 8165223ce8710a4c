/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log: one structured line per event on standard error, in logfmt:
 *
 *     level=info event=listening door=dns addr=127.0.0.1@8600
 *
 * Any thread may log; a line is one write(2). Values are quoted and escaped where they need it, so
 * that text from a peer can neither break a line nor fake one. The query path never logs: it counts
 * (base/counters.h).
 */
#ifndef ROSTERD_BASE_LOG_H
#define ROSTERD_BASE_LOG_H

enum log_level {
	LOG_INFO,
	LOG_WARNING,
	LOG_ERROR,
};

/*
 * Writes one line. `event` names what happened (lower case, dashes). Then pairs follow: a key and
 * its value, both strings, ended by NULL:
 *
 *     log_event(LOG_INFO, "listening", "door", "dns", "addr", "127.0.0.1@8600", NULL);
 *
 * log_fmt() makes a string of anything else. A line holds at most 2,048 octets;
 * a longer one ends in "...".
 */
void log_event(enum log_level level, const char *event, ...) __attribute__((sentinel));

/*
 * The same for what strangers can cause again and again, by requests, registrations, connections or
 * the behaviour of what is checked: at most LIMIT_LOG_LINES such lines a second leave the process.
 * The next line of any kind behind those left out says how many they were:
 *
 *     level=warning event=log-suppressed count=1234
 */
void log_peer_event(enum log_level level, const char *event, ...) __attribute__((sentinel));

/*
 * What the newest line of the calling thread at level error said behind the level; "" if there was
 * none. Valid until the next one. For those who have to tell others why it failed.
 */
const char *log_last_error(void);

/*
 * printf into one of 8 buffers of 512 octets that belong to the calling thread; for the arguments
 * of log_event() alone.
 */
const char *log_fmt(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
