/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * buf: octets that grow. Owned by whoever called buf_init(); not for the query path.
 * Out of memory sets `failed` and later calls do nothing: check once, at the end.
 */
#ifndef ROSTERD_BASE_BUF_H
#define ROSTERD_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *data;      /* NUL after data[len - 1] whenever data is not NULL */
	size_t len, cap; /* octets */
	bool failed;
};

void buf_init(struct buf *buf);
void buf_fini(struct buf *buf);

void buf_put(struct buf *buf, const void *data, size_t len);
void buf_print(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Hands the octets to the caller, who frees them; `buf` is empty again. NULL if it failed. */
char *buf_take(struct buf *buf, size_t *len);

#endif
