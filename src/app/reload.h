/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reload: configuration and zone files, read again while the server runs.
 */
#ifndef ROSTERD_APP_RELOAD_H
#define ROSTERD_APP_RELOAD_H

#include "app/conf.h"

/*
 * Reads both. Keys that differ from the old configuration and take a restart are named in the log.
 * The caller owns `conf`, and the zones: conf->n_zones of them. NULL with a message: `conf` is
 * empty.
 */
struct static_zone *reload_read(const struct conf *old, const struct conf_flags *flags,
				struct conf *conf, char *message, size_t message_size);

#endif
