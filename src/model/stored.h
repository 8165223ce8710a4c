/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stored: what of the registry survives a restart, as octets: the records of io/store.h. Pure.
 *
 *   kind          key                 what
 *   registration  service, id         what the service said of the instance
 *   state         service, id         what became of it: admin state, last known statuses
 *   policy        service, the field  one number that an operator set; a field that nobody set has
 *                                     no record, so that two changes never overwrite each other
 *
 * A record is one octet of format version, one of its kind, two of zero, a CRC-32C (base/crc32c.h)
 * of version, kind, key and payload, then the payload. Numbers are little-endian. The version is
 * the oldest that can say what is in the record: STORED_FILES for registrations that are from a
 * file of services, STORED_FIRST for everything else.
 *
 * The CRC covers the key, so a record that turns up under another key is damaged too. Every version
 * has these first octets, so one that is newer than we are is told from one that is damaged; it is
 * refused by name, never guessed at.
 *
 * What decodes is what would have been encoded: the same registration, the same octets.
 *
 * A state or policy without its registration is left from a crash between two commits: restoring
 * ignores it and the next commit removes it.
 */
#ifndef ROSTERD_MODEL_STORED_H
#define ROSTERD_MODEL_STORED_H

#include "base/buf.h"
#include "model/record.h"

enum {
	STORED_FIRST = 1,
	STORED_FILES = 2,
	STORED_VERSION = STORED_FILES,           /* the newest that we know */
	STORED_HEADER = 8,                       /* octets before the payload */
	STORED_KEY = LIMIT_LABEL + 1 + LIMIT_ID, /* the longest key, octets */
};

enum stored_kind {
	STORED_REGISTRATION = 1,
	STORED_STATE,
	STORED_POLICY,
};

enum stored_result {
	STORED_OK,
	STORED_DAMAGED, /* too short, CRC, or a payload that we would not have written */
	STORED_FOREIGN, /* a format version that is not ours */
	STORED_NO_MEMORY,
};

/* Whose record it is: service and id, or service and the name of a policy's field. */
struct stored_key {
	const char *service, *id;
};

/* What is known of an instance besides its registration. */
struct stored_state {
	enum admin admin;
	enum status reported;
	uint64_t served_until; /* as in struct instance */
	/*
	 * Of the checks in the registration's order, if it is still the one with this CRC; of
	 * another registration they mean nothing.
	 */
	uint32_t registration_crc;
	uint8_t n_checks;
	struct {
		enum status status;
		bool has_run;
	} checks[LIMIT_CHECKS];
};

/* The fields of a policy by the ids that their records have. */
enum stored_field {
	STORED_TTL,
	STORED_ANSWER_LIMIT,
	STORED_FAILURE,
	STORED_PANIC,
	STORED_FIELDS,
};
const char *stored_field_name(enum stored_field field); /* "ttl", "answer_limit", ... */
bool stored_field_parse(const char *name, enum stored_field *field);

/*
 * The fields as a change has them: `change` points to the numbers of those that are set. All zero:
 * none is.
 */
struct stored_policy {
	uint32_t ttl_s, panic_ppm;
	uint16_t answer_limit;
	enum failure failure;
	struct change_policy change;
};
void stored_policy_set(struct stored_policy *policy, enum stored_field field, uint32_t value);

/* What a change wants of a field. false: it stays. */
bool stored_policy_get(const struct change_policy *change, enum stored_field field,
		       uint32_t *value);

/* Append one record; check buf->failed. */
void stored_put_registration(struct buf *buf, const struct registration *registration);
void stored_put_state(struct buf *buf, const struct stored_key *key,
		      const struct stored_state *state);
void stored_put_policy(struct buf *buf, const struct stored_key *key, uint32_t value);

/*
 * The state of an instance as it is now. `registration_crc` is worked out anew; without memory it
 * is 0, and the checks begin anew after a restart.
 */
void stored_state_of(const struct instance *instance, struct stored_state *state);

/*
 * The same as it will be once `registration` is in place of the instance's: checks that stay the
 * same keep what is known of them, others begin anew, and what was reported is forgotten.
 */
void stored_state_after(const struct instance *instance, const struct registration *registration,
			struct stored_state *state);

/* Whether the record is whole and of this kind and key. Does not look into the payload. */
enum stored_result stored_check(enum stored_kind kind, const struct stored_key *key,
				const void *record, size_t len);

/*
 * Read one record, checked as stored_check() does and then by the same limits that hold for what
 * comes over HTTP. A registration is the caller's; else nothing is written.
 */
enum stored_result stored_get_registration(const struct stored_key *key, const void *record,
					   size_t len, struct registration **registration);
enum stored_result stored_get_state(const struct stored_key *key, const void *record, size_t len,
				    struct stored_state *state);
enum stored_result stored_get_policy(const struct stored_key *key, const void *record, size_t len,
				     uint32_t *value);

/* The CRC in a whole record's header: of a registration, what states refer to. */
uint32_t stored_crc(const void *record);

/* Forgets what the state says of checks unless they are those of this registration's record. */
void stored_match_state(struct stored_state *state, const void *registration_record);

#endif
