/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/registry.h"

#include "model/codec.h"

#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum {
	T0_MS = 1000000,
	REVISION = 41,
	MANY = 20000,
};

static struct registry *registry;
static struct counters counters;
static struct outcome outcome;
static size_t n_started, n_stopped;
static const char *taken; /* a service name that a zone file has */

static bool on_collides(void *cookie, const struct registration *registration, char *name,
			size_t name_size)
{
	(void)cookie;
	snprintf(name, name_size, "%s", registration->service);
	return taken && strcmp(taken, registration->service) == 0;
}

static void on_started(void *cookie, const struct check *check)
{
	(void)cookie;
	ck_assert_ptr_nonnull(check->spec);
	n_started++;
}

static void on_stopped(void *cookie, const struct check *check)
{
	(void)cookie;
	ck_assert_ptr_nonnull(check->instance);
	n_stopped++;
}

static void set_up(void)
{
	const struct registry_options options = {
		.revision = REVISION,
		.ttl_s = 5,
		.counters = &counters,
		.collides = on_collides,
		.check_started = on_started,
		.check_stopped = on_stopped,
	};

	memset(&counters, 0, sizeof(counters));
	n_started = n_stopped = 0;
	taken = NULL;
	registry = registry_new(&options);
	ck_assert_ptr_nonnull(registry);
}

static void tear_down(void)
{
	registry_free(registry);
}

/* What a compile does, without compiling; how many services were dirty. */
static size_t drain(void)
{
	size_t n = 0;

	for (struct service *service; (service = registry_take_dirty(registry)); n++)
		registry_clean(registry, service);
	ck_assert(!registry_is_dirty(registry));
	return n;
}

static enum registry_result apply_from(const char *file, const char *json, uint64_t now_ms)
{
	struct codec_error error;
	json_t *const body = codec_load(json, strlen(json), &error);

	ck_assert_msg(body, "%s", error.message);
	struct registration *const registration = codec_registration(body, &error);
	ck_assert_msg(registration, "%s: %s", error.field, error.message);
	json_decref(body);
	if (file)
		registration->file = strdup(file);
	const struct change change = {
		.kind = CHANGE_REGISTER,
		.registration = registration,
	};
	const enum registry_result result = registry_apply(registry, &change, now_ms, &outcome);
	if (result != REGISTRY_CREATED && result != REGISTRY_UPDATED)
		record_registration_free(registration);
	return result;
}

static enum registry_result apply_json(const char *json, uint64_t now_ms)
{
	return apply_from(NULL, json, now_ms);
}

static enum registry_result heartbeat(const char *service, const char *id, const char *caller,
				      uint64_t now_ms)
{
	struct address address = { 0 };
	const char *reason;

	if (caller)
		ck_assert(record_address_parse(caller, &address, &reason));
	const struct change change = {
		.kind = CHANGE_HEARTBEAT,
		.heartbeat = {
			.service = service,
			.id = id,
			.caller = caller ? &address : NULL,
		},
	};
	return registry_apply(registry, &change, now_ms, &outcome);
}

static enum registry_result report(const char *service, const char *id, enum status status,
				   uint64_t now_ms)
{
	const struct change change = {
		.kind = CHANGE_HEARTBEAT,
		.heartbeat = {
			.service = service,
			.id = id,
			.status = &status,
			.output = "so it says",
		},
	};
	return registry_apply(registry, &change, now_ms, &outcome);
}

static enum registry_result deregister_from(const char *file, const char *service, const char *id)
{
	const struct change change = {
		.kind = CHANGE_DEREGISTER,
		.deregister = { .service = service, .id = id, .file = file },
	};
	bool changes;
	const enum registry_result admitted = registry_admit(registry, &change, &outcome, &changes);

	ck_assert_int_eq(registry_apply(registry, &change, T0_MS, &outcome), admitted);
	return outcome.result;
}

static enum registry_result deregister(const char *service, const char *id)
{
	return deregister_from(NULL, service, id);
}

static enum registry_result check_result(uint64_t check_id, bool passed, uint64_t now_ms)
{
	const struct change change = {
		.kind = CHANGE_CHECK_RESULT,
		.check_result = {
			.check_id = check_id,
			.passed = passed,
			.start_ms = now_ms,
			.output = passed ? "200 OK" : "timeout",
		},
	};
	return registry_apply(registry, &change, now_ms, &outcome);
}

static const struct instance *find(const char *service_name, const char *id)
{
	const struct service *const service = registry_find_service(registry, service_name);

	return service ? registry_find_instance(registry, service, id) : NULL;
}

