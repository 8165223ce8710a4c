/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/show.h"

#include "ctl/columns.h"
#include "ctl/field.h"
#include "ctl/term.h"
#include "ctl/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	STRIP_LEN = 20, /* of the results of a check that are shown; the rest is in the JSON */
};

/* ---- Every service ---- */

/* The first page, or the one behind a service. */
static json_t *ask_page(const struct call *call, const char *after, enum exit_status *status)
{
	struct buf path;
	json_t *page = NULL;

	buf_init(&path);
	buf_print(&path, "/registry/services%s", *after ? "?after=" : "");
	text_put_encoded(&path, after);
	if (path.failed)
		*status = call_no_memory();
	else
		page = call_ask(call, "GET", path.data, NULL, status);
	buf_fini(&path);
	return page;
}

enum exit_status show_each(const struct call *call, json_int_t *revision,
			   bool (*take)(void *cookie, json_t *service), void *cookie)
{
	char after[256] = "";
	enum exit_status status = EXIT_OK;
	bool is_first = true, goes_on = true, taken = true;
	size_t n = 0;

	while (goes_on) {
		json_t *page = ask_page(call, after, &status);
		const json_t *services = json_object_get(page, "services");
		const char *next = field_text(page, "next", "");

		if (!page)
			break;
		if (is_first)
			*revision = field_int(page, "revision", 0);
		is_first = false;
		for (size_t i = 0; taken && i < json_array_size(services); i++, n++)
			taken = take(cookie, json_array_get(services, i));
		/* Names only ever go up; anything else would never end. */
		goes_on = taken && strcmp(next, after) > 0 && strlen(next) < sizeof(after);
		snprintf(after, sizeof(after), "%.255s", next);
		json_decref(page);
		if (goes_on)
			term_progress("%zu services read", n);
	}
	term_progress_end();
	return taken ? status : call_no_memory();
}

/* ---- services list ---- */

struct list {
	struct columns columns;
	json_t *json; /* an array; NULL: for people, or out of memory */
	size_t n_instances;
};

static size_t count(const json_t *instances, const char *key, const char *value)
{
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(instances); i++)
		n += strcmp(field_text(json_array_get(instances, i), key, ""), value) == 0;
	return n;
}

static void put_count(struct columns *columns, const json_t *instances, const char *status)
{
	size_t n = count(instances, "status", status);

	columns_put(columns, n ? term_status_color(status) : TERM_DIM, "%zu", n);
}

static bool list_one(void *cookie, json_t *service)
{
	struct list *list = cookie;
	const json_t *instances = json_object_get(service, "instances");
	size_t n = json_array_size(instances), n_auto = count(instances, "admin", "auto");

	if (list->json)
		return json_array_append(list->json, service) == 0;
	columns_put(&list->columns, TERM_PLAIN, "%s", field_text(service, "service", ""));
	columns_put(&list->columns, TERM_PLAIN, "%zu", n);
	put_count(&list->columns, instances, "passing");
	put_count(&list->columns, instances, "warning");
	put_count(&list->columns, instances, "critical");
	columns_put(&list->columns, n_auto < n ? TERM_UNSURE : TERM_DIM, "%zu", n - n_auto);
	columns_put(&list->columns, TERM_PLAIN, "%s", field_text(service, "failure", ""));
	list->n_instances += n;
	return true;
}

int show_services(const struct call *call)
{
	static const char *const titles[] = { "SERVICE",  "INSTANCES",  "PASSING", "WARNING",
					      "CRITICAL", "OVERRIDDEN", "FAILURE" };
	struct list list = { .json = call->json ? json_array() : NULL };
	json_int_t revision = 0;
	enum exit_status status;

	columns_init(&list.columns, titles, 7);
	status = show_each(call, &revision, list_one, &list);
	if (status == EXIT_OK && call->json)
		status = call_print(
			json_pack("{sosI}", "services", list.json, "revision", revision));
	else
		json_decref(list.json);
	if (status == EXIT_OK && !call->json && columns_print(&list.columns))
		status = EXIT_LOCAL;
	if (status == EXIT_OK && !call->json && !list.n_instances)
		term_say("nothing is registered yet; \"rosterctl register --help\" says how");
	columns_fini(&list.columns);
	return status;
}

