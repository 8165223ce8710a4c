/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * revision: what survives a restart so far, the numbering of changes, in the data directory.
 *
 * The file `revision` holds a number that no revision handed out is above. At start a block of 2^24
 * is reserved and written down, durably, before the first change; a block that runs out is followed
 * by the next one. So revisions never go back, whatever ends the process, and a change costs no
 * disk write. A clean stop writes the newest one, so that only a crash costs a block, and SOA
 * serials stay in the order of RFC 1982 over a hundred crashes between two looks.
 *
 * Behind the number the file says whether a store was there when it was written, so that the next
 * start knows of one that somebody has removed since.
 *
 * The file `lock` is held while the process lives: one server per data directory.
 */
#ifndef ROSTERD_APP_REVISION_H
#define ROSTERD_APP_REVISION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct revision;

/*
 * Takes the directory, which is made if it is missing, and the first block. NULL with a message:
 * the directory cannot be made or written, another server holds it, the file is not what we wrote.
 */
struct revision *revision_open(const char *directory, char *message, size_t message_size);
/*
 * The same in place of the server that is replaced, whose lock this process was given; it is taken
 * over even on failure.
 */
struct revision *revision_take_over(const char *directory, int lock, char *message,
				    size_t message_size);
void revision_close(struct revision *revision);

/* The descriptor that holds the lock as long as any process has it. */
int revision_lock(const struct revision *revision);

/* The first number of the block that open reserved. */
uint64_t revision_first(const struct revision *revision);

/* Whether a process before this one had a store in the directory, so far as is known. */
bool revision_had_store(const struct revision *revision);

/* To be told the newest revision now and then: reserves the next block in time. -1 with errno. */
int revision_advance(struct revision *revision, uint64_t newest);

/* Before a clean stop: writes down the newest revision instead of the block's end. -1 with errno.
 */
int revision_settle(struct revision *revision, uint64_t newest);

#endif
