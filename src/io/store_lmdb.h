/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_lmdb: the embedded engine, LMDB: one file, read through a memory map, written by commits
 * that end in an fsync. Its lock file (the path and "-lock") is for our own threads: the writer
 * must not take pages that a snapshot still reads.
 */
#ifndef ROSTERD_IO_STORE_LMDB_H
#define ROSTERD_IO_STORE_LMDB_H

#include "io/store_engine.h"

extern const struct store_engine store_lmdb_engine;

#endif
