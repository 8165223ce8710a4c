/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * codec_file: the definitions in a file of services, one after the other, each with its place, so
 * that errors can say where they are. Pure.
 *
 *     {"name": "payment", "ip": "10.0.0.1", "port": 8080}           as over HTTP
 *     [{...}, {...}]                                                or some of them
 *     {"service": {"name": "payment", "address": "10.0.0.1", ...}}  Consul's form: codec_consul.h
 *     {"services": [{...}, {...}]}                                  or some of them
 *
 * An object with "service" or "services" is in Consul's form, in which nothing else may stand
 * beside them. A definition is what POST /registry/register takes as one object, at most
 * LIMIT_HTTP_SINGLE octets too, with one difference: nobody renews the lease of what is in a file,
 * so it has none.
 *
 * The text is cut into definitions by brackets alone; each is then read by itself, as a body of
 * HTTP is. So the work of one step is bounded by the size of one definition, and the beginning of a
 * file that is still being written is never a whole one.
 */
#ifndef ROSTERD_MODEL_CODEC_FILE_H
#define ROSTERD_MODEL_CODEC_FILE_H

#include "model/codec_error.h"
#include "model/record.h"

/* Both count from 1; a column is a character. */
struct codec_file_place {
	size_t line, column;
};

enum codec_file_form {
	CODEC_FILE_START,
	CODEC_FILE_ARRAY,    /* in the array of registrations */
	CODEC_FILE_CONSUL,   /* in Consul's object */
	CODEC_FILE_SERVICES, /* in the array in it */
	CODEC_FILE_BEHIND,   /* all is read but blanks */
};

/* A text that is being read; the caller's, and not changed meanwhile. */
struct codec_file {
	const char *text, *at, *end;
	const char *counted; /* its place is known */
	struct codec_file_place counted_place;
	enum codec_file_form form;
	bool has_item;                  /* in the array: a comma is due */
	bool has_member;                /* in Consul's object: a comma is due */
	bool has_service, has_services; /* which were there */
};

void codec_file_init(struct codec_file *file, const char *text, size_t len);

enum codec_file_step {
	CODEC_FILE_FOUND, /* the next definition; the caller's to free */
	CODEC_FILE_END,   /* there are no more, and the whole text is good */
	CODEC_FILE_BAD, /* the text is; `error` says why, `place` where. Not to be read any further
			 */
};

/* `place`: where the definition begins, or what is wrong with it. */
enum codec_file_step codec_file_next(struct codec_file *file, struct registration **registration,
				     struct codec_file_place *place, struct codec_error *error);

#endif
