/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zones: the configured zones' static content, from their files or built in, ready for
 * compile_set_zones().
 */
#ifndef ROSTERD_APP_ZONES_H
#define ROSTERD_APP_ZONES_H

#include "app/conf.h"

/*
 * Reads every zone of the configuration. NULL with a message, which names file and line where a
 * file is bad. The caller frees with zones_free(), or hands the contents to compile_set_zones() and
 * frees the array alone.
 */
struct static_zone *zones_read(const struct conf *conf, char *message, size_t message_size);
void zones_free(struct static_zone *zones, size_t n);

#endif
