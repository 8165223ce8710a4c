/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * page: a manual page is a file of mdoc(7), man/NAME.in, with marks at the start of lines:
 *
 *     @list KIND [ARGUMENT]    prints the rows of a table of the program
 *     @about ROW               begins what the page has to say of one of these rows, beside what
 *                              the table says; it is printed behind that
 *     @end                     ends the list
 *
 * So what is in a table is in the manual, with prose or without. An @about of something that is in
 * no row ends the build.
 */
#ifndef ROSTERD_MAN_PAGE_H
#define ROSTERD_MAN_PAGE_H

struct page;

/* Prints what the page says about a row, if anything. */
void page_about(struct page *page, const char *row);

/* Ends the program with a message. */
void page_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* The kinds of lists. Each prints items of a list that the page has begun (.It). */
void lists_keys(struct page *page, const char *table);
void lists_flags(struct page *page, const char *argument);
void lists_limits(struct page *page, const char *argument);
void lists_metrics(struct page *page, const char *argument);
void lists_commands(struct page *page, const char *argument);
void lists_options(struct page *page, const char *set);
void calls_list(struct page *page, const char *argument);
void calls_errors(struct page *page, const char *argument);
void calls_fields(struct page *page, const char *schema);
void calls_reply(struct page *page, const char *schema);

/* Prints a line for each route: "GET /registry/services". */
void calls_print_routes(void);

/* Whether openapi.json has what the table of routes has; else says what differs. */
int calls_check(void);

#endif
