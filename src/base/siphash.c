/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/siphash.h"

#include "base/random.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>

struct state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void sip_round(struct state *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 = rotate(s->v2, 32);
}

static inline void compress(struct state *s, uint64_t word, bool twice)
{
	s->v3 ^= word;
	sip_round(s);
	if (twice)
		sip_round(s);
	s->v0 ^= word;
}

static inline uint64_t load64(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return le64toh(word);
}

static inline uint64_t load32(const uint8_t *p)
{
	uint32_t word;

	memcpy(&word, p, sizeof(word));
	return le32toh(word);
}

/*
 * The last len % 8 octets as the low octets of a word, without a loop: loads overlap what was read
 * before, and the shift drops (or the OR repeats) what they share.
 */
static inline uint64_t load_tail(const uint8_t *data, size_t len)
{
	size_t n = len % 8;

	if (n == 0)
		return 0;
	if (len > 8)
		return load64(data + len - 8) >> (64 - 8 * n);
	if (n >= 4)
		return load32(data) | load32(data + n - 4) << (8 * (n - 4));
	return data[0] | (uint64_t)data[n / 2] << (8 * (n / 2)) |
	       (uint64_t)data[n - 1] << (8 * (n - 1));
}

void siphash_key_init(struct siphash_key *key)
{
	random_octets(key, sizeof(*key));
}

/* SipHash-2-4 if `slow`, else -1-3; a constant wherever it is inlined. */
static inline __attribute__((always_inline)) uint64_t hash(const struct siphash_key *key,
							   const uint8_t *octets, size_t len,
							   bool slow)
{
	struct state s = {
		key->k0 ^ 0x736f6d6570736575,
		key->k1 ^ 0x646f72616e646f6d,
		key->k0 ^ 0x6c7967656e657261,
		key->k1 ^ 0x7465646279746573,
	};

	for (size_t at = 0; at + 8 <= len; at += 8)
		compress(&s, load64(octets + at), slow);
	compress(&s, (uint64_t)len << 56 | load_tail(octets, len), slow);
	s.v2 ^= 0xff;
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	if (slow)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t siphash(const struct siphash_key *key, const void *data, size_t len)
{
	return hash(key, data, len, false);
}

uint64_t siphash_2_4(const struct siphash_key *key, const void *data, size_t len)
{
	return hash(key, data, len, true);
}
