/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guard: keeps web pages from using the HTTP port through the browser of somebody who may reach it.
 * A part of what every request passes, whatever its route; pure.
 *
 *   Host     must name this server: loopback, the address that the client has connected to, or a
 *            configured name. A page whose own name was pointed at us (DNS rebinding) still says
 *            its own name there.
 *   Origin   is sent by browsers with what scripts and forms ask for: it must be the server's own
 *            (a page of ours), or a configured one (cross-site request forgery).
 *            Programs send none.
 */
#ifndef ROSTERD_API_GUARD_H
#define ROSTERD_API_GUARD_H

#include "model/record.h"

/* In any letter case; hosts and addresses without ports. Whoever fills the lists owns them. */
struct guard {
	size_t n_names, n_origins;
	char **names;
	char **origins; /* "https://ops.example.net", with the port if it is not the scheme's */
};

/*
 * Whether a request with these header values (NULL: none) may pass. `local` is the address that it
 * came in at. false: `status` and `reason` (static) are what to reply.
 */
bool guard_passes(const struct guard *guard, const char *host, const char *origin,
		  const struct address *local, int *status, const char **reason);

#endif
