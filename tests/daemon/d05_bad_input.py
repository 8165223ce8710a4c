# SPDX-License-Identifier: BSD-2-Clause
"""Bad input gets a clear error and changes nothing: over HTTP, on the command line, in files."""

import os
import re
import socket
import subprocess
import time

import harness
from harness import expect, expect_equal

GOOD = {"name": "payment", "id": "one", "ip": "10.0.0.1", "port": 8080}

# What is wrong in a registration that is good otherwise, and the field that the error must name.
BAD_FIELDS = [
    ({"colour": "blue"}, "colour"),
    ({"port": "8080"}, "port"),
    ({"port": 8080.5}, "port"),
    ({"port": True}, "port"),
    ({"port": None}, "port"),
    ({"port": 0}, "port"),
    ({"port": 70000}, "port"),
    ({"port": -1}, "port"),
    ({"weight": 65536}, "weight"),
    ({"weight": -1}, "weight"),
    ({"priority": 65536}, "priority"),
    ({"name": "pay_ment"}, "name"),
    ({"name": "-payment"}, "name"),
    ({"name": "payment-"}, "name"),
    ({"name": "pay.ment"}, "name"),
    ({"name": ""}, "name"),
    ({"name": "a" * 64}, "name"),
    ({"name": "zahlung\u00e4"}, "name"),
    ({"name": 7}, "name"),
    ({"id": ""}, "id"),
    ({"id": "a" * 256}, "id"),
    ({"id": "line\nbreak"}, "id"),
    ({"ip": "10.0.0"}, "ip"),
    ({"ip": "10.0.0.256"}, "ip"),
    ({"ip": "example.com"}, "ip"),
    ({"ip": "0.0.0.0"}, "ip"),
    ({"ip": "224.0.0.1"}, "ip"),
    ({"ip": "255.255.255.255"}, "ip"),
    ({"ip": "::"}, "ip"),
    ({"ip": "ff02::1"}, "ip"),
    ({"ip": "::ffff:10.0.0.1"}, "ip"),
    ({"ip": 10}, "ip"),
    ({"ipv6": "10.0.0.1"}, "ipv6"),
    ({"protocol": "sctp"}, "protocol"),
    ({"tags": "blue"}, "tags"),
    ({"tags": ["blue", 7]}, "tags[1]"),
    ({"tags": [f"t{i}" for i in range(33)]}, "tags"),
    ({"meta": ["a"]}, "meta"),
    ({"meta": {"a": "x" * 300}}, "meta"),
    ({"ports": {"http": 70000}}, "ports"),
    ({"ports": {"h_p": 80}}, "ports"),
    ({"ttl": -1}, "ttl"),
    ({"ttl": "soon"}, "ttl"),
    ({"ttl": 86401}, "ttl"),
    ({"lease": "10"}, "lease"),
    ({"lease": 0.1}, "lease"),
    ({"lease": "25h"}, "lease"),
    ({"health": "no-slash"}, "health"),
    ({"health": "/a b"}, "health"),
    ({"checks": {}}, "checks"),
    ({"checks": [{"kind": "icmp"}]}, "checks[0].kind"),
    ({"checks": [{"kind": "tcp"}, {"kind": "tcp", "interval": "1ms"}]}, "checks[1].interval"),
    ({"checks": [{"kind": "tcp", "fall": 0}]}, "checks[0].fall"),
    ({"checks": [{"kind": "tcp", "colour": 1}]}, "checks[0].colour"),
    ({"checks": [{"kind": "tcp", "path": "/"}]}, "checks[0].path"),
]

# Bodies that are no registration at all.
BAD_BODIES = ["", "{", "[]", "7", "null", "{}", '{"name":"a"} x', '{"name":"a","name":"b"}',
              "\xff", "[" * 100 + "]" * 100, '{"name":"payment","ip":"10.0.0.1"}',
              '{"name":"payment","port":80}']


def state(daemon):
    return daemon.http("GET", "/registry/services")


