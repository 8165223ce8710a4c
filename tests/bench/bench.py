#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a query costs: rosterd and the public yardsticks against a bare echo.

NSD, Knot and gdnsd are Debian's; CoreDNS and Consul take part where they are in PATH.

    bench.py [--quick] [--only rosterd,nsd,...] [--rows udp,shared,...] [--rounds N] [--count N]

All servers of a row run at once on one core and are asked in turn, one at a time, by a load on the
other core. The machine's speed drifts, so the echo is asked right before each of them, and what
counts is the ratio of the CPU times (user and system, of all threads) per answered query: the
median over the rounds, with the least and the most. Instructions come from callgrind: two runs of N
and of 2N queries, whose difference is free of start and load.

Rows: udp (1,000 and 250,000 services; 256 clients with one query each at a time), shared (the same
for 4 clients with 64 each: forwarders), callgrind, tcp, memory,
size (10,000 instances against 10), low (50,000 queries a second); and of rosterd alone, in
scale.py: visible (a registration in DNS), arrays (of registrations), million (instances), expiry
(of 100,000 leases at once), return (of 100,000 instances), change (in a service of 10,000),
heartbeats, checks (10,000 health checks, and as many that hang), durable (single registrations, etcd
beside), start (with what is on disk); in abuse.py: abuse (malformed packets, floods of TCP
connections).
"""

import argparse
import glob
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile

import abuse
import dataset
import scale
import servers

ROWS = ("udp", "shared", "callgrind", "tcp", "memory", "size", "low", *scale.FUNCTIONS,
        *abuse.FUNCTIONS)
SMALL = 1000
LARGE = 250000
LOW_RATE = 50000
TCP_CONNECTIONS = 8  # each with 16 queries outstanding
TCP_MORE = 5  # times the queries of a UDP run, which would be over in no time
CALLGRIND_QUERIES = 50000
LOAD_LIMIT_S = 120
MIB = 1 << 20


def say(text):
    print(text, flush=True)


# ---- One run of the load ----


class Run:
    """What one run of the load found, and the server's CPU time for it."""

    def __init__(self, line, cpu_ns):
        for field in line.split():
            key, value = field.split("=")
            setattr(self, key, float(value))
        self.cpu_ns = cpu_ns

    def query_ns(self):
        return self.cpu_ns / self.answered

    def reply_octets(self):
        return self.octets / self.answered

    def use(self):
        """Share of the time in which the server ran."""
        return self.cpu_ns / self.seconds / 1e9

    def rate(self):
        return self.answered / self.seconds

    def queries_a_core_s(self):
        return 1e9 / self.query_ns()


def ask(server, core, count, seed, *flags):
    command = ["taskset", "-c", str(core), servers.tool("load"), "--port", str(server.port),
               "--services", str(len(server.data)), "--count", str(count), "--seed", str(seed),
               "--limit", str(LOAD_LIMIT_S), *flags]
    before = server.cpu_ns()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        server.fail(f"under load: {done.stderr.strip()}")
    run = Run(done.stdout, server.cpu_ns() - before)
    if server.has_data:
        check(server, run, "--name" in flags)
    return run


def check(server, run, is_positive):
    """The answers of the mix are the answers of the data, or the figures mean nothing."""
    share = run.nxdomain / run.answered
    counts = {count for _, count in server.data.services}
    records = run.noerror * counts.pop() if len(counts) == 1 else run.records
    if run.other or run.records != records or (share > 0 if is_positive else
                                               abs(share - 0.1) > 0.02):
        server.fail(f"answers wrongly under load: {vars(run)}")


# ---- Servers of one data set, in alternation ----


class Field:
    """Servers that run side by side with the same data."""

    def __init__(self, options, data, echo, kinds):
        self.options = options
        self.data = data
        self.members = []
        self.folder = tempfile.TemporaryDirectory(prefix="bench-zone-")
        zone_file = os.path.join(self.folder.name, "zone")
        if any(kind in servers.PEERS for kind in kinds):
            data.write_zone(zone_file)
        self.echo = echo and self.start(echo, zone_file)
        for kind in kinds:
            if kind.largest and len(data) > kind.largest:
                say(f"  {kind.name}: skipped, it takes {kind.largest:,} services at most")
            else:
                self.members.append(self.start(kind, zone_file))

    def start(self, kind, zone_file):
        server = kind(self.data, self.options.server_core)
        running.append(server)
        server.start(zone_file)
        say(f"  {server.name}: {self.data.name} in {server.load_s:.1f} s")
        return server

    def ask(self, server, count, seed, *flags):
        return ask(server, self.options.load_core, count, seed, *flags)

    def compare(self, *flags):
        """{name: [(run, run of the echo right before), ...]}"""
        count = self.options.count
        found = {server.name: [] for server in self.members}
        for server in (self.echo, *self.members):
            self.ask(server, count, 0, *flags)
        for turn in range(self.options.rounds):
            for server in self.members:
                echo = self.ask(self.echo, count, turn + 1, *flags)
                run = self.ask(server, count, turn + 1, *flags)
                found[server.name].append((run, echo))
        return found

    def end(self):
        for server in (self.echo, *self.members):
            if server:
                server.remove()
                running.remove(server)
        self.folder.cleanup()


