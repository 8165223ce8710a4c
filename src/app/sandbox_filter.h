/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sandbox_filter: the system calls that are left (seccomp), for all threads and for whatever they
 * start. A part of sandbox.
 *
 * What is not in the tables fails with ENOSYS, as on a kernel that does not have it: libraries know
 * how to go on without, so that a newer one, or a successor of a newer version, does not fall over
 * a call that nobody foresaw. The kernel does not log it, since the C library tries clone3 for each
 * thread. What only an attacker would call ends the process, and the kernel logs that.
 *
 * A filter cannot look at paths: who may open which file is the business of the user and of the
 * service manager. Nor can it know which program execve() starts; that program is held by the same
 * filter, has no privilege and can get none.
 */
#ifndef ROSTERD_APP_SANDBOX_FILTER_H
#define ROSTERD_APP_SANDBOX_FILTER_H

/*
 * Needs no_new_privs. Filters add up, so one that was inherited from the same version is taken for
 * this one: the environment (ROSTERD_SANDBOX) says which it is. -1 with errno.
 */
int sandbox_filter_apply(void);

#endif
