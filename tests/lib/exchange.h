/* SPDX-License-Identifier: BSD-2-Clause */
/* One request to the HTTP port's routes after the other, without a socket. */
#ifndef ROSTERD_TESTS_EXCHANGE_H
#define ROSTERD_TESTS_EXCHANGE_H

#include "api/api.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Ends the exchange before and begins the next: `reply` is what `request` gets, `json` its body, or
 * NULL if that is no JSON. A write is applied as soon as it is checked. Returns whether it was one.
 */
bool exchange(struct api *api, const struct api_request *request, uint64_t now_ms,
	      struct api_reply *reply, json_t **json);

void exchange_end(struct api_reply *reply, json_t **json);

#endif
