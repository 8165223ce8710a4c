/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reload: configuration, zone files and those of TLS, read again while the server runs.
 */
#ifndef ROSTERD_APP_RELOAD_H
#define ROSTERD_APP_RELOAD_H

#include "api/api.h"
#include "app/conf.h"

/*
 * Reads all of them. Keys that differ from the old configuration and take a restart are named in
 * the log. The caller owns `conf`, and the zones: conf->n_zones of them; and `*tls`, NULL where
 * none is configured. NULL with a message: `conf` is empty.
 */
struct static_zone *reload_read(const struct conf *old, const struct conf_flags *flags,
				struct conf *conf, struct tls **tls, char *message,
				size_t message_size);

/*
 * The keys that take a restart and differ. `old` is what the process was started with, but for
 * guard and access.
 */
size_t reload_list_fixed(const struct conf *old, const struct conf *new,
			 const char *keys[API_FIXED]);

#endif
