# SPDX-License-Identifier: BSD-2-Clause
"""GET /metrics: every family is there, moves as it should, and tells of nobody."""

import collections
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import harness
import wire
from harness import expect, expect_equal, wait_for

APEX = "$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n"
ZONE = APEX + "ring A 192.0.2.1\nloop1 CNAME loop2\nloop2 CNAME loop1\n"
SECRET = "zebra"  # part of every name that is asked for or registered here

FAMILIES = {
    "counter": """
        dns_queries dns_zone_queries dns_replies dns_dropped dns_rate_slipped dns_amplified
        tls_handshakes dns_truncated dns_cookies dns_tcp_connections dns_tcp_idle http_requests
        access_denied registrations heartbeats deregistrations store_commits store_commit_seconds
        store_copy_errors expiries changes_refused pauses_credited checks checks_not_run policy_acts
        names_published reloads service_file_reads limit_hit""",
    "gauge": """services policy_services policy_names instances admin_instances revision watchers store_degraded store_bytes
        service_files services_dir_refused build_info""",
    "histogram": "dns_answer_seconds control_round_seconds",
}
PROCESS = {
    "process_cpu_seconds_total": "counter", "process_start_time_seconds": "gauge",
    "process_resident_memory_bytes": "gauge", "process_virtual_memory_bytes": "gauge",
    "process_open_fds": "gauge", "process_max_fds": "gauge",
}
# What labels may say, whatever clients do; zones are those of the configuration.
LABELS = {
    "protocol": r"udp|tcp|tls", "type": r"[A-Z]{1,6}|other|none", "rcode": r"[A-Z]+",
    "reason": r"not-a-query|oversize|rate-limit|send|unknown|forbidden",
    "state": r"begun|done|new|valid|good|bad|auto|up|down|drain|"
             r"fit|empty|all|panic|last",
    "code": r"[2345]xx|400|404|409|503|507", "result": r"pass|warn|fail|done|failed|ok|error|good|bad",
    "serve": r"all|last",
    "status": r"passing|warning|critical", "version": r"[\w.~+-]+", "limit": r"[a-z-]+",
    "le": r"[0-9.e+-]+|\+Inf", "zone": r"(service|eu|other)\.local\.|none",
}


class Page:
    """One reply, read strictly: a family is a HELP, a TYPE and its samples, all in one place."""

    def __init__(self, text):
        self.text = text
        self.types = {}
        self.samples = {}
        family = None
        for line in text.splitlines():
            if line.startswith("# HELP "):
                family, words = line[7:].split(" ", 1)
                expect(words.strip() and family not in self.types, f"HELP twice, or empty: {line}")
                self.types[family] = None
            elif line.startswith("# TYPE "):
                name, kind = line[7:].split(" ")
                expect(name == family and self.types[name] is None, f"TYPE out of place: {line}")
                self.types[name] = kind
            else:
                self.take(family, line)

    def take(self, family, line):
        sample = re.fullmatch(r'(\w+)(?:\{((?:\w+="(?:[^"\\]|\\.)*",?)+)\})? ([0-9.]+)', line)
        expect(sample, f"not a sample: {line}")
        name, labels, value = sample.groups()
        suffixes = "|_bucket|_sum|_count" if self.types[family] == "histogram" else ""
        expect(re.fullmatch(rf"{family}(?:{suffixes})", name), f"{name} among those of {family}")
        key = f"{name}{{{labels}}}" if labels else name
        expect(key not in self.samples, f"twice: {line}")
        self.samples[key] = float(value)
        for label, text in re.findall(r'(\w+)="([^"]*)"', labels or ""):
            expect(re.fullmatch(LABELS[label], text), f"a label that may not be: {line}")

    def __getitem__(self, key):
        return self.samples[key]

    def sum(self, start):
        return sum(value for key, value in self.samples.items() if key.startswith(start))


def read_page(daemon):
    status, text = daemon.http("GET", "/metrics")
    expect_equal(status, 200, "GET /metrics")
    return Page(text)


def moved(before, after, start="rosterd_dns_"):
    """What changed between two pages, but for times."""
    return {key: after[key] - before.samples.get(key, 0) for key in after.samples
            if key.startswith(start) and "_seconds" not in key
            and after[key] != before.samples.get(key, 0)}


def check_families(daemon):
    wanted = dict(PROCESS)
    for kind, names in FAMILIES.items():
        for name in names.split():
            wanted[f"rosterd_{name}" + ("_total" if kind == "counter" else "")] = kind
    page = read_page(daemon)
    expect_equal(page.types, wanted, "families and their types")
    for family in wanted:
        expect(any(key.startswith(family) for key in page.samples), f"{family} has no sample")


