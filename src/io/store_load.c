/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/store_load.h"

#include "io/store_key.h"
#include "io/store_lines.h"
#include "io/store_merge.h"
#include "io/store_pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	PIPE_SIZE = 1 << 20,
	PIPE_FD = 3,
	CHECK_CPU_S = 300, /* a damaged tree may be one without end; millions of records take 5 */
	WHAT = 256,
};

/* What is wrong with a file; shared between the process that checks and the one that waits. */
struct verdict {
	enum {
		CHECK_NOT_DONE,
		CHECK_GOOD,
		CHECK_DAMAGED, /* the copy is to be read */
		CHECK_FAILED,  /* nobody may guess: no copy is read */
	} result;
	struct store_seal seal;
	char what[WHAT]; /* "is empty" */
};

struct load {
	const struct store_engine *kind;
	char main[PATH_MAX], fresh[PATH_MAX], copy[PATH_MAX];

	enum store_source source;
	char note[3 * WHAT];
	void *reader;             /* STORE_MAIN */
	struct store_lines lines; /* STORE_COPY; empty for STORE_NEW */
	struct store_seal seal;

	/* what the records run through */
	struct store_lines_cursor cursors[2];
	struct store_merge merge;
	struct store_pipe_writer writer;

	/* the seal of the file that is built, and how it is printed */
	struct store_seal fresh_seal;
	uint8_t fresh_octets[STORE_SEAL];
};

static struct load *load_new(const struct store_engine *kind, const char *directory)
{
	struct load *load = calloc(1, sizeof(*load));

	if (!load)
		return NULL;
	load->kind = kind;
	snprintf(load->main, sizeof(load->main), "%s/" STORE_FILE, directory);
	snprintf(load->fresh, sizeof(load->fresh), "%s/" STORE_FILE_NEW, directory);
	snprintf(load->copy, sizeof(load->copy), "%s/" STORE_FILE_COPY, directory);
	return load;
}

static void load_free(struct load *load)
{
	load->kind->reader_free(load->reader);
	store_lines_fini(&load->lines);
	free(load);
}

/* ---- Checking ---- */

static void judge(struct verdict *verdict, int result, const char *what)
{
	verdict->result = result;
	snprintf(verdict->what, sizeof(verdict->what), "%s", what);
}

static void judge_version(struct verdict *verdict, uint32_t version)
{
	verdict->result = CHECK_FAILED;
	store_lines_explain_version(version, verdict->what, sizeof(verdict->what));
}

/* Every record by itself, and what they add up to. `version`: one that is not ours, or as it was.
 */
static int add_up(const struct store_engine *kind, void *cursor, struct store_seal *sum,
		  uint32_t *version)
{
	struct store_octets key, value;
	struct store_key parsed;
	uint8_t last[STORE_KEY] = { 0 };
	size_t last_len = 0;
	int error;

	while ((error = kind->cursor_next(cursor, &key, &value)) == 0) {
		size_t len = key.len < last_len ? key.len : last_len;
		int order;

		if (!store_key_parse(&parsed, key.data, key.len))
			return EBADMSG;
		order = memcmp(key.data, last, len);
		if (order < 0 || (order == 0 && key.len <= last_len))
			return EBADMSG;
		switch (stored_check(parsed.kind, &parsed.key, value.data, value.len)) {
		case STORED_OK:
			break;
		case STORED_FOREIGN:
			*version = *(const uint8_t *)value.data;
			break;
		default:
			return EBADMSG;
		}
		memcpy(last, key.data, key.len);
		last_len = key.len;
		store_seal_put(sum, key.data, key.len, value.data, value.len);
	}
	return error == ENOENT ? 0 : error;
}

