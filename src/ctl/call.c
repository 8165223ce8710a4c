/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/call.h"

#include "ctl/field.h"
#include "ctl/term.h"
#include "ctl/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ERROR_TEXT = 600,
};

enum exit_status call_no_memory(void)
{
	term_say("out of memory");
	return EXIT_LOCAL;
}

/* ---- What went wrong ---- */

void call_error_text(const json_t *json, char *text, size_t text_size)
{
	const json_t *error = json_object_get(json, "error");
	const char *field = field_text(error, "field", "");

	snprintf(text, text_size, "%s%s%s", field, *field ? ": " : "",
		 field_text(error, "message", "the reply says nothing more"));
}

/* What to do about a status; NULL: the message says enough. */
static const char *advice(long status)
{
	static const struct {
		long status;
		const char *advice;
	} table[] = {
		{ 401,
		  "show a token: --token-file, ROSTERD_TOKEN, or \"token:\" in rosterctl.conf" },
		{ 403, "this needs a token that allows more: --token-file, ROSTERD_TOKEN" },
		{ 404, "\"rosterctl services list\" shows what is registered" },
		{ 421, "ask it under its address, or add this name to \"http-names\" in "
		       "rosterd.conf" },
		{ 429, "wait a moment, then try again" },
		{ 503, "try again; \"rosterctl status\" says how the server is" },
		{ 507, "make room on the server's disk; nothing was changed" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].status == status)
			return table[i].advice;
	return NULL;
}

enum exit_status call_explain(const struct call *call, const struct http_reply *reply)
{
	const char *hint = advice(reply->status);
	char text[ERROR_TEXT];
	json_t *json;

	if (reply->status == 0) {
		term_say("no reply from %s: %s\n%s", call->url, reply->message,
			 reply->advice ? reply->advice
				       : "is rosterd running there? Another server: --http ADDRESS "
					 "or ROSTERD_HTTP");
		return EXIT_UNREACHABLE;
	}
	json = json_loadb(reply->body.data, reply->body.len, 0, NULL);
	call_error_text(json, text, sizeof(text));
	json_decref(json);
	term_say("refused (%ld): %s%s%s", reply->status, text, hint ? "\n" : "", hint ? hint : "");
	return reply->status == 404 ? EXIT_NOT_FOUND : EXIT_REFUSED;
}

/* ---- Asking ---- */

static json_t *read_reply(const struct call *call, const struct http_reply *reply,
			  enum exit_status *status)
{
	json_error_t reason;
	json_t *json;

	if (reply->status < 200 || reply->status >= 300) {
		*status = call_explain(call, reply);
		return NULL;
	}
	json = json_loadb(reply->body.data, reply->body.len, 0, &reason);
	*status = json ? EXIT_OK : EXIT_REFUSED;
	if (!json)
		term_say("%s replies what is no JSON (%s): is that a rosterd?", call->url,
			 reason.text);
	return json;
}

json_t *call_ask_text(const struct call *call, const char *method, const char *path,
		      const char *body, size_t body_len, enum exit_status *status)
{
	const struct http_request request = {
		.method = method, .path = path, .body = body, .body_len = body_len
	};
	struct http_reply reply;
	json_t *json;

	http_call(call->http, &request, &reply);
	json = read_reply(call, &reply, status);
	http_reply_fini(&reply);
	return json;
}

json_t *call_ask(const struct call *call, const char *method, const char *path, json_t *body,
		 enum exit_status *status)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	json_t *json = NULL;

	if (body && !text)
		*status = call_no_memory();
	else
		json = call_ask_text(call, method, path, text, text ? strlen(text) : 0, status);
	json_decref(body);
	free(text);
	return json;
}

enum exit_status call_read(const struct call *call, const char *path, struct buf *out)
{
	const struct http_request request = { .method = "GET", .path = path };
	struct http_reply reply;
	enum exit_status status = EXIT_OK;

	http_call(call->http, &request, &reply);
	if (reply.status == 200)
		buf_put(out, reply.body.data, reply.body.len);
	else
		status = call_explain(call, &reply);
	http_reply_fini(&reply);
	return out->failed ? call_no_memory() : status;
}

char *call_instance_path(const char *service, const char *id, const char *behind)
{
	struct buf path;
	size_t len;

	buf_init(&path);
	buf_print(&path, "/registry/services/");
	text_put_encoded(&path, service);
	buf_print(&path, "/instances/");
	text_put_encoded(&path, id);
	buf_print(&path, "%s", behind);
	return buf_take(&path, &len);
}

enum exit_status call_print(json_t *json)
{
	int result = json ? json_dumpf(json, stdout,
				       JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15))
			  : -1;

	json_decref(json);
	putchar('\n');
	/* What cannot be written is said at the end, for all commands. */
	return result && !ferror(stdout) ? call_no_memory() : EXIT_OK;
}