START_TEST(new_instance_is_found)
{
	ck_assert_int_eq(
		apply_json("{\"name\":\"Payment\",\"ip\":\"10.0.0.1\",\"port\":80}", T0_MS),
		REGISTRY_CREATED);
	ck_assert_ptr_nonnull(outcome.instance);
	ck_assert_uint_eq(registry_revision(registry), REVISION + 1);
	ck_assert_uint_eq(outcome.instance->created, REVISION + 1);
	ck_assert_uint_eq(registry_count_services(registry), 1);
	ck_assert_uint_eq(registry_count_instances(registry), 1);
	ck_assert_ptr_eq(find("PAYMENT", "10-0-0-1-80"), outcome.instance);
	const struct service *const service = registry_find_service(registry, "payment");
	ck_assert_ptr_eq(registry_find_label(registry, service, "10-0-0-1-80"), outcome.instance);
	ck_assert_ptr_null(registry_find_label(registry, service, "10-0-0-1-81"));
	ck_assert_ptr_null(registry_find_service(registry, "payments"));
	ck_assert_uint_eq(drain(), 1);
	ck_assert_uint_eq(registry_next_deadline(registry), UINT64_MAX);
}
END_TEST

START_TEST(saying_the_same_again_changes_nothing)
{
	static const char json[] =
		"{\"name\":\"a\",\"ip\":\"10.0.0.1\",\"port\":80,\"tags\":[\"x\"]}";

	apply_json(json, T0_MS);
	drain();
	ck_assert_int_eq(apply_json(json, T0_MS + 10), REGISTRY_UPDATED);
	ck_assert_uint_eq(registry_revision(registry), REVISION + 1);
	ck_assert(!registry_is_dirty(registry));
}
END_TEST

START_TEST(registering_again_replaces)
{
	apply_json(
		"{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80,\"tags\":[\"old\"]}",
		T0_MS);
	const uint64_t created = outcome.instance->created;
	drain();
	ck_assert_int_eq(apply_json("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.2\",\"port\":81,"
				    "\"tags\":[\"new\"]}",
				    T0_MS),
			 REGISTRY_UPDATED);
	ck_assert_uint_eq(drain(), 1);
	const struct instance *const instance = find("a", "x");
	ck_assert_uint_eq(instance->registration->port, 81);
	ck_assert_uint_eq(instance->created, created);
	ck_assert_uint_eq(instance->modified, created + 1);
	ck_assert_uint_eq(registry_count_instances(registry), 1);
	/* Only groups with members are left: all, tcp, "new". */
	ck_assert_uint_eq(instance->service->n_groups, 3);
}
END_TEST

START_TEST(two_ids_keep_apart_and_a_stolen_label_is_refused)
{
	char label[LIMIT_LABEL + 1], json[200];

	apply_json("{\"name\":\"a\",\"id\":\"n 1\",\"ip\":\"10.0.0.1\",\"port\":80}", T0_MS);
	record_id_label("n 1", label);
	snprintf(json, sizeof(json),
		 "{\"name\":\"a\",\"id\":\"%s\",\"ip\":\"10.0.0.2\",\"port\":80}", label);
	ck_assert_int_eq(apply_json(json, T0_MS), REGISTRY_CONFLICT);
	ck_assert_ptr_nonnull(strstr(outcome.message, label));
	ck_assert_ptr_null(find("a", label));
	ck_assert_ptr_nonnull(find("a", "n 1"));
	ck_assert_uint_eq(registry_count_instances(registry), 1);
	ck_assert_uint_eq(registry_revision(registry), REVISION + 1);
}
END_TEST

START_TEST(static_name_is_refused_and_nothing_stays)
{
	taken = "www";
	ck_assert_int_eq(apply_json("{\"name\":\"www\",\"ip\":\"10.0.0.1\",\"port\":80}", T0_MS),
			 REGISTRY_CONFLICT);
	ck_assert_ptr_nonnull(strstr(outcome.message, "www"));
	ck_assert_ptr_null(registry_find_service(registry, "www"));
	ck_assert_uint_eq(registry_count_services(registry), 0);
	ck_assert_uint_eq(registry_revision(registry), REVISION);
	drain();
}
END_TEST

START_TEST(deregistering_takes_service_and_groups_along)
{
	apply_json("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80,\"tags\":[\"t\"],"
		   "\"ports\":{\"http\":80}}",
		   T0_MS);
	apply_json("{\"name\":\"a\",\"id\":\"y\",\"ip\":\"10.0.0.2\",\"port\":80}", T0_MS);
	drain();
	ck_assert_int_eq(deregister("a", "x"), REGISTRY_UPDATED);
	ck_assert_ptr_null(outcome.instance);
	ck_assert_uint_eq(drain(), 1);
	ck_assert_uint_eq(registry_find_service(registry, "a")->n_groups, 2);
	ck_assert_int_eq(deregister("a", "x"), REGISTRY_NOT_FOUND);
	ck_assert_int_eq(deregister("nobody", "x"), REGISTRY_NOT_FOUND);
	ck_assert(!registry_is_dirty(registry));
	ck_assert_int_eq(deregister("a", "y"), REGISTRY_UPDATED);
	ck_assert_ptr_null(registry_find_service(registry, "a"));
	ck_assert_uint_eq(registry_count_services(registry), 0);
	ck_assert_uint_eq(drain(), 1);
	ck_assert_uint_eq(registry_revision(registry), REVISION + 4);
}
END_TEST