def check_promtool(daemon):
    promtool = shutil.which("promtool")
    if not promtool:
        print("promtool (Debian package: prometheus) is not installed: left out")
        return
    done = subprocess.run([promtool, "check", "metrics"], input=read_page(daemon).text, text=True,
                          capture_output=True, timeout=60, check=False)
    expect_equal((done.returncode, done.stdout + done.stderr), (0, ""), "promtool check metrics")


def wait_page(daemon, condition, about):
    def look():
        page = read_page(daemon)
        return page if condition(page) else None

    return wait_for(look, 20, about)


def latency_count(page, protocol):
    return page[f'rosterd_dns_answer_seconds_count{{protocol="{protocol}"}}']


def ask_all(daemon):
    """Asks this and that, over UDP and TCP; what the counters should say of it."""
    wanted = collections.Counter()
    udp, tcp = wire.udp_client(daemon.dns_port), wire.tcp_client(daemon.dns_port)
    cases = [
        (f"{SECRET}.service.local", 1, "A", "service.local.", "NOERROR"),
        (f"{SECRET}.service.local", 28, "AAAA", "service.local.", "NOERROR"),
        (f"no-{SECRET}.service.local", 33, "SRV", "service.local.", "NXDOMAIN"),
        (f"{SECRET}.eu.local", 16, "TXT", "eu.local.", "NOERROR"),
        ("eu.local", 6, "SOA", "eu.local.", "NOERROR"),
        (f"{SECRET}.service.local", 65, "HTTPS", "service.local.", "NOERROR"),
        (f"{SECRET}.service.local", 256, "URI", "service.local.", "NOERROR"),
        (f"{SECRET}.service.local", 257, "CAA", "service.local.", "NOERROR"),
        (f"{SECRET}.service.local", 258, "other", "service.local.", "NOERROR"),
        (f"{SECRET}.service.local", 0, "other", "service.local.", "NOERROR"),
        (f"{SECRET}.service.local", 65280, "other", "service.local.", "NOERROR"),
        ("service.local", 252, "AXFR", "service.local.", "REFUSED"),
        (f"{SECRET}.example", 1, "A", "none", "REFUSED"),
        ("loop1.service.local", 1, "A", "service.local.", "SERVFAIL"),
    ]
    for number, (name, kind, text, zone, rcode) in enumerate(cases):
        for protocol, times in ("udp", number + 1), ("tcp", 2):
            for _ in range(times):
                message = wire.query(number, name, kind)
                if protocol == "udp":
                    wire.ask_udp(udp, message)
                else:
                    wire.ask_tcp(tcp, message)
            wanted[f'queries_total{{protocol="{protocol}",type="{text}"}}'] += times
            wanted[f'zone_queries_total{{zone="{zone}"}}'] += times
            wanted[f'replies_total{{rcode="{rcode}"}}'] += times
    broken = bytearray(wire.query(1, SECRET))
    broken[5] = 7  # questions
    wire.ask_udp(udp, bytes(broken))
    broken[2] |= 0x80  # a reply: nobody answers that
    udp.send(bytes(broken))
    udp.send(bytes(1600))
    wire.ask_udp(udp, wire.query(2, "service.local", 6))  # behind them, so they are through
    wanted['queries_total{protocol="udp",type="none"}'] += 2
    wanted['queries_total{protocol="udp",type="SOA"}'] += 1
    wanted['zone_queries_total{zone="service.local."}'] += 1
    wanted['replies_total{rcode="NOERROR"}'] += 1
    wanted['replies_total{rcode="FORMERR"}'] += 1
    wanted['dropped_total{reason="not-a-query"}'] += 1
    wanted['dropped_total{reason="oversize"}'] += 1
    wanted["tcp_connections_total"] += 1
    udp.close()
    tcp.close()
    return {f"rosterd_dns_{key}": n for key, n in wanted.items()}


