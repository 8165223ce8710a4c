/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/replace.h"

#include "base/limits.h"
#include "base/log.h"

#include <event2/event.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	HELLO_MS = 2000, /* whoever connects and says nothing keeps the others out for so long */
	END_MS = 2000,   /* in which a new server that failed should end by itself */
	BACKLOG = 16,
};

/*
 *   state     we wait for                     then          or it fails, then
 *   IDLE      a connection                    GREETING
 *   GREETING  "replace"                       OFFERED       IDLE
 *   OFFERED   "yield"                         YIELDING      IDLE
 *   YIELDING  our owner: replace_yielded()    YOURS         FAILING, or ENDING after the failure
 *   FAILING   our owner: replace_yielded()    ENDING
 *   YOURS     "ready"                         RETIRING      ENDING
 *   ENDING    the end of the other process    IDLE
 *   RETIRING  our owner: replace_retired()    DONE
 *   DONE
 */
enum state {
	IDLE,
	GREETING,
	OFFERED,
	YIELDING,
	FAILING,
	YOURS,
	ENDING,
	RETIRING,
	DONE,
};

struct replace {
	struct replace_owner owner;
	struct event_base *base;
	struct sockaddr_un address;
	int listening;
	struct event *on_connection, *timer;
	enum state state;
	/* The new server, if any: */
	int peer, process; /* a connection, a pidfd */
	struct event *on_message, *on_end;
};

static void set_timer(struct replace *replace, unsigned ms)
{
	struct timeval delay = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	event_add(replace->timer, &delay);
}

