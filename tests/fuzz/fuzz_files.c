/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any octets as a file of services: definitions within all limits, each with a place in the text,
 * until the end or an error that has a place too. What is good, without its last octet, is not,
 * unless that octet is a blank.
 */
#include "model/codec_file.h"

#include "model/stored.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_place(const struct codec_file_place *place, const char *text, size_t len)
{
	size_t n_lines = 1;

	for (size_t i = 0; i < len; i++)
		n_lines += text[i] == '\n';
	assert(place->line >= 1 && place->line <= n_lines);
	assert(place->column >= 1 && place->column <= len + 1);
}

/* What a file says can be kept on disk, and is the same when it comes back. */
static void check_registration(const struct registration *registration)
{
	const struct stored_key key = { registration->service, registration->id };
	struct registration *back;
	struct buf record;

	assert(!registration->lease_ms && !registration->file);
	buf_init(&record);
	stored_put_registration(&record, registration);
	if (stored_get_registration(&key, record.data, record.len, &back) != STORED_OK)
		abort();
	assert(record_registration_equal(registration, back));
	record_registration_free(back);
	buf_fini(&record);
}

static bool is_good(const char *text, size_t len)
{
	enum codec_file_step step = CODEC_FILE_FOUND;
	struct registration *registration;
	struct codec_file_place place;
	struct codec_error error;
	struct codec_file file;

	codec_file_init(&file, text, len);
	while (step == CODEC_FILE_FOUND) {
		step = codec_file_next(&file, &registration, &place, &error);
		check_place(&place, text, len);
		if (step == CODEC_FILE_FOUND) {
			check_registration(registration);
			record_registration_free(registration);
		}
	}
	assert(step == CODEC_FILE_END || (*error.message && !error.no_memory));
	return step == CODEC_FILE_END;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size ? size : 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	if (is_good(text, size) && !strchr(" \t\r\n", text[size - 1]))
		assert(!is_good(text, size - 1));
	free(text);
	return 0;
}
