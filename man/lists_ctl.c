/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables of rosterctl: commands, options.
 */
#include "ctl/commands.h"
#include "ctl/registration.h"
#include "mdoc.h"
#include "page.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* What follows a command: "SERVICE [ID]", "-- COMMAND...", "bash". */
static void print_words(const char *words)
{
	while (*words) {
		size_t len = strcspn(words, " ");
		char word[64];

		snprintf(word, sizeof(word), "%.*s", (int)len, words);
		if (strcmp(word, "--") == 0) {
			printf(" No \\&--");
		} else if (*word == '[') {
			word[len - 1] = '\0';
			printf(" Op Ar");
			mdoc_words_lower(word + 1);
		} else if (len > 3 && strcmp(word + len - 3, "...") == 0) {
			word[len - 3] = '\0';
			printf(" Ar");
			mdoc_words_lower(word);
			printf(" ...");
		} else {
			printf(isupper((unsigned char)*word) ? " Ar" : " Cm");
			mdoc_words_lower(word);
		}
		words += len + (words[len] == ' ');
	}
}

static void print_option_names(uint64_t set)
{
	bool has_registration = (set & REGISTRATION_OPTIONS) == REGISTRATION_OPTIONS;
	const char *between = "";

	if (!set)
		return;
	printf("Options:\n");
	if (has_registration) {
		printf("those of a registration");
		set &= ~REGISTRATION_OPTIONS;
		between = ",\n";
	}
	for (enum args_id id = 0; id < ARGS_N; id++) {
		if (!(set & ARGS_BIT(id)))
			continue;
		printf("%s.Fl -%s", between, args_options[id].name);
		between = " ,\n";
	}
	puts(*between == ' ' ? " ." : ".");
}

void lists_commands(struct page *page, const char *argument)
{
	(void)argument;
	for (size_t i = 0; i < commands_n; i++) {
		const struct command *command = &commands[i];

		printf(".It Cm %s", command->name);
		print_words(command->words);
		putchar('\n');
		mdoc_sentence(command->help);
		page_about(page, command->name);
		print_option_names(command->options);
	}
}

void lists_options(struct page *page, const char *set)
{
	uint64_t wanted;

	if (strcmp(set, "common") == 0)
		wanted = ARGS_COMMON;
	else if (strcmp(set, "registration") == 0)
		wanted = REGISTRATION_OPTIONS;
	else if (strcmp(set, "other") == 0)
		wanted = (ARGS_BIT(ARGS_N) - 1) & ~(ARGS_COMMON | REGISTRATION_OPTIONS);
	else
		page_fail("no set of options: %s", set);
	for (enum args_id id = 0; id < ARGS_N; id++) {
		const struct args_option *option = &args_options[id];

		if (!(wanted & ARGS_BIT(id)))
			continue;
		printf(".It Fl -%s", option->name);
		if (option->argument) {
			printf(" Ar");
			mdoc_words_lower(option->argument);
		}
		putchar('\n');
		mdoc_sentence(option->help);
		page_about(page, option->name);
	}
}
