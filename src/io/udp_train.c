/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/udp_train.h"

#include <netinet/udp.h>
#include <string.h>

/* Family, port and the IPv4 address, or the flow of IPv6: most of what tells peers apart. */
static uint64_t peer_key(const struct udp_reply *reply)
{
	uint64_t key;

	memcpy(&key, reply->query->msg_name, sizeof(key));
	return key;
}

/* Whether replies with equal keys go the same way: an IPv4 peer without control data always. */
static bool same_way(const struct msghdr *a, const struct msghdr *b)
{
	if (a->msg_namelen == sizeof(struct sockaddr_in) && a->msg_controllen == 0)
		return true;
	return a->msg_namelen == b->msg_namelen && a->msg_controllen == b->msg_controllen &&
	       memcmp(a->msg_name, b->msg_name, a->msg_namelen) == 0 &&
	       (a->msg_controllen == 0 ||
		memcmp(a->msg_control, b->msg_control, a->msg_controllen) == 0);
}

static unsigned hash_reply(uint64_t key, size_t len)
{
	return (unsigned)(((key + len) * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
}

/* Puts a reply behind the train that it fits, or begins one with it. */
static void board(struct udp_trains *trains, unsigned i)
{
	const struct udp_reply *reply = &trains->replies[i];
	uint64_t key = peer_key(reply);
	unsigned place = hash_reply(key, reply->len) % UDP_TRAIN_PLACES, train;

	for (; trains->places[place]; place = (place + 1) % UDP_TRAIN_PLACES) {
		const struct udp_reply *other;

		train = trains->places[place] - 1u;
		other = &trains->replies[trains->first[train]];
		if (trains->keys[train] != key || other->len != reply->len ||
		    (trains->n_cars[train] + 1u) * reply->len > UDP_TRAIN_OCTETS ||
		    !same_way(other->query, reply->query))
			continue;
		trains->next[trains->last[train]] = (uint8_t)i;
		trains->last[train] = (uint8_t)i;
		trains->n_cars[train]++;
		return;
	}
	train = trains->n_out++;
	trains->places[place] = (uint8_t)(train + 1);
	trains->keys[train] = key;
	trains->first[train] = trains->last[train] = (uint8_t)i;
	trains->n_cars[train] = 1;
}

/* Control data of a train: what its queries came with, and the size to cut at. */
static void put_control(struct udp_trains *trains, unsigned train, const struct udp_reply *reply)
{
	struct msghdr *header = &trains->out[train].msg_hdr;
	uint8_t *control = trains->control[train];
	size_t len = reply->query->msg_controllen;
	struct cmsghdr segment = {
		.cmsg_level = IPPROTO_UDP,
		.cmsg_type = UDP_SEGMENT,
		.cmsg_len = CMSG_LEN(sizeof(uint16_t)),
	};
	uint16_t size = (uint16_t)reply->len;

	if (len)
		memcpy(control, reply->query->msg_control, len);
	if (trains->n_cars[train] > 1) {
		memset(control + len, 0, CMSG_SPACE(sizeof(size)));
		memcpy(control + len, &segment, sizeof(segment));
		memcpy(control + len + CMSG_LEN(0), &size, sizeof(size));
		len += CMSG_SPACE(sizeof(size));
	}
	header->msg_control = len ? control : NULL;
	header->msg_controllen = len;
}

void udp_train_build(struct udp_trains *trains)
{
	struct iovec *iov = trains->iov;

	trains->n_out = 0;
	memset(trains->places, 0, sizeof(trains->places));
	for (unsigned i = 0; i < trains->n_replies; i++) {
		if (!trains->is_off) {
			board(trains, i);
			continue;
		}
		trains->first[trains->n_out] = (uint8_t)i;
		trains->n_cars[trains->n_out++] = 1;
	}
	for (unsigned train = 0; train < trains->n_out; train++) {
		unsigned i = trains->first[train];
		const struct udp_reply *reply = &trains->replies[i];
		struct msghdr *header = &trains->out[train].msg_hdr;

		header->msg_name = reply->query->msg_name;
		header->msg_namelen = reply->query->msg_namelen;
		header->msg_iov = iov;
		header->msg_iovlen = trains->n_cars[train];
		put_control(trains, train, reply);
		for (unsigned car = 0; car < trains->n_cars[train]; car++, i = trains->next[i])
			*iov++ = (struct iovec){ trains->replies[i].message,
						 trains->replies[i].len };
	}
}
