/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * codec_field: reading a JSON object by a table of its fields; inside of the codec (model/codec.h).
 *
 * A parser takes one value and stores it, or refuses it: the error then says which field it was, by
 * its whole path, and what is allowed there. Everything that can refuse returns false for it.
 */
#ifndef ROSTERD_MODEL_CODEC_FIELD_H
#define ROSTERD_MODEL_CODEC_FIELD_H

#include "model/codec_error.h"
#include "model/record.h"

#include <jansson.h>

/* Where in the body we are. */
struct codec_place {
	struct codec_error *error;
	char prefix[40]; /* before a field's name in errors: "checks[0]." */
};

/* One field of an object. The order of a table is the order of parsing: later fields see earlier.
 */
struct codec_field {
	const char *name;
	bool (*parse)(const struct codec_place *at, const struct codec_field *field, json_t *value,
		      void *out);
	size_t to;           /* offset in `out` of what it fills */
	json_int_t min, max; /* of a number; of a duration in milliseconds */
	bool is_required;
};

#define CODEC_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Fills the error; false. */
bool codec_field_refuse(const struct codec_place *at, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
bool codec_field_refuse_memory(const struct codec_place *at);

/* A text may not begin with a byte order mark. */
bool codec_field_check_start(const struct codec_place *at, const char *text, size_t len);

/* Parses `object`, which is an object, into `out`. */
bool codec_field_walk(const struct codec_place *at, const struct codec_field *fields, size_t n,
		      json_t *object, void *out);

/* Copies a string. */
bool codec_field_put_string(const struct codec_place *at, char **to, const char *text);

/* A duration in milliseconds; false without an error: it is none. */
bool codec_field_read_duration(json_t *value, uint64_t *ms);

/* Parsers: uint16_t, uint32_t of milliseconds, enum status. */
bool codec_field_u16(const struct codec_place *at, const struct codec_field *field, json_t *value,
		     void *out);
bool codec_field_ms(const struct codec_place *at, const struct codec_field *field, json_t *value,
		    void *out);
bool codec_field_status(const struct codec_place *at, const struct codec_field *field,
			json_t *value, void *out);

#endif
