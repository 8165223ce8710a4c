# SPDX-License-Identifier: BSD-2-Clause
"""rosterctl run: registered once it listens, drained before it ends, through a server that goes."""

import os
import signal
import subprocess
import sys

import harness
from harness import expect, expect_equal, wait_for


# Listens when it is told to by a file, notes the signals that it gets, ends with 3 on SIGTERM.
PROGRAM = """
import os, signal, socket, sys, threading
port, folder = int(sys.argv[1]), sys.argv[2]
notes = open(os.path.join(folder, "notes"), "a", buffering=1)
ended = threading.Event()
def on_signal(number, _frame):
    notes.write(signal.Signals(number).name + "\\n")
    if number == signal.SIGTERM:
        sys.exit(3)
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGTERM):
    signal.signal(number, on_signal)
notes.write("started\\n")
while not os.path.exists(os.path.join(folder, "listen")):
    ended.wait(0.01)
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", port))
server.listen()
while True:
    connection, _ = server.accept()
    connection.close()
"""


class Sidecar:
    """rosterctl run, with that program or another one, on a port of its own or as another one."""

    def __init__(self, daemon, *options, lease="15s", command=None, listens=True, like=None):
        self.daemon = daemon
        self.folder = like.folder if like else harness.make_folder()
        self.port = like.port if like else harness.free_port()
        self.id = f"127-0-0-1-{self.port}"
        if listens:
            self.listen()
        self.log_path = os.path.join(self.folder, "log")
        with open(self.log_path, "wb") as log:
            self.process = harness.spawn(
                harness.ROSTERCTL, "run", "--name", "web", "--port", str(self.port), "--lease", lease,
                *options, "--", *(command or (sys.executable, "-c", PROGRAM, str(self.port),
                                              self.folder)),
                stderr=log, env={**os.environ, "HOME": self.folder, "ROSTERD_TOKEN": "ours",
                                 "ROSTERD_HTTP": f"127.0.0.1@{daemon.http_port}"})

    def listen(self):
        harness.write_file(self.folder, "listen", "")

    def log(self):
        with open(self.log_path, encoding="utf-8") as file:
            return file.read()

    def notes(self):
        try:
            with open(os.path.join(self.folder, "notes"), encoding="utf-8") as file:
                return file.read().split()
        except FileNotFoundError:
            return []

    def shown(self):
        status, reply = self.daemon.http("GET", f"/registry/services/web/instances/{self.id}")
        return reply if status == 200 else None

    def wait_registered(self):
        return wait_for(self.shown, 20, "it is registered")

    def wait_note(self, note):
        wait_for(lambda: note in self.notes(), 20, f"the program notes {note}")

    def wait_exit(self, status):
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            raise harness.Failure(f"the sidecar does not end: {self.log()}") from None
        expect_equal(self.process.returncode, status, self.log())
        expect(not harness.SANITIZERS.search(self.log()), self.log())


def check_life(daemon):
    sidecar = Sidecar(daemon, "--tag", "blue", "--ttl", "4s", lease="3s", listens=False)
    sidecar.wait_note("started")
    expect_equal(sidecar.shown(), None, "before it listens")
    sidecar.listen()
    shown = sidecar.wait_registered()
    expect_equal((shown["tags"], shown["lease"], shown["port"]), (["blue"], 3, sidecar.port), shown)
    sidecar.process.send_signal(signal.SIGUSR1)
    sidecar.wait_note("SIGUSR1")
    sidecar.process.send_signal(signal.SIGHUP)
    sidecar.wait_note("SIGHUP")

    # The lease is renewed: what is left of it goes up again.
    left = []

    def is_renewed():
        left.append((sidecar.shown() or {"lease_left": 0})["lease_left"])
        return len(left) > 1 and left[-1] > left[-2]

    wait_for(is_renewed, 20, "a heartbeat")

    # It is in an answer for longer than its lease; it gets the signal when that is over, and until
    # then is known.
    expect_equal(daemon.addresses("web.service.local"), ["127.0.0.1"], "in DNS")
    sidecar.process.send_signal(signal.SIGTERM)
    drained = wait_for(lambda: (sidecar.shown() or {}).get("admin") == "drain", 20, "the drain")
    expect(drained, "drained")
    expect_equal(daemon.addresses("web.service.local"), [], "out of DNS")
    expect("SIGTERM" not in sidecar.notes(), "the program goes on during the drain")
    sidecar.wait_exit(3)
    expect_equal(sidecar.notes(), ["started", "SIGUSR1", "SIGHUP", "SIGTERM"], "signals")
    expect_equal(sidecar.shown(), None, "deregistered")
    expect(f"deregistered web {sidecar.id}" in sidecar.log(), sidecar.log())


