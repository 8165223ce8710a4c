/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/stored.h"

#include "../lib/samples.h"
#include "base/crc32c.h"
#include "model/codec.h"

#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static struct buf record;

static void set_up(void)
{
	buf_init(&record);
}

static void tear_down(void)
{
	buf_fini(&record);
}

static struct registration *parse(const char *json)
{
	struct codec_error error;
	json_t *body = codec_load(json, strlen(json), &error);
	struct registration *registration;

	ck_assert_msg(body, "%s: %s", json, error.message);
	registration = codec_registration(body, &error);
	ck_assert_msg(registration, "%s: %s: %s", json, error.field, error.message);
	json_decref(body);
	return registration;
}

static struct stored_key key_of(const struct registration *registration)
{
	return (struct stored_key){ registration->service, registration->id };
}

/* Decodes a copy of exactly this size, so that a sanitizer sees a read beyond it. */
static enum stored_result get(enum stored_kind kind, const struct stored_key *key,
			      const void *octets, size_t len)
{
	struct registration *registration = NULL;
	enum stored_result result = STORED_OK;
	struct stored_state state;
	uint32_t value;
	void *copy = malloc(len ? len : 1);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, octets, len);
	switch (kind) {
	case STORED_REGISTRATION:
		result = stored_get_registration(key, copy, len, &registration);
		ck_assert((result == STORED_OK) == (registration != NULL));
		record_registration_free(registration);
		break;
	case STORED_STATE:
		result = stored_get_state(key, copy, len, &state);
		break;
	case STORED_POLICY:
		result = stored_get_policy(key, copy, len, &value);
		break;
	}
	ck_assert(stored_check(kind, key, copy, len) != STORED_FOREIGN || result == STORED_FOREIGN);
	free(copy);
	return result;
}

/* Puts a CRC that fits what `record` has by now. */
static void seal(const struct stored_key *key)
{
	uint8_t *octets = (uint8_t *)record.data;
	uint32_t crc = crc32c(0, octets, 2);

	crc = crc32c(crc, key->service, strlen(key->service) + 1);
	crc = crc32c(crc, key->id, strlen(key->id) + 1);
	crc = crc32c(crc, octets + STORED_HEADER, record.len - STORED_HEADER);
	for (int i = 0; i < 4; i++)
		octets[4 + i] = (uint8_t)(crc >> 8 * i);
}

/* ---- Round trips ---- */

START_TEST(registrations_come_back_as_they_were)
{
	for (size_t i = 0; i < N_SAMPLES; i++) {
		struct registration *registration = parse(samples[i]), *back = NULL;
		const struct stored_key key = key_of(registration);
		struct buf again;

		record.len = 0;
		stored_put_registration(&record, registration);
		ck_assert(!record.failed);
		ck_assert_int_eq(stored_get_registration(&key, record.data, record.len, &back),
				 STORED_OK);
		ck_assert_msg(record_registration_equal(registration, back), "%s", samples[i]);
		ck_assert_str_eq(record_label(back), record_label(registration));
		buf_init(&again);
		stored_put_registration(&again, back);
		ck_assert_mem_eq(again.data, record.data, record.len);
		ck_assert_uint_eq(again.len, record.len);
		buf_fini(&again);
		record_registration_free(registration);
		record_registration_free(back);
	}
}
END_TEST

static const struct stored_key key = { "payment", "pay-1" };

static const struct stored_state a_state = {
	.admin = ADMIN_DRAIN,
	.reported = STATUS_WARNING,
	.served_until = 0x123456789abc,
	.registration_crc = 0xdeadbeef,
	.n_checks = 3,
	.checks = { { STATUS_CRITICAL, true },
		    { STATUS_PASSING, false },
		    { STATUS_WARNING, true } },
};

START_TEST(states_come_back_as_they_were)
{
	struct stored_state back;

	stored_put_state(&record, &key, &a_state);
	ck_assert_int_eq(stored_get_state(&key, record.data, record.len, &back), STORED_OK);
	ck_assert_int_eq(back.admin, ADMIN_DRAIN);
	ck_assert_int_eq(back.reported, STATUS_WARNING);
	ck_assert_uint_eq(back.served_until, a_state.served_until);
	ck_assert_uint_eq(back.registration_crc, a_state.registration_crc);
	ck_assert_uint_eq(back.n_checks, 3);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_eq(back.checks[i].status, a_state.checks[i].status);
		ck_assert_int_eq(back.checks[i].has_run, a_state.checks[i].has_run);
	}
}
END_TEST

