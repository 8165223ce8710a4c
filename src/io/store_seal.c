/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/store_seal.h"

#include "base/siphash.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

/*
 * Printed: magic, version, then the numbers of this version; the last 8 octets of any version are
 * the hash of those before. So a version is believed only where the seal is whole.
 */
enum {
	SEAL_MAGIC = 0x4c414553, /* "SEAL" */
	SEAL_LEN_MIN = 16,
};

/* Against accidents, not against enemies: who can write the file can write anything. */
static const struct siphash_key hash_key = { 0x726f737465726400, 0x7365616c00000000 };

uint64_t store_seal_hash(const void *octets, size_t len)
{
	return siphash(&hash_key, octets, len);
}

static uint64_t hash_record(const void *key, size_t key_len, const void *record, size_t len)
{
	struct siphash_key own = { store_seal_hash(key, key_len), hash_key.k1 };

	return siphash(&own, record, len);
}

static uint64_t *count_of(struct store_seal *seal, const void *key)
{
	uint8_t kind = *(const uint8_t *)key;

	assert(kind >= STORED_REGISTRATION && kind <= STORED_POLICY);
	return &seal->n[kind - 1];
}

void store_seal_put(struct store_seal *seal, const void *key, size_t key_len, const void *record,
		    size_t len)
{
	++*count_of(seal, key);
	seal->sum += hash_record(key, key_len, record, len);
}

void store_seal_remove(struct store_seal *seal, const void *key, size_t key_len, const void *record,
		       size_t len)
{
	--*count_of(seal, key);
	seal->sum -= hash_record(key, key_len, record, len);
}

bool store_seal_match(const struct store_seal *a, const struct store_seal *b)
{
	return a->sum == b->sum && memcmp(a->n, b->n, sizeof(a->n)) == 0;
}

static uint8_t *put64(uint8_t *at, uint64_t value)
{
	value = htole64(value);
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

static const uint8_t *get64(const uint8_t *at, uint64_t *value)
{
	memcpy(value, at, sizeof(*value));
	*value = le64toh(*value);
	return at + sizeof(*value);
}

void store_seal_print(const struct store_seal *seal, uint64_t mark, uint8_t octets[STORE_SEAL])
{
	uint8_t *at = put64(octets, SEAL_MAGIC | (uint64_t)STORE_SEAL_VERSION << 32);

	at = put64(at, mark);
	at = put64(at, seal->generation);
	for (size_t i = 0; i < STORED_POLICY; i++)
		at = put64(at, seal->n[i]);
	at = put64(at, seal->sum);
	at = put64(at, store_seal_hash(octets, (size_t)(at - octets)));
	assert(at == octets + STORE_SEAL);
}

enum stored_result store_seal_parse(const void *octets, size_t len, struct store_seal *seal,
				    uint64_t *mark, uint32_t *version)
{
	const uint8_t *at = octets;
	uint64_t head, hash;

	if (len < SEAL_LEN_MIN)
		return STORED_DAMAGED;
	get64(at + len - sizeof(hash), &hash);
	at = get64(at, &head);
	if (hash != store_seal_hash(octets, len - sizeof(hash)) || (uint32_t)head != SEAL_MAGIC)
		return STORED_DAMAGED;
	*version = (uint32_t)(head >> 32);
	if (*version != STORE_SEAL_VERSION)
		return STORED_FOREIGN;
	if (len != STORE_SEAL)
		return STORED_DAMAGED;
	at = get64(at, mark);
	at = get64(at, &seal->generation);
	for (size_t i = 0; i < STORED_POLICY; i++)
		at = get64(at, &seal->n[i]);
	get64(at, &seal->sum);
	return STORED_OK;
}
