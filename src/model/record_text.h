/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record_text: which texts a registration may have, wherever they come from: JSON (model/codec.h)
 * or the disk (model/stored.h). Texts are NUL-terminated. Pure.
 */
#ifndef ROSTERD_MODEL_RECORD_TEXT_H
#define ROSTERD_MODEL_RECORD_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* RFC 3629: no surrogates, nothing longer than it need be. */
bool record_text_is_utf8(const char *text);

/* No control characters (C0, DEL, C1); `text` is UTF-8. */
bool record_text_is_printable(const char *text);

/* An id; a tag; a key of metadata. Each is UTF-8 by itself. */
bool record_text_is_id(const char *text);
bool record_text_is_tag(const char *text);
bool record_text_is_meta_key(const char *text);

/* ---- Checks ---- */

/* A request target: octets that cannot end the request line they will stand in. */
bool record_text_is_path(const char *text);

/* A token (RFC 9110 5.6.2), so nothing that could end what it stands in. */
bool record_text_is_token(const char *text);

/* A method's token, short enough; CONNECT too. */
bool record_text_is_method(const char *text);

enum {
	RECORD_TEXT_STATUS_MIN = 100,
	RECORD_TEXT_STATUS_MAX = 599,
};

/* Expected statuses in the one way in which they are kept: "200-299,404". */
bool record_text_is_statuses(const char *text);

/* A header that is ours to say: how long the request is, what becomes of the connection. */
bool record_text_is_reserved_header(const char *name);

/* A field value (RFC 9110 5.5): visible ASCII with blanks inside. */
bool record_text_is_header_value(const char *text);

/* Whether these header lines, each with its CRLF, have one of this name. */
bool record_text_has_header(const char *lines, const char *name);

/* Header lines as a check keeps them: all of the above holds for each. */
bool record_text_is_headers(const char *lines);

/* A host name (RFC 1123 2.1): labels, the last of them no number, so that it is no address. */
bool record_text_is_host_name(const char *text);

#endif
