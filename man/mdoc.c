/* SPDX-License-Identifier: BSD-2-Clause */
#include "mdoc.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void put(char c)
{
	if (c == '\\')
		fputs("\\e", stdout);
	else
		putchar(c);
}

/* A full stop, a space and what begins with a capital or a quote: a sentence has ended. */
static bool ends_sentence(const char *at)
{
	return strchr(".!?", at[0]) && at[1] == ' ' &&
	       (isupper((unsigned char)at[2]) || isdigit((unsigned char)at[2]));
}

void mdoc_text(const char *text)
{
	bool is_start = true;

	for (const char *at = text; *at; at++) {
		if (is_start && (*at == '.' || *at == '\''))
			fputs("\\&", stdout);
		is_start = false;
		if (at[0] == '\n' && at[1] == '\n') {
			fputs("\n.Pp\n", stdout);
			at++;
			is_start = true;
			continue;
		}
		put(*at);
		if (ends_sentence(at)) {
			putchar('\n');
			at++;
			is_start = true;
		}
	}
	putchar('\n');
}

void mdoc_sentence(const char *text)
{
	char line[1024];

	snprintf(line, sizeof(line), "%s.", text);
	line[0] = (char)toupper((unsigned char)line[0]);
	mdoc_text(line);
}

/* Two or three letters may be a macro, a punctuation mark alone a delimiter. */
static bool needs_escape(const char *word, size_t len)
{
	return len <= 3 &&
	       (isupper((unsigned char)*word) || ispunct((unsigned char)*word) || *word == '%');
}

static void put_words(const char *words, bool is_lower)
{
	while (*words) {
		size_t len = strcspn(words, " ");

		if (len) {
			putchar(' ');
			if (needs_escape(words, len))
				fputs("\\&", stdout);
			for (size_t i = 0; i < len; i++) {
				if (words[i] == '"')
					fputs("\\(dq", stdout);
				else
					put(is_lower ? (char)tolower((unsigned char)words[i])
						     : words[i]);
			}
		}
		words += len + (words[len] == ' ');
	}
}

void mdoc_words(const char *words)
{
	put_words(words, false);
}

void mdoc_words_lower(const char *words)
{
	put_words(words, true);
}
