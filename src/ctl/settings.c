/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/settings.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	FILE_MAX = 65536,
	TOKEN_MAX = 4096,
};

static const char default_http[] = "127.0.0.1@8500";

/* ---- A file of settings ---- */

static const struct key {
	const char *name;
	size_t offset;
} keys[] = {
	{ "http", offsetof(struct settings, http) },
	{ "token", offsetof(struct settings, token) },
	{ "token-file", offsetof(struct settings, token_file) },
	{ "cacert", offsetof(struct settings, cacert) },
	{ "cert", offsetof(struct settings, cert) },
	{ "key", offsetof(struct settings, key) },
};

static char **field(struct settings *settings, const struct key *key)
{
	return (char **)(void *)((char *)settings + key->offset);
}

static const struct key *find_key(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strlen(keys[i].name) == len && strncmp(keys[i].name, name, len) == 0)
			return &keys[i];
	return NULL;
}

/* One line, without spaces around it. false with the reason. */
static bool put_line(struct settings *settings, const char *line, size_t len, const char **reason)
{
	size_t name_len = strcspn(line, ":");
	const struct key *key = name_len < len ? find_key(line, name_len) : NULL;
	const char *value = line + name_len + 1;

	*reason = "expected one of http, token, token-file, cacert, cert, key, then \": \" and a "
		  "value";
	if (!key)
		return false;
	value += strspn(value, " \t");
	if (value >= line + len)
		return false;
	*reason = "is there twice";
	if (*field(settings, key))
		return false;
	*reason = "out of memory";
	*field(settings, key) = strndup(value, (size_t)(line + len - value));
	return *field(settings, key) != NULL;
}

bool settings_parse(struct settings *settings, const char *text, char *message, size_t message_size)
{
	const char *reason;

	for (unsigned number = 1; *text; number++) {
		size_t len = strcspn(text, "\n"), whole = len;
		size_t indent = strspn(text, " \t");

		if (indent > len)
			indent = len;
		while (len > indent && strchr(" \t\r", text[len - 1]))
			len--;
		if (len > indent && text[indent] != '#' &&
		    !put_line(settings, text + indent, len - indent, &reason)) {
			snprintf(message, message_size, "line %u: %s", number, reason);
			return false;
		}
		text += whole + (text[whole] == '\n');
	}
	return true;
}

/* Where the user's own file would be; "" without a home. */
static void own_path(char *path, size_t path_size)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (config && *config)
		snprintf(path, path_size, "%s/rosterctl.conf", config);
	else
		snprintf(path, path_size, "%s%s", home ? home : "",
			 home ? "/.config/rosterctl.conf" : "");
}

/* Reads the first file that is there. */
static bool read_files(struct settings *settings, char *message, size_t message_size)
{
	struct buf text;
	const char *reason;
	char why[256];
	bool good;

	own_path(settings->path, sizeof(settings->path));
	if (access(settings->path, F_OK))
		snprintf(settings->path, sizeof(settings->path), "%s",
			 ROSTERD_SYSCONFDIR "/rosterctl.conf");
	/* One that only root may read is for root. */
	if (access(settings->path, R_OK))
		return true;
	buf_init(&text);
	settings->file = settings->path;
	if (file_read(settings->path, FILE_MAX, &text, &reason)) {
		snprintf(why, sizeof(why), "%s", reason);
		good = false;
	} else {
		good = settings_parse(settings, text.data, why, sizeof(why));
	}
	if (!good)
		snprintf(message, message_size, "%.300s: %s", settings->path, why);
	buf_fini(&text);
	return good;
}

/* ---- The server ---- */

/* A URL without its last slashes; NULL: it has no host, or parts that a server's has not. */
static char *copy_url(const char *url, size_t scheme_len)
{
	size_t len = strlen(url);

	while (len > scheme_len && url[len - 1] == '/')
		len--;
	return len > scheme_len && !strpbrk(url, " @?#\\") ? strndup(url, len) : NULL;
}

