/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/outfile.h"

#include "ctl/term.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static enum exit_status fail(const char *path, const char *reason)
{
	term_say("%s: %s", path, reason);
	return EXIT_LOCAL;
}

enum exit_status outfile_open(struct outfile *out, const char *path)
{
	*out = (struct outfile){ .file = stdout };
	if (!path || strcmp(path, "-") == 0)
		return EXIT_OK;
	out->path = path;
	out->file = NULL;
	if (snprintf(out->aside, sizeof(out->aside), "%s.new", path) >= (int)sizeof(out->aside))
		errno = ENAMETOOLONG;
	else
		out->file = fopen(out->aside, "we");
	return out->file ? EXIT_OK : fail(path, strerror(errno));
}

enum exit_status outfile_close(struct outfile *out, enum exit_status status)
{
	/* What cannot be written on standard output is said at the end, for all commands. */
	if (!*out->aside)
		return status;
	/* Once a write has failed its octets are lost, and what is left may well be written. */
	if (status == EXIT_OK && ferror(out->file))
		status = fail(out->aside, "cannot be written: is the disk full?");
	if (status == EXIT_OK && (fflush(out->file) || fsync(fileno(out->file))))
		status = fail(out->aside, strerror(errno));
	fclose(out->file);
	if (status == EXIT_OK && rename(out->aside, out->path))
		status = fail(out->path, strerror(errno));
	if (status != EXIT_OK)
		unlink(out->aside);
	return status;
}
