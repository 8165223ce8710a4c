# SPDX-License-Identifier: BSD-2-Clause
"""Faults beyond those of the disk (d24), under a load of queries and writes: no descriptors, no
memory, files that are broken on a reload or written by another version.

ROSTERD_ROUNDS=N takes the descriptors N times, the memory 3N times, and damages files 20N times.
"""

import os
import random
import re
import resource
import shutil
import signal
import struct

import harness
import load
import wire
from harness import Failure, expect, expect_equal, wait_for

ROUNDS = int(os.environ.get("ROSTERD_ROUNDS", "1"))
FAULT_S = 30


def metric(daemon, name):
    found = re.search(rf"^{re.escape(name)} (\S+)$", daemon.http("GET", "/metrics")[1], re.M)
    expect(found, f"no metric {name}")
    return float(found.group(1))


def set_limit(daemon, kind, soft):
    """Of the running process; None: as high as may be."""
    _, hard = resource.prlimit(daemon.process.pid, kind)
    resource.prlimit(daemon.process.pid, kind, (hard if soft is None else soft, hard))


# ---- Descriptors ----

SPARE_FDS = 12


def take_descriptors(daemon):
    """Connections until both doors have nothing left to accept with."""
    numbers = [int(name) for name in os.listdir(f"/proc/{daemon.process.pid}/fd")]
    places = max(numbers) + 1 + SPARE_FDS
    set_limit(daemon, resource.RLIMIT_NOFILE, places)
    taken = [harness.socket.create_connection(("127.0.0.1", port), timeout=FAULT_S)
                    for _ in range(places - len(numbers) + SPARE_FDS)
             for port in (daemon.dns_port, daemon.http_port)]
    wait_for(lambda: len(os.listdir(f"/proc/{daemon.process.pid}/fd")) == places, FAULT_S,
             "no descriptor is left")
    return taken


