/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/udp.h"

#include "base/clock.h"
#include "dns/wire.h"
#include "io/udp_train.h"

#include <event2/event.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	/* After a batch of so many there are likely more: to look is cheaper than to ask epoll. */
	BUSY = 8,
	/* Room for a packet's destination address on a wildcard socket. */
	CONTROL_LEN = CMSG_SPACE(sizeof(struct in6_pktinfo)),
};

struct packet {
	struct sockaddr_storage peer;
	_Alignas(struct cmsghdr) uint8_t control[CONTROL_LEN];
	_Alignas(8) uint8_t message[LIMIT_UDP_QUERY + WIRE_SLACK];
};

/* Everything is allocated once; a query is answered in the buffer it came in. */
struct udp {
	struct worker *worker;
	struct event *event;
	struct udp_limit *limit;
	int fd;
	bool is_wildcard;
	struct mmsghdr in[LIMIT_UDP_BATCH];
	size_t n_used; /* of them, by the last batch */
	struct iovec in_iov[LIMIT_UDP_BATCH];
	struct udp_trains trains;
	struct packet packets[LIMIT_UDP_BATCH];
};

/* The interface by which a packet came need not be the one to the peer; link-local ones apart. */
static void clear_interface(struct msghdr *header)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			info.ipi_ifindex = 0;
			memcpy(CMSG_DATA(c), &info, sizeof(info));
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
				info.ipi6_ifindex = 0;
			memcpy(CMSG_DATA(c), &info, sizeof(info));
		}
	}
}

/* The kernel writes lengths into the headers that it fills; only these are set again. */
static int receive(struct udp *udp)
{
	int n;

	for (size_t i = 0; i < udp->n_used; i++) {
		struct msghdr *header = &udp->in[i].msg_hdr;

		header->msg_namelen = sizeof(udp->packets[i].peer);
		header->msg_controllen = udp->is_wildcard ? CONTROL_LEN : 0;
	}
	n = recvmmsg(udp->fd, udp->in, LIMIT_UDP_BATCH, MSG_DONTWAIT, NULL);
	udp->n_used = n > 0 ? (size_t)n : 0;
	return n;
}

static struct answer_peer peer_of(const struct sockaddr_storage *sockaddr)
{
	const struct sockaddr_in *v4 = (const void *)sockaddr;
	const struct sockaddr_in6 *v6 = (const void *)sockaddr;
	struct answer_peer peer = { .transport = ANSWER_UDP };

	if (sockaddr->ss_family == AF_INET6) {
		/* A socket for both families, of whoever opened it for us, has IPv4 within. */
		size_t mapped_len = IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) ? 12 : 0;

		peer.address = v6->sin6_addr.s6_addr + mapped_len;
		peer.address_len = sizeof(v6->sin6_addr) - mapped_len;
	} else {
		peer.address = (const uint8_t *)&v4->sin_addr;
		peer.address_len = sizeof(v4->sin_addr);
	}
	return peer;
}

/* Header and question of a reply, with TC; to whom speaks EDNS with a bare OPT record. */
static size_t cut_to_question(const struct answer *answer, uint8_t *message, size_t len)
{
	struct wire_writer writer = { .message = message, .end = message + len };
	size_t end = WIRE_HEADER;

	if (wire_get16(message + 4) == 1) {
		while (end < len && message[end])
			end += 1u + message[end];
		end += 1 + 2 * sizeof(uint16_t);
	}
	wire_set16(message + 2, wire_get16(message + 2) | WIRE_TC);
	memset(message + 6, 0, WIRE_HEADER - 6);
	writer.at = message + (end < len ? end : len);
	if (answer->has_edns && wire_fits(&writer, WIRE_OPT)) {
		wire_put_opt(&writer, LIMIT_UDP_EDNS, 0, answer->edns_flags, NULL, 0);
		wire_set16(message + 10, 1);
	}
	return (size_t)(writer.at - message);
}

/* The length of a reply to somebody whom it may hurt; 0: it is left out. */
static size_t limit_reply(struct udp *udp, const struct answer_peer *peer, uint8_t *message,
			  size_t len, size_t question_len, uint64_t now_ms)
{
	struct counters *counters = &udp->worker->counters;

	if (udp->worker->answer.is_proven)
		return len;
	if (udp_limit_amplifies(len, question_len))
		counters_add(&counters->amplified, 1);
	switch (udp_limit_look(udp->limit, peer->address, peer->address_len, message, len,
			       question_len, now_ms)) {
	case UDP_LIMIT_SLIP:
		counters_add(&counters->rate_slipped, 1);
		return cut_to_question(&udp->worker->answer, message, len);
	case UDP_LIMIT_DROP:
		counters_add(&counters->rate_limited, 1);
		return 0;
	case UDP_LIMIT_PASS:
		break;
	}
	return len;
}

