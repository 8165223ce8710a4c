/* SPDX-License-Identifier: BSD-2-Clause */
#include "reference.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define LABEL_62 "l23456789-123456789-123456789-123456789-123456789-123456789-12"

enum {
	DEFAULT_TTL_S = 5,
	MAX_LABELS = 4,
};

/* A label of 63 octets has no form with an underscore; a port needs one. */
const char *const reference_services[] = { "pay", "cart", LABEL_62 "s" };
/* Some are names of instances, too, or of protocols, or no labels. */
const char *const reference_tags[] = { "blue", "Red", "one", "tcp", "x y", LABEL_62 "t" };
const char *const reference_ports[] = { "http", "tcp", LABEL_62 };
/* Names of a service, of a tag or an instance, of a protocol, of a port. */
const char *const reference_statics[] = { "cart", "blue.pay", "_pay._tcp", "_http._udp.pay" };
const char reference_static_record[] = "A 192.0.2.7";
const struct reference_check reference_checks[] = {
	{ .kind = CHECK_HTTP, .rise = 2, .fall = 3, .initial = STATUS_CRITICAL },
	{ .kind = CHECK_HTTP, .rise = 1, .fall = 1, .initial = STATUS_PASSING },
	{ .kind = CHECK_TCP, .rise = 3, .fall = 2, .initial = STATUS_WARNING },
	{ .kind = CHECK_TTL, .ttl_ms = 2000, .initial = STATUS_CRITICAL },
	{ .kind = CHECK_TTL, .ttl_ms = 10000, .initial = STATUS_PASSING },
	{ .kind = CHECK_TTL, .ttl_ms = 1000, .initial = STATUS_WARNING },
};

void reference_init(struct reference *reference, uint64_t now_ms)
{
	memset(reference, 0, sizeof(*reference));
	reference->now_ms = now_ms;
}

/* ---- Instances ---- */

static bool is_of(const struct reference_instance *instance, unsigned service)
{
	return instance->exists && instance->registration.service == service;
}

static unsigned count(const struct reference *reference, unsigned service)
{
	unsigned n = 0;

	for (unsigned i = 0; i < REFERENCE_INSTANCES; i++)
		n += is_of(&reference->instances[i], service);
	return n;
}

static struct reference_instance *find(struct reference *reference, unsigned service,
				       const char *id)
{
	for (unsigned i = 0; i < REFERENCE_INSTANCES; i++)
		if (is_of(&reference->instances[i], service) &&
		    strcmp(reference->instances[i].registration.id, id) == 0)
			return &reference->instances[i];
	return NULL;
}

static bool is_eligible(const struct reference_instance *instance)
{
	return instance->admin == ADMIN_AUTO || instance->admin == ADMIN_UP;
}

static bool is_fit(const struct reference_instance *instance)
{
	return instance->admin == ADMIN_UP ||
	       (instance->admin == ADMIN_AUTO && instance->status != STATUS_CRITICAL);
}

static const struct reference_check *check_of(const struct reference_instance *instance, unsigned i)
{
	return &reference_checks[instance->registration.checks[i]];
}

/* After anything happened to an instance that was fit before, or was not. */
static void conclude(const struct reference *reference, struct reference_instance *instance,
		     bool was_fit)
{
	instance->status = instance->reported;
	for (unsigned i = 0; i < instance->registration.n_checks; i++)
		if (instance->checks[i].status > instance->status)
			instance->status = instance->checks[i].status;
	if (was_fit && !is_fit(instance))
		instance->served_until_ms = reference->now_ms;
}

/* A service without instances is none: its policy goes with the last. */
static void remove_instance(struct reference *reference, struct reference_instance *instance)
{
	unsigned service = instance->registration.service;

	memset(instance, 0, sizeof(*instance));
	if (count(reference, service) == 0)
		memset(&reference->policies[service], 0, sizeof(reference->policies[service]));
}

/* ---- Who shares a name ---- */

/* The labels of a name, the first one first. */
struct labels {
	unsigned n;
	char text[MAX_LABELS][LIMIT_NAME];
};

