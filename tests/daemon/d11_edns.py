# SPDX-License-Identifier: BSD-2-Clause
"""What the server says beside records: identity, NSID, cookies, keepalive, and why."""

import re

import harness
from harness import expect, expect_equal

ZONE = "service.local"
CONFIG = """
server:
  identity: dns1.rack7
  version: "unknown"
"""


def option(reply, name):
    """The value that dig prints of an EDNS option, or None."""
    found = re.search(rf"^; {name}: (.*)$", reply.text, re.M)
    return found.group(1) if found else None


def check_identity(daemon):
    for name, text in [("id.server", "dns1.rack7"), ("hostname.bind", "dns1.rack7"),
                       ("VERSION.bind", "unknown"), ("version.server", "unknown")]:
        reply = daemon.dig(name, "TXT", "-c", "CH")
        expect_equal((reply.status, reply.data("TXT")), ("NOERROR", [f'"{text}"']), name)
    expect_equal(daemon.dig("other.bind", "TXT", "-c", "CH").status, "REFUSED", "other.bind")
    expect("dns1.rack7" in (option(daemon.dig("+nsid", ZONE, "SOA"), "NSID") or ""), "NSID")
    expect_equal(option(daemon.dig("+nonsid", ZONE, "SOA"), "NSID"), None, "NSID unasked")


def check_cookies(daemon):
    reply = daemon.dig("+cookie=0102030405060708", ZONE, "SOA")
    cookie = option(reply, "COOKIE") or ""
    expect(re.match(r"0102030405060708[0-9a-f]{32} \(good\)", cookie), f"cookie: {reply.text}")
    again = daemon.dig("+cookie=" + cookie.split()[0], ZONE, "SOA")
    expect_equal(again.status, "NOERROR", "a server cookie that comes back")
    broken = daemon.dig("+cookie=010203040506070809", ZONE, "SOA")
    expect_equal(broken.status, "FORMERR", "a cookie of 9 octets")
    metrics = daemon.http("GET", "/metrics")[1]
    expect('rosterd_dns_cookies_total{state="valid"} 1' in str(metrics), f"metrics: {metrics}")


def check_keepalive(daemon):
    expect_equal(option(daemon.dig("+tcp", "+keepalive", ZONE, "SOA"), "TCP KEEPALIVE"),
                 "10.0 secs", "keepalive over TCP")
    expect_equal(option(daemon.dig("+notcp", "+keepalive", ZONE, "SOA"), "TCP KEEPALIVE"), None,
                 "keepalive over UDP")


def check_reasons(daemon):
    daemon.register(name="sick", ip="127.0.0.1", port=1, checks=[{"kind": "tcp"}])
    for arguments, status, reason in [
            (("example.com", "A"), "REFUSED", "20 (Not Authoritative)"),
            ((ZONE, "AXFR"), "REFUSED", None),
            ((f"sick.{ZONE}", "A"), "NOERROR", "0 (Other): (no healthy instance)"),
            ((f"_sick._tcp.{ZONE}", "SRV"), "NOERROR", "0 (Other): (no healthy instance)"),
            ((f"nobody.{ZONE}", "A"), "NXDOMAIN", None)]:
        reply = daemon.dig(*arguments)
        if arguments[1] != "AXFR":
            expect_equal((reply.status, option(reply, "EDE")), (status, reason), arguments)
    quiet = daemon.dig("+noedns", "example.com", "A")
    expect_equal(option(quiet, "EDE"), None, "no EDNS, no reason")


def main():
    harness.need("dig")
    daemon = harness.Daemon(config=CONFIG)
    check_identity(daemon)
    check_cookies(daemon)
    check_keepalive(daemon)
    check_reasons(daemon)
    daemon.stop()


harness.run(main)
