/* SPDX-License-Identifier: BSD-2-Clause */
/* The way of a write, with a store of our own that says what it was given and fails when told to.
 */
#include "app/commit.h"

#include "api/native.h"
#include "base/clock.h"

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	REVISION = 10,
	WAIT_MS = 50000,
	REPLIES = 16,
};

/* ---- The store ---- */

static struct queue *done_queue;
static struct store_batch *in_flight; /* the batch that was submitted */
static size_t n_submitted;

struct store_batch *store_batch_new(void)
{
	return calloc(1, sizeof(struct store_batch));
}

void store_batch_free(struct store_batch *batch)
{
	if (batch)
		buf_fini(&batch->ops);
	free(batch);
}

static void put_op(struct store_batch *batch, char sign, enum stored_kind kind,
		   const struct stored_key *key)
{
	static const char *const kinds[] = {
		[STORED_REGISTRATION] = "registration",
		[STORED_STATE] = "state",
		[STORED_POLICY] = "policy",
	};

	batch->n_ops++;
	buf_print(&batch->ops, "%s%c%s:%s/%s", batch->ops.len ? " " : "", sign, kinds[kind],
		  key->service, key->id);
}

void store_batch_put(struct store_batch *batch, enum stored_kind kind, const struct stored_key *key,
		     const void *record, size_t len)
{
	struct stored_state state;

	ck_assert_int_eq(stored_check(kind, key, record, len), STORED_OK);
	put_op(batch, '+', kind, key);
	if (kind != STORED_STATE)
		return;
	ck_assert_int_eq(stored_get_state(key, record, len, &state), STORED_OK);
	buf_print(&batch->ops, "=%s,%s", record_admin_name(state.admin),
		  health_status_name(state.reported));
}

void store_batch_remove(struct store_batch *batch, enum stored_kind kind,
			const struct stored_key *key)
{
	put_op(batch, '-', kind, key);
}

bool store_batch_failed(const struct store_batch *batch)
{
	return batch->ops.failed;
}

int store_start(struct store *store, struct queue *done)
{
	(void)store;
	done_queue = done;
	return 0;
}

void store_submit(struct store *store, struct store_batch *batch)
{
	(void)store;
	ck_assert_ptr_null(in_flight);
	in_flight = batch;
	n_submitted++;
}

/* ---- Everything else ---- */

static struct event_base *base;
static struct counters counters;
static struct api api;
static struct commit *commit;
static int statuses[REPLIES]; /* by request; 0: it has no reply */
static bool has_drained;
static bool cannot_say; /* there is no memory for what replies say */
static uint64_t now_ms;

static struct httpd_request *owed_of(size_t request)
{
	return (struct httpd_request *)(void *)&statuses[request];
}

static void *no_memory(size_t size)
{
	(void)size;
	return NULL;
}

static void on_saved(void *cookie, struct httpd_request *owed, struct api_write *write)
{
	int *status = (int *)(void *)owed;
	struct api_reply reply;

	(void)cookie;
	if (cannot_say)
		json_set_alloc_funcs(no_memory, free);
	native_write_finish(&api, write, now_ms, &reply);
	json_set_alloc_funcs(malloc, free);
	if (status)
		*status = reply.status;
	api_reply_fini(&reply);
}

static void on_refused(void *cookie, struct httpd_request *owed, int status, const char *message)
{
	(void)cookie;
	ck_assert_ptr_nonnull(owed);
	ck_assert_ptr_nonnull(message);
	*(int *)(void *)owed = status;
}

static void on_drained(void *cookie)
{
	(void)cookie;
	ck_assert(!has_drained);
	has_drained = true;
}

static void on_changed(void *cookie, enum event_kind kind, const struct service *service,
		       const struct instance *instance)
{
	(void)cookie;
	commit_on_change(commit, kind, service, instance);
}

static bool on_publish(void *cookie)
{
	(void)cookie;
	return true;
}

static bool is_behind(void *cookie, const struct change *change)
{
	(void)cookie;
	return commit_is_behind(commit, change);
}

