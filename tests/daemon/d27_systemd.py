# SPDX-License-Identifier: BSD-2-Clause
"""What a service manager sees: messages in the right order, a watchdog that is fed only while all
threads go round, and sockets that it opened itself."""

import json
import os
import re
import select
import signal
import socket
import sys

import harness
import wire
from harness import expect, expect_equal, wait_for

PINGS = 3
WATCHDOG_US = 400000
TCP_PER_CLIENT = 128  # limits.h
FILES = 200
DEFINITIONS = 100

LAUNCHER = """
import os, socket, sys
kinds = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}
sockets = []
for text in sys.argv[1].split(","):
    kind, port = text.split(":")
    both = kind.endswith("-both")
    kind = kind.replace("-both", "")
    one = socket.socket(socket.AF_INET6 if both else socket.AF_INET, kinds[kind])
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if both:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    one.bind(("::" if both else "127.0.0.1", int(port)))
    if kind == "tcp":
        one.listen(16)
    sockets.append(os.dup2(one.fileno(), 100 + len(sockets)))
for number, fd in enumerate(sockets):
    os.dup2(fd, 3 + number)
os.closerange(3 + len(sockets), 200)
os.environ["LISTEN_FDS"] = str(len(sockets))
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(harness.START_S)
        self.address = address.replace("\0", "@")

    def receive(self, skip=("WATCHDOG=1",)):
        """The lines of the next message that is not to be skipped."""
        while True:
            text = self.socket.recv(4096).decode()
            if text not in skip:
                return text.split("\n")

    def expect_pings(self, count):
        for _ in range(count):
            expect_equal(self.socket.recv(4096), b"WATCHDOG=1", "a ping")

    def is_quiet(self, for_s):
        self.socket.settimeout(for_s)
        try:
            self.socket.recv(4096)
            return False
        except socket.timeout:
            return True
        finally:
            self.socket.settimeout(harness.START_S)


def launch(daemon, variables):
    """Starts it with these in its environment."""
    saved = dict(os.environ)
    os.environ.update(variables)
    try:
        daemon.launch()
    finally:
        os.environ.clear()
        os.environ.update(saved)


def check_messages(manager):
    daemon = harness.Daemon("--workers", "2", wait=False)
    launch(daemon, {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": str(WATCHDOG_US)})
    first = manager.receive(skip=())
    expect_equal(first[0], "READY=1", "the first message")
    expect(f"MAINPID={daemon.process.pid}" in first, f"no MAINPID in {first}")
    expect_equal(daemon.http("GET", "/health/ready")[0], 200, "ready when it says so")
    manager.expect_pings(PINGS)

    daemon.send_signal(signal.SIGHUP)
    expect_equal(manager.receive()[0], "RELOADING=1", "at a reload")
    expect_equal(manager.receive()[0], "READY=1", "after a reload")

    check_standstill(daemon, manager)

    daemon.send_signal(signal.SIGTERM)
    expect_equal(manager.receive()[0], "STOPPING=1", "at the end")
    expect_equal(daemon.wait_exit(), 0, "exit status")


def check_standstill(daemon, manager):
    """A process that stands still feeds no watchdog, one that goes on does again."""
    daemon.send_signal(signal.SIGSTOP)
    wait_for(lambda: manager.is_quiet(2 * WATCHDOG_US / 1e6), 10, "no ping of a stopped process")
    daemon.send_signal(signal.SIGCONT)
    manager.expect_pings(PINGS)


def check_replacement(manager):
    """The new server says that it is the main process now; the old one does not say STOPPING."""
    daemon = harness.Daemon(wait=False)
    launch(daemon, {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": str(WATCHDOG_US),
                    "WATCHDOG_PID": "0"})
    expect_equal(manager.receive(skip=())[0], "READY=1", "the first message")
    expect(manager.is_quiet(WATCHDOG_US / 1e6), "a ping that another process should send")
    daemon.send_signal(signal.SIGUSR2)
    said = manager.receive()
    expect_equal(said[0], "READY=1", "the next message")
    pid = int(re.search(r"event=successor-started pid=(\d+)", daemon.log())[1])
    harness.cleanups.append(lambda: os.kill(pid, signal.SIGKILL) if harness.is_running(pid) else None)
    expect(f"MAINPID={pid}" in said, f"no MAINPID={pid} in {said}")
    expect_equal(daemon.wait_exit(), 0, "exit status of the old one")
    manager.expect_pings(PINGS)
    os.kill(pid, signal.SIGTERM)
    expect_equal(manager.receive()[0], "STOPPING=1", "at the end")
    wait_for(lambda: not harness.is_running(pid), harness.STOP_S, "the new one ends")


def check_replacement_with_files(manager):
    """The new server is the main process before the old one ends, however many files of services it
    has still to read: a service manager stops a service whose main process ends."""
    folder = harness.make_folder()
    services = os.path.join(folder, "services.d")
    os.mkdir(services)
    for number in range(FILES):
        definitions = [{"name": f"web-{number}", "id": f"i{i}", "ip": "10.0.0.1", "port": 80}
                       for i in range(DEFINITIONS)]
        harness.write_file(services, f"{number}.json", json.dumps(definitions))
    daemon = harness.Daemon(folder=folder, wait=False,
                            config="server: {services-dir: services.d}\n")
    launch(daemon, {"NOTIFY_SOCKET": manager.address})
    expect_equal(manager.receive()[0], "READY=1", "the first message")
    with open(os.pidfd_open(daemon.process.pid), "rb") as old:
        daemon.send_signal(signal.SIGUSR2)
        expect(select.select([old], [], [], harness.STOP_S)[0], "the old one ends")
    pid = int(re.search(r"event=successor-started pid=(\d+)", daemon.log())[1])
    harness.cleanups.append(lambda: os.kill(pid, signal.SIGKILL) if harness.is_running(pid) else None)
    expect(select.select([manager.socket], [], [], 0)[0], "nothing was said when the old one ended")
    said = manager.receive()
    expect(f"MAINPID={pid}" in said, f"no MAINPID={pid} in {said}")
    wait_for(lambda: daemon.log().count("event=ready") == 2, harness.START_S, "all files are read")
    os.kill(pid, signal.SIGTERM)
    expect_equal(manager.receive()[0], "STOPPING=1", "it was said once")
    wait_for(lambda: not harness.is_running(pid), harness.STOP_S, "the new one ends")


def check_activation():
    """More workers than sockets, an HTTP socket, and one that nobody wants."""
    daemon = harness.Daemon("--workers", "3", wait=False)
    strange = harness.free_port()
    sockets = (f"tcp:{daemon.http_port},udp:{daemon.dns_port},tcp:{daemon.dns_port},"
               f"udp:{strange}")
    daemon.prefix = [sys.executable, "-c", LAUNCHER, sockets]
    daemon.launch()
    daemon.prefix = []
    wait_for(daemon.is_ready, harness.START_S, "rosterd is ready")
    daemon.register(name="payment", ip="10.0.0.1", port=80)
    for way in ("+notcp", "+tcp"):
        for _ in range(8):
            reply = daemon.dig("payment.service.local", "A", way)
            expect_equal(reply.data("A"), ["10.0.0.1"], f"an answer with {way}")
    expect("event=sockets-unused sockets=1" in daemon.log(), "nobody told of the strange socket")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", strange))
    daemon.stop()


def check_both_families():
    """IPv4 clients of a socket for both families are limited as IPv4 clients: each by itself."""
    port = harness.free_port()
    daemon = harness.Daemon("--dns", f"::@{port}", "--workers", "1", wait=False,
                            config="server: {rate-limit: {rate: 1, slip: 0}}\n")
    daemon.prefix = [sys.executable, "-c", LAUNCHER, f"udp-both:{port},tcp-both:{port}"]
    daemon.launch()
    daemon.prefix = []
    wait_for(daemon.is_ready, harness.START_S, "rosterd is ready")
    with wire.udp_client(port) as client:
        for number in range(20):  # loopback, which is never limited
            expect_equal(wire.ask_udp(client, wire.query(number, "a.service.local")).id, number,
                         "an answer")
    with wire.tcp_client(port, "127.0.0.2") as other:
        crowd = [wire.tcp_client(port) for _ in range(TCP_PER_CLIENT + 1)]
        wire.ask_tcp(crowd[-1], wire.query(1, "a.service.local"))
        wire.ask_tcp(other, wire.query(2, "a.service.local"))
        for client in crowd:
            client.close()
    daemon.stop()


def main():
    harness.need("dig")
    check_messages(Manager(os.path.join(harness.make_folder(), "notify")))
    check_messages(Manager(f"\0rosterd-test-{os.getpid()}"))
    check_replacement(Manager(f"\0rosterd-test-new-{os.getpid()}"))
    check_replacement_with_files(Manager(f"\0rosterd-test-files-{os.getpid()}"))
    check_activation()
    check_both_families()


harness.run(main)
