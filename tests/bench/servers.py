# SPDX-License-Identifier: BSD-2-Clause
"""The servers of the bench: each in the foreground, in a folder of its own, on free loopback ports,
with one worker, pinned to one core, ended by its own id. What an installed package would start by
itself is left alone.
"""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import dataset

ROSTERD = os.environ.get("ROSTERD", "./rosterd")
TOOLS = os.environ.get("BENCH_TOOLS", "tests/bench")  # where echo and load are built
PATH = os.environ["PATH"] + ":/usr/local/sbin:/usr/sbin:/sbin"
START_S = 120
STOP_S = 60
SAMPLE = 50


class Failure(Exception):
    pass


def find_program(name):
    return shutil.which(name, path=PATH)


def tool(name):
    return os.path.join(TOOLS, name)


def free_port():
    """A port that is free for TCP and UDP on 127.0.0.1 right now."""
    for _ in range(50):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise Failure("no free port")


def descendants(pid):
    """The process and all that it started."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as file:
                    parents[int(entry)] = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                pass
    family = [pid]
    for member in family:
        family += [child for child, parent in parents.items() if parent == member]
    return family


def cpu_ns(pids):
    """User and system time of the processes' threads so far."""
    total = 0
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
    return total


def resident_octets(pids):
    """Pages that several of the processes share count once (PSS)."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return total * 1024


class Server:
    """One server with one data set; a subclass knows its command, its files and how it is fed."""

    name = None
    program = None
    has_data = True
    largest = None  # services that it can be given in reasonable time

    def __init__(self, data, core, prefix=()):
        self.data = data
        self.core = core
        self.prefix = list(prefix)
        self.folder = tempfile.mkdtemp(prefix=f"bench-{self.name}-")
        self.port = free_port()
        self.process = None
        self.pids = []
        self.load_s = 0

    @classmethod
    def is_installed(cls):
        return bool(find_program(cls.program))

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def start(self, zone_file=None):
        """Ready with all the data and checked when this returns."""
        self.prepare(zone_file)
        begin = time.monotonic()
        with open(self.path("log"), "ab") as log:
            self.process = subprocess.Popen(
                ["taskset", "-c", str(self.core), *self.prefix, *self.command()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)
        self.feed()
        self.wait_ready()
        self.load_s = self.load_s or time.monotonic() - begin
        self.pids = descendants(self.process.pid)
        self.check()

    def prepare(self, zone_file):
        """Files that the server reads."""

    def command(self):
        raise NotImplementedError

    def feed(self):
        """Data that the server wants to be told."""

    def log(self):
        with open(self.path("log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def fail(self, text):
        raise Failure(f"{self.name} {text}\n{self.log()[-2000:]}")

    def ask(self, label, rrtype, limit_s=5.0):
        """One reply over UDP, or None."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(limit_s)
            try:
                client.connect(("127.0.0.1", self.port))
                client.send(dataset.query(label, rrtype))
                return client.recv(65535)
            except OSError:
                return None

    def wait_ready(self):
        last = self.data.services[-1][0]
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if self.process.poll() is not None:
                self.fail(f"ended with {self.process.returncode}")
            reply = self.ask(last, dataset.TYPE_A, 0.5)
            if reply and (not self.has_data or dataset.summary(reply)[2]):
                return
            if not reply:
                time.sleep(0.02)  # refused: not listening yet
        self.fail("is not ready")

    def check(self):
        if not self.has_data:
            return
        for label, rrtype, rcode, count in self.data.sample(SAMPLE):
            reply = self.ask(label, rrtype)
            found = reply and dataset.summary(reply)
            if not found or found[0] != rcode or (found[2] != count and not found[1]):
                self.fail(f"answers {label} {rrtype} with {found}, not {rcode}, {count} records")

    def cpu_ns(self):
        return cpu_ns(self.pids)

    def resident_octets(self):
        return resident_octets(self.pids)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Echo(Server):
    name = "echo"
    program = "sh"
    has_data = False
    flags = ()

    def command(self):
        return [os.path.abspath(tool("echo")), "--port", str(self.port), *self.flags]


class EpollEcho(Echo):
    name = "epoll-echo"
    flags = ("--epoll",)


class TcpEcho(Echo):
    name = "tcp-echo"
    flags = ("--tcp",)

    def wait_ready(self):
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        self.fail("is not ready")


