/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_file: the configuration file, strict YAML by libyaml: no aliases, anchors or tags, one
 * document; an unknown or repeated key is an error.
 */
#ifndef ROSTERD_APP_CONF_FILE_H
#define ROSTERD_APP_CONF_FILE_H

#include "app/conf_reader.h"

/*
 * Fills in what the file says and leaves the rest of `conf` alone. Paths are made relative to the
 * working directory, except for zones' files, which stay as written. `*zone_dir` is heap-allocated
 * if the file has one. -1 with "FILE:LINE:COLUMN: reason"; `conf` and `zone_dir` are to be freed
 * either way.
 */
int conf_file_read(const char *path, struct conf *conf, char **zone_dir, char *message,
		   size_t message_size);

/* The keys that it knows, but for those of `access` (app/conf_access.h); a NULL name ends them. */
extern const struct conf_table conf_file_tables[];

/* `path` as seen from the folder of `file`; on the heap, NULL when out of memory. */
char *conf_file_path(const char *file, const char *path);

#endif
