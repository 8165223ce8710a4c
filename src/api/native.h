/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * native: the dialect of rosterd itself: /registry, /health, /metrics, /server and /ui, one table
 * of routes for api_handle(). Each of them is described in openapi.json too, of which
 * rosterd-api(7) is made.
 */
#ifndef ROSTERD_API_NATIVE_H
#define ROSTERD_API_NATIVE_H

#include "api/api.h"

extern const struct api_route native_routes[];
extern const size_t native_n_routes;

#endif
