/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rosterd: from the command line to control_run(). Exit codes: 0, 1 (the system refused something),
 * 2 (usage), 78 (configuration or zone file).
 */
#include "app/control.h"
#include "app/files.h"
#include "app/last_words.h"
#include "app/sandbox.h"
#include "app/transfer.h"
#include "app/zones.h"
#include "base/log.h"
#include "io/tls.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

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
	log_peer_event(severity == EVENT_LOG_ERR ? LOG_ERROR : LOG_WARNING, "libevent", "error",
		       message, NULL);
}

/* As the configured user: what a reload will want to read is better missed now. */
static void warn_unreadable(const char *path)
{
	if (path && access(path, R_OK))
		log_event(LOG_WARNING, "reload-will-fail", "file", path, "error", strerror(errno),
			  "reason", "the user that rosterd runs as cannot read it", NULL);
}

static int run(struct conf *conf, const struct conf_flags *flags, struct static_zone *zones,
	       struct tls *tls)
{
	const struct sandbox_options options = {
		.user = conf->user,
		.data = conf->data,
		.is_on = conf->sandbox,
	};
	char message[512];

	if (sandbox_enter(&options, message, sizeof(message))) {
		log_event(LOG_ERROR, "start-failed", "error", message, NULL);
		zones_free(zones, conf->n_zones);
		return EXIT_FAILURE;
	}
	warn_unreadable(flags->file);
	for (size_t i = 0; i < conf->n_zones; i++)
		warn_unreadable(conf->zones[i].file);
	warn_unreadable(conf->tls.certificate);
	warn_unreadable(conf->tls.key);
	warn_unreadable(conf->tls.client_ca);
	return control_run(conf, flags, zones, tls);
}

/*
 * As the configured user: the data directory is its own to put anything in, and whoever has got
 * into the server could lay links there for root to follow.
 */
static int transfer(const struct conf *conf, const struct conf_flags *flags)
{
	const struct sandbox_options options = {
		.user = conf->user,
		.data = conf->data,
		.is_on = conf->sandbox,
	};
	char message[512];

	if (conf->user && geteuid() == 0 && sandbox_enter(&options, message, sizeof(message))) {
		log_event(LOG_ERROR, "start-failed", "error", message, NULL);
		return EXIT_FAILURE;
	}
	return flags->export_to ? transfer_export(conf->data, flags->export_to)
				: transfer_import(conf->data, flags->import_from);
}

static int refuse_configuration(const char *message)
{
	log_event(LOG_ERROR, "configuration-refused", "error", message, NULL);
	last_words_say(message);
	return EXIT_CONFIG;
}

static void log_refused(const char *message)
{
	log_event(LOG_ERROR, "services-refused", "error", message, NULL);
}

/* All that are bad, not the first one alone: whoever asks wants to mend them. */
static int check_services(const struct conf *conf)
{
	return conf->services_dir && files_check(conf->services_dir, log_refused) ? EXIT_CONFIG
										  : EXIT_SUCCESS;
}

static int serve(int argc, char **argv)
{
	struct conf_flags flags;
	struct static_zone *zones;
	struct tls *tls = NULL;
	struct conf conf;
	char message[512];
	int status;

	if (!conf_flags_parse(&flags, argc, argv, message, sizeof(message))) {
		fprintf(stderr, "rosterd: %s\n", message);
		last_words_say(message);
		return EXIT_USAGE;
	}
	if (flags.help)
		return print_help();
	if (flags.version)
		return print_version();
	signal(SIGPIPE, SIG_IGN);
	event_set_log_callback(on_libevent_log);
	raise_descriptors();
	if (conf_load(&conf, &flags, message, sizeof(message)))
		return refuse_configuration(message);
	if (flags.export_to || flags.import_from) {
		status = transfer(&conf, &flags);
		conf_fini(&conf);
		return status;
	}
	if (conf.user && sandbox_check_user(conf.user, message, sizeof(message))) {
		conf_fini(&conf);
		return refuse_configuration(message);
	}
	zones = NULL;
	if (!conf.tls.certificate || (tls = tls_new(&conf.tls, message, sizeof(message))))
		zones = zones_read(&conf, message, sizeof(message));
	if (!zones) {
		tls_free(tls);
		conf_fini(&conf);
		return refuse_configuration(message);
	}
	if (flags.check_only) {
		zones_free(zones, conf.n_zones);
		status = check_services(&conf);
	} else {
		status = run(&conf, &flags, zones, tls);
	}
	tls_free(tls);
	conf_fini(&conf);
	return status;
}

int main(int argc, char **argv)
{
	int status;

	open_standard_files();
	last_words_init();
	status = serve(argc, argv);
	if (status != EXIT_SUCCESS)
		last_words_say(NULL);
	return status;
}