static void set_up(void)
{
	const struct registry_options options = {
		.revision = REVISION, .ttl_s = 5, .counters = &counters, .changed = on_changed
	};
	struct commit_options commit_options = {
		.counters = &counters,
		.on_saved = on_saved,
		.on_refused = on_refused,
		.on_drained = on_drained,
	};

	now_ms = 1000;
	memset(&counters, 0, sizeof(counters));
	memset(statuses, 0, sizeof(statuses));
	has_drained = cannot_say = false;
	n_submitted = 0;
	base = event_base_new();
	api = (struct api){ .registry = registry_new(&options),
			    .counters = &counters,
			    .is_behind = is_behind,
			    .publish = on_publish };
	commit_options.base = base;
	commit_options.registry = api.registry;
	commit = commit_new(&commit_options);
	ck_assert(base && api.registry && commit);
	ck_assert_int_eq(commit_start(commit, (struct store *)(void *)&counters), 0);
}

static void tear_down(void)
{
	store_batch_free(in_flight);
	in_flight = NULL;
	commit_free(commit);
	registry_free(api.registry);
	event_base_free(base);
}

static void run(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

/* Sends a request as over HTTP; it must be one that waits for the disk. */
static void send_request(size_t request, enum api_method method, const char *path, const char *body)
{
	const struct api_request asked = {
		.method = method,
		.path = path,
		.body = body,
		.body_len = body ? strlen(body) : 0,
	};
	struct api_reply reply;

	api_handle(&api, native_routes, native_n_routes, &asked, now_ms, &reply);
	ck_assert_msg(reply.write, "%s: %d", path, reply.status);
	commit_put(commit, reply.write, owed_of(request));
}

static void send_register(size_t request, const char *service, const char *id, unsigned port)
{
	char body[256];

	snprintf(body, sizeof(body),
		 "{\"name\":\"%s\",\"id\":\"%s\",\"ip\":\"10.0.0.1\",\"port\":%u,\"lease\":60}",
		 service, id, port);
	send_request(request, API_POST, "/registry/register", body);
}

static void heartbeat(const char *body)
{
	const struct api_request asked = {
		.method = API_POST,
		.path = "/registry/heartbeat",
		.body = body,
		.body_len = strlen(body),
	};
	struct api_reply reply;

	api_handle(&api, native_routes, native_n_routes, &asked, now_ms, &reply);
	ck_assert_ptr_null(reply.write);
	ck_assert_int_eq(reply.status, 200);
	api_reply_fini(&reply);
}

/* Runs the loop until a batch is with the store. */
static void wait_batch(void)
{
	const uint64_t end_ms = clock_mono_ms() + WAIT_MS;

	while (!in_flight && clock_mono_ms() < end_ms)
		event_base_loop(base, EVLOOP_ONCE);
	ck_assert_ptr_nonnull(in_flight);
}

/* The batch that the store has, or gets: behind a commit that took long others are waited for. */
static void expect_batch(const char *ops)
{
	run();
	wait_batch();
	ck_assert_str_eq(in_flight->ops.data ? in_flight->ops.data : "", ops);
}

static void expect_none(void)
{
	run();
	ck_assert_ptr_null(in_flight);
}

/* Runs the loop until a request has its reply. */
static void wait_reply(size_t request, int status)
{
	const uint64_t end_ms = clock_mono_ms() + WAIT_MS;

	while (!statuses[request] && clock_mono_ms() < end_ms)
		event_base_loop(base, EVLOOP_ONCE);
	ck_assert_int_eq(statuses[request], status);
}

/* The store is done with its batch. */
static void complete(int error)
{
	struct store_batch *const batch = in_flight;

	in_flight = NULL;
	batch->error = error;
	queue_push(done_queue, &batch->node);
	run();
}

static void register_now(const char *service, const char *id)
{
	send_register(0, service, id, 1);
	run();
	complete(0);
	ck_assert_int_eq(statuses[0], 201);
	statuses[0] = 0;
}

/* ---- What is well ---- */

START_TEST(a_write_is_applied_when_it_is_on_disk)
{
	send_register(0, "a", "x", 1);
	expect_batch("+registration:a/x");
	ck_assert_int_eq(statuses[0], 0);
	ck_assert_uint_eq(registry_count_instances(api.registry), 0);
	complete(0);
	ck_assert_int_eq(statuses[0], 201);
	ck_assert_uint_eq(registry_count_instances(api.registry), 1);
	expect_none();
	ck_assert_uint_eq(atomic_load(&counters.store_commits), 1);
}
END_TEST

START_TEST(writes_that_wait_go_together)
{
	send_register(0, "a", "x", 1);
	run();
	send_register(1, "a", "y", 1);
	send_register(2, "a", "z", 1);
	expect_batch("+registration:a/x");
	complete(0);
	ck_assert_int_eq(statuses[0], 201);
	ck_assert_int_eq(statuses[1], 0);
	expect_batch("+registration:a/y +registration:a/z");
	complete(0);
	ck_assert_int_eq(statuses[1], 201);
	ck_assert_int_eq(statuses[2], 201);
	ck_assert_uint_eq(n_submitted, 2);
}
END_TEST

START_TEST(a_batch_has_one_write_for_an_instance)
{
	register_now("a", "x");
	send_register(0, "a", "x", 2);
	send_request(1, API_PUT, "/registry/services/a/instances/x/admin", "{\"state\":\"drain\"}");
	send_register(2, "b", "x", 1);
	expect_batch("+registration:a/x +state:a/x=auto,passing");
	complete(0);
	expect_batch("+state:a/x=drain,passing +registration:b/x");
	complete(0);
	ck_assert_int_eq(statuses[0], 200);
	ck_assert_int_eq(statuses[1], 200);
	ck_assert_int_eq(statuses[2], 201);
}
END_TEST

START_TEST(registrations_that_all_want_the_same_ttl_go_together)
{
	static const char body[] =
		"{\"name\":\"a\",\"id\":\"%s\",\"ip\":\"10.0.0.1\",\"port\":1,\"ttl\":%u}";
	static const struct {
		const char *id;
		unsigned ttl_s;
	} writes[] = { { "x", 7 }, { "y", 7 }, { "z", 7 }, { "u", 8 }, { "v", 7 } };
	char text[128];

	for (size_t i = 0; i < 5; i++) {
		snprintf(text, sizeof(text), body, writes[i].id, writes[i].ttl_s);
		send_request(i, API_POST, "/registry/register", text);
	}
	expect_batch("+registration:a/x +policy:a/ttl");
	complete(0);
	expect_batch("+registration:a/y +policy:a/ttl +registration:a/z +policy:a/ttl "
		     "+registration:a/u +policy:a/ttl");
	complete(0);
	ck_assert_uint_eq(registry_find_service(api.registry, "a")->ttl_s, 8);
	expect_batch("+registration:a/v +policy:a/ttl");
	complete(0);
	ck_assert_uint_eq(registry_find_service(api.registry, "a")->ttl_s, 7);
}
END_TEST

START_TEST(an_array_may_change_an_instance_twice)
{
	register_now("a", "x");
	send_request(1, API_POST, "/registry/register",
		     "[{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":2},"
		     "{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":1,\"lease\":60},"
		     "{\"name\":\"a\"}]");
	expect_batch("+registration:a/x +state:a/x=auto,passing "
		     "+registration:a/x +state:a/x=auto,passing");
	complete(0);
	ck_assert_int_eq(statuses[1], 207);
}
END_TEST

