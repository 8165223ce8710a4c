# SPDX-License-Identifier: BSD-2-Clause
"""The wall clock is set forward and back by a day while the server runs, under queries and writes:
no lease and no check ends that did not earn it, those that did end, a client with a cookie gets a
new one, revisions go on. Only the server's own clock is set (libfaketime)."""

import glob
import os
import signal
import socket
import subprocess
import time

import harness
import load
import wire
from harness import expect, expect_equal, wait_for

DAY_S = 86400
LIMIT_S = 30
COOKIE = 10  # the option (RFC 7873)
CLIENT = bytes(range(8))

LIBRARIES = "/usr/lib/*/faketime/libfaketimeMT.so.1"


def library():
    """Where it is there, and the server starts with it: a sanitizer's does not."""
    for path in glob.glob(LIBRARIES):
        try:
            done = subprocess.run([harness.ROSTERD, "--version"], capture_output=True, timeout=20,
                                  env={**os.environ, "LD_PRELOAD": path}, check=False)
        except subprocess.TimeoutExpired:
            continue
        if done.returncode == 0 and not done.stderr:
            return path
    raise harness.Skip("libfaketime is not installed, or rosterd does not start with it")


def clean_up_behind(process):
    """What libfaketime leaves of one that was killed: another one with the same id, some day, would
    not start."""
    def clean_up():
        for path in glob.glob(f"/dev/shm/*faketime_s[eh]m_{process.pid}"):
            os.unlink(path)

    harness.cleanups.append(clean_up)


class Clock:
    """A file with how much the server's wall clock is ahead."""

    def __init__(self):
        self.path = os.path.join(harness.make_folder(), "clock")
        self.set(0)

    def set(self, ahead_s):
        harness.write_file(os.path.dirname(self.path), "clock.new", f"{ahead_s:+d}\n")
        os.rename(self.path + ".new", self.path)

    def prefix(self):
        return ("env", f"LD_PRELOAD={library()}", f"FAKETIME_TIMESTAMP_FILE={self.path}",
                "FAKETIME_DONT_FAKE_MONOTONIC=1", "FAKETIME_CACHE_DURATION=1")


def ahead_s(daemon):
    """What the server says of its wall clock."""
    status, reply = daemon.http("PUT", "/registry/services/drained/instances/i/admin",
                                {"state": "drain"})
    expect_equal(status, 200, f"{reply}")
    return reply["safe_after"] - time.time()


def metric(daemon, name):
    for line in daemon.http("GET", "/metrics")[1].splitlines():
        if line.startswith(name + " "):
            return float(line.rpartition(" ")[2])
    raise harness.Failure(f"no metric {name}")


def ask(daemon, cookie):
    """Asks with that cookie, gets the right answer, and the cookie from now on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", daemon.dns_port))
        client.settimeout(LIMIT_S)
        message = wire.HEADER.pack(7, wire.RD, 1, 0, 0, 1) + \
            wire.question(f"{load.STEADY}.{load.ZONE}") + \
            wire.opt(options=wire.option(COOKIE, cookie))
        reply = wire.ask_udp(client, message)
    expect_equal(reply.rcode, wire.NOERROR, "a query with a cookie")
    expect_equal([record.rdata for record in reply.answer], [load.ADDRESS], "its answer")
    rdata = reply.edns()[0].rdata
    expect(rdata[:4] == b"\0\x0a\0\x18" and rdata[4:12] == CLIENT, f"a cookie: {rdata.hex()}")
    return rdata[4:]


def states(daemon):
    return {state: metric(daemon, f'rosterd_dns_cookies_total{{state="{state}"}}')
            for state in ("new", "valid", "bad")}


def is_state(daemon, cookie, state):
    before = states(daemon)
    ask(daemon, cookie)
    return states(daemon)[state] == before[state] + 1


def check_jump(daemon, clock, to_s, cookie):
    """Returns the cookie that is good now, and the newest revision."""
    clock.set(to_s)
    wait_for(lambda: abs(ahead_s(daemon) - to_s) < 3600, LIMIT_S, f"the clock is {to_s} s ahead")
    wait_for(lambda: is_state(daemon, cookie, "bad"), LIMIT_S, "the old cookie is none any more")
    cookie = ask(daemon, cookie)
    expect(is_state(daemon, cookie, "valid"), "the new cookie is not good")
    for name in ("leased", "checked", "probed"):
        expect_equal(len(daemon.addresses(f"{name}.service.local")), 1, name)
    _, reply = daemon.http("GET", "/registry/services/leased/instances/i")
    expect(3600 - LIMIT_S * 8 < reply["lease_left"] <= 3600, f"left: {reply['lease_left']}")
    began = time.monotonic()
    revision = daemon.register(name="short", id="i", ip="10.0.0.9", port=80, lease=1)["revision"]
    wait_for(lambda: not daemon.addresses("short.service.local"), LIMIT_S, "a lease ends")
    expect(time.monotonic() - began >= 0.99, "a lease ends too early")
    daemon.send_signal(signal.SIGUSR1)
    return cookie, revision


def main():
    harness.need("dig")
    clock = Clock()
    daemon = harness.Daemon(prefix=clock.prefix())
    clean_up_behind(daemon.process)
    web = harness.free_port()
    harness.spawn_http_server("127.0.0.1", web)
    for name, more in (("leased", {"lease": 3600}), ("drained", {}),
                       ("checked", {"checks": [{"kind": "ttl", "ttl": "1h",
                                                "initial": "passing"}]}),
                       ("probed", {"checks": [{"kind": "http", "path": "/health",
                                               "interval": 1, "timeout": 1}]})):
        daemon.register(name=name, id="i", ip="127.0.0.1", port=web, **more)
    wait_for(lambda: daemon.addresses("probed.service.local"), LIMIT_S, "a check passes")
    running = load.Load(daemon)
    wait_for(running.acknowledged, LIMIT_S, "writes are taken")
    pauses = metric(daemon, "rosterd_pauses_credited_total")
    cookie = ask(daemon, CLIENT)
    expect(is_state(daemon, cookie, "valid"), "a cookie is not good")
    revision = 0
    for number, to_s in enumerate((DAY_S, 0, -DAY_S), 1):
        cookie, newest = check_jump(daemon, clock, to_s, cookie)
        expect(revision < newest and (not revision or newest - revision < 1 << 24),
               f"revision {newest} after {revision}")
        revision = newest
        wait_for(lambda number=number: daemon.log().count("event=dumped") == number, LIMIT_S,
                 "a dump")
        expect_equal(metric(daemon, "rosterd_expiries_total"), number, "leases that ended")
        expect_equal(metric(daemon, 'rosterd_checks_total{result="fail"}'), 0, "failed checks")
    running.stop()
    revision = running.check()
    serial = load.serial(daemon)
    print(f"{running}; pauses credited: "
          f"{metric(daemon, 'rosterd_pauses_credited_total') - pauses:.0f}")
    daemon.send_signal(signal.SIGKILL)
    daemon.wait_exit()
    os.truncate(daemon.log_path, 0)
    daemon.start()
    newest = running.check()
    expect(newest >= revision, f"revision {newest} after {revision}, a day back")
    expect(not load.is_behind(load.serial(daemon), serial), "the serial went back")
    daemon.stop()


harness.run(main)
