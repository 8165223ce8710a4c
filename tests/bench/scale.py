# SPDX-License-Identifier: BSD-2-Clause
"""What changes cost, and what they cost those who ask meanwhile: at scale.

The server has one core with all its threads, the loads share the other one. Times of DNS queries
are from the send to the kernel's stamp on the reply; a stall is how late GET /health/live, due
every millisecond, is answered, whatever kept it waiting. As root, both go before whatever else the
machine does.
"""

import contextlib
import http.client
import json
import os
import re
import signal
import statistics
import subprocess
import time

import dataset
import servers

PER_SERVICE = 4
SERVICES = 1000  # that are asked for
ASK_RATE = 10000  # queries a second while something happens
BUSY_RATE = 50000
LEASE_S = 11
TTL_S = dataset.TTL_S
ENDING_S = 1.2  # of looking on from shortly before leases end
LIMIT_S = 300
OTHERS_MAX = 0.03  # of the server's core, before the figures are doubtful
# In a session, and so a group of the scheduler, of its own. Where that is not allowed: a warning.
FIRST = ["setsid", "sh", "-c",
         "echo -19 2>/dev/null >/proc/self/autogroup; exec nice -n -19 \"$@\"", "sh"]


class Figures:
    """A line of key=value."""

    def __init__(self, line):
        for field in line.split():
            key, value = field.split("=")
            setattr(self, key, float(value))


class Scene:
    """An empty server and its loads."""

    def __init__(self, options):
        self.options = options
        self.server = servers.Rosterd(dataset.Dataset("no instances", [("none", 0)]),
                                      options.server_core, FIRST)
        self.server.has_data = False
        options.running.append(self.server)
        self.server.start()
        self.begun = self.clocks()

    def clocks(self):
        """Seconds that passed, that the server's core was busy, and that it was for the server."""
        with open("/proc/stat", encoding="ascii") as file:
            line = next(line for line in file
                        if line.startswith(f"cpu{self.options.server_core} "))
        ticks = [int(field) for field in line.split()[1:9]]
        busy = sum(ticks) - ticks[3] - ticks[4]  # but idle and waiting for disks
        return (time.monotonic(), busy / os.sysconf("SC_CLK_TCK"), self.server.cpu_ns() / 1e9)

    def command(self, tool, port, *flags):
        return ["taskset", "-c", str(self.options.load_core), *FIRST, servers.tool(tool), "--port",
                str(port), *(str(flag) for flag in flags)]

    def http_command(self, task, *flags):
        return self.command("http_load", self.server.http_port, "--do", task, *flags)

    def http(self, task, *flags, may_fail=False):
        """Figures of one whole run."""
        done = subprocess.run(self.http_command(task, *flags), capture_output=True, text=True,
                              timeout=LIMIT_S, check=False)
        if done.returncode:
            self.server.fail(f"under http_load: {done.stderr.strip()}")
        figures = Figures(done.stdout)
        if figures.bad and not may_fail:
            self.server.fail(f"refused {figures.bad:.0f} requests: {done.stderr.strip()}")
        return figures

    def fill(self, n_instances, *flags):
        return self.http("register", "--instances", n_instances, "--array", dataset.ARRAY, *flags)

    @contextlib.contextmanager
    def beside(self, command):
        """Runs a load while the block runs; the list has its figures afterwards."""
        figures = []
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True) as load:
            try:
                yield figures
            finally:
                load.send_signal(signal.SIGTERM)
                line, said = load.communicate(timeout=LIMIT_S)
        if load.returncode:
            self.server.fail(f"under a load: {said.strip()}")
        figures.append(Figures(line))

    def asking(self, rate, services=SERVICES):
        return self.beside(self.command("load", self.server.port, "--services", services,
                                        "--mix", "60,40,0", "--count", 10**9, "--rate", rate,
                                        "--timed"))

    def looking(self):
        return self.beside(self.http_command("live", "--rate", 1000, "--requests", 10**9))

    def metric(self, name):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.http_port, timeout=30)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return float(re.search(rf"^{name} (\S+)$", text, re.M).group(1))

    def end(self):
        passed, busy, own = (now - then for now, then in zip(self.clocks(), self.begun))
        others = (busy - own) / passed
        if others > OTHERS_MAX:
            print(f"  beware: others had {others:.0%} of the server's core, and it waited for them",
                  flush=True)
        self.server.remove()
        self.options.running.remove(self.server)


