# SPDX-License-Identifier: BSD-2-Clause
"""contrib/recipes/deploy: a rolling restart of three instances under load fails no request, of who
asks DNS each time and of who keeps answers for their TTL; and it stops where one does not come back.
"""

import http.server
import os
import random
import re
import struct
import subprocess
import threading
import time

import behind
import harness
import wire
from harness import expect, expect_equal

SERVICE = "web"
NAME = f"_{SERVICE}._tcp.service.local"
LIMIT_S = 6  # until one that does not come back is given up; the others are back in a second or two


class Follower:
    """A client without any retry: what DNS named, it asks. Keeps each answer for its TTL, or none."""

    def __init__(self, daemon, keeps):
        self.client = wire.udp_client(daemon.dns_port)
        self.keeps = keeps
        self.ports = []
        self.asked_at = 0
        self.ttl_s = 0

    def lookup(self):
        began = time.monotonic()
        self.client.send(wire.query(1, NAME, wire.SRV, edns=1232))
        reply = wire.Message(self.client.recv(65536))
        expect(reply.rcode == wire.NOERROR and reply.answer, "an empty answer")
        self.ports = [struct.unpack_from(">H", record.rdata, 4)[0] for record in reply.answer]
        self.ttl_s = min(record.ttl for record in reply.answer)
        self.asked_at = began

    def ask(self):
        if not self.keeps or time.monotonic() >= self.asked_at + self.ttl_s:
            self.lookup()
        return behind.get(f"http://127.0.0.1:{random.choice(self.ports)}/")


class Fleet:
    """Three instances, and a door for the command that restarts one: each start has a new name."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.instances = {}
        self.broken = set()  # they do not start again
        for name in "abc":
            self.instances[name] = behind.Instance(f"{name}-1")
            # A busy machine may keep all of them from replying within the interval, for a while.
            daemon.register(name=SERVICE, id=name, ip="127.0.0.1", ttl="1s",
                            port=self.instances[name].port,
                            checks=[{"kind": "http", "path": "/", "interval": "250ms", "fall": 12}])
        harness.wait_for(lambda: len(daemon.dig(NAME, "SRV").answer) == 3, behind.SETTLE_S,
                         "three instances are in DNS")
        self.door = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        threading.Thread(target=self.door.serve_forever, daemon=True).start()
        self.command = harness.write_file(
            harness.make_folder(), "restart", "#!/bin/sh\nexec curl -sf --noproxy '*' "
            f"\"http://127.0.0.1:{self.door.server_address[1]}/$1\"\n")
        os.chmod(self.command, 0o755)

    def handler(fleet):  # pylint: disable=no-self-argument
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                fleet.restart(self.path[1:])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_arguments):
                pass

        return Handler

    def restart(self, name):
        instance = self.instances[name]
        instance.stop()
        number = int(instance.name.split("-")[1]) + 1
        instance.name = f"{name}-{number}"
        if name not in self.broken:
            instance.start()

    def roll(self, *names, limit_s=60):
        """The recipe, with the commands in PATH that its reader would have there."""
        path = f"{os.path.dirname(harness.ROSTERCTL)}:{behind.PATH}"
        return subprocess.run(
            [behind.recipe("deploy", "rolling-restart"), SERVICE, self.command, *names],
            capture_output=True, text=True, timeout=100, check=False,
            env={"PATH": path, "ROSTERD_HTTP": f"127.0.0.1@{self.daemon.http_port}",
                 "HOME": "/nonexistent", "GRACE_S": "1", "LIMIT_S": str(limit_s)})

    def admin(self, name):
        return self.daemon.http("GET", f"/registry/services/{SERVICE}/instances/{name}")[1]["admin"]


def check_failure(fleet):
    """Stops at one that does not come back, which nobody is sent to."""
    fleet.broken.add("b")
    done = fleet.roll("a", "b", "c", limit_s=LIMIT_S)
    expect_equal(done.returncode, 1, done.stderr)
    expect("web a: restarted" in done.stderr, done.stderr)
    expect(f"web b: not healthy {LIMIT_S} s after its restart" in done.stderr, done.stderr)
    expect("restarted: a; not touched: c" in done.stderr, done.stderr)
    expect_equal([fleet.admin(name) for name in "abc"], ["auto", "drain", "auto"], "admin states")
    expect_equal(fleet.instances["c"].name, "c-1", "c was not touched")
    return done.stderr


def check_going_on(fleet, said):
    """As it was said: b is mended, and c is not forgotten."""
    again = re.search(r"on: mend it, then: \S+ web \S+ (.*)$", said, re.M).group(1).split()
    expect_equal(again, ["b", "c"], said)
    fleet.broken.clear()
    fleet.instances["b"].start()
    done = fleet.roll(*again)
    expect_equal(done.returncode, 0, done.stderr)


def check_refusals(fleet):
    """The last one is not drained, and without rosterd nothing is touched."""
    for name in "bc":
        fleet.daemon.http("DELETE", f"/registry/services/{SERVICE}/instances/{name}")
    done = fleet.roll("a")
    expect_equal(done.returncode, 1, done.stderr)
    expect("no other instance is served" in done.stderr, done.stderr)
    expect_equal(fleet.admin("a"), "auto", "the last one")
    fleet.daemon.stop()
    done = fleet.roll("a")
    expect_equal((done.returncode, fleet.instances["a"].name), (1, "a-2"), done.stderr)


def main():
    harness.need("curl", "dig")
    fleet = Fleet(harness.Daemon())
    loads = [behind.Load(Follower(fleet.daemon, keeps).ask) for keeps in (False, True)]
    for load in loads:
        for name in "abc":
            load.wait_name(f"{name}-1")
    check_going_on(fleet, check_failure(fleet))
    for load in loads:
        for name in ("a-2", "b-3", "c-2"):
            load.wait_name(name)
        load.end()
    check_refusals(fleet)


harness.run(main)
