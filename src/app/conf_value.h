/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_value: values of the configuration in text form, alike for the file and for flags. Each
 * function says false with a reason that reads on after the value: "'x' is no domain name".
 */
#ifndef ROSTERD_APP_CONF_VALUE_H
#define ROSTERD_APP_CONF_VALUE_H

#include "app/conf.h"

/* Fills zone->origin and zone->domain, which is heap-allocated. The root is refused. */
bool conf_value_domain(const char *text, struct conf_zone *zone, const char **reason);

/* Decimal digits, at most `max`; no reason. */
bool conf_value_number(const char *text, uint32_t max, uint32_t *value);

bool conf_value_workers(const char *text, unsigned *workers, const char **reason);

/* A duration of whole seconds, or a number of seconds; 1 to LIMIT_TTL_S. */
bool conf_value_ttl(const char *text, uint32_t *ttl_s, const char **reason);

/* Whether two are one place to listen at. A port of 0 is always another. */
bool conf_value_same_address(const struct listen_address *a, const struct listen_address *b);

/* Adds an address to a heap-allocated list of `*n`. Refuses a second like it. */
bool conf_value_put_address(const char *text, struct listen_address **list, size_t *n,
			    const char **reason);

/*
 * Writes "unknown <what> 'wokers', did you mean 'workers'?", or all `n` names where none is near.
 */
void conf_value_explain_unknown(const char *what, const char *text, const char *const *names,
				size_t n, char *message, size_t message_size);

#endif
