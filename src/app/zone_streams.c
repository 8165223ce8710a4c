/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/zone_streams.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/queue.h"
#include "dns/name.h"
#include "model/dump.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/resource.h>

enum {
	NICE = 10,
	PART_LEN = 65536,   /* octets or more, in whole segments */
	PIECE_LEN = 131072, /* octets at most that wait for the kernel */
};

/*
 *   state     the part belongs to   until                    then
 *   PRINTING  its thread            the thread has pushed    SENDING
 *   SENDING   the control thread    the client has it all    PRINTING, or the end
 *
 * A client that leaves ends it: in SENDING at once, in PRINTING when the thread has pushed.
 */
struct stream {
	struct queue_node node; /* pushed by the thread */
	LIST_ENTRY(stream) link;
	struct zone_streams *streams;
	struct httpd_request *owed; /* NULL: the client is gone */
	struct event *deadline;
	pthread_t thread;
	bool is_printing;
	size_t sent; /* octets of the part */

	sem_t go_on;          /* posted for each part but the first, and to end */
	_Atomic bool is_left; /* nobody reads on: the part need not be whole, but is pushed */
	_Atomic bool is_over; /* instead of printing another part the thread ends */

	struct dump_walk walk;
	struct buf part;
	const char *failure; /* why the part is none; NULL: it is one */
	bool is_last;
};

struct zone_streams {
	struct event_base *base;
	const struct catalog *catalog;
	struct counters *counters;
	struct timeval request_time;
	struct queue *printed;
	struct event *on_printed;
	LIST_HEAD(, stream) streams;
	size_t n;
};

/* ---- The thread ---- */

static void print_head(struct stream *stream)
{
	char zone[NAME_TEXT_MAX];

	name_print(stream->walk.origin, stream->walk.len, zone);
	buf_print(&stream->part, "; %s, sent by rosterd\n", zone);
}

static void print_part(struct stream *stream)
{
	struct dump_walk *walk = &stream->walk;

	stream->part.len = 0;
	if (walk->position.segment == 0)
		print_head(stream);
	while (walk->position.segment < ZONE_SEGMENTS && stream->part.len < PART_LEN &&
	       !stream->is_left)
		if (!dump_print_part(&stream->part, stream->streams->catalog, walk)) {
			stream->failure = "the zone is served no more";
			return;
		}
	stream->is_last = walk->position.segment == ZONE_SEGMENTS;
	if (stream->is_last)
		buf_print(&stream->part, "; %zu records\n", walk->n_records);
	if (stream->part.failed)
		stream->failure = "out of memory";
}

static void *run_stream(void *cookie)
{
	struct stream *stream = cookie;

	setpriority(PRIO_PROCESS, 0, NICE); /* on Linux: of this thread */
	catalog_reader_register();
	do {
		print_part(stream);
		queue_push(stream->streams->printed, &stream->node);
		while (sem_wait(&stream->go_on) && errno == EINTR)
			;
	} while (!stream->is_over);
	catalog_reader_unregister();
	return NULL;
}

/* ---- The client ---- */

/* The thread is at its end soon. */
static void stream_join(struct stream *stream)
{
	stream->is_left = stream->is_over = true;
	sem_post(&stream->go_on);
	pthread_join(stream->thread, NULL);
}

/* What the queue has must not be freed. */
static void stream_free(struct stream *stream)
{
	LIST_REMOVE(stream, link);
	stream->streams->n--;
	event_free(stream->deadline);
	sem_destroy(&stream->go_on);
	buf_fini(&stream->part);
	free(stream);
}

/* In SENDING. */
static void stream_end(struct stream *stream)
{
	stream_join(stream);
	stream_free(stream);
}

static void stream_cut(struct stream *stream, const char *reason)
{
	char zone[NAME_TEXT_MAX];

	name_print(stream->walk.origin, stream->walk.len, zone);
	log_peer_event(LOG_WARNING, "zone-cut", "zone", zone, "reason", reason, NULL);
	httpd_stream_cut(stream->owed);
	stream_end(stream);
}

static void send_piece(struct stream *stream)
{
	size_t left = stream->part.len - stream->sent;
	size_t len = left < PIECE_LEN ? left : PIECE_LEN;

	event_add(stream->deadline, &stream->streams->request_time);
	if (httpd_stream_send(stream->owed, stream->part.data + stream->sent, len))
		stream_cut(stream, "out of memory");
	else
		stream->sent += len;
}

