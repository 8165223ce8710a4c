/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/files.h"

#include "app/files_known.h"
#include "app/files_read.h"
#include "app/files_watch.h"
#include "base/clock.h"
#include "base/log.h"

#include <event2/event.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	SETTLE_MS = 100,   /* from the first change to looking: more may belong to it */
	ASIDE_MS = 1000,   /* the same if what changed is no file of services */
	RETRY_MS = 1000,   /* after what should be better soon */
	LOOK_MS = 60000,   /* for what inotify does not tell */
	BLIND_MS = 5000,   /* the same without inotify */
	FIRST_MS = 5000,   /* how long a start waits for the first round */
	STEP_NS = 4000000, /* what a turn of the loop does at most, but for one step more */
	PORTION = 500,     /* changes a write */
	MESSAGE = 1024,
};

/* What a round does next; each step does a part, and says when the next phase is due. */
enum phase {
	IDLE,
	PICK,   /* the next file: is it to be read? */
	DECODE, /* a definition of it */
	CHECK,  /* a definition: may it be registered? */
	TAKE,   /* a definition: does that change anything? */
	FLUSH,  /* all that is to be registered */
	SWEEP,  /* what the next file has no more */
	END,
};

struct files {
	struct files_options options;
	char *dir; /* NULL: none */
	struct files_watch *watch;
	struct event *step, *timer, *first;
	bool has_started, has_ended_first;
	uint64_t look_ms; /* when `timer` is due, on the monotonic clock */
	struct files_known known;

	/* The configuration's, to be taken where no round is on. */
	char *next_dir;
	bool has_next_dir;

	/* The directory as it was last read. */
	char trouble[MESSAGE];     /* what was told of it; empty: it is good */
	bool is_known, is_trusted; /* trusted: even if it is empty */
	dev_t device;
	ino_t inode;

	/* The round. */
	enum phase phase;
	uint64_t round, reading; /* numbers; the newest ones */
	size_t at;               /* among the files */
	size_t definition;       /* in the one that is being read */
	struct files_read read;
	struct api_write *write;               /* that is being made */
	struct files_entry *subjects[PORTION]; /* whom its slots are about */
	bool in_flight;                        /* a write is with others */
	bool has_failed, is_again;
	size_t n_read, n_registered, n_deregistered;
};

static void set_timer(struct event *timer, unsigned ms)
{
	struct timeval delay = clock_timeval(ms);

	event_add(timer, &delay);
}

static void end_first(struct files *files)
{
	if (files->has_ended_first)
		return;
	files->has_ended_first = true;
	event_del(files->first);
	files->options.on_first(files->options.cookie);
}

static void on_first_late(evutil_socket_t fd, short what, void *cookie)
{
	(void)fd, (void)what;
	log_event(LOG_WARNING, "services-late", "reason",
		  "files of services take long to read or to save; starting without", NULL);
	end_first(cookie);
}

/* ---- What is told ---- */

static void tell_trouble(struct files *files, const char *message)
{
	if (strcmp(files->trouble, message) == 0)
		return;
	snprintf(files->trouble, sizeof(files->trouble), "%s", message);
	log_event(LOG_WARNING, "services-dir-refused", "error", message, "uid",
		  log_fmt("%u", (unsigned)geteuid()), "now", "what its files registered stays",
		  NULL);
}

static void tell_no_trouble(struct files *files)
{
	if (*files->trouble)
		log_event(LOG_INFO, "services-dir-read", "dir", files->dir, NULL);
	files->trouble[0] = '\0';
}

/* Once for each text of an error. */
static void tell_bad(struct files *files, struct files_file *file, const char *message)
{
	if (file->error && strcmp(file->error, message) == 0)
		return;
	free(file->error);
	file->error = strdup(message);
	counters_add(&files->options.counters->service_files_refused, 1);
	log_event(LOG_ERROR, "services-refused", "error", message, "now",
		  "what the file registered before stays", NULL);
}

static void tell_good(struct files *files, struct files_file *file)
{
	counters_add(&files->options.counters->service_files_read, 1);
	if (file->error)
		log_event(LOG_INFO, "services-accepted", "file", file->name, NULL);
	free(file->error);
	file->error = NULL;
}

/* ---- Writes ---- */

