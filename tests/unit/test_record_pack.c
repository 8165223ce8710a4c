/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/record_pack.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static char service[] = "payment";

/* What has every list, and texts of every length. */
static struct registration *make_full(void)
{
	struct registration *const registration = record_registration_new();

	ck_assert_ptr_nonnull(registration);
	*registration = (struct registration){
		.service = strdup("payment"),
		.id = strdup("An id"),
		.address = { .has_v4 = true, .v4 = { 10, 0, 0, 1 } },
		.protocol = PROTOCOL_UDP,
		.port = 8080,
		.priority = 1,
		.weight = 2,
		.ttl_s = 3,
		.lease_ms = 4000,
		.n_ports = 2,
		.n_tags = 3,
		.n_meta = 1,
		.n_checks = 2,
		.ports = calloc(2, sizeof(struct named_port)),
		.tags = calloc(3, sizeof(char *)),
		.meta = calloc(1, sizeof(struct meta)),
		.checks = calloc(2, sizeof(struct check_spec)),
	};
	ck_assert(record_put_label(registration));
	registration->ports[0] = (struct named_port){ strdup("http"), 80 };
	registration->ports[1] = (struct named_port){ strdup("metrics"), 9100 };
	registration->tags[0] = strdup("a");
	registration->tags[1] = strdup("bb");
	registration->tags[2] = strdup("ccc");
	registration->meta[0] = (struct meta){ strdup("key"), strdup("") };
	registration->checks[0] = (struct check_spec){
		.kind = CHECK_HTTPS,
		.port = 443,
		.path = strdup("/health"),
		.method = strdup("HEAD"),
		.expected = strdup("200-299,404"),
		.headers = strdup("Host: a\r\n"),
		.server_name = strdup("payment.example"),
	};
	registration->checks[1] = (struct check_spec){ .kind = CHECK_TTL, .ttl_ms = 5000 };
	return registration;
}

/* Nothing of the copy stands in the original. */
START_TEST(a_copy_says_the_same_and_stands_alone)
{
	struct registration *const registration = make_full();
	struct registration *const expected = make_full();
	struct registration *const packed = record_pack(registration, service);

	ck_assert_ptr_nonnull(packed);
	record_registration_free(registration);
	ck_assert(record_registration_equal(packed, expected));
	ck_assert_ptr_eq(packed->service, service);
	ck_assert_str_eq(record_label(packed), record_label(expected));
	ck_assert_ptr_eq(record_label(packed), packed->id + sizeof("An id"));
	ck_assert_str_eq(packed->checks[0].server_name, "payment.example");
	ck_assert_ptr_null(packed->checks[1].path);
	free(packed);
	record_registration_free(expected);
}
END_TEST

START_TEST(a_copy_of_a_copy_is_the_same)
{
	struct registration *const registration = make_full();
	struct registration *const packed = record_pack(registration, service);
	struct registration *const again = record_pack(packed, service);

	free(packed);
	ck_assert(record_registration_equal(again, registration));
	free(again);
	record_registration_free(registration);
}
END_TEST

START_TEST(an_id_that_is_its_own_label_stays_one_text)
{
	struct registration *const registration = record_registration_new();

	registration->service = strdup("payment");
	registration->id = strdup("10-0-0-1-8080");
	struct registration *const packed = record_pack(registration, service);
	ck_assert_str_eq(packed->id, "10-0-0-1-8080");
	ck_assert_ptr_eq(record_label(packed), packed->id);
	ck_assert_ptr_ne(packed->id, registration->id);
	ck_assert_ptr_null(packed->ports);
	ck_assert_ptr_null(packed->checks);
	free(packed);
	record_registration_free(registration);
}
END_TEST

int main(void)
{
	Suite *const suite = suite_create("record_pack");
	TCase *const tcase = tcase_create("record_pack");

	tcase_add_test(tcase, a_copy_says_the_same_and_stands_alone);
	tcase_add_test(tcase, a_copy_of_a_copy_is_the_same);
	tcase_add_test(tcase, an_id_that_is_its_own_label_stays_one_text);
	suite_add_tcase(suite, tcase);

	SRunner *const runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	const int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
