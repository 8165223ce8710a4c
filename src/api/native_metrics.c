/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/native_metrics.h"

#include "base/buf.h"
#include "base/process.h"
#include "dns/name.h"
#include "model/catalog.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A page while it is written. */
struct page {
	struct buf out;
	const struct api *api;
	struct api_metrics metrics;
	struct process process;
};

/* Prints the lines of one metric, without its HELP and TYPE. */
typedef void (*print_metric)(struct page *page, const char *metric);

static uint64_t load(const _Atomic uint64_t *count)
{
	return atomic_load_explicit(count, memory_order_relaxed);
}

static void print_value(struct page *page, const char *metric, uint64_t value)
{
	buf_print(&page->out, "%s %" PRIu64 "\n", metric, value);
}

static void print_labelled(struct page *page, const char *metric, const char *label,
			   const char *text, uint64_t value)
{
	buf_print(&page->out, "%s{%s=\"%s\"} %" PRIu64 "\n", metric, label, text, value);
}

/* ---- Queries ---- */

static void print_queries(struct page *page, const char *metric)
{
	for (enum answer_transport t = 0; t < ANSWER_TRANSPORTS; t++)
		for (enum answer_type type = 0; type < ANSWER_N_TYPES; type++)
			buf_print(&page->out, "%s{protocol=\"%s\",type=\"%s\"} %" PRIu64 "\n",
				  metric, answer_counts_transport_name(t),
				  answer_counts_type_name(type),
				  load(&page->metrics.answers.queries[type][t]));
}

static void print_replies(struct page *page, const char *metric)
{
	for (enum rcode rcode = RCODE_NOERROR; rcode <= RCODE_BADVERS; rcode++)
		if (answer_counts_rcode_name(rcode))
			print_labelled(page, metric, "rcode", answer_counts_rcode_name(rcode),
				       load(&page->metrics.answers.replies[rcode]));
}

/* A zone's name as the value of a label, with the final dot: so "none" is none of them. */
static void print_zone_name(const struct zone *zone, char text[2 * NAME_TEXT_MAX])
{
	char name[NAME_TEXT_MAX];
	char *at = text;

	name_print(zone->origin, zone->origin_len, name);
	for (const char *from = name; *from; from++) {
		if (*from == '\\' || *from == '"')
			*at++ = '\\';
		*at++ = *from;
	}
	snprintf(at, 2, "%s", zone->origin_labels ? "." : "");
}

static void print_zones(struct page *page, const char *metric)
{
	const struct zone_list *list = catalog_zones(page->api->catalog);
	char text[2 * NAME_TEXT_MAX];

	for (size_t i = 0; i < list->n; i++) {
		print_zone_name(list->zones[i], text);
		print_labelled(page, metric, "zone", text, catalog_count_queries(list->zones[i]));
	}
	print_labelled(page, metric, "zone", "none", load(&page->metrics.answers.outside));
}

static void print_latency(struct page *page, const char *metric)
{
	for (enum answer_transport t = 0; t < ANSWER_TRANSPORTS; t++) {
		char labels[32];

		snprintf(labels, sizeof(labels), "protocol=\"%s\"",
			 answer_counts_transport_name(t));
		histogram_print(&page->metrics.answers.latency[t], metric, labels, &page->out);
	}
}

/* ---- The registry ---- */

static void print_services(struct page *page, const char *metric)
{
	print_value(page, metric, registry_count_services(page->api->registry));
}

static void print_statuses(struct page *page, const char *metric)
{
	for (enum status status = 0; status < STATUSES; status++)
		print_labelled(page, metric, "status", health_status_name(status),
			       registry_count_status(page->api->registry, status));
}

static void print_admins(struct page *page, const char *metric)
{
	for (enum admin admin = 0; admin < ADMINS; admin++)
		print_labelled(page, metric, "state", record_admin_name(admin),
			       registry_count_admin(page->api->registry, admin));
}

static void print_policies(struct page *page, const char *metric)
{
	for (enum policy_mode mode = POLICY_FIT; mode <= POLICY_LAST; mode++)
		print_labelled(page, metric, "state", policy_mode_name(mode),
			       registry_count_mode(page->api->registry, mode));
}

static void print_acting(struct page *page, const char *metric)
{
	for (enum policy_mode mode = POLICY_ALL; mode <= POLICY_LAST; mode++)
		print_labelled(page, metric, "state", policy_mode_name(mode),
			       registry_count_acting(page->api->registry, mode));
}

static void print_revision(struct page *page, const char *metric)
{
	print_value(page, metric, registry_revision(page->api->registry));
}

static void print_watchers(struct page *page, const char *metric)
{
	print_value(page, metric, page->api->count_watchers(page->api->cookie));
}

/* ---- The store ---- */

static void print_degraded(struct page *page, const char *metric)
{
	print_value(page, metric, page->api->trouble(page->api->cookie) != NULL);
}

static void print_commits(struct page *page, const char *metric)
{
	buf_print(&page->out, "%s %.6f\n", metric, (double)page->metrics.store.commit_us / 1e6);
}

static void print_store_size(struct page *page, const char *metric)
{
	print_value(page, metric, page->metrics.store.octets);
}

static void print_copy_errors(struct page *page, const char *metric)
{
	print_value(page, metric, page->metrics.store.copy_errors);
}

