/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_merge: the records of a store, which stand by kind, brought together by instance. Two
 * cursors over the same records do it, one ahead of the other. A state without a registration is
 * left out.
 */
#ifndef ROSTERD_IO_STORE_MERGE_H
#define ROSTERD_IO_STORE_MERGE_H

#include "io/store_engine.h"
#include "model/stored.h"

struct store_merge {
	store_engine_next *next;
	void *front, *side; /* two cursors, both before the first record */

	/* store_merge.c alone: where the side is */
	int side_error; /* ENOENT: at its end */
	struct store_octets side_key, side_value;
};

void store_merge_init(struct store_merge *merge, store_engine_next *next, void *front, void *side);

struct store_merged {
	enum stored_kind kind;      /* STORED_REGISTRATION or STORED_POLICY; 0: the seal */
	struct store_octets key;    /* as store_key_print() makes it */
	struct store_octets record; /* or the seal */
	struct store_octets state;  /* data NULL: there is none */
};

/* Instances, then policies; the seal first. ENOENT: there are no more. */
int store_merge_next(struct store_merge *merge, struct store_merged *merged);

/* A store_engine_next of a merge: the records as they stand, but the seal, for a new file. */
int store_merge_record(void *merge, struct store_octets *key, struct store_octets *value);

#endif
