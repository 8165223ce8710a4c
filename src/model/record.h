/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record: the nouns. What is registered, what we know about it, and what can change.
 *
 *   registration   what a service said of one instance; never changes once it is applied
 *   instance       a registration and what became of it: status, lease, checks
 *   check          one health check of an instance
 *   service        the instances of one name, and the groups of them that have DNS names
 *   change         everything that can happen; the registry takes nothing else
 *
 * All of it belongs to the control thread. Instances, checks and services are made and freed by the
 * registry alone and are read-only for everybody else; a registration belongs to whoever made it
 * until the registry takes it, and then it keeps a copy.
 *
 * There may be a million instances: what each of them has is laid out to take little, which is why
 * small fields share words.
 */
#ifndef ROSTERD_MODEL_RECORD_H
#define ROSTERD_MODEL_RECORD_H

#include "base/limits.h"
#include "model/deadline.h"
#include "model/health.h"
#include "model/history.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* An IPv4 address, an IPv6 address, or both. Octets in network order. */
struct address {
	bool has_v4 : 1, has_v6 : 1;
	uint8_t v4[4];
	uint8_t v6[16];
};

enum protocol {
	PROTOCOL_TCP,
	PROTOCOL_UDP,
};

enum check_kind {
	CHECK_HTTP,
	CHECK_HTTPS,
	CHECK_TCP,
	CHECK_TTL, /* nobody runs it: heartbeats report, and must not stop */
};

/* Strings are NUL-terminated, heap-allocated and owned by the registration. */
struct check_spec {
	enum check_kind kind;
	bool tls_skip_verify; /* CHECK_HTTPS: take any certificate */
	enum status initial;

	/* CHECK_TTL */
	uint32_t ttl_ms; /* without a report for so long it is critical */

	/* the others */
	uint16_t port;
	uint16_t rise, fall;
	uint32_t interval_ms, timeout_ms;

	/* CHECK_HTTP, CHECK_HTTPS */
	char *path;        /* the request target, starts with '/' */
	char *method;      /* NULL: GET */
	char *expected;    /* the statuses that pass: "200-299,404"; NULL: 200-299 */
	char *headers;     /* lines as they are sent, each with its CRLF; NULL: none */
	char *server_name; /* CHECK_HTTPS: whose certificate it must be; NULL: the address's */
};

struct named_port {
	char *name; /* label, lower case */
	uint16_t port;
};

struct meta {
	char *key, *value;
};

/* What an operator decides about an instance. */
enum admin {
	ADMIN_AUTO,  /* its status decides */
	ADMIN_UP,    /* served whatever checks say */
	ADMIN_DOWN,  /* not served */
	ADMIN_DRAIN, /* not served; it goes on with the work that it has */
	ADMINS,
};

/*
 * Every string is NUL-terminated. Every string and list is heap-allocated and owned by the
 * registration; in the copy that the registry keeps, all stand in one block (model/record_pack.h).
 */
struct registration {
	char *service; /* label, lower case; in the registry's copy, the service's own name */
	char *id;      /* as given, or the default; 1..LIMIT_ID octets; record_label() */
	struct address address;
	enum protocol protocol : 7;
	bool has_label : 1; /* the id's label is another text and stands behind the id's NUL */
	uint16_t port;
	uint16_t priority, weight;
	uint32_t ttl_s;    /* wish for the service's DNS TTL; 0: none */
	uint32_t lease_ms; /* 0: no lease */
	uint8_t n_ports, n_tags, n_meta, n_checks;
	struct named_port *ports;
	char **tags;
	struct meta *meta; /* short forms (version, region, ...) included */
	struct check_spec *checks;
	char *file; /* name of the file of services that it is from; NULL: registered over HTTP */
};

/* One check of one instance. */
struct check {
	uint64_t check_id; /* never used twice while the process lives */
	struct instance *instance;
	const struct check_spec *spec; /* in the instance's registration */
	struct health health;
	struct history history;
	uint32_t latency_ms;
	uint64_t last_start_ms; /* when the newest result's run began; 0: no result yet */
	char *output;           /* what the newest result said, or NULL */

	/* CHECK_TTL: critical from then on; 0: not running yet */
	uint64_t due_ms;
	struct deadline deadline; /* the registry's: at due_ms, or as it was some reports ago */
};

/* Where an instance stands between a change and the next compile. */
enum instance_dirt {
	INSTANCE_CLEAN,
	INSTANCE_RENEWED, /* only its lease's end moved */
	INSTANCE_CHANGED, /* its own DNS name must be compiled */
	INSTANCE_GONE,    /* deregistered; freed by registry_clean() */
};