START_TEST(gone_and_back_before_the_compile)
{
	static const char json[] = "{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80}";

	apply_json(json, T0_MS);
	drain();
	ck_assert_int_eq(deregister("a", "x"), REGISTRY_UPDATED);
	ck_assert_int_eq(apply_json(json, T0_MS), REGISTRY_CREATED);
	ck_assert_uint_eq(drain(), 1);
	ck_assert_ptr_nonnull(find("a", "x"));
	ck_assert_uint_eq(registry_count_services(registry), 1);
	ck_assert_uint_eq(find("a", "x")->service->n_groups, 2);
}
END_TEST

START_TEST(heartbeat_knows_whom_it_means)
{
	apply_json("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80}", T0_MS);
	ck_assert_int_eq(heartbeat("a", NULL, NULL, T0_MS), REGISTRY_UPDATED);
	apply_json("{\"name\":\"a\",\"id\":\"y\",\"ip\":\"10.0.0.2\",\"port\":80}", T0_MS);
	ck_assert_int_eq(heartbeat("a", NULL, NULL, T0_MS), REGISTRY_AMBIGUOUS);
	ck_assert_ptr_nonnull(strstr(outcome.message, "\"id\""));
	ck_assert_int_eq(heartbeat("a", NULL, "10.0.0.2", T0_MS), REGISTRY_UPDATED);
	ck_assert_str_eq(outcome.instance->registration->id, "y");
	ck_assert_int_eq(heartbeat("a", NULL, "10.0.0.3", T0_MS), REGISTRY_AMBIGUOUS);
	apply_json("{\"name\":\"a\",\"id\":\"z\",\"ip\":\"10.0.0.2\",\"port\":81}", T0_MS);
	ck_assert_int_eq(heartbeat("a", NULL, "10.0.0.2", T0_MS), REGISTRY_AMBIGUOUS);
	ck_assert_int_eq(heartbeat("a", "z", "10.0.0.1", T0_MS), REGISTRY_UPDATED);
	ck_assert_int_eq(heartbeat("a", "nobody", NULL, T0_MS), REGISTRY_NOT_FOUND);
	ck_assert_int_eq(heartbeat("b", NULL, NULL, T0_MS), REGISTRY_NOT_FOUND);
}
END_TEST

START_TEST(reported_status_counts)
{
	apply_json("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80}", T0_MS);
	drain();
	report("a", "x", STATUS_CRITICAL, T0_MS);
	ck_assert_int_eq(find("a", "x")->status, STATUS_CRITICAL);
	ck_assert_str_eq(find("a", "x")->output, "so it says");
	ck_assert_uint_eq(registry_revision(registry), REVISION + 2);
	ck_assert_uint_eq(drain(), 1);
	/* Saying it again is no news. */
	report("a", "x", STATUS_CRITICAL, T0_MS);
	ck_assert_uint_eq(registry_revision(registry), REVISION + 2);
	ck_assert(!registry_is_dirty(registry));
	/* A heartbeat without a status leaves it. */
	heartbeat("a", "x", NULL, T0_MS);
	ck_assert_int_eq(find("a", "x")->status, STATUS_CRITICAL);
	report("a", "x", STATUS_PASSING, T0_MS);
	ck_assert_int_eq(find("a", "x")->status, STATUS_PASSING);
}
END_TEST

static const char *history_of(const struct instance *instance)
{
	static char text[LIMIT_CHECK_HISTORY + 1];

	history_print(&instance->checks[0]->history, text);
	return text;
}

#define TTL_CHECK "\"checks\":[{\"kind\":\"ttl\",\"ttl\":\"10s\"}]"