START_TEST(what_is_equal_in_an_array_is_not_written)
{
	register_now("a", "x");
	send_request(1, API_POST, "/registry/register",
		     "[{\"name\":\"a\",\"id\":\"x\",\"ip\":\"10.0.0.1\",\"port\":1,\"lease\":60},"
		     "{\"name\":\"a\",\"id\":\"y\",\"ip\":\"10.0.0.1\",\"port\":1}]");
	expect_batch("+registration:a/y");
	complete(0);
	ck_assert_int_eq(statuses[1], 201);
}
END_TEST

START_TEST(what_is_refused_when_its_turn_comes_is_not_written)
{
	register_now("a", "x");
	send_request(1, API_DELETE, "/registry/services/a/instances/x", NULL);
	send_request(2, API_DELETE, "/registry/services/a/instances/x", NULL);
	expect_batch("-registration:a/x -state:a/x");
	complete(0);
	ck_assert_int_eq(statuses[1], 200);
	wait_reply(2, 404);
	expect_none();
}
END_TEST

START_TEST(admin_states_and_policies)
{
	register_now("a", "x");
	heartbeat("{\"service\":\"a\",\"status\":\"critical\"}");
	send_request(1, API_PUT, "/registry/services/a/instances/x/admin", "{\"state\":\"up\"}");
	send_request(2, API_PUT, "/registry/services/a/policy",
		     "{\"ttl\":9,\"failure\":\"all\",\"answer_limit\":0}");
	expect_batch("+state:a/x=up,critical +policy:a/ttl +policy:a/answer_limit "
		     "+policy:a/failure");
	complete(0);
	ck_assert_int_eq(statuses[1], 200);
	ck_assert_int_eq(statuses[2], 200);
	/* A registration that wishes a TTL sets the service's. */
	send_request(3, API_POST, "/registry/register",
		     "{\"name\":\"a\",\"id\":\"y\",\"ip\":\"10.0.0.1\",\"port\":1,\"ttl\":7}");
	expect_batch("+registration:a/y +policy:a/ttl");
	complete(0);
}
END_TEST

