# SPDX-License-Identifier: BSD-2-Clause
"""What was acknowledged is there after a restart, however the process ended.

ROSTERD_KILLS=N kills it N times under writers instead of the few times here.
"""

import json
import os
import random
import signal

import harness
import load
from harness import expect, expect_equal, wait_for

KILLS = int(os.environ.get("ROSTERD_KILLS", "10"))
SAVED_S = 15
MANY = 30000  # instances: reading them takes a while

VOLATILE = {"lease_left", "safe_after", "safe_after_s", "latency_ms", "last_run_ago", "output", "history",
            "revision_created", "revision_modified"}
NAMES = [("pay", "A"), ("pay", "SRV"), ("eu.pay", "A"), ("_pay._tcp", "SRV"), ("web", "A"),
         ("_http._tcp.web", "SRV"), ("sick", "A"), ("policy", "A"), ("policy", "TXT"),
         ("gone", "A"), ("short", "A"), ("one.odd", "A")]


def metric(daemon, name):
    text = daemon.http("GET", "/metrics")[1]
    for line in text.splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    raise harness.Failure(f"no metric {name}")


def commits(daemon):
    return metric(daemon, 'rosterd_store_commits_total{result="ok"}')


def put(daemon, path, body):
    status, reply = daemon.http("PUT", "/registry/services/" + path, body)
    expect_equal(status, 200, f"{path}: {reply}")


def steady(value):
    """Without what time changes."""
    if isinstance(value, dict):
        return {key: steady(item) for key, item in value.items() if key not in VOLATILE}
    if isinstance(value, list):
        return sorted((steady(item) for item in value),
                      key=lambda item: json.dumps(item, sort_keys=True))
    return value


def known(daemon):
    status, reply = daemon.http("GET", "/registry/services")
    expect_equal(status, 200, "services")
    return steady(reply["services"])


def served(daemon):
    answers = {}
    for name, kind in NAMES:
        reply = daemon.dig(f"{name}.service.local", kind)
        answers[name, kind] = (reply.status, reply.data())
    return answers


def kill(daemon):
    daemon.send_signal(signal.SIGKILL)
    daemon.wait_exit()


# ---- What comes back ----

def fill(daemon, web):
    daemon.register(name="pay", id="a", ip="10.0.0.1", port=8080, tags=["eu"], meta={"k": "v"},
                    version="1.2", weight=7, priority=3)
    daemon.register(name="pay", id="b", ip="10.0.0.2", ipv6="2001:db8::2", port=8080, lease="60s")
    daemon.register(name="pay", id="drained", ip="10.0.0.3", port=8080)
    daemon.register(name="pay", id="down", ip="10.0.0.4", port=8080)
    daemon.register(name="web", id="x", ip="127.0.0.1", port=web, ports={"http": web},
                    checks=[{"kind": "http", "path": "/health", "interval": "1h",
                             "initial": "passing"},
                            {"kind": "ttl", "ttl": "1h", "initial": "passing"}])
    daemon.register(name="sick", id="s", ip="10.0.1.1", port=1)
    daemon.register(name="sick", id="t", ip="10.0.1.2", port=1,
                    checks=[{"kind": "ttl", "ttl": "1h", "initial": "passing"}])
    daemon.register(name="policy", id="p", ip="10.0.2.1", port=1, ttl="9s")
    daemon.register(name="gone", id="g", ip="10.0.3.1", port=1)
    daemon.register(name="gone", id="h", ip="10.0.3.2", port=1)
    daemon.register(name="short", id="s", ip="10.0.4.1", port=1, lease="1s")
    for number, name in enumerate(("Node 1/ä", "x" * 255, 'quote"\\', "one", "..", "%00")):
        daemon.register(name="odd", id=name, ip=f"10.0.5.{number}", port=1)
    put(daemon, "pay/instances/drained/admin", {"state": "drain"})
    put(daemon, "pay/instances/down/admin", {"state": "down"})
    status, _ = daemon.http("POST", "/registry/deregister", {"service": "gone", "id": "g"})
    expect_equal(status, 200, "deregister")
    status, _ = daemon.http("DELETE", "/registry/services/gone/instances/h")
    expect_equal(status, 200, "DELETE")
    daemon.wait_addresses("short.service.local", [], 5)
    # A write behind that: what is left of the one that expired is removed before, or with it.
    put(daemon, "policy/policy", {"ttl": 17, "failure": "all", "panic_threshold": 0.25})
    before = commits(daemon)
    for service, name in (("sick", "s"), ("sick", "t")):
        status, _ = daemon.http("POST", "/registry/heartbeat",
                                {"service": service, "id": name, "status": "critical"})
        expect_equal(status, 200, "heartbeat")
    return before


