/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/policy.h"

#include <check.h>
#include <stdlib.h>

enum {
	T0_MS = 1000000,
	NOW_MS = T0_MS + 500,
	REVISION = 42,
};

static struct check_spec specs[2];
static struct check checks[2];
static struct check *check_list[2] = { &checks[0], &checks[1] };
static struct registration registration;
static struct instance instance;

/* An instance with two checks, 10 s and 20 s apart, both passed at T0. */
static void set_up(void)
{
	specs[0] = (struct check_spec){
		.kind = CHECK_HTTP,
		.interval_ms = 10000,
		.rise = 2,
		.fall = 3,
		.initial = STATUS_CRITICAL,
	};
	specs[1] = specs[0];
	specs[1].kind = CHECK_TCP;
	specs[1].interval_ms = 20000;
	for (size_t i = 0; i < 2; i++) {
		checks[i] = (struct check){
			.check_id = i + 1,
			.instance = &instance,
			.spec = &specs[i],
			.last_start_ms = T0_MS,
			.health = { .status = STATUS_PASSING, .has_run = true },
		};
	}
	registration = (struct registration){ .checks = specs, .n_checks = 2 };
	instance = (struct instance){
		.registration = &registration,
		.checks = check_list,
		.status = STATUS_PASSING,
	};
}

static uint64_t stable_until_ms(void)
{
	return policy_stable_until_ms(&instance, NOW_MS);
}

START_TEST(warning_is_served_critical_is_not)
{
	instance.status = STATUS_PASSING;
	ck_assert(policy_serves(&instance));
	instance.status = STATUS_WARNING;
	ck_assert(policy_serves(&instance));
	instance.status = STATUS_CRITICAL;
	ck_assert(!policy_serves(&instance));
}
END_TEST

