/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/store_key.h"

#include <string.h>

size_t store_key_print(uint8_t octets[STORE_KEY], enum stored_kind kind,
		       const struct stored_key *key)
{
	size_t service_len = strlen(key->service), id_len = strlen(key->id);

	if (service_len == 0 || service_len > LIMIT_LABEL || id_len == 0 || id_len > LIMIT_ID)
		return 0;
	octets[0] = (uint8_t)kind;
	memcpy(octets + 1, key->service, service_len + 1);
	memcpy(octets + 1 + service_len + 1, key->id, id_len);
	return 1 + service_len + 1 + id_len;
}

bool store_key_parse(struct store_key *key, const void *octets, size_t len)
{
	const uint8_t *data = octets;
	size_t service_len;

	if (len < 2 || len > STORE_KEY || data[0] < STORED_REGISTRATION || data[0] > STORED_POLICY)
		return false;
	key->kind = (enum stored_kind)data[0];
	memcpy(key->text, data + 1, len - 1);
	key->text[len - 1] = '\0';
	service_len = strlen(key->text);
	key->key.service = key->text;
	if (service_len == 0 || service_len > LIMIT_LABEL || service_len + 2 >= len)
		return false;
	key->key.id = key->text + service_len + 1;
	return strlen(key->key.id) == len - 2 - service_len;
}
