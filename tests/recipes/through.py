# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of the recipes for resolvers share: a place of their own, with the host's
configuration as Debian has it, rosterd on its usual ports in it, and the recipe's files put where
people put them; and what must hold of a name that is asked through a resolver on port 53."""

import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "daemon"))

import harness  # pylint: disable=wrong-import-position
from harness import expect, expect_equal, wait_for  # pylint: disable=wrong-import-position

RECIPES = os.path.join(HERE, "..", "..", "contrib", "recipes")
ZONE = "service.local"
PAYMENT = f"payment.{ZONE}"
TTL_S = 1  # of records, and of what is not there
SLACK_S = 30  # for a busy machine, beyond what a TTL allows
PATIENCE_S = 10  # of programs with a nameserver that answers
N_BIG = 60  # addresses: more than 512 octets hold

ZONE_FILE = f"""
$TTL {TTL_S}
@ SOA ns hostmaster 1 3600 600 86400 {TTL_S}
@ NS ns
ns A 127.0.0.1
"""

# Programs of packages that must not be installed for a test.
UNPACKED = os.environ.get("UNPACKED", os.path.join(HERE, "..", "..", "build", "unpacked"))

nameserver = "127.0.0.1"  # what ask() asks, on port 53

CONFIG = f"""
server:
    ttl: {TTL_S}s
    zone-dir: .
zone:
  - domain: {ZONE}
    file: zone
