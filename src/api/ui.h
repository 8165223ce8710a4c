/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ui: the status page, which is a program that browsers run: it has no data in it and asks for all
 * of it over the other routes, as anybody else does. So everybody may have the page.
 *
 * Its files (src/ui/) are in the binary. The policy that goes with them lets it load nothing and
 * talk to nobody but this server, and run no script that is not one of these files: what others
 * wrote into names, metadata and outputs stays text, whatever mistakes the page may have.
 */
#ifndef ROSTERD_API_UI_H
#define ROSTERD_API_UI_H

#include "api/api.h"

struct ui_file {
	const char *name; /* its suffix says what it is */
	const char *etag;
	const unsigned char *octets;
	size_t len;
};

/* Made by src/ui/embed. */
extern const struct ui_file ui_files[];
extern const size_t ui_n_files;

/* The routes. "/" and "/ui" lead to "/ui/", which is the page; its other files are below that. */
void ui_handle_redirect(struct api *api, const struct api_request *request, char *const *segments,
			uint64_t now_ms, struct api_reply *reply);
void ui_handle_page(struct api *api, const struct api_request *request, char *const *segments,
		    uint64_t now_ms, struct api_reply *reply);
void ui_handle_file(struct api *api, const struct api_request *request, char *const *segments,
		    uint64_t now_ms, struct api_reply *reply);

#endif
