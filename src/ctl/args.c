/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/args.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct args_option args_options[ARGS_N] = {
#define ARGS_ROW(id, name, argument, help) [ARGS_##id] = { name, argument, help },
	ARGS_OPTIONS(ARGS_ROW)
#undef ARGS_ROW
};

static bool find(const char *name, size_t len, enum args_id *id)
{
	for (enum args_id i = 0; i < ARGS_N; i++) {
		if (strlen(args_options[i].name) != len ||
		    strncmp(args_options[i].name, name, len) != 0)
			continue;
		*id = i;
		return true;
	}
	return false;
}

/* Reads the option at argv[*at], and goes to its last word. */
static bool put_option(struct args *args, int argc, char **argv, int *at, char *message,
		       size_t message_size)
{
	const char *arg = argv[*at], *name = arg + 2, *value = NULL;
	size_t len = strcspn(name, "=");
	enum args_id id;

	if (strcmp(arg, "-h") == 0) {
		id = ARGS_HELP;
		len = 0;
	} else if (arg[1] != '-' || !find(name, len, &id)) {
		snprintf(message, message_size, "unknown option '%.80s'", arg);
		return false;
	} else if (name[len] == '=') {
		value = name + len + 1;
	}
	if (!args_options[id].argument && value) {
		snprintf(message, message_size, "--%s takes no value", args_options[id].name);
		return false;
	}
	if (args_options[id].argument && !value)
		value = *at + 1 < argc ? argv[++*at] : "";
	if (args_options[id].argument && !*value) {
		snprintf(message, message_size, "--%s needs a value: %s", args_options[id].name,
			 args_options[id].argument);
		return false;
	}
	args->given[args->n_given++] = (struct args_given){ id, value ? value : "" };
	return true;
}

bool args_parse(struct args *args, int argc, char **argv, char *message, size_t message_size)
{
	size_t room = (size_t)argc + 1;

	*args = (struct args){ .given = calloc(room, sizeof(*args->given)),
			       .words = calloc(room, sizeof(*args->words)) };
	if (!args->given || !args->words) {
		snprintf(message, message_size, "out of memory");
		return false;
	}
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--") == 0) {
			args->rest = argv + i + 1;
			break;
		}
		if (argv[i][0] != '-' || !argv[i][1])
			args->words[args->n_words++] = argv[i];
		else if (!put_option(args, argc, argv, &i, message, message_size))
			return false;
	}
	return true;
}

void args_fini(struct args *args)
{
	free(args->given);
	free(args->words);
}

const struct args_option *args_find_other(const struct args *args, uint64_t set)
{
	for (size_t i = 0; i < args->n_given; i++)
		if (!(set & ARGS_BIT(args->given[i].id)))
			return &args_options[args->given[i].id];
	return NULL;
}

const char *args_get(const struct args *args, enum args_id id)
{
	for (size_t i = args->n_given; i > 0; i--)
		if (args->given[i - 1].id == id)
			return args->given[i - 1].value;
	return NULL;
}

const char *args_next(const struct args *args, enum args_id id, size_t *position)
{
	while (*position < args->n_given) {
		const struct args_given *given = &args->given[(*position)++];

		if (given->id == id)
			return given->value;
	}
	return NULL;
}
