/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_key: a key as the engine orders it: an octet with the kind, the service, NUL, the id. So
 * registrations come first, then states, then policies, each in the order of (service, id).
 */
#ifndef ROSTERD_IO_STORE_KEY_H
#define ROSTERD_IO_STORE_KEY_H

#include "model/stored.h"

enum {
	STORE_KEY = 1 + STORED_KEY, /* the longest one, octets */
};

/* Its length; 0: a service or an id that is empty or too long. */
size_t store_key_print(uint8_t octets[STORE_KEY], enum stored_kind kind,
		       const struct stored_key *key);

/* A key with what its strings point to. */
struct store_key {
	enum stored_kind kind;
	struct stored_key key;
	char text[STORED_KEY + 1];
};

/* false: this is none that store_key_print() makes. */
bool store_key_parse(struct store_key *key, const void *octets, size_t len);

#endif
