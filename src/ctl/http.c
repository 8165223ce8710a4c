/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CONNECT_MS = 5000,
	/* The server says something on a quiet stream every 15 seconds. */
	SILENCE_S = 50,
	FDS = 4,
};

struct http {
	CURLM *multi; /* NULL until it is needed */
	CURL *easy;
	char *url;
	uint64_t timeout_ms;
	struct curl_slist *headers; /* of every request */
	/* The request that is under way. */
	bool is_busy;
	struct http_request request;
	struct curl_slist *own_headers;
	struct buf body;
	char error[CURL_ERROR_SIZE];
};

/* ---- Set up ---- */

static bool add_header(struct curl_slist **headers, const char *name, const char *value)
{
	struct curl_slist *longer;
	struct buf line;

	buf_init(&line);
	buf_print(&line, "%s: %s", name, value);
	longer = line.failed ? NULL : curl_slist_append(*headers, line.data);
	buf_fini(&line);
	if (longer)
		*headers = longer;
	return longer != NULL;
}

static size_t on_data(char *data, size_t size, size_t n, void *cookie)
{
	struct http *http = cookie;
	long status = 0;

	curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
	if (http->request.on_data && status == 200)
		http->request.on_data(http->request.cookie, data, size * n);
	else
		buf_put(&http->body, data, size * n);
	return http->body.failed ? 0 : size * n;
}

static bool set_options(struct http *http, const struct http_options *options)
{
	CURL *easy = http->easy;

	return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, http->error) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_WRITEDATA, http) == CURLE_OK &&
	       (!options->cacert ||
		curl_easy_setopt(easy, CURLOPT_CAINFO, options->cacert) == CURLE_OK) &&
	       (!options->cert ||
		curl_easy_setopt(easy, CURLOPT_SSLCERT, options->cert) == CURLE_OK) &&
	       (!options->key || curl_easy_setopt(easy, CURLOPT_SSLKEY, options->key) == CURLE_OK);
}

struct http *http_new(const struct http_options *options)
{
	struct http *http = calloc(1, sizeof(*http));
	struct buf token;
	bool good;

	if (!http)
		return NULL;
	buf_init(&http->body);
	buf_init(&token);
	buf_print(&token, "Bearer %s", options->token ? options->token : "");
	curl_global_init(CURL_GLOBAL_DEFAULT);
	http->easy = curl_easy_init();
	http->url = strdup(options->url);
	http->timeout_ms = options->timeout_ms;
	good = http->easy && http->url && !token.failed && set_options(http, options) &&
	       add_header(&http->headers, "User-Agent", "rosterctl") &&
	       add_header(&http->headers, "Expect", "") &&
	       (!options->token || add_header(&http->headers, "Authorization", token.data));
	buf_fini(&token);
	if (good)
		return http;
	http_free(http);
	return NULL;
}

void http_free(struct http *http)
{
	if (!http)
		return;
	http_cancel(http);
	curl_easy_cleanup(http->easy);
	curl_multi_cleanup(http->multi);
	curl_slist_free_all(http->headers);
	buf_fini(&http->body);
	free(http->url);
	free(http);
}

/*
 * The multi handle has descriptors that a program started meanwhile would inherit, so it is made
 * when there is first something to wait for.
 */
static bool has_multi(struct http *http)
{
	if (!http->multi)
		http->multi = curl_multi_init();
	return http->multi != NULL;
}

/* ---- One request ---- */

/* Those of every request, and its own. */
static bool make_headers(struct http *http, const struct http_request *request)
{
	struct curl_slist **own = &http->own_headers;

	for (const struct curl_slist *header = http->headers; header; header = header->next) {
		struct curl_slist *longer = curl_slist_append(*own, header->data);

		if (!longer)
			return false;
		*own = longer;
	}
	return (!request->body || add_header(own, "Content-Type", "application/json")) &&
	       (!request->last_event_id ||
		add_header(own, "Last-Event-ID", request->last_event_id));
}

static bool set_body(struct http *http, const struct http_request *request)
{
	CURL *easy = http->easy;

	/* HTTPGET undoes what an earlier request set. */
	if (curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L) != CURLE_OK)
		return false;
	if (request->body &&
	    (curl_easy_setopt(easy, CURLOPT_POST, 1L) != CURLE_OK ||
	     curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body) != CURLE_OK ||
	     curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len) !=
		     CURLE_OK))
		return false;
	return curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method) == CURLE_OK;
}

