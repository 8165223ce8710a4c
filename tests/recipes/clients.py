# SPDX-License-Identifier: BSD-2-Clause
"""What each client in contrib/recipes/clients has to do. Each answers a line of input with the name
of the instance that it asked, or with an error.
"""

import os
import socket
import subprocess
import threading

import behind
import harness
from harness import expect, expect_equal, wait_for


class Client:
    def __init__(self, *command, env=None):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env={**environment(), **(env or {})})
        harness.helpers.append(self.process)

    def ask(self, count=1):
        """The replies to so many lines, one line after the other."""
        replies = []
        for _ in range(count):
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            replies.append(self.process.stdout.readline().strip())
        return replies

    def wait_only(self, names, about):
        wait_for(lambda: set(self.ask(10)) == names, behind.SETTLE_S, about)

    def wait_error(self, about):
        wait_for(lambda: self.ask()[0].startswith("error: "), behind.SETTLE_S, about)


def environment():
    """Without the proxies of the environment: these clients ask their own host."""
    return {name: value for name, value in os.environ.items()
            if not name.lower().endswith("_proxy")}


class Refuser(threading.Thread):
    """Answers SERVFAIL to everything, on a server's port while the server is away."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", port))
        self.asked = 0
        self.start()

    def run(self):
        while True:
            query, peer = self.socket.recvfrom(4096)
            if not query:
                break
            self.asked += 1
            # The head and the question, without what the query has behind it.
            end = query.index(0, 12) + 5
            self.socket.sendto(query[:2] + bytes((0x80, 0x02)) + query[4:6] + bytes(6) +
                               query[12:end], peer)
        self.socket.close()

    def end(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"", self.socket.getsockname())
        self.join(behind.SETTLE_S)


class Web:
    """The service: a weighs 1, b 3, and c is for when these two are away."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.instances = {name: behind.Instance(name) for name in "abc"}
        self.register("a", weight=100)
        self.register("b", weight=300)
        self.register("c", priority=20)

    def register(self, name, **fields):
        self.daemon.register(name="web", id=name, ip="127.0.0.1", ttl="1s",
                             port=self.instances[name].port, **fields)

    def deregister(self, name):
        status, reply = self.daemon.http("DELETE", f"/registry/services/web/instances/{name}")
        expect_equal(status, 200, reply)


def check_choice(client):
    replies = client.ask(200)
    expect_equal(set(replies), {"a", "b"}, "who answered")
    share = replies.count("b") / len(replies)
    expect(0.55 < share < 0.92, f"b, with a weight of 3 in 4, answered {share}")


def check_change(client, web):
    web.deregister("a")
    client.wait_only({"b"}, "a has left")
    # Registered, but dead: who gets it in a draw goes on to the next one.
    web.register("a", weight=300)
    web.instances["a"].stop()
    expect_equal(set(client.ask(20)), {"b"}, "replies beside a dead instance")
    # And if all of the best priority are dead, to the next priority.
    web.instances["b"].stop()
    expect_equal(set(client.ask(5)), {"c"}, "replies from the next priority")


def check_none(client, web):
    for name in "abc":
        behind.drain(web.daemon, "web", name)
    client.wait_error("an error with NODATA")
    for name in "abc":
        web.deregister(name)
    client.wait_error("an error with NXDOMAIN")
    web.register("c")
    client.wait_only({"c"}, "c is back")


def check_away(client, daemon):
    """SERVFAIL, and then no reply at all."""
    daemon.stop()
    refuser = Refuser(daemon.dns_port)
    wait_for(lambda: client.ask() == ["c"] and refuser.asked >= 2, behind.SETTLE_S,
             "replies in spite of SERVFAIL")
    expect_equal(client.ask(), ["c"], "a reply after SERVFAIL")
    refuser.end()
    expect_equal(client.ask(), ["c"], "a reply without DNS")
    daemon.start()
    expect_equal(client.ask(), ["c"], "a reply")


def check(file, start):
    """start(path) starts the client, whose file has been put there."""
    daemon = harness.Daemon()
    web = Web(daemon)
    recipe = behind.recipe("clients", file)
    replacements = {"resolver.port = 8600": f"resolver.port = {daemon.dns_port}"} \
        if file.endswith(".py") else {"127.0.0.1:8600": f"127.0.0.1:{daemon.dns_port}"}
    client = start(behind.put_recipe(harness.make_folder(), recipe, replacements))
    check_choice(client)
    check_change(client, web)
    check_none(client, web)
    check_away(client, daemon)
    client.process.stdin.close()
    expect_equal(client.process.wait(behind.SETTLE_S), 0, "exit status of the client")
    daemon.stop()
