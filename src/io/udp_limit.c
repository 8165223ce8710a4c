/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/udp_limit.h"

#include "base/limits.h"
#include "base/siphash.h"
#include "dns/wire.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum {
	WAYS = 4, /* buckets that one pair may be in: a cache line */
	SETS = LIMIT_RATE_BUCKETS / WAYS,
	MILLI = 1000, /* tokens are kept in thousandths: one comes each 1/rate s */
};

/* A bucket whose pair is long unseen is full, so whoever is seen least loses nothing by going. */
struct bucket {
	uint32_t tag; /* of the pair; 0: nobody's */
	uint32_t at_ms;
	uint32_t tokens; /* thousandths, as they were at `at_ms` */
	uint32_t n_limited;
};

struct udp_limit {
	const struct udp_limit_options *options;
	struct siphash_key key;
	uint32_t full; /* thousandths */
	struct bucket buckets[SETS][WAYS];
};

/* RFC 1918, 6598, 3927, 4193, 4291 2.5.6. */
const struct udp_limit_network udp_limit_private[] = {
	{ { 10 }, 4, 8 },           { { 172, 16 }, 4, 12 },  { { 192, 168 }, 4, 16 },
	{ { 100, 64 }, 4, 10 },     { { 169, 254 }, 4, 16 }, { { 0xfc }, 16, 7 },
	{ { 0xfe, 0x80 }, 16, 10 },
};
const size_t udp_limit_n_private = sizeof(udp_limit_private) / sizeof(udp_limit_private[0]);

static const struct udp_limit_network loopback[] = {
	{ { 127 }, 4, 8 },
	{ { [15] = 1 }, 16, 128 },
};

/* ---- Networks ---- */

static uint8_t mask_of(unsigned bits, size_t octet)
{
	unsigned before = (unsigned)octet * 8;

	if (bits >= before + 8)
		return 0xff;
	return bits <= before ? 0 : (uint8_t)(0xff << (before + 8 - bits));
}

static bool contains(const struct udp_limit_network *network, const uint8_t *address,
		     size_t address_len)
{
	if (network->len != address_len)
		return false;
	for (size_t i = 0; i * 8 < network->bits; i++)
		if ((address[i] ^ network->octets[i]) & mask_of(network->bits, i))
			return false;
	return true;
}

static bool parse_bits(const char *text, unsigned max, uint8_t *bits)
{
	unsigned sum = 0;

	if (!*text || strlen(text) > 3)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		sum = sum * 10 + (unsigned)(*text - '0');
	}
	*bits = (uint8_t)sum;
	return sum <= max;
}

bool udp_limit_network_parse(const char *text, struct udp_limit_network *network,
			     const char **reason)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	char address[INET6_ADDRSTRLEN];

	*network = (struct udp_limit_network){ .len = 0 };
	*reason = "is no network: an address, and perhaps '/' and its bits";
	if (len >= sizeof(address))
		return false;
	memcpy(address, text, len);
	address[len] = '\0';
	if (inet_pton(AF_INET, address, network->octets) == 1)
		network->len = 4;
	else if (inet_pton(AF_INET6, address, network->octets) == 1)
		network->len = 16;
	else
		return false;
	network->bits = (uint8_t)(network->len * 8);
	if (slash && !parse_bits(slash + 1, network->bits, &network->bits))
		return false;
	*reason = "has bits set behind the network's";
	for (size_t i = 0; i < network->len; i++)
		if (network->octets[i] & (uint8_t)~mask_of(network->bits, i))
			return false;
	return true;
}

/* ---- Buckets ---- */

/* Kinds of replies, as they are told apart by a header. */
static uint8_t kind_of(const uint8_t *message)
{
	enum {
		POSITIVE = 16,
		NODATA,
		REFERRAL
	}; /* behind the rcodes */
	uint16_t flags = wire_get16(message + 2);
	uint8_t rcode = flags & 0xf;

	if (rcode)
		return rcode;
	if (wire_get16(message + 6))
		return POSITIVE;
	return flags & WIRE_AA ? NODATA : REFERRAL;
}

static uint64_t hash_of(const struct udp_limit *limit, const uint8_t *address, size_t address_len,
			uint8_t kind)
{
	uint8_t pair[10] = { kind, (uint8_t)address_len };

	memcpy(pair + 2, address, address_len == 4 ? 3 : 8);
	return siphash(&limit->key, pair, sizeof(pair));
}

/* What has come into a bucket since it was looked at. */
static uint32_t tokens_at(const struct udp_limit *limit, const struct bucket *bucket,
			  uint32_t now_ms)
{
	/* A thousandth of `rate` tokens a millisecond: rate thousandths. */
	uint64_t tokens =
		bucket->tokens + (uint64_t)(now_ms - bucket->at_ms) * limit->options->rate;

	return tokens < limit->full ? (uint32_t)tokens : limit->full;
}

/* The pair's bucket; if it has none, the one that is fullest becomes its. */
static struct bucket *find(struct udp_limit *limit, uint64_t hash, uint32_t now_ms)
{
	struct bucket *set = limit->buckets[hash % SETS], *spare = NULL;
	uint32_t tag = (uint32_t)(hash >> 32) | 1, most = 0;

	for (size_t i = 0; i < WAYS; i++) {
		struct bucket *bucket = &set[i];
		uint32_t tokens = bucket->tag ? tokens_at(limit, bucket, now_ms) : UINT32_MAX;

		if (bucket->tag == tag)
			return bucket;
		if (!spare || tokens > most) {
			spare = bucket;
			most = tokens;
		}
	}
	*spare = (struct bucket){ .tag = tag, .at_ms = now_ms, .tokens = limit->full };
	return spare;
}

enum udp_limit_verdict udp_limit_look(struct udp_limit *limit, const uint8_t *address,
				      size_t address_len, const uint8_t *message, size_t len,
				      size_t question_len, uint64_t now_ms)
{
	uint64_t hash = hash_of(limit, address, address_len, kind_of(message));
	struct bucket *bucket = find(limit, hash, (uint32_t)now_ms);
	uint64_t cost = MILLI;

	if (udp_limit_amplifies(len, question_len))
		cost = (len + 5 * question_len - 1) / (5 * question_len) * MILLI;
	if (cost > limit->full)
		cost = limit->full;
	bucket->tokens = tokens_at(limit, bucket, (uint32_t)now_ms);
	bucket->at_ms = (uint32_t)now_ms;
	if (bucket->tokens >= cost) {
		bucket->tokens -= (uint32_t)cost;
		return UDP_LIMIT_PASS;
	}
	bucket->n_limited++;
	if (limit->options->slip && bucket->n_limited % limit->options->slip == 0)
		return UDP_LIMIT_SLIP;
	return UDP_LIMIT_DROP;
}

bool udp_limit_exempts(const struct udp_limit *limit, const uint8_t *address, size_t address_len)
{
	if (limit->options->rate == 0)
		return true;
	for (size_t i = 0; i < sizeof(loopback) / sizeof(loopback[0]); i++)
		if (contains(&loopback[i], address, address_len))
			return true;
	for (size_t i = 0; i < limit->options->n_allow; i++)
		if (contains(&limit->options->allow[i], address, address_len))
			return true;
	return false;
}

struct udp_limit *udp_limit_new(const struct udp_limit_options *options)
{
	struct udp_limit *limit = calloc(1, sizeof(*limit));

	if (!limit)
		return NULL;
	limit->options = options;
	limit->full = options->rate * MILLI;
	siphash_key_init(&limit->key);
	return limit;
}

void udp_limit_free(struct udp_limit *limit)
{
	free(limit);
}
