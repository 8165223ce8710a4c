/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a registry takes back after a restart, and what it says of a change before the change.
 */
#include "model/codec.h"
#include "model/handout.h"
#include "model/policy.h"
#include "model/registry.h"
#include "model/stored.h"

#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum {
	T0_MS = 1000000,
	REVISION = 41,
};

static struct registry *registry;
static struct counters counters;
static struct outcome outcome;
static size_t n_started, n_changed;
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

static void on_changed(void *cookie, enum event_kind kind, const struct service *service,
		       const struct instance *instance)
{
	(void)cookie;
	(void)kind;
	(void)service;
	(void)instance;
	n_changed++;
}

static struct registry *new_registry(void)
{
	const struct registry_options options = {
		.revision = REVISION,
		.ttl_s = 5,
		.counters = &counters,
		.collides = on_collides,
		.check_started = on_started,
		.changed = on_changed,
	};
	struct registry *made = registry_new(&options);

	ck_assert_ptr_nonnull(made);
	return made;
}

static void set_up(void)
{
	n_started = n_changed = 0;
	taken = NULL;
	registry = new_registry();
}

static void tear_down(void)
{
	registry_free(registry);
}

static struct registration *parse(const char *json)
{
	struct codec_error error;
	json_t *body = codec_load(json, strlen(json), &error);
	struct registration *registration;

	ck_assert_msg(body, "%s", error.message);
	registration = codec_registration(body, &error);
	ck_assert_msg(registration, "%s: %s", error.field, error.message);
	json_decref(body);
	return registration;
}

static bool is_done(enum registry_result result)
{
	return result == REGISTRY_CREATED || result == REGISTRY_UPDATED;
}

static enum registry_result restore(const char *json, const struct stored_state *state)
{
	const struct change change = {
		.kind = CHANGE_RESTORE,
		.restore = { parse(json), state },
	};
	enum registry_result result = registry_apply(registry, &change, T0_MS, &outcome);

	if (!is_done(result))
		record_registration_free(change.restore.registration);
	return result;
}

static const struct instance *find(const char *service_name, const char *id)
{
	const struct service *service = registry_find_service(registry, service_name);

	return service ? registry_find_instance(registry, service, id) : NULL;
}

static void check_result(const struct check *check, bool passed, uint64_t now_ms)
{
	const struct change change = {
		.kind = CHANGE_CHECK_RESULT,
		.check_result = {
			.check_id = check->check_id,
			.passed = passed,
			.start_ms = now_ms,
			.output = "",
		},
	};

	ck_assert_int_eq(registry_apply(registry, &change, now_ms, &outcome), REGISTRY_UPDATED);
}

/* ---- Restoring ---- */

static const char checked[] =
	"{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80,\"lease\":30,\"checks\":["
	"{\"kind\":\"tcp\",\"interval\":10,\"fall\":3},{\"kind\":\"ttl\",\"ttl\":20},"
	"{\"kind\":\"tcp\",\"port\":81,\"fall\":3}]}";

