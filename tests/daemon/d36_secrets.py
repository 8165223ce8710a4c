# SPDX-License-Identifier: BSD-2-Clause
"""What comes from strangers breaks no line of the log, and what is secret is told to nobody."""

import os
import re
import signal
import socket
import stat

import harness
from harness import expect, expect_equal

LIMIT_S = 20
SECRET = "Bearer 7b1f-do-not-tell-9c3e"
# What would break a line, fake one, or do something to a terminal.
EVIL = 'x\nlevel=error event=fake a="b\\\r\t\x1b[2J\x1b]0;title\x07\x7f\x9b31m \u202e\u00e9'
EVIL_RAW = EVIL.encode() + b"\xff\xfe\xc0\x80"

LINE = re.compile(  # logfmt, as log.h promises it
    rb'level=(info|warning|error) event=[a-z][a-z-]*'
    rb'( [a-z][a-z_-]*=([!#-<>-\[\]-~]+|"([ !#-\[\]-~]|\\["\\n]|\\x[0-9a-f]{2})*"(\.\.\.)?))*\n')


def read_log(daemon):
    with open(daemon.log_path, "rb") as file:
        return file.read()


def check_lines(daemon):
    for line in read_log(daemon).splitlines(keepends=True):
        expect(LINE.fullmatch(line), f"a line of the log: {line!r}")
        expect(not line.startswith(b"level=error event=fake"), f"a fake: {line!r}")


def wait_event(daemon, event, count=1):
    harness.wait_for(lambda: daemon.log().count(f"event={event} ") >= count, LIMIT_S,
                     f"{count} times {event} in the log")


def raw_http(daemon, octets):
    """What the server says to octets that are no proper request."""
    with socket.create_connection(("127.0.0.1", daemon.http_port), timeout=10) as connection:
        connection.sendall(octets)
        connection.shutdown(socket.SHUT_WR)
        reply = b""
        try:
            while chunk := connection.recv(65536):
                reply += chunk
        except ConnectionError:
            pass
        return reply


def evil_registrations():
    """EVIL in each field; many are refused, none may matter."""
    good = {"name": "evil", "id": "i", "ip": "10.0.0.1", "port": 80}
    check = {"kind": "http", "path": "/", "interval": "200ms", "timeout": "100ms"}
    yield from ({**good, field: EVIL} for field in
                ("name", "id", "ip", "protocol", "version", "environment", "region", "zone",
                 "description", "managed_by", "deployment_time", "sidecar", "health", "lease"))
    yield {**good, EVIL: 1}
    yield {**good, "tags": [EVIL, "eu"]}
    yield {**good, "meta": {"k": EVIL}}
    yield {**good, "meta": {EVIL: "v"}}
    yield {**good, "ports": {EVIL: 1}}
    yield from ({**good, "checks": [{**check, field: EVIL}]} for field in
                ("kind", "path", "method", "status", "initial", "server_name", "interval"))
    yield {**good, "checks": [{**check, "headers": {"X-A": EVIL}}]}
    yield {**good, "checks": [{**check, "headers": {EVIL: "x"}}]}
    yield {**good, EVIL: EVIL, "checks": [{**check, EVIL: 1}]}


def say_evil(connection):
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 500 " + EVIL_RAW.replace(b"\n", b"") + b"\r\n\r\n")


