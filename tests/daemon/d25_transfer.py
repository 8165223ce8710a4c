# SPDX-License-Identifier: BSD-2-Clause
"""--export and --import: the registry as lines of JSON, from one data directory into another."""

import json
import os
import subprocess

import harness
from harness import expect, expect_equal

ROSTERD = os.path.abspath(harness.ROSTERD)


def rosterd(*arguments, text=None):
    return subprocess.run([ROSTERD, *arguments], input=text, capture_output=True, text=True,
                          timeout=30, check=False)


def export(data):
    done = rosterd("--data", data, "--export", "-")
    expect_equal(done.returncode, 0, done.stderr)
    return done.stdout


def fill():
    daemon = harness.Daemon()
    daemon.register(name="pay", id="a", ip="10.0.0.1", port=80, tags=["eu"], meta={"k": "ä\n"})
    daemon.register(name="pay", id="Node/1", ip="10.0.0.2", ipv6="2001:db8::1", port=81)
    daemon.register(name="web", id="b", ip="10.0.0.3", port=82, lease="30s",
                    checks=[{"kind": "ttl", "ttl": "1h"}])
    for path, body in (("pay/instances/a/admin", {"state": "drain"}),
                       ("pay/policy", {"ttl": 9, "failure": "last"})):
        status, reply = daemon.http("PUT", "/registry/services/" + path, body)
        expect_equal(status, 200, str(reply))
    return daemon


def check_there_and_back():
    daemon = fill()
    busy = rosterd("--data", daemon.data, "--export", "-")
    expect_equal((busy.returncode, busy.stdout), (1, ""), "while a server runs")
    expect("another rosterd" in busy.stderr, busy.stderr)
    daemon.stop()
    with open(os.path.join(daemon.data, "revision"), encoding="ascii") as file:
        revision = file.read()
    lines = export(daemon.data)
    objects = [json.loads(line) for line in lines.splitlines()]
    expect_equal(len(objects), 5, lines)
    expect_equal([name for name in os.listdir(daemon.data) if name.startswith("store.mdb.")], [],
                 "what an export leaves behind")
    with open(os.path.join(daemon.data, "revision"), encoding="ascii") as file:
        expect_equal(file.read(), revision, "the revision after an export")

    other = os.path.join(daemon.folder, "other")
    done = rosterd("--data", other, "--import", "-", text=lines)
    expect_equal(done.returncode, 0, done.stderr)
    expect_equal(export(other), lines, "there and back")
    path = os.path.join(daemon.folder, "out.jsonl")
    expect_equal(rosterd("--data", other, "--export", path).returncode, 0, "to a file")
    expect_equal(os.stat(path).st_mode & 0o777, 0o600, "who may read the secrets in it")
    expect_equal(sorted(name for name in os.listdir(daemon.folder) if "out" in name),
                 ["out.jsonl"], "files")

    served = harness.Daemon(folder=daemon.folder, wait=False)
    served.data = other
    served.start()
    expect_equal(served.addresses("pay.service.local"), ["10.0.0.2"], "a is draining")
    expect_equal(served.dig("pay.service.local", "A").answer[0].ttl, 9, "the policy")
    served.stop()
    return daemon, other, path


def check_import_adds(data, path):
    """What is there stays, what has the same id is replaced, and the server's copy will do."""
    one = '{"registration":{"name":"pay","id":"a","ipv4":"10.0.0.9","port":99}}\n'
    done = rosterd("--data", data, "--import", "-", text=one)
    expect_equal(done.returncode, 0, done.stderr)
    lines = export(data)
    expect_equal(len(lines.splitlines()), 5, lines)
    expect("10.0.0.9" in lines and "10.0.0.1" not in lines, lines)
    copy = os.path.join(data, "registry.jsonl")
    third = data + "-third"
    done = rosterd("--data", third, "--import", copy)
    expect_equal(done.returncode, 0, done.stderr)
    expect("lines=5" in done.stderr, f"its seal is no record: {done.stderr}")
    expect_equal(export(third), lines, "from the server's own copy")
    expect_equal(rosterd("--data", third, "--import", path).returncode, 0, "from a file")


def check_bad_lines(data):
    """All or nothing, and the line is named."""
    before = export(data)
    good = '{"registration":{"name":"new","id":"a","ipv4":"10.0.0.9","port":99}}\n'
    for bad in ("{", "7", '{"registration":{"name":"new","id":"a","ipv4":"x","port":99}}',
                '{"service":"pay","policy":{"ttl":-1}}', '{"registration":{}}'):
        done = rosterd("--data", data, "--import", "-", text=good + bad + "\n")
        expect_equal(done.returncode, 1, bad)
        expect("line 2" in done.stderr, done.stderr)
        expect_equal(done.stderr.count("\n"), 1, done.stderr)
    expect_equal(export(data), before, "after bad imports")
    missing = data + "-missing"
    expect_equal(rosterd("--data", missing, "--export", "-").returncode, 1, "nothing to export")
    expect(not os.path.exists(missing), "an export makes no directory")


def main():
    harness.need("dig")
    _, other, path = check_there_and_back()
    check_import_adds(other, path)
    check_bad_lines(other)


harness.run(main)
