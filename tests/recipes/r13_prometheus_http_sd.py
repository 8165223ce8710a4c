# SPDX-License-Identifier: BSD-2-Clause
"""contrib/recipes/prometheus/http_sd.yml: Prometheus asks rosterd's HTTP port, and scrapes those too
that are not served."""

import behind
import harness
import scraped
from harness import expect_equal


def main():
    harness.need("prometheus")
    daemon = harness.Daemon()
    instances = scraped.start_instances("a", "b")
    scraped.register(daemon, instances["a"], version="1.4.0")
    scraped.register(daemon, instances["b"])
    status, reply = daemon.http("GET", "/registry/prometheus/web?port=metrics")
    expect_equal(status, 200, reply)
    expect_equal(len(reply), 2, reply)

    prometheus = scraped.Prometheus("http_sd.yml", {"127.0.0.1:8500":
                                                    f"127.0.0.1:{daemon.http_port}"})
    prometheus.wait_up(["a", "b"])
    target = prometheus.targets()["a"]
    expect_equal((target["service"], target["version"], target["instance"]),
                 ("web", "1.4.0", f"127.0.0.1:{instances['a'].port}"), target)

    # Drained: out of DNS, and still a target, which can tell by its labels.
    behind.drain(daemon, "web", "b")
    harness.wait_for(lambda: prometheus.targets()["b"]["found"].get("__meta_rosterd_admin") ==
                     "drain", behind.SETTLE_S, "the label of a drain", every_s=0.1)
    prometheus.wait_up(["a", "b"])

    # Targets are addresses: without rosterd they are scraped as before.
    daemon.stop()
    prometheus.wait_scrape("a")
    prometheus.wait_up(["a", "b"])
    daemon.start()
    daemon.http("DELETE", "/registry/services/web/instances/b")
    prometheus.wait_up(["a"])
    daemon.stop()


harness.run(main)
