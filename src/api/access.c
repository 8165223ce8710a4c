/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/access.h"

#include "base/limits.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- Texts ---- */

const char *access_right_name(enum access_right right)
{
	static const char *const names[] = {
		[ACCESS_NONE] = "none",
		[ACCESS_READ] = "read",
		[ACCESS_REGISTER] = "register",
		[ACCESS_ADMIN] = "admin",
	};

	return names[right];
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *digit = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;

	return digit ? (int)(digit - digits) : -1;
}

bool access_token_parse(const char *text, uint8_t token[ACCESS_DIGEST])
{
	if (strlen(text) != 2 * ACCESS_DIGEST)
		return false;
	for (size_t i = 0; i < ACCESS_DIGEST; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		token[i] = (uint8_t)(high * 16 + low);
	}
	return true;
}

bool access_pattern_is_valid(const char *pattern)
{
	size_t len = strspn(pattern, "abcdefghijklmnopqrstuvwxyz0123456789-");
	bool is_prefix = strcmp(pattern + len, "*") == 0;

	if (len == 0)
		return is_prefix;
	if (len > LIMIT_LABEL || pattern[0] == '-')
		return false;
	return is_prefix || (!pattern[len] && pattern[len - 1] != '-');
}

/* ---- Who ---- */

/* The token in the value of an Authorization header; NULL: it has none. */
static const char *bearer_token(const char *authorization)
{
	static const char scheme[] = "Bearer ";
	const char *token;

	if (strncasecmp(authorization, scheme, sizeof(scheme) - 1) != 0)
		return NULL;
	token = authorization + sizeof(scheme) - 1;
	token += strspn(token, " ");
	return *token ? token : NULL;
}

static const struct access_entry *find_token(const struct access *access, const char *token)
{
	const struct access_entry *found = NULL;
	uint8_t digest[ACCESS_DIGEST];

	if (!EVP_Digest(token, strlen(token), digest, NULL, EVP_sha256(), NULL))
		return NULL;
	for (size_t i = 0; i < access->n; i++) {
		const struct access_entry *entry = &access->entries[i];

		if (CRYPTO_memcmp(entry->token, digest, sizeof(digest)) == 0 && entry->has_token)
			found = entry;
	}
	return found;
}

static const struct access_entry *find_identity(const struct access *access, const char *identity)
{
	for (size_t i = 0; i < access->n; i++)
		if (access->entries[i].identity &&
		    strcmp(access->entries[i].identity, identity) == 0)
			return &access->entries[i];
	return NULL;
}

static struct access_grant everything = { ACCESS_ADMIN, (char[]){ "*" } };
static const struct access_entry everybody = {
	.name = (char[]){ "" },
	.grants = &everything,
	.n_grants = 1,
};

const struct access_entry *access_find(const struct access *access, const char *authorization,
				       const char *identity)
{
	const char *token;

	if (!access || !access->n)
		return &everybody;
	if (authorization) {
		token = bearer_token(authorization);
		return token ? find_token(access, token) : NULL;
	}
	return identity ? find_identity(access, identity) : NULL;
}

/* ---- What ---- */

static bool matches(const char *pattern, const char *service)
{
	size_t len = strcspn(pattern, "*");

	if (!service)
		return strcmp(pattern, "*") == 0;
	return pattern[len] ? strncmp(pattern, service, len) == 0 : strcmp(pattern, service) == 0;
}

bool access_allows(const struct access_entry *who, enum access_right right, const char *service)
{
	for (size_t i = 0; who && i < who->n_grants; i++)
		if (who->grants[i].right >= right && matches(who->grants[i].pattern, service))
			return true;
	return false;
}

bool access_allows_some(const struct access_entry *who, enum access_right right)
{
	for (size_t i = 0; who && i < who->n_grants; i++)
		if (who->grants[i].right >= right)
			return true;
	return false;
}

/* ---- Entries ---- */

static bool equal_texts(const char *a, const char *b)
{
	return !a || !b ? a == b : strcmp(a, b) == 0;
}

bool access_entry_is_same(const struct access_entry *a, const struct access_entry *b)
{
	return equal_texts(a->identity, b->identity) && a->has_token == b->has_token &&
	       memcmp(a->token, b->token, sizeof(a->token)) == 0;
}

static bool equal_entries(const struct access_entry *a, const struct access_entry *b)
{
	if (!access_entry_is_same(a, b) || !equal_texts(a->name, b->name) ||
	    a->n_grants != b->n_grants)
		return false;
	for (size_t i = 0; i < a->n_grants; i++)
		if (a->grants[i].right != b->grants[i].right ||
		    !equal_texts(a->grants[i].pattern, b->grants[i].pattern))
			return false;
	return true;
}

bool access_equal(const struct access *a, const struct access *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!equal_entries(&a->entries[i], &b->entries[i]))
			return false;
	return true;
}

void access_fini(struct access *access)
{
	for (size_t i = 0; i < access->n; i++) {
		struct access_entry *entry = &access->entries[i];

		for (size_t k = 0; k < entry->n_grants; k++)
			free(entry->grants[k].pattern);
		free(entry->grants);
		free(entry->name);
		free(entry->identity);
	}
	free(access->entries);
	*access = (struct access){ .n = 0 };
}
