/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * codec_error: why the codec (model/codec.h) refused something.
 */
#ifndef ROSTERD_MODEL_CODEC_ERROR_H
#define ROSTERD_MODEL_CODEC_ERROR_H

#include <stdbool.h>

struct codec_error {
	char field[128];   /* "port", "checks[1].interval"; empty: the body as a whole */
	char message[200]; /* for people: what is allowed there */
	bool no_memory;    /* not the sender's fault */
	bool too_deep;     /* LIMIT_JSON_DEPTH */
};

#endif