static void settle_registration(struct files *files, struct files_entry *entry,
				const struct api_slot *slot)
{
	struct outcome outcome;
	char message[MESSAGE];
	bool changes;

	if (slot->is_applied) {
		files->n_registered++;
		return;
	}
	if (!slot->status) {
		files->has_failed = true;
		return;
	}
	registry_admit(files->options.registry, &slot->change, &outcome, &changes);
	snprintf(message, sizeof(message), "%s/%s: service \"%s\", id \"%s\": %s", files->dir,
		 entry->file->name, entry->service, entry->id, outcome.message);
	entry->file->state = FILES_BLOCKED;
	entry->file->is_touched = true; /* if it is being read, it is good at the end of that */
	tell_bad(files, entry->file, message);
}

/* One that is not there, or another file's, is no more this file's either. */
static void settle_departure(struct files *files, struct files_entry *entry,
			     const struct api_slot *slot)
{
	if (!slot->is_applied && !slot->status) {
		files->has_failed = true;
		return;
	}
	files->n_deregistered += slot->is_applied;
	files_known_remove(&files->known, entry);
}

static void on_write_end(void *cookie, struct api_write *write)
{
	struct files *files = cookie;

	for (size_t i = 0; i < write->n; i++)
		if (write->slots[i].change.kind == CHANGE_DEREGISTER)
			settle_departure(files, files->subjects[i], &write->slots[i]);
		else
			settle_registration(files, files->subjects[i], &write->slots[i]);
	files->in_flight = false;
	set_timer(files->step, 0);
}

static void submit(struct files *files)
{
	struct api_write *write = files->write;

	files->write = NULL;
	files->in_flight = true;
	write->on_end = on_write_end;
	write->cookie = files;
	files->options.put(files->options.cookie, write);
}

/* Whether the write has room for one more change. If not, it is on its way, or the round fails. */
static bool make_room(struct files *files)
{
	if (files->write && files->write->n == PORTION) {
		submit(files);
		return false;
	}
	if (!files->write)
		files->write = native_write_new(PORTION);
	files->has_failed |= !files->write;
	return files->write;
}

/* ---- Reading a file ---- */

static struct files_file *current(const struct files *files)
{
	return files->known.files[files->at];
}

static void close_file(struct files *files)
{
	for (size_t i = 0; i < files->read.n; i++) {
		struct files_entry *entry = files->read.definitions[i].entry;

		if (entry && !entry->file)
			files_known_remove(&files->known, entry);
	}
	files_read_fini(&files->read);
	files->at++;
	files->phase = PICK;
}

static void refuse_file(struct files *files, enum files_state state, const char *message)
{
	current(files)->state = state;
	tell_bad(files, current(files), message);
	close_file(files);
}

static void refuse_definition(struct files *files, enum files_state state, const char *reason)
{
	char message[MESSAGE];

	files_read_explain(&files->read, &files->read.definitions[files->definition], reason,
			   message, sizeof(message));
	refuse_file(files, state, message);
}

static void pick(struct files *files)
{
	char message[MESSAGE];
	struct files_file *file;
	bool is_same;

	if (files->at == files->known.n_files) {
		files->phase = FLUSH;
		return;
	}
	file = current(files);
	is_same = file->is_there && files_dir_same(files->dir, file->name, &file->signature);
	if (!file->is_there || (is_same && !file->is_touched &&
				(file->state == FILES_GOOD || file->state == FILES_BAD))) {
		files->at++;
		return;
	}
	file->is_touched = false;
	files->reading++;
	files->definition = 0;
	files->n_read++;
	files->phase = DECODE;
	if (files_read_open(&files->read, files->dir, file->name, message, sizeof(message)) ==
	    FILES_READ_MORE)
		return;
	if (files_dir_has(files->dir, file->name)) {
		refuse_file(files, FILES_BLOCKED, message);
		return;
	}
	/* Removed since the directory was listed: the next list tells, if it is to be believed. */
	file->state = FILES_BLOCKED;
	close_file(files);
}

static void decode(struct files *files)
{
	char message[MESSAGE];

	switch (files_read_step(&files->read, current(files)->name, message, sizeof(message))) {
	case FILES_READ_MORE:
		break;
	case FILES_READ_END:
		files->phase = CHECK;
		break;
	case FILES_READ_BAD:
		refuse_file(files, FILES_BAD, message);
		break;
	}
}

