# SPDX-License-Identifier: BSD-2-Clause
"""Health checks of the running daemon: https, ttl, targets that misbehave, loopback targets."""

import os
import socket
import ssl
import subprocess
import threading
import time

import harness
from harness import expect, expect_equal

TIMEOUT_S = 0.3
SLACK_MS = 100  # a run ends within its timeout and this much, on a machine that has time for it
LIMIT_S = 40


class Target:
    """A server on loopback; `behave` gets each connection, on a thread of its own."""

    def __init__(self, behave):
        self.behave = behave
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            connection = self.listener.accept()[0]
            threading.Thread(target=self.handle, args=(connection,), daemon=True).start()

    def handle(self, connection):
        with connection:
            try:
                self.behave(connection)
            except OSError:  # the prober has gone, as it may
                pass


def hang(connection):
    connection.recv(1)
    while connection.recv(65536):
        pass


def drip(connection):
    connection.sendall(b"HTTP/1.1 200 ")
    while True:
        connection.sendall(b"O")
        harness.pauses.wait(0.01)


def stream(connection):
    while True:
        connection.sendall(b"x" * 65536)


def stream_line(connection):
    connection.sendall(b"HTTP/1.1 200 ")
    stream(connection)


def reset(connection):
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def many_headers(connection):
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for _ in range(100):
        connection.sendall(b"X-Long: %s\r\n" % (b"y" * (1 << 20)))


# name, what it does, what its check must say in the end
MISBEHAVING = [
    ("hang", hang, "timeout after 300 ms"),
    ("drip", drip, "timeout after 300 ms"),
    ("stream", stream, "not HTTP"),
    ("stream-line", stream_line, "not HTTP"),
    ("reset", reset, "connection reset by peer"),
    ("many-headers", many_headers, "200 OK"),
]


def check_of(daemon, service):
    _, reply = daemon.http("GET", f"/registry/services/{service}")
    return reply["instances"][0]["checks"][0]


def wait_for_check(daemon, service, condition, about):
    """The check as it is when it is so; a busy machine may be late for some of its runs."""
    seen = {}

    def look():
        check = check_of(daemon, service)
        seen[check["output"]] = check
        return check if condition(check) else None

    try:
        return harness.wait_for(look, LIMIT_S, f"the check of {service} {about}")
    except harness.Failure as reason:
        raise harness.Failure(f"{reason}; seen: {list(seen.values())}") from None


def wait_for_output(daemon, service, wanted):
    return wait_for_check(daemon, service, lambda check: check["output"] == wanted,
                          f"says {wanted!r}")


def register(daemon, service, port, **check):
    daemon.register(name=service, ip="127.0.0.1", port=port,
                    checks=[{"interval": 0.5, "timeout": TIMEOUT_S, **check}])


def check_misbehaving(daemon):
    for name, behave, _ in MISBEHAVING:
        register(daemon, name, Target(behave).port, kind="http")
    for name, _, output in MISBEHAVING:
        wanted = (output, "passing" if output == "200 OK" else "critical")
        wait_for_check(daemon, name, lambda check: (check["output"], check["status"]) == wanted
                       and check["latency_ms"] <= TIMEOUT_S * 1000 + SLACK_MS,
                       f"is {wanted}, in time")
    # The same for TLS: who hangs, and who answers in clear.
    register(daemon, "tls-hang", Target(hang).port, kind="https")
    register(daemon, "tls-stream", Target(stream).port, kind="https")
    wait_for_output(daemon, "tls-hang", "timeout after 300 ms")
    wait_for_check(daemon, "tls-stream", lambda check: (check["output"] or "").startswith("TLS: "),
                   "tells what speaks no TLS from what does")
    daemon.stop()


