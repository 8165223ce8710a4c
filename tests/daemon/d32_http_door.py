# SPDX-License-Identifier: BSD-2-Clause
"""The HTTP port and those who should not use it: smugglers, web pages, clients that want it all."""

import json
import signal
import socket

import harness
from harness import expect, expect_equal

DNS_PORT, HTTP_PORT = 8600, 8500  # nobody else is in this namespace
SERVER, CLIENT, OTHER = "192.0.2.53", "192.0.2.1", "198.51.100.1"
SERVER6, CLIENTS6 = "2001:db8::53", ("2001:db8:1::1", "2001:db8:1::2")
ADDRESSES = (f"{SERVER}/32", f"{CLIENT}/32", f"{OTHER}/32", f"{SERVER6}/128",
             *(f"{client}/128" for client in CLIENTS6))
PER_CLIENT, TOTAL = 64, 512
BODY = json.dumps({"name": "evil", "ip": "10.6.6.6", "port": 80})
CONFIG = """
server:
    http: [0.0.0.0@8500, "::@8500"]
    http-names: [{name}]
    http-origins: [https://ops.example.net]
"""
TOKEN = "t"
ACCESS = harness.access({"name": "all", "token": TOKEN, "admin": "*"})


def connect(source="127.0.0.1", server="127.0.0.1"):
    return socket.create_connection((server, HTTP_PORT), timeout=10, source_address=(source, 0))


def read_to_end(sock):
    octets = b""
    try:
        while more := sock.recv(65536):
            octets += more
    except ConnectionResetError:
        pass
    return octets


def ask(text, **where):
    """(status, everything) of one request in raw form; the connection must end."""
    with connect(**where) as sock:
        sock.sendall(text.encode("latin-1") if isinstance(text, str) else text)
        reply = read_to_end(sock)
    return (int(reply.split(b" ", 2)[1]) if reply else 0), reply


def register(headers, body=BODY, **where):
    return ask("POST /registry/register HTTP/1.1\r\nConnection: close\r\n"
               f"Authorization: Bearer {TOKEN}\r\n"
               f"Content-Length: {len(body)}\r\n{headers}\r\n{body}", **where)[0]


HOST = "Host: localhost\r\n"
# What shared readers of a stream could read differently, and what nobody sends by accident.
REFUSED = (
    ("two Content-Length", f"{HOST}Content-Length: 3\r\nContent-Length: 3\r\n", 400),
    ("two differing ones", f"{HOST}Content-Length: 3\r\nContent-Length: 5\r\n", 400),
    ("a signed one", f"{HOST}Content-Length: +3\r\n", 400),
    ("a spaced one", f"{HOST}Content-Length : 3\r\n", 400),
    ("Transfer-Encoding", f"{HOST}Transfer-Encoding: chunked\r\n", 501),
    ("a chunk size in C", f"{HOST}Transfer-Encoding: chunked\r\n", 501),
    ("a folded line", f"{HOST}A: b\r\n c\r\n", 400),
    ("an empty header name", f"{HOST}: b\r\n", 400),
    ("an invalid header name", f"{HOST}A b: c\r\n", 400),
    ("a NUL", f"{HOST}A: b\0c\r\n", 400),
    ("no Host", "", 400),
    ("two Host", HOST + HOST, 400),
    ("two Authorization", f"{HOST}Authorization: Bearer t\r\nauthorization: Bearer t\r\n", 400),
)


def check_smuggling(daemon):
    tail = f"\r\n{BODY}"
    for what, headers, status in REFUSED:
        found = ask(f"POST /registry/register HTTP/1.1\r\n{headers}{tail}")
        expect_equal(found[0], status, what)
        expect(b'{"error":{' in found[1], f"{what}: an error in JSON")
    for what, line in (("an unknown version", "HTTP/1.9"), ("HTTP/2", "HTTP/2.0"),
                       ("a long version", "HTTP/1.99999"), ("HTTP/0.9", "HTTP/0.9")):
        expect_equal(ask(f"GET /health/live {line}\r\n{HOST}\r\n")[0], 400, what)
    for target in ("http://localhost/health/live", "/health/../health/live", "/health/%2e%2e/x",
                   "//health/live", "health/live"):
        expect_equal(ask(f"GET {target} HTTP/1.1\r\n{HOST}\r\n")[0], 400, target)
    expect_equal(ask(f"GET /health/live HTTP/1.1\n{HOST}\r\n")[0], 400, "a bare line feed")
    expect_equal(ask("GET /health/live HTTP/1.0\r\n\r\n")[0], 400, "HTTP/1.0 without Host")
    expect_equal(ask(f"GET /health/live HTTP/1.0\r\n{HOST}\r\n")[0], 200, "HTTP/1.0 with Host")
    # What would be the second request is never read.
    hidden = f"GET / HTTP/1.1\r\n{HOST}Content-Length: 0\r\nContent-Length: 1\r\n\r\n"
    found = ask(f"{hidden}POST /registry/register HTTP/1.1\r\n{HOST}"
                f"Content-Length: {len(BODY)}\r\n\r\n{BODY}")
    expect_equal(found[0], 400, "a smuggled request")
    expect_equal(found[1].count(b"HTTP/1.1 "), 1, "replies to a smuggled request")
    expect_equal(daemon.http("GET", "/registry/services")[1]["services"], [], "what registered")