def expect_error(reply, status, field, about):
    found, body = reply
    expect_equal(found, status, f"{about} ({body})")
    expect(isinstance(body, dict) and body.get("error", {}).get("message"),
           f"{about}: no error message in {body!r}")
    if field:
        named = body["error"].get("field") or ""
        expect(named.startswith(field), f"{about}: names {named!r}, not {field!r}")


def check_registrations(daemon):
    for fields, name in BAD_FIELDS:
        expect_error(daemon.http("POST", "/registry/register", {**GOOD, **fields}), 400, name,
                     f"register with {fields}")
    for body in BAD_BODIES:
        raw = body.encode("latin1")
        expect_error(daemon.http("POST", "/registry/register", raw), 400, None,
                     f"register {body[:40]!r}")


def check_other_calls(daemon):
    for path in ("/registry/heartbeat", "/registry/deregister"):
        for body in ("", "{", "{}", '{"service":"payment","colour":1}', '{"service":7}'):
            expect_error(daemon.http("POST", path, body), 400, None, f"{path} {body!r}")
        expect_error(daemon.http("POST", path, {"service": "nobody", "id": "x"}), 404, None, path)
    expect_error(daemon.http("POST", "/registry/heartbeat",
                             {"service": "payment", "id": "one", "status": "fine"}),
                 400, "status", "heartbeat with an unknown status")
    expect_error(daemon.http("GET", "/nothing"), 404, None, "unknown path")
    expect_error(daemon.http("GET", "/registry/services/nobody"), 404, None, "unknown service")
    expect_error(daemon.http("GET", "/registry/services/payment/instances/x"), 404, None,
                 "unknown instance")
    expect_error(daemon.http("DELETE", "/registry/services/payment/instances/x"), 404, None,
                 "DELETE of an unknown instance")
    expect_error(daemon.http("GET", "/registry/register"), 405, None, "GET of a write")
    expect_error(daemon.http("DELETE", "/registry/services"), 405, None, "DELETE of all")


def check_sizes(daemon):
    expect_error(daemon.http("POST", "/registry/register", b" " * (1 << 20) + b"{}"), 413, None,
                 "a body over 1 MiB")
    array = [dict(GOOD, id=str(i)) for i in range(1001)]
    expect_error(daemon.http("POST", "/registry/register", array), 413, None,
                 "an array of 1001 registrations")


def check_array(daemon):
    """One bad slot: its error, the others applied, and the status says so."""
    status, reply = daemon.http("POST", "/registry/register", [
        dict(GOOD, name="array", id="one"),
        dict(GOOD, name="array", id="two", port=70000),
        dict(GOOD, name="array", id="three"),
    ])
    expect_equal(status, 207, f"an array with a bad slot ({reply})")
    results = reply["results"]
    expect_equal([r["status"] for r in results], [201, 400, 201], "status of each slot")
    expect_equal(results[1]["error"]["field"], "[1].port", "the field")
    _, service = daemon.http("GET", "/registry/services/array")
    expect_equal(sorted(i["id"] for i in service["instances"]), ["one", "three"], "applied")
    status, reply = daemon.http("POST", "/registry/heartbeat", [
        {"service": "array", "id": "one"}, {"service": "array", "id": "two"}])
    expect_equal((status, [r["status"] for r in reply["results"]]), (207, [200, 404]),
                 "heartbeats for one that is there and one that is not")


def check_http(daemon):
    harness.need("dig")
    daemon.register(**GOOD)
    before = state(daemon)
    check_registrations(daemon)
    check_other_calls(daemon)
    check_sizes(daemon)
    expect_equal(state(daemon), before, "state after bad input")
    expect_equal(daemon.addresses("payment.service.local"), ["10.0.0.1"], "DNS after bad input")
    check_array(daemon)


def run_rosterd(*arguments, folder=None):
    """(exit status, standard error, seconds) of a start that is to fail."""
    began = time.monotonic()
    done = subprocess.run([os.path.abspath(harness.ROSTERD), *arguments], capture_output=True,
                          text=True, timeout=20, check=False, cwd=folder,
                          stdin=subprocess.DEVNULL)
    return done.returncode, done.stderr, time.monotonic() - began