/* ---- What the registry does by itself ---- */

START_TEST(expired_instances_are_removed_at_once)
{
	register_now("a", "x");
	register_now("a", "y");
	now_ms += 30000;
	heartbeat("{\"service\":\"a\",\"id\":\"y\"}");
	now_ms += 31000;
	registry_expire(api.registry, now_ms);
	expect_batch("-registration:a/x -state:a/x");
	complete(0);
	expect_none();
}
END_TEST

START_TEST(statuses_are_saved_in_a_while_and_once)
{
	register_now("a", "x");
	heartbeat("{\"service\":\"a\",\"status\":\"critical\"}");
	heartbeat("{\"service\":\"a\",\"status\":\"passing\"}");
	heartbeat("{\"service\":\"a\",\"status\":\"warning\"}");
	expect_none();
	wait_batch();
	expect_batch("+state:a/x=auto,warning");
	complete(0);
	expect_none();
}
END_TEST

START_TEST(a_service_that_comes_again_has_no_old_policy)
{
	register_now("a", "x");
	send_request(1, API_PUT, "/registry/services/a/policy", "{\"ttl\":9}");
	run();
	complete(0);
	send_request(2, API_DELETE, "/registry/services/a/instances/x", NULL);
	run();
	complete(0);
	send_register(3, "a", "x", 1);
	send_register(4, "a", "y", 1);
	expect_batch("-policy:a/ttl -policy:a/answer_limit -policy:a/failure "
		     "-policy:a/panic_threshold +registration:a/x +registration:a/y");
	complete(0);
	ck_assert_int_eq(statuses[4], 201);
}
END_TEST

START_TEST(what_follows_the_last_of_a_service_has_no_old_policy)
{
	register_now("a", "x");
	register_now("b", "x");
	register_now("b", "y");
	send_request(1, API_PUT, "/registry/services/a/policy", "{\"ttl\":9}");
	run();
	complete(0);
	send_request(1, API_DELETE, "/registry/services/b/instances/x", NULL);
	send_request(2, API_DELETE, "/registry/services/a/instances/x", NULL);
	send_register(3, "c", "x", 1);
	send_register(4, "a", "y", 1);
	expect_batch("-registration:b/x -state:b/x -registration:a/x -state:a/x "
		     "+registration:c/x");
	complete(0);
	expect_batch("-policy:a/ttl -policy:a/answer_limit -policy:a/failure "
		     "-policy:a/panic_threshold +registration:a/y");
	complete(0);
	ck_assert_int_eq(statuses[4], 201);
	/* Where others stay, a batch has both. */
	register_now("b", "z");
	send_request(1, API_DELETE, "/registry/services/b/instances/y", NULL);
	send_register(2, "b", "u", 1);
	expect_batch("-registration:b/y -state:b/y +registration:b/u");
}
END_TEST

START_TEST(a_service_whose_last_instance_expires_behind_a_new_one_has_no_old_policy)
{
	register_now("a", "x");
	send_request(1, API_PUT, "/registry/services/a/policy", "{\"ttl\":9}");
	run();
	complete(0);
	send_register(2, "a", "y", 1);
	expect_batch("+registration:a/y");
	now_ms += 61000;
	registry_expire(api.registry, now_ms);
	ck_assert_uint_eq(registry_count_instances(api.registry), 0);
	complete(0);
	ck_assert_int_eq(statuses[2], 201);
	expect_batch("-registration:a/x -state:a/x -policy:a/ttl -policy:a/answer_limit "
		     "-policy:a/failure -policy:a/panic_threshold");
}
END_TEST

