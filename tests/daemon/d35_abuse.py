# SPDX-License-Identifier: BSD-2-Clause
"""Abuse of every door: who trickles, who does not read, who floods, who sends rubbish. All the
while each good question is answered, and memory stays within what the limits say."""

import json
import random
import resource
import select
import socket
import struct

import harness
import wire
from harness import expect, expect_equal

NAME, BIG = "payment.service.local", "big.service.local"
SEED = 20240229
OFFERED = 10000    # TCP connections
DEAF = 1000        # of clients that ask and never read
PER_CLIENT = 100   # of them, less than the limit
HTTP_PLACES = 512  # limits.h: HTTP_CONNECTIONS
HTTP_S = 10        # limits.h: HTTP_REQUEST_MS
SLACK_S = 15       # of a machine that has other things to do
MIB = 1 << 20
DEAF_OCTETS = 320 << 10  # limits.h: TCP_CONNECTIONS, of one that reads nothing
WAITING = 64 * MIB       # limits.h: HTTP_WAITING
SEGMENT = 1220     # octets, as of a network: loopback's lets the kernel buffer 50 times as much
HOST = b"Host: localhost\r\n"
READERS = 200      # of long replies, which they do not read
RUBBISH = 20000    # UDP messages
BURST = 40         # of them, and a good query: less than a socket's buffer


def resident(daemon):
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("VmRSS:"))
    return int(line.split()[1]) << 10


def is_sanitized():
    """Then memory that is free is kept, and each octet takes more than one."""
    with open(harness.ROSTERD, "rb") as file:
        octets = file.read()
    return b"__asan_init" in octets or b"__tsan_init" in octets


class Memory:
    """Looks at it from time to time; what it may grow by is said at the end."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.before = self.most = resident(daemon)

    def look(self):
        self.most = max(self.most, resident(self.daemon))

    def check(self, growth, about):
        self.look()
        grown = self.most - self.before
        print(f"{about}: {self.before / MIB:.0f} MiB, at most {grown / MIB:.1f} MiB more")
        expect(is_sanitized() or grown <= growth, f"{about}: {grown} octets more")


class Good:
    """Clients with good questions, each of which must be answered."""

    def __init__(self, daemon):
        self.port = daemon.dns_port
        self.udp = wire.udp_client(self.port)
        self.number = 0

    def ask(self):
        self.number = (self.number + 1) % 65536
        reply = wire.ask_udp(self.udp, wire.query(self.number, NAME))
        expect_equal((reply.id, len(reply.answer)), (self.number, 1), "a good query over UDP")

    def ask_tcp(self):
        """As a new client."""
        with wire.tcp_client(self.port, "127.0.9.9") as client:
            reply = wire.ask_tcp(client, wire.query(7, NAME))
        expect_equal((reply.id, len(reply.answer)), (7, 1), "a good query of a new TCP client")


def offer(port, source):
    """A connection that the kernel makes when it can."""
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
    sock.bind((source, 0))
    sock.connect_ex(("127.0.0.1", port))
    return sock


def connect_small(port, source="127.0.0.1"):
    """A connection of a client that has hardly room for what it does not read."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
    sock.bind((source, 0))
    sock.settimeout(10)
    sock.connect(("127.0.0.1", port))
    return sock


def close(socks):
    """By a reset, so that nothing is left behind."""
    for sock in socks:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()


class Trickle:
    """Connections that send octet by octet, none of them ever the last."""

    def __init__(self, octets, socks):
        self.octets = octets
        self.rest = iter(octets)
        self.left = socks

    def is_over(self):
        """Sends one more on each; whether the server has closed them all."""
        octet = bytes([next(self.rest, self.octets[-1])])
        for sock in list(self.left):
            try:
                sock.send(octet)
                is_closed = not sock.recv(65536)
            except BlockingIOError:
                continue
            except OSError:
                is_closed = True
            if is_closed:
                self.left.remove(sock)
                sock.close()
        return not self.left


# ---- DNS over TCP ----


