# SPDX-License-Identifier: BSD-2-Clause
"""Disks that are full, that fail, that hang, and files that are damaged: writes are refused within
a second, queries go on, and it recovers by itself; nothing that is not whole is served.

ROSTERD_FILLS=N fills the disk N times."""

import os
import shutil
import signal
import socket
import subprocess
import time

import harness
import load
from harness import expect, expect_equal, wait_for

ANSWER_S = 4  # "within a second" on a machine that has time for it; test_commit knows the moment
FAULT_S = 20
FILL = 1 << 20
FILLS = int(os.environ.get("ROSTERD_FILLS", "1"))


def register(daemon, number):
    began = time.monotonic()
    status, reply = daemon.http("POST", "/registry/register", {
        "name": "load", "id": f"i{number}", "ip": "10.0.0.1", "port": 1, "meta": {"k": "v" * 200}})
    took = time.monotonic() - began
    expect(took < ANSWER_S, f"a reply took {took:.2f} s")
    return status, reply


def ready(daemon):
    return daemon.http("GET", "/health/ready")[1]


def is_degraded(daemon):
    text = daemon.http("GET", "/metrics")[1]
    return "\nrosterd_store_degraded 1\n" in text


def refused(daemon, numbers):
    """Registers until one is refused: its status."""
    def one():
        status, _ = register(daemon, next(numbers))
        return status if status not in (200, 201) else None

    return wait_for(one, FAULT_S, "a write is refused", every_s=0.001)


def check_fault(daemon, numbers, wanted, begin, end, known=None):
    """From the first refusal on until the fault ends, and after; what is known of the load then."""
    daemon.register(name="pay", id="a", ip="10.0.0.1", port=8080)
    running = load.Load(daemon, known=known)
    wait_for(lambda: running.acknowledged(), FAULT_S, "writes are taken")
    begin()
    expect_equal(refused(daemon, numbers), wanted, "the refusal")
    status = ready(daemon)
    expect_equal(status.get("status"), "degraded", "ready")
    expect(status.get("reason"), "no reason")
    expect(is_degraded(daemon), "the metric does not say degraded")
    expect("event=store-degraded" in daemon.log(), "no line in the log")
    expect_equal(daemon.addresses("pay.service.local"), ["10.0.0.1"], "queries go on")
    status, _ = daemon.http("POST", "/registry/heartbeat", {"service": "pay", "id": "a"})
    expect_equal(status, 200, "heartbeats go on")
    status, reply = daemon.http("DELETE", "/registry/services/pay/instances/a")
    expect_equal(status, wanted, f"a removal ({reply})")
    expect(reply["error"]["message"], "no reason")
    end()
    wait_for(lambda: ready(daemon).get("status") == "ready", FAULT_S, "it recovers by itself")
    wait_for(lambda: register(daemon, next(numbers))[0] == 201, FAULT_S, "writes are taken")
    running.stop()
    running.check()
    print(f"{wanted}: {running}")
    return running.known


def check_kept(daemon):
    """After kill -9: what was acknowledged, and what was refused is not there."""
    _, reply = daemon.http("GET", "/registry/services/load")
    before = sorted(one["id"] for one in reply["instances"])
    daemon.send_signal(signal.SIGKILL)
    daemon.wait_exit()
    daemon.start()
    _, reply = daemon.http("GET", "/registry/services/load")
    expect_equal(sorted(one["id"] for one in reply["instances"]), before, "after kill -9")
    expect_equal(daemon.addresses("pay.service.local"), ["10.0.0.1"], "after kill -9")


# ---- A full disk ----

def may_mount():
    probe = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"],
                           capture_output=True, check=False)
    return probe.returncode == 0


class SmallDisk(harness.Daemon):
    """Its data is on a small disk, in a mount namespace of its own."""

    def __init__(self):
        folder = harness.make_folder()
        data = os.path.join(folder, "data")
        os.mkdir(data)
        script = f'mount -t tmpfs -o size=4m none "{data}" && exec "$@"'
        super().__init__(folder=folder, prefix=("unshare", "-m", "sh", "-c", script, "sh"))

    def inside(self, name):
        return f"/proc/{self.process.pid}/root{self.data}/{name}"


def check_full(numbers):
    if not may_mount():
        print("no disk of our own is allowed here")
        return
    daemon = SmallDisk()
    for _ in range(200):
        register(daemon, next(numbers))
    filler = daemon.inside("filler")

    def fill():
        with open(filler, "wb", buffering=0) as file:
            try:
                while file.write(bytes(FILL)) == FILL:
                    pass
                while file.write(bytes(4096)) == 4096:
                    pass
            except OSError:
                pass

    known = None
    for _ in range(FILLS):
        known = check_fault(daemon, numbers, 507, fill, lambda: os.unlink(filler), known)
    daemon.stop()


# ---- A disk that fails, and one that hangs ----

class Tracer:
    """strace that makes the daemon's system calls fail, or wait."""

    def __init__(self, daemon, inject):
        self.process = None
        self.daemon = daemon
        self.inject = inject

    def begin(self):
        calls = "fsync,fdatasync,msync,pwrite64,pwritev,sync_file_range"
        self.process = harness.spawn("strace", "-f", "-qq", "-p", str(self.daemon.process.pid),
                                     "-o", "/dev/null", "-e", f"trace={calls}",
                                     "-e", f"inject={self.inject}")
        status = f"/proc/{self.daemon.process.pid}/status"

        def traced():
            expect(self.process.poll() is None, "strace ended")
            with open(status, encoding="ascii") as file:
                return "TracerPid:\t0\n" not in file.read()

        wait_for(traced, FAULT_S, "strace is attached")

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(FAULT_S)