def check_pages(daemon):
    for headers, status in (
            ("Host: evil.example\r\n", 421),
            ("Host: evil.example\r\nOrigin: http://evil.example\r\n", 421),
            ("Host: 192.0.2.53.evil.example:8500\r\n", 421),
            ("Host: localhost:8500\r\nOrigin: http://evil.example\r\n", 403),
            ("Host: localhost:8500\r\nOrigin: null\r\n", 403),
            (f"Host: {SERVER}:8500\r\n", 421),  # it has not come to that address
    ):
        expect_equal(register(headers), status, headers)
    expect_equal(daemon.http("GET", "/registry/services")[1]["services"], [], "what registered")
    for headers, where in (
            ("Host: LOCALHOST:8500\r\n", {}),
            ("Host: [::1]:8500\r\n", {}),
            ("Host: rosterd.example.net\r\n", {}),
            ("Host: localhost:8500\r\nOrigin: http://localhost:8500\r\n", {}),
            ("Host: localhost:8500\r\nOrigin: https://ops.example.net\r\n", {}),
            (f"Host: {SERVER}:8500\r\n", {"source": CLIENT, "server": SERVER}),
            (f"Host: [{SERVER6}]:8500\r\n", {"source": CLIENTS6[0], "server": SERVER6}),
    ):
        expect(register(headers, **where) in (200, 201), f"{headers} {where}")


def check_reload(daemon):
    expect_equal(register("Host: other.example.net\r\n"), 421, "a name that is not known yet")
    harness.write_file(daemon.folder, "rosterd.conf", CONFIG.format(name="other.example.net") + ACCESS)
    daemon.send_signal(signal.SIGHUP)
    harness.wait_for(lambda: "event=reloaded" in daemon.log(), 10, "the reload")
    expect_equal(register("Host: other.example.net\r\n"), 200, "a name that is known now")
    expect_equal(register("Host: rosterd.example.net\r\n"), 421, "a name that is gone")


def check_sizes():
    long = json.dumps({"name": "long", "ip": "10.6.6.6", "port": 80, "description": "x" * 65536})
    expect_equal(register(HOST, long), 413, "one registration of over 64 KiB")
    expect_equal(register(HOST, "\n \t" + long), 413, "the same behind blanks")
    many = json.dumps([{"name": "many", "ip": f"10.1.{i // 250}.{i % 250 + 1}", "port": 80,
                        "description": "x" * 200} for i in range(500)])
    expect(len(many) > 65536, "the array is the longer one")
    expect_equal(register(HOST, many), 201, "an array of over 64 KiB")
    expect_equal(register(HOST, "[" + " " * (1 << 20) + "]"), 413, "a body of over 1 MiB")
    fields = "".join(f"A{i}: {'x' * 90}\r\n" for i in range(90))
    expect_equal(ask(f"GET /health/live HTTP/1.1\r\n{HOST}{fields}\r\n")[0], 431, "a long head")


def is_open(sock):
    """Whether the server talks to this connection."""
    try:
        sock.sendall(f"GET /health/live HTTP/1.1\r\n{HOST}\r\n".encode())
        return b"200" in sock.recv(65536)
    except OSError:
        return False


def check_shares(daemon):
    """One client has 64 connections at most, a whole IPv6 /64 counting as one; loopback all."""
    for sources, server in (((CLIENT,), SERVER), (CLIENTS6, SERVER6)):
        held = [connect(sources[i % len(sources)], server) for i in range(PER_CLIENT)]
        expect(all(is_open(sock) for sock in held), f"{PER_CLIENT} connections of {sources}")
        for source in sources:
            with connect(source, server) as extra:
                expect(not is_open(extra), f"one more of {source}")
        with connect() as own:
            expect(is_open(own), "another client meanwhile")
        held.pop().close()
        harness.wait_for(lambda: probe(sources[0], server), 10, "a place is free again")
        for sock in held:
            sock.close()
    with connect(OTHER, SERVER) as sock:
        expect(is_open(sock), "another network")
    metrics = daemon.http("GET", "/metrics")[1]
    expect('limit="http-per-client"} 0' not in metrics, "the limit is counted")


def probe(source, server):
    with connect(source, server) as sock:
        return is_open(sock)


def check_full(daemon):
    """Nobody gets in over HTTP, DNS does not notice."""
    held = []
    try:
        for _ in range(TOTAL + 8):
            held.append(connect())
        reply = daemon.dig("many.service.local", "A", "+tcp")
        expect_equal(reply.status, "NOERROR", "DNS while HTTP is full")
    finally:
        for sock in held:
            sock.close()
    harness.wait_for(daemon.is_ready, 10, "HTTP is back")


def main():
    harness.enter_namespace(ADDRESSES)
    daemon = harness.Daemon(config=CONFIG.format(name="rosterd.example.net") + ACCESS,
                            dns_port=DNS_PORT, http_port=HTTP_PORT, wait=False, token=TOKEN)
    daemon.flags = []
    command = daemon.command
    # The addresses are the file's.
    daemon.command = lambda: [word for i, word in enumerate(command())
                              if word != "--http" and command()[i - 1] != "--http"]
    daemon.start()
    check_smuggling(daemon)
    check_pages(daemon)
    check_sizes()
    check_shares(daemon)
    check_full(daemon)
    check_reload(daemon)
    daemon.stop()


harness.run(main)
