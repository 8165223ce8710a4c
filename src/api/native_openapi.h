/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * native_openapi: GET /openapi.json, the description of the HTTP port for programs (OpenAPI 3.1):
 * the file openapi.json beside this one, which the build turns into native_openapi_text. That it
 * has every route and nothing else is tested (tests/check-manual, tests/daemon/d42_openapi.py).
 */
#ifndef ROSTERD_API_NATIVE_OPENAPI_H
#define ROSTERD_API_NATIVE_OPENAPI_H

#include "api/api.h"

extern const char native_openapi_text[];
extern const size_t native_openapi_text_len;

void native_openapi_handle(struct api *api, const struct api_request *request,
			   char *const *segments, uint64_t now_ms, struct api_reply *reply);

#endif