static void check_records(const struct load *load, void *cursor, struct verdict *verdict)
{
	struct store_seal sum = { 0 };
	uint32_t version = STORED_VERSION;
	int error = add_up(load->kind, cursor, &sum, &version);

	if (error == EBADMSG)
		judge(verdict, CHECK_DAMAGED, "has a damaged record");
	else if (error)
		judge(verdict, CHECK_DAMAGED, "has a damaged page");
	else if (!store_seal_match(&sum, &verdict->seal))
		judge(verdict, CHECK_DAMAGED, "does not match its seal");
	else if (version != STORED_VERSION) /* believed only of a whole set */
		judge_version(verdict, version);
	else
		judge(verdict, CHECK_GOOD, "is good");
}

static void check_main(const struct load *load, struct verdict *verdict)
{
	enum store_fault fault;
	struct store_octets key, value;
	char what[WHAT];
	uint32_t version;
	uint64_t mark;
	void *reader = load->kind->reader_new(load->main, &fault, what, sizeof(what)), *cursor;
	enum stored_result result = STORED_DAMAGED;

	if (!reader) {
		judge(verdict, fault == STORE_FAULT_DAMAGED ? CHECK_DAMAGED : CHECK_FAILED, what);
		return;
	}
	cursor = load->kind->cursor_new(reader);
	if (!cursor) {
		judge(verdict, CHECK_FAILED, "cannot be read: out of memory");
		return;
	}
	if (load->kind->cursor_next(cursor, &key, &value) == 0 &&
	    key.len == STORE_ENGINE_SEAL.len && *(const char *)key.data == '\0')
		result = store_seal_parse(value.data, value.len, &verdict->seal, &mark, &version);
	if (result == STORED_FOREIGN)
		judge_version(verdict, version);
	else if (result != STORED_OK)
		judge(verdict, CHECK_DAMAGED, "has no whole seal");
	else if (mark != load->kind->reader_mark(reader))
		judge(verdict, CHECK_DAMAGED, "has an older state of the records");
	else
		check_records(load, cursor, verdict);
}

/* Once what is wrong shows by a signal, nobody wants a core of it. */
static void become_checker(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGXCPU };
	struct rlimit cpu = { CHECK_CPU_S, CHECK_CPU_S }, core = { 0, 0 };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CPU, &cpu);
	setrlimit(RLIMIT_CORE, &core);
}

/* What ended the checker: SIGKILL and the like are no word on the file. */
static void judge_end(struct verdict *verdict, int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && verdict->result != CHECK_NOT_DONE)
		return;
	if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGTERM)) {
		judge(verdict, CHECK_FAILED, "could not be checked: the process was killed");
		return;
	}
	verdict->result = CHECK_DAMAGED;
	snprintf(verdict->what, sizeof(verdict->what), "is damaged: reading it ended in %s",
		 WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "an error");
}

static void check_apart(const struct load *load, struct verdict *verdict)
{
	struct verdict *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = 0;
	pid_t pid;

	judge(verdict, CHECK_FAILED, "cannot be checked: no process or memory for it");
	if (shared == MAP_FAILED)
		return;
	pid = fork();
	if (pid == 0) {
		become_checker();
		check_main(load, shared);
		_exit(0);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid > 0) {
		judge_end(shared, status);
		*verdict = *shared;
	}
	munmap(shared, sizeof(*shared));
}

/* ---- Which one is read ---- */

static void fail(struct load *load, const char *format, ...)
	__attribute__((format(printf, 2, 3), noreturn));

static void fail(struct load *load, const char *format, ...)
{
	struct store_frame frame = { .kind = STORE_FRAME_FAILED };
	char message[2 * PATH_MAX + 2 * WHAT];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	frame.parts[0] = (struct store_octets){ message, strlen(message) };
	store_pipe_put(&load->writer, &frame);
	store_pipe_flush(&load->writer);
	_exit(0);
}

