/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/store_lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
	MODE = 0640,
	/* The map is address space, not memory: but under RLIMIT_AS it counts. */
	MAP_MIN = 16 << 20,
	BUILD_CHUNK = 32 << 20, /* octets a transaction, which are in memory until its end */
	DISK_FULL = 1 << 20,    /* octets left where a short write means that there are none */
};

struct lmdb {
	char *path;
	MDB_env *env; /* NULL: shut. Set and cleared while there is no snapshot */
	MDB_dbi dbi;
	size_t map_size;

	pthread_mutex_t mutex;
	pthread_cond_t left;
	unsigned n_snapshots;
	atomic_bool is_closing; /* they are to end, and none may begin */
};

struct txn {
	struct lmdb *lmdb;
	MDB_txn *txn;
	bool is_full; /* the map is too small for it */
};

static int error_of(int rc)
{
	switch (rc) {
	case MDB_NOTFOUND:
		return ENOENT;
	case MDB_BAD_VALSIZE:
		return EINVAL;
	default:
		return rc >= 0 ? rc : EIO;
	}
}

static MDB_val val_of(const struct store_octets *octets)
{
	return (MDB_val){ octets->len, (void *)(uintptr_t)octets->data };
}

static void octets_of(const MDB_val *val, struct store_octets *octets)
{
	*octets = (struct store_octets){ val->mv_data, val->mv_size };
}

/* ---- Writing ---- */

static void *lmdb_new(const char *path)
{
	struct lmdb *lmdb = calloc(1, sizeof(*lmdb));

	if (!lmdb)
		return NULL;
	lmdb->path = strdup(path);
	if (!lmdb->path)
		goto err_lmdb;
	if (pthread_mutex_init(&lmdb->mutex, NULL))
		goto err_path;
	if (pthread_cond_init(&lmdb->left, NULL))
		goto err_mutex;
	atomic_init(&lmdb->is_closing, true);
	return lmdb;

err_mutex:
	pthread_mutex_destroy(&lmdb->mutex);
err_path:
	free(lmdb->path);
err_lmdb:
	free(lmdb);
	return NULL;
}

/* Returns when there is none; none begins before allow_snapshots(). */
static void end_snapshots(struct lmdb *lmdb)
{
	pthread_mutex_lock(&lmdb->mutex);
	atomic_store(&lmdb->is_closing, true);
	while (lmdb->n_snapshots)
		pthread_cond_wait(&lmdb->left, &lmdb->mutex);
	pthread_mutex_unlock(&lmdb->mutex);
}

static void allow_snapshots(struct lmdb *lmdb)
{
	pthread_mutex_lock(&lmdb->mutex);
	atomic_store(&lmdb->is_closing, false);
	pthread_mutex_unlock(&lmdb->mutex);
}

static void lmdb_shut(void *engine)
{
	struct lmdb *lmdb = engine;

	end_snapshots(lmdb);
	mdb_env_close(lmdb->env);
	lmdb->env = NULL;
}

static void lmdb_free(void *engine)
{
	struct lmdb *lmdb = engine;

	if (!lmdb)
		return;
	lmdb_shut(lmdb);
	pthread_cond_destroy(&lmdb->left);
	pthread_mutex_destroy(&lmdb->mutex);
	free(lmdb->path);
	free(lmdb);
}

/* With a quarter of room left, so that the map does not have to grow at once. */
static size_t map_size_for(uint64_t octets)
{
	size_t size = MAP_MIN;

	while (size / 4 * 3 < octets && size <= SIZE_MAX / 2)
		size *= 2;
	return size;
}

static int use_main_database(MDB_env *env, MDB_dbi *dbi)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);

	if (rc)
		return rc;
	rc = mdb_dbi_open(txn, NULL, 0, dbi);
	mdb_txn_abort(txn);
	return rc;
}

static int lmdb_open(void *engine)
{
	struct lmdb *lmdb = engine;
	struct stat status;
	int rc;

	if (lmdb->env)
		return 0;
	if (stat(lmdb->path, &status))
		return errno;
	if (status.st_size == 0) /* LMDB would make a new one of it */
		return EIO;
	rc = mdb_env_create(&lmdb->env);
	if (rc)
		return error_of(rc);
	lmdb->map_size = map_size_for((uint64_t)status.st_size);
	rc = mdb_env_set_mapsize(lmdb->env, lmdb->map_size);
	if (rc == 0)
		rc = mdb_env_open(lmdb->env, lmdb->path, MDB_NOSUBDIR | MDB_NOTLS, MODE);
	if (rc == 0)
		rc = use_main_database(lmdb->env, &lmdb->dbi);
	if (rc) {
		mdb_env_close(lmdb->env);
		lmdb->env = NULL;
		return error_of(rc);
	}
	allow_snapshots(lmdb);
	return 0;
}

