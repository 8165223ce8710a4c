# SPDX-License-Identifier: BSD-2-Clause
"""Forged questions do not turn the server against others: replies to strangers are rate-limited."""

import select
import socket
import time

import harness
import wire
from harness import expect, expect_equal

PORT = 8600  # nobody else is in this namespace
RATE = 200
FLOOD = 1500
V4, V6 = "192.0.2.53", "2001:db8:1::53"
ADDRESSES = (f"{V4}/32", "192.0.2.1/32", "192.0.2.77/32", "198.51.100.1/32", "10.1.2.3/32",
             f"{V6}/128", "2001:db8:1::1/128", "2001:db8:1::2/128", "2001:db8:2::1/128")


def metric(daemon, name):
    text = daemon.http("GET", "/metrics")[1]
    lines = [line for line in text.splitlines() if line.startswith(name)]
    expect(lines, f"lines of {name}")
    return sum(int(line.rsplit(" ", 1)[1]) for line in lines)


def queries(daemon):
    return metric(daemon, 'rosterd_dns_queries_total{protocol="udp",')


class Flood:
    """What became of many questions from one address: counts of whole replies and of cut ones."""

    def __init__(self, daemon, source, server, options=b"", kind=wire.A):
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        self.whole = self.cut = self.longest_cut = 0
        self.kind, self.has_edns = kind, bool(options)
        message = wire.query(7, "web.service.local", kind)
        if options:
            message = wire.HEADER.pack(7, wire.RD, 1, 0, 0, 1) + message[12:] + wire.opt(
                options=options)
        before, start = queries(daemon), time.monotonic()
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            sock.bind((source, 0))
            sock.connect((server, PORT))
            for sent in range(1, FLOOD + 1):
                if sent == FLOOD - 50:
                    self.emptied = time.monotonic()  # the bucket: the rest finds nothing in it
                sock.send(message)
                if sent % 50 == 0:  # no more at once than a socket's buffer holds
                    harness.wait_for(lambda n=before + sent: queries(daemon) >= n, 10,
                                     f"{sent} questions of {source} read", every_s=0.001)
            self.seconds = time.monotonic() - start
            while select.select([sock], [], [], 0)[0]:
                self.count(sock.recv(65535), len(message))

    def count(self, reply, question_len):
        if reply[2] & (wire.TC >> 8):
            self.cut += 1
            # To whom speaks EDNS each reply does (RFC 6891 7), or it is taken for an old server.
            tail = wire.opt() if self.has_edns else b""
            expect_equal(reply[6:12], bytes(5) + bytes([self.has_edns]), "records in a cut reply")
            expect(reply.endswith(wire.question("web.service.local", self.kind) + tail),
                   "a cut reply is the question, and an OPT record where it had one")
            expect(len(reply) <= question_len, "a cut reply is no longer than its question")
        else:
            self.whole += 1

        self.end = time.monotonic()

    def most(self, cost=1):
        """What a full bucket and the time that has passed allow."""
        return RATE * (1 + self.seconds) / cost + 1

    def most_behind(self, before):
        """What has come into the bucket since another flood had emptied it."""
        return RATE * min(1 + self.seconds, self.end - before.emptied) + 1


def check_strangers(daemon):
    for source, server in (("2001:db8:1::1", V6), ("192.0.2.1", V4)):
        flood = Flood(daemon, source, server)
        expect(RATE <= flood.whole <= flood.most(), f"{flood.whole} whole replies to {source}")
        limited = FLOOD - flood.whole
        expect(abs(flood.cut - limited / 2) <= 1, f"{flood.cut} cut of {limited} limited ones")
    # Another address of the same network shares its bucket, another network does not.
    neighbour = Flood(daemon, "192.0.2.77", V4)
    expect(neighbour.whole <= neighbour.most_behind(flood),
           f"{neighbour.whole} whole replies to a neighbour")
    flood = Flood(daemon, "198.51.100.1", V4)
    expect(flood.whole >= RATE, f"{flood.whole} whole replies to another network")
    expect(metric(daemon, 'rosterd_dns_dropped_total{reason="rate-limit"}') > 0, "counted drops")
    expect(metric(daemon, "rosterd_dns_rate_slipped_total") > 0, "counted slips")


