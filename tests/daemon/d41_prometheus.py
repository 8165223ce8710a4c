# SPDX-License-Identifier: BSD-2-Clause
"""A real Prometheus: finds instances by http_sd and forgets those that leave, scrapes rosterd, and
understands every expression of the dashboard and of the alert rules."""

import collections
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request

import harness
from harness import expect, expect_equal, wait_for

CONTRIB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "contrib")
DASHBOARD = os.path.join(CONTRIB, "grafana", "rosterd.json")
RULES = os.path.join(CONTRIB, "prometheus", "rosterd.rules.yml")
TOKEN = "prometheus-token"
LIMIT_S = 30  # Prometheus passes on new targets every 5 s

# With http_sd this Prometheus (2.42) sends no type of credentials unless it is told one.
CONFIG = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: rosterd
    authorization: {{credentials: {token}}}
    static_configs: [{{targets: ["{rosterd}"]}}]
  - job_name: web
    http_sd_configs:
      - url: http://{rosterd}/registry/prometheus/web?port=metrics
        refresh_interval: 1s
        authorization: {{type: Bearer, credentials: {token}}}
    relabel_configs:
      - {{source_labels: [__meta_rosterd_tags], regex: ".*,prod,.*", action: keep}}
      - {{source_labels: [__meta_rosterd_instance], target_label: instance}}
      - {{source_labels: [__meta_rosterd_version], target_label: version}}
      - {{regex: "__meta_rosterd_meta_(.+)", action: labelmap}}
  - job_name: all
    http_sd_configs:
      - url: http://{rosterd}/registry/prometheus
        refresh_interval: 1s
        authorization: {{type: Bearer, credentials: {token}}}
    relabel_configs:
      - {{source_labels: [__meta_rosterd_admin], regex: drain, action: drop}}
      - {{source_labels: [__meta_rosterd_service], target_label: service}}
      - {{source_labels: [__meta_rosterd_status], target_label: status}}
"""


class Prometheus:
    def __init__(self, daemon):
        self.folder = harness.make_folder()
        self.port = harness.free_port()
        config = CONFIG.format(rules=json.dumps(RULES), token=TOKEN,
                               rosterd=f"127.0.0.1:{daemon.http_port}")
        path = harness.write_file(self.folder, "prometheus.yml", config)
        with open(os.path.join(self.folder, "log"), "wb") as log:
            self.process = harness.spawn(
                "prometheus", f"--config.file={path}",
                f"--storage.tsdb.path={self.folder}/data", "--log.level=warn",
                f"--web.listen-address=127.0.0.1:{self.port}", stdout=log, stderr=log)
        wait_for(self.is_ready, LIMIT_S, "Prometheus is ready")

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8") as file:
            return file.read()

    def is_ready(self):
        expect(self.process.poll() is None, f"Prometheus ended: {self.log()}")
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready",
                                          timeout=5).status == 200
        except OSError:
            return False

    def get(self, call, **parameters):
        """What the API replies, whole: {"status", "data"...}."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{call}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as reply:
            return json.load(reply)

    def query(self, expression):
        reply = self.get("query", query=expression)
        expect_equal(reply["status"], "success", f"{expression}: {reply.get('error')}")
        return reply["data"]["result"]

    def targets(self, job):
        """{URL: labels} of a job."""
        active = self.get("targets", state="active")["data"]["activeTargets"]
        return {target["scrapeUrl"]: target["labels"] for target in active
                if target["scrapePool"] == job}


def url(target):
    return f"http://{target}/metrics"


def register(daemon):
    ports = {"metrics": 9100}
    daemon.register(name="web", id="a", ip="127.0.0.1", port=80, ports=ports,
                    tags=["prod", "eu"], version="1.2", meta={"rack-row": "r 7", "team": "x\"y"})
    daemon.register(name="web", id="six", ipv6="::1", port=80, ports=ports, tags=["prod"])
    daemon.register(name="web", id="test", ip="127.0.0.3", port=80, ports=ports,
                    tags=["prodigy"])
    daemon.register(name="web", id="portless", ip="127.0.0.4", port=80, tags=["prod"])
    daemon.register(name="db", id="sick", ip="127.0.0.5", port=5432)
    expect_equal(daemon.http("POST", "/registry/heartbeat",
                             {"service": "db", "id": "sick", "status": "critical"})[0], 200,
                 "heartbeat")


def web(instance, **more):
    return {"job": "web", "instance": instance, **more}


def everything(target, service, status="passing"):
    return {"job": "all", "instance": target, "service": service, "status": status}


