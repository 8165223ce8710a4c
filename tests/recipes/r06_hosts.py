# SPDX-License-Identifier: BSD-2-Clause
"""contrib/recipes/hosts, step by step: from a hosts file to a zone and registered services, both
side by side, and then without the file's lines."""

import json
import sys

import through  # first: it finds the harness
import harness
from harness import expect, expect_equal, run

HOSTS2ROSTERD = through.recipe("hosts", "hosts2rosterd")
PORTS = ["--port", "payment=8080", "--port", "six=80"]

# The lines of a file that has grown.
HOSTS = """127.0.0.1\tlocalhost
127.0.1.1\tbuilder.service.local builder
::1\tlocalhost ip6-localhost ip6-loopback
ff02::1 ip6-allnodes

# databases
10.0.9.1\tdb1.service.local db1 database   # the old one
10.0.9.2  DB2
10.0.9.2  db2.service.local.
fd00:db8::1 db1
10.0.1.1 payment
10.0.2.1 payment payment.service.local
fd00:db8::6 six
192.0.2.9 mirror.example.com mirror
10.0.9.300 broken
10.0.9.7 under_score
"""

LEFT_OUT = ["line 14: mirror.example.com is not a name", "line 15: not an address",
            "line 16: under_score is not a name"]

ZONE = {"db1": {"A 10.0.9.1", "AAAA fd00:db8::1"}, "database": {"A 10.0.9.1"},
        "db2": {"A 10.0.9.2"}, "mirror": {"A 192.0.2.9"}}

TRIMMED = """127.0.0.1\tlocalhost
127.0.1.1\tbuilder.service.local builder
::1\tlocalhost ip6-localhost ip6-loopback
ff02::1 ip6-allnodes

# databases
192.0.2.9\tmirror.example.com
10.0.9.300 broken
10.0.9.7 under_score
"""


def convert(*arguments, status=0):
    done = through.run(sys.executable, HOSTS2ROSTERD, *arguments)
    expect_equal(done.returncode, status, f"{arguments}: {done.stdout}{done.stderr}")
    return done.stdout, done.stderr


def make_zone(folder):
    text, said = convert("zone", *PORTS, "/etc/hosts")
    expect_equal(convert("zone", *PORTS)[0], text, "without the file's name")
    for line in LEFT_OUT:
        expect(line in said, f"{line}: not in {said}")
    expect_equal(len(said.splitlines()), len(LEFT_OUT), f"lines of {said}")
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 4 and words[1] == "60":
            found.setdefault(words[0], set()).add(f"{words[2]} {words[3]}")
    expect_equal(found, ZONE, "the zone's names")
    harness.write_file(folder, "service.local.zone", text)


def register(daemon):
    text, _ = convert("services", *PORTS, "/etc/hosts")
    expect_equal(json.loads(text),
                 [{"name": "payment", "ip": f"10.0.{i}.1", "port": 8080} for i in (1, 2)] +
                 [{"name": "six", "ip": "fd00:db8::6", "port": 80}], "registrations")
    done = through.run(harness.ROSTERCTL, "--http", f"127.0.0.1:{daemon.http_port}", "register", "-",
                       input=text)
    expect_equal(done.returncode, 0, f"rosterctl register: {done.stdout}{done.stderr}")


def check_check(daemon):
    """The same in both; then not."""
    said, _ = convert("check")
    expect(said.startswith("6 names are the same"), said)
    convert("check", "--server", "127.0.0.1")
    daemon.http("DELETE", "/registry/services/payment/instances/10-0-2-1-8080")
    said, _ = convert("check", status=1)
    expect("payment.service.local: the file has 10.0.1.1 10.0.2.1, DNS 10.0.1.1\n" in said, said)
    expect("5 names are the same in DNS, 1 are not" in said, said)


def check_side_by_side():
    """The file wins for what it has; a name that is the same is trimmed, another one is not."""
    expect_equal(sorted(through.getent("payment")), ["10.0.1.1", "10.0.2.1"], "the file wins")
    expect("payment" in convert("trim")[0], "what is not the same stays in the file")


def check_without(daemon):
    """Names come from DNS now, by their short names too, and follow the registry."""
    daemon.register(name="payment", ip="10.0.2.1", port=8080)
    before = {name: sorted(through.getent(name)) for name in ("payment", "six", "db1", "db2",
                                                              "mirror", "database")}
    text, _ = convert("trim")
    expect_equal(text, TRIMMED, "the trimmed file")
    harness.write_etc("hosts", text)
    after = {name: sorted(through.getent(name)) for name in before}
    expect_equal(after, before, "addresses with and without the lines")
    daemon.register(name="payment", ip="10.0.3.1", port=8080)
    expect("10.0.3.1" in through.getent("payment"), "a new instance is seen")


def main():
    through.enter_place()
    harness.write_etc("hosts", HOSTS)
    harness.write_etc("resolv.conf", "nameserver 127.0.0.1\nsearch service.local\n")
    folder = harness.make_folder()
    make_zone(folder)
    daemon = harness.Daemon(folder=folder, dns_port=53,
                            config="server: {zone-dir: .}\nzone: [{domain: service.local}]\n")
    convert("check", status=1)
    register(daemon)
    check_check(daemon)
    check_side_by_side()
    check_without(daemon)
    daemon.stop()


run(main)