START_TEST(what_contradicts_the_registry_is_mended)
{
	register_now("a", "x");
	commit_mend(commit, "a", "x");
	commit_mend(commit, "a", "z");
	commit_mend(commit, "a", "z");
	expect_batch("+registration:a/x +state:a/x=auto,passing -registration:a/z -state:a/z");
	complete(0);
	expect_none();
}
END_TEST

START_TEST(a_registration_that_is_applied_without_memory_for_its_reply_stays)
{
	cannot_say = true;
	send_register(0, "a", "x", 1);
	expect_batch("+registration:a/x");
	complete(0);
	ck_assert_int_eq(statuses[0], 503);
	ck_assert_uint_eq(registry_count_instances(api.registry), 1);
	expect_none();
}
END_TEST

START_TEST(a_batch_is_bounded)
{
	char id[16];

	for (size_t i = 0; i <= LIMIT_STORE_BATCH; i++) {
		snprintf(id, sizeof(id), "%zu", i);
		commit_mend(commit, "a", id);
	}
	run();
	ck_assert_uint_eq(in_flight->n_ops, 2 * LIMIT_STORE_BATCH);
	complete(0);
	snprintf(id, sizeof(id), "%d", LIMIT_STORE_BATCH);
	run();
	ck_assert_uint_eq(in_flight->n_ops, 2);
	complete(0);
	expect_none();
}
END_TEST

START_TEST(a_write_waits_for_no_long_backlog)
{
	char id[16];

	for (size_t i = 0; i < 3 * LIMIT_STORE_BATCH; i++) {
		snprintf(id, sizeof(id), "%zu", i);
		commit_mend(commit, "a", id);
	}
	send_register(0, "b", "x", 1);
	run();
	ck_assert_uint_eq(in_flight->n_ops, LIMIT_STORE_BATCH / 4 * 2 + 1);
	complete(0);
	ck_assert_int_eq(statuses[0], 201);
	/* What is new has nothing of what had its id before, though its turn has not come. */
	send_register(1, "a", "5000", 1);
	complete(0);
	ck_assert_ptr_nonnull(strstr(in_flight->ops.data, "-registration:a/5000 -state:a/5000 "
							  "+registration:a/5000"));
}
END_TEST

/* ---- Faults ---- */

START_TEST(a_full_disk)
{
	register_now("b", "x");
	send_register(0, "a", "x", 1);
	run();
	send_register(1, "a", "y", 1);
	complete(ENOSPC);
	ck_assert_int_eq(statuses[0], 507);
	ck_assert_int_eq(statuses[1], 507);
	ck_assert_uint_eq(registry_count_instances(api.registry), 1);
	ck_assert_ptr_nonnull(strstr(commit_trouble(commit), strerror(ENOSPC)));
	send_register(2, "a", "z", 1);
	ck_assert_int_eq(statuses[2], 507);
	heartbeat("{\"service\":\"b\"}");
	expect_none();
	/* A second later it is tried again, with what may be half there. */
	wait_batch();
	expect_batch("-registration:a/x -state:a/x");
	complete(ENOSPC);
	ck_assert_ptr_nonnull(commit_trouble(commit));
	wait_batch();
	expect_batch("-registration:a/x -state:a/x");
	complete(0);
	ck_assert_ptr_null(commit_trouble(commit));
	send_register(3, "a", "z", 1);
	expect_batch("+registration:a/z");
	complete(0);
	ck_assert_int_eq(statuses[3], 201);
	ck_assert_uint_eq(atomic_load(&counters.store_errors), 2);
	ck_assert_uint_eq(atomic_load(&counters.refused_disk_full), 3);
	ck_assert_uint_eq(atomic_load(&counters.refused_full), 0);
}
END_TEST