static int grow(struct lmdb *lmdb)
{
	int rc;

	if (lmdb->map_size > SIZE_MAX / 2)
		return ENOMEM;
	end_snapshots(lmdb);
	lmdb->map_size *= 2;
	rc = mdb_env_set_mapsize(lmdb->env, lmdb->map_size);
	if (rc) { /* without any map */
		lmdb_shut(lmdb);
		return error_of(rc);
	}
	allow_snapshots(lmdb);
	return 0;
}

/* LMDB says EIO where the disk took the first part of a write and had no place for the rest. */
static int tell_full_disk(const struct lmdb *lmdb, int error)
{
	struct statvfs disk;

	if (error == EIO && statvfs(lmdb->path, &disk) == 0 &&
	    (uint64_t)disk.f_bavail * disk.f_frsize < DISK_FULL)
		return ENOSPC;
	return error;
}

static int lmdb_commit(void *engine, int (*work)(void *cookie, void *txn), void *cookie)
{
	struct lmdb *lmdb = engine;
	int rc, error;

	do {
		struct txn txn = { .lmdb = lmdb };

		rc = mdb_txn_begin(lmdb->env, NULL, 0, &txn.txn);
		if (rc)
			return error_of(rc);
		error = work(cookie, &txn);
		if (error) {
			mdb_txn_abort(txn.txn);
			rc = txn.is_full ? MDB_MAP_FULL : 0;
		} else {
			rc = mdb_txn_commit(txn.txn);
			error = tell_full_disk(lmdb, error_of(rc));
		}
		if (rc == MDB_MAP_FULL) {
			error = grow(lmdb);
			if (error)
				return error;
		}
	} while (rc == MDB_MAP_FULL);
	return error;
}

static int lmdb_get(void *cookie, const struct store_octets *key, struct store_octets *value)
{
	struct txn *txn = cookie;
	MDB_val key_val = val_of(key), value_val;
	int rc = mdb_get(txn->txn, txn->lmdb->dbi, &key_val, &value_val);

	if (rc == 0)
		octets_of(&value_val, value);
	return error_of(rc);
}

static int lmdb_put(void *cookie, const struct store_octets *key, const struct store_octets *value)
{
	struct txn *txn = cookie;
	MDB_val key_val = val_of(key), value_val = val_of(value);
	int rc = mdb_put(txn->txn, txn->lmdb->dbi, &key_val, &value_val, 0);

	txn->is_full |= rc == MDB_MAP_FULL;
	return error_of(rc);
}

static int lmdb_remove(void *cookie, const struct store_octets *key)
{
	struct txn *txn = cookie;
	MDB_val key_val = val_of(key);
	int rc = mdb_del(txn->txn, txn->lmdb->dbi, &key_val, NULL);

	txn->is_full |= rc == MDB_MAP_FULL;
	return error_of(rc);
}

static uint64_t lmdb_mark(void *cookie)
{
	struct txn *txn = cookie;

	return mdb_txn_id(txn->txn);
}

/* ---- Reading ---- */

struct cursor {
	struct reader *reader;
	MDB_cursor *cursor;
	struct cursor *next;
};

struct reader {
	struct lmdb *lmdb; /* of a snapshot; NULL: `env` is the reader's own */
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	struct cursor *cursors;
};

static bool enter(struct lmdb *lmdb)
{
	bool may;

	pthread_mutex_lock(&lmdb->mutex);
	may = !atomic_load(&lmdb->is_closing);
	if (may)
		lmdb->n_snapshots++;
	pthread_mutex_unlock(&lmdb->mutex);
	return may;
}

static void leave(struct lmdb *lmdb)
{
	pthread_mutex_lock(&lmdb->mutex);
	lmdb->n_snapshots--;
	pthread_cond_broadcast(&lmdb->left);
	pthread_mutex_unlock(&lmdb->mutex);
}

static int lmdb_snapshot(void *engine, void **result)
{
	struct lmdb *lmdb = engine;
	struct reader *reader;
	int rc;

	if (!enter(lmdb))
		return ECANCELED;
	reader = calloc(1, sizeof(*reader));
	if (!reader) {
		leave(lmdb);
		return ENOMEM;
	}
	reader->lmdb = lmdb;
	reader->dbi = lmdb->dbi;
	rc = mdb_txn_begin(lmdb->env, NULL, MDB_RDONLY, &reader->txn);
	if (rc) {
		free(reader);
		leave(lmdb);
		return error_of(rc);
	}
	*result = reader;
	return 0;
}

/*
 * A page with what LMDB starts from, as version 0.9 writes it (mdb.c: MDB_page, MDB_meta). There
 * are two, and transaction n writes the one of its parity, so that the other one stays whole
 * meanwhile.
 */
