/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * access: who may do what over HTTP. Pure.
 *
 * An entry is somebody: the holder of a token ("Authorization: Bearer TOKEN", RFC 6750), of which
 * only the SHA-256 is known here, or of a client certificate with this name. It has rights, each
 * for services by a pattern of their names:
 *
 *     payment      this service alone
 *     payment-*    services whose names begin with "payment-"
 *     *            all of them
 *
 * ADMIN includes REGISTER, which includes READ. What no entry allows is denied. Without a single
 * entry everybody may do everything: whoever opens the doors then sees to it that only this host
 * can reach them (app/conf.h).
 *
 * Tokens must be random and long: a plain hash of what people make up can be guessed.
 */
#ifndef ROSTERD_API_ACCESS_H
#define ROSTERD_API_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ACCESS_DIGEST = 32 /* octets of a SHA-256 */
};

/* In this order: each includes those before it. */
enum access_right {
	ACCESS_NONE,
	ACCESS_READ,
	ACCESS_REGISTER, /* and heartbeats, and deregister */
	ACCESS_ADMIN,    /* take instances out, set policies */
};

struct access_grant {
	enum access_right right;
	char *pattern;
};

struct access_entry {
	char *name;     /* for the log */
	char *identity; /* of a certificate; NULL: it has a token */
	bool has_token;
	uint8_t token[ACCESS_DIGEST];
	struct access_grant *grants;
	size_t n_grants;
};

/* Whoever fills it does so with malloc; all zero: no entry. */
struct access {
	struct access_entry *entries;
	size_t n;
};

/* "read", "register", "admin". */
const char *access_right_name(enum access_right right);

/* Reads the SHA-256 of a token: 64 hexadecimal digits. */
bool access_token_parse(const char *text, uint8_t token[ACCESS_DIGEST]);

/* Whether this is a pattern, in lower case. */
bool access_pattern_is_valid(const char *pattern);

/*
 * Who asks (`access` NULL: as without entries): by the value of its Authorization header, or the
 * name that its certificate has (NULL: none). A token goes before a certificate: one that is not
 * known is not made up for. NULL: nobody that is known. Takes as long whichever token it is.
 */
const struct access_entry *access_find(const struct access *access, const char *authorization,
				       const char *identity);

/*
 * Whether `who` (NULL: nobody) has the right for a service; without one, for all that there may
 * ever be.
 */
bool access_allows(const struct access_entry *who, enum access_right right, const char *service);

/* Whether `who` has the right for any service at all. */
bool access_allows_some(const struct access_entry *who, enum access_right right);

/* Whether both are for one token, or one certificate. */
bool access_entry_is_same(const struct access_entry *a, const struct access_entry *b);

bool access_equal(const struct access *a, const struct access *b);

void access_fini(struct access *access);

#endif