START_TEST(other_errors_are_unavailable_and_an_empty_batch_finds_the_end)
{
	commit_mend(commit, "a", "x");
	run();
	complete(EIO);
	send_register(0, "a", "y", 1);
	ck_assert_int_eq(statuses[0], 503);
	wait_batch();
	complete(0);
	ck_assert_ptr_null(commit_trouble(commit));
}
END_TEST

/* What failed may be on disk all the same: "it is so already" would end with the process. */
START_TEST(an_equal_write_behind_a_failed_one_is_on_disk_when_it_is_acknowledged)
{
	register_now("a", "x");
	send_request(1, API_DELETE, "/registry/services/a/instances/x", NULL);
	run();
	complete(EIO);
	ck_assert_int_eq(statuses[1], 503);
	send_register(2, "a", "x", 1);
	ck_assert_int_eq(statuses[2], 503);
	wait_batch();
	expect_batch("+registration:a/x +state:a/x=auto,passing");
	send_register(3, "a", "x", 1);
	ck_assert_int_eq(statuses[3], 503);
	complete(0);
	/* The same while nothing is known to be wrong. */
	commit_mend(commit, "a", "x");
	send_register(4, "a", "x", 1);
	expect_batch("+registration:a/x +state:a/x=auto,passing");
	send_register(5, "a", "x", 1);
	run();
	ck_assert_int_eq(statuses[4], 0);
	ck_assert_int_eq(statuses[5], 0);
	complete(0);
	ck_assert_int_eq(statuses[4], 200);
	wait_reply(5, 200);
	expect_none();
}
END_TEST

START_TEST(an_equal_policy_behind_a_failed_one_is_on_disk_when_it_is_acknowledged)
{
	register_now("a", "x");
	send_request(1, API_PUT, "/registry/services/a/policy", "{\"ttl\":9}");
	run();
	complete(0);
	send_request(2, API_PUT, "/registry/services/a/policy", "{\"ttl\":8}");
	run();
	complete(EIO);
	wait_batch();
	expect_batch("+policy:a/ttl -policy:a/answer_limit -policy:a/failure "
		     "-policy:a/panic_threshold");
	send_request(3, API_PUT, "/registry/services/a/policy", "{\"ttl\":9}");
	ck_assert_int_eq(statuses[3], 503);
	complete(0);
	commit_mend(commit, "a", "");
	run();
	send_request(4, API_PUT, "/registry/services/a/policy", "{\"ttl\":9}");
	run();
	ck_assert_int_eq(statuses[4], 0);
	complete(0);
	ck_assert_int_eq(statuses[4], 200);
}
END_TEST

/* Though the rest of the backlog comes later. */
START_TEST(an_equal_write_takes_its_key_out_of_a_long_backlog)
{
	char id[16];

	register_now("b", "x");
	for (size_t i = 0; i < LIMIT_STORE_BATCH; i++) {
		snprintf(id, sizeof(id), "%zu", i);
		commit_mend(commit, "a", id);
	}
	commit_mend(commit, "b", "x");
	send_register(1, "b", "x", 1);
	run();
	ck_assert_uint_eq(in_flight->n_ops, LIMIT_STORE_BATCH / 4 * 2 + 2);
	ck_assert_ptr_nonnull(strstr(in_flight->ops.data, "+registration:b/x +state:b/x"));
	complete(0);
	ck_assert_int_eq(statuses[1], 200);
}
END_TEST

START_TEST(a_disk_that_hangs_is_answered_for_within_a_second)
{
	const uint64_t start_ms = clock_mono_ms();

	send_register(0, "a", "x", 1);
	run();
	send_register(1, "a", "y", 1);
	wait_reply(0, 503);
	ck_assert_uint_ge(clock_mono_ms() - start_ms, 850);
	ck_assert_int_eq(statuses[1], 503);
	ck_assert_ptr_nonnull(commit_trouble(commit));
	send_register(2, "a", "z", 1);
	ck_assert_int_eq(statuses[2], 503);
	ck_assert_uint_eq(registry_count_instances(api.registry), 0);
	/* It was saved after all. */
	complete(0);
	ck_assert_int_eq(statuses[0], 503);
	ck_assert_uint_eq(registry_count_instances(api.registry), 1);
	ck_assert_ptr_null(commit_trouble(commit));
	send_register(3, "a", "z", 1);
	expect_batch("+registration:a/z");
}
END_TEST

