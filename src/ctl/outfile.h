/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * outfile: where a long output goes: standard output, or a file that is written aside and renamed
 * when it is whole. What goes wrong is said here.
 */
#ifndef ROSTERD_CTL_OUTFILE_H
#define ROSTERD_CTL_OUTFILE_H

#include "ctl/exit.h"

#include <stdio.h>

struct outfile {
	FILE *file;
	const char *path; /* borrowed */
	char aside[4096]; /* empty: it is standard output */
};

/* NULL or "-" is standard output. */
enum exit_status outfile_open(struct outfile *out, const char *path);

/*
 * Ends what was opened; `status` is how writing it ended: unless EXIT_OK there is no new file.
 * Returns it, or what went wrong at the end.
 */
enum exit_status outfile_close(struct outfile *out, enum exit_status status);

#endif