START_TEST(a_ttl_check_follows_reports)
{
	const struct instance *x;

	apply_json("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80," TTL_CHECK "}",
		   T0_MS);
	x = find("a", "x");
	ck_assert_uint_eq(n_started, 0); /* nobody runs it */
	ck_assert_int_eq(x->status, STATUS_CRITICAL);
	report("a", "x", STATUS_WARNING, T0_MS + 1000);
	ck_assert_int_eq(x->status, STATUS_WARNING);
	ck_assert_int_eq(x->checks[0]->health.status, STATUS_WARNING);
	ck_assert_str_eq(x->checks[0]->output, "so it says");
	report("a", "x", STATUS_CRITICAL, T0_MS + 2000);
	ck_assert_int_eq(x->checks[0]->health.status, STATUS_CRITICAL);
	ck_assert_uint_eq(registry_count_status(registry, STATUS_CRITICAL), 1);
	report("a", "x", STATUS_PASSING, T0_MS + 3000);
	ck_assert_int_eq(x->status, STATUS_PASSING);
	/* A heartbeat without a status says that all is as before. */
	heartbeat("a", "x", NULL, T0_MS + 9000);
	registry_expire(registry, T0_MS + 18999);
	ck_assert_int_eq(x->status, STATUS_PASSING);
	ck_assert_uint_eq(registry_next_deadline(registry), T0_MS + 19000);
	registry_expire(registry, T0_MS + 19000);
	ck_assert_int_eq(x->status, STATUS_CRITICAL);
	ck_assert_str_eq(x->checks[0]->output, "no report for 10 s");
	ck_assert_uint_eq(atomic_load(&counters.checks_passed), 2);
	ck_assert_uint_eq(atomic_load(&counters.checks_warned), 1);
	ck_assert_uint_eq(atomic_load(&counters.checks_failed), 2);
	ck_assert_str_eq(history_of(x), "wcppc");
	ck_assert_uint_eq(drain(), 1);
	heartbeat("a", "x", NULL, T0_MS + 60000);
	ck_assert_int_eq(x->status, STATUS_PASSING);
	ck_assert_uint_eq(atomic_load(&counters.checks_passed), 3);
	ck_assert_uint_eq(atomic_load(&counters.checks_failed), 2);
	ck_assert_uint_eq(registry_next_deadline(registry), T0_MS + 70000);
	deregister("a", "x");
	ck_assert_uint_eq(registry_next_deadline(registry), UINT64_MAX);
	ck_assert_uint_eq(n_stopped, 0);
	drain();
}
END_TEST

START_TEST(a_ttl_check_begins_as_told_for_one_ttl)
{
	apply_json("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80,\"checks\":["
		   "{\"kind\":\"ttl\",\"ttl\":\"10s\",\"initial\":\"passing\"}]}",
		   T0_MS);
	registry_expire(registry, T0_MS + 9999);
	ck_assert_int_eq(find("a", "x")->status, STATUS_PASSING);
	registry_expire(registry, T0_MS + 10000);
	ck_assert_int_eq(find("a", "x")->status, STATUS_CRITICAL);
}
END_TEST

START_TEST(a_ttl_check_has_no_results_from_a_prober)
{
	struct change change = { .kind = CHANGE_CHECK_RESULT };

	apply_json("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80," TTL_CHECK "}",
		   T0_MS);
	change.check_result.check_id = find("a", "x")->checks[0]->check_id;
	change.check_result.output = "";
	ck_assert_int_eq(registry_apply(registry, &change, T0_MS, &outcome), REGISTRY_NOT_FOUND);
}
END_TEST

START_TEST(ttl_checks_come_and_go_with_registrations)
{
	const char *without = "{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80}";
	const char *with =
		"{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80," TTL_CHECK "}";

	apply_json(with, T0_MS);
	report("a", "x", STATUS_PASSING, T0_MS);
	/* The same definition keeps its state and its time. */
	apply_json("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":81," TTL_CHECK "}",
		   T0_MS + 1000);
	ck_assert_int_eq(find("a", "x")->status, STATUS_PASSING);
	ck_assert_uint_eq(registry_next_deadline(registry), T0_MS + 10000);
	apply_json(without, T0_MS + 2000);
	ck_assert_uint_eq(registry_next_deadline(registry), UINT64_MAX);
	ck_assert_int_eq(find("a", "x")->status, STATUS_PASSING);
	apply_json(with, T0_MS + 3000);
	ck_assert_int_eq(find("a", "x")->status, STATUS_CRITICAL);
	ck_assert_uint_eq(registry_next_deadline(registry), T0_MS + 13000);
}
END_TEST

/* Runs time on, deadline by deadline, and says when the service went. */
static uint64_t run_until_gone(const char *name, uint64_t now_ms, uint64_t end_ms)
{
	for (unsigned rounds = 0; registry_find_service(registry, name); rounds++) {
		ck_assert_uint_lt(rounds, 100);
		const uint64_t next_ms = registry_next_deadline(registry);
		if (next_ms > end_ms)
			return UINT64_MAX;
		ck_assert_uint_ge(next_ms, now_ms);
		now_ms = next_ms;
		registry_expire(registry, now_ms);
		drain();
	}
	return now_ms;
}

START_TEST(lease_ends_to_the_millisecond)
{
	apply_json("{\"name\":\"a\",\"ip\":\"10.0.0.1\",\"port\":80,\"lease\":\"15s\"}", T0_MS);
	drain();
	registry_expire(registry, T0_MS + 14999);
	drain();
	ck_assert_ptr_nonnull(registry_find_service(registry, "a"));
	ck_assert_uint_eq(run_until_gone("a", T0_MS + 14999, UINT64_MAX - 1), T0_MS + 15000);
	ck_assert_uint_eq(atomic_load(&counters.expiries), 1);
	ck_assert_uint_eq(registry_count_status(registry, STATUS_PASSING), 0);
	ck_assert_uint_eq(registry_count_admin(registry, ADMIN_AUTO), 0);
	ck_assert_uint_eq(registry_next_deadline(registry), UINT64_MAX);
	ck_assert_uint_eq(registry_revision(registry), REVISION + 2);
}
END_TEST

