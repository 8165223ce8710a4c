/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/codec_file.h"

#include "model/codec.h"
#include "model/codec_consul.h"
#include "model/codec_field.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- Moving through text; nothing reads at or beyond `end` ---- */

static const char *skip_blanks(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
		at++;
	return at;
}

/* Behind the string that begins here; `end`: it does not end. */
static const char *skip_string(const char *at, const char *end)
{
	for (at++; at < end && *at != '"'; at++)
		if (*at == '\\' && at + 1 < end)
			at++;
	return at < end ? at + 1 : end;
}

/* Behind the object or array that begins here, by its brackets; NULL: it does not end. */
static const char *skip_brackets(const char *at, const char *end)
{
	size_t depth = 0;

	while (at < end) {
		char c = *at;

		at = c == '"' ? skip_string(at, end) : at + 1;
		depth += c == '{' || c == '[';
		if ((c == '}' || c == ']') && --depth == 0)
			return at;
	}
	return NULL;
}

/* Behind the value that begins here; NULL: it does not end, or there is none. */
static const char *skip_value(const char *at, const char *end)
{
	const char *start = at;

	if (at == end)
		return NULL;
	if (*at == '{' || *at == '[')
		return skip_brackets(at, end);
	if (*at == '"')
		return skip_string(at, end);
	while (at < end && !strchr(" \t\r\n,:[]{}\"", *at))
		at++;
	return at == start ? NULL : at;
}

/* Whether the string that begins here and ends before `end` says this, in any letter case. */
static bool is_key(const char *at, const char *end, const char *key)
{
	size_t len = strlen(key);

	return (size_t)(end - at) == len + 2 && strncasecmp(at + 1, key, len) == 0;
}

/* ---- Places ---- */

static struct codec_file_place place_of(struct codec_file *file, const char *at)
{
	if (at < file->counted) {
		file->counted = file->text;
		file->counted_place = (struct codec_file_place){ 1, 1 };
	}
	for (; file->counted < at; file->counted++) {
		if (*file->counted == '\n') {
			file->counted_place.line++;
			file->counted_place.column = 1;
		} else if ((*file->counted & 0xc0) != 0x80) {
			file->counted_place.column++;
		}
	}
	return file->counted_place;
}

/* A member of an object, or an item of an array. */
struct member {
	const char *key; /* of an item: its value */
	const char *value, *end;
};

/*
 * The next one in an object or array that is whole; `at` is behind its bracket or behind the member
 * before. false: no more.
 */
static bool next_member(const char *at, const char *end, bool is_object, struct member *member)
{
	at = skip_blanks(at, end);
	if (at < end && *at == ',')
		at = skip_blanks(at + 1, end);
	member->key = at;
	if (is_object && at < end && *at == '"') {
		at = skip_blanks(skip_string(at, end), end);
		if (at == end || *at != ':')
			return false;
		at = skip_blanks(at + 1, end);
	} else if (is_object) {
		return false;
	}
	member->value = at;
	member->end = skip_value(at, end);
	return member->end != NULL;
}

/* How much of a path this member is, its dot included; 0: the path does not go on with it. */
static size_t match(const struct member *member, bool is_object, size_t i, const char *path)
{
	const char *key = member->key + 1;
	char *number_end;
	size_t len;

	if (is_object) {
		len = (size_t)(skip_string(member->key, member->value) - key) - 1;
		if (strncmp(path, key, len) != 0)
			return 0;
	} else {
		if (*path != '[' || strtoul(path + 1, &number_end, 10) != i || *number_end != ']')
			return 0;
		len = (size_t)(number_end + 1 - path);
	}
	return path[len] == '.' ? len + 1 : path[len] == '\0' || path[len] == '[' ? len : 0;
}

/* The longest: names may have dots. */
static bool find_member(const char *at, const char *end, const char **path, struct member *found)
{
	bool is_object = *at == '{';
	struct member member;
	size_t i = 0, longest = 0;

	for (at++; next_member(at, end, is_object, &member); at = member.end, i++) {
		size_t len = match(&member, is_object, i, *path);

		if (len > longest) {
			longest = len;
			*found = member;
		}
	}
	*path += longest;
	return longest > 0;
}

