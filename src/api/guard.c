/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/guard.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
	HOST_MAX = LIMIT_NAME + 8 /* a name, a colon and a port */
};

/*
 * Takes "name", "name:80", "192.0.2.1:80" or "[::1]:80" apart (RFC 3986 3.2.2) into what stands
 * before the port, without brackets. false: it is nothing of that.
 */
static bool split_host(const char *host, char name[HOST_MAX])
{
	bool is_v6 = *host == '[';
	size_t len = is_v6 ? strcspn(++host, "]") : strcspn(host, ":");
	const char *port = host + len;

	if (len == 0 || len >= HOST_MAX || (is_v6 && *port++ != ']'))
		return false;
	if (*port && (*port != ':' || strspn(port + 1, "0123456789") != strlen(port + 1)))
		return false;
	memcpy(name, host, len);
	name[len] = '\0';
	return true;
}

static bool is_in(const char *text, char **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(text, list[i]) == 0)
			return true;
	return false;
}

/* "localhost" and what is below it never leave this host (RFC 6761 6.3). */
static bool is_localhost(const char *name)
{
	static const char localhost[] = "localhost";
	size_t len = strlen(name), tail = sizeof(localhost) - 1;

	return len >= tail && strcasecmp(name + len - tail, localhost) == 0 &&
	       (len == tail || name[len - tail - 1] == '.');
}

static bool is_ours(const struct guard *guard, const char *host, const struct address *local)
{
	char name[HOST_MAX];
	struct address address = { .has_v4 = false };
	const char *reason;

	if (!split_host(host, name))
		return false;
	if (is_localhost(name) || is_in(name, guard->names, guard->n_names))
		return true;
	if (!record_address_parse(name, &address, &reason))
		return false;
	return record_address_is_loopback(&address) || record_address_equal(&address, local);
}

/* A page that came from where the request goes to: its Origin is a scheme and the same Host. */
static bool is_own_page(const char *origin, const char *host)
{
	static const char *const schemes[] = { "http://", "https://" };

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t len = strlen(schemes[i]);

		if (strncasecmp(origin, schemes[i], len) == 0)
			return strcasecmp(origin + len, host) == 0;
	}
	return false;
}

bool guard_passes(const struct guard *guard, const char *host, const char *origin,
		  const struct address *local, int *status, const char **reason)
{
	if (!host || !is_ours(guard, host, local)) {
		*status = 421;
		*reason = "Host is not a name of this server: use its address, or add the name to "
			  "\"http-names\" of the configuration";
		return false;
	}
	if (!origin || is_own_page(origin, host) || is_in(origin, guard->origins, guard->n_origins))
		return true;
	*status = 403;
	*reason = "requests from pages of this Origin are not allowed: see \"http-origins\" of the "
		  "configuration";
	return false;
}
