/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/commands_help.h"

#include "ctl/commands.h"
#include "ctl/term.h"

#include <stdio.h>
#include <string.h>

/* ---- For people ---- */

static void print_options(uint64_t set)
{
	for (enum args_id id = 0; id < ARGS_N; id++) {
		const struct args_option *option = &args_options[id];
		char name[48];

		if (!(set & ARGS_BIT(id)))
			continue;
		snprintf(name, sizeof(name), "--%s%s%s", option->name, option->argument ? " " : "",
			 option->argument ? option->argument : "");
		printf("  %-28s %s\n", name, option->help);
	}
}

void commands_help_print(const struct command *command)
{
	if (command) {
		printf("usage: rosterctl %s%s%s%s\n\n%s\n", command->name,
		       command->options ? " [OPTION]..." : "", *command->words ? " " : "",
		       command->words, command->help);
		if (command->options)
			printf("\nOptions:\n");
		print_options(command->options);
		printf("\nOptions of every command:\n");
		print_options(ARGS_COMMON);
		return;
	}
	printf("usage: rosterctl COMMAND [OPTION]... [WORD]...\n\nCommands:\n");
	for (size_t i = 0; i < commands_n; i++) {
		char name[64];

		snprintf(name, sizeof(name), "%s %s", commands[i].name, commands[i].words);
		printf("  %-28s %s\n", name, commands[i].help);
	}
	printf("\nOptions of every command:\n");
	print_options(ARGS_COMMON);
	printf("\n\"rosterctl COMMAND --help\" lists the options of a command; see rosterctl(8).\n");
}

/* ---- For bash ---- */

/* The options of a set that take a file, or that take anything, as a pattern of bash. */
static void print_pattern(bool is_file)
{
	const char *between = "";

	for (enum args_id id = 0; id < ARGS_N; id++) {
		const char *argument = args_options[id].argument;

		if (!argument || (strcmp(argument, "FILE") == 0) != is_file)
			continue;
		printf("%s--%s", between, args_options[id].name);
		between = " | ";
	}
}

static void print_names(uint64_t set)
{
	for (enum args_id id = 0; id < ARGS_N; id++)
		if (set & ARGS_BIT(id))
			printf(" --%s", args_options[id].name);
}

/* The words that may come behind one word, or first where there is none. */
static void print_words(const char *first)
{
	size_t len = strlen(first);
	const char *last = "";

	for (size_t i = 0; i < commands_n; i++) {
		const char *name = commands[i].name, *word = name;

		if (len && (strncmp(name, first, len) != 0 || name[len] != ' '))
			continue;
		if (len)
			word = name + len + 1;
		/* Two commands with the same first word stand together. */
		if (strcspn(word, " ") == strcspn(last, " ") &&
		    strncmp(word, last, strcspn(word, " ")) == 0)
			continue;
		printf(" %.*s", (int)strcspn(word, " "), word);
		last = word;
	}
}

/* What is offered behind each command, and behind the first word of two. */
static void print_cases(void)
{
	for (size_t i = 0; i < commands_n; i++) {
		const struct command *command = &commands[i];
		int len = (int)strcspn(command->name, " ");
		char first[32];

		if (command->name[len]) {
			snprintf(first, sizeof(first), "%.*s", len, command->name);
			printf("\t\"%s\") words=\"", first);
			print_words(first);
			printf("\" ;;\n");
		}
		printf("\t\"%s\"*)\n\t\toptions=\"", command->name);
		print_names(command->options | ARGS_COMMON);
		printf("\"\n");
		if (strstr(command->words, "FILE"))
			printf("\t\tfiles=yes\n");
		if (command->run == commands_help_completion)
			printf("\t\twords=bash\n");
		printf("\t\t;;\n");
	}
}

int commands_help_completion(const struct call *call)
{
	if (strcmp(call->words[0], "bash") != 0) {
		term_say("there is a completion for bash alone");
		return EXIT_USAGE;
	}
	printf("# bash completion for rosterctl, printed by \"rosterctl completion bash\"\n"
	       "_rosterctl() {\n"
	       "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
	       "\tlocal command= words= options= files= skip= i\n\n"
	       "\tCOMPREPLY=()\n"
	       "\tcase $before in\n\t");
	print_pattern(true);
	printf(") COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n\t");
	print_pattern(false);
	printf(") return ;;\n"
	       "\tesac\n"
	       "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	       "\t\t[ -z \"$skip\" ] || { skip=; continue; }\n"
	       "\t\tcase ${COMP_WORDS[i]} in\n"
	       "\t\t--) COMPREPLY=($(compgen -A command -A file -- \"$word\")); return ;;\n\t\t");
	print_pattern(true);
	printf(") skip=yes ;;\n\t\t");
	print_pattern(false);
	printf(") skip=yes ;;\n"
	       "\t\t-*) ;;\n"
	       "\t\t*) command=\"$command${command:+ }${COMP_WORDS[i]}\" ;;\n"
	       "\t\tesac\n"
	       "\tdone\n"
	       "\tcase $command in\n"
	       "\t\"\") words=\"");
	print_words("");
	printf("\" options=\"");
	print_names(ARGS_COMMON);
	printf("\" ;;\n");
	print_cases();
	printf("\tesac\n"
	       "\tcase $word in\n"
	       "\t-*) COMPREPLY=($(compgen -W \"$options\" -- \"$word\")) ;;\n"
	       "\t*) COMPREPLY=($(compgen -W \"$words\" ${files:+-f} -- \"$word\")) ;;\n"
	       "\tesac\n"
	       "}\n"
	       "complete -F _rosterctl rosterctl\n");
	return EXIT_OK;
}
