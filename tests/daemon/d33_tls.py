# SPDX-License-Identifier: BSD-2-Clause
"""TLS at both doors: HTTP with curl, DNS (RFC 7858) with dig, unbound and octets of our own; who is
refused, what a reload changes, and that clients which only begin a handshake stop nobody."""

import os
import re
import resource
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import time
import warnings

import harness
import wire
from harness import expect, expect_equal, wait_for

CONFIG = """
server:
  workers: 1
  https: 127.0.0.1@{https}
  dns-tls: 127.0.0.1@{dns_tls}
  tls: {{certificate: server.crt, key: server.key, client-ca: ca.crt}}
"""
UNBOUND = """
server:
    interface: 127.0.0.1
    port: {port}
    username: ""
    chroot: ""
    directory: "{folder}"
    pidfile: "{folder}/unbound.pid"
    use-syslog: no
    do-daemonize: no
    do-not-query-localhost: no
    module-config: "iterator"
    root-hints: ""
    tls-cert-bundle: "{folder}/ca.crt"
stub-zone:
    name: "service.local"
    stub-addr: 127.0.0.1@{upstream}#localhost
    stub-tls-upstream: yes
remote-control:
    control-enable: no
"""
NAME = "payment.service.local"
BIG = "big.service.local"
PIPELINED = 1000
PADDING = 12          # RFC 7830
BLOCK = 468           # RFC 8467
IDLE_PLACES = 800     # over three quarters of TCP_CONNECTIONS: idle ones have 2 s then
HALF_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03half of it"


# ---- Certificates ----

def openssl(folder, *arguments):
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True,
                          timeout=60, check=False)
    expect_equal(done.returncode, 0, f"openssl {arguments}: {done.stderr}")


def make_ca(folder, name):
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.crt", "-days", "2",
            "-subj", f"/CN={name}")


def make_certificate(folder, name, ca="ca", subject="localhost", days=2):
    """NAME.crt and NAME.key, signed by `ca`."""
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={subject}",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.crt",
            "-CAkey", f"{ca}.key", "-days", str(days), "-copy_extensions", "copyall",
            "-out", f"{name}.crt")


def install(folder, name):
    """Makes it the server's."""
    for end in ("crt", "key"):
        shutil.copyfile(f"{folder}/{name}.{end}", f"{folder}/server.{end}")


# ---- Clients ----

