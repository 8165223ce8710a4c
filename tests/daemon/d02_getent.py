# SPDX-License-Identifier: BSD-2-Clause
"""getaddrinfo(): glibc -> unbound on port 53 -> rosterd, in a network namespace of their own."""

import json
import os
import shutil
import subprocess

import harness
from harness import expect, expect_equal

DNS_PORT = 8600  # nobody else is in this namespace
HTTP_PORT = 8500

UNBOUND = """
server:
    interface: 127.0.0.1
    port: 53
    username: ""
    chroot: ""
    directory: "{folder}"
    pidfile: "{folder}/unbound.pid"
    use-syslog: no
    do-daemonize: no
    do-not-query-localhost: no
    module-config: "iterator"
    root-hints: ""
    access-control: 127.0.0.0/8 allow
stub-zone:
    name: "service.local"
    stub-addr: 127.0.0.1@{port}
remote-control:
    control-enable: no
"""


def ip(*arguments):
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=10,
                          check=False)


def make_namespace():
    if os.geteuid() != 0:
        raise harness.Skip("a network namespace takes root")
    name = f"rosterd-test-{os.getpid()}"
    made = ip("netns", "add", name)
    if made.returncode != 0:
        raise harness.Skip(f"no network namespace: {made.stderr.strip()}")
    harness.cleanups.append(lambda: ip("netns", "del", name))
    up = ip("-n", name, "link", "set", "lo", "up")
    if up.returncode != 0:
        raise harness.Skip(f"no loopback in the namespace: {up.stderr.strip()}")
    # getent asks only for families that the host has, and loopback does not count.
    for address in ("198.51.100.1/32", "2001:db8:ffff::1/128"):
        ip("-n", name, "address", "add", address, "dev", "lo", "nodad")
    folder = f"/etc/netns/{name}"
    os.makedirs(folder)
    harness.cleanups.append(lambda: shutil.rmtree(folder))
    harness.write_file(folder, "resolv.conf", "nameserver 127.0.0.1\noptions timeout:2\n")
    harness.write_file(folder, "nsswitch.conf", "hosts: dns\n")
    return name


def inside(name, *command, body=None):
    done = subprocess.run(["ip", "netns", "exec", name, *command], input=body,
                          capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout


def post(name, path, fields):
    _, text = inside(name, "curl", "-s", "-d", json.dumps(fields),
                     f"http://127.0.0.1:{HTTP_PORT}{path}")
    return json.loads(text)


def stream_addresses(name, host, family="ahosts"):
    _, text = inside(name, "getent", family, host)
    return [line.split()[0] for line in text.splitlines() if "STREAM" in line]


def main():
    harness.need("ip", "unbound", "curl", "getent")
    name = make_namespace()
    daemon = harness.Daemon(prefix=["ip", "netns", "exec", name], dns_port=DNS_PORT,
                            http_port=HTTP_PORT)
    folder = harness.make_folder()
    path = harness.write_file(folder, "unbound.conf",
                              UNBOUND.format(folder=folder, port=DNS_PORT))
    harness.spawn("ip", "netns", "exec", name, "unbound", "-d", "-c", path)

    for number in (1, 2, 3):
        reply = post(name, "/registry/register",
                     {"name": "payment", "ip": f"10.0.{number}.1", "port": 80, "weight": number})
        expect("revision" in reply, f"register: {reply}")
    post(name, "/registry/register", {"name": "six", "ip": "2001:db8::6", "port": 80})

    wanted = {"10.0.1.1", "10.0.2.1", "10.0.3.1"}
    harness.wait_for(lambda: set(stream_addresses(name, "payment.service.local")) == wanted,
                     harness.START_S, "getent shows all three", every_s=0.2)
    expect_equal(stream_addresses(name, "six.service.local", "ahostsv6"), ["2001:db8::6"],
                 "getent ahostsv6")
    status, _ = inside(name, "getent", "ahosts", "nobody.service.local")
    expect_equal(status, 2, "getent of an unknown name")

    # A cache in between: after at most one TTL (5 s) the change is everywhere.
    post(name, "/registry/deregister", {"service": "payment", "id": "10-0-1-1-80"})
    harness.wait_for(lambda: "10.0.1.1" not in stream_addresses(name, "payment.service.local"), 7,
                     "the change is seen through the cache", every_s=0.2)
    daemon.stop()


harness.run(main)