def check_port_in_use(daemon):
    """One line with address and errno, exit 1 within a second."""
    folder = harness.make_folder()
    data = os.path.join(folder, "data")
    free = harness.free_port()
    for flag, port, family in (("--dns", daemon.dns_port, None),
                               ("--http", daemon.http_port, None),
                               ("--dns", harness.free_port(), socket.SOCK_DGRAM),
                               ("--dns", harness.free_port(), socket.SOCK_STREAM)):
        holder = socket.socket(socket.AF_INET, family) if family else None
        if holder:
            holder.bind(("127.0.0.1", port))
            if family == socket.SOCK_STREAM:
                holder.listen()
        other = "--http" if flag == "--dns" else "--dns"
        for _ in range(10):
            status, text, took_s = run_rosterd(flag, f"127.0.0.1@{port}", other,
                                               f"127.0.0.1@{free}", "--data", data)
            if took_s < 1:  # else the machine may have other things to do
                break
        if holder:
            holder.close()
        about = f"{flag} {port} in use ({text!r})"
        expect_equal(status, 1, about)
        lines = [line for line in text.splitlines() if "level=error" in line]
        expect_equal(len(lines), 1, f"error lines, {about}")
        expect(f"127.0.0.1@{port}" in lines[0] and "EADDRINUSE" in lines[0]
               or "Address already in use" in lines[0], about)
        expect(took_s < 1, f"{about}: {took_s:.1f} s, ten times")


def check_usage():
    for arguments in (["--colour"], ["extra"], ["--dns"], ["--dns", "nonsense"],
                      ["--dns", "127.0.0.1@70000"], ["--workers", "none"], ["--workers", "0"],
                      ["--http", "localhost@1"]):
        status, text, _ = run_rosterd(*arguments)
        expect_equal(status, 2, f"{arguments} ({text!r})")
        expect(text.strip(), f"{arguments}: no message")


def check_files():
    folder = harness.make_folder()
    zone = harness.write_file(folder, "bad.zone",
                              "$TTL 5\n@ SOA ns hostmaster 1 2 3 4 5\n@ NS ns\n"
                              "ns A 192.0.2.1\nwww A 192.0.2.300\n")
    config = harness.write_file(folder, "zone.conf",
                                f"zone:\n  - domain: service.local\n    file: {zone}\n")
    ports = ["--dns", f"127.0.0.1@{harness.free_port()}",
             "--http", f"127.0.0.1@{harness.free_port()}", "--data", os.path.join(folder, "data")]
    for arguments in (ports, ["--check-config"]):
        status, text, _ = run_rosterd("-c", config, *arguments)
        expect_equal(status, 78, f"a bad zone file ({text!r})")
        expect(re.search(r"bad\.zone:5\b", text), f"the line is missing: {text!r}")

    for text, place in (("server:\n  dns: [127.0.0.1@5300]\n  colour: blue\n", "3:3"),
                        ("server:\n  workers: many\n", "2:12"),
                        ("server:\n  dns: [127.0.0.1@70000]\n", "2:9"),
                        ("server: [\n", "2:1"),
                        ("zone:\n  - file: a\n", "2:5")):
        config = harness.write_file(folder, "bad.conf", text)
        status, error, _ = run_rosterd("-c", config, *ports)
        expect_equal(status, 78, f"{text!r} ({error!r})")
        expect(f"bad.conf:{place}" in error, f"{text!r}: expected {place} in {error!r}")
    status, error, _ = run_rosterd("-c", os.path.join(folder, "nowhere.conf"), *ports)
    expect_equal(status, 78, f"no such file ({error!r})")

    good = harness.write_file(folder, "good.conf", "zone:\n  - domain: a.example\n")
    status, error, _ = run_rosterd("-c", good, "--check-config")
    expect_equal(status, 0, f"a good configuration ({error!r})")


def main():
    daemon = harness.Daemon()
    check_http(daemon)
    check_port_in_use(daemon)
    check_usage()
    check_files()
    daemon.stop()


harness.run(main)