class Door:
    """The server's ports over TLS, and who asks there."""

    def __init__(self, folder):
        self.folder = folder
        self.https, self.dns_tls = harness.free_port(), harness.free_port()

    def context(self, ca="ca", alpn=None, client=None):
        context = ssl.create_default_context(cafile=f"{self.folder}/{ca}.crt")
        if alpn:
            context.set_alpn_protocols([alpn])
        if client:
            context.load_cert_chain(f"{self.folder}/{client}.crt", f"{self.folder}/{client}.key")
        return context

    def connect(self, source=None, context=None, port=None):
        """A connection for DNS, hands shaken."""
        client = wire.tcp_client(port or self.dns_tls, source)
        return (context or self.context()).wrap_socket(client, server_hostname="localhost")

    def curl(self, path, *arguments, ca="ca"):
        """(exit status, what came)."""
        done = subprocess.run(
            ["curl", "-sS", "-m", "20", "--cacert", f"{self.folder}/{ca}.crt", *arguments,
             f"https://localhost:{self.https}{path}"],
            capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout or done.stderr

    def serial(self, port):
        with self.connect(port=port) as client:
            return client.getpeercert()["serialNumber"]


def expect_served(client, number, about, name=NAME):
    reply = wire.ask_tcp(client, wire.query(number, name))
    expect_equal((reply.id, reply.rcode), (number, wire.NOERROR), about)
    return reply


def expect_end(client, about):
    """Whatever comes, it is over then."""
    client.settimeout(20)
    try:
        while client.recv(1 << 16):
            pass
    except (ConnectionError, ssl.SSLError):
        pass
    except TimeoutError:
        raise harness.Failure(f"{about}: still open") from None
    client.close()


def read_metric(daemon, line):
    return int(daemon.http("GET", "/metrics")[1].split(f"\n{line} ")[1].split()[0])


# ---- Configuration ----

def check_configuration(folder):
    """--check-config says what is wrong with the files."""
    make_certificate(folder, "other")
    make_certificate(folder, "expired", days=-1)
    cases = [
        ("missing.crt", "server.key", 78, "missing.crt: No such file or directory"),
        ("server.crt", "missing.key", 78, "missing.key: No such file or directory"),
        ("server.crt", "other.key", 78, "other.key: the key is not that of the certificate"),
        ("server.key", "server.key", 78, "server.key: has no certificate that can be used"),
        ("expired.crt", "expired.key", 0, "certificate-expired"),
        ("server.crt", "server.key", 0, ""),
    ]
    for certificate, key, status, text in cases:
        path = harness.write_file(
            folder, "check.conf",
            f"server:\n  tls: {{certificate: {certificate}, key: {key}}}\n")
        done = subprocess.run([os.path.abspath(harness.ROSTERD), "-c", path, "--check-config"],
                              capture_output=True, text=True, timeout=20, check=False)
        expect_equal(done.returncode, status, f"status for {certificate}, {key}")
        expect(text in done.stderr if text else not done.stderr, f"'{text}' in {done.stderr}")


# ---- HTTP ----

def check_https(door):
    status, text = door.curl("/registry/register", "-d",
                             '{"name": "payment", "ip": "10.0.0.1", "port": 80}')
    expect(status == 0 and '"revision"' in text, f"register: {text}")
    # One connection for both, and none of the 40 ms that small writes can wait for each other.
    status, text = door.curl("/health/live", f"https://localhost:{door.https}/health/live",
                             "-w", " %{num_connects} %{ssl_verify_result}\n")
    expect_equal((status, re.findall(r"(\d+) 0$", text, re.M)), (0, ["1", "0"]), "connections")
    body = "[" + ", ".join(f'{{"name": "big", "ip": "10.1.0.{n}", "port": 80}}'
                           for n in range(200)) + "]"
    path = harness.write_file(door.folder, "body", body)
    status, text = door.curl("/registry/register", "--data-binary", f"@{path}")
    expect_equal((status, text.count('"id"')), (0, 200), "a large body and its reply")
    expect_equal(door.curl("/health/live", ca="other-ca")[0], 60, "curl knows another CA")
    expect_equal(door.curl("/health/live", "-I", "--http1.0")[0], 0, "HTTP/1.0")
    status, text = door.curl("/health/live", "-H", "Content-Length : 3", "-w", "%{http_code}")
    expect("400" in text, f"the gate is there: {text}")


def check_client_certificates(door):
    folder = door.folder
    make_certificate(folder, "bob", subject="bob")
    make_certificate(folder, "mallory", ca="other-ca", subject="bob")
    make_certificate(folder, "late", subject="bob", days=-1)
    for name, good in (("bob", True), ("mallory", False), ("late", False)):
        status, text = door.curl("/health/live", "--cert", f"{folder}/{name}.crt",
                                 "--key", f"{folder}/{name}.key")
        expect_equal(status == 0, good, f"{name}: {status} {text}")
    # DNS asks nobody.
    with door.connect(context=door.context(client="mallory")) as client:
        expect_served(client, 1, "DNS with a certificate that nobody asked for")


def check_versions(door):
    for port in (door.https, door.dns_tls):
        # Python says that TLS 1.1 is old: that is why it is asked for here.
        warnings.simplefilter("ignore", DeprecationWarning)
        for version, good in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True),
                              (ssl.TLSVersion.TLSv1_3, True)):
            context = door.context()
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = version
            try:
                door.connect(context=context, port=port).close()
                found = True
            except (ssl.SSLError, ConnectionError):
                found = False
            expect_equal(found, good, f"{version} on {port}")


