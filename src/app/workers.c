/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/workers.h"

#include "base/log.h"
#include "io/tcp.h"
#include "io/udp.h"
#include "io/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One socket that a worker serves: either is NULL. */
struct door {
	struct workers *workers;
	struct worker *worker;
	struct udp *udp;
	struct tcp *tcp;
};

struct workers {
	unsigned n;
	const struct udp_limit_options *limit;
	struct worker **workers;
	atomic_bool *answered; /* by worker: has gone round since it was asked */
	struct door *doors;
	int *sockets; /* by door */
	size_t n_doors, cap_doors;
	atomic_size_t n_draining, n_retiring;
	void (*on_retired)(void *cookie); /* NULL: they do not retire */
	void (*on_drained)(void *cookie);
	void *cookie;
};

static void log_failure(const struct listen_address *address, const char *what)
{
	log_event(LOG_ERROR, "listen-failed", "door", what, "addr", address->text, "error",
		  strerror(errno), "errno", log_fmt("%d", errno), NULL);
}

static const char *door_name(int type, const struct tls *tls)
{
	if (tls)
		return "dns-tls";
	return type == SOCK_DGRAM ? "dns-udp" : "dns-tcp";
}

static int reserve_door(struct workers *workers)
{
	size_t cap = workers->cap_doors ? workers->cap_doors * 2 : 64;
	struct door *doors;
	int *sockets;

	if (workers->n_doors < workers->cap_doors)
		return 0;
	doors = realloc(workers->doors, cap * sizeof(*doors));
	if (!doors)
		return -1;
	workers->doors = doors;
	sockets = realloc(workers->sockets, cap * sizeof(*sockets));
	if (!sockets)
		return -1;
	workers->sockets = sockets;
	workers->cap_doors = cap;
	return 0;
}

/* Lets a worker serve a socket, which is closed on failure: -1 with errno. */
static int add_door(struct workers *workers, struct worker *worker, int fd, int type,
		    const struct listen_address *address, struct tls *tls)
{
	struct door door = { .workers = workers, .worker = worker };

	if (reserve_door(workers))
		goto fail;
	if (type == SOCK_DGRAM)
		door.udp = udp_new(worker, fd, listen_is_wildcard(address), workers->limit);
	else
		door.tcp = tcp_new(worker, fd, tls);
	if (!door.udp && !door.tcp)
		goto fail;
	workers->sockets[workers->n_doors] = fd;
	workers->doors[workers->n_doors++] = door;
	return 0;
fail:
	close(fd);
	errno = ENOMEM;
	return -1;
}

/* Beside sockets of another user the kernel lets us open none; then a given one is shared. */
static int open_beside(struct listen_address *address, int type, int given)
{
	int fd = type == SOCK_DGRAM ? listen_udp(address) : listen_tcp_shared(address);

	if (fd < 0 && given >= 0 && (errno == EADDRINUSE || errno == EACCES))
		fd = fcntl(given, F_DUPFD_CLOEXEC, 0);
	return fd;
}

static int open_doors(struct workers *workers, struct listen_address *address,
		      struct listen_set *given, int type, struct tls *tls)
{
	size_t first = workers->n_doors;
	int fd;

	for (size_t i = 0; (fd = listen_set_take(given, type, true, address)) >= 0; i++)
		if (add_door(workers, workers->workers[i % workers->n], fd, type, address, tls))
			goto fail;
	for (size_t i = workers->n_doors - first; i < workers->n; i++) {
		fd = open_beside(address, type,
				 workers->n_doors > first ? workers->sockets[first] : -1);
		if (fd < 0 || add_door(workers, workers->workers[i], fd, type, address, tls))
			goto fail;
	}
	return 0;
fail:
	log_failure(address, door_name(type, tls));
	return -1;
}

/* What nobody has given us must be nobody's, or a second server would share our clients. */
static int probe_door(const struct listen_address *address, int type,
		      const struct listen_set *given, const struct tls *tls)
{
	if (given->is_replacement || listen_set_has(given, type, true, address) ||
	    listen_probe(address, type) == 0)
		return 0;
	log_failure(address, door_name(type, tls));
	return -1;
}

