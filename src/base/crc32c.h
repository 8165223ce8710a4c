/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crc32c: the CRC with Castagnoli's polynomial (RFC 3720 12.1, B.4). Finds what disks and crashes
 * do to octets: every burst of up to 32 bits; against somebody who wants to deceive it is nothing.
 * Any thread.
 */
#ifndef ROSTERD_BASE_CRC32C_H
#define ROSTERD_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from `crc`, which is 0 at the start: what was put in one piece or in many is the same. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
