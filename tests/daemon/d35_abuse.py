# SPDX-License-Identifier: BSD-2-Clause
"""Abuse of every door: who trickles, who does not read, who floods, who sends rubbish. All the
while each good question is answered, and memory stays within what the limits say."""

import json
import os
import random
import resource
import select
import socket
import struct
import sys
import threading

import harness
import wire
from harness import expect, expect_equal

NAME, BIG = "payment.service.local", "big.service.local"
SEED = 20240229
OFFERED = 10000    # TCP connections
DEAF = 1000        # of clients that ask and never read
PER_CLIENT = 100   # of them, less than the limit
HTTP_PLACES = 512  # limits.h: HTTP_CONNECTIONS
HTTP_S, IDLE_S = 10, 10  # limits.h: HTTP_REQUEST_MS, TCP_IDLE_MS
SLACK_S = 15       # of a machine that has other things to do
MIB = 1 << 20
DEAF_OCTETS = 320 << 10  # limits.h: TCP_CONNECTIONS, of one that reads nothing
SEGMENT = 1220     # octets, as of a network: loopback's lets the kernel buffer 50 times as much
HOST = b"Host: localhost\r\n"
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


def close(socks):
    """By a reset, so that nothing is left behind."""
    for sock in socks:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()


def until_ended(socks, limit_s, about, each=None):
    """Waits until the server has closed every connection; `each` is called with those open."""
    left = set(socks)

    def is_over():
        for sock in list(left):
            try:
                if not sock.recv(65536):
                    left.discard(sock)
            except BlockingIOError:
                pass
            except OSError:
                left.discard(sock)
        if each:
            each(left)
        return not left

    harness.wait_for(is_over, limit_s, f"{about}: all {len(socks)} ended", every_s=0.1)


# ---- DNS over TCP ----


def be_deaf(port, source):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
    sock.bind((source, 0))
    sock.settimeout(10)
    sock.connect(("127.0.0.1", port))
    sock.setblocking(False)
    return sock


def check_flood(daemon, good):
    """10,000 connections are offered beside 1,000 whose replies nobody reads."""
    memory = Memory(daemon)
    frames = wire.frame(wire.query(1, BIG, wire.SRV)) * 60
    deaf = []
    for number in range(DEAF):
        deaf.append(be_deaf(daemon.dns_port, f"127.0.1.{1 + number // PER_CLIENT}"))
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
    """Queries that come octet by octet and never whole: idle, whatever comes."""
    message = wire.frame(wire.query(1, NAME))[:-1]
    socks = [offer(daemon.dns_port, f"127.0.3.{1 + number // PER_CLIENT}") for number in range(800)]
    sent = [0]

    def trickle(left):
        for sock in left:
            try:
                sock.send(message[sent[0]:sent[0] + 1])
            except OSError:
                pass
        sent[0] = min(sent[0] + 1, len(message) - 1)
        good.ask()
        good.ask_tcp()

    until_ended(socks, IDLE_S + SLACK_S, "trickling queries", trickle)
    close(socks)


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


def connect_http(daemon):
    return socket.create_connection(("127.0.0.1", daemon.http_port), timeout=10)


def check_hanging(daemon, good):
    """Requests that come octet by octet, on every place there is: each ends in time, and DNS does
    not notice."""
    memory = Memory(daemon)
    head = b"POST /registry/register HTTP/1.1\r\n" + HOST + b"X: " + b"y" * 200
    socks = [offer(daemon.http_port, "127.0.0.1") for _ in range(HTTP_PLACES)]
    sent = [0]

    def trickle(left):
        for sock in left:
            try:
                sock.send(head[sent[0]:sent[0] + 1])
            except OSError:
                pass
        sent[0] += 1
        good.ask()
        good.ask_tcp()

    until_ended(socks, HTTP_S + SLACK_S, "trickling requests", trickle)
    close(socks)
    memory.check(24 * MIB, "trickling requests")
    expect_equal(daemon.http("GET", "/health/live")[0], 200, "HTTP afterwards")


def check_slow_read(daemon, good):
    """Long replies that nobody takes, on every place."""
    memory = Memory(daemon)
    socks = []
    for _ in range(HTTP_PLACES):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
        sock.settimeout(10)
        sock.connect(("127.0.0.1", daemon.http_port))
        sock.sendall(b"GET /registry/services HTTP/1.1\r\n" + HOST + b"\r\n")
        socks.append(sock)
    for sock in socks:
        select.select([sock], [], [], 10)
        good.ask()
        memory.look()
    close(socks)
    harness.wait_for(lambda: is_up(daemon), 10, "HTTP is back")
    memory.check(64 * MIB, "slow readers")


def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    daemon = harness.Daemon("--workers", "1")
    if hard != resource.RLIM_INFINITY and hard < OFFERED + DEAF + 200:
        raise harness.Skip("needs more descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (OFFERED + DEAF + 200, hard))
    daemon.register(name="payment", ip="10.0.0.1", port=80)
    body = [{"name": "big", "ip": f"10.1.0.{number}", "port": 80} for number in range(200)]
    expect_equal(daemon.http("POST", "/registry/register", body)[0], 201, "register")
    good = Good(daemon)
    import time
    for f in sys.argv[1:] or ("flood", "trickle", "rubbish", "hanging", "slow_read"):
        t = time.monotonic()
        globals()["check_" + f](daemon, good)
        print(f, time.monotonic() - t)
    daemon.stop()


def is_up(daemon):
    try:
        return daemon.http("GET", "/health/live")[0] == 200
    except OSError:
        return False


harness.run(main)
