/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/listen_set.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

static struct listen_address address;

static void parse(const char *text)
{
	const char *reason = NULL;

	ck_assert_msg(listen_parse(text, &address, &reason), "%s %s", text, reason);
}

static int get_option(int fd, int level, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	ck_assert_int_eq(getsockopt(fd, level, option, &value, &len), 0);
	return value;
}

static void check_flags(int fd)
{
	ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static bool has_ipv6(void)
{
	parse("::1@0");

	int fd = listen_udp(&address);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

START_TEST(addresses_are_parsed)
{
	const struct sockaddr_in *v4 = (const void *)&address.sockaddr;
	const struct sockaddr_in6 *v6 = (const void *)&address.sockaddr;

	parse("127.0.0.1@8600");
	ck_assert_int_eq(v4->sin_family, AF_INET);
	ck_assert_uint_eq(ntohs(v4->sin_port), 8600);
	ck_assert_uint_eq(ntohl(v4->sin_addr.s_addr), INADDR_LOOPBACK);
	ck_assert_uint_eq(address.len, sizeof(*v4));
	ck_assert_str_eq(address.text, "127.0.0.1@8600");
	parse("::1@65535");
	ck_assert_int_eq(v6->sin6_family, AF_INET6);
	ck_assert_uint_eq(ntohs(v6->sin6_port), 65535);
	ck_assert(IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr));
	ck_assert_uint_eq(address.len, sizeof(*v6));
}
END_TEST

START_TEST(wrong_addresses_have_a_reason)
{
	static const char *const bad[] = {
		"",
		"@",
		"127.0.0.1",
		"127.0.0.1@",
		"127.0.0.1:53",
		"@53",
		"localhost@53",
		"127.0.0@53",
		"127.0.0.1@65536",
		"127.0.0.1@-1",
		"127.0.0.1@5x",
		"127.0.0.1@ 5",
		"[::1]@53",
		"::ffff:127.0.0.1@53",
		"127.0.0.1@53@53",
		"127.0.0.1@000053",
		"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111@53",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *reason = NULL;

		ck_assert_msg(!listen_parse(bad[i], &address, &reason), "%s", bad[i]);
		ck_assert_ptr_nonnull(reason);
	}
}
END_TEST

START_TEST(brackets_are_named)
{
	const char *reason = NULL;

	ck_assert(!listen_parse("[::1]@53", &address, &reason));
	ck_assert_str_eq(reason, "has brackets: write IPv6 without, as in ::1@53");
}
END_TEST

START_TEST(wildcards_are_known)
{
	parse("0.0.0.0@53");
	ck_assert(listen_is_wildcard(&address));
	parse("::@53");
	ck_assert(listen_is_wildcard(&address));
	parse("127.0.0.1@53");
	ck_assert(!listen_is_wildcard(&address));
	parse("::1@53");
	ck_assert(!listen_is_wildcard(&address));
}
END_TEST

static const char *print_reach(const char *text)
{
	static char printed[46];
	struct address reach;

	parse(text);
	listen_reach(&address, &reach);
	record_address_print(&reach, reach.has_v6, printed);
	return printed;
}

START_TEST(wildcard_is_reached_under_a_real_address)
{
	struct address parsed = { 0 };
	const char *reason;

	ck_assert_str_eq(print_reach("127.0.0.2@53"), "127.0.0.2");
	ck_assert_str_eq(print_reach("fd00::1@53"), "fd00::1");
	ck_assert(record_address_parse(print_reach("0.0.0.0@53"), &parsed, &reason));
	ck_assert(parsed.has_v4);
	ck_assert(record_address_parse(print_reach("::@53"), &parsed, &reason));
	ck_assert(parsed.has_v6);
}
END_TEST

START_TEST(chosen_port_is_written_back)
{
	const struct sockaddr_in *v4 = (const void *)&address.sockaddr;
	char expected[64];
	int udp, tcp;

	parse("127.0.0.1@0");
	udp = listen_udp(&address);
	ck_assert_int_ge(udp, 0);
	ck_assert_uint_ne(ntohs(v4->sin_port), 0);
	snprintf(expected, sizeof(expected), "127.0.0.1@%u", (unsigned)ntohs(v4->sin_port));
	ck_assert_str_eq(address.text, expected);
	check_flags(udp);
	close(udp);
	parse("127.0.0.1@0");
	tcp = listen_tcp(&address);
	ck_assert_int_ge(tcp, 0);
	ck_assert_uint_ne(ntohs(v4->sin_port), 0);
	check_flags(tcp);
	close(tcp);
}
END_TEST

START_TEST(workers_share_an_address)
{
	int first, second;

	parse("127.0.0.1@0");
	first = listen_udp(&address);
	second = listen_udp(&address);
	ck_assert_int_ge(first, 0);
	ck_assert_int_ge(second, 0);
	close(first);
	close(second);
	parse("127.0.0.1@0");
	first = listen_tcp_shared(&address);
	second = listen_tcp_shared(&address);
	ck_assert_int_ge(first, 0);
	ck_assert_int_ge(second, 0);
	ck_assert_int_eq(get_option(second, SOL_SOCKET, SO_ACCEPTCONN), 1);
	ck_assert_int_eq(get_option(first, IPPROTO_TCP, TCP_NODELAY), 1);
	close(first);
	close(second);
}
END_TEST

START_TEST(http_is_not_shared)
{
	int first;

	parse("127.0.0.1@0");
	first = listen_tcp(&address);
	ck_assert_int_ge(first, 0);
	ck_assert_int_eq(listen_tcp(&address), -1);
	ck_assert_int_eq(errno, EADDRINUSE);
	ck_assert_int_eq(listen_tcp_shared(&address), -1);
	ck_assert_int_eq(errno, EADDRINUSE);
	close(first);
}
END_TEST

START_TEST(wildcard_tells_the_destination)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	char octets[8], control[256];
	struct iovec iov = { octets, sizeof(octets) };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	const struct in_pktinfo *info;
	int server, client = socket(AF_INET, SOCK_DGRAM, 0);

	parse("0.0.0.0@0");
	server = listen_udp(&address);
	ck_assert_int_ge(server, 0);
	to.sin_port = ((const struct sockaddr_in *)&address.sockaddr)->sin_port;
	to.sin_addr.s_addr = htonl(0x7f000005);
	ck_assert_int_eq(sendto(client, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	/* Loopback delivers before sendto() returns. */
	ck_assert_int_eq(recvmsg(server, &message, 0), 1);
	ck_assert_ptr_nonnull(CMSG_FIRSTHDR(&message));
	ck_assert_int_eq(CMSG_FIRSTHDR(&message)->cmsg_type, IP_PKTINFO);
	info = (const void *)CMSG_DATA(CMSG_FIRSTHDR(&message));
	ck_assert_uint_eq(ntohl(info->ipi_addr.s_addr), 0x7f000005);
	close(client);
	close(server);
}
END_TEST

START_TEST(udp_options)
{
	int fd;

	parse("127.0.0.1@0");
	fd = listen_udp(&address);
	ck_assert_int_eq(get_option(fd, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_OMIT);
	ck_assert_int_eq(get_option(fd, IPPROTO_IP, IP_PKTINFO), 0);
	ck_assert_int_eq(get_option(fd, SOL_SOCKET, SO_REUSEPORT), 1);
	close(fd);
	if (!has_ipv6())
		return;
	parse("::@0");
	fd = listen_udp(&address);
	ck_assert_int_eq(get_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER), IPV6_PMTUDISC_OMIT);
	ck_assert_int_eq(get_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO), 1);
	ck_assert_int_eq(get_option(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	close(fd);
}
END_TEST

/* Whether a port that was just free for UDP passes two probes and can then be bound. */
static bool probe_a_port(void)
{
	int udp, tcp;

	parse("127.0.0.1@0");
	udp = listen_udp(&address);
	ck_assert_int_ge(udp, 0);
	close(udp);
	for (int i = 0; i < 2; i++)
		if (listen_probe(&address, SOCK_DGRAM) < 0 ||
		    listen_probe(&address, SOCK_STREAM) < 0)
			return false;
	udp = listen_udp(&address);
	tcp = listen_tcp_shared(&address);
	close(udp);
	close(tcp);
	return udp >= 0 && tcp >= 0;
}

/* A port may be taken for TCP, or by somebody else meanwhile: a few tries. */
START_TEST(probe_of_a_free_address_leaves_it_free)
{
	int tries = 0;

	while (!probe_a_port())
		ck_assert_int_lt(++tries, 100);
}
END_TEST

/* Another server that shares its sockets as we do must not be taken for free. */
START_TEST(probe_sees_shared_sockets)
{
	int fd;

	parse("127.0.0.1@0");
	fd = listen_udp(&address);
	ck_assert_int_eq(listen_probe(&address, SOCK_DGRAM), -1);
	ck_assert_int_eq(errno, EADDRINUSE);
	close(fd);
	parse("127.0.0.1@0");
	fd = listen_tcp_shared(&address);
	ck_assert_int_eq(listen_probe(&address, SOCK_STREAM), -1);
	ck_assert_int_eq(errno, EADDRINUSE);
	close(fd);
}
END_TEST

START_TEST(probe_sees_the_wildcard)
{
	in_port_t port;
	char text[64];
	int fd;

	parse("0.0.0.0@0");
	fd = listen_udp(&address);
	port = ntohs(((const struct sockaddr_in *)&address.sockaddr)->sin_port);
	snprintf(text, sizeof(text), "127.0.0.1@%u", (unsigned)port);
	parse(text);
	ck_assert_int_eq(listen_probe(&address, SOCK_DGRAM), -1);
	ck_assert_int_eq(errno, EADDRINUSE);
	close(fd);
}
END_TEST

START_TEST(address_of_somebody_else_cannot_be_bound)
{
	parse("192.0.2.1@0");
	ck_assert_int_eq(listen_udp(&address), -1);
	ck_assert_int_eq(errno, EADDRNOTAVAIL);
	ck_assert_int_eq(listen_tcp(&address), -1);
	ck_assert_int_eq(errno, EADDRNOTAVAIL);
}
END_TEST

/* By type and address, in any order; of two alike both are found. */
START_TEST(given_sockets_are_found_by_what_they_are)
{
	struct listen_set set = { .fds = NULL };
	struct listen_address dns, http, other, any;
	int fds[3], twin, first, second;

	parse("127.0.0.1@0");
	dns = http = other = any = address;
	fds[0] = listen_udp(&dns);
	fds[1] = listen_tcp(&http);
	fds[2] = listen_tcp_shared(&other);
	twin = listen_udp(&dns);
	ck_assert_int_eq(listen_set_put(&set, fds[1]), 0);
	ck_assert_int_eq(listen_set_put(&set, twin), 0);
	ck_assert_int_eq(listen_set_put(&set, fds[2]), 0);
	ck_assert_int_eq(listen_set_put(&set, fds[0]), 0);
	first = listen_set_take(&set, SOCK_DGRAM, true, &dns);
	second = listen_set_take(&set, SOCK_DGRAM, true, &dns);
	ck_assert((first == fds[0] && second == twin) || (first == twin && second == fds[0]));
	ck_assert_int_eq(listen_set_take(&set, SOCK_DGRAM, true, &dns), -1);
	/* Any port: streams for DNS are shared, those for HTTP are not. */
	ck_assert_int_eq(listen_set_take(&set, SOCK_STREAM, false, &any), fds[1]);
	ck_assert_str_eq(any.text, http.text);
	ck_assert_uint_eq(listen_set_fini(&set), 1);
	ck_assert_int_eq(fcntl(fds[2], F_GETFD), -1);
	close(fds[0]);
	close(fds[1]);
	close(twin);
}
END_TEST

START_TEST(peer_has_no_port_and_no_mapping)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(5) };
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(5) };
	struct sockaddr other = { .sa_family = AF_UNIX };
	struct address peer;
	char text[46];

	inet_pton(AF_INET, "10.1.2.3", &v4.sin_addr);
	listen_peer((struct sockaddr *)&v4, &peer);
	ck_assert(peer.has_v4 && !peer.has_v6);
	record_address_print(&peer, false, text);
	ck_assert_str_eq(text, "10.1.2.3");
	inet_pton(AF_INET6, "2001:db8::5", &v6.sin6_addr);
	listen_peer((struct sockaddr *)&v6, &peer);
	ck_assert(peer.has_v6 && !peer.has_v4);
	record_address_print(&peer, true, text);
	ck_assert_str_eq(text, "2001:db8::5");
	inet_pton(AF_INET6, "::ffff:10.1.2.3", &v6.sin6_addr);
	listen_peer((struct sockaddr *)&v6, &peer);
	ck_assert(peer.has_v4 && !peer.has_v6);
	record_address_print(&peer, false, text);
	ck_assert_str_eq(text, "10.1.2.3");
	listen_peer(&other, &peer);
	ck_assert(!peer.has_v4 && !peer.has_v6);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("listen");
	TCase *tcase = tcase_create("listen");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, addresses_are_parsed);
	tcase_add_test(tcase, wrong_addresses_have_a_reason);
	tcase_add_test(tcase, brackets_are_named);
	tcase_add_test(tcase, wildcards_are_known);
	tcase_add_test(tcase, wildcard_is_reached_under_a_real_address);
	tcase_add_test(tcase, chosen_port_is_written_back);
	tcase_add_test(tcase, workers_share_an_address);
	tcase_add_test(tcase, http_is_not_shared);
	tcase_add_test(tcase, wildcard_tells_the_destination);
	tcase_add_test(tcase, udp_options);
	tcase_add_test(tcase, probe_of_a_free_address_leaves_it_free);
	tcase_add_test(tcase, probe_sees_shared_sockets);
	tcase_add_test(tcase, probe_sees_the_wildcard);
	tcase_add_test(tcase, address_of_somebody_else_cannot_be_bound);
	tcase_add_test(tcase, given_sockets_are_found_by_what_they_are);
	tcase_add_test(tcase, peer_has_no_port_and_no_mapping);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
