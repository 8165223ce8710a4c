/* SPDX-License-Identifier: BSD-2-Clause */
/* Cookies against the examples of RFC 9018, appendix A. */
#include "model/cookie.h"

#include <check.h>
#include <string.h>

static const uint8_t secret_octets[] = {
	0xe5, 0xe9, 0x73, 0xe5, 0xa6, 0xb2, 0xa4, 0x3f,
	0x48, 0xe7, 0xdc, 0x84, 0x9e, 0x37, 0xbf, 0xcf,
};
static const uint8_t address[] = { 198, 51, 100, 100 };
static struct siphash_key secret;

static uint64_t little_endian(const uint8_t *octets)
{
	uint64_t word = 0;

	for (unsigned i = 8; i-- > 0;)
		word = word << 8 | octets[i];
	return word;
}

static void setup(void)
{
	secret.k0 = little_endian(secret_octets);
	secret.k1 = little_endian(secret_octets + 8);
}

/* A.1: learning a new server cookie. */
static const uint8_t learned[] = {
	0x24, 0x64, 0xc4, 0xab, 0xcf, 0x10, 0xc9, 0x57, 0x01, 0x00, 0x00, 0x00,
	0x5c, 0xf7, 0x9f, 0x11, 0x1f, 0x81, 0x30, 0xc3, 0xee, 0xe2, 0x94, 0x80,
};

START_TEST(makes_the_cookie_of_the_rfc)
{
	uint8_t whole[COOKIE_WHOLE] = { 0 };

	memcpy(whole, learned, COOKIE_CLIENT);
	cookie_make(&secret, address, sizeof(address), 1559731985, whole);
	ck_assert_mem_eq(whole, learned, sizeof(learned));
}
END_TEST

START_TEST(takes_its_own_for_an_hour)
{
	const uint32_t made = 1559731985;

	ck_assert(cookie_verify(&secret, address, 4, made, learned, sizeof(learned)));
	ck_assert(cookie_verify(&secret, address, 4, made + 3600, learned, sizeof(learned)));
	ck_assert(!cookie_verify(&secret, address, 4, made + 3601, learned, sizeof(learned)));
	ck_assert(cookie_verify(&secret, address, 4, made - 300, learned, sizeof(learned)));
	ck_assert(!cookie_verify(&secret, address, 4, made - 301, learned, sizeof(learned)));
}
END_TEST

START_TEST(takes_no_other)
{
	static const uint8_t elsewhere[] = { 198, 51, 100, 101 };
	uint8_t changed[sizeof(learned)];

	ck_assert(!cookie_verify(&secret, elsewhere, 4, 1559731985, learned, sizeof(learned)));
	ck_assert(!cookie_verify(&secret, address, 4, 1559731985, learned, COOKIE_CLIENT));
	for (size_t i = 0; i < sizeof(learned); i++) {
		memcpy(changed, learned, sizeof(learned));
		changed[i] ^= 1;
		ck_assert_msg(
			!cookie_verify(&secret, address, 4, 1559731985, changed, sizeof(changed)),
			"octet %zu does not matter", i);
	}
}
END_TEST

START_TEST(serial_time_passes_2106)
{
	uint8_t whole[COOKIE_WHOLE] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	cookie_make(&secret, address, sizeof(address), UINT32_MAX - 10, whole);
	ck_assert(cookie_verify(&secret, address, sizeof(address), 20, whole, sizeof(whole)));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cookie");
	TCase *tcase = tcase_create("cookie");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, makes_the_cookie_of_the_rfc);
	tcase_add_test(tcase, takes_its_own_for_an_hour);
	tcase_add_test(tcase, takes_no_other);
	tcase_add_test(tcase, serial_time_passes_2106);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
