/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * play: octets are operations (registrations, heartbeats, results of checks, decisions of an
 * operator, time, zones), done to the product without sockets (lib/world.h) and to the reference
 * (reference.h). After each, or after several that are published together, both must say the same
 * of every name that could be concerned, by one type of records; in the end by all. Any octets are
 * sound, so a fuzzer may make them.
 */
#ifndef ROSTERD_TESTS_PLAY_H
#define ROSTERD_TESTS_PLAY_H

#include <stddef.h>
#include <stdint.h>

/*
 * Plays all octets. Returns how many questions were compared; where an answer is wrong, prints
 * `title`, the operations so far and both answers, and aborts.
 */
size_t play(const char *title, const uint8_t *data, size_t size);

#endif
