/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/store_lines.h"

#include "io/store_key.h"
#include "model/codec_line.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	FORMAT = 1,
	SEAL_LINE_MAX = 256,
};

static int print_seal(char text[SEAL_LINE_MAX], const struct store_seal *seal)
{
	return snprintf(text, SEAL_LINE_MAX,
			"{\"seal\":{\"format\":%d,\"generation\":%" PRIu64
			",\"registrations\":%" PRIu64 ",\"states\":%" PRIu64
			",\"policies\":%" PRIu64 ",\"sum\":\"%016" PRIx64 "\"}}\n",
			FORMAT, seal->generation, seal->n[STORED_REGISTRATION - 1],
			seal->n[STORED_STATE - 1], seal->n[STORED_POLICY - 1], seal->sum);
}

void store_lines_put_seal(struct buf *buf, const struct store_seal *seal)
{
	char text[SEAL_LINE_MAX];

	buf_put(buf, text, (size_t)print_seal(text, seal));
}

void store_lines_add(struct store_seal *seal, enum stored_kind kind, bool has_state,
		     const char *text, size_t len)
{
	seal->n[kind - 1]++;
	seal->n[STORED_STATE - 1] += has_state;
	seal->sum += store_seal_hash(text, len);
}

void store_lines_explain_version(unsigned version, char *text, size_t text_size)
{
	snprintf(text, text_size,
		 "has format version %u, which %s version of rosterd wrote: start that one, or let "
		 "it --export the registry, and --import that into an empty folder",
		 version, version > FORMAT ? "a newer" : "an older");
}

/* `text` is a line with its line feed. */
static enum stored_result parse_seal(const char *text, struct store_seal *seal, unsigned *format)
{
	char again[SEAL_LINE_MAX];

	if (sscanf(text, "{\"seal\":{\"format\":%u,", format) != 1)
		return STORED_DAMAGED;
	if (*format != FORMAT)
		return STORED_FOREIGN;
	*seal = (struct store_seal){ 0 };
	if (sscanf(text,
		   "{\"seal\":{\"format\":%u,\"generation\":%" SCNu64 ",\"registrations\":%" SCNu64
		   ",\"states\":%" SCNu64 ",\"policies\":%" SCNu64 ",\"sum\":\"%" SCNx64 "\"}}",
		   format, &seal->generation, &seal->n[STORED_REGISTRATION - 1],
		   &seal->n[STORED_STATE - 1], &seal->n[STORED_POLICY - 1], &seal->sum) != 6)
		return STORED_DAMAGED;
	print_seal(again, seal);
	return strcmp(again, text) == 0 ? STORED_OK : STORED_DAMAGED;
}

/* ---- Reading ---- */

struct head {
	uint32_t key_len, len;
};

struct scan {
	struct store_lines *lines;
	struct store_seal seal; /* of the lines so far */
	uint8_t last[STORE_KEY];
	size_t last_len; /* 0: no line yet */
};

static bool is_behind(const struct scan *scan, const uint8_t *key, size_t key_len)
{
	size_t len = key_len < scan->last_len ? key_len : scan->last_len;
	int order = memcmp(key, scan->last, len);

	return order > 0 || (order == 0 && key_len > scan->last_len);
}

static void put_record(struct store_lines *lines, enum stored_kind kind, uint8_t *key,
		       size_t key_len, const struct buf *record)
{
	struct buf *to = &lines->records[kind - 1];
	struct head head = { (uint32_t)key_len, (uint32_t)record->len };

	key[0] = (uint8_t)kind;
	buf_put(to, &head, sizeof(head));
	buf_put(to, key, key_len);
	buf_put(to, record->data, record->len);
}

static const char *put_line(struct scan *scan, const struct codec_line_parsed *parsed)
{
	struct store_lines *lines = scan->lines;
	uint8_t key[STORE_KEY];
	size_t key_len = store_key_print(key, parsed->kind, &parsed->key);

	if (!is_behind(scan, key, key_len))
		return "has lines out of order";
	memcpy(scan->last, key, key_len);
	scan->last_len = key_len;
	put_record(lines, parsed->kind, key, key_len, &parsed->record);
	if (parsed->state.len)
		put_record(lines, STORED_STATE, key, key_len, &parsed->state);
	if (lines->records[parsed->kind - 1].failed || lines->records[STORED_STATE - 1].failed)
		return "does not fit into memory";
	return NULL;
}

