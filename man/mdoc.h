/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mdoc: plain text of the program's tables as input of mdoc(7), on standard output. What means
 * something to roff is escaped; a new sentence begins a new line, as mandoc -T lint wants it.
 */
#ifndef ROSTERD_MAN_MDOC_H
#define ROSTERD_MAN_MDOC_H

/* Lines of prose; an empty line in `text` begins a new paragraph. */
void mdoc_text(const char *text);

/* The same of "what a table says": a capital first, a full stop last. */
void mdoc_sentence(const char *text);

/* Arguments of a macro, each after a space: what looks like a macro or a delimiter is none. */
void mdoc_words(const char *words);

/* The same in lower case. */
void mdoc_words_lower(const char *words);

#endif
