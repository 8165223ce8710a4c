#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Watching: each change exactly once for a reader that comes and goes; long polls; 410; the end."""

import http.client
import json
import os
import threading
import time

import harness
from harness import expect, expect_equal, wait_for

WRITES = 1000
CUT_EVERY = 90  # events; then the reader hangs up


class Reader:
    """A reader of Server-Sent Events, by http.client."""

    def __init__(self, daemon, path, last_id=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", daemon.http_port, timeout=20)
        headers = {"Last-Event-ID": last_id} if last_id else {}
        self.connection.request("GET", path, headers=headers)
        self.reply = self.connection.getresponse()
        expect_equal(self.reply.status, 200, f"{path}")
        expect_equal(self.reply.getheader("Content-Type"), "text/event-stream", "the type")
        self.last_id = last_id

    def next(self):
        """The next event's kind and data; (None, None) at the end."""
        kind = data = None
        while True:
            line = self.reply.readline().decode().rstrip("\n")
            if not line and data is not None:
                return kind, data
            name, _, value = line.partition(": ")
            if name == "id":
                self.last_id = value
            elif name == "event":
                kind = value
            elif name == "data":
                data = json.loads(value)
            elif not line and self.reply.isclosed():
                return None, None

    def close(self):
        self.reply.close()
        self.connection.close()


def revision(daemon):
    return daemon.http("GET", "/registry/services")[1]["revision"]


def write(daemon, written):
    """1,000 changes of two services, with heartbeats in between that change nothing."""
    for number in range(WRITES):
        service = "even" if number % 2 == 0 else "odd"
        written.append(daemon.register(name=service, id="i", ip="10.0.0.1", port=80,
                                       weight=number + 1)["revision"])
        if number % 10 == 0:
            daemon.http("POST", "/registry/heartbeat", {"service": service, "id": "i"})


def check_resume(daemon):
    """A reader that hangs up again and again, beside one that stays and one of a service."""
    written, seen = [], []
    start = revision(daemon)
    whole = Reader(daemon, "/registry/watch")
    even = Reader(daemon, f"/registry/watch?service=even&since={start}")
    writer = threading.Thread(target=write, args=(daemon, written))
    writer.start()
    reader = Reader(daemon, f"/registry/watch?since={start}")
    while len(seen) < WRITES:
        kind, data = reader.next()
        expect(kind in ("registered", "updated"), f"{kind} {data}")
        expect_equal(str(data["revision"]), reader.last_id, "the id")
        seen.append(data["revision"])
        if len(seen) % CUT_EVERY == 0:
            reader.close()
            reader = Reader(daemon, f"/registry/watch?since={start}", reader.last_id)
    writer.join()
    reader.close()
    expect_equal(seen, written, "what a reader that came again saw")
    expect_equal([whole.next()[1]["revision"] for _ in range(WRITES)], written, "the one that stayed")
    expect_equal([even.next()[1]["revision"] for _ in range(WRITES // 2)], written[::2], "one service")
    whole.close()
    even.close()


def check_visible(daemon):
    """Who is told of a change finds it in DNS."""
    reader = Reader(daemon, "/registry/watch?service=seen")
    for number in range(1, 20):
        address = f"10.1.0.{number}"
        writer = threading.Thread(target=daemon.register, kwargs={
            "name": "seen", "id": "i", "ip": address, "port": 80})
        writer.start()
        expect_equal(reader.next()[1]["ip"], address, "the event")
        expect_equal(daemon.addresses("seen.service.local"), [address], "DNS behind the event")
        writer.join()
    reader.close()


def check_kinds(daemon):
    """By curl, which is what people try first."""
    harness.need("curl")
    path = os.path.join(daemon.folder, "events")
    with open(path, "wb") as out:
        curl = harness.spawn("curl", "-sN",
                             f"http://127.0.0.1:{daemon.http_port}/registry/watch?service=kinds",
                             stdout=out)

    def text():
        with open(path, encoding="utf-8") as file:
            return file.read()

    wait_for(lambda: "id: " in text(), 10, "curl is connected")
    daemon.register(name="kinds", id="i", ip="10.0.0.1", port=80)
    daemon.register(name="kinds", id="i", ip="10.0.0.1", port=80)
    daemon.http("POST", "/registry/heartbeat", {"service": "kinds", "status": "critical"})
    daemon.http("PUT", "/registry/services/kinds/policy", {"ttl": 7})
    daemon.http("PUT", "/registry/services/kinds/instances/i/admin", {"state": "drain"})
    daemon.register(name="kinds", id="j", ip="10.0.0.2", port=80, lease="3s")
    daemon.http("DELETE", "/registry/services/kinds/instances/i")
    wait_for(lambda: "event: expired" in text(), 20, "the lease ends")
    kinds = [line[7:] for line in text().split("\n") if line.startswith("event: ")]
    expect_equal(kinds, ["registered", "status", "policy", "admin", "registered", "deregistered",
                         "expired"], "the kinds")
    events = [json.loads(line[6:]) for line in text().split("\n") if line.startswith("data: ")]
    expect_equal([one.get("admin") for one in events], [None] * 3 + ["drain"] + [None] * 3,
                 "who says what an operator decided")
    harness.end(curl)


def check_poll(daemon):
    index = revision(daemon)
    path = "/registry/watch?service=polled&wait={}&index={}"
    began = time.monotonic()
    expect_equal(daemon.http("GET", path.format("300ms", index)),
                 (200, {"events": [], "index": index}), "a poll that ends")
    expect(time.monotonic() - began >= 0.29, "it did not wait")

    replies = []
    poller = threading.Thread(
        target=lambda: replies.append(daemon.http("GET", path.format("20s", index), timeout_s=30)))
    poller.start()
    wait_for(lambda: "\nrosterd_watchers 1\n" in daemon.http("GET", "/metrics")[1], 10,
             "the poll waits")
    daemon.register(name="other", ip="10.0.0.1", port=80)
    newest = daemon.register(name="polled", ip="10.0.0.1", port=80)["revision"]
    poller.join()
    status, reply = replies[0]
    expect_equal((status, reply["index"]), (200, newest), "a poll that is woken")
    expect_equal([event["revision"] for event in reply["events"]], [newest], "its events")

    began = time.monotonic()
    status, reply = daemon.http("GET", path.format("20s", index))
    expect_equal((status, len(reply["events"])), (200, 1), "a poll with an old index")
    expect(time.monotonic() - began < 10, "it waited")


def check_refused(daemon):
    for query, field in (("service=a_b", "service"), ("since=x", "since"), ("since=-1", "since"),
                         ("wait=6m", "wait"), ("wait=x", "wait"), ("index=", "index"),
                         ("sinc=1", "sinc")):
        status, reply = daemon.http("GET", f"/registry/watch?{query}")
        expect_equal((status, reply["error"].get("field")), (400, field), query)
    for query in ("since=1", f"since={revision(daemon) + 1}", "index=1&service=polled"):
        status, reply = daemon.http("GET", f"/registry/watch?{query}")
        expect_equal((status, reply["error"]["code"]), (410, "gone"), query)
        expect("/registry/services" in reply["error"]["message"], f"{reply}")
    expect_equal(daemon.http("POST", "/registry/watch")[0], 405, "POST")
    expect_equal(daemon.http("HEAD", "/registry/watch"), (200, ""), "HEAD")


def check_end(daemon):
    """Streams end with the server, cleanly; what is registered is lost then, so 410."""
    reader = Reader(daemon, "/registry/watch")
    newest = revision(daemon)
    daemon.stop()
    expect_equal(reader.next(), (None, None), "the end of the stream")
    reader.close()
    daemon.start()
    expect_equal(daemon.http("GET", f"/registry/watch?since={newest}")[0], 410, "after a restart")


def main():
    daemon = harness.Daemon("--workers", "1")
    check_resume(daemon)
    check_visible(daemon)
    check_kinds(daemon)
    wait_for(lambda: "\nrosterd_watchers 0\n" in daemon.http("GET", "/metrics")[1], 10,
             "those who left are forgotten")
    check_poll(daemon)
    check_refused(daemon)
    check_end(daemon)


harness.run(main)