static struct labels split(const char *name)
{
	struct labels labels = { .n = 0 };

	for (const char *at = name;; at++) {
		size_t len = strcspn(at, ".");

		assert(labels.n < MAX_LABELS && len < LIMIT_NAME);
		memcpy(labels.text[labels.n], at, len);
		labels.text[labels.n++][len] = '\0';
		at += len;
		if (!*at)
			return labels;
	}
}

static bool is_label(const char *text)
{
	return !strchr(text, ' ') && strlen(text) <= LIMIT_LABEL;
}

/* Whether `label` is `word` behind an underscore. */
static bool is_underscored(const char *label, const char *word)
{
	return label[0] == '_' && strlen(word) < LIMIT_LABEL && strcasecmp(label + 1, word) == 0;
}

static bool has_tag(const struct reference_instance *instance, const char *tag)
{
	for (unsigned i = 0; i < REFERENCE_TAGS; i++)
		if ((instance->registration.tags >> i & 1) && is_label(reference_tags[i]) &&
		    strcasecmp(reference_tags[i], tag) == 0)
			return true;
	return false;
}

/* 0: it has no port of that name. */
static unsigned named_port(const struct reference_registration *registration, const char *name)
{
	unsigned port = registration->named_port;

	for (unsigned i = 0; i < REFERENCE_PORTS; i++) {
		if (!(registration->ports >> i & 1))
			continue;
		if (strcmp(reference_ports[i], name) == 0)
			return port;
		port++;
	}
	return 0;
}

static const char *protocol(const struct reference_instance *instance)
{
	return instance->registration.is_udp ? "udp" : "tcp";
}

static const char *service(const struct reference_instance *instance)
{
	return reference_services[instance->registration.service];
}

/* What an instance has to do with a name. */
enum part {
	PART_NONE,
	PART_BELOW,  /* it has a name below this one */
	PART_TAG,    /* one of those with the tag; the name is an instance's if there is one */
	PART_MEMBER, /* one of those that share it */
	PART_SRV,    /* the same, and it has SRV records alone */
	PART_OWN,    /* it is its own name */
};

static enum part part_of_1(const struct reference_instance *instance, const struct labels *labels)
{
	const char *label = labels->text[0];

	if (strcmp(label, service(instance)) == 0)
		return PART_MEMBER;
	if (label[0] != '_' || strlen(service(instance)) == LIMIT_LABEL)
		return PART_NONE;
	if (is_underscored(label, protocol(instance)))
		return PART_BELOW;
	if (strcmp(label, "_tcp") == 0 || strcmp(label, "_udp") == 0 || strlen(label) > LIMIT_LABEL)
		return PART_NONE;
	return has_tag(instance, label + 1) ? PART_BELOW : PART_NONE;
}

static enum part part_of_2(const struct reference_instance *instance, const struct labels *labels)
{
	const char *label = labels->text[0], *parent = labels->text[1];

	if (is_underscored(label, service(instance))) {
		if (is_underscored(parent, protocol(instance)))
			return PART_SRV;
		if (parent[0] != '_' || strcmp(parent, "_tcp") == 0 ||
		    strcmp(parent, "_udp") == 0 || strlen(parent) > LIMIT_LABEL)
			return PART_NONE;
		return has_tag(instance, parent + 1) ? PART_SRV : PART_NONE;
	}
	if (strcmp(parent, service(instance)) != 0)
		return PART_NONE;
	if (strcmp(label, instance->registration.id) == 0)
		return PART_OWN;
	if (has_tag(instance, label))
		return PART_TAG;
	if (!is_underscored(label, protocol(instance)))
		return PART_NONE;
	for (unsigned i = 0; i < REFERENCE_PORTS; i++)
		if ((instance->registration.ports >> i & 1) &&
		    strlen(reference_ports[i]) < LIMIT_LABEL)
			return PART_BELOW;
	return PART_NONE;
}

static enum part part_of_3(const struct reference_instance *instance, const struct labels *labels)
{
	bool has = labels->text[0][0] == '_' &&
		   named_port(&instance->registration, labels->text[0] + 1) &&
		   strlen(labels->text[0]) <= LIMIT_LABEL;

