/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * commands_help: what --help prints, and the completion for bash: both are the tables of commands
 * and options.
 */
#ifndef ROSTERD_CTL_COMMANDS_HELP_H
#define ROSTERD_CTL_COMMANDS_HELP_H

#include "ctl/call.h"

struct command;

/* Prints the list of commands and common options, or what one command takes. */
void commands_help_print(const struct command *command);

/* Prints the completion. */
int commands_help_completion(const struct call *call);

#endif
