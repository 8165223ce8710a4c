# SPDX-License-Identifier: BSD-2-Clause
"""Tokens: who may do what, over HTTP; what is denied changes nothing and leaks nothing."""

import http.client
import json
import re
import signal
import ssl
import subprocess
import time

import harness
from harness import expect, expect_equal, wait_for

ALL = {"name": "all", "token": "token-of-all", "admin": "*"}
PAY = {"name": "pay", "token": "token-of-pay", "register": ["pay", "pay-*"]}
SHOP = {"name": "shop", "token": "token-of-shop", "admin": ["shop"]}
SCRAPER = {"name": "scraper", "token": "token-of-scraper"}
TOKENS = [entry["token"] for entry in (ALL, PAY, SHOP, SCRAPER)]


def config(*entries, http=""):
    return f"server:\n  workers: 1\n{http}" + (harness.access(*entries) if entries else "")


def connect(daemon, method, path, body=None, token=None, scheme="Bearer"):
    """An open connection and its reply."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.http_port, timeout=20)
    headers = {"Authorization": f"{scheme} {token}"} if token else {}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    return connection, connection.getresponse()


def ask(daemon, method, path, body=None, token=None, scheme="Bearer"):
    """(status, text) of one request; a reply has no token in it, and says if it wants one."""
    connection, reply = connect(daemon, method, path, body, token, scheme)
    text = reply.read().decode()
    challenge = reply.getheader("WWW-Authenticate")
    connection.close()
    expect_equal(challenge, 'Bearer realm="rosterd"' if reply.status == 401 else None,
                 f"the challenge of {reply.status}")
    expect(not any(word in text for word in TOKENS), f"a token in {text}")
    return reply.status, text


def reload(daemon, text, result):
    before = len(daemon.log())
    harness.write_file(daemon.folder, "rosterd.conf", text)
    daemon.send_signal(signal.SIGHUP)
    wait_for(lambda: result in daemon.log()[before:], 10, f"the log says {result}")
    return daemon.log()[before:]


def try_start(*arguments, config_text=None):
    """(exit status, what it says) of a start that is to fail."""
    folder = harness.make_folder()
    command = [harness.ROSTERD, "--data", f"{folder}/data", *arguments]
    if config_text:
        command += ["-c", harness.write_file(folder, "rosterd.conf", config_text)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stderr


def check_start():
    """No door is open to all."""
    port = harness.free_port()
    for arguments in (["--http", f"0.0.0.0@{port}"], ["--check-config", "--http", f"::@{port}"]):
        status, text = try_start(*arguments)
        expect_equal(status, 78, f"the exit status of {arguments}")
        expect("event=configuration-refused" in text and "\\\"access\\\"" in text and
               "loopback" in text, f"what to do is not said: {text}")
    addresses = f"  http: [127.0.0.1@{port}, 192.0.2.1@{port}]\n"
    status, text = try_start("--check-config", config_text=config(http=addresses))
    expect_equal(status, 78, "the exit status with another address in the file")
    expect(f"192.0.2.1@{port}" in text, f"which one is not said: {text}")
    status, text = try_start("--check-config", config_text=config(ALL, http=addresses))
    expect_equal((status, text), (0, ""), "the same with a token")
    broken = config(ALL).replace('"token-sha256": "', '"token-sha256": "token-of-all')
    status, text = try_start("--check-config", config_text=broken)
    expect_equal(status, 78, "the exit status with a broken digest")
    expect("token-of-all" not in text, f"what may be a token is in the log: {text}")


WRITES = (
    ("POST", "/registry/register", {"name": "pay", "id": "a", "ip": "10.0.0.1", "port": 80}),
    ("POST", "/registry/register", {"name": "pay", "id": "new", "ip": "10.0.0.3", "port": 80}),
    ("POST", "/registry/register", [{"name": "pay", "id": "b", "ip": "10.0.0.4", "port": 80}]),
    ("POST", "/registry/heartbeat", {"service": "pay", "id": "a", "status": "critical"}),
    ("POST", "/registry/deregister", {"service": "pay", "id": "a"}),
    ("DELETE", "/registry/services/pay/instances/a", None),
    ("DELETE", "/registry/services/PAY/instances/a", None),
    ("DELETE", "/registry/services/p%61y/instances/a", None),
    ("PUT", "/registry/services/pay/instances/a/admin", {"state": "drain"}),
    ("PUT", "/registry/services/pay/policy", {"ttl": 9}),
)
READS = (
    ("GET", "/registry/services/pay", None),
    ("HEAD", "/registry/services/pay", None),
    ("GET", "/registry/services/pay/instances/a", None),
    ("GET", "/registry/why?name=pay.service.local", None),
    ("GET", "/registry/watch", None),
    ("GET", "/registry/watch?service=pay", None),
    ("GET", "/registry/watch?service=pay&index=1&wait=1s", None),
)


def check_denied(daemon):
    daemon.register(name="pay", id="a", ip="10.0.0.1", port=80)
    daemon.register(name="shop", id="a", ip="10.0.1.1", port=80)
    before = daemon.http("GET", "/registry/services")
    for method, path, body in (*WRITES, *READS, ("GET", "/registry/services", None),
                               ("GET", "/metrics", None)):
        for token, scheme in ((None, None), ("token-of-al", "Bearer"), ("token-of-all", "Basic"),
                              ("token-of-all token-of-all", "Bearer")):
            expect_equal(ask(daemon, method, path, body, token, scheme)[0], 401,
                         f"{method} {path} with {scheme} {token}")
    for method, path, body in (*WRITES, *READS):
        for token in ("token-of-shop", "token-of-scraper"):
            expect_equal(ask(daemon, method, path, body, token)[0], 403,
                         f"{method} {path} with {token}")
    expect_equal(daemon.http("GET", "/registry/services"), before, "what is registered")
    expect_equal(daemon.addresses("pay.service.local"), ["10.0.0.1"], "DNS")
    for path in ("/health/live", "/health/ready"):
        expect_equal(ask(daemon, "GET", path)[0], 200, path)
    status, text = ask(daemon, "GET", "/metrics", token="token-of-scraper")
    expect_equal(status, 200, "/metrics by who may do nothing else")
    for reason in ("unknown", "forbidden"):
        count = re.search(rf'rosterd_access_denied_total{{reason="{reason}"}} (\d+)', text)
        expect(int(count.group(1)) > 0, f"{reason} is counted")


def check_rights(daemon):
    """What a token may: its own services, and not more of them than it should."""
    entries = [{"name": "pay-eu", "id": "a", "ip": "10.0.2.1", "port": 80},
               {"name": "shop", "id": "evil", "ip": "10.6.6.6", "port": 80},
               {"name": "payment", "id": "evil", "ip": "10.6.6.6", "port": 80},
               {"name": "PAY", "id": "b", "ip": "10.0.2.2", "port": 80}]
    status, text = ask(daemon, "POST", "/registry/register", entries, "token-of-pay")
    expect_equal(status, 207, "an array of own and other services")
    expect_equal([entry["status"] for entry in json.loads(text)["results"]], [201, 403, 403, 201],
                 "the status of each")
    expect_equal(daemon.addresses("shop.service.local"), ["10.0.1.1"], "another's service")
    expect_equal(daemon.addresses("pay-eu.service.local"), ["10.0.2.1"], "one's own")
    status, text = ask(daemon, "GET", "/registry/services", None, "token-of-pay")
    expect_equal([service["service"] for service in json.loads(text)["services"]],
                 ["pay", "pay-eu"], "the list of who may see these")
    beats = [{"service": "pay", "id": "b"}, {"service": "shop", "id": "a", "status": "critical"}]
    status, text = ask(daemon, "POST", "/registry/heartbeat", beats, "token-of-pay")
    expect_equal([entry["status"] for entry in json.loads(text)["results"]], [200, 403],
                 "heartbeats")
    expect_equal(daemon.addresses("shop.service.local"), ["10.0.1.1"], "another's status")
    for method, path, body in WRITES[-2:]:
        expect_equal(ask(daemon, method, path, body, "token-of-pay")[0], 403,
                     f"{path} takes more than register")
    for method, path, body in (("GET", "/registry/services/pay", None),
                               ("GET", "/registry/why?name=pay.service.local", None),
                               ("DELETE", "/registry/services/pay/instances/b", None)):
        expect_equal(ask(daemon, method, path, body, "token-of-pay")[0], 200, f"{method} {path}")
    status, text = ask(daemon, "PUT", "/registry/services/shop/policy", {"ttl": 9}, "token-of-shop")
    expect_equal(status, 200, "admin of one service")


def check_log(daemon):
    """At most 10 lines a second, which say who and what, and never the token."""
    before = len(daemon.log())
    start = time.monotonic()
    for _ in range(200):
        ask(daemon, "POST", "/registry/register", WRITES[0][2], "token-of-shop")
    lines = [line for line in daemon.log()[before:].splitlines() if "access-denied" in line]
    expect(len(lines) <= 10 * (time.monotonic() - start + 2), f"{len(lines)} lines")
    lines = [line for line in daemon.log().splitlines() if "access-denied" in line]
    expect(all("client=127.0.0.1 name=" in line and "path=/" in line for line in lines),
           f"who and what: {lines[:3]}")
    expect(not any(token in daemon.log() for token in TOKENS), "a token is in the log")


def watch(daemon, path, token):
    connection, reply = connect(daemon, "GET", path, token=token)
    expect_equal(reply.status, 200, f"{path} with {token}")
    return connection, reply


def check_reload(daemon):
    """A token that is gone is so at once: for requests, and for who watches."""
    streams = [watch(daemon, path, token) for path, token in
               (("/registry/watch?service=pay", "token-of-pay"), ("/registry/watch", "token-of-all"),
                ("/registry/watch?service=gone", "token-of-all"))]
    reload(daemon, config(ALL, PAY, SHOP, SCRAPER), "event=reloaded")
    daemon.register(name="pay", id="a", ip="10.0.0.9", port=80)
    for _, reply in streams[:2]:
        wait_for(lambda reply=reply: b"10.0.0.9" in reply.readline(), 10,
                 "a reload that changes nothing of this leaves streams open")
    poll = http.client.HTTPConnection("127.0.0.1", daemon.http_port, timeout=20)
    revision = daemon.http("GET", "/registry/services")[1]["revision"]
    poll.request("GET", f"/registry/watch?service=pay&index={revision}&wait=5m", None,
                 {"Authorization": "Bearer token-of-pay"})
    wait_for(lambda: "rosterd_watchers 4" in daemon.http("GET", "/metrics")[1], 10, "all watch")

    text = reload(daemon, config(ALL).replace("token-sha256", "token"), "event=reload-failed")
    expect("unknown key 'token'" in text, f"what is wrong is not said: {text}")
    expect_equal(ask(daemon, "GET", "/registry/services/pay", None, "token-of-pay")[0], 200,
                 "a broken file changes nothing")

    reload(daemon, config(ALL, SHOP), "event=reloaded")
    expect_equal(ask(daemon, "GET", "/registry/services/pay", None, "token-of-pay")[0], 401,
                 "a token that is gone")
    wait_for(lambda: "rosterd_watchers 0\n" in daemon.http("GET", "/metrics")[1], 10,
             "nobody watches any more")
    for connection, reply in streams:
        rest = reply.read()
        expect(b"event:" not in rest, f"a stream that ends says {rest}")
        connection.close()
    reply = poll.getresponse()
    expect_equal((reply.status, json.loads(reply.read())["events"]), (200, []), "a long poll's end")
    poll.close()
    connection, _ = watch(daemon, "/registry/watch", "token-of-all")
    connection.close()


def check_open_door():
    """The addresses stay what they are on a reload: so do tokens, then."""
    port = harness.free_port()
    text = config(ALL, http=f"  http: 0.0.0.0@{port}\n")
    daemon = harness.Daemon(config=text, http_port=port, token="token-of-all", wait=False)
    command = daemon.command()
    at = command.index("--http")
    daemon.command = lambda: command[:at] + command[at + 2:]
    daemon.start()
    for http_addresses in (f"  http: 127.0.0.1@{port}\n", ""):
        said = reload(daemon, config(http=http_addresses), "event=reload-failed")
        expect(f"0.0.0.0@{port}" in said, f"which address is not said: {said}")
        expect_equal(ask(daemon, "GET", "/registry/services")[0], 401, "without a token")
    expect_equal(daemon.http("GET", "/registry/services")[0], 200, "with the token")
    daemon.stop()


def make_certificate(folder, name, subject, *sign):
    """NAME.crt and NAME.key, for a name; signed by itself unless `sign` says otherwise."""
    done = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", f"{name}.key", "-out", f"{name}.crt", "-days", "2", "-subj", f"/CN={subject}",
         *sign], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    expect_equal(done.returncode, 0, f"openssl: {done.stderr}")


def check_certificates():
    """Who proves a name is the entry that has it, unless it says that it is another."""
    folder, port = harness.make_folder(), harness.free_port()
    make_certificate(folder, "ca", "ca")
    signed = ("-CA", "ca.crt", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE")
    make_certificate(folder, "server", "server", *signed, "-addext", "subjectAltName=IP:127.0.0.1")
    for name in ("pay", "stranger"):
        make_certificate(folder, name, f"{name}.example.net", *signed)
    tls = (f"  https: 127.0.0.1@{port}\n  http: 127.0.0.1@0\n"
           "  tls: {certificate: server.crt, key: server.key, client-ca: ca.crt}\n")
    pay = {"name": "pay", "identity": "pay.example.net", "register": "pay"}
    daemon = harness.Daemon(folder=folder, config=config(ALL, pay, http=tls), token="token-of-all")

    def ask_tls(certificate, service, token=None):
        context = ssl.create_default_context(cafile=f"{folder}/ca.crt")
        if certificate:
            context.load_cert_chain(f"{folder}/{certificate}.crt", f"{folder}/{certificate}.key")
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
        connection.request("POST", "/registry/register",
                           json.dumps({"name": service, "id": "a", "ip": "10.0.0.1", "port": 80}),
                           {"Authorization": f"Bearer {token}"} if token else {})
        status = connection.getresponse().status
        connection.close()
        return status

    for certificate, service, token, status in (
            (None, "pay", None, 401), ("stranger", "pay", None, 401), ("pay", "shop", None, 403),
            ("pay", "pay", "token-of-al", 401), ("pay", "pay", None, 201),
            ("stranger", "shop", "token-of-all", 201), ("pay", "shop", "token-of-all", 200)):
        expect_equal(ask_tls(certificate, service, token), status,
                     f"{service} by {certificate} with {token}")
    check_revoked_ca(daemon, folder, port, config(ALL, pay, http=tls))
    daemon.stop()


def check_revoked_ca(daemon, folder, port, text):
    """A connection does not keep the name that a CA gave it, which is not trusted any more."""
    make_certificate(folder, "ca2", "ca2")

    def connect_tls(path):
        context = ssl.create_default_context(cafile=f"{folder}/ca.crt")
        context.load_cert_chain(f"{folder}/pay.crt", f"{folder}/pay.key")
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
        connection.request("GET", path)
        return connection, connection.getresponse()

    def ask_again(connection):
        connection.request("GET", "/registry/services/pay")
        reply = connection.getresponse()
        reply.read()
        return reply.status

    connection, reply = connect_tls("/registry/services/pay")
    reply.read()
    connection.auto_open = 0  # this one, or none
    reload(daemon, text, "event=reloaded")
    expect_equal(ask_again(connection), 200, "the same connection, the same CA read again")
    _, stream = connect_tls("/registry/watch?service=pay")
    expect_equal(stream.status, 200, "a stream")
    reload(daemon, text.replace("client-ca: ca.crt", "client-ca: ca2.crt"), "event=reloaded")
    expect_equal(ask_again(connection), 401, "the same connection, behind another CA")
    stream.read()  # ends
    connection.close()


def main():
    harness.need("dig", "openssl")
    check_start()
    daemon = harness.Daemon(config=config(ALL, PAY, SHOP, SCRAPER), token="token-of-all")
    check_denied(daemon)
    check_rights(daemon)
    check_log(daemon)
    check_reload(daemon)
    expect(not any(token in daemon.log() for token in TOKENS), "a token is in the log")
    daemon.stop()
    check_open_door()
    check_certificates()


harness.run(main)
