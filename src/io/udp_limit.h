/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * udp_limit: response rate limiting, so that forged questions do not make this server shoot at
 * whoever they name as their sender. A part of udp: one per UDP socket, its worker's thread alone,
 * pure.
 *
 * Replies are counted by the sender's network (an IPv4 /24, an IPv6 /64) and by what kind of reply
 * it is. Each such pair has a bucket of tokens: `rate` come in a second, and as many at most are in
 * it. A reply costs one token, and one more for each further five times that it is as long as its
 * question. Where the tokens are gone a reply is left out, but for each `slip`th, which goes as an
 * empty one with TC: an honest client behind the same network comes again over TCP, where its
 * address is proven. Who proves it by a cookie (RFC 7873) is not counted at all.
 *
 * NSD and Knot have the same means and the same words for them. They count positive answers by name
 * too; here all of a network count together, because the names of a registry are no secret and
 * asking for all of them would multiply what an attacker gets.
 */
#ifndef ROSTERD_IO_UDP_LIMIT_H
#define ROSTERD_IO_UDP_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A network: 10.0.0.0/8, 2001:db8::/32. */
struct udp_limit_network {
	uint8_t octets[16];
	uint8_t len;  /* octets: 4 or 16 */
	uint8_t bits; /* of them that count */
};

/* Const while workers run. */
struct udp_limit_options {
	uint32_t rate; /* replies a second, of each socket; 0: no limit */
	uint32_t slip; /* 1: each one goes as TC; 0: none does */
	size_t n_allow;
	struct udp_limit_network *allow; /* never limited; loopback never is */
};

/* Whom the default options never limit: networks that no stranger can be made to suffer in. */
extern const struct udp_limit_network udp_limit_private[];
extern const size_t udp_limit_n_private;

/* "10.0.0.0/8", "10.1.2.3". false with a reason: no such network, or bits are set behind it. */
bool udp_limit_network_parse(const char *text, struct udp_limit_network *network,
			     const char **reason);

enum udp_limit_verdict {
	UDP_LIMIT_PASS,
	UDP_LIMIT_SLIP, /* an empty reply with TC */
	UDP_LIMIT_DROP,
};

struct udp_limit;

/* NULL when out of memory. `options` is borrowed. */
struct udp_limit *udp_limit_new(const struct udp_limit_options *options);
void udp_limit_free(struct udp_limit *limit);

/* Whether replies to this address are never limited. 4 or 16 octets. */
bool udp_limit_exempts(const struct udp_limit *limit, const uint8_t *address, size_t address_len);

/*
 * What to do with a reply to an address that is not exempt: `message` has it, `len` octets of at
 * least a header, and `question_len` is what was asked with. `now_ms` is monotonic.
 */
enum udp_limit_verdict udp_limit_look(struct udp_limit *limit, const uint8_t *address,
				      size_t address_len, const uint8_t *message, size_t len,
				      size_t question_len, uint64_t now_ms);

/* Whether so long a reply to so short a question multiplies what a forger sends. */
static inline bool udp_limit_amplifies(size_t len, size_t question_len)
{
	return len > 5 * question_len;
}

#endif