def serve_evil():
    """A target of checks, also where TLS is expected."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def serve():
        while True:
            with listener.accept()[0] as connection:
                try:
                    say_evil(connection)
                except OSError:
                    pass

    harness.threading.Thread(target=serve, daemon=True).start()
    return port


def check_escapes():
    folder = harness.make_folder()
    zone = "@ 5 SOA ns root 1 2 3 4 5\n@ 5 NS ns\nns 5 A 127.0.0.1\n"
    harness.write_file(folder, "service.local.zone", zone)
    config = (f"server:\n  zone-dir: {folder}\nzone:\n  - domain: service.local\n"
              "    file: service.local.zone\n")
    daemon = harness.Daemon(folder=folder, config=config)
    port = serve_evil()

    for registration in evil_registrations():
        daemon.http("POST", "/registry/register", registration)
    fast = {"interval": "200ms", "timeout": "150ms", "port": port}
    daemon.register(name="checked", id='x level=error event=fake a="b\\ \u00e9', ip="127.0.0.1", port=1,
                    tags=["a tag", "eu"], checks=[{"kind": "http", **fast},
                                                  {"kind": "https", **fast}])
    # Its name is in the log when its policy acts.
    daemon.http("PUT", "/registry/services/checked/policy", {"failure": "all"})
    wait_event(daemon, "policy-acts")
    daemon.http("POST", "/registry/heartbeat", {"service": "checked", "status": "critical",
                                                "output": EVIL})
    for path in ("/%0alevel=error", "/registry/services/%1b%5b2J%0a", "/registry/why?name=%0a%22"):
        daemon.http("GET", path)
    raw_http(daemon, b"GET /" + EVIL_RAW + b" HTTP/1.1\r\n" + EVIL_RAW + b"\r\n\r\n")
    raw_http(daemon, EVIL_RAW)
    raw_http(daemon, b"\x16\x03\x01" + EVIL_RAW)  # TLS to a door without

    # Files that an operator has from somebody else.
    for text in (EVIL_RAW, b"a 5 TXT \"" + EVIL_RAW, b"a 5 " + EVIL_RAW + b" x\n",
                 b"$INCLUDE " + EVIL_RAW, EVIL_RAW.replace(b"\n", b"") + b" 5 A 10.0.0.1\n"):
        count = len(re.findall("event=reload", daemon.log()))
        with open(os.path.join(folder, "service.local.zone"), "wb") as file:
            file.write(zone.encode() + text)
        daemon.send_signal(signal.SIGHUP)
        harness.wait_for(lambda n=count: len(re.findall("event=reload", daemon.log())) > n, LIMIT_S,
                         "the zone file is looked at")
    wait_event(daemon, "reload-failed", 3)
    harness.write_file(folder, "service.local.zone", zone + "checked 5 A 10.9.9.9\n")
    daemon.send_signal(signal.SIGHUP)
    wait_event(daemon, "registration-shadowed")
    count = daemon.log().count("event=reload-failed ")
    with open(os.path.join(folder, "rosterd.conf"), "wb") as file:
        file.write(b"server:\n  \"" + EVIL.encode("unicode_escape").replace(b'"', b'') +
                   b"\": 1\n")
    daemon.send_signal(signal.SIGHUP)
    wait_event(daemon, "reload-failed", count + 1)
    daemon.stop()
    check_lines(daemon)


def check_flood():
    """Who registers and goes, again and again, fills no disk."""
    daemon = harness.Daemon()
    for i in range(60):
        daemon.register(name=f"flood{i}", ip="10.0.0.1", port=80, checks=[
            {"kind": "ttl", "ttl": 60}])
        daemon.http("PUT", f"/registry/services/flood{i}/policy", {"failure": "all"})
    metrics = daemon.http("GET", "/metrics")[1]
    daemon.stop()
    told = daemon.log().count("event=policy-acts ")
    left_out = sum(int(n) for n in re.findall(r"event=log-suppressed count=(\d+)", daemon.log()))
    acted = sum(float(n) for n in re.findall(r"^rosterd_policy_acts_total\S* (\S+)$", metrics,
                                             re.M))
    expect(acted >= 60, f"policies act: {acted}")
    expect_equal(told + left_out, int(acted), "each is told or counted")


def check_secrets():
    daemon = harness.Daemon()
    port = serve_evil()
    fast = {"interval": "200ms", "timeout": "150ms", "port": port}
    bad_header = f"{SECRET}\nX: y"
    shown = []

    def call(*arguments):
        shown.append(str(daemon.http(*arguments)))

    registration = {"name": "payment", "id": "p1", "ip": "127.0.0.1", "port": 1,
                    "checks": [{"kind": "http", "headers": {"Authorization": SECRET}, **fast}]}
    since = daemon.http("GET", "/registry/services")[1]["revision"]
    call("POST", "/registry/register", registration)
    # Refused, for reasons in and around the value.
    bad = {"kind": "http", "headers": {"Authorization": bad_header}}
    call("POST", "/registry/register", {**registration, "checks": [bad]})
    call("POST", "/registry/register", {**registration, "checks": [{**bad, "headers": SECRET}]})
    call("POST", "/registry/register", {**registration, "checks": [
        {**registration["checks"][0], "headers": {"Authorization": SECRET + "x" * 4000}}]})
    call("POST", "/registry/register", {**registration, "checks": [
        {**registration["checks"][0], "rise": "x"}]})
    call("POST", "/registry/register", '{"checks": [{"headers": {"Authorization": "' + SECRET)
    call("PUT", "/registry/services/payment/policy", {"failure": "all"})
    harness.wait_for(lambda: "500" in str(daemon.http("GET", "/registry/services/payment")),
                     LIMIT_S, "the check has run")
    for path in ("/registry/services", "/registry/services/payment",
                 "/registry/services/payment/instances/p1",
                 "/registry/why?name=payment.service.local&type=A",
                 f"/registry/watch?index={since}&wait=1s", "/metrics", "/health/ready"):
        call("GET", path)
    shown.append(raw_http(daemon, b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: " +
                          SECRET.encode() + b"\r\n : \r\n\r\n").decode(errors="replace"))
    shown.append(raw_http(daemon, b"GET /registry/none HTTP/1.0\r\nAuthorization: " +
                          SECRET.encode() + b"\r\n\r\n").decode(errors="replace"))
    expect("Authorization" in shown[6 + 1], "names of headers are shown")
    daemon.send_signal(signal.SIGUSR1)
    wait_event(daemon, "dumped")
    with open(os.path.join(daemon.data, "service.local.dump"), encoding="ascii") as file:
        shown.append(file.read())
    daemon.stop()
    for text in (*shown, daemon.log()):
        expect("7b1f-do-not-tell" not in text, f"the secret is told: {text}")
    # What has to have it, the files, is not for everybody.
    for folder, _, names in os.walk(daemon.data):
        for path in (folder, *(os.path.join(folder, name) for name in names)):
            mode = stat.S_IMODE(os.stat(path).st_mode)
            expect_equal(mode & 0o027, 0, f"{path}: mode for others {mode:o}")


def main():
    check_escapes()
    check_flood()
    check_secrets()


harness.run(main)