def check_queries(daemon):
    before = read_page(daemon)
    wanted = ask_all(daemon)
    after = read_page(daemon)
    expect_equal(moved(before, after), wanted, "what moved in DNS")
    expect_equal(moved(before, after, "rosterd_limit_hit"),
                 {'rosterd_limit_hit_total{limit="udp-query"}': 1,
                  'rosterd_limit_hit_total{limit="cname-chain"}': 16}, "limits hit in DNS")
    expect_equal(after.sum("rosterd_dns_zone_queries_total"),
                 after.sum("rosterd_dns_queries_total") - 2, "by zone and by type, all together")
    replies = after.sum("rosterd_dns_replies_total")
    page = wait_page(daemon, lambda p: p.sum("rosterd_dns_answer_seconds_count") >= replies,
                     "every reply has a time")
    for protocol in ("udp", "tcp"):
        queries = page.sum(f'rosterd_dns_queries_total{{protocol="{protocol}"')
        silent = 1 if protocol == "udp" else 0
        expect_equal(latency_count(page, protocol), queries - silent, f"times of {protocol}")
        buckets = [value for key, value in page.samples.items() if
                   key.startswith(f'rosterd_dns_answer_seconds_bucket{{protocol="{protocol}"')]
        expect_equal(buckets, sorted(buckets), "buckets are cumulative")
        expect_equal(buckets[-1], latency_count(page, protocol), "the last bucket has all")
        mean_s = page[f'rosterd_dns_answer_seconds_sum{{protocol="{protocol}"}}'] / queries
        expect(0 < mean_s < 10, f"a mean of {mean_s} s")


def check_no_names(daemon):
    """A client asks for many names and types, and the page has not a line more."""
    before = read_page(daemon)
    with wire.udp_client(daemon.dns_port) as client:
        for number in range(300):
            wire.ask_udp(client, wire.query(number, f"{SECRET}{number}.x.service.local", number))
    after = read_page(daemon)
    expect_equal(list(after.samples), list(before.samples), "samples before and after")
    expect(SECRET not in after.text and "127.0.0.1" not in after.text, "names in the page")


def check_instances(daemon):
    """One whose check begins to fail, one that is drained, one whose lease ends."""
    def by(page, label):
        found = [(key, value) for key, value in page.samples.items()
                 if re.match(r"rosterd_(admin_)?instances\{" + label, key)]
        return {key.split('"')[1]: value for key, value in found if value}

    before = read_page(daemon)
    expect_equal((by(before, "status"), by(before, "state")), ({"passing": 1}, {"auto": 1}),
                 "at first")
    target = socket.create_server(("127.0.0.1", 0))
    daemon.register(name=f"{SECRET}-checked", id="a", ip="127.0.0.1",
                    port=target.getsockname()[1],
                    checks=[{"kind": "tcp", "interval": "200ms", "timeout": "200ms", "fall": 1}])
    wait_page(daemon, lambda p: by(p, "status") == {"passing": 2}, "the check passes")
    target.close()
    wait_page(daemon, lambda p: by(p, "status") == {"passing": 1, "critical": 1}, "it fails")
    daemon.register(name=f"{SECRET}-leased", id="b", ip="10.0.0.1", port=80, lease="1s")
    page = wait_page(daemon, lambda p: p["rosterd_expiries_total"], "the lease ends")
    expect_equal(by(page, "status"), {"passing": 1, "critical": 1}, "when the lease has ended")
    expect_equal(moved(before, page, "rosterd_expiries"), {"rosterd_expiries_total": 1}, "expired")
    expect_equal(moved(before, page, "rosterd_registrations"), {"rosterd_registrations_total": 2},
                 "registrations")
    for result in ("pass", "fail"):
        expect(moved(before, page, "rosterd_checks")[f'rosterd_checks_total{{result="{result}"}}'],
               f"results: {result}")
    expect(page["rosterd_revision"] >= before["rosterd_revision"] + 4, "the revision moves")
    path = f"/registry/services/{SECRET}-checked/instances/a"
    expect_equal(daemon.http("PUT", f"{path}/admin", {"state": "drain"})[0], 200, "drain")
    expect_equal(by(read_page(daemon), "state"), {"auto": 1, "drain": 1}, "by admin state")
    expect_equal(daemon.http("DELETE", path)[0], 200, "DELETE")
    page = read_page(daemon)
    expect_equal((by(page, "state"), by(page, "status")), ({"auto": 1}, {"passing": 1}), "the end")
    expect_equal((page["rosterd_services"], page["rosterd_deregistrations_total"]), (1, 1), "left")


def raw_http(daemon, head):
    with socket.create_connection(("127.0.0.1", daemon.http_port), timeout=10) as client:
        client.sendall(head.encode())
        return int(client.recv(4096).split()[1])


