/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * native_write: the requests of the native dialect that change something, in two phases: a handler
 * reads the whole request, refuses what it can refuse by itself, and hands the rest over as a
 * `struct api_write` (api_reply.write); once that is on disk, native_write_finish() applies it and
 * makes the reply.
 *
 * What is not kept on disk (heartbeats), or changes nothing of what is (renewals), is applied and
 * answered by the handler.
 *
 * Control thread only.
 */
#ifndef ROSTERD_API_NATIVE_WRITE_H
#define ROSTERD_API_NATIVE_WRITE_H

#include "api/api.h"
#include "model/codec.h"

/* One change that a request asks for. */
struct api_slot {
	/* A registration is the slot's until it is applied; then it is NULL. */
	struct change change;
	bool is_applied; /* the registry has it, whatever its status: perhaps that cannot be said */
	/* 0: to be applied; afterwards, or if it was refused before, what it came to in HTTP. */
	int status;
	struct json_t *said; /* what there is to say of it, once it has a status; NULL: no memory */
	bool is_stored;      /* for whoever keeps it: there are records of it on their way */
	/* native_write.c alone: what `change` points to */
	char service[LIMIT_LABEL + 1];
	char *id;
	union {
		struct codec_policy policy;
		struct codec_heartbeat heartbeat;
	};
};

/* What one request asks for, in the order in which it is applied. */
struct api_write {
	struct json_t *json; /* the request; changes point into it; NULL: it had no body */
	/*
	 * For who asks without a request: called by native_write_free(), with what became of it in
	 * the slots. NULL: for nobody.
	 */
	void (*on_end)(void *cookie, struct api_write *write);
	void *cookie;
	bool is_array;
	size_t n;
	struct api_slot slots[];
};

void native_write_register(struct api *api, const struct api_request *request,
			   char *const *segments, uint64_t now_ms, struct api_reply *reply);
void native_write_heartbeat(struct api *api, const struct api_request *request,
			    char *const *segments, uint64_t now_ms, struct api_reply *reply);
void native_write_deregister(struct api *api, const struct api_request *request,
			     char *const *segments, uint64_t now_ms, struct api_reply *reply);
void native_write_delete(struct api *api, const struct api_request *request, char *const *segments,
			 uint64_t now_ms, struct api_reply *reply);
void native_write_policy(struct api *api, const struct api_request *request, char *const *segments,
			 uint64_t now_ms, struct api_reply *reply);
void native_write_admin(struct api *api, const struct api_request *request, char *const *segments,
			uint64_t now_ms, struct api_reply *reply);

/* One with room for so many slots, and none yet; NULL when out of memory. */
struct api_write *native_write_new(size_t n_max);

/* Adds a slot that deregisters what is this file's; the strings but the id stay the caller's. */
bool native_write_put_departure(struct api_write *write, const char *service, const char *id,
				const char *file);

/* Refuses one slot, as the registry would: it is not applied. */
void native_write_deny(struct api_write *write, size_t slot, const struct outcome *outcome);

/* Applies every slot that has no status yet, in order, and makes the reply to the request. */
void native_write_finish(struct api *api, struct api_write *write, uint64_t now_ms,
			 struct api_reply *reply);

/* NULL is fine. */
void native_write_free(struct api_write *write);

#endif
