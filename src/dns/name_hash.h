/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * name_hash: hashes names for tables that strangers' questions are looked up in.
 *
 * NH (Black, Halevi, Krawczyk, Krovetz and Rogaway 1999; RFC 4418 5.2) over 64-bit words with a
 * random key: for whoever does not know the key, two names have the same 128-bit sum with a
 * probability of at most 2^-64; a name of 16 octets costs one multiplication. Folding the sum to 64
 * bits is ours and has no such proof, but costs little of it. That is enough for a table that
 * nobody can read hashes out of; where they can be seen, use base/siphash.h.
 */
#ifndef ROSTERD_DNS_NAME_HASH_H
#define ROSTERD_DNS_NAME_HASH_H

#include "dns/name.h"

enum {
	NAME_HASH_WORDS = 32 /* of 8 octets: a whole name */
};

struct name_hash_key {
	uint64_t words[NAME_HASH_WORDS];
	uint64_t last; /* odd */
};

/* Fills `key` from the kernel's random source. */
void name_hash_key_init(struct name_hash_key *key);

/* Two words and their keys. */
static inline unsigned __int128 name_hash_step(const uint64_t *key, uint64_t a, uint64_t b)
{
	return (unsigned __int128)(key[0] + a) * (key[1] + b);
}

/*
 * The hash of `len` octets, at most NAME_MAX_LEN; all 64 bits are good. Whole words are read: 15
 * octets behind the name must be readable.
 */
static inline uint64_t name_hash(const struct name_hash_key *key, const uint8_t *name, size_t len)
{
	const uint64_t *word = key->words;
	unsigned __int128 sum = 0;
	uint64_t pair[2], folded;
	size_t left = len;

	for (; left > 16; left -= 16, name += 16, word += 2) {
		memcpy(pair, name, sizeof(pair));
		sum += name_hash_step(word, pair[0], pair[1]);
	}
	memcpy(pair, name, sizeof(pair));
	if (left <= 8) {
		pair[0] = left ? name_word_head(pair[0], left) : 0;
		pair[1] = 0;
	} else {
		pair[1] = name_word_head(pair[1], left - 8);
	}
	sum += name_hash_step(word, pair[0], pair[1]);
	folded = ((uint64_t)sum ^ (uint64_t)(sum >> 64)) + len;
	sum = (unsigned __int128)folded * key->last;
	return (uint64_t)sum ^ (uint64_t)(sum >> 64);
}

#endif
