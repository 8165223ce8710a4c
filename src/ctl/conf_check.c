/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/conf_check.h"

#include "ctl/field.h"
#include "ctl/term.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- What it says ---- */

/* An escape of the log: \n, \xNN, or the character itself. Returns what is behind it. */
static const char *put_escaped(struct buf *text, const char *at)
{
	unsigned octet;
	int len = 0;
	char c = *at == 'n' ? '\n' : *at;

	if (*at == 'x' && sscanf(at + 1, "%2x%n", &octet, &len) == 1) {
		c = (char)octet;
		at += len;
	}
	buf_put(text, &c, 1);
	return at + 1;
}

bool conf_check_read_error(const char *line, struct buf *text)
{
	static const char key[] = " error=";
	const char *at = strstr(line, key);
	const char *end;

	if (!at)
		return false;
	at += sizeof(key) - 1;
	end = *at == '"' ? "\"" : " ";
	at += *at == '"';
	while (*at && *at != *end) {
		if (*at == '\\' && at[1]) {
			at = put_escaped(text, at + 1);
			continue;
		}
		buf_put(text, at++, 1);
	}
	buf_put(text, "", 0);
	return true;
}

/* Says each line, the reason of an error alone, and puts it into the array. */
static bool say_lines(char *lines, json_t *said)
{
	bool good = true;

	for (char *line = lines, *end; good && *line; line = end) {
		struct buf text;
		json_t *json;

		end = line + strcspn(line, "\n");
		if (*end)
			*end++ = '\0';
		buf_init(&text);
		if (!conf_check_read_error(line, &text))
			buf_put(&text, line, strlen(line));
		json = text.failed ? NULL : json_string(text.data);
		if (!text.failed)
			term_say("%s", text.data);
		good = json_array_append_new(said, json ? json : json_string("see there")) == 0;
		buf_fini(&text);
	}
	return good;
}

/* ---- The program ---- */

/* The server's program beside this one; "": not known. */
static void own_folder(char *path, size_t path_size)
{
	ssize_t len = readlink("/proc/self/exe", path, path_size - sizeof("/rosterd"));
	char *slash;

	path[len > 0 ? len : 0] = '\0';
	slash = strrchr(path, '/');
	if (slash)
		strcpy(slash, "/rosterd");
}

/* Starts it with its standard error in a pipe, of which the reading end is returned; -1 with errno.
 */
static int start(const char *program, char **argv, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	int ends[2], error;

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	error = posix_spawn_file_actions_init(&files);
	if (!error) {
		error = posix_spawn_file_actions_adddup2(&files, ends[1], STDERR_FILENO);
		if (!error)
			error = posix_spawnp(pid, program, &files, NULL, argv, environ);
		posix_spawn_file_actions_destroy(&files);
	}
	close(ends[1]);
	if (!error)
		return ends[0];
	close(ends[0]);
	errno = error;
	return -1;
}

static void read_all(int fd, struct buf *out)
{
	char block[4096];
	ssize_t n;

	while ((n = read(fd, block, sizeof(block))) > 0 || (n < 0 && errno == EINTR))
		if (n > 0)
			buf_put(out, block, (size_t)n);
	buf_put(out, "", 0);
	close(fd);
}

/* Prints what became of it. Takes `said` over. */
static int report(const struct call *call, const char *file, int status, struct buf *lines,
		  json_t *said)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_LOCAL;

	if (lines->failed || !say_lines(lines->data, said)) {
		json_decref(said);
		return call_no_memory();
	}
	if (call->json)
		return call_print(
			       json_pack("{sssbso}", "file", file, "good", code == 0, "said", said))
			       ? EXIT_LOCAL
			       : code;
	json_decref(said);
	if (code == 0)
		printf("%s: nothing is wrong with it\n", file);
	return code;
}

int conf_check_run(const struct call *call)
{
	const char *file = call->n_words ? call->words[0] : ROSTERD_SYSCONFDIR "/rosterd.conf";
	const char *program = args_get(call->args, ARGS_ROSTERD);
	char beside[4096], flag_c[] = "-c", flag_check[] = "--check-config", name[] = "rosterd";
	char *copy = strdup(file);
	char *argv[] = { name, flag_c, copy, flag_check, NULL };
	struct buf lines;
	int fd, status = 0;
	pid_t pid;

	own_folder(beside, sizeof(beside));
	if (!program)
		program = access(beside, X_OK) == 0 ? beside : name;
	fd = start(program, argv, &pid);
	free(copy);
	if (fd < 0) {
		term_say("cannot run %s: %s\nsay where the server's program is: --rosterd FILE",
			 program, strerror(errno));
		return EXIT_LOCAL;
	}
	buf_init(&lines);
	read_all(fd, &lines);
	waitpid(pid, &status, 0);
	status = report(call, file, status, &lines, json_array());
	buf_fini(&lines);
	return status;
}