/* For people: what is wrong, and how old what they get instead is. */
static void note_copy(struct load *load, const char *what)
{
	struct stat status = { 0 };
	char when[64] = "";
	struct tm tm;

	if (stat(load->copy, &status) == 0 && gmtime_r(&status.st_mtime, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &tm);
	snprintf(load->note, sizeof(load->note),
		 STORE_FILE " %s; read instead: " STORE_FILE_COPY ", written %s, %lld s ago", what,
		 when, (long long)(time(NULL) - status.st_mtime));
}

static void choose_copy(struct load *load, const char *what)
{
	const char *wrong = store_lines_read(&load->lines, load->copy);

	if (wrong)
		fail(load, "%s %s, and %s %s", load->main, what, load->copy, wrong);
	load->source = STORE_COPY;
	load->seal.generation = load->lines.generation;
	note_copy(load, what);
}

/* The copy is of what was committed: a file with less was once this one, and is not any more. */
static void compare_with_copy(const struct load *load, struct verdict *verdict)
{
	uint64_t generation;

	if (verdict->result == CHECK_GOOD && store_lines_generation(load->copy, &generation) &&
	    generation > verdict->seal.generation)
		judge(verdict, CHECK_DAMAGED, "is older than " STORE_FILE_COPY);
}

static void choose_main(struct load *load)
{
	enum store_fault fault;
	struct verdict verdict;
	char what[WHAT];

	check_apart(load, &verdict);
	compare_with_copy(load, &verdict);
	if (verdict.result == CHECK_DAMAGED) {
		choose_copy(load, verdict.what);
		return;
	}
	if (verdict.result == CHECK_FAILED)
		fail(load, "%s %s", load->main, verdict.what);
	load->reader = load->kind->reader_new(load->main, &fault, what, sizeof(what));
	if (!load->reader)
		fail(load, "%s %s", load->main, what);
	load->source = STORE_MAIN;
	load->seal = verdict.seal;
}

/* A file that was being built when the process ended says nothing: it was not in use yet. */
static void choose(struct load *load, const char *directory)
{
	char damaged[PATH_MAX];
	struct stat status;

	snprintf(damaged, sizeof(damaged), "%s/" STORE_FILE_DAMAGED, directory);
	if (stat(load->main, &status) == 0)
		choose_main(load);
	else if (errno != ENOENT)
		fail(load, "%s: %s", load->main, strerror(errno));
	else if (access(load->copy, F_OK) == 0 || access(damaged, F_OK) == 0)
		choose_copy(load, "is missing");
	else
		load->source = STORE_NEW;
}

/* Goes back to the first record. */
static bool rewind_records(struct load *load)
{
	void *front = &load->cursors[0], *side = &load->cursors[1];

	if (load->source == STORE_MAIN) {
		front = load->kind->cursor_new(load->reader);
		side = load->kind->cursor_new(load->reader);
	}
	load->cursors[0] = load->cursors[1] = (struct store_lines_cursor){ .lines = &load->lines };
	store_merge_init(&load->merge,
			 load->source == STORE_MAIN ? load->kind->cursor_next : store_lines_next,
			 front, side);
	return front && side;
}

/* ---- Handing over ---- */

static void put_item(struct load *load, const struct store_merged *merged)
{
	struct store_frame frame = { .kind = STORE_FRAME_REGISTRATION };
	struct store_key key;

	/* It was checked: if it is not whole now, the file changes under our hands. */
	if (!store_key_parse(&key, merged->key.data, merged->key.len))
		fail(load, "%s changes while it is read", load->main);
	if (merged->kind == STORED_POLICY)
		frame.kind = STORE_FRAME_POLICY;
	frame.parts[0] = (struct store_octets){ key.key.service, strlen(key.key.service) + 1 };
	frame.parts[1] = (struct store_octets){ key.key.id, strlen(key.key.id) + 1 };
	frame.parts[2] = merged->record;
	frame.parts[3] = merged->state;
	store_pipe_put(&load->writer, &frame);
}

static void put_items(struct load *load)
{
	struct store_merged merged;
	int error = rewind_records(load) ? 0 : ENOMEM;

	while (error == 0) {
		error = store_merge_next(&load->merge, &merged);
		if (error == 0 && merged.kind)
			put_item(load, &merged);
	}
	if (error != ENOENT)
		fail(load, "%s: %s", load->main, strerror(error));
}

static void put_end(struct load *load)
{
	struct store_load_end end = { load->source, load->seal };
	struct store_frame frame = { .kind = STORE_FRAME_END,
				     .parts = { { &end, sizeof(end) },
						{ load->note, strlen(load->note) } } };

	store_pipe_put(&load->writer, &frame);
	store_pipe_flush(&load->writer);
}

/* ---- The fresh file ---- */

static int next_record(void *cookie, struct store_octets *key, struct store_octets *value)
{
	struct load *load = cookie;
	int error = store_merge_record(&load->merge, key, value);

	if (error == 0)
		store_seal_put(&load->fresh_seal, key->data, key->len, value->data, value->len);
	return error;
}

static void print_fresh_seal(void *cookie, uint64_t mark, struct store_octets *value)
{
	struct load *load = cookie;

	store_seal_print(&load->fresh_seal, mark, load->fresh_octets);
	*value = (struct store_octets){ load->fresh_octets, sizeof(load->fresh_octets) };
}

/* What there is to build from, at most: octets. */
static uint64_t measure(const struct load *load)
{
	uint64_t octets = 0;
	struct stat status;

	for (size_t i = 0; i < STORED_POLICY; i++)
		octets += load->lines.records[i].len;
	if (load->source == STORE_MAIN && stat(load->main, &status) == 0)
		octets += (uint64_t)status.st_size;
	return octets;
}

static void build(struct load *load, struct store_load_built *built)
{
	load->fresh_seal = (struct store_seal){ .generation = load->seal.generation };
	built->error = rewind_records(load) ? 0 : ENOMEM;
	if (built->error == 0)
		built->error = load->kind->build(load->fresh, measure(load), next_record,
						 print_fresh_seal, load);
	built->seal = load->fresh_seal;
}

void store_load_build(const struct store_engine *kind, const char *directory,
		      enum store_source source, struct store_load_built *built)
{
	struct load *load = load_new(kind, directory);

	if (!load) {
		built->error = ENOMEM;
		return;
	}
	load->source = source;
	if (source == STORE_COPY && store_lines_read(&load->lines, load->copy)) {
		built->error = EIO;
	} else {
		load->seal.generation = load->lines.generation;
		build(load, built);
	}
	load_free(load);
}

/* ---- The process ---- */

/* Sockets and locks are the parent's alone. Only its end ends this one. */
static void become_child(pid_t parent, int fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	if (dup2(fd, PIPE_FD) != PIPE_FD || close_range(PIPE_FD + 1, ~0U, 0))
		_exit(1);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
}

/* Files that were being written when the process ended. */
static void remove_leftovers(const struct load *load, const char *directory)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/" STORE_FILE_COPY ".new", directory);
	unlink(path);
	unlink(load->fresh);
}

