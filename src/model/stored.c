/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/stored.h"

#include "base/crc32c.h"
#include "model/record_text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Where the header's octets are. */
enum {
	AT_VERSION,
	AT_KIND,
	AT_ZERO,
	AT_CRC = 4,
};

/* Octets of a registration and of a check that are flags. */
enum {
	FLAG_V4 = 1,
	FLAG_V6 = 2,
	FLAG_UDP = 4,
	FLAG_FILE = 8, /* from STORED_FILES on, and what that version is for */
	FLAGS = 15,
	CHECK_FLAG_SKIP_VERIFY = 1,
	STATE_FLAG_HAS_RUN = 0x80,
};

/* ---- Writing ---- */

static void put_u8(struct buf *buf, unsigned value)
{
	const uint8_t octet = (uint8_t)value;

	buf_put(buf, &octet, 1);
}

static void put_u16(struct buf *buf, unsigned value)
{
	const uint8_t octets[2] = { (uint8_t)value, (uint8_t)(value >> 8) };

	buf_put(buf, octets, sizeof(octets));
}

static void put_u32(struct buf *buf, uint32_t value)
{
	put_u16(buf, value & 0xffff);
	put_u16(buf, value >> 16);
}

static void put_u64(struct buf *buf, uint64_t value)
{
	put_u32(buf, (uint32_t)value);
	put_u32(buf, (uint32_t)(value >> 32));
}

/* At most 255 octets; NULL is written as the empty text. */
static void put_text(struct buf *buf, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	put_u8(buf, (unsigned)len);
	buf_put(buf, text, len);
}

/* At most 65535 octets. */
static void put_long_text(struct buf *buf, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	put_u16(buf, (unsigned)len);
	buf_put(buf, text, len);
}

static uint32_t crc_of(const uint8_t *record, size_t len, const struct stored_key *key)
{
	uint32_t crc = crc32c(0, record + AT_VERSION, 2);

	crc = crc32c(crc, key->service, strlen(key->service) + 1);
	crc = crc32c(crc, key->id, strlen(key->id) + 1);
	return crc32c(crc, record + STORED_HEADER, len - STORED_HEADER);
}

/* The header with a CRC still to come; returns where the record begins. */
static size_t begin(struct buf *buf, enum stored_kind kind, int version)
{
	const uint8_t header[STORED_HEADER] = { (uint8_t)version, (uint8_t)kind };

	buf_put(buf, header, sizeof(header));
	return buf->failed ? 0 : buf->len - sizeof(header);
}

static void finish(struct buf *buf, size_t start, const struct stored_key *key)
{
	uint8_t *record = (uint8_t *)buf->data + start;
	uint32_t crc;

	if (buf->failed)
		return;
	crc = crc_of(record, buf->len - start, key);
	for (int i = 0; i < 4; i++)
		record[AT_CRC + i] = (uint8_t)(crc >> 8 * i);
}

static void put_check(struct buf *buf, const struct check_spec *spec)
{
	put_u8(buf, spec->kind);
	put_u8(buf, spec->tls_skip_verify ? CHECK_FLAG_SKIP_VERIFY : 0);
	put_u8(buf, spec->initial);
	if (spec->kind == CHECK_TTL) {
		put_u32(buf, spec->ttl_ms);
		return;
	}
	put_u16(buf, spec->port);
	put_u16(buf, spec->rise);
	put_u16(buf, spec->fall);
	put_u32(buf, spec->interval_ms);
	put_u32(buf, spec->timeout_ms);
	if (spec->kind == CHECK_TCP)
		return;
	put_text(buf, spec->path);
	put_text(buf, spec->method);
	put_text(buf, spec->expected);
	put_long_text(buf, spec->headers);
	if (spec->kind == CHECK_HTTPS)
		put_text(buf, spec->server_name);
}