static void free_event(struct event **event)
{
	if (*event)
		event_free(*event);
	*event = NULL;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void hang_up(struct replace *replace)
{
	free_event(&replace->on_message);
	close_fd(&replace->peer);
}

/* The new server is gone, or never was one. */
static void become_idle(struct replace *replace)
{
	hang_up(replace);
	free_event(&replace->on_end);
	close_fd(&replace->process);
	event_del(replace->timer);
	replace->state = IDLE;
}

/* ---- Failure ---- */

static const char has_ended[] = "the new server has ended";

static bool is_alive(const struct replace *replace)
{
	struct pollfd process = { .fd = replace->process, .events = POLLIN };

	return replace->process >= 0 && poll(&process, 1, 0) == 0;
}

static void resume(struct replace *replace)
{
	become_idle(replace);
	replace->owner.resume(replace->owner.cookie);
}

/* What the other process may have open must not be taken back while it lives. */
static void await_end(struct replace *replace)
{
	replace->state = ENDING;
	hang_up(replace);
	if (replace->on_end)
		set_timer(replace, END_MS);
	else
		resume(replace);
}

static void fail(struct replace *replace, const char *reason)
{
	log_event(LOG_ERROR, "replace-failed", "reason", *reason ? reason : "not told", NULL);
	switch (replace->state) {
	case GREETING:
	case OFFERED:
		become_idle(replace);
		break;
	case YIELDING:
		hang_up(replace);
		event_del(replace->timer);
		replace->state = FAILING;
		break;
	case YOURS:
		await_end(replace);
		break;
	default:
		break;
	}
}

static void on_timer(evutil_socket_t fd, short what, void *cookie)
{
	struct replace *replace = cookie;

	(void)fd;
	(void)what;
	if (replace->state == ENDING)
		pidfd_send_signal(replace->process, SIGKILL, NULL, 0);
	else
		fail(replace, "the new server took too long");
}

/* Why it has ended, if it has said so; whatever else it said is void. */
static const char *last_words(struct replace *replace, struct replace_message *message)
{
	const char *reason = NULL;

	if (replace_wire_receive(replace->peer, message) > 0) {
		replace_wire_close_fds(message);
		reason = replace_wire_rest(message, "failed");
	}
	return reason ? reason : has_ended;
}

static void on_end(evutil_socket_t fd, short what, void *cookie)
{
	struct replace *replace = cookie;
	struct replace_message message;

	(void)fd;
	(void)what;
	free_event(&replace->on_end);
	close_fd(&replace->process);
	if (replace->state == ENDING)
		resume(replace);
	else if (replace->peer >= 0 && replace->state < RETIRING)
		fail(replace, last_words(replace, &message));
}

/* ---- The talk ---- */

static int send_sockets(struct replace *replace, const struct replace_goods *goods)
{
	for (size_t i = 0; i < goods->n_sockets; i += REPLACE_FDS) {
		size_t n = goods->n_sockets - i < REPLACE_FDS ? goods->n_sockets - i : REPLACE_FDS;

		if (replace_wire_send(replace->peer, "sockets", "", goods->sockets + i, n))
			return -1;
	}
	return 0;
}

static void greet(struct replace *replace, const char *rest)
{
	struct replace_goods goods;
	char *version, secret[40];
	int fds[2];

	if (!rest || strtol(rest, &version, 10) != REPLACE_PROTOCOL) {
		char reason[64];

		snprintf(reason, sizeof(reason), "this server speaks version %d alone",
			 REPLACE_PROTOCOL);
		replace_wire_send(replace->peer, "refused", rest ? reason : "what?", NULL, 0);
		fail(replace, rest ? "it speaks another version" : "it speaks another language");
		return;
	}
	log_event(LOG_INFO, "replace-begun", "version", *version ? version + 1 : "", NULL);
	replace->owner.offer(replace->owner.cookie, &goods);
	snprintf(secret, sizeof(secret), "%016" PRIx64 "%016" PRIx64, goods.cookie_secret.k0,
		 goods.cookie_secret.k1);
	fds[0] = goods.lock;
	fds[1] = replace->listening;
	set_timer(replace, LIMIT_REPLACE_MS);
	replace->state = OFFERED;
	if (send_sockets(replace, &goods) ||
	    replace_wire_send(replace->peer, "state", secret, fds, 2))
		fail(replace, strerror(errno));
}

static void handle(struct replace *replace, const struct replace_message *message)
{
	const char *failure = replace_wire_rest(message, "failed");

	if (replace->state == GREETING) {
		greet(replace, replace_wire_rest(message, "replace"));
	} else if (failure) {
		fail(replace, failure);
	} else if (replace->state == OFFERED && replace_wire_rest(message, "yield")) {
		replace->state = YIELDING;
		replace->owner.yield(replace->owner.cookie);
	} else if (!is_alive(replace)) {
		/* Who was ready and has ended since leaves nobody to retire for. */
		fail(replace, has_ended);
	} else if (replace->state == YOURS && replace_wire_rest(message, "ready")) {
		replace->state = RETIRING;
		event_del(replace->timer);
		event_del(replace->on_connection);
		replace->owner.retire(replace->owner.cookie);
	} else {
		fail(replace, "the new server said what it should not say now");
	}
}

static void on_message(evutil_socket_t fd, short what, void *cookie)
{
	struct replace *replace = cookie;
	struct replace_message message;
	int result = replace_wire_receive(replace->peer, &message);

	(void)fd;
	(void)what;
	if (result < 0 && errno == EAGAIN)
		return;
	if (result <= 0) {
		if (replace->state == RETIRING)
			hang_up(replace);
		else
			fail(replace, is_alive(replace) ? "the new server has closed the connection"
							: has_ended);
		return;
	}
	/* Nothing that a new server says has descriptors. */
	replace_wire_close_fds(&message);
	handle(replace, &message);
}

void replace_yielded(struct replace *replace, uint64_t revision)
{
	char text[32];

	if (replace->state == FAILING) {
		await_end(replace);
		return;
	}
	replace->state = YOURS;
	snprintf(text, sizeof(text), "%" PRIu64, revision);
	if (replace_wire_send(replace->peer, "yours", text, NULL, 0))
		fail(replace, strerror(errno));
}

void replace_not_yielded(struct replace *replace, const char *reason)
{
	if (replace->state == YIELDING) {
		replace_wire_send(replace->peer, "refused", reason, NULL, 0);
		fail(replace, reason);
	}
	await_end(replace);
}

void replace_retired(struct replace *replace)
{
	replace->state = DONE;
	if (replace->peer >= 0)
		replace_wire_send(replace->peer, "done", "", NULL, 0);
	hang_up(replace);
}

bool replace_has_yielded(const struct replace *replace)
{
	return replace && replace->state >= YOURS;
}

/* ---- Connections ---- */

/* Who connects may be anybody who can reach the directory. The reason is for both sides. */
static const char *check_peer(int fd, int *process)
{
	struct ucred who = { .pid = 0 };
	socklen_t len = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
		return strerror(errno);
	if (who.uid != geteuid() && who.uid != 0)
		return "only the server's own user and root may replace it";
	if (who.pid <= 0)
		return "it runs where this server cannot see it (another pid namespace)";
	*process = pidfd_open(who.pid, 0);
	return *process < 0 ? strerror(errno) : NULL;
}

static void refuse(int fd, const char *reason)
{
	log_event(LOG_WARNING, "replace-refused", "reason", reason, NULL);
	replace_wire_send(fd, "refused", reason, NULL, 0);
	close(fd);
}

static void on_connection(evutil_socket_t fd, short what, void *cookie)
{
	struct replace *replace = cookie;
	int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), process = -1;
	const char *reason;

	(void)what;
	if (peer < 0)
		return;
	reason = replace->state != IDLE ? "another replacement is under way"
					: check_peer(peer, &process);
	if (reason) {
		refuse(peer, reason);
		return;
	}
	replace->state = GREETING;
	replace->peer = peer;
	replace->process = process;
	replace->on_message =
		event_new(replace->base, peer, EV_READ | EV_PERSIST, on_message, replace);
	replace->on_end = event_new(replace->base, process, EV_READ, on_end, replace);
	if (!replace->on_message || !replace->on_end || event_add(replace->on_message, NULL) ||
	    event_add(replace->on_end, NULL)) {
		fail(replace, "out of memory");
		return;
	}
	set_timer(replace, HELLO_MS);
}