START_TEST(heartbeats_renew_the_lease)
{
	apply_json("{\"name\":\"a\",\"ip\":\"10.0.0.1\",\"port\":80,\"lease\":\"10s\"}", T0_MS);
	drain();
	uint64_t now_ms = T0_MS;
	for (unsigned i = 0; i < 20; i++) {
		now_ms += 9999;
		ck_assert_uint_eq(run_until_gone("a", now_ms - 9999, now_ms), UINT64_MAX);
		ck_assert_int_eq(heartbeat("a", NULL, NULL, now_ms), REGISTRY_UPDATED);
		drain();
	}
	ck_assert_uint_eq(run_until_gone("a", now_ms, UINT64_MAX - 1), now_ms + 10000);
}
END_TEST

START_TEST(early_heartbeats_leave_answers_alone)
{
	apply_json("{\"name\":\"a\",\"ip\":\"10.0.0.1\",\"port\":80,\"lease\":\"60s\"}", T0_MS);
	drain();
	const uint64_t deadline_ms = registry_next_deadline(registry);
	for (unsigned i = 1; i < 50; i++) {
		heartbeat("a", NULL, NULL, T0_MS + i * 1000);
		ck_assert(!registry_is_dirty(registry));
		ck_assert_uint_eq(registry_next_deadline(registry), deadline_ms);
	}
	ck_assert_uint_eq(registry_revision(registry), REVISION + 1);
}
END_TEST

START_TEST(new_registration_changes_the_lease)
{
	apply_json(
		"{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80,\"lease\":\"10s\"}",
		T0_MS);
	apply_json(
		"{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80,\"lease\":\"30s\"}",
		T0_MS);
	drain();
	ck_assert_uint_eq(run_until_gone("a", T0_MS, T0_MS + 29999), UINT64_MAX);
	apply_json("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80}", T0_MS + 29999);
	drain();
	ck_assert_uint_eq(run_until_gone("a", T0_MS + 29999, UINT64_MAX - 1), UINT64_MAX);
}
END_TEST

START_TEST(checks_start_and_stop_with_the_registration)
{
	apply_json("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80,\"checks\":["
		   "{\"kind\":\"tcp\",\"interval\":\"10s\"},"
		   "{\"kind\":\"http\",\"path\":\"/health\",\"interval\":\"10s\"}]}",
		   T0_MS);
	ck_assert_uint_eq(n_started, 2);
	const struct instance *instance = outcome.instance;
	ck_assert_int_eq(instance->status, STATUS_CRITICAL);
	const uint64_t tcp_id = instance->checks[0]->check_id;
	check_result(tcp_id, true, T0_MS);
	check_result(instance->checks[1]->check_id, true, T0_MS);
	ck_assert_int_eq(instance->status, STATUS_PASSING);

	/* The tcp check is the same one in another place, the http check is another. */
	apply_json("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80,\"checks\":["
		   "{\"kind\":\"http\",\"path\":\"/other\",\"interval\":\"10s\"},"
		   "{\"kind\":\"tcp\",\"interval\":\"10s\"}]}",
		   T0_MS);
	instance = outcome.instance;
	ck_assert_uint_eq(n_started, 3);
	ck_assert_uint_eq(n_stopped, 1);
	ck_assert_uint_eq(instance->checks[1]->check_id, tcp_id);
	ck_assert_int_eq(instance->checks[1]->health.status, STATUS_PASSING);
	ck_assert_int_eq(instance->status, STATUS_CRITICAL);

	/* The same definition at another address is another check. */
	apply_json("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.2\",\"port\":80,\"checks\":["
		   "{\"kind\":\"tcp\",\"interval\":\"10s\"}]}",
		   T0_MS);
	ck_assert_uint_eq(n_started, 4);
	ck_assert_uint_eq(n_stopped, 3);
	ck_assert_uint_ne(outcome.instance->checks[0]->check_id, tcp_id);
	deregister("a", "x");
	ck_assert_uint_eq(n_stopped, 4);
	drain();
	ck_assert_int_eq(check_result(tcp_id, true, T0_MS), REGISTRY_NOT_FOUND);
}
END_TEST

START_TEST(result_that_changes_nothing_is_no_revision)
{
	apply_json("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80,\"checks\":["
		   "{\"kind\":\"tcp\",\"interval\":\"60s\",\"fall\":2}]}",
		   T0_MS);
	const uint64_t check_id = outcome.instance->checks[0]->check_id;
	check_result(check_id, true, T0_MS);
	drain();
	const uint64_t revision = registry_revision(registry);
	check_result(check_id, true, T0_MS + 60000);
	check_result(check_id, false, T0_MS + 120000);
	ck_assert_uint_eq(registry_revision(registry), revision);
	ck_assert_int_eq(find("a", "x")->status, STATUS_PASSING);
	ck_assert_str_eq(find("a", "x")->checks[0]->output, "timeout");
	ck_assert_str_eq(history_of(find("a", "x")), "ppc");
	check_result(check_id, false, T0_MS + 180000);
	ck_assert_uint_eq(registry_revision(registry), revision + 1);
	ck_assert_int_eq(find("a", "x")->status, STATUS_CRITICAL);
	ck_assert(registry_is_dirty(registry));
}
END_TEST

