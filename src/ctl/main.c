/* SPDX-License-Identifier: BSD-2-Clause */
/* main: finds the command that the words name, and gives it what it needs. */
#include "ctl/commands.h"
#include "ctl/commands_help.h"
#include "ctl/settings.h"
#include "ctl/term.h"
#include "ctl/text.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

enum {
	MESSAGE = 512,
	TIMEOUT_MAX_MS = 86400000,
};

static int fail_usage(const char *message, const struct command *command)
{
	term_say("%s\n\"rosterctl %s%s--help\" says what there is", message,
		 command ? command->name : "", command ? " " : "");
	return EXIT_USAGE;
}

/* Whether the command takes these options and so many words. */
static int check(const struct command *command, const struct args *args, size_t n)
{
	const struct args_option *other = args_find_other(args, ARGS_COMMON | command->options);
	char message[MESSAGE];

	if (other) {
		snprintf(message, sizeof(message), "--%s is not for \"%s\"", other->name,
			 command->name);
		return fail_usage(message, command);
	}
	if (n >= command->min && n <= command->max)
		return 0;
	snprintf(message, sizeof(message), "\"%s\" takes %s", command->name,
		 *command->words ? command->words : "no words");
	return fail_usage(message, command);
}

/* Connects nothing yet. */
static int run_with_server(const struct command *command, struct call *call)
{
	const char *timeout = args_get(call->args, ARGS_TIMEOUT);
	struct http_options options = { .url = NULL };
	struct settings settings;
	char message[MESSAGE];
	int status = EXIT_USAGE;

	if (!settings_read(&settings, call->args, message, sizeof(message))) {
		term_say("%s", message);
	} else if (!text_read_duration(timeout ? timeout : command->timeout, &options.timeout_ms) ||
		   options.timeout_ms == 0 || options.timeout_ms > TIMEOUT_MAX_MS) {
		term_say("--timeout: '%s' is no duration of at most a day, such as 30s", timeout);
	} else {
		options.url = call->url = settings.url;
		options.token = settings.token;
		options.cacert = settings.cacert;
		options.cert = settings.cert;
		options.key = settings.key;
		call->timeout_ms = options.timeout_ms;
		call->http = http_new(&options);
		status = call->http ? command->run(call) : (int)call_no_memory();
		http_free(call->http);
	}
	settings_fini(&settings);
	return status;
}

/* Behind "--" stand words that begin with a hyphen, unless a command stands there. */
static void take_rest(struct args *args, const struct command *command)
{
	if (!command || !args->rest || command->words[0] == '-')
		return;
	while (*args->rest)
		args->words[args->n_words++] = *args->rest++;
}

static int run(struct args *args)
{
	const char *color = args_get(args, ARGS_COLOR);
	size_t n_words = 0;
	const struct command *command = commands_find(args->words, args->n_words, &n_words);
	struct call call = { .args = args,
			     .words = args->words + n_words,
			     .json = args_get(args, ARGS_JSON) != NULL };
	char message[MESSAGE];
	int status;

	take_rest(args, command);
	call.n_words = args->n_words - n_words;
	if (!term_init(color ? color : "auto"))
		return fail_usage("--color: auto, always or never", NULL);
	if (args_get(args, ARGS_VERSION)) {
		printf("rosterctl %s\n", PACKAGE_VERSION);
		return EXIT_OK;
	}
	if (args_get(args, ARGS_HELP) && (command || !args->n_words)) {
		commands_help_print(command);
		return EXIT_OK;
	}
	if (!command) {
		snprintf(message, sizeof(message),
			 args->n_words ? "there is no command '%.80s'" : "which command?",
			 args->n_words ? args->words[0] : "");
		return fail_usage(message, NULL);
	}
	status = check(command, args, call.n_words);
	if (status)
		return status;
	return command->timeout ? run_with_server(command, &call) : command->run(&call);
}

int main(int argc, char **argv)
{
	struct args args;
	char message[MESSAGE];
	int status;

	setlocale(LC_TIME, "");
	if (args_parse(&args, argc, argv, message, sizeof(message)))
		status = run(&args);
	else
		status = fail_usage(message, NULL);
	args_fini(&args);
	if (fflush(stdout) || ferror(stdout)) {
		term_say("cannot write: %s", strerror(errno));
		return EXIT_LOCAL;
	}
	return status;
}
