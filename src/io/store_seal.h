/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_seal: what a whole set of records adds up to. It is kept while records come and go, and is
 * written with each commit: a set that lacks a record, has one too many, or an older one, adds up
 * to something else.
 */
#ifndef ROSTERD_IO_STORE_SEAL_H
#define ROSTERD_IO_STORE_SEAL_H

#include "model/stored.h"

enum {
	STORE_SEAL_VERSION = 1,
	STORE_SEAL = 64, /* octets of a printed one of this version */
};

struct store_seal {
	uint64_t generation;
	uint64_t n[STORED_POLICY]; /* records by kind - 1 */
	uint64_t sum;              /* of the hashes of all (key, record), modulo 2^64 */
};

/* `key` as store_key_print() makes it. */
void store_seal_put(struct store_seal *seal, const void *key, size_t key_len, const void *record,
		    size_t len);
void store_seal_remove(struct store_seal *seal, const void *key, size_t key_len, const void *record,
		       size_t len);

/* Whether both stand for the same records, whatever their generation. */
bool store_seal_match(const struct store_seal *a, const struct store_seal *b);

/* `mark` is the engine's own word for the snapshot that it belongs to (store_engine.h). */
void store_seal_print(const struct store_seal *seal, uint64_t mark, uint8_t octets[STORE_SEAL]);

/*
 * STORED_FOREIGN: whole, and of a version that is not ours, which is then in `version`. `seal` and
 * `mark` are set for STORED_OK alone.
 */
enum stored_result store_seal_parse(const void *octets, size_t len, struct store_seal *seal,
				    uint64_t *mark, uint32_t *version);

/* A 64-bit hash of any octets that is the same everywhere and always. */
uint64_t store_seal_hash(const void *octets, size_t len);

#endif
