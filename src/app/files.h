/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * files: registration from files: every *.json of a directory (model/codec_file.h has what is in
 * one) is a part of the registry. Configuration management writes them; rosterd.conf(5),
 * services-dir.
 *
 * Whose an instance is stands in its registration (registration->file) and so on the disk: what a
 * file had when it was last good is what the registry has of it. So nothing else has to be kept,
 * and a restart goes on where the stop was: at start all is served as before, and the first round
 * finds what has changed meanwhile.
 *
 * In a round the directory is listed, files that look different are read in the order of their
 * names, and the difference between them and the registry becomes writes as those of HTTP are:
 * saved first, in portions. Instances that are the same are not touched: they keep revision and
 * health.
 *
 *   a file ...                         then
 *   is good                            what it has is registered; what it had before and has no
 *                                      more is deregistered at the end of the round, unless a
 *                                      later file has it now: it can move, and files be renamed
 *   is bad, all of it if a part is,    what it registered stays as it is; told once for each
 *   or cannot be read                  text of the error, with its line and column
 *   has what an earlier one has, or    the same, but it is tried again in each round
 *   what the registry refuses
 *   has what HTTP registered           takes it over
 *   is gone                            what it registered is deregistered
 *
 *   the directory ...
 *   cannot be read                     all stays as it is, and it is tried again each second
 *   is empty, at start or as another   the same, since a file system that is not mounted looks so;
 *   directory than before              a reload says that it is meant. One that became empty before
 *                                      our eyes is believed
 *   is not configured any more         its instances stay, and are HTTP's to change
 *
 * A round begins a moment after inotify told of a change, so that what belongs together is seen
 * together; and every minute, for what inotify does not tell (network file systems, targets of
 * links). Each turn of the loop does a few milliseconds of it. While nothing can be saved a round
 * fails, and is tried again each second. Files are read by this thread, as the configuration is: on
 * a file system that hangs, HTTP hangs with it.
 *
 * Control thread only.
 */
#ifndef ROSTERD_APP_FILES_H
#define ROSTERD_APP_FILES_H

#include "api/native_write.h"

struct event_base;
struct files;

struct files_options {
	struct event_base *base;
	struct registry *registry;
	struct counters *counters;
	/* Work begins: control_serve_begin_round(). */
	void (*on_work)(void *cookie);
	/* Takes a write over; it is saved, applied and freed some time, or freed from within. */
	void (*put)(void *cookie, struct api_write *write);
	/* The first round is over, or takes so long that it is not worth waiting for. Once. */
	void (*on_first)(void *cookie);
	void *cookie;
};

/* NULL when out of memory. `options` is copied. */
struct files *files_new(const struct files_options *options);
/* After the last write was freed. NULL is fine. */
void files_free(struct files *files);

/*
 * Begins: all that was registered is there. `dir` NULL: there is no directory, and on_first() is
 * called from within. -1: out of memory.
 */
int files_start(struct files *files, const char *dir);

/*
 * The configuration was read again, by somebody who means what is in the directory now. Before
 * files_start() it is nothing.
 */
void files_reload(struct files *files, const char *dir);

/* How many files are good, and bad; and whether the directory is as it should be. */
void files_count(const struct files *files, size_t *n_good, size_t *n_bad, bool *is_dir_good);

/*
 * What a start would say of the files in a directory, and of the directory: one call for each that
 * is bad. Returns how many are. Without a loop and a registry: names of zone files are not
 * compared.
 */
size_t files_check(const char *dir, void (*on_bad)(const char *message));

#endif
