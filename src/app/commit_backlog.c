/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/commit_backlog.h"

#include "base/log.h"
#include "base/siphash.h"
#include "base/table.h"

#include <stdlib.h>
#include <string.h>

TAILQ_HEAD(keys, commit_key);

struct commit_backlog {
	struct siphash_key hash_key;
	struct table *keys;
	struct keys urgent, others;
};

/* What the table is asked for. */
struct name {
	const char *service, *id;
};

static bool is_named(const void *entry, const void *asked)
{
	const struct commit_key *key = entry;
	const struct name *name = asked;

	return strcmp(key->service, name->service) == 0 && strcmp(key->id, name->id) == 0;
}

static uint64_t hash_of(const struct commit_backlog *backlog, const char *service, const char *id)
{
	return siphash(&backlog->hash_key, service, strlen(service)) ^
	       siphash(&backlog->hash_key, id, strlen(id) + 1);
}

static struct commit_key *new_key(const char *service, const char *id)
{
	size_t service_len = strlen(service) + 1, id_len = strlen(id) + 1;
	struct commit_key *key = calloc(1, sizeof(*key) + service_len + id_len);

	if (!key)
		return NULL;
	memcpy(key->text, service, service_len);
	memcpy(key->text + service_len, id, id_len);
	key->service = key->text;
	key->id = key->text + service_len;
	return key;
}

static struct keys *list_of(struct commit_backlog *backlog, const struct commit_key *key)
{
	return key->is_urgent ? &backlog->urgent : &backlog->others;
}

static void add_work(struct commit_backlog *backlog, struct commit_key *key, enum commit_work work,
		     bool is_urgent)
{
	if (work > key->work)
		key->work = work;
	if (!is_urgent || key->is_urgent)
		return;
	TAILQ_REMOVE(&backlog->others, key, place);
	key->is_urgent = true;
	TAILQ_INSERT_TAIL(&backlog->urgent, key, place);
}

static struct commit_key *find(const struct commit_backlog *backlog, const char *service,
			       const char *id)
{
	const struct name name = { service, id };

	return table_find(backlog->keys, hash_of(backlog, service, id), &name);
}

static void log_lost(const char *service, const char *id)
{
	log_peer_event(LOG_ERROR, "record-not-saved", "service", service, "id", id, "error",
		       "out of memory", NULL);
}

static int insert(struct commit_backlog *backlog, struct commit_key *key)
{
	if (table_insert(backlog->keys, hash_of(backlog, key->service, key->id), key))
		return -1;
	TAILQ_INSERT_TAIL(list_of(backlog, key), key, place);
	return 0;
}

void commit_backlog_add(struct commit_backlog *backlog, const char *service, const char *id,
			enum commit_work work, bool is_urgent)
{
	struct commit_key *key = find(backlog, service, id);

	if (key) {
		add_work(backlog, key, work, is_urgent);
		return;
	}
	key = new_key(service, id);
	if (key) {
		key->work = work;
		key->is_urgent = is_urgent;
	}
	if (!key || insert(backlog, key)) {
		log_lost(service, id);
		free(key);
	}
}

static void leave(struct commit_backlog *backlog, struct commit_key *key)
{
	TAILQ_REMOVE(list_of(backlog, key), key, place);
	table_remove(backlog->keys, hash_of(backlog, key->service, key->id), key);
}

struct commit_key *commit_backlog_take(struct commit_backlog *backlog, bool any)
{
	struct commit_key *key = TAILQ_FIRST(&backlog->urgent);

	if (!key && any)
		key = TAILQ_FIRST(&backlog->others);
	if (key)
		leave(backlog, key);
	return key;
}

struct commit_key *commit_backlog_take_key(struct commit_backlog *backlog, const char *service,
					   const char *id)
{
	struct commit_key *key = find(backlog, service, id);

	if (key)
		leave(backlog, key);
	return key;
}

bool commit_backlog_has_whole(const struct commit_backlog *backlog, const char *service,
			      const char *id)
{
	const struct commit_key *key =
		commit_backlog_count(backlog) ? find(backlog, service, id) : NULL;

	return key && key->work == COMMIT_WHOLE;
}

void commit_backlog_put_back(struct commit_backlog *backlog, struct commit_key *key)
{
	struct commit_key *newer = find(backlog, key->service, key->id);

	if (newer) {
		add_work(backlog, newer, key->work, key->is_urgent);
		free(key);
	} else if (insert(backlog, key)) {
		log_lost(key->service, key->id);
		free(key);
	}
}

size_t commit_backlog_count(const struct commit_backlog *backlog)
{
	return table_count(backlog->keys);
}

bool commit_backlog_is_urgent(const struct commit_backlog *backlog)
{
	return !TAILQ_EMPTY(&backlog->urgent);
}

struct commit_backlog *commit_backlog_new(void)
{
	struct commit_backlog *backlog = calloc(1, sizeof(*backlog));

	if (!backlog)
		return NULL;
	siphash_key_init(&backlog->hash_key);
	TAILQ_INIT(&backlog->urgent);
	TAILQ_INIT(&backlog->others);
	backlog->keys = table_new(is_named);
	if (backlog->keys)
		return backlog;
	free(backlog);
	return NULL;
}

void commit_backlog_free(struct commit_backlog *backlog)
{
	struct commit_key *key;

	if (!backlog)
		return;
	while ((key = commit_backlog_take(backlog, true)))
		free(key);
	table_free(backlog->keys);
	free(backlog);
}