struct instance {
	struct service *service;
	struct registration *registration;
	enum status reported : 2; /* by heartbeats; passing until one says otherwise */
	enum status status : 2;   /* the worst of `reported` and the checks */
	enum admin admin : 3;
	/* registry.c and compile.c alone, to the next empty line */
	enum instance_dirt dirt : 2;
	bool is_leaving : 1;    /* safe_after_ms is to be worked out by the next compile */
	uint32_t position : 22; /* in service->instances */
	struct deadline deadline;
	struct instance *dirty_next;

	/*
	 * The revision with which policy_serves() last ceased to be true; 0: it never did. Those
	 * that ceased to serve in the same moment have the same one.
	 */
	uint64_t served_until;
	char *output;               /* what the newest heartbeat said, or NULL */
	uint64_t created, modified; /* revisions; of what is restored, the start's */
	uint64_t lease_end_ms;      /* 0: no lease */
	struct check **checks;      /* registration->n_checks of them, in its order */
	/* Down, drain: when the last answer that named it has expired; compile.c sets it. */
	uint64_t safe_after_ms;
};

/* Which of its instances a group of a service holds. */
enum group_kind {
	GROUP_ALL,      /* <service> */
	GROUP_PROTOCOL, /* _<service>._<proto> */
	GROUP_TAG,      /* <tag>.<service> and _<service>._<tag> */
	GROUP_PORT,     /* _<port-name>._<proto>.<service> */
};

/* Instances of a service that share DNS names of their own. Freed when the last one leaves. */
struct group {
	struct service *service;
	uint32_t position; /* in service->groups */
	uint32_t n_members;
	enum group_kind kind : 8;
	enum protocol protocol : 8; /* GROUP_PROTOCOL, GROUP_PORT */
	bool dirty : 1;
	bool is_counted : 1; /* registry_group.c: under its mode */
	uint8_t mode;        /* an enum policy_mode: who was served when it was last compiled */
	char label[];        /* GROUP_TAG: tag, GROUP_PORT: port name, lower case; else empty */
};

/* What a service serves when none of its instances is healthy. */
enum failure {
	FAILURE_EMPTY, /* nothing */
	FAILURE_ALL,   /* all: better an error from a service than none at all */
	FAILURE_LAST,  /* those that were healthy last */
};

struct service {
	uint32_t ttl_s;        /* 0: the server's default */
	uint32_t answer_limit; /* 0: all members */
	uint32_t panic_ppm;    /* millionths: below this healthy share all are served; 0: never */
	enum failure failure : 8;
	/* registry.c and compile.c alone, to the next empty line */
	bool dirty;
	bool dirty_groups; /* some are */
	bool refresh;      /* stable_until_ms must be worked out anew */

	size_t n_instances;
	struct instance **instances;
	struct group **groups;
	uint32_t n_groups, cap_groups, cap_instances;
	/* registry.c and compile.c alone, to the next empty line */
	struct deadline deadline; /* when to look at stable_until_ms again */
	uint64_t stable_until_ms; /* no instance enters or leaves answers by itself before */
	struct service *dirty_next;
	struct instance *dirty_instances;

	uint64_t revision; /* of its newest change */
	char name[];
};

enum change_kind {
	CHANGE_REGISTER,
	CHANGE_HEARTBEAT,
	CHANGE_DEREGISTER,
	CHANGE_CHECK_RESULT,
	CHANGE_POLICY,
	CHANGE_ADMIN,
	CHANGE_RESTORE,        /* an instance as it was before a restart */
	CHANGE_RESTORE_POLICY, /* what was set of a service's policy before a restart */
};

struct change_heartbeat {
	const char *service;
	const char *id;               /* NULL: the only one, or the caller's */
	const struct address *caller; /* NULL: unknown */
	const enum status *status;    /* NULL: not said */
	const char *output;           /* NULL: not said */
};

struct change_deregister {
	const char *service, *id;
	const char *file; /* the file that gives it up; NULL: somebody over HTTP */
};

struct change_check_result {
	uint64_t check_id;
	bool passed;
	uint64_t start_ms;   /* when the run began */
	uint32_t latency_ms; /* how long it took */
	const char *output;  /* printable, for people */
};

/* The newest wish wins: a later registration with a `ttl` sets the service's TTL again. */
struct change_policy {
	const char *service;
	const uint32_t *ttl_s;        /* NULL: stays */
	const uint16_t *answer_limit; /* NULL: stays; 0: all members */
	const enum failure *failure;  /* NULL: stays */
	const uint32_t *panic_ppm;    /* NULL: stays */
};

