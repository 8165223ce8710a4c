# SPDX-License-Identifier: BSD-2-Clause
"""contrib/recipes/bind, added to Debian's own configuration of BIND."""

import through  # first: it finds the harness
import harness
from harness import expect_equal, need, run

ZONES = "/etc/bind/named.conf.local"
OPTIONS = "/etc/bind/named.conf.options"

# A filter against private addresses from outside, as hosts have it for other names.
FILTER = """
deny-answer-addresses { 10.0.0.0/8; 192.168.0.0/16; fd00::/8; } except-from { "service.local"; };
"""


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def include_options(*lines):
    """Into the block that Debian's file has."""
    text = read(OPTIONS)
    end = text.rindex("};")
    harness.write_etc("bind/named.conf.options", text[:end] + "\n".join(lines) + text[end:])


def start():
    return through.Resolver("named", "-g", "-n", "1")


def check_needed():
    """A zone that nobody signed, below a root that did: it takes the exception."""
    through.check_needed(start(), "validate-except")


def main():
    need("named", "named-checkconf")
    through.enter_place("/var/cache/bind")
    daemon = through.start_rosterd()
    through.put(through.recipe("bind", "rosterd.zones"), "/etc/bind")
    harness.write_etc("bind/named.conf.local", 'include "/etc/bind/rosterd.zones";\n')
    check_needed()

    through.put(through.recipe("bind", "rosterd.options"), "/etc/bind")
    include_options('include "/etc/bind/rosterd.options";', FILTER)
    done = through.run("named-checkconf", "-p")
    expect_equal((done.returncode, done.stderr), (0, ""), f"named-checkconf: {done.stdout}")
    start().wait_ready()
    through.check_all(daemon)
    daemon.stop()


run(main)
