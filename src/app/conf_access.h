/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_access: the key `access` of the configuration file: who may do what (api/access.h).
 */
#ifndef ROSTERD_APP_CONF_ACCESS_H
#define ROSTERD_APP_CONF_ACCESS_H

#include "app/conf_reader.h"

/* The keys of an entry. */
extern const struct conf_table conf_access_table;

/* A conf_key_apply; `target` is the struct conf. What it has read is to be freed either way. */
int conf_access_apply(struct conf_reader *reader, const yaml_node_t *value, void *target);

#endif
