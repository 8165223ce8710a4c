/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control: the control thread, where the write side meets. HTTP requests, check results and
 * deadlines become changes of the registry, those that have to survive a restart by way of the disk
 * (app/commit.h); one publish at the end of each round of the loop makes them visible in DNS, and
 * only then the replies that reported them go out. So writes that arrive together share one commit
 * and one publish.
 *
 * At start the doors are open before what was registered is read back (app/restore.h): whoever asks
 * is told to come again.
 *
 * Signals: SIGHUP reads configuration and zone files again (a bad one changes nothing), SIGUSR1
 * dumps the zones (app/dump.h), SIGTERM and SIGINT drain and stop, a second one stops at once.
 */
#ifndef ROSTERD_APP_CONTROL_H
#define ROSTERD_APP_CONTROL_H

#include "app/conf.h"

/*
 * Runs the server until a signal ends it; the calling thread is the control thread. `zones` are
 * taken over, contents and array; `tls` is what the certificate's files say, NULL without
 * one, and reloaded with the rest. Returns the process's exit code; every failure has its log line.
 */
int control_run(struct conf *conf, const struct conf_flags *flags, struct static_zone *zones,
		struct tls *tls);

#endif