@contextlib.contextmanager
def a_scene(options):
    scene = Scene(options)
    yield scene
    scene.end()


def span(figures):
    """p50, p99 and the longest, in ms."""
    return (f"p50 {figures.p50_us / 1000:.2f}, p99 {figures.p99_us / 1000:.2f}, "
            f"max {figures.max_us / 1000:.2f}")


def put_ms(table, row, figures, bound, note="", longest=False):
    """The p99, or the longest, against a goal in ms."""
    table.add(row, "rosterd", span(figures), note)
    table.goal(f"{row}, {'longest' if longest else 'p99'}",
               (figures.max_us if longest else figures.p99_us) / 1000, bound)


def put_asked(table, row, figures):
    put_ms(table, row, figures, 5, f"{figures.answered:,.0f} answered, {figures.lost:.0f} lost, "
           f"{figures.nxdomain + figures.other:.0f} wrong")
    if figures.lost or figures.nxdomain or figures.other:
        table.goal(f"{row}: lost or wrong", figures.lost + figures.nxdomain + figures.other, 0,
                   decimals=0)


# ---- Rows ----


def run_visible(options, table):
    count = 500 if options.quick else 5000
    with a_scene(options) as scene:
        scene.fill(SERVICES * PER_SERVICE)
        for turn, (label, rate, bound) in enumerate((("idle", 0, 2),
                                                     (f"{BUSY_RATE:,} queries/s", BUSY_RATE, 5))):
            flags = ("--first", SERVICES * PER_SERVICE + turn * count, "--instances", count,
                     "--per", 1, "--prefix", "new", "--dns", scene.server.port, "--rate", 500)
            with scene.asking(rate) if rate else contextlib.nullcontext():
                found = scene.http("register", *flags)
            row = f"register -> reply -> DNS, {label}, ms"
            put_ms(table, row, found, bound, f"{found.requests:,.0f} times")
            table.goal(f"{row}: replied, but not in DNS", found.stale, 0, decimals=0)


def run_arrays(options, table):
    count = 50000 if options.quick else 250000
    for connections in (1, 4):
        with a_scene(options) as scene:
            found = scene.fill(count, "--connections", connections)
            row = f"registrations/s in arrays, {connections} connections"
            table.add(row, "rosterd", f"{found.objects / found.seconds:,.0f}",
                      f"a request of {dataset.ARRAY}, ms: {span(found)}")
            table.goal(row, found.objects / found.seconds, 50000, more_is_better=True, decimals=0)


def run_million(options, table):
    count = 100000 if options.quick else 1000000
    with a_scene(options) as scene:
        with scene.looking() as stalls, scene.asking(ASK_RATE, 1) as asked:
            scene.fill(PER_SERVICE)
            found = scene.fill(count)
        row = f"{count:,} instances registered"
        octets = scene.server.resident_octets()
        table.add(f"{row}, resident MB", "rosterd", f"{octets / 1e6:,.0f}",
                  f"{found.objects / found.seconds:,.0f}/s, in arrays of {dataset.ARRAY}")
        if not options.quick:
            table.goal(f"{row}, resident MB", octets / 1e6, 600, decimals=0)
        put_ms(table, f"{row}, stalls meanwhile, ms", stalls[0], 10)
        table.add(f"{row}, DNS meanwhile, ms", "rosterd", span(asked[0]),
                  f"{asked[0].lost:.0f} lost")