void stored_put_registration(struct buf *buf, const struct registration *registration)
{
	const struct stored_key key = { registration->service, registration->id };
	const struct address *address = &registration->address;
	size_t start =
		begin(buf, STORED_REGISTRATION, registration->file ? STORED_FILES : STORED_FIRST);

	put_u8(buf, (address->has_v4 ? FLAG_V4 : 0u) | (address->has_v6 ? FLAG_V6 : 0u) |
			    (registration->protocol == PROTOCOL_UDP ? FLAG_UDP : 0u) |
			    (registration->file ? FLAG_FILE : 0u));
	buf_put(buf, address->v4, address->has_v4 ? sizeof(address->v4) : 0);
	buf_put(buf, address->v6, address->has_v6 ? sizeof(address->v6) : 0);
	put_u16(buf, registration->port);
	put_u16(buf, registration->priority);
	put_u16(buf, registration->weight);
	put_u32(buf, registration->ttl_s);
	put_u32(buf, registration->lease_ms);
	put_u8(buf, registration->n_ports);
	for (size_t i = 0; i < registration->n_ports; i++) {
		put_text(buf, registration->ports[i].name);
		put_u16(buf, registration->ports[i].port);
	}
	put_u8(buf, registration->n_tags);
	for (size_t i = 0; i < registration->n_tags; i++)
		put_text(buf, registration->tags[i]);
	put_u8(buf, registration->n_meta);
	for (size_t i = 0; i < registration->n_meta; i++) {
		put_text(buf, registration->meta[i].key);
		put_text(buf, registration->meta[i].value);
	}
	put_u8(buf, registration->n_checks);
	for (size_t i = 0; i < registration->n_checks; i++)
		put_check(buf, &registration->checks[i]);
	if (registration->file)
		put_text(buf, registration->file);
	finish(buf, start, &key);
}

void stored_put_state(struct buf *buf, const struct stored_key *key,
		      const struct stored_state *state)
{
	size_t start = begin(buf, STORED_STATE, STORED_FIRST);

	put_u8(buf, state->admin);
	put_u8(buf, state->reported);
	put_u64(buf, state->served_until);
	put_u32(buf, state->registration_crc);
	put_u8(buf, state->n_checks);
	for (size_t i = 0; i < state->n_checks; i++)
		put_u8(buf, state->checks[i].status |
				    (state->checks[i].has_run ? STATE_FLAG_HAS_RUN : 0u));
	finish(buf, start, key);
}

void stored_put_policy(struct buf *buf, const struct stored_key *key, uint32_t value)
{
	size_t start = begin(buf, STORED_POLICY, STORED_FIRST);

	put_u32(buf, value);
	finish(buf, start, key);
}

/* 0 without memory. */
static uint32_t registration_crc(const struct registration *registration)
{
	struct buf record;
	uint32_t crc;

	buf_init(&record);
	stored_put_registration(&record, registration);
	crc = record.failed ? 0 : stored_crc(record.data);
	buf_fini(&record);
	return crc;
}

void stored_state_of(const struct instance *instance, struct stored_state *state)
{
	*state = (struct stored_state){
		.admin = instance->admin,
		.reported = instance->reported,
		.served_until = instance->served_until,
		.registration_crc = registration_crc(instance->registration),
		.n_checks = (uint8_t)instance->registration->n_checks,
	};
	for (size_t i = 0; i < state->n_checks; i++) {
		state->checks[i].status = instance->checks[i]->health.status;
		state->checks[i].has_run = instance->checks[i]->health.has_run;
	}
}

/* The check that goes on as one of this definition, and is none of `taken`, or NULL. */
static const struct check *find_check(const struct instance *instance,
				      const struct registration *registration,
				      const struct check_spec *spec, unsigned *taken)
{
	const struct registration *old = instance->registration;

	if (!record_address_equal(&old->address, &registration->address))
		return NULL;
	for (size_t i = 0; i < old->n_checks; i++)
		if (!(*taken & 1u << i) && record_check_equal(&old->checks[i], spec)) {
			*taken |= 1u << i;
			return instance->checks[i];
		}
	return NULL;
}

void stored_state_after(const struct instance *instance, const struct registration *registration,
			struct stored_state *state)
{
	unsigned taken = 0;

	*state = (struct stored_state){
		.admin = instance->admin,
		.reported = STATUS_PASSING,
		.served_until = instance->served_until,
		.registration_crc = registration_crc(registration),
		.n_checks = (uint8_t)registration->n_checks,
	};
	for (size_t i = 0; i < state->n_checks; i++) {
		const struct check_spec *spec = &registration->checks[i];
		const struct check *check = find_check(instance, registration, spec, &taken);

		state->checks[i].status = check ? check->health.status : spec->initial;
		state->checks[i].has_run = check && check->health.has_run;
	}
}

