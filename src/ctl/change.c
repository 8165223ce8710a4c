/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/change.h"

#include "base/clock.h"
#include "ctl/field.h"
#include "ctl/registration.h"
#include "ctl/term.h"
#include "ctl/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	READ_MAX = 1048576, /* what the server takes */
	PROGRESS_MS = 100,
	DAY_S = 86400, /* the longest TTL that there is */
};

/* ---- register ---- */

FILE *change_open(const char *path)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");

	if (!file)
		term_say("%s: %s", path, strerror(errno));
	return file;
}

/* A file as it is; the server judges it. */
static json_t *register_file(const struct call *call, const char *path, enum exit_status *status)
{
	FILE *file = change_open(path);
	struct buf text;
	char block[4096];
	size_t n;
	json_t *json = NULL;

	*status = EXIT_LOCAL;
	if (!file)
		return NULL;
	buf_init(&text);
	while (text.len <= READ_MAX && (n = fread(block, 1, sizeof(block), file)) > 0)
		buf_put(&text, block, n);
	buf_put(&text, "", 0);
	if (ferror(file) || text.failed)
		term_say("%s: %s", path, strerror(errno));
	else if (text.len > READ_MAX)
		term_say("%s is larger than the %d octets that a request may have\n"
			 "\"rosterctl import\" takes lines of JSON, as many as you like",
			 path, READ_MAX);
	else
		json = call_ask_text(call, "POST", "/registry/register", text.data, text.len,
				     status);
	if (file != stdin)
		fclose(file);
	buf_fini(&text);
	return json;
}

/* Our own address, as the server would see it: what the instance has if nobody says. */
static bool put_own_address(const struct call *call, json_t *registration, enum exit_status *status)
{
	const struct http_request request = { .method = "GET", .path = "/health/live" };
	struct http_reply reply;
	bool good = true;

	if (json_object_get(registration, "ip"))
		return true;
	http_call(call->http, &request, &reply);
	if (reply.status == 0 || !*reply.local_ip) {
		*status = call_explain(call, &reply);
		good = false;
	} else if (!field_put(registration, "ip", json_string(reply.local_ip))) {
		*status = call_no_memory();
		good = false;
	}
	http_reply_fini(&reply);
	return good;
}

static json_t *register_options(const struct call *call, enum exit_status *status)
{
	char message[256];
	json_t *registration = registration_json(call->args, NULL, message, sizeof(message));

	if (!registration) {
		term_say("%s\n\"rosterctl register --help\" lists the options", message);
		*status = EXIT_USAGE;
		return NULL;
	}
	if (put_own_address(call, registration, status))
		return call_ask(call, "POST", "/registry/register", registration, status);
	json_decref(registration);
	return NULL;
}

static void print_registered(const json_t *said, const char *verb)
{
	struct buf text;

	buf_init(&text);
	buf_print(&text, "%s ", verb);
	text_put_safe(&text, field_text(said, "service", ""));
	buf_print(&text, " ");
	text_put_safe(&text, field_text(said, "id", ""));
	if (!text.failed)
		puts(text.data);
	buf_fini(&text);
}

/* What became of an array: each slot that was refused is said. */
static enum exit_status explain_slots(const json_t *results)
{
	enum exit_status status = EXIT_OK;
	char text[600];
	size_t n_good = 0;

	for (size_t i = 0; i < json_array_size(results); i++) {
		const json_t *slot = json_array_get(results, i);

		if (field_int(slot, "status", 0) < 300) {
			n_good++;
			continue;
		}
		call_error_text(slot, text, sizeof(text));
		term_say("refused: %s", text);
		status = EXIT_REFUSED;
	}
	printf("registered %zu of %zu\n", n_good, json_array_size(results));
	return status;
}

int change_register(const struct call *call)
{
	const json_t *results;
	enum exit_status status;
	json_t *json;

	if (call->n_words && args_find_other(call->args, ARGS_COMMON)) {
		term_say("either a file or options, not both");
		return EXIT_USAGE;
	}
	json = call->n_words ? register_file(call, call->words[0], &status)
			     : register_options(call, &status);
	if (!json)
		return status;
	results = json_object_get(json, "results");
	if (call->json) {
		for (size_t i = 0; i < json_array_size(results); i++)
			if (field_int(json_array_get(results, i), "status", 0) >= 300)
				status = EXIT_REFUSED;
		return call_print(json) ? EXIT_LOCAL : status;
	}
	if (results)
		status = explain_slots(results);
	else
		print_registered(json, "registered");
	json_decref(json);
	return status;
}

