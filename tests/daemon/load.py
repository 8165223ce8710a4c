# SPDX-License-Identifier: BSD-2-Clause
"""A load of queries and of writes beside a fault, whose every reply is looked at.

The asker asks for a service that stays as it is, one query after the other, and takes note of each
one that is lost or answered otherwise. Writers register, update and deregister instances, drain
them and change policies, and know of each thing what it may be by what was acknowledged.
"""

import json
import random
import re
import socket
import threading
import time

import wire
from harness import Failure, dig, expect

STEADY = "steady"
ADDRESS = bytes((10, 9, 9, 9))
ANSWER_S = 10  # a query without an answer for so long is lost
REPLY_S = 30   # and so is a request
LOOK_S = 0.1   # between two looks whether to wait on
BREAK_S = 0.1  # between two connections
IDS = 20       # a writer's
ZONE = "service.local"


class Asker(threading.Thread):
    """Asks over UDP until told to stop."""

    def __init__(self, port, every_s, answer_s):
        super().__init__(daemon=True)
        self.client = wire.udp_client(port)
        self.client.settimeout(LOOK_S)
        self.answer_s = answer_s
        self.is_abandoned = False  # nobody will answer
        self.every_s = every_s
        self.ended = threading.Event()
        self.asked = 0
        self.slowest_s = 0
        self.faults = []

    def receive(self, began):
        while True:
            try:
                return self.client.recv(65536)
            except TimeoutError:
                if self.is_abandoned or time.monotonic() - began > self.answer_s:
                    raise

    def ask(self):
        number = self.asked % 65536
        began = time.monotonic()
        self.asked += 1
        self.client.send(wire.query(number, f"{STEADY}.{ZONE}", edns=1232))
        reply = wire.Message(self.receive(began))
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        expect(reply.id == number and reply.rcode == wire.NOERROR and
               [record.rdata for record in reply.answer] == [ADDRESS],
               f"query {self.asked}: {reply.octets.hex()}")

    def run(self):
        while not self.ended.wait(self.every_s):
            try:
                self.ask()
            except (OSError, Failure) as reason:
                self.faults.append(f"query {self.asked}: {reason!r}")


class Connection:
    """HTTP with as little effort as can be: many requests a second, beside the daemon itself."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=REPLY_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    def close(self):
        self.socket.close()

    def more(self):
        octets = self.socket.recv(65536)
        if not octets:
            raise ConnectionError("closed")
        self.rest += octets

    def call(self, method, path, body):
        """(status, what the reply's JSON says)."""
        raw = json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(raw)}\r\n\r\n"
        self.socket.sendall(head.encode() + raw)
        while b"\r\n\r\n" not in self.rest:
            self.more()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        length = int(re.search(rb"(?i)content-length: *(\d+)", head).group(1))
        while len(self.rest) < length:
            self.more()
        text, self.rest = self.rest[:length], self.rest[length:]
        return int(head.split(None, 2)[1]), json.loads(text)


class Known:
    """What may be there of each thing of a writer's, after all that was acknowledged: an instance
    is a (port, admin) or None, the service itself is its TTL."""

    def __init__(self):
        self.may_be = {}

    def of(self, key):
        return self.may_be.get(key, {None})


class Writer(threading.Thread):
    """Writes over one connection until told to stop or until it breaks; a patient one opens another
    then. Refusals are counted by status; `known` is what may be there."""

    def __init__(self, port, number, known, every_s, is_patient):
        super().__init__(daemon=True)
        self.port = port
        self.service = f"w{number}"
        self.known = known
        self.every_s = every_s
        self.ended = threading.Event()
        self.revision = 0
        self.acknowledged = {}  # by kind
        self.refused = {}  # by status
        self.slowest_s = 0
        self.is_patient = is_patient
        self.broken = 0  # connections
        self.fault = None

    # Each kind of write: what it is about, the request, and what it makes of each value before.

    def register(self):
        name, port = str(random.randrange(IDS)), random.randrange(1, 65536)
        return name, ("POST", "/registry/register",
                      {"name": self.service, "id": name, "ip": "10.0.0.1", "port": port}), \
            lambda before: (port, before[1] if before else "auto")

    def deregister(self):
        name = str(random.randrange(IDS))
        return name, ("POST", "/registry/deregister", {"service": self.service, "id": name}), \
            lambda _: None

    def admin(self):
        name, state = str(random.randrange(IDS)), random.choice(["auto", "up", "down", "drain"])
        return name, ("PUT", f"/registry/services/{self.service}/instances/{name}/admin",
                      {"state": state}), lambda before: before and (before[0], state)

    def policy(self):
        ttl = random.randrange(1, 3600)
        return "", ("PUT", f"/registry/services/{self.service}/policy", {"ttl": ttl}), \
            lambda _: ttl

    def one(self, connection, make):
        key, request, become = make()
        before = self.known.of(key)
        after = {become(value) for value in before}
        self.known.may_be[key] = before | after
        began = time.monotonic()
        status, reply = connection.call(*request)
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        if status in (200, 201):
            self.known.may_be[key] = after
            self.acknowledged[make.__name__] = self.acknowledged.get(make.__name__, 0) + 1
            expect(reply["revision"] >= self.revision,
                   f"revision {reply['revision']} after {self.revision}")
            self.revision = reply["revision"]
        elif status == 404:
            expect(None in before, f"{request}: 404, but it was {before}")
            self.known.may_be[key] = {None}
        else:
            expect(status in (503, 507), f"{request}: {status} {reply}")
            self.refused[status] = self.refused.get(status, 0) + 1
            if "changes cannot be saved" in reply["error"]["message"]:
                self.known.may_be[key] = before  # else nobody knows

    def stays(self):
        """The service lives as long as this one of its instances."""
        return "stays", ("POST", "/registry/register",
                         {"name": self.service, "id": "stays", "ip": "10.0.0.1", "port": 1}), \
            lambda before: before or (1, "auto")

    def write(self):
        kinds = [self.register] * 5 + [self.deregister, self.deregister, self.admin, self.policy]
        connection = Connection(self.port)
        try:
            while self.known.of("stays") != {(1, "auto")}:
                self.one(connection, self.stays)
            while not self.ended.wait(self.every_s):
                self.one(connection, random.choice(kinds))
        finally:
            connection.close()

    def run(self):
        while not self.ended.is_set():
            try:
                self.write()
            except OSError as reason:
                self.broken += 1
                if not self.is_patient and not self.ended.is_set():
                    self.fault = f"the connection: {reason!r}"
                    return
                self.ended.wait(BREAK_S)
            except Exception as reason:  # pylint: disable=broad-except
                self.fault = repr(reason)
                return