/* Whether its file still has the entry, as far as that is known by now. */
static bool is_held(const struct files *files, const struct files_entry *entry)
{
	const struct files_file *file = entry->file;

	return file && file->is_there &&
	       (file->state != FILES_GOOD || file->round != files->round ||
		entry->round == files->round);
}

static void check(struct files *files)
{
	struct files_file *file = current(files);
	struct files_definition *definition = &files->read.definitions[files->definition];
	struct files_entry *entry;
	struct outcome outcome;
	bool changes;

	if (files->definition == files->read.n) {
		files->definition = 0;
		files->phase = TAKE;
		return;
	}
	entry = files_known_entry(&files->known, definition->registration->service,
				  definition->registration->id);
	if (!entry) {
		refuse_definition(files, FILES_BLOCKED, "out of memory");
		return;
	}
	if (entry->reading == files->reading) {
		refuse_definition(files, FILES_BAD, "is in this file twice");
		return;
	}
	definition->entry = entry;
	entry->reading = files->reading;
	if (is_held(files, entry) && strcmp(entry->file->name, file->name) < 0) {
		refuse_definition(files, FILES_BLOCKED,
				  log_fmt("is in \"%s\" already", entry->file->name));
		return;
	}
	registry_admit(files->options.registry,
		       &(struct change){ .kind = CHANGE_REGISTER,
					 .registration = definition->registration },
		       &outcome, &changes);
	if (outcome.result != REGISTRY_CREATED && outcome.result != REGISTRY_UPDATED)
		refuse_definition(files, FILES_BLOCKED, outcome.message);
	else
		files->definition++;
}

/* The file whose it was finds out by itself that it is not any more: it comes later. */
static void give(struct files *files, struct files_entry *entry)
{
	struct files_file *before = entry->file;

	if (before && before != current(files) && before->round != files->round)
		before->is_touched = true;
	files_known_give(entry, current(files));
	entry->round = files->round;
}

static void put_registration(struct files *files, struct files_definition *definition,
			     const struct instance *instance)
{
	struct api_write *write = files->write;

	if (instance && !instance->registration->file)
		log_event(LOG_INFO, "service-taken-over", "service", definition->entry->service,
			  "id", definition->entry->id, "file", current(files)->name, NULL);
	write->slots[write->n].change = (struct change){ .kind = CHANGE_REGISTER,
							 .registration = definition->registration };
	files->subjects[write->n++] = definition->entry;
	definition->registration = NULL;
}

static void take(struct files *files)
{
	struct files_definition *definition = &files->read.definitions[files->definition];
	const struct registry *registry = files->options.registry;
	const struct service *service;
	const struct instance *instance;

	if (files->definition == files->read.n) {
		current(files)->state = FILES_GOOD;
		current(files)->round = files->round;
		tell_good(files, current(files));
		close_file(files);
		return;
	}
	if (!make_room(files))
		return;
	files->definition++;
	give(files, definition->entry);
	service = registry_find_service(registry, definition->entry->service);
	instance =
		service ? registry_find_instance(registry, service, definition->entry->id) : NULL;
	if (!instance ||
	    !record_registration_equal(instance->registration, definition->registration))
		put_registration(files, definition, instance);
}

/* ---- What files have no more ---- */

static void flush(struct files *files, enum phase next)
{
	if (files->write && files->write->n) {
		submit(files);
		return;
	}
	files->at = 0;
	files->phase = next;
}

/* What was on its way when there was no more room is gone when this comes again. */
static void sweep(struct files *files)
{
	struct files_file *file;
	struct files_entry *entry;

	if (files->at == files->known.n_files) {
		flush(files, END);
		return;
	}
	file = current(files);
	if (file->is_there && (file->state != FILES_GOOD || file->round != files->round)) {
		files->at++;
		return;
	}
	TAILQ_FOREACH(entry, &file->entries, place)
	{
		if (file->is_there && entry->round == files->round)
			continue;
		if (!make_room(files))
			return;
		files->subjects[files->write->n] = entry;
		if (!native_write_put_departure(files->write, entry->service, entry->id,
						file->name)) {
			files->has_failed = true;
			return;
		}
	}
	files->at++;
}

/* ---- Rounds ---- */

