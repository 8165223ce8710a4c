# SPDX-License-Identifier: BSD-2-Clause
"""Replacements of the running server: not one query lost, no acknowledged registration either, and
a new server that fails changes nothing.

By hand, at length: REPLACEMENTS=100 QUERY_RATE=20000.
"""

import http.client
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading

import harness
import wire
from harness import expect, expect_equal, wait_for

REPLACEMENTS = int(os.environ.get("REPLACEMENTS", "5"))
QUERY_RATE = os.environ.get("QUERY_RATE", "2000")
STEADY = os.path.join(os.path.dirname(os.path.abspath(harness.ROSTERD)), "tests/daemon/steady")
NAME = "payment.service.local"

# A new server that stops where it is told to: the old one takes it for a process of its kind.
FAKE = """
import socket, sys
talk = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
talk.connect(sys.argv[1])
for word in sys.argv[2:]:
    if word.startswith("until "):
        while True:
            try:
                reply = talk.recv(600)
            except ConnectionResetError:  # the other side hung up; its last words come now
                continue
            if not reply or reply.startswith(b"refused"):
                print("end", reply.decode(), flush=True)
                sys.exit(3)
            if reply.decode().startswith(word[6:]):
                break
    else:
        try:
            talk.send(word.encode("latin-1"))
        except BrokenPipeError:
            pass
print("there", flush=True)
sys.stdin.read()
"""


