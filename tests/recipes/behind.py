# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of recipes share that have real instances behind rosterd: instances that say who
they are, a load of requests in which nothing may fail, and recipes with ports of our own in them.
"""

import os
import signal
import sys
import threading

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(TOP, "tests", "daemon"))

import harness  # pylint: disable=wrong-import-position

PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
SETTLE_S = 40  # for whatever takes a second or two where nobody else is busy


def recipe(*path):
    return os.path.join(TOP, "contrib", "recipes", *path)


def put_recipe(folder, path, replacements):
    """A copy of a recipe's file with other ports and paths. Each has to be in it."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for found, wanted in replacements.items():
        harness.expect(found in text, f"{path} does not say {found}")
        text = text.replace(found, wanted)
    return harness.write_file(folder, os.path.basename(path), text)


INSTANCE = """
import http.server, sys, threading
name = sys.argv[1].encode() + b"\\n"
pending, may_end = set(), threading.Event()
metrics = b'instance_info{name="%s"} 1\\n' % name.strip()
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave at once: who is killed has answered, or not
    def do_GET(self):
        text = metrics if self.path == "/metrics" else name
        if self.path == "/slow":
            pending.add(self)
            may_end.wait(60)
            pending.remove(self)
        elif self.path == "/end":
            may_end.set()
        elif self.path == "/pending":
            text = b"%d" % len(pending)
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *args):
        pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
Server((sys.argv[2], int(sys.argv[3])), Handler).serve_forever()
"""


class Instance:
    """An HTTP server that answers everything with its name, but /metrics for Prometheus; what asks
    for /slow has to wait until /end was asked for, and /pending says how many do."""

    def __init__(self, name, address="127.0.0.1", port=None):
        self.name = name
        self.address = address
        self.port = port or harness.free_port()
        self.process = None
        self.start()

    def command(self):
        return [sys.executable, "-c", INSTANCE, self.name, self.address, str(self.port)]

    def start(self):
        self.process = harness.spawn(*self.command())
        harness.wait_for(lambda: is_open(self.address, self.port), harness.START_S,
                         f"instance {self.name} listens")

    def stop(self):
        harness.end(self.process)


def is_open(address, port):
    with harness.socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


class Load(threading.Thread):
    """Requests, one after the other, until it is ended; `ask` returns the name of who answered."""

    def __init__(self, ask, every_s=0.005):
        super().__init__(daemon=True)
        self.ask = ask
        self.every_s = every_s
        self.ended = threading.Event()
        self.names = []
        self.failures = []
        self.start()

    def run(self):
        while not self.ended.wait(self.every_s):
            try:
                self.names.append(self.ask())
            except Exception as failure:  # pylint: disable=broad-except
                self.failures.append(repr(failure))

    def check(self):
        harness.expect(not self.failures,
                       f"{len(self.failures)} of {len(self.names) + len(self.failures)} requests "
                       f"failed: {self.failures[:5]}")

    def wait_name(self, name):
        """Until one more request was answered by it."""
        seen = len(self.names)
        harness.wait_for(lambda: name in self.names[seen:], SETTLE_S, f"a reply from {name}")

    def wait_more(self, count):
        """The names of the next so many replies to what is asked from now on: one request may be
        under way."""
        seen = len(self.names) + 1
        harness.wait_for(lambda: len(self.names) >= seen + count or self.failures, SETTLE_S * 2,
                         f"{count} more requests")
        self.check()
        return self.names[seen:seen + count]

    def end(self):
        self.ended.set()
        self.join(SETTLE_S)
        self.check()


def get(url, timeout_s=10):
    """Asks for a URL without any proxy of the environment; the text of the reply."""
    host, path = url.removeprefix("http://").split("/", 1)
    connection = harness.http.client.HTTPConnection(host, timeout=timeout_s)
    try:
        connection.request("GET", f"/{path}")
        reply = connection.getresponse()
        text = reply.read().decode()
        harness.expect(reply.status == 200, f"{url}: {reply.status}")
        return text.strip()
    finally:
        connection.close()


def drain(daemon, service, instance_id, more_s=0):
    """Drains an instance; a function that says whether it is safe to stop it now."""
    status, reply = daemon.http("PUT", f"/registry/services/{service}/instances/{instance_id}/admin",
                                {"state": "drain"})
    harness.expect_equal(status, 200, reply)
    end = harness.time.monotonic() + reply["safe_after_s"] + more_s
    return lambda: harness.time.monotonic() >= end


def undrain(daemon, service, instance_id):
    status, reply = daemon.http("PUT", f"/registry/services/{service}/instances/{instance_id}/admin",
                                {"state": "auto"})
    harness.expect_equal(status, 200, reply)


def end_politely(process):
    process.send_signal(signal.SIGTERM)
    process.wait(SETTLE_S)