	return has && is_underscored(labels->text[1], protocol(instance)) &&
			       strcmp(labels->text[2], service(instance)) == 0
		       ? PART_SRV
		       : PART_NONE;
}

static enum part part_of(const struct reference_instance *instance, const struct labels *labels,
			 const char *tag)
{
	if (!instance->exists || (tag && !has_tag(instance, tag)))
		return PART_NONE;
	switch (labels->n) {
	case 1:
		return part_of_1(instance, labels);
	case 2:
		return part_of_2(instance, labels);
	case 3:
		return part_of_3(instance, labels);
	default:
		return PART_NONE;
	}
}

/* Whether a zone file that shows the instance has a name that the instance would have. */
static bool collides(const struct reference *reference, const struct reference_instance *instance)
{
	for (unsigned z = 0; z < REFERENCE_ZONES; z++) {
		const struct reference_zone *zone = &reference->zones[z];

		for (unsigned i = 0; zone->has_statics && i < REFERENCE_STATICS; i++) {
			struct labels labels = split(reference_statics[i]);

			if (part_of(instance, &labels, zone->tag) > PART_BELOW)
				return true;
		}
	}
	return false;
}

/* ---- Changes ---- */

static bool same_check(const struct reference_registration *a, unsigned i,
		       const struct reference_registration *b, unsigned j)
{
	const struct reference_check *check = &reference_checks[a->checks[i]];

	return a->checks[i] == b->checks[j] && a->v4 == b->v4 && a->v6 == b->v6 &&
	       (check->kind == CHECK_TTL || a->port == b->port);
}

/* Checks whose definition and target stay keep their state, each once. */
static void replace_checks(const struct reference *reference, struct reference_instance *instance,
			   const struct reference_registration *registration)
{
	struct reference_check_state states[REFERENCE_CHECKS_MAX];
	bool is_taken[REFERENCE_CHECKS_MAX] = { false };

	for (unsigned i = 0; i < registration->n_checks; i++) {
		const struct reference_check *check = &reference_checks[registration->checks[i]];

		states[i] = (struct reference_check_state){
			.status = check->initial,
			.due_ms = reference->now_ms + check->ttl_ms,
		};
		for (unsigned j = 0; j < instance->registration.n_checks; j++) {
			if (is_taken[j] || !same_check(registration, i, &instance->registration, j))
				continue;
			states[i] = instance->checks[j];
			is_taken[j] = true;
			break;
		}
	}
	memcpy(instance->checks, states, sizeof(states));
}

int reference_register(struct reference *reference,
		       const struct reference_registration *registration)
{
	struct reference_instance *instance =
		find(reference, registration->service, registration->id);
	bool is_new = !instance, was_fit = instance && is_fit(instance);
	struct reference_instance asked = { .exists = true, .registration = *registration };

	if ((is_new || memcmp(&instance->registration, registration, sizeof(*registration)) != 0) &&
	    collides(reference, &asked))
		return 409;
	for (unsigned i = 0; !instance && i < REFERENCE_INSTANCES; i++)
		if (!reference->instances[i].exists)
			instance = &reference->instances[i];
	assert(instance);
	instance->reported = STATUS_PASSING;
	if (is_new || memcmp(&instance->registration, registration, sizeof(*registration)) != 0) {
		replace_checks(reference, instance, registration);
		instance->exists = true;
		instance->registration = *registration;
		if (registration->ttl_s)
			reference->policies[registration->service].ttl_s = registration->ttl_s;
	}
	instance->lease_end_ms =
		registration->lease_ms ? reference->now_ms + registration->lease_ms : 0;
	conclude(reference, instance, was_fit);
	return is_new ? 201 : 200;
}

