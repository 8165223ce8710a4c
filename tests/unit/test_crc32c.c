/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/crc32c.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* RFC 3720 B.4; its octets are the CRC from low to high. */
START_TEST(the_vectors_of_rfc_3720)
{
	static const uint8_t read_command[48] = {
		0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00,
		0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18, 0x28, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	};
	uint8_t octets[32];

	memset(octets, 0, sizeof(octets));
	ck_assert_uint_eq(crc32c(0, octets, sizeof(octets)), 0x8a9136aa);
	memset(octets, 0xff, sizeof(octets));
	ck_assert_uint_eq(crc32c(0, octets, sizeof(octets)), 0x62a8ab43);
	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (uint8_t)i;
	ck_assert_uint_eq(crc32c(0, octets, sizeof(octets)), 0x46dd794e);
	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (uint8_t)(31 - i);
	ck_assert_uint_eq(crc32c(0, octets, sizeof(octets)), 0x113fdb5c);
	ck_assert_uint_eq(crc32c(0, read_command, sizeof(read_command)), 0xd9963a56);
}
END_TEST

START_TEST(pieces_are_the_same_as_the_whole)
{
	static const char text[] = "The quick brown fox jumps over the lazy dog";
	const size_t len = sizeof(text) - 1;
	const uint32_t whole = crc32c(0, text, len);

	ck_assert_uint_eq(whole, 0x22620404);
	ck_assert_uint_eq(crc32c(0, text, 0), 0);
	for (size_t i = 0; i <= len; i++)
		ck_assert_uint_eq(crc32c(crc32c(0, text, i), text + i, len - i), whole);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("crc32c");
	Suite *suite = suite_create("crc32c");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, the_vectors_of_rfc_3720);
	tcase_add_test(tcase, pieces_are_the_same_as_the_whole);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