struct change_admin {
	const char *service, *id;
	enum admin admin;
};

struct stored_state;

struct change_restore {
	struct registration *registration; /* as of CHANGE_REGISTER */
	const struct stored_state *state;  /* model/stored.h; NULL: nothing else is known */
};

struct change {
	enum change_kind kind;
	union {
		/* CHANGE_REGISTER: taken over by the registry if it applies, else left */
		struct registration *registration;
		struct change_heartbeat heartbeat;
		struct change_deregister deregister;
		struct change_check_result check_result;
		struct change_policy policy; /* also CHANGE_RESTORE_POLICY */
		struct change_admin admin;
		struct change_restore restore;
	};
};

/* ---- Parsing what people write ---- */

/*
 * Copies an LDH label (RFC 1123 2.1: letters, digits, inner hyphens, 1..63) in lower case.
 * false: it is none.
 */
bool record_label_parse(const char *text, char label[LIMIT_LABEL + 1]);

/*
 * Adds an address in text form (inet_pton) to `address`. false with a reason: no address, the
 * unspecified address, multicast, broadcast, link-local, or IPv4 inside IPv6; or one of that family
 * is there.
 */
bool record_address_parse(const char *text, struct address *address, const char **reason);

/* "10.0.0.1", "2001:db8::1"; the text of one family, `address` must have it. */
void record_address_print(const struct address *address, bool v6, char text[46]);

/* "10s", "1m30s", "250ms", "2h", "1.5s" are durations; in milliseconds. false: none, or too large.
 */
bool record_duration_parse(const char *text, uint64_t *ms);

/* NULL: an instance can be reached there; else what is wrong with one of its addresses. */
const char *record_address_refuse(const struct address *address);

/* Whether it has a loopback address (127.0.0.0/8, ::1): this host as seen from here. */
bool record_address_is_loopback(const struct address *address);

/* The id of an instance that has none: the address and port as one label: 10-0-0-1-8080. */
void record_default_id(const struct address *address, uint16_t port, char id[LIMIT_LABEL + 1]);

/*
 * The DNS label of an id: the id itself where it is a lower-case LDH label, else a cleaned form and
 * 10 hex digits of a hash of the id, so that two ids of a service do not share a label. (Should
 * they all the same, the registry refuses the second.)
 */
void record_id_label(const char *id, char label[LIMIT_LABEL + 1]);

/* ---- Memory ---- */

/* All zero; NULL when out of memory. */
struct registration *record_registration_new(void);
void record_registration_free(struct registration *registration);

/*
 * Puts the label of its id behind the id, where it is another text. Once, when the id is there.
 * false when out of memory: it has none then.
 */
bool record_put_label(struct registration *registration);

/* The label of its id. */
static inline const char *record_label(const struct registration *registration)
{
	const char *id = registration->id;

	return registration->has_label ? id + strlen(id) + 1 : id;
}

/* The same families with the same octets. */
bool record_address_equal(const struct address *a, const struct address *b);

/* Whether two registrations say the same in every field. */
bool record_registration_equal(const struct registration *a, const struct registration *b);
bool record_check_equal(const struct check_spec *a, const struct check_spec *b);

/* A copy with strings of its own; false when out of memory: `copy` is then empty. */
bool record_check_copy(struct check_spec *copy, const struct check_spec *spec);
/* Frees its strings. */
void record_check_fini(struct check_spec *spec);

/* Whether an HTTP status passes a check with these expected ones: "200-299,404"; NULL: 200-299. */
bool record_check_expects(const char *expected, unsigned status);

/* Whether a check would make the server connect to a loopback address. */
bool record_checks_loopback(const struct registration *registration);

/* Whether an instance has this tag, in any letter case. */
bool record_has_tag(const struct registration *registration, const char *tag);

/* ---- Names for people ---- */

const char *record_protocol_name(enum protocol protocol); /* "tcp" */
const char *record_check_kind_name(enum check_kind kind); /* "http" */
const char *record_failure_name(enum failure failure);    /* "empty" */
const char *record_admin_name(enum admin admin);          /* "auto" */

/* Whether an operator took an instance out. */
bool record_admin_is_out(enum admin admin);

/* Understand what is printed above. false: none of that. */
bool record_admin_parse(const char *text, enum admin *admin);
bool record_failure_parse(const char *text, enum failure *failure);

#endif