def check_second_signal(daemon):
    """Who is in a hurry sends it again."""
    sidecar = Sidecar(daemon, "--ttl", "10m", lease="1h")
    sidecar.wait_registered()
    expect_equal(daemon.addresses("web.service.local"), ["127.0.0.1"], "handed out for 10 minutes")
    sidecar.process.send_signal(signal.SIGINT)
    wait_for(lambda: "drained" in sidecar.log(), 20, "the drain")
    expect("ends in 60.0 s" in sidecar.log(), f"the limit of a drain: {sidecar.log()}")
    sidecar.process.send_signal(signal.SIGINT)
    sidecar.wait_note("SIGINT")
    sidecar.process.send_signal(signal.SIGTERM)
    sidecar.wait_exit(3)
    expect_equal(sidecar.shown(), None, "deregistered")

    sidecar = Sidecar(daemon, "--drain-limit", "100ms", "--ttl", "10m", lease="1h")
    sidecar.wait_registered()
    daemon.addresses("web.service.local")
    sidecar.process.send_signal(signal.SIGTERM)
    sidecar.wait_exit(3)


def check_udp(daemon):
    """Nobody can see from outside whether it listens."""
    sidecar = Sidecar(daemon, "--protocol", "udp", "--ip", "127.0.0.1", listens=False)
    expect_equal(sidecar.wait_registered()["protocol"], "udp", "registered at once")
    sidecar.wait_note("started")
    sidecar.process.send_signal(signal.SIGTERM)
    sidecar.wait_exit(3)


def check_exits(daemon):
    sidecar = Sidecar(daemon, command=["sh", "-c", "exit 42"])
    sidecar.wait_exit(42)
    sidecar = Sidecar(daemon, command=["sh", "-c", '[ -z "$ROSTERD_TOKEN" ] && exit 44'])
    sidecar.wait_exit(44)
    sidecar = Sidecar(daemon, command=["sh", "-c", "kill -9 $$"])
    sidecar.wait_exit(128 + 9)
    sidecar = Sidecar(daemon, command=["/nowhere/program"])
    sidecar.wait_exit(127)
    sidecar = Sidecar(daemon, command=[sidecar.folder])
    sidecar.wait_exit(126)
    sidecar = Sidecar(daemon, "--lease", "soon", command=["true"])
    sidecar.wait_exit(2)
    sidecar = Sidecar(daemon, "--probe", "somewhere", command=["true"])
    sidecar.wait_exit(2)

    # Nothing of the sidecar's own is left open in the program.
    fds = os.path.join(sidecar.folder, "fds")
    sidecar = Sidecar(daemon, command=["sh", "-c", f"ls /proc/self/fd > {fds}"])
    sidecar.wait_exit(0)
    with open(fds, encoding="ascii") as file:
        expect_equal(file.read().split(), ["0", "1", "2", "3"], "descriptors; 3 is what ls reads")

    # A program that dies by itself is out at once, without a drain.
    sidecar = Sidecar(daemon)
    sidecar.wait_registered()
    pid = sidecar.process.pid
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        os.kill(int(file.read()), signal.SIGKILL)
    sidecar.wait_exit(128 + 9)
    expect_equal(sidecar.shown(), None, "deregistered")