static int open_all(struct workers *workers, struct listen_address *addresses, size_t n_addresses,
		    struct listen_set *given)
{
	for (size_t i = 0; i < n_addresses; i++)
		if (probe_door(&addresses[i], SOCK_DGRAM, given, NULL) ||
		    probe_door(&addresses[i], SOCK_STREAM, given, NULL))
			return -1;
	for (size_t i = 0; i < n_addresses; i++)
		if (open_doors(workers, &addresses[i], given, SOCK_DGRAM, NULL) ||
		    open_doors(workers, &addresses[i], given, SOCK_STREAM, NULL))
			return -1;
	return 0;
}

int workers_open_tls(struct workers *workers, struct listen_address *addresses, size_t n_addresses,
		     struct listen_set *given, struct tls *tls)
{
	for (size_t i = 0; i < n_addresses; i++)
		if (probe_door(&addresses[i], SOCK_STREAM, given, tls) ||
		    open_doors(workers, &addresses[i], given, SOCK_STREAM, tls))
			return -1;
	return 0;
}

struct workers *workers_new(unsigned n, struct listen_address *addresses, size_t n_addresses,
			    struct listen_set *given, const struct catalog *catalog,
			    const struct answer_identity *identity,
			    const struct udp_limit_options *limit)
{
	struct workers *workers = calloc(1, sizeof(*workers));

	if (!workers)
		goto no_memory;
	workers->n = n;
	workers->limit = limit;
	workers->workers = calloc(n, sizeof(struct worker *));
	workers->answered = calloc(n, sizeof(*workers->answered));
	if (!workers->workers || !workers->answered)
		goto no_memory;
	for (unsigned w = 0; w < n; w++) {
		atomic_init(&workers->answered[w], true);
		workers->workers[w] = worker_new(catalog, identity);
		if (!workers->workers[w])
			goto no_memory;
		workers->workers[w]->answer.reader = w;
	}
	if (open_all(workers, addresses, n_addresses, given)) {
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

static void on_door_retired(struct workers *workers)
{
	if (workers->on_retired && atomic_fetch_sub(&workers->n_retiring, 1) == 1)
		workers->on_retired(workers->cookie);
}

static void drain_door(void *cookie)
{
	struct door *door = cookie;
	struct workers *workers = door->workers;

	if (door->udp && workers->on_retired)
		udp_stop(door->udp);
	if (door->udp)
		on_door_drained(door);
	else
		tcp_drain(door->tcp, on_door_drained, door);
	on_door_retired(workers);
}

void workers_retire(struct workers *workers, void (*on_retired)(void *cookie),
		    void (*on_drained)(void *cookie), void *cookie)
{
	workers->on_retired = on_retired;
	workers->on_drained = on_drained;
	workers->cookie = cookie;
	atomic_store(&workers->n_draining, workers->n_doors);
	atomic_store(&workers->n_retiring, workers->n_doors);
	for (size_t i = 0; i < workers->n_doors; i++) {
		struct door *door = &workers->doors[i];

		/* Without memory for the message the door is simply closed at the end. */
		if (worker_run(door->worker, drain_door, door) == 0)
			continue;
		on_door_drained(door);
		on_door_retired(workers);
	}
}

void workers_drain(struct workers *workers, void (*on_drained)(void *cookie), void *cookie)
{
	workers_retire(workers, NULL, on_drained, cookie);
}

void workers_free(struct workers *workers)
{
	if (!workers)
		return;
	for (unsigned w = 0; workers->workers && w < workers->n; w++)
		if (workers->workers[w])
			worker_stop(workers->workers[w]);
	for (size_t i = 0; i < workers->n_doors; i++) {
		udp_free(workers->doors[i].udp);
		tcp_free(workers->doors[i].tcp);
	}
	for (unsigned w = 0; workers->workers && w < workers->n; w++)
		worker_free(workers->workers[w]);
	free(workers->workers);
	free(workers->answered);
	free(workers->doors);
	free(workers->sockets);
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

const int *workers_sockets(const struct workers *workers, size_t *n)
{
	*n = workers->n_doors;
	return workers->sockets;
}

static void on_asked(void *cookie)
{
	atomic_bool *answered = cookie;

	atomic_store(answered, true);
}

bool workers_answer(struct workers *workers)
{
	for (unsigned w = 0; w < workers->n; w++)
		if (!atomic_load(&workers->answered[w]))
			return false;
	for (unsigned w = 0; w < workers->n; w++) {
		atomic_store(&workers->answered[w], false);
		if (worker_run(workers->workers[w], on_asked, &workers->answered[w])) {
			/* Nobody will answer: ask again the next time. */
			atomic_store(&workers->answered[w], true);
			return false;
		}
	}
	return true;
}
