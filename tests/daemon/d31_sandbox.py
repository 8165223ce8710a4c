# SPDX-License-Identifier: BSD-2-Clause
"""What the daemon gives up: started as root it becomes another user without capabilities and with
few system calls, and everything goes on working."""

import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess

import harness
from harness import expect, expect_equal

USER = "nobody"
LIMIT_S = 20
MANY = 300


def is_sanitized():
    with open(harness.ROSTERD, "rb") as file:
        return re.search(rb"__(asan|tsan)_init", file.read()) is not None


def statuses(pid):
    """/proc/PID/status of every thread, as {key: value}."""
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as file:
            yield dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def check_status(daemon, is_sealed, pid=None):
    uid = pwd.getpwnam(USER).pw_uid
    pid = pid or daemon.process.pid
    found = list(statuses(pid))
    expect(len(found) >= 3, f"control, workers, prober: {len(found)} threads")
    for status in found:
        name = status["Name"]
        expect_equal(status["Uid"].split(), [str(uid)] * 4, f"{name}: Uid")
        expect("0" not in status["Gid"].split(), f"{name}: Gid {status['Gid']}")
        expect("0" not in status["Groups"].split(), f"{name}: Groups {status['Groups']}")
        for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            expect_equal(int(status[key], 16), 0, f"{name}: {key}")
        expect_equal(status["NoNewPrivs"], "1" if is_sealed else "0", f"{name}: NoNewPrivs")
        sealed = is_sealed and not is_sanitized()
        expect_equal(status["Seccomp"], "2" if sealed else "0", f"{name}: Seccomp")
    # What a process that must leave no core dump has in /proc is root's.
    owner = os.stat(f"/proc/{pid}/environ").st_uid
    expect_equal(owner, 0 if is_sealed and not is_sanitized() else uid, "owner of /proc/PID/environ")


def check_files(daemon):
    uid = pwd.getpwnam(USER).pw_uid
    for path in [daemon.data, *(os.path.join(daemon.data, name) for name in
                                os.listdir(daemon.data))]:
        status = os.stat(path)
        expect_equal(status.st_uid, uid, f"owner of {path}")
        expect_equal(status.st_mode & 0o027, 0, f"{path}: mode for others {status.st_mode:o}")


class Targets:
    """What the checks connect to: HTTP, HTTPS, TCP."""

    def __init__(self, folder):
        self.http_port = harness.free_port()
        self.server = harness.spawn_http_server("127.0.0.1", self.http_port)
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.tls_port = harness.free_port()
        key, certificate = (os.path.join(folder, name) for name in ("key.pem", "cert.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
                        "-keyout", key, "-out", certificate, "-days", "2"],
                       capture_output=True, timeout=60, check=True)
        self.tls = harness.spawn("openssl", "s_server", "-accept", f"127.0.0.1:{self.tls_port}",
                                 "-cert", certificate, "-key", key, "-www", "-quiet")

    def checks(self):
        fast = {"interval": "200ms", "timeout": "150ms"}
        return {
            "http": {"kind": "http", "port": self.http_port, "path": "/health", **fast},
            "https": {"kind": "https", "port": self.tls_port, "tls_skip_verify": True,
                      "interval": 1, "timeout": 1},
            "tcp": {"kind": "tcp", "port": self.tcp.getsockname()[1], **fast},
        }


def use_everything(daemon, targets):
    for name, check in targets.checks().items():
        daemon.register(name=name, ip="127.0.0.1", port=9, checks=[check])
    # Names of certificates are verified, too: the trust store is read for that, late.
    daemon.register(name="untrusted", ip="127.0.0.1", port=9,
                    checks=[{**targets.checks()["https"], "tls_skip_verify": False}])
    for name in targets.checks():
        daemon.wait_addresses(f"{name}.service.local", ["127.0.0.1"], LIMIT_S)
    harness.wait_for(lambda: "certificate refused" in str(
        daemon.http("GET", "/registry/services/untrusted")), LIMIT_S, "the certificate is refused")

    # Much at once, over UDP and TCP, and what does not fit.
    daemon.http("POST", "/registry/register", [
        {"name": "many", "id": f"i{i}", "ip": f"10.1.{i // 250}.{i % 250}", "port": 80}
        for i in range(MANY)])
    expect("tc" in daemon.dig("many.service.local", "A", "+ignore").flags, "truncated over UDP")
    expect_equal(len(daemon.addresses("many.service.local")), MANY, "addresses over TCP")
    expect_equal(daemon.http("GET", "/registry/why?name=many.service.local&type=A")[0], 200, "why")
    expect_equal(daemon.http("GET", "/registry/watch?index=1&wait=10ms")[0] in (200, 410), True,
                 "watch")
    expect_equal(daemon.http("GET", "/metrics")[0], 200, "metrics")


def signal_and_wait(daemon, number, event):
    count = daemon.log().count(f"event={event} ")
    daemon.send_signal(number)
    harness.wait_for(lambda: daemon.log().count(f"event={event} ") > count, LIMIT_S,
                     f"event {event}")


def configuration(folder, extra=""):
    harness.write_file(folder, "service.local.zone",
                       "@ 5 SOA ns.service.local. root.service.local. 1 2 3 4 5\n"
                       "@ 5 NS ns\nns 5 A 127.0.0.1\n")
    return f"""
server:
  user: {USER}
  zone-dir: {folder}
  {extra}
zone:
  - domain: service.local
    file: service.local.zone
"""


