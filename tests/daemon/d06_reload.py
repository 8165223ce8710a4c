# SPDX-License-Identifier: BSD-2-Clause
"""SIGHUP: zone files and zones change while the server runs; what is broken changes nothing."""

import os
import signal

import harness
from harness import expect, expect_equal

APEX = "$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n"


class Reloadable:
    """A daemon whose configuration and zone file are written anew and read again."""

    def __init__(self):
        self.folder = harness.make_folder()
        self.zone = os.path.join(self.folder, "service.local.zone")
        self.write_zone("www A 192.0.2.1\n")
        self.daemon = harness.Daemon(folder=self.folder, config=self.config())

    def config(self, *more):
        zones = [f"  - domain: service.local\n    file: {self.zone}\n", *more]
        return "server:\n  workers: 2\nzone:\n" + "".join(zones)

    def write_zone(self, lines):
        harness.write_file(self.folder, "service.local.zone", APEX + lines)

    def write_config(self, text):
        harness.write_file(self.folder, "rosterd.conf", text)

    def reload(self, result):
        """Sends SIGHUP and waits for the log to say what came of it."""
        before = len(self.daemon.log())
        self.daemon.send_signal(signal.SIGHUP)
        return harness.wait_for(
            lambda: [line for line in self.daemon.log()[before:].splitlines() if result in line],
            10, f"the log says {result} after SIGHUP")[0]


def check_zone_file(server):
    daemon = server.daemon
    expect_equal(daemon.addresses("www.service.local"), ["192.0.2.1"], "www")
    daemon.register(name="payment", ip="10.0.0.1", port=80)

    server.write_zone("www A 192.0.2.2\nnew A 192.0.2.3\n")
    server.reload("event=reloaded")
    expect_equal(daemon.addresses("www.service.local"), ["192.0.2.2"], "www, changed")
    expect_equal(daemon.addresses("new.service.local"), ["192.0.2.3"], "new, added")
    expect_equal(daemon.addresses("payment.service.local"), ["10.0.0.1"], "what is registered")

    server.write_zone("www A 192.0.2.4\nnew A 192.0.2.300\n")
    line = server.reload("level=error")
    expect("service.local.zone:6" in line, f"the line of the mistake is missing: {line}")
    expect_equal(daemon.addresses("www.service.local"), ["192.0.2.2"], "www, kept")
    expect_equal(daemon.addresses("new.service.local"), ["192.0.2.3"], "new, kept")

    server.write_zone("www A 192.0.2.2\nnew A 192.0.2.3\npayment A 192.0.2.5\n")
    line = server.reload("event=registration-shadowed")
    expect("name=payment " in line, f"the shadowed name is missing: {line}")
    expect_equal(daemon.addresses("payment.service.local"), ["192.0.2.5"], "payment, shadowed")
    server.write_zone("www A 192.0.2.2\nnew A 192.0.2.3\n")
    server.reload("event=reloaded")
    expect_equal(daemon.addresses("payment.service.local"), ["10.0.0.1"], "payment, back")

    os.unlink(server.zone)
    server.reload("level=error")
    expect_equal(daemon.addresses("www.service.local"), ["192.0.2.2"], "www without the file")

    server.write_zone("www A 192.0.2.5\n")
    server.reload("event=reloaded")
    expect_equal(daemon.addresses("www.service.local"), ["192.0.2.5"], "www, mended")
    expect_equal(daemon.dig("new.service.local", "A").status, "NXDOMAIN", "new, removed")


def check_zones(server):
    daemon = server.daemon
    expect_equal(daemon.dig("payment.eu.example", "A").status, "REFUSED", "a zone not yet there")
    server.write_config(server.config("  - domain: eu.example\n"))
    server.reload("event=reloaded")
    expect_equal(daemon.addresses("payment.eu.example"), ["10.0.0.1"], "in the added zone")
    expect_equal(daemon.addresses("payment.service.local"), ["10.0.0.1"], "in the old zone")

    server.write_config(server.config("  - domain: eu.example\n    colour: blue\n"))
    line = server.reload("level=error")
    expect("rosterd.conf:7:5" in line, f"line and column are missing: {line}")
    expect_equal(daemon.addresses("payment.eu.example"), ["10.0.0.1"], "after a bad file")

    server.write_config(server.config())
    server.reload("event=reloaded")
    expect_equal(daemon.dig("payment.eu.example", "A").status, "REFUSED", "the removed zone")
    expect_equal(daemon.addresses("payment.service.local"), ["10.0.0.1"], "in the old zone")


def main():
    harness.need("dig")
    server = Reloadable()
    check_zone_file(server)
    check_zones(server)
    server.daemon.stop()


harness.run(main)