/* ---- Files of services ---- */

static void print_files(struct page *page, const char *metric)
{
	print_labelled(page, metric, "state", "good", page->metrics.files.n_good);
	print_labelled(page, metric, "state", "bad", page->metrics.files.n_bad);
}

static void print_files_dir(struct page *page, const char *metric)
{
	print_value(page, metric, !page->metrics.files.is_dir_good);
}

/* ---- The server ---- */

static void print_rounds(struct page *page, const char *metric)
{
	histogram_print(&page->metrics.rounds, metric, "", &page->out);
}

static void print_build(struct page *page, const char *metric)
{
	print_labelled(page, metric, "version", PACKAGE_VERSION, 1);
}

static void print_cpu(struct page *page, const char *metric)
{
	buf_print(&page->out, "%s %.3f\n", metric, page->process.cpu_s);
}

static void print_start(struct page *page, const char *metric)
{
	buf_print(&page->out, "%s %.2f\n", metric, page->process.start_s);
}

static void print_resident(struct page *page, const char *metric)
{
	print_value(page, metric, page->process.resident_len);
}

static void print_virtual(struct page *page, const char *metric)
{
	print_value(page, metric, page->process.virtual_len);
}

static void print_fds(struct page *page, const char *metric)
{
	print_value(page, metric, page->process.n_fds);
}

static void print_max_fds(struct page *page, const char *metric)
{
	print_value(page, metric, page->process.max_fds);
}

/* ---- The page ---- */

static const struct metric {
	const char *name, *type, *help;
	print_metric print;
} metrics[] = {
	{ "rosterd_dns_queries_total", "counter", "DNS messages received, by protocol and type",
	  print_queries },
	{ "rosterd_dns_zone_queries_total", "counter", "DNS queries, by the zone of their name",
	  print_zones },
	{ "rosterd_dns_replies_total", "counter", "DNS replies, by rcode", print_replies },
	{ "rosterd_dns_answer_seconds", "histogram",
	  "from reading a DNS query to its reply being sent", print_latency },
	{ "rosterd_services", "gauge", "services registered", print_services },
	{ "rosterd_policy_services", "gauge", "services registered, by who is served of each",
	  print_policies },
	{ "rosterd_policy_names", "gauge", "names on which a failure policy acts, by who is served",
	  print_acting },
	{ "rosterd_instances", "gauge", "instances registered, by status", print_statuses },
	{ "rosterd_admin_instances", "gauge", "instances registered, by their admin state",
	  print_admins },
	{ "rosterd_revision", "gauge", "number of the newest change", print_revision },
	{ "rosterd_watchers", "gauge", "requests that wait for changes", print_watchers },
	{ "rosterd_store_degraded", "gauge",
	  "1: changes cannot be saved, or not published, and are refused", print_degraded },
	{ "rosterd_store_commit_seconds_total", "counter", "time that commits of the store took",
	  print_commits },
	{ "rosterd_store_bytes", "gauge", "size of the store", print_store_size },
	{ "rosterd_store_copy_errors_total", "counter",
	  "copies of the store that could not be written", print_copy_errors },
	{ "rosterd_service_files", "gauge", "files of services, by whether they are good",
	  print_files },
	{ "rosterd_services_dir_refused", "gauge",
	  "1: the directory of files of services cannot be read or watched", print_files_dir },
	{ "rosterd_control_round_seconds", "histogram",
	  "how long the control thread worked without a look at what is new", print_rounds },
	{ "rosterd_build_info", "gauge", "the version that runs", print_build },
	{ "process_cpu_seconds_total", "counter", "CPU time of the process, user and system",
	  print_cpu },
	{ "process_start_time_seconds", "gauge", "when the process began, in Unix time",
	  print_start },
	{ "process_resident_memory_bytes", "gauge", "memory that the process takes",
	  print_resident },
	{ "process_virtual_memory_bytes", "gauge", "addresses that the process has in use",
	  print_virtual },
	{ "process_open_fds", "gauge", "descriptors that are open", print_fds },
	{ "process_max_fds", "gauge", "descriptors that may be open", print_max_fds },
};

bool native_metrics_get(size_t i, struct native_metric *metric)
{
	if (i >= sizeof(metrics) / sizeof(metrics[0]))
		return false;
	*metric = (struct native_metric){ metrics[i].name, metrics[i].type, metrics[i].help };
	return true;
}

static void print_page(struct page *page)
{
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
		const struct metric *metric = &metrics[i];

		buf_print(&page->out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help,
			  metric->name, metric->type);
		metric->print(page, metric->name);
	}
	counters_print(&page->metrics.counters, &page->out);
}

void native_metrics_handle(struct api *api, const struct api_request *request,
			   char *const *segments, uint64_t now_ms, struct api_reply *reply)
{
	struct page page = { .api = api };

	(void)request, (void)segments, (void)now_ms;
	api->read_metrics(api->cookie, &page.metrics);
	process_read(&page.process);
	buf_init(&page.out);
	print_page(&page);
	reply->owned = buf_take(&page.out, &reply->body_len);
	buf_fini(&page.out);
	if (!reply->owned) {
		api_reply_error(reply, 503, NULL, "out of memory");
		return;
	}
	reply->status = 200;
	reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
	reply->body = reply->owned;
}