def check_https(daemon, certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    requests = []

    def answer(connection):
        with context.wrap_socket(connection, server_side=True) as session:
            requests.append(session.recv(65536).decode())
            session.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    port = Target(answer).port
    # Verifying takes more than reading a line; on a busy machine much more.
    common = {"kind": "https", "timeout": 5, "interval": 5}
    register(daemon, "by-address", port, **common)
    register(daemon, "by-name", port, server_name="payment.internal", method="HEAD", path="/up",
             status="204", headers={"X-Token": "secret"}, **common)
    register(daemon, "wrong-name", port, server_name="other.internal", **common)
    register(daemon, "any", port, server_name="other.internal", tls_skip_verify=True, **common)
    wait_for_output(daemon, "by-address", "204 No Content")
    check = wait_for_output(daemon, "by-name", "204 No Content")
    wait_for_output(daemon, "wrong-name", "certificate refused: hostname mismatch")
    wait_for_output(daemon, "any", "204 No Content")
    expect_equal((check["expected_status"], check["header_names"]), ("204", ["X-Token"]),
                 "what is shown of a check")
    expect("secret" not in str(daemon.http("GET", "/registry/services")), "a header's value shows")
    asked = [request for request in requests if request.startswith("HEAD /up HTTP/1.1\r\n")]
    expect(asked and "\r\nX-Token: secret\r\n" in asked[0]
           and f"\r\nHost: payment.internal:{port}\r\n" in asked[0], f"asked {requests}")


def check_ttl(daemon):
    daemon.register(name="own", id="one", ip="10.0.0.1", port=80,
                    checks=[{"kind": "ttl", "ttl": 1}])
    expect_equal(daemon.addresses("own.service.local"), [], "before the first report")
    for _ in range(10):
        reported = time.monotonic()
        status, _ = daemon.http("POST", "/registry/heartbeat", {
            "service": "own", "id": "one", "status": "passing", "output": "well"})
        expect_equal(status, 200, "a report")
        seen = daemon.addresses("own.service.local"), check_of(daemon, "own")["output"]
        if time.monotonic() - reported < 0.9:  # else it may have been over
            break
    expect_equal(seen, (["10.0.0.1"], "well"), "after a report")
    daemon.wait_addresses("own.service.local", [], LIMIT_S)
    expect(time.monotonic() - reported >= 0.99, "critical before its time")
    expect_equal(check_of(daemon, "own")["output"], "no report for 1 s", "the output")


def check_loopback():
    """Whoever registers from elsewhere has no checks of what only this host can reach."""
    checked = {"name": "a", "ip": "127.0.0.1", "port": 80, "health": "/"}
    config = ("server:\n  http: [0.0.0.0@%(port)s]\n%(more)szone:\n  - domain: service.local\n"
              + harness.access({"name": "all", "token": "t", "admin": "*"}))

    def start(more):
        port = harness.free_port()
        daemon = harness.Daemon(config=config % {"port": port, "more": more}, wait=False,
                                token="t")
        command = daemon.command()
        at = command.index("--http")
        daemon.command = lambda: command[:at] + command[at + 2:]
        daemon.http_port = port
        daemon.start()
        return daemon

    daemon = start("")
    status, reply = daemon.http("POST", "/registry/register", checked)
    expect_equal((status, reply["error"]["field"]), (400, "checks"), "a loopback check")
    expect("check-loopback" in reply["error"]["message"], f"no way out is named: {reply}")
    daemon.register(name="a", ip="127.0.0.1", port=80)
    daemon.stop()
    daemon = start("  check-loopback: true\n")
    daemon.register(**checked)
    daemon.stop()


def main():
    harness.need("dig", "openssl")
    folder = harness.make_folder()
    certificate, key = os.path.join(folder, "certificate"), os.path.join(folder, "key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=test",
                    "-addext", "subjectAltName=IP:127.0.0.1,DNS:payment.internal",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    # What OpenSSL takes for the system's store.
    os.environ["SSL_CERT_FILE"] = certificate
    check_misbehaving(harness.Daemon())
    daemon = harness.Daemon()
    check_https(daemon, certificate, key)
    check_ttl(daemon)
    daemon.stop()
    check_loopback()


harness.run(main)