static void on_drained(void *cookie)
{
	struct stream *stream = cookie;

	if (stream->is_printing)
		return;
	if (stream->sent < stream->part.len) {
		send_piece(stream);
		return;
	}
	event_del(stream->deadline);
	if (stream->is_last) {
		httpd_stream_end(stream->owed);
		stream_end(stream);
		return;
	}
	stream->is_printing = true;
	sem_post(&stream->go_on);
}

static void on_leave(void *cookie)
{
	struct stream *stream = cookie;

	stream->owed = NULL;
	stream->is_left = true;
	if (!stream->is_printing)
		stream_end(stream);
}

static void on_deadline(evutil_socket_t fd, short what, void *cookie)
{
	struct stream *stream = cookie;

	(void)fd, (void)what;
	counters_add(&stream->streams->counters->limit_http_request_ms, 1);
	stream_cut(stream, "the client takes too long");
}

static void take_part(struct stream *stream)
{
	stream->is_printing = false;
	stream->sent = 0;
	if (!stream->owed)
		stream_end(stream);
	else if (stream->failure)
		stream_cut(stream, stream->failure);
	else
		send_piece(stream);
}

static void on_printed(evutil_socket_t fd, short what, void *cookie)
{
	struct zone_streams *streams = cookie;
	struct queue_node *node = queue_take(streams->printed);

	(void)fd, (void)what;
	while (node) {
		struct stream *stream = (struct stream *)(void *)node;

		node = node->next;
		take_part(stream);
	}
}

/* ---- Start ---- */

/* The thread runs, and waits for nothing yet but the reader. NULL: no memory. */
static struct stream *stream_new(struct zone_streams *streams, const struct api_zone *zone)
{
	struct stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return NULL;
	stream->streams = streams;
	stream->is_printing = true;
	stream->walk.len = zone->len;
	memcpy(stream->walk.origin, zone->origin, zone->len);
	buf_init(&stream->part);
	sem_init(&stream->go_on, 0, 0);
	stream->deadline = evtimer_new(streams->base, on_deadline, stream);
	if (!stream->deadline || pthread_create(&stream->thread, NULL, run_stream, stream))
		goto fail;
	LIST_INSERT_HEAD(&streams->streams, stream, link);
	streams->n++;
	return stream;
fail:
	if (stream->deadline)
		event_free(stream->deadline);
	sem_destroy(&stream->go_on);
	free(stream);
	return NULL;
}

static void refuse(struct httpd_request *owed, const char *reason)
{
	struct api_reply reply;

	api_reply_error(&reply, 503, NULL, "%s", reason);
	httpd_reply(owed, &reply);
	api_reply_fini(&reply);
}

void zone_streams_start(struct zone_streams *streams, struct httpd_request *owed,
			const struct api_zone *zone)
{
	struct httpd_stream_hooks hooks = {
		.on_drained = on_drained,
		.on_end = on_leave,
		.is_whole = true,
	};
	struct stream *stream;

	if (streams->n == LIMIT_ZONE_STREAMS) {
		counters_add(&streams->counters->limit_zone_streams, 1);
		refuse(owed, "too many zones are being sent: ask again");
		return;
	}
	stream = hooks.cookie = stream_new(streams, zone);
	if (!stream) {
		refuse(owed, "out of memory");
		return;
	}
	if (httpd_stream_start(owed, "text/dns", &hooks)) {
		refuse(owed, "out of memory");
		on_leave(stream);
		return;
	}
	stream->owed = owed;
}

/* ---- Life ---- */

struct zone_streams *zone_streams_new(struct event_base *base, const struct catalog *catalog,
				      struct counters *counters, unsigned request_ms)
{
	struct zone_streams *streams = calloc(1, sizeof(*streams));

	if (!streams)
		return NULL;
	streams->base = base;
	streams->catalog = catalog;
	streams->counters = counters;
	streams->request_time = clock_timeval(request_ms);
	LIST_INIT(&streams->streams);
	streams->printed = queue_new();
	if (streams->printed)
		streams->on_printed = event_new(base, queue_fd(streams->printed),
						EV_READ | EV_PERSIST, on_printed, streams);
	if (streams->on_printed && event_add(streams->on_printed, NULL) == 0)
		return streams;
	zone_streams_free(streams);
	return NULL;
}

void zone_streams_free(struct zone_streams *streams)
{
	struct stream *stream;

	if (!streams)
		return;
	LIST_FOREACH(stream, &streams->streams, link)
	{
		stream_join(stream);
	}
	if (streams->printed)
		queue_take(streams->printed);
	while ((stream = LIST_FIRST(&streams->streams)))
		stream_free(stream);
	if (streams->on_printed)
		event_free(streams->on_printed);
	queue_free(streams->printed);
	free(streams);
}