struct meta_page {
	size_t page;
	uint16_t pad, flags, lower, upper;
	uint32_t magic, version;
	void *address;
	size_t map_size;
	struct {
		uint32_t page_size; /* of the first one; the second has no use for it */
		uint16_t flags, depth;
		size_t branch_pages, leaf_pages, overflow_pages, entries, root;
	} trees[2]; /* of free pages, and ours */
	size_t last_page, txn;
};

enum {
	META_FLAGS = 0x08,
	META_VERSION = 1,
	PAGE_SIZE_MIN = 512,
	PAGE_SIZE_MAX = 65536,
};
#define META_MAGIC 0xbeefc0de

static bool is_meta(const struct meta_page *meta, size_t page)
{
	uint32_t page_size = meta->trees[0].page_size;

	return meta->page == page && meta->flags == META_FLAGS && meta->magic == META_MAGIC &&
	       meta->version == META_VERSION && page_size >= PAGE_SIZE_MIN &&
	       page_size <= PAGE_SIZE_MAX && (page_size & (page_size - 1)) == 0 &&
	       meta->txn % 2 == page;
}

/* LMDB starts from the newer one; were its number damaged, it would start from the older. */
static const char *check_metas(int fd, uint64_t size)
{
	struct meta_page metas[2];
	const struct meta_page *newest;

	if (pread(fd, &metas[0], sizeof(metas[0]), 0) != sizeof(metas[0]))
		return size == 0 ? "is empty" : "has no whole first page";
	if (!is_meta(&metas[0], 0))
		return "has a damaged first page";
	if (pread(fd, &metas[1], sizeof(metas[1]), metas[0].trees[0].page_size) != sizeof(metas[1]))
		return "has no whole second page";
	/* Before its first transaction, a file has 0 in both; we never leave one like that. */
	if (!is_meta(&metas[1], 1) || metas[1].trees[0].page_size != metas[0].trees[0].page_size)
		return "has a damaged second page";
	if (metas[0].txn + 1 != metas[1].txn && metas[1].txn + 1 != metas[0].txn)
		return "has first pages that do not belong together";
	newest = &metas[metas[1].txn > metas[0].txn];
	if (newest->last_page >= size / newest->trees[0].page_size)
		return "is too short";
	return NULL;
}

/* Of one that cannot be read for this reason. */
static enum store_fault fault_of(int rc)
{
	return rc == EIO || rc < 0 ? STORE_FAULT_DAMAGED : STORE_FAULT_ENVIRONMENT;
}

static void reader_free(void *cookie)
{
	struct reader *reader = cookie;
	struct cursor *cursor, *next;

	if (!reader)
		return;
	for (cursor = reader->cursors; cursor; cursor = next) {
		next = cursor->next;
		mdb_cursor_close(cursor->cursor);
		free(cursor);
	}
	mdb_txn_abort(reader->txn);
	mdb_env_close(reader->env);
	if (reader->lmdb)
		leave(reader->lmdb);
	free(reader);
}

/* Damage shows by LMDB's asserts too: they need no line of their own on standard error. */
static void on_assert(MDB_env *env, const char *text)
{
	(void)env;
	(void)text;
	abort();
}

static int reader_open(struct reader *reader, const char *path, uint64_t size)
{
	int rc = mdb_env_create(&reader->env);

	if (rc == 0)
		rc = mdb_env_set_assert(reader->env, on_assert);
	if (rc == 0)
		rc = mdb_env_set_mapsize(reader->env, (size_t)size);
	if (rc == 0)
		rc = mdb_env_open(reader->env, path,
				  MDB_NOSUBDIR | MDB_NOTLS | MDB_NOLOCK | MDB_RDONLY, MODE);
	if (rc == 0)
		rc = mdb_txn_begin(reader->env, NULL, MDB_RDONLY, &reader->txn);
	if (rc == 0)
		rc = mdb_dbi_open(reader->txn, NULL, 0, &reader->dbi);
	return rc;
}

static void *reader_new(const char *path, enum store_fault *fault, char *message,
			size_t message_size)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	const char *reason = NULL;
	struct stat status;
	int rc = reader ? 0 : ENOMEM, fd = open(path, O_RDONLY | O_CLOEXEC);

	if (rc == 0 && (fd < 0 || fstat(fd, &status)))
		rc = errno;
	if (rc == 0)
		reason = check_metas(fd, (uint64_t)status.st_size);
	if (fd >= 0)
		close(fd);
	*fault = STORE_FAULT_DAMAGED;
	if (rc == 0 && !reason)
		rc = reader_open(reader, path, (uint64_t)status.st_size);
	if (rc) {
		*fault = fault_of(rc);
		reason = mdb_strerror(rc);
	}
	if (!reason)
		return reader;
	snprintf(message, message_size, "%s", reason);
	reader_free(reader);
	return NULL;
}

