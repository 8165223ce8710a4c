# SPDX-License-Identifier: BSD-2-Clause
"""Writers and readers at once: registrations, heartbeats and deregistrations beside queries over
UDP and TCP, on several workers. For the threads' sake: CI runs this under ThreadSanitizer.

Replies are counted, not decoded; at the end dig looks whether DNS shows what the registry has.
"""

import http.client
import json
import random
import signal
import socket
import struct
import threading

import harness
from harness import expect, expect_equal

SERVICES = 20
WRITERS = 2
READERS = 2
WRITES = 600
QUERIES = 3000
RELOADS = 5
SEED = 11

HEADER = struct.Struct(">6H")
TYPES = (1, 28, 33, 16, 255)


def query(number, name, kind):
    labels = b"".join(bytes([len(l)]) + l.encode() for l in name.split(".")) + b"\0"
    return HEADER.pack(number, 0, 1, 0, 0, 0) + labels + struct.pack(">HH", kind, 1)


def random_name(rng):
    service = f"s{rng.randrange(SERVICES)}"
    shape = rng.choice(["{s}", "_{s}._tcp", "i{i}.{s}", "t{t}.{s}", "_p{t}._tcp.{s}", "x.{s}"])
    return shape.format(s=service, i=rng.randrange(8), t=rng.randrange(3)) + ".service.local"


class Failures:
    """What went wrong in any thread."""

    def __init__(self):
        self.texts = []

    def guard(self, function, *arguments):
        def guarded():
            try:
                function(*arguments)
            except Exception as reason:  # pylint: disable=broad-except
                self.texts.append(f"{function.__name__}: {reason!r}")
        return threading.Thread(target=guarded)


def write(daemon, seed):
    """Changes services of its own, so that it knows what must be there."""
    rng = random.Random(seed)
    connection = http.client.HTTPConnection("127.0.0.1", daemon.http_port, timeout=30)

    def call(path, body):
        connection.request("POST", path, json.dumps(body))
        reply = connection.getresponse()
        reply.read()
        return reply.status

    for _ in range(WRITES):
        service = f"s{rng.randrange(SERVICES // WRITERS) * WRITERS + seed}"
        identity = f"i{rng.randrange(8)}"
        kind = rng.randrange(5)
        if kind == 0:
            status = call("/registry/deregister", {"service": service, "id": identity})
        elif kind == 1:
            status = call("/registry/heartbeat", {
                "service": service, "id": identity,
                "status": rng.choice(["passing", "warning", "critical"])})
        else:
            status = call("/registry/register", [
                {"name": service, "id": f"i{rng.randrange(8)}",
                 "ip": f"10.0.{rng.randrange(250)}.1", "port": 80, "weight": rng.randrange(5),
                 "tags": [f"t{rng.randrange(3)}"], "ports": {f"p{rng.randrange(3)}": 80},
                 "lease": rng.choice([1, 5, 60])} for _ in range(rng.randrange(1, 4))])
        expect(status in (200, 201, 207, 404), f"write: {status}")
    connection.close()


def read_udp(daemon, seed):
    rng = random.Random(seed)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.connect(("127.0.0.1", daemon.dns_port))
        for first in range(0, QUERIES, 10):
            for number in range(first, first + 10):
                client.send(query(number, random_name(rng), rng.choice(TYPES)))
            numbers = {HEADER.unpack(client.recv(65535)[:12])[0] for _ in range(10)}
            expect_equal(numbers, set(range(first, first + 10)), "ids over UDP")


def read_tcp(daemon, seed):
    rng = random.Random(seed)
    with socket.create_connection(("127.0.0.1", daemon.dns_port), timeout=10) as client:
        stream = client.makefile("rb")
        for first in range(0, QUERIES, 50):
            for number in range(first, first + 50):
                message = query(number, random_name(rng), rng.choice(TYPES))
                client.sendall(struct.pack(">H", len(message)) + message)
            for number in range(first, first + 50):
                length = struct.unpack(">H", stream.read(2))[0]
                expect_equal(HEADER.unpack(stream.read(length)[:12])[0], number, "id over TCP")


def reload_and_look(daemon, stop):
    """SIGHUP, and the reads of the HTTP side, meanwhile."""
    for _ in range(RELOADS):
        daemon.send_signal(signal.SIGHUP)
        for path in ("/registry/services", "/metrics", "/registry/services/s1"):
            status, _ = daemon.http("GET", path, timeout_s=30)
            expect(status in (200, 404), f"GET {path}: {status}")
        stop.wait(0.2)


def check_end(daemon):
    """DNS shows what the registry has."""
    status, listing = daemon.http("GET", "/registry/services")
    expect_equal(status, 200, "services")
    daemon.register(name="last", ip="10.9.9.9", port=80)
    expect_equal(daemon.addresses("last.service.local"), ["10.9.9.9"], "after the load")
    for service in listing["services"]:
        for instance in service["instances"]:
            status, _ = daemon.http("POST", "/registry/deregister",
                                    {"service": service["service"], "id": instance["id"]})
            expect(status in (200, 404), f"deregister: {status}")
    for number in range(SERVICES):
        reply = daemon.dig(f"s{number}.service.local", "A")
        expect_equal(reply.status, "NXDOMAIN", f"s{number} after all have left")


def main():
    harness.need("dig")
    daemon = harness.Daemon("--workers", "3")
    failures = Failures()
    stop = threading.Event()
    threads = [failures.guard(write, daemon, seed) for seed in range(WRITERS)]
    threads += [failures.guard(read_udp, daemon, SEED + seed) for seed in range(READERS)]
    threads += [failures.guard(read_tcp, daemon, SEED + seed) for seed in range(READERS)]
    threads.append(failures.guard(reload_and_look, daemon, stop))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect(not failures.texts, "; ".join(failures.texts))
    check_end(daemon)
    daemon.stop()


harness.run(main)