static void look_in(struct files *files, unsigned ms)
{
	files->look_ms = clock_mono_ms() + ms;
	set_timer(files->timer, ms);
}

/* No later than it would be anyway: changes that do not end put nothing off. */
static void look_within(struct files *files, unsigned ms)
{
	if (clock_mono_ms() + ms < files->look_ms)
		look_in(files, ms);
}

static void look_later(struct files *files)
{
	unsigned ms = files->has_failed ? RETRY_MS : files->watch ? LOOK_MS : BLIND_MS;

	look_in(files, files->is_again ? SETTLE_MS : ms);
	files->is_again = false;
}

static void end_round(struct files *files)
{
	size_t n_good, n_bad;
	bool is_dir_good;

	if (files->phase == DECODE || files->phase == CHECK || files->phase == TAKE) {
		current(files)->is_touched = true;
		close_file(files);
	}
	/* What was not sent, and what was to be deregistered, is to be found anew. */
	for (size_t i = 0; files->has_failed && i < files->known.n_files; i++)
		files->known.files[i]->is_touched |= files->known.files[i]->round == files->round;
	files->phase = IDLE;
	native_write_free(files->write);
	files->write = NULL;
	files_known_tidy(&files->known);
	files_count(files, &n_good, &n_bad, &is_dir_good);
	if (files->n_registered || files->n_deregistered)
		log_event(LOG_INFO, "services-read", "files", log_fmt("%zu", files->n_read),
			  "registered", log_fmt("%zu", files->n_registered), "deregistered",
			  log_fmt("%zu", files->n_deregistered), "bad", log_fmt("%zu", n_bad),
			  NULL);
	look_later(files);
	end_first(files);
}

static void on_step(evutil_socket_t fd, short what, void *cookie)
{
	struct files *files = cookie;
	uint64_t end_ns = clock_mono_ns() + STEP_NS;

	(void)fd, (void)what;
	files->options.on_work(files->options.cookie);
	while (files->phase != IDLE && !files->in_flight && clock_mono_ns() < end_ns) {
		enum phase phase = files->has_failed ? END : files->phase;

		if (phase == PICK)
			pick(files);
		else if (phase == DECODE)
			decode(files);
		else if (phase == CHECK)
			check(files);
		else if (phase == TAKE)
			take(files);
		else if (phase == FLUSH)
			flush(files, SWEEP);
		else if (phase == SWEEP)
			sweep(files);
		else
			end_round(files);
	}
	if (files->phase != IDLE && !files->in_flight)
		set_timer(files->step, 0);
}

/* ---- The directory ---- */

static void on_change(void *cookie, const char *name)
{
	struct files *files = cookie;
	struct files_file *file = name ? files_known_find(&files->known, name) : NULL;

	if (file)
		file->is_touched = true;
	/* A file beside them may be what a link leads through. */
	if (files->phase != IDLE)
		files->is_again = true;
	else
		look_within(files, !name || files_dir_is_name(name) ? SETTLE_MS : ASIDE_MS);
}

static void watch_dir(struct files *files)
{
	const struct files_watch_options options = { .base = files->options.base,
						     .on_change = on_change,
						     .cookie = files };

	if (!files->watch)
		files->watch = files_watch_new(&options);
	if (files->watch && (files_watch_set(files->watch, files->dir) == 0 || errno != ENOSPC))
		return;
	tell_trouble(files, log_fmt("%s: cannot be watched (%s): looking at it every %d s",
				    files->dir, strerror(errno), BLIND_MS / 1000));
	files_watch_free(files->watch);
	files->watch = NULL;
}

/* Whether an empty directory is to be believed. */
static bool is_plausible(struct files *files, const struct files_list *list)
{
	size_t n = table_count(files->known.entries);

	if (list->n || n == 0 || files->is_trusted ||
	    (files->is_known && list->device == files->device && list->inode == files->inode))
		return true;
	tell_trouble(files, log_fmt("%s: has no files, but %zu instances are from some: perhaps it "
				    "is not mounted; a reload (SIGHUP) says that it is right so",
				    files->dir, n));
	return false;
}

