# SPDX-License-Identifier: BSD-2-Clause
"""contrib/recipes/haproxy: instances come, go and weigh, and no request fails."""

import socket
import threading

import behind
import harness
from harness import expect, expect_equal, wait_for

# What Debian's haproxy.cfg has above.
ABOVE = """
global
    stats socket {folder}/admin.sock mode 600 level admin
    maxconn 1000
"""


class HAProxy:
    def __init__(self, daemon):
        folder = harness.make_folder()
        self.socket_path = f"{folder}/admin.sock"
        self.port = harness.free_port()
        above = harness.write_file(folder, "above.cfg", ABOVE.format(folder=folder))
        config = behind.put_recipe(folder, behind.recipe("haproxy", "haproxy.cfg"),
                                   {"127.0.0.1:8600": f"127.0.0.1:{daemon.dns_port}",
                                    "127.0.0.1:8080": f"127.0.0.1:{self.port}"})
        command = ["haproxy", "-db", "-f", above, "-f", config]
        checked = harness.subprocess.run([*command, "-c"], env={"PATH": behind.PATH}, text=True,
                                         capture_output=True, timeout=20, check=False)
        expect_equal((checked.returncode, checked.stderr), (0, ""), "haproxy -c")
        harness.spawn(*command, env={"PATH": behind.PATH})
        wait_for(lambda: behind.is_open("127.0.0.1", self.port), harness.START_S, "haproxy listens")

    def ask(self, path=""):
        return behind.get(f"http://127.0.0.1:{self.port}/{path}", timeout_s=60)

    def command(self, text):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(self.socket_path)
            client.sendall(f"{text}\n".encode())
            with client.makefile() as reply:
                return reply.read().splitlines()

    def servers(self):
        """Weight of each server that has an address, by the name in its SRV record."""
        rows = [line.split() for line in self.command("show servers state web")[2:] if line]
        return {row[17].split(".")[0]: int(row[7]) for row in rows if row[4] != "-"}

    def wait_servers(self, wanted):
        wait_for(lambda: sorted(self.servers()) == sorted(wanted), behind.SETTLE_S,
                 f"haproxy has {wanted}")

    def total(self, column):
        """The sum of a column of the statistics, over all servers."""
        lines = self.command("show stat")
        names = lines[0].removeprefix("# ").split(",")
        rows = [dict(zip(names, line.split(","))) for line in lines[1:] if line]
        return sum(int(row[column] or 0) for row in rows
                   if row["svname"] not in ("FRONTEND", "BACKEND"))

    def current(self):
        """How many requests are under way at servers."""
        return self.total("scur")

    def queries(self):
        """How many times it asked rosterd."""
        lines = self.command("show resolvers rosterd")
        return next(int(line.split()[1]) for line in lines if line.strip().startswith("sent:"))


class Web:
    """The service behind it."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.instances = {}

    def register(self, name, **fields):
        instance = self.instances.get(name) or behind.Instance(name)
        self.instances[name] = instance
        # The main port is another one: SRV of the named port it has to be.
        self.daemon.register(name="web", id=name, ip="127.0.0.1", port=9,
                             ports={"http": instance.port}, **fields)

    def deregister(self, name):
        status, reply = self.daemon.http("DELETE", f"/registry/services/web/instances/{name}")
        expect_equal(status, 200, reply)


def check_large_set(daemon, haproxy):
    """More than a UDP reply holds."""
    names = [f"far-{number}" for number in range(45)]
    status, reply = daemon.http("POST", "/registry/register", [
        {"name": "web", "id": name, "ip": "127.0.0.99", "port": 9, "ports": {"http": 9}}
        for name in names])
    expect_equal(status, 201, reply)
    haproxy.wait_servers(names)
    for name in names:
        daemon.http("DELETE", f"/registry/services/web/instances/{name}")


def share(names, name):
    return names.count(name) / len(names)


def check_weights(web, haproxy, load):
    """HAProxy's weight is one for each 256."""
    web.register("a", weight=1000)
    web.register("b", weight=3000)
    wait_for(lambda: haproxy.servers() == {"a": 4, "b": 12}, behind.SETTLE_S,
             f"the weights: {haproxy.servers()}")
    names = load.wait_more(160)
    expect(0.6 < share(names, "b") < 0.9, f"b has {share(names, 'b')} of the requests, not 0.75")

    web.register("a", weight=200)
    web.register("b", weight=100)
    wait_for(lambda: haproxy.servers() == {"a": 1, "b": 1}, behind.SETTLE_S,
             f"weights below 256: {haproxy.servers()}")


class Slow:
    """Requests that are under way until it is ended, one or more of them at this instance."""

    def __init__(self, haproxy, instance):
        self.haproxy = haproxy
        self.failures = []
        self.threads = []
        while self.ask(instance, "pending") == "0":
            expect(len(self.threads) < 50, f"no request goes to {instance.name}")
            self.threads.append(threading.Thread(target=self.run, daemon=True))
            self.threads[-1].start()
            wait_for(lambda: haproxy.current() >= len(self.threads), behind.SETTLE_S, "it is sent")

    def ask(self, instance, path):
        return behind.get(f"http://127.0.0.1:{instance.port}/{path}")

    def run(self):
        try:
            self.haproxy.ask("slow")
        except Exception as failure:  # pylint: disable=broad-except
            self.failures.append(repr(failure))

    def end(self, instances):
        for instance in instances:
            self.ask(instance, "end")
        for thread in self.threads:
            thread.join(behind.SETTLE_S)
        expect_equal(self.failures, [], "failures of requests that were under way")


def check_drain(web, haproxy, load):
    slow = Slow(haproxy, web.instances["b"])
    is_safe = behind.drain(web.daemon, "web", "b")
    haproxy.wait_servers(["a", "c"])
    slow.end(web.instances.values())
    wait_for(is_safe, behind.SETTLE_S, "safe_after")
    web.instances["b"].stop()
    expect("b" not in load.wait_more(50), "a drained instance gets requests")

    web.instances["b"].start()
    behind.undrain(web.daemon, "web", "b")
    load.wait_name("b")
    # No request was lost, and none had to be tried elsewhere.
    expect_equal([haproxy.total(column) for column in ("econ", "eresp", "wretr", "wredis")],
                 [0, 0, 0, 0], "errors, retries")


def check_rosterd_away(daemon, haproxy, load):
    daemon.stop()
    asked = haproxy.queries()
    wait_for(lambda: haproxy.queries() >= asked + 3, behind.SETTLE_S, "haproxy goes on asking")
    load.wait_more(50)
    expect_equal(sorted(haproxy.servers()), ["a", "b", "c"], "servers without rosterd")
    daemon.start()


def main():
    harness.need("haproxy")
    daemon = harness.Daemon()
    haproxy = HAProxy(daemon)
    check_large_set(daemon, haproxy)

    web = Web(daemon)
    for name in ("a", "b"):
        web.register(name, ttl="3s")
    haproxy.wait_servers(["a", "b"])
    load = behind.Load(haproxy.ask)
    load.wait_name("a")
    load.wait_name("b")
    check_weights(web, haproxy, load)

    web.register("c", weight=100)
    load.wait_name("c")
    check_drain(web, haproxy, load)
    check_rosterd_away(daemon, haproxy, load)

    web.deregister("a")
    haproxy.wait_servers(["b", "c"])
    load.end()
    daemon.stop()


harness.run(main)
