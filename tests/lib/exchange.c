/* SPDX-License-Identifier: BSD-2-Clause */
#include "exchange.h"

#include "api/native.h"
#include "api/native_write.h"

void exchange_end(struct api_reply *reply, json_t **json)
{
	json_decref(*json);
	*json = NULL;
	api_reply_fini(reply);
}

bool exchange(struct api *api, const struct api_request *request, uint64_t now_ms,
	      struct api_reply *reply, json_t **json)
{
	struct api_write *write;

	exchange_end(reply, json);
	api_handle(api, native_routes, native_n_routes, request, now_ms, reply);
	write = reply->write;
	if (write) {
		native_write_finish(api, write, now_ms, reply);
		native_write_free(write);
	}
	*json = json_loadb(reply->body ? reply->body : "", reply->body_len, JSON_REJECT_DUPLICATES,
			   NULL);
	return write;
}
