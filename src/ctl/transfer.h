/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transfer: the commands export and import: what is registered as lines of JSON, over HTTP, from
 * and to a running server. The lines are those of rosterd --export and --import, in either
 * direction:
 *
 *     {"registration":{...},"admin":"drain"}
 *     {"service":"payment","policy":{"ttl":10}}
 *
 * The server shows the names of a check's headers but not their values. An export over HTTP has
 * "header_names" in place of "headers" then, and says so; such a line is refused by both imports.
 * What checks and heartbeats said is not imported: it begins anew.
 */
#ifndef ROSTERD_CTL_TRANSFER_H
#define ROSTERD_CTL_TRANSFER_H

#include "ctl/call.h"

int transfer_export(const struct call *call);
int transfer_import(const struct call *call);

/*
 * The line of an instance as GET shows it; a new object, NULL: out of memory. Sets *has_secrets if
 * a check has headers.
 */
json_t *transfer_instance_json(const json_t *instance, bool *has_secrets);

#endif
