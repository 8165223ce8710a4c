# SPDX-License-Identifier: BSD-2-Clause
"""getaddrinfo(): glibc -> unbound on port 53 -> rosterd, in a network namespace of their own."""

import subprocess

import harness
from harness import expect_equal

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


def stream_addresses(host, family="ahosts"):
    done = subprocess.run(["getent", family, host], capture_output=True, text=True, timeout=30,
                          check=False)
    return [line.split()[0] for line in done.stdout.splitlines() if "STREAM" in line]


def main():
    harness.need("ip", "unbound", "getent")
    # getent asks only for families that the host has, and loopback does not count.
    harness.enter_namespace(["198.51.100.1/32", "2001:db8:ffff::1/128"])
    harness.own_folders(copied=["/etc"])
    harness.write_etc("resolv.conf", "nameserver 127.0.0.1\noptions timeout:2\n")
    harness.write_etc("nsswitch.conf", "hosts: dns\n")
    daemon = harness.Daemon()
    folder = harness.make_folder()
    path = harness.write_file(folder, "unbound.conf",
                              UNBOUND.format(folder=folder, port=daemon.dns_port))
    harness.spawn("unbound", "-d", "-c", path)

    for number in (1, 2, 3):
        daemon.register(name="payment", ip=f"10.0.{number}.1", port=80, weight=number)
    daemon.register(name="six", ip="2001:db8::6", port=80)

    wanted = {"10.0.1.1", "10.0.2.1", "10.0.3.1"}
    harness.wait_for(lambda: set(stream_addresses("payment.service.local")) == wanted,
                     harness.START_S, "getent shows all three", every_s=0.2)
    expect_equal(stream_addresses("six.service.local", "ahostsv6"), ["2001:db8::6"],
                 "getent ahostsv6")
    done = subprocess.run(["getent", "ahosts", "nobody.service.local"], stdout=subprocess.DEVNULL,
                          timeout=30, check=False)
    expect_equal(done.returncode, 2, "getent of an unknown name")

    # A cache in between: after at most one TTL (5 s) the change is everywhere.
    status, _ = daemon.http("DELETE", "/registry/services/payment/instances/10-0-1-1-80")
    expect_equal(status, 200, "deregister")
    harness.wait_for(lambda: "10.0.1.1" not in stream_addresses("payment.service.local"), 7,
                     "the change is seen through the cache", every_s=0.2)
    daemon.stop()


harness.run(main)
