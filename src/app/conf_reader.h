/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_reader: a strict YAML document by libyaml: no aliases, anchors or tags, one document;
 * mappings are read by tables of keys, and an unknown or repeated key is an error. Knows no key
 * itself: those stand in conf_file.c and conf_access.c.
 *
 * What fails returns -1 (or NULL) and has written "FILE:LINE:COLUMN: reason" into the message.
 */
#ifndef ROSTERD_APP_CONF_READER_H
#define ROSTERD_APP_CONF_READER_H

#include "app/conf.h"
#include "base/buf.h"

#include <yaml.h>

/* The caller fills in all but the document, and owns all that is pointed to. */
struct conf_reader {
	const char *path; /* of the file */
	struct conf *conf;
	char **zone_dir;
	yaml_document_t document; /* while conf_reader_document() runs */
	char *message;
	size_t message_size;
};

/* Reads the value of a key into `target`. -1: failed, the message is written. */
typedef int (*conf_key_apply)(struct conf_reader *reader, const yaml_node_t *value, void *target);

struct conf_key {
	const char *name;
	conf_key_apply apply;
	/*
	 * For the manual: what the value is, what holds without the key ("required": it cannot be
	 * left out; NULL: there is nothing to say), and what it is for.
	 */
	const char *value, *otherwise, *help;
};

#define CONF_KEYS(array) (sizeof(array) / sizeof((array)[0]))

/* Keys that stand together, for the manual. `name`: the key whose value they are in. */
struct conf_table {
	const char *name;
	const struct conf_key *keys;
	size_t n;
};

/*
 * Reads the mapping that a file consists of, into reader->conf; a file without content is an empty
 * one.
 */
int conf_reader_document(struct conf_reader *reader, const struct buf *text,
			 const struct conf_key *keys, size_t n_keys);

/* Applies each key that is there, in the file's order. */
int conf_reader_mapping(struct conf_reader *reader, const yaml_node_t *node,
			const struct conf_key *keys, size_t n_keys, void *target);

/* Applies each element of a sequence, which has at least one. */
int conf_reader_list(struct conf_reader *reader, const yaml_node_t *node, conf_key_apply apply,
		     void *target);

/* The node that an item of a sequence or a pair of a mapping means. */
const yaml_node_t *conf_reader_node(struct conf_reader *reader, int index);

/* Nothing, ~ or null, and not in quotes. */
bool conf_reader_is_null(const yaml_node_t *node);

/* A scalar that is not null, without NUL octets; the document's. NULL: it is none. */
const char *conf_reader_text(struct conf_reader *reader, const yaml_node_t *node);

/* The same on the heap, the caller's. */
int conf_reader_copy(struct conf_reader *reader, const yaml_node_t *value, char **copy);

/* What the server says of itself: printable ASCII that fits. */
int conf_reader_saying(struct conf_reader *reader, const yaml_node_t *value,
		       char saying[CONF_SAYING]);

int conf_reader_bool(struct conf_reader *reader, const yaml_node_t *value, bool *is_true);

/* Decimal digits, at most `max`. */
int conf_reader_number(struct conf_reader *reader, const yaml_node_t *value, uint32_t max,
		       uint32_t *number);

/* Writes the message. Always -1. */
int conf_reader_fail(struct conf_reader *reader, yaml_mark_t mark, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int conf_reader_fail_memory(struct conf_reader *reader, const yaml_node_t *node);

/* For a scalar: "'TEXT' reason". */
int conf_reader_fail_value(struct conf_reader *reader, const yaml_node_t *node, const char *reason);

#endif