class Steady:
    """Queries that come in whatever happens."""

    def __init__(self, daemon):
        self.process = harness.spawn(STEADY, str(daemon.dns_port), QUERY_RATE, NAME, "10.0.0.1",
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def end(self):
        text, _ = self.process.communicate(timeout=harness.WHOLE_TEST_S)
        print(text, end="")
        numbers = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", text)}
        expect(numbers["sent"] > 0, "nothing was asked")
        expect_equal(numbers["wrong"], 0, "wrong replies")
        expect_equal(numbers["answered"], numbers["sent"], "queries answered")


class Writer(threading.Thread):
    """Registers one service after the other, and keeps what was acknowledged."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.daemon_process = daemon
        self.acknowledged = []
        self.failed = 0
        self.complaint = None
        self.is_ending = False

    def run(self):
        revision = number = 0
        while not self.is_ending:
            number += 1
            name = f"during-{number}"
            try:
                status, reply = self.daemon_process.http(
                    "POST", "/registry/register", {"name": name, "ip": "10.1.0.1", "port": 80})
            except (OSError, http.client.HTTPException):
                self.failed += 1
                continue
            if status != 201:
                self.complaint = f"{name}: {status} {reply}"
                continue
            if reply["revision"] <= revision:
                self.complaint = f"{name}: revision {reply['revision']} after {revision}"
            revision = reply["revision"]
            self.acknowledged.append(name)
            harness.pauses.wait(0.01)

    def end(self):
        self.is_ending = True
        self.join()
        expect(not self.complaint, self.complaint)


def replace(daemon, *flags, limit_s=harness.START_S):
    """Starts a new server in the old one's place and returns the old one's process."""
    old = daemon.process
    harness.helpers.append(old)
    saved = daemon.flags
    daemon.flags = [*saved, *flags, "--replace"]
    daemon.launch()
    daemon.flags = saved
    try:
        expect_equal(old.wait(limit_s), 0, "the old server's exit status")
    except subprocess.TimeoutExpired:
        raise harness.Failure("the old server goes on") from None
    wait_for(daemon.is_ready, harness.START_S, "the new server is ready")
    return old


def expect_registered(daemon, names):
    for name in names:
        expect_equal(daemon.http("GET", f"/registry/services/{name}")[0], 200, name)


def check_many(daemon):
    """Under queries and registrations, with another number of workers each time."""
    writer = Writer(daemon)
    writer.start()
    names = []
    for number in range(REPLACEMENTS):
        names.append(f"before-{number}")
        daemon.register(name=names[-1], ip="10.2.0.1", port=80)
        seen = len(writer.acknowledged)
        wait_for(lambda: len(writer.acknowledged) > seen, 10, "registrations go on")
        replace(daemon, "--workers", str((2, 1, 3)[number % 3]))
        names.append(f"after-{number}")
        daemon.register(name=names[-1], ip="10.2.0.1", port=80)
    writer.end()
    print(f"{len(writer.acknowledged)} registrations meanwhile, {writer.failed} to be repeated")
    expect_registered(daemon, names + writer.acknowledged)


def check_tcp(daemon):
    """What a client has begun to ask is answered; an idle connection is closed."""
    query = wire.frame(wire.query(7, NAME))
    half, idle = (socket.create_connection(("127.0.0.1", daemon.dns_port), timeout=10)
                  for _ in range(2))
    for client in (half, idle):
        client.sendall(query)
        expect(client.recv(512) != b"", "no first reply")
    half.sendall(query[:5])
    old = daemon.process
    thread = threading.Thread(target=replace, args=(daemon,))
    thread.start()
    expect_equal(idle.recv(1), b"", "an idle connection")
    expect_equal(old.poll(), None, "the old server waits")
    half.sendall(query[5:])
    expect(half.recv(512)[2:4] == b"\0\7", "no reply to a query that was half there")
    thread.join()
    expect_equal(daemon.process.poll(), None, "the new server runs")
    half.close()
    idle.close()


def count_valid_cookies(daemon):
    text = daemon.http("GET", "/metrics")[1]
    return int(re.search(r'^rosterd_dns_cookies_total\{state="valid"\} (\d+)', text, re.M)[1])


def check_cookies(daemon):
    """The cookie that the old server gave is good for the new one."""
    reply = daemon.dig(NAME, "A", "+cookie=0123456789abcdef")
    cookie = re.search(r"; COOKIE: ([0-9a-f]{48})", reply.text)
    expect(cookie, "no cookie")
    replace(daemon)
    before = count_valid_cookies(daemon)
    daemon.dig(NAME, "A", f"+cookie={cookie[1]}")
    expect_equal(count_valid_cookies(daemon), before + 1, "valid cookies")


# ---- New servers that fail ----


def expect_well(daemon, old, about):
    """The old server serves and writes on."""
    expect_equal(old.poll(), None, f"the old server after {about}")
    wait_for(daemon.is_ready, 10, f"the old server is ready after {about}")
    name = f"well-{re.sub('[^a-z]', '-', about)}"
    daemon.register(name=name, ip="10.0.0.2", port=80)
    expect_equal(daemon.addresses(f"{name}.service.local"), ["10.0.0.2"], name)
    expect_equal(daemon.http("GET", "/registry/watch?wait=1s")[0], 200, f"a watcher after {about}")


def check_bad_configuration(daemon):
    old = daemon.process
    path = harness.write_file(daemon.folder, "bad.conf", "server:\n  wokers: 2\n")
    done = subprocess.run([*daemon.command(), "-c", path, "--replace"], capture_output=True,
                          text=True, timeout=20, check=False)
    expect_equal(done.returncode, 78, "exit status")
    expect("bad.conf:2:3" in done.stderr, f"no place in {done.stderr!r}")
    expect("replace-begun" not in daemon.log()[-200:], "the old server was bothered")
    expect_well(daemon, old, "a bad configuration")


def check_no_port(daemon):
    """It fails when it has everything but a port of its own."""
    old = daemon.process
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        command = daemon.command()
        command[command.index("--http") + 1] = f"127.0.0.1@{taken.getsockname()[1]}"
        done = subprocess.run([*command, "--replace"], capture_output=True, text=True, timeout=30,
                              check=False)
    expect_equal(done.returncode, 1, "exit status")
    wait_for(lambda: "event=resumed" in daemon.log(), 10, "the old server resumes")
    expect(re.search(r'event=replace-failed reason="event=listen-failed door=http', daemon.log()),
           "the old server does not say why")
    expect_well(daemon, old, "a port that is taken")


def fake(daemon, *words):
    """A process that says these, and what it prints first: where it stands."""
    process = harness.spawn(sys.executable, "-c", FAKE, os.path.join(daemon.data, "control.sock"),
                            *words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline()


UNTIL_YOURS = ("replace 1 x", "until state", "yield", "until yours")


def check_killed(daemon):
    """In the middle: it has everything, and the old server is frozen. DNS goes on, requests wait."""
    old = daemon.process
    resumed = daemon.log().count("event=resumed")
    process, said = fake(daemon, *UNTIL_YOURS)
    expect_equal(said, "there\n", "the fake server")
    expect_equal(daemon.addresses(NAME), ["10.0.0.1"], "the frozen server")
    second, said = fake(daemon, *UNTIL_YOURS)
    expect("another replacement is under way" in said, f"a second one: {said!r}")
    harness.end(second)
    replies = []
    request = threading.Thread(target=lambda: replies.append(
        daemon.http("POST", "/registry/register", {"name": "waits", "ip": "10.0.0.3", "port": 1})))
    request.start()
    harness.end(process)
    request.join()
    expect_equal(replies[0][0], 201, "a request that waited")
    expect_equal(daemon.log().count("event=resumed"), resumed + 1, "resumed")
    expect_well(daemon, old, "a new server that was killed")


def check_hanging(daemon):
    """It hangs up and lives on: it must not keep the files."""
    old = daemon.process
    process, said = fake(daemon, *UNTIL_YOURS, "failed on purpose")
    expect_equal(said, "there\n", "the fake server")
    expect_equal(process.wait(20), -signal.SIGKILL, "the end of one that lives on")
    expect('reason="on purpose"' in daemon.log(), "the reason is not told")
    expect_well(daemon, old, "a new server that lives on")


def check_checks(daemon):
    """They run on in the old server when the new one fails, and in the new one when it does not."""
    port = harness.free_port()
    name = "checked.service.local"
    server = harness.spawn_http_server("127.0.0.1", port)
    daemon.register(name="checked", ip="127.0.0.1", port=port, checks=[
        {"kind": "http", "path": "/health", "interval": "100ms", "timeout": "100ms"}])
    daemon.wait_addresses(name, ["127.0.0.1"], 40)
    old = daemon.process
    harness.end(fake(daemon, *UNTIL_YOURS)[0])
    expect_well(daemon, old, "checks stood still")
    harness.end(server)
    daemon.wait_addresses(name, [], 10)
    replace(daemon)
    expect_equal(daemon.addresses(name), [], "the last known status")
    harness.spawn_http_server("127.0.0.1", port)
    daemon.wait_addresses(name, ["127.0.0.1"], 40)
    daemon.http("POST", "/registry/deregister", {"service": "checked", "id": f"127-0-0-1-{port}"})


def check_strangers(daemon):
    old = daemon.process
    for words, answer in ((("replace 999 x", "until state"), "speaks version 1"),
                          (("\1\2\3 GET / HTTP/1.1", "until state"), "what?"),
                          (("replace 1 x", "until state", "ready", "until done"), "end ")):
        process, said = fake(daemon, *words)
        expect(said.startswith("end") and answer in said, f"{words}: {said!r}")
        process.wait(20)
        expect_well(daemon, old, "a stranger")


def check_successor(daemon):
    """SIGUSR2: the same program again; what is wrong with it is in the log."""
    old = daemon.process
    harness.helpers.append(old)
    daemon.send_signal(signal.SIGUSR2)
    expect_equal(old.wait(harness.START_S), 0, "the old server's exit status")
    pid = int(re.findall(r"event=successor-started pid=(\d+)", daemon.log())[-1])
    harness.cleanups.append(lambda: harness.is_running(pid) and os.kill(pid, signal.SIGKILL))
    expect_equal(daemon.http("GET", "/health/ready")[0], 200, "the successor")
    expect_equal(daemon.addresses(NAME), ["10.0.0.1"], "the successor")
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not harness.is_running(pid), harness.STOP_S, "the successor ends")


def main():
    harness.need("dig")
    if not os.path.exists(STEADY):
        raise harness.Skip(f"{STEADY} is not built")
    daemon = harness.Daemon("--replace")  # there is nothing yet: as if it were not said
    daemon.flags = []
    daemon.register(name="payment", ip="10.0.0.1", port=80)
    steady = Steady(daemon)
    check_many(daemon)
    check_tcp(daemon)
    check_cookies(daemon)
    check_bad_configuration(daemon)
    check_no_port(daemon)
    check_killed(daemon)
    check_hanging(daemon)
    check_checks(daemon)
    check_strangers(daemon)
    replace(daemon)
    steady.end()
    check_successor(daemon)
    daemon.check_log()


harness.run(main)
