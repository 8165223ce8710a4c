/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Gives every file of a corpus to a fuzz target, without a fuzzer. The folders are arguments;
 * without any it is corpus/NAME for the program fuzz_NAME, below $top_srcdir/tests/fuzz. A folder
 * without files is an error: a test that ran nothing has not passed.
 */
#include "base/buf.h"
#include "base/file.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	INPUT_MAX = 1 << 20
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input is copied to its exact size, so that a sanitizer sees a read beyond it. */
static int replay_file(const char *path)
{
	const char *reason;
	struct buf input;
	uint8_t *copy;

	buf_init(&input);
	if (file_read(path, INPUT_MAX, &input, &reason) < 0) {
		fprintf(stderr, "%s: %s\n", path, reason);
		buf_fini(&input);
		return -1;
	}
	printf("%s\n", path);
	fflush(stdout); /* the last line names the file that it died of */
	copy = malloc(input.len ? input.len : 1);
	if (!copy)
		abort();
	memcpy(copy, input.data, input.len);
	LLVMFuzzerTestOneInput(copy, input.len);
	free(copy);
	buf_fini(&input);
	return 0;
}

static int replay_folder(const char *folder)
{
	struct dirent **entries;
	int n = scandir(folder, &entries, NULL, alphasort);
	int n_files = 0, result = 0;

	if (n < 0) {
		perror(folder);
		return -1;
	}
	for (int i = 0; i < n; i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.') {
			result |= replay_file(path);
			n_files++;
		}
		free(entries[i]);
	}
	free(entries);
	if (!n_files) {
		fprintf(stderr, "%s: no files\n", folder);
		result = -1;
	}
	return result;
}

static int replay_default(const char *program)
{
	const char *top = getenv("top_srcdir"), *name = strstr(program, "fuzz_");
	char folder[4096];

	for (const char *next = name; next; next = strstr(next + 1, "fuzz_"))
		name = next;
	if (!name) {
		fprintf(stderr, "usage: %s FOLDER...\n", program);
		return -1;
	}
	snprintf(folder, sizeof(folder), "%s/tests/fuzz/corpus/%s", top ? top : ".",
		 name + strlen("fuzz_"));
	return replay_folder(folder);
}

int main(int argc, char **argv)
{
	int result = 0;

	if (argc < 2)
		result = replay_default(argv[0]);
	for (int i = 1; i < argc; i++)
		result |= replay_folder(argv[i]);
	return result ? 1 : 0;
}
