/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * random: a fast generator for draws and jitter (xoshiro256++, Blackman and Vigna, 2019). One
 * struct per thread. Not for secrets; random_octets() is.
 */
#ifndef ROSTERD_BASE_RANDOM_H
#define ROSTERD_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random {
	uint64_t s[4];
};

/* Fills `len` octets from the kernel's random source. Any thread. */
void random_octets(void *data, size_t len);

/* Seeds from the kernel's random source. */
void random_init(struct random *random);

/* Seeds from a number, for tests that must repeat. */
void random_init_seed(struct random *random, uint64_t seed);

/* 64 uniform bits. */
static inline uint64_t random_bits(struct random *random)
{
	uint64_t *s = random->s;
	uint64_t sum = s[0] + s[3], t = s[1] << 17;
	uint64_t result = (sum << 23 | sum >> 41) + s[0];

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = s[3] << 45 | s[3] >> 19;
	return result;
}

/* Uniform in [0, bound); bound > 0. The bias is below bound / 2^32. */
static inline uint32_t random_below(struct random *random, uint32_t bound)
{
	return (uint32_t)(((random_bits(random) >> 32) * bound) >> 32);
}

#endif