int reference_heartbeat(struct reference *reference, unsigned service, const char *id,
			const enum status *status)
{
	struct reference_instance *instance = NULL;
	bool was_fit;

	if (id)
		instance = find(reference, service, id);
	else if (count(reference, service) > 1)
		return 400;
	for (unsigned i = 0; !id && i < REFERENCE_INSTANCES; i++)
		if (is_of(&reference->instances[i], service))
			instance = &reference->instances[i];
	if (!instance)
		return 404;
	was_fit = is_fit(instance);
	if (status)
		instance->reported = *status;
	for (unsigned i = 0; i < instance->registration.n_checks; i++) {
		if (check_of(instance, i)->kind != CHECK_TTL)
			continue;
		instance->checks[i].status = instance->reported;
		instance->checks[i].due_ms = reference->now_ms + check_of(instance, i)->ttl_ms;
	}
	if (instance->lease_end_ms)
		instance->lease_end_ms = reference->now_ms + instance->registration.lease_ms;
	conclude(reference, instance, was_fit);
	return 200;
}

int reference_deregister(struct reference *reference, unsigned service, const char *id)
{
	struct reference_instance *instance = find(reference, service, id);

	if (!instance)
		return 404;
	remove_instance(reference, instance);
	return 200;
}

int reference_admin(struct reference *reference, unsigned service, const char *id, enum admin admin)
{
	struct reference_instance *instance = find(reference, service, id);
	bool was_fit;

	if (!instance)
		return 404;
	was_fit = is_fit(instance);
	instance->admin = admin;
	conclude(reference, instance, was_fit);
	return 200;
}

int reference_set_policy(struct reference *reference, unsigned service,
			 const struct reference_policy *policy)
{
	if (count(reference, service) == 0)
		return 404;
	reference->policies[service] = *policy;
	return 200;
}

int reference_probe(struct reference *reference, unsigned service, const char *id, unsigned check,
		    bool passed)
{
	struct reference_instance *instance = find(reference, service, id);
	enum status result = passed ? STATUS_PASSING : STATUS_CRITICAL;
	struct reference_check_state *state;
	unsigned needed = 1;
	bool was_fit;

	if (!instance || check >= instance->registration.n_checks ||
	    check_of(instance, check)->kind == CHECK_TTL)
		return 404;
	was_fit = is_fit(instance);
	state = &instance->checks[check];
	if (state->has_result)
		needed = passed ? check_of(instance, check)->rise : check_of(instance, check)->fall;
	state->run = result == state->status ? 0 : state->run + 1;
	if (state->run >= needed) {
		state->status = result;
		state->run = 0;
	}
	state->has_result = true;
	conclude(reference, instance, was_fit);
	return 200;
}

/* ---- Time ---- */

static void note_soonest(uint64_t *soonest_ms, uint64_t at_ms)
{
	if (at_ms && at_ms < *soonest_ms)
		*soonest_ms = at_ms;
}

/* When a check will have been missed; 0: never, it is critical already. */
static uint64_t missed_ms(const struct reference_instance *instance, unsigned i)
{
	if (check_of(instance, i)->kind != CHECK_TTL ||
	    instance->checks[i].status == STATUS_CRITICAL)
		return 0;
	return instance->checks[i].due_ms;
}

static void miss_checks(const struct reference *reference, struct reference_instance *instance)
{
	bool was_fit = is_fit(instance);

	for (unsigned i = 0; i < instance->registration.n_checks; i++) {
		uint64_t at_ms = missed_ms(instance, i);

		if (at_ms && at_ms <= reference->now_ms)
			instance->checks[i].status = STATUS_CRITICAL;
	}
	conclude(reference, instance, was_fit);
}

/* Does what is due now, and says when there is more to do. */
static uint64_t do_what_is_due(struct reference *reference)
{
	uint64_t soonest_ms = UINT64_MAX;

	for (unsigned i = 0; i < REFERENCE_INSTANCES; i++) {
		struct reference_instance *instance = &reference->instances[i];

		if (!instance->exists)
			continue;
		if (instance->lease_end_ms && instance->lease_end_ms <= reference->now_ms) {
			remove_instance(reference, instance);
			continue;
		}
		miss_checks(reference, instance);
		note_soonest(&soonest_ms, instance->lease_end_ms);
		for (unsigned k = 0; k < instance->registration.n_checks; k++)
			note_soonest(&soonest_ms, missed_ms(instance, k));
	}
	return soonest_ms;
}

