# SPDX-License-Identifier: BSD-2-Clause
"""TCP when there is too much of it: whoever is idle for longest goes first, and nobody stops
another (RFC 7766 6.2, RFC 9210 4.2)."""

import itertools
import random
import resource
import select
import socket
import struct
import time

import harness
import wire
from harness import expect, expect_equal

PER_CLIENT = 128  # limits.h: TCP_PER_CLIENT
PLACES = 1024     # limits.h: TCP_CONNECTIONS, a worker
CLIENTS = 20      # who take all places, each less than its own share
SEED = 20240229
QUERIES = 1000
WINDOW = 50       # queries sent before their replies are read
KEEPALIVE = 11    # RFC 7828
SLOW_S = 1.5      # the shortest idle limit is 2 s
NAME = "payment.service.local"


class TooSlow(Exception):
    pass


def expect_served(client, number, about):
    reply = wire.ask_tcp(client, wire.query(number, NAME))
    expect_equal((reply.id, reply.rcode, len(reply.answer)), (number, wire.NOERROR, 1), about)


def expect_closed(client, about):
    """What was on its way may come; then it is over."""
    try:
        while client.recv(1 << 20):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        raise harness.Failure(f"{about}: still open") from None


def limit_hits(daemon, limit):
    text = daemon.http("GET", "/metrics")[1]
    line = f'rosterd_limit_hit_total{{limit="{limit}"}} '
    return int(text.split(line)[1].split()[0])


def idle_limit_s(client):
    """What the server says of it, by edns-tcp-keepalive."""
    message = wire.HEADER.pack(1, 0, 1, 0, 0, 1) + wire.question(NAME)
    message += wire.opt(options=wire.option(KEEPALIVE))
    code, length, value = struct.unpack(">3H", wire.ask_tcp(client, message).edns()[0].rdata)
    expect_equal((code, length), (KEEPALIVE, 2), "the keepalive option")
    return value / 10


def check_pieces(daemon):
    """Two connections in turns, cut anywhere: within lengths, headers, names, and over several."""
    source = random.Random(SEED)
    frames = [wire.frame(wire.query(number, NAME, edns=1232 if number % 3 else None))
              for number in range(QUERIES)]
    stream = b"".join(frames)
    ends = list(itertools.accumulate(map(len, frames)))
    clients = [wire.tcp_client(daemon.dns_port) for _ in range(2)]
    sent, whole, read = [0, 0], [0, 0], [0, 0]
    while min(read) < QUERIES:
        turn = source.randrange(2)
        client = clients[turn]
        piece = stream[sent[turn]:sent[turn] + source.choice((1, 1, 2, 3, 11, 50, 400))]
        client.sendall(piece)
        sent[turn] += len(piece)
        while whole[turn] < QUERIES and ends[whole[turn]] <= sent[turn]:
            whole[turn] += 1
        if whole[turn] - read[turn] < WINDOW and sent[turn] < len(stream):
            continue
        while read[turn] < whole[turn]:
            reply = wire.Message(wire.receive_frame(client))
            expect_equal((reply.id, len(reply.answer)), (read[turn], 1),
                         f"in order, seed {SEED}")
            read[turn] += 1
    for client in clients:
        client.close()


def check_per_client(daemon):
    """A client that opens more than its share pays with its own connections."""
    before = limit_hits(daemon, "tcp-per-client")
    other = wire.tcp_client(daemon.dns_port, "127.0.0.2")
    expect_served(other, 1, "another client before")
    clients = []
    for number in range(PER_CLIENT):
        clients.append(wire.tcp_client(daemon.dns_port))
        expect_served(clients[-1], number, f"connection {number}")
    expect_equal(limit_hits(daemon, "tcp-per-client"), before,
                 "limits hit by as many as are allowed")
    expect_served(clients[0], 2, "the first, again")
    clients[1].sendall(wire.frame(wire.query(3, NAME))[:-1])  # unfinished is idle
    newest = []
    for number in (1, 2, 3):
        newest.append(wire.tcp_client(daemon.dns_port))
        expect_served(newest[-1], number, f"{number} more than allowed")
        expect_closed(clients[number], f"idle for longest, {number}")
    expect_equal(limit_hits(daemon, "tcp-per-client"), before + 3, "limits hit")
    for client in [clients[0], *clients[4:], *newest, other]:
        expect_served(client, 4, "who is left")
    for client in [*clients, *newest, other]:
        client.close()


