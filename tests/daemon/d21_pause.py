#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A server that was stopped for a while charges nobody for it: leases and checks go on where they
were. One that runs ends a lease when it is over. A slow machine does no harm: times are lower
bounds, and what must be quick has several tries.

ROSTERD_PAUSE_S=300 stops it for five minutes."""

import http.client
import json
import os
import re
import signal
import socket
import time

import harness
import load
from harness import expect, expect_equal, wait_for

LEASE_S = 2
STOP_S = float(os.environ.get("ROSTERD_PAUSE_S", "4"))
PAUSE_S = 0.25  # LIMIT_PAUSE_MS: charged of every pause
LIMIT_S = 30 + STOP_S

held = []  # connections of probes

def state_of(process):
    with open(f"/proc/{process.pid}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0]


def renew(daemon, port, path):
    """Registers all anew, with their whole time ahead of them; returns a moment before that."""
    begun = time.monotonic()
    for number, service in enumerate(("leased", "renewed"), 1):
        daemon.register(name=service, id="i", ip=f"10.0.0.{number}", port=80, lease=LEASE_S)
    daemon.register(name="checked", id="i", ip="10.0.0.3", port=80,
                    checks=[{"kind": "ttl", "ttl": LEASE_S}])
    daemon.register(name="probed", id="i", ip="127.0.0.1", port=port,
                    checks=[{"kind": "http", "path": f"/{path}", "timeout": LEASE_S,
                             "initial": "passing"}])
    found, reply = daemon.http("POST", "/registry/heartbeat", {"service": "checked", "id": "i"})
    expect_equal(found, 200, f"heartbeat: {reply}")
    return begun


def stop(daemon):
    daemon.send_signal(signal.SIGSTOP)
    wait_for(lambda: state_of(daemon.process) == "T", LIMIT_S, "rosterd is stopped")
    return time.monotonic()


def pause(daemon, target):
    """Stops the process for STOP_S, all being alive and a probe under way, and sends a heartbeat
    meanwhile. Returns when the leases began, and the stop, and when it ended."""
    for number in range(10):
        begun = renew(daemon, target.getsockname()[1], f"try{number}")
        held.append(target.accept())  # and never answered
        stopped = stop(daemon)
        if stopped - begun < LEASE_S / 2:
            break
        daemon.send_signal(signal.SIGCONT)  # a slow machine: again
    connection = http.client.HTTPConnection("127.0.0.1", daemon.http_port, timeout=LIMIT_S)
    connection.request("POST", "/registry/heartbeat", '{"service": "renewed", "id": "i"}')
    # The stop itself is what is waited for.
    wait_for(lambda: time.monotonic() - stopped >= STOP_S, LIMIT_S, "the stop is long")
    resumed = time.monotonic()
    daemon.send_signal(signal.SIGCONT)
    expect_equal(connection.getresponse().status, 200, "a heartbeat that came during the stop")
    connection.close()
    return begun, stopped, resumed


def pauses(daemon):
    return int(re.search(r"^rosterd_pauses_credited_total (\d+)$",
                         daemon.http("GET", "/metrics")[1], re.M).group(1))


def check_lease_end(daemon):
    """Never before its time, and within 100 ms of it unless the machine has no time for us."""
    watch = http.client.HTTPConnection("127.0.0.1", daemon.http_port, timeout=LIMIT_S)
    index = daemon.http("GET", "/registry/services")[1]["revision"]
    for _ in range(10):
        begun = time.monotonic()
        daemon.register(name="short", id="i", ip="10.0.0.9", port=80, lease=1)
        renewed = time.monotonic()
        kinds = []
        while "expired" not in kinds:
            watch.request("GET", f"/registry/watch?service=short&index={index}&wait=20s")
            reply = json.loads(watch.getresponse().read())
            index = reply["index"]
            kinds = [event["event"] for event in reply["events"]]
        gone = time.monotonic()
        expect(gone - begun >= 0.999, f"gone after {gone - begun:.3f} s of 1 s")
        if gone - renewed <= 1.1:
            break
    expect(gone - renewed <= 1.1, f"gone after {gone - renewed:.3f} s of 1 s, ten times")
    watch.close()


def check_pause(daemon):
    before = pauses(daemon)
    target = socket.create_server(("127.0.0.1", 0))
    target.settimeout(LIMIT_S)
    begun, stopped, resumed = pause(daemon, target)

    # What is left of the two seconds, and not less, passes before they are gone.
    gone = {}
    names = ("leased", "checked", "probed")

    def look():
        for name in names:
            if name not in gone and not daemon.addresses(f"{name}.service.local"):
                gone[name] = time.monotonic()
        return len(gone) == len(names)

    wait_for(look, LIMIT_S, "leases, checks and the probe end after all")
    for name in names:
        ran = (stopped - begun) + PAUSE_S + (gone[name] - resumed)
        expect(ran >= LEASE_S - 0.01, f"{name} had {ran:.3f} s of {LEASE_S} s")
    expect_equal(daemon.dig("leased.service.local", "A").status, "NXDOMAIN", "the lease's end")
    expect_equal(daemon.dig("checked.service.local", "A").status, "NOERROR", "the check's end")

    expect(pauses(daemon) > before, "the pause is counted")
    credited = [int(ms) for ms in re.findall(r"event=pause-credited ms=(\d+)", daemon.log())]
    least = (resumed - stopped - PAUSE_S) * 1000 - 10
    expect(any(ms >= least for ms in credited), f"no credit of {least} ms: {credited}")


def main():
    if "ROSTERD_PAUSE_S" in os.environ:
        signal.alarm(0)  # it takes what it takes
    daemon = harness.Daemon()
    check_lease_end(daemon)
    running = load.Load(daemon, is_patient=True, answer_s=LIMIT_S)
    check_pause(daemon)
    running.stop()
    running.check()
    print(running)
    daemon.stop()


harness.run(main)