class Rosterd(Server):
    name = "rosterd"
    program = ROSTERD

    def prepare(self, zone_file):
        self.http_port = free_port()
        # A filter of system calls would be valgrind's own, too; it costs no instructions here.
        self.write("rosterd.conf",
                   f"server: {{sandbox: {'false' if self.prefix else 'true'}}}\n")

    def command(self):
        return [os.path.abspath(ROSTERD), "--zone", dataset.ZONE, "--workers", "1",
                "-c", self.path("rosterd.conf"),
                "--dns", f"127.0.0.1@{self.port}", "--http", f"127.0.0.1@{self.http_port}",
                "--data", self.path("data")]

    def feed(self):
        end = time.monotonic() + START_S
        while True:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", self.http_port)) == 0:
                    break
            if self.process.poll() is not None or time.monotonic() > end:
                self.fail("does not listen")
            time.sleep(0.02)
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=START_S)
        for body in self.data.arrays():
            begin = time.monotonic()  # what it takes us to write the JSON is not its time
            connection.request("POST", "/registry/register", body)
            reply = connection.getresponse()
            text = reply.read()
            self.load_s += time.monotonic() - begin
            if reply.status not in (200, 201):
                self.fail(f"refuses registrations: {reply.status} {text[:500]}")
        connection.close()


    def restart(self, signal_number):
        """Ends it and starts it again on the same data; returns when exec was, monotonic."""
        self.process.send_signal(signal_number)
        self.process.wait(STOP_S)
        with open(self.path("log"), "ab") as log:
            begin = time.monotonic()
            self.process = subprocess.Popen(
                ["taskset", "-c", str(self.core), *self.prefix, *self.command()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)
        return begin


class Etcd(Server):
    """Not a DNS server: registrations are kept in it, for others to make answers of."""

    name = "etcd"
    program = "etcd"
    has_data = False

    def command(self):
        client, peer = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{free_port()}"
        return [find_program("etcd"), "--data-dir", self.path("data"), "--log-level", "error",
                "--listen-client-urls", client, "--advertise-client-urls", client,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", f"default={peer}"]

    def wait_ready(self):
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("GET", "/health")
                if b'"true"' in connection.getresponse().read():
                    return
            except OSError:
                pass
            finally:
                connection.close()
            time.sleep(0.02)
        self.fail("is not ready")


class Nsd(Server):
    name = "nsd"
    program = "nsd"

    def prepare(self, zone_file):
        self.write("nsd.conf", f"""
server:
    ip-address: 127.0.0.1@{self.port}
    server-count: 1
    username: ""
    zonesdir: "{self.folder}"
    database: ""
    pidfile: "{self.path('pid')}"
    xfrdfile: "{self.path('xfrd')}"
    xfrdir: "{self.folder}"
    zonelistfile: "{self.path('zonelist')}"
    cookie-secret-file: "{self.path('cookie')}"
    minimal-responses: yes
    rrl-ratelimit: 0
    rrl-whitelist-ratelimit: 0
remote-control:
    control-enable: no
zone:
    name: {dataset.ZONE}
    zonefile: {zone_file}
""")

    def command(self):
        return [find_program("nsd"), "-d", "-c", self.path("nsd.conf")]


class Knot(Server):
    name = "knot"
    program = "knotd"

    def prepare(self, zone_file):
        self.write("knot.conf", f"""
server:
    listen: 127.0.0.1@{self.port}
    rundir: {self.folder}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {self.folder}
log:
  - target: stderr
    any: warning
zone:
  - domain: {dataset.ZONE}
    file: {zone_file}
    journal-content: none
    zonefile-sync: -1
    semantic-checks: off
""")

    def command(self):
        return [find_program("knotd"), "-c", self.path("knot.conf")]


class Gdnsd(Server):
    name = "gdnsd"
    program = "gdnsd"

    def prepare(self, zone_file):
        os.mkdir(self.path("zones"))
        os.symlink(zone_file, self.path(f"zones/{dataset.ZONE}"))
        self.write("config", f"""options => {{
    listen = 127.0.0.1:{self.port}
    run_dir = {self.folder}
    state_dir = {self.folder}
    udp_threads = 1
    tcp_threads = 1
    udp_rcvbuf = 1048576
    min_ttl = 1
}}
""")

    def command(self):
        return [find_program("gdnsd"), "-c", self.folder, "start"]


class CoreDns(Server):
    """Not in Debian: go install github.com/coredns/coredns@latest, and $GOBIN in PATH."""

    name = "coredns"
    program = "coredns"

    def prepare(self, zone_file):
        self.write("Corefile", f"""
.:{self.port} {{
    bind 127.0.0.1
    file {zone_file} {dataset.ZONE}
}}
""")

    def command(self):
        return ["env", "GOMAXPROCS=1", find_program("coredns"), "-conf", self.path("Corefile")]


class Consul(Server):
    """Not in Debian: the binary in PATH. One agent alone, with its data in memory."""

    name = "consul"
    program = "consul"
    largest = 10000  # services: they are registered one by one

    def prepare(self, zone_file):
        self.http_port = free_port()
        label, _, domain = dataset.ZONE.partition(".")
        if label != "service":
            raise Failure("consul's names are <service>.service.<domain>")
        ports = {name: free_port() for name in ("server", "serf_lan", "serf_wan")}
        self.write("consul.json", json.dumps({
            "domain": domain, "bind_addr": "127.0.0.1", "log_level": "warn",
            "ports": {"dns": self.port, "http": self.http_port, "grpc": -1, "grpc_tls": -1,
                      **ports},
            "dns_config": {"service_ttl": {"*": f"{dataset.TTL_S}s"}, "udp_answer_limit": 100,
                           "soa": {"min_ttl": dataset.TTL_S}}}))

    def command(self):
        return ["env", "GOMAXPROCS=1", find_program("consul"), "agent", "-dev",
                f"-config-file={self.path('consul.json')}"]

    def put(self, path, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=START_S)
        try:
            connection.request("PUT", path, json.dumps(body))
            return connection.getresponse().status
        except OSError:
            return None
        finally:
            connection.close()

    def feed(self):
        end = time.monotonic() + START_S
        for number, (service, address) in enumerate(self.data.instances()):
            body = {"Node": "bench", "Address": "127.0.0.1", "Service": {
                "ID": f"{service}-{number}", "Service": service, "Address": address,
                "Port": dataset.PORT}}
            while self.put("/v1/catalog/register", body) != 200:
                if self.process.poll() is not None or time.monotonic() > end:
                    self.fail("takes no registrations")
                time.sleep(0.1)  # no leader yet


PEERS = (Nsd, Knot, Gdnsd, CoreDns)
ALL = (Rosterd, *PEERS, Consul)


def cores():
    """(for the servers, for the load)"""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        sys.exit("bench: needs two cores, one for the server and one for the load")
    return allowed[0], allowed[1]