/* Where a field ("checks[1].interval") stands in a definition, or what is nearest to it. */
static const char *find_field(const char *at, const char *end, const char *path)
{
	const char *found = at;
	struct member member;

	while (*path && (*at == '{' || *at == '[') && find_member(at, end, &path, &member)) {
		found = member.key;
		at = member.value;
	}
	return found;
}

/* ---- Errors ---- */

static enum codec_file_step refuse(struct codec_file *file, const char *at, const char *reason,
				   struct codec_file_place *place, struct codec_error *error)
{
	const struct codec_place whole = { .error = error };

	*error = (struct codec_error){ .no_memory = false };
	codec_field_refuse(&whole, "", "%s", reason);
	*place = place_of(file, at);
	return CODEC_FILE_BAD;
}

static const char unfinished[] = "the text ends here, in the middle of it";
static const char too_long[] = "is too long: a registration has at most 65536 octets";
static_assert(LIMIT_HTTP_SINGLE == 65536, "too_long says so");

/* ---- Definitions ---- */

static bool has_no_lease(const struct registration *registration, struct codec_error *error)
{
	const struct codec_place whole = { .error = error };

	return !registration->lease_ms ||
	       codec_field_refuse(&whole, "lease",
				  "is not for files: what is in one stays until the file says "
				  "otherwise (a check of the kind \"ttl\" asks for signs of life)");
}

/* Reads the definition at the cursor and goes behind it. */
static enum codec_file_step take_definition(struct codec_file *file, bool is_consul,
					    struct registration **registration,
					    struct codec_file_place *place,
					    struct codec_error *error)
{
	const char *start = file->at, *end;
	struct registration *read;
	size_t position;
	json_t *json;

	if (start < file->end && *start != '{')
		return refuse(file, start, "expected an object", place, error);
	end = skip_value(start, file->end);
	if (!end)
		return refuse(file, file->end, unfinished, place, error);
	if (end - start > LIMIT_HTTP_SINGLE)
		return refuse(file, start, too_long, place, error);
	json = codec_load_part(start, (size_t)(end - start), &position, error);
	if (!json) {
		*place = place_of(file, start + position);
		return CODEC_FILE_BAD;
	}
	read = is_consul ? codec_consul(json, error) : codec_registration(json, error);
	json_decref(json);
	if (!read || !has_no_lease(read, error)) {
		record_registration_free(read);
		*place = place_of(file, find_field(start, end, error->field));
		return CODEC_FILE_BAD;
	}
	*place = place_of(file, start);
	*registration = read;
	file->at = end;
	return CODEC_FILE_FOUND;
}

/* Whether the object at the cursor is in Consul's form. */
static bool is_consul(const struct codec_file *file)
{
	struct member member;

	for (const char *at = file->at + 1; next_member(at, file->end, true, &member);
	     at = member.end) {
		const char *key_end = skip_string(member.key, file->end);

		if (is_key(member.key, key_end, "service") ||
		    is_key(member.key, key_end, "services"))
			return true;
	}
	return false;
}

/* Passes an opening bracket. */
static void enter(struct codec_file *file, enum codec_file_form form)
{
	file->at++;
	file->form = form;
	file->has_item = false;
}

/* Whether the next thing is this; then it is passed. */
static bool passes(struct codec_file *file, char c)
{
	file->at = skip_blanks(file->at, file->end);
	if (file->at == file->end || *file->at != c)
		return false;
	file->at++;
	return true;
}

/*
 * Each of these does one thing at the cursor. CODEC_FILE_END: what it did was no definition, and
 * there is more to do.
 */
static enum codec_file_step take_start(struct codec_file *file, struct registration **registration,
				       struct codec_file_place *place, struct codec_error *error)
{
	const struct codec_place whole = { .error = error };

	*error = (struct codec_error){ .no_memory = false };
	if (!codec_field_check_start(&whole, file->at, (size_t)(file->end - file->at))) {
		*place = place_of(file, file->at);
		return CODEC_FILE_BAD;
	}
	file->at = skip_blanks(file->at, file->end);
	if (file->at == file->end)
		return refuse(file, file->at, "the file is empty", place, error);
	if (*file->at == '[') {
		enter(file, CODEC_FILE_ARRAY);
		return CODEC_FILE_END;
	}
	if (*file->at == '{' && is_consul(file)) {
		enter(file, CODEC_FILE_CONSUL);
		return CODEC_FILE_END;
	}
	if (*file->at != '{')
		return refuse(file, file->at, "expected an object, or an array of them", place,
			      error);
	file->form = CODEC_FILE_BEHIND;
	return take_definition(file, false, registration, place, error);
}

