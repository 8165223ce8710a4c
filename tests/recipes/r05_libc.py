# SPDX-License-Identifier: BSD-2-Clause
"""contrib/recipes/libc: what the C libraries do with the same resolv.conf. One program, built with
musl and with glibc, asks nameservers on port 53: rosterd itself, or little ones of our own that
change, refuse or lose what they are asked."""

import os
import re
import socket
import subprocess
import threading

import through  # first: it finds the harness
import harness
import wire
from harness import expect, expect_equal, run

MUSL, GLIBC = "musl-gcc", "gcc"
ROSTERD, OTHER, SILENT = "127.0.0.1", "127.0.0.2", "127.0.0.3"
PAYMENT = through.PAYMENT
PAYMENT_ADDRESSES = ["10.0.1.1", "10.0.2.1", "10.0.3.1"]
BIG = f"big.{through.ZONE}"
CARD = "10.5.0.77/24"
SUBNET = ["10.5.0.76", "10.5.0.70", "10.5.0.90", "10.5.0.10", "10.5.0.200"]
MUSL_MOST = 48  # addresses; more are left out
LATE_S = 30  # beyond this a lookup has waited for a nameserver that does not answer

programs = {}


def build():
    folder = harness.make_folder()
    source = os.path.join(through.HERE, "lookup.c")
    for compiler in (MUSL, GLIBC):
        programs[compiler] = os.path.join(folder, compiler + "-lookup")
        done = through.run(compiler, "-O1", "-D_POSIX_C_SOURCE=200809L", "-o", programs[compiler],
                           source)
        expect_equal(done.returncode, 0, f"{compiler}: {done.stderr}")


def lookup(compiler, name):
    """Its lines: addresses, or one error."""
    done = subprocess.run([programs[compiler], name], capture_output=True, text=True,
                          timeout=LATE_S, check=False)
    expect(done.returncode in (0, 1), f"{compiler}: {done}")
    return done.stdout.split()


def resolv_conf(*nameservers, options="timeout:20 attempts:1", search=""):
    lines = [f"nameserver {address}" for address in nameservers]
    lines += [f"options {options}"] if options else []
    lines += [f"search {search}"] if search else []
    harness.write_etc("resolv.conf", "\n".join(lines) + "\n")


class Nameserver:
    """A socket on port 53; `answer` makes a reply of each query, or None."""

    def __init__(self, address, answer):
        self.n_queries = 0
        self.answer = answer
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            query, peer = self.socket.recvfrom(4096)
            self.n_queries += 1
            reply = self.answer(query)
            if reply:
                self.socket.sendto(reply, peer)


def reply(query, rcode):
    """An empty one."""
    octets = bytearray(query)
    octets[2] |= wire.QR >> 8
    octets[3] = 0x80 | rcode
    return bytes(octets)


def forward(query):
    with wire.udp_client(53) as client:
        client.send(query)
        return client.recv(4096)


def say_nobody(query):
    return reply(query, wire.NXDOMAIN)


def say_no(query):
    return reply(query, wire.REFUSED)


def say_nothing(_query):
    return None


def resolve(query):
    """As a resolver would: rosterd's names, and no others."""
    if wire.name(through.ZONE)[:-1] in query.lower():
        return forward(query)
    return reply(query, wire.NXDOMAIN)


def break_aaaa(query):
    """As some middle boxes do: "no such name" for what has no AAAA."""
    return reply(query, wire.NXDOMAIN) if query[-4:-2] == bytes([0, wire.AAAA]) else forward(query)


# ---- What holds for both, and where they differ ----

def check_names():
    """Straight from rosterd: a name without AAAA has its A, an unknown one is unknown."""
    resolv_conf(ROSTERD)
    for compiler in programs:
        expect_equal(sorted(lookup(compiler, PAYMENT)), PAYMENT_ADDRESSES, f"{compiler}: A")
        expect_equal(lookup(compiler, f"six.{through.ZONE}"), ["fd00:db8::6"], f"{compiler}: AAAA")
        expect_equal(lookup(compiler, f"nobody.{through.ZONE}"), ["EAI_NONAME"],
                     f"{compiler}: unknown")


def check_broken_aaaa(other):
    """NXDOMAIN for AAAA where there is an A: musl believes it."""
    other.answer = break_aaaa
    resolv_conf(OTHER)
    expect_equal(lookup(MUSL, PAYMENT), ["EAI_NONAME"], "musl: NXDOMAIN for AAAA")
    expect_equal(sorted(lookup(GLIBC, PAYMENT)), PAYMENT_ADDRESSES, "glibc: NXDOMAIN for AAAA")


def check_order():
    """Addresses in the client's own subnet: musl keeps the drawn order, glibc makes its own."""
    resolv_conf(ROSTERD)
    firsts = {compiler: {lookup(compiler, f"near.{through.ZONE}")[0] for _ in range(40)}
              for compiler in programs}
    expect(len(firsts[MUSL]) > 1, f"musl: first came {firsts[MUSL]}")
    expect_equal(firsts[GLIBC], {SUBNET[0]}, "glibc: the one that looks most like the client's")


