/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/sidecar.h"

#include "base/clock.h"
#include "base/random.h"
#include "ctl/child.h"
#include "ctl/field.h"
#include "ctl/registration.h"
#include "ctl/term.h"
#include "ctl/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	LOOK_MIN_MS = 50, /* between two looks whether it listens */
	LOOK_MAX_MS = 1000,
	CONNECT_MS = 1000,
	RETRY_MIN_MS = 250, /* between two tries to reach the server */
	RETRY_MAX_MS = 5000,
	GIVE_UP_MS = 5000, /* of a drain, and of the last word */
};

/*
 * What it does next. A step has one request (or a connection) under way, or waits until `due_ms`.
 *
 *	step       does                      then
 *	LOCATE     asks for our own address  LISTEN
 *	LISTEN     connects to the program   REGISTER once it listens
 *	REGISTER   registers                 LOOK, if there was an instance at the start; HOLD
 *	LOOK       looks at that one         LIFT, if it is being drained; HOLD
 *	LIFT       sets it to auto           HOLD
 *	HOLD       renews the lease          HOLD; REGISTER, if it is not known any more
 *	DRAIN      drains                    SETTLE; END, if that is not possible
 *	SETTLE     renews the lease          SETTLE; END, with the signal, when it is time
 *	END        waits for the program     -
 *	LEAVE      deregisters               DONE
 *
 * A signal to end leads to DRAIN (to END, if nothing is registered), the program's end to LEAVE.
 */
enum step {
	LOCATE,
	LISTEN,
	REGISTER,
	LOOK,
	LIFT,
	HOLD,
	DRAIN,
	SETTLE,
	END,
	LEAVE,
	DONE
};

struct sidecar {
	const struct call *call;
	struct child child;
	json_t *registration;
	char *body; /* of the request that is under way */
	char *id;   /* NULL: not registered yet */
	const char *service;
	struct sockaddr_storage probe; /* where it should listen */
	socklen_t probe_len;           /* 0: not known yet, or nowhere */
	bool is_udp;                   /* nobody can see from outside whether it listens */
	int connecting;                /* -1: no connection is being made */
	uint64_t beat_ms, drain_limit_ms;

	enum step step;
	uint64_t due_ms, pause_ms, give_up_ms, settled_ms;
	bool may_be_known; /* a registration was sent */
	bool is_first;     /* none was answered yet */
	bool is_away;      /* it was said that the server cannot be reached or refuses */
	int end_signal;
	struct random random;
};

/* ---- Steps ---- */

static void go(struct sidecar *sidecar, enum step step, uint64_t delay_ms)
{
	sidecar->step = step;
	sidecar->due_ms = clock_mono_ms() + delay_ms;
	sidecar->pause_ms = 0;
}

/* The same step again after a pause that doubles each time, up to `max_ms`, and is never twice the
 * same: others wait for this server too. */
static void again(struct sidecar *sidecar, uint64_t min_ms, uint64_t max_ms)
{
	uint64_t pause_ms = sidecar->pause_ms ? sidecar->pause_ms * 2 : min_ms;

	if (pause_ms > max_ms)
		pause_ms = max_ms;
	sidecar->pause_ms = pause_ms;
	sidecar->due_ms = clock_mono_ms() + pause_ms / 2 +
			  random_below(&sidecar->random, (uint32_t)pause_ms / 2 + 1);
}

static void end_program(struct sidecar *sidecar)
{
	child_signal(&sidecar->child, sidecar->end_signal);
	go(sidecar, END, UINT64_MAX / 2);
}

/* Says once that it does not work, whatever comes of it. */
static void say_away(struct sidecar *sidecar, const struct http_reply *reply)
{
	if (!sidecar->is_away) {
		call_explain(sidecar->call, reply);
		term_say("trying again until it works; %s goes on", sidecar->service);
	}
	sidecar->is_away = true;
}

