/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * args: a command line taken apart: options (ARGS_OPTIONS, one table for all commands, which
 * --help and the completion print too), words, and what stands behind "--".
 *
 * Options and words may be mixed; "--option value" and "--option=value" are the same.
 */
#ifndef ROSTERD_CTL_ARGS_H
#define ROSTERD_CTL_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(ID, name, argument or NULL, help); FILE as an argument is completed as one. */
#define ARGS_OPTIONS(X)                                                                        \
	/* of every command */                                                                 \
	X(HTTP, "http", "ADDRESS", "the server: host:port, address@port or a URL")             \
	X(TOKEN_FILE, "token-file", "FILE", "read the token to show from FILE")                \
	X(CACERT, "cacert", "FILE", "trust the certificates of these authorities (PEM)")       \
	X(CERT, "cert", "FILE", "show this certificate (PEM)")                                 \
	X(KEY, "key", "FILE", "its key (PEM)")                                                 \
	X(TIMEOUT, "timeout", "TIME", "wait so long for a reply (default: 30s)")               \
	X(JSON, "json", NULL, "print JSON, for programs")                                      \
	X(COLOR, "color", "WHEN", "colours: auto (default), always or never")                  \
	X(HELP, "help", NULL, "print help, also that of a command")                            \
	X(VERSION, "version", NULL, "print the version")                                       \
	/* a registration */                                                                   \
	X(NAME, "name", "SERVICE", "the service")                                              \
	X(ID, "id", "ID", "the instance (default: made of address and port)")                  \
	X(IP, "ip", "ADDRESS", "its address (default: ours, as the server sees it)")           \
	X(PORT, "port", "PORT", "its port")                                                    \
	X(NAMED_PORT, "named-port", "NAME=PORT", "a named port; may be repeated")              \
	X(PROTOCOL, "protocol", "NAME", "what it speaks: tcp (default) or udp")                \
	X(PRIORITY, "priority", "N", "the lowest is used first (default: 10)")                 \
	X(WEIGHT, "weight", "N", "its share of the traffic (default: 100)")                    \
	X(TAG, "tag", "TAG", "a tag; may be repeated")                                         \
	X(META, "meta", "KEY=VALUE", "metadata; may be repeated")                              \
	X(TTL, "ttl", "TIME", "the wish for the DNS TTL of the service")                       \
	X(LEASE, "lease", "TIME", "how long it stays without a heartbeat")                     \
	X(HEALTH, "health", "PATH", "the server checks it over HTTP")                          \
	/* of some */                                                                          \
	X(NO_WAIT, "no-wait", NULL, "do not wait until the drain is over")                     \
	X(SERVICE, "service", "SERVICE", "only what happens to this one")                      \
	X(SINCE, "since", "REVISION", "begin behind this revision")                            \
	X(COUNT, "count", "N", "end after so many events")                                     \
	X(ALL, "all", NULL, "those too that are zero, and the buckets of histograms")          \
	X(PROBE, "probe", "ADDRESS", "see there whether it listens (default: its address)")    \
	X(DRAIN_LIMIT, "drain-limit", "TIME", "end it then though a drain takes longer (60s)") \
	X(ROSTERD, "rosterd", "FILE", "the server's program")

enum args_id {
#define ARGS_ENUM(id, name, argument, help) ARGS_##id,
	ARGS_OPTIONS(ARGS_ENUM)
#undef ARGS_ENUM
	ARGS_N
};

struct args_option {
	const char *name, *argument, *help;
};
extern const struct args_option args_options[ARGS_N];

/* Sets of options. */
#define ARGS_BIT(id) (UINT64_C(1) << (id))
#define ARGS_COMMON  (ARGS_BIT(ARGS_NAME) - 1)

struct args {
	struct args_given {
		enum args_id id;
		const char *value; /* "" where there is none */
	} * given;                 /* in the order of the command line */
	size_t n_given;
	char **words;
	size_t n_words;
	char **rest; /* what stands behind "--", up to a NULL; NULL: there is no "--" */
};

/* Takes the arguments behind argv[0] apart; they stay borrowed. false with a message. */
bool args_parse(struct args *args, int argc, char **argv, char *message, size_t message_size);
void args_fini(struct args *args);

/* The first option given that is not in the set; NULL: all are. */
const struct args_option *args_find_other(const struct args *args, uint64_t set);

/* The value given last; NULL: it is not given. */
const char *args_get(const struct args *args, enum args_id id);

/* The next value of an option that may be repeated; `position` starts at 0. NULL: no more. */
const char *args_next(const struct args *args, enum args_id id, size_t *position);

#endif
