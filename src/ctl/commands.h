/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * commands: the table of what rosterctl can do. --help, the completion and the manual's list
 * (man/page.h) are of it.
 */
#ifndef ROSTERD_CTL_COMMANDS_H
#define ROSTERD_CTL_COMMANDS_H

#include "ctl/call.h"

struct command {
	const char *name;  /* one word or two */
	const char *words; /* what follows it, for people */
	const char *help;
	uint64_t options;    /* beside ARGS_COMMON */
	unsigned min, max;   /* how many words follow it */
	const char *timeout; /* of a request, unless --timeout says; NULL: it asks no server */
	/* An enum exit_status, but for what is the status of a program that was run. */
	int (*run)(const struct call *call);
};

/* By subject. */
extern const struct command commands[];
extern const size_t commands_n;

/* The command that the words begin with; *n_words: how many these are. NULL: there is none. */
const struct command *commands_find(char *const *words, size_t n, size_t *n_words);

#endif
