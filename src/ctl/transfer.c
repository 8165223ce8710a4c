/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/transfer.h"

#include "ctl/change.h"
#include "ctl/field.h"
#include "ctl/outfile.h"
#include "ctl/show.h"
#include "ctl/term.h"
#include "ctl/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	BATCH = 1000, /* registrations a request, which is what the server takes */
	BATCH_OCTETS = 900000,
};

/* ---- Out ---- */

/* A field as GET calls it, and as a registration does. */
struct renamed {
	const char *shown, *taken;
};

/* Copies what is there; null and what is empty is a default. */
static bool copy_fields(json_t *to, const json_t *from, const struct renamed *fields, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		json_t *value = json_object_get(from, fields[i].shown);

		if (!value || json_is_null(value) ||
		    (json_is_object(value) && json_object_size(value) == 0) ||
		    (json_is_array(value) && json_array_size(value) == 0))
			continue;
		if (json_object_set(to, fields[i].taken, value))
			return false;
	}
	return true;
}

static json_t *check_json(const json_t *check, bool *has_secrets)
{
	static const struct renamed fields[] = {
		{ "kind", "kind" },
		{ "port", "port" },
		{ "method", "method" },
		{ "path", "path" },
		{ "expected_status", "status" },
		{ "header_names", "header_names" },
		{ "server_name", "server_name" },
		{ "tls_skip_verify", "tls_skip_verify" },
		{ "ttl", "ttl" },
		{ "interval", "interval" },
		{ "timeout", "timeout" },
		{ "rise", "rise" },
		{ "fall", "fall" },
		{ "initial", "initial" },
	};
	json_t *json = json_object();

	if (json_array_size(json_object_get(check, "header_names")))
		*has_secrets = true;
	if (copy_fields(json, check, fields, sizeof(fields) / sizeof(fields[0])))
		return json;
	json_decref(json);
	return NULL;
}

static bool put_checks(json_t *registration, const json_t *instance, bool *has_secrets)
{
	const json_t *checks = json_object_get(instance, "checks");
	json_t *json;

	if (json_array_size(checks) == 0)
		return true;
	json = json_array();
	for (size_t i = 0; i < json_array_size(checks); i++)
		if (json_array_append_new(json,
					  check_json(json_array_get(checks, i), has_secrets))) {
			json_decref(json);
			return false;
		}
	return field_put(registration, "checks", json);
}

json_t *transfer_instance_json(const json_t *instance, bool *has_secrets)
{
	static const struct renamed fields[] = {
		{ "service", "name" },      { "id", "id" },
		{ "ipv4", "ipv4" },         { "ipv6", "ipv6" },
		{ "port", "port" },         { "ports", "ports" },
		{ "protocol", "protocol" }, { "priority", "priority" },
		{ "weight", "weight" },     { "tags", "tags" },
		{ "meta", "meta" },         { "ttl", "ttl" },
		{ "lease", "lease" },
	};
	json_t *registration = json_object(), *json = json_object();
	const char *admin = field_text(instance, "admin", "auto");
	bool good =
		copy_fields(registration, instance, fields, sizeof(fields) / sizeof(fields[0])) &&
		put_checks(registration, instance, has_secrets);

	good = field_put(json, "registration", registration) && good;
	if (good && (strcmp(admin, "auto") == 0 || field_put(json, "admin", json_string(admin))))
		return json;
	json_decref(json);
	return NULL;
}

struct export_out {
	FILE *file;
	size_t n, n_secret;
};

/* Prints a line and frees what it says. false: out of memory. */
static bool print_line(struct export_out *out, json_t *json)
{
	bool good = json && (json_dumpf(json, out->file, JSON_COMPACT | JSON_ENSURE_ASCII) == 0 ||
			     ferror(out->file));

	json_decref(json);
	putc('\n', out->file);
	return good;
}

/* A policy is a line for each field that is no default. */
static bool print_policy(struct export_out *out, const json_t *service)
{
	static const char *const fields[] = { "ttl", "answer_limit", "failure", "panic_threshold" };

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		json_t *value = json_object_get(service, fields[i]);
		const char *text = json_string_value(value);

		if (!value || json_is_null(value) || (text && strcmp(text, "empty") == 0) ||
		    (json_is_number(value) && json_number_value(value) == 0))
			continue;
		if (!print_line(out, json_pack("{sss{sO}}", "service",
					       field_text(service, "service", ""), "policy",
					       fields[i], value)))
			return false;
	}
	return true;
}

