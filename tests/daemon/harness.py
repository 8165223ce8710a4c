# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of the running daemon share: start it, ask it with real clients, end it.

A test is a function main() that raises Failure (or any exception); run(main) makes an exit status
of it: 0, 1, or 77 for Skip. Answers are decoded by dig or another client, never here. Nothing
sleeps: wait_for() waits for a condition, with a limit. Processes are ended by their own id.
"""

import ctypes
import hashlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROSTERD = os.environ.get("ROSTERD", "./rosterd")
BUILD = os.path.dirname(os.path.abspath(ROSTERD))
ROSTERCTL = os.environ.get("ROSTERCTL", os.path.join(BUILD, "rosterctl"))
WHOLE_TEST_S = 240
START_S = 20
STOP_S = 20
SANITIZERS = re.compile(
    r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|Assertion .* failed")

pauses = threading.Event()  # never set: wait_for() waits on it between two looks


class Failure(Exception):
    pass


class Skip(Exception):
    pass


def expect(condition, text):
    if not condition:
        raise Failure(text)


def expect_equal(found, wanted, about):
    expect(found == wanted, f"{about}: expected {wanted!r}, got {found!r}")


def need(*programs):
    for program in programs:
        if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            raise Skip(f"{program} is not installed")


def wait_for(condition, limit_s, about, every_s=0.02):
    """Returns the first true value of condition()."""
    end = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise Failure(f"{about}: not within {limit_s} s")
        pauses.wait(every_s)


reservations = []  # sockets that stand for ports, until this process ends


def reserve(port):
    """Whether the port is now this test's, among all tests on this network: several run at a time,
    and a server that one of them stops and starts again must find its port free."""
    holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        holder.bind(f"\0rosterd-test-port-{port}")
    except OSError:
        holder.close()
        return False
    reservations.append(holder)
    return True


def free_port():
    """A port that is free for TCP and UDP, that no other test gets while this one runs, and no
    client by chance: below the range that the kernel picks from."""
    for _ in range(200):
        port = random.randrange(10240, 32768)
        if not reserve(port):
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(("0.0.0.0", port))
                udp.bind(("0.0.0.0", port))
                return port
            except OSError:
                pass
    raise Failure("no free port")


class Record:
    """A record as dig printed it."""

    def __init__(self, line):
        owner, ttl, _, self.type, self.data = line.split(None, 4)
        self.owner = owner
        self.ttl = int(ttl)

    def __repr__(self):
        return f"{self.owner} {self.ttl} {self.type} {self.data}"


class Reply:
    """What dig understood of one reply."""

    def __init__(self, text):
        self.text = text
        header = re.search(r"opcode: (\S+), status: (\S+), id: \d+", text)
        self.opcode = header.group(1) if header else None
        self.status = header.group(2) if header else None
        flags = re.search(r";; flags:([^;]*);", text)
        self.flags = flags.group(1).split() if flags else []
        edns = re.search(r"; EDNS: version: (\d+), flags:([^;]*); udp: (\d+)", text)
        self.edns = edns and {"version": int(edns.group(1)), "flags": edns.group(2).split(),
                              "size": int(edns.group(3))}
        self.answer = self.section("ANSWER")
        self.authority = self.section("AUTHORITY")
        self.additional = self.section("ADDITIONAL")

    def section(self, name):
        match = re.search(rf";; {name} SECTION:\n(.*?)(?:\n\n|\Z)", self.text, re.S)
        lines = match.group(1).split("\n") if match else []
        return [Record(line) for line in lines if line and not line.startswith(";")]

    def data(self, kind=None):
        return sorted(r.data for r in self.answer if kind in (None, r.type))


def dig(port, *arguments, tries=1, time_s=3, server="127.0.0.1"):
    """One query by dig; no file of the user's (-r), no search list."""
    command = ["dig", "-r", f"@{server}", "-p", str(port), f"+time={time_s}", f"+tries={tries}",
               "+noall", "+comments", "+question", "+answer", "+authority", "+additional",
               *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return Reply(done.stdout)


def access(*entries):
    """Lines of the configuration for entries such as {"name": "ci", "token": "x", "admin": "*"}."""
    lines = ["access:"]
    for entry in entries:
        known = dict(entry)
        if "token" in known:
            known["token-sha256"] = hashlib.sha256(known.pop("token").encode()).hexdigest()
        lines.append(f"  - {json.dumps(known)}")
    return "\n".join(lines) + "\n"


class Daemon:
    """rosterd on free loopback ports with a data folder of its own."""

    def __init__(self, *flags, folder=None, config=None, prefix=(), zone="service.local",
                 wait=True, dns_port=None, http_port=None, token=None):
        self.folder = folder or make_folder()
        self.data = os.path.join(self.folder, "data")
        self.flags = list(flags)
        self.config = config
        self.prefix = list(prefix)
        self.zone = zone
        self.token = token  # what http() says it is
        self.log_path = os.path.join(self.folder, "log")
        self.dns_port = dns_port or free_port()
        self.http_port = http_port or free_port()
        self.process = None
        if wait:
            self.start()

    def command(self):
        command = [*self.prefix, os.path.abspath(ROSTERD),
                   "--dns", f"127.0.0.1@{self.dns_port}", "--http", f"127.0.0.1@{self.http_port}",
                   "--data", self.data]
        if self.config is not None:
            path = os.path.join(self.folder, "rosterd.conf")
            with open(path, "w", encoding="utf-8") as file:
                file.write(self.config)
            command += ["-c", path]
        elif self.zone:
            command += ["--zone", self.zone]
        return command + self.flags

    def launch(self):
        """Starts the process and looks no further."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd=self.folder)
        if self not in started:
            started.append(self)

    def start(self):
        self.launch()
        wait_for(self.is_ready, START_S, "rosterd is ready")

    def is_ready(self):
        if self.process.poll() is not None:
            raise Failure(f"rosterd ended with {self.process.returncode}")
        if self.prefix:  # in another network namespace: out of our reach
            return "event=ready" in self.log()
        try:
            return self.http("GET", "/health/ready")[0] == 200
        except OSError:
            return False

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def http(self, method, path, body=None, timeout_s=10):
        """(status, decoded JSON or text) of one request."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=timeout_s)
        try:
            raw = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
            connection.request(method, path, raw, headers)
            reply = connection.getresponse()
            text = reply.read().decode()
        finally:
            connection.close()
        try:
            return reply.status, json.loads(text)
        except ValueError:
            return reply.status, text

    def register(self, **fields):
        status, reply = self.http("POST", "/registry/register", fields)
        expect(status in (200, 201), f"register {fields}: {status} {reply}")
        return reply

    def dig(self, *arguments, **options):
        return dig(self.dns_port, *arguments, **options)

    def addresses(self, name, kind="A"):
        """The data of one answer."""
        return self.dig(name, kind).data(kind)

    def wait_addresses(self, name, wanted, limit_s, kind="A"):
        wait_for(lambda: self.addresses(name, kind) == sorted(wanted), limit_s,
                 f"{name} {kind} is {wanted}")

    def send_signal(self, number):
        self.process.send_signal(number)

    def wait_exit(self, limit_s=STOP_S):
        try:
            return self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise Failure(f"rosterd did not end within {limit_s} s") from None

    def stop(self, number=signal.SIGTERM):
        """Ends it the polite way, which must be a clean one."""
        self.send_signal(number)
        expect_equal(self.wait_exit(), 0, "exit status")
        self.check_log()

    def check_log(self):
        found = SANITIZERS.search(self.log())
        expect(not found, f"on stderr: {found and found.group(0)}")

    def abandon(self):
        """After a failure: away with it."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


started = []  # every Daemon
helpers = []  # every other process
folders = []
cleanups = []  # functions, last one first


CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000

libc = ctypes.CDLL(None, use_errno=True)


def ip(*arguments):
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=10,
                          check=False)
    if done.returncode != 0:
        raise Skip(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def enter_namespace(addresses):
    """A network namespace for this process and what it starts, with these addresses on loopback."""
    if libc.unshare(CLONE_NEWNET) != 0:
        raise Skip("a network namespace takes root")
    ip("link", "set", "lo", "up")
    for address in addresses:
        ip("address", "add", address, "dev", "lo", "nodad")


def mount(source, target, flags):
    if libc.mount(source.encode(), target.encode(), None, flags, None) != 0:
        raise Skip(f"mount {source} on {target}: {os.strerror(ctypes.get_errno())}")


owned = []  # folders that are this test's own


def own_folders(copied=(), empty=()):
    """From here on, this process and what it starts have these folders for themselves, as copies
    or empty: nothing that they change there is seen by others, or outlives them. Folders that
    this machine does not have are left out."""
    if libc.unshare(CLONE_NEWNS) != 0:
        raise Skip("a mount namespace takes root")
    mount("none", "/", MS_REC | MS_PRIVATE)
    for path in filter(os.path.isdir, (*copied, *empty)):
        source = os.path.join(make_folder(), "own")
        if path in copied:
            subprocess.run(["cp", "-a", path, source], timeout=30, check=True)
        else:
            os.mkdir(source, 0o755)
        mount(source, path, MS_BIND)
        owned.append(path)


SCRATCH = "/dev/shm"
SCRATCH_MIN = 1 << 30  # octets free


def scratch():
    """Where folders of tests are: in memory if there is room, and programs can be run from there.
    A disk that others keep busy may answer too late: rosterd refuses then what it cannot save
    within a second, as it should. None: wherever else temporary files are, as TMPDIR says."""
    try:
        found = os.statvfs(SCRATCH)
    except OSError:
        return None
    if (os.environ.get("TMPDIR") or not os.access(SCRATCH, os.W_OK) or
            found.f_flag & os.ST_NOEXEC or found.f_bavail * found.f_frsize < SCRATCH_MIN):
        return None
    return SCRATCH


def make_folder():
    folder = tempfile.mkdtemp(prefix="rosterd-test-", dir=scratch())
    folders.append(folder)
    return folder


def write_file(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def write_etc(name, text):
    """A file that everybody can read, also in place of a link."""
    expect("/etc" in owned, "this would change the machine's own /etc")
    path = os.path.join("/etc", name)
    if os.path.lexists(path):
        os.unlink(path)
    write_file("/etc", name, text)
    os.chmod(path, 0o644)


def spawn(*command, **options):
    """A process beside rosterd that ends with the test."""
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", subprocess.DEVNULL)
    options.setdefault("stderr", subprocess.DEVNULL)
    process = subprocess.Popen(command, **options)
    helpers.append(process)
    return process


HTTP_SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ok = self.path == "/health"
        self.send_response(200 if ok else 404)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\\n")
    def log_message(self, *args):
        pass
server = http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler)
server.serve_forever()
"""


def spawn_http_server(address, port):
    """A process that answers GET /health; ready when this returns."""
    process = spawn(sys.executable, "-c", HTTP_SERVER, address, str(port))

    def answers():
        with socket.socket() as probe:
            return probe.connect_ex((address, port)) == 0

    wait_for(answers, START_S, "the HTTP server is ready")
    return process


def end(process):
    process.kill()
    process.wait()


def is_running(pid):
    """A zombie is none: whoever adopted it has to see to that."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def on_alarm(_number, _frame):
    raise Failure(f"the whole test takes longer than {WHOLE_TEST_S} s")


def clean_up():
    for daemon in started:
        daemon.abandon()
    for process in helpers:
        if process.poll() is None:
            end(process)
    for function in reversed(cleanups):
        function()
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def run(main):
    # A shell's job in the background ignores it, and what we start would, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(WHOLE_TEST_S)
    status = 0
    try:
        main()
        for daemon in started:
            if daemon.process.poll() is None:
                daemon.stop()
    except Skip as reason:
        print(f"SKIP: {reason}")
        status = 77
    except Exception as reason:  # pylint: disable=broad-except
        traceback.print_exc()
        print(f"FAIL: {reason}")
        for daemon in started:
            print(f"---- log of {' '.join(daemon.command())}\n{daemon.log()[-6000:]}")
        status = 1
    finally:
        signal.alarm(0)
        clean_up()
    sys.exit(status)