static void answer_batch(struct udp *udp, unsigned n)
{
	struct worker *worker = udp->worker;
	struct udp_trains *trains = &udp->trains;
	struct answer_time time = worker_time();

	trains->n_replies = 0;
	for (unsigned i = 0; i < n; i++) {
		struct packet *packet = &udp->packets[i];
		struct msghdr *query = &udp->in[i].msg_hdr;
		struct answer_peer peer = peer_of(&packet->peer);
		size_t len;

		if (query->msg_flags & MSG_TRUNC) {
			counters_add(&worker->counters.oversize, 1);
			counters_add(&worker->counters.limit_udp_query, 1);
			continue;
		}
		len = answer(&worker->answer, &peer, &time, packet->message, udp->in[i].msg_len);
		if (len && !udp_limit_exempts(udp->limit, peer.address, peer.address_len))
			len = limit_reply(udp, &peer, packet->message, len, udp->in[i].msg_len,
					  time.now_ms);
		if (len == 0)
			continue;
		if (query->msg_controllen)
			clear_interface(query);
		trains->replies[trains->n_replies++] =
			(struct udp_reply){ query, packet->message, len };
	}
}

/* A train that the kernel does not take (a path that is too narrow, an old driver) goes in parts.
 */
static void send_parts(struct udp *udp, struct msghdr *train)
{
	struct iovec *iov = train->msg_iov;
	struct msghdr part = *train;

	part.msg_iovlen = 1;
	part.msg_controllen -= CMSG_SPACE(sizeof(uint16_t));
	if (part.msg_controllen == 0)
		part.msg_control = NULL;
	for (size_t i = 0; i < train->msg_iovlen; i++) {
		part.msg_iov = &iov[i];
		if (sendmsg(udp->fd, &part, MSG_DONTWAIT) < 0)
			counters_add(&udp->worker->counters.send_failed, 1);
	}
}

/* A reply that the kernel does not take is lost, as UDP may; the next ones are still sent. */
static void send_batch(struct udp *udp)
{
	struct udp_trains *trains = &udp->trains;
	unsigned sent = 0;

	udp_train_build(trains);
	while (sent < trains->n_out) {
		struct msghdr *failed;
		int result =
			sendmmsg(udp->fd, trains->out + sent, trains->n_out - sent, MSG_DONTWAIT);

		if (result > 0) {
			sent += (unsigned)result;
			continue;
		}
		if (errno == EINTR)
			continue;
		failed = &trains->out[sent++].msg_hdr;
		if (failed->msg_iovlen > 1 && (errno == EIO || errno == EINVAL)) {
			/* EIO: the device cannot; EINVAL: this path or size cannot. */
			trains->is_off |= errno == EIO;
			send_parts(udp, failed);
		} else {
			counters_add(&udp->worker->counters.send_failed, failed->msg_iovlen);
		}
	}
}

/* The time of a batch is that of each of its queries: it runs from when the last one's ended. */
static uint64_t observe_batch(struct udp *udp, uint64_t start_ns)
{
	uint64_t now_ns = clock_mono_ns();

	histogram_observe(&udp->worker->answer.counts.latency[ANSWER_UDP], now_ns - start_ns,
			  udp->trains.n_replies);
	return now_ns;
}

static void on_readable(evutil_socket_t fd, short what, void *cookie)
{
	struct udp *udp = cookie;
	uint64_t start_ns = clock_mono_ns();

	(void)fd;
	(void)what;
	worker_enter(udp->worker);
	for (unsigned batch = 0; batch < LIMIT_UDP_BURST; batch++) {
		int n = receive(udp);

		if (n <= 0)
			break;
		answer_batch(udp, (unsigned)n);
		send_batch(udp);
		start_ns = observe_batch(udp, start_ns);
		if (n < BUSY)
			break;
		worker_quiescent(udp->worker);
	}
	worker_leave(udp->worker);
}

struct udp *udp_new(struct worker *worker, int fd, bool is_wildcard,
		    const struct udp_limit_options *options)
{
	struct udp *udp = calloc(1, sizeof(*udp));

	if (!udp)
		return NULL;
	*udp = (struct udp){
		.worker = worker,
		.fd = fd,
		.is_wildcard = is_wildcard,
		.limit = udp_limit_new(options),
		.n_used = LIMIT_UDP_BATCH,
	};
	for (size_t i = 0; i < LIMIT_UDP_BATCH; i++) {
		struct packet *packet = &udp->packets[i];

		udp->in_iov[i] = (struct iovec){ packet->message, LIMIT_UDP_QUERY };
		udp->in[i].msg_hdr = (struct msghdr){
			.msg_name = &packet->peer,
			.msg_iov = &udp->in_iov[i],
			.msg_iovlen = 1,
			.msg_control = packet->control,
		};
	}
	udp->event = event_new(worker->base, fd, EV_READ | EV_PERSIST, on_readable, udp);
	if (!udp->limit || !udp->event || event_add(udp->event, NULL)) {
		if (udp->event)
			event_free(udp->event);
		udp_limit_free(udp->limit);
		free(udp);
		errno = ENOMEM;
		return NULL;
	}
	return udp;
}

void udp_free(struct udp *udp)
{
	if (!udp)
		return;
	event_free(udp->event);
	udp_limit_free(udp->limit);
	close(udp->fd);
	free(udp);
}

void udp_stop(struct udp *udp)
{
	on_readable(udp->fd, EV_READ, udp);
	event_del(udp->event);
}
