# SPDX-License-Identifier: BSD-2-Clause
"""Signals: it ends fast and clean with clients connected, and counts on after the worst."""

import http.client
import os
import signal
import socket
import subprocess
import time

import harness
import wire
from harness import expect, expect_equal

END_S = 2    # nothing is owed to anybody: less than any idle limit
DRAIN_S = 8  # a request has begun: it may still come, but not for ever


def revision(daemon):
    status, reply = daemon.http("GET", "/registry/services")
    expect_equal(status, 200, "services")
    return reply["revision"]


def check_end(number, half, limit_s):
    """With idle connections on both ports; `half`: and two that have sent half a request."""
    daemon = harness.Daemon("--workers", "2")
    daemon.register(name="payment", ip="10.0.0.1", port=80)
    idle = [socket.create_connection(("127.0.0.1", port), timeout=5)
            for port in [daemon.dns_port] * 5 + [daemon.http_port] * 5]
    if half:
        idle[0].sendall(b"\0\x20half")
        idle[5].sendall(b"POST /registry/register HTTP/1.1\r\nHost: localhost\r\nContent-Le")
    keep = http.client.HTTPConnection("127.0.0.1", daemon.http_port, timeout=5)
    keep.request("GET", "/health/live")
    expect_equal(keep.getresponse().read() != b"", True, "a reply on a kept connection")

    began = time.monotonic()
    daemon.send_signal(number)
    expect_equal(daemon.wait_exit(limit_s), 0, f"exit status after {number!r}")
    print(f"{signal.Signals(number).name}: {time.monotonic() - began:.2f} s")
    daemon.check_log()
    for client in idle:
        client.close()
    keep.close()


def check_impatience():
    """A second signal does not wait for a request that has begun."""
    daemon = harness.Daemon("--workers", "2")
    daemon.register(name="payment", ip="10.0.0.1", port=80)
    half = socket.create_connection(("127.0.0.1", daemon.http_port), timeout=5)
    half.sendall(b"POST /registry/register HTTP/1.1\r\nHost: localhost\r\nContent-Le")
    daemon.send_signal(signal.SIGTERM)
    harness.wait_for(lambda: "event=stopping" in daemon.log(), 5, "it stops")
    began = time.monotonic()
    daemon.send_signal(signal.SIGTERM)
    expect_equal(daemon.wait_exit(END_S), 0, "exit status after a second SIGTERM")
    print(f"a second SIGTERM: {time.monotonic() - began:.2f} s")
    half.close()
    daemon.start()
    expect_equal(daemon.addresses("payment.service.local"), ["10.0.0.1"], "what was acknowledged")
    daemon.stop()


def check_slow_peers():
    """What has begun to come is answered when it comes whole; a second signal ends the waiting."""
    daemon = harness.Daemon("--workers", "2")
    daemon.register(name="payment", ip="10.0.0.1", port=80)
    query = wire.frame(wire.query(7, "payment.service.local"))
    request = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    dns = [socket.create_connection(("127.0.0.1", daemon.dns_port), timeout=5) for _ in range(2)]
    http = [socket.create_connection(("127.0.0.1", daemon.http_port), timeout=5) for _ in range(2)]
    for clients, whole, part in ((dns, query, 9), (http, request, 20)):
        for client in clients:
            client.sendall(whole)  # so that it is known to be accepted
            expect(client.recv(512) != b"", "no reply to the first one")
            client.sendall(whole[:part])
    daemon.http("GET", "/health/live")  # comes behind the parts
    daemon.send_signal(signal.SIGTERM)
    harness.wait_for(lambda: "event=stopping" in daemon.log(), 5, "it stops")
    dns[0].sendall(query[9:])
    http[0].sendall(request[20:])
    expect(dns[0].recv(512)[2:4] == b"\0\7", "no answer to a query that began before the end")
    expect(b"200 OK" in http[0].recv(512), "no reply to a request that began before the end")
    expect_equal(daemon.process.poll(), None, "it waits for the others")
    began = time.monotonic()
    daemon.send_signal(signal.SIGTERM)
    expect_equal(daemon.wait_exit(END_S), 0, "exit status after a second signal")
    print(f"second signal: {time.monotonic() - began:.2f} s")
    for client in dns + http:
        client.close()


def check_second(daemon):
    """A second server on the same ports is refused, the first one serves on."""
    done = subprocess.run(daemon.command(), capture_output=True, text=True, timeout=20,
                          check=False, cwd=daemon.folder, stdin=subprocess.DEVNULL)
    expect_equal(done.returncode, 1, f"a second instance ({done.stderr!r})")
    expect_equal(daemon.addresses("payment.service.local"), ["10.0.0.1"], "the first one")


def check_restart():
    """kill -9 and again, with the same data: revisions go up, SOA serials with them."""
    daemon = harness.Daemon()
    for number in range(5):
        daemon.register(name="payment", ip="10.0.0.1", port=80, weight=number)
    check_second(daemon)
    before = revision(daemon)
    daemon.send_signal(signal.SIGKILL)
    daemon.wait_exit()
    daemon.start()
    after = revision(daemon)
    expect(after >= before, f"revision {after} after {before}")
    reply = daemon.register(name="payment", ip="10.0.0.1", port=80)
    expect(reply["revision"] > before, f"revision {reply['revision']} after {before}")
    daemon.stop()
    last = reply["revision"]
    daemon.start()
    expect(revision(daemon) >= last, "the revision went back over a clean restart")
    daemon.stop()
    expect(os.path.isdir(daemon.data), "no data folder")


def main():
    harness.need("dig")
    check_end(signal.SIGTERM, False, END_S)
    check_end(signal.SIGINT, False, END_S)
    check_end(signal.SIGTERM, True, DRAIN_S)
    check_impatience()
    check_slow_peers()
    check_restart()


harness.run(main)
