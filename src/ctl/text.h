/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * text: what comes from elsewhere, made fit for a terminal or a path. Pure.
 *
 * Whoever registers chooses names, tags and outputs of checks: an escape sequence in one must not
 * reach the terminal of an operator.
 */
#ifndef ROSTERD_CTL_TEXT_H
#define ROSTERD_CTL_TEXT_H

#include "base/buf.h"

#include <stdint.h>

/*
 * Appends text with what a terminal would act on as \xNN or \u{NNNN}: controls, broken UTF-8, and
 * the characters that turn the direction of writing. A backslash stays one.
 */
void text_put_safe(struct buf *out, const char *text);

/* The columns that safe text takes, counting a character as one. */
size_t text_width(const char *text);

/* Appends one segment of a path, or a value of a query, percent-encoded. */
void text_put_encoded(struct buf *out, const char *segment);

/* Appends how long that is, for people: "250 ms", "4.2 s", "3m 20s", "2h 5m", "4d 1h". */
void text_put_duration(struct buf *out, double seconds);

/* Reads "10s", "1m30s", "250ms", "1h" or a number of seconds. false: it is none of that. */
bool text_read_duration(const char *text, uint64_t *ms);

#endif
