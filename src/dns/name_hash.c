/* SPDX-License-Identifier: BSD-2-Clause */
#include "dns/name_hash.h"

#include "base/random.h"

void name_hash_key_init(struct name_hash_key *key)
{
	random_octets(key, sizeof(*key));
	key->last |= 1;
}
