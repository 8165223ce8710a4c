/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * call: what every command has at hand, and asking the server with it: JSON there and back. What
 * goes wrong is said here, with what to do about it.
 */
#ifndef ROSTERD_CTL_CALL_H
#define ROSTERD_CTL_CALL_H

#include "base/buf.h"
#include "ctl/args.h"
#include "ctl/exit.h"
#include "ctl/http.h"

#include <jansson.h>

struct call {
	const struct args *args;
	char *const *words; /* behind the command's name */
	size_t n_words;
	struct http *http; /* NULL: a command that asks no server */
	const char *url;
	uint64_t timeout_ms; /* of a request */
	bool json;           /* print JSON */
};

/*
 * Asks. The reply of a status below 300, which the caller frees; else NULL, *status, and it has
 * been said why. `body` is taken over; NULL: none.
 */
json_t *call_ask(const struct call *call, const char *method, const char *path, json_t *body,
		 enum exit_status *status);

/* The same with a body as text, which has to be JSON. */
json_t *call_ask_text(const struct call *call, const char *method, const char *path,
		      const char *body, size_t body_len, enum exit_status *status);

/* Reads a page of text, for example /metrics, into `out`. */
enum exit_status call_read(const struct call *call, const char *path, struct buf *out);

/* Says why a reply is none that helps, and what to do. */
enum exit_status call_explain(const struct call *call, const struct http_reply *reply);

/*
 * What the error of a reply or of a slot in an array says: "field: message". `json` may be
 * anything.
 */
void call_error_text(const json_t *json, char *text, size_t text_size);

/* The path of an instance, and what is behind it. From malloc; NULL: out of memory. */
char *call_instance_path(const char *service, const char *id, const char *behind);

/* Prints JSON for programs, in ASCII, on standard output, and frees it. NULL: out of memory. */
enum exit_status call_print(json_t *json);

/* Says that memory is short. */
enum exit_status call_no_memory(void);

#endif