static bool list_dir(struct files *files)
{
	struct files_list list;
	char message[MESSAGE];
	bool is_good;

	if (files_dir_list(files->dir, &list, message, sizeof(message))) {
		tell_trouble(files, message);
		return false;
	}
	is_good = is_plausible(files, &list);
	if (is_good && files_known_list(&files->known, &list)) {
		tell_trouble(files, "out of memory");
		is_good = false;
	}
	if (is_good) {
		if (files->watch)
			tell_no_trouble(files);
		files->is_known = true;
		files->is_trusted = false;
		files->device = list.device;
		files->inode = list.inode;
	}
	files_dir_free(&list);
	return is_good;
}

/* Another directory, or none: what is the same in it, by its name, stays. */
static void take_next_dir(struct files *files)
{
	bool is_new = !files->dir || !files->next_dir || strcmp(files->dir, files->next_dir) != 0;

	files->has_next_dir = false;
	if (!files->next_dir)
		files_known_clear(&files->known);
	else if (!files->dir && files_known_take_registry(&files->known, files->options.registry))
		tell_trouble(files, "out of memory");
	free(files->dir);
	files->dir = files->next_dir;
	files->next_dir = NULL;
	registry_set_files(files->options.registry, files->dir);
	for (size_t i = 0; i < files->known.n_files; i++)
		files->known.files[i]->is_touched |=
			is_new || files->known.files[i]->state != FILES_GOOD;
	if (files->dir)
		return;
	files_watch_free(files->watch);
	files->watch = NULL;
	files->trouble[0] = '\0';
}

static void on_timer(evutil_socket_t fd, short what, void *cookie)
{
	struct files *files = cookie;

	(void)fd, (void)what;
	files->options.on_work(files->options.cookie);
	files->has_failed = false;
	files->n_read = files->n_registered = files->n_deregistered = 0;
	if (files->has_next_dir)
		take_next_dir(files);
	if (!files->dir) {
		end_first(files);
		return;
	}
	watch_dir(files);
	if (!list_dir(files)) {
		files->has_failed = true;
		look_later(files);
		end_first(files);
		return;
	}
	files->round++;
	files->at = 0;
	files->phase = PICK;
	set_timer(files->step, 0);
}

/* ---- For others ---- */

static int set_next_dir(struct files *files, const char *dir)
{
	char *copy = dir ? strdup(dir) : NULL;

	if (dir && !copy)
		return -1;
	free(files->next_dir);
	files->next_dir = copy;
	files->has_next_dir = true;
	return 0;
}

int files_start(struct files *files, const char *dir)
{
	files->has_started = true;
	if (!dir) {
		end_first(files);
		return 0;
	}
	if (set_next_dir(files, dir))
		return -1;
	set_timer(files->first, FIRST_MS);
	on_timer(-1, 0, files);
	return 0;
}

void files_reload(struct files *files, const char *dir)
{
	if (!files->has_started)
		return;
	if (set_next_dir(files, dir)) {
		log_event(LOG_ERROR, "services-dir-refused", "error", "out of memory", NULL);
		return;
	}
	files->is_trusted = true;
	if (files->phase != IDLE)
		files->is_again = true;
	else
		look_in(files, 0);
}

void files_count(const struct files *files, size_t *n_good, size_t *n_bad, bool *is_dir_good)
{
	*n_good = *n_bad = 0;
	for (size_t i = 0; i < files->known.n_files; i++) {
		*n_good += files->known.files[i]->state == FILES_GOOD;
		*n_bad += files->known.files[i]->error != NULL;
	}
	*is_dir_good = !*files->trouble;
}

struct files *files_new(const struct files_options *options)
{
	struct files *files = calloc(1, sizeof(*files));

	if (!files)
		return NULL;
	files->options = *options;
	files->step = evtimer_new(options->base, on_step, files);
	files->timer = evtimer_new(options->base, on_timer, files);
	files->first = evtimer_new(options->base, on_first_late, files);
	if (files_known_init(&files->known) == 0 && files->step && files->timer && files->first)
		return files;
	files_free(files);
	return NULL;
}

void files_free(struct files *files)
{
	if (!files)
		return;
	if (files->write) {
		files->write->on_end = NULL;
		native_write_free(files->write);
	}
	files_read_fini(&files->read);
	files_watch_free(files->watch);
	files_known_fini(&files->known);
	if (files->step)
		event_free(files->step);
	if (files->timer)
		event_free(files->timer);
	if (files->first)
		event_free(files->first);
	free(files->dir);
	free(files->next_dir);
	free(files);
}