static bool set_limits(struct http *http, const struct http_request *request)
{
	long silence_s = request->on_data ? SILENCE_S : 0;
	long limit_ms = request->on_data ? 0 : (long)http->timeout_ms;

	return curl_easy_setopt(http->easy, CURLOPT_LOW_SPEED_LIMIT, silence_s ? 1L : 0L) ==
		       CURLE_OK &&
	       curl_easy_setopt(http->easy, CURLOPT_LOW_SPEED_TIME, silence_s) == CURLE_OK &&
	       curl_easy_setopt(http->easy, CURLOPT_TIMEOUT_MS, limit_ms) == CURLE_OK;
}

int http_start(struct http *http, const struct http_request *request)
{
	struct buf url;
	bool good;

	http_cancel(http);
	http->request = *request;
	*http->error = '\0';
	buf_init(&url);
	buf_print(&url, "%s%s", http->url, request->path);
	good = !url.failed && has_multi(http) && make_headers(http, request) &&
	       set_body(http, request) && set_limits(http, request) &&
	       curl_easy_setopt(http->easy, CURLOPT_URL, url.data) == CURLE_OK &&
	       curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, http->own_headers) == CURLE_OK &&
	       curl_multi_add_handle(http->multi, http->easy) == CURLM_OK;
	buf_fini(&url);
	http->is_busy = good;
	if (!good) {
		curl_slist_free_all(http->own_headers);
		http->own_headers = NULL;
	}
	return good ? 0 : -1;
}

bool http_is_busy(const struct http *http)
{
	return http->is_busy;
}

void http_cancel(struct http *http)
{
	if (!http->is_busy)
		return;
	curl_multi_remove_handle(http->multi, http->easy);
	curl_slist_free_all(http->own_headers);
	http->own_headers = NULL;
	buf_fini(&http->body);
	http->is_busy = false;
}

/* What to do about no reply. */
static const char *advice(CURLcode result)
{
	switch (result) {
	case CURLE_PEER_FAILED_VERIFICATION:
		return "--cacert FILE says whose certificates to believe; the server's has to name "
		       "the address that is asked";
	case CURLE_GOT_NOTHING:
		return "is that its port for HTTPS? Then --http https://ADDRESS:PORT";
	case CURLE_SSL_CONNECT_ERROR:
		return "is that its port for HTTP? Then --http http://ADDRESS:PORT";
	default:
		return NULL;
	}
}

static void take_reply(struct http *http, CURLcode result, struct http_reply *reply)
{
	const char *ip = NULL;

	*reply = (struct http_reply){ .status = 0 };
	buf_init(&reply->body);
	curl_easy_getinfo(http->easy, CURLINFO_LOCAL_IP, &ip);
	snprintf(reply->local_ip, sizeof(reply->local_ip), "%s", ip ? ip : "");
	if (result == CURLE_OK) {
		curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &reply->status);
		buf_put(&http->body, "", 0);
		reply->body = http->body;
		buf_init(&http->body);
	} else {
		snprintf(reply->message, sizeof(reply->message), "%.250s",
			 http->body.failed ? "out of memory"
			 : *http->error    ? http->error
					   : curl_easy_strerror(result));
		reply->advice = advice(result);
	}
	http_cancel(http);
}

/* What has arrived; whether it is all. */
static bool is_done(struct http *http, struct http_reply *reply)
{
	const CURLMsg *said;
	int n;

	if (!http->is_busy)
		return false;
	curl_multi_perform(http->multi, &n);
	while ((said = curl_multi_info_read(http->multi, &n)))
		if (said->msg == CURLMSG_DONE) {
			take_reply(http, said->data.result, reply);
			return true;
		}
	return false;
}

bool http_wait(struct http *http, struct pollfd *fds, unsigned n_fds, int timeout_ms,
	       struct http_reply *reply)
{
	struct curl_waitfd extra[FDS];
	unsigned n = n_fds < FDS ? n_fds : FDS;

	if (!has_multi(http)) {
		poll(fds, n_fds, timeout_ms);
		return false;
	}
	if (is_done(http, reply))
		return true;
	for (unsigned i = 0; i < n; i++)
		extra[i] = (struct curl_waitfd){
			.fd = fds[i].fd,
			.events = (fds[i].events & POLLOUT ? CURL_WAIT_POLLOUT : 0) |
				  (fds[i].events & POLLIN ? CURL_WAIT_POLLIN : 0)
		};
	/* A limit of its own: curl_multi_poll() returns at once for none. */
	curl_multi_poll(http->multi, extra, n, timeout_ms < 0 ? 60000 : timeout_ms, NULL);
	return is_done(http, reply);
}

void http_call(struct http *http, const struct http_request *request, struct http_reply *reply)
{
	*reply = (struct http_reply){ .message = "out of memory" };
	buf_init(&reply->body);
	if (http_start(http, request) == 0)
		while (!http_wait(http, NULL, 0, -1, reply))
			;
}

void http_reply_fini(struct http_reply *reply)
{
	buf_fini(&reply->body);
}