def may_trace():
    if not shutil.which("strace"):
        return False
    probe = subprocess.run(["strace", "-o", "/dev/null", "-e", "inject=fdatasync:error=EIO",
                            "true"], capture_output=True, check=False)
    return probe.returncode == 0


def check_errors(numbers):
    if not may_trace():
        print("strace is not installed, or may not trace here")
        return
    daemon = harness.Daemon()
    known = None
    for inject in ("fsync,fdatasync,msync:error=EIO", "pwrite64,pwritev:error=EROFS",
                   "pwrite64,pwritev,fsync,fdatasync:error=ENOSPC"):
        tracer = Tracer(daemon, inject)
        wanted = 507 if "ENOSPC" in inject else 503
        print(inject)
        known = check_fault(daemon, numbers, wanted, tracer.begin, tracer.end, known)
    tracer = Tracer(daemon, "fsync,fdatasync,msync:delay_enter=3000000")
    check_fault(daemon, numbers, 503, tracer.begin, tracer.end, known)
    check_kept(daemon)
    daemon.stop()


# ---- Damaged files ----

def damage(path):
    """Something in the middle of it."""
    with open(path, "r+b") as file:
        size = os.path.getsize(path)
        for at in range(0, size, 512):
            file.seek(at)
            file.write(bytes((n * 37 + at) % 256 for n in range(64)))


def start_to_fail(daemon):
    before = len(daemon.log()) if os.path.exists(daemon.log_path) else 0
    daemon.launch()
    expect_equal(daemon.wait_exit(), 1, "exit status")
    lines = [line for line in daemon.log()[before:].splitlines() if "level=error" in line]
    expect_equal(len(lines), 1, f"one clear line: {lines}")
    return lines[0]


def check_damaged():
    daemon = harness.Daemon()
    for number in range(50):
        daemon.register(name="pay", id=str(number), ip=f"10.0.1.{number}", port=8080)
    wanted = daemon.addresses("pay.service.local")
    daemon.stop()
    main, copy = (os.path.join(daemon.data, name) for name in ("store.mdb", "registry.jsonl"))

    damage(main)
    daemon.start()
    expect_equal(daemon.addresses("pay.service.local"), wanted, "from the copy")
    expect("level=warning event=store-damaged" in daemon.log(), "it does not say so")
    expect("source=copy" in daemon.log(), "nor that it is the copy")
    daemon.register(name="pay", id="new", ip="10.0.1.99", port=8080)
    wanted = daemon.addresses("pay.service.local")
    daemon.stop()
    daemon.start()
    expect_equal(daemon.addresses("pay.service.local"), wanted, "and kept from then on")
    daemon.stop()

    for spoil in (damage, lambda path: os.truncate(path, 0), os.unlink):
        spoil(main)
        damage(copy)
        line = start_to_fail(daemon)
        expect(main in line or "store" in line, line)
        print(line)
        if not os.path.exists(main):
            break
    expect(os.path.exists(copy), "the damaged copy was removed")


def remove_store(daemon, *but):
    for name in os.listdir(daemon.data):
        if name.startswith(("store.", "registry.")) and name not in but:
            os.unlink(os.path.join(daemon.data, name))


def check_removed():
    """Not as if there had never been anything; but where that is so, nothing is said."""
    daemon = harness.Daemon(wait=False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        free, daemon.http_port = daemon.http_port, taken.getsockname()[1]
        start_to_fail(daemon)
        daemon.http_port = free
    expect(os.path.exists(os.path.join(daemon.data, "revision")), "there was no start at all")
    for _ in range(2):
        daemon.start()
        daemon.stop()
    daemon.start()
    daemon.register(name="pay", id="a", ip="10.0.1.1", port=8080)
    daemon.stop()
    expect("event=store-missing" not in daemon.log(), daemon.log())
    for but in ((), ("store.mdb-lock",)):
        before = len(daemon.log())
        remove_store(daemon, *but)
        daemon.start()
        lines = [line for line in daemon.log()[before:].splitlines() if " event=store-" in line]
        expect(len(lines) == 1 and "level=warning event=store-missing" in lines[0], f"{lines}")
        daemon.stop()


def check_read_only():
    """A directory that cannot be written to at all is no start."""
    if not may_mount():
        return
    folder = harness.make_folder()
    data = os.path.join(folder, "data")
    os.mkdir(data)
    script = f'mount -t tmpfs -o ro none "{data}" && exec "$@"'
    daemon = harness.Daemon(folder=folder, wait=False,
                            prefix=("unshare", "-m", "sh", "-c", script, "sh"))
    line = start_to_fail(daemon)
    expect("Read-only" in line, line)


def main():
    harness.need("dig")
    numbers = iter(range(10 ** 9))
    if "ROSTERD_FILLS" in os.environ:
        signal.alarm(0)  # it takes what it takes
    check_damaged()
    check_removed()
    check_read_only()
    check_full(numbers)
    check_errors(numbers)


harness.run(main)