START_TEST(policies_come_back_as_they_were)
{
	static const struct {
		enum stored_field field;
		uint32_t least, most;
	} rows[] = {
		{ STORED_TTL, 1, LIMIT_TTL_S },
		{ STORED_ANSWER_LIMIT, 0, LIMIT_ANSWER_LIMIT },
		{ STORED_FAILURE, 0, FAILURE_LAST },
		{ STORED_PANIC, 0, 1000000 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct stored_key at = { "payment", stored_field_name(rows[i].field) };
		const uint32_t values[] = { rows[i].least, rows[i].most, rows[i].most + 1,
					    rows[i].least - 1 };

		for (size_t j = 0; j < 4; j++) {
			uint32_t value = 0;

			record.len = 0;
			stored_put_policy(&record, &at, values[j]);
			ck_assert_int_eq(stored_get_policy(&at, record.data, record.len, &value),
					 j < 2 ? STORED_OK : STORED_DAMAGED);
			ck_assert_uint_eq(value, j < 2 ? values[j] : 0);
		}
	}
}
END_TEST

START_TEST(fields_of_a_policy_have_names)
{
	static const char *const names[] = { "ttl", "answer_limit", "failure", "panic_threshold" };
	enum stored_field field;

	for (unsigned i = 0; i < STORED_FIELDS; i++) {
		ck_assert_str_eq(stored_field_name(i), names[i]);
		ck_assert(stored_field_parse(names[i], &field));
		ck_assert_uint_eq(field, i);
	}
	ck_assert(!stored_field_parse("TTL", &field));
	ck_assert(!stored_field_parse("", &field));
}
END_TEST

START_TEST(a_policy_has_the_fields_that_were_set)
{
	struct stored_policy policy = { .ttl_s = 0 };
	uint32_t value;

	for (unsigned set = 0; set < STORED_FIELDS; set++) {
		for (unsigned i = 0; i < STORED_FIELDS; i++)
			ck_assert(stored_policy_get(&policy.change, i, &value) == (i < set));
		stored_policy_set(&policy, set, set + 1);
		ck_assert(stored_policy_get(&policy.change, set, &value));
		ck_assert_uint_eq(value, set + 1);
	}
	ck_assert_uint_eq(*policy.change.ttl_s, 1);
	ck_assert_uint_eq(*policy.change.answer_limit, 2);
	ck_assert_int_eq(*policy.change.failure, 3);
	ck_assert_uint_eq(*policy.change.panic_ppm, 4);
}
END_TEST

START_TEST(a_state_is_of_one_registration)
{
	struct registration *registration = parse(samples[N_SAMPLES - 1]);
	struct check checks[LIMIT_CHECKS], *list[LIMIT_CHECKS];
	struct instance instance = {
		.registration = registration,
		.admin = ADMIN_UP,
		.reported = STATUS_CRITICAL,
		.served_until = 7,
		.checks = list,
	};
	struct stored_state state;

	for (size_t i = 0; i < registration->n_checks; i++) {
		checks[i] = (struct check){ .health = { .status = i % 3, .has_run = i % 2 } };
		list[i] = &checks[i];
	}
	stored_state_of(&instance, &state);
	ck_assert_int_eq(state.admin, ADMIN_UP);
	ck_assert_int_eq(state.reported, STATUS_CRITICAL);
	ck_assert_uint_eq(state.served_until, 7);
	stored_put_registration(&record, registration);
	stored_match_state(&state, record.data);
	ck_assert_uint_eq(state.n_checks, registration->n_checks);
	for (size_t i = 0; i < registration->n_checks; i++) {
		ck_assert_uint_eq(state.checks[i].status, i % 3);
		ck_assert_int_eq(state.checks[i].has_run, i % 2);
	}
	registration->port++;
	record.len = 0;
	stored_put_registration(&record, registration);
	stored_match_state(&state, record.data);
	ck_assert_uint_eq(state.n_checks, 0);
	ck_assert_int_eq(state.admin, ADMIN_UP);
	record_registration_free(registration);
}
END_TEST

/* ---- Damage ---- */

/* What is in `record` is good; every shorter one, longer one, and one with another bit is not. */
static void expect_every_damage_found(enum stored_kind kind, const struct stored_key *at)
{
	ck_assert_int_eq(get(kind, at, record.data, record.len), STORED_OK);
	for (size_t len = 0; len < record.len; len++)
		ck_assert_int_eq(get(kind, at, record.data, len), STORED_DAMAGED);
	for (size_t bit = 0; bit < record.len * 8; bit++) {
		record.data[bit / 8] ^= (char)(1 << bit % 8);
		ck_assert_int_eq(get(kind, at, record.data, record.len), STORED_DAMAGED);
		record.data[bit / 8] ^= (char)(1 << bit % 8);
	}
	buf_put(&record, "", 1);
	ck_assert_int_eq(get(kind, at, record.data, record.len), STORED_DAMAGED);
}

START_TEST(damaged_registrations_are_refused)
{
	for (size_t i = 0; i < N_SAMPLES; i++) {
		struct registration *registration = parse(samples[i]);
		const struct stored_key at = key_of(registration);

		record.len = 0;
		stored_put_registration(&record, registration);
		expect_every_damage_found(STORED_REGISTRATION, &at);
		record_registration_free(registration);
	}
}
END_TEST

START_TEST(damaged_states_and_policies_are_refused)
{
	const struct stored_key at = { "payment", "ttl" };

	stored_put_state(&record, &key, &a_state);
	expect_every_damage_found(STORED_STATE, &key);
	record.len = 0;
	stored_put_policy(&record, &at, 10);
	expect_every_damage_found(STORED_POLICY, &at);
}
END_TEST

START_TEST(a_record_belongs_to_its_key_and_kind)
{
	static const struct stored_key others[] = {
		{ "payment", "pay-2" },
		{ "paymen", "tpay-1" },
		{ "payment", "pay-" },
		{ "payments", "ay-1" },
		{ "", "" },
	};

	stored_put_state(&record, &key, &a_state);
	ck_assert_int_eq(stored_check(STORED_STATE, &key, record.data, record.len), STORED_OK);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		ck_assert_int_eq(stored_check(STORED_STATE, &others[i], record.data, record.len),
				 STORED_DAMAGED);
	ck_assert_int_eq(stored_check(STORED_POLICY, &key, record.data, record.len),
			 STORED_DAMAGED);
	ck_assert_int_eq(get(STORED_REGISTRATION, &key, record.data, record.len), STORED_DAMAGED);
}
END_TEST

/* The one field that older versions do not know: what has none is as they would have written it. */
START_TEST(a_registration_of_a_file_has_a_version_of_its_own)
{
	struct registration *registration = parse(samples[0]), *back = NULL;
	const struct stored_key mine = key_of(registration);

	record.len = 0;
	stored_put_registration(&record, registration);
	ck_assert_int_eq(record.data[0], STORED_FIRST);
	registration->file = strdup("web.json");
	record.len = 0;
	stored_put_registration(&record, registration);
	ck_assert_int_eq(record.data[0], STORED_FILES);
	ck_assert_int_eq(stored_get_registration(&mine, record.data, record.len, &back), STORED_OK);
	ck_assert_str_eq(back->file, "web.json");
	ck_assert(record_registration_equal(registration, back));
	free(back->file);
	back->file = NULL;
	ck_assert(!record_registration_equal(registration, back));
	record.data[0] = STORED_FIRST;
	seal(&mine);
	ck_assert_int_eq(get(STORED_REGISTRATION, &mine, record.data, record.len), STORED_DAMAGED);
	record_registration_free(registration);
	record_registration_free(back);
}
END_TEST

START_TEST(another_version_is_told_from_damage)
{
	stored_put_state(&record, &key, &a_state);
	record.data[0] = STORED_VERSION + 1;
	ck_assert_int_eq(get(STORED_STATE, &key, record.data, record.len), STORED_DAMAGED);
	seal(&key);
	ck_assert_int_eq(get(STORED_STATE, &key, record.data, record.len), STORED_FOREIGN);
	ck_assert_int_eq(stored_check(STORED_STATE, &key, record.data, record.len), STORED_FOREIGN);
	record.data[0] = 0;
	seal(&key);
	ck_assert_int_eq(get(STORED_STATE, &key, record.data, record.len), STORED_FOREIGN);
}
END_TEST

/* Keys that no service and no instance can have. */
START_TEST(a_key_keeps_the_rules)
{
	static const struct stored_key bad[] = {
		{ "", "x" }, { "Payment", "x" }, { "-a", "x" },
		{ "a", "" }, { "a", "\n" },      { "a", "\xff" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		record.len = 0;
		stored_put_state(&record, &bad[i], &a_state);
		ck_assert_int_eq(get(STORED_STATE, &bad[i], record.data, record.len),
				 STORED_DAMAGED);
	}
	record.len = 0;
	stored_put_policy(&record, &key, 1); /* "pay-1" is no field */
	ck_assert_int_eq(get(STORED_POLICY, &key, record.data, record.len), STORED_DAMAGED);
}
END_TEST

/* What HTTP would refuse, under a CRC that fits. */
START_TEST(what_was_never_registered_is_refused)
{
	static const struct address addresses[] = {
		{ .has_v4 = false },
		{ .has_v4 = true, .v4 = { 0, 0, 0, 0 } },
		{ .has_v4 = true, .v4 = { 224, 0, 0, 1 } },
		{ .has_v4 = true, .v4 = { 10, 0, 0, 1 }, .has_v6 = true },
		{ .has_v6 = true, .v6 = { 0xfe, 0x80, [15] = 1 } },
	};
	struct check_spec http = {
		.kind = CHECK_HTTP,
		.initial = STATUS_PASSING,
		.port = 80,
		.rise = 1,
		.fall = 1,
		.interval_ms = 1000,
		.timeout_ms = 1000,
		.path = (char *)(uintptr_t) "/",
	};
	struct check_spec spec = http;
	struct named_port ports[2] = { { (char *)(uintptr_t) "web", 80 },
				       { (char *)(uintptr_t) "api", 81 } };
	char *tags[2] = { (char *)(uintptr_t) "a", (char *)(uintptr_t) "b" };
	struct meta meta[2] = { { (char *)(uintptr_t) "k", (char *)(uintptr_t) "v" },
				{ (char *)(uintptr_t) "l", (char *)(uintptr_t) "" } };
	struct registration good = {
		.service = (char *)(uintptr_t) "payment",
		.id = (char *)(uintptr_t) "pay-1",
		.address = { .has_v4 = true, .v4 = { 10, 0, 0, 1 } },
		.port = 80,
		.n_ports = 2,
		.ports = ports,
		.n_tags = 2,
		.tags = tags,
		.n_meta = 2,
		.meta = meta,
		.n_checks = 1,
		.checks = &spec,
	};
	struct registration bad = good;

#define EXPECT(result)                                                                             \
	do {                                                                                       \
		record.len = 0;                                                                    \
		stored_put_registration(&record, &bad);                                            \
		ck_assert_int_eq(get(STORED_REGISTRATION, &key, record.data, record.len), result); \
	} while (0)
#define EXPECT_BAD(place, value)                      \
	do {                                          \
		__typeof__(place) before = (place);   \
		(place) = (__typeof__(place))(value); \
		EXPECT(STORED_DAMAGED);               \
		(place) = before;                     \
		EXPECT(STORED_OK);                    \
	} while (0)
	EXPECT(STORED_OK);
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		bad.address = addresses[i];
		EXPECT(STORED_DAMAGED);
	}
	bad.address = good.address;
	EXPECT_BAD(bad.port, 0);
	EXPECT_BAD(bad.ttl_s, LIMIT_TTL_S + 1);
	EXPECT_BAD(bad.lease_ms, LIMIT_LEASE_MIN_MS - 1);
	EXPECT_BAD(bad.lease_ms, LIMIT_LEASE_MAX_MS + 1);
	EXPECT_BAD(ports[1].name, (uintptr_t) "web");
	EXPECT_BAD(ports[1].name, (uintptr_t) "Web");
	EXPECT_BAD(ports[1].name, (uintptr_t) "");
	EXPECT_BAD(ports[0].name, (uintptr_t) "a23456789012345678901234567890"
					      "123456789012345678901234567890123");
	EXPECT_BAD(ports[0].port, 0);
	EXPECT_BAD(tags[1], (uintptr_t) "a");
	EXPECT_BAD(tags[1], (uintptr_t) "a,b");
	EXPECT_BAD(tags[1], (uintptr_t) "");
	EXPECT_BAD(tags[1], (uintptr_t) "\xc0\x80");
	EXPECT_BAD(meta[1].key, (uintptr_t) "k");
	EXPECT_BAD(meta[1].key, (uintptr_t) "");
	EXPECT_BAD(meta[1].key, (uintptr_t) "a=b");
	EXPECT_BAD(meta[1].value, (uintptr_t) "\xed\xa0\x80");
	EXPECT_BAD(spec.kind, CHECK_TTL + 1);
	EXPECT_BAD(spec.kind, CHECK_TTL); /* without a ttl */
	EXPECT_BAD(spec.initial, STATUS_CRITICAL + 1);
	EXPECT_BAD(spec.tls_skip_verify, true);
	EXPECT_BAD(spec.port, 0);
	EXPECT_BAD(spec.rise, 0);
	EXPECT_BAD(spec.fall, LIMIT_DAMPING + 1);
	EXPECT_BAD(spec.interval_ms, LIMIT_INTERVAL_MIN_MS - 1);
	EXPECT_BAD(spec.interval_ms, LIMIT_INTERVAL_MAX_MS + 1);
	EXPECT_BAD(spec.timeout_ms, LIMIT_TIMEOUT_MIN_MS - 1);
	EXPECT_BAD(spec.timeout_ms, spec.interval_ms + 1);
	EXPECT_BAD(spec.path, 0);
	EXPECT_BAD(spec.path, (uintptr_t) "relative");
	EXPECT_BAD(spec.path, (uintptr_t) "/a b");
	EXPECT_BAD(spec.method, (uintptr_t) "GET"); /* is written as none */
	EXPECT_BAD(spec.method, (uintptr_t) "CONNECT");
	EXPECT_BAD(spec.method, (uintptr_t) "A B");
	EXPECT_BAD(spec.expected, (uintptr_t) "200-200");
	EXPECT_BAD(spec.expected, (uintptr_t) "99");
	EXPECT_BAD(spec.expected, (uintptr_t) "600");
	EXPECT_BAD(spec.expected, (uintptr_t) "200,");
	EXPECT_BAD(spec.expected, (uintptr_t) "300-200");
	EXPECT_BAD(spec.headers, (uintptr_t) "A: b");
	EXPECT_BAD(spec.headers, (uintptr_t) "A:b\r\n");
	EXPECT_BAD(spec.headers, (uintptr_t) "A: b\r\na: c\r\n");
	EXPECT_BAD(spec.headers, (uintptr_t) "Content-Length: 1\r\n");
	EXPECT_BAD(spec.headers, (uintptr_t) "A: b\nB: c\r\n");
	EXPECT_BAD(spec.headers, (uintptr_t) "A: b \r\n");
	spec.kind = CHECK_HTTPS;
	EXPECT_BAD(spec.server_name, (uintptr_t) "10.0.0.1");
	EXPECT_BAD(spec.server_name, (uintptr_t) "a..b");
#undef EXPECT_BAD
#undef EXPECT
}
END_TEST

/* Counts above the limits; what they count is there. */
START_TEST(counts_keep_the_limits)
{
	struct registration registration = {
		.service = (char *)(uintptr_t) "payment",
		.id = (char *)(uintptr_t) "pay-1",
		.address = { .has_v4 = true, .v4 = { 10, 0, 0, 1 } },
		.port = 80,
	};
	struct check_spec checks[LIMIT_CHECKS + 1];
	char *tags[LIMIT_TAGS + 1], texts[LIMIT_TAGS + 1][8];
	struct stored_state state = a_state;

	for (size_t i = 0; i <= LIMIT_CHECKS; i++)
		checks[i] = (struct check_spec){ .kind = CHECK_TTL, .ttl_ms = 1000 };
	for (size_t i = 0; i <= LIMIT_TAGS; i++) {
		snprintf(texts[i], sizeof(texts[i]), "%zu", i);
		tags[i] = texts[i];
	}
	registration.checks = checks;
	registration.tags = tags;
	for (unsigned over = 0; over <= 3; over++) {
		registration.n_checks = LIMIT_CHECKS + (over & 1);
		registration.n_tags = (uint8_t)(LIMIT_TAGS + over / 2);
		record.len = 0;
		stored_put_registration(&record, &registration);
		ck_assert_int_eq(get(STORED_REGISTRATION, &key, record.data, record.len),
				 over ? STORED_DAMAGED : STORED_OK);
	}
	state.n_checks = LIMIT_CHECKS;
	record.len = 0;
	stored_put_state(&record, &key, &state);
	ck_assert_int_eq(get(STORED_STATE, &key, record.data, record.len), STORED_OK);
	record.data[STORED_HEADER + 14]++; /* n_checks */
	buf_put(&record, "", 1);
	seal(&key);
	ck_assert_int_eq(get(STORED_STATE, &key, record.data, record.len), STORED_DAMAGED);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("stored");
	Suite *suite = suite_create("stored");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, registrations_come_back_as_they_were);
	tcase_add_test(tcase, states_come_back_as_they_were);
	tcase_add_test(tcase, policies_come_back_as_they_were);
	tcase_add_test(tcase, fields_of_a_policy_have_names);
	tcase_add_test(tcase, a_policy_has_the_fields_that_were_set);
	tcase_add_test(tcase, a_state_is_of_one_registration);
	tcase_add_test(tcase, damaged_registrations_are_refused);
	tcase_add_test(tcase, damaged_states_and_policies_are_refused);
	tcase_add_test(tcase, a_record_belongs_to_its_key_and_kind);
	tcase_add_test(tcase, a_registration_of_a_file_has_a_version_of_its_own);
	tcase_add_test(tcase, another_version_is_told_from_damage);
	tcase_add_test(tcase, a_key_keeps_the_rules);
	tcase_add_test(tcase, what_was_never_registered_is_refused);
	tcase_add_test(tcase, counts_keep_the_limits);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