/* ---- services show ---- */

static void put_address(struct columns *columns, const json_t *instance)
{
	const char *ip = field_text(instance, "ip", field_text(instance, "ipv4", NULL));
	json_int_t port = field_int(instance, "port", 0);

	if (!ip)
		ip = field_text(instance, "ipv6", "");
	columns_put(columns, TERM_PLAIN, strchr(ip, ':') ? "[%s]:%lld" : "%s:%lld", ip,
		    (long long)port);
}

/* "1.4.0 eu blue" */
static void put_tags(struct columns *columns, const json_t *instance)
{
	const json_t *tags = json_object_get(instance, "tags");
	struct buf text;

	buf_init(&text);
	buf_print(&text, "%s", field_text(json_object_get(instance, "meta"), "version", ""));
	for (size_t i = 0; i < json_array_size(tags); i++) {
		const char *tag = json_string_value(json_array_get(tags, i));

		buf_print(&text, "%s%s", text.len ? " " : "", tag ? tag : "");
	}
	columns_put(columns, TERM_PLAIN, "%s", text.data ? text.data : "");
	buf_fini(&text);
}

static bool has_file(const json_t *instances)
{
	for (size_t i = 0; i < json_array_size(instances); i++)
		if (json_object_get(json_array_get(instances, i), "file"))
			return true;
	return false;
}

/* The last column is there if it says something. */
static enum exit_status print_instances(const json_t *instances)
{
	static const char *const titles[] = { "ID",     "ADDRESS", "STATUS", "ADMIN",  "PRIORITY",
					      "WEIGHT", "LEASE",   "TAGS",   "REASON", "FILE" };
	const bool with_file = has_file(instances);
	struct columns columns;
	enum exit_status status = EXIT_OK;

	columns_init(&columns, titles, sizeof(titles) / sizeof(titles[0]) - !with_file);
	for (size_t i = 0; i < json_array_size(instances); i++) {
		const json_t *instance = json_array_get(instances, i);

		columns_put(&columns, TERM_PLAIN, "%s", field_text(instance, "id", ""));
		put_address(&columns, instance);
		columns_put_status(&columns, field_text(instance, "status", ""));
		columns_put_status(&columns, field_text(instance, "admin", ""));
		columns_put(&columns, TERM_PLAIN, "%lld",
			    (long long)field_int(instance, "priority", 0));
		columns_put(&columns, TERM_PLAIN, "%lld",
			    (long long)field_int(instance, "weight", 0));
		columns_put_duration(&columns, field_real(instance, "lease_left", -1));
		put_tags(&columns, instance);
		columns_put(&columns, TERM_PLAIN, "%s", field_text(instance, "reason", ""));
		if (with_file)
			columns_put(&columns, TERM_PLAIN, "%s", field_text(instance, "file", ""));
	}
	if (columns_print(&columns))
		status = EXIT_LOCAL;
	columns_fini(&columns);
	return status;
}

/* One object of the server's, a field a line; what is within others is printed as JSON. */
static enum exit_status print_object(json_t *json)
{
	struct columns columns;
	enum exit_status status = EXIT_OK;
	const char *key;
	json_t *value;

	columns_init(&columns, NULL, 2);
	json_object_foreach(json, key, value)
	{
		char *text = json_is_string(value) ? strdup(json_string_value(value))
						   : json_dumps(value, JSON_ENCODE_ANY);

		columns_put(&columns, TERM_DIM, "%s", key);
		columns_put(&columns, term_status_color(text ? text : ""), "%s",
			    json_is_null(value) || !text ? "" : text);
		free(text);
	}
	if (columns_print(&columns))
		status = EXIT_LOCAL;
	columns_fini(&columns);
	return status;
}

static json_t *ask_service(const struct call *call, const char *service, enum exit_status *status)
{
	struct buf path;
	json_t *json = NULL;

	buf_init(&path);
	buf_print(&path, "/registry/services/");
	text_put_encoded(&path, service);
	if (path.failed)
		*status = call_no_memory();
	else
		json = call_ask(call, "GET", path.data, NULL, status);
	buf_fini(&path);
	return json;
}