def look_on(scene, table, row, at):
    """What DNS and HTTP see from shortly before `at`."""
    time.sleep(max(0, at - 0.1 - time.monotonic()))
    with scene.looking() as stalls, scene.asking(ASK_RATE) as asked:
        time.sleep(ENDING_S)
    put_asked(table, f"{row}, DNS meanwhile, ms", asked[0])
    put_ms(table, f"{row}, stalls, ms", stalls[0], 10, longest=True)


def run_expiry(options, table):
    count = 20000 if options.quick else 100000
    leases = ("--first", SERVICES * PER_SERVICE, "--prefix", "tmp", "--instances", count)
    with a_scene(options) as scene:
        scene.fill(SERVICES * PER_SERVICE)
        scene.fill(count, *leases[:-2], "--lease", LEASE_S)
        scene.http("heartbeat", *leases, "--array", 10000)
        renewed = time.monotonic()
        look_on(scene, table, f"{count:,} TTLs begin to count down", renewed + LEASE_S - TTL_S)
        row = f"{count:,} leases end"
        look_on(scene, table, row, renewed + LEASE_S)
        gone = scene.metric("rosterd_expiries_total")
        table.goal(f"{row}: gone {ENDING_S - 0.1:.1f} s later", gone, count, more_is_better=True,
                   decimals=0)