def check_server_goes(daemon):
    """Neither a server that comes late, nor one that forgets, nor one that is killed, ends it."""
    daemon.stop()
    sidecar = Sidecar(daemon, lease="1s")
    wait_for(lambda: "trying again" in sidecar.log(), 20, "it says that the server is away")
    daemon.start()
    sidecar.wait_registered()

    # What nobody knows any more is registered anew, perhaps before we can look.
    created = sidecar.shown()["revision_created"]
    status, _ = daemon.http("DELETE", f"/registry/services/web/instances/{sidecar.id}")
    expect_equal(status, 200, "forgotten")
    wait_for(lambda: (sidecar.shown() or {"revision_created": 0})["revision_created"] > created, 20,
             "it is registered again")

    # A server that starts may have been there, and then away, for it: only what follows counts.
    away, back = (sidecar.log().count(text) for text in ("trying again", "the server is back"))
    daemon.process.kill()
    daemon.wait_exit()
    wait_for(lambda: sidecar.log().count("trying again") > away, 20, "it notices")
    expect_equal(sidecar.log().count("trying again"), away + 1, "it says so once")
    daemon.start()
    wait_for(lambda: sidecar.log().count("the server is back") > back, 20, "it is back")
    expect_equal(sidecar.log().count("trying again"), away + 1, "it says so once each time")
    sidecar.wait_registered()

    # Without a server there is no drain to wait for.
    daemon.stop()
    sidecar.process.send_signal(signal.SIGTERM)
    sidecar.wait_exit(3)
    expect("not drained" in sidecar.log(), sidecar.log())

    # It could not say goodbye; the next run lifts the drain that it finds.
    daemon.start()
    daemon.register(name="web", id=sidecar.id, ip="127.0.0.1", port=sidecar.port)
    daemon.http("PUT", f"/registry/services/web/instances/{sidecar.id}/admin", {"state": "drain"})
    expect_equal(sidecar.shown()["admin"], "drain", "left behind")
    again = Sidecar(daemon, "--ttl", "1s", like=sidecar)
    wait_for(lambda: sidecar.shown()["admin"] == "auto", 20, "the old drain is lifted")
    again.process.send_signal(signal.SIGTERM)
    again.wait_exit(3)


# Ends when somebody has connected three times in this network namespace.
PATIENT = "until [ $(awk '/^Tcp: [0-9]/ { print $6 }' /proc/net/snmp) -ge 3 ]; do :; done"


def check_own_connection():
    """Where the kernel has but one port to connect from, a look at that port meets itself."""
    harness.need("ip", "unshare")
    if subprocess.run(["unshare", "-n", "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        return  # not for us
    script = ("ip link set lo up && echo 40000 40000 >/proc/sys/net/ipv4/ip_local_port_range && "
              "exec \"$0\" run --http 127.0.0.1:1 --name web --port 40000 --ip 127.0.0.1 -- "
              "sh -c \"$1\"")
    done = subprocess.run(["unshare", "-n", "sh", "-c", script, harness.ROSTERCTL, PATIENT],
                          capture_output=True, text=True, timeout=60, check=False)
    expect_equal((done.returncode, done.stderr), (0, ""), "nobody listens, so nothing is registered")


def check_killed(daemon):
    """A sidecar that is killed does not leave its program behind."""
    sidecar = Sidecar(daemon)
    sidecar.wait_registered()
    sidecar.process.kill()
    sidecar.process.wait()
    sidecar.wait_note("SIGTERM")


def main():
    harness.need("dig")
    daemon = harness.Daemon()
    check_life(daemon)
    check_second_signal(daemon)
    check_udp(daemon)
    check_exits(daemon)
    check_server_goes(daemon)
    check_killed(daemon)
    check_own_connection()
    daemon.stop()


harness.run(main)