START_TEST(an_instance_is_back_as_it_was_last_known)
{
	const struct stored_state state = {
		.admin = ADMIN_DRAIN,
		.reported = STATUS_WARNING,
		.served_until = 40,
		.n_checks = 3,
		.checks = { { STATUS_PASSING, true },
			    { STATUS_PASSING, true },
			    { STATUS_WARNING, false } },
	};

	ck_assert_int_eq(restore(checked, &state), REGISTRY_CREATED);
	const struct instance *instance = find("a", "x");
	ck_assert_ptr_eq(outcome.instance, instance);
	ck_assert_int_eq(instance->admin, ADMIN_DRAIN);
	ck_assert_int_eq(instance->reported, STATUS_WARNING);
	ck_assert_int_eq(instance->status, STATUS_WARNING);
	ck_assert_uint_eq(instance->served_until, 40);
	ck_assert_uint_eq(instance->created, REVISION);
	ck_assert_uint_eq(instance->modified, REVISION);
	ck_assert_uint_eq(instance->service->revision, REVISION);
	ck_assert_uint_eq(registry_revision(registry), REVISION);
	ck_assert_uint_eq(n_changed, 0);
	ck_assert_uint_eq(n_started, 2);
	ck_assert(registry_is_dirty(registry));

	/* A whole period for the lease and for those who report. */
	ck_assert_uint_eq(instance->lease_end_ms, T0_MS + 30000);
	ck_assert_uint_eq(instance->checks[1]->due_ms, T0_MS + 20000);
	registry_expire(registry, T0_MS + 19999);
	ck_assert_int_eq(find("a", "x")->status, STATUS_WARNING);
	registry_expire(registry, T0_MS + 20000);
	ck_assert_int_eq(find("a", "x")->status, STATUS_CRITICAL);
	registry_expire(registry, T0_MS + 29999);
	ck_assert_ptr_nonnull(find("a", "x"));
	registry_expire(registry, T0_MS + 30000);
	ck_assert_ptr_null(find("a", "x"));
}
END_TEST

START_TEST(a_check_that_has_run_is_damped_and_a_new_one_is_not)
{
	const struct stored_state state = {
		.n_checks = 3,
		.checks = { { STATUS_PASSING, true },
			    { STATUS_PASSING, true },
			    { STATUS_PASSING, false } },
	};

	restore(checked, &state);
	const struct instance *instance = outcome.instance;
	check_result(instance->checks[0], false, T0_MS + 1);
	check_result(instance->checks[0], false, T0_MS + 10000);
	ck_assert_int_eq(instance->status, STATUS_PASSING);
	check_result(instance->checks[0], false, T0_MS + 20000);
	ck_assert_int_eq(instance->status, STATUS_CRITICAL);
	check_result(instance->checks[2], false, T0_MS + 20000);
	ck_assert_int_eq(instance->checks[2]->health.status, STATUS_CRITICAL);
}
END_TEST

START_TEST(without_a_state_it_begins_anew)
{
	const struct stored_state other = { .admin = ADMIN_UP, .n_checks = 0 };

	ck_assert_int_eq(restore(checked, NULL), REGISTRY_CREATED);
	ck_assert_int_eq(find("a", "x")->admin, ADMIN_AUTO);
	ck_assert_int_eq(find("a", "x")->status, STATUS_CRITICAL); /* its checks' initial one */
	ck_assert_uint_eq(find("a", "x")->served_until, 0);
	/* One of an earlier registration tells nothing of checks. */
	ck_assert_int_eq(
		restore("{\"name\":\"b\",\"ip\":\"10.0.0.1\",\"port\":80,\"health\":\"/\"}",
			&other),
		REGISTRY_CREATED);
	ck_assert_int_eq(outcome.instance->admin, ADMIN_UP);
	ck_assert_int_eq(outcome.instance->status, STATUS_CRITICAL);
	ck_assert(!outcome.instance->checks[0]->health.has_run);
}
END_TEST

START_TEST(a_second_one_is_a_conflict)
{
	char label[LIMIT_LABEL + 1], stolen[160];

	ck_assert_int_eq(
		restore("{\"name\":\"a\",\"id\":\"X y\",\"ip\":\"10.0.0.1\",\"port\":80}", NULL),
		REGISTRY_CREATED);
	ck_assert_int_eq(
		restore("{\"name\":\"a\",\"id\":\"X y\",\"ip\":\"10.0.0.2\",\"port\":80}", NULL),
		REGISTRY_CONFLICT);
	ck_assert(*outcome.message);
	ck_assert_ptr_null(outcome.instance);
	record_id_label("X y", label);
	snprintf(stolen, sizeof(stolen),
		 "{\"name\":\"a\",\"id\":\"%s\",\"ip\":\"10.0.0.2\",\"port\":80}", label);
	ck_assert_int_eq(restore(stolen, NULL), REGISTRY_CONFLICT);
	ck_assert_uint_eq(registry_count_instances(registry), 1);
}
END_TEST