/* Tries the step again later; a drain and the last word not for ever. */
static void retry(struct sidecar *sidecar, const struct http_reply *reply)
{
	uint64_t max_ms = sidecar->beat_ms < RETRY_MAX_MS ? sidecar->beat_ms : RETRY_MAX_MS;

	say_away(sidecar, reply);
	if (sidecar->step == DRAIN && clock_mono_ms() >= sidecar->give_up_ms) {
		term_say("not drained: ending %s now", sidecar->service);
		end_program(sidecar);
	} else if (sidecar->step == LEAVE && clock_mono_ms() >= sidecar->give_up_ms) {
		term_say("%s is still registered; it goes when its lease ends", sidecar->service);
		go(sidecar, DONE, 0);
	} else {
		again(sidecar, RETRY_MIN_MS, max_ms);
	}
}

/* Whether trying again may help. */
static bool is_passing(long status)
{
	return status == 0 || status == 401 || status == 403 || status == 408 || status == 429 ||
	       status >= 500;
}

/* ---- Requests ---- */

/* Sends a request; the body is taken over. */
static void ask(struct sidecar *sidecar, const char *method, const char *path, json_t *body)
{
	struct http_request request = { .method = method, .path = path };

	free(sidecar->body);
	sidecar->body = body ? json_dumps(body, JSON_COMPACT) : NULL;
	request.body = sidecar->body;
	request.body_len = sidecar->body ? strlen(sidecar->body) : 0;
	if ((body && !sidecar->body) || http_start(sidecar->call->http, &request))
		again(sidecar, RETRY_MIN_MS, RETRY_MAX_MS);
	json_decref(body);
}

static void ask_instance(struct sidecar *sidecar, const char *method, const char *behind,
			 json_t *body)
{
	char *path = call_instance_path(sidecar->service, sidecar->id, behind);

	if (path)
		ask(sidecar, method, path, body);
	else
		again(sidecar, RETRY_MIN_MS, RETRY_MAX_MS);
	free(path);
}

