/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * codec_line: what the store has, as lines of JSON, for people and for another store. Pure: any
 * thread.
 *
 *     {"registration":{...},"admin":"drain","reported":"passing","checks":[{"status":"critical"}]}
 *     {"service":"payment","policy":{"ttl":10}}
 *
 * An instance is what POST /registry/register takes, the "file" of services that it is from, if
 * any, and, where more is known, its state; a policy is one field of what PUT
 * /registry/services/{service}/policy takes. Reading is as strict as over HTTP. A line that was
 * printed reads back as the same octets: the rare fields are `served_until`, `has_run` of a check
 * that has not, and `registration_crc` of a state that is of an earlier registration
 * (model/stored.h).
 */
#ifndef ROSTERD_MODEL_CODEC_LINE_H
#define ROSTERD_MODEL_CODEC_LINE_H

#include "model/codec_error.h"
#include "model/stored.h"

/* An instance or a policy, as records. */
struct codec_line {
	enum stored_kind kind; /* STORED_REGISTRATION or STORED_POLICY */
	struct stored_key key;
	const void *record;
	size_t len;
	const void *state; /* STORED_REGISTRATION: its state's record, or NULL */
	size_t state_len;
};

/*
 * Appends one JSON object without line feeds. Anything but STORED_OK: a record is not whole, or
 * there is no memory, and what was appended is to be thrown away.
 */
enum stored_result codec_line_print(const struct codec_line *line, struct buf *out);

/* What a line says. */
struct codec_line_parsed {
	enum stored_kind kind;
	char key_text[STORED_KEY + 1]; /* both strings of the key */
	struct stored_key key;
	struct buf record, state; /* state.len is 0: nothing is said of it */
};

/* Reads a line without its line feed. false with the reason. Else the caller calls
 * codec_line_fini(). */
bool codec_line_parse(const char *text, size_t len, struct codec_line_parsed *parsed,
		      struct codec_error *error);
void codec_line_fini(struct codec_line_parsed *parsed);

#endif