def check_flood(daemon, good):
    """10,000 connections are offered beside 1,000 whose replies nobody reads."""
    memory = Memory(daemon)
    frames = wire.frame(wire.query(1, BIG, wire.SRV)) * 60
    deaf = []
    for number in range(DEAF):
        deaf.append(connect_small(daemon.dns_port, f"127.0.1.{1 + number // PER_CLIENT}"))
        deaf[-1].send(frames)
        if number % 50 == 0:
            good.ask()
    good.ask_tcp()
    memory.look()
    offered = []
    for number in range(OFFERED):
        offered.append(offer(daemon.dns_port, f"127.0.{2 + number // 10000}."
                                              f"{1 + number // PER_CLIENT % 250}"))
        if number % 50 == 0:
            good.ask()
        if number % 500 == 0:
            good.ask_tcp()
    memory.look()
    close(offered)
    close(deaf)
    good.ask_tcp()
    memory.check(1024 * DEAF_OCTETS + 16 * MIB, "the flood")


def check_trickle(daemon, good):
    """Queries and requests that come octet by octet and never whole: each ends in time, whatever
    comes; HTTP has no place left, and DNS does not notice."""
    memory = Memory(daemon)
    query = wire.frame(wire.query(1, NAME))[:-1]
    head = b"POST /registry/register HTTP/1.1\r\n" + HOST + b"X: " + b"y" * 300
    slow = (Trickle(query, [offer(daemon.dns_port, f"127.0.3.{1 + number // PER_CLIENT}")
                            for number in range(800)]),
            Trickle(head, [offer(daemon.http_port, "127.0.0.1") for _ in range(HTTP_PLACES)]))

    def are_over():
        good.ask()
        good.ask_tcp()
        return all([trickle.is_over() for trickle in slow])

    harness.wait_for(are_over, HTTP_S + SLACK_S, "all that trickle have ended", every_s=0.1)
    memory.check(24 * MIB, "who trickles")
    wait_http(daemon)


# ---- UDP ----


def rubbish(source):
    """A message that no client sends: random, cut, changed, or made to cost much."""
    good = wire.query(source.randrange(65536), NAME, edns=1232)
    kind = source.randrange(6)
    if kind == 0:
        return source.randbytes(source.randrange(1, 600))
    if kind == 1:
        return good[:source.randrange(len(good))]
    if kind == 2:
        octets = bytearray(good)
        for _ in range(source.randrange(1, 5)):
            octets[source.randrange(2, len(octets))] = source.randrange(256)
        return bytes(octets)
    if kind == 3:  # pointers, and many labels
        name = b"\1a" * source.randrange(1, 140) + b"\xc0\x0c"
        return wire.HEADER.pack(1, 0, 1, 0, 0, 0) + name + struct.pack(">HH", 1, 1)
    if kind == 4:  # counts that are not so
        return wire.HEADER.pack(2, 0, *(source.randrange(65536) for _ in range(4))) + good[12:]
    options = wire.option(source.randrange(65536)) * source.randrange(300)
    return wire.HEADER.pack(3, 0, 1, 0, 0, 1) + wire.question(NAME) + wire.opt(options=options)


