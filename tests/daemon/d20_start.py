# SPDX-License-Identifier: BSD-2-Clause
"""What a start makes of its surroundings: descriptors, wildcard addresses."""

import os
import socket

import harness
from harness import expect, expect_equal

DESCRIPTORS = 64  # what a shell allows; the system allows more
CLIENTS = 100


class MuteDaemon(harness.Daemon):
    """Without standard output and standard error."""

    def command(self):
        return ["sh", "-c", 'exec "$@" >&- 2>&-', "sh", *super().command()]


class WildcardDaemon(harness.Daemon):
    def command(self):
        own = f"127.0.0.1@{self.dns_port}"
        return [f"0.0.0.0@{self.dns_port}" if word == own else word for word in super().command()]


def check_dns_clients_leave_descriptors_to_http():
    daemon = harness.Daemon("--workers", "2", prefix=("prlimit", f"--nofile={DESCRIPTORS}:1024"))
    clients = [socket.create_connection(("127.0.0.1", daemon.dns_port), timeout=5)
               for _ in range(CLIENTS)]
    status, _ = daemon.http("GET", "/health/ready", timeout_s=5)
    expect_equal(status, 200, f"HTTP beside {CLIENTS} clients of DNS over TCP")
    expect("accept-failed" not in daemon.log(), "connections are refused")
    for client in clients:
        client.close()
    daemon.stop()


def check_apex_has_no_wildcard_address():
    daemon = WildcardDaemon()
    addresses = daemon.addresses("ns.service.local")
    expect(addresses and addresses != ["0.0.0.0"], f"the address of ns: {addresses}")
    for server in ("127.0.0.1", "127.0.0.2", *addresses):
        reply = harness.dig(daemon.dns_port, "service.local", "SOA", server=server)
        expect_equal(len(reply.answer), 1, f"an answer of {server}")
    daemon.stop()


def check_log_goes_into_no_other_file():
    daemon = MuteDaemon()
    daemon.register(name="payment", ip="10.0.0.1", port=80)
    daemon.stop()
    for name in os.listdir(daemon.data):
        with open(os.path.join(daemon.data, name), encoding="latin-1") as file:
            expect("event=" not in file.read(), f"the log is in {name}")


def main():
    harness.need("dig", "prlimit")
    check_dns_clients_leave_descriptors_to_http()
    check_apex_has_no_wildcard_address()
    check_log_goes_into_no_other_file()


harness.run(main)
