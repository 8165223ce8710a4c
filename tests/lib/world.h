/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * world: the whole product without sockets, for tests: registry, compile, catalog and answer(),
 * with a clock that only moves when told. Registrations come in as JSON, as over HTTP; replies are
 * decoded by ldns, a codec that is not ours.
 *
 * One thread, which is control thread and reader at once. Whatever cannot go wrong in a test
 * (memory, files of the test itself) is an assert.
 */
#ifndef ROSTERD_TESTS_WORLD_H
#define ROSTERD_TESTS_WORLD_H

#include "model/answer.h"
#include "model/codec.h"
#include "model/compile.h"
#include "model/registry.h"

#include <ldns/ldns.h>

enum {
	WORLD_ZONES = 8,
	WORLD_MESSAGE = LIMIT_TCP_MESSAGE,
};

/* A zone as a test asks for it. Strings are owned by the world. */
struct world_zone {
	char *origin;                /* text */
	char *file;                  /* NULL: the built-in apex */
	char *tag;                   /* filter; NULL: any */
	char *meta_key, *meta_value; /* filter; NULL: any */
};

struct world {
	uint64_t now_ms;
	struct registry *registry;
	struct catalog *catalog;
	struct compile *compile;
	struct answer_identity identity; /* tells nothing unless a test fills it */
	struct answer answer;
	struct counters control, reader;
	size_t n_zones;
	struct world_zone zones[WORLD_ZONES];
	size_t n_checks; /* checks that somebody would be running now */
	bool is_held;    /* set by a test: writes are published together, by world_release() */
};

/* The same `seed` draws the same. No zone yet. */
void world_init(struct world *world, uint64_t seed);
void world_fini(struct world *world);

/* Adds or replaces a zone; strings are copied. -1 with a message: nothing has changed. */
int world_add_zone(struct world *world, const struct world_zone *zone, char *message,
		   size_t message_size);

/* Forgets a zone. */
void world_drop_zone(struct world *world, const char *origin);

/* Writes, as HTTP would make them; the result is an HTTP status. `message`: 400 octets, for people.
 */
enum {
	WORLD_MESSAGE_TEXT = 400,
};
int world_register(struct world *world, const char *json, char *message);
int world_heartbeat(struct world *world, const char *json, char *message);
int world_deregister(struct world *world, const char *service, const char *id, char *message);
int world_policy(struct world *world, const char *service, const char *json, char *message);

int world_admin(struct world *world, const char *service, const char *id, const char *json,
		char *message);

/* How long the instance, which is down or draining, may still be named; 0: no longer. */
uint64_t world_safe_after_ms(const struct world *world, const char *service, const char *id);

/* The result of a check that took no time; `index` among the instance's checks. */
int world_probe(struct world *world, const char *service, const char *id, size_t index, bool passed,
		char *message);

/* Publishes what was held. To be called before time passes. */
void world_release(struct world *world);

/* Moves the clock on by `ms`, stopping at each deadline on the way. */
void world_advance(struct world *world, uint64_t ms);

/*
 * As if the process ended and another began in the same moment: nothing is left but what a store
 * keeps, as lines (model/codec_line.h).
 */
void world_restart(struct world *world);

/* A question and how it is sent. */
struct world_question {
	const char *name; /* absolute, or relative to the first zone; "@" is that zone's apex */
	ldns_rr_type type;
	ldns_rr_class class; /* 0: IN */
	enum answer_transport transport;
	uint16_t edns; /* the client's EDNS size; 0: no EDNS */
};

/*
 * Asks and gives the reply's octets in `message` (WORLD_MESSAGE of room), its length, and the reply
 * decoded (ldns_pkt_free). Asserts what holds for every reply: one comes, within the transport's
 * limit, with our id and question, QR set, and ldns can read it.
 */
ldns_pkt *world_ask(struct world *world, const struct world_question *question, uint8_t *message,
		    size_t *len);

/*
 * The bare answer() on `len` octets in `message` (WORLD_MESSAGE of room), asked by 192.0.2.1 at
 * WORLD_WALL_S. Returns the reply's length.
 */
enum {
	WORLD_WALL_S = 1700000000
};
size_t world_answer(struct world *world, enum answer_transport transport, uint8_t *message,
		    size_t len);

/*
 * A record as text: owner, type and data, names inside the first zone shortened to what stands
 * before it: "payment SRV 10 100 8080 10-0-0-1-8080.payment". The caller frees.
 */
char *world_record_text(const struct world *world, const ldns_rr *rr);

/* Shortens names of the first zone in any such text, in place. */
void world_shorten(const struct world *world, char *text);

#endif
