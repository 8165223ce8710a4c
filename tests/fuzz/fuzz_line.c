/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any octets as a line of JSON: refused with a reason, or records that are whole and print as a
 * line that says the same.
 */
#include "model/codec_line.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_records(const struct codec_line_parsed *parsed)
{
	const struct stored_key *key = &parsed->key;
	struct registration *registration;
	struct stored_state state;
	uint32_t value;

	assert(key->service == parsed->key_text);
	if (parsed->kind == STORED_POLICY) {
		assert(stored_get_policy(key, parsed->record.data, parsed->record.len, &value) ==
		       STORED_OK);
		return;
	}
	if (stored_get_registration(key, parsed->record.data, parsed->record.len, &registration) !=
	    STORED_OK)
		abort();
	record_registration_free(registration);
	assert(!parsed->state.len ||
	       stored_get_state(key, parsed->state.data, parsed->state.len, &state) == STORED_OK);
}

static bool same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && (!a->len || memcmp(a->data, b->data, a->len) == 0);
}

static void check_line(const struct codec_line_parsed *parsed)
{
	const struct codec_line line = {
		.kind = parsed->kind,
		.key = parsed->key,
		.record = parsed->record.data,
		.len = parsed->record.len,
		.state = parsed->state.len ? parsed->state.data : NULL,
		.state_len = parsed->state.len,
	};
	struct codec_line_parsed again;
	struct codec_error error;
	struct buf text;

	buf_init(&text);
	if (codec_line_print(&line, &text) != STORED_OK ||
	    !codec_line_parse(text.data, text.len, &again, &error))
		abort();
	assert(same(&parsed->record, &again.record) && same(&parsed->state, &again.state));
	codec_line_fini(&again);
	buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct codec_line_parsed parsed;
	struct codec_error error;

	if (!codec_line_parse((const char *)data, size, &parsed, &error)) {
		assert(*error.message && !error.no_memory);
		assert(strlen(error.field) < sizeof(error.field));
		return 0;
	}
	check_records(&parsed);
	check_line(&parsed);
	codec_line_fini(&parsed);
	return 0;
}