def check_amplification(daemon):
    """A long answer costs as many replies as it is times five its question."""
    for i in range(20):
        daemon.register(name="web", ip=f"10.0.1.{i + 1}", port=80)
    before = metric(daemon, "rosterd_dns_amplified_total")
    flood = Flood(daemon, "2001:db8:2::1", V6, options=wire.option(3), kind=wire.SRV)
    expect(0 < flood.whole <= flood.most(cost=2), f"{flood.whole} whole long replies")
    expect(metric(daemon, "rosterd_dns_amplified_total") - before == FLOOD, "each one counted")


def check_exempt(daemon):
    for source, server in (("127.0.0.1", "127.0.0.1"), ("10.1.2.3", V4)):
        flood = Flood(daemon, source, server)
        expect_equal((flood.whole, flood.cut), (FLOOD, 0), f"replies to {source}")


def check_cookie(daemon):
    """Who has proved that its address is its own gets all it asks for."""
    client = b"\x01\x02\x03\x04\x05\x06\x07\x08"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.bind(("198.51.100.1", 0))
        sock.connect((V4, PORT))
        query = wire.query(9, "id.server", wire.SOA)
        query = wire.HEADER.pack(9, 0, 1, 0, 0, 1) + query[12:] + wire.opt(
            options=wire.option(10, client))
        reply = b""
        for _ in range(50):  # the bucket is as good as empty
            sock.send(query)
            try:
                reply = sock.recv(65535)
            except TimeoutError:
                continue
            if client in reply:
                break
    at = reply.find(client)
    expect(at >= 0, "a cookie in the reply")
    flood = Flood(daemon, "198.51.100.1", V4, options=wire.option(10, reply[at:at + 24]))
    expect_equal((flood.whole, flood.cut), (FLOOD, 0), "replies to who has a cookie")


def check_tcp():
    reply = harness.dig(PORT, "+tcp", "-b", "192.0.2.1", "web.service.local", "A", server=V4)
    expect(len(reply.answer) > 0, "an answer over TCP")


def tcp_client(source):
    """A connection that has had an answer."""
    sock = socket.create_connection((V6, PORT), timeout=10, source_address=(source, 0))
    sock.sendall(wire.frame(wire.query(7, "web.service.local")))
    expect(sock.recv(65535), f"an answer over TCP to {source}")
    return sock


def check_tcp_share(daemon):
    """All addresses of an IPv6 /64 have one share: the one that is idle for longest goes."""
    limit = 'rosterd_limit_hit_total{limit="tcp-per-client"}'
    held = [tcp_client(f"2001:db8:1::{i % 2 + 1}") for i in range(128)]
    other = tcp_client("2001:db8:2::1")
    expect_equal(metric(daemon, limit), 0, "within the limit")
    held.append(tcp_client("2001:db8:1::2"))
    expect_equal(metric(daemon, limit), 1, "one too many")
    expect_equal(held[0].recv(1), b"", "the oldest of the network")
    for sock in (*held, other):
        sock.close()


def main():
    harness.enter_namespace(ADDRESSES)
    daemon = harness.Daemon("--dns", f"{V4}@{PORT}", "--dns", f"{V6}@{PORT}", "--workers", "1",
                            dns_port=PORT)
    daemon.register(name="web", ip="10.0.1.1", port=80)
    check_strangers(daemon)
    check_tcp()
    check_tcp_share(daemon)
    check_cookie(daemon)
    check_exempt(daemon)
    check_amplification(daemon)
    daemon.stop()


harness.run(main)