def compare(daemon, registry, answers, how):
    expect_equal(served(daemon), answers, f"answers after {how}")
    found = known(daemon)
    expect_equal(len(found), len(registry), f"services after {how}")
    for service, before in zip(found, registry):
        expect_equal(service, before, f"a service after {how}")


def check_session():
    """Served at once with the last known statuses; leases have their whole time."""
    web = harness.free_port()
    harness.spawn_http_server("127.0.0.1", web)
    daemon = harness.Daemon()
    before = fill(daemon, web)
    wait_for(lambda: commits(daemon) > before, SAVED_S, "statuses are saved")
    registry, answers = known(daemon), served(daemon)
    expect_equal(answers["pay", "A"], ("NOERROR", ["10.0.0.1"]), "the best tier")
    expect_equal(answers["sick", "A"], ("NOERROR", []), "nothing healthy")
    expect_equal(answers["gone", "A"][0], "NXDOMAIN", "deregistered")
    expect_equal(answers["short", "A"][0], "NXDOMAIN", "expired")

    kill(daemon)
    daemon.start()
    compare(daemon, registry, answers, "kill -9")
    expect("event=restored" in daemon.log(), "no line about what was restored")
    lease = daemon.http("GET", "/registry/services/pay/instances/b")[1]["lease_left"]
    expect(lease > 50, f"{lease} s are left of a lease of 60 s")
    expect_equal(daemon.dig("policy.service.local", "A").answer[0].ttl, 17, "the policy's TTL")

    daemon.http("POST", "/registry/heartbeat", {"service": "sick", "id": "s", "status": "passing"})
    daemon.wait_addresses("sick.service.local", ["10.0.1.1"], 5)
    put(daemon, "pay/instances/down/admin", {"state": "auto"})
    registry, answers = known(daemon), served(daemon)
    daemon.stop()
    daemon.start()
    compare(daemon, registry, answers, "SIGTERM, which saves at once")
    daemon.stop()


# ---- Killed at any moment ----

def check_kills():
    """No acknowledged write is lost, none is invented, no revision and no serial is ever lower."""
    daemon = harness.Daemon()
    known = None
    revision = total = 0
    serial = load.serial(daemon)
    kinds = set()
    for _ in range(KILLS):
        running = load.Load(daemon, known=known)
        wait_for(lambda running=running: running.acknowledged() or running.faults(), 10,
                 "a first write")
        harness.pauses.wait(random.random() * 0.3)
        kill(daemon)
        running.killed()
        daemon.start()
        newest = running.check()
        expect(newest >= max(revision, running.revision()),
               f"revision {newest} after {revision} and {running.revision()}")
        newest_serial = load.serial(daemon)
        expect(not load.is_behind(newest_serial, serial), f"serial {newest_serial} after {serial}")
        known, revision, serial = running.known, newest, newest_serial
        kinds |= running.kinds()
        total += running.acknowledged()
    print(f"{KILLS} kills, {total} writes of {sorted(kinds)} acknowledged, none lost")
    daemon.stop()


# ---- While it is read ----

def children(process):
    path = f"/proc/{process.pid}/task/{process.pid}/children"
    with open(path, encoding="ascii") as file:
        return [int(pid) for pid in file.read().split()]


def launch_held(daemon):
    """Starts it and stops the process that reads the store, which may take some tries."""
    for _ in range(50):
        before = len(daemon.log())
        daemon.launch()
        if hold_child(daemon, before):
            return
        wait_for(daemon.is_ready, harness.START_S, "rosterd is ready")
        daemon.stop()
    raise harness.Skip("the store is read too fast to be stopped meanwhile")


