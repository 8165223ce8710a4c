/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/udp.h"

#include "base/clock.h"

#include <event2/event.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	/* For a packet's destination address on a wildcard socket, which the reply must come from.
	 */
	CONTROL_LEN = CMSG_SPACE(sizeof(struct in6_pktinfo)),
	SLACK = 8, /* dns/wire.h reads whole words */
};

struct packet {
	struct sockaddr_storage peer;
	_Alignas(struct cmsghdr) uint8_t control[CONTROL_LEN];
	_Alignas(8) uint8_t message[LIMIT_UDP_QUERY + SLACK];
};

/* Everything is allocated once; a query is answered in the buffer it came in. */
struct udp {
	struct worker *worker;
	struct event *event;
	int fd;
	bool is_wildcard;
	struct mmsghdr in[LIMIT_UDP_BATCH], out[LIMIT_UDP_BATCH];
	struct iovec in_iov[LIMIT_UDP_BATCH], out_iov[LIMIT_UDP_BATCH];
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

static int receive(struct udp *udp)
{
	for (size_t i = 0; i < LIMIT_UDP_BATCH; i++) {
		struct msghdr *header = &udp->in[i].msg_hdr;

		header->msg_namelen = sizeof(udp->packets[i].peer);
		header->msg_controllen = udp->is_wildcard ? CONTROL_LEN : 0;
	}
	return recvmmsg(udp->fd, udp->in, LIMIT_UDP_BATCH, MSG_DONTWAIT, NULL);
}

/* Answers what came and lines the replies up. Returns how many there are. */
static unsigned answer_batch(struct udp *udp, unsigned n, uint64_t now_ms)
{
	struct worker *worker = udp->worker;
	unsigned n_out = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct msghdr *from = &udp->in[i].msg_hdr;
		struct msghdr *to = &udp->out[n_out].msg_hdr;
		size_t len;

		if (from->msg_flags & MSG_TRUNC) {
			counters_add(&worker->counters.oversize, 1);
			continue;
		}
		len = answer(&worker->answer, ANSWER_UDP, now_ms, udp->packets[i].message,
			     udp->in[i].msg_len);
		if (len == 0)
			continue;
		udp->out_iov[n_out] =
			(struct iovec){ .iov_base = udp->packets[i].message, .iov_len = len };
		to->msg_name = from->msg_name;
		to->msg_namelen = from->msg_namelen;
		to->msg_control = from->msg_controllen ? from->msg_control : NULL;
		to->msg_controllen = from->msg_controllen;
		if (to->msg_controllen)
			clear_interface(to);
		n_out++;
	}
	return n_out;
}

/* A reply that the kernel does not take is lost, as UDP may; the next ones are still sent. */
static void send_batch(struct udp *udp, unsigned n)
{
	unsigned sent = 0;

	while (sent < n) {
		int result = sendmmsg(udp->fd, udp->out + sent, n - sent, MSG_DONTWAIT);

		if (result > 0) {
			sent += (unsigned)result;
		} else if (errno != EINTR) {
			counters_add(&udp->worker->counters.send_failed, 1);
			sent++;
		}
	}
}

static void on_readable(evutil_socket_t fd, short what, void *cookie)
{
	struct udp *udp = cookie;

	(void)fd;
	(void)what;
	worker_enter(udp->worker);
	for (unsigned batch = 0; batch < LIMIT_UDP_BURST; batch++) {
		int n = receive(udp);

		if (n <= 0)
			break;
		send_batch(udp, answer_batch(udp, (unsigned)n, clock_coarse_ms()));
		if (n < LIMIT_UDP_BATCH)
			break;
		worker_quiescent(udp->worker);
	}
	worker_leave(udp->worker);
}

struct udp *udp_new(struct worker *worker, int fd, bool is_wildcard)
{
	struct udp *udp = calloc(1, sizeof(*udp));

	if (!udp)
		return NULL;
	*udp = (struct udp){ .worker = worker, .fd = fd, .is_wildcard = is_wildcard };
	for (size_t i = 0; i < LIMIT_UDP_BATCH; i++) {
		struct packet *packet = &udp->packets[i];

		udp->in_iov[i] = (struct iovec){ packet->message, LIMIT_UDP_QUERY };
		udp->in[i].msg_hdr = (struct msghdr){
			.msg_name = &packet->peer,
			.msg_iov = &udp->in_iov[i],
			.msg_iovlen = 1,
			.msg_control = packet->control,
		};
		udp->out[i].msg_hdr =
			(struct msghdr){ .msg_iov = &udp->out_iov[i], .msg_iovlen = 1 };
	}
	udp->event = event_new(worker->base, fd, EV_READ | EV_PERSIST, on_readable, udp);
	if (!udp->event || event_add(udp->event, NULL)) {
		if (udp->event)
			event_free(udp->event);
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
	close(udp->fd);
	free(udp);
}