def cpu_s(daemon):
    with open(f"/proc/{daemon.process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def check_idle(daemon):
    """Whoever tries to accept again and again takes all of a processor, or what others leave of
    it; a try in 100 ms takes some 0.1 % of it, which a slow machine makes no 20 %."""
    used, began = cpu_s(daemon), harness.time.monotonic()
    wait_for(lambda: harness.time.monotonic() - began >= 1, FAULT_S, "a second")
    share = (cpu_s(daemon) - used) / (harness.time.monotonic() - began)
    print(f"without descriptors: {share * 100:.1f} % of a processor")
    expect(share < 0.2, f"{share * 100:.0f} % of a processor for nothing")


def check_descriptors():
    """UDP answers everything, connections wait, checks say nothing of others for our own want."""
    daemon = harness.Daemon("--workers", "1")
    web = harness.free_port()
    harness.spawn_http_server("127.0.0.1", web)
    daemon.register(name="web", id="x", ip="127.0.0.1", port=web,
                    checks=[{"kind": "http", "path": "/health", "interval": 1, "timeout": 1}])
    passed, failed, not_run = ('rosterd_checks_total{result="pass"}',
                               'rosterd_checks_total{result="fail"}',
                               "rosterd_checks_not_run_total")
    wait_for(lambda: metric(daemon, passed) > 0, FAULT_S, "a check passes")
    known = None
    for _ in range(ROUNDS):
        running = load.Load(daemon, known=known)
        wait_for(running.acknowledged, FAULT_S, "writes are taken")
        taken = take_descriptors(daemon)
        asked, written = running.asker.asked, running.acknowledged()
        wait_for(lambda: running.asker.asked > asked + 200, FAULT_S, "UDP goes on")
        wait_for(lambda: running.acknowledged() > written + 50, FAULT_S, "writes go on")
        wait_for(lambda: "event=check-not-run" in daemon.log(), FAULT_S, "a check does not run")
        running.stop()
        check_idle(daemon)
        expect_equal(daemon.addresses("web.service.local"), ["127.0.0.1"], "what is checked")
        for client in taken:
            client.close()
        set_limit(daemon, resource.RLIMIT_NOFILE, None)
        wait_for(daemon.is_ready, FAULT_S, "HTTP accepts again")
        with wire.tcp_client(daemon.dns_port) as client:
            message = wire.ask_tcp(client, wire.query(1, "web.service.local"))
            expect_equal(message.rcode, wire.NOERROR, "TCP accepts again")
        count = metric(daemon, passed)
        wait_for(lambda count=count: metric(daemon, passed) > count, FAULT_S, "checks go on")
        running.check()
        known = running.known
        print(f"descriptors: {running}")
    expect_equal(metric(daemon, failed), 0, "checks that failed")
    expect(metric(daemon, not_run) > 0, "checks that did not run are not counted")
    for event in ("check-not-run", "accept-failed"):
        expect(f"event={event}" in daemon.log(), f"no line about {event}")
    daemon.stop()


# ---- Memory ----

SPARE_OCTETS = (1 << 21, 1 << 18, 0)

def memory(daemon, field):
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as file:
        return int(re.search(field + r":\s+(\d+)", file.read()).group(1)) * 1024


def register_until_refused(daemon, numbers):
    """Its status; 207: a part was; 0: there was no memory for the connection either."""
    def one():
        expect(daemon.process.poll() is None, "the process is gone")
        body = [{"name": f"m{number % 200}", "id": str(number), "ip": "10.0.0.1", "port": 1,
                 "meta": {str(n): "v" * 200 for n in range(8)}}
                for number in (next(numbers) for _ in range(random.choice([1, 20, 200])))]
        try:
            status = daemon.http("POST", "/registry/register", body, timeout_s=1)[0]
        except (OSError, harness.http.client.HTTPException):
            status = 0
        expect(status in (0, 201, 207, 503), f"a registration: {status}")
        return (status,) if status != 201 else None

    return wait_for(one, FAULT_S, "registrations are refused", every_s=0)[0]


def check_memory():
    """Registrations are refused, queries go on, nothing ends, and it recovers."""
    if not may_limit_memory():
        print("the memory of a sanitizer's process cannot be limited")
        return
    daemon = harness.Daemon()
    numbers = iter(range(10 ** 9))
    known = None
    n_unavailable = 0
    for number in range(3 * ROUNDS):
        kind, field = ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData"))[number % 2]
        running = load.Load(daemon, known=known, is_patient=True)
        wait_for(running.acknowledged, FAULT_S, "writes are taken")
        set_limit(daemon, kind, memory(daemon, field) + SPARE_OCTETS[number % 3])
        refused = [register_until_refused(daemon, numbers)
                   for _ in range(4)]
        print(f"refused with {sorted(refused)}")
        n_unavailable += refused.count(503) + running.refused(503)
        set_limit(daemon, kind, None)
        wait_for(lambda: is_well(daemon), FAULT_S, "it recovers by itself")
        daemon.register(name="after", ip=f"10.0.1.{number % 250}", port=1 + number)
        running.stop()
        running.check()
        known = running.known
        print(f"{field}: {running}")
    expect(n_unavailable > 0, "no registration was refused with 503")
    daemon.stop()
    daemon.start()
    running.check()
    daemon.stop()


def is_well(daemon):
    expect(daemon.process.poll() is None, f"rosterd ended with {daemon.process.poll()}")
    try:
        return daemon.http("GET", "/health/ready", timeout_s=3)[1] == {"status": "ready"}
    except (OSError, harness.http.client.HTTPException):
        return False


def may_limit_memory():
    with open(harness.ROSTERD, "rb") as file:
        text = file.read()
    return b"__asan_init" not in text and b"__tsan_init" not in text


# ---- Damaged files, and the program itself ----

def flip(path):
    with open(path, "r+b") as file:
        for _ in range(random.randrange(1, 200)):
            at = random.randrange(os.path.getsize(path))
            file.seek(at)
            octet = file.read(1)[0]
            file.seek(at)
            file.write(bytes([octet ^ 1 << random.randrange(8)]))


def cut(path):
    os.truncate(path, random.randrange(os.path.getsize(path)))


def swap(path):
    with open(path, "r+b") as file:
        a, b = (random.randrange(os.path.getsize(path) // 4096 or 1) * 4096 for _ in range(2))
        file.seek(a)
        page_a = file.read(4096)
        file.seek(b)
        page_b = file.read(4096)
        file.seek(b)
        file.write(page_a[:len(page_b)])
        file.seek(a)
        file.write(page_b[:len(page_a)])


def empty(path):
    os.truncate(path, 0)


def what_is_known(daemon):
    return {service["service"]: {one["id"]: one["port"] for one in service["instances"]}
            for service in daemon.http("GET", "/registry/services")[1]["services"]}


def start_or_refuse(daemon, about):
    """Whether it starts; otherwise it says why in one line and ends with 1."""
    before = len(daemon.log())
    daemon.launch()
    wait_for(lambda: daemon.process.poll() is not None or "event=ready" in daemon.log()[before:],
             FAULT_S, f"{about}: it starts or refuses")
    lines = daemon.log()[before:].splitlines()
    if daemon.process.poll() is None:
        return True, lines
    expect_equal(daemon.process.poll(), 1, f"{about}: exit status")
    errors = [line for line in lines if "level=error" in line]
    expect_equal(len(errors), 1, f"{about}: one clear line of {lines}")
    expect("event=start-failed" in errors[0] and daemon.data in errors[0], f"{about}: {errors[0]}")
    return False, errors


def check_damages():
    """It serves what it knew, or says that it cannot; it never crashes."""
    daemon = harness.Daemon()
    for start in range(0, 400, 100):
        status, _ = daemon.http("POST", "/registry/register", [
            {"name": f"d{n % 40}", "id": str(n), "ip": "10.0.0.1", "port": 1 + n}
            for n in range(start, start + 100)])
        expect_equal(status, 201, "register")
    wanted = what_is_known(daemon)
    daemon.stop()
    whole = daemon.data + ".whole"
    shutil.copytree(daemon.data, whole)
    results = {}
    for number in range(20 * ROUNDS):
        shutil.rmtree(daemon.data)
        shutil.copytree(whole, daemon.data)
        spoilt = [("store.mdb",), ("store.mdb", "registry.jsonl"),
                  ("registry.jsonl",)][number % 5 // 2]
        damage = random.choice([flip, flip, cut, swap, empty])
        for name in spoilt:
            damage(os.path.join(daemon.data, name))
        about = f"{damage.__name__} {spoilt}"
        starts, lines = start_or_refuse(daemon, about)
        result = "refused"
        if starts:
            expect_equal(what_is_known(daemon), wanted, about)
            daemon.abandon()
            result = "copy" if any("source=copy" in line for line in lines) else "main"
            expect(result == "main" or any("event=store-damaged" in line for line in lines),
                   f"{about}: it does not say so")
        results[result] = results.get(result, 0) + 1
    print(f"damages: {results}")


# ---- Written by another version ----

def siphash(key, octets):
    """SipHash-1-3."""
    mask = 2 ** 64 - 1
    v = [key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
         key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573]

    def turn(value, by):
        return (value << by | value >> (64 - by)) & mask

    def step():
        v[0] = (v[0] + v[1]) & mask
        v[2] = (v[2] + v[3]) & mask
        v[1] = turn(v[1], 13) ^ v[0]
        v[3] = turn(v[3], 16) ^ v[2]
        v[0] = turn(v[0], 32)
        v[2] = (v[2] + v[1]) & mask
        v[0] = (v[0] + v[3]) & mask
        v[1] = turn(v[1], 17) ^ v[2]
        v[3] = turn(v[3], 21) ^ v[0]
        v[2] = turn(v[2], 32)

    whole = len(octets) // 8 * 8
    words = list(struct.unpack(f"<{whole // 8}Q", octets[:whole]))
    words.append(int.from_bytes(octets[whole:], "little") | (len(octets) & 255) << 56)
    for word in words:
        v[3] ^= word
        step()
        v[0] ^= word
    v[2] ^= 255
    for _ in range(3):
        step()
    return v[0] ^ v[1] ^ v[2] ^ v[3]


SEAL_LEN = 64
SEAL_KEY = (0x726f737465726400, 0x7365616c00000000)  # src/io/store_seal.c


def set_seals(path, version):
    """Makes whole seals of that version of all that are in the file."""
    with open(path, "rb") as file:
        octets = bytearray(file.read())
    count = 0
    for found in re.finditer(rb"SEAL\x01\0\0\0", bytes(octets)):
        seal = octets[found.start():found.start() + SEAL_LEN]
        if siphash(SEAL_KEY, bytes(seal[:-8])) != int.from_bytes(seal[-8:], "little"):
            continue
        seal[4:8] = version.to_bytes(4, "little")
        seal[-8:] = siphash(SEAL_KEY, bytes(seal[:-8])).to_bytes(8, "little")
        octets[found.start():found.start() + SEAL_LEN] = seal
        count += 1
    expect(count, f"no seal in {path}")
    with open(path, "wb") as file:
        file.write(octets)


def set_format(path, version):
    with open(path, "r+", encoding="utf-8") as file:
        text = file.read()
        expect('"format":1,' in text, "no format in the copy")
        file.seek(0)
        file.write(text.replace('"format":1,', f'"format":{version},'))


def check_versions():
    """A store of a version that is not ours is refused by name, and left as it is; so is a copy,
    where it would be needed. The version that wrote it reads it."""
    daemon = harness.Daemon()
    daemon.register(name="pay", id="a", ip="10.0.0.1", port=80)
    daemon.stop()
    main, copy = (os.path.join(daemon.data, name) for name in ("store.mdb", "registry.jsonl"))
    whole = daemon.data + ".whole"
    shutil.copytree(daemon.data, whole)
    for version in (0, 2):
        for path, other in ((main, set_seals), (copy, set_format)):
            shutil.rmtree(daemon.data)
            shutil.copytree(whole, daemon.data)
            other(path, version)
            if path == copy:
                os.unlink(main)
            starts, lines = start_or_refuse(daemon, f"version {version} of {path}")
            expect(not starts, f"it serves {path} of version {version}: {lines}")
            expect(f"{path} has format version {version}" in lines[0], lines[0])
            expect("--export" in lines[0], f"what to do is not said: {lines[0]}")
            print(lines[0])
            other_octets = open(path, "rb").read()
            starts, _ = start_or_refuse(daemon, "again")
            expect(not starts and open(path, "rb").read() == other_octets, "it was changed")
    shutil.rmtree(daemon.data)
    shutil.copytree(whole, daemon.data)
    daemon.start()
    expect_equal(daemon.addresses("pay.service.local"), ["10.0.0.1"], "our own version")
    daemon.stop()


# ---- Broken files on a reload ----

APEX = "$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n"


def check_reload():
    """The old ones stay, and a message says where the mistake is."""
    folder = harness.make_folder()
    zone = harness.write_file(folder, "zone", APEX + "www A 192.0.2.1\n")
    config = f"zone:\n  - domain: service.local\n    file: {zone}\n"
    daemon = harness.Daemon(folder=folder, config=config)
    running = load.Load(daemon)
    wait_for(running.acknowledged, FAULT_S, "writes are taken")

    def reload(result):
        before = len(daemon.log())
        daemon.send_signal(signal.SIGHUP)
        return wait_for(lambda: [line for line in daemon.log()[before:].splitlines()
                                 if result in line], FAULT_S, result)[0]

    for text, where in (("zone:\n  - domain: service.local\n    colour: blue\n", ":3:5"),
                        ("zone: [\n", ":2:1"), ("server:\n  workers: many\n", ":2:12")):
        harness.write_file(folder, "rosterd.conf", text)
        line = reload("level=error")
        expect(f"rosterd.conf{where}" in line, f"{where} is missing: {line}")
        expect_equal(daemon.addresses("www.service.local"), ["192.0.2.1"], "the old zone")
    harness.write_file(folder, "rosterd.conf", config)
    for text in ("www A 192.0.2.300\n", "www A\n", "www CNAME a\nwww A 192.0.2.2\n"):
        harness.write_file(folder, "zone", APEX + text)
        line = reload("level=error")
        expect(re.search(rf"{re.escape(zone)}:\d+", line), f"the line is missing: {line}")
        expect_equal(daemon.addresses("www.service.local"), ["192.0.2.1"], "the old file")
    harness.write_file(folder, "zone", APEX + "www A 192.0.2.3\n")
    reload("event=reloaded")
    expect_equal(daemon.addresses("www.service.local"), ["192.0.2.3"], "the mended file")
    running.stop()
    running.check()
    print(f"reloads: {running}")
    daemon.stop()


def main():
    harness.need("dig")
    if "ROSTERD_ROUNDS" in os.environ:
        signal.alarm(0)  # it takes what it takes
    for check in (check_descriptors, check_memory, check_damages, check_versions, check_reload):
        try:
            check()
        except Failure as reason:
            raise Failure(f"{check.__name__}: {reason}") from reason


harness.run(main)
