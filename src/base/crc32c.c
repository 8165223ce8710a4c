/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/crc32c.h"

enum {
	SLICES = 8, /* octets at a time */
};

/* slices[i][octet]: what this octet does to the CRC when `i` zero octets follow it. */
static uint32_t slices[SLICES][256];

/* Before main(): no thread has to look whether it is done. */
static void __attribute__((constructor)) fill_slices(void)
{
	const uint32_t polynomial = 0x82f63b78; /* its bits from low to high, x^32 left out */

	for (uint32_t octet = 0; octet < 256; octet++) {
		uint32_t crc = octet;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
		slices[0][octet] = crc;
	}
	for (int i = 1; i < SLICES; i++)
		for (int octet = 0; octet < 256; octet++) {
			uint32_t crc = slices[i - 1][octet];

			slices[i][octet] = crc >> 8 ^ slices[0][crc & 0xff];
		}
}

static uint32_t load(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *at = data;

	crc = ~crc;
	for (; len >= SLICES; len -= SLICES, at += SLICES) {
		uint32_t low = load(at) ^ crc, high = load(at + 4);

		crc = slices[7][low & 0xff] ^ slices[6][low >> 8 & 0xff] ^
		      slices[5][low >> 16 & 0xff] ^ slices[4][low >> 24] ^ slices[3][high & 0xff] ^
		      slices[2][high >> 8 & 0xff] ^ slices[1][high >> 16 & 0xff] ^
		      slices[0][high >> 24];
	}
	for (; len > 0; len--, at++)
		crc = crc >> 8 ^ slices[0][(crc ^ *at) & 0xff];
	return ~crc;
}