static uint64_t reader_mark(void *cookie)
{
	struct reader *reader = cookie;

	return mdb_txn_id(reader->txn);
}

static void *cursor_new(void *cookie)
{
	struct reader *reader = cookie;
	struct cursor *cursor = calloc(1, sizeof(*cursor));

	if (!cursor)
		return NULL;
	if (mdb_cursor_open(reader->txn, reader->dbi, &cursor->cursor)) {
		free(cursor);
		return NULL;
	}
	cursor->reader = reader;
	cursor->next = reader->cursors;
	reader->cursors = cursor;
	return cursor;
}

/* One by one from the first: a search would trust the keys of inner pages, which nobody checked. */
static int cursor_next(void *cookie, struct store_octets *key, struct store_octets *value)
{
	struct cursor *cursor = cookie;
	const struct lmdb *lmdb = cursor->reader->lmdb;
	MDB_val key_val, value_val;
	int rc;

	if (lmdb && atomic_load_explicit(&lmdb->is_closing, memory_order_relaxed))
		return ECANCELED;
	rc = mdb_cursor_get(cursor->cursor, &key_val, &value_val, MDB_NEXT);
	if (rc == 0) {
		octets_of(&key_val, key);
		octets_of(&value_val, value);
	}
	return error_of(rc);
}

/* ---- Building a file ---- */

struct build {
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	uint64_t chunk; /* octets in the transaction so far */
};

static int begin(struct build *build)
{
	int rc = mdb_txn_begin(build->env, NULL, 0, &build->txn);

	build->chunk = 0;
	return rc ? rc : mdb_dbi_open(build->txn, NULL, 0, &build->dbi);
}

static int commit(struct build *build)
{
	int rc = mdb_txn_commit(build->txn);

	build->txn = NULL;
	return rc;
}

static int append(struct build *build, const struct store_octets *key,
		  const struct store_octets *value, unsigned flags)
{
	MDB_val key_val = val_of(key), value_val = val_of(value);
	int rc = 0;

	if (build->chunk > BUILD_CHUNK) {
		rc = commit(build);
		if (rc == 0)
			rc = begin(build);
	}
	build->chunk += key->len + value->len;
	return rc ? rc : mdb_put(build->txn, build->dbi, &key_val, &value_val, flags);
}

/* The seal is before all others, but known last. */
static int fill(struct build *build, store_engine_next *next,
		void (*seal)(void *cookie, uint64_t mark, struct store_octets *value), void *cookie)
{
	struct store_octets key, value;
	int rc = begin(build), error;

	while (rc == 0 && (error = next(cookie, &key, &value)) != ENOENT)
		rc = error ? error : append(build, &key, &value, MDB_APPEND);
	if (rc)
		return rc;
	key = STORE_ENGINE_SEAL;
	seal(cookie, mdb_txn_id(build->txn), &value);
	build->chunk = 0;
	rc = append(build, &key, &value, 0);
	if (rc == 0)
		rc = commit(build);
	return rc ? rc : mdb_env_sync(build->env, 1);
}

/*
 * At most half of a page stays empty, however long the records are; each has at least 16 octets,
 * and 16 more for LMDB. Address space is cheap.
 */
static size_t map_size_to_build(uint64_t octets)
{
	return map_size_for(4 * octets);
}

static int lmdb_build(const char *path, uint64_t octets, store_engine_next *next,
		      void (*seal)(void *cookie, uint64_t mark, struct store_octets *value),
		      void *cookie)
{
	struct build build = { 0 };
	int rc;

	if (unlink(path) && errno != ENOENT)
		return errno;
	rc = mdb_env_create(&build.env);
	if (rc)
		return error_of(rc);
	rc = mdb_env_set_mapsize(build.env, map_size_to_build(octets));
	if (rc == 0)
		rc = mdb_env_open(build.env, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC, MODE);
	if (rc == 0)
		rc = fill(&build, next, seal, cookie);
	mdb_txn_abort(build.txn);
	mdb_env_close(build.env);
	if (rc)
		unlink(path);
	return error_of(rc);
}

const struct store_engine store_lmdb_engine = {
	.engine_new = lmdb_new,
	.engine_free = lmdb_free,
	.open = lmdb_open,
	.shut = lmdb_shut,
	.commit = lmdb_commit,
	.get = lmdb_get,
	.put = lmdb_put,
	.remove = lmdb_remove,
	.mark = lmdb_mark,
	.snapshot = lmdb_snapshot,
	.reader_new = reader_new,
	.reader_free = reader_free,
	.reader_mark = reader_mark,
	.cursor_new = cursor_new,
	.cursor_next = cursor_next,
	.build = lmdb_build,
};
