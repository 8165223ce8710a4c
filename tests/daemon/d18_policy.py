# SPDX-License-Identifier: BSD-2-Clause
"""Who is served and why: an operator drains, a failure policy acts, and everybody is told."""

import re
import time

import harness
from harness import expect, expect_equal

NAME = "payment.service.local"


class Server:
    def __init__(self):
        self.daemon = harness.Daemon()
        self.revision = 0

    def put(self, path, body, status=200):
        found, reply = self.daemon.http("PUT", f"/registry/services/payment/{path}", body)
        expect_equal(found, status, f"{path} {body}: {reply}")
        return reply

    def drain(self, name):
        return self.put(f"instances/{name}/admin", {"state": "drain"})

    def why(self, query):
        status, reply = self.daemon.http("GET", f"/registry/why?{query}")
        expect_equal(status, 200, f"why {query}: {reply}")
        return {i["id"]: (i["served"], i["reason"]) for i in reply["instances"]}, reply

    def beat(self, name, status):
        found, reply = self.daemon.http("POST", "/registry/heartbeat",
                                        {"service": "payment", "id": name, "status": status})
        expect_equal(found, 200, f"heartbeat {name} {status}: {reply}")

    def metric(self, line):
        return re.search(rf"^{re.escape(line)} (\d+)$", self.daemon.http("GET", "/metrics")[1],
                         re.M).group(1)

    def states(self):
        """Services by who is served; "quiet" is drained and always empty."""
        return {state: int(self.metric(f'rosterd_policy_services{{state="{state}"}}'))
                for state in ("fit", "empty", "all", "panic", "last")}


def check_drain(server):
    daemon = server.daemon
    for number in (1, 2, 3):
        daemon.register(name="payment", id=f"i{number}", ip=f"10.0.0.{number}", port=80, tags=["t"])
    daemon.register(name="payment", id="lone", ip="10.0.0.9", port=80, tags=["lone"])

    # It was named just now: its last answer has a TTL to live, and a quarter of a second.
    expect_equal(len(daemon.addresses(NAME)), 4, "addresses before")
    before = time.time()
    reply = server.drain("i3")
    expect_equal(daemon.addresses(NAME), ["10.0.0.1", "10.0.0.2", "10.0.0.9"], "drained")
    expect(5 < reply["safe_after_s"] <= 6.5, reply)
    expect(abs(reply["safe_after"] - before - reply["safe_after_s"]) < 1, reply)
    expect_equal((reply["admin"], reply["service"], reply["id"]), ("drain", "payment", "i3"), reply)

    # Again: the same moment, though others were handed out since.
    again = server.drain("i3")
    expect(abs(again["safe_after"] - reply["safe_after"]) < 0.1, again)

    # Whoever looks sees it too, while it lies ahead.
    shown = {one["id"]: one.get("safe_after")
             for one in daemon.http("GET", "/registry/services/payment")[1]["instances"]}
    expect(abs(shown.pop("i3") - reply["safe_after"]) < 0.1, shown)
    expect_equal(shown, {"i1": None, "i2": None, "lone": None}, "of those in service")

    # Registering again does not undo it.
    daemon.register(name="payment", id="i3", ip="10.0.0.3", port=81, tags=["t"])
    expect_equal(daemon.addresses(NAME), ["10.0.0.1", "10.0.0.2", "10.0.0.9"], "registered again")
    instance = daemon.http("GET", "/registry/services/payment/instances/i3")[1]
    expect_equal((instance["admin"], instance["reason"]), ("drain", "admin drain"), instance)

    # A service that nobody ever asked for, unchanged since it was registered.
    daemon.register(name="quiet", id="q", ip="10.0.1.1", port=80)
    status, reply = daemon.http("PUT", "/registry/services/quiet/instances/q/admin",
                                {"state": "drain"})
    expect_equal((status, reply["safe_after_s"]), (200, 0), reply)
    status, reply = daemon.http("PUT", "/registry/services/quiet/instances/q/admin",
                                {"state": "away"})
    expect_equal((status, reply["error"]["field"]), (400, "state"), reply)