static void set_probe(struct sidecar *sidecar, const char *ip)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&sidecar->probe;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&sidecar->probe;
	uint16_t port = htons((uint16_t)field_int(sidecar->registration, "port", 0));

	if (inet_pton(AF_INET, ip, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = port;
		sidecar->probe_len = sizeof(*v4);
	} else if (inet_pton(AF_INET6, ip, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = port;
		sidecar->probe_len = sizeof(*v6);
	}
}

/* ---- Steps that ask ---- */

static void locate(struct sidecar *sidecar)
{
	ask(sidecar, "GET", "/health/live", NULL);
}

/* Any reply shows which of our addresses leads there. */
static void on_located(struct sidecar *sidecar, const struct http_reply *reply, const json_t *json)
{
	(void)json;
	if (!*reply->local_ip ||
	    !field_put(sidecar->registration, "ip", json_string(reply->local_ip))) {
		retry(sidecar, reply);
		return;
	}
	if (!sidecar->probe_len && !sidecar->is_udp)
		set_probe(sidecar, reply->local_ip);
	go(sidecar, LISTEN, 0);
}

static void do_register(struct sidecar *sidecar)
{
	sidecar->may_be_known = true;
	ask(sidecar, "POST", "/registry/register", json_incref(sidecar->registration));
}

static void on_registered(struct sidecar *sidecar, const struct http_reply *reply,
			  const json_t *json)
{
	const char *id = field_text(json, "id", NULL);
	bool is_new = reply->status == 201, was_first = sidecar->is_first;

	if (reply->status >= 300 || reply->status < 200 || !id) {
		retry(sidecar, reply);
		return;
	}
	free(sidecar->id);
	sidecar->id = strdup(id);
	if (!sidecar->id) {
		again(sidecar, RETRY_MIN_MS, RETRY_MAX_MS);
		return;
	}
	sidecar->is_first = false;
	term_say("registered %s %s", sidecar->service, sidecar->id);
	if (was_first && !is_new)
		go(sidecar, LOOK, 0);
	else
		go(sidecar, HOLD, sidecar->beat_ms);
}

static void look(struct sidecar *sidecar)
{
	ask_instance(sidecar, "GET", "", NULL);
}

/* A drain was for the program that ran before; what else an operator decided stays. */
static void on_looked(struct sidecar *sidecar, const struct http_reply *reply, const json_t *json)
{
	if (is_passing(reply->status))
		retry(sidecar, reply);
	else if (strcmp(field_text(json, "admin", ""), "drain") == 0)
		go(sidecar, LIFT, 0);
	else
		go(sidecar, HOLD, sidecar->beat_ms);
}

static void lift(struct sidecar *sidecar)
{
	ask_instance(sidecar, "PUT", "/admin", json_pack("{ss}", "state", "auto"));
}

static void on_lifted(struct sidecar *sidecar, const struct http_reply *reply, const json_t *json)
{
	(void)json;
	if (is_passing(reply->status)) {
		retry(sidecar, reply);
		return;
	}
	term_say("the drain of an earlier run is over");
	go(sidecar, HOLD, sidecar->beat_ms);
}

static void hold(struct sidecar *sidecar)
{
	ask(sidecar, "POST", "/registry/heartbeat",
	    json_pack("{ssss}", "service", sidecar->service, "id", sidecar->id));
}

static void on_held(struct sidecar *sidecar, const struct http_reply *reply, const json_t *json)
{
	(void)json;
	if (reply->status == 404)
		go(sidecar, REGISTER, 0);
	else if (reply->status >= 200 && reply->status < 300)
		go(sidecar, HOLD, sidecar->beat_ms);
	else
		retry(sidecar, reply);
}

static void drain(struct sidecar *sidecar)
{
	if (sidecar->id)
		ask_instance(sidecar, "PUT", "/admin", json_pack("{ss}", "state", "drain"));
	else
		end_program(sidecar); /* whether it is registered was never said */
}

static void on_drained(struct sidecar *sidecar, const struct http_reply *reply, const json_t *json)
{
	double left_s = field_real(json, "safe_after_s", 0);
	uint64_t left_ms = sidecar->drain_limit_ms;

	if (is_passing(reply->status)) {
		retry(sidecar, reply);
		return;
	}
	if (reply->status != 200) {
		if (reply->status != 404)
			call_explain(sidecar->call, reply);
		end_program(sidecar);
		return;
	}
	if (left_s * 1000 < (double)left_ms)
		left_ms = left_s > 0 ? (uint64_t)(left_s * 1000) + 1 : 0;
	term_say("%s %s is drained, and ends in %.1f s", sidecar->service, sidecar->id,
		 (double)left_ms / 1000);
	sidecar->settled_ms = clock_mono_ms() + left_ms;
	go(sidecar, SETTLE, left_ms < sidecar->beat_ms ? left_ms : sidecar->beat_ms);
}

/* Answers in use may lead to the instance's own name, which goes with its lease. */
static void settle(struct sidecar *sidecar)
{
	if (clock_mono_ms() >= sidecar->settled_ms)
		end_program(sidecar);
	else
		hold(sidecar);
}

static void on_settling(struct sidecar *sidecar, const struct http_reply *reply, const json_t *json)
{
	uint64_t now_ms = clock_mono_ms();
	uint64_t left_ms = sidecar->settled_ms > now_ms ? sidecar->settled_ms - now_ms : 0;

	(void)reply, (void)json;
	go(sidecar, SETTLE, left_ms < sidecar->beat_ms ? left_ms : sidecar->beat_ms);
}

static void leave(struct sidecar *sidecar)
{
	if (sidecar->id)
		ask_instance(sidecar, "DELETE", "", NULL);
	else
		go(sidecar, DONE, 0);
}

static void on_left(struct sidecar *sidecar, const struct http_reply *reply, const json_t *json)
{
	(void)json;
	if (is_passing(reply->status)) {
		retry(sidecar, reply);
		return;
	}
	if (reply->status < 300)
		term_say("deregistered %s %s", sidecar->service, sidecar->id);
	else if (reply->status != 404)
		call_explain(sidecar->call, reply);
	go(sidecar, DONE, 0);
}

/* ---- Whether it listens ---- */

static void stop_connecting(struct sidecar *sidecar)
{
	if (sidecar->connecting >= 0)
		close(sidecar->connecting);
	sidecar->connecting = -1;
}

/*
 * Where nobody listens, a connection to a port that the kernel also gives to clients can come to
 * meet itself (RFC 9293 3.5, simultaneous open).
 */
static bool is_self_connected(int fd)
{
	struct sockaddr_storage own = { .ss_family = AF_UNSPEC }, peer = { .ss_family = AF_INET };
	socklen_t own_len = sizeof(own), peer_len = sizeof(peer);

	return getsockname(fd, (struct sockaddr *)&own, &own_len) == 0 &&
	       getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0 && own_len == peer_len &&
	       memcmp(&own, &peer, own_len) == 0;
}

static void on_connected(struct sidecar *sidecar, int error)
{
	if (!error && is_self_connected(sidecar->connecting))
		error = EADDRINUSE;
	stop_connecting(sidecar);
	if (error)
		again(sidecar, LOOK_MIN_MS, LOOK_MAX_MS);
	else
		go(sidecar, REGISTER, 0);
}

/* Connects without waiting; due again when that takes too long. */
static void listen_probe(struct sidecar *sidecar)
{
	if (!sidecar->probe_len) {
		go(sidecar, REGISTER, 0);
		return;
	}
	if (sidecar->connecting >= 0) {
		on_connected(sidecar, ETIMEDOUT);
		return;
	}
	sidecar->connecting =
		socket(sidecar->probe.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (sidecar->connecting < 0)
		on_connected(sidecar, errno);
	else if (connect(sidecar->connecting, (struct sockaddr *)&sidecar->probe,
			 sidecar->probe_len) == 0)
		on_connected(sidecar, 0);
	else if (errno == EINPROGRESS)
		sidecar->due_ms = clock_mono_ms() + CONNECT_MS;
	else
		on_connected(sidecar, errno);
}

/* ---- The loop ---- */

static const struct {
	void (*begin)(struct sidecar *sidecar); /* when it is due */
	void (*on_reply)(struct sidecar *sidecar, const struct http_reply *reply,
			 const json_t *json);
} steps[DONE + 1] = {
	[LOCATE] = { locate, on_located },
	[LISTEN] = { listen_probe, NULL },
	[REGISTER] = { do_register, on_registered },
	[LOOK] = { look, on_looked },
	[LIFT] = { lift, on_lifted },
	[HOLD] = { hold, on_held },
	[DRAIN] = { drain, on_drained },
	[SETTLE] = { settle, on_settling },
	[LEAVE] = { leave, on_left },
};

static void on_reply(struct sidecar *sidecar, const struct http_reply *reply)
{
	json_t *json =
		reply->body.len ? json_loadb(reply->body.data, reply->body.len, 0, NULL) : NULL;

	if (reply->status >= 200 && reply->status < 300) {
		if (sidecar->is_away)
			term_say("the server is back");
		sidecar->is_away = false;
	}
	steps[sidecar->step].on_reply(sidecar, reply, json);
	json_decref(json);
}

/* Leaves what is under way; the step that follows does not depend on it. */
static void interrupt(struct sidecar *sidecar, enum step step)
{
	http_cancel(sidecar->call->http);
	stop_connecting(sidecar);
	/* Who was not there a moment ago gets one more try. */
	sidecar->give_up_ms =
		clock_mono_ms() + (sidecar->is_away && step == LEAVE ? 0 : GIVE_UP_MS);
	go(sidecar, step, 0);
}

static void on_signal(struct sidecar *sidecar, int number)
{
	bool ends = number == SIGTERM || number == SIGINT;

	if (!ends || sidecar->step >= END) {
		child_signal(&sidecar->child, number);
		return;
	}
	sidecar->end_signal = number;
	if (sidecar->step < DRAIN && sidecar->may_be_known) {
		interrupt(sidecar, DRAIN);
		return;
	}
	interrupt(sidecar, END);
	end_program(sidecar);
}

static void take_signals(struct sidecar *sidecar)
{
	int number;

	while ((number = child_next_signal(&sidecar->child)))
		on_signal(sidecar, number);
	if (sidecar->child.has_ended && sidecar->step < LEAVE)
		interrupt(sidecar, sidecar->may_be_known ? LEAVE : DONE);
}

/* Milliseconds until the step is due; -1: nothing but an event moves it. */
static int wait_ms(const struct sidecar *sidecar)
{
	uint64_t now_ms = clock_mono_ms();

	if (http_is_busy(sidecar->call->http))
		return -1;
	if (sidecar->due_ms <= now_ms)
		return 0;
	return sidecar->due_ms - now_ms < 60000 ? (int)(sidecar->due_ms - now_ms) : 60000;
}

static void wait_for_connection(struct sidecar *sidecar)
{
	struct pollfd fd = { .fd = sidecar->connecting, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int error = 0;

	if (sidecar->connecting < 0 || poll(&fd, 1, 0) <= 0)
		return;
	if (getsockopt(sidecar->connecting, SOL_SOCKET, SO_ERROR, &error, &len))
		error = errno;
	on_connected(sidecar, error);
}

static void run_steps(struct sidecar *sidecar)
{
	struct http_reply reply;

	while (sidecar->step != DONE) {
		struct pollfd fds[] = { { .fd = sidecar->child.fd, .events = POLLIN },
					{ .fd = sidecar->connecting, .events = POLLOUT } };
		unsigned n = sidecar->connecting >= 0 ? 2 : 1;

		if (http_wait(sidecar->call->http, fds, n, wait_ms(sidecar), &reply)) {
			on_reply(sidecar, &reply);
			http_reply_fini(&reply);
		}
		take_signals(sidecar);
		wait_for_connection(sidecar);
		if (!http_is_busy(sidecar->call->http) && clock_mono_ms() >= sidecar->due_ms &&
		    steps[sidecar->step].begin)
			steps[sidecar->step].begin(sidecar);
	}
}

/* ---- Set up ---- */

static bool fail(const char *text)
{
	term_say("%s\n\"rosterctl run --help\" lists the options", text);
	return false;
}

/* Reads a duration. false: it is none, which has been said. */
static bool read_option(const struct call *call, enum args_id id, const char *otherwise,
			uint64_t *ms)
{
	const char *value = args_get(call->args, id);
	char text[200];

	if (text_read_duration(value ? value : otherwise, ms))
		return true;
	snprintf(text, sizeof(text), "--%s: '%.80s' is no duration, such as 30s or 1m30s",
		 args_options[id].name, value);
	return fail(text);
}

/* Where it is to be seen whether it listens, as far as that is known yet. */
static bool read_probe(struct sidecar *sidecar)
{
	const char *probe = args_get(sidecar->call->args, ARGS_PROBE);
	const char *ip = args_get(sidecar->call->args, ARGS_IP);

	sidecar->is_udp = strcmp(field_text(sidecar->registration, "protocol", ""), "udp") == 0;
	if (!probe && (!ip || sidecar->is_udp))
		return true;
	set_probe(sidecar, probe ? probe : ip);
	return sidecar->probe_len || fail("--probe and --ip take an IP address");
}

static bool read_options(struct sidecar *sidecar)
{
	static const char lease[] = "15s";
	const struct call *call = sidecar->call;
	uint64_t lease_ms;
	char message[256];

	if (!call->args->rest || !*call->args->rest)
		return fail("which command? It comes behind \"--\"");
	sidecar->registration = registration_json(call->args, lease, message, sizeof(message));
	if (!sidecar->registration)
		return fail(message);
	if (!read_option(call, ARGS_LEASE, lease, &lease_ms) ||
	    !read_option(call, ARGS_DRAIN_LIMIT, "60s", &sidecar->drain_limit_ms))
		return false;
	sidecar->beat_ms = lease_ms / 3 > 0 ? lease_ms / 3 : 1;
	sidecar->service = field_text(sidecar->registration, "name", "");
	return read_probe(sidecar);
}

int sidecar_run(const struct call *call)
{
	struct sidecar sidecar = { .call = call, .connecting = -1, .is_first = true };
	int status = EXIT_USAGE;

	if (read_options(&sidecar))
		status = child_start(&sidecar.child, call->args->rest);
	else
		sidecar.child.fd = -1;
	if (sidecar.child.pid > 0 && status == 0) {
		random_init(&sidecar.random);
		go(&sidecar, json_object_get(sidecar.registration, "ip") ? LISTEN : LOCATE, 0);
		run_steps(&sidecar);
		status = sidecar.child.exit_code;
	}
	if (sidecar.child.fd >= 0)
		close(sidecar.child.fd);
	json_decref(sidecar.registration);
	free(sidecar.body);
	free(sidecar.id);
	return status;
}