void reference_advance(struct reference *reference, uint64_t ms)
{
	uint64_t end_ms = reference->now_ms + ms, next_ms;

	while ((next_ms = do_what_is_due(reference)) <= end_ms)
		reference->now_ms = next_ms;
	reference->now_ms = end_ms;
}

/* ---- Who of them is served ---- */

struct members {
	size_t n;
	const struct reference_instance *all[REFERENCE_INSTANCES];
};

/* By the policy of the service: see "Health" in rosterd(8). Of nobody all are fit. */
static enum policy_mode serve(const struct reference *reference, struct members *members)
{
	const struct reference_policy *policy;
	size_t n_eligible = 0, n_fit = 0, n = 0;
	uint64_t last_ms = 0;
	bool all, last;

	if (members->n == 0)
		return POLICY_FIT;
	policy = &reference->policies[members->all[0]->registration.service];
	for (size_t i = 0; i < members->n; i++) {
		n_eligible += is_eligible(members->all[i]);
		n_fit += is_fit(members->all[i]);
		if (is_eligible(members->all[i]) && members->all[i]->served_until_ms > last_ms)
			last_ms = members->all[i]->served_until_ms;
	}
	last = n_fit == 0 && policy->failure == FAILURE_LAST && last_ms > 0;
	all = n_fit == 0 ? policy->failure == FAILURE_ALL || policy->panic_percent > 0
			 : n_fit * 100 < n_eligible * policy->panic_percent;
	for (size_t i = 0; i < members->n; i++) {
		const struct reference_instance *instance = members->all[i];
		bool served = is_fit(instance);

		if (last)
			served = is_eligible(instance) && instance->served_until_ms == last_ms;
		else if (all)
			served = is_eligible(instance);
		if (served)
			members->all[n++] = instance;
	}
	members->n = n;
	if (last)
		return POLICY_LAST;
	if (n == 0)
		return POLICY_EMPTY;
	if (!all)
		return POLICY_FIT;
	return n_fit == 0 && policy->failure == FAILURE_ALL ? POLICY_ALL : POLICY_PANIC;
}

/* The Extended DNS Error that says so; -1: none. */
static int error_of(enum policy_mode mode)
{
	if (mode == POLICY_FIT)
		return -1;
	return mode == POLICY_LAST ? 3 : 0;
}

/* ---- How many are served how ---- */

enum {
	FIRST_TAG = 3, /* behind all, TCP and UDP */
	FIRST_PORT = FIRST_TAG + REFERENCE_TAGS,
	GROUPS = FIRST_PORT + 2 * REFERENCE_PORTS,
};

static bool is_in_group(const struct reference_instance *instance, unsigned group)
{
	if (group == 0)
		return true;
	if (group < FIRST_TAG)
		return instance->registration.is_udp == (group == 2);
	if (group < FIRST_PORT)
		return has_tag(instance, reference_tags[group - FIRST_TAG]);
	group -= FIRST_PORT;
	return instance->registration.is_udp == (group % 2 == 1) &&
	       named_port(&instance->registration, reference_ports[group / 2]);
}

static struct members find_group(const struct reference *reference, unsigned service,
				 unsigned group)
{
	struct members members = { .n = 0 };

	for (unsigned i = 0; i < REFERENCE_INSTANCES; i++)
		if (is_of(&reference->instances[i], service) &&
		    is_in_group(&reference->instances[i], group))
			members.all[members.n++] = &reference->instances[i];
	return members;
}

void reference_count(const struct reference *reference, struct reference_counts *counts)
{
	memset(counts, 0, sizeof(*counts));
	for (unsigned s = 0; s < REFERENCE_SERVICES; s++) {
		unsigned n_all = count(reference, s);

		for (unsigned group = 0; n_all && group < GROUPS; group++) {
			struct members members = find_group(reference, s, group);
			bool is_whole = group > 0 && group < FIRST_TAG && members.n == n_all;

			if (is_whole || members.n == 0)
				continue;
			enum policy_mode mode = serve(reference, &members);

			counts->services[mode] += group == 0;
			counts->groups[mode]++;
		}
	}
}