def check_why(server):
    rows, reply = server.why(f"name={NAME}&type=A&client=127.0.0.1")
    expect_equal(rows, {"i1": (True, "registered"), "i2": (True, "registered"),
                        "i3": (False, "admin drain"), "lone": (True, "registered")}, "why")
    expect_equal(reply["dns"], {"rcode": "NOERROR", "records": 3}, reply)
    rows, _ = server.why(f"name=t.{NAME}")
    expect_equal(rows["lone"], (False, "it does not have this tag"), rows)
    status, reply = server.daemon.http("GET", "/registry/why?name=nobody.service.local")
    expect_equal(status, 404, reply)
    expect("DNS says NXDOMAIN" in reply["error"]["message"], reply)
    status, reply = server.daemon.http("GET", f"/registry/why?name={NAME}&type=MX")
    expect_equal((status, reply["error"]["field"]), (400, "type"), reply)


def check_failure(server):
    daemon = server.daemon
    server.put("policy", {"failure": "all"})
    for name in ("i1", "i2", "lone"):
        server.beat(name, "critical")
    reply = daemon.dig(NAME, "A")
    expect_equal(reply.data("A"), ["10.0.0.1", "10.0.0.2", "10.0.0.9"], "all, but the drained one")
    expect("EDE: 0 (Other): (too few healthy instances: all are served)" in reply.text, reply.text)
    rows, said = server.why(f"name={NAME}")
    expect_equal(said["policy"], "all", said)
    expect_equal(rows["i1"], (True, "policy all: reported critical"), rows)
    expect_equal(server.states(), {"fit": 0, "empty": 1, "all": 1, "panic": 0, "last": 0}, "all")
    expect_equal(server.metric('rosterd_policy_names{state="all"}'), "3", "the tags have names too")

    # The last one to be healthy, by far.
    server.beat("i2", "passing")
    server.beat("i2", "critical")
    server.put("policy", {"failure": "last"})
    reply = daemon.dig(NAME, "A")
    expect_equal(reply.data("A"), ["10.0.0.2"], "the last healthy one")
    expect("EDE: 3 (Stale Answer)" in reply.text, reply.text)
    expect_equal(server.states(), {"fit": 0, "empty": 1, "all": 0, "panic": 0, "last": 1}, "last")

    server.put("policy", {"failure": "empty"})
    expect_equal(daemon.addresses(NAME), [], "none")
    expect_equal(server.states(), {"fit": 0, "empty": 2, "all": 0, "panic": 0, "last": 0}, "empty")
    server.put("policy", {"panic_threshold": 0.5})
    server.beat("i1", "passing")
    expect_equal(len(daemon.addresses(NAME)), 3, "one of three is a panic")
    server.beat("i2", "passing")
    expect_equal(daemon.addresses(NAME), ["10.0.0.1", "10.0.0.2"], "two of three are none")
    reply = server.put("policy", {"panic_threshold": 1.5}, 400)
    expect_equal(reply["error"]["field"], "panic_threshold", reply)

    lines = [line for line in daemon.log().splitlines() if " name=payment " in line]
    expect(any("event=policy-acts" in line and "policy=all healthy=0 of=3" in line
               for line in lines), lines)
    # Later ones may be among those that are counted: this was more than ten in a second.
    expect(any("event=policy-ends" in line and "healthy=1 of=3" in line for line in lines), lines)
    expect(int(server.metric('rosterd_policy_acts_total{serve="all"}')) >= 2, "counter of all")
    expect(int(server.metric('rosterd_policy_acts_total{serve="last"}')) >= 1, "counter of last")


def main():
    server = Server()
    check_drain(server)
    check_why(server)
    check_failure(server)
    server.daemon.stop()


harness.run(main)