def open_folder():
    folder = harness.make_folder()
    os.chmod(folder, 0o755)  # the configuration is read again by the other user
    return folder


def check_sealed():
    folder = open_folder()
    targets = Targets(folder)
    privileged = "127." + ".".join(str(random.randrange(1, 255)) for _ in range(3))
    daemon = harness.Daemon("--dns", f"{privileged}@53", folder=folder,
                            config=configuration(folder))
    check_status(daemon, True)
    use_everything(daemon, targets)
    expect(harness.dig(53, "ns.service.local", "A", server=privileged).answer,
           "a port for root alone is open")
    signal_and_wait(daemon, signal.SIGHUP, "reloaded")
    signal_and_wait(daemon, signal.SIGUSR1, "dumped")
    expect("runs-as-root" not in daemon.log(), daemon.log())
    expect("reload-will-fail" not in daemon.log(), daemon.log())
    check_status(daemon, True)
    check_files(daemon)
    revision = daemon.http("GET", "/registry/services")[1]["revision"]
    daemon.stop()

    # Again, on the same data.
    daemon.start()
    check_status(daemon, True)
    expect(daemon.http("GET", "/registry/services")[1]["revision"] >= revision,
           "the revision goes on")
    os.chmod(os.path.join(folder, "rosterd.conf"), 0o600)
    signal_and_wait(daemon, signal.SIGHUP, "reload-failed")
    daemon.stop()


def check_successors():
    """Each is as its predecessor was, with the port that only root could open, by one filter."""
    folder = open_folder()
    privileged = "127." + ".".join(str(random.randrange(1, 255)) for _ in range(3))
    # The user has to be able to start it: not so in a home of root's.
    harness.ROSTERD = shutil.copy(harness.ROSTERD, folder)
    daemon = harness.Daemon("--dns", f"{privileged}@53", folder=folder,
                            config=configuration(folder))
    daemon.register(name="payment", ip="10.0.0.1", port=80)
    pid = daemon.process.pid
    for count in (1, 2):
        os.kill(pid, signal.SIGUSR2)
        harness.wait_for(lambda n=count: daemon.log().count("event=replaced ") == n
                         and daemon.log().count("event=stopped") == n, LIMIT_S, "a successor")
        pid = int(re.findall(r"event=successor-started pid=(\d+)", daemon.log())[-1])
        harness.cleanups.append(lambda p=pid: harness.is_running(p) and os.kill(p, signal.SIGKILL))
        check_status(daemon, True, pid)
        filters = [status.get("Seccomp_filters", "1") for status in statuses(pid)]
        expect(set(filters) <= {"0", "1"}, f"filters add up: {filters}")
        answer = harness.dig(53, "payment.service.local", "A", server=privileged)
        expect_equal(answer.data("A"), ["10.0.0.1"], "what the successor answers")
    os.kill(pid, signal.SIGTERM)
    harness.wait_for(lambda: not harness.is_running(pid), harness.STOP_S, "the successor ends")
    daemon.check_log()


def check_taken_over():
    """Data that root has left behind becomes the user's."""
    folder = open_folder()
    daemon = harness.Daemon(folder=folder)
    expect("event=runs-as-root advice=" in daemon.log(), "a warning for root")
    for status in statuses(daemon.process.pid):
        expect_equal(int(status["CapEff"], 16), 0, "root without capabilities")
    daemon.stop()
    daemon.config = configuration(folder)
    daemon.start()
    check_status(daemon, True)
    check_files(daemon)
    daemon.stop()


def check_links():
    """A link that the user has laid in its directory does not lead root, who exports, elsewhere."""
    folder = open_folder()
    daemon = harness.Daemon(folder=folder, config=configuration(folder))
    daemon.stop()
    victim = harness.write_file(folder, "victim", "root's own")
    os.chmod(victim, 0o600)
    os.symlink(victim, os.path.join(daemon.data, "revision.new"))
    path = os.path.join(folder, "rosterd.conf")
    for flag in ("--export", "--import"):
        subprocess.run([harness.ROSTERD, "-c", path, "--data", daemon.data, flag, "-"],
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
        with open(victim, encoding="ascii") as file:
            expect_equal(file.read(), "root's own", f"a file of root's after {flag}")
    os.unlink(os.path.join(daemon.data, "revision.new"))
    done = subprocess.run([harness.ROSTERD, "-c", path, "--data", daemon.data, "--export", "-"],
                          capture_output=True, text=True, timeout=30, check=False)
    expect_equal(done.returncode, 0, done.stderr)
    check_files(daemon)


def check_open():
    """For debuggers: the user changes, the rest stays."""
    folder = open_folder()
    daemon = harness.Daemon(folder=folder, config=configuration(folder, "sandbox: false"))
    check_status(daemon, False)
    daemon.stop()


def check_refusals():
    folder = open_folder()
    path = harness.write_file(folder, "bad.conf", "server: {user: no-such-user}\n")
    for flags in (["--check-config"], []):
        done = subprocess.run([harness.ROSTERD, "-c", path, *flags], capture_output=True,
                              text=True, timeout=30, check=False)
        expect_equal(done.returncode, 78, "exit status")
        expect("there is no user 'no-such-user'" in done.stderr, done.stderr)


def main():
    if os.geteuid() != 0:
        raise harness.Skip("only root can become another user")
    harness.need("dig", "openssl")
    check_refusals()
    check_sealed()
    check_taken_over()
    check_links()
    check_open()
    check_successors()


harness.run(main)