def hold_child(daemon, before):
    pids = wait_for(lambda: children(daemon.process) or "event=ready" in daemon.log()[before:],
                    10, "a child", every_s=0.0005)
    if not isinstance(pids, list):
        return False
    try:
        os.kill(pids[0], signal.SIGSTOP)
    except ProcessLookupError:
        return False
    wait_for(lambda: "door=http" in daemon.log()[before:], 10, "the doors are open")
    if daemon.http("GET", "/health/ready")[0] == 503:
        return True
    resume(pids[0])
    return False


def resume(pid):
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        pass


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def check_loading():
    """Not known yet is neither an answer nor a denial."""
    daemon = harness.Daemon()
    for start in range(0, MANY, 1000):
        status, reply = daemon.http("POST", "/registry/register", [
            {"name": f"s{n % 1000}", "id": str(n), "ip": "10.0.0.1", "port": 1 + n % 60000}
            for n in range(start, start + 1000)])
        expect_equal(status, 201, f"{reply if status != 201 else ''}")
    daemon.stop()
    launch_held(daemon)
    for number, event in ((signal.SIGHUP, "event=reloaded"), (signal.SIGUSR1, "event=dump-failed")):
        daemon.send_signal(number)
        wait_for(lambda event=event: event in daemon.log(), 10, event)
    for name in ("s1.service.local", "nothing.service.local", "service.local"):
        reply = daemon.dig(name, "A")
        expect_equal(reply.status, "SERVFAIL", name)
        expect("EDE: 14 (Not Ready)" in reply.text, f"no EDE 14: {reply.text}")
    expect_equal(daemon.dig("example.org", "A").status, "REFUSED", "a name that is not ours")
    for method, path, body in (("GET", "/registry/services", None),
                               ("POST", "/registry/register",
                                {"name": "a", "ip": "10.0.0.1", "port": 1})):
        status, reply = daemon.http(method, path, body)
        expect_equal((status, reply["error"]["code"]), (503, "unavailable"), path)
    expect_equal(daemon.http("GET", "/health/live")[0], 200, "it lives")
    resume(children(daemon.process)[0])
    wait_for(daemon.is_ready, harness.START_S, "rosterd is ready")
    expect_equal(len(daemon.addresses("s1.service.local")), 1, "addresses")
    expect(f"instances={MANY}" in daemon.log(), "not all are restored")
    daemon.stop()
    launch_held(daemon)
    daemon.stop()  # does not wait for what is being read
    launch_held(daemon)
    child = children(daemon.process)[0]
    kill(daemon)
    resume(child)  # wherever it was stopped: it ends with its parent
    wait_for(lambda: not is_running(child), 10, "the child ends")
    daemon.start()
    expect_equal(len(daemon.addresses("s1.service.local")), 1, "addresses")
    daemon.stop()


# ---- Names that a zone file took meanwhile ----

ZONE_FILE = """$TTL 60
@ SOA ns hostmaster 1 3600 600 86400 5
@ NS ns
ns A 127.0.0.1
pay A 192.0.2.99
"""


def check_zone_file_wins():
    """As on a reload: the instance is kept, its name is the zone file's."""
    daemon = harness.Daemon()
    daemon.register(name="pay", id="a", ip="10.0.0.1", port=1)
    daemon.register(name="web", id="b", ip="10.0.0.2", port=1)
    daemon.stop()
    path = harness.write_file(daemon.folder, "zone", ZONE_FILE)
    daemon.config = f"zone:\n  - domain: service.local\n    file: {path}\n"
    daemon.start()
    expect_equal(daemon.addresses("pay.service.local"), ["192.0.2.99"], "the zone file's name")
    expect_equal(daemon.addresses("web.service.local"), ["10.0.0.2"], "another name")
    status, _ = daemon.http("GET", "/registry/services/pay/instances/a")
    expect_equal(status, 200, "the instance behind it")
    daemon.stop()
    daemon.config = None
    daemon.start()
    expect_equal(daemon.addresses("pay.service.local"), ["10.0.0.1"], "without the zone file")
    daemon.stop()


def main():
    harness.need("dig")
    if "ROSTERD_KILLS" in os.environ:
        signal.alarm(0)  # it takes what it takes
    check_session()
    check_zone_file_wins()
    check_kills()
    check_loading()


harness.run(main)