def run_return(options, table):
    count, seconds = (20000, 2) if options.quick else (100000, 10)
    with a_scene(options) as scene:
        scene.fill(count)
        with scene.looking() as stalls, scene.asking(ASK_RATE, count // PER_SERVICE) as asked:
            found = scene.http("register", "--instances", count, "--version", "2", "--connections",
                               64, "--rate", count // seconds, may_fail=True)
        row = f"{count:,} instances register again within {seconds} s"
        table.add(f"{row}, ms", "rosterd", span(found),
                  f"{found.bad:.0f} not acknowledged, {found.seconds:.2f} s in all")
        table.goal(f"{row}: acknowledged", found.objects - found.bad, count, more_is_better=True,
                   decimals=0)
        table.goal(f"{row}: seconds", found.seconds, seconds * 1.05)
        put_asked(table, f"{row}, DNS meanwhile, ms", asked[0])
        table.add(f"{row}, stalls, ms", "rosterd", span(stalls[0]), "")


def run_change(options, table):
    size, many = (2000, 5000) if options.quick else (10000, 50000)
    count = 30 if options.quick else 300
    medians = []
    for others in (10, many):
        with a_scene(options) as scene:
            scene.fill(others * PER_SERVICE)
            scene.fill(size, "--first", others * PER_SERVICE, "--name", "big")
            found = scene.http("register", "--first", 10**7, "--instances", count, "--name", "big",
                               "--id", "one", "--dns", scene.server.port, "--rate", 50)
            put_ms(table, f"one of {size:,} instances changes, {others:,} other services, ms",
                   found, 5, f"{found.requests:.0f} times, {found.stale:.0f} not in DNS yet")
            medians.append(found.p50_us)
    table.goal(f"the same, {many:,} / 10 other services", medians[1] / medians[0], 1.25)


def run_heartbeats(options, table):
    count = 20000 if options.quick else 100000
    rounds = 2 if options.quick else 5
    with a_scene(options) as scene:
        scene.fill(count, "--lease", 3600)
        for label, objects, bound, flags in (
                ("in arrays of 10,000", count * 10, 300000, ("--array", 10000)),
                ("singly, 16 connections", count, 40000, ("--connections", 16))):
            rates = []
            for _ in range(rounds):
                before = scene.server.cpu_ns()
                found = scene.http("heartbeat", "--instances", count, "--requests",
                                   objects // (10000 if "--array" in flags else 1), *flags)
                rates.append(found.objects * 1e9 / (scene.server.cpu_ns() - before))
            row = f"renewals per second of one core, {label}"
            table.add(row, "rosterd",
                      f"{statistics.median(rates):,.0f} ({min(rates):,.0f}..{max(rates):,.0f})",
                      f"{found.objects / found.seconds:,.0f}/s by the clock; a request, ms: "
                      f"{span(found)}")
            table.goal(row, statistics.median(rates), bound, more_is_better=True, decimals=0)


def add_checks(scene, prefix, count, first, port, interval_s, timeout_s):
    """Instances with an http check each, of /first and so on at the port."""
    connection = http.client.HTTPConnection("127.0.0.1", scene.server.http_port, timeout=30)
    for begin in range(first, first + count, dataset.ARRAY):
        body = json.dumps([{
            "name": f"{prefix}{i // PER_SERVICE}", "id": f"i{i}", "ip": "127.0.0.1", "port": port,
            "checks": [{"kind": "http", "path": f"/{i}", "interval": f"{interval_s}s",
                        "timeout": f"{timeout_s}s"}],
        } for i in range(begin, min(begin + dataset.ARRAY, first + count))])
        connection.request("POST", "/registry/register", body)
        reply = connection.getresponse()
        text = reply.read()
        if reply.status != 201:
            scene.server.fail(f"refuses checks: {reply.status} {text[:500]}")
    connection.close()


@contextlib.contextmanager
def a_target(scene):
    """What checks connect to: its process and ports; ended, the figures are in the last list."""
    figures = []
    command = ["taskset", "-c", str(scene.options.load_core), *FIRST, servers.tool("target")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as target:
        try:
            yield target, Figures(target.stdout.readline()), figures
        finally:
            target.send_signal(signal.SIGTERM)
            line, _ = target.communicate(timeout=LIMIT_S)
    figures.append(Figures(line))


def run_checks(options, table):
    """Once all have run: what they cost, and whom targets that hang delay."""
    count, interval_s, rounds = (1000, 1, 2) if options.quick else (10000, 10, 3)
    what = f"{count:,} http checks each {interval_s} s"
    with a_scene(options) as scene, a_target(scene) as (target, ports, figures):
        add_checks(scene, "good", count, 0, int(ports.good), interval_s, interval_s / 2)
        time.sleep(2 * interval_s)
        target.send_signal(signal.SIGUSR1)
        begin, before = time.monotonic(), scene.server.cpu_ns()
        time.sleep(rounds * interval_s)
        share = (scene.server.cpu_ns() - before) / 1e9 / (time.monotonic() - begin)
    table.add(f"{what}, share of a core", "rosterd", f"{share:.2f}",
              f"{figures[0].runs:,.0f} runs in {rounds * interval_s} s")
    table.goal(f"{what}, share of a core", share, 0.5)
    table.goal(f"{what}: runs", figures[0].runs, count * (rounds - 1), more_is_better=True,
               decimals=0)
    row = f"10 checks beside {count:,} that hang, each {interval_s} s, longest without a run, s"
    with a_scene(options) as scene, a_target(scene) as (target, ports, figures):
        add_checks(scene, "bad", count, 10, int(ports.hanging), interval_s, interval_s / 2)
        add_checks(scene, "good", 10, 0, int(ports.good), interval_s, interval_s / 2)
        time.sleep(2 * interval_s)
        target.send_signal(signal.SIGUSR1)
        time.sleep(rounds * interval_s)
    table.add(row, "rosterd", f"{figures[0].quiet_ms / 1000:.2f}",
              f"{figures[0].runs:.0f} runs, {figures[0].hung:,.0f} that hung")
    table.goal(row, figures[0].quiet_ms / 1000, 2 * interval_s)
    table.goal(f"{row}: runs", figures[0].runs, 10 * (rounds - 1), more_is_better=True, decimals=0)


def syncs_per_second(folder):
    """What the disk can do: a page overwritten and synced, one after the other."""
    path, n, begin = os.path.join(folder, "sync"), 0, time.monotonic()
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.write(fd, bytes(4096))
    os.fsync(fd)
    while time.monotonic() < begin + 1:
        os.pwrite(fd, bytes(4096), 0)
        os.fdatasync(fd)
        n += 1
    os.close(fd)
    os.unlink(path)
    return n / (time.monotonic() - begin)


def run_durable(options, table):
    """Each acknowledged when it is on disk; etcd, which many keep registrations in, beside."""
    count = 4000 if options.quick else 40000
    row = "durable registrations/s, singly, 64 connections"
    flags = ("--instances", count, "--connections", 64)
    with a_scene(options) as scene:
        syncs = syncs_per_second(scene.server.folder)
        found = scene.http("register", *flags)
        commits = scene.metric(r'rosterd_store_commits_total\{result="ok"\}')
        table.add(row, "rosterd", f"{found.objects / found.seconds:,.0f}",
                  f"a request, ms: {span(found)}; {found.objects / max(commits, 1):.0f} a commit; "
                  f"the disk alone: {syncs:,.0f} syncs/s")
        table.goal(row, found.objects / found.seconds, 20000, more_is_better=True, decimals=0)
    if not servers.Etcd.is_installed():
        print("  etcd (Debian package: etcd-server) is not installed: left out", flush=True)
        return
    etcd = servers.Etcd(dataset.Dataset("no instances", [("none", 0)]), options.server_core, FIRST)
    options.running.append(etcd)
    etcd.start()
    command = ["taskset", "-c", str(options.load_core), *FIRST, servers.tool("http_load"),
               "--port", etcd.port, "--do", "etcd", "--instances", count // 4, "--connections", 64]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=LIMIT_S, check=False)
    if done.returncode:
        etcd.fail(f"under http_load: {done.stderr.strip()}")
    found = Figures(done.stdout)
    table.add(row, "etcd", f"{found.objects / found.seconds:,.0f}",
              f"a put, ms: {span(found)}; without a lease, a check or DNS")
    etcd.remove()
    options.running.remove(etcd)


def run_start(options, table):
    """From exec to the first right answer: after a stop, and after a crash."""
    for count, bound in ((10000, 1),) if options.quick else ((100000, 1), (1000000, 4)):
        with a_scene(options) as scene:
            scene.fill(count)
            last = f"svc{(count - 1) // PER_SERVICE:06}"
            for label, number in (("SIGTERM", signal.SIGTERM), ("kill -9", signal.SIGKILL)):
                begin = scene.server.restart(number)
                n_refused = wait_answer(scene.server, last)
                seconds = time.monotonic() - begin
                row = f"{count:,} instances, exec to first right answer, s, after {label}"
                table.add(row, "rosterd", f"{seconds:.2f}", f"{n_refused} times SERVFAIL before")
                table.goal(row, seconds, bound)
            scene.server.pids = servers.descendants(scene.server.process.pid)
            scene.begun = scene.clocks()


def wait_answer(server, label):
    """How often it said SERVFAIL before it knew the service; it must say nothing else."""
    n_refused, end = 0, time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        reply = server.ask(label, dataset.TYPE_A, 0.1)
        if reply is None:  # not listening yet
            time.sleep(0.001)
            continue
        rcode, _, count = dataset.summary(reply)
        if rcode == 0 and count:
            return n_refused
        if rcode != 2:
            server.fail(f"answers {rcode}, {count} records while it starts")
        n_refused += 1
        time.sleep(0.001)
    server.fail("does not come back")
    return n_refused


FUNCTIONS = {
    "visible": run_visible,
    "arrays": run_arrays,
    "million": run_million,
    "expiry": run_expiry,
    "return": run_return,
    "change": run_change,
    "heartbeats": run_heartbeats,
    "checks": run_checks,
    "durable": run_durable,
    "start": run_start,
}
