/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any octets as a connection to the HTTP port. However they are cut, the same requests come out and
 * the same refusal ends them; all limits hold.
 */
#include "io/http.h"

#include <assert.h>
#include <event2/buffer.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What came out of a stream, as one number to compare. */
struct digest {
	uint64_t hash;
	size_t n_requests;
	int status; /* of the refusal; 0: none */
};

static void digest_put(struct digest *digest, const void *data, size_t len)
{
	const uint8_t *octets = data;

	for (size_t i = 0; i < len; i++)
		digest->hash = (digest->hash ^ octets[i]) * 0x100000001b3;
}

static void take_request(struct digest *digest, const struct http *http)
{
	size_t body_len = evbuffer_get_length(http->body);

	assert(http->path && *http->path && !strpbrk(http->path, "?# \r\n"));
	assert(!http->query || !strpbrk(http->query, "# \r\n"));
	assert(body_len <= LIMIT_HTTP_BODY);
	digest_put(digest, &http->method, sizeof(http->method));
	digest_put(digest, http->path, strlen(http->path));
	digest_put(digest, &http->keep_alive, sizeof(http->keep_alive));
	if (body_len)
		digest_put(digest, evbuffer_pullup(http->body, -1), body_len);
	digest->n_requests++;
}

/* Reads the stream in pieces of `piece` octets. */
static struct digest read_stream(const uint8_t *data, size_t size, size_t piece)
{
	struct digest digest = { .hash = 0xcbf29ce484222325 };
	struct evbuffer *input = evbuffer_new();
	struct http http;

	if (!input || http_init(&http) != 0)
		abort();
	for (size_t at = 0; at < size && !digest.status; at += piece) {
		enum http_result result;

		evbuffer_add(input, data + at, size - at < piece ? size - at : piece);
		while ((result = http_parse(&http, input)) != HTTP_MORE) {
			if (result == HTTP_REFUSED) {
				assert(http.status >= 400 && *http.reason);
				digest.status = http.status;
				break;
			}
			if (result == HTTP_DONE) {
				take_request(&digest, &http);
				http_next(&http);
			}
		}
	}
	http_fini(&http);
	evbuffer_free(input);
	return digest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct digest whole = read_stream(data, size, size ? size : 1);

	for (size_t piece = 1; piece <= 7; piece += 6) {
		const struct digest cut = read_stream(data, size, piece);

		assert(cut.hash == whole.hash && cut.n_requests == whole.n_requests);
		assert(cut.status == whole.status);
	}
	return 0;
}
