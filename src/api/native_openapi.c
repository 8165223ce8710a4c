/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/native_openapi.h"

void native_openapi_handle(struct api *api, const struct api_request *request,
			   char *const *segments, uint64_t now_ms, struct api_reply *reply)
{
	(void)api, (void)request, (void)segments, (void)now_ms;
	reply->status = 200;
	reply->content_type = "application/json";
	reply->body = native_openapi_text;
	reply->body_len = native_openapi_text_len;
}