/* Whoever had no reply, and then says how it is to be, is not overtaken by what it said before. */
START_TEST(a_late_write_undoes_nothing_acknowledged_behind_it)
{
	register_now("a", "x");
	register_now("a", "y");
	send_request(1, API_DELETE, "/registry/services/a/instances/x", NULL);
	send_register(2, "a", "z", 1);
	expect_batch("-registration:a/x -state:a/x +registration:a/z");
	send_register(3, "a", "x", 1);                                         /* as it still is */
	send_request(4, API_DELETE, "/registry/services/a/instances/z", NULL); /* not there yet */
	send_register(5, "a", "y", 1);
	ck_assert_int_eq(statuses[3], 0);
	complete(0);
	expect_batch("+registration:a/x -registration:a/z -state:a/z");
	complete(0);
	for (size_t request = 1; request <= 5; request++)
		ck_assert_int_eq(statuses[request], request == 2 || request == 3 ? 201 : 200);
	ck_assert_uint_eq(registry_count_instances(api.registry), 2);
}
END_TEST

START_TEST(a_disk_that_hangs_stops_no_renewal_but_of_what_it_has)
{
	const struct change others = { .kind = CHANGE_DEREGISTER,
				       .deregister = { .service = "a", .id = "y" } };

	register_now("a", "x");
	send_request(1, API_DELETE, "/registry/services/a/instances/x", NULL);
	wait_reply(1, 503);
	send_register(2, "a", "x", 1);
	ck_assert_int_eq(statuses[2], 503);
	ck_assert(!commit_is_behind(commit, &others));
	complete(0);
	ck_assert_uint_eq(registry_count_instances(api.registry), 0);
}
END_TEST

/* ---- Writes of files, which nobody is owed a reply for ---- */

static size_t n_ended, n_applied;

static void on_write_end(void *cookie, struct api_write *write)
{
	ck_assert_ptr_eq(cookie, &n_ended);
	n_ended++;
	for (size_t i = 0; i < write->n; i++)
		n_applied += write->slots[i].is_applied;
}

/* Registers an instance for a file, and deregisters another one. */
static void put_file_write(const char *id, const char *gone)
{
	struct api_write *const write = native_write_new(2);
	struct registration *const registration = record_registration_new();
	const char *reason;

	ck_assert(write && registration);
	registration->service = strdup("a");
	registration->id = strdup(id);
	registration->file = strdup("web.json");
	registration->port = 1;
	ck_assert(record_address_parse("10.0.0.1", &registration->address, &reason));
	write->slots[write->n++].change =
		(struct change){ .kind = CHANGE_REGISTER, .registration = registration };
	ck_assert(native_write_put_departure(write, "a", gone, "web.json"));
	write->on_end = on_write_end;
	write->cookie = &n_ended;
	commit_put(commit, write, NULL);
}

START_TEST(a_write_without_a_reply_is_told_how_it_ended)
{
	n_ended = n_applied = 0;
	register_now("a", "http");
	put_file_write("x", "none");
	expect_batch("+registration:a/x");
	ck_assert_uint_eq(n_ended, 0);
	complete(0);
	ck_assert_uint_eq(n_ended, 1);
	ck_assert_uint_eq(n_applied, 1);
	put_file_write("y", "x");
	expect_batch("+registration:a/y -registration:a/x -state:a/x");
	complete(0);
	ck_assert_uint_eq(n_applied, 3);
	/* What is not the file's is not its to take away. */
	put_file_write("z", "http");
	expect_batch("+registration:a/z");
	complete(EIO);
	ck_assert_uint_eq(n_ended, 3);
	ck_assert_uint_eq(n_applied, 3);
	/* Refused at once. */
	put_file_write("z", "y");
	ck_assert_uint_eq(n_ended, 4);
	ck_assert_uint_eq(n_applied, 3);
	ck_assert_uint_eq(registry_count_instances(api.registry), 2);
}
END_TEST

/* ---- The end ---- */

