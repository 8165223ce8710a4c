/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/workers.h"

#include "base/log.h"
#include "io/tcp.h"
#include "io/udp.h"
#include "io/worker.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What one worker serves at one address. */
struct door {
	struct workers *workers;
	struct udp *udp;
	struct tcp *tcp;
};

struct workers {
	unsigned n;
	size_t n_addresses;
	struct worker **workers;
	struct door *doors; /* n x n_addresses, a worker's side by side */
	atomic_size_t n_draining;
	void (*on_drained)(void *cookie);
	void *cookie;
};

static void log_failure(const struct listen_address *address, const char *what)
{
	log_event(LOG_ERROR, "listen-failed", "door", what, "addr", address->text, "error",
		  strerror(errno), "errno", log_fmt("%d", errno), NULL);
}

static int open_door(struct door *door, struct worker *worker, struct listen_address *address,
		     const struct udp_limit_options *limit)
{
	int fd = listen_udp(address);

	if (fd < 0) {
		log_failure(address, "dns-udp");
		return -1;
	}
	door->udp = udp_new(worker, fd, listen_is_wildcard(address), limit);
	if (!door->udp) {
		log_failure(address, "dns-udp");
		close(fd);
		return -1;
	}
	fd = listen_tcp_shared(address);
	if (fd < 0) {
		log_failure(address, "dns-tcp");
		return -1;
	}
	door->tcp = tcp_new(worker, fd);
	if (!door->tcp) {
		log_failure(address, "dns-tcp");
		close(fd);
		return -1;
	}
	return 0;
}

static int open_doors(struct workers *workers, struct listen_address *addresses,
		      const struct catalog *catalog, const struct answer_identity *identity,
		      const struct udp_limit_options *limit)
{
	for (size_t i = 0; i < workers->n_addresses; i++) {
		if (listen_probe(&addresses[i])) {
			log_failure(&addresses[i], "dns");
			return -1;
		}
	}
	for (unsigned w = 0; w < workers->n; w++) {
		workers->workers[w] = worker_new(catalog, identity);
		if (!workers->workers[w]) {
			log_event(LOG_ERROR, "worker-failed", "error", strerror(errno), NULL);
			return -1;
		}
		workers->workers[w]->answer.reader = w;
		for (size_t i = 0; i < workers->n_addresses; i++) {
			struct door *door = &workers->doors[w * workers->n_addresses + i];

			door->workers = workers;
			if (open_door(door, workers->workers[w], &addresses[i], limit))
				return -1;
		}
	}
	return 0;
}

struct workers *workers_new(unsigned n, struct listen_address *addresses, size_t n_addresses,
			    const struct catalog *catalog, const struct answer_identity *identity,
			    const struct udp_limit_options *limit)
{
	struct workers *workers = calloc(1, sizeof(*workers));

	if (!workers)
		goto no_memory;
	workers->n = n;
	workers->n_addresses = n_addresses;
	workers->workers = calloc(n, sizeof(struct worker *));
	workers->doors = calloc(n * n_addresses, sizeof(*workers->doors));
	if (!workers->workers || !workers->doors)
		goto no_memory;
	if (open_doors(workers, addresses, catalog, identity, limit)) {
		workers_free(workers);
		return NULL;
	}
	return workers;
no_memory:
	log_event(LOG_ERROR, "worker-failed", "error", strerror(ENOMEM), NULL);
	workers_free(workers);
	return NULL;
}

int workers_start(struct workers *workers)
{
	for (unsigned w = 0; w < workers->n; w++) {
		if (worker_start(workers->workers[w])) {
			log_event(LOG_ERROR, "worker-failed", "error", strerror(errno), NULL);
			return -1;
		}
	}
	return 0;
}

static void on_door_drained(void *cookie)
{
	struct workers *workers = ((struct door *)cookie)->workers;

	if (atomic_fetch_sub(&workers->n_draining, 1) == 1)
		workers->on_drained(workers->cookie);
}

static void drain_door(void *cookie)
{
	struct door *door = cookie;

	tcp_drain(door->tcp, on_door_drained, door);
}

void workers_drain(struct workers *workers, void (*on_drained)(void *cookie), void *cookie)
{
	size_t n_doors = workers->n * workers->n_addresses;

	workers->on_drained = on_drained;
	workers->cookie = cookie;
	atomic_store(&workers->n_draining, n_doors);
	for (size_t i = 0; i < n_doors; i++) {
		struct worker *worker = workers->workers[i / workers->n_addresses];

		/* Without memory for the message the door is simply closed at the end. */
		if (worker_run(worker, drain_door, &workers->doors[i]))
			on_door_drained(&workers->doors[i]);
	}
}

void workers_free(struct workers *workers)
{
	if (!workers)
		return;
	for (unsigned w = 0; workers->workers && w < workers->n; w++)
		if (workers->workers[w])
			worker_stop(workers->workers[w]);
	for (size_t i = 0; workers->doors && i < workers->n * workers->n_addresses; i++) {
		udp_free(workers->doors[i].udp);
		tcp_free(workers->doors[i].tcp);
	}
	for (unsigned w = 0; workers->workers && w < workers->n; w++)
		worker_free(workers->workers[w]);
	free(workers->workers);
	free(workers->doors);
	free(workers);
}

void workers_count(const struct workers *workers, struct counters *counters,
		   struct answer_counts *answers)
{
	for (unsigned w = 0; w < workers->n; w++) {
		counters_read(counters, &workers->workers[w]->counters);
		answer_counts_read(answers, &workers->workers[w]->answer.counts);
	}
}
