# SPDX-License-Identifier: BSD-2-Clause
"""contrib/recipes/nginx: instances come and go, and no request fails; and what it costs when rosterd
is away."""

import os
import subprocess

import behind
import harness
from harness import expect, wait_for

# What Debian's nginx.conf has around. One process, which ends with the test.
AROUND = """
daemon off;
master_process off;
error_log stderr;
pid {folder}/pid;
events {{
    worker_connections 256;
}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/web.conf;
}}
"""


class Nginx:
    def __init__(self, daemon, instance_port):
        self.folder = harness.make_folder()
        self.port = harness.free_port()
        behind.put_recipe(self.folder, behind.recipe("nginx", "web.conf"),
                          {"127.0.0.1:8600": f"127.0.0.1:{daemon.dns_port}",
                           "127.0.0.1:8080": f"127.0.0.1:{self.port}",
                           "$web:8081": f"$web:{instance_port}"})
        around = AROUND.format(folder=self.folder)
        if os.geteuid() == 0:  # its folders are root's
            around = f"user root;{around}"
        config = harness.write_file(self.folder, "nginx.conf", around)
        command = ["nginx", "-p", self.folder, "-e", "stderr", "-c", config]
        checked = subprocess.run([*command, "-t"], env={"PATH": behind.PATH}, text=True,
                                 capture_output=True, timeout=20, check=False)
        expect(checked.returncode == 0, f"nginx -t: {checked.stderr}")
        with open(f"{self.folder}/log", "wb") as log:
            self.process = harness.spawn(*command, env={"PATH": behind.PATH}, stderr=log)
        wait_for(lambda: behind.is_open("127.0.0.1", self.port), harness.START_S, "nginx listens")

    def log(self):
        with open(f"{self.folder}/log", encoding="utf-8") as file:
            return file.read()

    def ask(self):
        return behind.get(f"http://127.0.0.1:{self.port}/some/path")


def register(daemon, instance):
    daemon.register(name="web", id=instance.name, ip=instance.address, port=instance.port,
                    ttl="1s")


def check_dead(load, instance):
    """One that is registered though it is dead: each request goes on to the next address."""
    instance.stop()
    expect(instance.name not in load.wait_more(40), "replies from the dead")
    instance.start()
    load.wait_name(instance.name)


def check_drain(daemon, load, instance):
    # nginx counts in whole seconds: it may keep an answer for almost one more than its TTL.
    is_safe = behind.drain(daemon, "web", instance.name, more_s=1)
    wait_for(is_safe, behind.SETTLE_S, "safe_after")
    expect(instance.name not in load.wait_more(40), "a drained instance gets requests")
    instance.stop()
    load.wait_more(40)
    instance.start()
    behind.undrain(daemon, "web", instance.name)
    load.wait_name(instance.name)


def check_rosterd_away(daemon, nginx):
    """The README says so: nginx uses no answer beyond its TTL."""

    def fails():
        try:
            nginx.ask()
            return False
        except harness.Failure as failure:
            return ": 502" in str(failure)

    def answers():
        return not fails()

    daemon.stop()
    wait_for(fails, behind.SETTLE_S, "502 without rosterd")
    daemon.start()
    wait_for(answers, behind.SETTLE_S, "it recovers by itself")


def main():
    harness.need("nginx")
    daemon = harness.Daemon()
    port = harness.free_port()
    instances = [behind.Instance(name, f"127.0.0.{number}", port)
                 for number, name in enumerate("abc", 1)]
    nginx = Nginx(daemon, port)
    for instance in instances[:2]:
        register(daemon, instance)
    load = behind.Load(nginx.ask)
    load.wait_name("a")
    load.wait_name("b")
    register(daemon, instances[2])
    load.wait_name("c")
    check_drain(daemon, load, instances[1])
    before = nginx.log().count("connect() failed")
    expect(before == 0, f"a drain made nginx try elsewhere: {nginx.log()[-3000:]}")
    check_dead(load, instances[0])
    expect("connect() failed" in nginx.log(), "nginx tried the dead one")
    load.end()
    check_rosterd_away(daemon, nginx)
    behind.end_politely(nginx.process)
    daemon.stop()


harness.run(main)
