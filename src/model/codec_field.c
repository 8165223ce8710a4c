/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/codec_field.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool codec_field_refuse(const struct codec_place *at, const char *field, const char *format, ...)
{
	va_list args;

	snprintf(at->error->field, sizeof(at->error->field), "%s%s", at->prefix, field);
	va_start(args, format);
	vsnprintf(at->error->message, sizeof(at->error->message), format, args);
	va_end(args);
	return false;
}

bool codec_field_refuse_memory(const struct codec_place *at)
{
	at->error->no_memory = true;
	return codec_field_refuse(at, "", "out of memory");
}

bool codec_field_check_start(const struct codec_place *at, const char *text, size_t len)
{
	static const char mark[] = "\xef\xbb\xbf";
	const size_t mark_len = sizeof(mark) - 1;

	return len < mark_len || memcmp(text, mark, mark_len) != 0 ||
	       codec_field_refuse(at, "",
				  "begins with a byte order mark (U+FEFF), which JSON must not: "
				  "save it as UTF-8 without one");
}

/* ---- Walking an object ---- */

static const struct codec_field *find_field(const struct codec_field *fields, size_t n,
					    const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

bool codec_field_walk(const struct codec_place *at, const struct codec_field *fields, size_t n,
		      json_t *object, void *out)
{
	json_t *value;

	for (void *i = json_object_iter(object); i; i = json_object_iter_next(object, i))
		if (!find_field(fields, n, json_object_iter_key(i)))
			return codec_field_refuse(at, json_object_iter_key(i), "unknown field");
	for (size_t i = 0; i < n; i++) {
		value = json_object_get(object, fields[i].name);
		if (!value && fields[i].is_required)
			return codec_field_refuse(at, fields[i].name, "is required");
		if (value && !fields[i].parse(at, &fields[i], value, out))
			return false;
	}
	return true;
}

/* ---- Values ---- */

bool codec_field_put_string(const struct codec_place *at, char **to, const char *text)
{
	*to = strdup(text);
	return *to ? true : codec_field_refuse_memory(at);
}

bool codec_field_u16(const struct codec_place *at, const struct codec_field *field, json_t *value,
		     void *out)
{
	json_int_t n = json_integer_value(value);
	uint16_t narrow = (uint16_t)n;

	if (!json_is_integer(value) || n < field->min || n > field->max)
		return codec_field_refuse(at, field->name, "must be an integer from %lld to %lld",
					  (long long)field->min, (long long)field->max);
	memcpy((char *)out + field->to, &narrow, sizeof(narrow));
	return true;
}

/* Milliseconds of a duration; false: none, or beyond all limits. */
bool codec_field_read_duration(json_t *value, uint64_t *ms)
{
	const double max_s = 1e9;
	double s;

	if (json_is_string(value))
		return record_duration_parse(json_string_value(value), ms);
	if (!json_is_number(value))
		return false;
	s = json_number_value(value);
	if (!(s >= 0 && s <= max_s))
		return false;
	*ms = (uint64_t)llround(s * 1000);
	return true;
}

bool codec_field_ms(const struct codec_place *at, const struct codec_field *field, json_t *value,
		    void *out)
{
	uint64_t ms;
	uint32_t narrow;

	if (!codec_field_read_duration(value, &ms) || ms < (uint64_t)field->min ||
	    ms > (uint64_t)field->max)
		return codec_field_refuse(
			at, field->name,
			"must be a duration (\"10s\", \"250ms\") or a number of seconds, "
			"from %gs to %gs",
			(double)field->min / 1000, (double)field->max / 1000);
	narrow = (uint32_t)ms;
	memcpy((char *)out + field->to, &narrow, sizeof(narrow));
	return true;
}

bool codec_field_status(const struct codec_place *at, const struct codec_field *field,
			json_t *value, void *out)
{
	const char *text = json_string_value(value);
	enum status status;

	if (!text || !health_status_parse(text, &status))
		return codec_field_refuse(at, field->name,
					  "must be \"passing\", \"warning\" or \"critical\"");
	memcpy((char *)out + field->to, &status, sizeof(status));
	return true;
}
