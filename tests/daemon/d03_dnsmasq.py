# SPDX-License-Identifier: BSD-2-Clause
"""A forwarder in between, as systemd-resolved or a router would be: dnsmasq."""

import harness
import wire
from harness import expect, expect_equal

QUERIES = 2000
WEIGHTS = {"10.7.0.1": 1, "10.7.0.2": 2, "10.7.0.3": 7}


def check_shares(port, name, n_records):
    """The first address follows the weights; five standard deviations are allowed."""
    firsts = dict.fromkeys(WEIGHTS, 0)
    with wire.udp_client(port) as client:
        for number in range(QUERIES):
            reply = wire.ask_udp(client, wire.query(number, name))
            expect_equal((reply.id, len(reply.answer)), (number, n_records), f"a reply for {name}")
            firsts[".".join(map(str, reply.answer[0].rdata))] += 1
    for address, weight in WEIGHTS.items():
        share = weight / sum(WEIGHTS.values())
        allowed = 5 * (share * (1 - share) / QUERIES) ** 0.5
        expect(abs(firsts[address] / QUERIES - share) < allowed,
               f"{name}: of {QUERIES} answers, first came {firsts}")


def main():
    harness.need("dig", "dnsmasq")
    daemon = harness.Daemon()
    for number in range(1, 4):
        daemon.register(name="payment", id=f"n{number}", ip=f"10.0.{number}.1", port=8080,
                        version="7")
    daemon.register(name="six", ip="2001:db8::6", port=80)
    for number in range(60):
        daemon.register(name="big", ip=f"10.1.0.{number + 1}", port=80)
    for service in ("all", "drawn"):
        for address, weight in WEIGHTS.items():
            daemon.register(name=service, ip=address, port=80, weight=weight)
    status, _ = daemon.http("PUT", "/registry/services/drawn/policy", {"answer_limit": 1})
    expect_equal(status, 200, "policy")

    port = harness.free_port()
    harness.spawn("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
                  "--no-hosts", "--listen-address=127.0.0.1", "--bind-interfaces", "--user=",
                  "--group=", "--pid-file=", f"--port={port}", "--cache-size=0",
                  f"--server=/service.local/127.0.0.1#{daemon.dns_port}")

    def ask(*arguments):
        return harness.dig(port, *arguments)

    addresses = ["10.0.1.1", "10.0.2.1", "10.0.3.1"]
    harness.wait_for(lambda: ask("payment.service.local", "A").data("A") == addresses,
                     harness.START_S, "A through dnsmasq")
    expect_equal(ask("_payment._tcp.service.local", "SRV").data("SRV"),
                 [f"10 100 8080 n{n}.payment.service.local." for n in (1, 2, 3)], "SRV")
    expect_equal(ask("payment.service.local", "TXT").data("TXT"), ['"version=7"'], "TXT")
    expect_equal(ask("six.service.local", "AAAA").data("AAAA"), ["2001:db8::6"], "AAAA")
    expect_equal(ask("nobody.service.local", "A").status, "NXDOMAIN", "unknown name")
    reply = ask("six.service.local", "A")
    expect_equal((reply.status, reply.answer), ("NOERROR", []), "NODATA")

    # 60 addresses do not fit 512 octets: the forwarder's client comes again over TCP.
    reply = ask("big.service.local", "A", "+noedns", "+ignore")
    expect("tc" in reply.flags, f"a cut answer has TC\n{reply.text}")
    expect_equal(len(ask("big.service.local", "A", "+noedns").answer), 60, "after TC, by TCP")

    # Rotation and draws come through a forwarder that keeps the order.
    check_shares(port, "all.service.local", len(WEIGHTS))
    check_shares(port, "drawn.service.local", 1)
    daemon.stop()


harness.run(main)
