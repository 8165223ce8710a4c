/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/conf_value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum flag_kind {
	FLAG_SET,  /* bool */
	FLAG_TEXT, /* const char *, once */
	FLAG_DNS,  /* conf_flags.dns, several times */
};

static const struct flag {
	const char *name, *alias; /* alias: NULL for none */
	const char *argument;     /* NULL: takes none */
	enum flag_kind kind;
	size_t offset; /* in struct conf_flags */
	const char *help;
} flag_table[] = {
	{ "-c", NULL, "FILE", FLAG_TEXT, offsetof(struct conf_flags, file),
	  "read the configuration from FILE, see rosterd.conf(5)" },
	{ "--zone", NULL, "NAME", FLAG_TEXT, offsetof(struct conf_flags, zone),
	  "serve this zone (default: service.local)" },
	{ "--dns", NULL, "ADDR@PORT", FLAG_DNS, 0,
	  "answer DNS there; may be repeated (default: 127.0.0.1@8600)" },
	{ "--http", NULL, "ADDR@PORT", FLAG_TEXT, offsetof(struct conf_flags, http),
	  "take HTTP requests there (default: 127.0.0.1@8500)" },
	{ "--data", NULL, "DIR", FLAG_TEXT, offsetof(struct conf_flags, data),
	  "keep data there (default: ./rosterd-data)" },
	{ "--workers", NULL, "N", FLAG_TEXT, offsetof(struct conf_flags, workers),
	  "threads that answer queries (default: the number of processors)" },
	{ "--replace", NULL, NULL, FLAG_SET, offsetof(struct conf_flags, replace),
	  "take over from the server that runs with the same data, if any" },
	{ "--check-config", NULL, NULL, FLAG_SET, offsetof(struct conf_flags, check_only),
	  "read the configuration and zone files, say what is wrong, exit" },
	{ "--export", NULL, "FILE", FLAG_TEXT, offsetof(struct conf_flags, export_to),
	  "write what is registered as lines of JSON (-: standard output), exit" },
	{ "--import", NULL, "FILE", FLAG_TEXT, offsetof(struct conf_flags, import_from),
	  "add or replace registrations from such lines (-: standard input), exit" },
	{ "--version", NULL, NULL, FLAG_SET, offsetof(struct conf_flags, version),
	  "print the version and exit" },
	{ "--help", "-h", NULL, FLAG_SET, offsetof(struct conf_flags, help),
	  "print this text and exit" },
};

enum {
	N_FLAGS = sizeof(flag_table) / sizeof(flag_table[0])
};

/* The flag that `arg` names. `*value` is what follows its '=', or NULL. */
static const struct flag *find_flag(const char *arg, const char **value)
{
	size_t len = strcspn(arg, "=");

	*value = NULL;
	for (const struct flag *flag = flag_table; flag < flag_table + N_FLAGS; flag++) {
		if (strcmp(arg, flag->name) == 0 || (flag->alias && strcmp(arg, flag->alias) == 0))
			return flag;
		if (arg[len] && arg[1] == '-' && strlen(flag->name) == len &&
		    strncmp(arg, flag->name, len) == 0) {
			*value = arg + len + 1;
			return flag;
		}
	}
	return NULL;
}

static bool fail_unknown(const char *arg, char *message, size_t message_size)
{
	const char *names[N_FLAGS];
	char name[64];

	if (arg[0] != '-') {
		snprintf(message, message_size, "unexpected argument '%.80s'", arg);
		return false;
	}
	for (size_t i = 0; i < N_FLAGS; i++)
		names[i] = flag_table[i].name;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(arg, "="), arg);
	conf_value_explain_unknown("flag", name, names, N_FLAGS, message, message_size);
	return false;
}