START_TEST(ttl_is_the_services_or_the_servers)
{
	apply_json("{\"name\":\"a\",\"ip\":\"10.0.0.1\",\"port\":80}", T0_MS);
	apply_json("{\"name\":\"b\",\"ip\":\"10.0.0.1\",\"port\":80,\"ttl\":\"30s\"}", T0_MS);
	drain();
	ck_assert_uint_eq(registry_ttl_s(registry, registry_find_service(registry, "a")), 5);
	ck_assert_uint_eq(registry_ttl_s(registry, registry_find_service(registry, "b")), 30);
	registry_set_ttl(registry, 7);
	ck_assert_uint_eq(drain(), 1);
	ck_assert_uint_eq(registry_ttl_s(registry, registry_find_service(registry, "a")), 7);
	registry_set_ttl(registry, 7);
	ck_assert_uint_eq(drain(), 0);
	registry_touch_all(registry);
	ck_assert_uint_eq(drain(), 2);
	registry_touch_service(registry, "b");
	registry_touch_service(registry, "nobody");
	ck_assert_uint_eq(drain(), 1);
}
END_TEST

static enum registry_result set_policy(const char *service, const uint32_t *ttl_s,
				       const uint16_t *answer_limit)
{
	const struct change change = {
		.kind = CHANGE_POLICY,
		.policy = { .service = service, .ttl_s = ttl_s, .answer_limit = answer_limit },
	};
	return registry_apply(registry, &change, T0_MS, &outcome);
}

START_TEST(policy_belongs_to_the_service_while_it_lasts)
{
	const uint32_t ttl_s = 30;
	const uint16_t limit = 3, none = 0;

	ck_assert_int_eq(set_policy("a", &ttl_s, &limit), REGISTRY_NOT_FOUND);
	ck_assert_str_eq(outcome.message, "no such service");
	ck_assert_uint_eq(registry_revision(registry), REVISION);
	apply_json("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80}", T0_MS);
	apply_json("{\"name\":\"b\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80}", T0_MS);
	drain();
	const struct service *const service = registry_find_service(registry, "a");
	const struct service *const other = registry_find_service(registry, "b");
	const uint64_t revision = registry_revision(registry);

	/* What is not said stays. */
	ck_assert_int_eq(set_policy("a", NULL, &limit), REGISTRY_UPDATED);
	ck_assert_ptr_null(outcome.instance);
	ck_assert_uint_eq(service->answer_limit, 3);
	ck_assert_uint_eq(registry_ttl_s(registry, service), 5);
	ck_assert_int_eq(set_policy("a", &ttl_s, NULL), REGISTRY_UPDATED);
	ck_assert_uint_eq(service->answer_limit, 3);
	ck_assert_uint_eq(registry_ttl_s(registry, service), 30);
	ck_assert_uint_eq(service->revision, revision + 2);
	ck_assert_uint_eq(registry_revision(registry), revision + 2);
	ck_assert_uint_eq(other->answer_limit, 0);
	ck_assert_uint_eq(registry_ttl_s(registry, other), 5);
	/* Every name of the service shows it. */
	ck_assert(service->groups[0]->dirty);
	ck_assert_int_eq(find("a", "x")->dirt, INSTANCE_CHANGED);
	ck_assert_uint_eq(drain(), 1);
	/* The last one goes, and the policy with it. */
	ck_assert_int_eq(set_policy("a", NULL, &none), REGISTRY_UPDATED);
	ck_assert_uint_eq(service->answer_limit, 0);
	set_policy("a", NULL, &limit);
	deregister("a", "x");
	ck_assert_int_eq(set_policy("a", NULL, &none), REGISTRY_NOT_FOUND);
	drain();
	apply_json("{\"name\":\"a\",\"ip\":\"10.0.0.1\",\"port\":80}", T0_MS);
	ck_assert_uint_eq(registry_find_service(registry, "a")->answer_limit, 0);
	ck_assert_uint_eq(registry_ttl_s(registry, registry_find_service(registry, "a")), 5);
}
END_TEST

START_TEST(policy_does_not_outlive_its_service_within_one_round)
{
	const uint16_t limit = 3;

	apply_json("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80,\"ttl\":\"30s\"}",
		   T0_MS);
	set_policy("a", NULL, &limit);
	drain();
	deregister("a", "x");
	apply_json("{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80}", T0_MS);
	ck_assert_uint_eq(registry_find_service(registry, "a")->answer_limit, 0);
	ck_assert_uint_eq(registry_ttl_s(registry, registry_find_service(registry, "a")), 5);
}
END_TEST