START_TEST(a_static_name_takes_nobody_away)
{
	taken = "a";
	ck_assert_int_eq(restore(checked, NULL), REGISTRY_CREATED);
}
END_TEST

START_TEST(a_policy_is_back_without_a_revision)
{
	struct stored_policy policy = { .change = { .service = "a" } };
	struct change change = { .kind = CHANGE_RESTORE_POLICY };
	const struct service *service;

	stored_policy_set(&policy, STORED_TTL, 7);
	stored_policy_set(&policy, STORED_FAILURE, FAILURE_LAST);
	stored_policy_set(&policy, STORED_ANSWER_LIMIT, 3);
	stored_policy_set(&policy, STORED_PANIC, 1000);
	change.policy = policy.change;
	ck_assert_int_eq(registry_apply(registry, &change, T0_MS, &outcome), REGISTRY_NOT_FOUND);
	restore("{\"name\":\"a\",\"ip\":\"10.0.0.1\",\"port\":80,\"ttl\":9}", NULL);
	service = registry_find_service(registry, "a");
	ck_assert_uint_eq(service->ttl_s, 9);
	ck_assert_int_eq(registry_apply(registry, &change, T0_MS, &outcome), REGISTRY_UPDATED);
	ck_assert_uint_eq(service->ttl_s, 7);
	ck_assert_uint_eq(service->answer_limit, 3);
	ck_assert_int_eq(service->failure, FAILURE_LAST);
	ck_assert_uint_eq(service->panic_ppm, 1000);
	ck_assert_uint_eq(registry_revision(registry), REVISION);
	ck_assert_uint_eq(n_changed, 0);
}
END_TEST

static bool picked_last(const char *id)
{
	struct policy_tally tally = { .n_eligible = 0 };
	const struct service *service = registry_find_service(registry, "a");

	for (size_t i = 0; i < service->n_instances; i++)
		policy_count(&tally, service->instances[i]);
	ck_assert_uint_eq(tally.n_serving, 0);
	return policy_picks(POLICY_LAST, &tally, find("a", id));
}

static void report_critical(const char *id, uint64_t now_ms)
{
	const enum status status = STATUS_CRITICAL;
	const struct change change = {
		.kind = CHANGE_HEARTBEAT,
		.heartbeat = { .service = "a", .id = id, .status = &status },
	};

	ck_assert_int_eq(registry_apply(registry, &change, now_ms, &outcome), REGISTRY_UPDATED);
}

static char *instance_text(const char *id)
{
	static char json[160];

	snprintf(json, sizeof(json),
		 "{\"name\":\"a\",\"id\":\"%s\",\"ip\":\"10.0.0.1\",\"port\":80}", id);
	return json;
}

START_TEST(those_that_served_last_are_known_after_a_restart)
{
	static const char *const ids[] = { "x", "y", "z" };
	struct stored_state states[3];

	for (size_t i = 0; i < 3; i++)
		restore(instance_text(ids[i]), NULL);
	report_critical("x", T0_MS);
	report_critical("y", T0_MS + 1);
	report_critical("z", T0_MS + 1);
	ck_assert(!picked_last("x") && picked_last("y") && picked_last("z"));
	for (size_t i = 0; i < 3; i++)
		stored_state_of(find("a", ids[i]), &states[i]);
	const struct registry_options options = {
		.revision = registry_revision(registry) + 100,
		.ttl_s = 5,
		.counters = &counters,
	};
	registry_free(registry);
	registry = registry_new(&options);
	ck_assert_ptr_nonnull(registry);
	for (size_t i = 0; i < 3; i++)
		restore(instance_text(ids[i]), &states[i]);
	ck_assert(!picked_last("x") && picked_last("y") && picked_last("z"));
}
END_TEST

