/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * settings: which server to ask, and as whom: from flags, else the environment (ROSTERD_HTTP,
 * ROSTERD_TOKEN), else the first of these files that is there:
 *
 *     $XDG_CONFIG_HOME/rosterctl.conf, or ~/.config/rosterctl.conf
 *     /etc/rosterd/rosterctl.conf
 *
 * A file has lines of "key: value" (settings.c has the keys); "#" begins a comment. A file's token
 * and key are for the server that the file names: with another address they are not used, so that a
 * typing error or a hostile address gets neither.
 */
#ifndef ROSTERD_CTL_SETTINGS_H
#define ROSTERD_CTL_SETTINGS_H

#include "ctl/args.h"

struct settings {
	char *http;                /* as given; NULL: the default */
	char *token;               /* NULL: none */
	char *token_file;          /* as read from a file of settings */
	char *cacert, *cert, *key; /* paths; NULL: none */
	char *url;                 /* what `http` means: no slash at the end */
	const char *file;          /* where they are from; NULL: from no file */
	char path[4096];           /* what `file` points to */
};

/* Fills what there is. false with a message; settings_fini() in both cases. */
bool settings_read(struct settings *settings, const struct args *args, char *message,
		   size_t message_size);

void settings_fini(struct settings *settings);

/* Reads the text of such a file into settings without values. false with a message. */
bool settings_parse(struct settings *settings, const char *text, char *message,
		    size_t message_size);

/*
 * The URL that "host", "host:port", "address@port", "[::1]:port" or a URL of http or https means.
 * From malloc; NULL: it is none of that, or there is no memory.
 */
char *settings_url(const char *address);

#endif
