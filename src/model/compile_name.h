/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * compile_name: the DNS names of services, groups and instances, relative to a zone; inside of the
 * compile (model/compile.h has the list of forms).
 */
#ifndef ROSTERD_MODEL_COMPILE_NAME_H
#define ROSTERD_MODEL_COMPILE_NAME_H

#include "model/record.h"

enum {
	COMPILE_NAMES_MAX = 4 + 2 * LIMIT_TAGS + LIMIT_PORTS, /* owner names of one instance */
};

/* A name relative to the apex, without the root label; room for the apex behind it. */
struct compile_name {
	uint8_t name[LIMIT_NAME + 16]; /* catalog_find() reads whole words */
	size_t len;
};

/* "_tcp", "_udp", by enum protocol. */
extern const char *const compile_name_protocols[];

/* One, two and three labels, the last one nearest to the apex. */
struct compile_name compile_name_1(const char *label);
struct compile_name compile_name_2(const char *label, const char *parent);
struct compile_name compile_name_3(const char *label, const char *parent, const char *top);

/* Whether "_label" is a label. */
bool compile_name_has_underscore(const char *label);

/* Whether a tag has the name "_service._tag": "tcp" and "udp" would be the protocols'. */
bool compile_name_has_tag(const char *tag);

/* "_label", in `text`. */
const char *compile_name_underscore(const char *label, char text[LIMIT_LABEL + 2]);

/* The owner names that an instance adds. Returns how many there are. */
size_t compile_name_owners(const struct registration *registration,
			   struct compile_name names[COMPILE_NAMES_MAX]);

#endif