/* ---- Records ---- */

static void add(char (*records)[REFERENCE_TEXT], size_t *n, const char *text)
{
	for (size_t i = 0; i < *n; i++)
		if (strcmp(records[i], text) == 0)
			return;
	assert(*n < REFERENCE_RECORDS);
	strcpy(records[(*n)++], text);
}

/* "A 10.0.0.1"; false: none of that family. */
static bool print_address(const struct reference_instance *instance, const char *type,
			  char text[REFERENCE_TEXT])
{
	bool v6 = strcmp(type, "AAAA") == 0;
	unsigned number = v6 ? instance->registration.v6 : instance->registration.v4;

	snprintf(text, REFERENCE_TEXT, "%s %s%u", type, v6 ? "2001:db8::" : "10.0.0.", number);
	return number > 0;
}

/* The best priority that has any, and of that not those of weight 0 unless there are no others. */
static void put_addresses(const struct members *members, const char *type,
			  struct reference_answer *answer)
{
	unsigned best = UINT16_MAX + 1;
	bool is_weighted = false;
	char text[REFERENCE_TEXT];

	for (size_t i = 0; i < members->n; i++) {
		const struct reference_registration *its = &members->all[i]->registration;

		if (!print_address(members->all[i], type, text) || its->priority > best)
			continue;
		is_weighted = its->weight > 0 || (is_weighted && its->priority == best);
		best = its->priority;
	}
	for (size_t i = 0; i < members->n; i++) {
		const struct reference_registration *its = &members->all[i]->registration;

		if (print_address(members->all[i], type, text) && its->priority == best &&
		    (its->weight > 0 || !is_weighted))
			add(answer->records, &answer->n, text);
	}
}

static void put_srv(const struct members *members, const char *origin, const char *port_name,
		    struct reference_answer *answer)
{
	char text[REFERENCE_TEXT], owner[REFERENCE_TEXT / 2], beside[REFERENCE_TEXT];

	for (size_t i = 0; i < members->n; i++) {
		const struct reference_registration *its = &members->all[i]->registration;
		unsigned port = port_name ? named_port(its, port_name) : its->port;

		snprintf(owner, sizeof(owner), "%s.%s.%s.", its->id, service(members->all[i]),
			 origin);
		snprintf(text, sizeof(text), "SRV %u %u %u %s", its->priority, its->weight, port,
			 owner);
		add(answer->records, &answer->n, text);
		for (unsigned v6 = 0; v6 < 2; v6++) {
			if (!print_address(members->all[i], v6 ? "AAAA" : "A", text))
				continue;
			snprintf(beside, sizeof(beside), "%.150s %.100s", owner, text);
			add(answer->beside, &answer->n_beside, beside);
		}
	}
}

static void put_txt(const struct members *members, struct reference_answer *answer)
{
	for (size_t i = 0; i < members->n; i++) {
		const struct reference_registration *its = &members->all[i]->registration;
		char text[REFERENCE_TEXT];
		size_t len = (size_t)snprintf(text, sizeof(text), "TXT");
		const char *before = " \"tags=";

		if (its->version)
			len += (size_t)snprintf(text + len, sizeof(text) - len, " \"version=%u\"",
						its->version);
		for (unsigned k = 0; k < REFERENCE_TAGS; k++) {
			if (!(its->tags >> k & 1))
				continue;
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", before,
						reference_tags[k]);
			before = ",";
		}
		if (its->tags)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "\"");
		else if (!its->version)
			len += (size_t)snprintf(text + len, sizeof(text) - len, " \"\"");
		assert(len < sizeof(text));
		add(answer->records, &answer->n, text);
	}
}

/* No answer lives longer than what is in it. */
static void limit_ttl(const struct reference *reference, const struct members *members, bool is_own,
		      struct reference_answer *answer)
{
	const struct reference_policy *policy;
	uint64_t soonest_ms = UINT64_MAX, left_s;
	unsigned of = members->all[0]->registration.service;
	bool is_timeless = true;