char *settings_url(const char *address)
{
	const char *at = strrchr(address, '@');
	const char *port = at ? at + 1 : "8500";
	int host_len = at ? (int)(at - address) : (int)strlen(address);
	const char *colon = strchr(address, ':');
	bool is_v6 = colon && *address != '[' && strchr(colon + 1, ':');
	bool has_port = !at && (*address == '[' ? strstr(address, "]:") != NULL : colon && !is_v6);
	char *url;

	if (strncmp(address, "http://", 7) == 0)
		return copy_url(address, 7);
	if (strncmp(address, "https://", 8) == 0)
		return copy_url(address, 8);
	if (host_len == 0 || !*port || strpbrk(address, " /?#\\"))
		return NULL;
	if (asprintf(&url, "http://%s%.*s%s%s%s", is_v6 ? "[" : "", host_len, address,
		     is_v6 ? "]" : "", has_port ? "" : ":", has_port ? "" : port) < 0)
		return NULL;
	return url;
}

/* ---- All together ---- */

static bool replace(char **field_value, const char *value)
{
	if (!value)
		return true;
	free(*field_value);
	*field_value = strdup(value);
	return *field_value != NULL;
}

static void forget(char **field_value)
{
	free(*field_value);
	*field_value = NULL;
}

/* The first line of a file, without the spaces around it. */
static bool read_token(struct settings *settings, const char *path, char *message,
		       size_t message_size)
{
	struct buf text;
	const char *reason = "is empty";
	size_t len = 0, start = 0;

	buf_init(&text);
	if (file_read(path, TOKEN_MAX, &text, &reason) == 0) {
		start = strspn(text.data, " \t\r\n");
		len = strcspn(text.data + start, " \t\r\n");
		reason = "is empty";
	}
	forget(&settings->token);
	if (len)
		settings->token = strndup(text.data + start, len);
	buf_fini(&text);
	if (!settings->token)
		snprintf(message, message_size, "%.300s: %s", path, reason);
	return settings->token != NULL;
}

/* Takes an address that is not from the file; what the file has is for its own server. */
static bool use_address(struct settings *settings, const char *http)
{
	char *url, *own;
	bool is_same;

	if (!http)
		return true;
	url = settings_url(http);
	own = settings_url(settings->http ? settings->http : default_http);
	is_same = url && own && strcmp(url, own) == 0;
	free(url);
	free(own);
	if (!is_same) {
		forget(&settings->token);
		forget(&settings->token_file);
		forget(&settings->cert);
		forget(&settings->key);
	}
	return replace(&settings->http, http);
}

bool settings_read(struct settings *settings, const struct args *args, char *message,
		   size_t message_size)
{
	const char *http = args_get(args, ARGS_HTTP), *token = getenv("ROSTERD_TOKEN");
	const char *token_file = args_get(args, ARGS_TOKEN_FILE);

	*settings = (struct settings){ .url = NULL };
	if (!http)
		http = getenv("ROSTERD_HTTP");
	if (!read_files(settings, message, message_size))
		return false;
	snprintf(message, message_size, "out of memory");
	if (!use_address(settings, http && *http ? http : NULL) ||
	    !replace(&settings->token, token && *token ? token : NULL) ||
	    !replace(&settings->cacert, args_get(args, ARGS_CACERT)) ||
	    !replace(&settings->cert, args_get(args, ARGS_CERT)) ||
	    !replace(&settings->key, args_get(args, ARGS_KEY)))
		return false;
	if (!token_file && !settings->token)
		token_file = settings->token_file;
	if (token_file && !read_token(settings, token_file, message, message_size))
		return false;
	settings->url = settings_url(settings->http ? settings->http : default_http);
	if (settings->url)
		return true;
	snprintf(message, message_size,
		 "'%.80s' is no server: host:port, address@port or a URL is expected",
		 settings->http);
	return false;
}

void settings_fini(struct settings *settings)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		forget(field(settings, &keys[i]));
	forget(&settings->url);
}