void stored_match_state(struct stored_state *state, const void *registration_record)
{
	if (state->registration_crc != stored_crc(registration_record))
		state->n_checks = 0;
}

/* ---- Reading ---- */

/* What is left of a record. Once it is bad, everything reads as zero. */
struct reader {
	const uint8_t *at, *end;
	bool bad, no_memory;
};

static void refuse_if(struct reader *reader, bool bad)
{
	if (bad) {
		reader->bad = true;
		reader->at = reader->end;
	}
}

/* The next octets, or NULL. */
static const uint8_t *take(struct reader *reader, size_t len)
{
	const uint8_t *octets = reader->at;

	if ((size_t)(reader->end - reader->at) < len) {
		refuse_if(reader, true);
		return NULL;
	}
	reader->at += len;
	return octets;
}

static unsigned take_u8(struct reader *reader)
{
	const uint8_t *octets = take(reader, 1);

	return octets ? octets[0] : 0;
}

static uint16_t take_u16(struct reader *reader)
{
	const uint8_t *octets = take(reader, 2);

	return octets ? (uint16_t)(octets[0] | octets[1] << 8) : 0;
}

static uint32_t take_u32(struct reader *reader)
{
	uint32_t low = take_u16(reader);

	return low | (uint32_t)take_u16(reader) << 16;
}

static uint64_t take_u64(struct reader *reader)
{
	uint64_t low = take_u32(reader);

	return low | (uint64_t)take_u32(reader) << 32;
}

/* A number within these bounds. */
static uint32_t within(struct reader *reader, uint32_t value, uint32_t min, uint32_t max)
{
	refuse_if(reader, value < min || value > max);
	return value;
}

static void refuse_memory(struct reader *reader)
{
	reader->no_memory = true;
	refuse_if(reader, true);
}

static void *take_memory(struct reader *reader, size_t n, size_t size)
{
	void *memory = n ? calloc(n, size) : NULL;

	if (n && !memory)
		refuse_memory(reader);
	return memory;
}

/* A text that `is_good`; NULL, which is no fault, if it is empty. */
static char *take_text_of(struct reader *reader, size_t len, bool (*is_good)(const char *text))
{
	const uint8_t *octets = take(reader, len);
	char *text;

	if (!octets || !len)
		return NULL;
	if (memchr(octets, '\0', len)) {
		refuse_if(reader, true);
		return NULL;
	}
	text = take_memory(reader, len + 1, 1);
	if (!text)
		return NULL;
	memcpy(text, octets, len);
	refuse_if(reader, !is_good(text));
	return text;
}

static char *take_text(struct reader *reader, bool (*is_good)(const char *text))
{
	return take_text_of(reader, take_u8(reader), is_good);
}

/* One that may not be empty. Its place must be noted even if the reader is bad: it is to be freed.
 */
static char *take_full_text(struct reader *reader, bool (*is_good)(const char *text))
{
	char *text = take_text(reader, is_good);

	refuse_if(reader, !text);
	return text;
}

/* What the field of a check holds where it says what every check has without it. */
static bool is_odd_method(const char *text)
{
	return record_text_is_method(text) && strcmp(text, "GET") != 0 &&
	       strcasecmp(text, "CONNECT") != 0;
}

static void take_http(struct reader *reader, struct check_spec *spec)
{
	spec->path = take_full_text(reader, record_text_is_path);
	spec->method = take_text(reader, is_odd_method);
	spec->expected = take_text(reader, record_text_is_statuses);
	spec->headers = take_text_of(reader, take_u16(reader), record_text_is_headers);
	if (spec->kind == CHECK_HTTPS)
		spec->server_name = take_text(reader, record_text_is_host_name);
}

