/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cookie: DNS cookies (RFC 7873) with interoperable server cookies (RFC 9018 4): version 1, a
 * timestamp, SipHash-2-4 over client cookie, version, timestamp and client address. Pure.
 */
#ifndef ROSTERD_MODEL_COOKIE_H
#define ROSTERD_MODEL_COOKIE_H

#include "base/siphash.h"

#include <stdbool.h>

enum {
	COOKIE_CLIENT = 8,      /* octets */
	COOKIE_WHOLE = 24,      /* a client cookie and our server cookie */
	COOKIE_OPTION_MIN = 16, /* RFC 7873 4: a whole cookie has 8 + 8..32 octets */
	COOKIE_OPTION_MAX = 40,
};

/* Completes the client cookie at `whole` to COOKIE_WHOLE octets. `wall_s` is Unix time. */
void cookie_make(const struct siphash_key *secret, const uint8_t *address, size_t address_len,
		 uint32_t wall_s, uint8_t whole[COOKIE_WHOLE]);

/*
 * Whether a cookie of `len` octets is one that we made for this address, at most an hour ago and at
 * most five minutes in the future (RFC 9018 4.3).
 */
bool cookie_verify(const struct siphash_key *secret, const uint8_t *address, size_t address_len,
		   uint32_t wall_s, const uint8_t *cookie, size_t len);

#endif