"""


def recipe(*path):
    return os.path.join(RECIPES, *path)


def put(recipe_file, folder, name=None):
    """A file of a recipe, where its first line says that it goes."""
    os.makedirs(folder, exist_ok=True)
    return shutil.copy(recipe_file, os.path.join(folder, name or os.path.basename(recipe_file)))


def find_program(path):
    """One that is installed, or that .ci/run has unpacked."""
    for root in ("/", UNPACKED):
        found = os.path.join(root, path)
        if os.access(found, os.X_OK):
            return found
    raise harness.Skip(f"{path} is neither installed nor in {UNPACKED}")


def set_patience(timeout_s):
    """How long programs wait for the nameserver, unless it is a resolver that says so itself."""
    if nameserver == "127.0.0.1":
        harness.write_etc("resolv.conf",
                          f"nameserver {nameserver}\noptions timeout:{timeout_s} attempts:1\n")


def enter_place(*folders):
    """Network, /etc, /run and these folders are this test's own; programs find 127.0.0.1 as their
    nameserver. The addresses are there because getent asks only for families that a host has,
    where loopback does not count."""
    harness.need("ip", "dig", "getent")
    harness.enter_namespace(["198.51.100.1/32", "2001:db8:ffff::1/128"])
    harness.own_folders(copied=("/etc", *folders), empty=("/run",))
    harness.write_etc("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
    set_patience(PATIENCE_S)
    harness.write_etc("hosts", "127.0.0.1 localhost\n::1 localhost\n")


def make_card(address):
    """A network card that is up, in the subnet of that address; returns its name."""
    harness.ip("link", "add", "card", "type", "veth", "peer", "name", "plug")
    harness.ip("link", "set", "plug", "up")
    harness.ip("link", "set", "card", "up")
    harness.ip("address", "add", address, "dev", "card")
    return "card"


def start_rosterd(dns_port=8600):
    """With three instances of payment, one with an IPv6 address alone, and many of one service."""
    folder = harness.make_folder()
    harness.write_file(folder, "zone", ZONE_FILE)
    daemon = harness.Daemon(folder=folder, config=CONFIG, dns_port=dns_port, http_port=8500)
    for number in (1, 2, 3):
        daemon.register(name="payment", id=f"n{number}", ip=f"10.0.{number}.1", port=8080,
                        version="7")
    daemon.register(name="office", ip="192.168.7.1", port=80)
    daemon.register(name="six", ip="fd00:db8::6", port=80)
    status, reply = daemon.http("POST", "/registry/register",
                                [{"name": "big", "ip": f"10.1.0.{i + 1}", "port": 80}
                                 for i in range(N_BIG)])
    expect_equal(status, 201, f"register: {str(reply)[:200]}")
    return daemon


def ask(*arguments, time_s=5):
    return harness.dig(53, *arguments, server=nameserver, time_s=time_s)


def addresses(name):
    return ask(name, "A").data("A")


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False,
                          **options)


def getent(name, family="ahosts"):
    """The addresses of a name as programs with glibc find them."""
    done = run("getent", family, name)
    return [line.split()[0] for line in done.stdout.splitlines() if "STREAM" in line]


class Resolver:
    """The program of a recipe."""

    def __init__(self, *command, **options):
        self.log_path = os.path.join(harness.make_folder(), "log")
        with open(self.log_path, "ab") as log:
            self.process = harness.spawn(*command, stdout=log, stderr=log, **options)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_ready(self, name=PAYMENT):
        """Until it answers for the name."""

        def is_ready():
            expect(self.process.poll() is None,
                   f"ended with {self.process.returncode}:\n{self.log()}")
            return ask(name, "A", time_s=1).status == "NOERROR"

        try:
            wait_for(is_ready, harness.START_S, f"an answer for {name}")
        except harness.Failure as failure:
            raise harness.Failure(f"{failure}\n{self.log()[-4000:]}") from None

    def stop(self):
        self.process.terminate()
        self.process.wait(harness.STOP_S)


def check_needed(resolver, line, knows=lambda: ask("localhost", "A").status == "NOERROR"):
    """A resolver whose configuration lacks that line of the recipe answers others, but not for
    the zone; it is ended."""
    wait_for(knows, 20, "the resolver answers")
    reply = ask(PAYMENT, "A")
    expect(not reply.answer, f"without {line} there is no answer\n{reply.text}")
    resolver.stop()


def check_forwarding():
    """Every kind of answer, as people ask for them: with private addresses, more than UDP holds,
    and with the questions first that might lead a resolver to look for the zone elsewhere."""
    expect_equal(ask(ZONE, "NS").data("NS"), [f"ns.{ZONE}."], "NS")
    expect_equal(len(ask(ZONE, "SOA").answer), 1, "SOA")
    expect_equal(addresses(PAYMENT), ["10.0.1.1", "10.0.2.1", "10.0.3.1"], "A")
    expect_equal(addresses(PAYMENT.upper()), ["10.0.1.1", "10.0.2.1", "10.0.3.1"], "A, shouted")
    expect_equal(addresses(f"office.{ZONE}"), ["192.168.7.1"], "A, 192.168/16")
    expect_equal(ask(f"six.{ZONE}", "AAAA").data("AAAA"), ["fd00:db8::6"], "AAAA, fd00::/8")
    expect_equal(ask(f"_payment._tcp.{ZONE}", "SRV").data("SRV"),
                 [f"10 100 8080 n{n}.{PAYMENT}." for n in (1, 2, 3)], "SRV")
    expect_equal(addresses(f"n2.{PAYMENT}"), ["10.0.2.1"], "an SRV record's target")
    expect_equal(ask(PAYMENT, "TXT").data("TXT"), ['"version=7"'], "TXT")
    expect_equal(len(ask(f"big.{ZONE}", "A", "+noedns").answer), N_BIG, "A, by TCP")
    expect_equal(ask(f"nobody.{ZONE}", "A").status, "NXDOMAIN", "unknown name")
    reply = ask(f"six.{ZONE}", "A")
    expect_equal((reply.status, reply.answer), ("NOERROR", []), "NODATA")
    for record in ask(PAYMENT, "A").answer + ask(f"nobody.{ZONE}", "A").authority:
        expect(record.ttl <= TTL_S, f"no TTL is above the zone's: {record}")

    expect_equal(sorted(getent(PAYMENT)), ["10.0.1.1", "10.0.2.1", "10.0.3.1"], "getent")
    expect_equal(getent(f"six.{ZONE}", "ahostsv6"), ["fd00:db8::6"], "getent ahostsv6")
    expect_equal(run("getent", "ahosts", f"nobody.{ZONE}").returncode, 2, "getent, unknown name")


def check_changes(daemon):
    """Who registers is seen after the negative TTL at the latest, who leaves after the TTL."""
    expect_equal(getent(f"cart.{ZONE}"), [], "cart is not there yet")
    expect_equal(ask(f"cart.{ZONE}", "A").status, "NXDOMAIN", "nor for dig")
    daemon.register(name="cart", id="a", ip="10.2.0.1", port=80)
    wait_for(lambda: getent(f"cart.{ZONE}") == ["10.2.0.1"], TTL_S + SLACK_S, "cart is seen", 0.1)

    expect_equal(len(addresses(PAYMENT)), 3, "payment is in the cache")
    status, _ = daemon.http("DELETE", "/registry/services/payment/instances/n1")
    expect_equal(status, 200, "deregister")
    wait_for(lambda: sorted(getent(PAYMENT)) == ["10.0.2.1", "10.0.3.1"], TTL_S + SLACK_S,
             "n1 is gone", 0.1)


def check_at_once(daemon, known=True):
    """Nothing is cached: who registers and who leaves is seen by the next query. Not `known`: only
    that a name is not there is forgotten."""
    name = f"new.{ZONE}"
    for _ in range(3 if known else 1):
        expect_equal(ask(name, "A").status, "NXDOMAIN", "not yet")
        daemon.register(name="new", id="a", ip="10.3.0.1", port=80)
        expect_equal(addresses(name), ["10.3.0.1"], "seen at once")
        status, _ = daemon.http("DELETE", "/registry/services/new/instances/a")
        expect_equal(status, 200, "deregister")


def check_absence(daemon, back_s=SLACK_S):
    """Without rosterd names fail, once what is cached has expired: they do not become others, and
    are never said not to exist. When it is back, it is asked again."""
    expect_equal(len(addresses(PAYMENT)), 2, "payment is in the cache")
    daemon.stop()

    def status():
        return ask(PAYMENT, "A", time_s=1).status

    found = wait_for(lambda: [s for s in [status()] if s != "NOERROR"], TTL_S + SLACK_S,
                     "failures without rosterd", 0.1)
    expect(found[0] in (None, "SERVFAIL", "REFUSED"), f"without rosterd: {found[0]}")
    # Not long: what was asked meanwhile dnsmasq may not ask again until its own 10 s are over.
    set_patience(2)
    expect(not getent(PAYMENT), "getent without rosterd")
    daemon.start()
    wait_for(lambda: status() == "NOERROR", back_s, "payment is back", 0.1)
    expect_equal(len(getent(PAYMENT)), 2, "getent with rosterd again")


def check_all(daemon, **options):
    check_forwarding()
    check_changes(daemon)
    check_absence(daemon, **options)
