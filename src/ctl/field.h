/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * field: what a JSON object from the server has, or a default: of another version's reply the rest
 * is still shown. Numbers of either type are taken.
 */
#ifndef ROSTERD_CTL_FIELD_H
#define ROSTERD_CTL_FIELD_H

#include <jansson.h>
#include <stdbool.h>

/* Borrowed from the object. */
const char *field_text(const json_t *object, const char *key, const char *otherwise);

json_int_t field_int(const json_t *object, const char *key, json_int_t otherwise);
double field_real(const json_t *object, const char *key, double otherwise);

/* Sets a field to a new value; false when out of memory, which may be why `value` is NULL. */
bool field_put(json_t *object, const char *key, json_t *value);

#endif