static bool export_service(void *cookie, json_t *service)
{
	struct export_out *out = cookie;
	const json_t *instances = json_object_get(service, "instances");

	for (size_t i = 0; i < json_array_size(instances); i++) {
		bool has_secrets = false;

		if (!print_line(out,
				transfer_instance_json(json_array_get(instances, i), &has_secrets)))
			return false;
		out->n++;
		if (!has_secrets)
			continue;
		out->n_secret++;
		term_say("%s %s: the values of its checks' headers are not in here",
			 field_text(service, "service", ""),
			 field_text(json_array_get(instances, i), "id", ""));
	}
	return print_policy(out, service);
}

int transfer_export(const struct call *call)
{
	struct export_out out = { .n = 0 };
	struct outfile file;
	enum exit_status status;
	json_int_t revision;

	status = outfile_open(&file, call->n_words ? call->words[0] : NULL);
	if (status != EXIT_OK)
		return status;
	out.file = file.file;
	status = outfile_close(&file, show_each(call, &revision, export_service, &out));
	if (status != EXIT_OK)
		return status;
	term_say("%zu instances exported", out.n);
	if (out.n_secret)
		term_say(
			"%zu of them will not be imported as they are: the server does not show "
			"the values of headers that checks send\n"
			"\"rosterd --export\", on the server's host, has them; or write \"headers\": "
			"{name: value} in place of \"header_names\" in their lines",
			out.n_secret);
	return EXIT_OK;
}

/* ---- In ---- */

struct import {
	const struct call *call;
	json_t *batch;  /* registrations that wait to be sent */
	json_t *states; /* of these, {"service", "id", "admin"} where it is not auto, or null */
	size_t *lines;  /* where these stand; BATCH of them */
	size_t batch_octets;
	json_t *policies; /* service -> fields, for behind the last registration */
	size_t n_good, n_bad;
	json_t *refused; /* {"line", "message"}, for programs */
	enum exit_status status;
};

static void refuse(struct import *in, size_t line, const char *text)
{
	json_t *message = json_string(text);

	term_say("line %zu: %s", line, text);
	in->n_bad++;
	if (!message) /* it was cut within a character */
		message = json_string("see standard error");
	if (json_array_append_new(
		    in->refused, json_pack("{sIso}", "line", (json_int_t)line, "message", message)))
		in->status = call_no_memory();
}

/*
 * A check whose headers have names but no values would ask something else than what was exported.
 * Where somebody has added the values, the names have said all they had to. NULL: nothing is
 * hidden.
 */
static const char *find_hidden(const json_t *registration)
{
	const json_t *checks = json_object_get(registration, "checks");

	for (size_t i = 0; i < json_array_size(checks); i++) {
		json_t *check = json_array_get(checks, i);
		const json_t *names = json_object_get(check, "header_names");
		const char *name = json_string_value(json_array_get(names, 0));

		if (json_object_get(check, "headers"))
			json_object_del(check, "header_names");
		else if (json_array_size(names))
			return name ? name : "";
	}
	return NULL;
}

static void refuse_hidden(struct import *in, size_t line, const char *header)
{
	char text[400];

	snprintf(
		text, sizeof(text),
		"the value of the header %.100s of a check is hidden: write \"headers\": {name: value} in "
		"place of \"header_names\", or take the lines of \"rosterd --export\"",
		header);
	refuse(in, line, text);
}

static void set_admin(struct import *in, const json_t *slot, const char *admin)
{
	char *path = call_instance_path(field_text(slot, "service", ""), field_text(slot, "id", ""),
					"/admin");
	enum exit_status status;
	json_t *json =
		path ? call_ask(in->call, "PUT", path, json_pack("{ss}", "state", admin), &status)
		     : NULL;

	if (!json)
		in->n_bad++;
	json_decref(json);
	free(path);
}

/* What became of the batch, line by line. */
static void read_results(struct import *in, const json_t *results)
{
	char text[600];

	for (size_t i = 0; i < json_array_size(in->batch); i++) {
		const json_t *slot = json_array_get(results, i);
		const char *admin = json_string_value(json_array_get(in->states, i));

		if (field_int(slot, "status", 0) >= 300 || !slot) {
			call_error_text(slot, text, sizeof(text));
			refuse(in, in->lines[i], text);
			continue;
		}
		in->n_good++;
		if (admin)
			set_admin(in, slot, admin);
	}
}

/* The reply to an array says of each what became of it, also where all were refused. */
static void send_batch(struct import *in)
{
	char *body = json_dumps(in->batch, JSON_COMPACT);
	const struct http_request request = { .method = "POST",
					      .path = "/registry/register",
					      .body = body,
					      .body_len = body ? strlen(body) : 0 };
	struct http_reply reply;
	json_t *json, *results;

	if (!body) {
		in->status = call_no_memory();
		return;
	}
	http_call(in->call->http, &request, &reply);
	json = reply.body.len ? json_loadb(reply.body.data, reply.body.len, 0, NULL) : NULL;
	results = json_object_get(json, "results");
	if (results)
		read_results(in, results);
	else
		in->status = call_explain(in->call, &reply);
	json_decref(json);
	http_reply_fini(&reply);
	free(body);
	json_array_clear(in->batch);
	json_array_clear(in->states);
	in->batch_octets = 0;
	term_progress("%zu instances registered", in->n_good);
}

