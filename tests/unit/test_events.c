/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/events.h"

#include "base/random.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	REVISION = 41, /* before the first event */
	SERVICES = 7,
	IDS = 5,
	LONG = 3 * LIMIT_EVENTS / 2, /* the ring goes round */
};

static struct events *events;
static struct service *services[SERVICES];
static char names[SERVICES][8];
static uint64_t newest;

/* Which service each revision was of: the reference. */
static unsigned char service_of[REVISION + LONG + 2];

static void set_up(void)
{
	events = events_new(REVISION);
	ck_assert_ptr_nonnull(events);
	newest = REVISION;
	for (size_t i = 0; i < SERVICES; i++) {
		snprintf(names[i], sizeof(names[i]), "s%zu", i);
		services[i] = calloc(1, sizeof(*services[i]) + sizeof(names[i]));
		ck_assert_ptr_nonnull(services[i]);
		strcpy(services[i]->name, names[i]);
	}
}

static void tear_down(void)
{
	events_free(events);
	for (size_t i = 0; i < SERVICES; i++)
		free(services[i]);
}

static void put(size_t service, enum event_kind kind, const char *id, const char *label)
{
	char id_copy[32];
	struct registration registration = {
		.service = names[service],
		.id = id_copy,
		.has_label = strcmp(id, label) != 0,
		.port = 80,
		.priority = 1,
		.weight = 2,
	};
	const struct instance instance = {
		.service = services[service],
		.registration = &registration,
		.status = STATUS_WARNING,
	};

	snprintf(id_copy, sizeof(id_copy), "%s%c%s", id, '\0', label);
	services[service]->revision = ++newest;
	service_of[newest] = (unsigned char)service;
	events_put(events, kind, services[service], kind == EVENT_POLICY ? NULL : &instance);
}

START_TEST(an_empty_ring)
{
	ck_assert(events_holds(events, REVISION));
	ck_assert(!events_holds(events, REVISION - 1));
	ck_assert(!events_holds(events, REVISION + 1));
	ck_assert(!events_holds(events, UINT64_MAX));
	ck_assert(!events_holds(events, 0));
	ck_assert_ptr_null(events_after(events, NULL, REVISION));
	ck_assert_ptr_null(events_after(events, "s0", REVISION));
}
END_TEST

START_TEST(an_event_is_a_copy)
{
	const struct event *event;

	put(0, EVENT_REGISTERED, "Some Id", "some-id-0123456789");
	put(0, EVENT_EXPIRED, "same", "same");
	put(0, EVENT_POLICY, "", "");
	event = events_after(events, "s0", REVISION);
	ck_assert_uint_eq(event->revision, REVISION + 1);
	ck_assert_int_eq(event->kind, EVENT_REGISTERED);
	ck_assert_int_eq(event->status, STATUS_WARNING);
	ck_assert_str_eq(event->service, "s0");
	ck_assert_str_eq(event->id, "Some Id");
	ck_assert_str_eq(event->label, "some-id-0123456789");
	ck_assert_uint_eq(event->port, 80);
	ck_assert_uint_eq(event->priority, 1);
	ck_assert_uint_eq(event->weight, 2);
	event = events_after(events, "s0", event->revision);
	ck_assert_str_eq(event->id, "same");
	ck_assert_str_eq(event->label, "same");
	ck_assert_str_eq(events_kind_name(event->kind), "expired");
	event = events_after(events, "s0", event->revision);
	ck_assert_int_eq(event->kind, EVENT_POLICY);
	ck_assert_ptr_null(event->id);
	ck_assert_ptr_null(events_after(events, "s0", event->revision));
}
END_TEST

/* What follows a revision, found by looking at each. 0: nothing. */
static uint64_t reference(size_t service, uint64_t revision)
{
	for (uint64_t at = revision + 1; at <= newest; at++)
		if (service == SERVICES || service_of[at] == service)
			return at;
	return 0;
}

static void compare(size_t service, uint64_t revision)
{
	const struct event *event =
		events_after(events, service == SERVICES ? NULL : names[service], revision);
	uint64_t wanted = reference(service, revision);

	ck_assert_uint_eq(event ? event->revision : 0, wanted);
	if (event && service < SERVICES)
		ck_assert_uint_eq(events_newest(events, names[service]),
				  services[service]->revision);
	if (event)
		ck_assert_str_eq(event->service, names[service_of[wanted]]);
}

/* Services of very different liveliness, the last of which falls silent, until the ring is round.
 */
START_TEST(follows_each_service_as_a_reference_does)
{
	struct random random;

	random_init_seed(&random, 1);
	for (size_t i = 0; i < LONG; i++) {
		size_t service = random_below(&random, 1u << (SERVICES - 1));
		size_t of = 0;
		char id[8];

		while (service >> of > 1)
			of++;
		if (of == 0 && i > LIMIT_EVENTS / 4)
			of = 1;
		snprintf(id, sizeof(id), "i%u", random_below(&random, IDS));
		put(of, EVENT_UPDATED, id, id);
		if (i % 997 == 0) {
			uint64_t back = random_below(&random, LIMIT_EVENTS) % (i + 1);

			for (size_t s = 0; s <= SERVICES; s++)
				compare(s, newest - back);
		}
	}
	ck_assert(events_holds(events, newest - LIMIT_EVENTS));
	ck_assert(!events_holds(events, newest - LIMIT_EVENTS - 1));
	ck_assert_ptr_null(events_after(events, names[0], newest - LIMIT_EVENTS));
	ck_assert_uint_eq(events_newest(events, names[0]), 0);
	put(0, EVENT_UPDATED, "back", "back");
	compare(0, newest - LIMIT_EVENTS);
}
END_TEST

/* From the oldest that is held to the newest: each once, in order, all of them. */
START_TEST(a_walk_misses_nothing)
{
	for (size_t i = 0; i < LONG; i++)
		put(i % SERVICES, EVENT_STATUS, "i", "i");
	for (size_t service = 0; service <= SERVICES; service++) {
		uint64_t at = newest - LIMIT_EVENTS;
		size_t n = 0, wanted = 0;
		const struct event *event;

		for (uint64_t r = at + 1; r <= newest; r++)
			wanted += service == SERVICES || service_of[r] == service;
		while ((event = events_after(events, service == SERVICES ? NULL : names[service],
					     at))) {
			ck_assert_uint_gt(event->revision, at);
			at = event->revision;
			n++;
		}
		ck_assert_uint_eq(n, wanted);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("events");
	TCase *tcase = tcase_create("events");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, an_empty_ring);
	tcase_add_test(tcase, an_event_is_a_copy);
	tcase_add_test(tcase, follows_each_service_as_a_reference_does);
	tcase_add_test(tcase, a_walk_misses_nothing);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
