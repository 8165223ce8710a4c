# SPDX-License-Identifier: BSD-2-Clause
"""A client that is SRV-aware: node's dns.promises.Resolver (c-ares)."""

import json
import subprocess

import harness
from harness import expect_equal

SCRIPT = """
const { Resolver } = require("dns").promises;
const resolver = new Resolver({ timeout: 3000, tries: 2 });
resolver.setServers([process.argv[1]]);
const ask = (promise) => promise.catch((error) => error.code);
(async () => {
  const zone = "service.local";
  console.log(JSON.stringify({
    srv: await ask(resolver.resolveSrv("_payment._tcp." + zone)),
    srv_plain: await ask(resolver.resolveSrv("payment." + zone)),
    four: await ask(resolver.resolve4("payment." + zone, { ttl: true })),
    six: await ask(resolver.resolve6("payment." + zone)),
    txt: await ask(resolver.resolveTxt("payment." + zone)),
    big: await ask(resolver.resolve4("big." + zone)),
    unknown: await ask(resolver.resolve4("nobody." + zone)),
    nodata: await ask(resolver.resolveMx("payment." + zone)),
    soa: await ask(resolver.resolveSoa(zone)),
  }));
})();
"""


def main():
    harness.need("node")
    daemon = harness.Daemon()
    daemon.register(name="payment", id="one", ipv4="10.0.0.1", ipv6="2001:db8::1", port=8081,
                    weight=30, priority=1, version="1")
    daemon.register(name="payment", id="two", ip="10.0.0.2", port=8082, weight=70, priority=2,
                    version="1")
    for number in range(200):
        daemon.register(name="big", ip=f"10.1.0.{number + 1}", port=80)

    done = subprocess.run(["node", "-e", SCRIPT, f"127.0.0.1:{daemon.dns_port}"],
                          capture_output=True, text=True, timeout=60, check=True)
    seen = json.loads(done.stdout)
    servers = [
        {"name": "one.payment.service.local", "port": 8081, "priority": 1, "weight": 30},
        {"name": "two.payment.service.local", "port": 8082, "priority": 2, "weight": 70},
    ]
    for key in ("srv", "srv_plain"):
        expect_equal(sorted(seen[key], key=lambda s: s["priority"]), servers, key)
    expect_equal(seen["four"], [{"address": "10.0.0.1", "ttl": 5}], "resolve4")
    expect_equal(seen["six"], ["2001:db8::1"], "resolve6")
    expect_equal(seen["txt"], [["version=1"]], "resolveTxt")
    expect_equal(len(seen["big"]), 200, "200 addresses, by TCP")
    expect_equal(seen["unknown"], "ENOTFOUND", "unknown name")
    expect_equal(seen["nodata"], "ENODATA", "no such type")
    expect_equal(seen["soa"]["minttl"], 5, "SOA minimum")
    daemon.stop()


harness.run(main)