def be_deaf(daemon):
    """A client that asks much and reads nothing, until the server takes no more from it."""
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", daemon.dns_port))
    deaf.setblocking(False)
    frames = wire.frame(wire.query(1, "big.service.local", wire.SRV)) * 20
    for _ in range(10000):
        if not select.select([], [deaf], [], 0.1)[1]:
            return deaf
        try:
            deaf.send(frames)
        except BlockingIOError:
            pass
    raise harness.Failure("the server takes queries without an end")


def check_deaf(daemon):
    """It stops nobody, holds its place as an idle one, and is the first to lose it."""
    deaf = [be_deaf(daemon) for _ in range(3)]
    others = []
    for number in range(PER_CLIENT - len(deaf)):
        others.append(wire.tcp_client(daemon.dns_port))
        expect_served(others[-1], number, "beside the deaf")
    with wire.udp_client(daemon.dns_port) as client:
        expect_equal(len(wire.ask_udp(client, wire.query(1, NAME)).answer), 1, "UDP beside them")
    for client in deaf:
        others.append(wire.tcp_client(daemon.dns_port))
        expect_served(others[-1], 7, "in the place of a deaf one")
        client.setblocking(True)
        client.settimeout(10)
        expect_closed(client, "a deaf one")
    for client in others:
        expect_served(client, 8, "who reads")
        client.close()


def check_all_places(daemon):
    """Every place is taken by clients within their shares: the limit for idle ones gets shorter,
    and at the end the one idle for longest goes, whosever it is."""
    before = limit_hits(daemon, "tcp-connections")
    start = time.monotonic()
    clients = []

    def take(end, idle_s):
        while len(clients) < end:
            source = f"127.0.1.{1 + len(clients) % CLIENTS}"
            clients.append(wire.tcp_client(daemon.dns_port, source))
        expect_served(clients[-1], 3, "the newest, so all before it are accepted")
        if idle_s:
            expect_equal(idle_limit_s(clients[0]), idle_s, f"idle limit with {end} places taken")
        if time.monotonic() > start + SLOW_S:
            raise TooSlow

    try:
        take(1, 10)
        take(PLACES * 5 // 8, 5)
        take(PLACES * 7 // 8, 2)
        take(PLACES, None)
        clients.append(wire.tcp_client(daemon.dns_port, "127.0.2.1"))
        expect_served(clients[-1], 1, "the newcomer")
        expect_closed(clients[1], "idle for longest of all")
        expect_equal(limit_hits(daemon, "tcp-connections"), before + 1, "limits hit")
        expect_served(clients[-2], 2, "the newest before")
    except TooSlow:
        print("too slow to know who is idle for longest")
    for client in clients:
        client.close()
    with wire.tcp_client(daemon.dns_port) as client:
        harness.wait_for(lambda: idle_limit_s(client) == 10, 10, "places come free again")


def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = hard == resource.RLIM_INFINITY or hard >= PLACES + 200
    if enough and soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, PLACES + 200), hard))
    daemon = harness.Daemon("--workers", "1")
    daemon.register(name="payment", ip="10.0.0.1", port=80)
    body = [{"name": "big", "ip": f"10.1.0.{number}", "port": 80} for number in range(200)]
    expect_equal(daemon.http("POST", "/registry/register", body)[0], 201, "register")
    check_pieces(daemon)
    check_per_client(daemon)
    check_deaf(daemon)
    if enough:
        check_all_places(daemon)
    daemon.stop()


harness.run(main)
