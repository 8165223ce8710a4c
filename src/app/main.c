/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rosterd: from the command line to control_run(). Exit codes: 0, 1 (the system refused something),
 * 2 (usage), 78 (configuration or zone file).
 */
#include "app/control.h"
#include "app/transfer.h"
#include "app/zones.h"
#include "base/clock.h"
#include "base/log.h"

#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	LIBEVENT_LOG_MS = 1000, /* between two of its warnings */
};

static int print_help(void)
{
	char text[4096];

	conf_flags_help(text, sizeof(text));
	return fputs(text, stdout) < 0 || fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int print_version(void)
{
	return puts("rosterd " PACKAGE_VERSION) < 0 || fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Started with one of them closed, the next file to be opened would be what the log goes to. */
static void open_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= STDIN_FILENO && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

/*
 * A shell allows 1,024 descriptors, which the connections of DNS alone can take from HTTP and the
 * checks. How many there may be at most is the system's to say, not its default.
 */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* What it warns of, peers can make it warn of with each request. */
static void on_libevent_log(int severity, const char *message)
{
	static _Atomic uint64_t next_ms;
	uint64_t now_ms = clock_mono_ms(), due_ms = next_ms;

	if (severity != EVENT_LOG_ERR &&
	    (now_ms < due_ms ||
	     !atomic_compare_exchange_strong(&next_ms, &due_ms, now_ms + LIBEVENT_LOG_MS)))
		return;
	log_event(severity == EVENT_LOG_ERR ? LOG_ERROR : LOG_WARNING, "libevent", "error", message,
		  NULL);
}

int main(int argc, char **argv)
{
	struct conf_flags flags;
	struct static_zone *zones;
	struct conf conf;
	char message[512];
	int status;

	open_standard_files();
	if (!conf_flags_parse(&flags, argc, argv, message, sizeof(message))) {
		fprintf(stderr, "rosterd: %s\n", message);
		return EXIT_USAGE;
	}
	if (flags.help)
		return print_help();
	if (flags.version)
		return print_version();
	signal(SIGPIPE, SIG_IGN);
	event_set_log_callback(on_libevent_log);
	raise_descriptors();
	if (conf_load(&conf, &flags, message, sizeof(message))) {
		log_event(LOG_ERROR, "configuration-refused", "error", message, NULL);
		return EXIT_CONFIG;
	}
	if (flags.export_to || flags.import_from) {
		status = flags.export_to ? transfer_export(conf.data, flags.export_to)
					 : transfer_import(conf.data, flags.import_from);
		conf_fini(&conf);
		return status;
	}
	zones = zones_read(&conf, message, sizeof(message));
	if (!zones) {
		log_event(LOG_ERROR, "configuration-refused", "error", message, NULL);
		conf_fini(&conf);
		return EXIT_CONFIG;
	}
	if (flags.check_only) {
		zones_free(zones, conf.n_zones);
		status = EXIT_SUCCESS;
	} else {
		status = control_run(&conf, &flags, zones);
	}
	conf_fini(&conf);
	return status;
}