static enum exit_status show_instance(const struct call *call)
{
	char *path = call_instance_path(call->words[0], call->words[1], "");
	enum exit_status status;
	json_t *json;

	if (!path)
		return call_no_memory();
	json = call_ask(call, "GET", path, NULL, &status);
	free(path);
	if (!json)
		return status;
	if (call->json)
		return call_print(json);
	status = print_object(json);
	json_decref(json);
	return status;
}

int show_service(const struct call *call)
{
	enum exit_status status;
	json_t *json;

	if (call->n_words == 2)
		return show_instance(call);
	json = ask_service(call, call->words[0], &status);
	if (!json)
		return status;
	if (call->json)
		return call_print(json);
	status = print_instances(json_object_get(json, "instances"));
	json_decref(json);
	return status;
}

/* ---- checks ---- */

/* "GET 8080/health", "8080" */
static void put_target(struct columns *columns, const json_t *check)
{
	const char *path = field_text(check, "path", "");
	json_int_t port = field_int(check, "port", 0);

	if (port)
		columns_put(columns, TERM_PLAIN, "%s%s:%lld%s", field_text(check, "method", ""),
			    *path ? " " : "", (long long)port, path);
	else
		columns_put(columns, TERM_PLAIN, "%s", "heartbeats");
}

/* The newest results, oldest first: a strip of ".", "!" and "x" of what the server has as letters.
 */
static void put_strip(struct columns *columns, const json_t *check)
{
	static const char letters[] = "pwc", marks[] = ".!x";
	const char *history = field_text(check, "history", "");
	size_t len = strlen(history), n = len < STRIP_LEN ? len : STRIP_LEN;
	char strip[STRIP_LEN + 1] = "";

	for (size_t i = 0; i < n; i++) {
		const char *letter = strchr(letters, history[len - n + i]);

		strip[i] = letter ? marks[letter - letters] : '?';
	}
	columns_put(columns, TERM_PLAIN, "%s", strip);
}

static void put_check(struct columns *columns, const json_t *instance, const json_t *check)
{
	double latency_ms = field_real(check, "latency_ms", -1);

	columns_put(columns, TERM_PLAIN, "%s", field_text(instance, "service", ""));
	columns_put(columns, TERM_PLAIN, "%s", field_text(instance, "id", ""));
	columns_put(columns, TERM_PLAIN, "%s", field_text(check, "kind", ""));
	put_target(columns, check);
	columns_put_status(columns, field_text(check, "status", ""));
	columns_put_duration(columns, field_real(check, "last_run_ago", -1));
	columns_put_duration(columns, latency_ms < 0 ? -1 : latency_ms / 1000);
	put_strip(columns, check);
	columns_put(columns, TERM_PLAIN, "%s", field_text(check, "output", ""));
}

static bool check_one(void *cookie, json_t *service)
{
	struct list *list = cookie;
	const json_t *instances = json_object_get(service, "instances");

	for (size_t i = 0; i < json_array_size(instances); i++) {
		const json_t *instance = json_array_get(instances, i);
		const json_t *checks = json_object_get(instance, "checks");

		for (size_t j = 0; j < json_array_size(checks); j++) {
			json_t *check = json_array_get(checks, j);

			list->n_instances++;
			if (!list->json)
				put_check(&list->columns, instance, check);
			else if (json_array_append_new(
					 list->json,
					 json_pack("{sssssO}", "service",
						   field_text(instance, "service", ""), "id",
						   field_text(instance, "id", ""), "check", check)))
				return false;
		}
	}
	return true;
}

/* Those of one service, or all. */
static enum exit_status read_checks(const struct call *call, struct list *list)
{
	json_int_t revision;
	enum exit_status status;
	json_t *service;

	if (!call->n_words)
		return show_each(call, &revision, check_one, list);
	service = ask_service(call, call->words[0], &status);
	if (service && !check_one(list, service))
		status = call_no_memory();
	json_decref(service);
	return status;
}