def check_plain_on_tls(daemon, door):
    """What is no TLS is told so, or not, but never answered."""
    for octets in (b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n", b"\0" * 64):
        with wire.tcp_client(door.https) as client:
            client.sendall(octets)
            expect_end(client, "plain HTTP on the TLS port")
    for octets in (wire.frame(wire.query(1, NAME)), b"\x16\x03\x01\xff\xff", os.urandom(300),
                   b"\0\0" * 3):
        with wire.tcp_client(door.dns_tls) as client:
            client.sendall(octets)
            expect_end(client, "plain DNS on the TLS port")
    with wire.tcp_client(door.dns_tls) as client:
        client.sendall(HALF_HELLO)
        client.shutdown(socket.SHUT_WR)
        expect_end(client, "half a handshake")
    with wire.tcp_client(daemon.dns_port) as client:
        expect_served(client, 1, "plain DNS where it belongs")


# ---- DNS ----

def check_dig(daemon, door):
    arguments = ("+tls", f"+tls-ca={door.folder}/ca.crt", "+tls-hostname=localhost")
    reply = harness.dig(door.dns_tls, *arguments, NAME, "A", time_s=10)
    expect_equal((reply.status, reply.data("A")), ("NOERROR", ["10.0.0.1"]), "dig +tls")
    reply = harness.dig(door.dns_tls, *arguments, BIG, "SRV", time_s=10)
    expect_equal(len(reply.answer), 200, "records of a large answer")
    keepalive = harness.dig(door.dns_tls, *arguments, "+keepalive", NAME, "A", time_s=10)
    expect("TCP KEEPALIVE: 10.0 secs" in keepalive.text, f"keepalive: {keepalive.text}")
    expect_equal(read_metric(daemon, 'rosterd_dns_queries_total{protocol="tls",type="A"}'), 3,
                 "queries over TLS")  # one more from check_client_certificates()


def check_padding(door):
    records = wire.opt(options=wire.option(PADDING, b"\0" * 7))
    with door.connect(context=door.context(alpn="dot")) as client:
        expect_equal(client.selected_alpn_protocol(), "dot", "ALPN")
        for name in (NAME, BIG, "nobody.service.local", "example.com"):
            message = wire.HEADER.pack(1, 0, 1, 0, 0, 1) + wire.question(name, wire.SRV) + records
            reply = wire.ask_tcp(client, message)
            expect_equal(len(reply.octets) % BLOCK, 0, f"{name}: {len(reply.octets)} octets")
            message = wire.query(2, name, wire.SRV, edns=1232)
            expect(len(wire.ask_tcp(client, message).octets) % BLOCK, f"{name}: padded unasked")


def check_pipelined(door):
    """As many as fit, cut anywhere; replies come in order."""
    stream = b"".join(wire.frame(wire.query(n, BIG if n % 50 == 0 else NAME))
                      for n in range(PIPELINED))
    with door.connect() as client:
        sizes, at = (1, 2, 30, 16384, 5, 50000), 0
        for turn in range(PIPELINED):
            piece = stream[at:at + sizes[turn % len(sizes)]]
            if piece:
                client.sendall(piece)
            at += len(piece)
        expect_equal(at, len(stream), "octets sent")
        for number in range(PIPELINED):
            reply = wire.Message(wire.receive_frame(client))
            expect_equal((reply.id, len(reply.answer)), (number, 200 if number % 50 == 0 else 1),
                         "in order")
        client.sendall(b"\0\0")
        expect_equal(client.recv(10), b"", "a message of no octets ends it")


def check_half_close(door):
    """Queries and the end in one go: all are answered, also where the client only closes TCP."""
    for says_so in (True, False):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = door.context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        with wire.tcp_client(door.dns_tls) as client:
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    client.sendall(outgoing.read())
                    incoming.write(client.recv(1 << 16))
            for number in range(20):
                tls.write(wire.frame(wire.query(number, BIG, wire.SRV)))
            if says_so:
                try:
                    tls.unwrap()
                except ssl.SSLWantReadError:
                    pass
            client.sendall(outgoing.read())
            if not says_so:
                client.shutdown(socket.SHUT_WR)
            octets = b""
            while True:
                try:
                    more = tls.read(1 << 16)
                except ssl.SSLWantReadError:
                    incoming_octets = client.recv(1 << 16)
                    expect(incoming_octets, "the server says when nothing follows")
                    incoming.write(incoming_octets)
                    continue
                except ssl.SSLZeroReturnError:
                    break
                if not more:
                    break
                octets += more
            n = 0
            while octets:
                length = int.from_bytes(octets[:2], "big")
                expect_equal(wire.Message(octets[2:2 + length]).id, n, "in order")
                octets, n = octets[2 + length:], n + 1
            expect_equal(n, 20, f"replies behind the end, {says_so}")


def check_reset_behind_end(daemon, door):
    """Who says the end, and resets the connection while replies wait for it, stops nobody."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = door.context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(20)
    client.connect(("127.0.0.1", door.dns_tls))
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            client.sendall(outgoing.read())
            incoming.write(client.recv(1 << 16))
    # More replies than the socket takes; the end comes in the same packet as the queries.
    tls.write(wire.frame(wire.query(1, BIG, wire.SRV)) * 300)
    try:
        tls.unwrap()
    except ssl.SSLWantReadError:
        pass
    client.sendall(outgoing.read())
    client.recv(1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    with wire.udp_client(daemon.dns_port) as other:
        expect_equal(wire.ask_udp(other, wire.query(1, NAME)).rcode, wire.NOERROR, "UDP")
    with door.connect() as other:
        expect_served(other, 1, "another client")


def check_deaf(daemon, door):
    """Who reads nothing is not read from, and stops nobody."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", door.dns_tls))
    deaf = door.context().wrap_socket(client, server_hostname="localhost")
    deaf.settimeout(0.1)
    frames = wire.frame(wire.query(1, BIG, wire.SRV)) * 50
    try:
        for _ in range(10000):
            deaf.sendall(frames)
        raise harness.Failure("the server takes queries without an end")
    except TimeoutError:
        pass
    with door.connect() as other:
        for number in range(20):
            expect_served(other, number, "beside a deaf one")
    with wire.udp_client(daemon.dns_port) as other:
        expect_equal(wire.ask_udp(other, wire.query(1, NAME)).rcode, wire.NOERROR, "UDP")
    deaf.close()