/* Keeps a registration for the next request. false: out of memory. */
static bool put_registration(struct import *in, json_t *registration, const char *admin,
			     size_t line, size_t octets)
{
	bool has_admin = admin && strcmp(admin, "auto") != 0;

	if (json_array_size(in->batch) == BATCH || in->batch_octets + octets > BATCH_OCTETS)
		send_batch(in);
	in->lines[json_array_size(in->batch)] = line;
	in->batch_octets += octets;
	return json_array_append(in->batch, registration) == 0 &&
	       json_array_append_new(in->states, has_admin ? json_string(admin) : json_null()) == 0;
}

static bool put_policy(struct import *in, const char *service, json_t *policy)
{
	json_t *known = json_object_get(in->policies, service);

	return known ? json_object_update(known, policy) == 0
		     : json_object_set(in->policies, service, policy) == 0;
}

/* A line of an instance, of a policy, or the last one of the server's copy. */
static void put_line(struct import *in, const char *text, size_t len, size_t line)
{
	json_error_t reason;
	json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &reason);
	json_t *registration = json_object_get(json, "registration");
	json_t *policy = json_object_get(json, "policy");
	const char *service = field_text(json, "service", NULL);
	const char *hidden = find_hidden(registration);
	bool good = true;

	if (!json)
		refuse(in, line, reason.text);
	else if (hidden)
		refuse_hidden(in, line, hidden);
	else if (json_is_object(registration))
		good = put_registration(in, registration, field_text(json, "admin", NULL), line,
					len);
	else if (service && json_is_object(policy))
		good = put_policy(in, service, policy);
	else if (!json_object_get(json, "seal"))
		refuse(in, line, "neither a \"registration\" nor a \"policy\" is in there");
	if (!good)
		in->status = call_no_memory();
	json_decref(json);
}

static void read_lines(struct import *in, FILE *file)
{
	char *text = NULL;
	size_t cap = 0, line = 0;
	ssize_t len;

	while (in->status == EXIT_OK && (len = getline(&text, &cap, file)) > 0) {
		line++;
		len -= text[len - 1] == '\n';
		if (len > 0)
			put_line(in, text, (size_t)len, line);
	}
	if (ferror(file)) {
		term_say("cannot read: %s", strerror(errno));
		in->status = EXIT_LOCAL;
	}
	free(text);
	if (in->status == EXIT_OK && json_array_size(in->batch))
		send_batch(in);
}

/* Behind the registrations: a service without instances has no policy. */
static void send_policies(struct import *in)
{
	const char *service;
	json_t *policy, *json;
	enum exit_status status;
	struct buf path;

	json_object_foreach(in->policies, service, policy)
	{
		buf_init(&path);
		buf_print(&path, "/registry/services/");
		text_put_encoded(&path, service);
		buf_print(&path, "/policy");
		json = path.failed
			       ? NULL
			       : call_ask(in->call, "PUT", path.data, json_incref(policy), &status);
		if (!json)
			in->n_bad++;
		json_decref(json);
		buf_fini(&path);
	}
}

static void print_imported(struct import *in)
{
	term_say("%zu instances imported%s", in->n_good,
		 in->status ? "; it was not read to the end" : "");
	if (in->n_bad && in->status == EXIT_OK) {
		term_say("%zu lines were refused", in->n_bad);
		in->status = EXIT_REFUSED;
	}
	if (in->call->json && call_print(json_pack("{sIsO}", "imported", (json_int_t)in->n_good,
						   "refused", in->refused)))
		in->status = EXIT_LOCAL;
}

int transfer_import(const struct call *call)
{
	struct import in = { .call = call,
			     .batch = json_array(),
			     .states = json_array(),
			     .policies = json_object(),
			     .refused = json_array(),
			     .lines = calloc(BATCH, sizeof(*in.lines)) };
	FILE *file = change_open(call->n_words ? call->words[0] : "-");

	if (!file)
		in.status = EXIT_LOCAL;
	else if (!in.batch || !in.states || !in.policies || !in.lines || !in.refused)
		in.status = call_no_memory();
	else
		read_lines(&in, file);
	if (in.status == EXIT_OK)
		send_policies(&in);
	if (file)
		print_imported(&in);
	if (file && file != stdin)
		fclose(file);
	json_decref(in.batch);
	json_decref(in.states);
	json_decref(in.policies);
	json_decref(in.refused);
	free(in.lines);
	return in.status;
}
