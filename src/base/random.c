/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void random_octets(void *data, size_t len)
{
	char *at = data;

	while (len) {
		ssize_t n = getrandom(at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			abort(); /* a kernel without getrandom: nothing could be keyed safely */
		at += n;
		len -= (size_t)n;
	}
}

void random_init(struct random *random)
{
	random_octets(random->s, sizeof(random->s));
	random->s[0] |= 1; /* all zero is the one state that it never leaves */
}

/* splitmix64, as the authors of xoshiro advise: similar seeds give unrelated states. */
void random_init_seed(struct random *random, uint64_t seed)
{
	for (int i = 0; i < 4; i++) {
		uint64_t z = seed += 0x9e3779b97f4a7c15;

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
		z = (z ^ z >> 27) * 0x94d049bb133111eb;
		random->s[i] = z ^ z >> 31;
	}
}