int show_checks(const struct call *call)
{
	static const char *const titles[] = { "SERVICE", "ID",   "KIND",    "TARGET", "STATUS",
					      "RAN AGO", "TOOK", "RESULTS", "SAID" };
	struct list list = { .json = call->json ? json_array() : NULL };
	enum exit_status status;

	columns_init(&list.columns, titles, 9);
	status = read_checks(call, &list);
	if (status == EXIT_OK && call->json)
		status = call_print(list.json);
	else
		json_decref(list.json);
	if (status == EXIT_OK && !call->json && columns_print(&list.columns))
		status = EXIT_LOCAL;
	if (status == EXIT_OK && !call->json && !list.n_instances)
		term_say("there are no checks");
	columns_fini(&list.columns);
	return status;
}

/* ---- why ---- */

static json_t *ask_why(const struct call *call, enum exit_status *status)
{
	static const char *const parameters[] = { "name", "type", "client" };
	struct buf path;
	json_t *json = NULL;

	buf_init(&path);
	buf_print(&path, "/registry/why");
	for (size_t i = 0; i < call->n_words; i++) {
		buf_print(&path, "%c%s=", i ? '&' : '?', parameters[i]);
		text_put_encoded(&path, call->words[i]);
	}
	if (path.failed)
		*status = call_no_memory();
	else
		json = call_ask(call, "GET", path.data, NULL, status);
	buf_fini(&path);
	return json;
}

static enum exit_status print_why(const json_t *json)
{
	static const char *const titles[] = { "IN ANSWER", "ID",     "ADDRESS", "PRIORITY",
					      "WEIGHT",    "STATUS", "ADMIN",   "REASON" };
	const json_t *instances = json_object_get(json, "instances");
	const json_t *dns = json_object_get(json, "dns");
	json_int_t n = field_int(dns, "records", 0);
	struct columns columns;
	struct buf head;
	enum exit_status status = EXIT_OK;

	buf_init(&head);
	text_put_safe(&head, field_text(json, "name", ""));
	buf_print(&head, " ");
	text_put_safe(&head, field_text(json, "type", ""));
	buf_print(&head, ": DNS says ");
	text_put_safe(&head, field_text(dns, "rcode", ""));
	buf_print(&head, " with %lld record%s; policy ", (long long)n, n == 1 ? "" : "s");
	text_put_safe(&head, field_text(json, "policy", ""));
	if (!head.failed)
		printf("%s\n\n", head.data);
	buf_fini(&head);
	columns_init(&columns, titles, 8);
	for (size_t i = 0; i < json_array_size(instances); i++) {
		const json_t *instance = json_array_get(instances, i);
		bool served = json_is_true(json_object_get(instance, "served"));

		columns_put(&columns, served ? TERM_GOOD : TERM_BAD, served ? "yes" : "no");
		columns_put(&columns, TERM_PLAIN, "%s", field_text(instance, "id", ""));
		put_address(&columns, instance);
		columns_put(&columns, TERM_PLAIN, "%lld",
			    (long long)field_int(instance, "priority", 0));
		columns_put(&columns, TERM_PLAIN, "%lld",
			    (long long)field_int(instance, "weight", 0));
		columns_put_status(&columns, field_text(instance, "status", ""));
		columns_put_status(&columns, field_text(instance, "admin", ""));
		columns_put(&columns, TERM_PLAIN, "%s", field_text(instance, "reason", ""));
	}
	if (columns_print(&columns))
		status = EXIT_LOCAL;
	columns_fini(&columns);
	return status;
}

int show_why(const struct call *call)
{
	enum exit_status status;
	json_t *json = ask_why(call, &status);

	if (!json) {
		if (status == EXIT_NOT_FOUND && !strchr(call->words[0], '.'))
			term_say("the whole name is asked for: %s and a zone; "
				 "\"rosterctl zone list\" shows them",
				 call->words[0]);
		return status;
	}
	if (call->json)
		return call_print(json);
	status = print_why(json);
	json_decref(json);
	return status;
}