static void take_check(struct reader *reader, struct check_spec *spec)
{
	unsigned flags;

	spec->kind = within(reader, take_u8(reader), 0, CHECK_TTL);
	flags = within(reader, take_u8(reader), 0, CHECK_FLAG_SKIP_VERIFY);
	refuse_if(reader, flags && spec->kind != CHECK_HTTPS);
	spec->tls_skip_verify = flags;
	spec->initial = within(reader, take_u8(reader), 0, STATUS_CRITICAL);
	if (reader->bad)
		return;
	if (spec->kind == CHECK_TTL) {
		spec->ttl_ms =
			within(reader, take_u32(reader), LIMIT_LEASE_MIN_MS, LIMIT_LEASE_MAX_MS);
		return;
	}
	spec->port = (uint16_t)within(reader, take_u16(reader), 1, UINT16_MAX);
	spec->rise = (uint16_t)within(reader, take_u16(reader), 1, LIMIT_DAMPING);
	spec->fall = (uint16_t)within(reader, take_u16(reader), 1, LIMIT_DAMPING);
	spec->interval_ms =
		within(reader, take_u32(reader), LIMIT_INTERVAL_MIN_MS, LIMIT_INTERVAL_MAX_MS);
	spec->timeout_ms =
		within(reader, take_u32(reader), LIMIT_TIMEOUT_MIN_MS, spec->interval_ms);
	if (spec->kind != CHECK_TCP)
		take_http(reader, spec);
}

static void take_address(struct reader *reader, unsigned flags, struct address *address)
{
	const uint8_t *v4 = take(reader, flags & FLAG_V4 ? sizeof(address->v4) : 0);
	const uint8_t *v6 = take(reader, flags & FLAG_V6 ? sizeof(address->v6) : 0);

	address->has_v4 = flags & FLAG_V4;
	address->has_v6 = flags & FLAG_V6;
	if (address->has_v4 && v4)
		memcpy(address->v4, v4, sizeof(address->v4));
	if (address->has_v6 && v6)
		memcpy(address->v6, v6, sizeof(address->v6));
	refuse_if(reader, (!address->has_v4 && !address->has_v6) || record_address_refuse(address));
}

/* A label as the registry has it: in lower case. */
static bool is_label(const char *text)
{
	char label[LIMIT_LABEL + 1];

	return record_label_parse(text, label) && strcmp(text, label) == 0;
}

static void take_ports(struct reader *reader, struct registration *registration)
{
	unsigned n = within(reader, take_u8(reader), 0, LIMIT_PORTS);

	registration->ports = take_memory(reader, reader->bad ? 0 : n, sizeof(struct named_port));
	for (unsigned i = 0; i < n && !reader->bad; i++) {
		struct named_port *port = &registration->ports[registration->n_ports++];

		port->name = take_full_text(reader, is_label);
		port->port = (uint16_t)within(reader, take_u16(reader), 1, UINT16_MAX);
		if (reader->bad)
			return;
		/* It is used with an underscore in front. */
		refuse_if(reader, strlen(port->name) == LIMIT_LABEL);
		for (unsigned j = 0; j < i; j++)
			refuse_if(reader, strcmp(registration->ports[j].name, port->name) == 0);
	}
}

static void take_tags(struct reader *reader, struct registration *registration)
{
	unsigned n = within(reader, take_u8(reader), 0, LIMIT_TAGS);
	size_t text_len = n ? n - 1 : 0;

	registration->tags = take_memory(reader, reader->bad ? 0 : n, sizeof(char *));
	for (unsigned i = 0; i < n && !reader->bad; i++) {
		char *tag = take_full_text(reader, record_text_is_tag);

		registration->tags[registration->n_tags++] = tag;
		if (reader->bad)
			return;
		for (unsigned j = 0; j < i; j++)
			refuse_if(reader, strcmp(registration->tags[j], tag) == 0);
		text_len += strlen(tag);
	}
	refuse_if(reader, text_len > LIMIT_TAGS_TEXT);
}

static char *take_meta_value(struct reader *reader)
{
	char *value = take_text(reader, record_text_is_utf8);

	return value || reader->bad ? value : take_memory(reader, 1, 1);
}

static void take_meta(struct reader *reader, struct registration *registration)
{
	unsigned n = within(reader, take_u8(reader), 0, LIMIT_META);

	registration->meta = take_memory(reader, reader->bad ? 0 : n, sizeof(struct meta));
	for (unsigned i = 0; i < n && !reader->bad; i++) {
		struct meta *meta = &registration->meta[registration->n_meta++];

		meta->key = take_full_text(reader, record_text_is_meta_key);
		meta->value = take_meta_value(reader);
		if (reader->bad)
			return;
		refuse_if(reader, strlen(meta->key) + 1 + strlen(meta->value) > LIMIT_META_TEXT);
		for (unsigned j = 0; j < i; j++)
			refuse_if(reader, strcmp(registration->meta[j].key, meta->key) == 0);
	}
}

