/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exit: how rosterctl ends, by kind, so that scripts need not read messages. Listed in
 * rosterctl(8).
 */
#ifndef ROSTERD_CTL_EXIT_H
#define ROSTERD_CTL_EXIT_H

enum exit_status {
	EXIT_OK = 0,
	EXIT_REFUSED = 1,     /* the server said no, or is not ready */
	EXIT_USAGE = 2,       /* the command line or a setting is wrong */
	EXIT_UNREACHABLE = 3, /* there was no reply */
	EXIT_NOT_FOUND = 4,   /* the server knows nothing of that name */
	EXIT_LOCAL = 5,       /* a file here, or memory */
};

#endif