def check_discovery(daemon, prometheus):
    """Labels are as relabelling makes them of ours; who is down is a target as well."""
    first = {url("127.0.0.1:9100"): web("a", version="1.2", rack_row="r 7", team="x\"y"),
             url("[::1]:9100"): web("six")}
    whole = {url(target): everything(target, *more) for target, *more in (
        ("127.0.0.1:80", "web"), ("[::1]:80", "web"), ("127.0.0.3:80", "web"),
        ("127.0.0.4:80", "web"), ("127.0.0.5:5432", "db", "critical"))}
    wait_for(lambda: prometheus.targets("web") and prometheus.targets("all"), LIMIT_S, "targets")
    expect_equal(prometheus.targets("web"), first, "targets of the service, by a named port")
    expect_equal(prometheus.targets("all"), whole, "targets of all services")
    expect_equal(daemon.http("DELETE", "/registry/services/web/instances/a")[0], 200, "DELETE")
    expect_equal(daemon.http("DELETE", "/registry/services/db/instances/sick")[0], 200, "DELETE")
    expect_equal(daemon.http("PUT", "/registry/services/web/instances/test/admin",
                             {"state": "drain"})[0], 200, "drain")
    for target in ("127.0.0.1:80", "127.0.0.5:5432", "127.0.0.3:80"):
        whole.pop(url(target))
    wait_for(lambda: prometheus.targets("all") == whole, LIMIT_S, "who left is no target any more")
    wait_for(lambda: list(prometheus.targets("web")) == [url("[::1]:9100")], LIMIT_S,
             "who left is no target of the service")


def selectors(expression):
    """What an expression takes of our metrics: a name and its labels."""
    return {name + (labels or "") for name, labels in
            re.findall(r"\b((?:rosterd|process)_\w+)(\{[^}]*\})?", expression)}


def check_expression(prometheus, families, about, expression):
    prometheus.query(expression)
    found = selectors(expression)
    expect(found or "up{" in expression, f"{about}: nothing of rosterd in {expression}")
    for selector in found:
        name = re.sub(r"_(bucket|sum|count)$", "", selector.partition("{")[0])
        expect(name in families, f"{about}: /metrics has no {name}")
        # A scrape that takes longer than a second, on a busy machine, is none.
        wait_for(lambda: prometheus.query(selector), LIMIT_S, f"{about}: something is {selector}")


def fill_in(expression):
    """The dashboard's variables, as Grafana would."""
    for name, value in (("$__rate_interval", "1m"), ("$job", "rosterd"), ("$instance", ".+")):
        expression = expression.replace(name, value)
    expect("$" not in expression, f"a variable is left: {expression}")
    return expression


def check_dashboard(prometheus, families):
    with open(DASHBOARD, encoding="utf-8") as file:
        dashboard = json.load(file)
    panels = dashboard["panels"]
    expect_equal(len({panel["id"] for panel in panels}), len(panels), "panels with ids of their own")
    cells = collections.Counter()
    used = set()
    for panel in panels:
        at = panel["gridPos"]
        expect(at["x"] + at["w"] <= 24, f"{panel['title']} is out of the grid")
        cells.update((at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"]))
        expect(panel["type"] == "row" or panel["targets"], f"{panel['title']} shows nothing")
        for target in panel.get("targets", []):
            expression = fill_in(target["expr"])
            check_expression(prometheus, families, f"panel {panel['title']}", expression)
            used |= {re.sub(r"_(bucket|sum|count)$", "", one.partition("{")[0])
                     for one in selectors(expression)}
    expect_equal({cell for cell, n in cells.items() if n > 1}, set(), "cells of two panels")
    for note in dashboard["annotations"]["list"]:
        check_expression(prometheus, families, note["name"], fill_in(note["expr"]))
    expect_equal({name for name in families if name.startswith("rosterd_")} - used, set(),
                 "metrics that no panel shows")


def check_rules(prometheus, families):
    """They are evaluated, without errors; when they fire is the business of tests/check-alerts."""
    def evaluated():
        rules = prometheus.get("rules")["data"]["groups"][0]["rules"]
        return rules if all(rule["health"] != "unknown" for rule in rules) else None

    for rule in wait_for(evaluated, LIMIT_S, "the rules are evaluated"):
        expect_equal(rule["health"], "ok", f"{rule['name']}: {rule.get('lastError')}")
        check_expression(prometheus, families, rule["name"], rule["query"])


def main():
    harness.need("prometheus")
    daemon = harness.Daemon(token=TOKEN, config=harness.access(
        {"name": "prometheus", "token": TOKEN, "admin": ["*"]}))
    register(daemon)
    prometheus = Prometheus(daemon)
    wait_for(lambda: prometheus.query("rosterd_build_info"), LIMIT_S, "rosterd is scraped")
    families = set(re.findall(r"^# TYPE (\w+)", daemon.http("GET", "/metrics")[1], re.M))
    check_rules(prometheus, families)
    check_dashboard(prometheus, families)
    check_discovery(daemon, prometheus)
    harness.end(prometheus.process)
    daemon.stop()


harness.run(main)
