/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/cookie.h"

#include "dns/wire.h"

#include <string.h>

enum {
	VERSION_AT = COOKIE_CLIENT,
	TIME_AT = COOKIE_CLIENT + 4,
	HASH_AT = COOKIE_CLIENT + 8,
	AGE_MAX_S = 3600,
	AHEAD_MAX_S = 300,
};

/* The hash of a cookie's first 16 octets and the address; RFC 9018 4.4 has it little-endian. */
static uint64_t hash_cookie(const struct siphash_key *secret, const uint8_t *address,
			    size_t address_len, const uint8_t *whole)
{
	uint8_t input[HASH_AT + 16];

	memcpy(input, whole, HASH_AT);
	memcpy(input + HASH_AT, address, address_len);
	return siphash_2_4(secret, input, HASH_AT + address_len);
}

static void put_hash(uint8_t *at, uint64_t hash)
{
	for (unsigned i = 0; i < 8; i++)
		at[i] = (uint8_t)(hash >> (8 * i));
}

void cookie_make(const struct siphash_key *secret, const uint8_t *address, size_t address_len,
		 uint32_t wall_s, uint8_t whole[COOKIE_WHOLE])
{
	wire_set32(whole + VERSION_AT, 0x01000000);
	wire_set32(whole + TIME_AT, wall_s);
	put_hash(whole + HASH_AT, hash_cookie(secret, address, address_len, whole));
}

bool cookie_verify(const struct siphash_key *secret, const uint8_t *address, size_t address_len,
		   uint32_t wall_s, const uint8_t *cookie, size_t len)
{
	uint8_t hash[8], difference = 0;
	int32_t age_s;

	if (len != COOKIE_WHOLE || cookie[VERSION_AT] != 1)
		return false;
	/* Serial number arithmetic (RFC 1982), so that 2038 and 2106 pass unnoticed. */
	age_s = (int32_t)(wall_s - wire_get32(cookie + TIME_AT));
	if (age_s > AGE_MAX_S || age_s < -AHEAD_MAX_S)
		return false;
	put_hash(hash, hash_cookie(secret, address, address_len, cookie));
	for (unsigned i = 0; i < sizeof(hash); i++)
		difference |= hash[i] ^ cookie[HASH_AT + i];
	return difference == 0;
}
