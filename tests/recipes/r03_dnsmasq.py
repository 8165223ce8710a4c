# SPDX-License-Identifier: BSD-2-Clause
"""contrib/recipes/dnsmasq, started as Debian's unit does, with rebinding protection on."""

import through  # first: it finds the harness
import harness
from harness import expect_equal, need, run

FOLDER = "/etc/dnsmasq.d"
RECIPE = through.recipe("dnsmasq", "rosterd.conf")


def start(*options):
    return through.Resolver("dnsmasq", "--keep-in-foreground", "--log-facility=-", "--no-resolv",
                            "--local-service", "--stop-dns-rebind", f"--conf-dir={FOLDER}",
                            "--conf-file=/dev/null", "--user=root", *options)


def check_needed():
    with open(RECIPE, encoding="utf-8") as file:
        text = "".join(line for line in file if "rebind" not in line)
    harness.write_etc("dnsmasq.d/rosterd.conf", text)
    through.check_needed(start(), "rebind-domain-ok",
                         lambda: through.ask(through.ZONE, "SOA").answer)


def check_options(daemon):
    """What the README says of them: one takes SRV away, one forgets what was not there."""
    dnsmasq = start("--filterwin2k", "--no-negcache")
    dnsmasq.wait_ready()
    expect_equal(through.ask(f"_payment._tcp.{through.ZONE}", "SRV").answer, [], "filterwin2k")
    through.check_at_once(daemon, known=False)
    dnsmasq.stop()


def main():
    need("dnsmasq")
    through.enter_place()
    daemon = through.start_rosterd()
    through.run("mkdir", "-p", FOLDER)
    check_needed()
    through.put(RECIPE, FOLDER)
    check_options(daemon)
    start().wait_ready()
    through.check_all(daemon)
    daemon.stop()


run(main)
