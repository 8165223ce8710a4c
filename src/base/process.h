/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * process: what the kernel says of this process, for /metrics.
 */
#ifndef ROSTERD_BASE_PROCESS_H
#define ROSTERD_BASE_PROCESS_H

#include <stdint.h>

struct process {
	double cpu_s;            /* user and system, of all threads */
	double start_s;          /* Unix time */
	uint64_t resident_len;   /* octets in memory */
	uint64_t virtual_len;    /* octets of address space */
	uint64_t n_fds, max_fds; /* descriptors that are open, and that may be */
};

/* What cannot be found out, where there is no /proc, stays 0. */
void process_read(struct process *process);

#endif