START_TEST(draining_saves_what_is_left)
{
	register_now("a", "x");
	heartbeat("{\"service\":\"a\",\"status\":\"critical\"}");
	send_register(1, "a", "y", 1);
	commit_drain(commit);
	ck_assert(!has_drained);
	send_register(2, "a", "z", 1);
	ck_assert_int_eq(statuses[2], 503);
	expect_batch("+state:a/x=auto,critical +registration:a/y");
	complete(0);
	ck_assert_int_eq(statuses[1], 201);
	ck_assert(has_drained);
}
END_TEST

START_TEST(draining_gives_up_on_a_disk_that_fails)
{
	commit_drain(commit);
	expect_none();
	ck_assert(has_drained);
	tear_down();
	set_up();
	commit_mend(commit, "a", "x");
	run();
	complete(EIO);
	ck_assert(!has_drained);
	commit_drain(commit);
	expect_batch("-registration:a/x -state:a/x");
	complete(EIO);
	ck_assert(has_drained);
}
END_TEST

/* Another process has the store: nothing is submitted, whatever happens. */
START_TEST(suspended_it_writes_nothing_and_forgets_nothing)
{
	register_now("a", "x");
	commit_drain(commit);
	run();
	ck_assert(has_drained);
	commit_suspend(commit);
	heartbeat("{\"service\":\"a\",\"status\":\"critical\"}");
	commit_mend(commit, "b", "z");
	expect_none();
	has_drained = false;
	commit_resume(commit);
	run();
	expect_batch("-registration:b/z -state:b/z +state:a/x=auto,critical");
	complete(0);
	register_now("a", "y");
	ck_assert(!has_drained);
	commit_drain(commit);
	run();
	ck_assert(has_drained);
}
END_TEST

int main(void)
{
	Suite *const suite = suite_create("commit");
	TCase *const tcase = tcase_create("commit");
	SRunner *const runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, a_write_is_applied_when_it_is_on_disk);
	tcase_add_test(tcase, writes_that_wait_go_together);
	tcase_add_test(tcase, a_batch_has_one_write_for_an_instance);
	tcase_add_test(tcase, registrations_that_all_want_the_same_ttl_go_together);
	tcase_add_test(tcase, an_array_may_change_an_instance_twice);
	tcase_add_test(tcase, what_is_equal_in_an_array_is_not_written);
	tcase_add_test(tcase, what_is_refused_when_its_turn_comes_is_not_written);
	tcase_add_test(tcase, admin_states_and_policies);
	tcase_add_test(tcase, expired_instances_are_removed_at_once);
	tcase_add_test(tcase, statuses_are_saved_in_a_while_and_once);
	tcase_add_test(tcase, a_service_that_comes_again_has_no_old_policy);
	tcase_add_test(tcase, what_follows_the_last_of_a_service_has_no_old_policy);
	tcase_add_test(tcase,
		       a_service_whose_last_instance_expires_behind_a_new_one_has_no_old_policy);
	tcase_add_test(tcase, what_contradicts_the_registry_is_mended);
	tcase_add_test(tcase, a_registration_that_is_applied_without_memory_for_its_reply_stays);
	tcase_add_test(tcase, a_batch_is_bounded);
	tcase_add_test(tcase, a_write_waits_for_no_long_backlog);
	tcase_add_test(tcase, a_full_disk);
	tcase_add_test(tcase, other_errors_are_unavailable_and_an_empty_batch_finds_the_end);
	tcase_add_test(tcase,
		       an_equal_write_behind_a_failed_one_is_on_disk_when_it_is_acknowledged);
	tcase_add_test(tcase,
		       an_equal_policy_behind_a_failed_one_is_on_disk_when_it_is_acknowledged);
	tcase_add_test(tcase, an_equal_write_takes_its_key_out_of_a_long_backlog);
	tcase_add_test(tcase, a_disk_that_hangs_is_answered_for_within_a_second);
	tcase_add_test(tcase, a_late_write_undoes_nothing_acknowledged_behind_it);
	tcase_add_test(tcase, a_disk_that_hangs_stops_no_renewal_but_of_what_it_has);
	tcase_add_test(tcase, a_write_without_a_reply_is_told_how_it_ended);
	tcase_add_test(tcase, draining_saves_what_is_left);
	tcase_add_test(tcase, draining_gives_up_on_a_disk_that_fails);
	tcase_add_test(tcase, suspended_it_writes_nothing_and_forgets_nothing);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