static const char *scan_line(struct scan *scan, const char *line, size_t len)
{
	struct codec_line_parsed parsed;
	struct codec_error error;
	const char *wrong;

	if (!codec_line_parse(line, len, &parsed, &error))
		return error.no_memory ? "does not fit into memory" : "has a damaged line";
	wrong = put_line(scan, &parsed);
	store_lines_add(&scan->seal, parsed.kind, parsed.state.len != 0, line, len);
	codec_line_fini(&parsed);
	return wrong;
}

static const char *scan_seal(struct scan *scan, const char *line)
{
	struct store_seal seal;
	unsigned format;

	switch (parse_seal(line, &seal, &format)) {
	case STORED_OK:
		break;
	case STORED_FOREIGN:
		store_lines_explain_version(format, scan->lines->wrong, sizeof(scan->lines->wrong));
		return scan->lines->wrong;
	default:
		return "has a damaged seal";
	}
	if (!store_seal_match(&seal, &scan->seal))
		return "does not match its seal";
	scan->lines->generation = seal.generation;
	return NULL;
}

static const char *scan_file(struct scan *scan, FILE *stream)
{
	bool is_sealed = false;
	const char *wrong = NULL;
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	while (!wrong && (len = getline(&line, &size, stream)) > 0) {
		if (is_sealed)
			wrong = "goes on behind its seal";
		else if (line[len - 1] != '\n' || strlen(line) != (size_t)len)
			wrong = "has a damaged line";
		else if (strncmp(line, "{\"seal\":", 8) != 0)
			wrong = scan_line(scan, line, (size_t)len - 1);
		else {
			wrong = scan_seal(scan, line);
			is_sealed = true;
		}
	}
	free(line);
	if (!wrong && ferror(stream))
		return "cannot be read";
	if (!wrong && !is_sealed)
		return "has no seal";
	return wrong;
}

void store_lines_fini(struct store_lines *lines)
{
	for (size_t i = 0; i < STORED_POLICY; i++)
		buf_fini(&lines->records[i]);
}

const char *store_lines_read(struct store_lines *lines, const char *path)
{
	struct scan scan = { .lines = lines };
	FILE *stream = fopen(path, "re");
	const char *wrong;

	*lines = (struct store_lines){ 0 };
	if (!stream)
		return errno == ENOENT ? "is missing" : strerror(errno);
	wrong = scan_file(&scan, stream);
	fclose(stream);
	if (wrong)
		store_lines_fini(lines);
	return wrong;
}

int store_lines_next(void *cookie, struct store_octets *key, struct store_octets *value)
{
	struct store_lines_cursor *cursor = cookie;
	const struct buf *records = cursor->lines->records;
	struct head head;
	const char *at;

	while (cursor->at == records[cursor->kind].len) {
		if (cursor->kind == STORED_POLICY - 1)
			return ENOENT;
		cursor->kind++;
		cursor->at = 0;
	}
	at = records[cursor->kind].data + cursor->at;
	memcpy(&head, at, sizeof(head));
	*key = (struct store_octets){ at + sizeof(head), head.key_len };
	*value = (struct store_octets){ at + sizeof(head) + head.key_len, head.len };
	cursor->at += sizeof(head) + head.key_len + head.len;
	return 0;
}

bool store_lines_generation(const char *path, uint64_t *generation)
{
	char tail[SEAL_LINE_MAX + 1];
	struct store_seal seal;
	FILE *stream = fopen(path, "re");
	const char *line = NULL;
	size_t len = 0;
	unsigned format;

	if (!stream)
		return false;
	if (fseek(stream, -SEAL_LINE_MAX, SEEK_END) == 0 || fseek(stream, 0, SEEK_SET) == 0)
		len = fread(tail, 1, SEAL_LINE_MAX, stream);
	fclose(stream);
	tail[len] = '\0';
	line = strstr(tail, "{\"seal\":");
	if (!line || parse_seal(line, &seal, &format) != STORED_OK)
		return false;
	*generation = seal.generation;
	return true;
}
