/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * siphash: SipHash-1-3 with a 64-bit result (Aumasson and Bernstein, 2012). Names come from
 * strangers, so every hash table that holds them is keyed.
 */
#ifndef ROSTERD_BASE_SIPHASH_H
#define ROSTERD_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t k0, k1;
};

/* Fills `key` from the kernel's random source. */
void siphash_key_init(struct siphash_key *key);

uint64_t siphash(const struct siphash_key *key, const void *data, size_t len);

/* SipHash-2-4, which RFC 9018 asks for. */
uint64_t siphash_2_4(const struct siphash_key *key, const void *data, size_t len);

#endif
