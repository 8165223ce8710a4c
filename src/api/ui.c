/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/ui.h"

#include <assert.h>
#include <string.h>

/*
 * With Referrer-Policy "no-referrer", some browsers would send "Origin: null" with what the page
 * asks, which api/guard.h refuses.
 */
static const struct api_header page_headers[] = {
	{ "Content-Security-Policy",
	  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
	  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
	  "require-trusted-types-for 'script'; trusted-types 'none'" },
	{ "X-Content-Type-Options", "nosniff" },
	{ "X-Frame-Options", "DENY" },
	{ "Referrer-Policy", "same-origin" },
	{ "Cross-Origin-Resource-Policy", "same-origin" },
	{ "Cache-Control", "no-cache" }, /* ask each time whether the ETag is still that */
	{ NULL, NULL },
};

static const char *type_of(const char *name)
{
	static const struct {
		const char *suffix, *type;
	} types[] = {
		{ ".html", "text/html; charset=utf-8" },
		{ ".css", "text/css; charset=utf-8" },
		{ ".js", "text/javascript; charset=utf-8" },
		{ ".svg", "image/svg+xml" },
	};
	const char *suffix = strrchr(name, '.');

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (suffix && strcmp(types[i].suffix, suffix) == 0)
			return types[i].type;
	assert(!"a file of the page has no known type");
	return "";
}

static void reply_file(const struct api_request *request, const char *name, struct api_reply *reply)
{
	for (size_t i = 0; i < ui_n_files; i++) {
		const struct ui_file *file = &ui_files[i];
		const char *has = request->if_none_match;

		if (strcmp(file->name, name) != 0)
			continue;
		*reply = (struct api_reply){
			.status = has && strstr(has, file->etag) ? 304 : 200,
			.content_type = type_of(name),
			.body = (const char *)file->octets,
			.body_len = file->len,
			.headers = page_headers,
			.etag = file->etag,
		};
		return;
	}
	api_reply_error(reply, 404, NULL, "the status page has no such file");
}

/* Relative, so that it is also right where somebody serves us below a path of theirs. */
void ui_handle_redirect(struct api *api, const struct api_request *request, char *const *segments,
			uint64_t now_ms, struct api_reply *reply)
{
	static const struct api_header headers[] = { { "Location", "ui/" }, { NULL, NULL } };

	(void)api, (void)request, (void)segments, (void)now_ms;
	*reply = (struct api_reply){ .status = 302, .headers = headers };
}

void ui_handle_page(struct api *api, const struct api_request *request, char *const *segments,
		    uint64_t now_ms, struct api_reply *reply)
{
	(void)api, (void)segments, (void)now_ms;
	reply_file(request, "index.html", reply);
}

void ui_handle_file(struct api *api, const struct api_request *request, char *const *segments,
		    uint64_t now_ms, struct api_reply *reply)
{
	(void)api, (void)now_ms;
	reply_file(request, segments[0], reply);
}