def check_limits(daemon):
    before = read_page(daemon)
    post = "POST /registry/register HTTP/1.1\r\nHost: a\r\n"
    for about, status, found in (
            ("depth", 400, daemon.http("POST", "/registry/register", "[" * 17 + "]" * 17)[0]),
            ("an array", 413, daemon.http("POST", "/registry/register", [{}] * 1001)[0]),
            ("another", 413, daemon.http("POST", "/registry/heartbeat", [{}] * 10001)[0]),
            ("an old revision", 410, daemon.http("GET", "/registry/watch?since=1")[0]),
            ("a field", 400, daemon.http("POST", "/registry/register", {"name": SECRET})[0]),
            ("a body", 413, raw_http(daemon, f"{post}Content-Length: 1048577\r\n\r\n")),
            ("headers", 431, raw_http(daemon, f"{post}A: {'a' * 9000}\r\n\r\n"))):
        expect_equal(found, status, f"status for {about}")
    after = read_page(daemon)
    expect_equal(moved(before, after, "rosterd_limit_hit"),
                 {f'rosterd_limit_hit_total{{limit="{name}"}}': 1 for name in
                  ("json-depth", "register-array", "heartbeat-array", "events", "http-body",
                   "http-headers")}, "limits hit")
    expect_equal(moved(before, after, "rosterd_changes"),
                 {'rosterd_changes_refused_total{code="400"}': 1}, "changes refused")
    expect_equal(moved(before, after, "rosterd_http"),
                 {'rosterd_http_requests_total{code="4xx"}': 7,
                  'rosterd_http_requests_total{code="2xx"}': 1}, "requests")


def check_reload(daemon, config):
    """The counts of a zone last as long as the zone."""
    key = 'rosterd_dns_zone_queries_total{zone="%s.local."}'
    before = read_page(daemon)
    expect(before[key % "service"] and before[key % "eu"], "both were asked")
    for zone in ("other", "eu"):
        harness.write_file(daemon.folder, "rosterd.conf", config(zone))
        seen = daemon.log().count("event=reloaded")
        daemon.send_signal(signal.SIGHUP)
        wait_for(lambda n=seen: daemon.log().count("event=reloaded") > n, 10, "reloaded")
        after = read_page(daemon)
        expect_equal([k for k in after.samples if k.startswith("rosterd_dns_zone")],
                     [key % name for name in sorted(("service", zone), key=len, reverse=True)]
                     + ['rosterd_dns_zone_queries_total{zone="none"}'], "zones")
        expect_equal((after[key % "service"], after[key % zone]), (before[key % "service"], 0),
                     "counts of the zone that stays, and of the new one")
    expect_equal(after['rosterd_reloads_total{result="done"}'], 2, "reloads")


def check_process(daemon, started_s):
    page = read_page(daemon)
    proc = f"/proc/{daemon.process.pid}"
    with open(f"{proc}/statm", encoding="ascii") as file:
        pages, resident = map(int, file.read().split()[:2])
    size = os.sysconf("SC_PAGESIZE")
    expect(abs(page["process_open_fds"] - len(os.listdir(f"{proc}/fd"))) <= 3, "descriptors")
    expect(0.5 < page["process_resident_memory_bytes"] / (resident * size) < 2, "memory")
    expect(0.5 < page["process_virtual_memory_bytes"] / (pages * size) < 2, "addresses")
    expect(page["process_max_fds"] >= page["process_open_fds"], "more descriptors than may be")
    expect(0 < page["process_cpu_seconds_total"] < 1000, "CPU time")
    expect(abs(page["process_start_time_seconds"] - started_s) < 60, "when it began")
    version = subprocess.run([os.path.abspath(harness.ROSTERD), "--version"], text=True,
                             capture_output=True, timeout=20, check=True).stdout.split()[1]
    expect_equal(page[f'rosterd_build_info{{version="{version}"}}'], 1, "build")
    rounds = page["rosterd_control_round_seconds_count"]
    later = read_page(daemon)
    expect(later["rosterd_control_round_seconds_count"] > rounds, "rounds are counted")
    expect(0 < later["rosterd_control_round_seconds_sum"] < time.time() - started_s + 60,
           "rounds take longer than there is time")


def main():
    folder = harness.make_folder()
    path = harness.write_file(folder, "service.local.zone", ZONE)

    def config(second):
        return (f"server:\n  workers: 2\nzone:\n  - domain: service.local\n    file: {path}\n"
                f"  - domain: {second}.local\n")

    started_s = time.time()
    daemon = harness.Daemon(folder=folder, config=config("eu"))
    check_families(daemon)
    daemon.register(name=SECRET, id="x", ip="10.0.0.9", port=80)
    check_queries(daemon)
    check_no_names(daemon)
    check_instances(daemon)
    check_limits(daemon)
    check_reload(daemon, config)
    check_process(daemon, started_s)
    check_promtool(daemon)
    daemon.stop()


harness.run(main)
