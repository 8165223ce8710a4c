/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/process.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static double read_s(clockid_t id)
{
	struct timespec time = { .tv_sec = 0 };

	clock_gettime(id, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* proc(5): of the fields behind the name, which may hold anything, the start is the 20th. */
static void read_stat(struct process *process)
{
	char text[1024], *at;
	uint64_t start_ticks, virtual_len, resident_pages;
	FILE *file = fopen("/proc/self/stat", "re");
	size_t len;

	if (!file)
		return;
	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = '\0';
	at = strrchr(text, ')');
	if (!at || sscanf(at + 1,
			  " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d"
			  " %*d %*d %" SCNu64 " %" SCNu64 " %" SCNu64,
			  &start_ticks, &virtual_len, &resident_pages) != 3)
		return;
	process->start_s = read_s(CLOCK_REALTIME) - read_s(CLOCK_BOOTTIME) +
			   (double)start_ticks / (double)sysconf(_SC_CLK_TCK);
	process->virtual_len = virtual_len;
	process->resident_len = resident_pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The folder holds ".", ".." and, while we look, our own descriptor too. */
static uint64_t count_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	uint64_t n = 0;

	if (!folder)
		return 0;
	while (readdir(folder))
		n++;
	closedir(folder);
	return n > 3 ? n - 3 : 0;
}

void process_read(struct process *process)
{
	struct rlimit limit;

	*process = (struct process){ .cpu_s = read_s(CLOCK_PROCESS_CPUTIME_ID) };
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		process->max_fds = limit.rlim_cur;
	process->n_fds = count_fds();
	read_stat(process);
}