/* Revisions of a registry that was further on. */
START_TEST(nobody_ceased_to_serve_in_the_future)
{
	struct stored_state state = { .reported = STATUS_CRITICAL, .served_until = REVISION + 5 };

	restore(instance_text("x"), &state);
	restore(instance_text("y"), NULL);
	ck_assert_uint_eq(find("a", "x")->served_until, REVISION);
	report_critical("y", T0_MS);
	ck_assert(!picked_last("x") && picked_last("y"));
}
END_TEST

/* What is written with a registration is what the registry makes of it. */
START_TEST(the_state_after_an_update_is_known_before_it)
{
	static const char *const updates[] = {
		checked, /* the same */
		"{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":80,\"tags\":[\"new\"],"
		"\"checks\":[{\"kind\":\"tcp\",\"port\":81,\"fall\":3},{\"kind\":\"ttl\",\"ttl\":20},"
		"{\"kind\":\"http\",\"initial\":\"warning\"},{\"kind\":\"ttl\",\"ttl\":20}]}",
		"{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.2\",\"port\":80,\"checks\":["
		"{\"kind\":\"tcp\",\"port\":81,\"fall\":3}]}", /* elsewhere */
		"{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.2\",\"port\":80}",
	};
	const struct stored_state known = {
		.admin = ADMIN_UP,
		.reported = STATUS_WARNING,
		.n_checks = 3,
		.checks = { { STATUS_PASSING, true },
			    { STATUS_WARNING, true },
			    { STATUS_PASSING, true } },
	};
	struct stored_state before, after;

	restore(checked, &known);
	for (size_t i = 0; i < sizeof(updates) / sizeof(updates[0]); i++) {
		const struct change change = {
			.kind = CHANGE_REGISTER,
			.registration = parse(updates[i]),
		};

		stored_state_after(find("a", "x"), change.registration, &before);
		ck_assert_int_eq(registry_apply(registry, &change, T0_MS, &outcome),
				 REGISTRY_UPDATED);
		stored_state_of(find("a", "x"), &after);
		ck_assert_int_eq(before.admin, after.admin);
		ck_assert_int_eq(before.reported, after.reported);
		ck_assert_uint_eq(before.served_until, after.served_until);
		ck_assert_uint_eq(before.registration_crc, after.registration_crc);
		ck_assert_uint_eq(before.n_checks, after.n_checks);
		for (size_t j = 0; j < after.n_checks; j++) {
			ck_assert_int_eq(before.checks[j].status, after.checks[j].status);
			ck_assert_int_eq(before.checks[j].has_run, after.checks[j].has_run);
		}
	}
}
END_TEST

/* ---- Admitting ---- */

/* Asks, then does it: both say the same, and a change of what is stored is one of the revision. */
static enum registry_result expect(const struct change *change, bool changes)
{
	struct counters before = counters;
	uint64_t revision = registry_revision(registry);
	struct outcome asked;
	bool admitted_changes;
	enum registry_result result = registry_admit(registry, change, &asked, &admitted_changes);

	ck_assert_mem_eq(&before, &counters, sizeof(before));
	ck_assert_uint_eq(registry_revision(registry), revision);
	ck_assert_int_eq(asked.result, result);
	ck_assert_int_eq(admitted_changes, changes);
	ck_assert_int_eq(registry_apply(registry, change, T0_MS, &outcome), result);
	ck_assert_str_eq(outcome.message, asked.message);
	ck_assert((registry_revision(registry) != revision) == changes);
	if (result == REGISTRY_UPDATED && change->kind != CHANGE_DEREGISTER)
		ck_assert_ptr_eq(outcome.instance, asked.instance);
	return result;
}

static enum registry_result expect_register(const char *json, bool changes)
{
	const struct change change = { .kind = CHANGE_REGISTER, .registration = parse(json) };
	enum registry_result result = expect(&change, changes);

