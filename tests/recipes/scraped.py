# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of both recipes for Prometheus share: one that runs with a recipe."""

import behind
import harness

# The recipes refresh every 15 s and Prometheus scrapes once a minute: too long for a test.
SCRAPE = "global: {scrape_interval: 250ms, scrape_timeout: 250ms}\n"
REFRESH = {"refresh_interval: 15s": "refresh_interval: 1s"}


class Prometheus:
    """Asks the resolvers of this folder's resolv.conf, if there is one."""

    def __init__(self, recipe, replacements, prefix=()):
        folder = harness.make_folder()
        self.port = harness.free_port()
        path = behind.put_recipe(folder, behind.recipe("prometheus", recipe),
                                 {**REFRESH, **replacements})
        with open(path, encoding="utf-8") as file:
            config = harness.write_file(folder, "prometheus.yml", SCRAPE + file.read())
        harness.spawn(*prefix, "prometheus", f"--config.file={config}",
                      f"--storage.tsdb.path={folder}/data",
                      f"--web.listen-address=127.0.0.1:{self.port}")
        harness.wait_for(self.is_ready, behind.SETTLE_S, "prometheus is ready")

    def is_ready(self):
        try:
            return bool(behind.get(f"http://127.0.0.1:{self.port}/-/ready"))
        except (OSError, harness.Failure):
            return False

    def ask(self, path):
        return harness.json.loads(behind.get(f"http://127.0.0.1:{self.port}/api/v1/{path}"))["data"]

    def targets(self):
        """The labels of each target, with its health, by name of the instance."""
        return {target["labels"]["instance_name"]: {**target["labels"], "health": target["health"],
                                                    "found": target["discoveredLabels"]}
                for target in self.ask("targets?state=active")["activeTargets"]}

    def wait_up(self, names):
        def are_up():
            targets = self.targets()
            return (sorted(targets) == sorted(names) and
                    all(target["health"] == "up" for target in targets.values()))

        harness.wait_for(are_up, behind.SETTLE_S, f"targets {names} are up", every_s=0.1)

    def scraped(self, name):
        """How often the instance was scraped with success."""
        result = self.ask(f'query?query=sum(sum_over_time(up{{instance_name="{name}"}}[10m]))')
        return float(result["result"][0]["value"][1]) if result["result"] else 0

    def wait_scrape(self, name):
        before = self.scraped(name)
        harness.wait_for(lambda: self.scraped(name) > before, behind.SETTLE_S,
                         f"a scrape of {name}", every_s=0.1)


def start_instances(*names):
    return {name: behind.Instance(name) for name in names}


def register(daemon, instance, **fields):
    # The main port is another one: it has to be the named one.
    daemon.register(name="web", id=instance.name, ip="127.0.0.1", port=9,
                    ports={"metrics": instance.port}, ttl="1s", **fields)
