/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * file: a whole file in memory, for what is read at start and on reload.
 */
#ifndef ROSTERD_BASE_FILE_H
#define ROSTERD_BASE_FILE_H

#include "base/buf.h"

/*
 * Appends the content of a file of at most `size_max` octets to `out`, whose data is then not NULL.
 * -1 with a reason, valid until the thread's next call: it cannot be opened or read, is a
 * directory, pipe or socket, is larger, or there is no memory. Never waits for a writer.
 */
int file_read(const char *path, size_t size_max, struct buf *out, const char **reason);

#endif