static enum codec_file_step take_item(struct codec_file *file, struct registration **registration,
				      struct codec_file_place *place, struct codec_error *error)
{
	bool in_services = file->form == CODEC_FILE_SERVICES;

	if (passes(file, ']')) {
		file->form = in_services ? CODEC_FILE_CONSUL : CODEC_FILE_BEHIND;
		return CODEC_FILE_END;
	}
	if (file->has_item && !passes(file, ','))
		return refuse(file, file->at,
			      file->at == file->end ? unfinished : "expected \",\" or \"]\"", place,
			      error);
	file->has_item = true;
	file->at = skip_blanks(file->at, file->end);
	return take_definition(file, in_services, registration, place, error);
}

/* Behind the key of Consul's object: "service" or "services", each at most once. */
static enum codec_file_step take_services(struct codec_file *file, bool are_many,
					  struct registration **registration,
					  struct codec_file_place *place, struct codec_error *error)
{
	bool *has = are_many ? &file->has_services : &file->has_service;

	if (*has)
		return refuse(file, file->at, "is there twice", place, error);
	*has = true;
	if (!are_many)
		return take_definition(file, true, registration, place, error);
	if (file->at == file->end || *file->at != '[')
		return refuse(file, file->at,
			      file->at == file->end ? unfinished : "\"services\" must be an array",
			      place, error);
	enter(file, CODEC_FILE_SERVICES);
	return CODEC_FILE_END;
}

static enum codec_file_step take_member(struct codec_file *file, struct registration **registration,
					struct codec_file_place *place, struct codec_error *error)
{
	const char *key, *key_end;

	if (passes(file, '}')) {
		file->form = CODEC_FILE_BEHIND;
		return CODEC_FILE_END;
	}
	if (file->has_member && !passes(file, ','))
		return refuse(file, file->at,
			      file->at == file->end ? unfinished : "expected \",\" or \"}\"", place,
			      error);
	file->has_member = true;
	key = skip_blanks(file->at, file->end);
	if (key == file->end || *key != '"')
		return refuse(file, key, key == file->end ? unfinished : "expected a name", place,
			      error);
	file->at = key_end = skip_string(key, file->end);
	if (!passes(file, ':'))
		return refuse(file, file->at, file->at == file->end ? unfinished : "expected \":\"",
			      place, error);
	file->at = skip_blanks(file->at, file->end);
	if (is_key(key, key_end, "service") || is_key(key, key_end, "services"))
		return take_services(file, is_key(key, key_end, "services"), registration, place,
				     error);
	return refuse(file, key,
		      "unknown field: with \"service\" or \"services\" a file is in Consul's form, "
		      "and nothing else of it is understood",
		      place, error);
}

/* ---- The whole ---- */

void codec_file_init(struct codec_file *file, const char *text, size_t len)
{
	*file = (struct codec_file){
		.text = text,
		.at = text,
		.end = text + len,
		.counted = text,
		.counted_place = { 1, 1 },
	};
}

enum codec_file_step codec_file_next(struct codec_file *file, struct registration **registration,
				     struct codec_file_place *place, struct codec_error *error)
{
	enum codec_file_step step = CODEC_FILE_END;

	while (step == CODEC_FILE_END) {
		switch (file->form) {
		case CODEC_FILE_START:
			step = take_start(file, registration, place, error);
			break;
		case CODEC_FILE_ARRAY:
		case CODEC_FILE_SERVICES:
			step = take_item(file, registration, place, error);
			break;
		case CODEC_FILE_CONSUL:
			step = take_member(file, registration, place, error);
			break;
		case CODEC_FILE_BEHIND:
			file->at = skip_blanks(file->at, file->end);
			if (file->at < file->end)
				return refuse(file, file->at, "there is something behind the end",
					      place, error);
			*place = place_of(file, file->at);
			return CODEC_FILE_END;
		}
	}
	return step;
}