def check_search(other):
    """A name with a dot: glibc tries the search list too, musl only if ndots says so."""
    other.answer = resolve
    resolv_conf(OTHER, search=through.ZONE)
    for compiler in programs:
        expect_equal(sorted(lookup(compiler, "payment")), PAYMENT_ADDRESSES, f"{compiler}: no dot")
    expect_equal(lookup(GLIBC, "n2.payment"), ["10.0.2.1"], "glibc: a dot")
    expect_equal(lookup(MUSL, "n2.payment"), ["EAI_NONAME"], "musl: a dot")
    resolv_conf(OTHER, search=through.ZONE, options="ndots:2")
    expect_equal(lookup(MUSL, "n2.payment"), ["10.0.2.1"], "musl: a dot, ndots:2")


def check_two_nameservers(other):
    """glibc asks the second when the first does not answer; musl asks both, and the first answer
    counts, even "no such name"."""
    other.answer = say_nobody
    resolv_conf(ROSTERD, OTHER)
    n_before = other.n_queries
    expect_equal(len(lookup(GLIBC, PAYMENT)), 3, "glibc: the first nameserver answers")
    expect_equal(other.n_queries, n_before, "what glibc asked of the second")
    lookup(MUSL, PAYMENT)
    harness.wait_for(lambda: other.n_queries > n_before, LATE_S, "musl asks the second, too")
    resolv_conf(SILENT, OTHER, options="timeout:60")
    expect_equal(lookup(MUSL, PAYMENT), ["EAI_NONAME"], "musl: whoever answers")
    other.answer = say_no
    resolv_conf(OTHER, ROSTERD, options="timeout:60")
    expect_equal(sorted(lookup(MUSL, PAYMENT)), PAYMENT_ADDRESSES, "musl: a nameserver refuses")
    resolv_conf(SILENT, ROSTERD, options="timeout:60")
    expect_equal(sorted(lookup(MUSL, PAYMENT)), PAYMENT_ADDRESSES, "musl: a nameserver is away")
    resolv_conf(SILENT, ROSTERD, options="timeout:1")
    expect_equal(sorted(lookup(GLIBC, PAYMENT)), PAYMENT_ADDRESSES, "glibc: a nameserver is away")


def check_files():
    """/etc/hosts comes first for musl, whatever nsswitch.conf says."""
    resolv_conf(ROSTERD)
    harness.write_etc("hosts", f"10.9.9.9 {PAYMENT}\n")
    harness.write_etc("nsswitch.conf", "hosts: dns\n")
    expect_equal(lookup(MUSL, PAYMENT), ["10.9.9.9"], "musl: /etc/hosts")
    expect_equal(sorted(lookup(GLIBC, PAYMENT)), PAYMENT_ADDRESSES, "glibc: nsswitch.conf")
    harness.write_etc("hosts", "127.0.0.1 localhost\n")


# ---- Long answers ----

def musl_version():
    for name in sorted(os.listdir("/lib")):
        if name.startswith("ld-musl-"):
            said = through.run(os.path.join("/lib", name)).stderr
            return tuple(map(int, re.search(r"Version (\d+)\.(\d+)\.(\d+)", said).groups()))
    raise harness.Skip("musl without its loader")


def n_connections(daemon):
    text = daemon.http("GET", "/metrics")[1]
    return int(re.search(r"^rosterd_dns_tcp_connections_total (\d+)$", text, re.M).group(1))


def check_glibc_long(daemon):
    """By TCP, which edns0 saves."""
    resolv_conf(ROSTERD)
    before = n_connections(daemon)
    expect_equal(len(lookup(GLIBC, BIG)), through.N_BIG, "glibc: all addresses")
    expect(n_connections(daemon) > before, "glibc: by TCP")
    resolv_conf(ROSTERD, options="edns0")
    before = n_connections(daemon)
    expect_equal(len(lookup(GLIBC, BIG)), through.N_BIG, "glibc, edns0: all addresses")
    expect_equal(n_connections(daemon), before, "glibc, edns0: by TCP")


def check_musl_long(daemon):
    """Before 1.2.4 it takes what 512 octets hold, since then it asks by TCP; 48 are all it has room
    for. What a policy leaves in the answer has room everywhere."""
    resolv_conf(ROSTERD)
    wanted = MUSL_MOST
    if musl_version() < (1, 2, 4):
        wanted = len(through.ask(BIG, "A", "+noedns", "+ignore").answer)
        expect(0 < wanted < MUSL_MOST, f"{wanted} addresses in 512 octets")
    expect_equal(len(lookup(MUSL, BIG)), wanted, f"musl {musl_version()}: of {through.N_BIG}")
    status, _ = daemon.http("PUT", "/registry/services/big/policy", {"answer_limit": 8})
    expect_equal(status, 200, "policy")
    expect_equal([len(lookup(compiler, BIG)) for compiler in programs], [8, 8], "answer_limit")


def main():
    harness.need(MUSL, GLIBC)
    through.enter_place()
    through.make_card(CARD)
    build()
    daemon = through.start_rosterd(dns_port=53)
    for address in SUBNET:
        daemon.register(name="near", ip=address, port=80)
    other = Nameserver(OTHER, say_nobody)
    Nameserver(SILENT, say_nothing)
    check_names()
    check_broken_aaaa(other)
    check_order()
    check_search(other)
    check_two_nameservers(other)
    check_files()
    check_glibc_long(daemon)
    check_musl_long(daemon)
    daemon.stop()


run(main)
