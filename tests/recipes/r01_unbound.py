# SPDX-License-Identifier: BSD-2-Clause
"""contrib/recipes/unbound, added to Debian's own configuration of unbound."""

import os

import through  # first: it finds the harness
import harness
from harness import expect_equal, need, run

RECIPE = through.recipe("unbound", "rosterd.conf")
FOLDER = "/etc/unbound/unbound.conf.d"

# Filters that hosts have for other names, and no services of unbound's beside DNS. Nobody answers
# for the root here: it stands for a validating resolver.
OTHERS = """
server:
    private-address: 10.0.0.0/8
    private-address: 192.168.0.0/16
    private-address: fd00::/8
    trust-anchor: ". DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"
remote-control:
    control-enable: no
"""

# The lines that do the work, and what fails without them.
NEEDED = ["do-not-query-localhost", "domain-insecure", "private-domain"]


def start():
    return through.Resolver("unbound", "-d", "-p")


def without(words):
    with open(RECIPE, encoding="utf-8") as file:
        return "".join(text for text in file if words not in text)


def check_needed(line):
    harness.write_etc("unbound/unbound.conf.d/rosterd.conf", without(line))
    through.check_needed(start(), line)


def check_no_cache(daemon):
    """The recipe's last clause is the zone's, which may have this line, too."""
    harness.write_etc("unbound/unbound.conf.d/rosterd.conf",
                      without("no such line") + "    stub-no-cache: yes\n")
    unbound = start()
    unbound.wait_ready()
    through.check_at_once(daemon)
    unbound.stop()


def main():
    need("unbound")
    through.enter_place("/var/lib/unbound")
    for name in os.listdir(FOLDER):
        if "remote-control" in name or "trust-anchor" in name:
            os.unlink(os.path.join(FOLDER, name))
    harness.write_etc("unbound/unbound.conf.d/others.conf", OTHERS)
    daemon = through.start_rosterd()
    for line in NEEDED:
        check_needed(line)
    check_no_cache(daemon)

    through.put(RECIPE, FOLDER)
    expect_equal(through.run("unbound-checkconf").returncode, 0, "unbound-checkconf")
    start().wait_ready()
    through.check_all(daemon)
    daemon.stop()


run(main)