START_TEST(the_same_policy_again_changes_nothing)
{
	const uint32_t ttl_s = 30;
	const uint16_t limit = 3;

	apply_json("{\"name\":\"a\",\"ip\":\"10.0.0.1\",\"port\":80}", T0_MS);
	set_policy("a", &ttl_s, &limit);
	drain();
	const uint64_t revision = registry_revision(registry);
	ck_assert_int_eq(set_policy("a", &ttl_s, &limit), REGISTRY_UPDATED);
	ck_assert_int_eq(set_policy("a", NULL, NULL), REGISTRY_UPDATED);
	ck_assert_uint_eq(registry_revision(registry), revision);
	ck_assert(!registry_is_dirty(registry));
}
END_TEST

/* As the control thread does it: publishes between the parts. */
static void expire_all(uint64_t now_ms)
{
	do {
		registry_expire(registry, now_ms);
		drain();
	} while (registry_next_deadline(registry) <= now_ms);
}

START_TEST(leases_that_end_together_go_in_parts)
{
	char json[200];
	size_t n = 0, before = 5000;
	unsigned n_parts = 0;

	for (; n < before; n++) {
		snprintf(json, sizeof(json),
			 "{\"name\":\"s%zu\",\"ip\":\"10.0.%zu.%zu\",\"port\":80,\"lease\":10}",
			 n / 4, n >> 8, n & 255);
		ck_assert_int_eq(apply_json(json, T0_MS), REGISTRY_CREATED);
	}
	drain();
	expire_all(T0_MS + 9999);
	ck_assert_uint_eq(registry_count_instances(registry), before);
	while (registry_next_deadline(registry) <= T0_MS + 10000) {
		registry_expire(registry, T0_MS + 10000);
		n = registry_count_instances(registry);
		ck_assert_uint_lt(n, before);
		ck_assert_uint_le(before - n, 1000);
		before = n;
		n_parts++;
		drain();
	}
	ck_assert_uint_eq(registry_count_instances(registry), 0);
	ck_assert_uint_ge(n_parts, 5);
}
END_TEST

/* Each part costs a compile of the whole: there must not be hundreds of them. */
START_TEST(a_large_service_goes_in_few_parts)
{
	char json[200];
	unsigned n_parts = 0;

	for (unsigned i = 0; i < MANY; i++) {
		snprintf(json, sizeof(json),
			 "{\"name\":\"s\",\"ip\":\"10.0.%u.%u\",\"port\":80,\"lease\":10}", i >> 8,
			 i & 255);
		ck_assert_int_eq(apply_json(json, T0_MS), REGISTRY_CREATED);
	}
	drain();
	expire_all(T0_MS + 9999);
	registry_expire(registry, T0_MS + 10000);
	ck_assert_uint_le(registry_count_instances(registry), MANY - MANY / 10);
	ck_assert_uint_ge(registry_count_instances(registry), MANY - MANY / 4);
	for (drain(); registry_next_deadline(registry) <= T0_MS + 10000; drain()) {
		registry_expire(registry, T0_MS + 10000);
		n_parts++;
	}
	ck_assert_uint_eq(registry_count_instances(registry), 0);
	ck_assert_uint_lt(n_parts, 30);
}
END_TEST

START_TEST(many_expire_each_at_its_time)
{
	char json[200];
	size_t position = 0, n = 0;

	for (unsigned i = 0; i < MANY; i++) {
		snprintf(json, sizeof(json),
			 "{\"name\":\"s%u\",\"ip\":\"10.%u.%u.%u\",\"port\":80,\"lease\":%u}",
			 i / 4, i >> 16, i >> 8 & 255, i & 255, 10 + i % 100);
		ck_assert_int_eq(apply_json(json, T0_MS), REGISTRY_CREATED);
	}
	ck_assert_uint_eq(drain(), MANY / 4);
	ck_assert_uint_eq(registry_count_instances(registry), MANY);
	while (registry_next_service(registry, &position))
		n++;
	ck_assert_uint_eq(n, MANY / 4);
	for (unsigned s = 10; s < 110; s++) {
		ck_assert_uint_eq(registry_count_instances(registry), MANY / 100 * (110 - s));
		expire_all(T0_MS + s * 1000 - 1);
		ck_assert_uint_eq(registry_count_instances(registry), MANY / 100 * (110 - s));
		expire_all(T0_MS + s * 1000);
	}
	ck_assert_uint_eq(registry_count_instances(registry), 0);
	ck_assert_uint_eq(registry_count_services(registry), 0);
}
END_TEST

/* ---- Files ---- */

