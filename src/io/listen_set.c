/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/listen_set.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int listen_set_put(struct listen_set *set, int fd)
{
	if (set->n == set->cap) {
		size_t cap = set->cap ? set->cap * 2 : 16;
		int *fds = realloc(set->fds, cap * sizeof(*fds));

		if (!fds)
			return -1;
		set->fds = fds;
		set->cap = cap;
	}
	set->fds[set->n++] = fd;
	return 0;
}

static size_t find(const struct listen_set *set, int type, bool shared,
		   const struct listen_address *address)
{
	size_t i = 0;

	while (i < set->n && !listen_matches(set->fds[i], type, shared, address))
		i++;
	return i;
}

bool listen_set_has(const struct listen_set *set, int type, bool shared,
		    const struct listen_address *address)
{
	return find(set, type, shared, address) < set->n;
}

int listen_set_take(struct listen_set *set, int type, bool shared, struct listen_address *address)
{
	size_t at = find(set, type, shared, address);
	int fd;

	if (at == set->n)
		return -1;
	fd = set->fds[at];
	set->fds[at] = set->fds[--set->n];
	if (listen_adopt(fd, type, shared, address) == 0)
		return fd;
	log_event(LOG_WARNING, "socket-refused", "addr", address->text, "error", strerror(errno),
		  NULL);
	close(fd);
	return -1;
}

size_t listen_set_fini(struct listen_set *set)
{
	size_t n = set->n;

	for (size_t i = 0; i < n; i++)
		close(set->fds[i]);
	free(set->fds);
	*set = (struct listen_set){ .fds = NULL };
	return n;
}
