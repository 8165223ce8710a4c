# SPDX-License-Identifier: BSD-2-Clause
"""SIGUSR1: zones are written as files, while everything goes on, and nothing else is overwritten."""

import os
import re
import signal

import harness
from harness import expect, expect_equal

ZONE = "service.local"
MANY = 5000


class Server:
    def __init__(self):
        self.daemon = harness.Daemon()
        self.path = os.path.join(self.daemon.data, f"{ZONE}.dump")

    def events(self, event):
        return re.findall(rf"^level=\w+ event={event} .*$", self.daemon.log(), re.M)

    def wait_event(self, event, count):
        """The newest line of so many."""
        return harness.wait_for(lambda: len(self.events(event)) >= count and self.events(event),
                                30, f"{count} times {event} in the log")[-1]

    def read(self):
        with open(self.path, encoding="ascii") as file:
            return file.read()

    def left_over(self):
        return [name for name in os.listdir(self.daemon.data) if name.endswith(".new")]


def check_file(server):
    daemon = server.daemon
    daemon.register(name="payment", ip="10.0.0.1", port=80)
    daemon.send_signal(signal.SIGUSR1)
    line = server.wait_event("dumped", 1)
    records = [line for line in server.read().splitlines() if not line.startswith(";")]
    expect_equal(re.search(r" file=(\S+) records=(\d+) ms=\d+", line).groups(),
                 (server.path, str(len(records))), line)
    expect(f"payment.{ZONE}.\t5\tIN\tA\t10.0.0.1" in records, records)
    soa = daemon.dig(ZONE, "SOA").data("SOA")
    expect_equal(records[0].split("\t"), [f"{ZONE}.", "5", "IN", "SOA", *soa], "the first record")

    daemon.register(name="payment", ip="10.0.0.2", port=80)
    daemon.send_signal(signal.SIGUSR1)
    server.wait_event("dumped", 2)
    expect("\t10.0.0.2\n" in server.read(), "the second dump has what came after the first")
    expect_equal(server.left_over(), [], "files aside")


def check_refusals(server):
    """What is no dump stays: somebody may keep the zone's own file there."""
    harness.write_file(server.daemon.data, f"{ZONE}.dump", "; mine\n")
    server.daemon.send_signal(signal.SIGUSR1)
    line = server.wait_event("dump-failed", 1)
    expect("is no dump" in line, line)
    expect_equal(server.read(), "; mine\n", "a file that is not ours")
    os.unlink(server.path)
    os.mkdir(f"{server.path}.new")
    server.daemon.send_signal(signal.SIGUSR1)
    line = server.wait_event("dump-failed", 2)
    expect("Is a directory" in line, line)
    os.rmdir(f"{server.path}.new")
    expect(not os.path.exists(server.path), "no file after a failure")


def check_many(server):
    """Signals while a dump runs are one more dump; names come and go under it."""
    daemon = server.daemon
    for start in range(0, MANY, 1000):
        status, _ = daemon.http("POST", "/registry/register", [
            {"name": f"s{i}", "ip": f"10.1.{i // 250}.{i % 250 + 1}", "port": 80}
            for i in range(start, start + 1000)])
        expect(status == 201, status)
    before = len(server.events("dumped"))
    for i in range(20):
        daemon.send_signal(signal.SIGUSR1)
        daemon.register(name="moving", ip=f"10.2.0.{i + 1}", port=80)
        daemon.http("DELETE", f"/registry/services/moving/instances/10-2-0-{i + 1}-80")
        expect_equal(daemon.addresses(f"s{i}.{ZONE}"), [f"10.1.0.{i + 1}"], "while a dump runs")
    server.wait_event("dumped", before + 1)
    harness.wait_for(lambda: re.search(r"^s4999\.", server.read(), re.M), 30, "the whole zone")
    wanted = len(re.findall(rf"^s\d+\.{ZONE}\.\t5\tIN\tA\t", server.read(), re.M))
    expect_equal(wanted, MANY, "names that stay are in every dump")


def main():
    harness.need("dig")
    server = Server()
    check_file(server)
    check_refusals(server)
    check_many(server)
    server.daemon.send_signal(signal.SIGUSR1)  # and stopping does not wait for a whole one
    server.daemon.stop()
    expect_equal(server.left_over(), [], "files aside, after the end")


harness.run(main)
