/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any octets as a record. The input is the kind (1, 2, 3), the key as two NUL-terminated texts, and
 * what is behind the header; the header is made for it, so that damage gets as far as the payload:
 * a registration's flags say of which version it is. What decodes is what would have been written:
 * it encodes to the same octets, and as a line it comes back as the same octets.
 */
#include "model/codec_line.h"

#include "base/crc32c.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	FLAG_FILE = 8, /* in a registration's first octet */
};

static void check_same(struct buf *again, const uint8_t *record, size_t len)
{
	assert(!again->failed && again->len == len && memcmp(again->data, record, len) == 0);
	buf_fini(again);
}

/* As a line and back. */
static void check_line(const struct codec_line *line)
{
	struct codec_line_parsed parsed;
	struct codec_error error;
	struct buf text;

	buf_init(&text);
	if (codec_line_print(line, &text) != STORED_OK ||
	    !codec_line_parse(text.data, text.len, &parsed, &error))
		abort();
	assert(!memchr(text.data, '\n', text.len));
	assert(parsed.kind == line->kind && parsed.record.len == line->len);
	assert(memcmp(parsed.record.data, line->record, line->len) == 0);
	assert(strcmp(parsed.key.service, line->key.service) == 0);
	assert(strcmp(parsed.key.id, line->key.id) == 0);
	assert(parsed.state.len == line->state_len);
	assert(!line->state_len || memcmp(parsed.state.data, line->state, line->state_len) == 0);
	codec_line_fini(&parsed);
	buf_fini(&text);
}

static void try_registration(const struct stored_key *key, const uint8_t *record, size_t len)
{
	const struct codec_line line = { STORED_REGISTRATION, *key, record, len, NULL, 0 };
	struct registration *registration;
	struct buf again;

	if (stored_get_registration(key, record, len, &registration) != STORED_OK)
		return;
	buf_init(&again);
	stored_put_registration(&again, registration);
	record_registration_free(registration);
	check_same(&again, record, len);
	check_line(&line);
}

/* With a registration in front, which a line needs. */
static void try_state(const struct stored_key *key, const uint8_t *record, size_t len)
{
	struct registration registration = {
		.service = (char *)(uintptr_t)key->service,
		.id = (char *)(uintptr_t)key->id,
		.address = { .has_v4 = true, .v4 = { 10, 0, 0, 1 } },
		.port = 80,
	};
	struct stored_state state;
	struct buf again;

	if (stored_get_state(key, record, len, &state) != STORED_OK)
		return;
	buf_init(&again);
	stored_put_state(&again, key, &state);
	check_same(&again, record, len);
	buf_init(&again);
	stored_put_registration(&again, &registration);
	check_line(&(struct codec_line){ STORED_REGISTRATION, *key, again.data, again.len, record,
					 len });
	buf_fini(&again);
}

static void try_policy(const struct stored_key *key, const uint8_t *record, size_t len)
{
	const struct codec_line line = { STORED_POLICY, *key, record, len, NULL, 0 };
	struct buf again;
	uint32_t value;

	if (stored_get_policy(key, record, len, &value) != STORED_OK)
		return;
	buf_init(&again);
	stored_put_policy(&again, key, value);
	check_same(&again, record, len);
	check_line(&line);
}

/* The header that this kind, key and payload should have. */
static void put_header(uint8_t *record, size_t len, enum stored_kind kind,
		       const struct stored_key *key)
{
	uint32_t crc;
	bool has_file = kind == STORED_REGISTRATION && len > STORED_HEADER &&
			record[STORED_HEADER] & FLAG_FILE;

	memset(record, 0, STORED_HEADER);
	record[0] = has_file ? STORED_FILES : STORED_FIRST;
	record[1] = (uint8_t)kind;
	crc = crc32c(0, record, 2);
	crc = crc32c(crc, key->service, strlen(key->service) + 1);
	crc = crc32c(crc, key->id, strlen(key->id) + 1);
	crc = crc32c(crc, record + STORED_HEADER, len - STORED_HEADER);
	for (int i = 0; i < 4; i++)
		record[4 + i] = (uint8_t)(crc >> 8 * i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1, *end;
	struct stored_key key = { .service = text };
	const uint8_t *payload;
	uint8_t *record;
	size_t len;

	if (size < 1 || data[0] < STORED_REGISTRATION || data[0] > STORED_POLICY)
		return 0;
	size--;
	end = memchr(text, '\0', size);
	if (!end)
		return 0;
	key.id = end + 1;
	end = memchr(key.id, '\0', size - (size_t)(key.id - text));
	if (!end)
		return 0;
	payload = (const uint8_t *)end + 1;
	len = STORED_HEADER + size - (size_t)((const char *)payload - text);
	record = malloc(len);
	if (!record)
		return 0;
	memcpy(record + STORED_HEADER, payload, len - STORED_HEADER);
	put_header(record, len, data[0], &key);
	assert(stored_check(data[0], &key, record, len) == STORED_OK);
	if (data[0] == STORED_REGISTRATION)
		try_registration(&key, record, len);
	else if (data[0] == STORED_STATE)
		try_state(&key, record, len);
	else
		try_policy(&key, record, len);
	free(record);
	return 0;
}
