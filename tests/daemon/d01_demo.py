# SPDX-License-Identifier: BSD-2-Clause
"""The first minute, end to end, with dig and drill: register, ask, break, wait, ask again."""

import subprocess
import time

import harness
from harness import expect, expect_equal

INTERVAL_S = 0.5
FALL = 2
LEASE_S = 3
RISE = 2
REACTION_S = 1  # a change may take so long to show, beyond what the definition says
LIMIT_S = 30    # and on a machine that has no time for it
TRIES = 10


def drill(daemon, *arguments):
    command = ["drill", "-p", str(daemon.dns_port), *arguments, "@127.0.0.1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout


def register_all(daemon, http_port):
    status, reply = daemon.http("POST", "/registry/register", [
        {"name": "payment", "ip": "10.0.0.1", "port": 8080, "weight": 10, "version": "1.4.0"},
        {"name": "payment", "ip": "10.0.0.2", "port": 8080, "weight": 20, "version": "1.4.0"},
        {"name": "payment", "ip": "127.0.0.1", "port": http_port, "weight": 70, "checks": [
            {"kind": "http", "path": "/health", "interval": INTERVAL_S, "timeout": INTERVAL_S,
             "rise": RISE, "fall": FALL}]},
    ])
    expect_equal(status, 201, f"registering three ({reply})")
    expect_equal([r["status"] for r in reply["results"]], [201] * 3, "status of each")


def check_records(daemon, http_port):
    targets = ["10 10 8080 10-0-0-1-8080.payment.service.local.",
               "10 20 8080 10-0-0-2-8080.payment.service.local.",
               f"10 70 {http_port} 127-0-0-1-{http_port}.payment.service.local."]
    addresses = ["10.0.0.1", "10.0.0.2", "127.0.0.1"]
    for transport in ("+notcp", "+tcp"):
        expect_equal(daemon.dig("payment.service.local", "A", transport).data("A"), addresses,
                     f"A {transport}")
        for name in ("payment", "_payment._tcp"):
            reply = daemon.dig(f"{name}.service.local", "SRV", transport)
            expect_equal(reply.data("SRV"), targets, f"{name} SRV {transport}")
            expect_equal(sorted(r.data for r in reply.additional), addresses, "additional")
        reply = daemon.dig("payment.service.local", "TXT", transport)
        expect_equal(reply.data("TXT"), ['""', '"version=1.4.0"'], f"TXT {transport}")
        expect("aa" in reply.flags and reply.status == "NOERROR", f"header {transport}")
    reply = daemon.dig("payment.service.local", "AAAA")
    expect_equal((reply.status, reply.answer), ("NOERROR", []), "AAAA")
    expect_equal(daemon.dig("nobody.service.local", "A").status, "NXDOMAIN", "unknown name")


def check_drill(daemon):
    harness.need("drill")
    text = drill(daemon, "payment.service.local", "A")
    for address in ("10.0.0.1", "10.0.0.2", "127.0.0.1"):
        expect(f"\tA\t{address}\n" in text, f"drill shows no {address}:\n{text}")
    expect("rcode: NOERROR" in text, f"drill:\n{text}")
    text = drill(daemon, "-t", "_payment._tcp.service.local", "SRV")
    expect("10 20 8080 10-0-0-2-8080.payment.service.local." in text, f"drill -t:\n{text}")


def check_health(daemon, server, http_port):
    address = "127.0.0.1"

    def end():
        began = time.monotonic()
        harness.end(server)
        harness.wait_for(lambda: address not in daemon.addresses("payment.service.local"), LIMIT_S,
                         "the dead server leaves DNS")
        return time.monotonic() - began

    def start():
        began = time.monotonic()
        server = harness.spawn_http_server(address, http_port)
        harness.wait_for(lambda: address in daemon.addresses("payment.service.local"), LIMIT_S,
                         "the server is back in DNS")
        return server, time.monotonic() - began

    for _ in range(TRIES):
        left_s = end()
        check_dead(daemon, http_port)
        server, back_s = start()
        print(f"left after {left_s:.2f} s, back after {back_s:.2f} s")
        if left_s <= INTERVAL_S * FALL + REACTION_S and back_s <= INTERVAL_S * RISE + REACTION_S:
            return
    raise harness.Failure(f"left after {left_s:.2f} s, back after {back_s:.2f} s, {TRIES} times")


def check_dead(daemon, http_port):
    address = "127.0.0.1"
    expect_equal(daemon.addresses("payment.service.local"), ["10.0.0.1", "10.0.0.2"], "A")
    expect_equal(daemon.addresses(f"127-0-0-1-{http_port}.payment.service.local"), [address],
                 "the instance's own name")
    status, instance = daemon.http(
        "GET", f"/registry/services/payment/instances/127-0-0-1-{http_port}")
    expect_equal((status, instance["status"], instance["healthy"]), (200, "critical", False),
                 "instance")


def check_leases(daemon):
    daemon.register(name="kept", id="one", ip="10.0.1.1", port=80, lease=LEASE_S)
    began = renewed = time.monotonic()
    daemon.register(name="left", id="one", ip="10.0.1.1", port=80, lease=LEASE_S)
    while daemon.addresses("left.service.local"):
        expect(time.monotonic() < began + LEASE_S + LIMIT_S, "the lease does not end")
        if time.monotonic() > renewed + LEASE_S / 4:
            renewed = time.monotonic()
            status, reply = daemon.http("POST", "/registry/heartbeat",
                                        {"service": "kept", "id": "one"})
            expect_equal(status, 200, f"heartbeat ({reply})")
        harness.pauses.wait(0.02)
    expect(time.monotonic() >= began + LEASE_S - 0.1, "the lease ended early")
    expect_equal(daemon.dig("left.service.local", "A").status, "NXDOMAIN", "after the lease")
    expect_equal(daemon.addresses("kept.service.local"), ["10.0.1.1"], "what was renewed")
    status, _ = daemon.http("POST", "/registry/heartbeat", {"service": "left", "id": "one"})
    expect_equal(status, 404, "a heartbeat after the end")


def check_deregistering(daemon):
    """The very next query does not have it any more."""
    status, _ = daemon.http("DELETE", "/registry/services/payment/instances/10-0-0-1-8080")
    expect_equal(status, 200, "DELETE")
    expect("10.0.0.1" not in daemon.addresses("payment.service.local"), "deleted, still there")
    status, _ = daemon.http("POST", "/registry/deregister",
                            {"service": "payment", "id": "10-0-0-2-8080"})
    expect_equal(status, 200, "deregister")
    expect("10.0.0.2" not in daemon.addresses("payment.service.local"), "gone, still there")
    status, _ = daemon.http("DELETE", "/registry/services/payment/instances/10-0-0-1-8080")
    expect_equal(status, 404, "DELETE again")


def main():
    harness.need("dig")
    http_port = harness.free_port()
    server = harness.spawn_http_server("127.0.0.1", http_port)
    daemon = harness.Daemon()
    register_all(daemon, http_port)
    # The first two are there when the reply is; the third after its first check.
    expect(set(daemon.addresses("payment.service.local")) >= {"10.0.0.1", "10.0.0.2"},
           "not there when the reply is")
    daemon.wait_addresses("payment.service.local", ["10.0.0.1", "10.0.0.2", "127.0.0.1"], LIMIT_S)
    check_records(daemon, http_port)
    check_drill(daemon)
    check_health(daemon, server, http_port)
    check_leases(daemon)
    check_deregistering(daemon)
    daemon.stop()


harness.run(main)
