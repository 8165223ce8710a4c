/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * native_why: GET /registry/why, inside of the native dialect (api/native.h).
 */
#ifndef ROSTERD_API_NATIVE_WHY_H
#define ROSTERD_API_NATIVE_WHY_H

#include "api/api.h"

/* The handler of a route, see api/api.h. */
void native_why_handle(struct api *api, const struct api_request *request, char *const *segments,
		       uint64_t now_ms, struct api_reply *reply);

#endif