static void run_child(const struct store_engine *kind, const char *directory)
	__attribute__((noreturn));

static void run_child(const struct store_engine *kind, const char *directory)
{
	struct load *load = load_new(kind, directory);
	struct store_load_built built = { 0 };
	struct store_frame frame = { .kind = STORE_FRAME_BUILT,
				     .parts = { { &built, sizeof(built) } } };

	if (!load)
		_exit(1);
	load->writer.fd = PIPE_FD;
	remove_leftovers(load, directory);
	choose(load, directory);
	put_items(load);
	put_end(load);
	build(load, &built);
	store_pipe_put(&load->writer, &frame);
	store_pipe_flush(&load->writer);
	_exit(0);
}

int store_load_fork(const struct store_engine *kind, const char *directory, pid_t *pid)
{
	pid_t parent = getpid();
	int fds[2], error;

	if (pipe2(fds, O_CLOEXEC))
		return -1;
	fcntl(fds[1], F_SETPIPE_SZ, PIPE_SIZE); /* a small one is only slower */
	*pid = fork();
	if (*pid == 0) {
		become_child(parent, fds[1]);
		run_child(kind, directory);
	}
	error = errno;
	close(fds[1]);
	if (*pid > 0 && fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0)
		return fds[0];
	close(fds[0]);
	errno = error;
	return -1;
}