running = []


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f}..{max(values):.2f})"


# ---- The table ----


class Table:
    def __init__(self):
        self.lines = []
        self.goals = []

    def add(self, row, server, value, note=""):
        self.lines.append((row, server, value, note))
        say(f"  {row} | {server} | {value} | {note}")

    def goal(self, text, value, bound, more_is_better=False, decimals=2):
        reached = value >= bound if more_is_better else value <= bound
        self.goals.append((text, f"{value:,.{decimals}f}", f"{bound:,.{decimals}f}",
                           "reached" if reached else "missed"))

    def print(self):
        for head, lines in ((("row", "server", "figure", ""), self.lines),
                            (("goal of rosterd", "found", "goal", ""), self.goals)):
            if not lines:
                continue
            widths = [max(len(line[i]) for line in (head, *lines)) for i in range(4)]
            say("")
            for line in (head, *lines):
                say("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())


# ---- Rows ----


def put_ratios(table, row, found):
    """The median ratio of each server."""
    medians = {}
    for name, pairs in found.items():
        ratios = [run.query_ns() / echo.query_ns() for run, echo in pairs]
        runs = [run for run, _ in pairs]
        lost = sum(run.lost for run in runs) / sum(run.sent for run in runs)
        medians[name] = statistics.median(ratios)
        table.add(row, name, spread(ratios),
                  f"{statistics.median(run.query_ns() for run in runs):,.0f} ns, echo "
                  f"{statistics.median(echo.query_ns() for _, echo in pairs):,.0f} ns; "
                  f"{statistics.median(run.reply_octets() for run in runs):.0f} octets a reply; "
                  f"busy {statistics.median(run.use() for run in runs):.0%}; lost {lost:.3%}")
    return medians


def run_sets(options, table):
    """Rows udp, shared and memory: they need the same servers."""
    goals = {SMALL: 1.02, LARGE: 1.10}
    sizes = [SMALL] if options.quick else [SMALL, LARGE]
    for size in sizes:
        field = Field(options, dataset.uniform(size), servers.Echo, options.kinds)
        label = f"{size:,} services"
        if "udp" in options.rows:
            row = f"CPU per query / echo, {label}"
            medians = put_ratios(table, row, field.compare())
            if "rosterd" in medians:
                table.goal(row, medians["rosterd"], goals[size])
        if "shared" in options.rows:
            row = f"the same, 4 shared sockets, {label}"
            medians = put_ratios(table, row, field.compare("--shared"))
            if "rosterd" in medians:
                table.goal(row, medians["rosterd"], 0.85)
        put_memory(options, table, field, size)
        field.end()


def put_memory(options, table, field, size):
    row = f"resident MB, {size * 4:,} instances"
    for server in field.members:
        octets = server.resident_octets()
        if "memory" in options.rows:
            table.add(row, server.name, f"{octets / 1e6:,.0f}", f"loaded in {server.load_s:.1f} s")
            if size == LARGE and server.name == "rosterd":
                table.goal(row, octets / 1e6, 600, decimals=0)


def count_instructions(options, kind, zone_file, data, count):
    """Of one whole life of a server, with `count` queries."""
    folder = tempfile.TemporaryDirectory(prefix="bench-callgrind-")
    server = kind(data, options.server_core,
                  ["valgrind", "--tool=callgrind", "--trace-children=yes",
                   f"--callgrind-out-file={folder.name}/out.%p"])
    running.append(server)
    server.start(zone_file)
    run = ask(server, options.load_core, count, 1)
    if run.lost:
        say(f"  {kind.name}: lost {run.lost:.0f} of {count} under callgrind")
    server.remove()
    running.remove(server)
    total = 0
    for path in glob.glob(f"{folder.name}/out.*"):
        with open(path, encoding="ascii", errors="replace") as file:
            total += sum(int(n) for n in re.findall(r"^totals: (\d+)", file.read(), re.M))
    folder.cleanup()
    return total


def run_callgrind(options, table):
    row = f"user instructions a query, {SMALL:,} services"
    if not servers.find_program("valgrind"):
        say("  skipped: valgrind is not installed")
        return
    data = dataset.uniform(SMALL)
    with tempfile.TemporaryDirectory(prefix="bench-zone-") as folder:
        zone_file = os.path.join(folder, "zone")
        data.write_zone(zone_file)
        for kind in (servers.Echo, *options.kinds):
            once, twice = (count_instructions(options, kind, zone_file, data, n * CALLGRIND_QUERIES)
                           for n in (1, 2))
            found = (twice - once) / CALLGRIND_QUERIES
            table.add(row, kind.name, f"{found:,.0f}")
            if kind.name == "rosterd":
                table.goal(row, found, 800, decimals=0)


def run_tcp(options, table):
    row = f"TCP, {TCP_CONNECTIONS} connections, pipelined, queries/s a core"
    options = argparse.Namespace(**{**vars(options), "count": options.count * TCP_MORE})
    field = Field(options, dataset.uniform(SMALL), servers.TcpEcho, options.kinds)
    found = field.compare("--tcp", str(TCP_CONNECTIONS))
    runs = {name: [run for run, _ in pairs] for name, pairs in found.items()}
    runs["echo"] = [echo for pairs in found.values() for _, echo in pairs]
    for name, list_ in runs.items():
        rates = [run.queries_a_core_s() for run in list_]
        median = statistics.median(rates)
        table.add(row, name, f"{median:,.0f} ({min(rates):,.0f}..{max(rates):,.0f})",
                  f"{statistics.median(run.rate() for run in list_):,.0f}/s by the clock, busy "
                  f"{statistics.median(run.use() for run in list_):.0%}; "
                  f"{statistics.median(run.reply_octets() for run in list_):.0f} octets a reply")
        if name == "rosterd":
            table.goal(row, median, 1000000, more_is_better=True, decimals=0)
    field.end()


def run_size(options, table):
    """The service of 10 plays the echo's part."""
    few, many = 10, 10000
    field = Field(options, dataset.of_sizes(few, many), None, [servers.Rosterd])
    rosterd = field.members[0]
    for flags in ((), ("--edns",)):
        row = f"A of {many:,} instances / of {few}" + (", EDNS 1232" if flags else "")
        ratios = []
        runs = []
        for turn in range(options.rounds + 1):
            pair = [field.ask(rosterd, options.count, turn, "--name", f"svc-{size:05}", *flags)
                    for size in (few, many)]
            if turn:
                ratios.append(pair[1].query_ns() / pair[0].query_ns())
                runs.append(pair)
        table.add(row, "rosterd", spread(ratios),
                  f"{runs[0][1].reply_octets():.0f} / {runs[0][0].reply_octets():.0f} octets")
        table.goal(row, statistics.median(ratios), 1.5)
    field.end()


def run_low(options, table):
    row = f"CPU per query / epoll echo, {LOW_RATE:,} queries a second"
    field = Field(options, dataset.uniform(SMALL), servers.EpollEcho, options.kinds)
    medians = put_ratios(table, row, field.compare("--rate", str(LOW_RATE)))
    if "rosterd" in medians:
        table.goal(row, medians["rosterd"], 1.00)
    field.end()


# ---- Start and end ----


def parse_options():
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="1,000 services, few short rounds")
    parser.add_argument("--only", default=",".join(kind.name for kind in servers.ALL),
                        help="servers, of %(default)s")
    parser.add_argument("--rows", default=",".join(ROWS), help="of %(default)s")
    parser.add_argument("--rounds", type=int, help="7; quick: 3")
    parser.add_argument("--count", type=int, help="queries a run, 400,000; quick: 100,000")
    options = parser.parse_args()
    options.rows = options.rows.split(",")
    if set(options.rows) - set(ROWS):
        parser.error(f"the rows are {','.join(ROWS)}")
    options.rounds = options.rounds or (3 if options.quick else 7)
    options.count = options.count or (100000 if options.quick else 400000)
    options.kinds = choose_servers(options.only.split(","))
    options.server_core, options.load_core = servers.cores()
    options.running = running
    return options


def choose_servers(names):
    kinds = []
    for kind in servers.ALL:
        if kind.name in names and kind.is_installed():
            kinds.append(kind)
        elif kind is servers.Rosterd and kind.name in names:
            sys.exit(f"bench: there is no {servers.ROSTERD}; ROSTERD names the binary")
        elif kind.name in names:
            say(f"skipped: {kind.name} is not installed")
    return kinds


def main():
    options = parse_options()
    table = Table()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: ended by a signal"))
    try:
        if {"udp", "shared", "memory"} & set(options.rows):
            say("udp, shared, memory")
            run_sets(options, table)
        for row, function in (("callgrind", run_callgrind), ("tcp", run_tcp), ("size", run_size),
                              ("low", run_low), *scale.FUNCTIONS.items(),
                              *abuse.FUNCTIONS.items()):
            if row in options.rows:
                say(row)
                function(options, table)
    except servers.Failure as reason:
        sys.exit(f"bench: {reason}")
    finally:
        for server in list(running):
            server.remove()
        table.print()
    if len(os.sched_getaffinity(0)) < 3:
        say("\nA second worker's gain needs three cores, one for the load: not measured here.")


if __name__ == "__main__":
    main()
