/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	BACKLOG = 511,            /* connections that wait; the kernel caps it at somaxconn */
	RECEIVE_BUFFER = 4 << 20, /* octets: some 20 ms of queries while a worker is busy */
	ADDRESS_TEXT = INET6_ADDRSTRLEN,
};

/* ---- Addresses ---- */

static struct sockaddr_in *as_v4(struct listen_address *address)
{
	return (struct sockaddr_in *)&address->sockaddr;
}

static struct sockaddr_in6 *as_v6(struct listen_address *address)
{
	return (struct sockaddr_in6 *)&address->sockaddr;
}

static bool is_v6(const struct listen_address *address)
{
	return address->sockaddr.ss_family == AF_INET6;
}

static in_port_t get_port(const struct listen_address *address)
{
	if (is_v6(address))
		return ntohs(((const struct sockaddr_in6 *)&address->sockaddr)->sin6_port);
	return ntohs(((const struct sockaddr_in *)&address->sockaddr)->sin_port);
}

static bool parse_port(const char *text, in_port_t *port)
{
	unsigned value = 0;

	if (!*text || strlen(text) > 5)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (unsigned)(*text - '0');
	}
	*port = (in_port_t)value;
	return value <= UINT16_MAX;
}

bool listen_parse(const char *text, struct listen_address *address, const char **reason)
{
	const char *at = strrchr(text, '@');
	char host[ADDRESS_TEXT];
	in_port_t port;

	*address = (struct listen_address){ 0 };
	if (!at) {
		*reason = "has no port: write ADDRESS@PORT";
		return false;
	}
	if (!parse_port(at + 1, &port)) {
		*reason = "has no port from 0 to 65535";
		return false;
	}
	*reason = *text == '[' ? "has brackets: write IPv6 without, as in ::1@53"
			       : "has no numeric IPv4 or IPv6 address";
	if ((size_t)(at - text) >= sizeof(host))
		return false;
	memcpy(host, text, (size_t)(at - text));
	host[at - text] = '\0';
	if (inet_pton(AF_INET, host, &as_v4(address)->sin_addr) == 1) {
		as_v4(address)->sin_family = AF_INET;
		as_v4(address)->sin_port = htons(port);
		address->len = sizeof(struct sockaddr_in);
	} else if (inet_pton(AF_INET6, host, &as_v6(address)->sin6_addr) == 1) {
		as_v6(address)->sin6_family = AF_INET6;
		as_v6(address)->sin6_port = htons(port);
		address->len = sizeof(struct sockaddr_in6);
		if (IN6_IS_ADDR_V4MAPPED(&as_v6(address)->sin6_addr)) {
			*reason = "is an IPv4 address inside IPv6: write it as IPv4";
			return false;
		}
	} else {
		return false;
	}
	snprintf(address->text, sizeof(address->text), "%s", text);
	*reason = NULL;
	return true;
}

bool listen_is_wildcard(const struct listen_address *address)
{
	if (is_v6(address))
		return IN6_IS_ADDR_UNSPECIFIED(
			&((const struct sockaddr_in6 *)&address->sockaddr)->sin6_addr);
	return ((const struct sockaddr_in *)&address->sockaddr)->sin_addr.s_addr == INADDR_ANY;
}

void listen_peer(const struct sockaddr *sockaddr, struct address *address)
{
	*address = (struct address){ 0 };
	if (sockaddr->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)sockaddr;

		memcpy(address->v4, &v4->sin_addr, sizeof(address->v4));
		address->has_v4 = true;
	} else if (sockaddr->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)sockaddr;

		address->has_v4 = IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
		address->has_v6 = !address->has_v4;
		if (address->has_v4)
			memcpy(address->v4, v6->sin6_addr.s6_addr + 12, sizeof(address->v4));
		else
			memcpy(address->v6, &v6->sin6_addr, sizeof(address->v6));
	}
}

/* ---- Sockets ---- */

static int set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

static int open_socket(const struct listen_address *address, int type)
{
	int fd = socket(address->sockaddr.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0 && is_v6(address) && set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) < 0) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

/* Writes the port that the kernel chose to the address and its text. */
static int update_port(int fd, struct listen_address *address)
{
	size_t host_len = strcspn(address->text, "@");
	socklen_t len = sizeof(address->sockaddr);

	if (getsockname(fd, (struct sockaddr *)&address->sockaddr, &len) < 0)
		return -1;
	snprintf(address->text + host_len, sizeof(address->text) - host_len, "@%u",
		 (unsigned)get_port(address));
	return 0;
}

/*
 * A port that the kernel chooses must be nobody else's. For UDP it would also choose one that
 * another SO_REUSEPORT socket of the same user has, so then sharing is allowed after the bind only.
 */
