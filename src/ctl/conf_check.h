/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_check: the command conf-check: what the server's program says of a configuration, without
 * a server. Its exit status is that of the program.
 */
#ifndef ROSTERD_CTL_CONF_CHECK_H
#define ROSTERD_CTL_CONF_CHECK_H

#include "ctl/call.h"

int conf_check_run(const struct call *call);

/*
 * Appends the value of "error" in a line of the server's log (base/log.h), and a NUL. false: it has
 * none.
 */
bool conf_check_read_error(const char *line, struct buf *text);

#endif
