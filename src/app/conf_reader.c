/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/conf_reader.h"

#include "app/conf_value.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
	KEYS_MAX = 32 /* of one mapping */
};

static const char *node_text(const yaml_node_t *node)
{
	return (const char *)node->data.scalar.value;
}

/* ---- Errors ---- */

int conf_reader_fail(struct conf_reader *reader, yaml_mark_t mark, const char *format, ...)
{
	int n = snprintf(reader->message, reader->message_size, "%s:%zu:%zu: ", reader->path,
			 mark.line + 1, mark.column + 1);
	va_list args;

	if (n >= 0 && (size_t)n < reader->message_size) {
		va_start(args, format);
		vsnprintf(reader->message + n, reader->message_size - (size_t)n, format, args);
		va_end(args);
	}
	return -1;
}

int conf_reader_fail_memory(struct conf_reader *reader, const yaml_node_t *node)
{
	return conf_reader_fail(reader, node->start_mark, "out of memory");
}

int conf_reader_fail_value(struct conf_reader *reader, const yaml_node_t *node, const char *reason)
{
	return conf_reader_fail(reader, node->start_mark, "'%.80s' %s", node_text(node), reason);
}

/* libyaml knows only the offset of octets that are no UTF-8. */
static int fail_parser(struct conf_reader *reader, const yaml_parser_t *parser,
		       const struct buf *text)
{
	yaml_mark_t mark = parser->problem_mark;

	if (parser->error == YAML_READER_ERROR) {
		mark = (yaml_mark_t){ 0 };
		for (size_t i = 0; i < parser->problem_offset && i < text->len; i++) {
			mark.line += text->data[i] == '\n';
			mark.column = text->data[i] == '\n' ? 0 : mark.column + 1;
		}
	}
	/* A service list of "*" alone is the usual one. */
	if (parser->context && strcmp(parser->context, "while scanning an alias") == 0)
		return conf_reader_fail(reader, mark,
					"a text that begins with * takes quotes: \"*\"");
	return conf_reader_fail(reader, mark, "%s",
				parser->problem ? parser->problem : "out of memory");
}

/* ---- Scalars ---- */

bool conf_reader_is_null(const yaml_node_t *node)
{
	return node->type == YAML_SCALAR_NODE &&
	       node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (!*node_text(node) || strcmp(node_text(node), "~") == 0 ||
		strcmp(node_text(node), "null") == 0);
}

const char *conf_reader_text(struct conf_reader *reader, const yaml_node_t *node)
{
	if (node->type != YAML_SCALAR_NODE) {
		conf_reader_fail(reader, node->start_mark, "expected one value, not a %s",
				 node->type == YAML_MAPPING_NODE ? "mapping" : "list");
		return NULL;
	}
	if (conf_reader_is_null(node)) {
		conf_reader_fail(reader, node->start_mark, "the value is missing");
		return NULL;
	}
	if (strlen(node_text(node)) != node->data.scalar.length) {
		conf_reader_fail(reader, node->start_mark, "the value has a NUL octet");
		return NULL;
	}
	return node_text(node);
}

int conf_reader_copy(struct conf_reader *reader, const yaml_node_t *value, char **copy)
{
	const char *text = conf_reader_text(reader, value);

	if (!text)
		return -1;
	*copy = strdup(text);
	return *copy ? 0 : conf_reader_fail_memory(reader, value);
}

int conf_reader_saying(struct conf_reader *reader, const yaml_node_t *value,
		       char saying[CONF_SAYING])
{
	const char *text = conf_reader_text(reader, value);
	size_t len = text ? strlen(text) : 0;

	if (!text)
		return -1;
	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return conf_reader_fail_value(
				reader, value, "has characters that are not printable ASCII");
	if (len >= CONF_SAYING)
		return conf_reader_fail_value(reader, value, "is longer than 63 characters");
	memcpy(saying, text, len + 1);
	return 0;
}

int conf_reader_bool(struct conf_reader *reader, const yaml_node_t *value, bool *is_true)
{
	const char *text = conf_reader_text(reader, value);

	if (!text)
		return -1;
	if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return conf_reader_fail_value(reader, value, "is neither true nor false");
	*is_true = *text == 't';
	return 0;
}

int conf_reader_number(struct conf_reader *reader, const yaml_node_t *value, uint32_t max,
		       uint32_t *number)
{
	const char *text = conf_reader_text(reader, value);
	char reason[64];

	if (!text)
		return -1;
	if (conf_value_number(text, max, number))
		return 0;
	snprintf(reason, sizeof(reason), "is no number from 0 to %" PRIu32, max);
	return conf_reader_fail_value(reader, value, reason);
}

/* ---- Mappings and lists ---- */

