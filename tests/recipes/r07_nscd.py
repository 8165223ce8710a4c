# SPDX-License-Identifier: BSD-2-Clause
"""contrib/recipes/libc: nscd, with Debian's configuration, before glibc. It has its own time for
names that are not there, which --invalidate ends."""

import os
import re

import through  # first: it finds the harness
import harness
from harness import expect, expect_equal, run, wait_for

PROGRAM = "usr/sbin/nscd"
LATE = f"late.{through.ZONE}"


def start(program):
    for folder in ("/run/nscd", "/var/cache/nscd"):
        os.makedirs(folder, exist_ok=True)
    with open(os.path.join(program[:-len(PROGRAM)], "etc/nscd.conf"), encoding="utf-8") as file:
        # Debian's 20 seconds might be over on a slow machine.
        text = re.sub(r"(negative-time-to-live\s+hosts)\s+20", r"\1 3600", file.read())
    expect(" 3600" in text, "the time for names that are not there")
    path = harness.write_file(harness.make_folder(), "nscd.conf", text)
    nscd = through.Resolver(program, "--foreground", "--config-file", path)
    wait_for(lambda: os.path.exists("/run/nscd/socket"), harness.START_S, "nscd's socket")
    wait_for(lambda: len(through.getent(through.PAYMENT)) == 3, harness.START_S, nscd.log())


def main():
    program = through.find_program(PROGRAM)
    through.enter_place("/var/cache")
    daemon = through.start_rosterd(dns_port=53)
    start(program)
    expect_equal(through.getent(LATE), [], "not yet")
    daemon.register(name="late", id="a", ip="10.4.0.1", port=80)
    expect_equal(through.addresses(LATE), ["10.4.0.1"], "rosterd has it")
    expect_equal(through.getent(LATE), [], "nscd does not")
    expect_equal(through.run(program, "--invalidate", "hosts").returncode, 0, "nscd --invalidate")
    wait_for(lambda: through.getent(LATE) == ["10.4.0.1"], harness.START_S, "nscd has it")
    daemon.stop()


run(main)
