/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/operate.h"

#include "base/clock.h"
#include "ctl/field.h"
#include "ctl/outfile.h"
#include "ctl/term.h"
#include "ctl/text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	LOOK_MS = 100, /* between two looks at what a replacement does */
	MIB = 1 << 20,
};

/* ---- reload ---- */

static void say_fixed(const json_t *keys)
{
	struct buf text;

	buf_init(&text);
	for (size_t i = 0; i < json_array_size(keys); i++) {
		const char *key = json_string_value(json_array_get(keys, i));

		buf_print(&text, "%s%s", i ? ", " : "", key ? key : "?");
	}
	if (text.len && !text.failed)
		term_say("changed, but as they were until there is a new server: %s\n"
			 "\"rosterctl replace\" starts one",
			 text.data);
	buf_fini(&text);
}

int operate_reload(const struct call *call)
{
	enum exit_status status;
	json_t *json = call_ask(call, "POST", "/server/reload", NULL, &status);

	if (!json) {
		if (status == EXIT_REFUSED)
			term_say("nothing was changed: the configuration that it runs with stays");
		return status;
	}
	if (call->json)
		return call_print(json);
	puts("reloaded");
	say_fixed(json_object_get(json, "takes_restart"));
	json_decref(json);
	return EXIT_OK;
}

/* ---- replace ---- */

struct replacement {
	const struct call *call;
	json_int_t old, newer; /* process ids */
	uint64_t start_ms;
	struct http_reply reply; /* the newest one */
	bool is_over;
};

static enum exit_status print_replaced(const struct replacement *replacement, const json_t *server)
{
	json_int_t pid = field_int(server, "pid", 0);
	const char *version = field_text(server, "version", "");

	term_progress_end();
	if (replacement->call->json)
		return call_print(json_pack("{sssIsIss}", "status", "replaced", "pid", pid,
					    "replaces", replacement->old, "version", version));
	printf("replaced: process %" JSON_INTEGER_FORMAT ", version ", pid);
	printf("%s, serves in place of %" JSON_INTEGER_FORMAT "\n", version, replacement->old);
	return EXIT_OK;
}

static enum exit_status print_failed(const struct replacement *replacement, const char *reason)
{
	term_say("not replaced: %s\nprocess %" JSON_INTEGER_FORMAT " goes on serving as it was",
		 reason, replacement->old);
	if (replacement->call->json && call_print(json_pack("{sssIss}", "status", "failed", "pid",
							    replacement->newer, "reason", reason)))
		return EXIT_LOCAL;
	return EXIT_REFUSED;
}

/* What the server that answers says of itself. */
static enum exit_status judge(struct replacement *replacement)
{
	const struct http_reply *reply = &replacement->reply;
	json_t *server = NULL;
	const json_t *newest;
	enum exit_status status = EXIT_OK;

	/* Between the two nobody may answer for a while. */
	if (reply->status == 0 || reply->status == 503)
		return EXIT_OK;
	replacement->is_over = true;
	if (reply->status == 200)
		server = json_loadb(reply->body.data, reply->body.len, 0, NULL);
	newest = json_object_get(server, "replacement");
	if (!server)
		status = call_explain(replacement->call, reply);
	else if (field_int(server, "pid", replacement->old) != replacement->old)
		status = print_replaced(replacement, server);
	else if (field_int(newest, "pid", 0) == replacement->newer &&
		 strcmp(field_text(newest, "status", ""), "failed") == 0)
		status = print_failed(replacement, field_text(newest, "reason", "not told"));
	else
		replacement->is_over = false;
	json_decref(server);
	return status;
}

/* Waits a little; whether a reply is there. */
static bool look(struct replacement *replacement)
{
	static const struct http_request request = { .method = "GET", .path = "/server" };
	static const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };
	struct http *http = replacement->call->http;
	struct buf waited;

	buf_init(&waited);
	text_put_duration(&waited, (double)(clock_mono_ms() - replacement->start_ms) / 1000);
	term_progress("process %" JSON_INTEGER_FORMAT " starts; %s", replacement->newer,
		      waited.data ? waited.data : "");
	buf_fini(&waited);
	if (!http_is_busy(http)) {
		nanosleep(&pause, NULL);
		if (http_start(http, &request))
			return false;
	}
	return http_wait(http, NULL, 0, LOOK_MS, &replacement->reply);
}

static enum exit_status await(struct replacement *replacement)
{
	uint64_t end_ms = replacement->start_ms + replacement->call->timeout_ms;
	bool has_answered = false;
	enum exit_status status;