def check_idle(daemon, door):
    """Many begin a handshake and go no further: others are served, and they are cut off."""
    before = read_metric(daemon, "rosterd_dns_tcp_idle_total")
    lazy = []
    for number in range(IDLE_PLACES):
        client = wire.tcp_client(door.dns_tls, f"127.0.1.{1 + number % 20}")
        if number % 2:
            client.sendall(HALF_HELLO)
        lazy.append(client)
    with door.connect() as client, wire.udp_client(daemon.dns_port) as other:
        expect_served(client, 1, "a client that goes on")
        expect_equal(wire.ask_udp(other, wire.query(1, NAME)).rcode, wire.NOERROR, "UDP")
    expect_end(lazy[0], "one that sent nothing")
    wait_for(lambda: read_metric(daemon, "rosterd_dns_tcp_idle_total") >= before + 100, 20,
             "they are cut off", every_s=0.2)
    for client in lazy:
        client.close()


def check_flood(daemon, door):
    """A crowd that shakes hands at once is served, and UDP meanwhile."""
    before = read_metric(daemon, 'rosterd_tls_handshakes_total{state="done"}')
    context = door.context()
    crowd = []
    for number in range(100):
        client = wire.tcp_client(door.dns_tls, f"127.0.1.{1 + number % 20}")
        tls = context.wrap_socket(client, server_hostname="localhost",
                                  do_handshake_on_connect=False)
        tls.setblocking(False)
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        crowd.append(tls)
    with wire.udp_client(daemon.dns_port) as other:
        expect_equal(wire.ask_udp(other, wire.query(1, NAME)).rcode, wire.NOERROR, "UDP")
    for number, client in enumerate(crowd):
        client.settimeout(20)
        client.do_handshake()
        expect_served(client, number, "one of the crowd")
        client.close()
    expect_equal(read_metric(daemon, 'rosterd_tls_handshakes_total{state="done"}'), before + 100,
                 "handshakes counted")


def check_unbound(door):
    if not shutil.which("unbound", path=os.environ["PATH"] + ":/usr/sbin"):
        print("unbound is not installed: left out")
        return
    port = harness.free_port()
    path = harness.write_file(door.folder, "unbound.conf", UNBOUND.format(
        port=port, folder=door.folder, upstream=door.dns_tls))
    harness.spawn("unbound", "-d", "-c", path)
    wait_for(lambda: harness.dig(port, NAME, "A", time_s=1).data("A") == ["10.0.0.1"], 20,
             "unbound asks over TLS", every_s=0.2)
    reply = harness.dig(port, "+tcp", BIG, "SRV", time_s=10)
    expect_equal(len(reply.answer), 200, "a large answer through unbound")


# ---- Replacement and reload ----

