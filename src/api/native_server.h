/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * native_server: the calls about the server itself: /server and what is below it. A part of native.
 */
#ifndef ROSTERD_API_NATIVE_SERVER_H
#define ROSTERD_API_NATIVE_SERVER_H

#include "api/api.h"

/* Each is the handler of a route (struct api_route). */

/* Which process it is, since when, the zones; to who may replace it also what became of that. */
void native_server_describe(struct api *api, const struct api_request *request,
			    char *const *segments, uint64_t now_ms, struct api_reply *reply);

/* Who asks, and which rights that has: for each the patterns of services. */
void native_server_access(struct api *api, const struct api_request *request, char *const *segments,
			  uint64_t now_ms, struct api_reply *reply);

void native_server_reload(struct api *api, const struct api_request *request, char *const *segments,
			  uint64_t now_ms, struct api_reply *reply);
void native_server_replace(struct api *api, const struct api_request *request,
			   char *const *segments, uint64_t now_ms, struct api_reply *reply);

/* reply->zone: the caller sends the zone as a master file. */
void native_server_zone(struct api *api, const struct api_request *request, char *const *segments,
			uint64_t now_ms, struct api_reply *reply);

#endif
