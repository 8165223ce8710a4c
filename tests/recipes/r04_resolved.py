# SPDX-License-Identifier: BSD-2-Clause
"""contrib/recipes/systemd-resolved, with a network card whose own nameserver knows other names.

The program is not installed, for that would change the machine's /etc/resolv.conf: it is unpacked
from Debian's package (.ci/run does) and runs without D-Bus, as it can. What systemd-networkd knows
of the card is written for it by hand."""

import os
import socket

import through  # first: it finds the harness
import harness
from harness import expect, expect_equal, run, wait_for

PROGRAM = "lib/systemd/systemd-resolved"
CARD = "192.0.2.1"
ELSEWHERE = "www.example.com"


def make_card():
    """Without one that is up, resolved asks nobody; this one has multicast DNS."""
    index = socket.if_nametoindex(through.make_card(f"{CARD}/24"))
    os.makedirs("/run/systemd/netif/links")
    harness.write_file("/run/systemd/netif/links", str(index),
                       "ADMIN_STATE=configured\nOPER_STATE=routable\nREQUIRED_FOR_ONLINE=yes\n"
                       f"DNS={CARD}\nLLMNR=no\nMDNS=yes\n")
    harness.write_file("/run/systemd/netif", "state", "OPER_STATE=routable\n")


def start_other_nameserver():
    """The card's: it knows one name, and says of all others that they do not exist."""
    harness.spawn("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
                  "--no-hosts", f"--listen-address={CARD}", "--bind-interfaces", "--user=root",
                  "--pid-file=", "--address=/#/", f"--address=/{ELSEWHERE}/203.0.113.5")
    wait_for(lambda: harness.dig(53, ELSEWHERE, "A", server=CARD, time_s=1).answer,
             harness.START_S, "the card's nameserver")


def start_resolved():
    for name, line in (("passwd", "systemd-resolve:x:991:991::/:/usr/sbin/nologin\n"),
                       ("group", "systemd-resolve:x:991:\n")):
        with open(f"/etc/{name}", "a", encoding="utf-8") as file:
            file.write(line)
    os.unlink("/etc/resolv.conf")
    os.symlink("/run/systemd/resolve/stub-resolv.conf", "/etc/resolv.conf")
    through.nameserver = "127.0.0.53"
    resolved = through.Resolver(through.find_program(PROGRAM))
    resolved.wait_ready()
    return resolved


def check_elsewhere():
    """Other names do not suffer."""
    expect_equal(through.addresses(ELSEWHERE), ["203.0.113.5"], "the card's nameserver is asked")
    expect_equal(through.getent(ELSEWHERE), ["203.0.113.5"], "getent elsewhere")


def check_multicast():
    """Multicast DNS, whose domain is .local, is on, and does not get our names."""
    with open("/proc/net/udp", encoding="ascii") as file:
        expect(f":{5353:04X} " in file.read(), "nobody listens on the port of multicast DNS")


def main():
    through.find_program(PROGRAM)
    harness.need("dnsmasq")
    through.enter_place()
    make_card()
    start_other_nameserver()
    daemon = through.start_rosterd()
    through.put(through.recipe("systemd-resolved", "rosterd.conf"), "/etc/systemd/resolved.conf.d")
    start_resolved()
    check_multicast()
    check_elsewhere()
    # What a server on loopback says is not cached, unless CacheFromLocalhost says so.
    through.check_at_once(daemon)
    through.check_all(daemon)
    check_elsewhere()
    daemon.stop()


run(main)