def check_rubbish(daemon, good):
    memory = Memory(daemon)
    source = random.Random(SEED)
    messages = [rubbish(source) for _ in range(RUBBISH // 10)]
    with wire.udp_client(daemon.dns_port) as client:
        for number in range(RUBBISH):
            client.send(messages[number % len(messages)])
            if number % BURST == BURST - 1:
                good.ask()
    memory.check(8 * MIB, "rubbish")


# ---- HTTP ----


def check_slow_read(daemon, good):
    """Long replies that nobody takes: from a number on they are refused instead."""
    body = [{"name": "many", "ip": f"10.2.0.{n // 250}", "port": n, "description": "x" * 200}
            for n in range(250, 1250)]
    expect_equal(daemon.http("POST", "/registry/register", body)[0], 201, "register")
    memory = Memory(daemon)
    socks = []
    for _ in range(READERS):
        sock = connect_small(daemon.http_port)
        sock.sendall(b"GET /registry/services HTTP/1.1\r\n" + HOST + b"\r\n")
        socks.append(sock)
    for sock in socks:
        select.select([sock], [], [], 10)
        good.ask()
        memory.look()
    refused = sum(sock.recv(64).startswith(b"HTTP/1.1 503 ") for sock in socks)
    expect(0 < refused < READERS, f"{refused} are refused")
    close(socks)
    wait_http(daemon)
    memory.check(WAITING + 32 * MIB, "slow readers")


def check_bombs(daemon, good):
    """Bodies that want to take more than they are."""
    register = {"name": "bomb", "ip": "10.0.0.9", "port": 1}
    heartbeats = json.dumps([{"service": "payment"}] * 10001)
    bombs = (
        ("[" * (MIB - 2), 400),
        ('{"a":' * 200000, 413),
        ("[" + "[]," * 300000 + "[]]", 413),
        ("[" + ",".join('{"name":{"name":{}}}' for _ in range(1000)) + "]", 400),
        ('{"name":"bomb","port":1e999999}', 400),
        ('{"name":"bomb","port":' + "9" * 60000 + "}", 400),
        ('{"name":"' + "\\u0041" * 10000 + '"}', 400),
        ("{" + ",".join(f'"k{i}":0' for i in range(6000)) + "}", 400),
        ("{" + ",".join('"k":0' for i in range(6000)) + "}", 400),
        (json.dumps({**register, "meta": {str(i): "" for i in range(5000)}}), 400),
        (json.dumps({**register, "tags": ["t"] * 10000}), 400),
        (heartbeats, 413),
        (b'{"name":"\xff\xfe"}', 400),
    )
    memory = Memory(daemon)
    turns = 2 if is_sanitized() else 8
    for turn in range(turns):
        for body, status in bombs:
            about = f"{body[:20]}, {len(body)} octets"
            found = [daemon.http("POST", path, body)[0]
                     for path in ("/registry/register", "/registry/heartbeat")]
            expect(status in found, f"{about}: {found}")
            expect(all(400 <= each < 500 for each in found), f"{about}: {found}")
            good.ask()
            memory.look()
        if turn == turns // 2 - 1:
            memory.check(96 * MIB, "JSON bombs")
            memory.before = memory.most
    memory.check(16 * MIB, "the same again")
    expect_equal(daemon.http("GET", "/registry/services/bomb")[0], 404, "no bomb is registered")


def check_headers(daemon, good):
    """Heads without an end, of few lines or of many, and who goes on when he is refused."""
    memory = Memory(daemon)
    for line in (b"A: " + b"b" * 60 + b"\r\n", b"A:\r\n", b"x", b"Host: a\r\n", b"\r\n"):
        for _ in range(5):
            sock = connect_small(daemon.http_port)
            sock.setblocking(False)
            flood = b"" if line == b"\r\n" else b"GET /health/live HTTP/1.1\r\n"
            flood += line * (MIB // len(line))
            sent = 0
            while sent < len(flood) and select.select([], [sock], [], 0.05)[1]:
                try:
                    sent += sock.send(flood[sent:sent + 65536])
                except OSError:
                    break
            good.ask()
            memory.look()
            close([sock])
    wait_http(daemon)
    memory.check(8 * MIB, "header floods")


def check_churn(daemon, good):
    """Connections that come and go, over HTTP and DNS."""
    memory = Memory(daemon)
    for port, count in ((daemon.http_port, 2000), (daemon.dns_port, 2000)):
        for number in range(count):
            sock = offer(port, f"127.0.4.{1 + number % 200}")
            if number % 3 == 0:
                select.select([], [sock], [], 10)
                sock.send(b"\0\1")
            close([sock])
            if number % 50 == 0:
                good.ask()
    good.ask_tcp()
    wait_http(daemon)
    memory.check(8 * MIB, "connections that come and go")


def wait_http(daemon):
    def is_up():
        try:
            return daemon.http("GET", "/health/live")[0] == 200
        except OSError:
            return False

    harness.wait_for(is_up, HTTP_S + SLACK_S, "HTTP is back")


def allow_descriptors():
    need = OFFERED + DEAF + 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < need:
        raise harness.Skip(f"needs {need} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, need), hard))


def main():
    allow_descriptors()
    daemon = harness.Daemon("--workers", "1")
    daemon.register(name="payment", ip="10.0.0.1", port=80)
    body = [{"name": "big", "ip": f"10.1.0.{number}", "port": 80} for number in range(200)]
    expect_equal(daemon.http("POST", "/registry/register", body)[0], 201, "register")
    good = Good(daemon)
    check_bombs(daemon, good)
    check_headers(daemon, good)
    check_churn(daemon, good)
    check_rubbish(daemon, good)
    check_slow_read(daemon, good)
    check_trickle(daemon, good)
    check_flood(daemon, good)
    daemon.stop()


harness.run(main)