class Load:
    """An asker and writers, from now until stop(). `known` goes from one load to the next."""

    def __init__(self, daemon, writers=8, writes_s=1000, queries_s=2000, known=None,
                 is_patient=False, answer_s=ANSWER_S):
        self.daemon = daemon
        self.known = known or [Known() for _ in range(writers)]
        self.began = time.monotonic()
        daemon.register(name=STEADY, id="i", ip=".".join(map(str, ADDRESS)), port=1)
        self.asker = Asker(daemon.dns_port, 1 / queries_s, answer_s)
        self.writers = [Writer(daemon.http_port, number, self.known[number], writers / writes_s,
                               is_patient)
                        for number in range(writers)]
        for thread in (self.asker, *self.writers):
            thread.start()

    def acknowledged(self):
        return sum(sum(writer.acknowledged.values()) for writer in self.writers)

    def refused(self, status):
        return sum(writer.refused.get(status, 0) for writer in self.writers)

    def faults(self):
        return [writer.fault for writer in self.writers if writer.fault]

    def kinds(self):
        return {kind for writer in self.writers for kind in writer.acknowledged}

    def slowest_s(self):
        return max(writer.slowest_s for writer in self.writers)

    def revision(self):
        return max(writer.revision for writer in self.writers)

    def end(self):
        for thread in (self.asker, *self.writers):
            thread.ended.set()
        for thread in (self.asker, *self.writers):
            thread.join()
        self.asker.client.close()

    def stop(self):
        """No query was lost or answered otherwise, no reply to a write was wrong."""
        self.end()
        expect(not self.asker.faults, f"of {self.asker.asked} queries: {self.asker.faults[:3]}")
        expect(not self.faults(), str(self.faults()))

    def killed(self):
        """As stop(), where the daemon was ended meanwhile: no answer is waited for."""
        self.asker.is_abandoned = True
        self.end()
        wrong = [fault for fault in self.faults() if "the connection" not in fault]
        expect(not wrong, str(wrong))

    def check(self):
        """The registry has what was acknowledged, and nothing else; it is what is known then."""
        status, reply = self.daemon.http("GET", "/registry/services")
        expect(status == 200, f"services: {status}")
        for number, known in enumerate(self.known):
            found, service = self.daemon.http("GET", f"/registry/services/w{number}")
            expect(found in (200, 404), f"w{number}: {found}")
            self.check_service(service if found == 200 else None, number, known)
        return reply["revision"]

    @staticmethod
    def check_service(service, number, known):
        found = {one["id"]: (one["port"], one["admin"])
                 for one in (service["instances"] if service else [])}
        if service:
            found[""] = service["ttl"]
        for key in set(found) | set(known.may_be):
            expect(found.get(key) in known.of(key) or (key == "" and not known.may_be.get(key)),
                   f"w{number}/{key} is {found.get(key)}, may be {known.of(key)}")
        known.may_be = {key: {found.get(key)} for key in set(found) | set(known.may_be)}

    def __str__(self):
        seconds = time.monotonic() - self.began
        refused = {}
        for writer in self.writers:
            for status, count in writer.refused.items():
                refused[status] = refused.get(status, 0) + count
        return (f"{self.asker.asked} queries, slowest {self.asker.slowest_s * 1000:.0f} ms; "
                f"{self.acknowledged()} writes acknowledged, {refused} refused, slowest "
                f"{self.slowest_s() * 1000:.0f} ms; in {seconds:.1f} s")


def serial(daemon):
    """Of the SOA."""
    answer = dig(daemon.dns_port, ZONE, "SOA").answer
    return int(answer[0].data.split()[2])


def is_behind(serial_a, serial_b):
    """Whether the first one is lower (RFC 1982)."""
    return serial_a != serial_b and (serial_b - serial_a) % 2 ** 32 < 2 ** 31
