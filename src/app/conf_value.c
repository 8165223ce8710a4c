/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/conf_value.h"

#include "dns/name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Letters, digits, hyphens and underscores: the name is also part of a file name. */
static bool is_plain_name(const uint8_t *name)
{
	for (; *name; name += 1u + *name)
		for (unsigned i = 1; i <= *name; i++)
			if (!((name[i] >= 'a' && name[i] <= 'z') ||
			      (name[i] >= '0' && name[i] <= '9') || name[i] == '-' ||
			      name[i] == '_'))
				return false;
	return true;
}

bool conf_value_domain(const char *text, struct conf_zone *zone, const char **reason)
{
	char domain[NAME_TEXT_MAX];

	zone->origin_len = name_parse(text, zone->origin);
	if (!zone->origin_len || !is_plain_name(zone->origin)) {
		*reason = "is no domain name";
		return false;
	}
	if (zone->origin_len == 1) {
		*reason = "is the root zone, which cannot be served";
		return false;
	}
	if (zone->origin_len > LIMIT_ORIGIN) {
		*reason = "is too long for a zone: names below it must fit too";
		return false;
	}
	name_print(zone->origin, zone->origin_len, domain);
	zone->domain = strdup(domain);
	*reason = "does not fit into memory";
	return zone->domain;
}

bool conf_value_number(const char *text, uint32_t max, uint32_t *value)
{
	uint64_t sum = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		sum = sum * 10 + (uint64_t)(*text - '0');
		if (sum > max)
			return false;
	}
	*value = (uint32_t)sum;
	return true;
}

bool conf_value_workers(const char *text, unsigned *workers, const char **reason)
{
	static char range[64];
	uint32_t value;

	if (conf_value_number(text, LIMIT_WORKERS, &value) && value > 0) {
		*workers = value;
		return true;
	}
	snprintf(range, sizeof(range), "is no number from 1 to %d", LIMIT_WORKERS);
	*reason = range;
	return false;
}

bool conf_value_ttl(const char *text, uint32_t *ttl_s, const char **reason)
{
	static char range[64];
	uint64_t ms;

	if (conf_value_number(text, LIMIT_TTL_S, ttl_s) && *ttl_s > 0)
		return true;
	if (record_duration_parse(text, &ms) && ms % 1000 == 0 && ms > 0 &&
	    ms / 1000 <= LIMIT_TTL_S) {
		*ttl_s = (uint32_t)(ms / 1000);
		return true;
	}
	snprintf(range, sizeof(range), "is no duration from 1s to %ds in whole seconds",
		 LIMIT_TTL_S);
	*reason = range;
	return false;
}

static bool equal_address(const struct listen_address *a, const struct listen_address *b)
{
	return a->len == b->len && memcmp(&a->sockaddr, &b->sockaddr, a->len) == 0;
}

bool conf_value_same_address(const struct listen_address *a, const struct listen_address *b)
{
	const char *port = strrchr(a->text, '@');

	return equal_address(a, b) && strspn(port + 1, "0") != strlen(port + 1);
}

bool conf_value_put_address(const char *text, struct listen_address **list, size_t *n,
			    const char **reason)
{
	struct listen_address address, *grown;

	if (!listen_parse(text, &address, reason))
		return false;
	if (*n == LIMIT_ADDRESSES) {
		*reason = "is one address too many";
		return false;
	}
	for (size_t i = 0; i < *n; i++) {
		if (equal_address(&(*list)[i], &address)) {
			*reason = "is there twice";
			return false;
		}
	}
	grown = realloc(*list, (*n + 1) * sizeof(**list));
	if (!grown) {
		*reason = "does not fit into memory";
		return false;
	}
	grown[(*n)++] = address;
	*list = grown;
	return true;
}

enum {
	WORD_MAX = 32 /* no name is longer; what is longer is near to none */
};

static size_t min(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Levenshtein's distance; only one row of the matrix is kept. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t row[WORD_MAX + 1], a_len = strlen(a), b_len = strlen(b);

	if (a_len > WORD_MAX || b_len > WORD_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t changed = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = min(changed, 1 + min(row[j], row[j - 1]));
		}
	}
	return row[b_len];
}

void conf_value_explain_unknown(const char *what, const char *text, const char *const *names,
				size_t n, char *message, size_t message_size)
{
	size_t best = 0, best_distance = SIZE_MAX, len;

	for (size_t i = 0; i < n; i++) {
		size_t distance = edit_distance(text, names[i]);

		if (distance < best_distance) {
			best = i;
			best_distance = distance;
		}
	}
	if (best_distance <= (strlen(names[best]) - 1) / 2) {
		snprintf(message, message_size, "unknown %s '%.40s', did you mean '%s'?", what,
			 text, names[best]);
		return;
	}
	snprintf(message, message_size, "unknown %s '%.40s' (known:", what, text);
	for (size_t i = 0; i < n; i++) {
		len = strlen(message);
		snprintf(message + len, message_size - len, " %s%s", names[i],
			 i + 1 < n ? "," : ")");
	}
}