static int bind_socket(int fd, struct listen_address *address, bool shared)
{
	bool any_port = get_port(address) == 0;

	if (shared && !any_port && set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0)
		return -1;
	if (bind(fd, (const struct sockaddr *)&address->sockaddr, address->len) < 0)
		return -1;
	if (!any_port)
		return 0;
	if (shared && set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0)
		return -1;
	return update_port(fd, address);
}

/*
 * Replies from a wildcard address must leave from where the query came to. Path MTU discovery is
 * off, so that forged ICMP cannot make our replies fragments.
 */
static int set_udp_options(int fd, const struct listen_address *address)
{
	bool wildcard = listen_is_wildcard(address);

	/* As much as the system allows: only root may pass rmem_max. */
	if (set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER) < 0)
		set_option(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER);
	if (is_v6(address)) {
		if (wildcard && set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) < 0)
			return -1;
		return set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT);
	}
	if (wildcard && set_option(fd, IPPROTO_IP, IP_PKTINFO, 1) < 0)
		return -1;
	return set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
}

/*
 * Asks the routing table where packets to elsewhere would come from; none is sent. The addresses
 * are for documentation (RFC 5737, RFC 3849), so that only the default route has them.
 */
static int find_source(bool v6, struct listen_address *source)
{
	struct listen_address elsewhere;
	const char *reason;
	int fd, result;

	listen_parse(v6 ? "2001:db8::1@53" : "192.0.2.1@53", &elsewhere, &reason);
	fd = open_socket(&elsewhere, SOCK_DGRAM);
	if (fd < 0)
		return -1;
	source->len = sizeof(source->sockaddr);
	result = connect(fd, (const struct sockaddr *)&elsewhere.sockaddr, elsewhere.len);
	if (result == 0)
		result = getsockname(fd, (struct sockaddr *)&source->sockaddr, &source->len);
	close(fd);
	return result;
}

void listen_reach(const struct listen_address *address, struct address *reach)
{
	struct listen_address source = *address;
	const char *reason;

	if (listen_is_wildcard(address) && find_source(is_v6(address), &source))
		listen_parse(is_v6(address) ? "::1@53" : "127.0.0.1@53", &source, &reason);
	listen_peer((const struct sockaddr *)&source.sockaddr, reach);
}

int listen_udp(struct listen_address *address)
{
	int error, fd = open_socket(address, SOCK_DGRAM);

	if (fd < 0)
		return -1;
	if (set_udp_options(fd, address) < 0 || bind_socket(fd, address, true) < 0)
		goto err;
	return fd;

err:
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

static int open_tcp(struct listen_address *address, bool shared)
{
	int error, fd = open_socket(address, SOCK_STREAM);

	if (fd < 0)
		return -1;
	if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 ||
	    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0 ||
	    bind_socket(fd, address, shared) < 0 || listen(fd, BACKLOG) < 0)
		goto err;
	return fd;

err:
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

int listen_tcp_shared(struct listen_address *address)
{
	return open_tcp(address, true);
}

int listen_tcp(struct listen_address *address)
{
	return open_tcp(address, false);
}

int listen_probe(const struct listen_address *address, int type)
{
	struct listen_address copy = *address;
	int error, fd;

	if (type == SOCK_STREAM) {
		fd = open_tcp(&copy, false);
		if (fd >= 0)
			close(fd);
		return fd < 0 ? -1 : 0;
	}
	fd = open_socket(&copy, type);
	if (fd < 0)
		return -1;
	error = bind_socket(fd, &copy, false) < 0 ? errno : 0;
	close(fd);
	errno = error;
	return error ? -1 : 0;
}

/* ---- Sockets of others ---- */

static int get_option(int fd, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) < 0 ? -1 : value;
}

bool listen_matches(int fd, int type, bool shared, const struct listen_address *address)
{
	struct listen_address bound = { .len = sizeof(bound.sockaddr) };
	struct address host, wanted;

	if (getsockname(fd, (struct sockaddr *)&bound.sockaddr, &bound.len) < 0 ||
	    bound.sockaddr.ss_family != address->sockaddr.ss_family ||
	    get_option(fd, SO_TYPE) != type ||
	    (type == SOCK_STREAM && get_option(fd, SO_ACCEPTCONN) != 1))
		return false;
	listen_peer((const struct sockaddr *)&bound.sockaddr, &host);
	listen_peer((const struct sockaddr *)&address->sockaddr, &wanted);
	if (!record_address_equal(&host, &wanted))
		return false;
	if (get_port(address))
		return get_port(address) == get_port(&bound);
	return get_option(fd, SO_REUSEPORT) == shared;
}

int listen_adopt(int fd, int type, bool shared, struct listen_address *address)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -1;
	if (shared && set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0)
		return -1;
	if (type == SOCK_DGRAM ? set_udp_options(fd, address) < 0
			       : set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0)
		return -1;
	return get_port(address) ? 0 : update_port(fd, address);
}