/* ---- Life ---- */

/* What is at the path is of a server that has ended: the caller has the directory's lock. */
static int open_socket(const struct sockaddr_un *address)
{
	int error, fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (unlink(address->sun_path) && errno != ENOENT)
		goto fail;
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) ||
	    chmod(address->sun_path, 0600) || listen(fd, BACKLOG))
		goto fail;
	return fd;
fail:
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

struct replace *replace_new(struct event_base *base, const char *directory, int fd,
			    const struct replace_owner *owner, char *message, size_t message_size)
{
	struct replace *replace = calloc(1, sizeof(*replace));

	if (!replace) {
		snprintf(message, message_size, "out of memory");
		close_fd(&fd);
		return NULL;
	}
	*replace = (struct replace){
		.owner = *owner,
		.base = base,
		.listening = fd,
		.peer = -1,
		.process = -1,
	};
	if (!replace_wire_address(directory, &replace->address)) {
		snprintf(message, message_size, "%s: too long for a socket's path", directory);
		goto fail;
	}
	if (fd < 0)
		replace->listening = open_socket(&replace->address);
	if (replace->listening < 0) {
		snprintf(message, message_size, "%s: %s", replace->address.sun_path,
			 strerror(errno));
		goto fail;
	}
	replace->timer = evtimer_new(base, on_timer, replace);
	replace->on_connection =
		event_new(base, replace->listening, EV_READ | EV_PERSIST, on_connection, replace);
	if (!replace->timer || !replace->on_connection || event_add(replace->on_connection, NULL)) {
		snprintf(message, message_size, "out of memory");
		goto fail;
	}
	return replace;
fail:
	replace_free(replace);
	return NULL;
}

void replace_free(struct replace *replace)
{
	if (!replace)
		return;
	if (replace->timer && replace->listening >= 0 && !replace_has_yielded(replace))
		unlink(replace->address.sun_path);
	free_event(&replace->on_connection);
	hang_up(replace);
	free_event(&replace->on_end);
	close_fd(&replace->process);
	free_event(&replace->timer);
	close_fd(&replace->listening);
	free(replace);
}
