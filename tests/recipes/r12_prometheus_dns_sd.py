# SPDX-License-Identifier: BSD-2-Clause
"""contrib/recipes/prometheus/dns_sd.yml: Prometheus scrapes what SRV records name. It asks port 53
of resolv.conf alone, so all is in a network namespace."""

import subprocess

import behind
import harness
import scraped
from harness import expect_equal

RESOLV = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'


def main():
    harness.need("prometheus", "ip", "unshare", "mount")
    harness.enter_namespace(["198.51.100.1/32"])
    resolv = harness.write_file(harness.make_folder(), "resolv.conf", "nameserver 127.0.0.1\n")
    prefix = ("unshare", "-m", "sh", "-c", RESOLV, resolv)
    if subprocess.run([*prefix, "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        raise harness.Skip("a resolv.conf of its own takes root")
    daemon = harness.Daemon(dns_port=53)
    instances = scraped.start_instances("a", "b", "c")
    scraped.register(daemon, instances["a"])
    scraped.register(daemon, instances["b"])

    prometheus = scraped.Prometheus("dns_sd.yml", {}, prefix)
    prometheus.wait_up(["a", "b"])
    # The port came from the record, and the name is scraped, not an address.
    expect_equal(prometheus.targets()["a"]["instance"],
                 f"a.web.service.local:{instances['a'].port}", "what is scraped")

    scraped.register(daemon, instances["c"])
    behind.drain(daemon, "web", "b")
    prometheus.wait_up(["a", "c"])

    daemon.stop()
    prometheus.wait_scrape("a")
    expect_equal(sorted(prometheus.targets()), ["a", "c"], "targets while rosterd is away")
    daemon.start()
    behind.undrain(daemon, "web", "b")
    prometheus.wait_up(["a", "b", "c"])
    daemon.stop()


harness.run(main)
