/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reference: what rosterd(8) promises, in the plainest form: instances in an array, every question
 * answered by a walk over all of them. It shares nothing with the product but names of states, and
 * knows no more names, tags and checks than stand in the tables below. Who is told the same changes
 * at the same times must give the same answers.
 */
#ifndef ROSTERD_TESTS_REFERENCE_H
#define ROSTERD_TESTS_REFERENCE_H

#include "model/policy.h"

enum {
	REFERENCE_SERVICES = 3,
	REFERENCE_TAGS = 6,
	REFERENCE_PORTS = 3,
	REFERENCE_CHECKS = 6,
	REFERENCE_STATICS = 4,
	REFERENCE_STATIC_TTL_S = 60,
	REFERENCE_ZONES = 2,
	REFERENCE_CHECKS_MAX = 3, /* of an instance */
	REFERENCE_INSTANCES = 64,
	REFERENCE_RECORDS = 2 * REFERENCE_INSTANCES,
	REFERENCE_TEXT = 300,
};

struct reference_check {
	enum check_kind kind;
	unsigned ttl_ms;     /* CHECK_TTL */
	unsigned rise, fall; /* the others */
	enum status initial;
};

extern const char *const reference_services[REFERENCE_SERVICES];
extern const char *const reference_tags[REFERENCE_TAGS];
extern const char *const reference_ports[REFERENCE_PORTS];
extern const struct reference_check reference_checks[REFERENCE_CHECKS];
extern const char *const reference_statics[REFERENCE_STATICS];
extern const char reference_static_record[];

/* All octets count when two are compared: to be zeroed as a whole first. */
struct reference_registration {
	unsigned service;
	char id[LIMIT_LABEL + 1]; /* a label */
	unsigned v4, v6;          /* 10.0.0.N, 2001:db8::N; 0: none */
	unsigned port, priority, weight;
	bool is_udp;
	unsigned tags, ports;     /* bit i: has reference_tags[i] */
	unsigned named_port;      /* of the first of `ports`; then one more each */
	unsigned version;         /* 0: none */
	unsigned lease_ms, ttl_s; /* 0: none */
	unsigned n_checks;
	unsigned checks[REFERENCE_CHECKS_MAX];
};

struct reference_check_state {
	enum status status;
	bool has_result;
	unsigned run;    /* results in a row against the status */
	uint64_t due_ms; /* CHECK_TTL: without a report until then it is critical */
};

struct reference_instance {
	bool exists;
	struct reference_registration registration;
	enum status reported, status;
	enum admin admin;
	uint64_t lease_end_ms;
	uint64_t served_until_ms;
	struct reference_check_state checks[REFERENCE_CHECKS_MAX];
};

struct reference_policy {
	enum failure failure;
	unsigned panic_percent, answer_limit, ttl_s;
};

/* A zone as it is served. */
struct reference_zone {
	const char *origin;
	const char *tag;  /* that it filters by; NULL: it shows all */
	bool has_statics; /* its file has reference_statics, each with reference_static_record */
};

struct reference {
	uint64_t now_ms;
	struct reference_instance instances[REFERENCE_INSTANCES];
	struct reference_policy policies[REFERENCE_SERVICES];
	struct reference_zone zones[REFERENCE_ZONES]; /* no origin: there is none */
};

/* What DNS must say. */
struct reference_answer {
	bool exists;     /* else NXDOMAIN */
	size_t n;        /* records: "A 10.0.0.1"; 0: NODATA */
	size_t n_given;  /* so many of them, any */
	size_t n_beside; /* in the additional section, all: "one.pay A 10.0.0.1" */
	int ede;         /* Extended DNS Error; -1: none */
	unsigned ttl_min_s, ttl_max_s;
	char records[REFERENCE_RECORDS][REFERENCE_TEXT];
	char beside[REFERENCE_RECORDS][REFERENCE_TEXT];
};

void reference_init(struct reference *reference, uint64_t now_ms);

/* Changes; each returns the HTTP status that it must have. NULL: not said. */
int reference_register(struct reference *reference,
		       const struct reference_registration *registration);
int reference_heartbeat(struct reference *reference, unsigned service, const char *id,
			const enum status *status);
int reference_deregister(struct reference *reference, unsigned service, const char *id);
int reference_admin(struct reference *reference, unsigned service, const char *id,
		    enum admin admin);
int reference_set_policy(struct reference *reference, unsigned service,
			 const struct reference_policy *policy);
int reference_probe(struct reference *reference, unsigned service, const char *id, unsigned check,
		    bool passed);

/* Time passes. */
void reference_advance(struct reference *reference, uint64_t ms);

/*
 * Of how many services, and of how many groups of instances that share a name in any zone, who is
 * served; a protocol that all instances of a service have is no group of its own.
 */
struct reference_counts {
	size_t services[POLICY_MODES], groups[POLICY_MODES];
};
void reference_count(const struct reference *reference, struct reference_counts *counts);

/*
 * What a zone says of a name below its apex, such as "_http._tcp.pay", and a type.
 */
void reference_ask(const struct reference *reference, const struct reference_zone *zone,
		   const char *name, const char *type, struct reference_answer *answer);

#endif
