/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CAP_MIN = 64
};

void buf_init(struct buf *buf)
{
	*buf = (struct buf){ 0 };
}

void buf_fini(struct buf *buf)
{
	free(buf->data);
	buf_init(buf);
}

/* Makes room for `len` more octets and a NUL. */
static bool buf_grow(struct buf *buf, size_t len)
{
	size_t cap = buf->cap ? buf->cap : CAP_MIN;
	char *data;

	if (buf->failed)
		return false;
	if (len < buf->cap - buf->len)
		return true;
	while (len >= cap - buf->len && cap <= SIZE_MAX / 2)
		cap *= 2;
	data = len < cap - buf->len ? realloc(buf->data, cap) : NULL;
	if (!data) {
		buf->failed = true;
		return false;
	}
	buf->data = data;
	buf->cap = cap;
	return true;
}

void buf_put(struct buf *buf, const void *data, size_t len)
{
	if (!buf_grow(buf, len))
		return;
	if (len)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

void buf_print(struct buf *buf, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0) {
		buf->failed = true;
		return;
	}
	if (!buf_grow(buf, (size_t)len))
		return;
	va_start(args, format);
	vsnprintf(buf->data + buf->len, (size_t)len + 1, format, args);
	va_end(args);
	buf->len += (size_t)len;
}

char *buf_take(struct buf *buf, size_t *len)
{
	char *data;

	buf_put(buf, NULL, 0); /* an empty buffer is an empty string */
	data = buf->data;
	if (buf->failed) {
		free(data);
		data = NULL;
		buf->len = 0;
	}
	*len = buf->len;
	buf_init(buf);
	return data;
}
