/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * registration: what POST /registry/register takes, made of options. Pure.
 */
#ifndef ROSTERD_CTL_REGISTRATION_H
#define ROSTERD_CTL_REGISTRATION_H

#include "ctl/args.h"

#include <jansson.h>

/* The options that make one. */
#define REGISTRATION_OPTIONS                                                                     \
	(ARGS_BIT(ARGS_NAME) | ARGS_BIT(ARGS_ID) | ARGS_BIT(ARGS_IP) | ARGS_BIT(ARGS_PORT) |     \
	 ARGS_BIT(ARGS_NAMED_PORT) | ARGS_BIT(ARGS_PROTOCOL) | ARGS_BIT(ARGS_PRIORITY) |         \
	 ARGS_BIT(ARGS_WEIGHT) | ARGS_BIT(ARGS_TAG) | ARGS_BIT(ARGS_META) | ARGS_BIT(ARGS_TTL) | \
	 ARGS_BIT(ARGS_LEASE) | ARGS_BIT(ARGS_HEALTH))

/*
 * What the options say; "ip" is there only if they say it, "lease" also if `lease` is not NULL.
 * NULL with a message. What the values may be is the server's to judge, but for numbers.
 */
json_t *registration_json(const struct args *args, const char *lease, char *message,
			  size_t message_size);

#endif
