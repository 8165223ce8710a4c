/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/watch.h"

#include "base/clock.h"
#include "ctl/field.h"
#include "ctl/sse.h"
#include "ctl/term.h"
#include "ctl/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	RETRY_MS = 250,
	RETRY_MAX_MS = 5000,
};

struct watch {
	const struct call *call;
	struct sse sse;
	unsigned long left; /* events until it ends; 0: it does not end */
	bool is_done;
	bool is_connected; /* something came over this connection */
	bool has_gap;      /* it has to be said that changes were missed */
};

/* ---- What is printed ---- */

static void put_time(struct buf *line)
{
	time_t now_s = (time_t)(clock_wall_ms() / 1000);
	struct tm local;
	char text[32];

	localtime_r(&now_s, &local);
	strftime(text, sizeof(text), "%H:%M:%S", &local);
	buf_print(line, "%s%s%s  ", term_color(TERM_DIM), text, term_color(TERM_PLAIN));
}

/*
 * "12:03:04  registered  payment  a  passing  10.0.0.1:80  weight 100", and at the end of what an
 * operator decided "  admin drain".
 */
static void print_event(const json_t *json)
{
	const char *status = field_text(json, "status", ""), *id = field_text(json, "id", NULL);
	const char *ip = field_text(json, "ip", ""), *admin = field_text(json, "admin", NULL);
	struct buf line;

	buf_init(&line);
	put_time(&line);
	text_put_safe(&line, field_text(json, "event", ""));
	buf_print(&line, "  ");
	text_put_safe(&line, field_text(json, "service", ""));
	if (id) {
		buf_print(&line, "  ");
		text_put_safe(&line, id);
		buf_print(&line, "  %s", term_color(term_status_color(status)));
		text_put_safe(&line, status);
		buf_print(&line, "%s  %s", term_color(TERM_PLAIN), strchr(ip, ':') ? "[" : "");
		text_put_safe(&line, ip);
		buf_print(&line, "%s:%lld  weight %lld", strchr(ip, ':') ? "]" : "",
			  (long long)field_int(json, "port", 0),
			  (long long)field_int(json, "weight", 0));
		if (admin) {
			buf_print(&line, "  admin %s", term_color(term_status_color(admin)));
			text_put_safe(&line, admin);
			buf_print(&line, "%s", term_color(TERM_PLAIN));
		}
	}
	if (!line.failed)
		printf("%s\n", line.data);
	buf_fini(&line);
}

static void print_line(json_t *json)
{
	json_dumpf(json, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	putchar('\n');
}

/*
 * Changes were missed, and the stream that goes on says from which revision: whoever reads the
 * registry now misses nothing more.
 */
static void say_gap(struct watch *watch)
{
	if (!watch->has_gap || !*watch->sse.last_id)
		return;
	watch->has_gap = false;
	if (watch->call->json)
		printf("{\"event\":\"gap\",\"revision\":%s}\n", watch->sse.last_id);
	else
		term_say("changes before revision %s were missed\n"
			 "\"rosterctl services list\" shows what is there now",
			 watch->sse.last_id);
	if (fflush(stdout))
		watch->is_done = true;
}

static void on_event(void *cookie, const char *event, const char *data)
{
	struct watch *watch = cookie;
	json_t *json = watch->is_done ? NULL : json_loads(data, 0, NULL);

	(void)event;
	if (!json)
		return;
	say_gap(watch);
	if (watch->call->json)
		print_line(json);
	else
		print_event(json);
	json_decref(json);
	/* Who reads a pipe has to see it now; nobody may be left to read it. */
	if (fflush(stdout) || (watch->left && --watch->left == 0))
		watch->is_done = true;
}

static void on_data(void *cookie, const char *data, size_t len)
{
	struct watch *watch = cookie;

	watch->is_connected = true;
	term_progress_end();
	sse_put(&watch->sse, data, len);
	say_gap(watch);
}

/* ---- The stream ---- */

/* Makes the path, with where to begin or without. */
static bool put_path(struct buf *path, const struct call *call, bool has_since)
{
	const char *service = args_get(call->args, ARGS_SERVICE);
	const char *since = has_since ? args_get(call->args, ARGS_SINCE) : NULL;

	path->len = 0;
	buf_print(path, "/registry/watch");
	if (service) {
		buf_print(path, "?service=");
		text_put_encoded(path, service);
	}
	if (since) {
		buf_print(path, "%csince=", service ? '&' : '?');
		text_put_encoded(path, since);
	}
	return !path->failed;
}

/* Follows one connection to its end. What it ended with is in `reply`. */
static void follow(struct watch *watch, const char *path, struct http_reply *reply)
{
	const struct http_request request = {
		.method = "GET",
		.path = path,
		.last_event_id = *watch->sse.last_id ? watch->sse.last_id : NULL,
		.on_data = on_data,
		.cookie = watch,
	};

	*reply = (struct http_reply){ .message = "out of memory" };
	buf_init(&reply->body);
	sse_reset(&watch->sse);
	watch->is_connected = false;
	if (http_start(watch->call->http, &request))
		return;
	while (!watch->is_done && !http_wait(watch->call->http, NULL, 0, -1, reply))
		;
}

static void pause_ms(unsigned ms)
{
	struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&pause, NULL);
}

/* Goes on until it is done, or the server will not have it. */
static enum exit_status watch_path(struct watch *watch, struct buf *path)
{
	enum exit_status status = EXIT_OK;
	unsigned retry_ms = RETRY_MS;
	bool was_connected = false;

	while (!watch->is_done && status == EXIT_OK) {
		struct http_reply reply;

		follow(watch, path->data, &reply);
		if (watch->is_connected) {
			was_connected = true;
			retry_ms = RETRY_MS;
		}
		if (reply.status == 410) {
			watch->has_gap = true;
			*watch->sse.last_id = '\0';
			put_path(path, watch->call, false); /* shorter than it was */
		} else if ((reply.status >= 400 && reply.status != 503) ||
			   (!was_connected && reply.status != 200 && !watch->is_done)) {
			status = call_explain(watch->call, &reply);
		} else if (!watch->is_done) {
			term_progress("the stream ended; trying again");
			pause_ms(retry_ms);
			retry_ms = retry_ms * 2 < RETRY_MAX_MS ? retry_ms * 2 : RETRY_MAX_MS;
		}
		http_reply_fini(&reply);
	}
	term_progress_end();
	return status;
}

int watch_run(const struct call *call)
{
	const char *count = args_get(call->args, ARGS_COUNT);
	struct watch watch = { .call = call, .left = count ? strtoul(count, NULL, 10) : 0 };
	enum exit_status status;
	struct buf path;

	if (count && !watch.left) {
		term_say("--count: '%s' is no number above zero", count);
		return EXIT_USAGE;
	}
	buf_init(&path);
	sse_init(&watch.sse, on_event, &watch);
	status = put_path(&path, call, true) ? watch_path(&watch, &path) : call_no_memory();
	sse_fini(&watch.sse);
	buf_fini(&path);
	return status;
}
