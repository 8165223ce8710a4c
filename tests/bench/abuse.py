# SPDX-License-Identifier: BSD-2-Clause
"""What strangers can cost those who ask: row abuse, of rosterd alone.

    abuse.py rubbish PORT    what is no query, as fast as one process can, until SIGTERM; prints
                             how many a second
    abuse.py flood PORT      1,000 connections that never read, then 10,000 more; waits at the end

The abusers share the load's core. So that only what they cost the server counts, good queries are
measured twice: with the rubbish sent to a socket that nobody reads, and to the server.
"""

import random
import resource
import select
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time

import dataset
import scale
import servers

QUERIES = 200000  # a run
DEAF, OFFERED = 1000, 10000
PER_CLIENT = 100  # connections, less than the server's limit
SEGMENT = 1220  # as of a network: loopback's lets the kernel buffer 50 times as much
UDP_RATE = 5000
ASKED = 100  # by new TCP clients, at least
PAUSE_S = 0.01  # between two of them
SEED = 1


# ---- The abusers ----


def rubbish(source):
    """Random octets, a query that is cut or changed, or one with many options."""
    good = dataset.query("svc000001", 1)
    kind = source.randrange(4)
    if kind == 0:
        return source.randbytes(source.randrange(1, 600))
    if kind == 1:
        return good[:source.randrange(len(good))]
    if kind == 2:
        octets = bytearray(good)
        for _ in range(4):
            octets[source.randrange(2, len(octets))] = source.randrange(256)
        return bytes(octets)
    options = struct.pack("!HH", source.randrange(65536), 0) * source.randrange(300)
    return (good[:10] + b"\0\1" + good[12:] + b"\0" +
            struct.pack("!HHIH", 41, 1232, 0, len(options)) + options)


def send_rubbish(port):
    source = random.Random(SEED)
    messages = [rubbish(source) for _ in range(1000)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        begin, sent = time.monotonic(), 0
        try:
            while True:
                sock.send(messages[sent % len(messages)])
                sent += 1
        finally:
            print(sent / (time.monotonic() - begin))


def connect(port, source, is_deaf):
    sock = socket.socket()
    if is_deaf:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
    sock.bind((source, 0))
    sock.setblocking(is_deaf)
    sock.connect_ex(("127.0.0.1", port))
    return sock


def flood(port):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    query = dataset.query("svc000001", 33)
    frames = (struct.pack("!H", len(query)) + query) * 1000
    socks = []
    for number in range(DEAF):
        socks.append(connect(port, f"127.0.1.{1 + number // PER_CLIENT}", True))
        socks[-1].setblocking(False)
        socks[-1].send(frames)
    for number in range(OFFERED):
        socks.append(connect(port, f"127.0.2.{1 + number // PER_CLIENT}", False))
    print("offered", flush=True)
    sys.stdin.read()


# ---- The row ----


def good_rate(scene):
    done = subprocess.run(scene.command("load", scene.server.port, "--services", scale.SERVICES,
                                        "--mix", "60,40,0", "--count", QUERIES),
                          capture_output=True, text=True, timeout=scale.LIMIT_S, check=True)
    figures = scale.Figures(done.stdout)
    return figures.answered / figures.seconds


def abuser(scene, what, port, prefix=()):
    return subprocess.Popen(["taskset", "-c", str(scene.options.load_core), *prefix,
                             sys.executable, __file__, what, str(port)], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)


def put_rubbish(scene, table):
    rates = {"sink": [], "server": []}
    sent = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        before = scene.server.resident_octets()
        for _ in range(scene.options.rounds):
            for target, port in (("sink", sink.getsockname()[1]), ("server", scene.server.port)):
                with abuser(scene, "rubbish", port, scale.FIRST) as process:
                    rates[target].append(good_rate(scene))
                    process.terminate()
                    sent.append(float(process.stdout.readline()))
        grown = scene.server.resident_octets() - before
    kept = [there / beside for there, beside in zip(rates["server"], rates["sink"])]
    medians = {target: statistics.median(found) for target, found in rates.items()}
    row = "good queries kept beside malformed ones at full rate"
    table.add(row, "rosterd", f"{statistics.median(kept):.2f} ({min(kept):.2f}..{max(kept):.2f})",
              f"{medians['server']:,.0f}/s beside {statistics.median(sent):,.0f}/s; "
              f"{medians['sink']:,.0f}/s while nobody gets them; {grown / 1e6:.1f} MB more")
    table.goal(row, statistics.median(kept), 0.8, more_is_better=True)
    table.goal("MB more after them", grown / 1e6, 4, decimals=1)


def ask_new_client(port):
    """Seconds from connect to the whole reply."""
    query = dataset.query("svc000002", 1)
    begin = time.monotonic()
    with socket.socket() as sock:
        sock.settimeout(30)
        sock.bind(("127.0.9.9", 0))
        sock.connect(("127.0.0.1", port))
        sock.sendall(struct.pack("!H", len(query)) + query)
        if len(sock.recv(4096)) < len(query):
            raise servers.Failure("a new TCP client gets no reply")
    return time.monotonic() - begin


def put_flood(scene, table):
    port = scene.server.port
    times = []
    with scene.asking(UDP_RATE) as udp, abuser(scene, "flood", port) as process:
        is_offered = False
        while not is_offered or len(times) < ASKED:
            times.append(ask_new_client(port))
            is_offered = is_offered or select.select([process.stdout], [], [], PAUSE_S)[0]
        process.stdin.close()
    worst = max(times) * 1000
    row = f"a new TCP client, ms; {OFFERED:,} offered, {DEAF:,} never read"
    table.add(row, "rosterd", f"{worst:.1f}",
              f"the worst of {len(times)}, median {statistics.median(times) * 1000:.1f}")
    table.goal(row, worst, 100, decimals=1)
    row = f"UDP queries lost meanwhile, of {udp[0].sent:,.0f}"
    table.add(row, "rosterd", f"{udp[0].lost:.0f}", f"ms: {scale.span(udp[0])}")
    table.goal(row, udp[0].lost, 0, decimals=0)


def run_abuse(options, table):
    with scale.a_scene(options) as scene:
        scene.fill(scale.SERVICES * scale.PER_SERVICE)
        put_rubbish(scene, table)
        put_flood(scene, table)


FUNCTIONS = {"abuse": run_abuse}


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    {"rubbish": send_rubbish, "flood": flood}[sys.argv[1]](int(sys.argv[2]))
