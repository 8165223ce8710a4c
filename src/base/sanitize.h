/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sanitize: tells ThreadSanitizer of the one order between threads that it cannot see, RCU grace
 * periods (liburcu uses assembler that it does not follow), and us whether AddressSanitizer looks
 * after malloc(). Nothing in other builds.
 */
#ifndef ROSTERD_BASE_SANITIZE_H
#define ROSTERD_BASE_SANITIZE_H

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SANITIZE_THREAD 1
#endif
#if __has_feature(address_sanitizer)
#define SANITIZE_ADDRESS 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define SANITIZE_THREAD 1
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZE_ADDRESS 1
#endif

/* Whether memory is to come from malloc(), each piece by itself, so that misuse is found. */
#ifdef SANITIZE_ADDRESS
#define SANITIZE_MALLOC 1
#else
#define SANITIZE_MALLOC 0
#endif

/* Whether there is a sanitizer in the process that makes system calls of its own. */
#if defined(SANITIZE_THREAD) || defined(SANITIZE_ADDRESS)
#define SANITIZE_ANY 1
#else
#define SANITIZE_ANY 0
#endif

#ifdef SANITIZE_THREAD
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#define sanitize_acquire(addr) __tsan_acquire(addr)
#define sanitize_release(addr) __tsan_release(addr)
#else
#define sanitize_acquire(addr) ((void)(addr))
#define sanitize_release(addr) ((void)(addr))
#endif

#endif