START_TEST(what_is_from_a_file_is_that_files)
{
	static const char json[] = "{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80}";

	ck_assert_int_eq(apply_from("web.json", json, T0_MS), REGISTRY_CREATED);
	registry_set_files(registry, true);
	ck_assert_int_eq(apply_json(json, T0_MS), REGISTRY_CONFLICT);
	ck_assert_ptr_nonnull(strstr(outcome.message, "\"web.json\""));
	ck_assert_int_eq(deregister("a", "x"), REGISTRY_CONFLICT);
	ck_assert_ptr_nonnull(strstr(outcome.message, "\"web.json\""));
	ck_assert_int_eq(deregister_from("other.json", "a", "x"), REGISTRY_NOT_FOUND);
	ck_assert_str_eq(find("a", "x")->registration->file, "web.json");
	ck_assert_int_eq(heartbeat("a", "x", NULL, T0_MS), REGISTRY_UPDATED);
	ck_assert_int_eq(apply_from("other.json", json, T0_MS), REGISTRY_UPDATED);
	ck_assert_int_eq(deregister_from("web.json", "a", "x"), REGISTRY_NOT_FOUND);
	ck_assert_int_eq(deregister_from("other.json", "a", "x"), REGISTRY_UPDATED);
}
END_TEST

START_TEST(a_file_takes_over_what_is_registered_over_http)
{
	static const char json[] = "{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80}";
	uint64_t revision;

	registry_set_files(registry, true);
	ck_assert_int_eq(apply_json(json, T0_MS), REGISTRY_CREATED);
	ck_assert_int_eq(deregister_from("web.json", "a", "x"), REGISTRY_NOT_FOUND);
	revision = registry_revision(registry);
	ck_assert_int_eq(apply_from("web.json", json, T0_MS), REGISTRY_UPDATED);
	ck_assert_uint_gt(registry_revision(registry), revision);
	revision = registry_revision(registry);
	ck_assert_int_eq(apply_from("web.json", json, T0_MS), REGISTRY_UPDATED);
	ck_assert_uint_eq(registry_revision(registry), revision);
}
END_TEST

START_TEST(nobody_reads_files_and_http_has_its_way)
{
	static const char json[] = "{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80}";

	ck_assert_int_eq(apply_from("web.json", json, T0_MS), REGISTRY_CREATED);
	ck_assert_int_eq(apply_json(json, T0_MS), REGISTRY_UPDATED);
	ck_assert_ptr_null(find("a", "x")->registration->file);
	ck_assert_int_eq(apply_from("web.json", json, T0_MS), REGISTRY_UPDATED);
	ck_assert_int_eq(deregister("a", "x"), REGISTRY_UPDATED);
}
END_TEST

int main(void)
{
	Suite *const suite = suite_create("registry");
	TCase *const tcase = tcase_create("registry");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, new_instance_is_found);
	tcase_add_test(tcase, saying_the_same_again_changes_nothing);
	tcase_add_test(tcase, registering_again_replaces);
	tcase_add_test(tcase, two_ids_keep_apart_and_a_stolen_label_is_refused);
	tcase_add_test(tcase, static_name_is_refused_and_nothing_stays);
	tcase_add_test(tcase, deregistering_takes_service_and_groups_along);
	tcase_add_test(tcase, gone_and_back_before_the_compile);
	tcase_add_test(tcase, heartbeat_knows_whom_it_means);
	tcase_add_test(tcase, reported_status_counts);
	tcase_add_test(tcase, lease_ends_to_the_millisecond);
	tcase_add_test(tcase, a_ttl_check_follows_reports);
	tcase_add_test(tcase, a_ttl_check_begins_as_told_for_one_ttl);
	tcase_add_test(tcase, a_ttl_check_has_no_results_from_a_prober);
	tcase_add_test(tcase, ttl_checks_come_and_go_with_registrations);
	tcase_add_test(tcase, heartbeats_renew_the_lease);
	tcase_add_test(tcase, early_heartbeats_leave_answers_alone);
	tcase_add_test(tcase, new_registration_changes_the_lease);
	tcase_add_test(tcase, checks_start_and_stop_with_the_registration);
	tcase_add_test(tcase, result_that_changes_nothing_is_no_revision);
	tcase_add_test(tcase, ttl_is_the_services_or_the_servers);
	tcase_add_test(tcase, policy_belongs_to_the_service_while_it_lasts);
	tcase_add_test(tcase, policy_does_not_outlive_its_service_within_one_round);
	tcase_add_test(tcase, the_same_policy_again_changes_nothing);
	tcase_add_test(tcase, leases_that_end_together_go_in_parts);
	tcase_add_test(tcase, a_large_service_goes_in_few_parts);
	tcase_add_test(tcase, many_expire_each_at_its_time);
	tcase_add_test(tcase, what_is_from_a_file_is_that_files);
	tcase_add_test(tcase, a_file_takes_over_what_is_registered_over_http);
	tcase_add_test(tcase, nobody_reads_files_and_http_has_its_way);
	suite_add_tcase(suite, tcase);
	SRunner *const runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	const int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
