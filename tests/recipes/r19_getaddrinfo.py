# SPDX-License-Identifier: BSD-2-Clause
"""What contrib/recipes/clients/README says of programs without SRV: who keeps an address how long.

They ask as resolv.conf says, port 53, so all is in a network namespace, with a file of its own there.
"""

import shutil
import subprocess

import behind
import clients
import harness
from harness import expect, expect_equal, wait_for

NAME = "web.service.local"
ETC = ('mount --bind "$0/resolv.conf" /etc/resolv.conf && '
       'mount --bind "$0/nsswitch.conf" /etc/nsswitch.conf && exec "$@"')

PYTHON = """
import socket, sys
for _ in sys.stdin:
    found = {entry[4][0] for entry in socket.getaddrinfo(sys.argv[1], 80, type=socket.SOCK_STREAM)}
    print(*sorted(found), flush=True)
"""

NODE = """
const lookup = require("node:dns").promises.lookup;
const lines = require("node:readline").createInterface({ input: process.stdin });
(async () => {
  for await (const _line of lines) {
    const found = await lookup(process.argv[1], { all: true });
    console.log(found.map((entry) => entry.address).sort().join(" "));
  }
})();
"""

JAVA = """
import java.io.*;
import java.net.InetAddress;
import java.util.*;

class Lookup {
    public static void main(String[] arguments) throws IOException {
        if (arguments.length > 1)
            java.security.Security.setProperty("networkaddress.cache.ttl", arguments[1]);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        while (lines.readLine() != null) {
            Set<String> found = new TreeSet<>();
            for (InetAddress address : InetAddress.getAllByName(arguments[0]))
                found.add(address.getHostAddress());
            System.out.println(String.join(" ", found));
        }
    }
}
"""


def enter_etc():
    """A namespace, and what a program is started with to see our resolv.conf."""
    harness.need("ip", "unshare", "mount")
    harness.enter_namespace(["198.51.100.1/32"])
    folder = harness.make_folder()
    harness.write_file(folder, "resolv.conf", "nameserver 127.0.0.1\n")
    harness.write_file(folder, "nsswitch.conf", "hosts: dns\n")
    prefix = ("unshare", "-m", "sh", "-c", ETC, folder)
    done = subprocess.run([*prefix, "true"], stderr=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise harness.Skip("a resolv.conf of its own takes root")
    return prefix


def programs(prefix):
    """Those that follow a TTL of a second, by name; and one that does not, or None."""
    following = {"Python": clients.Client(*prefix, shutil.which("python3"), "-c", PYTHON, NAME)}
    keeping = None
    if shutil.which("node"):
        following["node"] = clients.Client(*prefix, "node", "-e", NODE, NAME)
    if shutil.which("javac") and shutil.which("java"):
        folder = harness.make_folder()
        path = harness.write_file(folder, "Lookup.java", JAVA)
        subprocess.run(["javac", "-d", folder, path], check=True, timeout=60)
        java = (*prefix, "java", "-cp", folder)
        following["Java, property"] = clients.Client(*java, "Lookup", NAME, "1")
        following["Java, flag"] = clients.Client(*java, "-Dsun.net.inetaddr.ttl=1", "Lookup", NAME)
        keeping = clients.Client(*java, "Lookup", NAME)
    return following, keeping


def main():
    prefix = enter_etc()
    daemon = harness.Daemon(dns_port=53)
    for number in (1, 2):
        daemon.register(name="web", id=f"i{number}", ip=f"10.0.{number}.1", port=80, ttl="1s")
    following, keeping = programs(prefix)
    both, one = "10.0.1.1 10.0.2.1", "10.0.1.1"
    for name, client in following.items():
        expect_equal(client.ask(), [both], name)
    if keeping:
        # From here on it knows the answer for 30 seconds; what follows must not take as long.
        began = harness.time.monotonic()
        expect_equal(keeping.ask(), [both], "Java as it is")

    behind.drain(daemon, "web", "i2")
    for name, client in following.items():
        wait_for(lambda client=client: client.ask() == [one], behind.SETTLE_S, f"{name} follows")
    if keeping:
        kept = keeping.ask() == [both]
        expect(kept or harness.time.monotonic() - began > 25, "Java as it is did not keep it")
    daemon.stop()


harness.run(main)
