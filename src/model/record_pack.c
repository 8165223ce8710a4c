/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/record_pack.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The lists come first, each a multiple of 8 octets, so that all are aligned; then the texts. */
_Static_assert(sizeof(struct registration) % 8 == 0 && sizeof(struct named_port) % 8 == 0 &&
		       sizeof(struct meta) % 8 == 0 && sizeof(struct check_spec) % 8 == 0,
	       "lists may stand one behind the other");

/* ---- How much ---- */

static size_t text_size(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static size_t check_size(const struct check_spec *spec)
{
	return sizeof(*spec) + text_size(spec->path) + text_size(spec->method) +
	       text_size(spec->expected) + text_size(spec->headers) + text_size(spec->server_name);
}

/* With the label, which is the id or stands behind it. */
static size_t id_size(const struct registration *registration)
{
	const char *label = record_label(registration);

	return (size_t)(label - registration->id) + text_size(label);
}

static size_t packed_size(const struct registration *registration)
{
	size_t size = sizeof(*registration) + id_size(registration) + text_size(registration->file);

	for (size_t i = 0; i < registration->n_ports; i++)
		size += sizeof(struct named_port) + text_size(registration->ports[i].name);
	for (size_t i = 0; i < registration->n_tags; i++)
		size += sizeof(char *) + text_size(registration->tags[i]);
	for (size_t i = 0; i < registration->n_meta; i++)
		size += sizeof(struct meta) + text_size(registration->meta[i].key) +
			text_size(registration->meta[i].value);
	for (size_t i = 0; i < registration->n_checks; i++)
		size += check_size(&registration->checks[i]);
	return size;
}

/* ---- Copying; *at is where the next thing goes ---- */

static void *put_list(char **at, const void *list, size_t size)
{
	void *copy = *at;

	if (size == 0)
		return NULL;
	memcpy(copy, list, size);
	*at += size;
	return copy;
}

static char *put_text(char **at, const char *text)
{
	return text ? put_list(at, text, text_size(text)) : NULL;
}

static void put_check_texts(char **at, struct check_spec *spec)
{
	spec->path = put_text(at, spec->path);
	spec->method = put_text(at, spec->method);
	spec->expected = put_text(at, spec->expected);
	spec->headers = put_text(at, spec->headers);
	spec->server_name = put_text(at, spec->server_name);
}

/* Puts a copy in place of every text that the lists, copied already, refer to. */
static void put_texts(char **at, struct registration *packed)
{
	packed->id = put_list(at, packed->id, id_size(packed));
	packed->file = put_text(at, packed->file);
	for (size_t i = 0; i < packed->n_ports; i++)
		packed->ports[i].name = put_text(at, packed->ports[i].name);
	for (size_t i = 0; i < packed->n_tags; i++)
		packed->tags[i] = put_text(at, packed->tags[i]);
	for (size_t i = 0; i < packed->n_meta; i++) {
		packed->meta[i].key = put_text(at, packed->meta[i].key);
		packed->meta[i].value = put_text(at, packed->meta[i].value);
	}
	for (size_t i = 0; i < packed->n_checks; i++)
		put_check_texts(at, &packed->checks[i]);
}

struct registration *record_pack(const struct registration *registration, char *service)
{
	size_t size = packed_size(registration);
	struct registration *packed = malloc(size);
	char *at;

	if (!packed)
		return NULL;
	at = (char *)(packed + 1);
	*packed = *registration;
	packed->service = service;
	packed->ports = put_list(&at, packed->ports, packed->n_ports * sizeof(*packed->ports));
	packed->tags = put_list(&at, packed->tags, packed->n_tags * sizeof(char *));
	packed->meta = put_list(&at, packed->meta, packed->n_meta * sizeof(*packed->meta));
	packed->checks = put_list(&at, packed->checks, packed->n_checks * sizeof(*packed->checks));
	put_texts(&at, packed);
	assert(at == (char *)packed + size);
	return packed;
}
