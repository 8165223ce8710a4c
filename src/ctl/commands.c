/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/commands.h"

#include "ctl/change.h"
#include "ctl/commands_help.h"
#include "ctl/conf_check.h"
#include "ctl/operate.h"
#include "ctl/registration.h"
#include "ctl/server.h"
#include "ctl/show.h"
#include "ctl/sidecar.h"
#include "ctl/transfer.h"
#include "ctl/watch.h"

#include <string.h>

const struct command commands[] = {
	{ "status", "", "how the server is", 0, 0, 0, "30s", server_status },
	{ "services list", "", "every service with its instances by status", 0, 0, 0, "30s",
	  show_services },
	{ "services show", "SERVICE [ID]", "the instances of a service, or all of one", 0, 1, 2,
	  "30s", show_service },
	{ "checks", "[SERVICE]", "the health checks and what they said", 0, 0, 1, "30s",
	  show_checks },
	{ "why", "NAME [TYPE] [CLIENT]", "who is in the DNS answer, who is not, and why", 0, 1, 3,
	  "30s", show_why },
	{ "watch", "", "every change as it happens",
	  ARGS_BIT(ARGS_SERVICE) | ARGS_BIT(ARGS_SINCE) | ARGS_BIT(ARGS_COUNT), 0, 0, "30s",
	  watch_run },
	{ "stats", "[PART]", "what the server counts; PART is of the name", ARGS_BIT(ARGS_ALL), 0,
	  1, "30s", server_stats },
	{ "register", "[FILE]", "register an instance, or those in a file (-: input)",
	  REGISTRATION_OPTIONS, 0, 1, "30s", change_register },
	{ "deregister", "SERVICE ID", "remove an instance", 0, 2, 2, "30s", change_deregister },
	{ "drain", "SERVICE ID", "take it out, and wait until nobody uses it",
	  ARGS_BIT(ARGS_NO_WAIT), 2, 2, "30s", change_drain },
	{ "up", "SERVICE ID", "serve it whatever its checks say", 0, 2, 2, "30s", change_up },
	{ "down", "SERVICE ID", "do not serve it", 0, 2, 2, "30s", change_down },
	{ "auto", "SERVICE ID", "let its status decide again", 0, 2, 2, "30s", change_auto },
	{ "run", "-- COMMAND...", "run a command and keep it registered meanwhile",
	  REGISTRATION_OPTIONS | ARGS_BIT(ARGS_PROBE) | ARGS_BIT(ARGS_DRAIN_LIMIT), 0, 0, "5s",
	  sidecar_run },
	{ "export", "[FILE]", "what is registered, as lines of JSON", 0, 0, 1, "300s",
	  transfer_export },
	{ "import", "[FILE]", "register what such lines say", 0, 0, 1, "300s", transfer_import },
	{ "zone list", "", "the zones that are served", 0, 0, 0, "30s", operate_zone_list },
	{ "zone dump", "ZONE [FILE]", "a zone as it is answered, as a master file", 0, 1, 2, "30s",
	  operate_zone_dump },
	{ "reload", "", "have the server read its configuration and zones again", 0, 0, 0, "30s",
	  operate_reload },
	{ "replace", "", "have a new server take over, and wait until it does", 0, 0, 0, "70s",
	  operate_replace },
	{ "conf-check", "[FILE]", "say what is wrong with the server's configuration",
	  ARGS_BIT(ARGS_ROSTERD), 0, 1, NULL, conf_check_run },
	{ "completion", "bash", "print the completion for a shell", 0, 1, 1, NULL,
	  commands_help_completion },
};
const size_t commands_n = sizeof(commands) / sizeof(commands[0]);

/* Whether the name is these words; the first of two, alone, is enough. */
static bool matches(const char *name, char *const *words, size_t n, size_t *n_words)
{
	size_t len = strlen(words[0]);

	*n_words = 1;
	if (strncmp(name, words[0], len) != 0)
		return false;
	if (!name[len] || (name[len] == ' ' && n == 1))
		return true;
	*n_words = 2;
	return name[len] == ' ' && n > 1 && strcmp(name + len + 1, words[1]) == 0;
}

const struct command *commands_find(char *const *words, size_t n, size_t *n_words)
{
	for (size_t i = 0; n && i < commands_n; i++)
		if (matches(commands[i].name, words, n, n_words))
			return &commands[i];
	return NULL;
}
