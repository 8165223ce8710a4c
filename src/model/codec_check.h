/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * codec_check: the health checks of a registration; inside of the codec (model/codec.h). Both
 * parsers add to a struct registration whose port is known.
 */
#ifndef ROSTERD_MODEL_CODEC_CHECK_H
#define ROSTERD_MODEL_CODEC_CHECK_H

#include "model/codec_field.h"

/* "health": a path, short for one HTTP check. */
bool codec_check_health(const struct codec_place *at, const struct codec_field *field,
			json_t *value, void *registration);

/* "checks": an array. */
bool codec_check_array(const struct codec_place *at, const struct codec_field *field, json_t *value,
		       void *registration);

#endif