static void take_checks(struct reader *reader, struct registration *registration)
{
	unsigned n = within(reader, take_u8(reader), 0, LIMIT_CHECKS);

	registration->checks = take_memory(reader, reader->bad ? 0 : n, sizeof(struct check_spec));
	for (unsigned i = 0; i < n && !reader->bad; i++)
		take_check(reader, &registration->checks[registration->n_checks++]);
}

static void take_copy(struct reader *reader, char **to, const char *text)
{
	*to = take_memory(reader, strlen(text) + 1, 1);
	if (*to)
		strcpy(*to, text);
}

/* What the key says, and the label that follows from it. */
static void take_identity(struct reader *reader, const struct stored_key *key,
			  struct registration *registration)
{
	take_copy(reader, &registration->service, key->service);
	take_copy(reader, &registration->id, key->id);
	if (registration->id && !record_put_label(registration))
		refuse_memory(reader);
}

static void take_registration(struct reader *reader, struct registration *registration)
{
	unsigned flags = within(reader, take_u8(reader), 0, FLAGS);

	take_address(reader, flags, &registration->address);
	registration->protocol = flags & FLAG_UDP ? PROTOCOL_UDP : PROTOCOL_TCP;
	registration->port = (uint16_t)within(reader, take_u16(reader), 1, UINT16_MAX);
	registration->priority = take_u16(reader);
	registration->weight = take_u16(reader);
	registration->ttl_s = within(reader, take_u32(reader), 0, LIMIT_TTL_S);
	registration->lease_ms = take_u32(reader);
	if (registration->lease_ms)
		within(reader, registration->lease_ms, LIMIT_LEASE_MIN_MS, LIMIT_LEASE_MAX_MS);
	take_ports(reader, registration);
	take_tags(reader, registration);
	take_meta(reader, registration);
	take_checks(reader, registration);
	if (flags & FLAG_FILE)
		registration->file = take_full_text(reader, record_text_is_id);
}

/* ---- Records ---- */

uint32_t stored_crc(const void *record)
{
	struct reader reader = { .at = (const uint8_t *)record + AT_CRC,
				 .end = (const uint8_t *)record + STORED_HEADER };

	return take_u32(&reader);
}

enum stored_result stored_check(enum stored_kind kind, const struct stored_key *key,
				const void *record, size_t len)
{
	const uint8_t *octets = record;

	if (len < STORED_HEADER || stored_crc(record) != crc_of(octets, len, key))
		return STORED_DAMAGED;
	if (octets[AT_VERSION] < STORED_FIRST || octets[AT_VERSION] > STORED_VERSION)
		return STORED_FOREIGN;
	if (octets[AT_KIND] != kind || octets[AT_ZERO] != 0 || octets[AT_ZERO + 1] != 0 ||
	    (kind != STORED_REGISTRATION && octets[AT_VERSION] != STORED_FIRST))
		return STORED_DAMAGED;
	return STORED_OK;
}

/* Checks a record and its key, and reads what is behind the header. */
static enum stored_result open_record(enum stored_kind kind, const struct stored_key *key,
				      const void *record, size_t len, struct reader *reader)
{
	enum stored_result result = stored_check(kind, key, record, len);

	if (result != STORED_OK)
		return result;
	*reader = (struct reader){ .at = (const uint8_t *)record + STORED_HEADER,
				   .end = (const uint8_t *)record + len };
	return is_label(key->service) && record_text_is_id(key->id) ? STORED_OK : STORED_DAMAGED;
}

/* Whether all was good, and is read. */
static enum stored_result close_record(const struct reader *reader)
{
	if (reader->no_memory)
		return STORED_NO_MEMORY;
	return reader->bad || reader->at != reader->end ? STORED_DAMAGED : STORED_OK;
}

enum stored_result stored_get_registration(const struct stored_key *key, const void *record,
					   size_t len, struct registration **registration)
{
	struct registration *read;
	struct reader reader;
	enum stored_result result = open_record(STORED_REGISTRATION, key, record, len, &reader);

	if (result != STORED_OK)
		return result;
	read = record_registration_new();
	if (!read)
		return STORED_NO_MEMORY;
	take_identity(&reader, key, read);
	take_registration(&reader, read);
	refuse_if(&reader, ((const uint8_t *)record)[AT_VERSION] !=
				   (read->file ? STORED_FILES : STORED_FIRST));
	result = close_record(&reader);
	if (result == STORED_OK)
		*registration = read;
	else
		record_registration_free(read);
	return result;
}

