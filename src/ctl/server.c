/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/server.h"

#include "base/clock.h"
#include "ctl/columns.h"
#include "ctl/field.h"
#include "ctl/metrics.h"
#include "ctl/term.h"
#include "ctl/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- status ---- */

/* What the server says of itself: {"status", "reason"?}; NULL, and it has been said. */
static json_t *ask_ready(const struct call *call, enum exit_status *status)
{
	const struct http_request request = { .method = "GET", .path = "/health/ready" };
	struct http_reply reply;
	json_t *json = NULL;
	char text[400];

	http_call(call->http, &request, &reply);
	*status = EXIT_OK;
	if (reply.status == 200)
		json = json_loadb(reply.body.data, reply.body.len, 0, NULL);
	if (reply.status == 503) {
		json_t *error = json_loadb(reply.body.data, reply.body.len, 0, NULL);

		call_error_text(error, text, sizeof(text));
		json_decref(error);
		json = json_pack("{ssss}", "status", "not ready", "reason", text);
	}
	if (!json)
		*status = call_explain(call, &reply);
	else if (strcmp(field_text(json, "status", ""), "ready") != 0)
		*status = EXIT_REFUSED;
	http_reply_fini(&reply);
	return json;
}

/* A number of things; 0: none, or none that can be. */
static json_t *count_json(const char *page, const char *name, const char *labels)
{
	double value = metrics_value(page, name, labels, 0);

	return json_integer(value > 0 && value < 9e18 ? (json_int_t)value : 0);
}

/* Adds the numbers that people ask for first; false: out of memory. */
static bool put_numbers(json_t *json, const char *page)
{
	static const char *const statuses[] = { "passing", "warning", "critical" };
	json_t *instances = json_object();
	double start = metrics_value(page, "process_start_time_seconds", "", 0);
	struct metrics_sample sample;
	char version[METRICS_LABELS] = "";
	bool good = true;

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		char labels[64];

		snprintf(labels, sizeof(labels), "status=\"%s\"", statuses[i]);
		good = good && field_put(instances, statuses[i],
					 count_json(page, "rosterd_instances", labels));
	}
	good = field_put(json, "instances", instances) && good;
	for (const char *at = page; metrics_next(&at, &sample);)
		if (strcmp(sample.name, "rosterd_build_info") == 0)
			metrics_label(&sample, "version", version, sizeof(version));
	return good && field_put(json, "version", json_string(version)) &&
	       field_put(json, "uptime",
			 json_real(start > 0 ? (double)clock_wall_ms() / 1000 - start : 0)) &&
	       field_put(json, "revision", count_json(page, "rosterd_revision", "")) &&
	       field_put(json, "services", count_json(page, "rosterd_services", "")) &&
	       field_put(json, "watchers", count_json(page, "rosterd_watchers", ""));
}

static void put_row(struct columns *columns, const char *name, json_int_t value)
{
	columns_put(columns, TERM_DIM, "%s", name);
	columns_put(columns, TERM_PLAIN, "%" JSON_INTEGER_FORMAT, value);
}

static enum exit_status print_status(const struct call *call, const json_t *json, bool has_numbers)
{
	const json_t *instances = json_object_get(json, "instances");
	const char *reason = field_text(json, "reason", NULL);
	struct columns columns;
	enum exit_status status;

	columns_init(&columns, NULL, 2);
	columns_put(&columns, TERM_DIM, "server");
	columns_put(&columns, TERM_PLAIN, "%s", call->url);
	columns_put(&columns, TERM_DIM, "status");
	columns_put_status(&columns, field_text(json, "status", ""));
	if (reason) {
		columns_put(&columns, TERM_DIM, "reason");
		columns_put(&columns, TERM_PLAIN, "%s", reason);
	}
	if (has_numbers) {
		columns_put(&columns, TERM_DIM, "version");
		columns_put(&columns, TERM_PLAIN, "%s", field_text(json, "version", ""));
		columns_put(&columns, TERM_DIM, "running for");
		columns_put_duration(&columns, field_real(json, "uptime", -1));
		put_row(&columns, "revision", field_int(json, "revision", 0));
		put_row(&columns, "services", field_int(json, "services", 0));
		put_row(&columns, "passing", field_int(instances, "passing", 0));
		put_row(&columns, "warning", field_int(instances, "warning", 0));
		put_row(&columns, "critical", field_int(instances, "critical", 0));
		put_row(&columns, "watchers", field_int(json, "watchers", 0));
	}
	status = columns_print(&columns) ? EXIT_LOCAL : EXIT_OK;
	columns_fini(&columns);
	return status;
}

