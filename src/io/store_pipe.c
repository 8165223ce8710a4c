/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/store_pipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct head {
	uint32_t kind;
	uint32_t lens[STORE_FRAME_PARTS];
};

enum {
	READ_SIZE = 1 << 20,
};

void store_pipe_flush(struct store_pipe_writer *writer)
{
	const uint8_t *at = writer->octets;

	while (writer->len) {
		ssize_t n = write(writer->fd, at, writer->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(1);
		at += n;
		writer->len -= (size_t)n;
	}
}

static void put_octets(struct store_pipe_writer *writer, const void *data, size_t len)
{
	const uint8_t *from = data;

	while (len) {
		size_t room = sizeof(writer->octets) - writer->len;
		size_t n = len < room ? len : room;

		memcpy(writer->octets + writer->len, from, n);
		writer->len += n;
		from += n;
		len -= n;
		if (writer->len == sizeof(writer->octets))
			store_pipe_flush(writer);
	}
}

void store_pipe_put(struct store_pipe_writer *writer, const struct store_frame *frame)
{
	struct head head = { .kind = (uint32_t)frame->kind };

	for (size_t i = 0; i < STORE_FRAME_PARTS; i++)
		head.lens[i] = (uint32_t)frame->parts[i].len;
	put_octets(writer, &head, sizeof(head));
	for (size_t i = 0; i < STORE_FRAME_PARTS; i++)
		put_octets(writer, frame->parts[i].data, frame->parts[i].len);
}

void store_pipe_init(struct store_pipe_reader *reader, int fd)
{
	*reader = (struct store_pipe_reader){ .fd = fd };
}

void store_pipe_fini(struct store_pipe_reader *reader)
{
	free(reader->octets);
	if (reader->fd >= 0)
		close(reader->fd);
	store_pipe_init(reader, -1);
}

/* The octets of the frame at `start`; what is read so far may be less. 0: not known yet. */
static size_t frame_size(const struct store_pipe_reader *reader, struct head *head)
{
	size_t size = sizeof(*head);

	if (reader->end - reader->start < sizeof(*head))
		return 0;
	memcpy(head, reader->octets + reader->start, sizeof(*head));
	for (size_t i = 0; i < STORE_FRAME_PARTS; i++)
		size += head->lens[i];
	return size;
}

static bool take_frame(struct store_pipe_reader *reader, struct store_frame *frame)
{
	struct head head;
	size_t size = frame_size(reader, &head);
	const uint8_t *at;

	if (size == 0 || reader->end - reader->start < size)
		return false;
	at = reader->octets + reader->start + sizeof(head);
	frame->kind = (enum store_frame_kind)head.kind;
	for (size_t i = 0; i < STORE_FRAME_PARTS; i++) {
		frame->parts[i] = (struct store_octets){ at, head.lens[i] };
		at += head.lens[i];
	}
	reader->start += size;
	return true;
}

/* Makes room for a good read behind what is left of a frame, and for the whole of that one. */
static bool make_room(struct store_pipe_reader *reader)
{
	struct head head;
	size_t left = reader->end - reader->start, size = frame_size(reader, &head);
	size_t cap = (size > left ? size : left) + READ_SIZE;

	if (reader->start)
		memmove(reader->octets, reader->octets + reader->start, left);
	reader->start = 0;
	reader->end = left;
	if (cap > reader->cap) {
		uint8_t *octets = realloc(reader->octets, cap);

		if (!octets)
			return false;
		reader->octets = octets;
		reader->cap = cap;
	}
	return true;
}

enum store_pipe_result store_pipe_next(struct store_pipe_reader *reader, struct store_frame *frame)
{
	ssize_t n;

	while (!take_frame(reader, frame)) {
		if (!make_room(reader))
			return STORE_PIPE_NO_MEMORY;
		n = read(reader->fd, reader->octets + reader->end, reader->cap - reader->end);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return STORE_PIPE_WAIT;
		if (n <= 0)
			return STORE_PIPE_CLOSED;
		reader->end += (size_t)n;
	}
	return STORE_PIPE_FRAME;
}