	if (!is_done(result))
		record_registration_free(change.registration);
	return result;
}

START_TEST(a_registration_is_admitted_as_it_is_applied)
{
	char label[LIMIT_LABEL + 1];

	ck_assert_int_eq(expect_register(instance_text("X y"), true), REGISTRY_CREATED);
	ck_assert_int_eq(expect_register(instance_text("X y"), false), REGISTRY_UPDATED);
	ck_assert_int_eq(expect_register("{\"name\":\"a\",\"id\":\"X y\",\"ip\":\"10.0.0.1\","
					 "\"port\":81}",
					 true),
			 REGISTRY_UPDATED);
	record_id_label("X y", label);
	ck_assert_int_eq(expect_register(instance_text(label), false), REGISTRY_CONFLICT);
	taken = "a";
	ck_assert_int_eq(expect_register(instance_text("z"), false), REGISTRY_CONFLICT);
	ck_assert_str_eq(outcome.message, "a is a name of the zone file");
	/* What is there already may say the same again. */
	ck_assert_int_eq(expect_register("{\"name\":\"a\",\"id\":\"X y\",\"ip\":\"10.0.0.1\","
					 "\"port\":81}",
					 false),
			 REGISTRY_UPDATED);
}
END_TEST

START_TEST(other_changes_are_admitted_as_they_are_applied)
{
	const uint32_t ttl_s = 7;
	const struct change policy = {
		.kind = CHANGE_POLICY,
		.policy = { .service = "a", .ttl_s = &ttl_s },
	};
	const struct change admin = {
		.kind = CHANGE_ADMIN,
		.admin = { .service = "a", .id = "x", .admin = ADMIN_DOWN },
	};
	const struct change deregister = {
		.kind = CHANGE_DEREGISTER,
		.deregister = { .service = "a", .id = "x" },
	};
	const struct change *const changes[] = { &policy, &admin, &deregister };

	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(expect(changes[i], false), REGISTRY_NOT_FOUND);
	restore(instance_text("x"), NULL);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_eq(expect(changes[i], true), REGISTRY_UPDATED);
		if (i < 2)
			ck_assert_int_eq(expect(changes[i], false), REGISTRY_UPDATED);
	}
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(expect(changes[i], false), REGISTRY_NOT_FOUND);
}
END_TEST

START_TEST(what_another_process_named_is_in_use_until_it_has_ended)
{
	struct stored_state state = { .admin = ADMIN_DRAIN };
	const struct service *service;

	ck_assert_int_eq(restore(instance_text("x"), &state), REGISTRY_CREATED);
	service = registry_find_service(registry, "a");
	registry_set_inherited(registry, 3000);
	ck_assert_uint_eq(registry_find_instance(registry, service, "x")->safe_after_ms,
			  3000 + registry_ttl_s(registry, service) * 1000 + HANDOUT_ROUNDING_MS);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("registry_restore");
	Suite *suite = suite_create("registry_restore");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, an_instance_is_back_as_it_was_last_known);
	tcase_add_test(tcase, a_check_that_has_run_is_damped_and_a_new_one_is_not);
	tcase_add_test(tcase, without_a_state_it_begins_anew);
	tcase_add_test(tcase, a_second_one_is_a_conflict);
	tcase_add_test(tcase, a_static_name_takes_nobody_away);
	tcase_add_test(tcase, a_policy_is_back_without_a_revision);
	tcase_add_test(tcase, those_that_served_last_are_known_after_a_restart);
	tcase_add_test(tcase, nobody_ceased_to_serve_in_the_future);
	tcase_add_test(tcase, the_state_after_an_update_is_known_before_it);
	tcase_add_test(tcase, what_another_process_named_is_in_use_until_it_has_ended);
	tcase_add_test(tcase, a_registration_is_admitted_as_it_is_applied);
	tcase_add_test(tcase, other_changes_are_admitted_as_they_are_applied);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