	while (clock_mono_ms() < end_ms) {
		if (!look(replacement))
			continue;
		has_answered = replacement->reply.status != 0;
		status = judge(replacement);
		http_reply_fini(&replacement->reply);
		if (replacement->is_over)
			return status;
	}
	http_cancel(replacement->call->http);
	term_say("process %" JSON_INTEGER_FORMAT
		 " does not serve here yet, and has not failed either\n"
		 "\"rosterctl status\" says how the server is; its log says more",
		 replacement->newer);
	return has_answered ? EXIT_REFUSED : EXIT_UNREACHABLE;
}

int operate_replace(const struct call *call)
{
	struct replacement replacement = { .call = call, .start_ms = clock_mono_ms() };
	enum exit_status status;
	json_t *json = call_ask(call, "POST", "/server/replace", NULL, &status);

	if (!json)
		return status;
	replacement.old = field_int(json, "replaces", 0);
	replacement.newer = field_int(json, "pid", 0);
	json_decref(json);
	status = await(&replacement);
	term_progress_end();
	return status;
}

/* ---- zone list ---- */

int operate_zone_list(const struct call *call)
{
	enum exit_status status;
	json_t *json = call_ask(call, "GET", "/server", NULL, &status), *zones;

	if (!json)
		return status;
	zones = json_incref(json_object_get(json, "zones"));
	json_decref(json);
	if (call->json)
		return call_print(json_pack("{so}", "zones", zones));
	for (size_t i = 0; i < json_array_size(zones); i++) {
		const char *zone = json_string_value(json_array_get(zones, i));

		puts(zone ? zone : "?");
	}
	json_decref(zones);
	return EXIT_OK;
}

/* ---- zone dump ---- */

struct zone_dump {
	struct outfile out;
	size_t len;
	struct buf end; /* the last line or two */
};

/* Keeps what may be the last line. */
static void keep_end(struct zone_dump *dump, const char *data, size_t len)
{
	struct buf *end = &dump->end;
	const char *at;

	buf_put(end, data, len);
	if (end->failed || end->len < 2)
		return;
	at = memrchr(end->data, '\n', end->len - 1);
	if (!at)
		return;
	at++;
	end->len -= (size_t)(at - end->data);
	memmove(end->data, at, end->len + 1);
}

static void on_data(void *cookie, const char *data, size_t len)
{
	struct zone_dump *dump = cookie;

	fwrite(data, 1, len, dump->out.file);
	keep_end(dump, data, len);
	if ((dump->len + len) / MIB > dump->len / MIB)
		term_progress("%zu MiB read", (dump->len + len) / MIB);
	dump->len += len;
}

/* "; N records" ends a zone that is whole. */
static bool is_whole(const struct zone_dump *dump)
{
	size_t n;
	int at = 0;

	return dump->end.data && sscanf(dump->end.data, "; %zu records%n", &n, &at) == 1 &&
	       at > 0 && strcmp(dump->end.data + at, "\n") == 0;
}

static enum exit_status read_zone(const struct call *call, const char *path, struct zone_dump *dump)
{
	const struct http_request request = {
		.method = "GET", .path = path, .on_data = on_data, .cookie = dump
	};
	struct http_reply reply;
	enum exit_status status = EXIT_OK;

	http_call(call->http, &request, &reply);
	term_progress_end();
	if (reply.status == 404) {
		term_say("%s is not served there\n\"rosterctl zone list\" lists what is",
			 call->words[0]);
		status = EXIT_NOT_FOUND;
	} else if (reply.status != 200 && dump->len == 0) {
		status = call_explain(call, &reply);
	} else if (reply.status != 200 || !is_whole(dump)) {
		term_say("the zone broke off after %zu octets%s%s\ntry again", dump->len,
			 *reply.message ? ": " : "", reply.message);
		status = EXIT_UNREACHABLE;
	}
	http_reply_fini(&reply);
	return status;
}

int operate_zone_dump(const struct call *call)
{
	struct zone_dump dump = { .len = 0 };
	enum exit_status status;
	struct buf path;

	if (call->json) {
		term_say("a zone is a master file, for programs too: leave --json away");
		return EXIT_USAGE;
	}
	buf_init(&dump.end);
	buf_init(&path);
	buf_print(&path, "/server/zones/");
	text_put_encoded(&path, call->words[0]);
	status = path.failed ? call_no_memory()
			     : outfile_open(&dump.out, call->n_words > 1 ? call->words[1] : NULL);
	if (status == EXIT_OK)
		status = outfile_close(&dump.out, read_zone(call, path.data, &dump));
	buf_fini(&path);
	buf_fini(&dump.end);
	return status;
}