def check_replace(daemon, door):
    """Another server takes the doors over: old connections end in peace, new ones find it."""
    old, idle = daemon.process, door.connect()
    expect_served(idle, 1, "before")
    harness.helpers.append(old)
    daemon.flags = ["--replace"]
    daemon.launch()
    daemon.flags = []
    while old.poll() is None:
        try:
            with door.connect() as client:  # never refused
                expect_served(client, 2, "meanwhile")
        except (ssl.SSLError, ConnectionResetError, BrokenPipeError, harness.Failure):
            pass  # the old one took it, and had no time left
    expect_equal(old.returncode, 0, "exit status of the old server")
    expect_equal(idle.recv(10), b"", "an idle connection ends in peace")
    idle.close()
    wait_for(daemon.is_ready, harness.START_S, "the new server is ready")
    with door.connect() as client:
        expect_served(client, 3, "by the new server")
    expect_equal(door.curl("/health/live")[0], 0, "HTTPS of the new server")


def reload(daemon, event):
    seen = daemon.log().count(f"event={event}")
    daemon.send_signal(signal.SIGHUP)
    wait_for(lambda: daemon.log().count(f"event={event}") > seen, 10, event)


def check_reload(daemon, door):
    ports = (door.https, door.dns_tls)
    before = [door.serial(port) for port in ports]
    old = door.connect()
    make_certificate(door.folder, "newer")
    install(door.folder, "newer")
    reload(daemon, "reloaded")
    after = [door.serial(port) for port in ports]
    expect(before[0] == before[1] and after[0] == after[1] != before[0],
           f"serials {before}, then {after}")
    expect_served(old, 1, "a connection from before")
    # A key that is not the certificate's: all stays as it was.
    shutil.copyfile(f"{door.folder}/other.key", f"{door.folder}/server.key")
    reload(daemon, "reload-failed")
    expect("server.key: the key is not that of the certificate" in daemon.log(), "the reason")
    expect_equal([door.serial(port) for port in ports], after, "serials after a bad reload")
    # Other doors take a restart.
    install(door.folder, "newer")
    harness.write_file(daemon.folder, "rosterd.conf", "server: {workers: 1}\n")
    reload(daemon, "reloaded")
    for key in ("https", "dns-tls"):
        expect(f"event=reload-ignored key={key} " in daemon.log(), f"{key} takes a restart")
    expect_equal([door.serial(port) for port in ports], after, "serials without tls")
    expect_served(old, 2, "a connection from before")
    old.close()


def check_drain(daemon, door):
    """Replies on their way are read, idle connections told, unfinished handshakes not waited for."""
    idle, half = door.connect(), wire.tcp_client(door.dns_tls)
    half.sendall(HALF_HELLO)
    busy = door.connect()
    expect_served(busy, 1, "before")
    started = time.monotonic()
    daemon.send_signal(signal.SIGTERM)
    expect_equal(idle.recv(10), b"", "an idle connection ends in peace")
    expect_end(half, "an unfinished one")
    expect_equal(daemon.wait_exit(), 0, "exit status")
    expect(time.monotonic() < started + 4, "nobody was waited for in vain")
    daemon.check_log()
    idle.close()
    busy.close()


def main():
    harness.need("openssl", "curl", "dig")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < IDLE_PLACES + 200:
        raise harness.Skip("too few descriptors")
    if soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, IDLE_PLACES + 200), hard))
    folder = harness.make_folder()
    make_ca(folder, "ca")
    make_ca(folder, "other-ca")
    make_certificate(folder, "first")
    install(folder, "first")
    check_configuration(folder)
    door = Door(folder)
    daemon = harness.Daemon(folder=folder, config=CONFIG.format(https=door.https,
                                                                dns_tls=door.dns_tls))
    check_https(door)
    check_client_certificates(door)
    check_dig(daemon, door)
    check_versions(door)
    check_plain_on_tls(daemon, door)
    check_padding(door)
    check_pipelined(door)
    check_half_close(door)
    check_reset_behind_end(daemon, door)
    check_deaf(daemon, door)
    check_flood(daemon, door)
    check_idle(daemon, door)
    check_unbound(door)
    check_replace(daemon, door)
    check_reload(daemon, door)
    expect("event=libevent" not in daemon.log(), "a line about what a peer did")
    check_drain(daemon, door)


harness.run(main)