START_TEST(an_operator_outranks_the_status)
{
	static const struct {
		enum admin admin;
		bool passing, critical;
	} rows[] = {
		{ ADMIN_AUTO, true, false },
		{ ADMIN_UP, true, true },
		{ ADMIN_DOWN, false, false },
		{ ADMIN_DRAIN, false, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		instance.admin = rows[i].admin;
		instance.status = STATUS_PASSING;
		ck_assert_int_eq(policy_serves(&instance), rows[i].passing);
		ck_assert(policy_is_healthy(&instance));
		instance.status = STATUS_CRITICAL;
		ck_assert_int_eq(policy_serves(&instance), rows[i].critical);
		ck_assert(!policy_is_healthy(&instance));
	}
}
END_TEST

START_TEST(no_check_moves_what_an_operator_fixed)
{
	instance.admin = ADMIN_UP;
	ck_assert_uint_eq(stable_until_ms(), UINT64_MAX);
	instance.admin = ADMIN_DRAIN;
	ck_assert_uint_eq(stable_until_ms(), UINT64_MAX);
	instance.lease_end_ms = T0_MS + 9000;
	ck_assert_uint_eq(stable_until_ms(), T0_MS + 9000);
}
END_TEST

START_TEST(nothing_pending_is_stable_for_ever)
{
	registration.n_checks = 0;
	ck_assert_uint_eq(stable_until_ms(), UINT64_MAX);
	instance.lease_end_ms = T0_MS + 9000;
	ck_assert_uint_eq(stable_until_ms(), T0_MS + 9000);
}
END_TEST

START_TEST(served_until_the_first_check_can_fail_often_enough)
{
	/* Three failures, each run at least 0.9 intervals after the one before. */
	ck_assert_uint_gt(stable_until_ms(), NOW_MS);
	ck_assert_uint_eq(stable_until_ms(), T0_MS + 27000);
	checks[0].health.run = 2;
	ck_assert_uint_eq(stable_until_ms(), T0_MS + 9000);
	checks[1].health.run = 2;
	ck_assert_uint_eq(stable_until_ms(), T0_MS + 9000);
	checks[1].last_start_ms = T0_MS - 12000;
	ck_assert_uint_eq(stable_until_ms(), T0_MS + 6000);
	instance.lease_end_ms = T0_MS + 1000;
	ck_assert_uint_eq(stable_until_ms(), T0_MS + 1000);
}
END_TEST

START_TEST(first_result_may_come_at_any_moment)
{
	checks[1].last_start_ms = 0;
	checks[1].health.has_run = false;
	ck_assert_uint_le(stable_until_ms(), NOW_MS);
}
END_TEST

START_TEST(a_restored_check_may_have_begun_to_run)
{
	checks[1].last_start_ms = 0; /* of 20 s, three failures */
	checks[0].last_start_ms = NOW_MS + 60000;
	ck_assert_uint_eq(stable_until_ms(), NOW_MS + 36000);
	specs[1].timeout_ms = 2000;
	ck_assert_uint_eq(stable_until_ms(), NOW_MS + 34000);
	checks[1].health.run = 2;
	ck_assert_uint_eq(stable_until_ms(), NOW_MS);
}
END_TEST

START_TEST(every_critical_check_must_recover)
{
	instance.status = STATUS_CRITICAL;
	checks[0].health.status = STATUS_CRITICAL;
	ck_assert_uint_eq(stable_until_ms(), T0_MS + 18000);
	checks[0].health.run = 1;
	ck_assert_uint_eq(stable_until_ms(), T0_MS + 9000);
	checks[1].health.status = STATUS_CRITICAL;
	ck_assert_uint_eq(stable_until_ms(), T0_MS + 36000);
	/* It said so itself: no check brings it back. */
	instance.reported = STATUS_CRITICAL;
	ck_assert_uint_eq(stable_until_ms(), UINT64_MAX);
	instance.lease_end_ms = T0_MS + 5000;
	ck_assert_uint_eq(stable_until_ms(), T0_MS + 5000);
}
END_TEST

static const char *explain(void)
{
	static char reason[300];

	policy_explain(&instance, reason, sizeof(reason));
	return reason;
}

START_TEST(reason_names_the_cause)
{
	static char refused[] = "connection refused", full[] = "disk full";

	ck_assert_str_eq(explain(), "passing");
	instance.status = checks[1].health.status = STATUS_CRITICAL;
	checks[1].output = refused;
	ck_assert_str_eq(explain(), "check tcp: connection refused");
	checks[1].output = NULL;
	ck_assert_str_eq(explain(), "check tcp: no result since the start");
	checks[1].health.has_run = false;
	ck_assert_str_eq(explain(), "check tcp: no result yet");
	instance.reported = STATUS_CRITICAL;
	instance.output = full;
	ck_assert_str_eq(explain(), "reported critical: disk full");
	instance.reported = instance.status = STATUS_WARNING;
	instance.output = NULL;
	ck_assert_str_eq(explain(), "reported warning");
	instance.reported = instance.status = STATUS_PASSING;
	registration.n_checks = 0;
	ck_assert_str_eq(explain(), "registered");
	instance.admin = ADMIN_DRAIN;
	ck_assert_str_eq(explain(), "admin drain");
}
END_TEST

/* ---- Failure policies ---- */

/* Who is served of `n` eligible instances, `fit` of them fit, under a policy. */
static enum policy_mode choose(enum failure failure, uint32_t panic_ppm, size_t fit, size_t n,
			       uint64_t served_until)
{
	const struct service service = { .failure = failure, .panic_ppm = panic_ppm };
	const struct policy_tally tally = {
		.n_eligible = n,
		.n_serving = fit,
		.served_until = served_until,
	};

	return policy_choose(&service, &tally);
}

START_TEST(a_failure_policy_acts_where_too_few_are_fit)
{
	static const struct {
		enum failure failure;
		uint32_t panic_ppm;
		size_t fit, n;
		uint64_t served_until;
		enum policy_mode mode;
	} rows[] = {
		{ FAILURE_EMPTY, 0, 1, 4, REVISION, POLICY_FIT },
		{ FAILURE_ALL, 0, 1, 4, REVISION, POLICY_FIT },
		{ FAILURE_LAST, 0, 1, 4, REVISION, POLICY_FIT },
		{ FAILURE_EMPTY, 250000, 1, 4, 0, POLICY_FIT },
		{ FAILURE_EMPTY, 250001, 1, 4, 0, POLICY_PANIC },
		{ FAILURE_EMPTY, 70000, 7, 100, 0, POLICY_FIT },
		{ FAILURE_LAST, 500000, 1, 4, REVISION, POLICY_PANIC },
		{ FAILURE_EMPTY, 1000000, 4, 4, 0, POLICY_FIT },
		{ FAILURE_EMPTY, 1000000, 3, 4, 0, POLICY_PANIC },
		{ FAILURE_LAST, 0, 0, 4, REVISION, POLICY_LAST },
		{ FAILURE_LAST, 500000, 0, 4, REVISION, POLICY_LAST },
		{ FAILURE_ALL, 0, 0, 4, REVISION, POLICY_ALL },
		{ FAILURE_ALL, 500000, 0, 4, REVISION, POLICY_ALL },
		{ FAILURE_EMPTY, 1, 0, 4, REVISION, POLICY_PANIC },
		{ FAILURE_EMPTY, 0, 0, 4, REVISION, POLICY_EMPTY },
		{ FAILURE_LAST, 1, 0, 4, 0, POLICY_PANIC },
		{ FAILURE_LAST, 0, 0, 4, 0, POLICY_EMPTY },
		{ FAILURE_ALL, 1000000, 0, 0, 0, POLICY_EMPTY },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_msg(choose(rows[i].failure, rows[i].panic_ppm, rows[i].fit, rows[i].n,
				     rows[i].served_until) == rows[i].mode,
			      "row %zu", i);
}
END_TEST

START_TEST(whom_an_operator_took_out_is_served_by_no_policy)
{
	struct policy_tally tally = { .n_eligible = 0 };

	instance.status = STATUS_CRITICAL;
	instance.served_until = REVISION;
	policy_count(&tally, &instance);
	ck_assert_uint_eq(tally.n_eligible, 1);
	ck_assert_uint_eq(tally.n_serving, 0);
	ck_assert_uint_eq(tally.served_until, REVISION);
	ck_assert(!policy_picks(POLICY_FIT, &tally, &instance));
	ck_assert(!policy_picks(POLICY_EMPTY, &tally, &instance));
	ck_assert(policy_picks(POLICY_ALL, &tally, &instance));
	ck_assert(policy_picks(POLICY_PANIC, &tally, &instance));
	ck_assert(policy_picks(POLICY_LAST, &tally, &instance));
	tally.served_until++;
	ck_assert(!policy_picks(POLICY_LAST, &tally, &instance));
	tally.served_until--;
	instance.admin = ADMIN_DRAIN;
	for (enum policy_mode mode = POLICY_FIT; mode <= POLICY_LAST; mode++)
		ck_assert(!policy_picks(mode, &tally, &instance));
	policy_count(&tally, &instance);
	ck_assert_uint_eq(tally.n_eligible, 1);
	instance.admin = ADMIN_UP;
	policy_count(&tally, &instance);
	ck_assert_uint_eq(tally.n_eligible, 2);
	ck_assert_uint_eq(tally.n_serving, 1);
}
END_TEST

int main(void)
{
	Suite *const suite = suite_create("policy");
	TCase *const tcase = tcase_create("policy");

	tcase_add_checked_fixture(tcase, set_up, NULL);
	tcase_add_test(tcase, warning_is_served_critical_is_not);
	tcase_add_test(tcase, an_operator_outranks_the_status);
	tcase_add_test(tcase, no_check_moves_what_an_operator_fixed);
	tcase_add_test(tcase, nothing_pending_is_stable_for_ever);
	tcase_add_test(tcase, served_until_the_first_check_can_fail_often_enough);
	tcase_add_test(tcase, first_result_may_come_at_any_moment);
	tcase_add_test(tcase, a_restored_check_may_have_begun_to_run);
	tcase_add_test(tcase, every_critical_check_must_recover);
	tcase_add_test(tcase, reason_names_the_cause);
	tcase_add_test(tcase, a_failure_policy_acts_where_too_few_are_fit);
	tcase_add_test(tcase, whom_an_operator_took_out_is_served_by_no_policy);
	suite_add_tcase(suite, tcase);
	SRunner *const runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	const int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