static bool put_value(struct conf_flags *flags, const struct flag *flag, const char *value,
		      char *message, size_t message_size)
{
	const char **text = (const char **)(void *)((char *)flags + flag->offset);

	if (!*value) {
		snprintf(message, message_size, "%s needs a value: %s", flag->name, flag->argument);
		return false;
	}
	if (flag->kind == FLAG_DNS) {
		if (flags->n_dns == LIMIT_ADDRESSES) {
			snprintf(message, message_size, "%s is given more than %d times",
				 flag->name, LIMIT_ADDRESSES);
			return false;
		}
		flags->dns[flags->n_dns++] = value;
		return true;
	}
	if (*text) {
		snprintf(message, message_size, "%s is given twice", flag->name);
		return false;
	}
	*text = value;
	return true;
}

/* Wrong values are wrong usage: say so before anything is read or opened. */
static bool check_values(const struct conf_flags *flags, char *message, size_t message_size)
{
	const char *reason, *name = NULL, *value = NULL;
	struct conf_zone zone = { .domain = NULL };
	struct listen_address address, *addresses = NULL;
	size_t n_addresses = 0;
	unsigned workers;

	for (size_t i = 0; i < flags->n_dns && !name; i++) {
		if (!conf_value_put_address(flags->dns[i], &addresses, &n_addresses, &reason)) {
			name = "--dns";
			value = flags->dns[i];
		}
	}
	free(addresses);
	if (!name && flags->http && !listen_parse(flags->http, &address, &reason)) {
		name = "--http";
		value = flags->http;
	}
	if (!name && flags->workers && !conf_value_workers(flags->workers, &workers, &reason)) {
		name = "--workers";
		value = flags->workers;
	}
	if (!name && flags->zone && !conf_value_domain(flags->zone, &zone, &reason)) {
		name = "--zone";
		value = flags->zone;
	}
	free(zone.domain);
	if (!name && flags->export_to && flags->import_from) {
		name = "--import";
		value = flags->import_from;
		reason = "cannot go with --export";
	}
	if (name)
		snprintf(message, message_size, "%s: '%.80s' %s", name, value, reason);
	return !name;
}

/* A hyphen alone is standard input or output. */
static bool is_flag(const char *arg)
{
	return arg[0] == '-' && arg[1];
}

bool conf_flags_parse(struct conf_flags *flags, int argc, char **argv, char *message,
		      size_t message_size)
{
	*flags = (struct conf_flags){ .argv = argv };
	for (int i = 1; i < argc; i++) {
		const char *value;
		const struct flag *flag = find_flag(argv[i], &value);

		if (!flag)
			return fail_unknown(argv[i], message, message_size);
		if (flag->kind == FLAG_SET && value) {
			snprintf(message, message_size, "%s takes no value", flag->name);
			return false;
		}
		if (flag->kind == FLAG_SET) {
			*(bool *)((char *)flags + flag->offset) = true;
			continue;
		}
		/* A flag where a value should be is a value forgotten. */
		if (!value)
			value = i + 1 < argc && !is_flag(argv[i + 1]) ? argv[++i] : "";
		if (!put_value(flags, flag, value, message, message_size))
			return false;
	}
	return check_values(flags, message, message_size);
}

bool conf_flags_get(size_t i, struct conf_flag_help *help)
{
	if (i >= N_FLAGS)
		return false;
	*help = (struct conf_flag_help){ .name = flag_table[i].name,
					 .alias = flag_table[i].alias,
					 .argument = flag_table[i].argument,
					 .help = flag_table[i].help };
	return true;
}

void conf_flags_help(char *text, size_t text_size)
{
	size_t len = 0;

	if (text_size)
		*text = '\0';
	for (size_t i = 0; i < N_FLAGS && len < text_size; i++) {
		const struct flag *flag = &flag_table[i];
		char names[40];

		snprintf(names, sizeof(names), "%s%s%s %s", flag->alias ? flag->alias : "",
			 flag->alias ? ", " : "", flag->name, flag->argument ? flag->argument : "");
		len += (size_t)snprintf(text + len, text_size - len, "%s  %-20s  %s\n",
					i ? "" : "usage: rosterd [FLAG]...\n\n", names, flag->help);
	}
}
