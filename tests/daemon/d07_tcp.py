# SPDX-License-Identifier: BSD-2-Clause
"""DNS over TCP (RFC 7766): octets as they come, many queries at once, clients that misbehave.

Frames are built and counted here by hand, by id and length alone; what is in a reply is dig's
business (d01, d10).
"""

import select
import socket
import struct
import time

import harness
from harness import expect, expect_equal

PIPELINED = 200
HEADER = struct.Struct(">6H")
RD, QR, RCODE = 0x0100, 0x8000, 0x000f


def query(number, name="payment.service.local", kind=1):
    labels = b"".join(bytes([len(l)]) + l.encode() for l in name.split(".")) + b"\0"
    message = HEADER.pack(number, RD, 1, 0, 0, 0) + labels + struct.pack(">HH", kind, 1)
    return struct.pack(">H", len(message)) + message


def connect(daemon):
    client = socket.create_connection(("127.0.0.1", daemon.dns_port), timeout=10)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def receive(client, count):
    """`count` octets, or fewer where the connection ends."""
    octets = b""
    while len(octets) < count:
        more = client.recv(count - len(octets))
        if not more:
            break
        octets += more
    return octets


def receive_reply(client):
    """The id of one whole reply without an error."""
    prefix = receive(client, 2)
    expect_equal(len(prefix), 2, "octets of a length")
    length = struct.unpack(">H", prefix)[0]
    message = receive(client, length)
    expect_equal(len(message), length, "octets of a reply")
    number, flags, questions, answers, _, _ = HEADER.unpack(message[:12])
    expect(flags & QR and flags & RCODE == 0, f"flags {flags:#x}")
    expect(questions == 1 and answers > 0, f"{questions} questions, {answers} answers")
    return number


def expect_end(client, about):
    """The server closes and says nothing more."""
    try:
        expect_equal(client.recv(1), b"", about)
    except ConnectionResetError:
        pass


def check_pipelining(daemon):
    with connect(daemon) as client:
        client.sendall(b"".join(query(n) for n in range(PIPELINED)))
        numbers = [receive_reply(client) for _ in range(PIPELINED)]
        expect_equal(sorted(numbers), list(range(PIPELINED)), "ids of the replies")


def check_octets(daemon):
    """Byte by byte; then a cut in the middle of the next query."""
    with connect(daemon) as client:
        frame = query(7)
        for octet in frame:
            client.sendall(bytes([octet]))
        expect_equal(receive_reply(client), 7, "id, byte by byte")
        client.sendall(frame + query(8)[:1])
        expect_equal(receive_reply(client), 7, "id of the whole one")
        client.sendall(query(8)[1:] + query(9)[:20])
        expect_equal(receive_reply(client), 8, "id of the cut one")
        client.sendall(query(9)[20:])
        expect_equal(receive_reply(client), 9, "id of the last one")


def check_zero_length(daemon):
    with connect(daemon) as client:
        client.sendall(query(1) + b"\0\0" + query(2))
        expect_equal(receive_reply(client), 1, "id before the zero length")
        expect_end(client, "after a zero length")


def check_half_close(daemon):
    with connect(daemon) as client:
        client.sendall(b"".join(query(n) for n in range(50)))
        client.shutdown(socket.SHUT_WR)
        numbers = [receive_reply(client) for _ in range(50)]
        expect_equal(sorted(numbers), list(range(50)), "ids after a half-close")
        expect_end(client, "after the last reply")


def check_garbage(daemon):
    """What is no query is not answered or gets an error; the next good one is."""
    with connect(daemon) as client:
        reply = query(3)[:4] + b"\x80" + query(3)[5:]  # QR is set
        client.sendall(struct.pack(">H", 5) + b"12345" + reply + query(4))
        expect_equal(receive_reply(client), 4, "id after garbage")


def check_deaf_client(daemon):
    """It never reads: the server takes no more from it than it can hold, and serves the others."""
    with connect(daemon) as deaf:
        deaf.setblocking(False)
        frame = b"".join(query(n, "big.service.local") for n in range(100))
        sent = 0
        quiet_since = time.monotonic()
        while sent < 64 << 20 and time.monotonic() < quiet_since + 0.5:
            _, writable, _ = select.select([], [deaf], [], 0.5)
            if not writable:
                break
            try:
                sent += deaf.send(frame)
                quiet_since = time.monotonic()
            except BlockingIOError:
                continue
        expect(sent < 64 << 20, f"the server took {sent >> 20} MiB of queries without an end")
        check_pipelining(daemon)
        expect_equal(daemon.addresses("payment.service.local"), ["10.0.0.1"], "UDP beside it")


def check_many(daemon):
    """Idle connections beside a busy one."""
    clients = [connect(daemon) for _ in range(100)]
    check_pipelining(daemon)
    for client in clients:
        client.sendall(query(5))
    for client in clients:
        expect_equal(receive_reply(client), 5, "id on an idle connection")
        client.close()


def main():
    harness.need("dig")
    daemon = harness.Daemon("--workers", "2")
    daemon.register(name="payment", ip="10.0.0.1", port=80)
    for number in range(200):
        daemon.register(name="big", ip=f"10.1.0.{number + 1}", port=80)
    check_pipelining(daemon)
    check_octets(daemon)
    check_zero_length(daemon)
    check_half_close(daemon)
    check_garbage(daemon)
    check_many(daemon)
    check_deaf_client(daemon)
    reply = daemon.dig("big.service.local", "A", "+noedns", "+ignore")
    expect("tc" in reply.flags, "no TC on what is too large")
    expect_equal(len(daemon.dig("big.service.local", "A", "+tcp").answer), 200, "A over TCP")
    expect_equal(len(daemon.dig("big.service.local", "A", "+noedns").answer), 200, "A after TC")
    daemon.stop()


harness.run(main)
