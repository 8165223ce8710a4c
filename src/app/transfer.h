/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transfer: rosterd --export and --import: what is registered, as lines of JSON
 * (model/codec_line.h), out of and into a data directory that no server uses meanwhile.
 *
 * An import adds to what is there and replaces what has the same service and id; all of it or
 * nothing. The copy that the server keeps (io/store.h) can be imported as it is.
 */
#ifndef ROSTERD_APP_TRANSFER_H
#define ROSTERD_APP_TRANSFER_H

/*
 * `path` may be "-". What is exported has the secrets of checks: such a file is for its owner
 * alone. The process's exit code; what went wrong has its log line.
 */
int transfer_export(const char *data, const char *path);
int transfer_import(const char *data, const char *path);

#endif
