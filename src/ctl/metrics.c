/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The end of the labels that begin at `text`: the brace that no string contains; NULL: none. */
static const char *labels_end(const char *text)
{
	bool in_string = false;

	for (; *text && *text != '\n'; text++) {
		if (in_string && *text == '\\' && text[1])
			text++;
		else if (*text == '"')
			in_string = !in_string;
		else if (!in_string && *text == '}')
			return text;
	}
	return NULL;
}

/* false: it does not fit. */
static bool copy(char *to, size_t to_size, const char *from, size_t len)
{
	if (len >= to_size)
		return false;
	memcpy(to, from, len);
	to[len] = '\0';
	return true;
}

static bool read_line(const char *line, struct metrics_sample *sample)
{
	size_t len = strcspn(line, "{ \n");
	const char *end = line + len, *labels = end;
	char *behind;

	if (len == 0 || *line == '#' || !copy(sample->name, sizeof(sample->name), line, len))
		return false;
	if (*end == '{') {
		end = labels_end(++labels);
		if (!end)
			return false;
	}
	if (!copy(sample->labels, sizeof(sample->labels), labels, (size_t)(end - labels)))
		return false;
	end += *end == '}';
	sample->value = strtod(end, &behind);
	return behind > end && strchr(" \n", *behind);
}

bool metrics_next(const char **text, struct metrics_sample *sample)
{
	while (**text) {
		const char *line = *text;
		size_t len = strcspn(line, "\n");

		*text += len + (line[len] == '\n');
		if (len && read_line(line, sample))
			return true;
	}
	return false;
}

double metrics_value(const char *text, const char *name, const char *labels, double otherwise)
{
	struct metrics_sample sample;

	while (metrics_next(&text, &sample))
		if (strcmp(sample.name, name) == 0 && strcmp(sample.labels, labels) == 0)
			return sample.value;
	return otherwise;
}

bool metrics_label(const struct metrics_sample *sample, const char *label, char *value,
		   size_t value_size)
{
	const char *at = sample->labels;
	size_t label_len = strlen(label), len = 0;

	while (*at) {
		size_t name_len = strcspn(at, "=");
		bool is_it = name_len == label_len && strncmp(at, label, name_len) == 0;

		at += name_len;
		if (*at++ != '=' || *at++ != '"')
			return false;
		for (; *at && *at != '"'; at++) {
			bool is_escaped = *at == '\\' && at[1];

			at += is_escaped;
			if (is_it && len + 1 < value_size)
				value[len++] = is_escaped && *at == 'n' ? '\n' : *at;
		}
		if (is_it) {
			value[len] = '\0';
			return true;
		}
		at += *at == '"';
		at += *at == ',';
	}
	return false;
}