int change_deregister(const struct call *call)
{
	char *path = call_instance_path(call->words[0], call->words[1], "");
	enum exit_status status;
	json_t *json;

	if (!path)
		return call_no_memory();
	json = call_ask(call, "DELETE", path, NULL, &status);
	free(path);
	if (!json)
		return status;
	if (call->json)
		return call_print(json);
	print_registered(json, "deregistered");
	json_decref(json);
	return status;
}

/* ---- What an operator decides ---- */

static json_t *set_state(const struct call *call, const char *state, enum exit_status *status)
{
	char *path = call_instance_path(call->words[0], call->words[1], "/admin");
	json_t *body = json_pack("{ss}", "state", state), *json = NULL;

	if (path && body) {
		json = call_ask(call, "PUT", path, body, status);
	} else {
		*status = call_no_memory();
		json_decref(body);
	}
	free(path);
	return json;
}

static enum exit_status change_state(const struct call *call, const char *state)
{
	enum exit_status status;
	json_t *json = set_state(call, state, &status);
	double left_s;

	if (!json)
		return status;
	if (call->json)
		return call_print(json);
	left_s = field_real(json, "safe_after_s", 0);
	printf("%s %s is %s", call->words[0], call->words[1], state);
	if (left_s > 0)
		printf("; answers that name it are in use for another %.1f s", left_s);
	putchar('\n');
	json_decref(json);
	return EXIT_OK;
}

int change_up(const struct call *call)
{
	return change_state(call, "up");
}

int change_down(const struct call *call)
{
	return change_state(call, "down");
}

int change_auto(const struct call *call)
{
	return change_state(call, "auto");
}

/* ---- drain ---- */

static void wait_drained(const struct call *call, double left_s)
{
	uint64_t now_ms = clock_mono_ms(), end_ms = now_ms + (uint64_t)(left_s * 1000) + 1;
	struct buf left;

	for (; now_ms < end_ms; now_ms = clock_mono_ms()) {
		uint64_t pause_ms = end_ms - now_ms < PROGRESS_MS ? end_ms - now_ms : PROGRESS_MS;
		struct timespec pause = { .tv_nsec = (long)pause_ms * 1000000 };

		buf_init(&left);
		text_put_duration(&left, (double)(end_ms - now_ms) / 1000);
		term_progress("%s %s: nobody is sent there any more; safe in %s", call->words[0],
			      call->words[1], left.data ? left.data : "");
		buf_fini(&left);
		nanosleep(&pause, NULL);
	}
	term_progress_end();
}

/* What a drained instance still has to wait by what is known of it now; 0: nothing. */
static enum exit_status judge_drained(const struct call *call, const json_t *instance,
				      double *left_s)
{
	const char *admin = field_text(instance, "admin", "");

	*left_s = field_real(instance, "safe_after_s", 0);
	if (strcmp(admin, "drain") == 0 || strcmp(admin, "down") == 0)
		return EXIT_OK;
	term_say("%s %s is not drained any more: somebody has set it to \"%s\"", call->words[0],
		 call->words[1], admin);
	return EXIT_REFUSED;
}

/*
 * Looks again: a decision meanwhile, or a new start of the server, may have put the moment off. One
 * that has gone is handed out by nobody; who may not look goes by what the drain said.
 */
static enum exit_status look_again(const struct call *call, double *left_s)
{
	char *path = call_instance_path(call->words[0], call->words[1], "");
	const struct http_request request = { .method = "GET", .path = path };
	enum exit_status status = EXIT_OK;
	struct http_reply reply;
	json_t *json = NULL;

	*left_s = 0;
	if (!path)
		return call_no_memory();
	http_call(call->http, &request, &reply);
	if (reply.status == 200 && reply.body.len)
		json = json_loadb(reply.body.data, reply.body.len, 0, NULL);
	if (json)
		status = judge_drained(call, json, left_s);
	else if (reply.status != 404 && reply.status != 403)
		status = call_explain(call, &reply);
	json_decref(json);
	http_reply_fini(&reply);
	free(path);
	return status;
}

int change_drain(const struct call *call)
{
	enum exit_status status;
	json_t *json = set_state(call, "drain", &status);
	bool waits = !args_get(call->args, ARGS_NO_WAIT);
	double left_s = field_real(json, "safe_after_s", 0);

	if (!json)
		return status;
	for (double more_s = left_s; waits && more_s > 0 && status == EXIT_OK;) {
		wait_drained(call, more_s < DAY_S ? more_s : DAY_S);
		status = look_again(call, &more_s);
	}
	if (status != EXIT_OK) {
		json_decref(json);
		return status;
	}
	if (call->json)
		return call_print(json);
	if (waits)
		printf("%s %s is drained: it may be stopped\n", call->words[0], call->words[1]);
	else
		printf("%s %s is drained: it may be stopped in %.1f s\n", call->words[0],
		       call->words[1], left_s);
	json_decref(json);
	return EXIT_OK;
}