	policy = &reference->policies[of];
	for (size_t i = 0; i < members->n; i++) {
		const struct reference_instance *instance = members->all[i];

		note_soonest(&soonest_ms, instance->lease_end_ms);
		for (unsigned k = 0; k < instance->registration.n_checks; k++)
			if (!is_own && instance->admin == ADMIN_AUTO && is_fit(instance))
				note_soonest(&soonest_ms, missed_ms(instance, k));
	}
	answer->ttl_min_s = 1;
	answer->ttl_max_s = policy->ttl_s ? policy->ttl_s : DEFAULT_TTL_S;
	for (unsigned i = 0; i < REFERENCE_INSTANCES; i++)
		if (is_of(&reference->instances[i], of))
			is_timeless &= !reference->instances[i].registration.n_checks &&
				       !reference->instances[i].lease_end_ms;
	if (is_timeless)
		answer->ttl_min_s = answer->ttl_max_s;
	left_s = soonest_ms == UINT64_MAX ? UINT32_MAX : (soonest_ms - reference->now_ms) / 1000;
	if (left_s < answer->ttl_max_s)
		answer->ttl_max_s = left_s > 1 ? (unsigned)left_s : 1;
}

static void put_records(const struct reference *reference, const struct members *members,
			const char *origin, const char *type, const char *port_name, bool is_own,
			struct reference_answer *answer)
{
	bool is_address = strcmp(type, "A") == 0 || strcmp(type, "AAAA") == 0;
	unsigned limit;

	if (members->n == 0)
		return;
	if (is_address)
		put_addresses(members, type, answer);
	else if (strcmp(type, "SRV") == 0)
		put_srv(members, origin, port_name, answer);
	else if (strcmp(type, "TXT") == 0)
		put_txt(members, answer);
	limit = reference->policies[members->all[0]->registration.service].answer_limit;
	answer->n_given = answer->n;
	if (is_address && !is_own && limit && limit < answer->n)
		answer->n_given = limit;
	limit_ttl(reference, members, is_own, answer);
}

/* What a zone file says. false: it does not have the name. */
static bool ask_file(const struct reference_zone *zone, const char *name, const char *type,
		     struct reference_answer *answer)
{
	for (unsigned i = 0; zone->has_statics && i < REFERENCE_STATICS; i++) {
		const char *at = strstr(reference_statics[i], name);

		/* A name that has others below it is there as well. */
		if (at && at > reference_statics[i] && at[-1] == '.' && !at[strlen(name)])
			answer->exists = true;
		if (strcmp(reference_statics[i], name) != 0)
			continue;
		answer->exists = true;
		answer->n = answer->n_given = strcmp(type, "A") == 0;
		strcpy(answer->records[0], reference_static_record);
		answer->ttl_min_s = answer->ttl_max_s = REFERENCE_STATIC_TTL_S;
		return true;
	}
	return false;
}

void reference_ask(const struct reference *reference, const struct reference_zone *zone,
		   const char *name, const char *type, struct reference_answer *answer)
{
	struct labels labels = split(name);
	struct members members = { .n = 0 };
	enum part kind = PART_NONE;

	answer->ede = -1;
	answer->exists = false;
	answer->n = answer->n_given = answer->n_beside = 0;
	if (ask_file(zone, name, type, answer))
		return;
	for (unsigned i = 0; i < REFERENCE_INSTANCES; i++) {
		enum part part = part_of(&reference->instances[i], &labels, zone->tag);

		if (part > kind) {
			kind = part;
			members.n = 0;
		}
		if (part == kind && part > PART_BELOW)
			members.all[members.n++] = &reference->instances[i];
	}
	answer->exists |= kind != PART_NONE;
	if (kind != PART_OWN)
		answer->ede = error_of(serve(reference, &members));
	if (kind == PART_SRV && strcmp(type, "SRV") != 0)
		members.n = 0;
	put_records(reference, &members, zone->origin, type,
		    labels.n == 3 ? labels.text[0] + 1 : NULL, kind == PART_OWN, answer);
}