int server_status(const struct call *call)
{
	enum exit_status status, printed;
	json_t *json = ask_ready(call, &status);
	struct buf page;
	bool has_numbers;

	if (!json)
		return status;
	buf_init(&page);
	/* Not everybody who may ask how it is may see these. */
	has_numbers = call_read(call, "/metrics", &page) == EXIT_OK;
	if (!field_put(json, "server", json_string(call->url)) ||
	    (has_numbers && !put_numbers(json, page.data))) {
		json_decref(json);
		json = NULL;
	}
	buf_fini(&page);
	if (!json)
		return call_no_memory();
	if (call->json)
		return call_print(json) ? EXIT_LOCAL : status;
	printed = print_status(call, json, has_numbers);
	json_decref(json);
	return printed ? printed : status;
}

/* ---- stats ---- */

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* Whether it was asked for. */
static bool is_wanted(const struct call *call, const struct metrics_sample *sample)
{
	if (call->n_words && !strstr(sample->name, call->words[0]))
		return false;
	if (args_get(call->args, ARGS_ALL))
		return true;
	return sample->value != 0 && !ends_with(sample->name, "_bucket");
}

static json_t *labels_json(const struct metrics_sample *sample)
{
	char name[METRICS_LABELS], value[METRICS_LABELS];
	json_t *json = json_object();

	for (const char *at = sample->labels; json && *at;) {
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(at, "="), at);
		if (!metrics_label(sample, name, value, sizeof(value)))
			break;
		if (!field_put(json, name, json_string(value)))
			break;
		at = strstr(at, "\",");
		at = at ? at + 2 : "";
	}
	return json;
}

static json_t *stats_json(const struct call *call, const char *page)
{
	json_t *json = json_array();
	struct metrics_sample sample;

	while (json && metrics_next(&page, &sample))
		if (is_wanted(call, &sample) &&
		    json_array_append_new(json,
					  json_pack("{sssosf}", "name", sample.name, "labels",
						    labels_json(&sample), "value", sample.value))) {
			json_decref(json);
			json = NULL;
		}
	return json;
}

/* A number as it was, without an exponent where it is whole. */
static void put_value(struct columns *columns, double value)
{
	if (value >= -9e15 && value <= 9e15 && value == (double)(long long)value)
		columns_put(columns, TERM_PLAIN, "%lld", (long long)value);
	else
		columns_put(columns, TERM_PLAIN, "%.6g", value);
}

static enum exit_status print_stats(const struct call *call, const char *page)
{
	static const char *const titles[] = { "METRIC", "LABELS", "VALUE" };
	static const char prefix[] = "rosterd_";
	struct metrics_sample sample;
	struct columns columns;
	enum exit_status status = EXIT_OK;
	size_t n = 0;

	columns_init(&columns, titles, 3);
	while (metrics_next(&page, &sample)) {
		bool ours = strncmp(sample.name, prefix, sizeof(prefix) - 1) == 0;

		if (!is_wanted(call, &sample))
			continue;
		columns_put(&columns, TERM_PLAIN, "%s",
			    sample.name + (ours ? sizeof(prefix) - 1 : 0));
		columns_put(&columns, TERM_DIM, "%s", sample.labels);
		put_value(&columns, sample.value);
		n++;
	}
	if (columns_print(&columns))
		status = EXIT_LOCAL;
	else if (call->n_words && !n)
		term_say("no counter above zero has '%s' in its name; \"rosterctl stats --all\" "
			 "shows each",
			 call->words[0]);
	columns_fini(&columns);
	return status;
}

int server_stats(const struct call *call)
{
	enum exit_status status;
	struct buf page;

	buf_init(&page);
	status = call_read(call, "/metrics", &page);
	if (status == EXIT_OK)
		status = call->json ? call_print(stats_json(call, page.data))
				    : print_stats(call, page.data);
	buf_fini(&page);
	return status;
}