enum stored_result stored_get_state(const struct stored_key *key, const void *record, size_t len,
				    struct stored_state *state)
{
	struct stored_state read = { .n_checks = 0 };
	struct reader reader;
	enum stored_result result = open_record(STORED_STATE, key, record, len, &reader);

	if (result != STORED_OK)
		return result;
	read.admin = within(&reader, take_u8(&reader), 0, ADMIN_DRAIN);
	read.reported = within(&reader, take_u8(&reader), 0, STATUS_CRITICAL);
	read.served_until = take_u64(&reader);
	refuse_if(&reader, read.served_until > INT64_MAX);
	read.registration_crc = take_u32(&reader);
	read.n_checks = (uint8_t)within(&reader, take_u8(&reader), 0, LIMIT_CHECKS);
	for (size_t i = 0; i < read.n_checks && !reader.bad; i++) {
		unsigned octet = take_u8(&reader);

		read.checks[i].has_run = octet & STATE_FLAG_HAS_RUN;
		read.checks[i].status =
			within(&reader, octet & (STATE_FLAG_HAS_RUN - 1u), 0, STATUS_CRITICAL);
	}
	result = close_record(&reader);
	if (result == STORED_OK)
		*state = read;
	return result;
}

/* ---- Policies ---- */

/* The fields, and which numbers each may have. */
static const struct {
	const char *name;
	uint32_t min, max;
} fields[STORED_FIELDS] = {
	[STORED_TTL] = { "ttl", 1, LIMIT_TTL_S },
	[STORED_ANSWER_LIMIT] = { "answer_limit", 0, LIMIT_ANSWER_LIMIT },
	[STORED_FAILURE] = { "failure", FAILURE_EMPTY, FAILURE_LAST },
	[STORED_PANIC] = { "panic_threshold", 0, 1000000 },
};

const char *stored_field_name(enum stored_field field)
{
	return fields[field].name;
}

bool stored_field_parse(const char *name, enum stored_field *field)
{
	for (unsigned i = 0; i < STORED_FIELDS; i++)
		if (strcmp(fields[i].name, name) == 0) {
			*field = i;
			return true;
		}
	return false;
}

enum stored_result stored_get_policy(const struct stored_key *key, const void *record, size_t len,
				     uint32_t *value)
{
	struct reader reader;
	enum stored_field field;
	enum stored_result result = open_record(STORED_POLICY, key, record, len, &reader);
	uint32_t read;

	if (result != STORED_OK)
		return result;
	if (!stored_field_parse(key->id, &field))
		return STORED_DAMAGED;
	read = within(&reader, take_u32(&reader), fields[field].min, fields[field].max);
	result = close_record(&reader);
	if (result == STORED_OK)
		*value = read;
	return result;
}

void stored_policy_set(struct stored_policy *policy, enum stored_field field, uint32_t value)
{
	switch (field) {
	case STORED_TTL:
		policy->ttl_s = value;
		policy->change.ttl_s = &policy->ttl_s;
		break;
	case STORED_ANSWER_LIMIT:
		policy->answer_limit = (uint16_t)value;
		policy->change.answer_limit = &policy->answer_limit;
		break;
	case STORED_FAILURE:
		policy->failure = value;
		policy->change.failure = &policy->failure;
		break;
	case STORED_PANIC:
		policy->panic_ppm = value;
		policy->change.panic_ppm = &policy->panic_ppm;
		break;
	case STORED_FIELDS:
		break;
	}
}

bool stored_policy_get(const struct change_policy *change, enum stored_field field, uint32_t *value)
{
	switch (field) {
	case STORED_TTL:
		*value = change->ttl_s ? *change->ttl_s : 0;
		return change->ttl_s;
	case STORED_ANSWER_LIMIT:
		*value = change->answer_limit ? *change->answer_limit : 0;
		return change->answer_limit;
	case STORED_FAILURE:
		*value = change->failure ? *change->failure : 0;
		return change->failure;
	case STORED_PANIC:
		*value = change->panic_ppm ? *change->panic_ppm : 0;
		return change->panic_ppm;
	case STORED_FIELDS:
		break;
	}
	return false;
}