const yaml_node_t *conf_reader_node(struct conf_reader *reader, int index)
{
	return yaml_document_get_node(&reader->document, index);
}

static int fail_unknown_key(struct conf_reader *reader, const yaml_node_t *node,
			    const struct conf_key *keys, size_t n_keys)
{
	const char *names[KEYS_MAX];
	char reason[300];

	for (size_t i = 0; i < n_keys; i++)
		names[i] = keys[i].name;
	conf_value_explain_unknown("key", node_text(node), names, n_keys, reason, sizeof(reason));
	return conf_reader_fail(reader, node->start_mark, "%s", reason);
}

int conf_reader_mapping(struct conf_reader *reader, const yaml_node_t *node,
			const struct conf_key *keys, size_t n_keys, void *target)
{
	bool seen[KEYS_MAX] = { false };
	const yaml_node_pair_t *pair;

	if (node->type != YAML_MAPPING_NODE)
		return conf_reader_fail(reader, node->start_mark, "expected 'key: value' pairs");
	for (pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
		const yaml_node_t *name = conf_reader_node(reader, pair->key);
		size_t i = 0;

		if (!conf_reader_text(reader, name))
			return -1;
		while (i < n_keys && strcmp(node_text(name), keys[i].name) != 0)
			i++;
		if (i == n_keys)
			return fail_unknown_key(reader, name, keys, n_keys);
		if (seen[i])
			return conf_reader_fail(reader, name->start_mark, "key '%s' is there twice",
						keys[i].name);
		seen[i] = true;
		if (keys[i].apply(reader, conf_reader_node(reader, pair->value), target) < 0)
			return -1;
	}
	return 0;
}

int conf_reader_list(struct conf_reader *reader, const yaml_node_t *node, conf_key_apply apply,
		     void *target)
{
	const yaml_node_item_t *item;

	if (node->data.sequence.items.start == node->data.sequence.items.top)
		return conf_reader_fail(reader, node->start_mark, "the list is empty");
	for (item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++)
		if (apply(reader, conf_reader_node(reader, *item), target) < 0)
			return -1;
	return 0;
}

/* ---- The whole file ---- */

/* What documents can hold and configuration must not. NULL: nothing. */
static const char *refuse_event(const yaml_event_t *event)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return "aliases are not allowed";
	case YAML_SCALAR_EVENT:
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
		break;
	default:
		break;
	}
	if (anchor)
		return "anchors are not allowed";
	return tag ? "tags are not allowed" : NULL;
}

static void parser_start(yaml_parser_t *parser, const struct buf *text)
{
	yaml_parser_set_input_string(parser, (const unsigned char *)text->data, text->len);
}

/* Looks at all events of the file: a loaded document no longer shows aliases and anchors. */
static int check_events(struct conf_reader *reader, const struct buf *text)
{
	yaml_event_type_t type = YAML_NO_EVENT;
	yaml_parser_t parser;
	unsigned documents = 0;
	int result = 0;

	if (!yaml_parser_initialize(&parser))
		return conf_reader_fail(reader, (yaml_mark_t){ 0 }, "out of memory");
	parser_start(&parser, text);
	while (result == 0 && type != YAML_STREAM_END_EVENT) {
		yaml_event_t event;
		const char *reason;

		if (!yaml_parser_parse(&parser, &event)) {
			result = fail_parser(reader, &parser, text);
			break;
		}
		type = event.type;
		documents += type == YAML_DOCUMENT_START_EVENT;
		reason = documents > 1 ? "a second document" : refuse_event(&event);
		if (reason)
			result = conf_reader_fail(reader, event.start_mark, "%s", reason);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return result;
}

static int load_document(struct conf_reader *reader, const struct buf *text,
			 const struct conf_key *keys, size_t n_keys)
{
	const yaml_node_t *root;
	yaml_parser_t parser;
	int result = 0;

	if (!yaml_parser_initialize(&parser))
		return conf_reader_fail(reader, (yaml_mark_t){ 0 }, "out of memory");
	parser_start(&parser, text);
	if (!yaml_parser_load(&parser, &reader->document)) {
		result = fail_parser(reader, &parser, text);
		goto out;
	}
	root = yaml_document_get_root_node(&reader->document);
	if (root && !conf_reader_is_null(root))
		result = conf_reader_mapping(reader, root, keys, n_keys, reader->conf);
	yaml_document_delete(&reader->document);
out:
	yaml_parser_delete(&parser);
	return result;
}

int conf_reader_document(struct conf_reader *reader, const struct buf *text,
			 const struct conf_key *keys, size_t n_keys)
{
	int result = check_events(reader, text);

	return result < 0 ? result : load_document(reader, text, keys, n_keys);
}
